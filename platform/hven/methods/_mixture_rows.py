"""Rows with gaps and errors as `extreme_deconvolution` takes them, and where it starts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError
from hven.methods._moments_sums import known

Array = NDArray[np.float64]


class Table(NamedTuple):
    """Checked data: missing values are zero with unit noise and no projection; `seen` (n, q) marks the others.

    `n_seen` counts them, (n,).
    """

    x: Array
    noise: Array
    projection: Array
    n_seen: Array
    weight: Array
    seen: NDArray[np.bool_]

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
        v,
    )


class Units(NamedTuple):
    """The units that a fit works in: v = mean + scale v', x = projection mean + step x'.

    In them every column has mean 0 and scatter 1, so that starts, and with them the fit, do not depend on the user's
    units. mean, scale (d,), step (q,).
    """

    mean: Array
    scale: Array
    step: Array

    @classmethod
    def of(cls, table: Table) -> "Units":
        """Return the units of `table`; a column that does not vary has its errors, or its size, as unit."""
        used = table.n_seen > 0
        weight = np.where(used, table.weight, 0.0)
        size2 = np.einsum("n,nqd->d", weight, table.projection**2)
        unit = 1 / np.sqrt(np.where(size2 > 0, size2 / max(weight.sum(), 1e-300), 1.0))
        mean, cov, _ = _moments(table._replace(projection=table.projection * unit))
        mean = mean * unit
        off = np.where(table.seen, table.x - table.projection @ mean, 0.0)
        total = np.maximum(weight @ table.seen, 1e-300)
        size = np.sqrt(weight @ np.where(table.seen, table.x, 0.0) ** 2 / total)
        noise = np.einsum("n,nqq->q", weight, np.where(table.seen[:, :, None], table.noise, 0.0)) / total
        step = np.sqrt(weight @ off**2 / total)
        step = np.where(step > 1e-12 * size, step, np.where(noise > 0, np.sqrt(noise), np.where(size > 0, size, 1.0)))
        spread = unit * np.sqrt(np.diagonal(cov))
        is_plain = table.projection.shape[1] == len(mean) and not np.any(table.projection * (1 - np.eye(len(mean))))
        if is_plain:
            return cls(mean, step, step)
        return cls(mean, np.where(spread > 1e-12 * np.abs(mean), spread, unit * step.max()), step)

    def standardise(self, table: Table) -> Table:
        """Return `table` in these units."""
        step = self.step
        return table._replace(
            x=np.where(table.seen, (table.x - table.projection @ self.mean) / step, 0.0),
            noise=np.where(
                table.seen[:, :, None] & table.seen[:, None, :], table.noise / np.outer(step, step), np.eye(len(step))
            ),
            projection=table.projection / step[:, None] * self.scale,
        )

    def log_unit(self, table: Table) -> float:
        """Return what ln L in these units has above that in the user's."""
        weight = np.where(table.n_seen > 0, table.weight, 0.0)
        return float(weight @ (table.seen @ np.log(self.step)))


def smallest_noise(table: Table) -> float:
    """Return the smallest eigenvalue of the error covariances of all rows that count."""
    used = (table.n_seen > 0) & (table.weight > 0)
    return float(np.linalg.eigvalsh(table.noise[used]).min()) if used.any() else 0.0


def starting_points(table: Table, k: int, n_starts: int, seed: int) -> tuple[Array, Array, Array]:
    """Return weights (s, k), means (s, k, d), covariances (s, k, d, d), from two moments and the seed alone.

    The moments are those of the pseudo-inverse R^+ x, gaps filled with the mean. The first start lays the means along
    the longest axis, the others draw them.
    """
    mean, cov, d = _moments(table)
    values, vectors = np.linalg.eigh(cov)
    values = np.maximum(values, 1e-8 * max(values[-1], 1.0))
    spread = vectors * values @ vectors.T
    from scipy.special import ndtri

    z = np.random.default_rng(seed).normal(size=(n_starts, k, d))
    means = mean + z @ np.linalg.cholesky(spread).T  # unlike eigenvectors, a factor whose signs rounding cannot turn
    longest = vectors[:, -1]
    longest = longest * np.sign(longest[np.flatnonzero(np.abs(longest) > 0.5 * np.abs(longest).max())[0]])
    means[0] = mean + np.outer(ndtri((np.arange(k) + 0.5) / k), np.sqrt(values[-1]) * longest)
    shrunk = spread / (1.0 if k == 1 else 2.0)
    return (
        np.full((n_starts, k), 1.0 / k),
        means,
        np.broadcast_to(shrunk, (n_starts, k, d, d)).copy(),
    )


def _moments(table: Table) -> tuple[Array, Array, int]:
    """Return mean (d,) and covariance (d, d) of the pseudo-inverse R^+ x, gaps filled with the mean, and d."""
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
    return mean, cov, len(mean)


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
