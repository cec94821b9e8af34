"""The conditional correlation over the Galaxy: map, profiles with bands, and the course of the training."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hven_plugins.copulas.figures import GUIDE, INK, LINE, bare, columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def draw_map(cube: xr.Dataset) -> "Figure":
    """Return rho over R and |z|, hatched where it is within two errors of zero, and its error."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=(10.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    r, height = cube["r_gal"].values, cube["abs_z_gal"].values
    rho, error = cube["rho"].values.T, cube["rho_err"].values.T
    most = max(0.1, float(np.nanmax(np.abs(rho))))
    mesh = left.pcolormesh(r, height, rho, cmap="RdBu_r", vmin=-most, vmax=most, shading="nearest", rasterized=True)
    across, up = _edges(r), _edges(height)
    for k, i in zip(*np.nonzero(np.abs(rho) < 2 * error), strict=True):
        cell = (across[i], up[k]), across[i + 1] - across[i], up[k + 1] - up[k]
        left.add_patch(Rectangle(*cell, fill=False, hatch="////", edgecolor=GUIDE, lw=0))
    first, second = columns(cube)
    figure.colorbar(mesh, ax=left, label=rf"$\rho$({bare(first)}, {bare(second)} | $R$, $|z|$)", pad=0.02)
    left.set_title(r"hatched: within $2\sigma$ of zero", fontsize=9, color=INK)
    errors = right.pcolormesh(r, height, error, cmap="Greys", vmin=0, shading="nearest", rasterized=True)
    figure.colorbar(errors, ax=right, label=r"$\sigma_\rho$ (jackknife)", pad=0.02)
    left.set_ylabel("$|z|$ [kpc]")
    for axes in (left, right):
        axes.set_xlabel("$R$ [kpc]")
    return figure


def _edges(centres: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return the edges of cells of equal width."""
    half = 0.5 * (centres[1] - centres[0]) if len(centres) > 1 else 0.5
    return np.append(centres - half, centres[-1] + half)


def draw_profiles(cube: xr.Dataset) -> "Figure":
    """Return rho against R at up to six heights, with bands, and local moments as points."""
    from matplotlib.figure import Figure

    chosen = np.unique(np.linspace(0, cube.sizes["abs_z_gal"] - 1, min(6, cube.sizes["abs_z_gal"])).round().astype(int))
    wide = min(3, len(chosen))
    tall = -(-len(chosen) // wide)
    figure = Figure(figsize=(3.4 * wide + 0.6, 2.6 * tall + 0.6), layout="constrained")
    grid = figure.subplots(tall, wide, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(chosen) :]:
        axes.set_visible(False)
    r = cube["r_gal"].values
    for axes, k in zip(grid.flat, chosen, strict=False):
        row = cube.isel(abs_z_gal=int(k))
        rho, error = row["rho"].values, row["rho_err"].values
        axes.axhline(0, color=GUIDE, lw=0.8)
        axes.fill_between(r, rho - error, rho + error, color=LINE, alpha=0.3, lw=0, label=r"$\pm 1\sigma$ (jackknife)")
        axes.plot(r, rho, color=LINE, lw=1.8, label="network")
        shown = row["n"].values >= 30
        axes.plot(r[shown], row["rho_local"].values[shown], "o", ms=3.5, mfc="white", mec=INK, label="local moments")
        axes.set_title(rf"$|z| = {float(row['abs_z_gal']):.2f}$ kpc", fontsize=9, color=INK)
    for axes in grid[:, 0]:
        axes.set_ylabel(r"$\rho$")
    for axes in grid[-1]:
        axes.set_xlabel("$R$ [kpc]")
    low = float(np.nanmin(np.append(cube["rho"].values - cube["rho_err"].values, -0.1)))
    high = float(np.nanmax(np.append(cube["rho"].values + cube["rho_err"].values, 0.1)))
    grid[0, 0].set_ylim(max(-1, low - 0.1), min(1, high + 0.1))
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def draw_loss(cube: xr.Dataset) -> "Figure":
    """Return the course of the training loss: of all stars, and of the folds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.4), layout="constrained")
    axes = figure.subplots()
    loss = cube["loss"].values
    stretch = np.arange(1, len(loss) + 1) / len(loss)
    axes.plot(stretch, loss[:, 1:], color=GUIDE, lw=0.5, alpha=0.6)
    axes.plot([], [], color=GUIDE, lw=0.8, label="without one fold")
    axes.plot(stretch, loss[:, 0], color=LINE, lw=1.6, label="all stars")
    settled = loss[len(loss) // 10 :]
    low, high = float(np.nanmin(settled)), float(np.nanmax(settled))
    axes.set(xlabel="fraction of the training", ylabel="mean score")
    axes.set_ylim(low - 0.1 * (high - low) - 1e-3, high + 0.4 * (high - low) + 1e-3)
    axes.legend(frameon=False, fontsize=8)
    return figure
