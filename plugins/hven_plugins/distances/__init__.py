"""Distances of stars, and with them their places in the Galaxy."""

import hven
from hven_plugins.distances.red_clump import red_clump_distances

__all__ = ["hven_analyses", "red_clump_distances"]


@hven.hookimpl
def hven_analyses() -> list[hven.Analysis]:
    """Return the analyses of this family."""
    return [red_clump_distances]
