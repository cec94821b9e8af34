"""Where the stars are: the Galactic plane from above, with the Sun and circles around the centre, and how far."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

_INK, _ACCENT, _GUIDE = "#16213e", "#d1495b", "#5c677d"
_SHADES = ("#e8eef4", "#a9c1d9", "#5b8db8", "#2b5c8f", "#16335b", "#0b1730")


def draw_places(result: xr.Dataset) -> "Figure":
    """Return a figure of a result of `red_clump_distances`: the disc from above, from the side, and the distances.

    Shows the stars known to be on the red clump, or all that have a distance when none is known to be.
    """
    from matplotlib.figure import Figure

    r, phi, z = (np.asarray(result[name].values) for name in ("r_gal", "phi_gal", "z_gal"))
    distance, error = np.asarray(result["distance"].values), np.asarray(result["distance_err"].values)
    r0 = float(result.attrs.get("r0_kpc", 8.122))
    seen = np.isfinite(r)
    on_clump = seen & np.asarray(result["is_red_clump"].values, dtype=bool)
    what = "stars with a distance"
    if on_clump.any():
        seen, what = on_clump, "red clump stars"
    r, phi, z, distance, error = r[seen], phi[seen], z[seen], distance[seen], error[seen]

    figure = Figure(figsize=(10.5, 5.6), layout="constrained")
    plane, side, far = figure.subplot_mosaic([["plane", "side"], ["plane", "far"]], width_ratios=[1.25, 1]).values()
    _draw_plane(plane, r * np.cos(phi), r * np.sin(phi), r0)
    _draw_side(side, r, z, r0)
    _draw_distances(far, distance, error, what)
    return figure


def _draw_plane(axes: "Axes", x: np.ndarray, y: np.ndarray, r0: float) -> None:
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Circle
    from matplotlib.patheffects import withStroke
    from matplotlib.ticker import LogLocator

    half = _reach(np.hypot(x + r0, y), 2.0, 20.0)
    box = [[-r0 - half, -r0 + half], [-half, half]]
    counts, *_, mesh = axes.hist2d(
        x, y, bins=_cells(len(x)), range=box, cmap=_shades(), norm=LogNorm(), rasterized=True
    )
    mesh.set_clim(1, max(2, counts.max()))
    for radius in range(2, 40, 2):
        axes.add_patch(Circle((0, 0), radius, fill=False, lw=0.7, ls=(0, (4, 3)), color=_GUIDE, zorder=3))
        height = -0.93 * half
        across = -np.sqrt(radius**2 - height**2) if radius > abs(height) else np.nan
        if box[0][0] < across < box[0][1] - 0.1 * half:
            label = axes.text(across, height, f"{radius} kpc", fontsize=7, color=_GUIDE, ha="center", zorder=4)
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85})
    axes.plot(-r0, 0, marker="o", ms=9, mfc="none", mec=_ACCENT, mew=1.6, zorder=5)
    axes.plot(-r0, 0, marker="o", ms=2.5, color=_ACCENT, zorder=5)
    sun = axes.annotate("Sun", (-r0, 0), (8, 8), textcoords="offset points", color=_ACCENT, fontsize=9, weight="bold")
    sun.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    if box[0][1] > 0:
        axes.plot(0, 0, marker="+", ms=11, mew=1.6, color=_INK)
        axes.annotate("centre", (0, 0), (7, -11), textcoords="offset points", color=_INK, fontsize=8)
    axes.set(xlim=box[0], ylim=box[1], aspect="equal", xlabel="$x$ [kpc]", ylabel="$y$ [kpc]")
    axes.set_title("From the north Galactic pole", fontsize=10, loc="left")
    ticks = LogLocator(subs=(1, 2, 5))
    axes.figure.colorbar(mesh, ax=axes, label="stars per cell", pad=0.01, shrink=0.85, ticks=ticks, format="%d")


def _draw_side(axes: "Axes", r: np.ndarray, z: np.ndarray, r0: float) -> None:
    from matplotlib.colors import LogNorm

    half = _reach(np.abs(z), 0.5, 10.0)
    low, high = np.quantile(r, [0.002, 0.998]) if len(r) else (0.0, 20.0)
    box = [[float(low), float(max(high, low + 0.1))], [-half, half]]
    counts, *_, mesh = axes.hist2d(
        r, z, bins=(_cells(len(r)), _cells(len(r)) // 2), range=box, cmap=_shades(), norm=LogNorm(), rasterized=True
    )
    mesh.set_clim(1, max(2, counts.max()))
    axes.plot(r0, 0.02, marker="o", ms=7, mfc="none", mec=_ACCENT, mew=1.3)
    axes.set(xlim=box[0], ylim=box[1], xlabel="$R$ [kpc]", ylabel="$z$ [kpc]")
    axes.set_title("From the side", fontsize=10, loc="left")


def _draw_distances(axes: "Axes", distance: np.ndarray, error: np.ndarray, what: str) -> None:
    end = _reach(distance, 1.0, 50.0)
    axes.hist(distance, bins=_cells(len(distance)) // 2, range=(0, end), color=_INK, alpha=0.85, lw=0)
    typical = 100 * np.median(error / distance) if len(distance) else np.nan
    axes.set(xlim=(0, end), xlabel="distance [kpc]", ylabel="stars")
    axes.set_title(f"{len(distance):,} {what}, median error {typical:.1f} %", fontsize=10, loc="left")


def _cells(stars: int) -> int:
    """Return how many cells to count so many stars in along one axis."""
    return int(np.clip(1.6 * np.sqrt(stars), 24, 110))


def _shades() -> "LinearSegmentedColormap":
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("night", _SHADES)


def _reach(values: np.ndarray, least: float, most: float) -> float:
    """Return up to where to draw, so that all but a few in a thousand are inside."""
    return float(np.clip(1.05 * np.quantile(values, 0.995), least, most)) if len(values) else least
