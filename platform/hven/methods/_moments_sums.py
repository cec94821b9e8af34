"""Sums behind `Moments`: those of a block of rows, and how two of them add.

Rows go through in blocks that stay in the processor's cache. A block is shifted by its own mean before the products are
taken, so that an offset of the data costs no digits, and BLAS does the rest. Only a block with something missing pays
for the bookkeeping of gaps.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BLOCK_BYTES = 1 << 20
"""Of float64 values in a block of rows."""


class Sums(NamedTuple):
    """The additive fields of `Moments`, each of shape (..., p, p)."""

    n: Any
    weight: Any
    weight2: Any
    mean: Any
    spread: Any
    comoment: Any
    noise: Any
    conoise: Any


def add(a: Sums, b: Sums) -> Sums:
    """Return the sums of the rows of both."""
    weight = a.weight + b.weight
    share = np.divide(b.weight, weight, out=np.zeros(weight.shape), where=weight > 0)
    shift = b.mean - a.mean
    lever = a.weight * share
    return Sums(
        n=a.n + b.n,
        weight=weight,
        weight2=a.weight2 + b.weight2,
        mean=a.mean + shift * share,
        spread=a.spread + b.spread + shift**2 * lever,
        comoment=a.comoment + b.comoment + shift * np.swapaxes(shift, -1, -2) * lever,
        noise=None if a.noise is None else a.noise + b.noise,
        conoise=None if a.conoise is None else a.conoise + b.conoise,
    )


def block_rows(p: int, bytes_per_block: int = _BLOCK_BYTES) -> int:
    """Return how many rows of `p` float64 values make a block."""
    return max(256, bytes_per_block // (8 * max(p, 1)))


def sums(x: NDArray[np.floating], err: Array | None, weights: Array | None) -> Sums:
    """Return the sums of the rows of x (n, p) with errors (n, p) or (n, p, p), weights (n,)."""
    n, p = x.shape
    rows = block_rows(p)
    work = np.empty((min(n, rows), p))
    whole: Sums | None = None
    for start in range(0, max(n, 1), rows):
        at = slice(start, start + rows)
        part = _block(x[at], None if err is None else err[at], None if weights is None else weights[at], work)
        whole = part if whole is None else add(whole, part)
    assert whole is not None  # noqa: S101 - the range above is never empty
    return whole


def _block(x: NDArray[np.floating], err: Array | None, w: Array | None, work: Array) -> Sums:
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.ones(len(x)) @ x if w is None else w @ x
        weight = float(len(x)) if w is None else float(np.sum(w))
    usable = len(x) > 0 and weight > 0 and np.isfinite(total).all() and (err is None or _are_usable(err))
    if not usable:
        return _block_with_gaps(x, err, w)
    p = x.shape[1]
    mean = total / weight
    z = np.subtract(x, mean, out=work[: len(x)])
    comoment = z.T @ z if w is None else _symmetric(z.T @ (z * w[:, None]))
    noise = conoise = None
    if err is not None:
        each = np.ones(len(x)) if w is None else w
        conoise = np.diag(each @ err**2) if err.ndim == 2 else np.tensordot(each, err, 1)
        noise = np.repeat(np.diag(conoise)[:, None], p, axis=1)
    square = (p, p)
    return Sums(
        n=np.full(square, len(x) if w is None else np.count_nonzero(w), dtype=np.int64),
        weight=np.full(square, weight),
        weight2=np.full(square, weight if w is None else float(w @ w)),
        mean=np.repeat(mean[:, None], p, axis=1),
        spread=np.repeat(np.diag(comoment)[:, None], p, axis=1),
        comoment=comoment,
        noise=noise,
        conoise=conoise,
    )


def _are_usable(err: Array) -> bool:
    """Return whether no error is negative or missing."""
    if err.ndim == 2:
        return bool(err.min() >= 0)  # false for NaN as well
    variances = np.diagonal(err, axis1=1, axis2=2)
    return bool(variances.min() >= 0 and np.isfinite(err.sum()))


def known(x: NDArray[np.floating], err: Array | None, w: Array | None) -> NDArray[np.bool_]:
    """Return which values count, shape (n, p): finite, with a usable error, in a row that has a weight."""
    v = np.isfinite(x)
    if err is not None and err.ndim == 2:
        v &= np.isfinite(err) & (err >= 0)
    elif err is not None:
        variances = np.diagonal(err, axis1=1, axis2=2)
        v &= np.isfinite(variances) & (variances >= 0)
        v &= ~np.any(~np.isfinite(err) & v[:, None, :] & v[:, :, None], axis=2)
    if w is not None:
        v &= (w > 0)[:, None]
    return v


def shifted(x: NDArray[np.floating], v: NDArray[np.bool_], w: Array) -> tuple[Array, Array]:
    """Return the weighted mean (p,) of the values that count, and the deviations from it (n, p), zero where none."""
    filled = np.where(v, x, 0.0)
    weight = w @ v
    mean = np.divide(w @ filled, weight, out=np.zeros(x.shape[1]), where=weight > 0)
    return mean, np.where(v, filled - mean, 0.0)


def _block_with_gaps(x: NDArray[np.floating], err: Array | None, weights: Array | None) -> Sums:
    v = known(x, err, weights)
    w = np.ones(len(x)) if weights is None else np.where(weights > 0, weights, 0.0)
    shift, z = shifted(x, v, w)
    seen = v.astype(np.float64)
    weighted = seen * w[:, None]
    weight = _symmetric(seen.T @ weighted)
    first = z.T @ weighted
    moved = np.divide(first, weight, out=np.zeros(weight.shape), where=weight > 0)
    noise = conoise = None
    if err is not None and err.ndim == 2:
        noise = np.where(v, err, 0.0).T ** 2 @ weighted
        conoise = np.diag(np.diag(noise))
    elif err is not None:
        pairs = v[:, :, None] & v[:, None, :]
        conoise = np.einsum("n,nij->ij", w, np.where(pairs, err, 0.0))
        noise = np.where(v, np.diagonal(err, axis1=1, axis2=2), 0.0).T @ weighted
    return Sums(
        n=np.rint(seen.T @ seen).astype(np.int64),
        weight=weight,
        weight2=_symmetric(seen.T @ (weighted * w[:, None])),
        mean=np.where(weight > 0, shift[:, None] + moved, 0.0),
        spread=(z**2).T @ weighted - moved * first,
        comoment=_symmetric(z.T @ (z * w[:, None]) - moved * first.T),
        noise=noise,
        conoise=conoise,
    )


def _symmetric(matrix: Array) -> Array:
    return np.asarray(0.5 * (matrix + matrix.T))
