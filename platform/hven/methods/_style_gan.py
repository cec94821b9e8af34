"""The two networks of a style-based GAN: a generator whose convolutions are modulated by a style, and its critic.

Small versions of those of Karras et al. (arXiv:1912.04958), conditional by a projection (arXiv:1802.05637).
"""

from itertools import pairwise
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from hven.methods._layers import Convolution, Dense, convolved, doubled, halved
from hven.methods._stored_net import StoredNet

SMALLEST = 4
"""Pixels of the image that a generator begins with and a critic ends with, when the size can be halved so far."""
SLOWER = 0.01
"""By how much the mapping network learns more slowly than the rest."""


class StyleGenerator(StoredNet):
    """A generator of images (channels, y, x) from a random vector, parameters, and fine noise drawn from a key.

    A mapping network makes a style of vector and parameters; at each resolution the style scales the channels that two
    convolutions take in, noise is added to each, and what the resolution has to show is added to the image.

    Parameters
    ----------
    channels
        Of the image.
    size
        Pixels along y and x, or along both.
    n_theta
        Parameters of an image; none makes it unconditional.
    n_latent
        Length of the random vector, and of the style.
    base, most
        Channels at full resolution, doubled at each halving up to `most`.
    periodic
        Whether images are of a periodic box: convolutions then go across its edges.
    seed
        Of the initial weights.

    Examples
    --------
    >>> net = StyleGenerator(1, 8, n_theta=2, n_latent=8, base=4)
    >>> jax.eval_shape(lambda z: net(z, jnp.zeros(2), jax.random.key(0)), jnp.ones(8)).shape
    (1, 8, 8)
    """

    kind: ClassVar[str] = "style-generator"
    mapping: tuple[Any, ...]
    start: Any
    levels: tuple[Any, ...]
    channels: int = eqx.field(static=True)
    size: tuple[int, int] = eqx.field(static=True)
    n_theta: int = eqx.field(static=True)
    n_latent: int = eqx.field(static=True)
    base: int = eqx.field(static=True)
    most: int = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        size: int | tuple[int, int],
        *,
        n_theta: int = 0,
        n_latent: int = 64,
        base: int = 32,
        most: int = 128,
        periodic: bool = False,
        seed: int = 0,
    ) -> None:
        self.channels, self.n_theta, self.n_latent, self.base, self.most = channels, n_theta, n_latent, base, most
        self.size, self.periodic = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1])), periodic
        rng = np.random.default_rng([seed, 1])
        n_in = n_latent + (n_latent if n_theta else 0)
        inner = [Dense(n_in, n_latent, rng, gain=np.sqrt(2) / SLOWER), Dense(n_latent, n_latent, rng, gain=1 / SLOWER)]
        self.mapping = (Dense(n_theta, n_latent, rng) if n_theta else None, *inner)
        halvings = _halvings(self.size)
        widths = [min(base * 2**level, most) for level in range(halvings, -1, -1)]
        smallest = (widths[0], self.size[0] >> halvings, self.size[1] >> halvings)
        self.start = jnp.asarray(rng.normal(size=smallest), jnp.float32)
        self.levels = tuple(
            (
                Styled(widths[max(i - 1, 0)], n, n_latent, rng, periodic),
                Styled(n, n, n_latent, rng, periodic),
                Convolution(n, channels, 1, rng, gain=0.3),
            )
            for i, n in enumerate(widths)
        )

    def style(self, z: Any, theta: Any) -> Any:
        """Return the style (n_latent,) of a random vector (n_latent,) and parameters in [0, 1]."""
        value = z / jnp.sqrt(jnp.mean(z**2) + 1e-8)
        if self.mapping[0] is not None:
            told = self.mapping[0](2 * theta - 1)
            value = jnp.concatenate([value, told / jnp.sqrt(jnp.mean(told**2) + 1e-2)])
        for layer in self.mapping[1:]:
            value = bent(SLOWER * (layer.weight @ value) + layer.bias)
        return value

    def __call__(self, z: Any, theta: Any, key: Any) -> Any:
        """Return an image (channels, y, x), in standardised units."""
        style, value, image = self.style(z, theta), self.start, None
        sizes = [(self.size[0] >> level) * (self.size[1] >> level) for level in range(len(self.levels) - 1, -1, -1)]
        # All noise is drawn at once: XLA compiles each draw for as long as a convolution.
        fresh = jnp.split(jax.random.normal(key, (2, sum(sizes)), jnp.float32), np.cumsum(sizes)[:-1], axis=1)
        for (first, second, show), noise in zip(self.levels, fresh, strict=True):
            value = value if image is None else doubled(value)
            value = second(first(value, style, noise[0]), style, noise[1])
            shown = show(value)
            image = shown if image is None else doubled(image) + shown
        return image


