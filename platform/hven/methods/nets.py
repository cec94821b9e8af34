"""Networks: small equinox modules of float32 that know their own shape, so that they are saved without pickle."""

from typing import Any, ClassVar

from hven.errors import MissingDependencyError, ParameterError

try:
    import equinox as eqx
except ImportError as _error:
    raise MissingDependencyError(
        "hven.methods.nets is made of equinox modules, and equinox is not installed",
        hint="Install it with: pip install 'hven[science]'",
    ) from _error

from hven.methods._stored_net import StoredNet
from hven.methods._style_gan import ImageCritic, StyleGenerator
from hven.methods._unet import DenoisingMLP, UNet

__all__ = ["ACTIVATIONS", "MLP", "DenoisingMLP", "ImageCritic", "StyleGenerator", "UNet"]

ACTIVATIONS = ("gelu", "relu", "silu", "softplus", "tanh")
"""Names of the activations that a network may have: those of `jax.nn`."""


class MLP(StoredNet):
    """A fully connected network of one row: (n_in,) -> (n_out,); map it over rows with `jax.vmap`.

    Parameters
    ----------
    n_in, n_out
        Lengths of input and output.
    width, depth
        Neurons per hidden layer, and hidden layers; none makes it linear.
    activation
        One of `ACTIVATIONS`.
    residual
        Adds the input of each hidden layer but the first to its output.
    seed
        Of the initial weights.

    Raises
    ------
    ParameterError
        The activation is not known.

    Examples
    --------
    >>> net = MLP(3, 2, width=8, depth=1, seed=4)
    >>> import jax.numpy as jnp
    >>> net(jnp.ones(3)).shape, net.spec()["width"]
    ((2,), 8)
    """

    kind: ClassVar[str] = "mlp"
    layers: tuple[Any, ...]
    n_in: int = eqx.field(static=True)
    n_out: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    depth: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    residual: bool = eqx.field(static=True)

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        width: int = 64,
        depth: int = 2,
        activation: str = "gelu",
        residual: bool = False,
        seed: int = 0,
    ) -> None:
        import jax
        import jax.numpy as jnp

        if activation not in ACTIVATIONS:
            raise ParameterError(
                f"activation is {activation!r}", expected=f"one of {', '.join(ACTIVATIONS)}", hint="Choose one."
            )
        self.n_in, self.n_out, self.width, self.depth = n_in, n_out, width, depth
        self.activation, self.residual = activation, residual
        sizes = [n_in, *[width] * depth, n_out]
        keys = jax.random.split(jax.random.key(seed), depth + 1)
        self.layers = tuple(
            eqx.nn.Linear(a, b, key=key, dtype=jnp.float32) for a, b, key in zip(sizes, sizes[1:], keys, strict=False)
        )

    def __call__(self, x: Any) -> Any:
        """Return the output (n_out,) for one input (n_in,)."""
        import jax

        bend = getattr(jax.nn, self.activation)
        for number, layer in enumerate(self.layers[:-1]):
            y = bend(layer(x))
            x = x + y if self.residual and number > 0 else y
        return self.layers[-1](x)
