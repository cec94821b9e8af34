"""How metallicity falls with radius, population by population, and what is left over."""

import hven
from hven_plugins.gradients.gradients import metallicity_gradients

__all__ = ["hven_analyses", "metallicity_gradients"]


@hven.hookimpl
def hven_analyses() -> list[hven.Analysis]:
    """Return the analyses of this family."""
    return [metallicity_gradients]
