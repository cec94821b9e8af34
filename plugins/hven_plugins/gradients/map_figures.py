"""Maps of residuals with the Sun, rings and arms; two-point functions; metal-poor patches against their controls."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _LINE, _GUIDE, _LIGHT = "#16213e", "#d1495b", "#5c677d", "#c9d1dc"
_SUN = 8.122

ARMS = {
    "Scutum-Centaurus": (23.0, (0.0, 104.0), 4.91, (14.1, 12.1)),
    "Sagittarius-Carina": (24.0, (2.0, 97.0), 6.04, (17.1, 1.0)),
    "Local": (9.0, (-8.0, 34.0), 8.26, (11.4, 11.4)),
    "Perseus": (40.0, (-23.0, 115.0), 8.87, (10.3, 8.7)),
}
"""Spiral arms by maser parallaxes (Reid et al. 2019, arXiv:1910.03357, table 2): azimuth of the kink in deg, range of
azimuths, radius at the kink in kpc, pitch angles below and above it in deg. Azimuth is 0 at the Sun and grows along
rotation; radii are for a Sun at 8.15 kpc."""


def arm(name: str) -> tuple[Any, Any]:
    """Return x and y in kpc along a spiral arm of `ARMS`: ln(R / R_kink) = -(beta - beta_kink) tan(pitch)."""
    kink, (first, last), radius, (below, above) = ARMS[name]
    beta = np.linspace(first, last, 200)
    pitch = np.deg2rad(np.where(beta < kink, below, above))
    r = radius * np.exp(-np.deg2rad(beta - kink) * np.tan(pitch)) * _SUN / 8.15
    return -r * np.cos(np.deg2rad(beta)), r * np.sin(np.deg2rad(beta))


def draw_maps(result: xr.Dataset) -> "Figure":
    """Return the maps of the mean residual, and of the intrinsic scatter below, a column for each population."""
    from matplotlib.figure import Figure

    n = result.sizes["population"]
    columns = min(n, 5)
    blocks = -(-n // columns)
    width, height = (float(np.ptp(result[axis].values)) or 1.0 for axis in ("x", "y"))
    side = 2.5 if n > 1 else 3.6
    tall = side * np.clip(height / width, 0.5, 2.0)
    figure = Figure(figsize=(side * columns + 1.3, 2 * blocks * tall + 0.9), layout="constrained")
    grid = figure.subplots(2 * blocks, columns, sharex=True, sharey=True, squeeze=False)
    largest = _round(np.nanquantile(np.abs(result["delta_feh"].values), 0.98))
    scatter = result["sigma_int"].values
    top = _round(np.nanquantile(scatter, 0.98)) if np.isfinite(scatter).any() else 0.1
    for k in range(blocks * columns):
        upper, lower = (grid[2 * (k // columns) + row, k % columns] for row in (0, 1))
        if k >= n:
            upper.set_visible(False)
            lower.set_visible(False)
            continue
        row = result.isel(population=k)
        mean = _draw(upper, row, "delta_feh", cmap="RdBu_r", vmin=-largest, vmax=largest)
        spread = _draw(lower, row, "sigma_int", cmap="viridis", vmin=0, vmax=top)
        upper.set_title(_told(row), fontsize=8, color=_INK)
    for axes in grid[:, 0]:
        axes.set_ylabel("$Y$ [kpc]")
    for axes in grid[-1]:
        axes.set_xlabel("$X$ [kpc]")
    figure.colorbar(mean, ax=grid[0::2], label=r"$\Delta$[Fe/H] [dex]", pad=0.01, shrink=0.9)
    figure.colorbar(spread, ax=grid[1::2], label=r"$\sigma_\mathrm{int}$ [dex]", pad=0.01, shrink=0.9)
    figure.legend(handles=_arm_key(result), loc="outside lower center", ncols=4, frameon=False, fontsize=7.5)
    return figure


def draw_lags(result: xr.Dataset) -> "Figure":
    """Return the two-point function of each population, with the band of shuffled residuals."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    n = result.sizes["population"]
    figure = Figure(figsize=(6.6, 4.2), layout="constrained")
    axes = figure.subplots()
    lag = result["lag"].values
    null = np.asarray(result["xi_null_err"].values)
    if np.isfinite(null).any():
        widest = 1e3 * 2 * np.nanmax(null, axis=0)
        axes.fill_between(lag, -widest, widest, color=_LIGHT, lw=0, label=r"shuffled, 2$\sigma$")
    for k in range(n):
        row = result.isel(population=k)
        colour = _LINE if n == 1 else colormaps["viridis"](0.9 * k / (n - 1))
        shift = 0.15 * (lag[1] - lag[0]) * (k - (n - 1) / 2) / max(n - 1, 1)
        name = "residuals" if n == 1 else f"population {int(row['pop_bin'])}"
        axes.errorbar(
            lag + shift, 1e3 * row["xi"], 1e3 * row["xi_err"], fmt="o-", color=colour, ms=4, lw=1.1, label=name
        )
        axes.errorbar(
            [0.0], [1e3 * float(row["xi_zero"])], [1e3 * float(row["xi_zero_err"])], fmt="D", mfc="white",
            color=colour, ms=5, label="variance less errors" if k == 0 else None, clip_on=False, zorder=4,
        )  # fmt: skip
    axes.axhline(0, color=_GUIDE, lw=0.8)
    axes.set(xlabel="distance of two stars [kpc]", ylabel=r"$\xi$ [$10^{-3}$ dex$^2$]", xlim=(-0.02 * lag[-1], None))
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=8)
    return figure


