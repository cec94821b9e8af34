"""How many values lie below any value, in bounded memory: a histogram that adapts itself and merges exactly.

The bits of a float, read as a whole number with the sign folded in, order as the floats do. A cell of the sketch is all
values that share their first k bits. k is the largest for which the occupied cells are no more than the capacity: a
property of the set of values alone, so that the sketch of a table does not depend on how it was cut or in which order
the parts came (t-digests and the like do depend on it). Counts at the edges of cells are exact. Columns with few
distinct values (a catalog's two decimals) keep all 64 bits, and all ranks are exact in one pass.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError

Array = NDArray[np.float64]
Keys = NDArray[np.uint64]

_SIGN = np.uint64(1 << 63)
_NO_KEYS = np.empty(0, dtype=np.uint64)


@dataclass(frozen=True)
class QuantileSketch:
    """The distribution of one column of any length in at most `capacity` cells.

    Attributes
    ----------
    capacity
        The most cells that are kept; 65,536 of them take 1 MB and give ranks to about N / 10,000 for smooth columns.
    bits
        How many leading bits of a value tell its cell; with 64 each value has its own.
    cells, counts
        The occupied cells in order, and the number (or weight) of values in each.
    n_missing
        Number of NaN; they are not counted elsewhere.

    Examples
    --------
    >>> sketch = QuantileSketch().update([3.0, 1.0, 3.0]).merge(QuantileSketch().update([2.0]))
    >>> sketch.is_exact, sketch.rank([1.0, 2.0, 3.0]).tolist()
    (True, [1.0, 2.0, 3.5])
    """

    capacity: int = 65_536
    bits: int = 64
    cells: Keys = field(default_factory=lambda: _NO_KEYS)
    counts: Array = field(default_factory=lambda: np.empty(0))
    n_missing: int = 0

    def __post_init__(self) -> None:
        if self.capacity < 2:
            raise ParameterError(f"the capacity is {self.capacity}", expected="at least 2", hint="65536 is usual.")

    @property
    def total(self) -> float:
        """Number of values, or their weight."""
        return float(self.counts.sum())

    @property
    def is_exact(self) -> bool:
        """Whether every value has a cell of its own, so that ranks and quantiles are exact."""
        return self.bits == 64

    @property
    def rank_error(self) -> float:
        """The largest error that `rank` can make: that of the fullest cell, 0 when `is_exact`."""
        return 0.0 if self.is_exact or not len(self.counts) else float(self.counts.max())

    def update(self, x: ArrayLike, weights: ArrayLike | None = None) -> "QuantileSketch":
        """Return the sketch with the values `x` (n,) added, each counting `weights` (n,) times.

        Raises
        ------
        DataRefusedError
            `x` is not one column, or `weights` do not fit it or are negative.
        """
        values = np.asarray(x, dtype=np.float64)
        if values.ndim != 1:
            raise DataRefusedError(
                f"the values have shape {values.shape}", expected="(n,)", hint="Sketch each column for itself."
            )
        w = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
        if w.shape != values.shape or np.any(w < 0):
            raise DataRefusedError(
                f"the weights have shape {w.shape}", expected=f"{values.shape}, none negative", hint="Align them."
            )
        is_nan = np.isnan(values)
        counted = ~is_nan & (w > 0)
        keys = ordered_keys(values[counted]) >> np.uint64(64 - self.bits)
        if weights is None:
            cells, found = np.unique(keys, return_counts=True)
            counts = found.astype(np.float64)
        else:
            cells, inverse = np.unique(keys, return_inverse=True)
            counts = np.bincount(inverse, w[counted], len(cells))
        return self._with(cells, counts, self.bits, int(is_nan.sum()))

    def merge(self, other: "QuantileSketch") -> "QuantileSketch":
        """Return the sketch of the values of both.

        Raises
        ------
        DataRefusedError
            The capacities differ.
        """
        if self.capacity != other.capacity:
            raise DataRefusedError(
                f"sketches of capacity {self.capacity} and {other.capacity} cannot be merged",
                expected="equal capacities",
                hint="Make all parts with the same capacity.",
            )
        return self._with(other.cells, other.counts, other.bits, other.n_missing)

    def _with(self, cells: Keys, counts: Array, bits: int, n_missing: int) -> "QuantileSketch":
        kept = min(self.bits, bits)
        both = np.concatenate([self.cells >> np.uint64(self.bits - kept), cells >> np.uint64(bits - kept)])
        order = np.argsort(both, kind="stable")  # two sorted runs
        both = both[order]
        dropped = _bits_to_drop(both, self.capacity)
        both >>= np.uint64(dropped)
        starts = _starts(both)
        summed = np.add.reduceat(np.concatenate([self.counts, counts])[order], starts) if len(both) else np.empty(0)
        return replace(
            self, bits=kept - dropped, cells=both[starts], counts=summed, n_missing=self.n_missing + n_missing
        )

    def rank(self, x: ArrayLike) -> Array:
        """Return the average ranks of `x` (n,) among all values, within `rank_error`; NaN for NaN.

        Inside a cell the rank grows linearly. A value that was never seen gets the number of values below it + 1/2.
        """
        values = np.asarray(x, dtype=np.float64)
        keys = ordered_keys(values)
        cell = keys >> np.uint64(64 - self.bits)
        at = np.searchsorted(self.cells, cell)
        below = np.concatenate([[0.0], np.cumsum(self.counts)])
        is_seen = at < len(self.cells)
        is_seen[is_seen] = self.cells[at[is_seen]] == cell[is_seen]
        inside = np.zeros(len(values))
        inside[is_seen] = self.counts[at[is_seen]]
        place = np.full(len(values), 0.5)
        if not self.is_exact:
            low = (keys - (cell << np.uint64(64 - self.bits))).astype(np.float64)
            place = (low + 0.5) / 2.0 ** (64 - self.bits)
        return np.where(np.isnan(values), np.nan, below[at] + 0.5 + place * inside)

    def pseudo_observations(self, x: ArrayLike) -> Array:
        """Return `rank` / (N + 1), shape (n,)."""
        return self.rank(x) / (self.total + 1)

    def quantile(self, q: ArrayLike) -> Array:
        """Return the values below which the fractions `q` lie (inverse of the empirical distribution), to one cell.

        NaN for an empty sketch.
        """
        wanted = np.asarray(q, dtype=np.float64)
        if not len(self.cells):
            return np.full(wanted.shape, np.nan)
        at = np.searchsorted(np.cumsum(self.counts), wanted * self.total, side="left").clip(max=len(self.cells) - 1)
        shift = np.uint64(64 - self.bits)
        half = np.uint64((1 << (64 - self.bits)) >> 1)
        return values_of((self.cells[at] << shift) + half)


def exact_ranks(
    parts: Sequence[ArrayLike | Callable[[], ArrayLike]],
    *,
    weights: Sequence[ArrayLike | Callable[[], ArrayLike]] | None = None,
    rows_in_memory: int = 20_000_000,
    sketch: QuantileSketch | None = None,
) -> Iterator[tuple[int, NDArray[np.intp], Array]]:
    """Yield the exact average ranks of one column that is cut into parts, as (part, positions in it, ranks).

    A first pass makes a `QuantileSketch`. When that is exact the ranks are read off it in a second pass. Otherwise
    neighbouring cells are taken together until they hold `rows_in_memory` values; those are collected from all parts
    and sorted, which gives their ranks, because the number of values below the first of them is known exactly. A single
    cell that holds more is sketched again, finer. Every value is yielded once, NaN and what has no weight never.

    Parameters
    ----------
    parts
        Arrays of shape (n_i,), or functions that read one.
    weights
        How often each value counts, cut in the same way: ranks are W(below) + (W(equal) + 1) / 2, as those of
        `average_ranks`.
    rows_in_memory
        The most values of all parts that are held at a time, besides one part.
    sketch
        Of all parts, when there is one already; with weights only its capacity counts.

    Raises
    ------
    DataRefusedError
        Weights are cut in another way than the values.

    Examples
    --------
    >>> parts = [np.array([5.0, np.nan]), np.array([1.0, 5.0])]
    >>> ranks = [np.full(len(part), np.nan) for part in parts]
    >>> for part, positions, values in exact_ranks(parts):
    ...     ranks[part][positions] = values
    >>> [r.tolist() for r in ranks]
    [[2.5, nan], [1.0, 2.5]]
    """
    read = _readers(parts) if weights is None else _readers(parts, weights)
    if weights is not None:
        held = rows = QuantileSketch() if sketch is None else QuantileSketch(sketch.capacity)
        for load in read:
            x, w = load()
            held, rows = held.update(x, w), rows.update(x, w > 0)
        yield from _refine(read, held, rows, rows_in_memory, below=0.0)
        return
    if sketch is None:
        sketch = QuantileSketch()
        for load in read:
            sketch = sketch.update(load()[0])
    yield from _refine(read, sketch, sketch, rows_in_memory, below=0.0)


Read = Callable[[], tuple[Array, Array | None]]


def _readers(
    parts: Sequence[ArrayLike | Callable[[], ArrayLike]],
    weights: Sequence[ArrayLike | Callable[[], ArrayLike]] | None = None,
) -> list[Any]:
    """Return functions that read the values of a part and their weights, None for none."""
    if weights is not None and len(weights) != len(parts):
        raise DataRefusedError(
            f"{len(weights)} parts of weights for {len(parts)} of values", expected="as many", hint="Cut them alike."
        )

    def loaded(part: ArrayLike | Callable[[], ArrayLike]) -> Array:
        return np.asarray(part() if callable(part) else part, dtype=np.float64)

    def reader(part: Any, weight: Any) -> Read:
        return lambda: (loaded(part), None if weights is None else loaded(weight))

    if weights is None:
        return [reader(part, None) for part in parts]
    return [reader(part, weight) for part, weight in zip(parts, weights, strict=True)]


def _refine(
    read: Sequence[Read], sketch: QuantileSketch, rows: QuantileSketch, limit: int, *, below: float
) -> Iterator[tuple[int, NDArray[np.intp], Array]]:
    """Yield the ranks of the values in the cells of `sketch`; `below` is the weight of all smaller values.

    `rows` has the same cells, each row counting once.
    """
    if not len(sketch.cells):
        return
    shift = np.uint64(64 - sketch.bits)
    for first, stop in _batches(rows.counts, limit) if not sketch.is_exact else [(0, len(sketch.cells))]:
        base = below + float(sketch.counts[:first].sum())
        low, high = sketch.cells[first] << shift, (sketch.cells[stop - 1] << shift) | ((np.uint64(1) << shift) - _ONE)
        if not sketch.is_exact and rows.counts[first:stop].sum() > limit:
            finer, finer_rows = QuantileSketch(sketch.capacity), QuantileSketch(sketch.capacity)
            for load in read:
                _, keys, w = _between(*load(), low, high)
                finer = finer.update(values_of(keys), w)
                finer_rows = finer if w is None else finer_rows.update(values_of(keys))
            yield from _refine(read, finer, finer_rows, limit, below=base)
        elif sketch.is_exact:
            for i, load in enumerate(read):
                positions, keys, _ = _between(*load(), low, high)
                yield i, positions, base + sketch.rank(values_of(keys))
        else:
            yield from _ranked_together([_between(*load(), low, high) for load in read], base)


def _ranked_together(
    found: Sequence[tuple[NDArray[np.intp], Keys, Array | None]], base: float
) -> Iterator[tuple[int, NDArray[np.intp], Array]]:
    """Yield the ranks of all keys of some parts, above values of the weight `base`."""
    every = np.concatenate([keys for _, keys, _ in found])
    order = np.argsort(every)
    sorted_ = every[order]
    reached = np.arange(len(every) + 1, dtype=np.float64)
    if found and found[0][2] is not None:
        weights = np.concatenate([w for _, _, w in found if w is not None])[order]
        reached = np.concatenate([[0.0], np.cumsum(weights)])
    for i, (positions, keys, _) in enumerate(found):
        under, upto = (reached[np.searchsorted(sorted_, keys, side=side)] for side in ("left", "right"))
        yield i, positions, np.asarray(base + 0.5 * (under + upto + 1), dtype=np.float64)


_ONE = np.uint64(1)


def _between(
    values: Array, w: Array | None, low: np.uint64, high: np.uint64
) -> tuple[NDArray[np.intp], Keys, Array | None]:
    keys = ordered_keys(values)
    inside = (keys >= low) & (keys <= high) & ~np.isnan(values)
    if w is None:
        positions = np.flatnonzero(inside)
        return positions, keys[positions], None
    positions = np.flatnonzero(inside & (w > 0))
    return positions, keys[positions], w[positions]


def _batches(counts: Array, limit: int) -> Iterator[tuple[int, int]]:
    """Yield (first, stop) of runs of cells that hold at most `limit` values, or of single cells that hold more."""
    first, held = 0, 0.0
    for i, count in enumerate(counts.tolist()):
        if i > first and held + count > limit:
            yield first, i
            first, held = i, 0.0
        held += count
    if len(counts):
        yield first, len(counts)


def _bits_to_drop(keys: Keys, capacity: int) -> int:
    """Return how many low bits must go so that the sorted `keys` are at most `capacity` different ones."""
    low, high = 0, 64
    while low < high:
        middle = (low + high) // 2
        if middle < 64 and len(_starts(keys >> np.uint64(middle))) > capacity:
            low = middle + 1
        else:
            high = middle
    return low


def _starts(keys: Keys) -> NDArray[np.intp]:
    """Return where in the sorted `keys` a new one begins."""
    return np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])


def ordered_keys(values: Array) -> Keys:
    """Return whole numbers that order as the floats do; -0.0 and 0.0 have the same."""
    bits = (values + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def values_of(keys: Keys) -> Array:
    """Return the floats of `ordered_keys`."""
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys).view(np.float64)
