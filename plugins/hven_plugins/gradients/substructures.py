"""Patches of metal-poor stars in the disc, found in the residuals of its gradient."""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import caveats, gather, gp, stats
from hven.methods.frames import SolarFrame
from hven.mocks import Mock, residual_stars
from hven_plugins.gradients.bearing import caveats_of_residuals
from hven_plugins.gradients.cells import Pixels
from hven_plugins.gradients.controls import Compared, compare, permutation_values
from hven_plugins.gradients.evidence import Evidence, Smoothing, Stars, Use, along, detector
from hven_plugins.gradients.maps import missing
from hven_plugins.gradients.places import COLUMNS, column, places

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_WHERE = "analysis 'metallicity_substructures'"
_UNEVEN = 1.4
_BINS = np.arange(-0.6, 0.6001, 0.03)

UNITS = {
    "x_gal": "kpc",
    "y_gal": "kpc",
    "r_gal": "kpc",
    "phi_gal": "rad",
    "area": "kpc2",
    "n": "",
    "n_controls": "",
    "z_score": "",
    "mean_z": "",
    "scatter_z": "",
    "p": "",
    "q": "",
    "is_found": "",
    "mean": "dex",
    "sigma_int": "dex",
    "sigma_int_controls": "dex",
    "fraction": "",
    "fraction_controls": "",
    "fraction_p": "",
    "ks_p": "",
    "ad_p": "",
    "permutation_p": "",
}


