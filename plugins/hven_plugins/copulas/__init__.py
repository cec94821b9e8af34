"""Dependence freed from the margins: copula densities, families, tails, conditional correlations, alpha sequences."""

import hven
from hven_plugins.copulas.conditional import conditional_correlation, conditional_correlation_train
from hven_plugins.copulas.density import copula_density
from hven_plugins.copulas.families import copula_fit
from hven_plugins.copulas.presets import preset
from hven_plugins.copulas.sequences import alpha_sequence
from hven_plugins.copulas.tails import tail_dependence

__all__ = [
    "alpha_sequence",
    "conditional_correlation",
    "conditional_correlation_train",
    "copula_density",
    "copula_fit",
    "hven_analyses",
    "preset",
    "tail_dependence",
]


@hven.hookimpl
def hven_analyses() -> list[hven.Analysis]:
    """Return the analyses of this family."""
    return [
        copula_density,
        copula_fit,
        tail_dependence,
        conditional_correlation_train,
        conditional_correlation,
        alpha_sequence,
    ]
