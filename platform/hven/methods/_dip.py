"""Hartigan's dip: how far an empirical distribution is from the nearest unimodal one."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def dip_of_sorted(x: Array) -> float:
    """Return the dip of sorted values (n,), n >= 1.

    Hartigan & Hartigan 1985. A unimodal distribution is convex up to its mode and concave after it. In the present
    modal interval take the greatest convex minorant G and the least concave majorant L of the empirical
    distribution F; where they are farthest apart lies the next, smaller interval; outside it F must keep to G on
    the left and to L on the right, and the dip is half the largest of these distances. It ends when G and L are no
    farther apart than that. F jumps at a value: G runs through the feet of the jumps, L through their heads.
    """
    n = len(x)
    values, counts = np.unique(x, return_counts=True)
    head = np.cumsum(counts).astype(np.float64)
    foot = head - counts
    low, high, widest = 0, len(values) - 1, 1.0
    while low < high:
        at = values[low : high + 1]
        lower, upper = _hull(at, foot[low : high + 1], 1.0), _hull(at, head[low : high + 1], -1.0)
        minorant = np.interp(at, at[lower], foot[low : high + 1][lower])
        majorant = np.interp(at, at[upper], head[low : high + 1][upper])
        at_lower, at_upper = (majorant - minorant)[lower], (majorant - minorant)[upper]
        i, j = int(np.argmax(at_lower)), int(np.argmax(at_upper))
        if at_lower[i] >= at_upper[j]:
            distance, left = at_lower[i], lower[i]
            right = upper[np.searchsorted(upper, left)]
        else:
            distance, right = at_upper[j], upper[j]
            left = lower[np.searchsorted(lower, right, side="right") - 1]
        if distance <= widest:
            break
        before = (head[low : high + 1] - minorant)[:left]
        after = (majorant - foot[low : high + 1])[right + 1 :]
        widest = max(widest, before.max(initial=0.0), after.max(initial=0.0))
        if left == 0 and right == high - low:
            break
        low, high = low + left, low + right
    return float(widest / (2 * n))


def _hull(x: Array, y: Array, sign: float) -> NDArray[np.intp]:
    """Return the indices of the lower (`sign` 1) or upper (-1) hull of points with rising x."""
    xs, ys = x.tolist(), (sign * y).tolist()
    kept = [0]
    for k in range(1, len(xs)):
        while len(kept) > 1:
            a, b = kept[-2], kept[-1]
            if (ys[b] - ys[a]) * (xs[k] - xs[b]) < (ys[k] - ys[b]) * (xs[b] - xs[a]):
                break
            kept.pop()
        kept.append(k)
    return np.array(kept, dtype=np.intp)


@lru_cache(maxsize=64)
def simulated_dips(n: int, n_simulations: int, seed: int) -> Array:
    """Return the sorted dips of samples of `n` uniform values, shape (n_simulations,)."""
    rng = np.random.default_rng((seed, n))
    return np.sort([dip_of_sorted(np.sort(rng.random(n))) for _ in range(n_simulations)])
