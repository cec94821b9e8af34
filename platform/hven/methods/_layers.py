"""Layers that networks of images are made of: float32, first weights drawn by NumPy, which compiles nothing for it."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

GROUPS = 8
"""Groups of channels that are normalised together, at most."""


class Dense(eqx.Module):
    """A linear layer of one row: (n_in,) -> (n_out,)."""

    weight: Any
    bias: Any

    def __init__(self, n_in: int, n_out: int, rng: np.random.Generator, gain: float = 1.0) -> None:
        self.weight = _uniform((n_out, n_in), n_in, rng, gain)
        self.bias = jnp.zeros(n_out, jnp.float32)

    def __call__(self, x: Any) -> Any:
        return self.weight @ x + self.bias


class Convolution(eqx.Module):
    """A convolution of one image: (n_in, y, x) -> (n_out, y / stride, x / stride), across the edges when periodic."""

    weight: Any
    bias: Any
    stride: int = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: int,
        rng: np.random.Generator,
        *,
        periodic: bool = False,
        stride: int = 1,
        gain: float = 1.0,
    ) -> None:
        self.stride, self.periodic = stride, periodic
        self.weight = _uniform((n_out, n_in, kernel, kernel), n_in * kernel**2, rng, gain)
        self.bias = jnp.zeros((n_out, 1, 1), jnp.float32)

    def __call__(self, x: Any) -> Any:
        return convolved(x, self.weight, periodic=self.periodic, stride=self.stride) + self.bias


class Norm(eqx.Module):
    """Groups of channels of one image (n, y, x) brought to mean 0 and spread 1, then scaled and shifted."""

    scale: Any
    shift: Any
    groups: int = eqx.field(static=True)

    def __init__(self, n: int) -> None:
        # A channel alone would lose what is added to all its pixels: all that a network is told beside the image.
        self.groups = next(g for g in range(min(GROUPS, max(n // 2, 1)), 0, -1) if n % g == 0)
        self.scale, self.shift = (np.full((n, 1, 1), value, np.float32) for value in (1.0, 0.0))
        self.scale, self.shift = jnp.asarray(self.scale), jnp.asarray(self.shift)

    def __call__(self, x: Any) -> Any:
        parts = x.reshape(self.groups, -1)
        centred = parts - parts.mean(axis=1, keepdims=True)
        spread = jnp.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
        return (centred / spread).reshape(x.shape) * self.scale + self.shift


def convolved(x: Any, weight: Any, *, periodic: bool, stride: int = 1) -> Any:
    """Return an image (n_in, y, x) convolved with `weight` (n_out, n_in, k, k), padded to keep its size."""
    edge = weight.shape[-1] // 2
    if edge:
        x = jnp.pad(x, ((0, 0), (edge, edge), (edge, edge)), mode="wrap" if periodic else "constant")
    return jax.lax.conv_general_dilated(x[None], weight, (stride, stride), "VALID")[0]


def doubled(x: Any) -> Any:
    """Return an image (n, y, x) with each pixel twice along both axes."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def halved(x: Any) -> Any:
    """Return an image (n, y, x) with two by two pixels averaged."""
    n, height, width = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4))


def _uniform(shape: tuple[int, ...], n_in: int, rng: np.random.Generator, gain: float) -> Any:
    """Return weights of mean 0 that keep the variance of n_in inputs, times `gain`^2."""
    reach = gain * np.sqrt(3 / n_in)
    return jnp.asarray(rng.uniform(-1.0, 1.0, shape) * reach, jnp.float32)
