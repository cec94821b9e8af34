"""Half-matrices of correlations, scatters of elements, bands of predictions, lag functions, data against model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from hven_plugins.abundances.diffusion import CHANNELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _GUIDE, _LIGHT = "#16213e", "#5c677d", "#c9d1dc"
COLOURS = {"cc": "#2b6cb0", "agb": "#c05621", "ia": "#2f855a", "r": "#6b46c1", "": _INK}
CHANNEL_NAMES = {"cc": "core collapse", "agb": "AGB", "ia": "SN Ia", "r": "r-process"}

_TITLES = {
    "correlation": "correlation, errors taken out",
    "conditional": "correlation of residuals, errors taken out",
    "correlation_model": "predicted correlation",
}


def draw_matrix(result: xr.Dataset, variable: str = "correlation") -> "Figure":
    """Return the lower half of a matrix of correlations, element names in the colour of their main channel."""
    from matplotlib.figure import Figure

    names = [str(name) for name in result["element"].values]
    e = len(names)
    values = np.asarray(result[variable].values, dtype=np.float64)
    shown = np.where(np.tri(e, k=-1, dtype=bool), values, np.nan)[1:, :-1]
    side = max(4.2, 0.36 * e + 1.2)
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    axes = figure.subplots()
    mesh = axes.imshow(np.clip(shown, -1, 1), cmap="RdBu_r", vmin=-1, vmax=1)
    _name_ticks(axes, names, _channels(result, names))
    _mark_above_one(axes, shown)
    for i, j in zip(*np.nonzero(np.tri(e - 1, dtype=bool)), strict=True):
        if np.isnan(shown[i, j]):
            axes.plot(j, i, marker="x", color=_GUIDE, ms=5, mew=1.0)
        elif e <= 20:
            colour = "white" if abs(shown[i, j]) > 0.65 else _INK
            axes.text(
                j, i, f"{shown[i, j]:.2f}".replace("0.", "."), ha="center", va="center", fontsize=6.5, color=colour
            )
    for side_name in ("top", "right"):
        axes.spines[side_name].set_visible(False)
    title = _TITLES.get(variable, variable)
    given = str(result.attrs.get("given", ""))
    if variable == "conditional" and given:
        title += f", at fixed {given}"
    figure.colorbar(mesh, ax=axes, label=title, shrink=0.85, pad=0.02)
    _channel_key(axes, _channels(result, names))
    return figure


def _mark_above_one(axes: "Axes", shown: Any) -> None:
    """Hatch the cells of correlations beyond one, which no correlation is: their errors are overstated, or chance."""
    from matplotlib.patches import Rectangle

    rows, columns = np.nonzero(np.abs(np.nan_to_num(shown)) > 1)
    for i, j in zip(rows, columns, strict=True):
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, hatch="////", ec=_INK, lw=0.8))
    if len(rows):
        label = f"above one: {len(rows)} pairs" if len(rows) > 1 else "above one: 1 pair"
        axes.text(0.98, 0.62, f"hatched is {label}", transform=axes.transAxes, ha="right", fontsize=8, color=_INK)


def draw_scatters(result: xr.Dataset) -> "Figure":
    """Return the true scatter of each element with its error, beside the errors of the abundances."""
    from matplotlib.figure import Figure

    names = [str(name) for name in result["element"].values]
    at = np.arange(len(names))
    figure = Figure(figsize=(max(5.0, 0.42 * len(names) + 1.5), 3.6), layout="constrained")
    axes = figure.subplots()
    error = np.asarray(result["error"].values)
    axes.bar(at, error, width=0.75, color=_LIGHT, label="error of an abundance (rms)")
    fixed = np.isfinite(result["conditional_sigma"].values).any()
    plain: dict[str, Any] = {"fmt": "o", "ms": 5, "lw": 1.3}
    axes.errorbar(
        at - 0.12 * fixed, result["sigma"], result["sigma_err"], color=_INK, label="scatter of stars", **plain
    )
    if fixed:
        given = str(result.attrs.get("given", ""))
        axes.errorbar(
            at + 0.12, result["conditional_sigma"], result["conditional_sigma_err"], color="#d1495b", mfc="white",
            label=f"at fixed {given}", **plain,
        )  # fmt: skip
    gone = ~np.isfinite(result["sigma"].values)
    if gone.any():
        axes.plot(at[gone], np.zeros(gone.sum()), "x", color=_INK, clip_on=False)
    _name_ticks(axes, names, _channels(result, names), both=False)
    axes.set(ylabel="scatter and error [dex]", xlim=(-0.7, len(names) - 0.3))
    axes.set_ylim(0, 1.25 * np.nanmax(np.append(result["sigma"].values, error)))
    figure.legend(frameon=False, fontsize=8, loc="outside upper center", ncols=3)
    return figure


def draw_variations(result: xr.Dataset) -> "Figure":
    """Return all predicted correlations in ascending order, with bands for what is least known."""
    from matplotlib.figure import Figure

    model = np.asarray(result["correlation_model"].values)
    i, j = np.tril_indices(len(model), -1)
    order = np.argsort(model[i, j])
    i, j = i[order], j[order]
    rank = np.arange(len(i))
    names = [str(v) for v in result["variation"].values]
    varied = np.asarray(result["correlation_varied"].values)
    groups = dict.fromkeys(name.split(" ")[0] for name in names)
    labels = {"kappa": r"$\kappa$", "sigma_v": r"$\sigma_v$", "l_corr": r"$l_\mathrm{corr}$"}
    figure = Figure(figsize=(3.3 * len(groups) + 0.6, 3.6), layout="constrained")
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, group in zip(panels, groups, strict=True):
        for name, colour in zip([n for n in names if n.startswith(f"{group} ")], ("#d1495b", "#2b6cb0"), strict=False):
            of = varied[names.index(name)][i, j]
            told = name.removeprefix(f"{group} ").replace("x", "$\\times$")
            axes.plot(rank, of, ".", color=colour, ms=2.5, alpha=0.35, mew=0)
            middle = _running_median(of)
            axes.fill_between(rank, model[i, j], middle, color=colour, alpha=0.2, lw=0)
            axes.plot(rank, middle, color=colour, lw=1.2, label=f"{labels.get(group, group)} {told}")
        axes.plot(rank, model[i, j], color=_INK, lw=1.8, label="as given")
        axes.set(xlabel="pair of elements, by rank", xlim=(0, max(len(i) - 1, 1)), ylim=(0, 1.02))
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    panels[0].set_ylabel("predicted correlation")
    return figure


def draw_lags(result: xr.Dataset) -> "Figure":
    """Return lag functions and power spectra of one element and of some pairs, the most correlated first."""
    from matplotlib.figure import Figure

    pairs = _examples(np.asarray(result["correlation_model"].values))
    names = [str(name) for name in result["element"].values]
    shades = ("#16335b", "#2b6cb0", "#2f9e8f", "#c9a227", "#d1495b", "#7b2d5b")
    figure = Figure(figsize=(9.4, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    lag, k = result["lag"].values, result["k"].values
    for (i, j), colour in zip(pairs, shades, strict=False):
        label = f"{names[i]}, {names[j]}" if i != j else f"{names[i]} with itself"
        own: dict[str, Any] = {"color": colour, "lw": 1.7, "label": label}
        left.plot(lag[1:], result["lag_correlation"].values[i, j, 1:], **own)
        right.plot(k, np.where(result["power"].values[i, j] > 0, result["power"].values[i, j], np.nan), **own)
    if not np.isfinite(result["lag_correlation"].values).any():
        left.text(
            0.5, 0.5, "no lag function of the published form", transform=left.transAxes, ha="center", color=_GUIDE
        )
    left.set(xscale="log", xlabel="lag [pc]", ylabel="correlation", ylim=(0, 1.03))
    powers = result["power"].values[tuple(np.transpose(pairs))]
    top = np.nanmax(powers)
    right.set(xscale="log", yscale="log", ylim=(top * 1e-7, top * 3))
    right.set(xlabel="wave number [pc$^{-1}$]", ylabel=r"cross power of $\delta S / \langle S \rangle$ [pc$^2$]")
    left.legend(frameon=False, fontsize=8)
    return figure


def draw_comparison(
    names: Sequence[str], measured: Any, error: Any, model: Any, *, main: Sequence[str] = (), scatter: float = 0.0
) -> "Figure":
    """Return measured against modelled correlations, each pair in the colours of both its elements' main channels."""
    from matplotlib.figure import Figure

    i, j = np.tril_indices(len(names), -1)
    x, y, bar = (np.asarray(values, dtype=np.float64)[i, j] for values in (model, measured, error))
    kinds = list(main) if main else _default_channels(names)
    known = np.isfinite(x) & np.isfinite(y)
    figure = Figure(figsize=(5.6, 5.4), layout="constrained")
    axes = figure.subplots()
    low = min(-0.05, np.nanmin(np.append(y[known], 0.0)) - 0.05) if known.any() else -0.05
    axes.plot([low, 1.05], [low, 1.05], color=_GUIDE, lw=1)
    if scatter > 0:
        line = np.tanh(np.arctanh(np.linspace(max(low, -0.99), 0.999, 200))[:, None] + np.array([-scatter, scatter]))
        span = np.linspace(max(low, -0.99), 0.999, 200)
        axes.fill_between(span, *line.T, color=_LIGHT, alpha=0.5, lw=0, label="scatter of the model")
    axes.errorbar(x[known], y[known], bar[known], fmt="none", ecolor=_GUIDE, elinewidth=0.6, alpha=0.6)
    for n in np.flatnonzero(known):
        axes.plot(
            x[n], y[n], marker="o", ms=7, fillstyle="left", color=COLOURS[kinds[i[n]]],
            markerfacecoloralt=COLOURS[kinds[j[n]]], mew=0,
        )  # fmt: skip
    r = np.corrcoef(x[known], y[known])[0, 1] if known.sum() > 2 else np.nan
    rms = np.sqrt(np.mean((x[known] - y[known]) ** 2)) if known.any() else np.nan
    axes.text(
        0.03, 0.97, f"{known.sum()} pairs\n$r = {r:.2f}$\nrms {rms:.2f}", transform=axes.transAxes, va="top", color=_INK
    )  # fmt: skip
    axes.set(xlabel="correlation of the model", ylabel="measured correlation", xlim=(low, 1.05), ylim=(low, 1.05))
    _channel_key(axes, kinds, loc="lower right")
    return figure


