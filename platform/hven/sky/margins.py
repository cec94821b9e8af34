"""Margins: the ranges of HEALPix cells that hold everything within some distance of given cells."""

import math
from typing import TYPE_CHECKING

import numpy as np

from hven.sky.cover import as_ranges, merged
from hven.sky.healpix import ORDER, SKY

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 0.5
"""Cells of order k are at least WIDTH / 2^k radians wide, from edge to opposite edge.

The narrowest measure 0.69 / 2^k; the rest is room for rounding.
"""

_MOST_CELLS = 4_000


def padded_ranges(cells: "NDArray[np.int64]", pad: float) -> "NDArray[np.int64]":
    """Return ranges of cells of order 29 that hold every point within `pad` [deg] of any point of `cells`.

    Cells are taken at an order at which they are wider than `pad`, with their eight neighbours: nothing within `pad`
    lies beyond those. They may hold more; the sky is not cut finer than four thousand cells.

    Parameters
    ----------
    cells
        Nested cells of order 29, int64, shape (n,).
    pad
        Degrees.

    Returns
    -------
    numpy.ndarray
        Half-open ranges, int64, shape (m, 2), sorted, not touching one another.

    Examples
    --------
    >>> padded_ranges(np.array([], np.int64), 1.0).tolist()
    []
    >>> padded_ranges(np.array([0]), 30.0).tolist() == [[0, 12 * 4**29]]
    True
    """
    if not len(cells):
        return np.empty((0, 2), np.int64)
    order = order_wider_than(pad)
    if order < 0:
        return np.array([[0, SKY]])
    held = _distinct(np.sort(np.asarray(cells, np.int64)) >> (2 * (ORDER - order)))
    while len(held) > _MOST_CELLS:
        held, order = _distinct(held >> 2), order - 1
    return merged(as_ranges(_with_neighbours(held, order), order))


def order_wider_than(pad: float) -> int:
    """Return the finest order whose cells are everywhere wider than `pad` [deg]; -1 when none is.

    Examples
    --------
    >>> order_wider_than(1 / 3600), order_wider_than(90.0)
    (16, -1)
    """
    if pad <= 0:
        return ORDER - 1
    return max(-1, min(ORDER - 1, math.floor(math.log2(WIDTH / math.radians(pad)))))


def _distinct(cells: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """Return sorted cells without repeats."""
    return np.asarray(cells[np.concatenate([[True], cells[1:] != cells[:-1]])])


def _with_neighbours(cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int64]":
    from cdshealpix.nested import neighbours

    around = np.asarray(neighbours(cells.astype(np.uint64), order, num_threads=1)).astype(np.int64).ravel()
    return _distinct(np.sort(around[around >= 0]))


def fewer(ranges: "NDArray[np.int64]", most: int) -> "NDArray[np.int64]":
    """Return at most so many sorted ranges that hold those given; the narrowest gaps are filled.

    Examples
    --------
    >>> fewer(np.array([[0, 1], [2, 3], [9, 10]]), 2).tolist()
    [[0, 3], [9, 10]]
    """
    if len(ranges) <= most:
        return ranges
    gaps = ranges[1:, 0] - ranges[:-1, 1]
    cuts = np.sort(np.argsort(gaps, kind="stable")[::-1][: most - 1])
    first = np.concatenate([[0], cuts + 1])
    last = np.concatenate([cuts, [len(ranges) - 1]])
    return np.stack([ranges[first, 0], ranges[last, 1]], axis=1)
