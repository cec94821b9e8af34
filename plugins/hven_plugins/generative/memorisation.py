"""Whether a generator makes images, or gives back those that it was trained with."""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import fidelity, scattering
from hven.mocks import Mock, bubble_maps
from hven_plugins.generative.images import one_band
from hven_plugins.generative.summary import Settings, Summary, check_shapes, pixel_scale, summarised

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_WHERE = "analysis 'generative_memorisation'"
_PAIRS = 8


@hven.analysis(
    generated=hven.Images(optional={"object_id": None}),
    training=hven.Whole(hven.Images(optional={"object_id": None})),
    held_out=hven.Whole(hven.Images(optional={"object_id": None})),
    produces={
        "copies": "",
        "copies_err": "",
        "copies_expected": "",
        "relative_distance": "",
        "generated_id": "",
        "training_id": "",
        "pair_image": "",
        "n": "",
        "verdict": "",
    },
    references=("2307.09568",),
    version="3",
)
def generative_memorisation(
    generated: xr.Dataset,
    training: xr.Dataset,
    held_out: xr.Dataset,
    *,
    band: str = "",
    scales: Annotated[int | None, Field(ge=1)] = None,
    angles: Annotated[int, Field(ge=2, multiple_of=2)] = 4,
    quantile: Annotated[float, Field(gt=0, lt=0.5)] = 0.01,
    rows: Annotated[int, Field(ge=20)] = 4000,
    training_rows: Annotated[int, Field(ge=20)] = 50_000,
) -> xr.Dataset:
    """Share of generated images that are copies of training images, and which ones.

    An image is called a copy when its scattering features are nearer to those of a training image than all but a
    fraction `quantile` of real images that were held out of the training are: of images that were not memorised that
    share is ``copies_expected``, the `quantile`, or 1/(n + 1) where there are fewer than 1/`quantile` held-out images.
    Distances are taken between features, the mean of the image among them, whitened by those of the training set, and
    relative to the distances of that training image to its own three nearest neighbours; images that are moved around,
    turned by a quarter or mirrored keep their features, and are found, too. ``relative_distance`` is in units of that
    limit, the nearest first; ``generated_id`` and ``training_id`` are the object ids of the pair, or rows where images
    have none.

    A share above the expected one means copies only where the generator has kept its variety (``generative_evaluation``
    tells): images that all lie amid the training images are nearer to them than real ones, without being any of them.
    Look at the pairs.

    ``pair_image`` shows the eight generated images that are nearest to a training image, beside that image.

    Parameters
    ----------
    band
        Which band; may be left out where there is only one.
    scales
        J of the scattering transform; as many as the images have room for when None.
    angles
        L, an even number.
    quantile
        Fraction of held-out images that would be called copies.
    rows
        Most generated and held-out images that are looked at, chosen at random.
    training_rows
        Most training images.

    Raises
    ------
    DataRefusedError
        Images differ in shape, or all pixels of the training set are equal.
    TooFewObjectsError
        Fewer than 20 usable images in a set.
    """
    check_shapes(training, {"generated": generated, "held_out": held_out}, _WHERE)
    pixels = one_band(training, band, "input 'training'")
    mean, spread = pixel_scale(pixels)
    shape = (pixels.sizes["y"], pixels.sizes["x"])

    def summary(name: str, images: xr.Dataset, most: int) -> Summary:
        settings = Settings(scales or scattering.largest(shape), angles, False, mean, spread, True, 0, 0, most)
        told = summarised(images, settings, band, name)
        if len(told.rows) < 20:
            raise hven.errors.TooFewObjectsError(
                f"{len(told.rows)} images have features", where=f"input {name!r}", expected="at least 20",
                hint="Add images.",
            )  # fmt: skip
        return told

    made, trained = summary("generated", generated, rows), summary("training", training, training_rows)
    real = summary("held_out", held_out, rows)
    known, new, held = fidelity.whitened(trained.rows, made.rows, real.rows)
    told = fidelity.copies(known, new, held, quantile=quantile)
    share, expected = told.share, told.expected
    order = np.argsort(told.relative_distance, kind="stable")
    found = {"generated_id": made.at[order], "training_id": trained.at[told.which][order]}
    named = {"generated_id": generated, "training_id": training}
    pairs = [
        one_band(named[name], band, "").isel(object=at[:_PAIRS]).values.astype(np.float64) for name, at in found.items()
    ]
    error = float(np.sqrt(expected * (1 - expected) / len(held) + share * (1 - share) / len(new)))
    return xr.Dataset(
        {
            "copies": ((), share),
            "copies_err": ((), error),
            "copies_expected": ((), expected),
            "relative_distance": ("image", told.relative_distance[order]),
            **{name: ("image", _ids(named[name], at)) for name, at in found.items()},
            "pair_image": (("side", "pair", "y", "x"), np.array(pairs)),
            "n": ("set", [made.n, trained.n, real.n]),
            "verdict": ((), _told(share, expected, error)),
        },
        coords={"side": ["generated", "training"], "set": ["generated", "training", "held_out"]},
    )


def _ids(images: xr.Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the object ids of some rows, or the rows themselves where the images have none."""
    return np.asarray(images["object_id"].values)[rows] if "object_id" in images else rows


def _told(share: float, expected: float, error: float) -> str:
    if share > expected + 4 * error:
        return (
            f"{share:.1%} of the generated images are copies of training images, {expected:.1%} are expected. If their "
            "variety is lost, they may only be too near to training images: look at the pairs."
        )
    return "The generated images are no nearer to training images than real ones are."


@generative_memorisation.figure
def _figure(result: xr.Dataset) -> "Figure":
    from hven_plugins.generative.figures import draw_pairs

    return draw_pairs(result)


@generative_memorisation.mock
def _mock(size: int, seed: int) -> Mock:
    names = ("generated", "training", "held_out")
    sets: dict[str, Any] = {
        name: bubble_maps(size, seed + 1000 * i, pixels=32).inputs["images"] for i, name in enumerate(names)
    }
    return Mock(sets, {})