class ImageCritic(StoredNet):
    """A critic of whole batches of images (b, channels, y, x) with their parameters (b, n_theta): one score each, (b,).

    It looks at how much the images of a batch differ from each other, so that a generator that always draws the same
    is found out. Parameters are those of `StyleGenerator`.

    Examples
    --------
    >>> net = ImageCritic(1, 8, n_theta=2, base=4)
    >>> jax.eval_shape(net, jnp.ones((6, 1, 8, 8)), jnp.ones((6, 2))).shape
    (6,)
    """

    kind: ClassVar[str] = "image-critic"
    stem: Any
    levels: tuple[Any, ...]
    last: Any
    features: Any
    score: Any
    theta: Any
    channels: int = eqx.field(static=True)
    size: tuple[int, int] = eqx.field(static=True)
    n_theta: int = eqx.field(static=True)
    base: int = eqx.field(static=True)
    most: int = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        size: int | tuple[int, int],
        *,
        n_theta: int = 0,
        base: int = 32,
        most: int = 128,
        periodic: bool = False,
        seed: int = 0,
    ) -> None:
        self.channels, self.n_theta, self.base, self.most, self.periodic = channels, n_theta, base, most, periodic
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        rng = np.random.default_rng([seed, 2])
        halvings, gain = _halvings(self.size), np.sqrt(2)
        widths = [min(base * 2**level, most) for level in range(halvings + 1)]

        def convolution(n_in: int, n_out: int, kernel: int, gain: float = gain) -> Convolution:
            return Convolution(n_in, n_out, kernel, rng, periodic=periodic, gain=gain)

        self.stem = convolution(channels, widths[0], 1)
        self.levels = tuple(
            (convolution(a, a, 3), convolution(a, b, 3), convolution(a, b, 1, 1.0)) for a, b in pairwise(widths)
        )
        width = widths[-1]
        self.last = convolution(width + 1, width, 3)
        pixels = (self.size[0] >> halvings) * (self.size[1] >> halvings)
        self.features = Dense(width * pixels, width, rng, gain=gain)
        self.score = Dense(width, 1, rng)
        self.theta = (Dense(n_theta, width, rng, gain=gain), Dense(width, width, rng)) if n_theta else None

    def __call__(self, x: Any, theta: Any) -> Any:
        """Return the score of each image: high for one that looks real, (b,)."""
        seen = jax.vmap(self._seen)(x)
        differ = jnp.mean(jnp.sqrt(jnp.var(seen, axis=0) + 1e-8))
        return jax.vmap(self._judged, in_axes=(0, 0, None))(seen, theta, differ)

    def _seen(self, x: Any) -> Any:
        value = bent(self.stem(x))
        for first, second, straight in self.levels:
            through = bent(second(bent(first(value))))
            value = (halved(through) + straight(halved(value))) / np.sqrt(2)
        return value

    def _judged(self, seen: Any, theta: Any, differ: Any) -> Any:
        value = jnp.concatenate([seen, jnp.full((1, *seen.shape[1:]), differ)])
        value = bent(self.features(bent(self.last(value)).ravel()))
        score = self.score(value)[0]
        if self.theta is not None:
            told = self.theta[1](bent(self.theta[0](2 * theta - 1)))
            score = score + told @ value / np.sqrt(len(value))
        return score


class Styled(eqx.Module):
    """A convolution whose input channels a style scales, its output brought back to spread 1; then noise and a bend."""

    scale: Any
    weight: Any
    bias: Any
    noise: Any
    periodic: bool = eqx.field(static=True)

    def __init__(self, n_in: int, n_out: int, n_style: int, rng: np.random.Generator, periodic: bool) -> None:
        self.periodic = periodic
        self.scale = Dense(n_style, n_in, rng)
        self.weight = Convolution(n_in, n_out, 3, rng).weight
        self.bias, self.noise = (jnp.asarray(np.zeros((n_out, 1, 1)), jnp.float32) for _ in range(2))

    def __call__(self, x: Any, style: Any, fresh: Any) -> Any:
        scale = 1 + self.scale(style)
        size = jnp.sqrt(jnp.sum(self.weight**2, axis=(2, 3)) @ scale**2 + 1e-8)
        value = convolved(x * scale[:, None, None], self.weight, periodic=self.periodic) / size[:, None, None]
        return bent(value + self.noise * fresh.reshape(1, *value.shape[1:]) + self.bias)


def bent(x: Any) -> Any:
    """Return the leaky rectifier of `x` that keeps its variance."""
    return jnp.where(x > 0, x, 0.2 * x) * np.sqrt(2).astype(np.float32)


def _halvings(size: tuple[int, int]) -> int:
    """Return how often both sides can be halved without getting below `SMALLEST` pixels."""
    count = 0
    while all(n % 2 ** (count + 1) == 0 and n >> (count + 1) >= SMALLEST for n in size):
        count += 1
    return count
