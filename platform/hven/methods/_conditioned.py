"""What generators of images share: parameters scaled to their range, rows checked, ids that random numbers follow."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError
from hven.methods._varying import varies
from hven.methods.train import Scaler

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Ranges:
    """Lowest and highest value of each of p parameters, each (p,)."""

    low: Array
    high: Array

    @classmethod
    def of(cls, theta: Array) -> "Ranges":
        """Return the ranges of parameters (n, p)."""
        return cls(theta.min(axis=0), theta.max(axis=0))

    @property
    def n(self) -> int:
        """How many parameters there are."""
        return len(self.low)

    def to_unit(self, theta: Array) -> Array:
        """Return parameters with their range going from 0 to 1; one that never varied is 0.5."""
        width = self.high - self.low
        return np.asarray(np.where(width > 0, (theta - self.low) / np.where(width > 0, width, 1.0), 0.5))

    def hold(self, theta: Array) -> NDArray[np.bool_]:
        """Return which rows of `theta` (n, p) lie within all ranges."""
        return np.asarray(np.all((theta >= self.low) & (theta <= self.high), axis=1))


@dataclass(frozen=True)
class Prepared:
    """Training data made ready: standardised values (n, ...), parameters in [0, 1] (n, p), and how they were made."""

    rows: dict[str, Array]
    pixels: Scaler
    limits: tuple[Array, Array]
    theta: Ranges


def prepared(x: ArrayLike, theta: ArrayLike | None, where: str) -> Prepared:
    """Return images (n, channels, y, x) or vectors (n, d) and their parameters (n, p) made ready for training.

    Raises
    ------
    DataRefusedError
        Shapes that do not fit, values that are not finite, or a channel with one value only.
    TooFewObjectsError
        Fewer than two rows.
    """
    values = np.asarray(x, dtype=np.float32)
    if values.ndim not in {2, 4}:
        raise DataRefusedError(
            f"x has shape {values.shape}", where=where, expected="(n, channels, y, x), or (n, d)",
            hint="Give one image a row.",
        )  # fmt: skip
    if len(values) < 2:
        raise TooFewObjectsError(f"{len(values)} rows to learn from", where=where, hint="Give more.")
    known = np.zeros((len(values), 0)) if theta is None else np.asarray(theta, dtype=np.float64)
    known = known[:, None] if known.ndim == 1 else known
    if len(known) != len(values):
        raise DataRefusedError(
            f"{len(values)} rows and {len(known)} of parameters", where=where, hint="Give parameters of each row."
        )
    for name, given in (("x", values), ("theta", known)):
        if not np.isfinite(given).all():
            raise DataRefusedError(
                f"{int((~np.isfinite(given)).sum())} values of {name} are not finite", where=where,
                hint="Leave those rows out.",
            )  # fmt: skip
    over, shape = ((0, 2, 3), (-1, 1, 1)) if values.ndim == 4 else (0, (-1,))
    mean, std = (f(values, axis=over, dtype=np.float64).reshape(shape) for f in (np.mean, np.std))
    if not (varies(values, over) & (std.ravel() > 0)).all():
        raise DataRefusedError(
            "a channel has one value only", where=where, expected="values that vary", hint="Leave it out."
        )
    pixels, ranges = Scaler(mean, std), Ranges.of(known)
    standard = ((values - mean.astype(np.float32)) / std.astype(np.float32)).astype(np.float32)
    low, high = (f(standard, axis=over).astype(np.float64).reshape(shape) for f in (np.min, np.max))
    rows: dict[str, Any] = {"x": standard, "theta": ranges.to_unit(known)}
    return Prepared(rows, pixels, (low, high), ranges)


def check_fits(net: Any, shape: tuple[int, ...], p: int, where: str) -> None:
    """Refuse data of another shape, or with another number of parameters, than a network is made for."""
    spec = net.spec()
    wanted = (spec["channels"], *spec["size"]) if "channels" in spec else (spec["n"],)
    if tuple(shape) != wanted or spec["n_theta"] != p:
        raise DataRefusedError(
            f"data of shape {tuple(shape)} with {p} parameters", where=where,
            expected=f"shape {wanted} and {spec['n_theta']} parameters, which the network is made for",
            hint="Make a network for these data.",
        )  # fmt: skip


def n_of(theta: ArrayLike | None, n: int | None, where: str) -> int:
    """Return how many are to be drawn; raises ParameterError when nothing says so, or two say different things."""
    count = n if theta is None else len(np.asarray(theta))
    if count is None or (n is not None and n != count):
        raise ParameterError(
            f"n is {n}" + (f" and theta has {count} rows" if count is not None else ""), where=where,
            expected="theta with a row for each, or n", hint="Give one of them.",
        )  # fmt: skip
    return count


def check_trained(has_diverged: bool, where: str) -> None:
    """Refuse to draw from a model whose loss stopped being finite: its weights are those of some step before."""
    if has_diverged:
        raise DataRefusedError(
            "the training of the model diverged", where=where, expected="a loss that stayed finite",
            hint="Train again with a lower learning_rate.",
        )  # fmt: skip


def checked_rows(theta: ArrayLike, p: int) -> Array:
    """Return `theta` as (n, p), or refuse it."""
    rows = np.asarray(theta, dtype=np.float64)
    rows = rows[:, None] if rows.ndim == 1 and p == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != p or not np.isfinite(rows).all():
        raise DataRefusedError(
            f"theta has shape {rows.shape}" if np.isfinite(rows).all() else "theta has values that are not finite",
            expected=f"finite numbers of shape (n, {p})", hint="The model was trained with that many parameters.",
        )  # fmt: skip
    return rows


def id_words(ids: ArrayLike | None, count: int) -> NDArray[np.uint32]:
    """Return ids as two words each, (n, 2), for `jax.random.fold_in`; 0, 1, 2... when there are none."""
    numbers = np.arange(count) if ids is None else np.asarray(ids).astype(np.int64)
    return np.stack([numbers & 0xFFFFFFFF, (numbers >> 32) & 0xFFFFFFFF], axis=1).astype(np.uint32)


def keys_of(seed: int, words: Any) -> Any:
    """Return a key for each id (n, 2); for compiled code."""
    import jax

    start = jax.random.key(seed)
    return jax.vmap(lambda word: jax.random.fold_in(jax.random.fold_in(start, word[0]), word[1]))(words)


def normal(keys: Any, number: Any, shape: tuple[int, ...]) -> Any:
    """Return standard normal numbers of `shape` for each key, those of step `number`, float32."""
    import jax
    import jax.numpy as jnp

    return jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, number), shape, jnp.float32))(keys)
