"""Convergence of chains: rank-normalised split R-hat and effective sample sizes (Vehtari et al., arXiv:1903.08008).

The sums over chains and lags are numpyro's; ranks, halves and folds are what the paper puts in front of them. Draws
have shape (chains, draws, ...), results the rest of it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def r_hat(draws: ArrayLike) -> Array:
    """Return the larger of the rank-normalised split R-hat of the draws and of their distance from the median.

    Near 1 when chains agree in place and in spread; inf when each chain stays at a value of its own.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bool(r_hat(rng.normal(size=(4, 500))) < 1.01), bool(r_hat(rng.normal([[0], [0], [0], [1]], 1, (4, 500))) > 1.1)
    (True, True)
    """
    from numpyro.diagnostics import split_gelman_rubin  # type: ignore[import-untyped]

    values = np.asarray(draws, dtype=np.float64)
    folded = np.abs(values - np.median(values, axis=(0, 1)))
    with np.errstate(all="ignore"):
        both = [np.asarray(split_gelman_rubin(_normal_ranks(part))) for part in (values, folded)]
    return np.where(_is_constant(values), np.nan, np.maximum(*both))


def ess_bulk(draws: ArrayLike) -> Array:
    """Return the effective sample size for the centre of the distribution: of the rank-normalised, split chains.

    Examples
    --------
    >>> bool(3000 < ess_bulk(np.random.default_rng(0).normal(size=(4, 1000))) < 5000)
    True
    """
    values = np.asarray(draws, dtype=np.float64)
    return _ess(_normal_ranks(values), values)


def ess_tail(draws: ArrayLike) -> Array:
    """Return the smaller of the effective sample sizes of the 5 % and 95 % quantiles.

    Examples
    --------
    >>> bool(2500 < ess_tail(np.random.default_rng(0).normal(size=(4, 1000))) < 5000)
    True
    """
    values = np.asarray(draws, dtype=np.float64)
    low, high = np.quantile(values, [0.05, 0.95], axis=(0, 1))
    return np.minimum(
        _ess((values <= low).astype(np.float64), values), _ess((values <= high).astype(np.float64), values)
    )


def _ess(chains: Array, values: Array) -> Array:
    from numpyro.diagnostics import effective_sample_size

    with np.errstate(all="ignore"):
        size = np.asarray(effective_sample_size(_split(chains)))
    return np.where(_is_constant(values), np.nan, size)


def _is_constant(values: Array) -> NDArray[np.bool_]:
    """Whether all draws of a quantity are equal, or one of them is not finite."""
    spread = np.ptp(values, axis=(0, 1))
    return ~(np.isfinite(spread) & (spread > 0))


def _split(values: Array) -> Array:
    half = values.shape[1] // 2
    return np.concatenate([values[:, :half], values[:, -half:]])


def _normal_ranks(values: Array) -> Array:
    """Return normal scores of the ranks among all draws of all chains: Phi^-1((r - 3/8) / (n + 1/4))."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    n = values.shape[0] * values.shape[1]
    ranks = rankdata(values.reshape(n, *values.shape[2:]), axis=0)
    return np.asarray(ndtri((ranks - 0.375) / (n + 0.25))).reshape(values.shape)
