"""Scaling laws: a loss that falls as a power of size down to a floor, L = L_inf + a N^-b."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError
from hven.methods.least_squares import batched_lm

__all__ = ["ScalingFit", "fit"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ScalingFit:
    """A power law with a floor, and its replicates.

    Attributes
    ----------
    floor, amplitude, exponent
        L_inf, a and b of L = L_inf + a N^-b.
    floor_interval, amplitude_interval, exponent_interval
        Bootstrap intervals (lower, upper) at `level`. Where the data do not tell a floor, its interval begins at 0.
    replicates
        Of (floor, amplitude, exponent), shape (n_boot, 3).
    scatter
        Root mean square of the residuals of ln L.
    level
        Of the intervals.
    """

    floor: float
    amplitude: float
    exponent: float
    floor_interval: tuple[float, float]
    amplitude_interval: tuple[float, float]
    exponent_interval: tuple[float, float]
    replicates: Array
    scatter: float
    level: float

    def predict(self, size: ArrayLike) -> Array:
        """Return L at sizes N, of their shape."""
        return np.asarray(self.floor + self.amplitude * np.asarray(size, dtype=np.float64) ** -self.exponent)

    def interval(self, size: ArrayLike) -> tuple[Array, Array]:
        """Return the lower and upper end of the interval of L at sizes N, over the replicates."""
        n = np.asarray(size, dtype=np.float64)
        floor, amplitude, exponent = (v.reshape(-1, *(1,) * n.ndim) for v in self.replicates.T)
        ends = np.quantile(floor + amplitude * n**-exponent, [0.5 - 0.5 * self.level, 0.5 + 0.5 * self.level], axis=0)
        return ends[0], ends[1]


def fit(
    size: ArrayLike,
    loss: ArrayLike,
    *,
    loss_err: ArrayLike | None = None,
    floor: float | None = None,
    n_boot: int = 200,
    level: float = 0.6827,
    seed: int = 0,
) -> ScalingFit:
    """Return the power law with a floor, L_inf >= 0, that fits best: in ln L or, with errors, in units of them.

    The search starts from the best of ten floors, for each of which ln(L - L_inf) is a straight line in ln N. Intervals
    come from fits to model times exp(residuals drawn anew) or, with errors, to model plus draws of them; residuals of
    few points are widened for the three parameters.

    Parameters
    ----------
    size, loss
        N and L, shape (n,), positive; rows with a missing value are left out.
    loss_err
        1-sigma errors of L, shape (n,); None: equal in ln L.
    floor
        Fix L_inf, at 0 for a pure power law.
    n_boot, level, seed
        Of the bootstrap.

    Raises
    ------
    DataRefusedError
        Shapes differ, a value is not positive, or there are fewer than four sizes (three with a fixed floor).
    ParameterError
        The fixed floor is negative or not below all losses, or `n_boot` is too small.

    Examples
    --------
    >>> size = np.geomspace(1e2, 1e6, 12)
    >>> law = fit(size, 0.1 + 3 * size**-0.5, n_boot=50)
    >>> round(law.floor, 4), round(law.amplitude, 3), round(law.exponent, 4)
    (0.1, 3.0, 0.5)
    """
    n, value = np.asarray(size, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    err = None if loss_err is None else np.asarray(loss_err, dtype=np.float64)
    n, value, err = _complete(n, value, err, 4 if floor is None else 3)
    if n_boot < 10 or (floor is not None and not 0 <= floor < value.min()):
        raise ParameterError(
            f"floor is {floor}, n_boot {n_boot}; the smallest loss is {value.min():g}",
            where="scaling.fit",
            expected="0 <= floor < the smallest loss, n_boot of 10 or more",
            hint="Leave the floor out to have it fitted.",
        )
    best = _fitted(n, value[None], err, floor)[0]
    model = best[0] + best[1] * n ** -best[2]
    residual = np.log(value / model)
    rng = np.random.default_rng(seed)
    if err is None:
        freedom = np.sqrt(len(n) / max(len(n) - (3 if floor is None else 2), 1))
        drawn = model * np.exp(freedom * rng.choice(residual - residual.mean(), (n_boot, len(n))))
    else:
        drawn = np.maximum(model + err * rng.normal(size=(n_boot, len(n))), 1e-3 * model)
    replicates = _fitted(n, drawn, err, floor)
    low, high = np.quantile(replicates, [0.5 - 0.5 * level, 0.5 + 0.5 * level], axis=0)
    ends = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    scatter = float(np.sqrt(np.mean(residual**2)))
    lowest, amplitude, exponent = (float(v) for v in best)
    return ScalingFit(lowest, amplitude, exponent, ends[0], ends[1], ends[2], replicates, scatter, level)


def _complete(n: Array, value: Array, err: Array | None, least: int) -> tuple[Array, Array, Array | None]:
    if n.ndim != 1 or value.shape != n.shape or (err is not None and err.shape != n.shape):
        raise DataRefusedError(
            f"sizes {n.shape}, losses {value.shape}", where="scaling.fit", expected="(n,) all", hint="Align them."
        )
    known = np.isfinite(n) & np.isfinite(value) & (True if err is None else np.isfinite(err))
    n, value, err = n[known], value[known], None if err is None else err[known]
    is_positive = np.all(n > 0) and np.all(value > 0) and (err is None or np.all(err > 0))
    if not is_positive or len(np.unique(n)) < least:
        raise DataRefusedError(
            f"{len(np.unique(n))} different sizes, all positive: {bool(is_positive)}",
            where="scaling.fit",
            expected=f"{least} or more different sizes; sizes, losses and errors above 0",
            hint="Add sizes, fix the floor at 0, or subtract nothing from the losses.",
        )
    return n, value, err


def _fitted(n: Array, values: Array, err: Array | None, floor: float | None) -> Array:
    """Return floor, amplitude and exponent, (rows, 3), of rows of losses (rows, n)."""
    x = np.log(n) - np.mean(np.log(n))  # the amplitude in the middle hardly depends on the exponent
    scale = values.min(axis=1)
    args = (np.broadcast_to(x, values.shape), values / scale[:, None])
    limits = [0.0 if floor is None else floor / scale, 10.0 if floor is None else floor / scale]
    lower, upper = (np.stack([np.broadcast_to(v, scale.shape), w + 0 * scale, b + 0 * scale], axis=1)
                    for v, w, b in zip(limits, (-np.inf, np.inf), (1e-4, 10.0), strict=True))  # fmt: skip
    start = _start(x, args[1], None if floor is None else floor / scale)
    if err is None:
        found = batched_lm(_relative, start, args, bounds=(lower, upper), max_steps=200)
    else:
        errors = np.broadcast_to(err, values.shape) / scale[:, None]
        found = batched_lm(_absolute, start, (*args, errors), bounds=(lower, upper), max_steps=200)
    fraction, level, exponent = found.p.T
    return np.stack([fraction * scale, scale * np.exp(level + exponent * np.mean(np.log(n))), exponent], axis=1)


def _start(x: Array, values: Array, floor: Array | None) -> Array:
    """Return where to start: of ten floors the one whose straight line in ln(L - floor) leaves the least in ln L."""
    tried = np.concatenate([np.linspace(0, 0.9, 8), [0.95, 0.99]]) if floor is None else np.zeros(1)
    best, least = np.empty((len(values), 3)), np.full(len(values), np.inf)
    for fraction in tried:
        at = np.full(len(values), fraction) if floor is None else floor
        above = np.maximum(values - at[:, None], 1e-3)
        weight = (above / values) ** 2
        mean_x, mean_y = (np.sum(weight * v, axis=1) / weight.sum(axis=1) for v in (x, np.log(above)))
        off = x - mean_x[:, None]
        slope = np.sum(weight * off * np.log(above), axis=1) / np.sum(weight * off**2, axis=1)
        line = np.stack([at, mean_y - slope * mean_x, np.clip(-slope, 1e-3, 9.0)], axis=1)
        model = at[:, None] + np.exp(line[:, 1:2] - line[:, 2:] * x)
        cost = np.sum(np.log(values / model) ** 2, axis=1)
        best, least = np.where((cost < least)[:, None], line, best), np.minimum(cost, least)
    return best


def _relative(p: Any, x: Any, value: Any) -> Any:
    import jax.numpy as jnp

    return jnp.log(value) - jnp.log(p[0] + jnp.exp(p[1] - p[2] * x))


def _absolute(p: Any, x: Any, value: Any, err: Any) -> Any:
    import jax.numpy as jnp

    return (value - p[0] - jnp.exp(p[1] - p[2] * x)) / err
