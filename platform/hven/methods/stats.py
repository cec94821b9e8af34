"""Tests and limits that the field uses, beyond those that SciPy has.

SciPy keeps the two-sample Kolmogorov-Smirnov and Anderson-Darling tests (`scipy.stats.ks_2samp`,
`scipy.stats.anderson_ksamp`) and the Brown-Forsythe test (`scipy.stats.levene(center="median")`): take them there.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError
from hven.methods._agreement import (
    Agreement,
    BlandAltman,
    Strengths,
    bland_altman,
    bradley_terry,
    intraclass_correlation,
    weighted_kappa,
)
from hven.methods._dip import dip_of_sorted, simulated_dips
from hven.methods._dip_table import PROBABILITIES, SCALED_DIPS
from hven.methods._two_sample import TwoSampleTest, classifier_test, mmd_test
from hven.methods.moments import Moments

__all__ = [
    "Agreement",
    "BlandAltman",
    "DipTest",
    "FalseDiscovery",
    "PartialCorrelation",
    "Strengths",
    "TwoSampleTest",
    "benjamini_hochberg",
    "binomial_limits",
    "bland_altman",
    "bradley_terry",
    "classifier_test",
    "dip_test",
    "fisher_interval",
    "fisher_z",
    "intraclass_correlation",
    "isotonic_test",
    "mmd_test",
    "partial_correlation",
    "permutation_p",
    "poisson_limits",
    "weighted_kappa",
]

Array = NDArray[np.float64]
Alternative = Literal["greater", "less", "two-sided"]


@dataclass(frozen=True)
class DipTest:
    """Hartigan's dip, its p-value under the uniform distribution, and the number of values; NaN for fewer than four."""

    dip: float
    p: float
    n: int


def dip_test(x: ArrayLike, *, n_simulations: int = 0, seed: int = 0) -> DipTest:
    """Return the dip test of unimodality: a small p-value says that there is more than one mode.

    The dip is the largest distance between the empirical distribution and the nearest unimodal one (Hartigan & Hartigan
    1985, Annals of Statistics 13, 70).

    Parameters
    ----------
    x
        Values, shape (n,); NaN is left out.
    n_simulations
        0 takes the p-value from a table that was simulated for 4 to 2000 values, interpolated in sqrt(n) dip; it is
        never below 0.0005. A positive number simulates as many uniform samples of this size, once per size and seed.
    seed
        Of the simulation.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> one, other = rng.normal(size=(2, 100))
    >>> bool(dip_test(one).p > 0.05), bool(dip_test(np.append(one, other + 5)).p < 0.001)
    (True, True)
    """
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1:
        raise DataRefusedError(f"the values have shape {values.shape}", expected="(n,)", hint="Test each column.")
    values = np.sort(values[~np.isnan(values)])
    n = len(values)
    if n < 4:
        return DipTest(np.nan, np.nan, n)
    dip = dip_of_sorted(values)
    if n_simulations:
        return DipTest(dip, permutation_p(dip, simulated_dips(n, n_simulations, seed)), n)
    sizes = np.array(sorted(SCALED_DIPS), dtype=np.float64)
    between = np.interp(np.sqrt(n), np.sqrt(sizes), np.arange(len(sizes)))
    before, after = int(np.floor(between)), int(np.ceil(between))
    rows = [np.array(SCALED_DIPS[int(sizes[i])]) for i in (before, after)]
    quantiles = rows[0] + (between - before) * (rows[1] - rows[0])
    below = float(np.interp(np.sqrt(n) * dip, quantiles, PROBABILITIES, left=0.0))
    return DipTest(dip, 1.0 - below, n)


@dataclass(frozen=True)
class FalseDiscovery:
    """Which of many tests are discoveries.

    Attributes
    ----------
    rejected
        Of each test, shape of the p-values; False where p is NaN.
    adjusted
        The smallest false-discovery rate at which each is rejected; NaN where p is.
    threshold
        The largest rejected p-value, 0 when there is none.
    """

    rejected: NDArray[np.bool_]
    adjusted: Array
    threshold: float


