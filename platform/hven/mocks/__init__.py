"""Simulated data with known truth, for acceptance tests, documentation and users' own recovery tests."""

from hven.mocks.disc import gradient_stars, red_clump_stars
from hven.mocks.mock import Mock

__all__ = ["Mock", "gradient_stars", "red_clump_stars"]
