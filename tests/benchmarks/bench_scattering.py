"""Scattering features against the public implementations in torch, and a streaming distance against the features alone.

The peers are not on the package index as this Python needs them: `HVEN_SCATTERING_PEER` names a folder with a checkout
of SihaoCheng/scattering_transform, torch being installed; kymatio needs SciPy < 1.17. Where they are missing, the row
says so. docs/measurements tells of a measurement by hand.
"""

import os
import sys
import tracemalloc
import types
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.harness import PeerNotAtHandError, benchmark, best_of_each
from hven.methods import frechet, scattering
from hven.methods.frechet import Sample
from hven.mocks import bubble_maps

if TYPE_CHECKING:
    from collections.abc import Callable

ANGLES = 4


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


def torch_peer(pixels: int, scales: int) -> "Callable[[np.ndarray], np.ndarray]":
    """Return the first-order coefficients as SihaoCheng/scattering_transform computes them with all second ones."""
    folder = os.environ.get("HVEN_SCATTERING_PEER", "")
    if not folder or not (Path(folder) / "scattering").is_dir():
        raise RuntimeError(
            "peer not at hand: HVEN_SCATTERING_PEER names no checkout of SihaoCheng/scattering_transform"
        )
    try:
        import torch
    except ImportError as error:
        raise PeerNotAtHandError("torch is not installed") from error
    package: Any = types.ModuleType("scattering")  # its __init__ imports what the transform does not need
    package.__path__ = [str(Path(folder) / "scattering")]
    sys.modules.setdefault("scattering", package)
    from scattering.Scattering2d import Scattering2d

    torch.set_num_threads(os.cpu_count() or 1)
    transform = Scattering2d(pixels, pixels, scales, ANGLES, device="cpu")

    def apply(images: np.ndarray) -> np.ndarray:
        told = transform.scattering_coef(images, j1j2_criteria="j2>j1")
        return np.asarray(told["S1"])

    return apply


def kymatio_peer(pixels: int, scales: int) -> "Callable[[np.ndarray], np.ndarray]":
    """Return the transform of kymatio with its torch backend; it also averages locally, on a grid of 2^J pixels."""
    try:
        import torch
        from kymatio.torch import Scattering2D
    except ImportError as error:
        raise PeerNotAtHandError(str(error)) from error
    transform = Scattering2D(scales, (pixels, pixels), L=ANGLES)
    return lambda images: np.asarray(transform(torch.from_numpy(images)))


def against(peer: "Callable[[np.ndarray], np.ndarray]", n: int, pixels: int, scales: int, *, same: bool) -> float:
    images = maps(n, pixels)
    told = scattering.coefficients(images, scales, ANGLES)
    if same:
        np.testing.assert_allclose(told.s1, peer(images), rtol=0.02)
    ours, theirs = best_of_each(lambda: scattering.coefficients(images, scales, ANGLES), lambda: peer(images), rounds=3)
    return theirs / ours


@benchmark(target=3, against="SihaoCheng/scattering_transform, torch on the same cores, 64 x 64, J = 5, equal values")
def scattering_64_torch(folder: Path) -> float:
    """Speed relative to the fastest public torch implementation."""
    return against(torch_peer(64, 5), 256, 64, 5, same=True)


@benchmark(target=3, against="SihaoCheng/scattering_transform, torch on the same cores, 256 x 256, J = 7, equal values")
def scattering_256_torch(folder: Path) -> float:
    """Speed relative to the fastest public torch implementation."""
    return against(torch_peer(256, 7), 16, 256, 7, same=True)


@benchmark(target=3, against="kymatio (torch), 64 x 64, J = 5, L = 4")
def scattering_64_kymatio(folder: Path) -> float:
    """Speed relative to kymatio."""
    return against(kymatio_peer(64, 5), 128, 64, 5, same=False)


@benchmark(target=3, against="kymatio (torch), 256 x 256, J = 7, L = 4")
def scattering_256_kymatio(folder: Path) -> float:
    """Speed relative to kymatio."""
    return against(kymatio_peer(256, 7), 8, 256, 7, same=False)


def features_of(block: np.ndarray) -> np.ndarray:
    """Return the features of a block without the mean."""
    return np.asarray(scattering.features(scattering.coefficients(block, 5, ANGLES)), dtype=np.float64)[:, 1:]


@benchmark(target=0.8, against="the features alone; 16,384 of the 1e5 images, the rate being constant")
def streaming_distance(folder: Path) -> float:
    """Rate of a streaming distance with its bootstrap, relative to that of the features of the same images."""
    blocks = [maps(1024, 64) for _ in range(16)]

    def alone() -> None:
        for block in blocks:
            features_of(block)

    def streaming() -> frechet.Extrapolated:
        sets: list[Sample] = []
        for first in (0, 8):
            kept = None
            for i, block in enumerate(blocks[first : first + 8]):
                ids = np.arange(len(block)) + len(block) * (first + i)
                one = Sample.of(features_of(block), ids, n_boot=100)
                kept = one if kept is None else kept.merge(one)
            assert kept is not None
            sets.append(kept)
        return frechet.extrapolated(*sets)

    features_of(blocks[0])
    tracemalloc.start()
    streaming()
    kept = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert kept < 120, f"{kept:.0f} MB for a stream of {sum(b.nbytes for b in blocks) / 2**20:.0f} MB"
    features, distance = best_of_each(alone, streaming, rounds=2)
    return features / distance
