"""A scattering transform of others, run by a Python of its own: ``python scattering_peers.py PEER IMAGES J L OUT``.

Told ``go`` on its standard input it transforms the images of IMAGES (a ``.npy``) and says ``done``; at the end of the
input it writes to OUT what its first-order coefficients were. `benchmarks.peers` is at the other end.
"""

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

Transform = Callable[[np.ndarray], np.ndarray]


def kymatio(pixels: int, scales: int, angles: int) -> Transform:
    """Return kymatio's transform with its torch backend; it averages locally, on a grid of 2^J pixels."""
    from kymatio.torch import Scattering2D

    transform = Scattering2D(scales, (pixels, pixels), L=angles)
    first = 1 + scales * angles

    def apply(images: np.ndarray) -> np.ndarray:
        told = transform(torch.from_numpy(images)).mean(dim=(-2, -1))
        return np.asarray(told[:, 1:first]).reshape(len(images), scales, angles)

    return apply


def cheng(pixels: int, scales: int, angles: int) -> Transform:
    """Return the transform of SihaoCheng/scattering_transform, of whose checkout HVEN_SCATTERING_PEER tells."""
    package: Any = types.ModuleType("scattering")  # its __init__ imports what the transform does not need
    package.__path__ = [str(Path(os.environ["HVEN_SCATTERING_PEER"]) / "scattering")]
    sys.modules["scattering"] = package
    from scattering.Scattering2d import Scattering2d

    transform = Scattering2d(pixels, pixels, scales, angles, device="cpu")

    def apply(images: np.ndarray) -> np.ndarray:
        return np.asarray(transform.scattering_coef(images, j1j2_criteria="j2>j1")["S1"])

    return apply


if __name__ == "__main__":
    name, path, scales, angles, out = sys.argv[1:]
    torch.set_num_threads(os.cpu_count() or 1)
    images = np.load(path)
    make = {"kymatio": kymatio, "cheng": cheng}[name]
    answer, sys.stdout = sys.stdout, sys.stderr  # what a peer prints is no answer
    transform = make(images.shape[-1], int(scales), int(angles))
    coefficients = np.empty(0)
    print("ready", file=answer, flush=True)
    for _ in sys.stdin:
        coefficients = transform(images)
        print("done", file=answer, flush=True)
    np.save(out, coefficients)
