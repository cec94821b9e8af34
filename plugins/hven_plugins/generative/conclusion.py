"""What several evaluations say together: which generator is nearest, who has lost variety, whether guidance helps."""

from collections.abc import Sequence
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
class Judged:
    """One evaluated generator: its kind, training size, guidance, distance with error, and its variety."""

    name: str
    generator: str
    n_training: int
    guidance: float
    fsd: float
    fsd_err: float
    log_det: float
    smallest_ratio: float
    coverage: float
    coverage_expected: float
    area_ratio: float = float("nan")
    area_ratio_err: float = float("nan")

    @property
    def has_lost_variety(self) -> bool:
        """Whether less than 0.8 of the usual part of the reference is near something generated, or a direction is lost.

        The limits are those of an evaluation's verdict.
        """
        return self.coverage < 0.8 * self.coverage_expected or self.smallest_ratio < 0.2

    @property
    def called(self) -> str:
        """How a sentence names its kind."""
        return NAMES.get(self.generator, self.generator)


@dataclass(frozen=True)
class Conclusion:
    """The words, and the numbers of the nearest evaluations at each training size."""

    text: str
    best: frozenset[int]


def concluded(entries: Sequence[Judged]) -> Conclusion:
    """Return what evaluations say together.

    Examples
    --------
    >>> one = Judged("a", "diffusion", 500, 0.0, 0.02, 0.002, -1.0, 0.7, 0.9, 0.95)
    >>> other = Judged("b", "gan", 500, 0.0, 0.20, 0.010, -9.0, 0.1, 0.3, 0.95)
    >>> print(concluded([one, other]).text)
    With 500 training images diffusion is nearest: FSD 0.02 +/- 0.002, the GAN has 0.2 +/- 0.01. Variety is lost by the
    GAN (500 images: coverage 0.30 of 0.95 usual, smallest ratio of variances 0.1).
    """
    plain = [one for one in entries if one.guidance == 0]
    sizes = sorted({one.n_training for one in plain})
    nearest = {size: _by_distance([one for one in plain if one.n_training == size]) for size in sizes}
    says = [_told_of_size(size, order) for size, order in nearest.items() if len(order) > 1]
    kinds = {order[0].generator for order in nearest.values() if _is_nearer(order)}
    if len(sizes) > 1 and len(kinds) == 1 and all(_is_nearer(order) for order in nearest.values()):
        says.append(f"So {nearest[sizes[0]][0].called} is nearest at every training size.")
    says += _told_of_variety(plain)
    says += [_told_of_guidance(size, [one for one in entries if one.n_training == size]) for size in sizes]
    says += [_told_of_forecast(one) for one in plain if np.isfinite(one.area_ratio)]
    best = {i for i, one in enumerate(entries) for order in nearest.values() if _is_same(one, order[0])}
    return Conclusion(" ".join(said for said in says if said), frozenset(best))


def _by_distance(entries: Sequence[Judged]) -> list[Judged]:
    """Return one for each kind, repetitions as their mean, the nearest first."""
    ordered = sorted(entries, key=lambda one: one.generator)
    kinds = [list(group) for _, group in groupby(ordered, key=lambda one: one.generator)]
    return sorted((_mean(group) for group in kinds), key=lambda one: one.fsd)


def _mean(group: Sequence[Judged]) -> Judged:
    """Return the mean of repetitions; its error is theirs, or follows from their scatter where that is larger."""
    first, n = group[0], len(group)
    distances = np.array([one.fsd for one in group])
    within = float(np.sqrt(np.sum([one.fsd_err**2 for one in group])) / n)
    scatter = float(distances.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return Judged(
        first.name, first.generator, first.n_training, first.guidance, float(distances.mean()), max(within, scatter),
        first.log_det, first.smallest_ratio, first.coverage, first.coverage_expected,
    )  # fmt: skip


def _is_same(one: Judged, other: Judged) -> bool:
    return (one.generator, one.n_training, one.guidance) == (other.generator, other.n_training, other.guidance)


def _apart(one: Judged, other: Judged) -> bool:
    return bool(abs(one.fsd - other.fsd) > _SIGMAS * np.hypot(one.fsd_err, other.fsd_err))


def _is_nearer(order: Sequence[Judged]) -> bool:
    """Return whether the first is nearer than all others by more than the errors."""
    return len(order) > 1 and all(_apart(order[0], other) for other in order[1:])


def _told_of_size(size: int, order: Sequence[Judged]) -> str:
    first, others = order[0], ", ".join(f"{one.called} has {_distance(one)}" for one in order[1:])
    if not _is_nearer(order):
        return f"With {size:,} training images none is nearest: {first.called} has {_distance(first)}, {others}."
    return f"With {size:,} training images {first.called} is nearest: FSD {_distance(first)}, {others}."


def _distance(one: Judged) -> str:
    return f"{one.fsd:.2g} +/- {one.fsd_err:.1g}"


def _told_of_variety(plain: Sequence[Judged]) -> list[str]:
    lost = [one for one in plain if one.has_lost_variety]
    if not lost:
        return ["No generator has lost variety."]
    kinds = groupby(sorted(lost, key=lambda one: one.called), key=lambda one: one.called)
    each = [f"{called} ({'; '.join(map(_variety, group))})" for called, group in kinds]
    return [f"Variety is lost by {', by '.join(each)}."]


def _variety(one: Judged) -> str:
    return (
        f"{one.n_training:,} images: coverage {one.coverage:.2f} of {one.coverage_expected:.2f} usual, "
        f"smallest ratio of variances {one.smallest_ratio:.2g}"
    )


def _told_of_guidance(size: int, entries: Sequence[Judged]) -> str:
    kinds = {one.generator for one in entries if one.guidance != 0}
    says = []
    for kind in sorted(kinds):
        scan = sorted((one for one in entries if one.generator == kind), key=lambda one: one.fsd)
        plain = next((one for one in scan if one.guidance == 0), None)
        if plain is None:
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


def _told_of_forecast(one: Judged) -> str:
    area = f"Fisher area {one.area_ratio:.2f} +/- {one.area_ratio_err:.2f} of the reference's"
    of_whom = f"of {one.called} ({one.n_training:,} images)"
    low, high = one.area_ratio - _SIGMAS * one.area_ratio_err, one.area_ratio + _SIGMAS * one.area_ratio_err
    if low > _WIDE or high < _NARROW:
        return f"Forecasts from images {of_whom} cannot be trusted: {area}."
    if low >= _NARROW and high <= _WIDE:
        return f"Forecasts from images {of_whom} can be trusted: {area}."
    return f"Whether forecasts from images {of_whom} can be trusted takes more images to tell: {area}."