def draw_substructures(table: xr.Dataset, cube: xr.Dataset) -> "Figure":
    """Return the map of the evidence with its patches, and each found patch's residuals against its controls."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    table = table.rename({str(next(iter(table.sizes))): "patch"})  # a table that was written is one over "object"
    found = np.flatnonzero(table["is_found"].values)[:6]
    figure = Figure(figsize=(9.2, 5.4), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=[1.25, 1])
    left, right = halves
    axes = left.subplots()
    values = cube["evidence"].values
    largest = max(4.0, float(np.nanmax(np.abs(values)))) if np.isfinite(values).any() else 4.0
    mesh = axes.pcolormesh(
        cube["x"].values, cube["y"].values, values, cmap="RdBu_r", vmin=-largest, vmax=largest, shading="nearest",
        rasterized=True,
    )  # fmt: skip
    _frame(axes, cube["x"].values, cube["y"].values)
    for i in range(table.sizes["patch"]):
        row = table.isel(patch=i)
        is_found = bool(row["is_found"])
        place = float(row["x_gal"]), float(row["y_gal"])
        ring = Circle(place, float(np.sqrt(row["area"] / np.pi)), fill=False, color=_INK, lw=1.6 if is_found else 0.8)
        ring.set_linestyle("-" if is_found else ":")
        axes.add_patch(ring)
        if is_found:
            axes.annotate(str(i + 1), place, color="white", ha="center", va="center", fontsize=9, fontweight="bold")
    axes.set(xlabel="$X$ [kpc]", ylabel="$Y$ [kpc]")
    left.colorbar(mesh, ax=axes, label="evidence for metal-poor stars, negative [sigma]", shrink=0.8)
    if not len(found):
        right.text(0.5, 0.5, "no substructure found", ha="center", color=_GUIDE)
        return figure
    rows = -(-len(found) // 2)
    panels = right.subplots(rows, 2 if len(found) > 1 else 1, sharex=True, squeeze=False)
    bins = cube["delta_bin"].values
    for axes, i in zip(panels.flat, found, strict=False):
        row = table.isel(patch=int(i))
        for name, colour, fill in (("controls", _GUIDE, True), ("histogram", _LINE, False)):
            counts = np.asarray(cube[name].values[int(i)], dtype=float)
            counts = counts / max(counts.sum(), 1) / (bins[1] - bins[0])
            if fill:
                axes.fill_between(bins, counts, step="mid", color=_LIGHT, lw=0, label="same radius")
            else:
                axes.step(bins, counts, where="mid", color=colour, lw=1.4, label="patch")
        axes.axvline(float(table.attrs.get("metal_poor", np.nan)), color=_INK, lw=0.7, ls=":")
        axes.set_title(
            f"{int(i) + 1}: {int(row['n']):,} stars, q = {float(row['q']):.1g}", fontsize=8, loc="left", color=_INK
        )
        axes.set_yticks([])
    for axes in list(panels.flat)[len(found) :]:
        axes.set_visible(False)
    for column in panels.T:
        lowest = [axes for axes in column if axes.get_visible()][-1]
        lowest.set_xlabel(r"$\Delta$[Fe/H] [dex]")
        lowest.tick_params(labelbottom=True)
    panels[0, 0].set_xlim(-0.45, 0.45)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    right.legend(handles, labels, frameon=False, fontsize=8, loc="outside upper center", ncols=2)
    return figure


def _draw(axes: "Axes", row: xr.Dataset, name: str, **shown: Any) -> Any:
    x, y = row["x"].values, row["y"].values
    mesh = axes.pcolormesh(x, y, row[name].values, shading="nearest", rasterized=True, **shown)
    _frame(axes, x, y)
    return mesh


def _frame(axes: "Axes", x: Any, y: Any) -> None:
    """Draw rings of equal radius, spiral arms and the Sun, within the map."""
    limits = (x[0], x[-1]), (y[0], y[-1])
    angle = np.linspace(0, 2 * np.pi, 400)
    for radius in range(2, 31, 2):
        axes.plot(radius * np.cos(angle), radius * np.sin(angle), color=_GUIDE, lw=0.5, ls=":", zorder=2)
    for name, style in zip(ARMS, _STYLES, strict=True):
        axes.plot(*arm(name), color=_INK, lw=1.0, ls=style, zorder=3)
    axes.plot(-_SUN, 0, marker="o", ms=7, mfc="white", mec=_INK, mew=1.0, zorder=4)
    axes.plot(-_SUN, 0, marker=".", ms=3, color=_INK, zorder=5)
    axes.set(xlim=limits[0], ylim=limits[1], aspect="equal")


_STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1, 2)))


def _arm_key(result: xr.Dataset) -> list[Any]:
    """Return the key of those arms that cross the map."""
    from matplotlib.lines import Line2D

    x, y = result["x"].values, result["y"].values
    handles = []
    for name, style in zip(ARMS, _STYLES, strict=True):
        ax, ay = arm(name)
        if np.any((ax > x[0]) & (ax < x[-1]) & (ay > y[0]) & (ay < y[-1])):
            handles.append(Line2D([], [], color=_INK, lw=1.0, ls=style, label=f"{name} arm"))
    handles.append(Line2D([], [], color=_INK, marker="o", mfc="white", ls="none", ms=6, label="Sun"))
    return handles


def _told(row: xr.Dataset) -> str:
    spread, err = float(row["sigma_map"]), float(row["sigma_map_err"])
    told = rf"$\sigma_\mathrm{{map}} = {spread:.3f} \pm {err:.3f}$" if np.isfinite(spread) else "no dispersion"
    return f"population {int(row['pop_bin'])}, {int(row['n_stars']):,} stars\n{told}"


def _round(value: float) -> float:
    return float(np.ceil(value * 20) / 20) if value > 0 else 0.05
