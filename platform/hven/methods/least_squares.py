"""Least squares for many small problems at once: Levenberg-Marquardt, each row with its own damping and its own end.

`batched_lm` minimises for each row i::

    1/2 |r_i(p)|^2 + 1/2 (p - m_i)^T P_i (p - m_i)      within bounds,

all rows together in JAX. Rows that have converged leave the batch and waiting ones take their places, so that a slow
row costs no more than itself, and one compiled shape serves any number of rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError
from hven.methods._least_squares_steps import (
    NOT_FINITE,
    RUNNING,
    Minimum,
    Rows,
    State,
    compiled_steps,
    slots_for,
)
from hven.methods.precision import in_float64

__all__ = ["STATUS", "LeastSquaresFit", "batched_lm"]

Array = NDArray[np.float64]

STATUS = {
    0: "max_steps: stopped before it converged",
    1: "cost: the last step changed the cost by less than 1e-8 of itself",
    2: "step: the step became negligible",
    3: "gradient: the gradient vanishes",
    -1: "not_finite: the residuals at the start, or the start itself, are not finite",
    -2: "stuck: no step lowers the cost, however short",
}
"""What the status codes mean; positive ones have converged."""


@dataclass(frozen=True)
class LeastSquaresFit:
    """The minima of n problems of k parameters.

    Attributes
    ----------
    p
        Parameters, shape (n, k); NaN where the status is negative one.
    cov
        Their covariance, shape (n, k, k): the inverse of J^T J + P at the minimum, times chi^2 / (m - k) where that
        exceeds one. Rows and columns of parameters that stand at a bound are NaN; so is all of it where J^T J + P is
        singular.
    cost
        Half the sum of squares, the prior's part included, shape (n,).
    chi2
        The sum of squared residuals alone, shape (n,).
    status
        Why each row ended, shape (n,): the keys of `STATUS`.
    n_steps
        Steps that were tried from the start that won, shape (n,).
    at_bound
        Whether each parameter stands at one of its bounds, shape (n, k).
    """

    p: Array
    cov: Array
    cost: Array
    chi2: Array
    status: NDArray[np.int8]
    n_steps: NDArray[np.int32]
    at_bound: NDArray[np.bool_]

    @property
    def err(self) -> Array:
        """1-sigma errors, shape (n, k)."""
        return np.sqrt(np.diagonal(self.cov, axis1=1, axis2=2))

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether each row has converged, shape (n,)."""
        return self.status > 0


@in_float64
def batched_lm(
    residual_fn: Callable[..., Any],
    p0: ArrayLike,
    args: tuple[ArrayLike, ...] = (),
    *,
    prior: tuple[ArrayLike, ArrayLike] | None = None,
    bounds: tuple[ArrayLike, ArrayLike] | None = None,
    n_starts: int = 1,
    max_steps: int = 60,
) -> LeastSquaresFit:
    """Return the least-squares parameters of many independent problems of one shape, with errors and reasons.

    Levenberg-Marquardt in the form of Marquardt (1963, doi:10.1137/0111030): with J the Jacobian (forward
    differentiation) and H = J^T J + P, the step is d = -(H + lambda diag H)^-1 g; where the cost falls, it is taken and
    lambda shrinks by 0.3, elsewhere lambda grows by 4. Parameters at a bound whose gradient points outwards are held
    in the step, and what leaves the bounds is projected back. Rows know nothing of each other: the result of one does
    not depend on the others or on their order.

    Parameters
    ----------
    residual_fn
        ``residual_fn(p, *row)`` with p (k,) and each element of `args` without its first axis; returns residuals (m,)
        in units of their errors, computed with `jax.numpy`. Pixels without data give 0. It is compiled once as long as
        it is the same function: define it at the top of a module, not inside a loop.
    p0
        Where to start, shape (n, k), or (k,) for the same start in all rows.
    args
        Arrays with the n rows along their first axis.
    prior
        Mean m, (k,) or (n, k), and precision P (inverse covariance), (k, k) or (n, k, k), of a Gaussian prior.
    bounds
        Lower and upper limits, each (k,) or (n, k) or one number; infinite where there are none.
    n_starts
        Starts per row, of which the lowest minimum counts. The first is `p0`; the others fill the bounds evenly, or
        the prior where a parameter has no finite bounds.
    max_steps
        The most steps per start.

    Raises
    ------
    DataRefusedError
        Arrays do not have the same number of rows, or a lower bound is above its upper one.
    ParameterError
        Several starts are asked for, and a parameter has neither finite bounds nor a prior.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> def decay(p, t, y):
    ...     return (y - p[0] * jnp.exp(-t / p[1])) / 0.01
    >>> t = np.tile(np.linspace(0, 5, 50), (3, 1))
    >>> truth = np.array([[1.0, 0.5], [2.0, 1.0], [3.0, 2.0]])
    >>> y = truth[:, :1] * np.exp(-t / truth[:, 1:])
    >>> fit = batched_lm(decay, [1.0, 1.0], (t, y))
    >>> np.abs(fit.p - truth).max() < 1e-6, fit.converged.tolist()
    (np.True_, [True, True, True])
    """
    rows, first = _rows(p0, args, prior, bounds)
    n, k = first.shape
    starts = np.stack([first, *_further_starts(rows, n_starts - 1, has_prior=prior is not None)])
    state, minimum = _minimise(residual_fn, rows, starts.reshape(-1, k), max_steps)
    found = (values.reshape(n_starts, n, *values.shape[1:]) for values in (*state, *minimum))
    p, _, n_steps, status, cost, chi2, cov = found
    lowest = np.argmin(np.where(np.isfinite(cost), cost, np.inf), axis=0)
    p, n_steps, status, cost, chi2, cov = (v[lowest, np.arange(n)] for v in (p, n_steps, status, cost, chi2, cov))
    p[status == NOT_FINITE] = np.nan
    return LeastSquaresFit(p, cov, cost, chi2, status, n_steps, (p <= rows.lower) | (p >= rows.upper))


