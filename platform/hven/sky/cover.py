"""From a region to the ranges of HEALPix cells that cover it: down the tree of cells from a coarse order."""

from typing import TYPE_CHECKING

import numpy as np

from hven.sky.healpix import ORDER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hven.sky.regions import Region

OUTSIDE, TOUCHING, INSIDE = 0, 1, 2
"""How a cell lies to a region: no point of it inside, perhaps some, certainly all."""

_UNDECIDED = 320
"""Descent stops once more cells lie on the border: about as many ranges as a query gains from, and never over 1,280."""

_FIRST = 2
_FEW = 80
"""So few cells take no longer than one: they are divided twice at once."""

_ROUNDING = 1e-11


def cell_radius(order: int) -> float:
    """Return an upper bound [rad] of the distance from the centre of a cell of `order` to any of its points.

    The widest cells lie where the polar caps begin: sqrt(0.894**2 + 0.585**2) = 1.068 / nside. A little is added for
    rounding.

    Examples
    --------
    >>> round(cell_radius(10), 6)
    0.001074
    """
    return 1.1 / (1 << order) + _ROUNDING


def cover(region: "Region") -> "NDArray[np.int64]":
    """Return ranges of cells of order 29 that hold every point of `region`, and little else.

    Returns
    -------
    numpy.ndarray
        Half-open ranges, int64, shape (n, 2), sorted, not touching one another.

    Examples
    --------
    >>> from hven.sky import box
    >>> cover(box(0, 360, -90, 90)).tolist() == [[0, 12 * 4**29]]
    True
    """
    inside, touching, order = descend(region, _UNDECIDED)
    return merged(np.concatenate([inside, as_ranges(touching, order)]))


def descend(
    region: "Region", undecided: int, deepest: int = ORDER
) -> "tuple[NDArray[np.int64], NDArray[np.int64], int]":
    """Return what lies in a region for certain, and which cells of which order lie on its border.

    Parameters
    ----------
    region
        Any.
    undecided
        Cells on the border are divided until there are more than these.
    deepest
        The order at which dividing ends.

    Returns
    -------
    inside
        Half-open ranges of order 29, int64, shape (n, 2), in no order.
    touching
        Cells of the border, int64, shape (m,); m is at most four times `undecided`, or 1,280.
    order
        Theirs.

    Examples
    --------
    >>> from hven.sky import cone
    >>> inside, touching, order = descend(cone(0, 0, 10), 1000, deepest=5)
    >>> len(touching), order
    (78, 5)
    """
    order = min(_FIRST, deepest)
    cells = np.arange(12 << (2 * order), dtype=np.int64)
    inside: list[NDArray[np.int64]] = []
    while True:
        relation = region.relation(cells, order)
        inside.append(as_ranges(cells[relation == INSIDE], order))
        cells = cells[relation == TOUCHING]
        if not cells.size or cells.size > undecided or order == deepest:
            return np.concatenate(inside), cells, order
        steps = min(2 if cells.size <= _FEW else 1, deepest - order)
        cells = ((cells[:, None] << (2 * steps)) + np.arange(1 << (2 * steps), dtype=np.int64)).ravel()
        order += steps


def as_ranges(cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int64]":
    """Return the ranges (n, 2) of order 29 that `cells` (n,) of `order` span.

    Examples
    --------
    >>> as_ranges(np.array([3]), 28).tolist()
    [[12, 16]]
    """
    shift = 2 * (ORDER - order)
    return np.stack([cells << shift, (cells + 1) << shift], axis=1)


def merged(ranges: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """Return the same cells as sorted ranges that neither overlap nor touch.

    Examples
    --------
    >>> merged(np.array([[5, 9], [0, 2], [2, 3], [6, 7]])).tolist()
    [[0, 3], [5, 9]]
    """
    ranges = ranges[ranges[:, 0] < ranges[:, 1]]
    if not len(ranges):
        return np.empty((0, 2), np.int64)
    ranges = ranges[np.argsort(ranges[:, 0], kind="stable")]
    reached = np.maximum.accumulate(ranges[:, 1])
    first = np.concatenate([[True], ranges[1:, 0] > reached[:-1]])
    last = np.concatenate([first[1:], [True]])
    return np.stack([ranges[first, 0], reached[last]], axis=1)


def in_ranges(cells: "NDArray[np.int64]", ranges: "NDArray[np.int64]") -> "NDArray[np.bool_]":
    """Return which `cells` (n,) lie in sorted, separate half-open `ranges` (m, 2).

    Examples
    --------
    >>> in_ranges(np.array([1, 3, 4]), np.array([[0, 2], [4, 5]])).tolist()
    [True, False, True]
    """
    if not len(ranges):
        return np.zeros(cells.shape, bool)
    at = np.searchsorted(ranges[:, 0], cells, side="right") - 1
    return np.asarray((at >= 0) & (cells < ranges[np.maximum(at, 0), 1]))


def meets(low: "NDArray[np.int64]", high: "NDArray[np.int64]", ranges: "NDArray[np.int64]") -> "NDArray[np.bool_]":
    """Return which intervals from `low` to `high` (n, both included) meet any of the sorted half-open ranges (m, 2).

    Examples
    --------
    >>> meets(np.array([0, 5]), np.array([4, 9]), np.array([[4, 5], [20, 30]])).tolist()
    [True, False]
    """
    if not len(ranges):
        return np.zeros(len(low), bool)
    at = np.searchsorted(ranges[:, 1], low, side="right")
    return np.asarray((at < len(ranges)) & (ranges[np.minimum(at, len(ranges) - 1), 0] <= high))
