"""Where on the sky a dataset has objects: a short MOC for its catalog entry."""

from typing import TYPE_CHECKING

import numpy as np

from hven.sky.cover import as_ranges, merged
from hven.sky.healpix import ORDER, SKY
from hven.sky.moc_text import moc_text, parse_moc

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FINEST = 10
_LONGEST = 4000
_CHARACTERS = 3  # of a range, at least, with the blank before it


def coverage(cells: "NDArray[np.int64]") -> str:
    """Return the MOC, as ASCII text under 4 kB, of the cells that hold objects.

    Parameters
    ----------
    cells
        ``_healpix_29`` of the objects, int64, shape (n,), in any order.

    Returns
    -------
    str
        The finest MOC, order 10 (3.4 arcmin) or coarser, that is short enough; ``""`` when there are no objects.

    Examples
    --------
    >>> from hven.sky import healpix_29
    >>> coverage(healpix_29([10.0, 10.0], [20.0, 20.01]))
    '10/5085024 5085026'
    """
    cells = np.asarray(cells, np.int64) >> (2 * (ORDER - _FINEST))
    held = _distinct(cells if (cells[1:] >= cells[:-1]).all() else np.sort(cells))
    for order in range(_FINEST, -1, -1):
        runs = 1 + int(np.count_nonzero(np.diff(held) > 1))
        if _CHARACTERS * runs <= _LONGEST:  # No need to write out a text that cannot be short enough.
            return _short(as_ranges(held, order), order)
        held = _distinct(held >> 2)
    raise AssertionError("twelve cells of order 0 always fit")


def join_coverage(one: str, other: str) -> str:
    """Return the MOC, under 4 kB, of what either of two MOC texts covers.

    Examples
    --------
    >>> join_coverage("0/3", "1/16-17")
    '0/3 1/16-17'
    """
    return _short(np.concatenate([parse_moc(one), parse_moc(other)]))


def common_coverage(one: str, other: str) -> str:
    """Return the MOC, under 4 kB, of what both of two MOC texts cover.

    Examples
    --------
    >>> common_coverage("0/3", "1/10-13 1/17")
    '1/12-13'
    """
    outside = merged(np.concatenate([_gaps(parse_moc(one)), _gaps(parse_moc(other))]))
    return _short(_gaps(outside))


def _gaps(ranges: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """Return the ranges (m, 2) between sorted, separate ranges (n, 2)."""
    edges = np.concatenate([[0], ranges.ravel(), [SKY]]).reshape(-1, 2)
    return edges[edges[:, 0] < edges[:, 1]]


def _distinct(ordered: "NDArray[np.int64]") -> "NDArray[np.int64]":
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if ordered.size else ordered


def _short(ranges: "NDArray[np.int64]", finest: int = _FINEST) -> str:
    for order in range(finest, -1, -1):
        shift = 2 * (ORDER - order)
        ranges = merged(np.stack([ranges[:, 0] >> shift, -(-ranges[:, 1] >> shift)], axis=1) << shift)
        if _CHARACTERS * len(ranges) <= _LONGEST:
            text = moc_text(ranges, order)
            if len(text) <= _LONGEST:
                return text
    raise AssertionError("twelve cells of order 0 always fit")
