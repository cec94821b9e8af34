"""Which of two sets of images is like the other, how, and whether the difference can be trusted."""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import fidelity, frechet, scattering, stats
from hven.methods.moments import Moments
from hven.mocks import Mock, bubble_maps
from hven_plugins.generative.chance import most_twins, shares, shuffled_distances, shuffled_ratios
from hven_plugins.generative.images import one_band, origin
from hven_plugins.generative.summary import (
    LEVELS,
    PDF_BINS,
    PEAKS,
    THETA,
    Settings,
    Summary,
    check_alike,
    pixel_scale,
    summarised,
)
from hven_plugins.generative.training import THETA as THETA_COLUMNS
from hven_plugins.generative.training import columns_like
from hven_plugins.generative.variances import ratios
from hven_plugins.generative.verdict import Evidence, Limits, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

SETS = ("reference", "generated")
TWIN = 0.01
_TWINS = 0.05
"""Twins are as near as one in a hundred of the reference is to its next; five times as many are clearly more."""
EXAMPLES = 8
_JUDGED = ("fsd", "fsd_floor", "auc", "auc_err", "power_sigmas")
_WHERE = "analysis 'generative_evaluation'"
_COLUMNS = THETA_COLUMNS | {"feature_<x>": "any", "object_id": None}


@hven.analysis(
    reference=hven.Images(optional=_COLUMNS),
    generated=hven.Whole(hven.Images(optional=_COLUMNS)),
    produces={
        "fsd": "",
        "fsd_err": "",
        "fsd_limit": "",
        "fsd_limit_err": "",
        "fsd_floor": "",
        "fsd_floor_err": "",
        "mean_term": "",
        "covariance_term": "",
        "covariance_share": "",
        "user_distance": "",
        "user_distance_err": "",
        "power_difference": "",
        "power_sigmas": "",
        "log_det_difference": "",
        "precision": "",
        "recall": "",
        "density": "",
        "coverage": "",
        "duplicates": "",
        "auc": "",
        "auc_err": "",
        "n": "",
        "n_unusable": "",
        "feature_mean": "",
        "feature_spread": "",
        "eigenvalue_ratio": "",
        "subset_n": "",
        "subset_fsd": "",
        "subset_mean_term": "",
        "subset_covariance_term": "",
        "power": "",
        "power_err": "",
        "pdf": "",
        "pdf_err": "",
        "peaks": "",
        "peaks_err": "",
        "functionals": "",
        "functionals_err": "",
        "example": "",
        "finding": "",
        "finding_value": "",
        "finding_limit": "",
        "is_flagged": "",
        "verdict": "",
    },
    references=("2307.09568", "2006.08561", "1904.06991", "2002.09797"),
    version="3",
)
def generative_evaluation(
    reference: xr.Dataset,
    generated: xr.Dataset,
    *,
    band: str = "",
    scales: Annotated[int | None, Field(ge=1)] = None,
    angles: Annotated[int, Field(ge=2, multiple_of=2)] = 4,
    exact: bool = False,
    with_mean: bool = False,
    neighbours: Annotated[int, Field(ge=1)] = 5,
    rows: Annotated[int, Field(ge=20)] = 4000,
    classifier_rows: Annotated[int, Field(ge=20)] = 500,
    n_boot: Annotated[int, Field(ge=10)] = 100,
    seed: int = 0,
) -> xr.Dataset:
    """How far generated images are from a reference, in what, and whether that can be trusted: a verdict with evidence.

    The **Frechet scattering distance** compares the scattering features (see ``scattering_features``) of both sets as
    two normal distributions: ``fsd``, and its error from a bootstrap. A finite number of images makes it too large, by
    about b/N: ``fsd_floor`` is what two samples of the reference of these sizes have; ``fsd_limit`` is the line in 1/N
    through distances of N, N/2, N/4 ... images (``subset_...``) at 1/N = 0. Distances at different N must not be
    compared, limits may. ``mean_term`` and ``covariance_term`` are the two parts of the limit: lost variety shows
    mainly in the second. All errors and limits take the two sets as independent: images drawn at the parameters of the
    very images they are compared with are nearer than that, so draw them at parameters of others.

    **Variety**: ``eigenvalue_ratio`` are the variances of the generated along the principal directions relative to the
    reference (with parameters ``theta_...`` in both sets: of images that have all of them, at fixed parameters),
    ``log_det_difference`` the sum of their logarithms, less what few images of normal features make of it; ``recall``
    and ``coverage`` the shares of the reference near which something was generated; and ``duplicates`` the share of
    images with a twin in their own set, about 0.01 for the reference. **Fidelity**: ``precision`` and ``density``. All
    of these shares are given for the generated and, as what to expect, for another part of the reference, at equal
    numbers, in whitened features. ``auc`` is that of a classifier of features, their squares and products: 0.5 when it
    cannot tell the sets apart.

    **Classical statistics** of both sets, with errors of the mean: power spectrum (k in cycles per image), histogram of
    pixels, counts of peaks, Minkowski functionals (area, boundary, Euler characteristic), thresholds in standard
    deviations of the reference's pixels. ``power_difference`` is the rms relative difference of the mean spectra: what
    it misses, a Gaussian field with the right spectrum, the FSD finds.

    Columns ``feature_...`` of both sets (of a network of yours, say) get a Frechet distance of their own,
    ``user_distance``.

    ``example`` are up to eight images of each set; what generated images tell of where they come from
    (generator, number of training images, guidance, model) is in the attributes of the result.

    Each ``finding`` says what was looked at, its value, the limit beyond which it is flagged, and ``verdict`` sums up.
    Limits know how many images there are, and come from dealing out images of both sets at random, 400 times. The
    distance must be larger, and the smallest ratio of variances smaller, than between any two such parts, as large as
    the sets are; coverage and precision smaller than of any such part, held against the same half of the reference as
    the generated are, and of as many images. The last three must also be clearly less than usual (0.2, 0.8 and 0.8 of
    it), and twins more than chance gives. A generator has collapsed when, with such a distance, it has less than half
    the usual coverage, and images have twins or a direction of the features has lost its variance; without either the
    sets differ, as fields of 10 % more contrast or a tilt do, and nothing is said of variety. ``covariance_share``
    tends to be large in a collapse, but need not be. ``power_sigmas``, which must be above three, takes the scatter of
    both sets together.

    All images are seen in one pass, any number of them; one more of the reference finds the scale of its pixels, and
    one more of a set that has no ``object_id``, or not a different one for each image, counts copies of images. What
    needs neighbours uses up to `rows` of each set, chosen at random by numbers made of pixels, parameters and object
    ids, so that the order of images makes no difference.

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
        Whether the mean of an image, over the standard deviation of the reference's pixels, is a feature, too.
    neighbours
        k of precision, recall, density and coverage.
    rows
        Most images of each set that are compared by their neighbours, and that are dealt out for limits. Where there
        are more images, limits of the distance and of the ratio of variances are brought to their number: the distance
        of one distribution goes as 1/n, logarithms of ratios as its root. With fewer that have all parameters than
        features and parameters + 2, the ratio is not flagged.
    classifier_rows
        Most images of each set that train the classifier.
    n_boot
        Replicates of the bootstrap.
    seed
        Of the bootstrap, the classifier, and how images are dealt out.

    Raises
    ------
    DataRefusedError
        Images differ in shape, all pixels of the reference are equal, or a parameter follows from others.
    TooFewObjectsError
        Fewer usable images than features + 2 in the generated, or twice that in the reference.
    MissingColumnError
        A parameter or feature is in one set only.
    ParameterError
        No such band, or more scales than the images have room for.
    """
    check_alike(reference, {"generated": generated}, _WHERE)
    pixels = one_band(reference, band, "input 'reference'")
    shape = (pixels.sizes["y"], pixels.sizes["x"])
    mean, spread = pixel_scale(pixels)
    settings = Settings(scales or scattering.largest(shape), angles, exact, mean, spread, with_mean, n_boot, seed, rows)
    ours = summarised(reference, settings, band, "reference")
    theirs = summarised(generated, settings, band, "generated")

    apart = frechet.extrapolated(ours.features, theirs.features)
    floor, floor_err = frechet.floor(ours.features, float(apart.n[0]))
    user, user_err = _user_distance(ours, theirs)
    panel = _panel(ours, theirs, neighbours)
    auc, auc_err = _classified(ours, theirs, classifier_rows, seed)
    ratio = ratios(ours, theirs, list(columns_like(reference, THETA)), _WHERE)
    statistics = _statistics(ours.statistics, theirs.statistics, shape)
    measured: dict[str, Any] = {
        "fsd": float(apart.value[0]),
        "fsd_err": apart.error,
        "fsd_limit": float(apart.limit.value),
        "fsd_limit_err": apart.limit_error,
        "fsd_floor": floor,
        "fsd_floor_err": floor_err,
        "mean_term": float(apart.limit.mean_term if len(apart.n) > 1 else apart.mean_term[0]),
        "covariance_term": float(apart.limit.covariance_term if len(apart.n) > 1 else apart.covariance_term[0]),
        "user_distance": user,
        "user_distance_err": user_err,
        "log_det_difference": ratio.log_det,
        "auc": auc,
        "auc_err": auc_err,
    }
    measured["covariance_share"] = _share(measured["mean_term"], measured["covariance_term"])
    measured |= _difference_of_power(ours.statistics, theirs.statistics, min(shape) // 2)
    told = verdict(
        Evidence(
            **{name: measured[name] for name in _JUDGED},
            **{name: (values[0], values[1]) for name, values in panel.items()},  # type: ignore[arg-type]
            smallest_ratio=float(ratio.values[0]),
            unusable=theirs.n_unusable / max(theirs.n, 1),
            limits=_limits(ours, theirs, panel, neighbours, seed),
        )
    )
    return xr.Dataset(
        {
            **{name: ((), value) for name, value in measured.items()},
            **{name: ("set", values) for name, values in panel.items()},
            "n": ("set", [ours.n, theirs.n]),
            "n_unusable": ("set", [ours.n_unusable, theirs.n_unusable]),
            "feature_mean": (("set", "feature"), [one.features.moments.means for one in (ours, theirs)]),
            "feature_spread": (
                ("set", "feature"),
                [np.sqrt(np.diag(one.features.moments.covariance())) for one in (ours, theirs)],
            ),
            "eigenvalue_ratio": ("direction", ratio.values),
            "subset_n": ("subset", apart.n),
            "subset_fsd": ("subset", apart.value),
            "subset_mean_term": ("subset", apart.mean_term),
            "subset_covariance_term": ("subset", apart.covariance_term),
            **statistics,
            "example": (
                ("set", "example_number", "y", "x"),
                _examples({"reference": (reference, ours), "generated": (generated, theirs)}, band),
            ),
            "finding": ("finding_number", [f.text for f in told.findings]),
            "finding_value": ("finding_number", [f.value for f in told.findings]),
            "finding_limit": ("finding_number", [f.limit for f in told.findings]),
            "is_flagged": ("finding_number", [f.is_flagged for f in told.findings]),
            "verdict": ((), told.text),
        },
        coords={
            "set": list(SETS),
            "feature": list(settings.names),
            "k": np.arange(1.0, min(shape) // 2 + 1),
            "sigma": 0.5 * (PDF_BINS[1:] + PDF_BINS[:-1]),
            "peak_level": PEAKS,
            "level": LEVELS,
            "functional": ["area", "boundary", "Euler characteristic"],
        },
        attrs={
            "pixel_mean": mean, "pixel_spread": spread, "scales": settings.scales, "angles": angles,
            **origin(generated),
        },
    )  # fmt: skip


def _examples(sets: dict[str, tuple[xr.Dataset, Summary]], band: str) -> list[Array]:
    """Return some images of each set, as many of either."""
    shown = min(EXAMPLES, *(len(summary.at) for _, summary in sets.values()))
    return [
        np.asarray(one_band(images, band, "").isel(object=summary.at[:shown]).values, dtype=np.float64)
        for images, summary in sets.values()
    ]


def _share(mean_term: float, covariance_term: float) -> float:
    """Return the part of a distance that is the covariances', within [0, 1]: limits of terms may be negative."""
    one, other = max(mean_term, 0.0), max(covariance_term, 0.0)
    return other / (one + other) if one + other > 0 else np.nan


def _user_distance(ours: Summary, theirs: Summary) -> tuple[float, float]:
    if ours.user is None or theirs.user is None:
        return np.nan, np.nan
    apart = frechet.extrapolated(ours.user, theirs.user)
    has_limit = len(apart.n) > 1
    return float(apart.limit.value if has_limit else apart.value[0]), apart.limit_error if has_limit else apart.error


def _panel(ours: Summary, theirs: Summary, k: int) -> dict[str, list[float]]:
    """Return precision, recall, density, coverage and duplicates of (another part of the reference, the generated)."""
    m = _compared(ours, theirs)
    if m <= k:
        raise hven.errors.TooFewObjectsError(
            f"{len(ours.rows)} images of the reference and {len(theirs.rows)} generated have features", where=_WHERE,
            expected=f"more than {2 * k} and {k}", hint="Add images.",
        )  # fmt: skip
    base, usual, made = fidelity.whitened(*_parts(ours, m), theirs.rows[:m])
    both = [fidelity.neighbourhoods(base, one, k=k) for one in (usual[:m], made)]
    told = {name: [getattr(one, name) for one in both] for name in ("precision", "recall", "density", "coverage")}
    told["duplicates"] = [fidelity.duplicates(base, one, quantile=TWIN)[0] for one in (usual[:m], made)]
    return told


def _parts(ours: Summary, m: int) -> tuple[Array, Array]:
    """Return m rows of the reference to hold others against, and all others."""
    return ours.rows[0 : 2 * m : 2], np.concatenate([ours.rows[1 : 2 * m : 2], ours.rows[2 * m :]])


def _compared(ours: Summary, theirs: Summary) -> int:
    """Return how many rows of each are compared by their neighbours: half of the reference is held against the rest."""
    return min(len(ours.rows) // 2, len(theirs.rows))


def _limits(ours: Summary, theirs: Summary, panel: dict[str, list[float]], k: int, seed: int) -> Limits:
    """Return the limits that numbers of images set."""
    apart = shuffled_distances(ours.rows, theirs.rows, seed=seed)
    share = _effective(len(ours.rows), len(theirs.rows)) / _effective(ours.features.n, theirs.features.n)
    ratio = _ratios_by_chance(ours, theirs, seed)
    m = _compared(ours, theirs)
    base, *others = fidelity.whitened(*_parts(ours, m), theirs.rows[:m])
    drawn = shares(base, np.concatenate(others), m, k, seed=seed)
    usual, covered = panel["coverage"][0], float(drawn.coverage.min())
    return Limits(
        distance=float(apart.max()) * share,
        smallest_ratio=min(0.2 * float(np.median(ratio)), float(ratio.min())),
        coverage=min(0.8 * usual, covered),
        half_coverage=min(0.5 * usual, covered),
        precision=min(0.8 * panel["precision"][0], float(drawn.precision.min())),
        twins=most_twins(m, TWIN, _TWINS),
    )


def _ratios_by_chance(ours: Summary, theirs: Summary, seed: int) -> Array:
    """Return the smallest ratios of variances of the kept images, dealt out anew; zero where they are too few to tell.

    As in `ratios`, of images with all parameters and at fixed ones. Logarithms of ratios scatter by the root of 1/n,
    and by more where there are few: brought from the kept ones to all, they are about right, or too cautious.
    """
    one, other = (np.column_stack([s.rows, s.theta])[np.isfinite(s.theta).all(axis=1)] for s in (ours, theirs))
    if min(len(one), len(other)) < one.shape[1] + 2:
        return np.zeros(1)
    n, m = ((s.features if s.with_theta is None else s.with_theta).n for s in (ours, theirs))
    share = _effective(len(one), len(other)) / _effective(n, m)
    return np.asarray(shuffled_ratios(one, other, ours.theta.shape[1], seed=seed) ** np.sqrt(share))


def _effective(n: int, m: int) -> float:
    """Return the size of two equal sets whose difference scatters as that of sets of n and m."""
    return 2 / (1 / n + 1 / m)


def _classified(ours: Summary, theirs: Summary, rows: int, seed: int) -> tuple[float, float]:
    one, other = ours.rows[:rows], theirs.rows[:rows]
    found = stats.classifier_test(one, other, n_permutations=0, seed=seed)
    n, m = found.n
    return found.statistic, float(np.sqrt((n + m + 1) / (12 * n * m)))


def _statistics(ours: Moments, theirs: Moments, shape: tuple[int, int]) -> dict[str, Any]:
    """Return means and errors of the statistics of both sets, by name."""
    sizes = {"power": min(shape) // 2, "pdf": len(PDF_BINS) - 1, "peaks": len(PEAKS), "functionals": 3 * len(LEVELS)}
    dims = {"power": ("k",), "pdf": ("sigma",), "peaks": ("peak_level",), "functionals": ("functional", "level")}
    means = np.array([one.means for one in (ours, theirs)])
    errors = np.array([np.sqrt(np.diag(one.covariance()) / np.diag(one.n)) for one in (ours, theirs)])
    told, start = {}, 0
    for name, size in sizes.items():
        tail = (3, len(LEVELS)) if name == "functionals" else (size,)
        for suffix, values in (("", means), ("_err", errors)):
            told[name + suffix] = (("set", *dims[name]), values[:, start : start + size].reshape(2, *tail))
        start += size
    return told


def _difference_of_power(ours: Moments, theirs: Moments, n_k: int) -> dict[str, float]:
    """Return the rms relative difference of the mean spectra, and the rms difference in standard errors.

    The variance of images is that of both sets together: the error of few images alone is too often too small, as power
    has a long tail.
    """
    means = [one.means[:n_k] for one in (ours, theirs)]
    n, m = (np.diag(one.n)[:n_k] for one in (ours, theirs))
    one, other = (np.diag(s.covariance())[:n_k] for s in (ours, theirs))
    variance = ((n - 1) * one + (m - 1) * other) / (n + m - 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = (means[1] - means[0]) / means[0]
        sigmas = (means[1] - means[0]) / np.sqrt(variance * (1 / n + 1 / m))
    return {
        "power_difference": float(np.sqrt(np.nanmean(relative**2))),
        "power_sigmas": float(np.sqrt(np.nanmean(sigmas**2))),
    }


@generative_evaluation.figure
def _figure(result: xr.Dataset) -> "dict[str, Figure]":
    from hven_plugins.generative.figures import draw_evaluation

    return draw_evaluation(result)


@generative_evaluation.mock
def _mock(size: int, seed: int) -> Mock:
    sets = {name: bubble_maps(size, seed + 1000 * i, pixels=32).inputs["images"] for i, name in enumerate(SETS)}
    return Mock(sets, {"fsd_limit": 0.0})
