"""How metallicity falls with radius, population by population, and what is left over."""

from typing import TYPE_CHECKING

import hven
from hven_plugins.gradients.gradients import metallicity_gradients
from hven_plugins.gradients.maps import metallicity_maps, residual_images
from hven_plugins.gradients.residuals import metallicity_residuals
from hven_plugins.gradients.sections import gradient_sections
from hven_plugins.gradients.substructures import metallicity_substructures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hven import ReportSection, Run

__all__ = [
    "hven_analyses",
    "metallicity_gradients",
    "metallicity_maps",
    "metallicity_residuals",
    "metallicity_substructures",
    "residual_images",
]


@hven.hookimpl
def hven_analyses() -> list[hven.Analysis]:
    """Return the analyses of this family."""
    return [metallicity_gradients, metallicity_residuals, metallicity_maps, metallicity_substructures]


@hven.hookimpl
def hven_report_sections(run: "Run") -> "Sequence[ReportSection]":
    """Return what this family adds to a report."""
    return gradient_sections(run)
