"""The empirical copula density against the loop over stars that it replaces."""

from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.harness import benchmark, best_of_each
from hven.methods import ranks


def stars(n: int) -> np.ndarray:
    """Return two correlated columns, shape (2, n)."""
    return np.linalg.cholesky([[1.0, -0.5], [-0.5, 1.0]]) @ np.random.default_rng(0).normal(size=(2, n))


@benchmark(target=100, against="a kernel sum at every star over all stars, one star at a time in NumPy")
def copula_density_of_1e5_stars(folder: Path) -> float:
    """How many times faster the density on the grid is than the double loop over stars, timed on one star in 500."""
    x, y = stars(100_000)
    scores = ranks.normal_scores(np.column_stack([x, y]))
    h = 1.069 * len(x) ** -0.2
    some = scores[::500]

    def loop() -> list[float]:
        return [float(np.exp(-0.5 * (((scores - star) / h) ** 2).sum(axis=1)).sum()) for star in some]

    ours, peer = best_of_each(lambda: ranks.copula_density(x, y), loop, rounds=3)
    return peer * len(scores) / len(some) / ours


@benchmark(target=2, unit="s", better="lower", against="the clock: ranks, scores, histogram and kernel")
def copula_density_of_1e6_stars(folder: Path) -> float:
    """Seconds for the copula density of a million stars from the raw columns."""
    x, y = stars(1_000_000)
    began = perf_counter()
    ranks.copula_density(x, y)
    return perf_counter() - began
