"""A conditional style-based GAN: images from a generator that learned to deceive a critic.

It stands beside `hven.methods.diffusion` to be compared with: `fit` and `Gan.sample` are called alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.methods._conditioned import (
    Ranges,
    check_fits,
    check_trained,
    checked_rows,
    id_words,
    keys_of,
    n_of,
    normal,
    prepared,
)
from hven.methods._science import on_processor, require
from hven.methods.models import from_vector, to_vector, untrained
from hven.methods.train import Checkpoint, History, Scaler
from hven.methods.train import fit as _fit_network

__all__ = ["AdversarialLoss", "Gan", "fit"]

Images = NDArray[np.float32]
Weights = Literal["ema", "last"]


@dataclass(frozen=True)
class AdversarialLoss:
    """What generator and critic make small, each its own: softplus losses (arXiv:1406.2661) with the penalty R1.

    ``softplus(-D(real)) + softplus(D(fake)) + r1/2 |grad D(real)|^2`` moves the critic alone,
    ``softplus(-D(fake))`` the generator alone, both in the same step (Mescheder et al., arXiv:1801.04406).

    Attributes
    ----------
    r1
        Weight of the penalty.
    """

    r1: float = 1.0

    def __call__(self, game: Any, rows: dict[str, Any], key: Any) -> Any:
        """Return the sum of both losses for each row of ``rows["x"]`` (b, ...) given ``rows["theta"]``, shape (b,)."""
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        generator, critic = game
        real, theta, n = rows["x"], rows["theta"], len(rows["x"])
        for_latent, for_noise = jax.random.split(key)
        z = jax.random.normal(for_latent, (n, generator.n_latent), jnp.float32)
        fake = jax.vmap(generator)(z, theta, jax.random.split(for_noise, n))
        onlooker = jax.tree.map(lambda v: jax.lax.stop_gradient(v) if eqx.is_array(v) else v, critic)
        of_generator = jax.nn.softplus(-onlooker(fake, theta))

        slope = jax.lax.stop_gradient(jax.grad(lambda images: jnp.sum(critic(images, theta)))(real))
        scores, along = jax.jvp(lambda images: critic(images, theta), (real,), (slope,))
        # |slope|^2 is the derivative of the scores along the slope held fixed, and so is half its gradient: a backward
        # pass through a forward one, since XLA takes ten times longer for one through another backward pass.
        steep = 2 * along - jnp.sum(slope**2, axis=tuple(range(1, slope.ndim)))
        of_critic = jax.nn.softplus(-scores) + jax.nn.softplus(critic(jax.lax.stop_gradient(fake), theta))
        return of_generator + of_critic + self.r1 / 2 * steep


@dataclass(frozen=True)
class Gan:
    """A trained GAN of images given p parameters.

    Attributes
    ----------
    generator, last
        The generator with averaged weights (EMA), and with those of the last step.
    critic
        The critic of the last step.
    pixels
        Mean and spread of the channels, each (channels, 1, 1).
    theta
        Ranges of the parameters in training.
    history
        How training went: the sum of both losses.
    settings
        Of the training: steps, batch, learning_rate, r1, ema, seed.
    names
        Texts kept with the model: names and units of parameters, bands, the digest of the data.
    diverged
        Whether the loss stopped being finite; nothing is drawn then.
    """

    generator: Any
    last: Any
    critic: Any
    pixels: Scaler
    theta: Ranges
    history: History
    settings: Mapping[str, Any]
    names: Mapping[str, Any]
    diverged: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image (channels, y, x)."""
        return (self.generator.channels, *self.generator.size)

    def sample(
        self,
        theta: ArrayLike | None = None,
        n: int | None = None,
        *,
        seed: int = 0,
        ids: ArrayLike | None = None,
        weights: Weights = "ema",
        batch: int = 64,
    ) -> Images:
        """Return one image for each row of `theta`, float32 of shape (n, channels, y, x), in the unit of the training.

        Parameters
        ----------
        theta
            Parameters, shape (n, p); None for `n` images of a model without.
        n
            How many, where `theta` does not say.
        seed, ids
            An image follows from the seed and its id (n,), not from its place among the others; ids are 0, 1, 2... when
            not given.
        weights
            The averaged weights, or those of the last step.
        batch
            Images at a time: what bounds the memory.

        Raises
        ------
        DataRefusedError
            `theta` has not p columns, or is not finite; the training diverged.
        """
        check_trained(self.diverged, "Gan.sample")
        count = n_of(theta, n, "Gan.sample")
        known = checked_rows(np.zeros((count, 0)) if theta is None else theta, self.theta.n)
        words, scaled = id_words(ids, count), self.theta.to_unit(known).astype(np.float32)
        out = np.empty((count, *self.shape), dtype=np.float32)
        net, draw = self.generator if weights == "ema" else self.last, _compiled()
        for start in range(0, count, batch):
            part = slice(start, min(start + batch, count))
            pad = ((0, batch - (part.stop - part.start)), (0, 0))
            drawn = draw(net, np.uint32(seed & 0xFFFFFFFF), np.pad(words[part], pad), np.pad(scaled[part], pad))
            out[part] = self.pixels.from_standard(np.asarray(drawn)[: part.stop - part.start])
        return out

    def spec(self) -> dict[str, Any]:
        """Return what `hven.methods.models` keeps as text."""
        return {
            "kind": "gan",
            "generator": self.generator.spec(),
            "critic": self.critic.spec(),
            "settings": dict(self.settings),
            "names": dict(self.names),
            "diverged": self.diverged,
        }

    def arrays(self) -> dict[str, Any]:
        """Return weights of the generator, averaged and last, and of the critic, each as one vector; and the rest."""
        return {
            "ema": to_vector(self.generator),
            "last": to_vector(self.last),
            "critic": to_vector(self.critic),
            "pixel_mean": self.pixels.mean,
            "pixel_std": self.pixels.std,
            "theta_low": self.theta.low,
            "theta_high": self.theta.high,
            "step": self.history.step,
            "loss": self.history.loss,
        }

    @classmethod
    def build(cls, arrays: dict[str, Any], spec: dict[str, Any]) -> "Gan":
        """Return the model that `spec` and `arrays` describe."""
        generator = untrained(spec["generator"])
        return cls(
            generator=from_vector(generator, arrays["ema"]),
            last=from_vector(generator, arrays["last"]),
            critic=from_vector(untrained(spec["critic"]), arrays["critic"]),
            pixels=Scaler(arrays["pixel_mean"], arrays["pixel_std"]),
            theta=Ranges(arrays["theta_low"], arrays["theta_high"]),
            history=History(arrays["step"], arrays["loss"], np.full(len(arrays["step"]), np.nan)),
            settings=spec["settings"],
            names=spec["names"],
            diverged=bool(spec["diverged"]),
        )


