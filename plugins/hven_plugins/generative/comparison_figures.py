"""Figures of a comparison: distance against training size and guidance, and what became of each one's variety."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hven_plugins.generative.figures import GENERATED, INK, REFERENCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {"diffusion": "#2f7d5b", "gan": GENERATED}
_OTHERS = ("#7a5195", "#c9852b", "#4b6fa5", "#8a8a3c")


def draw_comparison(result: xr.Dataset) -> "dict[str, Figure]":
    """Return the distances against training size and guidance, and the variances of all plain samples."""
    return {"distances": _draw_distances(result), "variety": _draw_variety(result)}


def _colours(result: xr.Dataset) -> dict[str, str]:
    kinds = sorted({str(kind) for kind in result["generator"].values})
    others = iter(_OTHERS * len(kinds))
    return {kind: _COLOURS.get(kind) or next(others) for kind in kinds}


def _draw_distances(result: xr.Dataset) -> "Figure":
    from matplotlib.figure import Figure

    guidance, size, kind = (result[name].values for name in ("guidance", "n_training", "generator"))
    has_scan = bool((guidance != 0).any())
    figure = Figure(figsize=(8.4 if has_scan else 4.8, 3.6), layout="constrained")
    panels = figure.subplots(1, 2 if has_scan else 1, squeeze=False, sharey=True)[0]
    for name, colour in _colours(result).items():
        _draw_line(panels[0], result, size, (kind == name) & (guidance == 0), color=colour, label=name)
    panels[0].set(xscale="log", xlabel="training images", ylabel="Fréchet scattering distance")
    panels[0].set_xticks(np.unique(size), [f"{n:,}" for n in np.unique(size)])
    panels[0].minorticks_off()
    floor = float(np.median(result["fsd_floor"].values))
    for axes in panels:
        axes.axhline(floor, color=REFERENCE, ls="--", lw=1, label="two parts of the reference, not extrapolated")
    if has_scan:
        for name in sorted({str(k) for k in kind[guidance != 0]}):
            for i, n in enumerate(np.unique(size[(kind == name) & (guidance != 0)])):
                look = {"color": _colours(result)[name], "alpha": 1 / (1 + 0.8 * i)}
                label = f"{name}, {n:,} training images"
                _draw_line(panels[1], result, guidance, (kind == name) & (size == n), label=label, **look)
        panels[1].set(xlabel="guidance w")
    shown, is_limit = _shown(result)
    if is_limit.any():
        panels[-1].plot([], [], ls="", marker=r"$\downarrow$", color=INK, label="upper limit (two errors)")
    panels[0].set_yscale("log")
    panels[0].set_ylim(0.5 * min(floor, np.nanmin(shown, initial=floor)), None)
    for axes in panels:
        axes.legend(edgecolor="none", framealpha=0.9, fontsize=7)
    return figure


def _shown(result: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the distances as a logarithmic axis can show them, and which of them are upper limits.

    A limit of infinitely many images may be negative, as that of a good generator is half the time: where it is not
    above its error, it is shown by what it is below, with two errors.
    """
    value, error = result["fsd_limit"].values, result["fsd_limit_err"].values
    is_limit = value <= error
    return np.where(is_limit, np.maximum(value, 0) + 2 * error, value), is_limit


def _draw_line(axes: "Axes", result: xr.Dataset, at: NDArray[Any], chosen: NDArray[np.bool_], **look: Any) -> None:
    """Draw some of the distances against `at`, upper limits as arrows, with a line through means of repetitions."""
    shown, is_limit = _shown(result)
    chosen = chosen & np.isfinite(shown)
    places = np.unique(at[chosen])
    style = {name: value for name, value in look.items() if name != "label"}
    axes.plot(places, [np.mean(shown[chosen & (at == x)]) for x in places], lw=1.2, **style)
    plain, upper = chosen & ~is_limit, chosen & is_limit
    error = result["fsd_limit_err"].values
    axes.errorbar(at[plain], shown[plain], error[plain], fmt="o", capsize=3, **look)
    axes.errorbar(at[upper], shown[upper], 0.4 * shown[upper], uplims=True, fmt="_", **style)


def _draw_variety(result: xr.Dataset) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    plain = result.isel(evaluation=np.flatnonzero(result["guidance"].values == 0))
    colours, sizes = _colours(result), np.unique(plain["n_training"].values)
    labels = []
    for i in range(plain.sizes["evaluation"]):
        one = plain.isel(evaluation=i)
        name, n = str(one["generator"].values), int(one["n_training"])
        style = ("-", "--", ":", "-.")[int(np.searchsorted(sizes, n)) % 4]
        ratio = one["eigenvalue_ratio"].values
        at = np.arange(1, len(ratio) + 1)
        left.semilogy(at, np.clip(ratio, 1e-6, None), style, color=colours[name], label=f"{name}, {n:,}")
        labels.append(f"{name}\n{n:,}")
        for offset, what, shade in ((-0.2, "coverage", 1.0), (0.2, "precision", 0.45)):
            right.bar(i + offset, float(one[what]), 0.38, color=colours[name], alpha=shade)
    left.axhline(1, color=REFERENCE, lw=1, ls="--")
    left.set(xlabel="principal direction", ylabel="variance, generated / reference")
    left.legend(frameon=False, fontsize=7)
    right.axhline(float(plain["coverage_expected"].mean()), color=REFERENCE, lw=1, ls="--")
    right.set_xticks(range(len(labels)), labels, fontsize=7)
    right.set(ylim=(0, 1.05), ylabel="coverage (dark), precision (light)")
    right.set_title("dashed: coverage by another part of the reference", fontsize=8, color=INK, loc="left")
    return figure
