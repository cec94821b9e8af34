"""Whether a region meets what a dataset covers: first by ranges of cells, then down the tree of cells."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hven.sky.cover import INSIDE, TOUCHING
from hven.sky.healpix import ORDER, SKY, cell_centres
from hven.sky.moc_text import parse_moc
from hven.sky.regions import Moc, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    near = region.ranges()
    return [_overlap(near, covered_ranges(text)) and _touch(Moc(text) & region) for text in coverages]


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


def _overlap(one: "NDArray[np.int64]", other: "NDArray[np.int64]") -> bool:
    if not len(one) or not len(other):
        return False
    first = np.minimum(np.searchsorted(other[:, 1], one[:, 0], side="right"), len(other) - 1)
    return bool(((other[first, 0] < one[:, 1]) & (other[first, 1] > one[:, 0])).any())


def _touch(both: Region) -> bool:
    """Return whether a region holds any point, going down the tree of cells until one is certain."""
    cells = np.arange(12, dtype=np.int64)
    for order in range(ORDER + 1):
        relation = both.relation(cells, order)
        if (relation == INSIDE).any():
            return True
        cells = cells[relation == TOUCHING]
        if not cells.size:
            return False
        if cells.size > _UNDECIDED or both.contains(*cell_centres(cells, order)).any():
            return True
        cells = (4 * cells[:, None] + np.arange(4, dtype=np.int64)).ravel()
    return True
