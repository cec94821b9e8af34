"""Maximum pseudo-likelihood of copula families in JAX: many groups, rotations or bootstrap replicates at once."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hven.methods._copula_families import EDGE, FAMILIES, S_MAX, S_MIN, student_of_quantiles, t_quantile
from hven.methods._copula_laws import start_table
from hven.methods.padding import pad, padded_length
from hven.methods.precision import in_float64

Array = NDArray[np.float64]

_AT_ONCE = 2**20
"""Stars times groups of one compiled call: memory stays bounded."""


class Fits(NamedTuple):
    """Of each group: parameters (g, m) as in `Family`, log-likelihood (g,), whether the search converged (g,)."""

    parameters: Array
    log_likelihood: Array
    converged: NDArray[np.bool_]


@in_float64
def fit_family(name: str, u: Array, v: Array, w: Array, tau: Array) -> Fits:
    """Return the fits of one family to pseudo-observations `u`, `v` with weights `w`, each (g, n).

    Searches start from Kendall's `tau` (g,). Likelihoods have one peak in theta; that of Student's t in nu may have
    two, and is followed over the whole range.
    """
    groups, n = u.shape
    length = padded_length(n)
    starts = _starts(name, tau)
    at_once = max(1, _AT_ONCE // length)
    parts = []
    for first in range(0, groups, at_once):
        rows = slice(first, min(first + at_once, groups))
        count = min(groups, at_once)
        arrays = [_padded(a[rows], count, length, fill) for a, fill in ((u, 0.5), (v, 0.5), (w, 0.0))]
        start = np.concatenate([starts[rows], np.repeat(starts[:1], count - len(starts[rows]), axis=0)])
        done = _compiled(name)(*arrays, start)
        parts.append([np.asarray(out)[: rows.stop - rows.start] for out in done])
    parameters, likelihood, converged = (np.concatenate(out) for out in zip(*parts, strict=True))
    return Fits(parameters, likelihood, converged.astype(bool))


@in_float64
def log_density(name: str, u: Array, v: Array, parameters: Sequence[float]) -> Array:
    """Return ln c at `u`, `v` (n,)."""
    n = len(u)
    length = padded_length(n)
    return np.asarray(_density(name)(pad(u, length, 0.5), pad(v, length, 0.5), np.asarray(parameters)))[:n]


def _padded(values: Array, groups: int, length: int, fill: float) -> Array:
    out = np.full((groups, length), fill)
    out[: len(values), : values.shape[1]] = values
    return out


def _starts(name: str, tau: Array) -> Array:
    """Return the theta that each search begins at, (g,)."""
    family = FAMILIES[name]
    tau = np.nan_to_num(np.clip(tau, -0.95, 0.95))
    theta = np.sin(0.5 * np.pi * tau) if name in {"gaussian", "student"} else np.interp(tau, *start_table(name))
    margin = 1e-6 * (family.upper[0] - family.lower[0])
    return np.asarray(np.clip(theta, family.lower[0] + margin, family.upper[0] - margin))


@lru_cache(maxsize=16)
def _density(name: str) -> Any:
    import jax

    family = FAMILIES[name]
    return jax.jit(lambda u, v, p: family.log_density(family.prepare(_inside(u)), family.prepare(_inside(v)), p))


def _inside(u: Any) -> Any:
    import jax.numpy as jnp

    return jnp.clip(u, EDGE, 1 - EDGE)


@lru_cache(maxsize=16)
def _compiled(name: str) -> Any:
    import jax
    import jax.numpy as jnp

    family = FAMILIES[name]
    low, high = family.lower[0], family.upper[0]

    def one_group(u: Any, v: Any, w: Any, start: Any) -> tuple[Any, Any, Any]:
        a, b = family.prepare(_inside(u)), family.prepare(_inside(v))
        total = jnp.maximum(jnp.sum(w), 1e-12)

        def mean(density: Any) -> Any:
            return jnp.sum(jnp.where(w > 0, w * density, 0.0)) / total

        if name != "student":
            theta, height, done = _climb(lambda t: mean(family.log_density(a, b, t[None])), start, low, high)
            return theta[None], height * total, done

        def profile(s: Any) -> tuple[Any, Any, Any]:
            x, y = t_quantile(a, s), t_quantile(b, s)
            return _climb(lambda rho: mean(student_of_quantiles(x, y, rho, s)), start, low, high)

        nodes, fine, between = _profile_nodes()
        s = _peak(fine, between @ jax.lax.map(profile, jnp.asarray(nodes))[1])
        rho, height, done = profile(s)
        return jnp.stack([rho, s]), height * total, done

    return jax.jit(jax.vmap(one_group))


def _profile_nodes(n_nodes: int = 16, n_fine: int = 481) -> tuple[Array, Array, Array]:
    """Return the values of 1/nu where the profile likelihood is computed, a fine grid, and the matrix between both."""
    chebyshev = np.polynomial.chebyshev
    x = -np.cos(np.pi * np.arange(n_nodes) / (n_nodes - 1))  # with both ends
    fine = np.linspace(-1, 1, n_fine)
    between = np.linalg.solve(chebyshev.chebvander(x, n_nodes - 1).T, chebyshev.chebvander(fine, n_nodes - 1).T).T
    middle, half = 0.5 * (S_MAX + S_MIN), 0.5 * (S_MAX - S_MIN)
    return middle + half * x, middle + half * fine, np.asarray(between, dtype=np.float64)


def _peak(grid: Any, values: Any) -> Any:
    """Return where the parabola through the highest value and its neighbours has its top."""
    import jax.numpy as jnp

    i = jnp.argmax(values)
    k = jnp.clip(i, 1, len(grid) - 2)
    below, here, above = values[k - 1], values[k], values[k + 1]
    bend = below - 2 * here + above
    shift = jnp.where((i == k) & (bend < 0), 0.5 * (below - above) / jnp.where(bend < 0, bend, -1.0), 0.0)
    return jnp.asarray(grid)[i] + shift * (grid[1] - grid[0])


def _climb(value: Any, start: Any, low: Any, high: Any) -> tuple[Any, Any, Any]:
    """Return the maximum of a function with one peak, its height, and whether it was found.

    Newton's method in a bracket that every slope narrows; a step that would leave it goes nine tenths of the way.
    """
    import jax
    import jax.numpy as jnp

    def at(t: Any) -> tuple[Any, Any, Any]:
        def with_slope(s: Any) -> tuple[Any, Any]:
            return jax.jvp(value, (s,), (jnp.ones_like(s),))

        (height, slope), (_, bend) = jax.jvp(with_slope, (t,), (jnp.ones_like(t),))
        return height, slope, bend

    def goes_on(state: Any) -> Any:
        i, _, _, _, _, move = state
        return (i < 100) & (move > 1e-10)

    def step(state: Any) -> Any:
        i, t, left, right, _, _ = state
        height, slope, bend = at(t)
        left, right = jnp.where(slope > 0, t, left), jnp.where(slope > 0, right, t)
        newton = t - slope / bend
        inside = (bend < 0) & (newton > left) & (newton < right)
        further = jnp.where(slope > 0, t + 0.9 * (right - t), t - 0.9 * (t - left))
        new = jnp.where(inside, newton, further)
        return i + 1, new, left, right, height, jnp.abs(new - t) / (1 + jnp.abs(t))

    infinite = jnp.asarray(jnp.inf)
    _, t, _, _, height, move = jax.lax.while_loop(
        goes_on, step, (0, start, jnp.asarray(low), jnp.asarray(high), -infinite, infinite)
    )
    return t, height, (move <= 1e-10) & jnp.isfinite(height)
