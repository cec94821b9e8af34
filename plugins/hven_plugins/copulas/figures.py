"""Copula planes beside data planes, fitted families, tails and the split of the sequences; from results alone."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

INK, LINE, SECOND, GUIDE = "#16213e", "#d1495b", "#2b5c8f", "#5c677d"
SHADES = ("#eef2f6", "#c3d3e3", "#8fb0d0", "#5b8db8", "#2b5c8f", "#16335b")
MOST_PANELS = 12
NAMES = {
    "age": "age [Gyr]",
    "feh": "[Fe/H] [dex]",
    "m_h": "[M/H] [dex]",
    "alpha_m": r"[$\alpha$/M] [dex]",
    "alpha_fe": r"[$\alpha$/Fe] [dex]",
    "r_gal": "$R$ [kpc]",
    "z_gal": "$z$ [kpc]",
    "ecc": "eccentricity",
}


def label(name: str) -> str:
    """Return the label of an axis for a column.

    Examples
    --------
    >>> label("mg_fe"), label("ecc")
    ('[Mg/Fe] [dex]', 'eccentricity')
    """
    if name in NAMES:
        return NAMES[name]
    element, _, rest = name.partition("_")
    return f"[{element.capitalize()}/{rest.capitalize()}] [dex]" if rest in {"fe", "h"} else name.replace("_", " ")


def bare(name: str) -> str:
    """Return `label` without its unit.

    Examples
    --------
    >>> bare("mg_fe")
    '[Mg/Fe]'
    """
    told = label(name)
    return told.removesuffix(" [dex]").removesuffix(" [kpc]").removesuffix(" [Gyr]")


def draw_density(result: xr.Dataset) -> "Figure":
    """Return the data plane with its margins next to the copula plane; of several groups, the copula of each."""
    if result.sizes["group"] > 1:
        return _draw_groups(result)
    from matplotlib.figure import Figure

    row = result.isel(group=0)
    first, second = columns(result)
    figure = Figure(figsize=(9.6, 4.6), layout="constrained")
    grid = figure.add_gridspec(2, 4, width_ratios=[4, 0.8, 4.6, 0.2], height_ratios=[0.8, 4])
    plane = figure.add_subplot(grid[1, 0])
    mesh_data(plane, row)
    plane.set(xlabel=label(first), ylabel=label(second))
    x, y = row["x_edge"].values, row["y_edge"].values
    top = figure.add_subplot(grid[0, 0], sharex=plane)
    top.stairs(row["counts"].sum("y_cell").values, x, color=INK, fill=True, alpha=0.8)
    side = figure.add_subplot(grid[1, 1], sharey=plane)
    side.stairs(row["counts"].sum("x_cell").values, y, color=INK, fill=True, alpha=0.8, orientation="horizontal")
    for axes in (top, side):
        axes.axis("off")
    copula = figure.add_subplot(grid[1, 2])
    mesh = mesh_copula(copula, result, row["density"].values)
    copula.set(xlabel=f"rank of {bare(first)}", ylabel=f"rank of {bare(second)}", aspect="equal")
    figure.colorbar(mesh, ax=copula, label="copula density", pad=0.02, ticks=_TICKS, format="%g")
    text = figure.add_subplot(grid[0, 2])
    text.axis("off")
    text.text(0.5, 0.3, _told(row), ha="center", va="center", fontsize=9, color=INK, linespacing=1.5)
    return figure


def draw_fits(result: xr.Dataset) -> "Figure":
    """Return contours of the best family over the empirical copula density, a panel for each group."""
    figure, panels = _panels(min(result.sizes["group"], MOST_PANELS))
    for i, axes in enumerate(panels):
        row = result.isel(group=i)
        mesh = mesh_copula(axes, result, row["density"].values)
        model = row["model_density"].values
        if np.isfinite(model).all():
            lines = axes.contour(
                result["u1"].values, result["u2"].values, model.T,
                levels=[0.25, 0.5, 1, 2, 4, 8], colors=INK, linewidths=1.1,
            )  # fmt: skip
            axes.clabel(lines, fmt="%g", fontsize=7)
        axes.set_title(_family(row), fontsize=9, color=INK)
    _finish(figure, panels, result, mesh)
    return figure


def draw_candidates(result: xr.Dataset) -> "Figure":
    """Return the AIC of every candidate above that of the best, a panel for each group."""
    from matplotlib.figure import Figure

    groups = min(result.sizes["group"], 4)
    figure = Figure(figsize=(1.4 + 3.4 * groups, 4.8), layout="constrained")
    panels = figure.subplots(1, groups, sharey=True, squeeze=False)[0]
    names = [str(n).capitalize() for n in result["candidate"].values]
    for i, axes in enumerate(panels):
        row = result.isel(group=i)
        above = row["aic"].values - np.nanmin(np.append(row["aic"].values, np.inf))
        order = np.arange(len(names))
        best = above == 0
        axes.barh(order, above, color=[LINE if b else SECOND for b in best], height=0.7)
        axes.set_yticks(order, names, fontsize=8)
        axes.set_ylim(len(names) - 0.4, -0.6)
        span = float(np.nanmax(np.append(above[np.isfinite(above)], 1.0)))
        axes.set_xlim(0, 1.22 * span)
        for k, value in enumerate(above):
            told = "not tried" if np.isnan(value) else ("chosen" if best[k] else f"{value:.1f}")
            at = 0.0 if np.isnan(value) else value
            axes.text(at + 0.012 * span, k, told, va="center", fontsize=7, color=GUIDE if np.isnan(value) else INK)
        axes.set_xlabel(r"$\Delta$AIC")
        if result.sizes["group"] > 1:
            axes.set_title(str(row["group"].values), fontsize=9, color=INK)
    return figure


def draw_tails(result: xr.Dataset) -> "Figure":
    """Return chi(q) and chi-bar(q) of the four corners with bands, and those of the Gaussian of the same tau.

    Of several groups, the first six are told apart by colour, without Gaussian.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 5.4), layout="constrained")
    grid = figure.subplots(2, result.sizes["corner"], sharex=True, sharey="row")
    groups = min(result.sizes["group"], 6)
    colours = [INK, LINE, SECOND, "#edae49", "#66a182", "#8d5a97"]
    q = result["q"].values
    first, second = columns(result)
    for j, corner in enumerate(result["corner"].values):
        upper, lower = grid[0, j], grid[1, j]
        for i in range(groups):
            row = result.isel(group=i, corner=j)
            name = "measured" if groups == 1 else str(row["group"].values)
            upper.fill_between(q, row["chi_low"], row["chi_high"], color=colours[i], alpha=0.2, lw=0)
            upper.plot(q, row["chi"], color=colours[i], lw=1.6, marker="o", ms=3, label=name)
            lower.errorbar(q, row["chibar"], row["chibar_err"], color=colours[i], lw=1.4, fmt="o-", ms=3)
        if groups == 1:
            upper.plot(q, row["chi_gaussian"], color=GUIDE, ls="--", lw=1.3, label=r"Gaussian of the same $\tau$")
            lower.plot(q, row["chibar_gaussian"], color=GUIDE, ls="--", lw=1.3)
            told = rf"$\eta = {float(row['eta']):.2f} \pm {float(row['eta_err']):.2f}$"
            tail = float(row["tail_of_family"])
            upper.text(0.04, 0.94, told, transform=upper.transAxes, va="top", fontsize=8, color=INK)
            if np.isfinite(tail):
                upper.plot([1.0], [tail], marker="D", color=LINE, ms=5, clip_on=False, ls="none", zorder=5,
                           label=r"$\lambda$ of the best family")  # fmt: skip
        one, other = str(corner).split("-")
        sides = {"upper": "large", "lower": "small"}
        upper.set_title(f"{bare(first)} {sides[one]}, {bare(second)} {sides[other]}", fontsize=9, color=INK)
        upper.set(ylim=(0, 1), xlim=(float(q.min()), 1.0))
        lower.set(ylim=(-1, 1.02), xlabel="$q$")
        lower.axhline(0, color=GUIDE, lw=0.6)
    grid[0, 0].set_ylabel(r"$\chi(q)$")
    grid[1, 0].set_ylabel(r"$\bar\chi(q)$")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=6, frameon=False, fontsize=8)
    return figure


