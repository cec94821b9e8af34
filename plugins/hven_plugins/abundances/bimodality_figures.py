"""Stars on their alpha sequences, and fractions on the low one with the power of the test."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELS = {"r_gal": "$R$", "z_gal": "$z$"}
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
            own = groups[name].values[i, inside]
            axes.plot(line[inside], own, color=colour, lw=1.8, label=told if i == 0 else None)
            if groups.sizes["group"] == 1:
                free = groups[f"free_{name}"].values[i, inside]
                axes.plot(line[inside], free, color=colour, lw=1.1, ls="--", label=f"{told}, free")
    errors = [float(np.nanmedian(stars[f"{n}_err"].values)) if f"{n}_err" in stars else 0.0 for n in ("m_h", "alpha_m")]
    if any(errors):
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        at = right - 0.09 * (right - left), high - 0.32 * (high - low)
        axes.errorbar(*at, errors[1], errors[0], fmt="none", color=_INK, lw=1.2, capsize=2)
        axes.annotate("typical error", at, (0, -16), textcoords="offset points", ha="center", fontsize=7, color=_INK)
    figure.colorbar(points, ax=axes, label="probability of the low sequence", pad=0.02)
    axes.set(xlabel="[M/H] [dex]", ylabel=r"[$\alpha$/M] [dex]")
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    if groups.sizes["group"] == 1 and np.isfinite(groups["lr"].values[0]):
        one = groups.isel(group=0)
        f, error, upper = (float(one[name]) for name in ("f_low", "f_low_err", "f_low_upper"))
        told = (
            f"{int(one['n']):,} stars\n$f_\\mathrm{{low}} = {f:.3f} \\pm {error:.3f}$, 95 % limit {upper:.3f}\n"
            f"likelihood ratio {float(one['lr']):.1f}, $p = {float(one['p']):.3f}$"
        )
        axes.text(0.03, 0.04, told, transform=axes.transAxes, fontsize=8, color=_INK, linespacing=1.4)
    return figure


def draw_fractions(groups: xr.Dataset) -> "Figure":
    """Return the fraction on the low sequence in each group with its upper limit, beside the power of the test."""
    from matplotlib.figure import Figure

    names = [str(name) for name in groups["group"].values]
    figure = Figure(figsize=(max(7.6, 0.6 * len(names) + 4.4), 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    if len(names) == 1:
        _draw_posterior(left, groups.isel(group=0))
    else:
        _draw_groups(left, groups, names)
    shades: Any = ("#16335b", "#2b6cb0", "#2f9e8f", "#c9a227", "#d1495b", "#7b2d5b")
    for i, name in enumerate(names[:12]):
        power = groups["power"].values[i]
        error = np.sqrt(power * (1 - power) / max(int(groups.attrs.get("n_power", 0)), 1))
        at = groups["f_injected"].values + 0.003 * i
        right.errorbar(at, power, error, fmt="o-", ms=4, lw=1.3, color=shades[i % 6], label=name)
    right.axhline(0.05, color=_GUIDE, lw=0.8, ls=":")
    right.text(0.51, 0.06, "false alarms", ha="right", va="bottom", fontsize=7, color=_GUIDE)
    right.set(xlabel="fraction that is there", ylabel="chance that the test finds it", ylim=(0, 1.04), xlim=(0, 0.52))
    if len(names) > 1:
        right.legend(frameon=False, fontsize=7, ncols=2, loc="lower right", bbox_to_anchor=(1, 0.12))
    return figure


def _draw_posterior(axes: "Axes", one: xr.Dataset) -> None:
    f, density = one["f"].values, one["posterior"].values
    axes.plot(f, density, color=_INK, lw=1.6)
    low, high = (float(one["f_low_median"]) + sign * float(one["f_low_err"]) for sign in (-1, 1))
    axes.fill_between(f, density, where=(f >= low) & (f <= high), color=_LOW, alpha=0.3, lw=0, label="68 %")
    upper = float(one["f_low_upper"])
    axes.axvline(upper, color=_HIGH, lw=1.2, ls="--", label=f"95 % limit {upper:.3f}")
    known = f[density > 1e-3 * np.nanmax(density)] if np.isfinite(density).any() else f
    axes.set_xlim(max(0.0, float(known.min()) - 0.02), min(1.0, float(known.max()) + 0.02))
    axes.set(xlabel="fraction on the low sequence", ylabel="posterior density")
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=6)
    axes.legend(frameon=False, fontsize=8)


def _draw_groups(axes: "Axes", groups: xr.Dataset, names: list[str]) -> None:
    edges = [np.asarray(groups[name].values) for name in ("edge_low", "edge_high")]
    has_edges = np.isfinite(edges).all()
    at = (edges[0] + edges[1]) / 2 if has_edges else np.arange(len(names), dtype=float)
    wide = (edges[1] - edges[0]) / 2 if has_edges else np.zeros(len(names))
    seen = np.asarray(groups["p"].values) < 0.05
    value, error, upper = (np.asarray(groups[name].values) for name in ("f_low", "f_low_err", "f_low_upper"))
    rest = ~seen & np.isfinite(upper)
    if seen.any():
        told = "two sequences ($p < 0.05$)"
        axes.errorbar(at[seen], value[seen], error[seen], wide[seen], fmt="o", color=_INK, ms=6, label=told)
    if rest.any():
        length = 0.15 * upper[rest] + 0.005
        axes.errorbar(
            at[rest], upper[rest], length, wide[rest], uplims=True, fmt="_", color=_GUIDE, ms=10, label="95 % limit"
        )
    if has_edges:
        unit = str(groups.attrs.get("group_unit", ""))
        axes.set_xlabel(_LABELS.get(name := str(groups.attrs.get("group", "")), name) + (f" [{unit}]" if unit else ""))
    else:
        axes.set_xticks(at, names, rotation=0 if len(names) < 4 else 60, fontsize=8)
        axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylabel("fraction on the low sequence")
    axes.set_ylim(0, 1.35 * np.nanmax(np.append(np.where(seen, value + error, upper), 0.05)))
    if seen.any() or rest.any():
        axes.legend(frameon=False, fontsize=8)
