"""What several evaluations say together: which generator is nearest, who has lost variety, whether guidance helps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

NAMES = {"diffusion": "diffusion", "gan": "the GAN"}
_SIGMAS = 2.0
_NARROW, _WIDE = 0.8, 1.25
"""Ratios of Fisher areas, generated over reference, between which a forecast is trusted (arXiv:2307.09568).

It is when twice the error leaves the ratio between them, it is not when that leaves it outside.
"""


@dataclass(frozen=True)
class Forecast:
    """A forecast from generated images.

    Attributes
    ----------
    area_ratio, area_ratio_err
        Of areas of ellipses, NaN where noise leaves none.
    lost
        Share of the bootstrap replicates in which one of the sets has no ellipse.
    reference_tells, generated_tells
        Whether images of the reference, and the generated, tell of their parameters.
    """

    area_ratio: float
    area_ratio_err: float
    lost: float = 0.0
    reference_tells: bool = True
    generated_tells: bool = True


@dataclass(frozen=True)
class Judged:
    """One evaluated generator: its kind, training size, guidance, distance with error, and its variety.

    Attributes
    ----------
    name, generator, n_training, guidance
        What it is.
    fsd, fsd_err
        Limit of its distance, NaN where there is none, and its error.
    lost
        What its evaluation has flagged of its variety: in words, value and limit.
    forecast
        Of its images, where there is one.
    """

    name: str
    generator: str
    n_training: int
    guidance: float
    fsd: float
    fsd_err: float
    lost: tuple[tuple[str, float, float], ...] = ()
    forecast: Forecast | None = None


@dataclass(frozen=True)
class _Kind:
    """Repetitions of one kind, training size and guidance, and the mean of the distances that have a limit."""

    entries: tuple[Judged, ...]
    generator: str
    n_training: int
    guidance: float
    fsd: float
    fsd_err: float

    @property
    def called(self) -> str:
        """How a sentence names its kind."""
        return NAMES.get(self.generator, self.generator)

    @property
    def images(self) -> str:
        """What it was trained with and how it was guided, in words."""
        return f"{self.n_training:,} images" + (f", w = {self.guidance:g}" if self.guidance else "")

    def of_all(self, some: Sequence[object]) -> str:
        """Return how many of the repetitions something is said of, where it is not all."""
        n = len(self.entries)
        return "" if len(some) == n else f", {len(some)} of {n} repetitions"


@dataclass(frozen=True)
class Conclusion:
    """The words, and the numbers of the nearest evaluations at each training size."""

    text: str
    best: frozenset[int]


def concluded(entries: Sequence[Judged]) -> Conclusion:
    """Return what evaluations say together.

    Examples
    --------
    >>> one = Judged("a", "diffusion", 500, 0.0, 0.02, 0.002)
    >>> other = Judged("b", "gan", 500, 0.0, 0.20, 0.010, (("coverage", 0.3, 0.76),))
    >>> print(concluded([one, other]).text)
    With 500 training images diffusion is nearest: FSD 0.02 +/- 0.002, the GAN has 0.2 +/- 0.01. Variety is lost by the
    GAN (500 images: coverage 0.3, limit 0.76).
    """
    kinds = [_of_repetitions(tuple(group)) for _, group in groupby(sorted(entries, key=_what), key=_what)]
    plain = [one for one in kinds if one.guidance == 0]
    sizes = sorted({one.n_training for one in kinds})
    nearest = {size: _by_distance(one for one in plain if one.n_training == size) for size in sizes}
    nearest = {size: order for size, order in nearest.items() if order}
    says = [_told_of_size(size, order) for size, order in nearest.items() if len(order) > 1]
    leaders = {order[0].generator for order in nearest.values() if _is_nearer(order)}
    if len(nearest) > 1 and len(leaders) == 1 and all(_is_nearer(order) for order in nearest.values()):
        says.append(f"So {nearest[min(nearest)][0].called} is nearest at every training size.")
    says.append(_told_of_no_limit(kinds))
    says += _told_of_variety(plain)
    says += [_told_of_guidance(size, [one for one in kinds if one.n_training == size]) for size in sizes]
    says += [_told_of_forecasts(one) for one in kinds]
    first = {_what(order[0].entries[0]) for order in nearest.values()}
    best = {i for i, one in enumerate(entries) if _what(one) in first and np.isfinite(one.fsd)}
    return Conclusion(" ".join(said for said in says if said), frozenset(best))


def _what(one: Judged) -> tuple[str, int, float]:
    return one.generator, one.n_training, one.guidance


def _of_repetitions(entries: tuple[Judged, ...]) -> _Kind:
    known = [one for one in entries if np.isfinite(one.fsd)]
    mean, error = _mean([one.fsd for one in known], [one.fsd_err for one in known])
    return _Kind(entries, *_what(entries[0]), mean, error)


def _mean(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Return the mean of repetitions; its error is theirs, or follows from their scatter where that is larger."""
    n = len(values)
    if not n:
        return np.nan, np.nan
    within = float(np.sqrt(np.sum(np.square(errors))) / n)
    scatter = float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return float(np.mean(values)), within if np.isnan(within) else max(within, scatter)


