"""Metallicity against radius for each population, with the fitted line, and the gradients against age or temperature.

Both are drawn from the result alone: it carries the counts and running medians of its stars.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

_INK, _LINE, _OLS, _GUIDE = "#16213e", "#d1495b", "#6c757d", "#5c677d"
_SHADES = ("#eef2f6", "#c3d3e3", "#8fb0d0", "#5b8db8", "#2b5c8f", "#16335b")
_UNITS = {"teff": "K", "age": "Gyr"}
_NAMES = {"teff": r"$T_\mathrm{eff}$", "age": "age"}

PUBLISHED = (-0.07, -0.015)
"""Range of the gradients of hot disc stars in Wang et al. 2023 (arXiv:2304.02958), dex/kpc."""


def draw_populations(result: xr.Dataset) -> "Figure":
    """Return [Fe/H] against R, a panel for each population: counts, running medians, both lines.

    One population alone gets a second panel, of the medians' residuals.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    n = result.sizes["population"]
    result = _coarse(result)
    norm = LogNorm(1, max(2, int(result["counts"].max())))
    if n == 1:
        figure = Figure(figsize=(7.2, 6.0), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
        mesh = _draw_population(upper, result.isel(population=0), norm)
        _draw_residuals(lower, result.isel(population=0))
        panels, left, bottom = [upper], [upper], [lower]
    else:
        columns = min(n, 4 if n > 6 else 3)
        rows = -(-n // columns)
        figure = Figure(figsize=(3.1 * columns + 1.0, 2.7 * rows + 0.5), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        panels = list(grid.flat[:n])
        for axes in grid.flat[n:]:
            axes.set_visible(False)
        for i, axes in enumerate(panels):
            mesh = _draw_population(axes, result.isel(population=i), norm)
        left, bottom = list(grid[:, 0]), panels[-columns:]
        for axes in bottom:
            axes.tick_params(labelbottom=True)
    for axes in left:
        axes.set_ylabel("[Fe/H] [dex]")
    for axes in bottom:
        axes.set_xlabel("$R$ [kpc]")
    panels[0].set(xlim=_limits(result, "r_cell", 0.002), ylim=_limits(result, "feh_cell", 0.004, above=0.3))
    ticks = LogLocator(subs=(1, 2, 5))
    bar = figure.colorbar(mesh, ax=panels, label="stars per cell", pad=0.01, shrink=0.9, ticks=ticks, format="%d")
    bar.minorticks_off()
    _draw_key(panels[0])
    return figure


def draw_trend(result: xr.Dataset) -> "Figure":
    """Return the gradients and intrinsic scatters of the populations against their median age or temperature."""
    from matplotlib.figure import Figure

    variable = str(result.attrs.get("population_variable", "")) or _split_variable(result)
    middle, low, high = (np.asarray(result[f"{variable}_{what}"].values) for what in ("median", "low", "high"))
    width = np.abs(np.stack([middle - low, high - middle]))
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    slopes, scatters = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    slopes.axhspan(*PUBLISHED, color=_SHADES[1], alpha=0.5, lw=0, label="hot disc stars, Wang et al. 2023")
    slopes.axhline(0, color=_GUIDE, lw=0.8)
    plain = {"fmt": "s", "mfc": "white", "color": _OLS, "ms": 5, "lw": 1, "label": "least squares"}
    fitted = {"fmt": "o", "color": _LINE, "ms": 6, "lw": 1.3, "label": "errors in both variables"}
    slopes.errorbar(middle, result.slope_ols, result.slope_ols_err, **plain)
    slopes.errorbar(middle, result.slope, result.slope_err, width, **fitted)
    slopes.set_ylabel("gradient [dex/kpc]")
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=8)
    scatters.errorbar(middle, result.sigma_int, result.sigma_int_err, width, fmt="o", color=_INK, ms=6, lw=1.3)
    top = np.nanmax(np.append(result.sigma_int.values + result.sigma_int_err.values, 0.01))
    scatters.set(ylabel="intrinsic scatter [dex]", ylim=(0, 1.15 * top))
    scatters.set_xlabel(f"{_NAMES[variable]} [{_UNITS[variable]}]")
    return figure


def _draw_population(axes: "Axes", row: xr.Dataset, norm: Any) -> Any:
    shown = np.ma.masked_equal(np.asarray(row["counts"].values).T, 0)
    mesh = axes.pcolormesh(
        row["r_cell"].values,
        row["feh_cell"].values,
        shown,
        norm=norm,
        cmap=_shades(),
        shading="nearest",
        rasterized=True,
    )
    r = np.linspace(float(row["r_cell"].min()) - 1, float(row["r_cell"].max()) + 1, 200)
    line, error = _line(row, r)
    if np.isfinite(line).all():
        ols = float(row["intercept_ols"]) + float(row["slope_ols"]) * (r - _reference(row))
        axes.plot(r, ols, color=_OLS, lw=1.5, ls=(0, (4, 2)), zorder=3)
        scatter = float(row["sigma_int"])
        axes.plot(r, line - scatter, r, line + scatter, color=_LINE, lw=0.8, ls=":", zorder=3)
        axes.fill_between(r, line - error, line + error, color=_LINE, alpha=0.3, lw=0, zorder=3)
        axes.plot(r, line, color=_LINE, lw=2.0, zorder=4)
    axes.errorbar(
        row["r_bin"].values, row["feh_median"].values, row["feh_median_err"].values,
        fmt="o", ms=4.5, mfc="white", mec=_INK, ecolor=_INK, mew=1.2, elinewidth=1.2, zorder=5,
    )  # fmt: skip
    axes.text(
        0.03, 0.97, _summary(row), transform=axes.transAxes, va="top", fontsize=8, color=_INK, linespacing=1.35,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2.0}, zorder=6,
    )  # fmt: skip
    return mesh


def _draw_residuals(axes: "Axes", row: xr.Dataset) -> None:
    r = np.asarray(row["r_bin"].values)
    line, _ = _line(row, r)
    ols = float(row["intercept_ols"]) + float(row["slope_ols"]) * (r - _reference(row))
    residual, error = row["feh_median"].values - line, row["feh_median_err"].values
    axes.axhline(0, color=_LINE, lw=2.0)
    axes.plot(r, ols - line, color=_OLS, lw=1.5, ls=(0, (4, 2)))
    axes.errorbar(r, residual, error, fmt="o", ms=4.5, mfc="white", mec=_INK, ecolor=_INK, mew=1.2, elinewidth=1.2)
    largest = np.nanmax(np.append(np.abs(residual) + error, 0.05))
    axes.set(ylabel="median $-$ line", ylim=(-1.1 * largest, 1.1 * largest))


def _draw_key(axes: "Axes") -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=_LINE, lw=2.0, label="errors in both variables"),
        Line2D([], [], color=_LINE, lw=0.8, ls=":", label="intrinsic scatter"),
        Line2D([], [], color=_OLS, lw=1.5, ls=(0, (4, 2)), label="least squares"),
        Line2D([], [], color=_INK, marker="o", mfc="white", ls="none", ms=4.5, label="running median"),
    ]
    axes.figure.legend(handles=handles, loc="outside upper left", ncols=4, frameon=False, fontsize=8, columnspacing=1.4)


