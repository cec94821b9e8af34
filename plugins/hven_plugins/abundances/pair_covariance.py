"""How the errors of correlations of pairs of elements go together: bootstrap replicates, shrunk to their closed form.

Fifteen elements make 105 pairs, and their covariance 5565 numbers: replicates of the hundreds tell them with noise that
an inverse amplifies, and the diagonal alone, which counts one element in fourteen pairs as fourteen measurements, gives
parameters errors that are five times too small. Here the replicates are mixed with the covariance that correlations of
Gaussian columns have (Pearson & Filon 1898), errors of measurement taken out, by the weight that their own noise
suggests (Ledoit & Wolf 2004; Schaefer & Strimmer 2005).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

FEWEST = 20
"""Replicates below which the closed form stands alone."""


class PairCovariance(NamedTuple):
    """Covariance of p correlations, (p, p), and the weight of the closed form in it: 1 without replicates."""

    value: Array
    shrinkage: float


def closed_form(correlation: Array, sigma: Array, error: Array, n: Array, i: Integers, j: Integers) -> Array:
    """Return the covariance (p, p) of the error-corrected correlations of pairs (i, j) of Gaussian columns.

    With S = C + N, the covariances of what is observed, of the true values and of the errors, S_ij S_kl have covariance
    (S_ik S_jl + S_il S_jk) / n, and r_ij = C_ij / sqrt(C_ii C_jj) follows to first order.

    Parameters
    ----------
    correlation, n
        Error-corrected correlations, NaN counting as none, and numbers of stars, (e, e).
    sigma, error
        True scatters and rms errors, (e,).
    i, j
        Elements of the pairs, (p,).

    Examples
    --------
    >>> i, j = np.array([1]), np.array([0])
    >>> rho = np.array([[1.0, 0.6], [0.6, 1.0]])
    >>> exact = closed_form(rho, np.ones(2), np.zeros(2), np.full((2, 2), 100), i, j)
    >>> float(exact[0, 0].round(9)), (1 - 0.6**2) ** 2 / 100
    (0.004096, 0.004096)
    """
    rho: Array = np.nan_to_num(correlation)
    true = np.where(np.isfinite(sigma), sigma, 1.0) ** 2
    observed = rho * np.sqrt(np.outer(true, true))
    observed[np.diag_indices(len(true))] = true + np.nan_to_num(error) ** 2

    def product(p: Integers, q: Integers, r: Integers, s: Integers) -> Array:
        return np.asarray(observed[p, r] * observed[q, s] + observed[p, s] * observed[q, r])

    a, b, c, d = (np.asarray(v) for v in np.broadcast_arrays(i[:, None], j[:, None], i[None, :], j[None, :]))
    first, second = (rho[p, q] / 2 for p, q in ((a, b), (c, d)))
    scale_1, scale_2 = (np.sqrt(true[p] * true[q]) for p, q in ((a, b), (c, d)))
    total = product(a, b, c, d) / (scale_1 * scale_2)
    total -= second / scale_1 * (product(a, b, c, c) / true[c] + product(a, b, d, d) / true[d])
    total -= first / scale_2 * (product(a, a, c, d) / true[a] + product(b, b, c, d) / true[b])
    for p in (a, b):
        for q in (c, d):
            total += first * second * product(p, p, q, q) / (true[p] * true[q])
    count = np.sqrt(np.maximum(n[i, j], 1))
    return np.asarray(total / np.outer(count, count))


def shrunk(draws: Array, target: Array, error: Array) -> PairCovariance:
    """Return the covariance of `draws` (b, p) mixed with that of the `target` (p, p), scaled to the draws' scatter.

    Parameters
    ----------
    draws
        Replicates of the correlations, (b, p); those with a value that is not finite do not count.
    target
        Their covariance by `closed_form`.
    error
        Standard errors of the correlations, (p,), which scale the target where draws are too few.
    """
    whole = draws[np.isfinite(draws).all(axis=1)]
    unit = np.sqrt(np.diag(target))
    if len(whole) < FEWEST or len(unit) < 2:
        return PairCovariance(target * float(np.median((error / unit) ** 2)), 1.0)
    spread = whole.std(axis=0, ddof=1)
    found: Array = np.asarray(np.corrcoef(whole, rowvar=False), dtype=np.float64)
    expected = target / np.outer(unit, unit)
    off = ~np.eye(len(unit), dtype=bool)
    noise = np.sum((1 - found[off] ** 2) ** 2) / (len(whole) - 1)
    weight = float(np.clip(noise / max(np.sum((found - expected)[off] ** 2), 1e-300), 0.0, 1.0))
    common = float(np.median((spread / unit) ** 2))  # scatter that is not Gaussian makes all errors larger
    return PairCovariance(weight * common * target + (1 - weight) * found * np.outer(spread, spread), weight)