def benjamini_hochberg(p: ArrayLike, q: float = 0.05) -> FalseDiscovery:
    """Return the tests that are rejected at a false-discovery rate of `q`: all up to the largest p_(k) <= k q / m.

    Benjamini & Hochberg 1995. NaN p-values are no tests: they do not count in m.

    Examples
    --------
    >>> benjamini_hochberg([0.001, 0.5, 0.02, float("nan")], q=0.05).rejected.tolist()
    [True, False, True, False]
    """
    from scipy.stats import false_discovery_control

    values = np.asarray(p, dtype=np.float64)
    known = ~np.isnan(values)
    if not 0 < q < 1 or np.any((values[known] < 0) | (values[known] > 1)):
        raise ParameterError(
            "q or a p-value is not between 0 and 1", expected="0 < q < 1, 0 <= p <= 1", hint="Pass p-values."
        )
    adjusted = np.full(values.shape, np.nan)
    if known.any():
        adjusted[known] = false_discovery_control(values[known])
    rejected = known & (np.nan_to_num(adjusted, nan=2.0) <= q)
    return FalseDiscovery(rejected, adjusted, float(values[rejected].max(initial=0.0)))


def fisher_z(r: ArrayLike, n: ArrayLike, n_given: int = 0) -> tuple[Array, Array]:
    """Return z = atanh r and its error 1 / sqrt(n - n_given - 3); NaN for fewer than four objects.

    Parameters
    ----------
    r, n
        Correlations and the numbers of objects behind them, of shapes that broadcast.
    n_given
        How many variables were held fixed, for partial correlations.

    Examples
    --------
    >>> [float(v.round(4)) for v in fisher_z(0.5, 28)]
    [0.5493, 0.2]
    """
    correlation, freedom = np.broadcast_arrays(
        np.asarray(r, dtype=np.float64), np.asarray(n, dtype=np.float64) - n_given - 3
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(freedom > 0, np.arctanh(np.where(np.abs(correlation) <= 1, correlation, np.nan)), np.nan)
        return z, np.where(freedom > 0, 1 / np.sqrt(np.where(freedom > 0, freedom, np.nan)), np.nan)


def fisher_interval(r: ArrayLike, n: ArrayLike, level: float = 0.6827, n_given: int = 0) -> tuple[Array, Array]:
    """Return the lower and upper end of the interval of a correlation at a two-sided `level`, through Fisher's z.

    Parameters are those of `fisher_z`.

    Examples
    --------
    >>> [round(float(v), 3) for v in fisher_interval(0.5, 28, level=0.95)]
    [0.156, 0.736]
    """
    from scipy.special import ndtri

    z, err = fisher_z(r, n, n_given)
    reach = ndtri(0.5 + 0.5 * level) * err
    return np.tanh(z - reach), np.tanh(z + reach)


def permutation_p(observed: float, null: ArrayLike, alternative: Alternative = "greater") -> float:
    """Return p = (1 + exceedances) / (1 + B) of an observed statistic among `B` of the null hypothesis.

    Never zero, and uniform under the null (Phipson & Smyth 2010). NaN when the observed one is NaN or there is no null.

    Parameters
    ----------
    observed
        The statistic of the data.
    null
        That of permuted or simulated data, shape (B,); NaN is left out.
    alternative
        ``"two-sided"`` doubles the smaller of the two one-sided values.

    Examples
    --------
    >>> permutation_p(3.0, [0.0, 1.0, 2.0, 4.0])
    0.4
    """
    values = np.asarray(null, dtype=np.float64).ravel()
    values = values[~np.isnan(values)]
    if np.isnan(observed) or not len(values):
        return float("nan")
    greater = (1 + np.count_nonzero(values >= observed)) / (1 + len(values))
    less = (1 + np.count_nonzero(values <= observed)) / (1 + len(values))
    if alternative == "two-sided":
        return float(min(1.0, 2 * min(greater, less)))
    if alternative not in ("greater", "less"):
        raise ParameterError(
            f"alternative is {alternative!r}", expected="'greater', 'less' or 'two-sided'", hint="Choose one."
        )
    return float(greater if alternative == "greater" else less)


def binomial_limits(k: ArrayLike, n: ArrayLike, level: float = 0.6827) -> tuple[Array, Array]:
    """Return the exact (Clopper & Pearson 1934) two-sided interval of a fraction of which k of n were seen.

    Examples
    --------
    >>> [round(float(v), 3) for v in binomial_limits(0, 10, level=0.95)]
    [0.0, 0.308]
    """
    from scipy.special import betaincinv

    seen, total = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64))
    bad = ~((seen >= 0) & (seen <= total))
    tail = 0.5 * (1 - level)
    a, b = np.where(bad, 1, seen), np.where(bad, 1, total - seen)
    lower = np.where(a > 0, betaincinv(np.maximum(a, 1e-9), b + 1, tail), 0.0)
    upper = np.where(b > 0, betaincinv(a + 1, np.maximum(b, 1e-9), 1 - tail), 1.0)
    return np.where(bad, np.nan, lower), np.where(bad, np.nan, upper)


