"""Numerical methods for authors of analyses: arrays in, arrays out; nothing here knows of lakes or clusters."""

from hven.methods import calibration, eiv, fisher, frames, least_squares, likelihoods
from hven.methods.gather import gather
from hven.methods.padding import pad, padded_length
from hven.methods.precision import in_float64

__all__ = [
    "calibration",
    "eiv",
    "fisher",
    "frames",
    "gather",
    "in_float64",
    "least_squares",
    "likelihoods",
    "pad",
    "padded_length",
]
