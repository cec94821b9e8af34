"""Figures of generators: how training went, and images by what they were asked to show."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hven_plugins.generative.training import PREFIX, columns_like

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS, COLUMNS = 5, 6


def draw_loss(result: xr.Dataset, what: str) -> "Figure":
    """Return the loss against the step of training."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    step, loss = np.asarray(result["step"].values), np.asarray(result["loss"].values)
    axes.plot(step, loss, ".-" if len(step) < 30 else "-")
    if (loss > 0).all():
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel(what)
    return figure


def draw_images(result: xr.Dataset) -> "Figure":
    """Return a grid of images, a row for each part of the range of the first parameter, low values on top."""
    from matplotlib.figure import Figure

    flux, theta = result["flux"], columns_like(result, PREFIX)
    name, values = next(iter(theta.items()), ("", np.arange(flux.sizes["object"], dtype=float)))
    order = np.argsort(values, kind="stable")
    order = order[np.isfinite(values[order])]
    rows = [part for part in np.array_split(order, min(ROWS, max(len(order) // 2, 1))) if len(part)]
    chosen = [part[np.linspace(0, len(part) - 1, min(COLUMNS, len(part))).astype(int)] for part in rows]
    figure = Figure(figsize=(1.3 * COLUMNS + 1.2, 1.4 * max(len(rows), 1) + 0.4), layout="constrained")
    if not chosen:
        figure.text(0.5, 0.5, "no image", ha="center")
        return figure
    shown = flux.isel(object=np.concatenate(chosen), band=0).values
    low, high = np.nanpercentile(shown, [1, 99]) if np.isfinite(shown).any() else (0.0, 1.0)
    grid = figure.subplots(len(rows), COLUMNS, squeeze=False)
    for axes in grid.ravel():
        axes.axis("off")
    begin, drawn = 0, []
    for axes_of_row, part in zip(grid, chosen, strict=True):
        for axes, image in zip(axes_of_row, shown[begin : begin + len(part)], strict=False):
            shown_as = axes.imshow(image, vmin=low, vmax=high, origin="lower", cmap="viridis", interpolation="nearest")
            drawn.append(shown_as)
        if theta:
            text = f"{values[part[0]]:.3g} to\n{values[part[-1]]:.3g}"
            axes_of_row[0].text(-0.08, 0.5, text, transform=axes_of_row[0].transAxes, ha="right", va="center")
        begin += len(part)
    unit = str(result.attrs.get("flux_unit", ""))
    figure.colorbar(drawn[0], ax=grid, label=f"pixel value [{unit}]" if unit else "pixel value", shrink=0.8)
    if theta:
        figure.suptitle(f"synthetic images by {name}")
    return figure
