"""Logistic and softmax regression with a normal prior: the maximum of the posterior and Laplace's covariance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError

Array = NDArray[np.float64]

_STEPS = 100


@dataclass(frozen=True)
class LogisticFit:
    """Coefficients of logistic (two classes) or softmax regression.

    Attributes
    ----------
    classes
        The classes, sorted, (k,).
    coefficients
        Shape (p, k - 1): the log odds of each class after the first against the first are x times these.
    covariance
        Of the coefficients, class by class, (p (k - 1), p (k - 1)): the inverse of the negative Hessian of the
        posterior at its maximum.
    log_posterior
        At the maximum, without constants of the prior.
    has_converged
        Whether the gradient vanished to 1e-8 of the number of rows.
    n
        Rows that were used.
    """

    classes: NDArray[np.generic]
    coefficients: Array
    covariance: Array
    log_posterior: float
    has_converged: bool
    n: int

    def predict(self, x: ArrayLike, *, marginal: bool = True) -> Array:
        """Return the probabilities of the classes at `x` (m, p), shape (m, k); NaN for rows with NaN.

        Parameters
        ----------
        x
            Rows, with the column of ones where the fit had it.
        marginal
            Average over the posterior, by kappa(s^2) = (1 + pi s^2 / 8)^-1/2 on each log odds (MacKay 1992); otherwise
            at the maximum, which is too sure of itself far from the data.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> x = np.column_stack([np.ones(200), rng.normal(size=200)])
        >>> fit = logistic(x, x[:, 1] + 0.5 * rng.normal(size=200) > 0)
        >>> fit.predict([[1.0, 3.0]]).round(1).tolist()
        [[0.0, 1.0]]
        """
        rows = np.asarray(x, dtype=np.float64)
        odds = rows @ self.coefficients
        if marginal:
            p, k = self.coefficients.shape
            blocks = self.covariance.reshape(k, p, k, p)
            own = np.stack([np.einsum("...i,ij,...j->...", rows, blocks[c, :, c], rows) for c in range(k)], axis=-1)
            odds = odds / np.sqrt(1 + np.pi * own / 8)
        return _softmax(odds)


def logistic(
    x: ArrayLike, y: ArrayLike, *, prior_err: ArrayLike = 10.0, weights: ArrayLike | None = None
) -> LogisticFit:
    """Return the logistic regression of classes on columns, with Laplace's approximation of its posterior.

    Bring the columns of x to a scale of about one, so that a prior of one width suits them; add a column of ones.

    Parameters
    ----------
    x
        Shape (n, p); rows with NaN are left out.
    y
        The class of each row, shape (n,): booleans, whole numbers or text.
    prior_err
        Width of the normal prior about zero, one number or (p,). It keeps coefficients finite where the classes do not
        overlap; infinite: none.
    weights
        How often each row counts, shape (n,).

    Raises
    ------
    DataRefusedError
        Shapes do not belong together, or there is only one class.
    ParameterError
        A width of the prior is not positive.

    Examples
    --------
    >>> x = np.column_stack([np.ones(6), [-2.0, -1.0, 0.5, -0.5, 1.0, 2.0]])
    >>> fit = logistic(x, ["cold", "cold", "cold", "hot", "hot", "hot"])
    >>> fit.classes.tolist(), bool(fit.coefficients[1, 0] > 0), fit.has_converged
    (['cold', 'hot'], True, True)
    """
    table, labels = np.asarray(x, dtype=np.float64), np.asarray(y)
    counts = np.ones(len(labels)) if weights is None else np.asarray(weights, dtype=np.float64)
    if table.ndim != 2 or labels.shape != table.shape[:1] or counts.shape != labels.shape:
        raise DataRefusedError(
            f"x has shape {table.shape}, y {labels.shape}, weights {counts.shape}",
            where="logistic",
            expected="(n, p), (n,) and (n,)",
            hint="Stack the columns of x, with one of ones for the constant.",
        )
    width = np.broadcast_to(np.asarray(prior_err, dtype=np.float64), table.shape[1:])
    if not np.all(width > 0):
        raise ParameterError(
            f"prior_err is {prior_err!r}", expected="positive widths", hint="Take 10 for scaled columns."
        )
    is_good = np.isfinite(table).all(axis=1) & (counts > 0)
    table, labels, counts = table[is_good], labels[is_good], counts[is_good]
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise DataRefusedError(
            f"{len(table)} complete rows are of {len(classes)} classes",
            where="logistic",
            expected="two or more classes",
            hint="Widen the selection, so that both sides are in it.",
        )
    seen = (codes[:, None] == np.arange(1, len(classes))).astype(np.float64)
    tightness = 1 / width**2
    coefficients = np.zeros((table.shape[1], len(classes) - 1))
    value = _log_posterior(table, seen, counts, coefficients, tightness)
    has_converged, curvature = False, np.empty((0, 0))
    for _ in range(_STEPS):
        slope, curvature = _derivatives(table, seen, counts, coefficients, tightness)
        has_converged = bool(np.abs(slope).max() <= 1e-8 * counts.sum())
        if has_converged:
            break
        step = np.linalg.lstsq(curvature, slope.T.ravel(), rcond=None)[0].reshape(coefficients.T.shape).T
        part = 1.0
        while part > 1e-6 and not _log_posterior(table, seen, counts, coefficients + part * step, tightness) >= value:
            part *= 0.5
        coefficients = coefficients + part * step
        value = _log_posterior(table, seen, counts, coefficients, tightness)
    covariance = np.linalg.pinv(curvature, hermitian=True)
    return LogisticFit(classes, coefficients, covariance, value, has_converged, len(table))


def _softmax(odds: Array) -> Array:
    """Return probabilities (..., k) of log odds (..., k - 1) against the first class."""
    full = np.concatenate([np.zeros((*odds.shape[:-1], 1)), odds], axis=-1)
    full = np.exp(full - full.max(axis=-1, keepdims=True))
    return np.asarray(full / full.sum(axis=-1, keepdims=True))


def _log_posterior(x: Array, seen: Array, counts: Array, coefficients: Array, tightness: Array) -> float:
    odds = x @ coefficients
    full = np.concatenate([np.zeros((len(x), 1)), odds], axis=1)
    rows = np.sum(seen * odds, axis=1) - np.logaddexp.reduce(full, axis=1)
    return float(counts @ rows - 0.5 * np.sum(tightness[:, None] * coefficients**2))


def _derivatives(x: Array, seen: Array, counts: Array, coefficients: Array, tightness: Array) -> tuple[Array, Array]:
    """Return the gradient (p, k - 1) of the log posterior, and minus its Hessian, class by class."""
    p, k = coefficients.shape
    chance = _softmax(x @ coefficients)[:, 1:]
    slope = x.T @ (counts[:, None] * (seen - chance)) - tightness[:, None] * coefficients
    curvature = np.empty((k, p, k, p))
    for a in range(k):
        for b in range(k):
            weight = counts * chance[:, a] * ((a == b) - chance[:, b])
            curvature[a, :, b] = (x * weight[:, None]).T @ x + (a == b) * np.diag(tightness)
    return slope, curvature.reshape(k * p, k * p)
