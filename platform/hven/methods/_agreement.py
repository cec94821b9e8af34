"""How well raters agree, and who wins: ICC, kappa, Bland-Altman limits, Bradley-Terry strengths."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """A coefficient of agreement with its interval; NaN when it cannot be known."""

    value: float
    lower: float
    upper: float
    n: int


def intraclass_correlation(ratings: ArrayLike, level: float = 0.95) -> Agreement:
    """Return ICC(2,1): the agreement of single ratings by raters drawn from many, each rating every object.

    (MSR - MSE) / (MSR + (k - 1) MSE + k (MSC - MSE) / n) with the mean squares of objects (R), raters (C) and the rest
    (E) (Shrout & Fleiss 1979; interval of McGraw & Wong 1996).

    Parameters
    ----------
    ratings
        Shape (n, k): objects, raters. Objects with a missing rating are left out.
    level
        Of the interval.

    Examples
    --------
    >>> same = [[1.0, 1.1], [2.0, 1.9], [3.0, 3.1], [4.0, 4.0]]
    >>> round(intraclass_correlation(same).value, 3)
    0.998
    """
    from scipy.stats import f

    x = np.asarray(ratings, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] < 2:
        raise DataRefusedError(
            f"the ratings have shape {x.shape}", expected="(objects, raters), at least 2 raters", hint="Stack them."
        )
    x = x[np.isfinite(x).all(axis=1)]
    n, k = x.shape
    if n < 2 or np.ptp(x) == 0:
        return Agreement(np.nan, np.nan, np.nan, n)
    row, column, mean = x.mean(axis=1), x.mean(axis=0), x.mean()
    msr = k * np.sum((row - mean) ** 2) / (n - 1)
    msc = n * np.sum((column - mean) ** 2) / (k - 1)
    mse = np.sum((x - row[:, None] - column + mean) ** 2) / ((n - 1) * (k - 1))
    value = (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n)
    if mse == 0 or value >= 1:
        return Agreement(float(value), np.nan, np.nan, n)
    a, b = k * value / (n * (1 - value)), 1 + k * value * (n - 1) / (n * (1 - value))
    freedom = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1)))
    tail = 0.5 * (1 + level)
    f_low, f_high = f.ppf(tail, n - 1, freedom), f.ppf(tail, freedom, n - 1)
    spread = k * msc + (k * n - k - n) * mse
    lower = n * (msr - f_low * mse) / (f_low * spread + n * msr)
    upper = n * (f_high * msr - mse) / (spread + n * f_high * msr)
    return Agreement(float(value), float(lower), float(upper), n)


def weighted_kappa(first: ArrayLike, second: ArrayLike, *, n_boot: int = 0, seed: int = 0) -> Agreement:
    """Return Cohen's kappa with quadratic weights of two raters' ordered classes, with a 68 % bootstrap interval.

    1 - sum (i - j)^2 O_ij / sum (i - j)^2 E_ij, E from the margins (Cohen 1968).

    Parameters
    ----------
    first, second
        Classes as numbers, shape (n,); pairs with a missing one are left out.
    n_boot, seed
        Replicates for the interval; 0 for none.

    Examples
    --------
    >>> round(weighted_kappa([0, 1, 2, 2, 1], [0, 1, 2, 1, 1]).value, 3)
    0.8
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise DataRefusedError(f"the classes have shapes {a.shape} and {b.shape}", expected="(n,) both", hint="Align.")
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]

    def kappa(x: Array, y: Array) -> float:
        # over the margins, E (i - j)^2 = var x + var y + (mean x - mean y)^2
        expected = x.var() + y.var() + (x.mean() - y.mean()) ** 2
        return float(1 - np.mean((x - y) ** 2) / expected) if expected > 0 else np.nan

    if not len(a):
        return Agreement(np.nan, np.nan, np.nan, 0)
    rng = np.random.default_rng(seed)
    draws = [kappa(a[rows], b[rows]) for rows in (rng.integers(0, len(a), len(a)) for _ in range(n_boot))]
    draws = [draw for draw in draws if np.isfinite(draw)]
    lower, upper = np.quantile(draws, [0.15865, 0.84135]) if draws else (np.nan, np.nan)
    return Agreement(kappa(a, b), float(lower), float(upper), len(a))


