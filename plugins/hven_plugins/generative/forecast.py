"""Whether a generator gives the same constraints on parameters as the simulator it stands for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import fisher, scattering
from hven.methods.moments import Moments
from hven.mocks import Mock, bubble_maps
from hven_plugins.generative.images import one_band, origin
from hven_plugins.generative.summary import THETA, Settings, Summary, check_alike, columns_like, pixel_scale, summarised

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

SETS = ("reference", "generated")
_WHERE = "analysis 'generative_forecast'"
_COLUMNS = {"theta_<x>": None, "theta_<x>_<y>": None, "theta_<x>_<y>_<z>": None}


@hven.analysis(
    reference=hven.Images(optional=_COLUMNS),
    generated=hven.Whole(hven.Images(optional=_COLUMNS)),
    produces={
        "information": "",
        "information_noisy": "",
        "sigma": "",
        "area_ratio": "",
        "area_ratio_err": "",
        "theta_shift": "",
        "theta_shift_err": "",
        "slope": "",
        "slope_err": "",
        "slope_bias": "",
        "slope_bias_err": "",
        "slope_bias_sigmas": "",
        "theta_mean": "",
        "n": "",
    },
    references=("2307.09568", "astro-ph/0608064", "1511.05969"),
    version="2",
)
def generative_forecast(
    reference: xr.Dataset,
    generated: xr.Dataset,
    *,
    band: str = "",
    scales: Annotated[int | None, Field(ge=1)] = None,
    angles: Annotated[int, Field(ge=2, multiple_of=2)] = 4,
    exact: bool = False,
    with_mean: bool = False,
    likelihood: Literal["hartlap", "sellentin-heavens"] = "hartlap",
    n_boot: Annotated[int, Field(ge=10)] = 100,
    seed: int = 0,
) -> xr.Dataset:
    """Fisher forecasts from scattering features of two sets of images: areas of ellipses, shifts, biases of slopes.

    Both sets have parameters, columns ``theta_...``: a design (a fiducial and steps about it) or draws from a narrow
    range. Features are taken as linear in them: the slopes of their regression are the derivatives (central
    differences, for a design of equal steps), the covariance of the residuals is that of one image at fixed parameters,
    and F_ab = d_a mu^T C^-1 d_b mu, per image. Where the range is so wide that features bend, cut it into pieces.

    Noise in the derivatives makes F too large (``information_noisy``). It is taken out by the cross product of two
    halves of the images, F = (F_12 + F_21)/2 (``information``, ``sigma``); C is corrected for its own noise by the
    factor of Hartlap, or that of the t distribution of Sellentin and Heavens.

    * ``area_ratio``: the area (volume) of the generated set's confidence ellipse over that of the reference. Below one,
      the generator promises more than there is, above, it has lost information.
    * ``theta_shift``: how far best-fit parameters move when images of the simulator are analysed with the generator,
      F^-1 d mu^T C^-1 (mu_generated - mu_reference), both taken at the mean parameters of the reference.
    * ``slope_bias``: generated less reference derivative of each feature, and its rms in standard errors.

    Parameters
    ----------
    band
        Which band; may be left out where there is only one.
    scales
        J of the scattering transform; as many as the images have room for when None.
    angles
        L, an even number.
    exact
        Whether all Fourier modes are kept.
    with_mean
        Whether the mean of an image is a feature, too.
    likelihood
        Which correction the inverse covariance gets.
    n_boot
        Replicates of the bootstrap that gives ``area_ratio_err``.
    seed
        Of the bootstrap.

    Raises
    ------
    MissingColumnError
        There are no parameters, or not the same in both sets.
    DataRefusedError
        Images differ in shape, or a parameter does not vary.
    TooFewObjectsError
        Fewer images than features and parameters + 3.
    """
    check_alike(reference, {"generated": generated}, _WHERE)
    names = list(columns_like(reference, THETA))
    if not names:
        raise hven.errors.MissingColumnError(
            "the images have no parameters", where=_WHERE, expected="columns theta_<name> in both sets",
            hint="Bind them, as in columns={'theta_zeta': 'zeta'}.",
        )  # fmt: skip
    pixels = one_band(reference, band, "input 'reference'")
    mean, spread = pixel_scale(pixels)
    settings = Settings(
        scales or scattering.largest((pixels.sizes["y"], pixels.sizes["x"])), angles, exact, mean, spread, with_mean,
        n_boot, seed, rows=1,
    )  # fmt: skip
    responses = [
        _response(summarised(images, settings, band, name), len(settings.names), names, likelihood, name)
        for name, images in zip(SETS, (reference, generated), strict=True)
    ]
    ours, theirs = responses
    shift, shift_err = _shift(ours, theirs)
    bias, bias_err = theirs.slope - ours.slope, np.hypot(ours.slope_err, theirs.slope_err)
    ratio, ratio_err = _area_ratio(ours, theirs)
    over = ("set", "parameter", "other_parameter")
    return xr.Dataset(
        {
            "information": (over, [one.information for one in responses]),
            "information_noisy": (over, [one.noisy for one in responses]),
            "sigma": (("set", "parameter"), [_sigma(one.information) for one in responses]),
            "area_ratio": ((), ratio),
            "area_ratio_err": ((), ratio_err),
            "theta_shift": ("parameter", shift),
            "theta_shift_err": ("parameter", shift_err),
            "slope": (("set", "parameter", "feature"), [one.slope for one in responses]),
            "slope_err": (("set", "parameter", "feature"), [one.slope_err for one in responses]),
            "slope_bias": (("parameter", "feature"), bias),
            "slope_bias_err": (("parameter", "feature"), bias_err),
            "slope_bias_sigmas": ("parameter", np.sqrt(np.mean((bias / bias_err) ** 2, axis=1))),
            "theta_mean": (("set", "parameter"), [one.theta for one in responses]),
            "n": ("set", [one.n for one in responses]),
        },
        coords={"set": list(SETS), "parameter": names, "other_parameter": names, "feature": list(settings.names)},
        attrs={"likelihood": likelihood, "scales": settings.scales, "angles": angles, **origin(generated)},
    )


@dataclass(frozen=True)
class Response:
    """How the features of a set of images answer to its parameters.

    Attributes
    ----------
    n
        Number of images.
    mean, theta
        Means of features (p,) and of parameters (t,).
    slope, slope_err
        Derivatives and their errors, (t, p).
    covariance, factor
        Of the features at fixed parameters, (p, p), and what its inverse is times in the information.
    information, noisy
        Fisher matrices with and without what the noise of the derivatives adds taken out, (t, t).
    replicates
        The former from each bootstrap replicate, (b, t, t).
    """

    n: int
    mean: Array
    theta: Array
    slope: Array
    slope_err: Array
    covariance: Array
    factor: float
    information: Array
    noisy: Array
    replicates: Array


def _response(summary: Summary, p: int, names: list[str], likelihood: str, which: str) -> Response:
    sample = summary.with_theta
    if sample is None or sample.n < p + 2 * len(names) + 4 or len(sample.subsets) < 2:
        raise hven.errors.TooFewObjectsError(
            f"{0 if sample is None else sample.n} images with features and parameters", where=f"input {which!r}",
            expected=f"at least {p + 2 * len(names) + 4}", hint="Add images, or use fewer scales.",
        )  # fmt: skip
    moments = sample.moments
    n, t = sample.n, len(names)
    covariance = moments.covariance()
    spread = np.diag(covariance)[p:]
    if not np.all(spread > 1e-20 * np.maximum(moments.means[p:] ** 2, 1e-280)):
        still = names[int(np.argmin(spread))]
        raise hven.errors.DataRefusedError(
            f"parameter {still!r} does not vary", where=f"input {which!r}", expected="steps in each parameter",
            hint=f"Leave theta_{still} out, or add images with other values of it.",
        )  # fmt: skip
    at_fixed = np.asarray(moments.partial_covariance(range(p, p + t))) * (n - 1) / (n - 1 - t)
    factor = (fisher.hartlap_factor if likelihood == "hartlap" else fisher.student_factor)(n - t, p)
    first, second = (_slopes(one.covariance(), p) for one in sample.cut(2))
    slope = _slopes(covariance, p)
    variance = np.outer(np.diag(np.linalg.inv(covariance[p:, p:])), np.diag(at_fixed)) / (n - 1)
    return Response(
        n,
        moments.means[:p],
        moments.means[p:],
        slope,
        np.sqrt(variance),
        at_fixed,
        factor,
        factor * fisher.cross_information(first, second, at_fixed),
        factor * fisher.information(slope, at_fixed),
        _replicated(sample.replicates, p, t, factor),
    )


def _slopes(covariance: Array, p: int) -> Array:
    """Return the slopes (t, p) of regressions of the first p columns on the others."""
    return np.asarray(np.linalg.solve(covariance[p:, p:], covariance[p:, :p]))


def _replicated(replicates: tuple[Moments, Moments] | None, p: int, t: int, factor: float) -> Array:
    if replicates is None:
        return np.zeros((0, t, t))
    whole = replicates[0].merge(replicates[1])
    fixed = np.asarray(whole.partial_covariance(range(p, p + t)))
    halves = [one.covariance() for one in replicates]
    return factor * np.array(
        [
            fisher.cross_information(_slopes(even, p), _slopes(odd, p), held)
            for even, odd, held in zip(*halves, fixed, strict=True)
        ]
    )


def _sigma(information: Array) -> Array:
    """Return the errors (t,) per image, NaN where noise has left the matrix indefinite."""
    if np.linalg.eigvalsh(information)[0] <= 0:
        return np.full(len(information), np.nan)
    return fisher.errors(information)


def _area_ratio(ours: Response, theirs: Response) -> tuple[float, float]:
    def logarithms(matrices: Array) -> Array:
        signs, values = np.linalg.slogdet(matrices)
        return np.where(signs > 0, 0.5 * values, np.nan)

    value = float(logarithms(ours.information) - logarithms(theirs.information))
    spread = np.array([np.nanstd(logarithms(one.replicates)) for one in (ours, theirs)])
    return float(np.exp(value)), float(np.exp(value) * np.hypot(*spread))


def _shift(ours: Response, theirs: Response) -> tuple[Array, Array]:
    """Return the shift of the parameters (t,), and its error from the finite numbers of images."""
    difference = theirs.mean + (ours.theta - theirs.theta) @ theirs.slope - ours.mean
    if not np.isfinite(_sigma(ours.information)).all():
        return np.full(len(ours.theta), np.nan), np.full(len(ours.theta), np.nan)
    weights = ours.factor * np.linalg.solve(ours.information, ours.slope @ np.linalg.inv(ours.covariance))
    noise = ours.covariance / ours.n + theirs.covariance / theirs.n
    away = ours.theta - theirs.theta
    noise = noise + np.diag((away**2) @ theirs.slope_err**2)
    return weights @ difference, np.sqrt(np.diag(weights @ noise @ weights.T))


@generative_forecast.figure
def _figure(result: xr.Dataset) -> "dict[str, Figure]":
    from hven_plugins.generative.forecast_figures import draw_forecast

    return draw_forecast(result)


@generative_forecast.mock
def _mock(size: int, seed: int) -> Mock:
    sets: dict[str, Any] = {}
    for i, name in enumerate(SETS):
        draw = np.random.default_rng([seed, i]).uniform(-1, 1, (2, size))
        knobs = {"bubbles": 12 + 4 * draw[0], "radius": 4 + draw[1]}
        sets[name] = bubble_maps(size, seed + 1000 * i, pixels=32, **knobs).inputs["images"]
    return Mock(sets, {"area_ratio": 1.0, "theta_shift": np.zeros(2)})
