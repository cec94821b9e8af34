"""Linear and logistic regression: sums that merge over parts of a table, posteriors in closed form, Laplace errors."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError
from hven.methods._logistic import LogisticFit, logistic

__all__ = ["LinearFit", "LinearPosterior", "LogisticFit", "NormalEquations", "logistic"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinearFit:
    """Coefficients of least squares.

    Attributes
    ----------
    coefficients, covariance
        Shapes (p,) and (p, p).
    chi2, dof
        The weighted sum of squared residuals, and the rows less the coefficients.
    noise
        The 1-sigma error of a row of weight one that was taken: 1 where the errors were given, else the estimate
        sqrt(chi2 / dof) that the covariance holds; NaN without degrees of freedom.
    n
        Rows that were used.
    """

    coefficients: Array
    covariance: Array
    chi2: float
    dof: int
    noise: float
    n: int

    def predict(self, x: ArrayLike) -> tuple[Array, Array]:
        """Return mean and 1-sigma error of the line, not of a new row, at `x` (m, p), each (m,)."""
        return _predicted(x, self.coefficients, self.covariance)


@dataclass(frozen=True)
class LinearPosterior:
    """The normal posterior of the coefficients of a linear model with known noise.

    Attributes
    ----------
    mean, covariance
        Shapes (p,) and (p, p).
    log_evidence
        ln p(y | x), the coefficients integrated out.
    n
        Rows that were used.
    """

    mean: Array
    covariance: Array
    log_evidence: float
    n: int

    def predict(self, x: ArrayLike, err: ArrayLike = 0.0) -> tuple[Array, Array]:
        """Return mean and 1-sigma error, each (m,), of rows at `x` (m, p) that will be measured with errors `err`."""
        mean, line_err = _predicted(x, self.mean, self.covariance)
        return mean, np.hypot(line_err, np.asarray(err, dtype=np.float64))


@dataclass(frozen=True)
class NormalEquations:
    """All that linear regression needs of any number of rows; parts of a table merge by addition.

    Attributes
    ----------
    xx, xy, yy
        Sums of w x x^T (p, p), w x y (p,) and w y^2 with w = 1 / err^2, or 1 when no errors are given.
    log_norm
        Sum of ln(2 pi err^2).
    n, n_left_out
        Rows used, and rows with a missing value or an error that is not positive.
    has_errors
        Whether errors were given.
    """

    xx: Array
    xy: Array
    yy: float
    log_norm: float
    n: int
    n_left_out: int
    has_errors: bool

    @classmethod
    def from_rows(cls, x: ArrayLike, y: ArrayLike, err: ArrayLike | None = None) -> "NormalEquations":
        """Return the sums over rows.

        The sums square the condition of the columns: subtract a typical value from x and y first, and add a column of
        ones for the constant.

        Parameters
        ----------
        x, y
            Shapes (n, p) and (n,); rows with NaN are left out and counted.
        err
            1-sigma errors of y, shape (n,); None: equal and unknown.

        Raises
        ------
        DataRefusedError
            The shapes do not belong together.

        Examples
        --------
        >>> x = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
        >>> whole = NormalEquations.from_rows(x, [1.0, 3.0, 5.0, 7.0])
        >>> whole.solve().coefficients.round(9).tolist()
        [1.0, 2.0]
        """
        table, values = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        sigma = np.ones(values.shape) if err is None else np.asarray(err, dtype=np.float64)
        if table.ndim != 2 or values.shape != table.shape[:1] or sigma.shape != values.shape:
            raise DataRefusedError(
                f"x has shape {table.shape}, y {values.shape}, err {sigma.shape}",
                where="NormalEquations.from_rows",
                expected="(n, p), (n,) and (n,)",
                hint="Stack the columns of x, with one of ones for the constant.",
            )
        is_good = np.isfinite(table).all(axis=1) & np.isfinite(values) & np.isfinite(sigma) & (sigma > 0)
        sigma = sigma[is_good]
        a, b = table[is_good] / sigma[:, None], values[is_good] / sigma
        n = int(is_good.sum())
        log_norm = float(np.sum(np.log(2 * np.pi * sigma**2)))
        return cls(a.T @ a, a.T @ b, float(b @ b), log_norm, n, len(values) - n, err is not None)

    def merge(self, other: "NormalEquations") -> "NormalEquations":
        """Return the sums over the rows of both.

        Raises
        ------
        ParameterError
            They are of different columns, or one has errors and the other has none.
        """
        if self.xx.shape != other.xx.shape or self.has_errors != other.has_errors:
            raise ParameterError(
                f"sums of {len(self.xy)} and {len(other.xy)} columns, errors given: {self.has_errors} and "
                f"{other.has_errors}",
                where="NormalEquations.merge",
                expected="the same columns, and errors in both or in none",
                hint="Make both by the same call of from_rows.",
            )
        return replace(
            self,
            xx=self.xx + other.xx, xy=self.xy + other.xy, yy=self.yy + other.yy, n=self.n + other.n,
            log_norm=self.log_norm + other.log_norm, n_left_out=self.n_left_out + other.n_left_out,
        )  # fmt: skip

    def solve(self, ridge: ArrayLike = 0.0) -> LinearFit:
        """Return the coefficients that minimise sum w (y - x b)^2 + sum ridge b^2.

        Parameters
        ----------
        ridge
            Penalty, a number or (p,): give 0 to the constant. With one, the covariance is that of the estimate about
            its mean, (A + R)^-1 A (A + R)^-1, and its bias is not in it.

        Raises
        ------
        TooFewObjectsError
            Fewer rows than coefficients, and no ridge.
        DataRefusedError
            The columns depend on each other, to fifteen digits.
        """
        penalty = np.broadcast_to(np.asarray(ridge, dtype=np.float64), self.xy.shape)
        if self.n < len(self.xy) and not np.all(penalty > 0):
            raise TooFewObjectsError(
                f"{self.n} rows for {len(self.xy)} coefficients",
                where="NormalEquations.solve",
                expected=f"{len(self.xy)} or more",
                hint="Take fewer columns, or give a ridge.",
            )
        inverse = _inverse(self.xx + np.diag(penalty))
        coefficients = inverse @ self.xy
        chi2 = max(float(self.yy - 2 * coefficients @ self.xy + coefficients @ self.xx @ coefficients), 0.0)
        dof = self.n - len(self.xy)
        noise = 1.0 if self.has_errors else float(np.sqrt(chi2 / dof)) if dof > 0 else np.nan
        covariance = noise**2 * inverse @ self.xx @ inverse
        return LinearFit(coefficients, covariance, chi2, dof, noise, self.n)

    def posterior(self, prior_mean: ArrayLike, prior_covariance: ArrayLike, noise: float = 1.0) -> LinearPosterior:
        """Return the posterior under a normal prior N(m0, S0): S^-1 = S0^-1 + X^T W X, and the evidence.

        ln p(y) = -1/2 (sum ln 2 pi err^2 + ln det S0 - ln det S + chi^2(m) + (m - m0)^T S0^-1 (m - m0)).

        Parameters
        ----------
        prior_mean, prior_covariance
            Shapes (p,) and (p, p).
        noise
            The 1-sigma error of every row where none were given; otherwise a factor on all errors.

        Raises
        ------
        ParameterError
            The prior does not have the shape of the columns, its covariance is singular, or the noise not positive.

        Examples
        --------
        >>> sums = NormalEquations.from_rows(np.ones((4, 1)), [1.0, 2.0, 3.0, 2.0], np.ones(4))
        >>> some = sums.posterior([0.0], [[1e6]])
        >>> some.mean.round(3).tolist(), np.sqrt(some.covariance[0]).round(3).tolist()
        ([2.0], [0.5])
        """
        m0, s0 = np.asarray(prior_mean, dtype=np.float64), np.asarray(prior_covariance, dtype=np.float64)
        is_right = m0.shape == self.xy.shape and s0.shape == self.xx.shape and noise > 0
        if not is_right or not np.all(np.linalg.eigvalsh(s0) > 0):
            raise ParameterError(
                f"a prior of shapes {m0.shape} and {s0.shape}, noise {noise}, for {len(self.xy)} coefficients",
                where="NormalEquations.posterior",
                expected="a mean (p,), a positive definite covariance (p, p), a positive noise",
                hint="A wide prior is a diagonal of large variances.",
            )
        precision0 = np.linalg.inv(s0)
        precision = precision0 + self.xx / noise**2
        covariance = _inverse(precision)
        mean = covariance @ (precision0 @ m0 + self.xy / noise**2)
        chi2 = (self.yy - 2 * mean @ self.xy + mean @ self.xx @ mean) / noise**2
        off = mean - m0
        volumes = np.linalg.slogdet(s0)[1] + np.linalg.slogdet(precision)[1]
        norm = self.log_norm + 2 * self.n * np.log(noise)
        return LinearPosterior(mean, covariance, float(-0.5 * (norm + volumes + chi2 + off @ precision0 @ off)), self.n)


def _predicted(x: ArrayLike, coefficients: Array, covariance: Array) -> tuple[Array, Array]:
    rows = np.asarray(x, dtype=np.float64)
    return rows @ coefficients, np.sqrt(np.maximum(np.einsum("...i,ij,...j->...", rows, covariance, rows), 0.0))


def _inverse(matrix: Array) -> Array:
    """Return the inverse of a positive definite matrix, its columns brought to one scale first."""
    scale = np.sqrt(np.diag(matrix))
    scale = np.where(scale > 0, scale, 1.0)
    values, axes = np.linalg.eigh(matrix / np.outer(scale, scale))
    if values[0] < 1e-14 * values[-1]:
        raise DataRefusedError(
            f"the columns of x depend on each other (condition {values[-1] / max(values[0], 1e-300):.0e})",
            where="regression",
            expected="columns of which none follows from the others",
            hint="Leave one of them out, subtract typical values from x, or give a ridge or a prior.",
        )
    return np.asarray((axes / values) @ axes.T / np.outer(scale, scale))
