"""Conditional diffusion models of images: trained on an image dataset, and sampled for a table of parameters."""

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import xarray as xr
from pydantic import Field

import hven
from hven.methods import diffusion
from hven.mocks import Mock
from hven_plugins.generative.sampling import model_of, synthetic_images
from hven_plugins.generative.toy_fields import toy_conditions, toy_fields
from hven_plugins.generative.training import THETA, trained, training_set

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TRAIN, _SAMPLE = "analysis 'image_diffusion_train'", "analysis 'image_diffusion_sample'"
_SCALES = dict.fromkeys(("pixel_mean", "pixel_std", "pixel_low", "pixel_high", "theta_low", "theta_high"), "")

Positive = Annotated[int, Field(ge=1)]


@hven.analysis(
    images=hven.Images(optional=THETA),
    produces={"ema": "", "last": "", **_SCALES, "step": "", "loss": "", "val_loss": ""},
    references=("2307.09568", "2006.11239", "2207.12598"),
    version="2",
)
def image_diffusion_train(
    images: xr.Dataset,
    *,
    theta: tuple[str, ...] = (),
    base: Annotated[int, Field(ge=2)] = 32,
    multipliers: tuple[Positive, ...] = (1, 2),
    blocks: Positive = 1,
    attention: tuple[Positive, ...] = (),
    heads: Positive = 4,
    periodic: bool = False,
    levels: Annotated[int, Field(ge=2)] = 1000,
    noise: Literal["linear", "cosine"] = "linear",
    target: Literal["noise", "velocity"] = "noise",
    drop: Annotated[float, Field(ge=0, lt=1)] = 0.28,
    steps: Positive = 10_000,
    batch: Positive = 16,
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4,
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.995,
    n_min: Annotated[int, Field(ge=2)] = 32,
    check_every: Positive = 100,
    checkpoint_every: Positive = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Conditional denoising diffusion model of images given their parameters.

    A U-Net learns to tell the noise in an image x_t = sqrt(a_t) x + sqrt(1 - a_t) noise, at any level t and for any
    parameters theta. Images are standardised by band; theta are scaled to [0, 1] and added, through a small network, to
    the embedding of t. In a fraction `drop` of the steps theta is hidden, and a learned vector stands in its place:
    guidance needs that when images are drawn with ``image_diffusion_sample``.

    The columns ``theta_...`` of the images are their parameters; with none the model is unconditional. Images that lack
    a pixel or parameter are left out, and how many is in the model's spec (``n_left_out``).

    The result is a model: averaged weights (``ema``) and those of the last step (``last``) apart, scales of pixels and
    parameters, the course of the loss, and in its spec the network, the settings and the SHA-256 of the data. The same
    images in whatever order and chunks give the same model, bit for bit; a run that was killed goes on from its last
    checkpoint to the same bits.

    The paper's network has ``base=96 multipliers=1,2,3,4 blocks=3 attention=16,8``, trained for 120 epochs; the default
    is for a laptop.

    Parameters
    ----------
    theta
        Names of the parameters, without ``theta_``; all there are when none is named.
    base, multipliers
        Channels at full resolution, and by what they are multiplied at each halving; the size of the images must be
        divisible by 2 as often as there are multipliers but one.
    blocks
        Residual blocks at each resolution.
    attention, heads
        Heights in pixels at which pixels attend to all others, and with how many heads.
    periodic
        Whether images are of a periodic box.
    levels, noise
        Number of noise levels, and their schedule.
    target
        What the network learns to say: the noise as in the paper, or the velocity sqrt(a_t) noise - sqrt(1 - a_t) x
        (arXiv:2202.00512), which takes less training.
    drop
        How often parameters are hidden; a model with 0 cannot be guided.
    steps, batch, learning_rate, ema
        Of the training (AdamW, cosine schedule), and the decay of the averaged weights.
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
        The images cannot be halved that often, heads do not divide the channels, or the loss stopped being finite.
    DataRefusedError
        A band has one value only.
    """
    from hven.methods import nets

    data = training_set(images, theta, n_min, _TRAIN)
    net = nets.UNet(
        data.x.shape[1], data.x.shape[2:], n_theta=data.theta.shape[1], base=base, multipliers=multipliers,
        blocks=blocks, attention=attention, heads=heads, periodic=periodic, seed=seed,
    )  # fmt: skip

    def fit(**going_on: Any) -> diffusion.Diffusion:
        return diffusion.fit(
            net, data.x, data.theta, schedule=diffusion.NoiseSchedule(levels, noise), drop=drop, target=target,
            steps=steps, batch=min(batch, len(data.x)), learning_rate=learning_rate, ema=ema, check_every=check_every,
            seed=seed, names=data.names, **going_on,
        )  # fmt: skip

    return trained(fit, data, steps=steps, check_every=check_every, checkpoint_every=checkpoint_every)


@hven.analysis(
    conditions=hven.Table(object_id=None, optional=THETA),
    model=hven.Model(),
    produces={"flux": "", "is_extrapolated": ""},
    references=("2307.09568", "2010.02502", "2211.01095"),
    version="2",
    per_object=True,
    block_rows=512,
)
def image_diffusion_sample(
    conditions: xr.Dataset,
    model: xr.Dataset,
    *,
    method: Literal["dpm", "ddim", "ddpm"] = "dpm",
    steps: Positive = 50,
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0,
    guidance: Annotated[float, Field(ge=-1)] = 0.0,
    weights: Literal["ema", "last"] = "ema",
    clip: bool = True,
    batch: Positive = 64,
    seed: int = 0,
) -> xr.Dataset:
    """Synthetic images drawn from a diffusion model at the parameters of each object.

    The model comes from ``image_diffusion_train``, which tells of the method; ``conditions`` is a table (or image
    dataset) with the columns ``theta_...`` that it was trained with. Each object gets one image; for several at the
    same parameters give as many rows, each with an ``object_id`` of its own: the image follows from the seed, the
    object's id and its parameters, however the table is cut.

    ``"dpm"`` takes `steps` second-order steps from noise to image; ``"ddim"`` first-order ones, with `eta` fresh noise;
    ``"ddpm"`` all levels that the model was trained with. With the best network that there could be, 50 steps lose
    0.2 % of a Gaussian's variance with ``"dpm"`` and 7 % with ``"ddim"``. A `guidance` w > 0 exaggerates what
    the parameters say, noise = (1 + w) noise(theta) - w noise(any): more typical images, less varied than nature.

    The result is an image dataset with the parameters as coordinates, ``synthetic`` true in its attributes, and the
    SHA-256 of the model and of its training data. ``is_extrapolated`` says that parameters lie outside the range of
    training. Objects without all parameters get NaN.

    Parameters
    ----------
    method, steps, eta
        How noise is taken out; `steps` and `eta` as far as the method has them.
    guidance
        The weight w; 0 samples what was learned.
    weights
        The averaged ones, or those of the last step of training.
    clip
        Keeps what is believed to be behind the noise within the values seen in training.
    batch
        Images at a time, which bounds the memory.
    seed
        Of the noise.

    Raises
    ------
    MissingColumnError
        ``object_id``, or a parameter that the model was trained with, is not there.
    DataRefusedError
        The model is of another kind, or its training diverged.
    ParameterError
        More steps than the model has levels; guidance of a model without parameters, or of one from which parameters
        were never hidden (``drop=0``).
    """
    trained_model = model_of(model, diffusion.Diffusion, _SAMPLE, "image_diffusion_train")

    def draw(theta: Any, ids: Any) -> Any:
        return trained_model.sample(
            theta, len(ids), seed=seed, ids=ids, method=method, steps=steps, eta=eta, guidance=guidance,
            weights=weights, clip=clip, batch=batch,
        )  # fmt: skip

    return synthetic_images(conditions, trained_model, model, draw, _SAMPLE, guidance)


@image_diffusion_train.figure
def _figure(result: xr.Dataset) -> "Figure":
    from hven_plugins.generative.generator_figures import draw_loss

    return draw_loss(result, "mean squared error")


@image_diffusion_sample.figure
def _figure_of_samples(result: xr.Dataset) -> "Figure":
    from hven_plugins.generative.generator_figures import draw_images

    return draw_images(result)


@image_diffusion_train.mock
def _mock(size: int, seed: int) -> Mock:
    return toy_fields(size, seed)


@image_diffusion_sample.mock
def _mock_of_conditions(size: int, seed: int) -> Mock:
    return Mock({"conditions": toy_conditions(size, seed), "model": _little_trained().copy(deep=True)})


@lru_cache(maxsize=1)
def _little_trained() -> xr.Dataset:
    """Return a model of the mock's fields that has seen them for a moment."""
    learned: xr.Dataset = image_diffusion_train(
        toy_fields(128, 0).inputs["images"], base=4, multipliers=(1,), levels=100, steps=30, periodic=True,
        learning_rate=1e-2, check_every=10,
    )  # fmt: skip
    return learned
