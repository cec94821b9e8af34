"""The steps of Levenberg-Marquardt for a fixed number of rows, compiled once for a residual function and its shapes.

A row is re-evaluated at the start of each call, so that nothing but `State` has to travel between calls.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RUNNING, COST, STEP, GRADIENT, NOT_FINITE, STUCK = 0, 1, 2, 3, -1, -2

STEPS_PER_CALL = 6
_COST_TOLERANCE, _STEP_TOLERANCE, _GRADIENT_TOLERANCE = 1e-8, 1e-9, 1e-10
_FIRST_DAMPING, _LEAST_DAMPING, _LARGEST_DAMPING = 1e-3, 1e-12, 1e12
_SLOTS = (64, 256, 1024)
_SLOTS_OF_ACCELERATORS = (1024, 4096, 16384)
_UNROLLED = 10
"""Up to this many parameters the equations are solved by arithmetic written out, over twenty times LAPACK's speed."""


class Rows(NamedTuple):
    """What each of n problems is made of: limits (n, k), prior (n, k) and (n, k, k), and the arguments (n, ...)."""

    lower: Any
    upper: Any
    mean: Any
    precision: Any
    args: tuple[Any, ...]

    def take(self, which: NDArray[np.intp]) -> "Rows":
        """Return the problems at `which`."""
        args = tuple(values[which] for values in self.args)
        return Rows(self.lower[which], self.upper[which], self.mean[which], self.precision[which], args)


class State(NamedTuple):
    """Where each of n searches stands."""

    p: Any
    damping: Any
    n_steps: Any
    status: Any

    @classmethod
    def at(cls, start: Array) -> "State":
        """Return the state of searches that begin at `start`, shape (n, k)."""
        n = len(start)
        return cls(start.copy(), np.full(n, _FIRST_DAMPING), np.zeros(n, np.int32), np.zeros(n, np.int8))


class Minimum(NamedTuple):
    """What is known where a search stands: half the sum of squares with and chi2 without the prior, and errors."""

    cost: Any
    chi2: Any
    cov: Any

    @classmethod
    def unknown(cls, n: int, k: int) -> "Minimum":
        """Return n minima that are still to be found."""
        return cls(np.full(n, np.nan), np.full(n, np.nan), np.full((n, k, k), np.nan))


class _Point(NamedTuple):
    p: Any
    cost: Any
    chi2: Any
    gradient: Any
    hessian: Any
    n_used: Any


def slots_for(residual_fn: Callable[..., Any], rows: Rows, searches: int) -> int:
    """Return how many rows are computed at a time: what keeps residuals and Jacobians in the cache of a processor."""
    import jax

    k = rows.lower.shape[1]
    shape_of: Any = jax.ShapeDtypeStruct  # untyped in some releases of JAX
    shapes = [shape_of(values.shape[1:], values.dtype) for values in (rows.lower, *rows.args)]
    residuals = jax.eval_shape(residual_fn, *shapes)
    on_processor = jax.default_backend() == "cpu"
    sizes = _SLOTS if on_processor else _SLOTS_OF_ACCELERATORS
    bytes_of_row = 8 * (k + 2) * max(int(np.prod(residuals.shape)), 1)
    most = (4 if on_processor else 512) * 2**20 // bytes_of_row
    fitting = [size for size in sizes if size <= most] or [sizes[0]]
    return next((size for size in fitting if size >= searches), fitting[-1])


@lru_cache(maxsize=64)
def compiled_steps(residual_fn: Callable[..., Any], max_steps: int) -> Callable[[State, Rows], tuple[State, Minimum]]:
    """Return the compiled function that takes every running row a few steps on."""
    import jax
    import jax.numpy as jnp

    def evaluate(p: Any, row: Rows) -> _Point:
        def along(direction: Any) -> Any:
            return jax.jvp(lambda q: jnp.ravel(residual_fn(q, *row.args)), (p,), (direction,))

        residuals, jacobian = jax.vmap(along, out_axes=(None, 0))(jnp.eye(len(p)))  # (m,), (k, m)
        off = p - row.mean
        chi2 = jnp.sum(residuals**2)
        return _Point(
            p=p,
            cost=0.5 * (chi2 + off @ row.precision @ off),
            chi2=chi2,
            gradient=jacobian @ residuals + row.precision @ off,
            hessian=jacobian @ jacobian.T + row.precision,
            n_used=jnp.sum(jnp.any(jacobian != 0, axis=0)),
        )

    def step(carry: tuple[_Point, State], row: Rows) -> tuple[_Point, State]:
        here, state = carry
        running = (state.status == RUNNING) & (state.n_steps < max_steps)
        free = _free(here, row)
        trial = jnp.clip(here.p - _solve(here.hessian, here.gradient, state.damping, free), row.lower, row.upper)
        there = evaluate(trial, row)
        falls = running & (there.cost < here.cost)
        moved = _largest(jnp.abs(trial - here.p) / (jnp.abs(here.p) + _STEP_TOLERANCE))
        # a short step says nothing while the damping is what makes it short
        undamped = state.damping <= 1.0
        small_change = running & undamped & (jnp.abs(here.cost - there.cost) <= _COST_TOLERANCE * here.cost)
        small_step = running & undamped & (moved <= _STEP_TOLERANCE)
        reached = _Point(*(jnp.where(falls, new, old) for new, old in zip(there, here, strict=True)))
        damping = jnp.where(falls, jnp.maximum(0.3 * state.damping, _LEAST_DAMPING), 4.0 * state.damping)
        status = jnp.select(
            [~running, _is_flat(reached, row), small_change, small_step, damping > _LARGEST_DAMPING],
            [state.status, GRADIENT, COST, STEP, STUCK],
            RUNNING,
        )
        return reached, State(
            reached.p,
            jnp.where(running, damping, state.damping),
            state.n_steps + running,
            status.astype(jnp.int8),
        )

    def steps(state: State, row: Rows) -> tuple[State, Minimum]:
        here = evaluate(state.p, row)
        usable = jnp.isfinite(here.cost)
        first = jnp.select([~usable, _is_flat(here, row)], [NOT_FINITE, GRADIENT], RUNNING)
        state = state._replace(status=jnp.where(state.status == RUNNING, first, state.status).astype(jnp.int8))

        here, state = jax.lax.fori_loop(0, STEPS_PER_CALL, lambda _, carry: step(carry, row), (here, state))
        inside = (here.p > row.lower) & (here.p < row.upper)
        return state, Minimum(here.cost, here.chi2, _covariance(here, inside))

    return jax.jit(jax.vmap(steps))


