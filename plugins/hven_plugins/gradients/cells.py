"""Cells of a map, of one size or of as many stars as they need, and the mean and scatter of the stars in each."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_PIXELS = 400
_COMMON = 20.0
OK, TOO_FEW, NO_SCATTER, CONSTANT = "ok", "too few stars", "errors exceed the scatter", "does not vary"


@dataclass(frozen=True)
class Pixels:
    """A square grid of pixels in the plane of the Galaxy.

    Attributes
    ----------
    x, y
        Edges in kpc, (nx + 1,) and (ny + 1,), multiples of the width of a pixel.
    width
        Of a pixel, in kpc.
    """

    x: Array
    y: Array
    width: float

    @classmethod
    def around(cls, x: Array, y: Array, width: float) -> "Pixels":
        """Return pixels that hold all but the outermost 0.2 % of the stars along each axis, 400 a side at most."""
        edges = []
        for values in (x, y):
            low, high = np.quantile(values, [0.001, 0.999])
            edges.append((low, high))
        wide = max(high - low for low, high in edges) / MOST_PIXELS
        width = width * max(1.0, float(np.ceil(wide / width)))
        axes = [width * np.arange(np.floor(low / width), np.floor(high / width) + 2) for low, high in edges]
        return cls(axes[0], axes[1], width)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of pixels, (ny, nx)."""
        return len(self.y) - 1, len(self.x) - 1

    def of(self, x: Array, y: Array) -> Integers:
        """Return the pixel of each star (n,), counted along x first; -1 outside."""
        i = np.searchsorted(self.y, y, side="right") - 1
        j = np.searchsorted(self.x, x, side="right") - 1
        rows, columns = self.shape
        inside = (i >= 0) & (i < rows) & (j >= 0) & (j < columns)
        return np.where(inside, i * columns + j, -1)

    def centres(self) -> tuple[Array, Array]:
        """Return the middles of the pixels along x and y."""
        return (self.x[1:] + self.x[:-1]) / 2, (self.y[1:] + self.y[:-1]) / 2


def merged(count: Integers, n_min: int, levels: int) -> tuple[Integers, Integers]:
    """Return the cell of each pixel (ny, nx), numbered from 0, and how many pixels wide that cell is.

    From the bottom of a quadtree: pixels with `n_min` stars are cells; what is left over of a square of 2 pixels a side
    is one cell once it has `n_min`, else it goes on to the square of 4, and so on up to 2^levels. A rich pixel does not
    wait for a poor neighbour.

    Parameters
    ----------
    count
        Stars in each pixel, (ny, nx).
    n_min, levels
        Stars that a cell should have, and how often pixels may be merged; 0 leaves them as they are.

    Examples
    --------
    >>> cell, width = merged(np.array([[9, 9, 1, 0], [9, 9, 0, 2]]), n_min=5, levels=1)
    >>> cell.tolist(), width.tolist()
    ([[0, 1, 2, 2], [3, 4, 2, 2]], [[1, 1, 2, 2], [1, 1, 2, 2]])
    """
    rows, columns = count.shape
    i, j = np.indices(count.shape)
    stride = 2**levels + columns
    width = np.ones(count.shape, dtype=np.int64)
    corner = i * stride + j
    is_left = count < n_min
    for level in range(1, levels + 1):
        side = 2**level
        square = i // side * stride + j // side
        left = np.bincount(square.ravel(), np.where(is_left, count, 0).ravel())[square]
        joins = is_left & ((left >= n_min) | (level == levels))
        corner = np.where(joins, level * rows * stride + square, corner)
        width = np.where(joins, side, width)
        is_left &= ~joins
    cell = np.unique(corner, return_inverse=True)[1].reshape(rows, columns)
    order = np.full(cell.max() + 1, rows * columns)
    np.minimum.at(order, cell.ravel(), np.arange(rows * columns))
    ranks = np.argsort(np.argsort(order))
    return ranks[cell], width


class Told(NamedTuple):
    """Mean and intrinsic scatter of g groups of stars, (g,) each; `flag` says why one is NaN."""

    n: Integers
    mean: Array
    mean_err: Array
    scatter: Array
    scatter_err: Array
    flag: NDArray[np.str_]


