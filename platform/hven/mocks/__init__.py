"""Simulated data with known truth, for acceptance tests, documentation and users' own recovery tests."""

from hven.mocks.abundances import abundance_stars
from hven.mocks.alpha import alpha_stars
from hven.mocks.copulas import conditional_stars, copula_stars, two_sequence_stars
from hven.mocks.diffusion_field import diffusion_field
from hven.mocks.disc import gradient_stars, red_clump_stars
from hven.mocks.mock import Mock

__all__ = [
    "Mock",
    "abundance_stars",
    "alpha_stars",
    "conditional_stars",
    "copula_stars",
    "diffusion_field",
    "gradient_stars",
    "red_clump_stars",
    "two_sequence_stars",
]