def _running_median(values: Any) -> Any:
    """Return the median of each value and its neighbours, a twelfth of all of them; NaN where none is known."""
    reach = max(len(values) // 24, 0)
    near = [values[max(n - reach, 0) : n + reach + 1] for n in range(len(values))]
    return np.array([np.nanmedian(some) if np.isfinite(some).any() else np.nan for some in near])


def _examples(model: Any) -> list[tuple[int, int]]:
    """Return one element with itself and up to four pairs, from the most to the least correlated."""
    i, j = np.tril_indices(len(model), -1)
    known = np.flatnonzero(np.isfinite(model[i, j]) & (model[i, j] < 0.99))
    if len(known) == 0:
        return [(0, 0)]
    order = known[np.argsort(-model[i, j][known])]
    picked = dict.fromkeys(order[np.linspace(0, len(order) - 1, min(5, len(order))).astype(int)].tolist())
    return [(int(i[order[0]]), int(i[order[0]])), *((int(j[n]), int(i[n])) for n in picked)]


def _channels(result: xr.Dataset, names: Sequence[str]) -> list[str]:
    if "main_channel" in result:
        return [str(name) for name in result["main_channel"].values]
    return _default_channels(names)


def _default_channels(names: Sequence[str]) -> list[str]:
    from hven_plugins.abundances.channels import default_channels

    table = default_channels()
    known = dict(zip(table.elements, table.main, strict=True))
    return [known.get(name, "") for name in names]


def _name_ticks(axes: "Axes", names: Sequence[str], kinds: Sequence[str], *, both: bool = True) -> None:
    shown = names[:-1] if both else names
    axes.set_xticks(np.arange(len(shown)), shown)
    labels = [(axes.get_xticklabels(), kinds)]
    if both:
        axes.set_yticks(np.arange(len(names) - 1), names[1:])
        labels.append((axes.get_yticklabels(), kinds[1:]))
    for texts, of in labels:
        for text, kind in zip(texts, of, strict=False):
            text.set_color(COLOURS[kind])
            text.set_fontweight("bold")
            text.set_fontsize(8)


def _channel_key(axes: "Axes", kinds: Sequence[str], loc: Any = "upper right") -> None:
    from matplotlib.lines import Line2D

    there = [kind for kind in CHANNELS if kind in kinds]
    handles = [Line2D([], [], marker="o", ls="none", color=COLOURS[k], label=CHANNEL_NAMES[k]) for k in there]
    if "" in kinds:
        handles.append(Line2D([], [], marker="o", ls="none", color=COLOURS[""], label="not in the table"))
    axes.legend(handles=handles, loc=loc, frameon=False, fontsize=8, title="most of it from", title_fontsize=8)


def draw_posterior(result: xr.Dataset) -> "Figure":
    """Return the posterior of every parameter, and of every two of them with the half and the 90 % of the draws."""
    from matplotlib.figure import Figure

    names = [str(name) for name in result["parameter"].values]
    units = [str(unit) for unit in result["parameter_unit"].values]
    draws = np.asarray(result["posterior"].values)
    n = len(names)
    figure = Figure(figsize=(1.75 * n + 0.8, 1.75 * n + 0.6), layout="constrained")
    grid = figure.subplots(n, n, squeeze=False)
    for row in range(n):
        for column in range(n):
            axes = grid[row, column]
            if column > row:
                axes.set_visible(False)
                continue
            low, high = _range(draws[:, column])
            axes.set_xlim(low, high)
            if row == column:
                axes.hist(draws[:, row], bins=40, range=(low, high), color=_LIGHT, histtype="stepfilled")
                axes.axvline(np.median(draws[:, row]), color=_INK, lw=1)
                for level in (0.16, 0.84):
                    axes.axvline(np.quantile(draws[:, row], level), color=_INK, lw=0.7, ls=":")
                axes.set_yticks([])
            else:
                _contours(axes, draws[:, column], draws[:, row])
                axes.set_ylim(*_range(draws[:, row]))
            axes.tick_params(labelsize=7, labelbottom=row == n - 1, labelleft=column == 0 and row > 0)
            axes.locator_params(nbins=4)
            if row == n - 1:
                axes.set_xlabel(_labelled(names[column], units[column]), fontsize=8)
            if column == 0 and row > 0:
                axes.set_ylabel(_labelled(names[row], units[row]), fontsize=8)
    if str(result["reliability"].values) != "ok":
        figure.suptitle(f"not reliable: {result['reliability'].values}", color="#d1495b", fontsize=9)
    return figure


def _contours(axes: "Axes", x: Any, y: Any) -> None:
    from scipy.ndimage import gaussian_filter

    limits = (_range(x), _range(y))
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=40, range=limits)
    smooth = gaussian_filter(counts, 1.5)
    ordered = np.sort(smooth.ravel())[::-1]
    share = np.cumsum(ordered) / max(ordered.sum(), 1e-300)
    levels = sorted({float(ordered[min(np.searchsorted(share, level), len(ordered) - 1)]) for level in (0.9, 0.5)})
    middle = ((edges[1:] + edges[:-1]) / 2 for edges in (x_edges, y_edges))
    if len(levels) == 2 and levels[0] > 0 and smooth.max() > levels[1]:
        axes.contourf(*middle, smooth.T, levels=[*levels, smooth.max()], colors=["#c3d3e3", "#5b8db8"])
    else:
        axes.plot(x, y, ".", ms=1, color="#5b8db8", alpha=0.3)


