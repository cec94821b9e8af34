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
from hven_plugins.generative.summary import Settings, Summary, check_alike, pixel_scale, summarised
from hven_plugins.generative.training import PREFIX, THETA, names_like
from hven_plugins.generative.variances import check_apart, which_vary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

SETS = ("reference", "generated")
_WHERE = "analysis 'generative_forecast'"
_SHOWN = 4000
"""Images of a set that are kept to count different ones where a generator may have collapsed."""

_MAY_BE_LOST = 0.05
"""Share of bootstrap replicates without an ellipse beyond which the scatter of the others is no error of the area."""

_COLUMNS = {**THETA, "object_id": None}


@hven.analysis(
    reference=hven.Images(optional=_COLUMNS),
    generated=hven.Whole(hven.Images(optional=_COLUMNS)),
    produces={
        "information": "",
        "information_noisy": "",
        "sigma": "",
        "area_ratio": "",
        "area_ratio_err": "",
        "indefinite_share": "",
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
    version="3",
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
      the generator promises more than there is, above, it has lost information. NaN where a matrix is not positive
      definite: images say nothing, within noise, of some combination of parameters, and there is no ellipse.
    * ``indefinite_share``: the share of the bootstrap replicates of each set in which that is so. Where it is above
      0.05 the area has no error (``area_ratio_err`` is NaN): replicates that have an ellipse are not all of them.
    * ``theta_shift``: how far best-fit parameters move when generated images are analysed with the simulator as the
      model, F^-1 d mu^T C^-1 (mu_generated - mu_reference), with F, d mu and C of the reference and both means taken at
      its mean parameters. When images of the simulator are analysed with the generator they move the other way.
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
        Images differ in shape; a parameter does not vary, varies only with others or in too few images; or there are
        not more different images than features, as of a generator that has collapsed.
    TooFewObjectsError
        Fewer images than features + 2 parameters + 4.
    """
    check_alike(reference, {"generated": generated}, _WHERE)
    names = [name.removeprefix(PREFIX) for name in names_like(reference, PREFIX)]
    if not names:
        raise hven.errors.MissingColumnError(
            "the images have no parameters", where=_WHERE, expected="columns theta_<name> in both sets",
            hint="Bind them, as in columns={'theta_zeta': 'zeta'}.",
        )  # fmt: skip
    pixels = one_band(reference, band, "input 'reference'")
    mean, spread = pixel_scale(pixels)
    settings = Settings(
        scales or scattering.largest((pixels.sizes["y"], pixels.sizes["x"])), angles, exact, mean, spread, with_mean,
        n_boot, seed, rows=_SHOWN,
    )  # fmt: skip
    responses = [
        _response(summarised(images, settings, band, name), len(settings.names), names, likelihood, name)
        for name, images in zip(SETS, (reference, generated), strict=True)
    ]
    ours, theirs = responses
    shift, shift_err = _shift(ours, theirs)
    bias, bias_err = theirs.slope - ours.slope, np.hypot(ours.slope_err, theirs.slope_err)
    lost = [float(np.mean(~fisher.is_definite(one.replicates))) for one in responses]
    ratio, ratio_err = _area_ratio(ours, theirs)
    over = ("set", "parameter", "other_parameter")
    return xr.Dataset(
        {
            "information": (over, [one.information for one in responses]),
            "information_noisy": (over, [one.noisy for one in responses]),
            "sigma": (("set", "parameter"), [_sigma(one.information) for one in responses]),
            "area_ratio": ((), ratio),
            "area_ratio_err": ((), ratio_err if max(lost) <= _MAY_BE_LOST else np.nan),
            "indefinite_share": ("set", lost),
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
        attrs={
            "likelihood": likelihood, "pixel_mean": mean, "pixel_spread": spread, "scales": settings.scales,
            "angles": angles, **origin(generated),
        },
    )  # fmt: skip


@dataclass(frozen=True)
class Response:
    """How the features of a set of images answer to its parameters.

    Attributes
    ----------
    n
        Number of images.
    mean, theta
        Means of features (p,) and of parameters (t,).
    design
        Inverse covariance of the parameters, over n - 1, (t, t).
    slope
        Derivatives, (t, p). The covariance of their noise is the product of `design` and `covariance`.
    covariance, factor
        Of the features at fixed parameters, (p, p), and what its inverse is times in the information.
    information, noisy
        Fisher matrices with and without what the noise of the derivatives adds taken out, (t, t).
    replicates
        The former from each bootstrap replicate, (b, t, t); NaN where it has no regression.
    """

    n: int
    mean: Array
    theta: Array
    design: Array
    slope: Array
    covariance: Array
    factor: float
    information: Array
    noisy: Array
    replicates: Array

    @property
    def slope_err(self) -> Array:
        """Errors of the derivatives, (t, p)."""
        return np.asarray(np.sqrt(np.outer(np.diag(self.design), np.diag(self.covariance))))


def _response(summary: Summary, p: int, names: list[str], likelihood: str, which: str) -> Response:
    sample, t = summary.with_theta, len(names)
    where = f"input {which!r}"
    if sample is None or sample.n < p + 2 * t + 4:
        raise hven.errors.TooFewObjectsError(
            f"{0 if sample is None else sample.n} images with features and parameters", where=where,
            expected=f"at least {p + 2 * t + 4}", hint="Add images, or use fewer scales.",
        )  # fmt: skip
    moments, n = sample.moments, sample.n
    covariance = moments.covariance()
    _check_parameters(moments.means[p:], covariance[p:, p:], names, where)
    at_fixed = np.asarray(moments.partial_covariance(range(p, p + t))) * (n - 1) / (n - 1 - t)
    halves = sample.cut(2)
    if len(halves) < 2 or not fisher.is_definite(at_fixed):
        raise _collapsed(summary, p, where)
    first, second = (_slopes(one.covariance(), p) for one in halves)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise hven.errors.DataRefusedError(
            f"in one half of the images the parameters {', '.join(names)} do not all vary by themselves", where=where,
            expected="steps in each parameter in both halves, for noise of derivatives is told from two",
            hint="Add images off the fiducial.",
        )  # fmt: skip
    factor = (fisher.hartlap_factor if likelihood == "hartlap" else fisher.student_factor)(n - t, p)
    slope = _slopes(covariance, p)
    return Response(
        n,
        moments.means[:p],
        moments.means[p:],
        np.linalg.inv(covariance[p:, p:]) / (n - 1),
        slope,
        at_fixed,
        factor,
        factor * fisher.cross_information(first, second, at_fixed),
        factor * fisher.information(slope, at_fixed),
        _replicated(sample.replicates, p, t, factor),
    )


def _check_parameters(means: Array, covariance: Array, names: list[str], where: str) -> None:
    varies = which_vary(means, covariance)
    if not varies.all():
        still = names[int(np.argmin(varies))]
        raise hven.errors.DataRefusedError(
            f"parameter {still!r} does not vary", where=where, expected="steps in each parameter",
            hint=f"Leave theta_{still} out, or add images with other values of it.",
        )  # fmt: skip
    check_apart(covariance, names, where)


def _collapsed(summary: Summary, p: int, where: str) -> hven.errors.DataRefusedError:
    different, shown = len(np.unique(summary.ids)), len(summary.ids)
    return hven.errors.DataRefusedError(
        f"the covariance of the features is singular: {different:,} of {shown:,} images are different", where=where,
        expected=f"more different images than features ({p}), and features that vary",
        hint="Where few stand for all the generator has collapsed, see generative_evaluation. Else use fewer scales.",
    )  # fmt: skip


def _slopes(covariance: Array, p: int) -> Array:
    """Return the slopes (..., t, p) of regressions of the first p columns on the others, NaN where there are none."""
    of_theta = covariance[..., p:, p:]
    good = fisher.is_definite(of_theta)[..., None, None]
    safe = np.where(good, of_theta, np.eye(of_theta.shape[-1]))
    return np.asarray(np.where(good, np.linalg.solve(safe, covariance[..., p:, :p]), np.nan))


def _replicated(replicates: tuple[Moments, Moments] | None, p: int, t: int, factor: float) -> Array:
    if replicates is None:
        return np.zeros((0, t, t))
    fixed = np.asarray(replicates[0].merge(replicates[1]).partial_covariance(range(p, p + t)))
    even, odd = (_slopes(one.covariance(), p) for one in replicates)
    good = fisher.is_definite(fixed) & np.isfinite(even).all(axis=(1, 2)) & np.isfinite(odd).all(axis=(1, 2))
    told = np.full((len(fixed), t, t), np.nan)
    for i in np.flatnonzero(good):
        told[i] = factor * fisher.cross_information(even[i], odd[i], fixed[i])
    return told


def _sigma(information: Array) -> Array:
    """Return the errors (t,) per image, NaN where noise has left the matrix indefinite."""
    return fisher.errors(information) if fisher.is_definite(information) else np.full(len(information), np.nan)


def _area_ratio(ours: Response, theirs: Response) -> tuple[float, float]:
    """Return the ratio of the areas, and its error from the replicates that have one."""
    if not (fisher.is_definite(ours.information) and fisher.is_definite(theirs.information)):
        return np.nan, np.nan
    ratio = fisher.area_ratio(theirs.information, ours.information)
    kept = [one.replicates[fisher.is_definite(one.replicates)] for one in (ours, theirs)]
    if min(map(len, kept)) < 2:
        return ratio, np.nan
    one, other = (0.5 * np.std(np.linalg.slogdet(each)[1]) for each in kept)
    return ratio, float(ratio * np.hypot(one, other))


def _shift(ours: Response, theirs: Response) -> tuple[Array, Array]:
    """Return the shift of the parameters (t,), and its error from the finite numbers of images."""
    if not fisher.is_definite(ours.information):
        return np.full(len(ours.theta), np.nan), np.full(len(ours.theta), np.nan)
    away = ours.theta - theirs.theta
    difference = theirs.mean + away @ theirs.slope - ours.mean
    weights = ours.factor * np.linalg.solve(ours.information, ours.slope @ np.linalg.inv(ours.covariance))
    # Slopes of all features have the noise of the same images, and so its correlations.
    noise = ours.covariance / ours.n + theirs.covariance * (1 / theirs.n + away @ theirs.design @ away)
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