def poisson_limits(k: ArrayLike, level: float = 0.6827) -> tuple[Array, Array]:
    """Return the exact two-sided interval of the mean of a Poisson count k (Garwood 1936, Gehrels 1986).

    Examples
    --------
    >>> [round(float(v), 3) for v in poisson_limits(0, level=0.95)]
    [0.0, 3.689]
    """
    from scipy.special import gammaincinv

    seen = np.asarray(k, dtype=np.float64)
    bad = ~(seen >= 0)
    safe = np.where(bad, 0, seen)
    tail = 0.5 * (1 - level)
    lower = np.where(safe > 0, gammaincinv(np.maximum(safe, 1e-9), tail), 0.0)
    return np.where(bad, np.nan, lower), np.where(bad, np.nan, gammaincinv(safe + 1, 1 - tail))


@dataclass(frozen=True)
class PartialCorrelation:
    """A partial correlation with its Fisher-z interval (68 %) and two-sided p-value; NaN when it cannot be known."""

    value: float
    lower: float
    upper: float
    p: float
    n: int


def partial_correlation(
    x: ArrayLike, y: ArrayLike, given: ArrayLike, *, weights: ArrayLike | None = None
) -> PartialCorrelation:
    """Return the correlation of x and y with the columns `given` held fixed, linearly.

    Use `hven.methods.moments.Moments.partial_correlation` where the table is large, has errors or many columns.

    Parameters
    ----------
    x, y
        Shape (n,).
    given
        Shape (n,) or (n, c).
    weights
        How often each row counts, shape (n,).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> age = rng.normal(size=500)
    >>> x, y = age + rng.normal(size=(2, 500))
    >>> bool(partial_correlation(x, y, age).p > 0.05)
    True
    """
    from scipy.special import ndtr

    table = np.column_stack([np.asarray(v, dtype=np.float64) for v in (x, y, given)])
    known = np.isfinite(table).all(axis=1)
    w = None if weights is None else np.asarray(weights, dtype=np.float64)
    moments = Moments.from_array(table[known], weights=None if w is None else w[known])
    n_given = table.shape[1] - 2
    n = int(moments.n[0, 0])
    if n < n_given + 3:
        return PartialCorrelation(np.nan, np.nan, np.nan, np.nan, n)
    value = float(moments.partial_correlation(list(range(2, table.shape[1])))[0, 1])
    effective = float(moments.n_effective[0, 0])
    z, err = fisher_z(value, effective, n_given)
    lower, upper = fisher_interval(value, effective, n_given=n_given)
    return PartialCorrelation(value, float(lower), float(upper), float(2 * ndtr(-np.abs(z / err))), n)


def isotonic_test(x: ArrayLike, y: ArrayLike, *, n_permutations: int = 999, seed: int = 0) -> tuple[float, float]:
    """Return the share of the variance of y that a rising function of x explains, and its permutation p-value.

    Rows with a missing value are left out; NaN when fewer than three are left or y is constant.

    Examples
    --------
    >>> share, p = isotonic_test([1, 2, 3, 4, 5, 6], [0.0, 0.1, 0.1, 0.5, 0.7, 0.6])
    >>> round(share, 2), bool(p < 0.05)
    (0.99, True)
    """
    from scipy.optimize import isotonic_regression

    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise DataRefusedError(f"x has shape {a.shape} and y {b.shape}", expected="(n,) both", hint="Align them.")
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = a[known], b[known]
    if len(a) < 3 or np.ptp(b) == 0:
        return np.nan, np.nan
    _, group = np.unique(a, return_inverse=True)
    counts = np.bincount(group).astype(np.float64)
    total = np.sum((b - b.mean()) ** 2)

    def share(values: Array) -> float:
        fitted = isotonic_regression(np.bincount(group, values) / counts, weights=counts).x
        return float(counts @ (fitted - values.mean()) ** 2 / total)

    rng = np.random.default_rng(seed)
    observed = share(b)
    # rounding must not part a permutation from the data it equals
    return observed, permutation_p(observed * (1 - 1e-12), [share(rng.permutation(b)) for _ in range(n_permutations)])
