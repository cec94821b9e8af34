"""Simulated data with known truth, for acceptance tests, documentation and users' own recovery tests."""

from hven.mocks.mock import Mock

__all__ = ["Mock"]