def _range(values: Any) -> tuple[float, float]:
    low, high = np.nanquantile(values, [0.002, 0.998]) if np.isfinite(values).any() else (0.0, 1.0)
    margin = 0.05 * (high - low) + 1e-9
    return float(low - margin), float(high + margin)


def _labelled(name: str, unit: str) -> str:
    symbols = {
        "l_corr": r"$l_\mathrm{corr}$", "kappa": r"$\kappa$", "sigma_v": r"$\sigma_v$", "sigma_r": r"$\sigma_r$",
        "sigma_sn": r"$\sigma_\mathrm{SN}$", "sigma_agb": r"$\sigma_\mathrm{AGB}$", "t_r": r"$t_r$",
        "sigma_model": "model scatter in $z$",
    }  # fmt: skip
    told = {"pc2/Myr": r"pc$^2$/Myr"}.get(unit, unit)
    return symbols.get(name, name) + (f" [{told}]" if told else "")


def draw_map_lags(result: xr.Dataset) -> "Figure":
    """Return lag functions and power spectra of pairs of elements, mean over the maps with its standard error."""
    from matplotlib.figure import Figure

    names = [str(name) for name in result["band"].values]
    i, j = np.tril_indices(len(names), 0 if len(names) <= 3 else -1)
    strength = np.nanmean(np.where(np.isfinite(result["correlation"]), result["correlation"], 0.0), axis=0)[i, j]
    picked = np.argsort(-strength)[np.unique(np.linspace(0, len(i) - 1, min(6, len(i))).astype(int))]
    shades = ("#16335b", "#2b6cb0", "#2f9e8f", "#c9a227", "#d1495b", "#7b2d5b")
    figure = Figure(figsize=(9.4, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    for n, colour in zip(picked, shades, strict=False):
        a, b = int(i[n]), int(j[n])
        label = f"{names[b]}, {names[a]}" if a != b else f"{names[a]} with itself"
        for axes, variable, along in ((left, "lag_correlation", "lag"), (right, "power", "k")):
            mean, error = _mean_and_error(np.asarray(result[variable].values[:, a, b]))
            x = result[along].values
            shown = np.where(mean > 0, mean, np.nan) if along == "k" else mean
            axes.plot(x, shown, color=colour, lw=1.6, label=label)
            low = np.maximum(mean - error, np.nanmax(mean) * 1e-9) if along == "k" else mean - error
            axes.fill_between(x, low, mean + error, color=colour, alpha=0.2, lw=0)
    left.axhline(0, color=_GUIDE, lw=0.8)
    left.set(xlabel="lag [pc]", ylabel="correlation", xlim=(0, float(result["lag"].max())))
    right.set(xscale="log", yscale="log", xlabel="wave number [pc$^{-1}$]", ylabel="cross power [dex$^2$ pc$^2$]")
    powers = np.asarray(result["power"].values)
    told = result["k"].values[np.isfinite(powers).any(axis=(0, 1, 2))]
    if len(told) > 1:
        right.set_xlim(0.9 * told[0], 1.1 * told[-1])
    top = float(np.nanmax(powers)) if np.isfinite(powers).any() else 1.0
    if top > 0:
        right.set_ylim(top * 1e-6, top * 3)
    left.legend(frameon=False, fontsize=8, title=f"mean of {result.sizes['object']} maps", title_fontsize=8)
    return figure


def _mean_and_error(values: Any) -> tuple[Any, Any]:
    """Return mean and standard error over the first axis, NaN left out."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    square = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0)
    mean = np.where(known.any(axis=0), mean, np.nan)
    return mean, np.sqrt(square / np.maximum(count - 1, 1) / count)
