"""Poisson weights by object id, and the sums of all bootstrap replicates by one matrix product per block of rows."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError
from hven.methods._moments_sums import Sums, add, known, shifted
from hven.methods.precision import in_float64

Array = NDArray[np.float64]

_ROWS = 4096
_THRESHOLDS = (
    np.array(
        # P(N <= k) for N ~ Poisson(1), k = 0..11, on the scale of 32 random bits
        np.rint(2.0**32 * np.exp(-1.0) * np.cumsum(1 / np.cumprod([1.0, *range(1, 12)]))),
        dtype=np.uint64,
    )
    .clip(max=2**32 - 1)
    .astype(np.uint32)
)


@in_float64
def poisson_weights(ids: ArrayLike, seed: int, n_boot: int) -> NDArray[np.uint8]:
    """Return how often each object counts in each bootstrap replicate, Poisson(1), shape (n, n_boot).

    Drawn from ``fold_in(key(seed), id)``: they depend on the seed and the object's id only, not on the rows around it.

    Parameters
    ----------
    ids
        Whole numbers, unique to each object, shape (n,).
    seed
        Of the draws.
    n_boot
        Number of replicates.

    Raises
    ------
    DataRefusedError
        The ids are not whole numbers.
    ParameterError
        `n_boot` is not positive.

    Examples
    --------
    >>> some = poisson_weights([7, 8, 9], seed=1, n_boot=1000)
    >>> bool((some[1] == poisson_weights([8], seed=1, n_boot=1000)).all()), round(float(some.mean()), 1)
    (True, 1.0)
    """
    import jax

    names = np.asarray(ids)
    if names.ndim != 1 or not np.issubdtype(names.dtype, np.integer):
        raise DataRefusedError(
            f"ids have shape {names.shape} and type {names.dtype}",
            expected="(n,) whole numbers",
            hint="Pass object_id; it is unique and does not change.",
        )
    if n_boot < 1:
        raise ParameterError(f"n_boot is {n_boot}", expected="at least 1", hint="200 gives errors good to 5 %.")
    words = names.astype(np.int64).view(np.uint64)
    high, low = (words >> np.uint64(32)).astype(np.uint32), words.astype(np.uint32)
    draw = _draw(n_boot)
    key = jax.random.key(seed)
    counts = np.empty((len(names), n_boot), dtype=np.uint8)
    for start in range(0, len(names), _ROWS):
        stop = min(start + _ROWS, len(names))
        pad = (0, (256 if len(names) <= 256 else _ROWS) - (stop - start))
        block = draw(key, np.pad(high[start:stop], pad), np.pad(low[start:stop], pad))
        counts[start:stop] = np.asarray(block)[: stop - start]
    return counts


@lru_cache(maxsize=16)
def _draw(n_boot: int) -> Any:
    import jax
    import jax.numpy as jnp

    def one(key: Any, high: Any, low: Any) -> Any:
        own = jax.random.fold_in(jax.random.fold_in(key, high), low)
        bits = jax.random.bits(own, (n_boot,), jnp.uint32)
        count = jnp.zeros(n_boot, dtype=jnp.uint8)
        for threshold in _THRESHOLDS:
            count += (bits >= threshold).astype(jnp.uint8)
        return count

    return jax.jit(jax.vmap(one, (None, 0, 0)))


def replicate_sums(
    x: NDArray[np.floating], err: Array | None, weights: Array | None, *, ids: ArrayLike, seed: int, n_boot: int
) -> Sums:
    """Return the sums of every replicate, fields of shape (n_boot, p, p)."""
    names = np.asarray(ids)
    if names.shape != (len(x),):
        raise DataRefusedError(
            f"ids have shape {names.shape}", expected=f"({len(x)},), one for each row", hint="Align the arrays."
        )
    whole: Sums | None = None
    for start in range(0, max(len(x), 1), _ROWS):
        at = slice(start, start + _ROWS)
        w = None if weights is None else weights[at]
        counts = poisson_weights(names[at], seed, n_boot).astype(np.float64)
        part = _block(x[at], None if err is None else err[at], w, counts)
        whole = part if whole is None else add(whole, part)
    assert whole is not None  # noqa: S101 - the range above is never empty
    return whole


def _block(x: NDArray[np.floating], err: Array | None, weights: Array | None, counts: Array) -> Sums:
    n, p = x.shape
    v = known(x, err, weights)
    base = np.ones(n) if weights is None else np.where(weights > 0, weights, 0.0)
    shift, z = shifted(x, v, base)
    if weights is not None:
        counts = counts * base[:, None]
    variances = None
    if err is not None:
        variances = np.where(v, err**2 if err.ndim == 2 else np.diagonal(err, axis1=1, axis2=2), 0.0)
    complete = bool(v.all())
    seen = None if complete else v.astype(np.float64)
    weight = _pairs(counts, seen, seen)
    first = _pairs(counts, z, seen)
    moved = np.divide(first, weight, out=np.zeros(np.broadcast_shapes(first.shape, weight.shape)), where=weight > 0)
    comoment = _pairs(counts, z, z) - moved * np.swapaxes(first, -1, -2)
    square = np.einsum("bii->bi", comoment)[:, :, None] if complete else _pairs(counts, z**2, seen) - moved * first
    noise = conoise = None
    if variances is not None and err is not None:
        noise = _pairs(counts, variances, seen)
        if err.ndim == 2:
            conoise = np.eye(p) * noise
        else:
            both = np.where(v[:, :, None] & v[:, None, :], err, 0.0)
            conoise = (counts.T @ both.reshape(n, p * p)).reshape(-1, p, p)
    shape = (counts.shape[1], p, p)
    n_pairs = np.rint(v.T.astype(np.float64) @ v).astype(np.int64)

    def full(values: Array | None) -> Array | None:
        return None if values is None else np.ascontiguousarray(np.broadcast_to(values, shape))

    return Sums(
        n=np.broadcast_to(n_pairs, shape).copy(),
        weight=full(weight),
        weight2=full(_pairs(counts**2, seen, seen)),
        mean=full(np.where(weight > 0, shift[:, None] + moved, 0.0)),
        spread=full(square),
        comoment=comoment,
        noise=full(noise),
        conoise=full(conoise),
    )


def _pairs(counts: Array, a: Array | None, b: Array | None) -> Array:
    """Return sum_n counts_nr a_ni b_nj for each replicate r, shape (r, p, p); None is a column of ones, shape 1."""
    if a is None and b is None:
        return np.asarray(counts.sum(axis=0)[:, None, None])
    if b is None and a is not None:
        return np.asarray((counts.T @ a)[:, :, None])
    if a is None or b is None:
        return np.swapaxes(_pairs(counts, b, a), 1, 2)
    p = a.shape[1]
    if a is not b:
        return np.asarray((counts.T @ (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)).reshape(-1, p, b.shape[1]))
    i, j = np.triu_indices(p)
    out = np.empty((counts.shape[1], p, p))
    out[:, i, j] = counts.T @ (a[:, i] * a[:, j])
    out[:, j, i] = out[:, i, j]
    return out
