"""Two-point functions of a quantity at scattered places: mean products of deviations against the distance.

`of_points` counts every pair at its exact distance, by trees; `of_grid` counts any number of points in bounded memory,
by Fourier transforms of their sums on a grid. Both leave out one region after the other for the errors.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError

__all__ = ["Grid", "TwoPoint", "of_grid", "of_points", "of_shuffled"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TwoPoint:
    """Mean products of deviations at l lags.

    Attributes
    ----------
    edges
        Of the lags, (l + 1,).
    value, err
        Mean product and its jackknife error, (l,); NaN without pairs, or without regions for the error.
    n_pairs
        How many pairs there are, each counted once, (l,).
    replicates
        The values without each region, (k, l).
    """

    edges: Array
    value: Array
    err: Array
    n_pairs: Array
    replicates: Array

    def covariance(self) -> Array:
        """Return the jackknife covariance between lags, (l, l)."""
        k = len(self.replicates)
        if k < 2:
            return np.full((len(self.value), len(self.value)), np.nan)
        off = self.replicates - self.replicates.mean(axis=0)
        return np.asarray((k - 1) / k * off.T @ off)


@dataclass(frozen=True)
class Grid:
    """Sums of points on a square grid: all that `of_grid` needs of them, added up block by block.

    Attributes
    ----------
    origin, pixel
        Lower corner (x, y) of the grid, and the width of its pixels.
    count, total, square
        Number of points, and sums of values and of their squares, (x, y).
    """

    origin: tuple[float, float]
    pixel: float
    count: Array
    total: Array
    square: Array

    @classmethod
    def empty(cls, low: ArrayLike, high: ArrayLike, pixel: float) -> "Grid":
        """Return a grid without points from `low` to `high`, (2,) both."""
        low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        shape = tuple(int(v) for v in np.maximum(np.ceil((high - low) / pixel), 0) + 1)
        return cls((float(low[0]), float(low[1])), pixel, *(np.zeros(shape) for _ in range(3)))

    def add(self, x: ArrayLike, y: ArrayLike, values: ArrayLike) -> "Grid":
        """Return the grid with more points; those outside, or with a value that is not finite, do not count."""
        x, y, v = (np.asarray(a, dtype=np.float64) for a in (x, y, values))
        known = np.isfinite(x) & np.isfinite(y) & np.isfinite(v)
        i = np.floor((x[known] - self.origin[0]) / self.pixel).astype(np.int64)
        j = np.floor((y[known] - self.origin[1]) / self.pixel).astype(np.int64)
        rows, columns = self.count.shape
        inside = (i >= 0) & (i < rows) & (j >= 0) & (j < columns)
        flat, v = (i * columns + j)[inside], v[known][inside]
        sums = [np.bincount(flat, w, rows * columns).reshape(rows, columns) for w in (np.ones_like(v), v, v**2)]
        return Grid(self.origin, self.pixel, self.count + sums[0], self.total + sums[1], self.square + sums[2])


def of_points(places: ArrayLike, values: ArrayLike, edges: ArrayLike, regions: ArrayLike | None = None) -> TwoPoint:
    """Return the mean product of values of all pairs whose distance is in (edges[i], edges[i+1]].

    Time grows a little faster than the number of points as long as lags are small against the extent.

    Parameters
    ----------
    places
        Shape (n, d), d being 1, 2 or 3.
    values
        Deviations from the mean, shape (n,).
    edges
        Ascending from zero or more, shape (l + 1,).
    regions
        Numbers that tell regions apart, (n,), which are left out in turn for the errors. None for no errors.

    Examples
    --------
    >>> told = of_points([[0.0], [1.0], [3.0]], [1.0, 2.0, -1.0], [0.0, 1.5, 4.0])
    >>> told.value.tolist(), told.n_pairs.tolist()
    ([2.0, -1.5], [1.0, 2.0])
    """
    x, v, edges = np.asarray(places, dtype=np.float64), np.asarray(values, dtype=np.float64), _edges(edges)
    if x.ndim != 2 or v.shape != (len(x),) or not (np.isfinite(x).all() and np.isfinite(v).all()):
        raise DataRefusedError(
            f"places have shape {x.shape} and values {v.shape}, or some are not finite", where="twopoint.of_points",
            expected="(n, d) and (n,), finite", hint="Leave out points without a value.",
        )  # fmt: skip
    names = np.zeros(len(x)) if regions is None else np.asarray(regions)
    one = np.unique(names, return_inverse=True)[1]
    parts = [np.flatnonzero(one == k) for k in range(int(one.max(initial=-1)) + 1)]
    with_all = np.array([_pair_sums(x[p], v[p], x, v, edges) for p in parts]).reshape(-1, 2, len(edges) - 1)
    total = with_all.sum(axis=0)
    if regions is None or len(parts) < 2:
        return _told(edges, total, np.empty((0, *total.shape)))
    within = np.array([_pair_sums(x[p], v[p], x[p], v[p], edges) for p in parts])
    return _told(edges, total, total - 2 * with_all + within)


def _pair_sums(a: Array, va: Array, b: Array, vb: Array, edges: Array) -> Array:
    """Return sums of products and counts of ordered pairs at each lag, (2, l)."""
    from scipy.spatial import cKDTree

    one, other = cKDTree(a), cKDTree(b)
    products = one.count_neighbors(other, edges, weights=(va, vb), cumulative=False)[1:]
    return np.array([products, one.count_neighbors(other, edges, cumulative=False)[1:]], dtype=np.float64)


def of_grid(grid: Grid, edges: ArrayLike, tiles: int = 0) -> TwoPoint:
    """Return the mean product of values of all pairs, distances being those of their pixels.

    The distance of a pair is off by 0.4 pixels at most times (0.4 = rms), which does not matter for pixels of a quarter
    of the lags' width or less. Pairs within a pixel count at half its width.

    Parameters
    ----------
    grid
        Sums of deviations from the mean.
    edges
        As for `of_points`.
    tiles
        Regions along each side that are left out in turn for the errors; 0 for no errors. Those with fewer points than
        a tenth of the mean share join no replicate.
    """
    edges = _edges(edges)
    lags = _Lags.of(grid, edges)
    total = lags.sums(grid.total, grid.count, grid.square)
    left = []
    rows, columns = grid.count.shape
    sides = [np.array_split(np.arange(size), tiles) if tiles else [] for size in (rows, columns)]
    fewest = 0.1 * grid.count.sum() / max(tiles**2, 1)
    for i in sides[0]:
        for j in sides[1]:
            keep = np.ones(grid.count.shape)
            keep[np.ix_(i, j)] = 0.0
            if np.sum(grid.count * (1 - keep)) > fewest:
                left.append(lags.sums(grid.total * keep, grid.count * keep, grid.square * keep))
    return _told(edges, total, np.array(left).reshape(-1, *total.shape))


def of_shuffled(
    empty: Grid, x: ArrayLike, y: ArrayLike, values: ArrayLike, edges: ArrayLike, n_shuffles: int, seed: int = 0
) -> Array:
    """Return the two-point functions of values that are shuffled among their places, (n_shuffles, l): the null.

    Parameters
    ----------
    empty
        A grid without points.
    x, y, values
        Places and deviations from the mean, (n,), all finite.
    edges
        As for `of_points`.
    n_shuffles, seed
        How often, and the seed of the permutations.
    """
    edges = _edges(edges)
    x, y, values = (np.asarray(v, dtype=np.float64) for v in (x, y, values))
    lags = _Lags.of(empty, edges)
    counts = lags.sum_of(*(empty.add(x, y, values).count for _ in range(2)))
    rng = np.random.default_rng(seed)
    null = np.full((n_shuffles, len(edges) - 1), np.nan)
    for row in null:
        grid = empty.add(x, y, rng.permutation(values))
        np.divide(lags.sum_of(grid.total, grid.square), counts, out=row, where=counts > 0.5)
    return null


@dataclass(frozen=True)
class _Lags:
    """Which bin of distance each shift of a padded grid belongs to, flat; the last bin is none."""

    place: NDArray[np.int64]
    shape: tuple[int, int]
    n: int

    @classmethod
    def of(cls, grid: Grid, edges: Array) -> "_Lags":
        from scipy.fft import next_fast_len

        size = grid.count.shape
        reach = int(np.ceil(edges[-1] / grid.pixel)) + 1
        rows, columns = (next_fast_len(s + min(reach, s), real=True) for s in size)
        shift = np.minimum(np.arange(rows), rows - np.arange(rows)), np.arange(columns // 2 + 1)
        distance = grid.pixel * np.hypot(shift[0][:, None], shift[1][None, :])
        distance[0, 0] = 0.5 * grid.pixel
        usable = (shift[0] < size[0])[:, None] & (shift[1] < size[1])[None, :]
        place = np.searchsorted(edges, distance) - 1
        n = len(edges) - 1
        return cls(np.where(usable & (place >= 0) & (place < n), place, n).ravel(), (rows, columns), n)

    def sums(self, total: Array, count: Array, square: Array) -> Array:
        """Return sums of products and counts of ordered pairs at each lag, (2, l)."""
        return np.array([self.sum_of(total, square), np.rint(self.sum_of(count, count))])

    def sum_of(self, total: Array, own: Array) -> Array:
        """Return the sums over ordered pairs of pixels of products, pairs of a point with itself (`own`) left out."""
        from scipy.fft import irfft2, rfft2

        products = irfft2(np.abs(rfft2(total, self.shape)) ** 2, self.shape)
        products[0, 0] = np.sum(total**2 - own)
        half = products[:, : self.shape[1] // 2 + 1].copy()  # the other half is its mirror image
        half[:, 1:] *= 2
        if self.shape[1] % 2 == 0:
            half[:, -1] /= 2
        return np.asarray(np.bincount(self.place, half.ravel(), self.n + 1)[:-1])


def _edges(edges: ArrayLike) -> Array:
    values = np.asarray(edges, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.all(np.diff(values) > 0) or not values[0] >= 0:
        raise DataRefusedError(
            f"the edges of the lags are {values.tolist()}", where="twopoint", expected="two or more, ascending from 0",
            hint="Correct them.",
        )  # fmt: skip
    return values


def _told(edges: Array, total: Array, left: Array) -> TwoPoint:
    """Return means of ordered pairs' sums (2, l), and of those without each region (k, 2, l)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(total[1] > 0.5, total[0] / total[1], np.nan)
        replicates = np.where(left[:, 1] > 0.5, left[:, 0] / left[:, 1], np.nan)
    k = len(replicates)
    err = np.full(len(value), np.nan)
    if k > 1:
        err = np.sqrt((k - 1) / k * np.sum((replicates - replicates.mean(axis=0)) ** 2, axis=0))
    return TwoPoint(edges, value, err, total[1] / 2, replicates)
