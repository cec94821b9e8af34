"""Conditional style-based GANs of images: trained on an image dataset, and sampled for a table of parameters."""

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import xarray as xr
from pydantic import Field

import hven
from hven.methods import gan
from hven.mocks import Mock
from hven_plugins.generative.sampling import model_of, synthetic_images
from hven_plugins.generative.toy_fields import toy_conditions, toy_fields
from hven_plugins.generative.training import THETA, trained, training_set

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TRAIN, _SAMPLE = "analysis 'image_gan_train'", "analysis 'image_gan_sample'"
_SCALES = dict.fromkeys(("pixel_mean", "pixel_std", "theta_low", "theta_high"), "")

Positive = Annotated[int, Field(ge=1)]


@hven.analysis(
    images=hven.Images(optional=THETA),
    produces={"ema": "", "last": "", "critic": "", **_SCALES, "step": "", "loss": ""},
    references=("2307.09568", "1912.04958", "1801.04406"),
    version="2",
)
def image_gan_train(
    images: xr.Dataset,
    *,
    theta: tuple[str, ...] = (),
    base: Positive = 32,
    most: Positive = 128,
    n_latent: Positive = 64,
    periodic: bool = False,
    r1: Annotated[float, Field(ge=0)] = 1.0,
    steps: Positive = 10_000,
    batch: Annotated[int, Field(ge=2)] = 32,
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3,
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.995,
    n_min: Annotated[int, Field(ge=2)] = 32,
    check_every: Positive = 100,
    checkpoint_every: Positive = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Conditional style-based GAN of images given their parameters.

    A small StyleGAN2: a mapping network makes a style of random numbers and parameters, which modulates the
    convolutions of the generator at each resolution; noise goes in at every pixel. The critic is conditional too, sees
    how varied a batch is, and pays for steep scores (R1). It is what a diffusion model is held against: quicker to draw
    from, and given to losing variety (see ``generative_evaluation``).

    Parameters, left-out images, the model's contents, reproducibility and resuming are as in ``image_diffusion_train``;
    the weights of the ``critic`` are kept beside those of the generator, ``ema`` and ``last``. ``loss`` is the sum of
    what both players make small: it tells of trouble, not of quality.

    Parameters
    ----------
    theta
        Names of the parameters, without ``theta_``; all there are when none is named.
    base, most
        Channels at full resolution, doubled at each halving up to `most`.
    n_latent
        Random numbers behind an image.
    periodic
        Whether images are of a periodic box.
    r1
        Weight of the critic's penalty.
    steps, batch, learning_rate, ema
        Of the training (Adam at a constant rate), and the decay of the averaged weights.
    n_min
        Fewest usable images.
    check_every, checkpoint_every
        Steps between two entries of the loss, and between two checkpoints.
    seed
        Of first weights, batches and noise.

    Raises
    ------
    MissingColumnError
        A named parameter is not there.
    TooFewObjectsError
        Fewer than `n_min` images have all pixels and parameters.
    ParameterError
        The loss stopped being finite.
    DataRefusedError
        A band has one value only.
    """
    from hven.methods import nets

    data = training_set(images, theta, n_min, _TRAIN)
    options: dict[str, Any] = {
        "n_theta": data.theta.shape[1], "base": base, "most": most, "periodic": periodic, "seed": seed,
    }  # fmt: skip
    shape = (data.x.shape[1], data.x.shape[2:])
    players = nets.StyleGenerator(*shape, n_latent=n_latent, **options), nets.ImageCritic(*shape, **options)

    def fit(**going_on: Any) -> gan.Gan:
        return gan.fit(
            *players, data.x, data.theta, steps=steps, batch=min(batch, len(data.x)), learning_rate=learning_rate,
            r1=r1, ema=ema, check_every=check_every, seed=seed, names=data.names, **going_on,
        )  # fmt: skip

    return trained(fit, data, steps=steps, check_every=check_every, checkpoint_every=checkpoint_every)


@hven.analysis(
    conditions=hven.Table(object_id=None, optional=THETA),
    model=hven.Model(),
    produces={"flux": "", "is_extrapolated": ""},
    references=("2307.09568", "1912.04958"),
    version="2",
    per_object=True,
    block_rows=512,
)
def image_gan_sample(
    conditions: xr.Dataset,
    model: xr.Dataset,
    *,
    weights: Literal["ema", "last"] = "ema",
    batch: Positive = 64,
    seed: int = 0,
) -> xr.Dataset:
    """Synthetic images drawn from a GAN at the parameters of each object.

    The model comes from ``image_gan_train``. Conditions, ids, the result and its attributes are as in
    ``image_diffusion_sample``.

    Parameters
    ----------
    weights
        The averaged ones, or those of the last step of training.
    batch
        Images at a time, which bounds the memory.
    seed
        Of the random numbers.

    Raises
    ------
    MissingColumnError
        ``object_id``, or a parameter that the model was trained with, is not there.
    DataRefusedError
        The model is of another kind, or its training diverged.
    """
    trained_model = model_of(model, gan.Gan, _SAMPLE, "image_gan_train")

    def draw(theta: Any, ids: Any) -> Any:
        return trained_model.sample(theta, len(ids), seed=seed, ids=ids, weights=weights, batch=batch)

    return synthetic_images(conditions, trained_model, model, draw, _SAMPLE)


@image_gan_train.figure
def _figure(result: xr.Dataset) -> "Figure":
    from hven_plugins.generative.generator_figures import draw_loss

    return draw_loss(result, "loss of generator and critic together")


@image_gan_sample.figure
def _figure_of_samples(result: xr.Dataset) -> "Figure":
    from hven_plugins.generative.generator_figures import draw_images

    return draw_images(result)


@image_gan_train.mock
def _mock(size: int, seed: int) -> Mock:
    return toy_fields(size, seed)


@image_gan_sample.mock
def _mock_of_conditions(size: int, seed: int) -> Mock:
    return Mock({"conditions": toy_conditions(size, seed), "model": _little_trained().copy(deep=True)})


@lru_cache(maxsize=1)
def _little_trained() -> xr.Dataset:
    """Return a model of the mock's fields that has seen them for a moment."""
    learned: xr.Dataset = image_gan_train(
        toy_fields(128, 0).inputs["images"], base=4, n_latent=4, steps=20, batch=16, periodic=True, check_every=10
    )
    return learned