@hven.analysis(
    stars=hven.Table(
        delta_feh="dex",
        one_of=[("r_gal", "distance")],
        optional={"delta_feh_err": "dex", "feh_err": "dex", "pop_bin": "", **COLUMNS},
    ),
    produces={
        "": UNITS,
        "map": {
            "evidence": "",
            "mean_z": "",
            "scatter_z": "",
            "mean": "dex",
            "mean_err": "dex",
            "field": "dex",
            "n": "",
            "patch": "",
            "histogram": "",
            "controls": "",
            "field_amplitude": "dex",
            "field_scale": "kpc",
        },
    },
    references=("2304.02958",),
    version="1",
    min_objects="n_min",
)
def metallicity_substructures(
    stars: xr.Dataset,
    *,
    population: int | None = None,
    radius: Annotated[float, hven.Unit("kpc"), Field(gt=0)] = 0.4,
    pixel: Annotated[float, hven.Unit("kpc"), Field(gt=0)] = 0.2,
    n_min: Annotated[int, Field(ge=3)] = 10,
    threshold: Annotated[float, Field(gt=0)] = 3.0,
    fdr: Annotated[float, Field(gt=0, lt=1)] = 0.05,
    smoothing: Smoothing = "gp",
    use: Use = "both",
    metal_poor: Annotated[float, hven.Unit("dex")] = -0.15,
    ring: Annotated[float, hven.Unit("kpc"), Field(gt=0)] = 0.5,
    n_permutations: Annotated[int, Field(ge=0, le=10_000)] = 99,
    r0: Annotated[float, hven.Unit("kpc"), Field(gt=0)] = 8.122,
    z_sun: Annotated[float, hven.Unit("kpc")] = 0.0208,
    seed: int = 0,
) -> dict[str, xr.Dataset]:
    """Metal-poor substructures of the disc, with false-discovery control and controls at the same radius.

    The stars bring the residuals of `metallicity_residuals`. Their map is correlated without any substructure: a
    smoothed map is below its noise in half of its pixels. With ``smoothing="gp"`` the map is a Gaussian process, its
    amplitude and scale learned from the map itself, and a patch of the Gaussian profile of width `radius` is sought
    with the linear filter that is best against field and noise together. ``smoothing="gaussian"`` divides the smoothed
    map by the noise alone, as if there was no field: the failing baseline.

    A patch where only some of the stars are metal-poor differs from a trough of the field in its scatter, which is
    larger than at other places of the same radius. With ``use="both"`` the evidence is (z of the deficit + z of the
    excess of scatter) / sqrt 2, and with ``use="mean"`` that of the deficit alone; negative means metal-poor. Errors of
    the radius move stars along slopes of the field, which adds scatter; this is taken into account where ``r_gal_err``
    is bound (or ``distance_err``), and exactly where ``feh_err`` is as well.

    Candidates are the minima below minus `threshold` that are farther from each other than 3 times `radius`, with the
    pixels below it around them. ``q`` is the false-discovery rate of Benjamini and Hochberg over all pixels of the map
    at which a candidate's strongest pixel is rejected; ``is_found`` says that it is at most `fdr`. Beside stand
    comparisons with the stars at the same radii outside of all candidates: ``mean`` (difference), intrinsic scatters
    about the field, fractions of metal-poor stars with a binomial p-value, Kolmogorov-Smirnov and Anderson-Darling
    p-values. They know of no field, and where there is one they are small anywhere. ``permutation_p`` comes from
    turning the rings of width `ring` against each other: it keeps what hangs together along a ring, and is careful
    rather than sharp.

    What breaks it: a scatter that differs with azimuth counts as patches. Where it does by 15 and 30 %, 3.5 and 5 false
    ones are found in a disc of 20,000 stars, and 2 where errors are overestimated by 30 %. A caveat says so in 5, 6 and
    4 of 6 discs, in none of 6 without, and in 4 of 6 with five true patches. Wholly metal-poor patches pass
    for the field: of five of -0.12 dex 2.3 are found.

    The result has a row for each candidate, from the strongest; part ``map`` has the evidence, the field, which
    candidate a pixel belongs to (``patch``, -1 for none) and histograms of residuals of candidates and controls.

    Parameters
    ----------
    population
        Row of the gradients (``pop_bin``) whose stars are taken; all by default.
    radius
        Width of the profile of a patch, as a standard deviation in kpc.
    pixel
        Width of a pixel in kpc; half of `radius` or less.
    n_min
        Fewest stars of a pixel that counts.
    threshold
        Of candidates, in standard deviations.
    fdr
        False-discovery rate at which candidates count as found.
    smoothing, use
        How the map is smoothed, and whether the scatter counts.
    metal_poor
        Residual below which a star is metal-poor, for the fractions.
    ring
        Width of the rings that are turned, in kpc.
    n_permutations
        How often they are.
    r0, z_sun
        Where the Sun is in kpc, for places computed here.
    seed
        Of the permutations.

    Raises
    ------
    TooFewObjectsError
        Fewer than ten pixels have `n_min` stars.
    TooMuchDataError
        The map has more than 6000 pixels.
    DataRefusedError
        An error is negative, or the residuals do not vary.
    """
    from scipy.special import ndtr

    solar = SolarFrame(r0=r0, z_sun=z_sun)
    held = gather(stars)
    if population is not None and "pop_bin" in held:
        held = held.isel(object=np.flatnonzero(column(held, "pop_bin") == population))
    table, grid = on_pixels(held, solar, pixel, n_min)
    n = int(table.pixel.max()) + 1
    count = table.sums(np.ones(len(table.x)), n)
    at = table.sums(table.x, n) / count, table.sums(table.y, n) / count
    made = detector(table, n, at, radius=radius, smoothing=smoothing, use=use, seed=seed)
    told = made.evidence(table, at)
    where = np.full(grid.shape[0] * grid.shape[1], -1)
    where[grid.of(*at)] = np.arange(n)
    patch, peaks = candidates(told, threshold, radius)
    p = ndtr(told.z)
    adjusted = stats.benjamini_hochberg(p, fdr).adjusted
    turned_p = permutation_values(
        made, table, at, told.z[peaks], peaks, ring=ring, n_permutations=n_permutations, seed=seed
    )
    off = table.delta - along(table, at, told.field, made.process)
    rows, bars = _rows(table, off, told, patch, peaks, grid, metal_poor=metal_poor)
    columns = {name: np.array([row[name] for row in rows], dtype=_dtype(name)) for name in UNITS if name in _OF_ROWS}
    columns |= {"p": p[peaks], "q": adjusted[peaks], "is_found": adjusted[peaks] <= fdr, "permutation_p": turned_p}
    attrs = {
        "assumed": table.assumed, "metal_poor": metal_poor, "radius_kpc": radius, "pixel_kpc": grid.width,
        **solar.attrs(),
    }  # fmt: skip
    result = xr.Dataset({name: ("patch", columns[name]) for name in UNITS}, attrs=attrs)
    texts = caveats_of_residuals(table, held.sizes["object"], missing(held))
    if use == "both" and len(peaks):
        texts += _of_uneven_scatter(told)
    return {"": caveats.with_caveats(result, texts), "map": _map(told, patch, count, grid, where, bars, attrs)}


