"""Candidates for a cross-match from HEALPix cells: who shares a cell, or lies in the cell next to a near edge.

Both lists in the order of their cells are merged like two sorted columns. A cell is chosen so wide that few positions
lie near its edge and so small that few positions share it.
"""

from typing import TYPE_CHECKING

import numpy as np

from hven.sky.healpix import ORDER
from hven.sky.margins import WIDTH, order_wider_than

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

_SHARED = 3.0
"""Positions of the other list in a cell, as one of them sees it, up to which cells are made wider."""

_MARGIN = 7
"""Orders by which cells may be wider than the radius asks for: then one position in forty is near an edge."""

_COARSEST = 2
"""At lower orders a cell may touch another one twice."""

_CROWDED = 24
"""Candidates for each position beyond which a tree is quicker."""


_SPREAD = ((1, 0x3333333333333333), (2, 0x0F0F0F0F0F0F0F0F), (4, 0x00FF00FF00FF00FF), (8, 0x0000FFFF0000FFFF))
"""How far pairs, fours, ... of bits move together, and which bits are then theirs."""


def pairs_by_cells(cells: "Ints", others: "Ints", radius: float) -> "tuple[Ints, Ints] | None":
    """Return the places of all pairs within `radius` [deg] and of some further apart; None when they are too many.

    Parameters
    ----------
    cells, others
        ``_healpix_29`` of the positions, int64, shapes (n,) and (k,), in any order.
    radius
        Degrees.

    Returns
    -------
    tuple of numpy.ndarray, or None
        Places in `cells` and in `others`, int64, both of shape (m,).

    Examples
    --------
    >>> one, other = pairs_by_cells(np.array([0, 5 << 40]), np.array([1, 9 << 50]), 1e-5)
    >>> one.tolist(), other.tolist()
    ([0], [0])
    """
    finest = order_wider_than(radius)
    if finest < _COARSEST:
        return None
    order_of_others = None if (others[1:] >= others[:-1]).all() else np.argsort(others, kind="stable")
    held = others if order_of_others is None else others[order_of_others]
    order = _fitting_order(held, finest)
    runs = _Runs(held >> (2 * (ORDER - order)))
    most = _CROWDED * (len(cells) + len(others))
    own = cells >> (2 * (ORDER - order))
    at, count = runs.find(own)
    border, around = _beyond_edges(cells, order, radius)
    at_around, count_around = runs.find(around)
    if int(count.sum()) + int(count_around.sum()) > most:
        return None
    one, other = _expanded(np.arange(len(cells)), at, count)
    one_more, other_more = _expanded(border, at_around, count_around)
    one, other = np.concatenate([one, one_more]), np.concatenate([other, other_more])
    return one, other if order_of_others is None else order_of_others[other]


class _Runs:
    """Where each cell begins and ends in a sorted list of cells."""

    def __init__(self, held: "Ints") -> None:
        self._start = np.flatnonzero(np.concatenate([[True], held[1:] != held[:-1]]))
        self._cells = held[self._start]
        self._count = np.diff(np.concatenate([self._start, [len(held)]]))

    def find(self, cells: "Ints") -> "tuple[Ints, Ints]":
        """Return where the members of each of `cells` begin, and how many they are."""
        at = np.minimum(np.searchsorted(self._cells, cells), len(self._cells) - 1)
        return self._start[at], np.where(self._cells[at] == cells, self._count[at], 0)


def _fitting_order(held: "Ints", finest: int) -> int:
    """Return the coarsest order, within reason, at which few members share a cell."""
    order = finest
    while order > max(finest - _MARGIN, _COARSEST):
        wider = held >> (2 * (ORDER - order + 1))
        count = np.diff(np.flatnonzero(np.concatenate([[True], wider[1:] != wider[:-1], [True]])))
        if float(count @ count) > _SHARED * len(held):
            break
        order -= 1
    return order


def _beyond_edges(cells: "Ints", order: int, radius: float) -> "tuple[Ints, Ints]":
    """Return the places of positions within `radius` of an edge of their cell, once for each cell around it, and those.

    A cell is cut into steps along its two axes, each at least `WIDTH` over the order of the step wide: whoever is
    further from all edges than so many steps has nothing beyond them within the radius.
    """
    fine = min(ORDER, order + 12)
    steps = int(np.radians(radius) / (WIDTH / (1 << fine))) + 1
    inside = (1 << (fine - order)) - 1
    x, y = _axes(cells >> (2 * (ORDER - fine)), fine - order)
    near = np.flatnonzero((np.minimum(x, y) < steps) | (np.maximum(x, y) > inside - steps))
    if not len(near):
        return near, near
    from cdshealpix.nested import neighbours

    around = np.asarray(neighbours((cells[near] >> (2 * (ORDER - order))).astype(np.uint64), order, num_threads=1))
    around = around.astype(np.int64)
    around[:, 4] = -1  # The cell itself, which stands in the middle.
    return np.repeat(near, around.shape[1]), around.ravel()


def _axes(cells: "Ints", bits: int) -> "tuple[Ints, Ints]":
    """Return the steps along both axes of a cell: the even and the odd bits of the last 2 * `bits`."""
    last = cells & ((1 << (2 * bits)) - 1)
    return _even_bits(last), _even_bits(last >> 1)


def _even_bits(x: "Ints") -> "Ints":
    x = x & 0x5555555555555555
    for shift, mask in (
        (1, 0x3333333333333333),
        (2, 0x0F0F0F0F0F0F0F0F),
        (4, 0x00FF00FF00FF00FF),
        (8, 0x0000FFFF0000FFFF),
    ):
        x = (x | (x >> shift)) & mask
    return x


def _expanded(places: "Ints", at: "Ints", count: "Ints") -> "tuple[Ints, Ints]":
    """Return each place as often as its cell has members, and those members."""
    some = np.flatnonzero(count)
    places, at, count = places[some], at[some], count[some]
    before = np.cumsum(count) - count
    return np.repeat(places, count), np.arange(int(count.sum())) + np.repeat(at - before, count)
