"""Gaussian processes on up to a few thousand points: exact, errors of their own for each, hyper-parameters learned."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError, TooMuchDataError

__all__ = ["MOST", "GaussianProcess", "Kernel", "fit"]

Array = NDArray[np.float64]
Kernel = Literal["rbf", "matern32"]

MOST = 6000
"""Points that the covariance matrix, of that many rows, may be made of."""
_LEARN = 1000


@dataclass(frozen=True)
class GaussianProcess:
    """A Gaussian process of points that were observed with errors.

    Attributes
    ----------
    x, y, err
        Places (n, d), values and their 1-sigma errors (n,).
    kernel, amplitude, scale
        ``"rbf"``, a^2 exp(-d^2 / 2 l^2), or ``"matern32"``, a^2 (1 + sqrt(3) d/l) exp(-sqrt(3) d/l): the amplitude a in
        the unit of y and the scale l in that of x.
    mean
        The constant that the process varies about, by generalised least squares.
    loglike
        ln p(y) at these.
    factor
        Lower Cholesky factor of the covariance of y, (n, n).
    """

    x: Array
    y: Array
    err: Array
    kernel: Kernel
    amplitude: float
    scale: float
    mean: float
    loglike: float
    factor: Array

    def solve(self, b: ArrayLike) -> Array:
        """Return C^-1 b, of the shape of b (n, ...), C being the covariance of y, errors included."""
        from scipy.linalg import cho_solve

        return np.asarray(cho_solve((self.factor, True), np.asarray(b, dtype=np.float64)))

    def predict(self, x: ArrayLike, y: ArrayLike | None = None) -> tuple[Array, Array]:
        """Return mean and 1-sigma error of the process at `x` (m, d), each (m,); of other values `y` at the same x."""
        from scipy.linalg import solve_triangular

        across = self.amplitude**2 * _shape(_distance2(_places(x), self.x), self.scale, self.kernel)
        seen = self.y if y is None else np.asarray(y, dtype=np.float64)
        mean = self.mean if y is None else self.level(seen)
        half = solve_triangular(self.factor, across.T, lower=True)
        variance = self.amplitude**2 - np.sum(half**2, axis=0)
        return mean + across @ self.solve(seen - mean), np.sqrt(np.maximum(variance, 0.0))

    def gradient(self, x: ArrayLike) -> Array:
        """Return the derivatives of the mean of the process at `x` (m, d), shape (m, d)."""
        at, weights = _places(x), self.solve(self.y - self.mean)
        distance2 = _distance2(at, self.x)
        if self.kernel == "rbf":
            pull = -(self.amplitude**2) * np.exp(-0.5 * distance2 / self.scale**2) / self.scale**2
        else:
            pull = -3 * self.amplitude**2 * np.exp(-np.sqrt(3 * distance2) / self.scale) / self.scale**2
        pull = pull * weights
        return np.asarray(at * pull.sum(axis=1)[:, None] - pull @ self.x)

    def level(self, y: ArrayLike) -> float:
        """Return the constant that values `y` (n,) at the same places vary about, by generalised least squares."""
        ones = self.solve(np.ones(len(self.x)))
        return float(ones @ np.asarray(y, dtype=np.float64) / ones.sum())


def fit(
    x: ArrayLike,
    y: ArrayLike,
    err: ArrayLike,
    *,
    kernel: Kernel = "rbf",
    amplitude: float | None = None,
    scale: float | None = None,
    seed: int = 0,
) -> GaussianProcess:
    """Return the Gaussian process of points with errors, its amplitude and scale by maximum likelihood.

    They are learned from at most 1000 of the points, chosen by the seed; the process then holds all.

    Parameters
    ----------
    x
        Places, shape (n, d) or (n,).
    y, err
        Values and their 1-sigma errors, shape (n,).
    kernel
        ``"rbf"`` or ``"matern32"``.
    amplitude, scale
        Fix them instead.
    seed
        Of the choice.

    Raises
    ------
    TooFewObjectsError
        Fewer than three points.
    TooMuchDataError
        More than 6000 points.
    DataRefusedError
        A value is not finite, an error is not positive, or all points are at one place.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = np.linspace(0, 10, 200)
    >>> process = fit(x, np.sin(x) + 0.1 * rng.normal(size=200), np.full(200, 0.1))
    >>> mean, err = process.predict([np.pi / 2])
    >>> bool(abs(mean[0] - 1) < 4 * err[0]), bool(err[0] < 0.1)
    (True, True)
    """
    places, values, errors = _places(x), np.asarray(y, dtype=np.float64), np.asarray(err, dtype=np.float64)
    _refuse(places, values, errors, kernel)
    some = np.arange(len(places))
    if len(places) > _LEARN:
        some = np.sort(np.random.default_rng(seed).choice(len(places), _LEARN, replace=False))
    told = _learned(_distance2(places[some], places[some]), values[some], errors[some], kernel, amplitude, scale)
    covariance = told[0] ** 2 * _shape(_distance2(places, places), told[1], kernel)
    covariance[np.diag_indices_from(covariance)] += errors**2
    factor = np.linalg.cholesky(covariance)
    loglike, mean = _loglike(factor, values)
    return GaussianProcess(places, values, errors, kernel, *told, mean, loglike, factor)


def _places(x: ArrayLike) -> Array:
    values = np.asarray(x, dtype=np.float64)
    return values[:, None] if values.ndim == 1 else values


def _refuse(x: Array, y: Array, err: Array, kernel: str) -> None:
    if kernel not in ("rbf", "matern32"):
        raise ParameterError(f"the kernel is {kernel!r}", expected="'rbf' or 'matern32'", hint="Choose one.")
    if len(x) < 3:
        raise TooFewObjectsError(f"{len(x)} points", where="gp.fit", expected="3 or more", hint="Loosen the selection.")
    if len(x) > MOST:
        raise TooMuchDataError(
            f"{len(x)} points", where="gp.fit", expected=f"at most {MOST}", hint="Bin them first, or take larger bins."
        )
    is_known = np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(err).all()
    fits = y.shape == err.shape == (len(x),)
    if not (fits and is_known and np.all(err > 0) and np.ptp(x, axis=0).any()):
        raise DataRefusedError(
            "values are missing, errors are not positive, shapes differ, or all points are at one place",
            where="gp.fit",
            expected="x (n, d), y (n,) and err (n,) above 0, all finite",
            hint="Leave such points out.",
        )


def _distance2(a: Array, b: Array) -> Array:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(a, b, "sqeuclidean"))


def _shape(distance2: Array, scale: float, kernel: str) -> Array:
    """Return the kernel for an amplitude of one."""
    if kernel == "rbf":
        return np.asarray(np.exp(-0.5 * distance2 / scale**2))
    reach = np.sqrt(3 * distance2) / scale
    return np.asarray((1 + reach) * np.exp(-reach))


def _loglike(factor: Array, y: Array) -> tuple[float, float]:
    """Return ln p(y) and the mean, given the Cholesky factor."""
    from scipy.linalg import solve_triangular

    ones = solve_triangular(factor, np.ones(len(y)), lower=True)
    white = solve_triangular(factor, y, lower=True)
    mean = float(ones @ white / (ones @ ones))
    off = white - mean * ones
    value = -0.5 * off @ off - np.log(np.diag(factor)).sum() - 0.5 * len(y) * np.log(2 * np.pi)
    return float(value), mean


def _learned(
    distance2: Array, y: Array, err: Array, kernel: str, amplitude: float | None, scale: float | None
) -> tuple[float, float]:
    """Return amplitude and scale of the highest likelihood; those that are given stay."""
    from scipy.linalg import cho_solve
    from scipy.optimize import minimize

    spread = float(max(np.std(y), 1e-12))
    extent = float(np.sqrt(distance2.max()))
    nearest = float(np.sqrt(np.min(np.where(distance2 > 0, distance2, np.inf))))
    excess = np.sqrt(max(spread**2 - np.mean(err**2), (0.1 * spread) ** 2))  # from afar the search may end at nothing
    start = [amplitude or float(excess), scale or 0.1 * extent]
    tried = [scale] if scale else [max(part * extent, nearest) for part in (0.03, 0.08, 0.2, 0.5)]
    limits = [(1e-3 * spread, 30 * spread), (0.3 * nearest, 3 * extent)]
    free = [i for i, given in enumerate((amplitude, scale)) if given is None]

    def negative(logs: Array) -> tuple[float, Array]:
        at = np.log(start)
        at[free] = logs
        a, length = np.exp(at)
        part = a**2 * _shape(distance2, length, kernel)
        try:
            factor = np.linalg.cholesky(part + np.diag(err**2))
        except np.linalg.LinAlgError:
            return 1e300, np.zeros(len(free))
        value, mean = _loglike(factor, y)
        inverse = cho_solve((factor, True), np.eye(len(y)))
        white = inverse @ (y - mean)
        if kernel == "rbf":
            by_scale = part * distance2 / length**2
        else:
            by_scale = a**2 * 3 * distance2 / length**2 * np.exp(-np.sqrt(3 * distance2) / length)
        slopes = [0.5 * (np.sum(inverse * d) - white @ d @ white) for d in (2 * part, by_scale)]
        return -value, np.array(slopes)[free]

    if free:
        heights = []
        for start[1] in tried:
            heights.append(negative(np.log(start)[free])[0])
        start[1] = tried[int(np.argmin(heights))]
        found: Any = minimize(
            negative, np.log(start)[free], jac=True, method="L-BFGS-B", bounds=[np.log(limits[i]) for i in free],
            options={"maxiter": 40, "ftol": 1e-7},
        )  # fmt: skip
        for i, log in zip(free, found.x, strict=True):
            start[i] = float(np.exp(log))
    return float(start[0]), float(start[1])
