"""Denoising diffusion: images, or vectors, drawn from noise by a network that learned to take noise out.

`fit` trains a network of `hven.methods.nets` on images and their parameters; the `Diffusion` that it returns draws new
ones at given parameters. The forward process, its schedules and the single steps back stand here as functions too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import ParameterError
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

__all__ = ["Diffusion", "NoiseLoss", "NoiseSchedule", "ancestral_step", "ddim_step", "fit", "times", "way_back"]

Array = NDArray[np.float64]
Images = NDArray[np.float32]
Kind = Literal["linear", "cosine"]
Method = Literal["dpm", "ddim", "ddpm"]
Weights = Literal["ema", "last"]
Target = Literal["noise", "velocity"]


@dataclass(frozen=True)
class NoiseSchedule:
    """How much of an image is left at each noise level: x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise.

    Attributes
    ----------
    steps
        Noise levels, T.
    kind
        ``"linear"``: beta from 1e-4 to 0.02 for 1000 levels (Ho et al., arXiv:2006.11239), for others so that as much
        noise is added in all; ``"cosine"``: arXiv:2102.09672, eq. 17.

    Examples
    --------
    >>> schedule = NoiseSchedule()
    >>> schedule.alpha_bar[[0, 499, 999]].round(5).tolist()
    [0.9999, 0.07859, 4e-05]
    """

    steps: int = 1000
    kind: Kind = "linear"

    def __post_init__(self) -> None:
        if self.steps < 2 or self.kind not in {"linear", "cosine"}:
            raise ParameterError(
                f"a {self.kind} schedule of {self.steps} noise levels", where="diffusion.NoiseSchedule",
                expected="linear or cosine, of 2 levels or more", hint="Choose one.",
            )  # fmt: skip

    @cached_property
    def beta(self) -> Array:
        """Variance that each level adds, shape (T,)."""
        if self.kind == "linear":
            return np.asarray(np.minimum(np.linspace(1e-4, 0.02, self.steps) * 1000 / self.steps, 0.999))
        level = np.arange(self.steps + 1) / self.steps
        left = np.cos((level + 0.008) / 1.008 * np.pi / 2) ** 2
        return np.asarray(np.minimum(1 - left[1:] / left[:-1], 0.999))

    @cached_property
    def alpha_bar(self) -> Array:
        """Share of the image's variance that is left at each level, shape (T,)."""
        return np.asarray(np.cumprod(1 - self.beta))

    def diffuse(self, x: ArrayLike, t: ArrayLike, noise: ArrayLike) -> Array:
        """Return images (n, ...) at noise levels `t` (n,), with standard normal `noise` of the shape of `x`."""
        x, noise = np.asarray(x, dtype=np.float64), np.asarray(noise, dtype=np.float64)
        left = self.alpha_bar[np.asarray(t)].reshape(-1, *[1] * (x.ndim - 1))
        return np.asarray(np.sqrt(left) * x + np.sqrt(1 - left) * noise)


def times(schedule: NoiseSchedule, steps: int | None = None, *, quadratic: bool = False) -> NDArray[np.int64]:
    """Return the noise levels that sampling visits, noisiest first: all of them, or about `steps`.

    They are evenly spaced, or (`quadratic`) denser towards no noise, where the few that coincide are visited once.

    Examples
    --------
    >>> times(NoiseSchedule(1000), 5).tolist(), times(NoiseSchedule(1000), 5, quadratic=True).tolist()
    ([999, 749, 500, 250, 0], [999, 562, 250, 62, 0])
    """
    count = schedule.steps if steps is None else steps
    if not 1 <= count <= schedule.steps:
        raise ParameterError(
            f"{count} steps through {schedule.steps} noise levels", where="diffusion.times",
            expected=f"1 to {schedule.steps}", hint="Take fewer steps.",
        )  # fmt: skip
    last = schedule.steps - 1
    levels = np.linspace(np.sqrt(last), 0, count) ** 2 if quadratic else np.linspace(last, 0, count)
    return np.unique(levels.round().astype(np.int64))[::-1]


def ddim_step(x: Any, noise: Any, fresh: Any, now: float, then: float, eta: float) -> Any:
    """Return `x` at the cleaner level `then`, given the noise believed to be in it (arXiv:2010.02502, eq. 12).

    Parameters
    ----------
    x, noise
        The images at the level `now` and their noise.
    fresh
        Standard normal numbers of the same shape.
    now, then
        Shares of variance left (``alpha_bar``) at both levels; 1 is without noise.
    eta
        How much fresh noise goes in: 0 makes it deterministic, 1 as random as `ancestral_step`.
    """
    sigma = eta * np.sqrt((1 - then) / (1 - now) * (1 - now / then))
    clean = (x - np.sqrt(1 - now) * noise) / np.sqrt(now)
    return np.sqrt(then) * clean + np.sqrt(max(1 - then - sigma**2, 0.0)) * noise + sigma * fresh


