"""The footprint of a block on the sky: a few HEALPix cells, small enough for a journal, joined when all is done."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from hven.sky import join_coverage

if TYPE_CHECKING:
    from numpy.typing import NDArray

Footprint = tuple[int, tuple[int, ...]]
"""A HEALPix order, and cells of it."""

_FINEST = 10
_MOST = 256
_CELLS = 20_000
_RUNS = 1_300
"""Runs of cells beyond which a MOC is longer than an entry keeps."""

NOWHERE: Footprint = (_FINEST, ())


def footprint(pixels: "NDArray[np.int64]") -> Footprint:
    """Return the cells that hold objects, of the finest order at which they are few.

    Parameters
    ----------
    pixels
        ``_healpix_29`` of the objects, int64, shape (n,).

    Examples
    --------
    >>> footprint(np.array([0, 1 << 38, 1 << 40]))
    (10, (0, 1, 4))
    """
    cells = _each_once(np.sort(np.asarray(pixels, np.int64) >> (2 * (29 - _FINEST))))
    order = _FINEST
    while len(cells) > _MOST:
        cells, order = _each_once(cells >> 2), order - 1
    return order, tuple(cells.tolist())


def _each_once(ordered: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """Return the different values of an array in order; several times as fast as for one in any order."""
    return ordered[np.flatnonzero(np.diff(ordered, prepend=-1))]


def joined(footprints: Iterable[Footprint]) -> str:
    """Return the MOC text of all footprints together, at the coarsest of their orders; ``""`` when there is nothing.

    Examples
    --------
    >>> joined([(10, (0, 1)), (9, (7,))])
    '9/0 7'
    """
    order, cells = _FINEST, set[int]()
    for finer, more in footprints:
        if finer < order:
            cells, order = {cell >> (2 * (order - finer)) for cell in cells}, finer
        cells.update(cell >> (2 * (finer - order)) for cell in more)
        while len(cells) > _CELLS:
            cells, order = {cell >> 2 for cell in cells}, order - 1
    if not cells:
        return ""
    held = np.sort(np.fromiter(cells, np.int64, len(cells)))
    while len(runs := np.split(held, np.flatnonzero(np.diff(held) != 1) + 1)) > _RUNS:
        held, order = np.unique(held >> 2), order - 1
    return join_coverage(f"{order}/{' '.join(f'{run[0]}-{run[-1]}' for run in runs)}", "")
