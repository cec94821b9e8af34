"""Figures of forecasts: corners of confidence ellipses, and slopes of features against each other."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hven.methods import fisher
from hven_plugins.generative.figures import GENERATED, INK, REFERENCE, name_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_forecast(result: xr.Dataset) -> "dict[str, Figure]":
    """Return the corner of confidence ellipses of one image, and the slopes of the features.

    Ellipses of the generated set stand where the model of the reference places its images: away by ``theta_shift``.
    """
    return {"corner": _draw_corner(result), "slopes": _draw_slopes(result)}


def _draw_corner(result: xr.Dataset) -> "Figure":
    from matplotlib.figure import Figure

    names = [str(name) for name in result["parameter"].values]
    t = len(names)
    figure = Figure(figsize=(2.2 + 1.8 * t, 1.6 + 1.8 * t), layout="constrained")
    panels = figure.subplots(t, t, squeeze=False)
    centre = result["theta_mean"].values[0]
    shift = result["theta_shift"].values
    for i, one in enumerate((REFERENCE, GENERATED)):
        information = result["information"].values[i]
        if not np.isfinite(result["sigma"].values[i]).all():
            continue
        middle = centre + (shift if i else 0.0)
        for row in range(t):
            sigma = result["sigma"].values[i, row]
            grid = middle[row] + np.linspace(-3, 3, 121) * sigma
            panels[row, row].plot(grid, np.exp(-0.5 * ((grid - middle[row]) / sigma) ** 2), color=one, lw=1.2)
            for column in range(row):
                for level, width in ((0.683, 1.4), (0.954, 0.7)):
                    curve = fisher.ellipse(information, column, row, level=level).curve((middle[column], middle[row]))
                    panels[row, column].plot(*curve, color=one, lw=width)
    for row in range(t):
        for column in range(t):
            axes = panels[row, column]
            axes.set_visible(column <= row)
            axes.tick_params(labelsize=7)
            if row == t - 1:
                axes.set_xlabel(names[column])
            if column == 0 and row:
                axes.set_ylabel(names[row])
        panels[row, row].set_yticks([])
    panels[0, 0].set_title(_title(result), fontsize=8, color=INK, loc="left")
    panels[0, 0].plot([], [], color=REFERENCE, label="reference")
    panels[0, 0].plot([], [], color=GENERATED, label="generated, where the reference as model places it")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper right", frameon=False, fontsize=8)
    return figure


def _title(result: xr.Dataset) -> str:
    ratio, error = float(result["area_ratio"]), float(result["area_ratio_err"])
    if np.isfinite(error):
        return rf"area generated / reference: ${ratio:.2f} \pm {error:.2f}$"
    if np.isfinite(ratio):
        return f"area generated / reference: {ratio:.2f}, with an error that noise leaves open"
    lost = " and ".join(
        str(name)
        for name, sigma in zip(result["set"].values, result["sigma"].values, strict=True)
        if not np.isfinite(sigma).all()
    )
    return f"no ellipse: noise hides what {lost} images say"


def _draw_slopes(result: xr.Dataset) -> "Figure":
    from matplotlib.figure import Figure

    keep = [i for i, name in enumerate(result["feature"].values) if str(name) != "s0"]
    names = [str(result["feature"].values[i]) for i in keep]
    t = result.sizes["parameter"]
    figure = Figure(figsize=(7.8, 1.0 + 1.8 * t), layout="constrained")
    panels = figure.subplots(t, 1, sharex=True, squeeze=False)[:, 0]
    at = np.arange(len(names))
    for row, axes in enumerate(panels):
        axes.axhline(0, color=INK, lw=0.5)
        for i, (colour, name) in enumerate(((REFERENCE, "reference"), (GENERATED, "generated"))):
            axes.errorbar(
                at + 0.2 * i - 0.1, result["slope"].values[i, row, keep], result["slope_err"].values[i, row, keep],
                fmt="o", ms=3, lw=1, color=colour, label=name,
            )  # fmt: skip
        axes.set_ylabel(f"d feature / d {result['parameter'].values[row]}", fontsize=8)
    panels[0].legend(frameon=False, fontsize=8)
    name_axis(panels[-1], names)
    return figure
