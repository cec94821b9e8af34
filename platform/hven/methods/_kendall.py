"""Concordant less discordant pairs, weighted, by counting inversions bit by bit: array operations only."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def concordance(x: Array, y: Array, w: Array) -> tuple[float, float, float]:
    """Return concordant - discordant pairs, and the pairs not tied in x and in y; a pair weighs w_i w_j."""
    order = np.lexsort((y, x))  # within ties of x, y rises: those pairs are no inversions
    x, y, w = x[order], y[order], w[order]
    ranks = np.unique(y, return_inverse=True)[1]
    new_x = x[1:] != x[:-1]
    all_pairs = _pairs_within(np.zeros(len(x) - 1, dtype=bool), w)
    tied_x = _pairs_within(new_x, w)
    tied_both = _pairs_within(new_x | (y[1:] != y[:-1]), w)
    by_y = np.argsort(ranks, kind="stable")
    tied_y = _pairs_within(np.diff(ranks[by_y]) != 0, w[by_y])
    surplus = all_pairs - tied_x - tied_y + tied_both - 2 * _inversions(ranks, w)
    return float(surplus), float(all_pairs - tied_x), float(all_pairs - tied_y)


def _pairs_within(is_new: NDArray[np.bool_], w: Array) -> float:
    """Return the weight of the pairs inside runs, `is_new` saying between which neighbours a run ends."""
    starts = np.concatenate([[0], np.flatnonzero(is_new) + 1])
    total = np.add.reduceat(w, starts)
    squares = np.add.reduceat(w * w, starts)
    return float(np.sum(total * total - squares) / 2)


def _inversions(ranks: NDArray[np.intp], w: Array) -> float:
    """Return the weight of the pairs i < j with ranks_i > ranks_j.

    From the highest bit down: among ranks that agree in the higher bits (a group), each one before a zero is an
    inversion; each group is then parted, zeros first, order kept. Every pair is decided at the first bit that differs.
    """
    total = 0.0
    index = np.arange(len(ranks))
    for bit in reversed(range(int(ranks.max(initial=0)).bit_length())):
        group = ranks >> (bit + 1)
        starts = np.concatenate([[0], np.flatnonzero(group[1:] != group[:-1]) + 1])
        sizes = np.diff(np.append(starts, len(ranks)))
        is_one = (ranks >> bit) & 1
        ones = w * is_one
        before = np.cumsum(ones) - ones
        before -= np.repeat(before[starts], sizes)
        total += (before * (w - ones)).sum()
        zeros_before = np.cumsum(1 - is_one) - (1 - is_one)
        zeros_before -= np.repeat(zeros_before[starts], sizes)
        first = np.repeat(starts, sizes)
        zeros = np.repeat(np.add.reduceat(1 - is_one, starts), sizes)
        to = np.where(is_one == 1, index - zeros_before + zeros, first + zeros_before)
        parted_ranks, parted_w = np.empty_like(ranks), np.empty_like(w)
        parted_ranks[to], parted_w[to] = ranks, w
        ranks, w = parted_ranks, parted_w
    return float(total)
