"""Rows with gaps and errors as `extreme_deconvolution` takes them, and where it starts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError
from hven.methods._moments_sums import known

Array = NDArray[np.float64]


class Table(NamedTuple):
    """Checked data: missing values are zero with unit noise and no projection; `n_seen` counts the others."""

    x: Array
    noise: Array
    projection: Array
    n_seen: Array
    weight: Array

    @property
    def n(self) -> int:
        """Rows with a value and a weight."""
        return int(np.sum((self.n_seen > 0) & (self.weight > 0)))


def rows_of(x: ArrayLike, err: ArrayLike | None, projection: ArrayLike | None, weights: ArrayLike | None) -> Table:
    """Return the rows with gaps filled as said in `_deconvolution`."""
    values = np.asarray(x, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    n, q = values.shape
    errors = np.zeros((n, q)) if err is None else np.asarray(err, dtype=np.float64)
    errors = errors[:, None] if errors.ndim == 1 else errors
    r = np.broadcast_to(np.eye(q), (n, q, q)) if projection is None else np.asarray(projection, dtype=np.float64)
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    fits = errors.shape in ((n, q), (n, q, q)) and r.ndim == 3 and r.shape[:2] == (n, q) and w.shape == (n,)
    if not fits or np.any(w < 0):
        raise DataRefusedError(
            f"x has shape {values.shape}, its errors {errors.shape}, the projection {r.shape}, the weights {w.shape}",
            expected="(n, q), (n, q) or (n, q, q), (n, q, d) and (n,) without negative weights",
            hint="Align the arrays.",
        )
    v = known(values, errors, None)
    full = errors if errors.ndim == 3 else np.eye(q) * errors[:, :, None] ** 2
    noise = np.where(v[:, :, None] & v[:, None, :], full, np.eye(q))
    return Table(
        np.where(v, values, 0.0),
        noise,
        np.where(v[:, :, None], r, 0.0),
        v.sum(axis=1).astype(np.float64),
        np.where(w > 0, w, 0.0),
    )


def starting_points(table: Table, k: int, n_starts: int, seed: int) -> tuple[Array, Array, Array]:
    """Return weights (s, k), means (s, k, d), covariances (s, k, d, d), from two moments and the seed alone.

    The moments are those of the pseudo-inverse R^+ x, gaps filled with the mean. The first start lays the means along
    the longest axis, the others draw them.
    """
    used = (table.n_seen > 0) & (table.weight > 0)
    inverse = np.linalg.pinv(table.projection[used])
    reach = inverse @ table.projection[used]  # which combinations of v a row sees
    v = np.einsum("ndq,nq->nd", inverse, table.x[used])
    weight = table.weight[used]
    mean = np.linalg.lstsq(np.einsum("n,nde->de", weight, reach), weight @ v, rcond=None)[0]
    off = v - reach @ mean
    total = np.diagonal(np.einsum("n,nde->de", weight, reach))
    scale = np.sqrt(np.where(total > 0, total, 1.0))
    cov = np.einsum("n,nd,ne->de", weight, off, off) / np.outer(scale, scale)
    values, vectors = np.linalg.eigh(cov)
    values = np.maximum(values, 1e-8 * max(values[-1], 1e-300))
    root = vectors * np.sqrt(values)
    rng = np.random.default_rng(seed)
    d = len(mean)
    z = rng.normal(size=(n_starts, k, d))
    from scipy.special import ndtri

    z[0] = 0.0
    z[0, :, -1] = ndtri((np.arange(k) + 0.5) / k)
    means = mean + z @ root.T
    shrunk = root @ root.T / (1.0 if k == 1 else 2.0)
    return (
        np.full((n_starts, k), 1.0 / k),
        means,
        np.broadcast_to(shrunk, (n_starts, k, d, d)).copy(),
    )


def log_sum(terms: Array) -> Array:
    """Return ln sum exp of each row (n, k); NaN for NaN."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.logaddexp.reduce(terms, axis=1))


def mean_error_covariance(err: ArrayLike) -> Array:
    """Return the mean of error covariances (n, d, d), or of the squares of errors (n, d) as a diagonal matrix."""
    errors = np.asarray(err, dtype=np.float64)
    if errors.ndim not in (2, 3) or (errors.ndim == 3 and errors.shape[1] != errors.shape[2]):
        raise DataRefusedError(
            f"errors have shape {errors.shape}", expected="(n, d) or (n, d, d)", hint="Stack the columns."
        )
    good = np.isfinite(errors.reshape(len(errors), -1)).all(axis=1)
    mean = errors[good].mean(axis=0) if errors.ndim == 3 else np.diag((errors[good] ** 2).mean(axis=0))
    return np.asarray(mean) if good.any() else np.zeros((errors.shape[1], errors.shape[1]))
