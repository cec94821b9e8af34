"""Samples of a copula that were observed as the data were: with their ties and with their weights."""

import numpy as np
from numpy.typing import NDArray

from hven.methods._copula import Copula
from hven.methods.ranks import pseudo_observations

Array = NDArray[np.float64]
_NEAR = 10
_ROUNDS = 200


def sample_as_observed(copula: Copula, u: Array, v: Array, w: Array, rng: np.random.Generator) -> tuple[Array, ...]:
    """Return pseudo-observations and weights of as many stars drawn from `copula`, each (n,).

    Weights are one over the chance of being selected, and may go with u and v: the chance that a drawn star is kept is
    one over the mean weight of the ten nearest stars of the data, and its weight is that of one of them. Ties: the k-th
    smallest value of a column is tied with those with which it is tied in the data.
    """
    n = len(u)
    x, y, weights = _selected(copula, u, v, w, rng) if np.ptp(w) > 0 else (*copula.sample(n, rng), np.ones(n))
    tied = (_tied(x, u), _tied(y, v))
    given = None if np.ptp(w) == 0 else weights
    return pseudo_observations(tied[0], given), pseudo_observations(tied[1], given), weights


def _tied(x: Array, like: Array) -> Array:
    """Return x with the ties of `like`: each value becomes the one of `like` with the same place in the order."""
    out = np.empty(len(x))
    out[np.argsort(x, kind="stable")] = np.sort(like)
    return out


def _selected(copula: Copula, u: Array, v: Array, w: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    from scipy.spatial import cKDTree

    n, near = len(u), min(_NEAR, len(u))
    tree = cKDTree(np.stack([u, v], axis=1))
    least, parts, count = None, [], 0
    for _ in range(_ROUNDS):
        x, y = copula.sample(2 * n, rng)
        neighbours = tree.query(np.stack([x, y], axis=1), k=near)[1].reshape(len(x), -1)
        mean = w[neighbours].mean(axis=1)
        least = np.quantile(mean, 0.02) if least is None else least
        kept = rng.random(len(x)) * mean < least
        own = neighbours[np.arange(len(x)), rng.integers(0, neighbours.shape[1], len(x))]
        parts.append((x[kept], y[kept], w[own][kept]))
        count += int(kept.sum())
        if count >= n:
            break
    columns = [np.concatenate(part) for part in zip(*parts, strict=True)]
    short = np.arange(n) % len(columns[0])  # weights so uneven that too few were kept: some count twice
    return columns[0][short], columns[1][short], columns[2][short]
