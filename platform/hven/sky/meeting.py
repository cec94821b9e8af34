"""Whether a region meets what a dataset covers: what lies inside, what on the border, then down the tree of cells."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hven.sky.cover import INSIDE, TOUCHING, as_ranges, meets, merged
from hven.sky.healpix import ORDER, SKY, cell_centres
from hven.sky.moc_text import parse_moc
from hven.sky.regions import Moc, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BORDER = 512
"""Cells on the border of a region that all coverages are compared with at once."""

_UNDECIDED = 4096
"""Descent stops once so many cells lie on the common border of coverage and region: they are taken to meet."""


def meeting(region: Region, coverages: Sequence[str]) -> list[bool]:
    """Return which of several coverages (MOC texts, as `hven.sky.coverage` writes them) a region meets.

    Nothing that meets is missed. Two that come closer to each other than a 4096th of their common border are taken to
    meet; an empty text covers nothing.

    Raises
    ------
    RegionError
        If a text is not a MOC.

    Examples
    --------
    >>> from hven.sky import cone
    >>> meeting(cone(0, 90, 1), ["0/0-3", "0/8-11", ""])
    [True, False, False]
    """
    inside, border, order = _outline(region)
    edge = as_ranges(border, order)
    found = []
    for text in coverages:
        held = covered_ranges(text)
        if meets(inside[:, 0], inside[:, 1] - 1, held).any():
            found.append(True)
        else:
            near = border[meets(edge[:, 0], edge[:, 1] - 1, held)]
            found.append(bool(near.size) and _touch(Moc(text) & region, near, order))
    return found


def sky_fraction(coverage: str) -> float:
    """Return the part of the whole sky that a coverage holds, from 0 to 1.

    Examples
    --------
    >>> round(sky_fraction("0/0-3"), 4)
    0.3333
    """
    ranges = covered_ranges(coverage)
    return float((ranges[:, 1] - ranges[:, 0]).sum() / SKY)


@lru_cache(maxsize=4096)
def covered_ranges(coverage: str) -> "NDArray[np.int64]":
    """Return the sorted half-open ranges (n, 2) of order 29 of a MOC text; catalogs ask for the same ones often."""
    ranges = parse_moc(coverage)
    ranges.flags.writeable = False
    return ranges


def _outline(region: Region) -> "tuple[NDArray[np.int64], NDArray[np.int64], int]":
    """Return ranges (n, 2) that lie in a region for certain, and the cells (m,) of one order on its border."""
    inside = [np.empty((0, 2), np.int64)]
    cells = np.arange(12, dtype=np.int64)
    for order in range(ORDER + 1):
        relation = region.relation(cells, order)
        inside.append(as_ranges(cells[relation == INSIDE], order))
        cells = cells[relation == TOUCHING]
        if not cells.size or cells.size > _BORDER or order == ORDER:
            break
        cells = _children(cells)
    return merged(np.concatenate(inside)), cells, order


def _touch(both: Region, cells: "NDArray[np.int64]", order: int) -> bool:
    """Return whether a region has a point in `cells` (n,) of `order`, going down until one point is certain."""
    while True:
        relation = both.relation(cells, order)
        if (relation == INSIDE).any():
            return True
        cells = cells[relation == TOUCHING]
        if not cells.size:
            return False
        if cells.size > _UNDECIDED or order == ORDER or both.contains(*cell_centres(cells, order)).any():
            return True
        cells, order = _children(cells), order + 1


def _children(cells: "NDArray[np.int64]") -> "NDArray[np.int64]":
    return (4 * cells[:, None] + np.arange(4, dtype=np.int64)).ravel()