def _by_distance(kinds: Iterable[_Kind]) -> list[_Kind]:
    """Return those whose distance has a limit, the nearest first."""
    return sorted((one for one in kinds if np.isfinite(one.fsd)), key=lambda one: one.fsd)


def _apart(one: _Kind, other: _Kind) -> bool:
    return bool(abs(one.fsd - other.fsd) > _SIGMAS * np.hypot(one.fsd_err, other.fsd_err))


def _is_nearer(order: Sequence[_Kind]) -> bool:
    """Return whether the first is nearer than all others by more than the errors."""
    return len(order) > 1 and all(_apart(order[0], other) for other in order[1:])


def _told_of_size(size: int, order: Sequence[_Kind]) -> str:
    first, others = order[0], ", ".join(f"{one.called} has {_distance(one)}" for one in order[1:])
    if not _is_nearer(order):
        return f"With {size:,} training images none is nearest: {first.called} has {_distance(first)}, {others}."
    return f"With {size:,} training images {first.called} is nearest: FSD {_distance(first)}, {others}."


def _distance(one: _Kind) -> str:
    return f"{one.fsd:.2g} +/- {one.fsd_err:.1g}"


def _told_of_no_limit(kinds: Sequence[_Kind]) -> str:
    without = {one: [each for each in one.entries if not np.isfinite(each.fsd)] for one in kinds}
    named = [f"{one.called} ({one.images}{one.of_all(some)})" for one, some in without.items() if some]
    if not named:
        return ""
    which = f"The distance of {named[0]} has" if len(named) == 1 else f"The distances of {', '.join(named)} have"
    return (
        f"{which} no limit, to rank by: a random half of the generated images, or of the reference, has fewer than 8 "
        "for each feature."
    )


def _told_of_variety(plain: Sequence[_Kind]) -> list[str]:
    lost = [one for one in plain if any(each.lost for each in one.entries)]
    if not lost:
        return ["No generator has lost variety."]
    kinds = groupby(sorted(lost, key=lambda one: one.called), key=lambda one: one.called)
    each = [f"{called} ({'; '.join(map(_variety, group))})" for called, group in kinds]
    return [f"Variety is lost by {', by '.join(each)}."]


def _variety(one: _Kind) -> str:
    """Return what was flagged, with the means of values and limits over the repetitions that have it."""
    flagged = [each.lost for each in one.entries if each.lost]
    words = dict.fromkeys(text for lost in flagged for text, _, _ in lost)
    told = []
    for word in words:
        value, limit = np.mean([numbers for lost in flagged for text, *numbers in lost if text == word], axis=0)
        told.append(f"{word} {value:.2g}, limit {limit:.2g}")
    return f"{one.images}{one.of_all(flagged)}: {'; '.join(told)}"


def _told_of_guidance(size: int, kinds: Sequence[_Kind]) -> str:
    says = []
    for generator in sorted({one.generator for one in kinds if one.guidance != 0}):
        scan = _by_distance(one for one in kinds if one.generator == generator)
        plain = next((one for one in scan if one.guidance == 0), None)
        if plain is None or len(scan) < 2:
            continue
        best = scan[0]
        if best is not plain and _apart(best, plain):
            says.append(
                f"With {size:,} training images guidance helps {plain.called}: FSD {best.fsd:.2g} at "
                f"w = {best.guidance:g}, {plain.fsd:.2g} without."
            )
        else:
            says.append(f"With {size:,} training images guidance does not help {plain.called}.")
    return " ".join(says)


def _told_of_forecasts(one: _Kind) -> str:
    there = [each.forecast for each in one.entries if each.forecast is not None]
    hidden = [each for each in there if not each.reference_tells]
    empty = [each for each in there if each.reference_tells and not each.generated_tells]
    made = [each for each in there if each.reference_tells and each.generated_tells]
    says = []
    if empty:
        says.append(
            f"No forecast can be made from images of {one.called} ({one.images}{one.of_all(empty)}): as far as errors "
            "tell, they do not follow their parameters."
        )
    if hidden:
        says.append(
            f"No forecast from images of {one.called} ({one.images}{one.of_all(hidden)}) can be judged: noise hides "
            "what images of the reference say of their parameters; it takes more of them."
        )
    if made:
        says.append(_told_of_areas(f"images of {one.called} ({one.images}{one.of_all(made)})", made))
    return " ".join(says)


def _told_of_areas(images: str, made: Sequence[Forecast]) -> str:
    ratio, error = _mean([each.area_ratio for each in made], [each.area_ratio_err for each in made])
    if not np.isfinite(error):
        lost = max(each.lost for each in made)
        return (
            f"Whether forecasts from {images} can be trusted takes more images to tell: Fisher area {ratio:.2f} of the "
            f"reference's, and none in {100 * lost:.0f} % of the bootstrap replicates."
        )
    area = f"Fisher area {ratio:.2f} +/- {error:.2f} of the reference's"
    low, high = ratio - _SIGMAS * error, ratio + _SIGMAS * error
    if low > _WIDE or high < _NARROW:
        return f"Forecasts from {images} cannot be trusted: {area}."
    if low >= _NARROW and high <= _WIDE:
        return f"Forecasts from {images} can be trusted: {area}."
    return f"Whether forecasts from {images} can be trusted takes more images to tell: {area}."
