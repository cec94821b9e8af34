"""Networks that take the noise out of an image or a vector, told how noisy it is and what it should show.

Both take ``(x, t, theta, is_known)`` of one object: the noisy thing, the number of its noise level, its parameters, and
whether these are to be looked at. Where they are not, a learned vector stands in their place: no value of the
parameters means "any", as a corner of their range would.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from hven.errors import ParameterError
from hven.methods._layers import Convolution, Dense, Norm, doubled
from hven.methods._stored_net import StoredNet


class Embedding(eqx.Module):
    """The noise level and the parameters of one object as one vector (width,)."""

    first: Any
    second: Any
    theta: Any
    null: Any
    waves: int = eqx.field(static=True)

    def __init__(self, n_theta: int, waves: int, width: int, rng: np.random.Generator) -> None:
        self.waves = 2 * (waves // 2)  # sines and cosines come in pairs
        self.first, self.second = Dense(self.waves, width, rng), Dense(width, width, rng)
        self.theta = (Dense(n_theta, width, rng), Dense(width, width, rng)) if n_theta else None
        self.null = jnp.asarray(0.02 * rng.normal(size=width), jnp.float32) if n_theta else None

    def __call__(self, t: Any, theta: Any, is_known: Any) -> Any:
        half = self.waves // 2
        rate = jnp.exp(-np.log(10_000.0) * jnp.arange(half) / half)
        phase = jnp.asarray(t, jnp.float32) * rate
        value = self.first(jnp.concatenate([jnp.sin(phase), jnp.cos(phase)]))
        value = self.second(jax.nn.silu(value))
        if self.theta is not None:
            of_theta = self.theta[1](jax.nn.silu(self.theta[0](2 * theta - 1)))
            value = value + jnp.where(is_known, of_theta, self.null)
        return jax.nn.silu(value)


class UNet(StoredNet):
    """A U-Net that predicts the noise in an image (channels, y, x), given its level and parameters.

    Residual blocks at halving resolutions and back, with skips across (Ronneberger et al., arXiv:1505.04597; Ho et al.,
    arXiv:2006.11239); the embedding of level and parameters is added in each. The paper of the family `generative`
    (arXiv:2307.09568) has ``base=96, multipliers=(1, 2, 3, 4), blocks=3, attention=(16, 8)``.

    Parameters
    ----------
    channels
        Of the image.
    size
        Pixels along y and x, or along both; divisible by 2 as often as there are multipliers but one.
    n_theta
        Parameters of an image; none makes it unconditional.
    base, multipliers
        Channels at full resolution, two or more, and by what they are multiplied at each halving.
    blocks
        Residual blocks at each resolution, on the way down and up.
    attention
        Heights in pixels at which pixels also look at each other from afar.
    heads
        Of the attention; it divides the channels there.
    periodic
        Whether images are of a periodic box: convolutions then go across its edges.
    seed
        Of the initial weights.

    Raises
    ------
    ParameterError
        The size cannot be halved that often, heads do not divide the channels, or there is one channel only.

    Examples
    --------
    >>> net = UNet(1, 8, n_theta=2, base=8, multipliers=(1, 2), seed=3)
    >>> jax.eval_shape(lambda x: net(x, 5, jnp.zeros(2), True), jnp.ones((1, 8, 8))).shape
    (1, 8, 8)
    """

    kind: ClassVar[str] = "unet"
    embedding: Embedding
    stem: Any
    down: tuple[Any, ...]
    middle: tuple[Any, ...]
    up: tuple[Any, ...]
    norm: Any
    out: Any
    channels: int = eqx.field(static=True)
    size: tuple[int, int] = eqx.field(static=True)
    n_theta: int = eqx.field(static=True)
    base: int = eqx.field(static=True)
    multipliers: tuple[int, ...] = eqx.field(static=True)
    blocks: int = eqx.field(static=True)
    attention: tuple[int, ...] = eqx.field(static=True)
    heads: int = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        size: int | tuple[int, int],
        *,
        n_theta: int = 0,
        base: int = 32,
        multipliers: tuple[int, ...] = (1, 2),
        blocks: int = 1,
        attention: tuple[int, ...] = (),
        heads: int = 4,
        periodic: bool = False,
        seed: int = 0,
    ) -> None:
        self.channels, self.n_theta, self.base, self.blocks = channels, n_theta, base, blocks
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        self.multipliers, self.attention = tuple(multipliers), tuple(attention)
        self.heads, self.periodic = heads, periodic
        halvings = len(self.multipliers) - 1
        if halvings < 0 or any(n < 1 or n % 2**halvings for n in self.size):
            raise ParameterError(
                f"images of {self.size[0]} x {self.size[1]} pixels cannot be halved {max(halvings, 0)} times",
                where="nets.UNet", expected=f"sizes that {2 ** max(halvings, 0)} divides",
                hint="Give fewer multipliers, or cut or pad the images.",
            )  # fmt: skip
        if base < 2 or min(self.multipliers) < 1:
            raise ParameterError(
                f"base={base} with multipliers {self.multipliers}", where="nets.UNet",
                expected="2 channels or more: one alone cannot be told of noise level and parameters",
                hint="Give a larger base.",
            )  # fmt: skip
        rng = np.random.default_rng(seed)
        width, wide = 4 * base, [base * m for m in self.multipliers]
        at = [self.size[0] >> level in self.attention for level in range(len(wide))]
        self.embedding = Embedding(n_theta, base, width, rng)
        self.stem = Convolution(channels, base, 3, rng, periodic=periodic)

        def stages(n_in: list[int], n_out: int, looks: bool) -> tuple[Any, ...]:
            return tuple(
                (Residual(n, n_out, width, rng, periodic), Attention(n_out, heads, rng) if looks else None)
                for n in n_in
            )

        down, up, now = [], [], base
        for level, n in enumerate(wide):
            halve = Convolution(n, n, 3, rng, periodic=periodic, stride=2) if level < halvings else None
            down.append((stages([now] + [n] * (blocks - 1), n, at[level]), halve))
            now = n
        looks = Attention(now, heads, rng) if self.attention else None
        self.middle = (Residual(now, now, width, rng, periodic), looks, Residual(now, now, width, rng, periodic))
        for level in range(halvings, -1, -1):
            n = wide[level]
            widen = Convolution(n, wide[level - 1], 3, rng, periodic=periodic) if level else None
            up.append((stages([now + n] + [2 * n] * (blocks - 1), n, at[level]), widen))
            now = wide[level - 1]
        self.down, self.up = tuple(down), tuple(up)
        self.norm = Norm(wide[0])
        self.out = Convolution(wide[0], channels, 3, rng, periodic=periodic, gain=0.0)

    def __call__(self, x: Any, t: Any, theta: Any, is_known: Any) -> Any:
        """Return the noise (channels, y, x) that is believed to be in `x`.

        Parameters
        ----------
        x
            The noisy image, shape (channels, y, x), in standardised units.
        t
            Number of its noise level.
        theta
            Its parameters scaled to [0, 1], shape (n_theta,).
        is_known
            Whether to look at them.
        """
        told = self.embedding(t, theta, is_known)
        value, skips = self.stem(x), []
        for stages, halve in self.down:
            for residual, look in stages:
                value = residual(value, told)
                value = value if look is None else look(value)
                skips.append(value)
            value = value if halve is None else halve(value)
        first, look, second = self.middle
        value = first(value, told)
        value = second(value if look is None else look(value), told)
        for stages, widen in self.up:
            for residual, look in stages:
                value = residual(jnp.concatenate([value, skips.pop()]), told)
                value = value if look is None else look(value)
            value = value if widen is None else widen(doubled(value))
        return self.out(jax.nn.silu(self.norm(value)))


class DenoisingMLP(StoredNet):
    """A residual network that predicts the noise in a vector (n,), given its level and parameters.

    Parameters
    ----------
    n
        Length of the vector.
    n_theta
        Parameters; none makes it unconditional.
    width, depth
        Neurons per hidden layer, and hidden layers.
    seed
        Of the initial weights.

    Examples
    --------
    >>> DenoisingMLP(2, n_theta=1, width=16, depth=2)(jnp.ones(2), 5, jnp.zeros(1), True).shape
    (2,)
    """

    kind: ClassVar[str] = "denoising-mlp"
    embedding: Embedding
    first: Any
    layers: tuple[Any, ...]
    last: Any
    n: int = eqx.field(static=True)
    n_theta: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    depth: int = eqx.field(static=True)

    def __init__(self, n: int, *, n_theta: int = 0, width: int = 128, depth: int = 3, seed: int = 0) -> None:
        self.n, self.n_theta, self.width, self.depth = n, n_theta, width, depth
        rng = np.random.default_rng(seed)
        self.embedding = Embedding(n_theta, 32, width, rng)
        self.first = Dense(n, width, rng)
        self.layers = tuple(Dense(2 * width, width, rng) for _ in range(depth))
        self.last = Dense(width, n, rng, gain=0.0)

    def __call__(self, x: Any, t: Any, theta: Any, is_known: Any) -> Any:
        """Return the noise (n,) that is believed to be in `x`; arguments as of `UNet`."""
        told = self.embedding(t, theta, is_known)
        value = self.first(x)
        for layer in self.layers:
            value = value + jax.nn.silu(layer(jnp.concatenate([value, told])))
        return self.last(value)


class Residual(eqx.Module):
    """Two convolutions beside a straight way, told of level and parameters between them."""

    norms: tuple[Any, Any]
    told: Any
    convolutions: tuple[Any, Any]
    straight: Any

    def __init__(self, n_in: int, n_out: int, width: int, rng: np.random.Generator, periodic: bool) -> None:
        self.norms = (Norm(n_in), Norm(n_out))
        self.told = Dense(width, n_out, rng)
        first = Convolution(n_in, n_out, 3, rng, periodic=periodic)
        self.convolutions = (first, Convolution(n_out, n_out, 3, rng, periodic=periodic, gain=0.0))
        self.straight = Convolution(n_in, n_out, 1, rng) if n_in != n_out else None

    def __call__(self, x: Any, told: Any) -> Any:
        value = self.convolutions[0](jax.nn.silu(self.norms[0](x)))
        value = value + self.told(told)[:, None, None]
        value = self.convolutions[1](jax.nn.silu(self.norms[1](value)))
        return value + (x if self.straight is None else self.straight(x))


class Attention(eqx.Module):
    """All pixels look at all others, beside a straight way."""

    norm: Any
    ask: Any
    answer: Any
    heads: int = eqx.field(static=True)

    def __init__(self, n: int, heads: int, rng: np.random.Generator) -> None:
        if n % heads:
            raise ParameterError(
                f"{heads} heads for {n} channels", where="nets.UNet", expected="heads that divide the channels",
                hint="Give another number of heads, base or multipliers.",
            )  # fmt: skip
        self.heads, self.norm = heads, Norm(n)
        self.ask, self.answer = Convolution(n, 3 * n, 1, rng), Convolution(n, n, 1, rng, gain=0.0)

    def __call__(self, x: Any) -> Any:
        n, height, width = x.shape
        query, key, value = self.ask(self.norm(x)).reshape(3, self.heads, n // self.heads, height * width)
        weight = jax.nn.softmax(jnp.einsum("hcp,hcq->hpq", query, key) / np.sqrt(n // self.heads), axis=-1)
        return x + self.answer(jnp.einsum("hpq,hcq->hcp", weight, value).reshape(n, height, width))