def _minimise(residual_fn: Callable[..., Any], rows: Rows, starts: Array, max_steps: int) -> tuple[State, Minimum]:
    """Keep a fixed number of slots filled with searches that have not ended, until none is left.

    Search number s is that of row s modulo the number of rows.
    """
    (n, k), total = rows.lower.shape, len(starts)
    state, minimum = State.at(starts), Minimum.unknown(total, k)
    slots = slots_for(residual_fn, rows, total)
    steps = compiled_steps(residual_fn, max_steps)
    running, next_one = np.arange(0), 0
    while next_one < total or len(running):
        taken = np.arange(next_one, min(next_one + slots - len(running), total))
        running, next_one = np.concatenate([running, taken]), next_one + len(taken)
        filled = np.resize(running, slots)  # what is left over does the work of others once more
        new_state, new_minimum = steps(State(*(v[filled] for v in state)), rows.take(filled % n))
        for values, new in zip((*state, *minimum), (*new_state, *new_minimum), strict=True):
            values[running] = np.asarray(new)[: len(running)]
        ended = (state.status[running] != RUNNING) | (state.n_steps[running] >= max_steps)
        running = running[~ended]
    return state, minimum


def _rows(
    p0: ArrayLike,
    args: tuple[ArrayLike, ...],
    prior: tuple[ArrayLike, ArrayLike] | None,
    bounds: tuple[ArrayLike, ArrayLike] | None,
) -> tuple[Rows, Array]:
    start = np.asarray(p0, dtype=np.float64)
    arrays = tuple(_as_numbers(values) for values in args)
    lengths = {len(values) for values in arrays} | ({len(start)} if start.ndim == 2 else set())
    if len(lengths) > 1 or start.ndim not in {1, 2} or not lengths:
        raise DataRefusedError(
            f"p0 has shape {start.shape}, and the arguments {[v.shape for v in arrays]}",
            where="batched_lm",
            expected="p0 (k,) or (n, k) and arguments (n, ...) with the same n",
            hint="Give what is common to all rows inside residual_fn, not in args.",
        )
    n, k = lengths.pop(), start.shape[-1]
    lower, upper = (-np.inf, np.inf) if bounds is None else bounds
    mean, precision = (0.0, np.zeros((k, k))) if prior is None else prior
    rows = Rows(
        lower=_broadcast("the lower bound", lower, (n, k)),
        upper=_broadcast("the upper bound", upper, (n, k)),
        mean=_broadcast("the prior's mean", mean, (n, k)),
        precision=_broadcast("the prior's precision", precision, (n, k, k)),
        args=arrays,
    )
    if np.any(rows.lower > rows.upper):
        raise DataRefusedError(
            "a lower bound is above its upper bound", where="batched_lm", hint="Give bounds as (lower, upper)."
        )
    return rows, np.clip(np.broadcast_to(start, (n, k)), rows.lower, rows.upper)


def _as_numbers(values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _broadcast(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Array:
    array = np.asarray(values, dtype=np.float64)
    try:
        return np.broadcast_to(array, shape)
    except ValueError as error:
        raise DataRefusedError(
            f"{name} has shape {array.shape}", where="batched_lm", expected=f"{shape}", hint="Align the arrays."
        ) from error


def _further_starts(rows: Rows, count: int, *, has_prior: bool) -> list[Array]:
    """Return starts (n, k) that fill bounds or prior evenly: the same points of a Halton sequence for every row."""
    if count < 1:
        return []
    from scipy.special import ndtri
    from scipy.stats.qmc import Halton

    bounded = np.isfinite(rows.lower) & np.isfinite(rows.upper)
    stiffness = np.diagonal(rows.precision, axis1=1, axis2=2)
    if not np.all(bounded | (has_prior & (stiffness > 0))):
        raise ParameterError(
            f"{count + 1} starts, and a parameter has neither finite bounds nor a prior",
            where="batched_lm",
            expected="n_starts=1, or a range for every parameter",
            hint="Give bounds=(lower, upper) or prior=(mean, precision).",
        )
    low, high = np.where(bounded, rows.lower, 0.0), np.where(bounded, rows.upper, 1.0)
    width = 1 / np.sqrt(np.where(stiffness > 0, stiffness, 1.0))
    points = Halton(rows.lower.shape[1], scramble=False).random(count + 1)[1:]
    drawn = (np.where(bounded, low + (high - low) * u, rows.mean + width * ndtri(u)) for u in points)
    return [np.clip(start, rows.lower, rows.upper) for start in drawn]
