"""Moments in one pass against NumPy: in memory, and streaming from a file that is larger than what is kept."""

import tracemalloc
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import numpy as np

from benchmarks.harness import benchmark, best_of_each
from hven.methods.moments import Moments

COLUMNS, CHUNK = 20, 100_000


def chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows in chunks, as they come from a lake."""
    return (x[start : start + CHUNK] for start in range(0, len(x), CHUNK))


def from_chunks(x: np.ndarray) -> np.ndarray:
    """Return the covariance (and make the correlation) from chunks of rows."""
    moments = reduce(Moments.merge, map(Moments.from_array, chunks(x)))
    moments.correlation()
    return moments.covariance()


@benchmark(target=1.3, better="lower", against="numpy.cov of the whole array in memory")
def moments_over_chunks(folder: Path) -> float:
    """Time for the covariance of a million rows of 20 columns in chunks, relative to that for all at once."""
    x = np.random.default_rng(0).normal(size=(1_000_000, COLUMNS)) + 5.0
    np.testing.assert_allclose(from_chunks(x), np.cov(x, rowvar=False), atol=1e-12)
    ours, peer = best_of_each(lambda: from_chunks(x), lambda: np.cov(x, rowvar=False))
    return ours / peer


def memory_mapped(folder: Path, rows: int = 10_000_000) -> np.ndarray:
    """Return a file of `rows` rows, memory-mapped."""
    path = folder / "elements.npy"
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(rows, COLUMNS))
    block = np.random.default_rng(0).normal(size=(CHUNK, COLUMNS))
    for start in range(0, rows, CHUNK):
        out[start : start + CHUNK] = block + 1e-6 * start
    out.flush()
    del out
    return np.load(path, mmap_mode="r")


@benchmark(target=0.7, against="the covariance by NumPy from the same memory-mapped chunks, bytes per second")
def moments_streaming(folder: Path) -> float:
    """Speed of covariance and correlation of 1e7 stars x 20 elements, relative to plain NumPy sums of products."""
    x = memory_mapped(folder)

    def plain() -> np.ndarray:
        first, second = np.zeros(COLUMNS), np.zeros((COLUMNS, COLUMNS))
        for chunk in chunks(x):
            first += chunk.sum(axis=0)
            second += chunk.T @ chunk
        return (second - np.outer(first, first) / len(x)) / (len(x) - 1)

    np.testing.assert_allclose(from_chunks(x), plain(), rtol=1e-6, atol=1e-6)
    tracemalloc.start()
    from_chunks(x)
    kept = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert kept < 32, f"{kept:.0f} MB in memory for a file of {x.nbytes / 2**20:.0f} MB"
    ours, peer = best_of_each(lambda: from_chunks(x), plain, rounds=3)
    return peer / ours