def _of_uneven_scatter(told: Evidence) -> list[str]:
    """Return a caveat where the scatter differs from place to place more than stars by chance, and than patches do.

    Patches only raise it, so that places of less scatter than elsewhere at their radius tell.
    """
    below = told.scatter_z[told.scatter_z < 0]
    seen = float(np.sqrt(np.mean(below**2))) if len(below) else 0.0
    if seen < _UNEVEN:
        return []
    text = (
        f"The scatter of stars differs from place to place by {seen:.1f} times what chance gives: candidates may be "
        "places of larger scatter, or of misjudged errors, and not of metal-poor stars; use='mean' ignores the scatter."
    )
    return [text]


_OF_ROWS = {"x_gal", "y_gal", "r_gal", "phi_gal", "area", "z_score", "mean_z", "scatter_z", *Compared._fields}


def _dtype(name: str) -> Any:
    return np.int64 if name in {"n", "n_controls"} else np.float64


def on_pixels(stars: xr.Dataset, solar: SolarFrame, width: float, n_min: int) -> tuple[Stars, Pixels]:
    """Return the stars that have a residual and a place, in pixels with enough of them."""
    known = places(stars, ["r_gal", "x_gal", "y_gal"], solar, where=_WHERE)
    x, y, delta = known["x_gal"], known["y_gal"], column(stars, "delta_feh")
    err = column(stars, "delta_feh_err") if "delta_feh_err" in stars else np.zeros(len(x))
    r_err = np.nan_to_num(known.get("r_gal_err", np.zeros(len(x))))
    by_radius = np.zeros(len(x))
    if "feh_err" in stars and "delta_feh_err" in stars:
        # metallicity falls outwards: an error that moves a star outwards lowers what the line expects of it
        by_radius = -np.sqrt(np.maximum(np.nan_to_num(err**2 - column(stars, "feh_err") ** 2), 0.0))
    usable = np.isfinite(x) & np.isfinite(y) & np.isfinite(delta) & np.isfinite(err)
    if np.any(err[usable] < 0):
        raise hven.errors.DataRefusedError(
            "errors of delta_feh are negative", where=_WHERE, expected="0 or more",
            hint="Mark missing errors as null, then the star is left out.",
        )  # fmt: skip
    columns = np.column_stack([x, y, delta, err, r_err, by_radius])[usable]
    columns = columns[np.lexsort(columns.T)]
    if len(columns) and not np.ptp(columns[:, 2]) > 0:
        raise hven.errors.DataRefusedError(
            "all residuals are equal", where=_WHERE, expected="values that vary", hint="Bind another column."
        )
    grid, pixel = None, np.empty(0, dtype=np.int64)
    if len(columns):
        grid = Pixels.around(columns[:, 0], columns[:, 1], width)
        pixel = grid.of(columns[:, 0], columns[:, 1])
        count = np.bincount(pixel[pixel >= 0], minlength=grid.shape[0] * grid.shape[1])
        number = np.where(count >= n_min, np.cumsum(count >= n_min) - 1, -1)
        pixel = np.where(pixel >= 0, number[pixel], -1)
    if grid is None or pixel.max(initial=-1) < 9:
        raise hven.errors.TooFewObjectsError(
            f"{pixel.max(initial=-1) + 1} pixels have {n_min} stars with a residual and a place", where=_WHERE,
            expected="10 or more", hint="Loosen the selection, take larger pixels, or lower n_min.",
        )  # fmt: skip
    if pixel.max() >= gp.MOST:
        raise hven.errors.TooMuchDataError(
            f"the map has {pixel.max() + 1} pixels with {n_min} stars", where=_WHERE,
            expected=f"at most {gp.MOST}", hint="Take larger pixels, or select a smaller part of the disc.",
        )  # fmt: skip
    assumed = "nothing" if "delta_feh_err" in stars else "no errors in delta_feh"
    names = ("x", "y", "delta", "err", "r_err", "by_radius")
    return Stars(pixel=pixel, assumed=assumed, **dict(zip(names, columns.T, strict=True))), grid


