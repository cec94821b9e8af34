"""Ranks and what is made of them: pseudo-observations, rank correlations, the copula on a grid, its tails.

Ranks of a table that does not fit into memory come from a `QuantileSketch`, exact when it has room for all values, and
from `exact_ranks` otherwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError
from hven.methods._copula_grid import CopulaDensity, CopulaHistogram, copula_density
from hven.methods._copula_tails import TailCurve, TailIndex, tail_curve, tail_index
from hven.methods._kendall import concordance
from hven.methods._quantile_sketch import QuantileSketch, exact_ranks

__all__ = [
    "CopulaDensity",
    "CopulaHistogram",
    "QuantileSketch",
    "RankCorrelation",
    "TailCurve",
    "TailIndex",
    "average_ranks",
    "copula_density",
    "exact_ranks",
    "kendall",
    "normal_scores",
    "pseudo_observations",
    "spearman",
    "tail_curve",
    "tail_index",
]

Array = NDArray[np.float64]


def average_ranks(x: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """Return the ranks of the values of each column, ties sharing their average, NaN having none.

    Parameters
    ----------
    x
        Shape (n,) or (n, d): columns are ranked each for itself.
    weights
        How often each row counts, shape (n,): the rank of a value is that among all repeated rows,
        W(below) + (W(equal) + 1) / 2. Rows of weight zero have no rank.

    Examples
    --------
    >>> average_ranks([3.0, 1.0, 3.0, np.nan]).tolist()
    [2.5, 1.0, 2.5, nan]
    """
    columns, w = _checked(x, weights)
    out = np.empty(columns.shape)
    for j in range(columns.shape[1]):
        out[:, j] = _ranks(columns[:, j], w)[0]
    return out.reshape(np.shape(x))


def pseudo_observations(x: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """Return u = (average rank) / (N + 1) of each column, strictly between 0 and 1; N is the sum of the weights.

    Parameters and missing values as for `average_ranks`. Strictly increasing maps of a column leave u as it is.

    Examples
    --------
    >>> x = np.array([0.2, 5.0, -1.0])
    >>> pseudo_observations(x).tolist(), bool((pseudo_observations(np.exp(x)) == pseudo_observations(x)).all())
    ([0.5, 0.75, 0.25], True)
    """
    columns, w = _checked(x, weights)
    out = np.empty(columns.shape)
    for j in range(columns.shape[1]):
        ranks, total = _ranks(columns[:, j], w)
        out[:, j] = ranks / (total + 1)
    return out.reshape(np.shape(x))


def normal_scores(x: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """Return the standard normal quantiles of the pseudo-observations: each column made Gaussian by its ranks alone.

    Examples
    --------
    >>> normal_scores([1.0, 10.0, 1000.0]).round(3).tolist()
    [-0.674, 0.0, 0.674]
    """
    from scipy.special import ndtri

    return np.asarray(ndtri(pseudo_observations(x, weights)))


@dataclass(frozen=True)
class RankCorrelation:
    """A rank correlation, NaN where it cannot be known.

    Attributes
    ----------
    value
        Between -1 and 1.
    n
        Rows that have both values and a weight.
    reason
        Empty, ``"too few"`` (fewer than two rows) or ``"constant"`` (a column has one value only).
    """

    value: float
    n: int
    reason: str = ""


def spearman(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> RankCorrelation:
    """Return Spearman's rho: the correlation of the average ranks.

    Parameters
    ----------
    x, y
        Shape (n,); rows with a missing value are left out.
    weights
        How often each row counts, shape (n,).

    Examples
    --------
    >>> spearman([1, 2, 3, 4], [1, 4, 9, 16]).value
    1.0
    """
    a, b, w = _pairs(x, y, weights)
    if len(a) < 2:
        return RankCorrelation(np.nan, len(a), "too few")
    r, total = _ranks(a, w)
    s, _ = _ranks(b, w)
    r, s = r - (total + 1) / 2, s - (total + 1) / 2  # the weighted mean of average ranks
    each = np.ones(len(a)) if w is None else w
    scale = np.sqrt((each @ r**2) * (each @ s**2))
    if not scale > 0:
        return RankCorrelation(np.nan, len(a), "constant")
    return RankCorrelation(float(np.clip((each * r) @ s / scale, -1.0, 1.0)), len(a))


def kendall(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> RankCorrelation:
    """Return Kendall's tau_b, ties accounted for, in O(N log N).

    (concordant - discordant pairs) / sqrt(pairs not tied in x * pairs not tied in y) (Kendall 1945; discordant pairs
    by counting inversions, after Knight 1966): SciPy's, which knows no weights, or with weights w_i w_j for each pair.
    Parameters are those of `spearman`; cells of a histogram with their counts as weights give the tau of the binned
    data.

    Examples
    --------
    >>> kendall([1, 2, 3, 4], [1, 3, 2, 4]).value.__round__(4)
    0.6667
    """
    a, b, w = _pairs(x, y, weights)
    if len(a) < 2:
        return RankCorrelation(np.nan, len(a), "too few")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return RankCorrelation(np.nan, len(a), "constant")
    if w is None and len(a) > 2:  # SciPy divides by zero for two
        from scipy.stats import kendalltau

        return RankCorrelation(float(kendalltau(a, b, method="asymptotic").statistic), len(a))
    surplus, in_x, in_y = concordance(a, b, np.ones(len(a)) if w is None else w)
    return RankCorrelation(float(np.clip(surplus / np.sqrt(in_x) / np.sqrt(in_y), -1.0, 1.0)), len(a))


def _ranks(values: Array, weights: Array | None) -> tuple[Array, float]:
    """Return the average ranks (n,) and the sum of the weights of the rows that have one."""
    is_known = ~np.isnan(values)
    if weights is not None:
        is_known &= weights > 0
    out = np.full(len(values), np.nan)
    known = values[is_known]
    order = np.argsort(known)
    sorted_ = known[order]
    is_first = np.concatenate([[True], sorted_[1:] != sorted_[:-1]])[: len(known)]
    first = np.flatnonzero(is_first)
    if weights is None:
        end = np.append(first[1:], len(known)).astype(np.float64)
        below = first.astype(np.float64)
    else:
        running = np.cumsum(weights[is_known][order])
        end = running[np.append(first[1:], len(known)) - 1] if len(known) else running
        below = np.concatenate([[0.0], end[:-1]])[: len(end)]
    ranks = np.empty(len(known))
    ranks[order] = (0.5 * (below + end + 1))[np.cumsum(is_first) - 1]
    out[is_known] = ranks
    return out, float(end[-1]) if len(end) else 0.0


def _checked(x: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array | None]:
    columns = np.asarray(x, dtype=np.float64)
    if columns.ndim not in (1, 2):
        raise DataRefusedError(
            f"the values have shape {columns.shape}", expected="(rows,) or (rows, columns)", hint="Stack the columns."
        )
    w = None if weights is None else np.asarray(weights, dtype=np.float64)
    if w is not None and (w.shape != columns.shape[:1] or np.any(w < 0)):
        raise DataRefusedError(
            f"the weights have shape {w.shape} and the smallest is {np.nanmin(w, initial=0.0):g}",
            expected=f"({len(columns)},), none negative",
            hint="Weights say how often each row counts.",
        )
    return columns[:, None] if columns.ndim == 1 else columns, w


def _pairs(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array, Array | None]:
    if np.ndim(x) != 1 or np.shape(x) != np.shape(y):
        raise DataRefusedError(
            f"x has shape {np.shape(x)} and y {np.shape(y)}", expected="(n,) both", hint="Align the columns."
        )
    columns, w = _checked(np.column_stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)]), weights)
    is_known = ~np.isnan(columns).any(axis=1)
    if w is not None:
        is_known &= w > 0
    return columns[is_known, 0], columns[is_known, 1], None if w is None else w[is_known]
