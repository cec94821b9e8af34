"""Stars on their alpha sequences, and fractions on the low one with the power of the test."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _HIGH, _LOW, _GUIDE = "#16213e", "#b83b5e", "#2b6cb0", "#8d99ae"


def draw_sequences(result: "dict[str, xr.Dataset]", stars: xr.Dataset) -> "Figure":
    """Return [alpha/M] against [M/H] of all stars, coloured by membership, with the ridge lines."""
    from matplotlib.figure import Figure

    groups, p_low = result["groups"], np.asarray(result["stars"]["p_low"].values)
    known = np.isfinite(p_low)
    m, a = (np.asarray(stars[name].values)[known] for name in ("m_h", "alpha_m"))
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    size = float(np.clip(4000 / max(known.sum(), 1), 2, 24))
    points = axes.scatter(m, a, c=p_low[known], cmap="coolwarm_r", vmin=0, vmax=1, s=size, lw=0, alpha=0.85)
    line = groups["m"].values
    inside = (line >= np.quantile(m, 0.002) - 0.05) & (line <= np.quantile(m, 0.998) + 0.05) if len(m) else line > 0
    for name, colour, told in (("track_high", _HIGH, "high sequence"), ("track_low", _LOW, "low sequence")):
        for i in range(groups.sizes["group"]):
            axes.plot(
                line[inside], groups[name].values[i, inside], color=colour, lw=1.8, label=told if i == 0 else None
            )
    figure.colorbar(points, ax=axes, label="probability of the low sequence", pad=0.02)
    axes.set(xlabel="[M/H] [dex]", ylabel=r"[$\alpha$/M] [dex]")
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    if groups.sizes["group"] == 1 and np.isfinite(groups["lr"].values[0]):
        one = groups.isel(group=0)
        f, error, upper = (float(one[name]) for name in ("f_low", "f_low_err", "f_low_upper"))
        told = (
            f"{int(one['n']):,} stars\n$f_\\mathrm{{low}} = {f:.3f} \\pm {error:.3f}$ (< {upper:.3f})\n"
            f"likelihood ratio {float(one['lr']):.1f}, $p = {float(one['p']):.3f}$"
        )
        axes.text(0.03, 0.04, told, transform=axes.transAxes, fontsize=8, color=_INK, linespacing=1.4)
    return figure


def draw_fractions(groups: xr.Dataset) -> "Figure":
    """Return the fraction on the low sequence in each group with its upper limit, beside the power of the test."""
    from matplotlib.figure import Figure

    names = [str(name) for name in groups["group"].values]
    at = np.arange(len(names))
    figure = Figure(figsize=(max(6.6, 0.6 * len(names) + 4.4), 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    seen = np.asarray(groups["p"].values) < 0.05
    value, error, upper = (np.asarray(groups[name].values) for name in ("f_low", "f_low_err", "f_low_upper"))
    left.errorbar(at[seen], value[seen], error[seen], fmt="o", color=_INK, ms=6, label="two sequences ($p < 0.05$)")
    rest = ~seen & np.isfinite(upper)
    left.errorbar(
        at[rest], upper[rest], 0.15 * upper[rest] + 0.005, uplims=True, fmt="_", color=_GUIDE, ms=10, label="95 % limit"
    )
    left.set_xticks(at, names, rotation=0 if len(names) < 4 else 60, fontsize=8)
    left.set(ylabel="fraction on the low sequence", xlim=(-0.6, len(names) - 0.4))
    left.set_ylim(0, 1.35 * np.nanmax(np.append(np.where(seen, value + error, upper), 0.05)))
    left.legend(frameon=False, fontsize=8)
    shades: Any = ("#16335b", "#2b6cb0", "#2f9e8f", "#c9a227", "#d1495b", "#7b2d5b")
    for i, name in enumerate(names[:12]):
        right.plot(groups["f_injected"], groups["power"].values[i], "o-", ms=4, color=shades[i % 6], label=name)
    right.axhline(0.05, color=_GUIDE, lw=0.8, ls=":")
    right.set(xlabel="fraction that is there", ylabel="chance that the test finds it", ylim=(0, 1.04), xlim=(0, 0.52))
    if len(names) > 1:
        right.legend(frameon=False, fontsize=7, ncols=2)
    return figure