def candidates(told: Evidence, threshold: float, radius: float) -> tuple[Integers, Integers]:
    """Return the candidate of each pixel (m,), -1 for none, and the strongest pixel of each candidate.

    Parameters
    ----------
    told
        Evidence of m pixels.
    threshold
        Pixels below minus this make candidates.
    radius
        Of a patch: minima less than 3 radii apart are one.
    """
    peaks: list[int] = []
    low = np.flatnonzero(told.z < -threshold)
    for i in low[np.argsort(told.z[low])]:
        if all(np.hypot(told.x[i] - told.x[p], told.y[i] - told.y[p]) > 3 * radius for p in peaks):
            peaks.append(int(i))
    chosen, patch = np.array(peaks, dtype=np.int64), np.full(len(told.z), -1)
    if peaks:
        apart = np.hypot(told.x[low, None] - told.x[chosen], told.y[low, None] - told.y[chosen])
        patch[low] = np.argmin(apart, axis=1)
    return patch, chosen


def _rows(
    stars: Stars, off: Array, told: Evidence, patch: Integers, peaks: Integers, grid: Pixels, *, metal_poor: float
) -> tuple[list[dict[str, Any]], tuple[Array, Array]]:
    """Return a row for each candidate, and histograms of the residuals of candidates and controls."""
    of_star = np.where(stars.pixel >= 0, patch[np.maximum(stars.pixel, 0)], -2)
    distance = np.hypot(stars.x, stars.y)
    rows, bars = [], np.zeros((2, len(peaks), len(_BINS) - 1), dtype=np.int64)
    for k, peak in enumerate(peaks):
        inside, pixels = of_star == k, np.flatnonzero(patch == k)
        low, high = distance[inside].min(), distance[inside].max()
        controls = (of_star == -1) & (distance >= low) & (distance <= high)
        weight = -told.z[pixels]
        x, y = np.average(told.x[pixels], weights=weight), np.average(told.y[pixels], weights=weight)
        place = {
            "x_gal": x,
            "y_gal": y,
            "r_gal": np.hypot(x, y),
            "phi_gal": np.mod(np.arctan2(y, x), 2 * np.pi),
            "area": len(pixels) * grid.width**2,
        }
        score = {"z_score": told.z[peak], "mean_z": told.mean_z[peak], "scatter_z": told.scatter_z[peak]}
        compared = compare(stars.delta, off, stars.err, inside, controls, metal_poor)
        rows.append({**place, **score, **compared._asdict()})
        bars[:, k] = [np.histogram(stars.delta[which], _BINS)[0] for which in (inside, controls)]
    return rows, (bars[0], bars[1])


def _map(
    told: Evidence, patch: Integers, count: Array, grid: Pixels, where: Integers, bars: tuple[Array, Array], attrs: Any
) -> xr.Dataset:
    def spread(values: Any, nothing: Any) -> Any:
        full = np.full(len(where), nothing, dtype=np.asarray(values).dtype)
        full[where >= 0] = np.asarray(values)[where[where >= 0]]
        return ("y", "x"), full.reshape(grid.shape)

    planes = {
        "evidence": told.z,
        "mean_z": told.mean_z,
        "scatter_z": told.scatter_z,
        "mean": told.mean,
        "mean_err": told.mean_err,
        "field": told.field,
    }
    x, y = grid.centres()
    kpc = {"units": "kpc"}
    middle = (_BINS[1:] + _BINS[:-1]) / 2
    return xr.Dataset(
        {
            **{name: spread(values, np.nan) for name, values in planes.items()},
            "n": spread(count.astype(np.int64), 0),
            "patch": spread(patch, -1),
            "histogram": (("candidate", "delta_bin"), bars[0]),
            "controls": (("candidate", "delta_bin"), bars[1]),
            "field_amplitude": told.amplitude,
            "field_scale": told.scale,
        },
        {"y": ("y", y, kpc), "x": ("x", x, kpc), "delta_bin": ("delta_bin", middle, {"units": "dex"})},
        attrs,
    )


@metallicity_substructures.figure
def _figure(result: "dict[str, xr.Dataset]") -> "Figure":
    from hven_plugins.gradients.map_figures import draw_substructures

    return draw_substructures(result[""], result["map"])


@metallicity_substructures.mock
def _mock(size: int, seed: int) -> Mock:
    """Return stars with five patches in a correlated field."""
    return Mock({"stars": residual_stars(size, seed).inputs["stars"]}, {})
