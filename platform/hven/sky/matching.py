"""Which positions of one list lie near those of another: the cross-match on arrays, exact at every place of the sky.

Candidates come from HEALPix cells, or from a k-d tree where the sky is too crowded for the radius. Which of them is
nearest, and what lies within, is decided by one formula for each pair alone: the answer does not depend on how the
lists are cut or ordered, nor on where the candidates came from.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.sky.match_cells import pairs_by_cells
from hven.sky.match_trees import count_by_tree, nearest_by_tree, pairs_by_tree

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_DEGREE = np.pi / 180.0
_ARCSEC = 3600.0


@dataclass(frozen=True)
class Points:
    """Positions on the sky, all finite.

    Attributes
    ----------
    ra, dec
        ICRS [deg], shape (n,).
    cells
        Their ``_healpix_29``, int64, shape (n,).
    """

    ra: "Floats"
    dec: "Floats"
    cells: "Ints"

    def __len__(self) -> int:
        return len(self.ra)

    @classmethod
    def at(cls, ra: "ArrayLike", dec: "ArrayLike") -> "Points":
        """Return positions with their cells."""
        from hven.sky.healpix import healpix_29

        return cls(np.asarray(ra, float), np.asarray(dec, float), healpix_29(ra, dec))


@dataclass(frozen=True)
class Pairs:
    """Pairs of positions, ordered by the left one, then by separation, then by the rank of the right one.

    Attributes
    ----------
    left, right
        Their places in the two lists, int64, shape (m,).
    separation
        Between them [arcsec], shape (m,), good to 1e-9 arcsec.
    """

    left: "Ints"
    right: "Ints"
    separation: "Floats"


def nearest_within(left: Points, right: Points, radius: "ArrayLike", rank: "NDArray[Any] | None" = None) -> Pairs:
    """Return for each left position the nearest right one within `radius`, if there is one.

    Parameters
    ----------
    left, right
        n and k positions, in any order; fastest in that of their cells.
    radius
        Largest separation [arcsec], itself included: one for all, or shape (n,).
    rank
        Decides between right positions that are equally near, shape (k,): the lowest is taken. Their order by default.

    Examples
    --------
    >>> pairs = nearest_within(Points.at([0.0, 90.0], [0.0, 0.0]), Points.at([359.9999], [0.0]), 1.0)
    >>> pairs.left.tolist(), pairs.right.tolist(), pairs.separation.round(6).tolist()
    ([0], [0], [0.36])
    """
    if not len(left) or not len(right):
        return _NONE
    reach = np.broadcast_to(np.asarray(radius, float), len(left))
    widest = float(reach.max())
    found = pairs_by_cells(left.cells, right.cells, widest / _ARCSEC)
    pairs = _within(left, right, reach, *(found or nearest_by_tree(left.ra, left.dec, right.ra, right.dec, widest)))
    count = np.bincount(pairs.left, minlength=len(left))
    best, separation = np.full(len(left), -1), np.empty(len(left))
    best[pairs.left], separation[pairs.left] = pairs.right, pairs.separation
    if pairs.left.size and count.max() > 1:
        some = _sorted(_taken(pairs, count[pairs.left] > 1), rank)
        first = np.concatenate([[True], some.left[1:] != some.left[:-1]])
        best[some.left[first]], separation[some.left[first]] = some.right[first], some.separation[first]
    matched = np.flatnonzero(best >= 0)
    return Pairs(matched, best[matched], separation[matched])


def all_within(left: Points, right: Points, radius: "ArrayLike", rank: "NDArray[Any] | None" = None) -> Pairs:
    """Return every pair of a left and a right position within `radius`; see `nearest_within`.

    Examples
    --------
    >>> pairs = all_within(Points.at([0.0], [90.0]), Points.at([0.0, 180.0], [89.9999, 89.9998]), 1.0)
    >>> pairs.right.tolist(), pairs.separation.round(6).tolist()
    ([0, 1], [0.36, 0.72])
    """
    if not len(left) or not len(right):
        return _NONE
    reach = np.broadcast_to(np.asarray(radius, float), len(left))
    found = pairs_by_cells(left.cells, right.cells, float(reach.max()) / _ARCSEC)
    return _sorted(
        _within(left, right, reach, *(found or pairs_by_tree(left.ra, left.dec, right.ra, right.dec, reach))), rank
    )


def count_within(left: Points, right: Points, radius: "ArrayLike") -> int:
    """Return how many pairs `all_within` would have to look at, and never fewer than it has, without keeping them.

    Examples
    --------
    >>> count_within(Points.at([0.0], [0.0]), Points.at([0.0, 0.0], [0.0, 30.0]), 10.0)
    1
    """
    if not len(left) or not len(right):
        return 0
    reach = np.broadcast_to(np.asarray(radius, float), len(left))
    found = pairs_by_cells(left.cells, right.cells, float(reach.max()) / _ARCSEC)
    return len(found[0]) if found else count_by_tree(left.ra, left.dec, right.ra, right.dec, reach)


def separations(ra: "Floats", dec: "Floats", other_ra: "Floats", other_dec: "Floats") -> "Floats":
    """Return the angles [arcsec] between positions [deg], all of shape (m,), good to 1e-9 arcsec up to a few degrees.

    By haversines, which lose no digits at small angles.

    Examples
    --------
    >>> one, other = np.array([0.0]), np.array([1 / 3600])
    >>> separations(one, one, other, one).round(9).tolist()
    [1.0]
    """
    half = _DEGREE / 2.0
    across = np.sin((other_ra - ra) * half)
    up = np.sin((other_dec - dec) * half)
    square = up * up + np.cos(dec * _DEGREE) * np.cos(other_dec * _DEGREE) * (across * across)
    return np.asarray(2.0 * np.arcsin(np.sqrt(np.minimum(square, 1.0))) / _DEGREE * _ARCSEC)


_NONE = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def _within(left: Points, right: Points, reach: "Floats", one: "Ints", other: "Ints") -> Pairs:
    apart = separations(left.ra[one], left.dec[one], right.ra[other], right.dec[other])
    return _taken(Pairs(one, other, apart), apart <= reach[one])


def _taken(pairs: Pairs, which: "NDArray[np.bool_] | Ints") -> Pairs:
    return Pairs(pairs.left[which], pairs.right[which], pairs.separation[which])


def _sorted(pairs: Pairs, rank: "NDArray[Any] | None") -> Pairs:
    last = pairs.right if rank is None else rank[pairs.right]
    return _taken(pairs, np.lexsort((last, pairs.separation, pairs.left)))
