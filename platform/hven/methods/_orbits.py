"""Orbits by the leapfrog: symplectic, reversible, in potentials that may change with time."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hven.errors import ParameterError
from hven.methods._potentials import GYR, Potential, phi, pull
from hven.methods._rowwise import is_jax, rowwise
from hven.methods.padding import padded_length
from hven.methods.precision import in_float64

Force = Callable[[Any, Any], Any]


class Orbit(NamedTuple):
    """Orbits at k + 1 times: time in Gyr (k + 1,), position in kpc and velocity in km/s, each (k + 1, ..., 3)."""

    time: Any
    position: Any
    velocity: Any


def leapfrog(
    position: ArrayLike,
    velocity: ArrayLike,
    force: Potential | Force,
    duration: float,
    n_steps: int,
    *,
    start: float = 0.0,
    n_saved: int = 1,
) -> Orbit:
    """Return the orbits of test particles, by kick, drift and kick in steps of equal length.

    Of second order in the step; the energy of an orbit oscillates and does not drift. An orbit needs some hundred steps
    a period, more when it is eccentric: check the energy, or halve the step.

    Parameters
    ----------
    position, velocity
        At the start, shape (..., 3), in kpc and km/s. A row with NaN stays NaN and leaves the others alone.
    force
        A potential, or a JAX function of positions (..., 3) and one time in Gyr that returns accelerations (..., 3) in
        (km/s)^2 / kpc: of particles that see each other, for example. It is compiled once for each function.
    duration
        In Gyr; negative: backwards.
    n_steps
        How many steps in all, a multiple of `n_saved`.
    start
        Time in Gyr at the start.
    n_saved
        How many times, evenly spaced, are kept beside the first.

    Raises
    ------
    ParameterError
        The numbers of steps are not positive, or not multiples.

    Examples
    --------
    >>> from hven.methods.dynamics import point
    >>> speed = np.sqrt(4.300917270e-6 * 1e10)  # of a circular orbit at 1 kpc
    >>> period = 2 * np.pi / speed / 1.0227121650537077  # in Gyr
    >>> orbit = leapfrog([1.0, 0.0, 0.0], [0.0, speed, 0.0], point(1e10), period, 1000)
    >>> orbit.position[-1].round(3).tolist()
    [1.0, -0.0, 0.0]
    """
    if not (n_steps > 0 and n_saved > 0 and n_steps % n_saved == 0):
        raise ParameterError(
            f"n_steps = {n_steps} and n_saved = {n_saved}",
            where="leapfrog",
            expected="positive numbers, n_steps a multiple of n_saved",
            hint="Raise n_steps to the next multiple.",
        )
    arguments = (position, velocity, force, duration, start, int(n_steps), int(n_saved))
    shared = None if callable(force) else force
    return _run(*arguments) if is_jax(position, velocity, shared, duration, start) else _run_in_numpy(*arguments)


def energy(parts: Potential, position: ArrayLike, velocity: ArrayLike, time: ArrayLike = 0.0) -> Any:
    """Return the energy per mass, v^2 / 2 plus the potential, in (km/s)^2: shape (...) for vectors (..., 3).

    Examples
    --------
    >>> from hven.methods.dynamics import harmonic
    >>> energy(harmonic(10.0), [[1.0, 0.0, 0.0]], [[0.0, 10.0, 0.0]]).tolist()
    [100.0]
    """
    return rowwise(total_energy, parts, (position, 1), (velocity, 1), (time, 0))


def total_energy(parts: Potential, position: Any, velocity: Any, time: Any) -> Any:
    """Return the energy of one row."""
    return 0.5 * velocity @ velocity + phi(parts, position, time)


@in_float64
def _run_in_numpy(
    position: ArrayLike, velocity: ArrayLike, force: Any, duration: float, start: float, n_steps: int, n_saved: int
) -> Orbit:
    import jax

    x, v = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (position, velocity)))
    shape, n = x.shape, x.size // 3
    if not callable(force):  # rows are independent: a few lengths only, or each would be compiled
        fill = np.ones((padded_length(n) - n, 3))
        x, v = (np.concatenate([a.reshape(n, 3), fill]) for a in (x, v))
    orbit = jax.tree.map(np.asarray, _run(x, v, force, float(duration), float(start), n_steps, n_saved))
    if callable(force):
        return Orbit(*orbit)
    return Orbit(orbit.time, *(a[:, :n].reshape(n_saved + 1, *shape) for a in orbit[1:]))


def _run(x: Any, v: Any, force: Any, duration: Any, start: Any, n_steps: int, n_saved: int) -> Orbit:
    import jax.numpy as jnp

    step = jnp.asarray(duration) / n_steps
    x, v = jnp.broadcast_arrays(jnp.asarray(x), jnp.asarray(v))
    if callable(force):
        return Orbit(*_compiled(force)(None, x, v, start, step, n_steps, n_saved))
    flat = _compiled(None)(force, x.reshape(-1, 3), v.reshape(-1, 3), start, step, n_steps, n_saved)
    return Orbit(flat[0], *(a.reshape(n_saved + 1, *x.shape) for a in flat[1:]))


@lru_cache(maxsize=32)
def _compiled(force: Force | None) -> Callable[..., Any]:
    """Return the compiled integrator: of a function `force`, or of the potential that is its first argument."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    all_pulls = jax.vmap(pull, in_axes=(None, 0, None))

    def integrate(parts: Any, x: Any, v: Any, start: Any, step: Any, n_steps: int, n_saved: int) -> Any:
        def accelerate(place: Any, time: Any) -> Any:
            return force(place, time) if force is not None else all_pulls(parts, place, time)

        def one(i: Any, state: Any) -> Any:
            place, speed, a = state
            half = speed + 0.5 * step * GYR * a
            place = place + step * GYR * half
            a = accelerate(place, start + (i + 1) * step)
            return place, half + 0.5 * step * GYR * a, a

        def until_saved(state: Any, k: Any) -> Any:
            between = n_steps // n_saved
            state = lax.fori_loop(0, between, lambda i, inner: one(k * between + i, inner), state)
            return state, state[:2]

        first = (x, v, accelerate(x, start))
        _, (places, speeds) = lax.scan(until_saved, first, jnp.arange(n_saved))
        times = start + step * (n_steps // n_saved) * jnp.arange(n_saved + 1)
        return times, jnp.concatenate([x[None], places]), jnp.concatenate([v[None], speeds])

    compiled: Callable[..., Any] = jax.jit(integrate, static_argnums=(5, 6))
    return compiled
