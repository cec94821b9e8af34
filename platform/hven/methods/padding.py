"""A few array lengths instead of many: JAX compiles once for each shape, so blocks are padded with zero weight."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_SMALLEST = 256
_COARSE_UP_TO = 65_536


def padded_length(n: int) -> int:
    """Return the length that `n` rows are padded to: 256, 1024, 4096, 16384, 65536, then doubling.

    Examples
    --------
    >>> [padded_length(n) for n in (1, 256, 257, 40_000, 70_000)]
    [256, 256, 1024, 65536, 131072]
    """
    length = _SMALLEST
    while length < n:
        length *= 4 if length < _COARSE_UP_TO else 2
    return length


def pad(values: ArrayLike, length: int, fill: float) -> NDArray[Any]:
    """Return `values` (n, ...) as float64 of shape (`length`, ...), the rows after the n-th being `fill`.

    Examples
    --------
    >>> pad([1, 2], 4, fill=0.0).tolist()
    [1.0, 2.0, 0.0, 0.0]
    """
    array = np.asarray(values, dtype=np.float64)
    padded = np.full((length, *array.shape[1:]), fill)
    padded[: len(array)] = array
    return padded
