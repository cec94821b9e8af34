"""Summaries of columns in bounded memory: counts, extremes, quantiles, repeated values; mergeable over batches."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

POINTS = 1024
"""Values that a level of the quantile sketch keeps: ranks are right to about 1 in 1,000."""

REPEATED = 256
"""Values whose number is kept: each that makes up more than 1 in 256 of the values is among them."""

EXTREMES = 32
"""How many of the smallest and of the largest distinct values are kept."""

_HASHES = 1024


@dataclass
class NumberSketch:
    """A summary of numbers: fed by `update` batch by batch, and by `merge` with the summaries of other batches.

    Memory is bounded (about 100 kB for a million values), whatever is fed.

    Attributes
    ----------
    count, nulls
        How many finite values and how many missing ones (NaN) there are.
    positive_infinities, negative_infinities
        How many infinite values there are.
    smallest, largest
        The smallest and the largest distinct finite values, ascending, at most `EXTREMES` each.
    repeated
        Value -> how often it occurs, of the most frequent values. Counts are exact while the column has at most
        `REPEATED` distinct values; after that they are never too large, and in practice exact for frequent values.
    is_complete
        Whether `repeated` still holds every distinct value.
    is_whole
        Whether every finite value is a whole number.

    Examples
    --------
    >>> sketch = NumberSketch()
    >>> sketch.update([1.0, 2.0, 2.0, np.nan, np.inf])
    >>> sketch.count, sketch.nulls, sketch.positive_infinities, sketch.repeated[2.0], sketch.distinct
    (3, 1, 1, 2, 2)
    """

    count: int = 0
    nulls: int = 0
    positive_infinities: int = 0
    negative_infinities: int = 0
    smallest: "NDArray[np.float64]" = field(default_factory=lambda: np.empty(0))
    largest: "NDArray[np.float64]" = field(default_factory=lambda: np.empty(0))
    repeated: dict[float, int] = field(default_factory=dict)
    is_complete: bool = True
    is_whole: bool = True
    _levels: "dict[int, NDArray[np.float64]]" = field(default_factory=dict, repr=False)
    _hashes: "NDArray[np.uint64]" = field(default_factory=lambda: np.empty(0, np.uint64), repr=False)
    _turn: int = field(default=0, repr=False)
    _exact: int | None = field(default=None, repr=False)

    def update(self, values: "ArrayLike") -> None:
        """Take in values of any shape and numeric dtype; NaN counts as missing."""
        flat = np.asarray(values, dtype=np.float64).ravel()
        finite = np.isfinite(flat)
        if not finite.all():
            self.nulls += int(np.isnan(flat).sum())
            self.positive_infinities += int(np.isposinf(flat).sum())
            self.negative_infinities += int(np.isneginf(flat).sum())
            flat = flat[finite]
        if not flat.size:
            return
        ordered = flat.copy() if (flat[1:] >= flat[:-1]).all() else np.sort(flat)
        ordered[ordered == 0] = 0.0  # -0.0 and 0.0 are one value
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        distinct, counts = ordered[starts], np.diff(np.r_[starts, ordered.size])
        self.count += flat.size
        self.is_whole = self.is_whole and bool((distinct == np.trunc(distinct)).all())
        self._exact = None if self._levels else distinct.size
        self._take_extremes(distinct)
        self._take_repeated(distinct, counts)
        self._take_hashes(_hashed(distinct))
        level = max(0, int(np.ceil(np.log2(ordered.size / POINTS))))
        self._take_points(ordered[_offset(level) :: 1 << level], level)

    def merge(self, other: "NumberSketch") -> None:
        """Take in what another sketch has seen."""
        self._exact = None if self.count and other.count else self._exact or other._exact  # noqa: SLF001 - of one kind
        self.count += other.count
        self.nulls += other.nulls
        self.positive_infinities += other.positive_infinities
        self.negative_infinities += other.negative_infinities
        self.is_complete = self.is_complete and other.is_complete
        self.is_whole = self.is_whole and other.is_whole
        self._take_extremes(other.smallest)
        self._take_extremes(other.largest)
        values = np.fromiter(other.repeated, np.float64, len(other.repeated))
        self._take_repeated(values, np.fromiter(other.repeated.values(), np.int64, len(other.repeated)))
        self._take_hashes(other._hashes)  # noqa: SLF001 - one of its own kind
        for level, points in other._levels.items():  # noqa: SLF001
            self._take_points(points, level)

    @property
    def distinct(self) -> int:
        """The number of distinct finite values: exact up to `REPEATED` and of a single batch, else to about 3 %."""
        if self.is_complete:
            return len(self.repeated)
        if self._exact is not None:
            return self._exact
        if self._hashes.size < _HASHES:
            return int(self._hashes.size)
        return round((_HASHES - 1) / (float(self._hashes[-1]) / 2.0**64))

    def points(self) -> "tuple[NDArray[np.float64], NDArray[np.int64]]":
        """Return values in ascending order with weights: a small sample that has the quantiles of the whole."""
        if not self._levels:
            return np.empty(0), np.empty(0, np.int64)
        values = np.concatenate(list(self._levels.values()))
        weights = np.repeat([1 << level for level in self._levels], [len(p) for p in self._levels.values()])
        order = np.argsort(values, kind="stable")
        return values[order], weights[order].astype(np.int64)

    def quantiles(self, shares: "ArrayLike") -> "NDArray[np.float64]":
        """Return the quantiles of the finite values at `shares` (0 to 1); NaN when there are none.

        Examples
        --------
        >>> sketch = NumberSketch()
        >>> sketch.update(np.arange(101.0))
        >>> sketch.quantiles([0, 0.5, 1]).tolist()
        [0.0, 50.0, 100.0]
        """
        found = weighted_quantiles(*self.points(), shares)
        if self.count:
            shares = np.asarray(shares, float)
            found = np.where(shares <= 0, self.smallest[0], np.where(shares >= 1, self.largest[-1], found))
        return found

    def _take_extremes(self, distinct: "NDArray[np.float64]") -> None:
        self.smallest = np.unique(np.concatenate([self.smallest, distinct[:EXTREMES]]))[:EXTREMES]
        self.largest = np.unique(np.concatenate([self.largest, distinct[-EXTREMES:]]))[-EXTREMES:]

    def _take_repeated(self, distinct: "NDArray[np.float64]", counts: "NDArray[Any]") -> None:
        values, totals = distinct, counts
        if self.repeated:
            known = np.fromiter(self.repeated, np.float64, len(self.repeated))
            before = np.fromiter(self.repeated.values(), np.int64, len(self.repeated))
            values, which = np.unique(np.concatenate([known, distinct]), return_inverse=True)
            totals = np.zeros(values.size, np.int64)
            np.add.at(totals, which, np.concatenate([before, counts]))
        if values.size > REPEATED:
            self.is_complete = False
            kept = _most_frequent(totals)
            values, totals = values[kept], totals[kept]
        self.repeated = dict(zip(values.tolist(), totals.tolist(), strict=True))

    def _take_hashes(self, hashes: "NDArray[np.uint64]") -> None:
        if self._hashes.size == _HASHES:
            hashes = hashes[hashes < self._hashes[-1]]
        if hashes.size > _HASHES:  # Those of one batch are distinct, so that no more of it can be among the smallest.
            # Hashes are spread evenly: those below a bound are nearly always enough, and found in a tenth of the time.
            few = hashes[hashes < np.uint64(min(2**64 - 1, 2**64 * 5 * _HASHES // (4 * hashes.size)))]
            hashes = np.partition(few if few.size > _HASHES else hashes, _HASHES)[:_HASHES]
        if hashes.size:
            self._hashes = np.unique(np.concatenate([self._hashes, hashes]))[:_HASHES]

    def _take_points(self, points: "NDArray[np.float64]", level: int) -> None:
        points = np.concatenate([self._levels.get(level, np.empty(0)), points])
        if points.size <= POINTS:
            self._levels[level] = points
            return
        # Two neighbours become one of twice the weight; the odd one out stays, and sides take turns.
        points = np.sort(points)
        self._turn ^= 1
        rest = points[points.size & ~1 :]
        self._levels[level] = rest
        self._take_points(points[: points.size & ~1][self._turn :: 2], level + 1)


def weighted_quantiles(
    values: "NDArray[np.float64]", weights: "NDArray[np.int64]", shares: "ArrayLike"
) -> "NDArray[np.float64]":
    """Return quantiles of ascending values with weights, NaN when there are none.

    Each value stands at the middle of its weight, with straight lines between.

    Examples
    --------
    >>> weighted_quantiles(np.array([1.0, 2.0, 3.0]), np.array([1, 1, 1]), [0.5]).tolist()
    [2.0]
    """
    shares = np.asarray(shares, dtype=float)
    if not values.size:
        return np.full(shares.shape, np.nan)
    middles = np.cumsum(weights) - weights / 2
    total = float(weights.sum())
    # As np.quantile does: the first value at 0 and the last at 1.
    first, last = middles[0], middles[-1]
    return np.interp(first + shares * (last - first), middles, values) if total else np.full(shares.shape, np.nan)


def _most_frequent(totals: "NDArray[Any]") -> "NDArray[np.intp]":
    """Return the places of the `REPEATED` largest totals of ascending values.

    Among values that occur once, those at both ends go first: codes for "missing" are there.
    """
    several = np.flatnonzero(totals > 1)
    room = REPEATED - several.size
    if room <= 0:
        return several[np.argpartition(totals[several], -REPEATED)[-REPEATED:]]
    single = np.flatnonzero(totals == 1)
    low = room // 2
    return np.concatenate([several, single[:low], single[single.size - (room - low) :]])


def _offset(level: int) -> int:
    """Return where every 2^level-th of sorted values starts, so that each is the middle of those it stands for."""
    return ((1 << level) - 1) // 2


def _hashed(values: "NDArray[np.float64]") -> "NDArray[np.uint64]":
    """Return well-mixed 64-bit hashes (splitmix64) of the bits of values."""
    bits = values.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashed: NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return hashed
