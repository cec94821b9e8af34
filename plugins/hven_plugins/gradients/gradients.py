"""The radial metallicity gradient of mono-temperature or mono-age populations, errors in both variables."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import eiv, gather
from hven.methods.frames import SolarFrame, galactocentric
from hven.mocks import Mock, gradient_stars
from hven_plugins.gradients.populations import Population, limits_and_medians, split
from hven_plugins.gradients.profiles import counts_and_medians

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

FITTED, TOO_FEW, NOT_CONVERGED = "ok", "too few stars", "not converged"


@hven.analysis(
    stars=hven.Table(
        feh="dex",
        one_of=[("r_gal", "distance")],
        optional={
            "feh_err": "dex",
            "r_gal_err": "kpc",
            "z_gal": "kpc",
            "ra": "deg",
            "dec": "deg",
            "distance_err": "kpc",
            "teff": "K",
            "age": "Gyr",
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
    },
    references=("2304.02958",),
    version="1",
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
    n_min: Annotated[int, Field(ge=30)] = 50,
    r0: Annotated[float, hven.Unit("kpc"), Field(gt=0)] = 8.122,
    z_sun: Annotated[float, hven.Unit("kpc")] = 0.0208,
) -> xr.Dataset:
    """Radial [Fe/H] gradient of each population, errors in both variables taken into account.

    [Fe/H] = intercept + slope (R - r_ref) [+ slope_z |z|] + N(0, sigma_int^2), with R and [Fe/H] observed with
    Gaussian errors. The true R of the stars follow a mixture of Gaussians that is fitted along and integrated out in
    closed form; errors come from the observed information. `slope_ols` is the least-squares slope of the same stars:
    the errors of R pull it towards zero, by var(R) / (var(R) + e_R^2), and it is there to show by how much.

    All stars are one population unless `bins` or `edges` cut them by age or effective temperature (7500 K is about 1.5
    Gyr on the main sequence, 12,500 K about 0.15 Gyr). Stars with a missing value or error are left out; how many
    stands in the attributes. A column of errors that is not there at all means no errors, which the attribute `assumed`
    tells. For [M/H] bind ``feh`` to it.

    Radii come from ``r_gal``, or from ``ra, dec, distance`` when there is none. Errors of R count as known and as
    independent of the true R; where they grow with distance, the slope keeps a bias of about 1 %.

    The result has one row for each population, from the youngest or coolest, over the dimension ``population``;
    `fit` says 'ok', 'too few stars' (fewer than `n_min`, values null) or 'not converged'. A `sigma_int` of 0 means that
    the errors explain all the scatter; its error is then an upper limit. ``counts`` (stars by R and [Fe/H]) and
    ``feh_median`` (running median) let the figure be drawn without the stars.

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
        Gaussians of the prior of R, 1 to 3; none takes the number with the lowest BIC.
    outliers
        Adds a broad component for stars that do not follow the line, and gives their fraction.
    vertical
        Fits a vertical gradient along, in |z|.
    n_min
        Fewest stars for a population to be fitted.
    r0
        Distance of the Sun from the Galactic centre in kpc, for radii computed here.
    z_sun
        Height of the Sun above the plane in kpc, for radii computed here.

    Raises
    ------
    MissingColumnError
        Populations are asked for and neither age nor teff is there, or `vertical` without heights.
    ParameterError
        The edges do not ascend.
    TooFewObjectsError
        No population has `n_min` stars.
    """
    stars, assumed = located(gather(stars), SolarFrame(r0=r0, z_sun=z_sun), vertical=vertical)
    usable = complete(stars)
    populations = split(stars.isel(object=usable), by=by, bins=bins, edges=edges)
    if not any(len(p.stars.feh) >= n_min for p in populations):
        raise hven.errors.TooFewObjectsError(
            f"no population has {n_min} stars with all values; the largest has "
            f"{max(len(p.stars.feh) for p in populations)}",
            where="analysis 'metallicity_gradients'",
            hint="Loosen the selection, ask for fewer bins, or lower n_min.",
        )
    options: dict[str, Any] = {"r_ref": r_ref, "n_components": n_components, "outliers": outliers}
    rows = [fitted(p, vertical=vertical, n_min=n_min, **options) for p in populations]
    attrs = {
        "population_variable": populations[0].variable,
        "r_ref_kpc": r_ref,
        "assumed": assumed,
        "n_given": stars.sizes["object"],
        "n_incomplete": int(stars.sizes["object"] - usable.sum()),
        "n_outside": int(usable.sum()) - sum(len(p.stars.feh) for p in populations),
        **SolarFrame(r0=r0, z_sun=z_sun).attrs(),
    }
    columns = {name: ("population", np.array([row[name] for row in rows])) for name in rows[0]}
    limits = limits_and_medians(populations)
    return xr.Dataset({**columns, **limits, **counts_and_medians(populations)}, attrs=attrs)


def located(stars: xr.Dataset, solar: SolarFrame, *, vertical: bool) -> tuple[xr.Dataset, str]:
    """Return the stars with r_gal, errors and, when asked for, heights; and in words what had to be assumed."""
    names = ["feh", "r_gal", "feh_err", "r_gal_err", "z_gal", "teff", "age"]
    columns = {n: np.asarray(stars[n].values, dtype=np.float64) for n in names if n in stars}
    if "r_gal" not in columns or (vertical and "z_gal" not in columns):
        for name in ("ra", "dec", "distance"):
            if name not in stars:
                raise hven.errors.MissingColumnError(
                    f"there is no column {name!r} to compute the place in the Galaxy from",
                    where="analysis 'metallicity_gradients'",
                    expected="r_gal (and z_gal for a vertical gradient), or ra, dec and distance",
                    hint="Bind the missing columns.",
                )
        ra, dec, distance = (np.asarray(stars[n].values, dtype=np.float64) for n in ("ra", "dec", "distance"))
        error = np.asarray(stars["distance_err"].values, dtype=np.float64) if "distance_err" in stars else None
        place = galactocentric(ra, dec, distance, error, solar=solar)
        columns.setdefault("z_gal", place.z_gal)
        if "r_gal" not in columns:
            columns["r_gal"] = place.r_gal
            if error is not None:
                columns["r_gal_err"] = place.r_gal_err
    if not vertical:
        columns.pop("z_gal", None)
    without = [name for name in ("r_gal", "feh") if f"{name}_err" not in columns]
    for name in without:
        columns[f"{name}_err"] = np.zeros(stars.sizes["object"])
    assumed = f"no errors in {' and '.join(without)}" if without else "nothing"
    return xr.Dataset({name: ("object", values) for name, values in columns.items()}), assumed


def complete(stars: xr.Dataset) -> NDArray[np.bool_]:
    """Return which stars have all that a fit needs, (n,)."""
    needed = [name for name in stars if name not in {"teff", "age"}]
    return np.asarray(np.logical_and.reduce([np.isfinite(stars[name].values) for name in needed]))


def fitted(
    population: Population, *, r_ref: float, n_components: int | None, outliers: bool, vertical: bool, n_min: int
) -> dict[str, Any]:
    """Return the values of one population, by name of the result variable; NaN where it has too few stars."""
    stars = population.stars
    row: dict[str, Any] = {"n": len(stars.feh), "n_components": 0, "fit": TOO_FEW}
    if len(stars.feh) < n_min:
        return {**row, **dict.fromkeys(_NUMBERS, np.nan)}
    x, y, x_err, y_err = (stars[name].values for name in ("r_gal", "feh", "r_gal_err", "feh_err"))
    heights = np.abs(stars.z_gal.values) if vertical else None
    line = eiv.fit(
        x, y, x_err, y_err, x0=r_ref, n_components=n_components, outliers=outliers, covariates=heights
    )  # fmt: skip
    return {
        "n": line.n,
        "n_components": line.n_components,
        "fit": FITTED if line.converged else NOT_CONVERGED,
        "slope": line.slope,
        "slope_err": line.slope_err,
        "intercept": line.intercept,
        "intercept_err": line.intercept_err,
        "sigma_int": line.sigma_int,
        "sigma_int_err": line.sigma_int_err,
        "slope_intercept_cov": line.cov[0, 1],
        "slope_sigma_int_cov": line.cov[0, 2],
        "intercept_sigma_int_cov": line.cov[1, 2],
        "slope_ols": line.ols.slope,
        "slope_ols_err": line.ols.slope_err,
        "intercept_ols": line.ols.intercept,
        "slope_z": line.coefficients[0] if vertical else np.nan,
        "slope_z_err": line.coefficients_err[0] if vertical else np.nan,
        "outlier_fraction": line.outlier_fraction,
        "bic": line.bic,
    }


_NUMBERS = (
    "slope",
    "slope_err",
    "intercept",
    "intercept_err",
    "sigma_int",
    "sigma_int_err",
    "slope_intercept_cov",
    "slope_sigma_int_cov",
    "intercept_sigma_int_cov",
    "slope_ols",
    "slope_ols_err",
    "intercept_ols",
    "slope_z",
    "slope_z_err",
    "outlier_fraction",
    "bic",
)


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
