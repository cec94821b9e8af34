"""Functions of one row, computed for all rows: NumPy to NumPy in float64, JAX to JAX; a bad row spoils only itself."""

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from hven.methods.padding import padded_length
from hven.methods.precision import in_float64


def rowwise(core: Callable[..., Any], shared: Any, *rows: tuple[Any, int]) -> Any:
    """Return what `core(shared, *row)` gives for every row, its leaves with the leading shape of the rows.

    Parameters
    ----------
    core
        A JAX function of one row: module-level, so that it is compiled once.
    shared
        A pytree of numbers and arrays that all rows see.
    rows
        Arrays with the number of their trailing dimensions that belong to one row; the others broadcast.
    """
    if is_jax(shared, *(values for values, _ in rows)):
        return _over_rows(core, shared, rows, sys.modules["jax"].numpy)
    return _in_numpy(core, shared, rows)


def is_jax(*trees: Any) -> bool:
    """Return whether an array of JAX is among the leaves of `trees`."""
    jax = sys.modules.get("jax")
    return jax is not None and any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(trees))


@in_float64
def _in_numpy(core: Callable[..., Any], shared: Any, rows: tuple[tuple[Any, int], ...]) -> Any:
    import jax

    result = _over_rows(core, shared, [(np.asarray(v, dtype=np.float64), k) for v, k in rows], np)
    is_traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(result))
    return result if is_traced else jax.tree.map(np.asarray, result)


def _over_rows(core: Callable[..., Any], shared: Any, rows: Any, xp: Any) -> Any:
    arrays = [(xp.asarray(values), k) for values, k in rows]
    lead = np.broadcast_shapes(*(a.shape[: a.ndim - k] for a, k in arrays))
    n = int(np.prod(lead))
    flat = [xp.broadcast_to(a, lead + a.shape[a.ndim - k :]).reshape(n, *a.shape[a.ndim - k :]) for a, k in arrays]
    if xp is np:  # a few lengths only, or each would be compiled
        flat = [np.concatenate([a, np.ones((padded_length(n) - n, *a.shape[1:]))]) for a in flat]
    result = _compiled(core, len(flat))(shared, *flat)
    return sys.modules["jax"].tree.map(lambda leaf: leaf[:n].reshape(*lead, *leaf.shape[1:]), result)


@lru_cache(maxsize=256)
def _compiled(core: Callable[..., Any], n_rows: int) -> Callable[..., Any]:
    import jax

    compiled: Callable[..., Any] = jax.jit(jax.vmap(core, in_axes=(None, *(0,) * n_rows)))
    return compiled