def fit(
    generator: Any,
    critic: Any,
    x: ArrayLike,
    theta: ArrayLike | None = None,
    *,
    steps: int,
    batch: int = 32,
    learning_rate: float = 2e-3,
    r1: float = 1.0,
    ema: float = 0.995,
    check_every: int = 100,
    seed: int = 0,
    resume: Checkpoint | None = None,
    on_check: Callable[[Checkpoint], None] | None = None,
    names: Mapping[str, Any] | None = None,
) -> Gan:
    """Return a GAN of images `x` given `theta`, trained with `hven.methods.train`.

    Generator and critic move in the same step, each by its own loss (see `AdversarialLoss`).

    Parameters
    ----------
    generator, critic
        `hven.methods.nets.StyleGenerator` and `hven.methods.nets.ImageCritic`, or networks that are called alike.
    x
        Images (n, channels, y, x).
    theta
        Parameters (n, p); None for a model without.
    steps, batch, learning_rate, ema
        Of the training: Adam with decays 0 and 0.99 at a constant rate.
    r1
        Weight of the critic's penalty on steep scores.
    check_every, seed, resume, on_check, names
        As in `hven.methods.train.fit`.

    Raises
    ------
    DataRefusedError
        Shapes that do not fit the networks or each other, values that are not finite, a channel with one value only.
    TooFewObjectsError
        Fewer than two rows.
    MissingDependencyError
        equinox or optax is not installed.

    Examples
    --------
    >>> from hven.methods import nets
    >>> x = np.random.default_rng(0).normal(size=(64, 1, 64, 64))
    >>> players = nets.StyleGenerator(1, 64), nets.ImageCritic(1, 64)
    >>> fit(*players, x, steps=10_000).sample(n=5).shape  # doctest: +SKIP
    (5, 1, 64, 64)
    """
    require("equinox", "optax", what="a GAN")
    data = prepared(x, theta, "gan.fit")
    for net in (generator, critic):
        check_fits(net, data.rows["x"].shape[1:], data.theta.n, "gan.fit")
    trained = _fit_network(
        (generator, critic), AdversarialLoss(r1), data.rows, steps=steps, batch=batch, learning_rate=learning_rate,
        weight_decay=0.0, schedule="constant", clip=None, val=0.0, check_every=check_every, ema=ema, standardise=(),
        seed=seed, resume=resume, on_check=on_check, betas=(0.0, 0.99), stepwise=on_processor(),
    )  # fmt: skip
    settings = {
        "steps": steps, "batch": batch, "learning_rate": learning_rate, "r1": r1, "ema": ema, "seed": seed,
    }  # fmt: skip
    return Gan(
        generator=trained.net[0], last=trained.last[0], critic=trained.last[1], pixels=data.pixels, theta=data.theta,
        history=trained.history, settings=settings, names=dict(names or {}), diverged=trained.diverged,
    )  # fmt: skip


@lru_cache(maxsize=1)
def _compiled() -> Any:
    """Return the compiled function that draws one batch of images, standardised."""
    import equinox as eqx
    import jax

    def draw(net: Any, seed: Any, words: Any, theta: Any) -> Any:
        keys = keys_of(seed, words)
        fine = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
        return jax.vmap(net)(normal(keys, 0, (net.n_latent,)), theta, fine)

    jit: Any = eqx.filter_jit
    return jit(draw)
