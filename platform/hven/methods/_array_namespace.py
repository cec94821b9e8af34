"""One text for NumPy and JAX: functions that compute with whichever of the two their arguments come from."""

import sys
from typing import Any

import numpy as np


def namespace(*values: Any) -> Any:
    """Return `jax.numpy` when one of `values` is a JAX array (as inside `jit`, `grad` and `vmap`), else `numpy`."""
    jax = sys.modules.get("jax")
    if jax is not None and any(isinstance(value, jax.Array) for value in values):
        return jax.numpy
    return np


def floats(*values: Any) -> tuple[Any, ...]:
    """Return `jax.numpy` or `numpy`, and each value as an array of it: NumPy's are float64, JAX's keep their type."""
    xp = namespace(*values)
    if xp is np:
        return (np, *(np.asarray(value, dtype=np.float64) for value in values))
    return (xp, *(xp.asarray(value, dtype=xp.result_type(float, *values)) for value in values))
