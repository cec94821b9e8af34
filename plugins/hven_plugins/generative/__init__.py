"""Generative models of images: what statistics tell of real and made-up images, and which to trust."""

from typing import TYPE_CHECKING

import hven
from hven_plugins.generative.comparison import generative_comparison
from hven_plugins.generative.diffusion import image_diffusion_sample, image_diffusion_train
from hven_plugins.generative.evaluation import generative_evaluation
from hven_plugins.generative.features import scattering_features
from hven_plugins.generative.forecast import generative_forecast
from hven_plugins.generative.gan import image_gan_sample, image_gan_train
from hven_plugins.generative.memorisation import generative_memorisation
from hven_plugins.generative.sections import sections_of
from hven_plugins.generative.simulated import simulated_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hven import Reader, ReportSection, Run

__all__ = [
    "generative_comparison",
    "generative_evaluation",
    "generative_forecast",
    "generative_memorisation",
    "hven_analyses",
    "image_diffusion_sample",
    "image_diffusion_train",
    "image_gan_sample",
    "image_gan_train",
    "scattering_features",
    "simulated_images",
]


@hven.hookimpl
def hven_analyses() -> list[hven.Analysis]:
    """Return the analyses of this family."""
    return [
        scattering_features,
        generative_evaluation,
        generative_comparison,
        generative_forecast,
        generative_memorisation,
        image_diffusion_train,
        image_diffusion_sample,
        image_gan_train,
        image_gan_sample,
    ]


@hven.hookimpl
def hven_report_sections(run: "Run") -> "Sequence[ReportSection]":
    """Return what this family adds to a report."""
    return sections_of(run)


@hven.hookimpl
def hven_readers() -> "list[Reader]":
    """Return the reader of simulated maps."""
    return [simulated_images]
