"""The line of one population, as the values that a result has of it."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import hven
from hven.methods import eiv
from hven.methods.frames import SolarFrame
from hven_plugins.gradients.bearing import reliability
from hven_plugins.gradients.blurring import chances, fit_blurred
from hven_plugins.gradients.populations import Population
from hven_plugins.gradients.sightlines import expected_radii, sightlines

Array = NDArray[np.float64]

FITTED, TOO_FEW, NOT_CONVERGED = "ok", "too few stars", "not converged"
NO_SCATTER = "errors exceed the scatter"
SAME_RADIUS = "all stars at one radius"
ALL_ERROR = "errors exceed the spread of radii"
EXACT = "exactly on a line"
MOST_COMPONENTS = 3
MOST_BINS, _STARS_OF_BIN = 12, 100
_EVEN, _SMALL = 1.3, 0.002
_TURNS = 3

NUMBERS = (
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
PRIOR = ("prior_weight", "prior_mean", "prior_width")


@dataclass(frozen=True)
class Options:
    """How lines are fitted; see `metallicity_gradients`."""

    r_ref: float
    n_components: int | None
    outliers: bool
    vertical: bool
    errors: Literal["information", "hmc"]
    n_min: int
    seed: int
    solar: SolarFrame
    r_range: tuple[float, float] | None = None


def fitted(population: Population, options: Options) -> dict[str, Any]:
    """Return the values of one population, by name of the result variable; NaN where it has no line, and why."""
    stars = population.stars
    unknown = {
        "n_components": 0,
        **dict.fromkeys(NUMBERS, np.nan),
        **{name: np.full((MOST_BINS, MOST_COMPONENTS), np.nan) for name in PRIOR},
        "prior_edge": np.full(MOST_BINS, np.nan),
    }
    row: dict[str, Any] = {"n": len(stars.feh), "fit": TOO_FEW, **unknown}
    if len(stars.feh) < options.n_min:
        return row
    x, y, x_err, y_err = (stars[name].values for name in ("r_gal", "feh", "r_gal_err", "feh_err"))
    if not np.std(x) > 1e-9 * np.abs(x).max():
        return {**row, "fit": SAME_RADIUS}
    if reliability(x, x_err) == 0:
        return {**row, "fit": ALL_ERROR}
    heights = np.abs(stars.z_gal.values) if options.vertical else None
    bins = 1 if options.errors == "hmc" else error_bins(x, x_err)
    components = 1 if bins > 1 and options.n_components is None else options.n_components
    line = eiv.fit(
        x, y, x_err, y_err, x0=options.r_ref, n_components=components, error_bins=bins, outliers=options.outliers,
        covariates=heights, errors=options.errors, seed=options.seed,
    )  # fmt: skip
    prior, line = line, _along_sightlines(population, line, heights, options)
    told = (EXACT if line.is_exact else NO_SCATTER) if line.at_boundary else FITTED
    return {
        **row,
        "n": line.n,
        "n_components": prior.n_components,
        "fit": told if line.converged and prior.converged else NOT_CONVERGED,
        "slope": line.slope,
        "slope_err": line.slope_err,
        "intercept": line.intercept,
        "intercept_err": line.intercept_err,
        "sigma_int": line.sigma_int,
        "sigma_int_err": line.sigma_int_err,
        "slope_intercept_cov": line.cov[0, 1],
        "slope_sigma_int_cov": line.cov[0, 2],
        "intercept_sigma_int_cov": line.cov[1, 2],
        "slope_ols": prior.ols.slope,
        "slope_ols_err": prior.ols.slope_err,
        "intercept_ols": prior.ols.intercept,
        "slope_z": line.coefficients[0] if options.vertical else np.nan,
        "slope_z_err": line.coefficients_err[0] if options.vertical else np.nan,
        "outlier_fraction": line.outlier_fraction,
        "bic": prior.bic,
        **_prior(prior),
    }


def _along_sightlines(population: Population, line: eiv.EivFit, heights: Array | None, options: Options) -> eiv.EivFit:
    """Return the line through the radii that are expected, or `line` where lines of sight do not serve."""
    stars = population.stars
    seen = sightlines(stars, options.solar)
    x, y, x_err, y_err = (stars[name].values for name in ("r_gal", "feh", "r_gal_err", "feh_err"))
    if seen is None or np.median(x_err) ** 2 < _SMALL * np.var(x):
        return line
    mean, variance = expected_radii(seen, r_range=options.r_range)
    for turn in range(_TURNS):
        line = eiv.fit(
            mean, y, None, np.sqrt(y_err**2 + line.slope**2 * variance), x0=options.r_ref, n_components=1,
            outliers=options.outliers, covariates=heights, seed=options.seed,
            errors=options.errors if turn + 1 == _TURNS else "information",
        )  # fmt: skip
    return line


def deblurred(
    rows: list[dict[str, Any]], populations: list[Population], outside: list[Population], options: Options
) -> list[dict[str, Any]]:
    """Return the rows of `fitted` with the lines that errors of the ages, or temperatures, are taken out of.

    Parameters
    ----------
    rows, populations
        Of the populations that are asked for, in ascending order.
    outside
        What lies below and above them, at most one of each: their stars take part, as neighbours.
    options
        Those of `fitted`.
    """
    variable = populations[0].variable
    ordered = sorted([*populations, *outside], key=lambda p: p.low)
    usable: list[Population] = [
        p
        for p in ordered
        if len(p.stars.feh) >= options.n_min
        and np.std(p.stars.r_gal.values) > 1e-9 * np.abs(p.stars.r_gal.values).max()
        and reliability(p.stars.r_gal.values, p.stars.r_gal_err.values) > 0
    ]
    columns = {
        name: np.concatenate([p.stars[name].values for p in usable])
        for name in ("r_gal", "feh", "r_gal_err", "feh_err", variable, f"{variable}_err")
    }
    known = np.isfinite(columns[f"{variable}_err"])
    x, y, x_err, y_err, values, errors = (v[known] for v in columns.values())
    edges = np.array([ordered[0].low, *(p.high for p in ordered)])
    chance = chances(values, errors, edges)
    usable = [p for p, n in zip(ordered, chance.sum(axis=0), strict=True) if p in usable and n >= options.n_min]
    chance = chance[:, [p in usable for p in ordered]]
    told = chance.sum(axis=1) > 0
    chance = chance[told] / chance[told].sum(axis=1, keepdims=True)
    fits = fit_blurred(
        x[told], y[told], x_err[told], y_err[told], chance, x0=options.r_ref, n_components=options.n_components
    )
    out = []
    for row, population in zip(rows, populations, strict=True):
        at = usable.index(population) if population in usable else None
        out.append(row if at is None else {**row, **_of_blurred(fits, at)})
    return out


def _of_blurred(fits: Any, at: int) -> dict[str, Any]:
    line, cov = fits.lines[at], fits.cov[at]
    slope, intercept, scatter = fits.parameters[at]
    slope_err, intercept_err, sigma_err = np.sqrt(np.diag(cov))
    told = NO_SCATTER if line.at_boundary else FITTED
    return {
        "fit": told if fits.converged and line.converged else NOT_CONVERGED,
        "n_components": line.n_components,
        "slope": slope,
        "slope_err": slope_err,
        "intercept": intercept,
        "intercept_err": intercept_err,
        "sigma_int": 0.0 if line.at_boundary else abs(scatter),
        "sigma_int_err": line.sigma_int_err if line.at_boundary else sigma_err,
        "slope_intercept_cov": cov[0, 1],
        "slope_sigma_int_cov": cov[0, 2],
        "intercept_sigma_int_cov": cov[1, 2],
        "bic": np.nan,
        **_prior(line),
    }


def error_bins(r: Array, r_err: Array) -> int:
    """Return in how many bins of their error the radii have a prior of their own: one where errors hardly differ.

    A hundred stars make a bin, twelve bins at most.
    """
    low, high = np.quantile(r_err, [0.1, 0.9])
    if not high > _EVEN * low or np.median(r_err) ** 2 < _SMALL * np.var(r):
        return 1
    return int(np.clip(len(r) // _STARS_OF_BIN, 1, MOST_BINS))


def _prior(line: eiv.EivFit) -> dict[str, Array]:
    """Return the mixtures that the true radii follow, (bins, components), filled up with NaN, and where bins begin."""
    values = (line.prior_weights, line.prior_means, line.prior_widths)
    out = {name: np.full((MOST_BINS, MOST_COMPONENTS), np.nan) for name in PRIOR}
    for name, value in zip(PRIOR, values, strict=True):
        rows = np.atleast_2d(value)
        out[name][: rows.shape[0], : rows.shape[1]] = rows
    edge = np.full(MOST_BINS, np.nan)
    edge[: len(line.error_edges) + 1] = [0.0, *line.error_edges]
    return {**out, "prior_edge": edge}


def refuse_blurring(variable: str, stars: Any, options: Options) -> None:
    """Refuse to take errors of the ages out where there are none, or together with what that does not know of.

    Raises
    ------
    MissingColumnError
        There is no column of errors.
    ParameterError
        There is one population only, or outliers, heights, chains or a cut are asked for as well.
    """
    where = "analysis 'metallicity_gradients'"
    with_cut = options.r_range is not None
    if not variable or options.outliers or options.vertical or options.errors == "hmc" or with_cut:
        raise hven.errors.ParameterError(
            "deblur is asked for with "
            + ("one population only" if not variable else "outliers, vertical, hmc or r_range"),
            where=where,
            expected="populations cut by age or temperature, and none of outliers, vertical, errors='hmc', r_range",
            hint="Give bins or edges, and leave the other options off.",
        )
    if f"{variable}_err" not in stars:
        raise hven.errors.MissingColumnError(
            f"there is no column '{variable}_err' to take errors of {variable} out with", where=where, hint="Bind it."
        )
