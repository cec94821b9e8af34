"""Which columns have more than one value."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def varies(values: NDArray[Any], axis: int | tuple[int, ...] = 0) -> NDArray[np.bool_]:
    """Return whether `values` differ along `axis` by more than their rounding; their standard deviation cannot tell.

    Examples
    --------
    >>> tenths = np.full((1000, 1), 0.1)
    >>> float(tenths.std(axis=0)[0]) > 0, varies(tenths).tolist(), varies(np.arange(4) + 1e9).tolist()
    (True, [False], True)
    """
    low, high = (np.asarray(f(values, axis=axis), dtype=np.float64) for f in (np.min, np.max))
    rounding = 2 * np.finfo(values.dtype).eps if values.dtype.kind == "f" else 0.0
    return np.asarray(high - low > rounding * np.maximum(np.abs(low), np.abs(high)))
