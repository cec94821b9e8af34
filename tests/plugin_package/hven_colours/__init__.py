"""A plugin of hven: colours of Gaia stars."""

import hven
from hven_colours.colours import gaia_colours

HVEN_API = 1

__all__ = ["gaia_colours"]


@hven.hookimpl
def hven_analyses() -> list[hven.Analysis]:
    """Return what this plugin brings."""
    return [gaia_colours]