@dataclass(frozen=True)
class BlandAltman:
    """Mean difference of two methods and the limits within which 95 % of the differences lie, each with its error."""

    bias: float
    bias_err: float
    lower: float
    upper: float
    limit_err: float
    n: int


def bland_altman(first: ArrayLike, second: ArrayLike) -> BlandAltman:
    """Return bias and limits of agreement, mean +- 1.96 s of first - second (Bland & Altman 1986).

    The error of a limit is s sqrt(1/n + 1.96^2 / (2 (n - 1))). Pairs with a missing value are left out.

    Examples
    --------
    >>> found = bland_altman([1.0, 2.0, 3.0, 4.0], [1.5, 2.0, 3.5, 4.0])
    >>> found.bias, round(found.upper, 3)
    (-0.25, 0.316)
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise DataRefusedError(f"the values have shapes {a.shape} and {b.shape}", expected="(n,) both", hint="Align.")
    d = (a - b)[np.isfinite(a - b)]
    n = len(d)
    if n < 2:
        return BlandAltman(np.nan, np.nan, np.nan, np.nan, np.nan, n)
    bias, s = float(d.mean()), float(d.std(ddof=1))
    limit_err = s * np.sqrt(1 / n + 1.96**2 / (2 * (n - 1)))
    return BlandAltman(bias, s / np.sqrt(n), bias - 1.96 * s, bias + 1.96 * s, float(limit_err), n)


@dataclass(frozen=True)
class Strengths:
    """Bradley-Terry strengths b (n,), mean zero, with bootstrap errors; NaN where wins do not connect all."""

    strength: Array
    err: Array
    converged: bool


def bradley_terry(wins: ArrayLike, *, n_boot: int = 200, seed: int = 0, max_steps: int = 10_000) -> Strengths:
    """Return strengths with P(i beats j) = e^b_i / (e^b_i + e^b_j), by maximum likelihood.

    Minorisation-maximisation (Hunter 2004); errors by drawing the outcomes of each pair again. A maximum exists only
    if there is a chain of wins from everyone to everyone: otherwise NaN. Replicates without one are left out.

    Parameters
    ----------
    wins
        How often i beat j, shape (n, n).
    n_boot, seed
        Replicates for the errors, 0 for none.
    max_steps
        Of the iteration.

    Examples
    --------
    >>> round(float(np.ptp(bradley_terry([[0, 3], [1, 0]], n_boot=0).strength)), 4), round(float(np.log(3)), 4)
    (1.0986, 1.0986)
    """
    w = np.asarray(wins, dtype=np.float64)
    if w.ndim != 2 or w.shape[0] != w.shape[1] or not np.all(w >= 0):
        raise DataRefusedError(
            f"the wins have shape {w.shape}", expected="(n, n), none negative or missing", hint="Count wins by pair."
        )
    w = w - np.diag(np.diag(w))
    strength, converged = _strengths(w, max_steps)
    rng = np.random.default_rng(seed)
    upper = np.triu_indices(len(w), 1)
    games = (w + w.T)[upper]
    chance = np.divide(w[upper], games, out=np.zeros(len(games)), where=games > 0)
    draws = []
    for _ in range(n_boot if converged else 0):
        drawn = np.zeros_like(w)
        drawn[upper] = rng.binomial(games.astype(np.int64), chance)
        drawn.T[upper] = games - drawn[upper]
        draws.append(_strengths(drawn, max_steps)[0])
    finite = [draw for draw in draws if np.isfinite(draw).all()]
    err = np.std(finite, axis=0, ddof=1) if len(finite) > 1 else np.full(len(w), np.nan)
    return Strengths(strength, np.asarray(err), converged)


def _strengths(w: Array, max_steps: int) -> tuple[Array, bool]:
    from scipy.sparse.csgraph import connected_components

    n = len(w)
    if n == 0 or connected_components(w, directed=True, connection="strong")[0] > 1:
        return np.full(n, np.nan), False
    games, total, gamma = w + w.T, w.sum(axis=1), np.ones(n)
    for _ in range(max_steps):
        new = total / np.sum(games / (gamma[:, None] + gamma), axis=1)
        new /= np.exp(np.mean(np.log(new)))
        if np.abs(np.log(new / gamma)).max() < 1e-12:
            return np.log(new), True
        gamma = new
    return np.log(gamma), False
