"""Are two samples in several dimensions from one distribution? A kernel and a classifier, both by permutation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, TooFewObjectsError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TwoSampleTest:
    """A statistic, its permutation p-value, and the sizes of the samples without rows that miss a value."""

    statistic: float
    p: float
    n: tuple[int, int]


def mmd_test(x: ArrayLike, y: ArrayLike, *, n_permutations: int = 499, seed: int = 0) -> TwoSampleTest:
    """Return the maximum mean discrepancy of two samples and its permutation p-value.

    The unbiased MMD^2 with a Gaussian kernel whose width is the median distance (Gretton et al. 2012), on columns
    scaled by their joint standard deviation. Memory and time grow as (n + m)^2: meant for up to a few thousand rows.

    Parameters
    ----------
    x, y
        Shapes (n, d) and (m, d).
    n_permutations, seed
        Of the permutations.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bool(mmd_test(rng.normal(size=(80, 2)), rng.normal(size=(60, 2)) + [1.0, 0.0]).p < 0.01)
    True
    """
    both, n, m = _joined(x, y)
    squares = np.sum(both**2, axis=1)
    distance2 = np.maximum(squares[:, None] + squares - 2 * both @ both.T, 0.0)
    median = np.median(distance2[np.triu_indices(n + m, 1)])
    kernel = np.exp(-0.5 * distance2 / (median if median > 0 else 1.0))
    np.fill_diagonal(kernel, 0.0)
    rng = np.random.default_rng(seed)
    is_x = np.zeros((n + m, 1 + n_permutations))
    is_x[:n, 0] = 1.0
    for b in range(1, 1 + n_permutations):
        is_x[rng.choice(n + m, n, replace=False), b] = 1.0
    within_x = np.sum(is_x * (kernel @ is_x), axis=0)
    row = kernel.sum(axis=1)
    across = row @ is_x - within_x
    within_y = row.sum() - within_x - 2 * across
    mmd = within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * across / (n * m)
    p = (1 + np.count_nonzero(mmd[1:] >= mmd[0] - 1e-15)) / (1 + n_permutations)
    return TwoSampleTest(float(mmd[0]), float(p), (n, m))


def classifier_test(
    x: ArrayLike, y: ArrayLike, *, n_permutations: int = 199, n_folds: int = 5, seed: int = 0, ridge: float = 1.0
) -> TwoSampleTest:
    """Return how well a classifier tells two samples apart: cross-validated AUC, 1/2 for none, and its p-value.

    Logistic regression with a ridge on the columns, their squares and products (it sees means, widths and
    correlations); labels are permuted and the classifier trained again for the null (Lopez-Paz & Oquab 2017,
    arXiv:1610.06545).

    Parameters
    ----------
    x, y
        Shapes (n, d) and (m, d).
    n_permutations, n_folds, seed
        Of the permutations and of the cross-validation.
    ridge
        Penalty on the squared coefficients of standardised features, as prior precision.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> wider = classifier_test(rng.normal(size=(150, 1)), 2 * rng.normal(size=(150, 1)), n_permutations=99)
    >>> bool(wider.statistic > 0.6), wider.p
    (True, 0.01)
    """
    from scipy.stats import rankdata

    both, n, m = _joined(x, y)
    i, j = np.triu_indices(both.shape[1])
    features = np.column_stack([both, both[:, i] * both[:, j]])
    spread = features.std(axis=0)
    features = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    features = np.column_stack([np.ones(n + m), features])
    rng = np.random.default_rng(seed)
    fold = rng.permutation(np.arange(n + m) % n_folds)
    is_x = np.arange(n + m) < n

    def auc(labels: NDArray[np.bool_]) -> float:
        score = np.empty(n + m)
        for k in range(n_folds):
            out = fold == k
            raw = features @ _logistic(features[~out], labels[~out].astype(np.float64), ridge)
            score[out] = raw[out]
        ranks = rankdata(score)
        return float((ranks[labels].sum() - n * (n + 1) / 2) / (n * m))

    observed = auc(is_x)
    null = [auc(rng.permutation(is_x)) for _ in range(n_permutations)]
    p = (1 + np.count_nonzero(np.array(null) >= observed)) / (1 + n_permutations)
    return TwoSampleTest(observed, float(p), (n, m))


def _logistic(features: Array, labels: Array, ridge: float) -> Array:
    """Return the coefficients of ridge logistic regression by Newton's method; the first feature is the constant."""
    penalty = np.full(features.shape[1], ridge)
    penalty[0] = 1e-6
    beta = np.zeros(features.shape[1])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-np.clip(features @ beta, -30, 30)))
        gradient = features.T @ (labels - chance) - penalty * beta
        hessian = (features * (chance * (1 - chance))[:, None]).T @ features + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        beta += step / max(1.0, float(np.abs(step).max()) / 3)
        if np.abs(step).max() < 1e-8:
            break
    return beta


def _joined(x: ArrayLike, y: ArrayLike) -> tuple[Array, int, int]:
    """Return both samples under each other, scaled, and their sizes."""
    a, b = (np.asarray(v, dtype=np.float64) for v in (x, y))
    a, b = (v[:, None] if v.ndim == 1 else v for v in (a, b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise DataRefusedError(
            f"the samples have shapes {a.shape} and {b.shape}",
            expected="(n, d) and (m, d)",
            hint="Align the columns.",
        )
    a, b = (v[np.isfinite(v).all(axis=1)] for v in (a, b))
    if min(len(a), len(b)) < 2:
        raise TooFewObjectsError(
            f"{len(a)} and {len(b)} complete rows", expected="at least 2 in each", hint="Loosen the selection."
        )
    both = np.concatenate([a, b])
    both = both - both.mean(axis=0)
    spread = both.std(axis=0)
    return both / np.where(spread > 0, spread, 1.0), len(a), len(b)
