"""Predicted correlations of elements: of gas and young stars, at a lag, and as power spectra."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import xarray as xr
from pydantic import Field as Range

import hven
from hven.mocks import Mock
from hven_plugins.abundances.channels import Channels, default_channels
from hven_plugins.abundances.diffusion import (
    PC_PER_MYR,
    Drift,
    Field,
    Physics,
    covariance_at_lags,
    cross_power,
    field_of,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Positive = Range(gt=0)
NotNegative = Range(ge=0)

VARIATIONS = (
    ("kappa x 3", "kappa", 3.0),
    ("kappa / 3", "kappa", 1 / 3),
    ("sigma_v x 3", "sigma_v", 3.0),
    ("sigma_v / 3", "sigma_v", 1 / 3),
    ("l_corr x 2", "l_corr", 2.0),
    ("l_corr / 2", "l_corr", 0.5),
)
"""By how much the least known parameters are varied, for bands around a prediction."""

CHANNEL_COLUMNS: dict[str, Any] = {
    "element": None,
    "f_cc": "",
    "t_cc": "Myr",
    "f_agb": "",
    "t_agb": "Myr",
    "f_ia": "",
    "t_ia": "Myr",
}
R_COLUMNS = {"f_r": "", "t_r": "Myr"}


@hven.analysis(
    channels=hven.Table(optional=R_COLUMNS, **CHANNEL_COLUMNS),
    produces={
        "correlation_model": "",
        "correlation_stars": "",
        "correlation_gas": "",
        "covariance_model": "",
        "correlation_varied": "",
        "sigma": "dex",
        "main_channel": "",
        "lag_correlation": "",
        "power": "pc2",
    },
    references=("2507.14572",),
    version="1",
)
def abundance_correlation_prediction(
    channels: xr.Dataset,
    *,
    l_corr: Annotated[float, hven.Unit("pc"), Positive] = 1000.0,
    scale_height: Annotated[float, hven.Unit("pc"), Positive] = 150.0,
    sigma_gas: Annotated[float, hven.Unit("km/s"), Positive] = 7.0,
    sigma_v: Annotated[float, hven.Unit("km/s"), NotNegative] = 2.0,
    sigma_cc: Annotated[float, hven.Unit("pc"), Positive] = 60.0,
    sigma_agb: Annotated[float, hven.Unit("pc"), Positive] = 2.0,
    sigma_ia: Annotated[float, hven.Unit("pc"), Positive] = 60.0,
    sigma_r: Annotated[float, hven.Unit("pc"), Positive] = 60.0,
    weight_variance: Annotated[float, NotNegative] = 120.0,
    rate: Annotated[float, hven.Unit("1/(Myr pc2)"), Positive] = 3e-6,
    returned: Annotated[float, Range(ge=0, lt=1)] = 0.0,
    drift: Drift = "isotropic",
    delays: Literal["single", "distribution"] = "single",
    cc_dex: Annotated[float, NotNegative] = 0.2,
    agb_dex: Annotated[float, NotNegative] = 0.3,
    star_err: Annotated[float, hven.Unit("dex"), NotNegative] = 0.03,
    beam_fwhm: Annotated[float, hven.Unit("pc"), NotNegative] = 20.0,
    f_gas: Annotated[float, Range(ge=1)] = 2.0,
    compat: bool = False,
    n_lags: Annotated[int, Range(ge=2, le=500)] = 32,
) -> xr.Dataset:
    """Correlations of elements in a turbulent disc that star clusters enrich, predicted in closed form.

    Every star cluster returns its elements through a few channels: core-collapse supernovae after some 10 Myr, AGB
    stars and type Ia supernovae after some 100 Myr. Turbulence spreads what is released with the diffusion coefficient
    kappa = scale_height sigma_gas / 3, until it is lost at `l_corr`, and the cluster drifts meanwhile. Elements of one
    channel thus stay together and those of different channels do not, which makes the correlation of two elements a
    measure of mixing (Krumholz et al. 2025).

    For channels i of X and j of Y, V grows from V_min = 2 kappa |t_i - t_j| + sigma_i^2 + sigma_j^2 to V_max = 4
    l_corr^2 - 2 kappa (t_i + t_j) + sigma_i^2 + sigma_j^2 with the age of the cluster, and with D = sigma_v |t_i - t_j|
    the covariance is Gamma <w^2> / (8 pi kappa) sum_ij f_Xi f_Yj ln[(V_max + D^2) / (V_min + D^2)].

    This is the drift in two dimensions (``drift="isotropic"``), which direct simulation of the stochastic equation
    confirms. ``"published"`` is the closed form of the paper's code. It takes every drift along the wave vector, lies
    lower by up to 0.08, and is off the simulation by more than six standard errors; it has no lag function here.

    One delay for each channel is a coarse thing: two elements from AGB stars whose half-times differ by 160 Myr come
    out nearly uncorrelated (0.2 for barium and yttrium, where stars show far more), since what AGB stars release starts
    within 2 pc. ``delays="distribution"`` spreads the releases: log-normal of `cc_dex` and `agb_dex` around the
    half-times, t^-1.1 for type Ia. Their widths are assumptions. Correlations then rise everywhere (to 0.98 for these).

    The table says what each element comes from; ``hven_plugins.abundances.default_channels()`` is that of the paper, of
    gross yields, which count as made what AGB stars merely give back (21 % of the iron). ``returned=0.21`` takes that
    share out of the AGB part of every element: net yields, as far as gross ones have solar proportions. Give a table of
    your own for better ones. Elements with a missing value are left out and named in the attributes.

    ``correlation_model`` is what there is. ``correlation_stars`` is what stars with errors of `star_err` in [X/H] show:
    divided by (phi_X phi_Y)^1/2, phi = 1 + err^2 / sigma^2. ``correlation_gas`` is what maps with this beam show whose
    variance is `f_gas` times the true one. ``sigma`` is the scatter of each abundance. ``correlation_varied`` has the
    matrix for kappa and sigma_v three times and l_corr twice as large and small; it is null for elements half of which
    come later than the system has run then.

    Parameters
    ----------
    l_corr
        Correlation length sqrt(kappa T), T being the time that the system has run.
    scale_height, sigma_gas
        Of the gas; they make kappa, 358 pc2/Myr by default.
    sigma_v
        1-D dispersion of the drift of clusters.
    sigma_cc, sigma_agb, sigma_ia, sigma_r
        Injection widths.
    weight_variance
        Variance of the clusters' weights in units of their squared mean.
    rate
        Clusters per time and area. Sets the scatters, not the correlations.
    returned
        Share of each gross yield that AGB stars give back without having made it; 0 takes the table as it is.
    drift
        'isotropic', or 'published' to compare with the paper.
    delays
        'single' releases everything at the half-time.
    cc_dex, agb_dex
        Widths of the distributions of delays.
    star_err
        Error of [X/H].
    beam_fwhm, f_gas
        Of maps of the gas.
    compat
        Takes the beam's width as FWHM / (2^1.5 ln 2) like the released script, which is 20 % too wide, instead of FWHM
        / (8 ln 2)^1/2.
    n_lags
        Number of lags, and of wave numbers.

    Raises
    ------
    TooFewObjectsError
        No element has all its values, or none is released within the time that the system has run.
    DataRefusedError
        The table has an element twice, fractions that do not sum up to one, or delays that are not positive.
    """
    table, incomplete = Channels.from_dataset(channels)
    table = table.net(returned) if returned > 0 else table
    physics = Physics(
        l_corr=l_corr,
        kappa=scale_height * sigma_gas * PC_PER_MYR / 3,
        sigma_v=sigma_v * PC_PER_MYR,
        sigma_cc=sigma_cc,
        sigma_agb=sigma_agb,
        sigma_ia=sigma_ia,
        sigma_r=sigma_r,
        weight_variance=weight_variance,
        rate=rate,
    )
    sources: Any = table.at_once() if delays == "single" else table.spread_out(cc_dex=cc_dex, agb_dex=agb_dex)
    released = sources.mean(physics) > 0
    if not released.any():
        raise hven.errors.TooFewObjectsError(
            f"no element is released within the {physics.duration:.0f} Myr that the system has run",
            where="parameters l_corr, scale_height and sigma_gas",
            hint="The time is l_corr^2 / kappa: raise l_corr, or lower kappa.",
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        told = field_of(sources, physics, drift=drift)
        blurred = field_of(sources, physics.blurred(beam_sigma(beam_fwhm, compat=compat)), drift=drift)
        varied = [
            _varied(table, sources, replace(physics, **{name: getattr(physics, name) * factor}), drift)
            for _, name, factor in VARIATIONS
        ]
        lags = np.append(0.0, np.geomspace(1.0, 5 * l_corr, n_lags - 1))
        k = np.geomspace(0.1 / l_corr, 0.5, n_lags)
        power = cross_power(sources, k, physics, drift=drift)
        lagged = np.full((*told.covariance.shape, n_lags), np.nan)
        if drift == "isotropic":
            lagged = covariance_at_lags(sources, lags, physics)
    attrs = {
        "incomplete": ", ".join(incomplete),
        "drift": drift,
        "delays": delays,
        "returned": returned,
        "kappa_pc2_per_myr": physics.kappa,
        "duration_myr": physics.duration,
        "star_err_dex": star_err,
        "beam_fwhm_pc": beam_fwhm,
    }
    with np.errstate(invalid="ignore", divide="ignore"):
        gas, power = blurred.observed_in_gas(f_gas), power / _outer(told.mean)[..., None]
        return _dataset(table, told, gas, varied, lagged, power, star_err=star_err, lags=lags, k=k, attrs=attrs)


def _varied(table: Channels, sources: Any, physics: Physics, drift: Drift) -> Any:
    """Return the correlations for other physics, NaN for elements half of which are not there yet."""
    late = np.where(table.delays > physics.duration, table.fractions, 0.0).sum(axis=1) > 0.5
    told = field_of(sources, physics, drift=drift).correlation()
    return np.where(late[:, None] | late[None, :], np.nan, told)


def beam_sigma(fwhm: float, *, compat: bool = False) -> float:
    """Return the 1-sigma width of a Gaussian beam; `compat` gives that of the released script, 20 % too wide.

    Examples
    --------
    >>> round(beam_sigma(20.0), 2), round(beam_sigma(20.0, compat=True), 2)
    (8.49, 10.2)
    """
    return float(fwhm / (2**1.5 * np.log(2)) if compat else fwhm / np.sqrt(8 * np.log(2)))


def _dataset(
    table: Channels, told: Field, gas: Any, varied: list[Any], lagged: Any, power: Any, *, star_err: float, lags: Any,
    k: Any, attrs: dict[str, Any],
) -> xr.Dataset:  # fmt: skip
    pair = ("element", "element2")
    names = np.array(table.elements, dtype=np.dtypes.StringDType())
    spread = np.sqrt(np.diagonal(told.covariance))
    text = np.dtypes.StringDType()
    return xr.Dataset(
        {
            "correlation_model": (pair, told.correlation()),
            "correlation_stars": (pair, told.observed_in_stars(np.full(len(table), star_err))),
            "correlation_gas": (pair, gas),
            "covariance_model": (pair, told.covariance / _outer(told.mean)),
            "correlation_varied": (("variation", *pair), np.array(varied)),
            "sigma": ("element", told.scatter()),
            "main_channel": ("element", np.array(table.main, dtype=text)),
            "lag_correlation": ((*pair, "lag"), lagged / _outer(spread)[..., None]),
            "power": ((*pair, "k"), power),
        },
        coords={
            "element": names,
            "element2": ("element2", names),
            "lag": ("lag", lags, {"units": "pc"}),
            "k": ("k", k, {"units": "1/pc"}),
            "variation": np.array([name for name, _, _ in VARIATIONS], dtype=text),
        },
        attrs=attrs,
    )


def _outer(values: Any) -> Any:
    return values[:, None] * values[None, :]


@abundance_correlation_prediction.figure
def _figure(result: xr.Dataset) -> "dict[str, Figure]":
    from hven_plugins.abundances.figures import draw_lags, draw_matrix, draw_variations

    return {
        "matrix": draw_matrix(result, "correlation_model"),
        "variations": draw_variations(result),
        "lags": draw_lags(result),
    }


@abundance_correlation_prediction.mock
def _mock(size: int, seed: int) -> Mock:
    """Return the first `size` rows of the default table, in an order that the seed decides."""
    table = default_channels()
    order = np.random.default_rng(seed).permutation(len(table))[: max(size, 1)]
    return Mock({"channels": table.to_dataset().isel(object=order)})
