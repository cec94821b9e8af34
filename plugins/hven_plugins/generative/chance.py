"""How far apart two sets of images of one distribution may be by chance: limits that follow from their numbers."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hven.methods import fidelity, frechet

Array = NDArray[np.float64]

_ROWS = 512
_RARE = 0.002
"""How often chance may exceed the limit of twins: about as rarely as it exceeds the largest of 400 draws."""
_ROUNDING = 1e-12
"""What a constant varies by, in float64, relative to itself or to what varies, with room for sums of thousands."""


class Shares(NamedTuple):
    """What is found of random parts of rows, held against others, each a number for each draw.

    Attributes
    ----------
    precision, coverage
        As in `hven.methods.fidelity.Neighbourhoods`.
    """

    precision: Array
    coverage: Array


def shuffled_distances(ours: Array, theirs: Array, *, draws: int = 400, seed: int = 0) -> Array:
    """Return the Frechet distances (draws,) where there is no difference: of rows (n, p) and (m, p), dealt out anew.

    If both sets have one distribution, what was found is one more such draw, however few rows there are and whatever
    their distribution is.

    Examples
    --------
    >>> x, same = np.random.default_rng(0).normal(size=(2, 100, 3))
    >>> wider = frechet.distance(np.zeros(3), np.eye(3), np.zeros(3), 4 * np.eye(3))
    >>> bool(wider.value > shuffled_distances(x, same).max())
    True
    """
    one, other = _dealt_out(ours, theirs, draws, seed)
    return frechet.distance(*one, *other).value


def shuffled_ratios(ours: Array, theirs: Array, n_fixed: int = 0, *, draws: int = 400, seed: int = 0) -> Array:
    """Return the smallest ratios (draws,) of variances along any direction, as `shuffled_distances` does distances.

    Parameters
    ----------
    ours, theirs
        Features and, behind them, parameters, shapes (n, p + t) and (m, p + t).
    n_fixed
        t: how many of the last columns are parameters. Variances are those at fixed parameters.
    draws, seed
        How often rows are dealt out, and the seed.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> theta, noise = rng.normal(size=(2, 200, 1)), rng.normal(size=(2, 200, 3))
    >>> rows = np.concatenate([noise + 9 * theta, theta], axis=2)
    >>> bool(0.4 < np.median(shuffled_ratios(*rows, 1)) < 1)
    True
    """
    p = ours.shape[1] - n_fixed
    theta = np.concatenate([ours[:, p:], theirs[:, p:]])
    mean, spread = theta.mean(axis=0), theta.std(axis=0)
    varies = spread > _ROUNDING * np.abs(mean)
    one, other = (np.column_stack([s[:, :p], (s[:, p:] - mean)[:, varies] / spread[varies]]) for s in (ours, theirs))
    return _smallest_ratios(*(_at_fixed(covariance, p) for _, covariance in _dealt_out(one, other, draws, seed)))


def shares(base: Array, others: Array, m: int, k: int, *, draws: int = 400, seed: int = 0) -> Shares:
    """Return precision and coverage of m rows that are drawn at random from all `others`, held against the `base`.

    As in `hven.methods.fidelity.neighbourhoods`, with the k-th neighbours of the base. If the others have one
    distribution, what is found of any m of them is one more such draw.

    Examples
    --------
    >>> base, others = np.random.default_rng(0).normal(size=(2, 60, 25))
    >>> wide = shares(base, others, 30, 5).coverage
    >>> bool(wide.min() < 0.8 * wide.mean())
    True
    """
    radius = fidelity.nearest(base, base, k, is_same=True)[0][:, -1]
    chosen = np.random.default_rng(seed).permuted(np.tile(np.arange(len(others)) < m, (draws, 1)), axis=1)
    weights = chosen.astype(np.float32)
    counts, precise = np.zeros((draws, len(base)), dtype=np.float32), np.zeros(draws)
    squares = np.sum(base**2, axis=1)
    for start in range(0, len(others), _ROWS):
        some, of_some = others[start : start + _ROWS], weights[:, start : start + _ROWS]
        inside = squares + np.sum(some**2, axis=1)[:, None] - 2 * some @ base.T <= radius**2
        counts += of_some @ inside.astype(np.float32)
        precise += of_some @ inside.any(axis=1)
    return Shares(precise / m, np.mean(counts > 0, axis=1))


def most_twins(m: int, quantile: float, least: float) -> float:
    """Return the share of m rows above which more than `least` have twins, and not so by chance.

    Twins come in pairs. Of two samples of one distribution either has the next nearest pair with equal chances, so when
    r pairs of the reference are nearer than the limit, those of the other are as many as tails before the r-th head.

    Examples
    --------
    >>> [round(most_twins(m, 0.01, 0.05), 2) for m in (20, 100, 1000)]
    [0.8, 0.16, 0.05]
    """
    from scipy.stats import nbinom

    pairs = max(int(np.ceil(quantile * m / 2)), 1)
    return float(max(least, 2 * nbinom.isf(_RARE, pairs, 0.5) / m))


def _dealt_out(ours: Array, theirs: Array, draws: int, seed: int) -> list[tuple[Array, Array]]:
    """Return means and covariances of all rows, dealt out at random into as many as there are of either set."""
    rows = np.concatenate([ours, theirs])
    rows = rows - rows.mean(axis=0)
    rng = np.random.default_rng(seed)
    is_ours = rng.permuted(np.tile(np.arange(len(rows)) < len(ours), (draws, 1)), axis=1).astype(np.float64)
    return [_moments(rows, weights) for weights in (is_ours, 1 - is_ours)]


def _at_fixed(covariances: Array, p: int) -> Array:
    """Return covariances (draws, p, p) of the first p columns at fixed others, which vary by about one.

    A parameter may be constant in one draw, and one may follow from others, as where each set has but one value of it:
    so only directions that do vary are held fixed.
    """
    features, shared, theta = covariances[:, :p, :p], covariances[:, :p, p:], covariances[:, p:, p:]
    values, vectors = np.linalg.eigh(theta)
    told = shared @ vectors
    inverse = np.where(values > _ROUNDING, 1 / np.maximum(values, _ROUNDING), 0.0)
    return np.asarray(features - (told * inverse[:, None, :]) @ np.swapaxes(told, 1, 2))


def _moments(rows: Array, weights: Array) -> tuple[Array, Array]:
    """Return means (draws, p) and covariances (draws, p, p) of the rows that `weights` (draws, n) choose."""
    draws, p = len(weights), rows.shape[1]
    i, j = np.triu_indices(p)
    products = np.zeros((draws, len(i)))
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        products += weights[:, start : start + _ROWS] @ (some[:, i] * some[:, j])
    n = weights.sum(axis=1)[:, None]
    means = weights @ rows / n
    covariance = np.empty((draws, p, p))
    covariance[:, i, j] = covariance[:, j, i] = (products - n * means[:, i] * means[:, j]) / (n - 1)
    return means, covariance


def _smallest_ratios(one: Array, other: Array) -> Array:
    """Return the smallest eigenvalue of C^-1/2 D C^-1/2 for each pair of covariances."""
    scale = np.sqrt(np.maximum(np.diagonal(one, axis1=1, axis2=2), 1e-300))
    unit = scale[:, :, None] * scale[:, None, :]
    values, vectors = np.linalg.eigh(one / unit)
    turn = vectors / np.sqrt(np.maximum(values, 1e-12))[:, None, :]
    found = np.swapaxes(turn, 1, 2) @ (other / unit) @ turn
    return np.clip(np.linalg.eigvalsh(found)[:, 0], 0.0, None)
