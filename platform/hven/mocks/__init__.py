"""Simulated data with known truth, for acceptance tests, documentation and users' own recovery tests."""

from hven.mocks.abundances import abundance_stars
from hven.mocks.alpha import alpha_stars
from hven.mocks.bubble_maps import bubble_maps
from hven.mocks.copulas import conditional_stars, copula_stars, two_sequence_stars
from hven.mocks.diffusion_field import diffusion_field
from hven.mocks.disc import gradient_stars, red_clump_stars
from hven.mocks.disc_residuals import residual_stars
from hven.mocks.fields import gaussian_fields
from hven.mocks.mock import Mock
from hven.mocks.reionisation import reionisation_maps

__all__ = [
    "Mock",
    "abundance_stars",
    "alpha_stars",
    "bubble_maps",
    "conditional_stars",
    "copula_stars",
    "diffusion_field",
    "gaussian_fields",
    "gradient_stars",
    "red_clump_stars",
    "reionisation_maps",
    "residual_stars",
    "two_sequence_stars",
]