def ancestral_step(x: Any, noise: Any, fresh: Any, now: float, then: float) -> Any:
    """Return `x` at the next cleaner level as in arXiv:2006.11239, algorithm 2, with the posterior variance.

    Arguments are those of `ddim_step`.
    """
    beta = 1 - now / then
    mean = (x - beta / np.sqrt(1 - now) * noise) / np.sqrt(1 - beta)
    return mean + np.sqrt(beta * (1 - then) / (1 - now)) * fresh


def way_back(schedule: NoiseSchedule, method: Method, steps: int | None, eta: float) -> tuple[NDArray[np.int64], Array]:
    """Return the levels (n,) that `method` visits and the numbers (n, 4) that take x from each to the next.

    With x and clean the image at a level and what is believed to be behind it, before the clean one at the level
    before, the next x is ``a x + b clean + c before + d fresh``, fresh being standard normal.

    ``"ddpm"`` and ``"ddim"`` are `ancestral_step` and `ddim_step`. They are of first order: with the best noise that
    there is, 50 steps of the latter lose 7 % of the variance of a Gaussian. ``"dpm"`` is of second order at the same
    price (DPM-Solver++(2M), Lu et al., arXiv:2211.01095, algorithm 2) and loses 0.2 %; its levels are denser towards
    no noise.
    """
    if method not in {"dpm", "ddim", "ddpm"} or not 0 <= eta <= 1:
        raise ParameterError(
            f"method {method!r} with eta={eta}", where="Diffusion.sample",
            expected="dpm, ddim or ddpm, eta from 0 to 1", hint="Choose one.",
        )  # fmt: skip
    levels = times(schedule, None if method == "ddpm" else steps, quadratic=method == "dpm")
    left = np.append(schedule.alpha_bar[levels], 1.0)
    numbers = np.zeros((len(levels), 4))
    before = 0.0
    for i, (now, then) in enumerate(pairwise(left)):
        if then == 1.0:
            numbers[i, 1] = 1.0
        elif method == "dpm":
            half_log_snr = 0.5 * np.log([now / (1 - now), then / (1 - then)])
            stride = half_log_snr[1] - half_log_snr[0]
            weight = -np.sqrt(then) * np.expm1(-stride)
            bend = stride / (2 * before) if before else 0.0
            numbers[i, :3] = np.sqrt((1 - then) / (1 - now)), weight * (1 + bend), -weight * bend
            before = stride
        else:
            fresh = (1.0 if method == "ddpm" else eta) * np.sqrt((1 - then) / (1 - now) * (1 - now / then))
            noise = np.sqrt(max(1 - then - fresh**2, 0.0) / (1 - now))
            numbers[i] = noise, np.sqrt(then) - noise * np.sqrt(now), 0.0, fresh
    return levels, numbers


@dataclass(frozen=True)
class NoiseLoss:
    """The squared error of what the network says of x_t, mean over pixels, at random levels; for `train.fit`.

    Attributes
    ----------
    schedule
        Of the forward process.
    drop
        How often the parameters are hidden from the network, so that it learns what images are like without knowing
        them (Ho and Salimans, arXiv:2207.12598).
    target
        What the network says: ``"noise"``, or ``"velocity"``, sqrt(a_t) noise - sqrt(1 - a_t) x_0 (Salimans and Ho,
        arXiv:2202.00512). From noise the image behind follows with an error that 1/sqrt(a_t) enlarges, from velocity
        without: it takes less training.
    """

    schedule: NoiseSchedule
    drop: float = 0.28
    target: Target = "noise"

    def __post_init__(self) -> None:
        if self.target not in {"noise", "velocity"}:
            raise ParameterError(
                f"target is {self.target!r}", where="diffusion.NoiseLoss", expected="noise or velocity",
                hint="Choose one.",
            )  # fmt: skip
        if not 0 <= self.drop < 1:
            raise ParameterError(
                f"drop is {self.drop}", where="diffusion.NoiseLoss", expected="0 or more, less than 1",
                hint="Hide parameters in fewer steps.",
            )  # fmt: skip

    def __call__(self, net: Any, rows: dict[str, Any], key: Any) -> Any:
        """Return the loss of each row of ``rows["x"]`` (b, ...) given ``rows["theta"]`` (b, p), shape (b,)."""
        import jax
        import jax.numpy as jnp

        x, n = rows["x"], len(rows["x"])
        for_t, for_noise, for_drop = jax.random.split(key, 3)
        # One level from each of b equal parts of the range: the loss varies less from batch to batch.
        u = (jnp.arange(n) + jax.random.uniform(for_t, dtype=jnp.float32)) / n
        t = jnp.minimum((u * self.schedule.steps).astype(jnp.int32), self.schedule.steps - 1)
        noise = jax.random.normal(for_noise, x.shape, jnp.float32)
        left = jnp.asarray(self.schedule.alpha_bar, jnp.float32)[t].reshape(-1, *[1] * (x.ndim - 1))
        is_known = jax.random.uniform(for_drop, (n,)) >= self.drop
        found = jax.vmap(net)(jnp.sqrt(left) * x + jnp.sqrt(1 - left) * noise, t, rows["theta"], is_known)
        wanted = noise if self.target == "noise" else jnp.sqrt(left) * noise - jnp.sqrt(1 - left) * x
        return jnp.mean((found - wanted) ** 2, axis=tuple(range(1, x.ndim)))


