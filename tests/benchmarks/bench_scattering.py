"""Scattering features against the public implementations in torch, and a streaming distance against the features alone.

The peers run in an environment of their own (`benchmarks.peers`); where it is missing, the rows say so.
"""

import resource
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.harness import benchmark, best_of_each
from benchmarks.peers import scattering_peer
from hven.methods import frechet, scattering
from hven.methods.frechet import Sample
from hven.mocks import bubble_maps

ANGLES = 4
BLOCK = 1024


@cache
def maps(n: int, pixels: int) -> np.ndarray:
    """Return toy maps in single precision; of a few, moved around, where many are asked for."""
    few = bubble_maps(min(n, 64), 1, pixels=pixels, bubbles=12 * (pixels / 64) ** 2).inputs["images"].flux.values[:, 0]
    return np.concatenate([np.roll(few, 5 * i, axis=2) for i in range(-(-n // len(few)))])[:n]


def rate(n: int, seconds: float) -> float:
    """Return images per second."""
    return n / seconds


@benchmark(target=300, unit="img/s", against="64 x 64, J = 5, L = 4, single precision")
def scattering_64(folder: Path) -> float:
    """Images per second of the transform."""
    images = maps(512, 64)
    (ours,) = best_of_each(lambda: scattering.coefficients(images, 5, ANGLES))
    return rate(len(images), ours)


@benchmark(target=30, unit="img/s", against="256 x 256, J = 7, L = 4, single precision")
def scattering_256(folder: Path) -> float:
    """Images per second of the transform."""
    images = maps(32, 256)
    (ours,) = best_of_each(lambda: scattering.coefficients(images, 7, ANGLES))
    return rate(len(images), ours)


def against(name: str, n: int, pixels: int, scales: int, folder: Path, *, same: bool) -> float:
    """Return the speed relative to a peer; where it computes the same, its values are compared, too."""
    images = maps(n, pixels)
    told = scattering.coefficients(images, scales, ANGLES)
    peer, out = scattering_peer(name, images, scales, ANGLES, folder)
    with peer:
        ours, theirs = best_of_each(lambda: scattering.coefficients(images, scales, ANGLES), peer, rounds=3)
    if same:
        np.testing.assert_allclose(told.s1, np.load(out), rtol=0.02)
    return theirs / ours


@benchmark(target=3, against="SihaoCheng/scattering_transform, torch on the same cores, 64 x 64, J = 5, equal values")
def scattering_64_torch(folder: Path) -> float:
    """Speed relative to the fastest public torch implementation."""
    return against("cheng", 256, 64, 5, folder, same=True)


@benchmark(target=3, against="SihaoCheng/scattering_transform, torch on the same cores, 256 x 256, J = 7, equal values")
def scattering_256_torch(folder: Path) -> float:
    """Speed relative to the fastest public torch implementation."""
    return against("cheng", 16, 256, 7, folder, same=True)


@benchmark(target=3, against="kymatio (torch), 64 x 64, J = 5, L = 4")
def scattering_64_kymatio(folder: Path) -> float:
    """Speed relative to kymatio."""
    return against("kymatio", 128, 64, 5, folder, same=False)


@benchmark(target=3, against="kymatio (torch), 256 x 256, J = 7, L = 4")
def scattering_256_kymatio(folder: Path) -> float:
    """Speed relative to kymatio."""
    return against("kymatio", 8, 256, 7, folder, same=False)


def features_of(block: np.ndarray) -> np.ndarray:
    """Return the features of a block without the mean."""
    return np.asarray(scattering.features(scattering.coefficients(block, 5, ANGLES)), dtype=np.float64)[:, 1:]


@benchmark(target=0.8, against="the features alone, 1e5 images of 64 x 64, J = 5, L = 4")
def streaming_distance(folder: Path) -> float:
    """Rate of a streaming distance with its bootstrap, relative to that of the features of the same images."""
    few, n_blocks = maps(BLOCK, 64), -(-100_000 // BLOCK)
    memory: list[int] = []

    def block(i: int) -> np.ndarray:
        return np.roll(few, i, axis=1)

    def alone() -> None:
        for i in range(n_blocks):
            features_of(block(i))

    def kept_of(first: int, last: int) -> Sample:
        kept = None
        for i in range(first, last):
            one = Sample.of(features_of(block(i)), np.arange(BLOCK) + BLOCK * i, n_boot=100)
            kept = one if kept is None else kept.merge(one)
            memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        assert kept is not None
        return kept

    def streaming() -> frechet.Extrapolated:
        return frechet.extrapolated(kept_of(0, n_blocks // 2), kept_of(n_blocks // 2, n_blocks))

    features_of(few)
    features, distance = best_of_each(alone, streaming, rounds=1)
    grown = (memory[-1] - memory[n_blocks // 10]) / 1024
    assert grown < 20, f"the process grew by {grown:.0f} MB over the last nine tenths of the stream"
    return features / distance
