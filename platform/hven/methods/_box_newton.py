"""Newton's method with bounds in JAX, for a handful of parameters and many problems at once: runs inside `vmap`."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Minimum(NamedTuple):
    """Where the search ended: p (m,), value, gradient (m,), Hessian (m, m), which parameters are free, convergence."""

    p: Any
    value: Any
    gradient: Any
    hessian: Any
    is_free: Any
    converged: Any


def minimise(value: Callable[[Any], Any], start: Any, lower: Any, upper: Any, max_steps: int = 100) -> Minimum:
    """Return the minimum of `value` (a function of p alone) in the box `lower` <= p <= `upper`, from `start`.

    Parameters at a bound with the gradient pointing out are held; among the others a Newton step with the moduli of the
    eigenvalues, damped after a step that did not descend. Converged: no free gradient is above 1e-7.
    """
    import jax
    import jax.numpy as jnp

    def at(p: Any) -> tuple[Any, Any, Any]:
        return *jax.value_and_grad(value)(p), jax.hessian(value)(p)

    def free(p: Any, gradient: Any) -> Any:
        return ~(((p <= lower) & (gradient > 0)) | ((p >= upper) & (gradient < 0)))

    def goes_on(state: Any) -> Any:
        i, p, (_, gradient, _), _, damping, largest = state
        steep = jnp.abs(jnp.where(free(p, gradient), gradient, 0.0)).max() > 1e-10
        return (i == 0) | ((i < max_steps) & steep & (damping <= 1e12 * largest))

    def step(state: Any) -> Any:
        i, p, here, trial, damping, largest = state
        after = at(trial)
        is_lower = after[0] <= here[0]  # false for NaN
        p, here = jax.tree.map(lambda a, b: jnp.where(is_lower, a, b), (trial, after), (p, here))
        damping = jnp.where(is_lower, 0.2 * damping, jnp.maximum(10 * damping, 1e-4 * largest))
        _, gradient, hessian = here
        is_free = free(p, gradient)
        held = jnp.where(is_free[:, None] & is_free[None, :], hessian, 0.0) + jnp.diag(1.0 - is_free)
        values, vectors = jnp.linalg.eigh(held)
        size = jnp.maximum(jnp.abs(values), 1e-9)
        move = -vectors @ ((vectors.T @ jnp.where(is_free, gradient, 0.0)) / (size + damping))
        move *= jnp.minimum(1.0, 1.0 / jnp.maximum(jnp.linalg.norm(move), 1e-300))
        return i + 1, p, here, jnp.clip(p + move, lower, upper), damping, size.max()

    m = len(start)
    nowhere = (jnp.array(jnp.inf), jnp.zeros(m), jnp.eye(m))
    _, p, (height, gradient, hessian), *_ = jax.lax.while_loop(
        goes_on, step, (0, start, nowhere, start, jnp.zeros(()), jnp.ones(()))
    )
    is_free = free(p, gradient)
    converged = jnp.isfinite(height) & (jnp.abs(jnp.where(is_free, gradient, 0.0)).max() < 1e-7)
    return Minimum(p, height, gradient, hessian, is_free & (p > lower) & (p < upper), converged)