@dataclass(frozen=True)
class Diffusion:
    """A trained diffusion model of images, or vectors, given p parameters.

    Attributes
    ----------
    net, last
        The network with averaged weights (EMA), and with those of the last step.
    loss
        Forward process and how often parameters were hidden.
    pixels
        Mean and spread of the channels, each (channels, 1, 1); of vectors each (d,).
    limits
        Lowest and highest standardised value seen in training, each of the shape of ``pixels.mean``.
    theta
        Ranges of the parameters in training.
    history
        How training went.
    settings
        Of the training: steps, batch, learning_rate, ema, seed.
    names
        Texts kept with the model: names and units of parameters, bands, the digest of the data.
    diverged
        Whether the loss stopped being finite; nothing is drawn then.
    """

    net: Any
    last: Any
    loss: NoiseLoss
    pixels: Scaler
    limits: tuple[Array, Array]
    theta: Ranges
    history: History
    settings: Mapping[str, Any]
    names: Mapping[str, Any]
    diverged: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image (channels, y, x), or of one vector (d,)."""
        spec = self.net.spec()
        return (spec["channels"], *spec["size"]) if "channels" in spec else (spec["n"],)

    def sample(
        self,
        theta: ArrayLike | None = None,
        n: int | None = None,
        *,
        seed: int = 0,
        ids: ArrayLike | None = None,
        method: Method = "dpm",
        steps: int = 50,
        eta: float = 0.0,
        guidance: float = 0.0,
        weights: Weights = "ema",
        clip: bool = True,
        batch: int = 64,
    ) -> Images:
        """Return one image for each row of `theta`, float32 of shape (n, channels, y, x), in the unit of the training.

        Parameters
        ----------
        theta
            Parameters, shape (n, p); None draws `n` images as they come, parameters hidden: the model must have been
            trained with ``drop > 0``.
        n
            How many, where `theta` does not say.
        seed, ids
            An image follows from the seed and its id (n,), not from its place among the others; ids are 0, 1, 2... when
            not given.
        method, steps, eta
            ``"dpm"``: second order, `steps` steps; ``"ddim"``: first order, `steps` steps with as much fresh noise as
            `eta` says; or ``"ddpm"``: all levels. See `way_back`.
        guidance
            The weight w of classifier-free guidance, noise = (1 + w) noise(theta) - w noise(any): 0 samples the learned
            distribution, more makes images more typical of their parameters and less varied.
        weights
            The averaged weights, or those of the last step.
        clip
            Keeps what is believed to be behind the noise within the values of the training.
        batch
            Images at a time: what bounds the memory.

        Raises
        ------
        DataRefusedError
            `theta` has not p columns, or is not finite; the training diverged.
        ParameterError
            Steps or eta out of range; guidance of a model without parameters; guidance, or no `theta`, of one from
            which parameters were never hidden.
        """
        check_trained(self.diverged, "Diffusion.sample")
        count = n_of(theta, n, "Diffusion.sample")
        known = np.zeros((count, self.theta.n)) if theta is None else checked_rows(theta, self.theta.n)
        way = way_back(self.loss.schedule, method, steps, eta)
        if guidance and (theta is None or self.theta.n == 0):
            raise ParameterError(
                f"guidance={guidance} without parameters", where="Diffusion.sample", hint="Give theta, or guidance=0."
            )
        if self.theta.n and not self.loss.drop and (guidance or theta is None):
            asked = f"guidance={guidance}" if guidance else "no theta"
            raise ParameterError(
                f"{asked}, of a model trained with drop=0", where="Diffusion.sample",
                expected="one that has learned what images are like when parameters are hidden",
                hint="Train with drop=0.28, or give theta and guidance=0.",
            )  # fmt: skip
        words, scaled = id_words(ids, count), self.theta.to_unit(known).astype(np.float32)
        out = np.empty((count, *self.shape), dtype=np.float32)
        net = self.net if weights == "ema" else self.last
        bounds = tuple(np.asarray(v, np.float32) for v in (self.limits if clip else (-np.inf, np.inf)))
        for start in range(0, count, batch):
            part = slice(start, min(start + batch, count))
            pad = batch - (part.stop - part.start)
            rows = np.pad(scaled[part], ((0, pad), (0, 0)))
            drawn = _drawn(
                net, self.loss.schedule.alpha_bar, way, np.pad(words[part], ((0, pad), (0, 0))), rows,
                shape=self.shape, target=self.loss.target, seed=seed, guidance=guidance, is_known=theta is not None,
                bounds=bounds,
            )  # fmt: skip
            out[part] = self.pixels.from_standard(drawn[: batch - pad])
        return out

    def spec(self) -> dict[str, Any]:
        """Return what `hven.methods.models` keeps as text."""
        return {
            "kind": "diffusion",
            "net": self.net.spec(),
            "schedule": {"steps": self.loss.schedule.steps, "kind": self.loss.schedule.kind},
            "drop": self.loss.drop,
            "target": self.loss.target,
            "settings": dict(self.settings),
            "names": dict(self.names),
            "diverged": self.diverged,
        }

    def arrays(self) -> dict[str, Any]:
        """Return averaged and last weights, each as one vector, scalers, limits and the history."""
        return {
            "ema": to_vector(self.net),
            "last": to_vector(self.last),
            "pixel_mean": self.pixels.mean,
            "pixel_std": self.pixels.std,
            "pixel_low": self.limits[0],
            "pixel_high": self.limits[1],
            "theta_low": self.theta.low,
            "theta_high": self.theta.high,
            "step": self.history.step,
            "loss": self.history.loss,
            "val_loss": self.history.val_loss,
        }

    @classmethod
    def build(cls, arrays: dict[str, Any], spec: dict[str, Any]) -> "Diffusion":
        """Return the model that `spec` and `arrays` describe."""
        skeleton = untrained(spec["net"])
        return cls(
            net=from_vector(skeleton, arrays["ema"]),
            last=from_vector(skeleton, arrays["last"]),
            loss=NoiseLoss(NoiseSchedule(**spec["schedule"]), spec["drop"], spec["target"]),
            pixels=Scaler(arrays["pixel_mean"], arrays["pixel_std"]),
            limits=(arrays["pixel_low"], arrays["pixel_high"]),
            theta=Ranges(arrays["theta_low"], arrays["theta_high"]),
            history=History(arrays["step"], arrays["loss"], arrays["val_loss"]),
            settings=spec["settings"],
            names=spec["names"],
            diverged=bool(spec["diverged"]),
        )


def fit(
    net: Any,
    x: ArrayLike,
    theta: ArrayLike | None = None,
    *,
    schedule: NoiseSchedule | None = None,
    drop: float = 0.28,
    target: Target = "noise",
    steps: int,
    batch: int = 16,
    learning_rate: float = 1e-4,
    ema: float = 0.995,
    check_every: int = 100,
    seed: int = 0,
    resume: Checkpoint | None = None,
    on_check: Callable[[Checkpoint], None] | None = None,
    names: Mapping[str, Any] | None = None,
) -> Diffusion:
    """Return a diffusion model of `x` given `theta`, trained with `hven.methods.train`.

    Channels are standardised, parameters scaled to [0, 1], and the noise is learned by least squares (Ho et al.,
    arXiv:2006.11239, eq. 14; Zhao et al., arXiv:2307.09568). Where parameters are hidden a learned vector stands for
    them.

    Parameters
    ----------
    net
        `hven.methods.nets.UNet` for images, `hven.methods.nets.DenoisingMLP` for vectors, or one that is called alike.
    x
        Images (n, channels, y, x), or vectors (n, d).
    theta
        Parameters (n, p); None for a model without.
    schedule
        Of the forward process; linear in 1000 levels when not given.
    drop
        How often parameters are hidden; what guidance needs.
    target
        What the network learns to say (see `NoiseLoss`).
    steps, batch, learning_rate, ema
        Of the training: AdamW without decay, the rate rising over a twentieth of the steps and falling as a cosine.
    check_every, seed, resume, on_check, names
        As in `hven.methods.train.fit`.

    Raises
    ------
    DataRefusedError
        Shapes that do not fit the network or each other, values that are not finite, a channel with one value only.
    TooFewObjectsError
        Fewer than two rows.
    MissingDependencyError
        equinox or optax is not installed.

    Examples
    --------
    >>> from hven.methods import nets
    >>> x = np.random.default_rng(0).normal(3.0, 0.5, (256, 1))
    >>> model = fit(nets.DenoisingMLP(1, width=8, depth=1), x, steps=20, schedule=NoiseSchedule(50))
    >>> model.sample(n=5, steps=10).shape
    (5, 1)
    """
    require("equinox", "optax", what="a diffusion model")
    data = prepared(x, theta, "diffusion.fit")
    check_fits(net, data.rows["x"].shape[1:], data.theta.n, "diffusion.fit")
    loss = NoiseLoss(schedule or NoiseSchedule(), drop if data.theta.n else 0.0, target)
    trained = _fit_network(
        net, loss, data.rows, steps=steps, batch=batch, learning_rate=learning_rate, weight_decay=0.0, val=0.0,
        check_every=check_every, ema=ema, standardise=(), seed=seed, resume=resume, on_check=on_check,
        stepwise=on_processor(),
    )  # fmt: skip
    settings = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "ema": ema, "seed": seed}
    return Diffusion(
        net=trained.net, last=trained.last, loss=loss, pixels=data.pixels, limits=data.limits, theta=data.theta,
        history=trained.history, settings=settings, names=dict(names or {}), diverged=trained.diverged,
    )  # fmt: skip


def _drawn(
    net: Any, alpha_bar: Array, way: tuple[NDArray[np.int64], Array], words: Any, theta: Any, *,
    shape: tuple[int, ...], target: Target, seed: int, guidance: float, is_known: bool, bounds: tuple[Any, ...],
) -> Images:  # fmt: skip
    """Return one batch of images, standardised: pure noise, taken back level by level."""
    begin, back = _compiled(shape, guidance != 0.0, target)
    keys, x = begin(np.uint32(seed & 0xFFFFFFFF), words)
    clean = x
    for t, numbers in zip(*way, strict=True):
        parts = np.sqrt([alpha_bar[t], 1 - alpha_bar[t]])
        told = np.concatenate([parts, numbers]).astype(np.float32)
        x, clean = back(
            net, x, clean, keys, theta, np.float32(t), told, np.bool_(is_known), np.float32(guidance), bounds
        )
    return np.asarray(x)


@lru_cache(maxsize=32)
def _compiled(shape: tuple[int, ...], is_guided: bool, target: Target) -> tuple[Any, Any]:
    """Return what makes keys and first noise of a batch, and what takes it one level back.

    Levels are visited by Python: in a loop of XLA's own, convolutions on processors are an order of magnitude slower.
    """
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    def begin(seed: Any, words: Any) -> tuple[Any, Any]:
        keys = keys_of(seed, words)
        return keys, normal(keys, 0, shape)

    def said_of(net: Any, x: Any, t: Any, theta: Any, is_known: Any, guidance: Any) -> Any:
        every: Any = jax.vmap(net, in_axes=(0, None, 0, 0))
        known = jnp.full(len(x), is_known)
        if not is_guided:
            return every(x, t, theta, known)
        both = (jnp.concatenate([values, values]) for values in (x, theta))
        told, untold = jnp.split(every(next(both), t, next(both), jnp.concatenate([known, ~known])), 2)
        return (1 + guidance) * told - guidance * untold

    def back(
        net: Any,
        x: Any,
        before: Any,
        keys: Any,
        theta: Any,
        t: Any,
        told: Any,
        is_known: Any,
        guidance: Any,
        bounds: Any,
    ) -> Any:
        of_image, of_noise, a, b, c, d = told
        said = said_of(net, x, t, theta, is_known, guidance)
        clean = (x - of_noise * said) / of_image if target == "noise" else of_image * x - of_noise * said
        clean = jnp.clip(clean, *bounds)
        return a * x + b * clean + c * before + d * normal(keys, t.astype(jnp.uint32) + 1, shape), clean

    jit: Any = eqx.filter_jit
    return jit(begin), jit(back)
