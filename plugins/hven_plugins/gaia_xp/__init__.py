"""Gaia XP spectra: the library of APOGEE stars, as a reader."""

from typing import TYPE_CHECKING

import hven
from hven_plugins.gaia_xp.library import apogee_xp_library

if TYPE_CHECKING:
    from hven import Reader

__all__ = ["apogee_xp_library"]


@hven.hookimpl
def hven_readers() -> "list[Reader]":
    """Return the readers of XP spectra."""
    return [apogee_xp_library]