def _largest(values: Any) -> Any:
    import jax.numpy as jnp

    return jnp.max(values, initial=0.0)


def _free(point: _Point, row: Rows) -> Any:
    """Whether each parameter may move: not those at a bound whose gradient points outwards."""
    held_below = (point.p <= row.lower) & (point.gradient > 0)
    held_above = (point.p >= row.upper) & (point.gradient < 0)
    return ~(held_below | held_above)


def _is_flat(point: _Point, row: Rows) -> Any:
    """Whether the residuals are orthogonal to every column of the Jacobian whose parameter is free (MINPACK's gtol)."""
    import jax.numpy as jnp

    size = jnp.sqrt(jnp.diag(point.hessian) * 2 * point.cost)
    return jnp.all(jnp.where(_free(point, row), jnp.abs(point.gradient), 0.0) <= _GRADIENT_TOLERANCE * size)


def _solve(hessian: Any, gradient: Any, damping: Any, free: Any) -> Any:
    """Return (H + damping diag H)^-1 g over the free parameters, zero for the others."""
    import jax.numpy as jnp

    matrix, scale = _scaled(hessian, free)
    return free * _solve_positive(matrix + damping * jnp.eye(len(gradient)), gradient * scale * free) * scale


def _covariance(point: _Point, inside: Any) -> Any:
    """Return H^-1 max(1, chi^2 / (m - k)) over the parameters inside their bounds, NaN for the others."""
    import jax
    import jax.numpy as jnp

    matrix, scale = _scaled(point.hessian, inside)
    inverse = jax.vmap(lambda unit: _solve_positive(matrix, unit))(jnp.eye(len(scale))) * jnp.outer(scale, scale)
    excess = point.chi2 / jnp.maximum(point.n_used - jnp.sum(inside), 1)
    is_known = jnp.outer(inside, inside) & jnp.all(jnp.diag(inverse) > 0)
    return jnp.where(is_known, inverse * jnp.maximum(excess, 1.0), jnp.nan)


def _scaled(hessian: Any, used: Any) -> tuple[Any, Any]:
    """Return the matrix with ones on its diagonal, and 1 / sqrt(diag H); what is not `used` is the unit matrix."""
    import jax.numpy as jnp

    diagonal = jnp.diag(hessian)
    scale = jnp.where(diagonal > 0, 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0)), 0.0)
    both = jnp.outer(used & (diagonal > 0), used & (diagonal > 0))
    return jnp.where(both, hessian * jnp.outer(scale, scale), jnp.eye(len(scale))), scale


def _solve_positive(matrix: Any, right: Any) -> Any:
    """Return matrix^-1 right of a positive definite matrix; not finite, or NaN, where it is not positive."""
    import jax
    import jax.numpy as jnp

    k = len(right)
    if k > _UNROLLED:
        return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(matrix), True), right)
    lower: list[list[Any]] = [[None] * k for _ in range(k)]  # matrix = L D L^T
    pivots: list[Any] = []
    for j in range(k):
        pivot = matrix[j, j] - sum(lower[j][s] ** 2 * pivots[s] for s in range(j))
        pivots.append(jnp.where(pivot > 1e-15, pivot, jnp.nan))
        for i in range(j + 1, k):
            lower[i][j] = (matrix[i, j] - sum(lower[i][s] * lower[j][s] * pivots[s] for s in range(j))) / pivots[j]
    forward: list[Any] = []
    for i in range(k):
        forward.append(right[i] - sum(lower[i][s] * forward[s] for s in range(i)))
    back: list[Any] = [None] * k
    for i in reversed(range(k)):
        back[i] = forward[i] / pivots[i] - sum(lower[s][i] * back[s] for s in range(i + 1, k))
    return jnp.stack(back)
