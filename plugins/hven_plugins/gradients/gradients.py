"""The radial metallicity gradient of mono-temperature or mono-age populations, errors in both variables."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import caveats, gather
from hven.methods.frames import SolarFrame
from hven.mocks import Mock, gradient_stars
from hven_plugins.gradients.bearing import caveats_of_lines, caveats_of_stars
from hven_plugins.gradients.lines import Options, deblurred, fitted, refuse_blurring
from hven_plugins.gradients.places import COLUMNS, places
from hven_plugins.gradients.populations import Population, limits_and_medians, split
from hven_plugins.gradients.profiles import counts_and_medians
from hven_plugins.gradients.sightlines import sightlines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WHERE = "analysis 'metallicity_gradients'"


@hven.analysis(
    stars=hven.Table(
        feh="dex",
        one_of=[("r_gal", "distance")],
        optional={
            "feh_err": "dex",
            **COLUMNS,
            "teff": "K",
            "teff_err": "K",
            "age": "Gyr",
            "age_err": "Gyr",
        },
    ),
    produces={
        "slope": "dex/kpc",
        "slope_err": "dex/kpc",
        "intercept": "dex",
        "intercept_err": "dex",
        "sigma_int": "dex",
        "sigma_int_err": "dex",
        "slope_intercept_cov": "dex2/kpc",
        "slope_sigma_int_cov": "dex2/kpc",
        "intercept_sigma_int_cov": "dex2",
        "slope_ols": "dex/kpc",
        "slope_ols_err": "dex/kpc",
        "intercept_ols": "dex",
        "slope_z": "dex/kpc",
        "slope_z_err": "dex/kpc",
        "outlier_fraction": "",
        "n": "",
        "n_components": "",
        "bic": "",
        "fit": "",
        "teff_low": "K",
        "teff_median": "K",
        "teff_high": "K",
        "age_low": "Gyr",
        "age_median": "Gyr",
        "age_high": "Gyr",
        "counts": "",
        "feh_median": "dex",
        "feh_median_err": "dex",
        "r_ref": "kpc",
        "prior_weight": "",
        "prior_mean": "kpc",
        "prior_width": "kpc",
        "prior_edge": "kpc",
    },
    references=("2304.02958",),
    version="4",
    min_objects="n_min",
)
def metallicity_gradients(
    stars: xr.Dataset,
    *,
    bins: Annotated[int, Field(ge=1, le=100)] = 1,
    by: Literal["auto", "age", "teff"] = "auto",
    edges: list[float] | None = None,
    r_ref: Annotated[float, hven.Unit("kpc")] = 8.122,
    n_components: Annotated[int | None, Field(ge=1, le=3)] = None,
    outliers: bool = False,
    vertical: bool = False,
    z_max: Annotated[float | None, hven.Unit("kpc"), Field(gt=0)] = None,
    r_range: list[float] | None = None,
    deblur: bool = False,
    errors: Literal["information", "hmc"] = "information",
    n_min: Annotated[int, Field(ge=30)] = 50,
    r0: Annotated[float, hven.Unit("kpc"), Field(gt=0)] = 8.122,
    z_sun: Annotated[float, hven.Unit("kpc")] = 0.0208,
    seed: int = 0,
) -> xr.Dataset:
    """Radial [Fe/H] gradient of each population, errors in both variables taken into account.

    [Fe/H] = intercept + slope (R - r_ref) [+ slope_z |z|] + N(0, sigma_int^2), with R and [Fe/H] observed with
    Gaussian errors. The true R of the stars follow a mixture of Gaussians that is fitted along and integrated out in
    closed form, one in each bin of `r_gal_err` where errors differ (they grow with distance, and with it say where a
    star is); errors come from the observed information. `slope_ols` is the least-squares slope of the same stars:
    the errors of R pull it towards zero, by var(R) / (var(R) + e_R^2), and it is there to show by how much.

    All stars are one population unless `bins` or `edges` cut them by age or effective temperature (7500 K is about 1.5
    Gyr on the main sequence, 12,500 K about 0.15 Gyr). Stars with a missing value or error are left out; how many
    stands in the attributes. A column of errors that is not there at all means no errors, which is a caveat. For
    [M/H] bind ``feh`` to it.

    Radii come from ``r_gal``, or from ``ra, dec, distance`` when there is none. Errors of a bound ``r_gal`` count as
    known. Where they are computed from the observed distance the slope keeps a bias: -.0601, -.0611 and -.0626 for a
    truth of -.060 with distances good to 10, 20 and 30 %. Bind ``ra, dec, distance, distance_err`` instead of
    ``r_gal``, and errors count as those of the true distance, of which the density is deconvolved along the lines of
    sight: -.0600, -.0599 and -.0598 for the same stars, 68 % intervals covering .62 (3,000 stars, 16 samples); -.0602
    and -.0604 with .44 and .38 where the errors themselves vary by 40 % from star to star. What breaks this: errors
    computed at the true distance (-.0591 and -.0584 at 20 and 30 %), distances with lognormal errors (-.0588 and
    -.0574). Errors that grow faster than the distance, as those of inverted parallaxes, are taken as with ``r_gal``,
    and a caveat says so.

    Cuts on the observed radius go into `r_range`: -.0596 and -.0588 for 5 to 14 kpc with distances good to 10 and 30 %,
    -.0603 and -.0637 without it. Errors of the slope are then 20 to 25 % too small: 68 % intervals cover .50 and .38.

    Errors of the age (or temperature) mix neighbouring populations and flatten the trend of their gradients. `deblur`
    takes this into account: each star belongs to all populations, with the chances that follow from its error and from
    the distribution of the true ages (itself deconvolved), and all lines are fitted together. Stars beyond the outer
    edges take part as neighbours.

    The result has one row for each population, from the youngest or coolest, over the dimension ``population``;
    `fit` says 'ok'; 'too few stars' (fewer than `n_min`), 'all stars at one radius' or 'errors exceed the spread of
    radii' (values null); 'not converged'; 'errors exceed the scatter': `sigma_int` is then 0, and its error an upper
    limit; or 'exactly on a line', without errors or scatter: errors are then those of rounding. ``counts`` (stars by R
    and [Fe/H]) and ``feh_median`` (running median) let the figure be drawn without the stars. ``prior_weight``,
    ``prior_mean`` and ``prior_width`` are the mixtures that the true radii follow, for `metallicity_residuals`: one for
    each bin of the error, which begins at ``prior_edge``.

    What bears the answer badly is a caveat of the result, with its numbers: nine in ten stars within 1 kpc of radius;
    errors of R that make up more than 30 % of their variance; errors that are zero, codes for a missing one, or larger
    than the scatter; stars that are left out or repeat each other.

    The hot stars of the paper: ``edges=[7500, 8500, 9500, 10500, 11500, 12500]``, ``z_max=0.15``. Its exact bins are
    not known here.

    Parameters
    ----------
    bins
        How many populations of equal numbers of stars.
    by
        What cuts the populations; 'auto' takes age if it is there, else teff.
    edges
        Edges of the populations in Gyr or K, ascending, instead of `bins`; stars outside are left out.
    r_ref
        Radius in kpc at which the intercept is given.
    n_components
        Gaussians of the prior of R, 1 to 3; none takes one in each bin of the error, or without bins the number with
        the lowest BIC.
    outliers
        Adds a broad component for stars that do not follow the line, and gives their fraction.
    vertical
        Fits a vertical gradient along, in |z|.
    z_max
        Leaves out stars farther from the plane, if given.
    r_range
        Lowest and highest observed radius in kpc that the stars were selected by, as with a ``where`` that cuts on
        ``r_gal``; needs ``ra, dec, distance, distance_err``.
    deblur
        Takes errors of the age or temperature into account, ``age_err`` or ``teff_err``. All radii then have one prior
        whatever their errors: where errors grow with distance, slopes come out too steep by some per cent.
    errors
        'information' takes errors from the observed information, 'hmc' from the posterior, sampled; the latter takes
        minutes and holds where the likelihood is not Gaussian. Values are those of maximum likelihood either way.
    n_min
        Fewest stars for a population to be fitted.
    r0
        Distance of the Sun from the Galactic centre in kpc, for radii computed here.
    z_sun
        Height of the Sun above the plane in kpc, for radii computed here.
    seed
        Of the chains.

    Raises
    ------
    MissingColumnError
        Populations are asked for and neither age nor teff is there; `vertical` or `z_max` without heights; `deblur`
        without errors.
    ParameterError
        The edges do not ascend, `r_range` is no range or comes without lines of sight, or `deblur` comes with one
        population, outliers, heights, chains or `r_range`.
    DataRefusedError
        An error is negative.
    TooFewObjectsError
        No population has `n_min` stars.
    """
    solar = SolarFrame(r0=r0, z_sun=z_sun)
    stars, assumed = located(gather(stars), solar, needs_height=vertical or z_max is not None)
    usable = complete(stars)
    flat = stars.isel(object=np.flatnonzero(usable if z_max is None else usable & (abs(stars.z_gal.values) < z_max)))
    populations = split(flat, by=by, bins=bins, edges=edges)
    if not any(len(p.stars.feh) >= n_min for p in populations):
        raise hven.errors.TooFewObjectsError(
            f"no population has {n_min} stars with all values; the largest has "
            f"{max(len(p.stars.feh) for p in populations)}",
            where=_WHERE,
            hint="Loosen the selection, ask for fewer bins, or lower n_min.",
        )
    options = Options(
        r_ref, n_components, outliers, vertical, errors, n_min, seed, solar, r_range=cut_of(r_range, flat, solar)
    )  # fmt: skip
    variable = populations[0].variable
    if deblur:
        refuse_blurring(variable, flat, options)
    rows = [fitted(p, options) for p in populations]
    if deblur:
        rows = deblurred(rows, populations, beyond(flat, populations), options)
    n_inside = sum(len(p.stars.feh) for p in populations)
    attrs = {
        "population_variable": variable,
        "r_ref_kpc": r_ref,
        **({} if z_max is None else {"z_max_kpc": z_max}),
        "assumed": assumed,
        "n_given": stars.sizes["object"],
        "n_incomplete": int(stars.sizes["object"] - usable.sum()),
        "n_high": int(usable.sum()) - flat.sizes["object"],
        "n_outside": flat.sizes["object"] - n_inside,
        **solar.attrs(),
    }
    columns: dict[str, Any] = {}
    for name, value in rows[0].items():
        dims = ("population", "error_bin", "component")[: 1 + np.ndim(value)]
        columns[name] = (dims, np.array([row[name] for row in rows]))
    columns["r_ref"] = ("population", np.full(len(rows), r_ref))
    result = xr.Dataset({**columns, **limits_and_medians(populations), **counts_and_medians(populations)}, attrs=attrs)
    texts = caveats_of_stars(stars, int(usable.sum()), assumed) + caveats_of_lines(populations, rows)
    if "distance_err" in flat and sightlines(flat, solar) is None:
        texts.append(
            "Errors of distance grow faster than the distance, or some are not above zero: errors of the radius count"
            " as known, which biases the gradient where they are large."
        )
    return caveats.with_caveats(result, texts)


def located(stars: xr.Dataset, solar: SolarFrame, *, needs_height: bool) -> tuple[xr.Dataset, str]:
    """Return the stars with r_gal, errors and, when asked for, heights; and in words what had to be assumed."""
    kept = [n for n in ("feh", "feh_err", "teff", "teff_err", "age", "age_err") if n in stars]
    columns = {name: np.asarray(stars[name].values, dtype=np.float64) for name in kept}
    names = ["r_gal", "z_gal"] if needs_height else ["r_gal"]
    columns |= places(stars, names, solar, where=_WHERE)
    without = [name for name in ("r_gal", "feh") if f"{name}_err" not in columns]
    for name in without:
        columns[f"{name}_err"] = np.zeros(stars.sizes["object"])
    assumed = f"no errors in {' and '.join(without)}" if without else "nothing"
    if "r_gal" not in stars and "distance_err" in stars:
        columns |= {n: np.asarray(stars[n].values, dtype=np.float64) for n in ("ra", "dec", "distance", "distance_err")}
    return xr.Dataset({name: ("object", values) for name, values in columns.items()}), assumed


def cut_of(r_range: list[float] | None, stars: xr.Dataset, solar: SolarFrame) -> tuple[float, float] | None:
    """Return the range of observed radii that stars were selected by.

    Raises
    ------
    ParameterError
        It is no range of radii, or the stars have no lines of sight that serve.
    """
    if r_range is None:
        return None
    if len(r_range) != 2 or not 0 <= r_range[0] < r_range[1]:
        raise hven.errors.ParameterError(
            f"r_range is {r_range}", where=_WHERE, expected="a lowest and a highest radius in kpc",
            hint="Give it as [5, 14].",
        )  # fmt: skip
    if sightlines(stars, solar) is None:
        raise hven.errors.ParameterError(
            "r_range is given for stars without lines of sight", where=_WHERE,
            expected="ra, dec, distance and distance_err without r_gal, errors that grow no faster than the distance",
            hint="Bind these columns, or leave r_range away.",
        )  # fmt: skip
    return r_range[0], r_range[1]


def complete(stars: xr.Dataset) -> NDArray[np.bool_]:
    """Return which stars have all that a fit needs, (n,)."""
    needed = [name for name in stars if name not in {"teff", "teff_err", "age", "age_err"}]
    return np.asarray(np.logical_and.reduce([np.isfinite(stars[name].values) for name in needed]))


def beyond(stars: xr.Dataset, populations: list[Population]) -> list[Population]:
    """Return what lies below and above all populations, as one more of each where there are stars."""
    variable = populations[0].variable
    values = stars[variable].values
    low, high = populations[0].low, populations[-1].high
    parts = []
    if np.any(values < low):
        parts.append(Population(variable, float(np.nanmin(values)), low, stars.isel(object=values < low)))
    if np.any(values >= high):
        top = float(np.nextafter(np.nanmax(values), np.inf))
        parts.append(Population(variable, high, top, stars.isel(object=values >= high)))
    return [part for part in parts if part.high > part.low]


@metallicity_gradients.figure
def _figure(result: xr.Dataset) -> "dict[str, Figure]":
    from hven_plugins.gradients.figures import draw_populations, draw_trend

    figures = {"populations": draw_populations(result)}
    if result.sizes["population"] > 1:
        figures["trend"] = draw_trend(result)
    return figures


@metallicity_gradients.mock
def _mock(size: int, seed: int) -> Mock:
    return gradient_stars(size, seed)
