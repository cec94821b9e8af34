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
