"""Generative models of images: what statistics tell of real and made-up images, and which to trust."""

import hven
from hven_plugins.generative.evaluation import generative_evaluation
from hven_plugins.generative.features import scattering_features

__all__ = ["generative_evaluation", "hven_analyses", "scattering_features"]


@hven.hookimpl
def hven_analyses() -> list[hven.Analysis]:
    """Return the analyses of this family."""
    return [scattering_features, generative_evaluation]