def _summary(row: xr.Dataset) -> str:
    variable = str(row.attrs.get("population_variable", "")) or _split_variable(row)
    lines = []
    if variable:
        low, high = float(row[f"{variable}_low"]), float(row[f"{variable}_high"])
        digits = 0 if variable == "teff" else 1
        lines.append(f"{low:.{digits}f} to {high:.{digits}f} {_UNITS[variable]}, {int(row['n']):,} stars")
    else:
        lines.append(f"{int(row['n']):,} stars")
    if not np.isfinite(float(row["slope"])):
        return "\n".join([*lines, str(row["fit"].values)])
    slope, error = float(row["slope"]), float(row["slope_err"])
    scatter, scatter_err = float(row["sigma_int"]), float(row["sigma_int_err"])
    told = rf"$\sigma_\mathrm{{int}} = {scatter:.3f} \pm {scatter_err:.3f}$ dex"
    if scatter == 0:
        told = rf"$\sigma_\mathrm{{int}} < {scatter_err:.3f}$ dex"
    return "\n".join([*lines, rf"${slope:.4f} \pm {error:.4f}$ dex/kpc", told])


def _line(row: xr.Dataset, r: Any) -> tuple[Any, Any]:
    """Return the fitted line at `r` and its 1-sigma error."""
    shift = r - _reference(row)
    line = float(row["intercept"]) + float(row["slope"]) * shift
    variance = (
        float(row["intercept_err"]) ** 2
        + 2 * shift * float(row["slope_intercept_cov"])
        + (shift * float(row["slope_err"])) ** 2
    )
    return line, np.sqrt(variance)


def _reference(row: xr.Dataset) -> float:
    return float(row.attrs.get("r_ref_kpc", 8.122))


def _split_variable(result: xr.Dataset) -> str:
    return next((v for v in _UNITS if np.isfinite(result[f"{v}_low"].values).any()), "")


def _limits(result: xr.Dataset, cell: str, cut: float, above: float = 0.0) -> tuple[float, float]:
    """Return where to draw from and to: all but a few of the stars, and room above for the text."""
    counts = result["counts"].sum([d for d in result["counts"].dims if d != cell]).values
    share = np.cumsum(counts) / max(counts.sum(), 1)
    centres = result[cell].values
    first, last = (min(int(np.searchsorted(share, level)), len(centres) - 1) for level in (cut, 1 - cut))
    low, high = centres[first], centres[last]
    margin = 0.04 * (high - low) + 1e-3
    return float(low - margin), float(high + margin + above * (high - low))


def _coarse(result: xr.Dataset) -> xr.Dataset:
    """Return `result` with larger cells where stars are few, so that a cell says something."""
    factor = 1 if int(result["n"].max()) > 5000 else 2
    counts = result["counts"].coarsen(r_cell=factor, feh_cell=factor, boundary="pad").sum()
    return result.drop_vars(["counts", "r_cell", "feh_cell"]).assign(counts=counts)


def _shades() -> "LinearSegmentedColormap":
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("night", _SHADES)