def draw_split(result: xr.Dataset) -> "Figure":
    """Return the copula plane with valleys and split, and the data plane with the split and lines of the literature."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(10.2, 5.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    mesh = mesh_copula(left, result, result["density"].values)
    u = np.linspace(0.005, 0.995, 300)
    curve = np.polynomial.polynomial.polyval(u, result["u_polynomial"].values)
    is_supported = bool(result["is_supported"])
    style: dict[str, Any] = {"color": LINE, "lw": 2.0, "ls": "-" if is_supported else ":"}
    shade: dict[str, Any] = {"color": LINE, "alpha": 0.25, "lw": 0}
    left.fill_between(result["column_u"], result["split_u_low"], result["split_u_high"], **shade)
    left.plot(u, np.where((curve > 0) & (curve < 1), curve, np.nan), **style)
    left.plot(result["column_u"], result["valley_u"], "o", ms=4.0, mfc="white", mec=INK, mew=1.1, zorder=5)
    across, up = result.attrs["columns"]
    left.set(xlabel=f"rank of {bare(across)}", ylabel=f"rank of {bare(up)}", aspect="equal")
    figure.colorbar(mesh, ax=left, label="copula density", pad=0.02, ticks=_TICKS, format="%g", shrink=0.85)
    mesh_data(right, result)
    feh = np.linspace(float(result["x_edge"].min()), float(result["x_edge"].max()), 300)
    inside = (feh >= float(result["feh_low"])) & (feh <= float(result["feh_high"]))
    right.fill_between(result["split_feh"], result["split_mg_fe_low"], result["split_mg_fe_high"], **shade)
    right.plot(result["split_feh"], result["split_mg_fe"], **style)
    cubic = np.polynomial.polynomial.polyval(feh[inside], result["data_polynomial"].values)
    right.plot(feh[inside], cubic, color=LINE, lw=1.0, ls=(0, (2, 2)), label="its cubic")
    for (name, (dashes, line)), colour in zip(LITERATURE.items(), (INK, GUIDE, "#66a182", "#c77d0a"), strict=True):
        right.plot(feh, line(feh), color=colour, lw=1.3, ls=dashes, label=name)
    right.set(xlabel=label(across), ylabel=label(up), xlim=(feh[0], feh[-1]))
    right.set_ylim(float(result["y_edge"].min()), float(result["y_edge"].max()))
    told = "split of the copula" if is_supported else "split not supported"
    handles = [
        Line2D([], [], **style, label=f"{told} (confidence {float(result['confidence']):.2f}), 68 % band"),
        Line2D([], [], color=INK, marker="o", mfc="white", ls="none", ms=4, label="valleys"),
        *right.get_legend_handles_labels()[0],
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


LITERATURE: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "Mackereth et al. 2019": ((0, (6, 2)), lambda feh: np.where(feh < 0.2, -0.2 * feh + 0.10, 0.06)),
    "Weinberg et al. 2019": ((0, (1, 1.2)), lambda feh: np.where(feh < 0, 0.12 - 0.13 * feh, 0.12)),
    "Frankel et al. 2020": ((0, (3, 1, 1, 1)), lambda feh: -0.12 * feh + 0.13),
    "Gandhi & Ness 2019": ((0, (3, 1, 1, 1, 1, 1)), lambda feh: -0.08 * feh + 0.14),
}
"""Splits of [Mg/Fe] or [alpha/Fe] as functions of [Fe/H], as the code of arXiv:2306.09319 has them."""

_TICKS = (0, 0.25, 0.5, 1, 2, 4, 8, 16)


def mesh_copula(axes: "Axes", result: xr.Dataset, density: Any) -> Any:
    """Draw a copula density: white at 1, what chance gives; blue above, red below. Return what a colour bar needs.

    The scale is that of all densities of the result, so that panels compare. Ranks beyond the 0.5 and 99.5 % points
    are not shown: a kernel says little there.
    """
    from matplotlib.colors import TwoSlopeNorm

    inside = (result["u1"].values > 0.005) & (result["u1"].values < 0.995)
    every = result["density"].values
    known = every[np.isfinite(every)]
    top = float(np.clip(np.quantile(known, 0.995), 2.0, 16.0)) if known.size else 2.0
    norm = TwoSlopeNorm(1.0, 0.0, top)
    shown = np.ma.masked_invalid(density.T[np.ix_(inside, inside)])
    axes.set_facecolor("#dddddd")
    sides = result["u1"].values[inside], result["u2"].values[inside]
    mesh = axes.pcolormesh(*sides, shown, norm=norm, cmap=_diverging(), shading="gouraud", rasterized=True)
    axes.set(xlim=(sides[0][0], sides[0][-1]), ylim=(sides[1][0], sides[1][-1]))
    return mesh


def mesh_data(axes: "Axes", row: xr.Dataset) -> Any:
    """Draw the stars in cells of the two columns, on a logarithmic scale."""
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    counts = np.ma.masked_less_equal(np.asarray(row["counts"].values).T, 0)
    norm = LogNorm(1, max(2.0, float(counts.max()) if counts.count() else 2.0))
    shades = LinearSegmentedColormap.from_list("night", SHADES)
    return axes.pcolormesh(row["x_edge"], row["y_edge"], counts, norm=norm, cmap=shades, rasterized=True)


def columns(result: xr.Dataset) -> tuple[str, str]:
    """Return the names of the two columns; first and second where the result does not say."""
    first, second = result.attrs.get("columns", ("first", "second"))
    return str(first), str(second)


def _draw_groups(result: xr.Dataset) -> "Figure":
    figure, panels = _panels(min(result.sizes["group"], MOST_PANELS))
    for i, axes in enumerate(panels):
        row = result.isel(group=i)
        mesh = mesh_copula(axes, result, row["density"].values)
        axes.set_title(f"{row['group'].values}: {_told(row, short=True)}", fontsize=8, color=INK)
    _finish(figure, panels, result, mesh)
    return figure


def _panels(n: int) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    wide = 1 if n == 1 else min(n, 4 if n > 6 else 3)
    tall = -(-n // wide)
    size = 4.8 if n == 1 else 3.0
    figure = Figure(figsize=(size * wide + 1.2, size * tall + 0.6), layout="constrained")
    grid = figure.subplots(tall, wide, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[n:]:
        axes.set_visible(False)
    return figure, list(grid.flat[:n])


def _finish(figure: "Figure", panels: "list[Axes]", result: xr.Dataset, mesh: Any) -> None:
    first, second = columns(result)
    for axes in panels:
        axes.set_aspect("equal")
        spec = axes.get_subplotspec()
        if spec is not None and spec.is_first_col():
            axes.set_ylabel(f"rank of {bare(second)}")
        axes.set_xlabel(f"rank of {bare(first)}")
    figure.colorbar(mesh, ax=panels, label="copula density", pad=0.02, ticks=_TICKS, format="%g", shrink=0.9)


def _told(row: xr.Dataset, *, short: bool = False) -> str:
    if str(row["reason"].values) != "ok":
        return f"{int(row['n']):,} stars, {row['reason'].values}"
    rho = rf"$\rho_S = {float(row['spearman']):.3f} \pm {float(row['spearman_err']):.3f}$"
    if short:
        return f"{rho}, {int(row['n']):,} stars"
    return (
        f"{int(row['n']):,} stars\n{rho}\n"
        rf"$\tau = {float(row['kendall']):.3f} \pm {float(row['kendall_err']):.3f}$"
    )


def _family(row: xr.Dataset) -> str:
    group = "" if str(row["group"].values) == "all" else f"{row['group'].values}: "
    if str(row["reason"].values) != "ok":
        return f"{group}{row['reason'].values}"
    turned = f" {int(row['rotation'])}°" if int(row["rotation"]) else ""
    symbol = r"\rho" if str(row["family"].values) in {"gaussian", "student"} else r"\theta"
    name = f"{group}{str(row['family'].values).capitalize()}{turned}"
    if not np.isfinite(float(row["theta"])):
        return name
    error = float(row["theta_err"])
    told = rf"{name}, ${symbol} = {float(row['theta']):.2f}" + (rf" \pm {error:.2f}$" if np.isfinite(error) else "$")
    p = float(row["gof_p"])
    return told + (f", $p = {p:.2f}$" if np.isfinite(p) else "")


def _diverging() -> "LinearSegmentedColormap":
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "chance", ["#8f2d3d", "#d98d97", "#fbfbfb", "#8fb0d0", "#2b5c8f", "#0d2444"]
    )
