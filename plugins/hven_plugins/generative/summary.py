"""What an evaluation keeps of a set of images: moments of its features and statistics, and some thousand rows."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hven.errors import DataRefusedError, MissingColumnError, TooFewObjectsError
from hven.methods import image_statistics, scattering
from hven.methods.frechet import Sample
from hven.methods.moments import Moments
from hven_plugins.generative.images import one_band
from hven_plugins.generative.streaming import content_ids, copy_numbers, keys, streamed
from hven_plugins.generative.training import columns_like, names_like

if TYPE_CHECKING:
    from collections.abc import Callable

Array = NDArray[np.float64]

PDF_BINS = np.linspace(-4, 4, 33)
PEAKS = np.linspace(0, 4, 9)
LEVELS = np.linspace(-2, 2, 9)
"""Edges of the histogram and thresholds of peaks and functionals, in standard deviations of pixels of the reference."""

THETA, USER = "theta_", "feature_"
_ROUNDING = 1e-12
"""What all pixels vary by, relative to their mean, where they are equal."""


@dataclass(frozen=True)
class Settings:
    """How images are looked at; the same for all sets that are compared.

    Attributes
    ----------
    scales, angles, exact
        Of the scattering transform.
    mean, spread
        Of the pixels of the reference.
    with_mean
        Whether S0, over `spread`, is one of the features.
    n_boot, seed
        Of the bootstrap.
    rows
        How many rows are kept for what needs neighbours.
    """

    scales: int
    angles: int
    exact: bool
    mean: float
    spread: float
    with_mean: bool
    n_boot: int
    seed: int
    rows: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        every = scattering.feature_names(self.scales)
        return every if self.with_mean else every[1:]


@dataclass(frozen=True)
class Summary:
    """A set of images, summarised; summaries of parts merge to that of the whole.

    Attributes
    ----------
    n, n_unusable
        Number of images, and of those that have no features.
    features
        Of the scattering features.
    with_theta
        Of the features and parameters, where there are any.
    user
        Of the user's own features, where there are any.
    statistics
        Of spectrum, histogram, peaks and functionals, in this order.
    keys, ids, rows, theta, at
        The kept images: numbers by which they were chosen (m,), numbers that are equal where images are (m,), features
        (m, p), parameters (m, t) with NaN where unknown, and where they stand in the set (m,).
    """

    n: int
    n_unusable: int
    features: Sample
    with_theta: Sample | None
    user: Sample | None
    statistics: Moments
    keys: NDArray[np.int64]
    ids: NDArray[np.int64]
    rows: Array
    theta: Array
    at: NDArray[np.int64]

    def merge(self, other: "Summary", keep: int) -> "Summary":
        """Return the summary of both sets of images, keeping at most so many rows."""
        every = np.concatenate([self.keys, other.keys])
        chosen = np.argsort(every, kind="stable")[:keep]
        return Summary(
            self.n + other.n,
            self.n_unusable + other.n_unusable,
            self.features.merge(other.features),
            None if self.with_theta is None or other.with_theta is None else self.with_theta.merge(other.with_theta),
            None if self.user is None or other.user is None else self.user.merge(other.user),
            self.statistics.merge(other.statistics),
            every[chosen],
            np.concatenate([self.ids, other.ids])[chosen],
            np.concatenate([self.rows, other.rows])[chosen],
            np.concatenate([self.theta, other.theta])[chosen],
            np.concatenate([self.at, other.at])[chosen],
        )


def pixel_scale(images: xr.DataArray) -> tuple[float, float]:
    """Return mean and standard deviation of all finite pixels.

    Raises
    ------
    TooFewObjectsError
        There are none.
    DataRefusedError
        All are equal.
    """

    def look(pixels: NDArray[Any], columns: Array) -> Moments:
        del columns
        return Moments.from_array(np.asarray(pixels, dtype=np.float64).reshape(-1, 1))

    told = streamed(images, np.empty((images.sizes["object"], 0)), look, Moments.merge)
    if not told.n[0, 0]:
        raise TooFewObjectsError(
            "the reference has no pixel with a value", where="input 'reference'", hint="Add images."
        )
    mean, spread = float(told.means[0]), float(np.sqrt(told.covariance()[0, 0]))
    # sums of equal numbers are not quite equal
    if not spread > _ROUNDING * abs(mean):
        raise DataRefusedError(
            "all pixels of the reference are equal", where="input 'reference'", expected="images of something",
            hint="Choose another dataset or band.",
        )  # fmt: skip
    return mean, spread


def summarised(images: xr.Dataset, settings: Settings, band: str, which: str) -> Summary:
    """Return the summary of a set of images.

    Raises
    ------
    DataRefusedError
        No image has features.
    """
    pixels = one_band(images, band, f"input {which!r}")
    theta, user = (columns_like(images, head) for head in (THETA, USER))
    told = np.column_stack([np.empty((images.sizes["object"], 0)), *theta.values(), *user.values()])
    object_ids = np.asarray(images["object_id"].values) if "object_id" in images.variables else None
    copies = copy_numbers(pixels, told, object_ids)
    work: Callable[[NDArray[Any], Array], Summary] = partial(
        _of_block, settings=settings, n_theta=len(theta), n_user=len(user)
    )

    def merge(one: Summary, other: Summary) -> Summary:
        return one.merge(other, settings.rows)

    summary = streamed(pixels, np.column_stack([told, copies, np.arange(len(told))]), work, merge)
    if not len(summary.rows):
        raise DataRefusedError(
            f"none of the {summary.n:,} images has features", where=f"input {which!r}",
            expected="images whose pixels are all there, and differ",
            hint="Look at them: each is constant or lacks pixels.",
        )  # fmt: skip
    return summary


def check_alike(reference: xr.Dataset, others: dict[str, xr.Dataset], where: str) -> None:
    """Refuse sets of images of unequal shapes, or that do not have the same parameters or features of the user.

    Raises
    ------
    DataRefusedError
        Shapes differ.
    TooFewObjectsError
        A set is empty.
    MissingColumnError
        A parameter or feature is in one set and not in the other.
    """
    check_shapes(reference, others, where)
    for images in others.values():
        for head in (THETA, USER):
            ours, theirs = (set(names_like(one, head)) for one in (reference, images))
            if ours != theirs:
                missing = min(ours ^ theirs)
                raise MissingColumnError(
                    f"{missing!r} is in one set of images and not in the other", where=where,
                    expected="the same parameters and features in both",
                    hint=f"Leave it out of one (reference has {', '.join(sorted(ours)) or 'none'}), or add it.",
                )  # fmt: skip


def check_shapes(reference: xr.Dataset, others: dict[str, xr.Dataset], where: str) -> None:
    """Refuse sets of images that are empty, or of other shapes than the reference.

    Raises
    ------
    DataRefusedError
        Shapes differ.
    TooFewObjectsError
        A set is empty.
    """
    shape = tuple(reference["flux"].sizes[axis] for axis in ("y", "x"))
    for name, images in others.items():
        if images["flux"].sizes["object"] == 0:
            raise TooFewObjectsError("there are no images", where=f"input {name!r}", hint="Add images.")
        found = tuple(images["flux"].sizes[axis] for axis in ("y", "x"))
        if found != shape:
            raise DataRefusedError(
                f"images of {name!r} have {found[0]} x {found[1]} pixels",
                where=where, expected=f"{shape[0]} x {shape[1]}, as in the reference",
                hint="Cut or bin them to the same size.",
            )  # fmt: skip


def statistics_of(pixels: Array, mean: float, spread: float) -> Array:
    """Return spectrum, histogram, peaks and functionals of images (n, y, x) beside each other, one row an image."""
    _, power = image_statistics.power_spectrum(pixels)
    return np.column_stack(
        [
            power,
            image_statistics.histograms(pixels, mean + spread * PDF_BINS),
            image_statistics.peak_counts(pixels, mean + spread * PEAKS),
            image_statistics.minkowski(pixels, mean + spread * LEVELS).reshape(len(pixels), -1),
        ]
    )


def _of_block(pixels: NDArray[Any], columns: Array, *, settings: Settings, n_theta: int, n_user: int) -> Summary:
    values = np.asarray(pixels, dtype=np.float64)
    numbers = keys(values, columns[:, :-2], columns[:, -2])
    told = scattering.coefficients(values, settings.scales, settings.angles, exact=settings.exact)
    features = np.asarray(scattering.features(told))
    features[:, 0] /= settings.spread
    is_usable = np.isfinite(features).all(axis=1)
    features = features if settings.with_mean else features[:, 1:]
    seen = np.where(np.isfinite(values).all(axis=(1, 2))[:, None, None], values, settings.mean)
    statistics = statistics_of(seen, settings.mean, settings.spread)
    statistics[~np.isfinite(values).all(axis=(1, 2))] = np.nan
    sample = partial(Sample.of, n_boot=settings.n_boot, seed=settings.seed)
    chosen = np.flatnonzero(is_usable)
    chosen = chosen[np.argsort(numbers[chosen], kind="stable")][: settings.rows]
    return Summary(
        len(values),
        int(np.sum(~is_usable)),
        sample(features, numbers),
        sample(np.column_stack([features, columns[:, :n_theta]]), numbers) if n_theta else None,
        sample(columns[:, n_theta:-2], numbers) if n_user else None,
        Moments.from_array(statistics),
        numbers[chosen],
        content_ids(values[chosen]),
        features[chosen],
        columns[chosen, :n_theta],
        columns[chosen, -1].astype(np.int64),
    )
