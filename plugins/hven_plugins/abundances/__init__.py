"""How elements correlate from star to star and from place to place, and what physics that tells."""

import hven
from hven_plugins.abundances.bimodality import alpha_bimodality, alpha_bimodality_with_templates
from hven_plugins.abundances.channels import Channels, default_channels
from hven_plugins.abundances.correlations import abundance_correlations
from hven_plugins.abundances.diffusion import Field, Physics, field
from hven_plugins.abundances.fit import abundance_correlation_fit
from hven_plugins.abundances.maps import abundance_map_correlations
from hven_plugins.abundances.prediction import abundance_correlation_prediction
from hven_plugins.abundances.templates import alpha_templates_train

__all__ = [
    "Channels",
    "Field",
    "Physics",
    "abundance_correlation_fit",
    "abundance_correlation_prediction",
    "abundance_correlations",
    "abundance_map_correlations",
    "alpha_bimodality",
    "alpha_bimodality_with_templates",
    "alpha_templates_train",
    "default_channels",
    "field",
    "hven_analyses",
]


@hven.hookimpl
def hven_analyses() -> list[hven.Analysis]:
    """Return the analyses of this family."""
    return [
        abundance_correlations,
        abundance_correlation_prediction,
        abundance_correlation_fit,
        abundance_map_correlations,
        alpha_bimodality,
        alpha_bimodality_with_templates,
        alpha_templates_train,
    ]
