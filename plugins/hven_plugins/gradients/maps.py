"""Maps of what gradients leave over: mean and scatter by place, and how they hang together with distance."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import caveats, gather, stats, twopoint
from hven.methods.frames import SolarFrame
from hven.mocks import Mock, residual_stars
from hven_plugins.gradients.bearing import caveats_of_maps, caveats_of_residuals
from hven_plugins.gradients.cells import (
    NO_SCATTER,
    Pixels,
    Told,
    honest_near_zero,
    limit_of_scatter,
    mean_and_scatter,
    means_and_noise,
    merged,
)
from hven_plugins.gradients.places import COLUMNS, column, places

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_WHERE = "analysis 'metallicity_maps'"
_FINEST = 2000
"""Pixels a side of the grid that pairs are counted on, at most."""


@hven.analysis(
    stars=hven.Table(
        delta_feh="dex",
        one_of=[("r_gal", "distance")],
        optional={"delta_feh_err": "dex", "pop_bin": "", **COLUMNS},
    ),
    produces={
        "": {
            "delta_feh": "dex",
            "delta_feh_err": "dex",
            "sigma_int": "dex",
            "sigma_int_err": "dex",
            "n": "",
            "cell_width": "kpc",
            "flag": "",
            "sigma_map": "dex",
            "sigma_map_err": "dex",
            "sigma_map_raw": "dex",
            "sigma_map_flag": "",
            "n_cells": "",
            "n_stars": "",
            "pop_bin": "",
        },
        "two_point": {
            "xi": "dex2",
            "xi_err": "dex2",
            "xi_null_err": "dex2",
            "xi_p": "",
            "n_pairs": "",
            "xi_zero": "dex2",
            "xi_zero_err": "dex2",
            "noise": "dex2",
            "pop_bin": "",
        },
    },
    references=("2304.02958",),
    version="2",
    min_objects="n_min",
)
def metallicity_maps(
    stars: xr.Dataset,
    *,
    pixel: Annotated[float, hven.Unit("kpc"), Field(gt=0)] = 0.25,
    n_min: Annotated[int, Field(ge=3)] = 10,
    adaptive: bool = False,
    levels: Annotated[int, Field(ge=1, le=6)] = 3,
    lag_max: Annotated[float, hven.Unit("kpc"), Field(gt=0)] = 3.0,
    n_lags: Annotated[int, Field(ge=2, le=200)] = 15,
    tiles: Annotated[int, Field(ge=2, le=20)] = 5,
    n_shuffles: Annotated[int, Field(ge=0, le=1000)] = 40,
    r0: Annotated[float, hven.Unit("kpc"), Field(gt=0)] = 8.122,
    z_sun: Annotated[float, hven.Unit("kpc")] = 0.0208,
    seed: int = 0,
) -> dict[str, xr.Dataset]:
    """Residual metallicity in maps of the plane of the Galaxy, and its two-point function.

    The stars bring the residuals of `metallicity_residuals`; each population (``pop_bin``) has its own maps. In each
    pixel mean and intrinsic scatter are those of maximum likelihood for stars with errors, N(mean, sigma_int^2 + e^2).
    ``flag`` says 'ok', 'too few stars' (fewer than `n_min`; all values null), 'errors exceed the scatter' (the
    error-corrected variance is negative: `sigma_int` is null) or 'does not vary'. With `adaptive`, pixels with
    fewer than `n_min` stars are merged with the others of a square of 2, 4, 8... a side until they have them; pixels
    with enough stay. The stars of a cell count once.

    ``sigma_map`` is the dispersion of the map without its noise: maximum likelihood of N(0, sigma_map^2 + error^2) over
    the plain means of the cells, whose errors are by what their stars scatter, pooled over cells. In noise alone it is
    within its error of zero in 60 to 70 % of maps, and three errors above it in one or two per cent; where it is 0
    (``sigma_map_flag`` is 'errors exceed the scatter') the error is an upper limit. ``sigma_map_err`` does not know of
    what another disc of the same kind would show. ``sigma_map_raw`` is the root mean square of the cells as they are.
    The paper finds 0.04 to 0.07 dex, falling towards cooler stars.

    The two-point function ``xi`` (part ``two_point``) is the mean product of the residuals of two stars, less the mean
    of all, at a distance up to `lag_max`: errors of different stars are independent and leave it alone. At zero lag
    they do not: ``xi_zero`` is the variance less the mean squared error ``noise``; what it has above ``xi`` at the
    first lag is scatter from star to star at one place. Pairs are counted on a grid of a sixth of the width of a lag,
    so that there may be any number of stars. Errors leave out one of `tiles` x `tiles` parts of the map at a time; they
    miss what is as large as the map. ``xi_null_err`` and the p-value ``xi_p`` come from residuals that are shuffled
    among the stars. Two things make xi smaller than that of the interstellar medium: the fitted gradient took a plane
    out, and errors of distance wash out what is smaller than they are.

    The same physics is in `abundance_correlation_prediction`, whose lag functions xi may be held against;
    ``hven_plugins.gradients.residual_images`` turns the maps into what `abundance_map_correlations` takes, which gives
    their power spectra.

    Parameters
    ----------
    pixel
        Width of a pixel in kpc.
    n_min
        Fewest stars of a cell that is told of.
    adaptive
        Merges pixels with few stars.
    levels
        How often: cells are up to 2^levels pixels wide.
    lag_max, n_lags
        Largest lag in kpc and number of lags.
    tiles
        Parts along each side that are left out in turn.
    n_shuffles
        How often residuals are shuffled; 0 leaves the null test out.
    r0, z_sun
        Where the Sun is in kpc, for places computed here.
    seed
        Of the shuffles.

    Raises
    ------
    TooFewObjectsError
        Fewer than `n_min` stars have a residual and a place.
    MissingColumnError
        There are neither places nor what they are computed from.
    """
    solar = SolarFrame(r0=r0, z_sun=z_sun)
    held = gather(stars)
    table = Residuals.of(held, solar, n_min, where=_WHERE)
    grid = Pixels.around(table.x, table.y, pixel)
    of_map, of_pairs = [], []
    for k in table.populations:
        part = table.part(k)
        of_map.append(mapped(part, grid, n_min=n_min, levels=levels if adaptive else 0))
        of_pairs.append(lagged(part, lag_max, n_lags, tiles=tiles, n_shuffles=n_shuffles, seed=seed))
    attrs = {"assumed": table.assumed, "pixel_kpc": grid.width, **solar.attrs()}
    names = ("population", "y", "x")
    columns = {
        n: (names[: np.ndim(of_map[0][n]) + 1], np.array([row[n] for row in of_map], dtype=_kind(n))) for n in of_map[0]
    }
    x, y = grid.centres()
    kpc = {"units": "kpc"}
    bins = ("population", table.populations)
    maps = xr.Dataset({**columns, "pop_bin": bins}, {"y": ("y", y, kpc), "x": ("x", x, kpc)}, attrs)
    lags = np.linspace(0, lag_max, n_lags + 1)
    pairs = xr.Dataset(
        {
            n: (("population", "lag")[: np.ndim(of_pairs[0][n]) + 1], np.array([row[n] for row in of_pairs]))
            for n in of_pairs[0]
        }
        | {"pop_bin": bins},
        {"lag": ("lag", (lags[1:] + lags[:-1]) / 2, kpc)},
        attrs,
    )
    texts = caveats_of_residuals(table, held.sizes["object"], missing(held)) + caveats_of_maps(
        of_map, table.populations.tolist()
    )
    return {"": caveats.with_caveats(maps, texts), "two_point": pairs}


def missing(stars: xr.Dataset) -> dict[str, int]:
    """Return in how many rows each column of numbers has no value."""
    numbers = {str(name): column(stars, str(name)) for name in stars if stars[name].dtype.kind in "fiub"}
    return {name: int(np.sum(~np.isfinite(values))) for name, values in numbers.items() if name != "pop_bin"}


def _kind(name: str) -> Any:
    return np.dtypes.StringDType() if name in {"flag", "sigma_map_flag"} else None


@dataclass(frozen=True)
class Residuals:
    """Residuals of stars with their errors and places, in an order that does not depend on that of the table.

    Attributes
    ----------
    x, y
        Place in kpc, (n,).
    delta, err
        Residual and its error in dex, (n,).
    population
        Which one each star belongs to, (n,).
    assumed
        What had to be assumed, in words.
    """

    x: Array
    y: Array
    delta: Array
    err: Array
    population: NDArray[np.int64]
    assumed: str

    @classmethod
    def of(cls, stars: xr.Dataset, solar: SolarFrame, n_min: int, *, where: str) -> "Residuals":
        """Return the stars that have a residual, an error and a place."""
        known = places(stars, ["x_gal", "y_gal"], solar, where=where)
        x, y, delta = known["x_gal"], known["y_gal"], column(stars, "delta_feh")
        has_errors = "delta_feh_err" in stars
        err = column(stars, "delta_feh_err") if has_errors else np.zeros(len(delta))
        member = column(stars, "pop_bin") if "pop_bin" in stars else np.zeros(len(delta))
        if np.any(err < 0):
            raise hven.errors.DataRefusedError(
                f"{int(np.sum(err < 0))} errors of delta_feh are negative", where=where, expected="0 or more",
                hint="Mark missing errors as null, then the star is left out.",
            )  # fmt: skip
        usable = np.isfinite(x) & np.isfinite(y) & np.isfinite(delta) & np.isfinite(err) & (member >= 0)
        if usable.sum() < n_min:
            raise hven.errors.TooFewObjectsError(
                f"{int(usable.sum())} of {len(x)} stars have a residual and a place", where=where,
                expected=f"{n_min} or more", hint="Loosen the selection.",
            )  # fmt: skip
        chosen = np.flatnonzero(usable)
        chosen = chosen[np.argsort((x + np.pi * y + math.e * delta)[chosen], kind="stable")]
        assumed = "nothing" if has_errors else "no errors in delta_feh"
        return cls(x[chosen], y[chosen], delta[chosen], err[chosen], member[chosen].astype(np.int64), assumed)

    @property
    def populations(self) -> NDArray[np.int64]:
        """Those that there are, ascending."""
        return np.unique(self.population)

    def part(self, population: int) -> "Residuals":
        """Return the stars of one population."""
        here = self.population == population
        return Residuals(
            self.x[here], self.y[here], self.delta[here], self.err[here], self.population[here], self.assumed
        )


def mapped(stars: Residuals, grid: Pixels, *, n_min: int, levels: int) -> dict[str, Any]:
    """Return the maps of one population, (ny, nx) each, and their dispersions."""
    pixel = grid.of(stars.x, stars.y)
    inside = pixel >= 0
    count = np.bincount(pixel[inside], minlength=grid.shape[0] * grid.shape[1]).reshape(grid.shape)
    cell, width = merged(count, n_min, levels)
    n_cells = int(cell.max()) + 1
    told = mean_and_scatter(
        stars.delta[inside], stars.err[inside], cell.ravel()[pixel[inside]], n_cells, n_min=n_min
    )  # fmt: skip
    shown = np.isfinite(told.mean_err)
    mean, noise = means_and_noise(stars.delta[inside], cell.ravel()[pixel[inside]], n_cells)
    spread = dispersion(mean[shown], noise[shown])
    sigma, sigma_err = spread.scatter[0], honest_near_zero(spread.scatter, spread.scatter_err)[0]
    if spread.flag[0] == NO_SCATTER:
        sigma, sigma_err = 0.0, limit_of_scatter(mean[shown], noise[shown])
    return {
        "delta_feh": told.mean[cell],
        "delta_feh_err": told.mean_err[cell],
        "sigma_int": told.scatter[cell],
        "sigma_int_err": told.scatter_err[cell],
        "n": told.n[cell],
        "cell_width": np.where(told.n[cell] > 0, width * grid.width, np.nan),
        "flag": told.flag[cell],
        "sigma_map": sigma,
        "sigma_map_err": sigma_err,
        "sigma_map_raw": np.sqrt(np.mean(told.mean[shown] ** 2)) if shown.any() else np.nan,
        "sigma_map_flag": spread.flag[0].replace("stars", "cells"),
        "n_cells": int(shown.sum()),
        "n_stars": int(inside.sum()),
    }


def dispersion(mean: Array, err: Array) -> Told:
    """Return the scatter of cells about zero without their noise, as one group."""
    return mean_and_scatter(mean, err, np.zeros(len(mean), dtype=np.int64), 1, n_min=5, mean=0.0)


def lagged(stars: Residuals, lag_max: float, n_lags: int, *, tiles: int, n_shuffles: int, seed: int) -> dict[str, Any]:
    """Return the two-point function of one population, (n_lags,) each, and its value at zero."""
    edges = np.linspace(0, lag_max, n_lags + 1)
    off = stars.delta - stars.delta.mean()
    low, high = [stars.x.min(), stars.y.min()], [stars.x.max(), stars.y.max()]
    extent = max(high[0] - low[0], high[1] - low[1])
    empty = twopoint.Grid.empty(low, high, max(edges[1] / 6, extent / _FINEST))
    told = twopoint.of_grid(empty.add(stars.x, stars.y, off), edges, tiles)
    null = twopoint.of_shuffled(empty, stars.x, stars.y, off, edges, n_shuffles, seed)
    known = n_shuffles > 1
    n, variance, noise = len(off), float(np.mean(off**2)), float(np.mean(stars.err**2))
    kurtosis = float(np.mean(off**4)) - variance**2
    return {
        "xi": told.value,
        "xi_err": told.err,
        "xi_null_err": null.std(axis=0) if known else np.full(n_lags, np.nan),
        "xi_p": np.array([stats.permutation_p(v, null[:, i], "two-sided") for i, v in enumerate(told.value)]),
        "n_pairs": told.n_pairs,
        "xi_zero": variance - noise,
        "xi_zero_err": np.sqrt(max(kurtosis, 0.0) / n),
        "noise": noise,
    }


def residual_images(maps: xr.Dataset) -> xr.Dataset:
    """Return the maps of `metallicity_maps` as analyses of images take them: one object a population, one band.

    Examples
    --------
    >>> maps = metallicity_maps(residual_stars(2000, seed=1).inputs["stars"], n_shuffles=0)[""]
    >>> residual_images(maps).flux.dims, float(residual_images(maps).pixel_scale[0])
    (('object', 'band', 'y', 'x'), 250.0)
    """
    err = np.asarray(maps["delta_feh_err"].values)
    known = np.isfinite(err) & (err > 0)
    dims = ("object", "band", "y", "x")
    width = 1000 * float(maps.attrs["pixel_kpc"])
    return xr.Dataset(
        {
            "flux": (dims, np.where(known, maps["delta_feh"].values, np.nan)[:, None]),
            "ivar": (dims, np.where(known, 1 / np.where(known, err, 1.0) ** 2, 0.0)[:, None]),
            "pixel_scale": ("object", np.full(len(err), width), {"units": "pc"}),
        },
        {"band": np.array(["delta_feh"], dtype=np.dtypes.StringDType())},
    )


@metallicity_maps.figure
def _figure(result: "dict[str, xr.Dataset]") -> "dict[str, Figure]":
    from hven_plugins.gradients.map_figures import draw_lags, draw_maps

    return {"maps": draw_maps(result[""]), "two_point": draw_lags(result["two_point"])}


@metallicity_maps.mock
def _mock(size: int, seed: int) -> Mock:
    """Return stars whose residuals are those of a smooth field."""
    made = residual_stars(size, seed, patches=0, field=0.05, scale=0.7)
    return Mock({"stars": made.inputs["stars"]}, {"sigma_int": 0.06})
