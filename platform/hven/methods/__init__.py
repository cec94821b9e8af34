"""Numerical methods for authors of analyses: arrays in, arrays out; nothing here knows of lakes or clusters."""

from importlib import import_module
from typing import Any

from hven.methods import (
    calibration,
    caveats,
    copulas,
    diffusion,
    dynamics,
    eiv,
    fidelity,
    fisher,
    flows,
    frames,
    frechet,
    gan,
    hmc,
    image_statistics,
    interp,
    least_squares,
    likelihoods,
    mixtures,
    models,
    moments,
    point_process,
    progress,
    ranks,
    regression,
    scaling,
    scattering,
    stats,
    train,
    twopoint,
    weights,
)
from hven.methods.gather import gather
from hven.methods.padding import pad, padded_length
from hven.methods.precision import in_float64

__all__ = [
    "calibration",
    "caveats",
    "copulas",
    "diffusion",
    "dynamics",
    "eiv",
    "fidelity",
    "fisher",
    "flows",
    "frames",
    "frechet",
    "gan",
    "gather",
    "gp",
    "hmc",
    "image_statistics",
    "in_float64",
    "interp",
    "least_squares",
    "likelihoods",
    "mixtures",
    "models",
    "moments",
    "nets",
    "pad",
    "padded_length",
    "point_process",
    "progress",
    "ranks",
    "regression",
    "scaling",
    "scattering",
    "stats",
    "train",
    "twopoint",
    "weights",
]


def __getattr__(name: str) -> Any:
    """Import `nets` when it is first asked for: its classes are equinox modules, and equinox is heavy and optional."""
    if name == "nets":
        return import_module("hven.methods.nets")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
