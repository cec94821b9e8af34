"""What a weight means in every analysis: how much a row counts beside the others, in proportion.

The scale of the weights says nothing: all weights 1e-3 are the same as all 1, and as none. Rows of unequal weight tell
as much as fewer rows of equal weight, (sum w)^2 / sum w^2 of them (Kish 1965); `scaled` makes weights that add up to
that number, so that what counts rows (ranks over N + 1, likelihoods, kernels) counts right.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError

__all__ = ["effective_number", "scaled"]


def effective_number(weights: ArrayLike) -> float:
    """Return (sum w)^2 / sum w^2, 0 without any weight.

    Examples
    --------
    >>> effective_number([1e-3, 1e-3, 1e-3]), effective_number([1.0, 1.0, 1000.0]) < 1.01, effective_number([])
    (3.0, True, 0.0)
    """
    w = np.asarray(weights, dtype=np.float64)
    largest = float(w.max(initial=0.0))
    if not largest > 0:
        return 0.0
    w = w / largest
    return float(round(w.sum() ** 2 / (w**2).sum(), 9))


def scaled(weights: ArrayLike) -> NDArray[np.float64]:
    """Return the weights times what makes them add up to their `effective_number`, shape (n,).

    Raises
    ------
    DataRefusedError
        A weight is negative or not finite.

    Examples
    --------
    >>> scaled([0.001, 0.001]).tolist(), scaled([3.0, 1.0]).round(6).tolist()
    ([1.0, 1.0], [1.2, 0.4])
    """
    w = np.asarray(weights, dtype=np.float64)
    if not np.all(np.isfinite(w)) or np.any(w < 0):
        raise DataRefusedError(
            f"{int(np.sum(~(w >= 0) | np.isinf(w)))} of {w.size} weights are negative or not finite",
            expected="weights of 0 or more",
            hint="Leave these rows out, or give them the weight 0.",
        )
    largest = float(w.max(initial=0.0))
    if not largest > 0:
        return w
    unit = w / largest
    return np.asarray(unit * (effective_number(unit) / unit.sum()))
