"""Figures of scattering features and of the evaluation of generated images."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

INK, REFERENCE, GENERATED = "#22303c", "#2b5c8f", "#b5483a"
_GROUPS = {"s1": "s1: contrast", "s21": "s21: sparsity", "s22": "s22: elongation"}


def draw_features(result: xr.Dataset) -> "Figure":
    """Return the fan of all features: the mean over images, and the spread of 68 and 95 % of them."""
    from matplotlib.figure import Figure

    names = [str(n) for n in result.data_vars if str(n).startswith(("s1_", "s2"))]
    values = np.column_stack([np.asarray(result[name].values, dtype=np.float64) for name in names])
    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    axes = figure.subplots()
    known = values[np.isfinite(values).all(axis=1)]
    if len(known):
        low, below, middle, above, high = np.quantile(known, [0.025, 0.16, 0.5, 0.84, 0.975], axis=0)
        at = np.arange(len(names))
        for part in grouped(names):
            axes.fill_between(at[part], low[part], high[part], color=REFERENCE, alpha=0.15, lw=0)
            axes.fill_between(at[part], below[part], above[part], color=REFERENCE, alpha=0.3, lw=0)
            axes.plot(at[part], middle[part], color=REFERENCE, marker="o", ms=3, lw=1)
    name_axis(axes, names)
    axes.set_ylabel("feature")
    axes.set_title(f"{len(known):,} of {len(values):,} images: median, 68 and 95 %", fontsize=9, color=INK, loc="left")
    return figure


def grouped(names: list[str]) -> list[slice]:
    """Return where each order of features begins and ends."""
    heads = [name.split("_")[0] for name in names]
    return [slice(heads.index(head), heads.index(head) + heads.count(head)) for head in dict.fromkeys(heads)]


def name_axis(axes: "Axes", names: list[str]) -> None:
    """Name the features below an axis: scales of each, and the order of each group."""
    axes.set_xticks(range(len(names)), [name.split("_", 1)[1].replace("_", ",") for name in names], fontsize=6.5)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.7, len(names) - 0.3)
    for part in grouped(names):
        if part.start:
            axes.axvline(part.start - 0.5, color=INK, lw=0.5, alpha=0.4)
        head = _GROUPS.get(names[part.start].split("_")[0], "")
        axes.annotate(
            head, ((part.start + part.stop - 1) / 2, 0), (0, -22), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", va="top", fontsize=8, color=INK,
        )  # fmt: skip


def draw_evaluation(result: xr.Dataset) -> "dict[str, Figure]":
    """Return the figures of an evaluation: the fan of features, the distance and what it hides, the statistics."""
    return {
        "images": _draw_examples(result),
        "features": _draw_fan(result),
        "distance": _draw_distance(result),
        "statistics": _draw_statistics(result),
    }


def _draw_examples(result: xr.Dataset) -> "Figure":
    from matplotlib.figure import Figure

    images = result["example"].values
    columns = images.shape[1]
    figure = Figure(figsize=(1.05 * columns + 0.4, 2.4), layout="constrained")
    panels = figure.subplots(2, columns, squeeze=False)
    low, high = np.nanquantile(images[0], [0.01, 0.99])
    for row, (name, colour) in enumerate((("reference", REFERENCE), ("generated", GENERATED))):
        for axes, image in zip(panels[row], images[row], strict=True):
            axes.imshow(image, vmin=low, vmax=high, cmap="viridis", origin="lower", interpolation="nearest")
            axes.set(xticks=[], yticks=[])
        panels[row, 0].set_ylabel(name, fontsize=8, color=colour)
    return figure


def _draw_fan(result: xr.Dataset) -> "Figure":
    from matplotlib.figure import Figure

    keep = [i for i, name in enumerate(result["feature"].values) if str(name) != "s0"]
    names = [str(result["feature"].values[i]) for i in keep]
    mean, spread = (result[f"feature_{what}"].values[:, keep] for what in ("mean", "spread"))
    figure = Figure(figsize=(7.8, 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    at = np.arange(len(names))
    for i, (colour, label) in enumerate(((REFERENCE, "reference"), (GENERATED, "generated"))):
        for part in grouped(names):
            above.fill_between(
                at[part], (mean - spread)[i, part], (mean + spread)[i, part], color=colour, alpha=0.2, lw=0
            )
            above.plot(
                at[part], mean[i, part], color=colour, lw=1, marker="o", ms=3, label=None if part.start else label
            )
    above.set_ylabel("mean and scatter")
    above.legend(frameon=False, fontsize=8, loc="best")
    shift, wider = (mean[1] - mean[0]) / spread[0], np.log(spread[1] / spread[0])
    below.axhline(0, color=INK, lw=0.5)
    below.bar(at - 0.2, shift, 0.38, color=GENERATED, label="shift / scatter")
    below.bar(at + 0.2, wider, 0.38, color="#c9a27e", label="ln ratio of scatters")
    below.set_ylabel("generated\n- reference")
    below.legend(frameon=False, fontsize=7, ncols=2, loc="best")
    name_axis(below, names)
    return figure


def _draw_distance(result: xr.Dataset) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    n, values = result["subset_n"].values, result["subset_fsd"].values
    inverse = 1000 / n
    left.plot(inverse, values, "o", color=GENERATED, ms=5, label="FSD of subsets")
    limit, error = float(result["fsd_limit"]), float(result["fsd_limit_err"])
    if np.isfinite(limit):
        grid = np.array([0.0, inverse.max()])
        left.plot(grid, np.polyval(np.polyfit(inverse, values, 1), grid), color=GENERATED, lw=1)
        left.errorbar(
            [0.0], [limit], [error] if np.isfinite(error) else None, fmt="D", color=INK, ms=5, capsize=3,
            label=rf"limit ${limit:.2g} \pm {error:.1g}$",
        )  # fmt: skip
    floor = float(result["fsd_floor"])
    left.plot(inverse, floor * n[0] / n, color=REFERENCE, lw=1, ls="--", label="two parts of the reference")
    left.axhline(0, color=INK, lw=0.5)
    left.set(xlabel="1000 / number of images", ylabel="Fréchet scattering distance")
    left.legend(frameon=False, fontsize=8)
    ratio = np.clip(result["eigenvalue_ratio"].values, 1e-8, None)
    right.axhline(1, color=REFERENCE, lw=1, ls="--")
    right.semilogy(np.arange(1, len(ratio) + 1), ratio, "o-", color=GENERATED, ms=4, lw=1)
    low, high = float(ratio.min()), float(ratio.max())
    right.set_ylim(min(0.3, low / 2), max(3.0, 2 * high))
    right.set(xlabel="principal direction", ylabel="variance, generated / reference")
    share = float(result["covariance_share"])
    told = f"ln det: {round(float(result['log_det_difference']), 1) + 0.0:+.1f}"  # never -0.0
    right.set_title(
        told + (f"; covariances make {share:.0%} of the FSD" if np.isfinite(share) else ""), fontsize=8, color=INK
    )
    return figure


def _draw_statistics(result: xr.Dataset) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.8, 5.0), layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    _both(panels[0], result["k"].values, result["power"].values, result["power_err"].values)
    panels[0].set(xscale="log", yscale="log", xlabel="k [cycles per image]", ylabel="power")
    octaves = 2 ** np.arange(int(np.log2(result["k"].values.max())) + 1)
    panels[0].set_xticks(octaves, [str(k) for k in octaves])
    panels[0].set_xticks([], minor=True)
    _both(panels[1], result["sigma"].values, result["pdf"].values, result["pdf_err"].values)
    panels[1].set(xlabel="pixel value [sigma]", ylabel="density")
    panels[1].legend(frameon=False, fontsize=8)
    pixels = result.sizes["y"] * result.sizes["x"]
    _both(panels[2], result["peak_level"].values, pixels * result["peaks"].values, pixels * result["peaks_err"].values)
    panels[2].set(xlabel="threshold [sigma]", ylabel="peaks per image")
    names = ("area", "boundary per pixel", "Euler characteristic per pixel")
    for i, name in enumerate(names):
        _both(
            panels[3 + i], result["level"].values, result["functionals"].values[:, i],
            result["functionals_err"].values[:, i],
        )  # fmt: skip
        panels[3 + i].set(xlabel="threshold [sigma]", ylabel=name)
    return figure


def _both(axes: "Axes", x: Array, values: Array, errors: Array) -> None:
    for i, (colour, label) in enumerate(((REFERENCE, "reference"), (GENERATED, "generated"))):
        axes.fill_between(x, values[i] - 2 * errors[i], values[i] + 2 * errors[i], color=colour, alpha=0.25, lw=0)
        axes.plot(x, values[i], color=colour, lw=1.2, ls="-" if i == 0 else "--", label=label)


def draw_pairs(result: xr.Dataset) -> "Figure":
    """Return the generated images that are nearest to training images, above those, and how near all are."""
    from matplotlib.figure import Figure

    images = result["pair_image"].values
    columns = images.shape[1]
    figure = Figure(figsize=(1.15 * columns + 0.4, 4.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(2.5, 2), squeeze=False)[:, 0]
    panels = above.subplots(2, columns, squeeze=False)
    low, high = np.nanquantile(images, [0.01, 0.99])
    for row, name in enumerate(("generated", "nearest training")):
        for column in range(columns):
            axes = panels[row, column]
            axes.imshow(images[row, column], vmin=low, vmax=high, cmap="viridis", origin="lower")
            axes.set(xticks=[], yticks=[])
            if row == 0:
                axes.set_title(f"{float(result['relative_distance'][column]):.2g}", fontsize=8, color=INK)
        panels[row, 0].set_ylabel(name, fontsize=8)
    axes = below.subplots()
    distance = np.clip(result["relative_distance"].values, 1e-3, None)
    axes.hist(np.log10(distance), 40, color=GENERATED, alpha=0.7)
    axes.axvline(0, color=INK, lw=1, ls="--")
    axes.set(xlabel="log distance to the nearest training image / limit for a copy", ylabel="images")
    axes.set_title(
        f"copies: {float(result['copies']):.1%}, expected {float(result['copies_expected']):.1%}", fontsize=8, color=INK
    )
    return figure