def mean_and_scatter(
    values: Array, errors: Array, group: Integers, n_groups: int, *, n_min: int, mean: float | None = None
) -> Told:
    """Return the maximum-likelihood mean and scatter of N(mean, scatter^2 + error^2) in each group of stars.

    Where the errors explain more than all the scatter (the error-corrected variance is negative), the scatter is NaN
    and the mean that of no scatter at all.

    Parameters
    ----------
    values, errors
        Of each star, with its 1-sigma error, (n,).
    group
        Of each star, 0 to `n_groups` - 1.
    n_groups, n_min
        Number of groups, and the fewest stars of one that is told of.
    mean
        Fixes the mean, if given.
    """
    n = np.bincount(group, minlength=n_groups)
    middle = np.bincount(group, values, n_groups) / np.maximum(n, 1) if mean is None else np.full(n_groups, mean)
    off = values - middle[group]
    widest = np.zeros(n_groups)
    np.maximum.at(widest, group, off**2)
    varies = widest > (1e-12 * np.maximum(np.abs(middle), 1e-3)) ** 2
    floor = np.where(varies, 1e-12 * widest, 1.0)

    def at(variance: Array) -> tuple[Array, Array, Array, Array, Array]:
        w = 1 / (variance[group] + errors2)
        total = np.bincount(group, w, n_groups)
        shift = np.zeros(n_groups)
        if mean is None:
            shift = np.bincount(group, w * off, n_groups) / np.maximum(total, 1e-300)
        weighted = (w * (off - shift[group])) ** 2
        score = np.bincount(group, weighted, n_groups) - total
        w2 = np.bincount(group, w**2, n_groups)
        curvature = np.bincount(group, w * weighted, n_groups)
        return total, middle + shift, score, curvature, w2

    errors2 = errors**2
    low, high = floor.copy(), 4 * widest + floor
    nothing_left = at(low)[2] <= 0
    variance = np.clip(np.bincount(group, off**2 - errors2, n_groups) / np.maximum(n, 1), 0.01 * widest, high) + floor
    for _ in range(60):
        _, _, score, curvature, w2 = at(variance)
        low, high = np.where(score > 0, variance, low), np.where(score > 0, high, variance)
        slope = np.minimum(w2 - 2 * curvature, -1e-300)
        newton = variance - score / slope  # towards the root of the derivative, where it bends the right way
        inside = (newton > low) & (newton < high)
        before, variance = variance, np.where(inside, newton, 0.5 * (low + high))
        if np.all(nothing_left | ~varies | (np.abs(variance - before) <= 1e-9 * variance)):
            break
    variance = np.where(nothing_left, 0.0, variance)
    total, centre, _, curvature, w2 = at(np.where(nothing_left, floor, variance))
    information, expected = curvature - 0.5 * w2, 0.5 * w2
    information = np.where(information > 0.1 * expected, information, expected)
    few, constant = n < n_min, ~varies
    lost = few | constant | nothing_left
    with np.errstate(invalid="ignore", divide="ignore"):
        scatter = np.where(lost, np.nan, np.sqrt(variance))
        scatter_err = np.where(lost, np.nan, 0.5 / np.sqrt(information) / scatter)
        mean_err = np.where(few | constant, np.nan, 1 / np.sqrt(total))
    flag = np.select([few, constant, nothing_left], [TOO_FEW, CONSTANT, NO_SCATTER], OK)
    return Told(n, np.where(few, np.nan, centre), mean_err, scatter, scatter_err, flag)


def means_and_noise(values: Array, group: Integers, n_groups: int) -> tuple[Array, Array]:
    """Return the mean of each group of stars and its error by what the stars scatter, errors included, (g,) both.

    The variance of a group is mixed with that of all groups, which counts like twenty stars: ten stars tell their own
    so badly that groups with little of it by chance would pass for exact.

    Examples
    --------
    >>> mean, err = means_and_noise(np.array([1.0, 3.0, 2.0, 2.0]), np.array([0, 0, 1, 1]), 2)
    >>> mean.tolist(), err.round(2).tolist()
    ([2.0, 2.0], [0.72, 0.69])
    """
    n = np.bincount(group, minlength=n_groups)
    mean = np.bincount(group, values, n_groups) / np.maximum(n, 1)
    squares = np.bincount(group, (values - mean[group]) ** 2, n_groups)
    lost = np.maximum(n - 1, 0)
    common = squares.sum() / max(lost.sum(), 1)
    variance = (_COMMON * common + squares) / (_COMMON + lost)
    return mean, np.sqrt(variance / np.maximum(n, 1))


def honest_near_zero(scatter: Array, scatter_err: Array) -> Array:
    """Return errors of scatters that, where these are hardly above zero, are as significant as their squares are.

    To first order err = err(variance) / 2 scatter: noise whose variance is 1.5 errors above zero would be three errors
    above zero itself. Near zero the factor 2 goes; far above it stays.

    Examples
    --------
    >>> honest_near_zero(np.array([0.1, 0.1]), np.array([0.1, 0.005])).round(3).tolist()
    [0.197, 0.005]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(scatter_err * (1 + np.exp(-((scatter / scatter_err / 6) ** 2))))


def limit_of_scatter(means: Array, errors: Array) -> float:
    """Return the scatter about zero at which ln L has fallen by 1/2 from its value at none, where that is highest.

    Examples
    --------
    >>> round(limit_of_scatter(np.zeros(50), np.ones(50)), 2)
    0.14
    """
    from scipy.optimize import brentq

    def fallen(scatter: float) -> float:
        variance = scatter**2 + errors**2
        gain = np.log(variance / errors**2) + means**2 / variance - (means / errors) ** 2
        return float(0.5 * gain.sum() - 0.5)

    high = float(errors.min())
    while fallen(high) < 0:
        high *= 2
    return float(brentq(fallen, 0.0, high))
