"""float64 where it matters: JAX code that computes in double precision without changing JAX for anybody else."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from hven.errors import MissingDependencyError

P = ParamSpec("P")
T = TypeVar("T")


def in_float64(function: Callable[P, T]) -> Callable[P, T]:
    """Return `function` running with JAX's 64-bit types switched on, for the length of each call only.

    Whatever `function` traces, compiles or differentiates in JAX is then float64; outside, JAX stays as it was. Pass
    NumPy arrays in: a JAX array that was made outside is float32 already. Put `jit`, `grad` and `vmap` inside.

    Raises
    ------
    MissingDependencyError
        When called on a machine without JAX.

    Examples
    --------
    >>> import numpy as np
    >>> @in_float64
    ... def third(x):
    ...     import jax.numpy as jnp
    ...     return np.asarray(jnp.asarray(x) / 3)
    >>> third(np.ones(2)).dtype
    dtype('float64')
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            import jax
        except ImportError as error:
            raise MissingDependencyError(
                f"{function.__name__} computes with JAX, which is not installed",
                hint="Install it with: pip install 'hven[science]'",
            ) from error
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return run
