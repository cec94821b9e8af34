"""Expectation maximisation of extreme deconvolution (Bovy et al. 2011, arXiv:0905.2979) in JAX: pure functions.

Row i is x_i = R_i v_i + N(0, S_i) with v ~ sum_k alpha_k N(m_k, V_k). A missing value is a row of zeros in R with unit
variance in S and x = 0: it changes nothing but a constant, which `n_seen` takes out of the likelihood.
"""

from functools import lru_cache, partial
from typing import Any, NamedTuple

_BLOCK = 1024
_UNROLLED = 6
"""Dimensions up to which the Cholesky factor is written out element by element."""


class Rows(NamedTuple):
    """Data: x (n, q), noise (n, q, q), projection (n, q, d), n_seen (n,), weight (n,); zero weight in the padding."""

    x: Any
    noise: Any
    projection: Any
    n_seen: Any
    weight: Any


class Parameters(NamedTuple):
    """Weights (k,), means (k, d), covariances (k, d, d)."""

    weights: Any
    means: Any
    covs: Any


class Expectations(NamedTuple):
    """Sums over rows: mass (k,), first (k, d) and second (k, d, d) moments about the means, ln L and sum of weights."""

    mass: Any
    first: Any
    second: Any
    loglike: Any
    weight: Any


class Fit(NamedTuple):
    """Where EM stopped: parameters, ln L, objective at each step (NaN after the last), number of steps, convergence."""

    parameters: Any
    loglike: Any
    history: Any
    n_steps: Any
    converged: Any


def posterior(p: Parameters, row: Rows) -> tuple[Any, Any, Any]:
    """Return ln alpha_k N(x | ...) (k,), mean about m_k (k, d) and covariance (k, d, d) of v given x, of one row."""
    import jax.numpy as jnp

    r = row.projection
    reach = p.covs @ r.T  # V R^T
    total = r @ reach + row.noise
    residual = row.x - p.means @ r.T
    solved, log_root = _whiten(total, jnp.concatenate([residual[:, :, None], jnp.swapaxes(reach, 1, 2)], axis=2))
    z, half = solved[:, :, 0], solved[:, :, 1:]  # L^-1 (x - R m), L^-1 R V
    log_terms = jnp.log(p.weights) - 0.5 * (z**2).sum(axis=1) - log_root - 0.5 * row.n_seen * jnp.log(2 * jnp.pi)
    shift = jnp.einsum("kqd,kq->kd", half, z)
    return log_terms, shift, p.covs - jnp.einsum("kqd,kqe->kde", half, half)


def _whiten(total: Any, right: Any) -> tuple[Any, Any]:
    """Return L^-1 `right` (k, q, m) and ln det L, with L L^T = `total` (k, q, q)."""
    import jax
    import jax.numpy as jnp

    q = total.shape[1]
    if q > _UNROLLED:
        root = jnp.linalg.cholesky(total)
        solve = jax.vmap(partial(jax.scipy.linalg.solve_triangular, lower=True))
        return solve(root, right), jnp.log(jnp.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    # written out, so that rows and components become long vectors instead of many calls of LAPACK on tiny matrices
    lower: dict[tuple[int, int], Any] = {}
    solved: list[Any] = []
    for i in range(q):
        for j in range(i + 1):
            rest = total[:, i, j] - sum(lower[i, t] * lower[j, t] for t in range(j))
            lower[i, j] = jnp.sqrt(rest) if i == j else rest / lower[j, j]
        left = right[:, i] - sum(lower[i, t][:, None] * solved[t] for t in range(i))
        solved.append(left / lower[i, i][:, None])
    return jnp.stack(solved, axis=1), sum(jnp.log(lower[i, i]) for i in range(q))


def expect(p: Parameters, rows: Rows) -> Expectations:
    """Return the sums of the E step over rows, a block at a time."""
    import jax
    import jax.numpy as jnp

    n, (k, d) = len(rows.x), p.means.shape
    size = min(n, _BLOCK)
    blocks = Rows(*(v.reshape(n // size, size, *v.shape[1:]) for v in rows))

    def add(total: Expectations, block: Rows) -> tuple[Expectations, None]:
        log_terms, shift, spread = jax.vmap(partial(posterior, p))(block)
        log_p = jax.scipy.special.logsumexp(log_terms, axis=1)
        q = jnp.where(block.weight[:, None] > 0, jnp.exp(log_terms - log_p[:, None]) * block.weight[:, None], 0.0)
        second = jnp.einsum("nk,nkd,nke->kde", q, shift, shift) + jnp.einsum("nk,nkde->kde", q, spread)
        part = Expectations(
            q.sum(axis=0),
            jnp.einsum("nk,nkd->kd", q, shift),
            second,
            jnp.where(block.weight > 0, block.weight * log_p, 0.0).sum(),
            block.weight.sum(),
        )
        return Expectations(*(a + b for a, b in zip(total, part, strict=True))), None

    zero = Expectations(jnp.zeros(k), jnp.zeros((k, d)), jnp.zeros((k, d, d)), jnp.zeros(()), jnp.zeros(()))
    return jax.lax.scan(add, zero, blocks)[0]


def maximise(p: Parameters, s: Expectations, w: Any) -> Parameters:
    """Return the parameters of the M step; `w` (d,) is the regularisation, a component without mass stays put."""
    import jax.numpy as jnp

    has_mass = s.mass > 1e-10 * s.weight
    mass = jnp.where(has_mass, s.mass, 1.0)
    shift = s.first / mass[:, None]
    outer = shift[:, :, None] * shift[:, None, :]
    covs = (s.second - mass[:, None, None] * outer + jnp.diag(w)) / (mass + (w > 0).any())[:, None, None]
    return Parameters(
        s.mass / s.mass.sum(),
        jnp.where(has_mass[:, None], p.means + shift, p.means),
        jnp.where(has_mass[:, None, None], 0.5 * (covs + jnp.swapaxes(covs, 1, 2)), p.covs),
    )


def objective(p: Parameters, s: Expectations, w: Any) -> Any:
    """Return what EM climbs: ln L, with `w` (d,) less sum_k (ln |V_k| + sum_i w_i (V_k^-1)_ii) / 2."""
    import jax.numpy as jnp

    d = p.means.shape[1]
    is_held = (w > 0).any()
    safe = jnp.where(is_held, p.covs, jnp.eye(d))
    inverse = jnp.diagonal(jnp.linalg.inv(safe), axis1=1, axis2=2)
    penalty = 0.5 * (jnp.linalg.slogdet(safe)[1] + inverse @ w).sum()
    return s.loglike - jnp.where(is_held, penalty, 0.0)


def climb(start: Parameters, rows: Rows, w: Any, tol: Any, max_steps: Any, room: int) -> Fit:
    """Return where EM stops: when a step gains less than `tol` per row, or after `max_steps` < `room` steps."""
    import jax
    import jax.numpy as jnp

    def goes_on(state: Any) -> Any:
        i, _, _, sums, history = state
        gain = history[i - 1] - history[i - 2]
        return (i < 2) | ((i <= max_steps) & (gain > tol * sums.weight))

    def step(state: Any) -> Any:
        i, _, p, _, history = state
        sums = expect(p, rows)
        return i + 1, p, maximise(p, sums, w), sums, history.at[i].set(objective(p, sums, w))

    k, d = start.means.shape
    nothing = Expectations(jnp.zeros(k), jnp.zeros((k, d)), jnp.zeros((k, d, d)), jnp.zeros(()), jnp.ones(()))
    state = (0, start, start, nothing, jnp.full(room, jnp.nan))
    i, p, _, sums, history = jax.lax.while_loop(goes_on, step, state)
    gain = history[i - 1] - history[i - 2]
    return Fit(p, sums.loglike, history, i - 1, jnp.isfinite(history[i - 1]) & (gain <= tol * sums.weight))


@lru_cache(maxsize=16)
def compiled(room: int, *, many: bool) -> Any:
    """Return `climb` compiled, for one data set or (`many`) for a leading axis of them.

    Many go side by side on a device, one after the other on a processor: a batch goes on until its slowest member
    stops, which a processor would pay for in full.
    """
    import jax

    run = partial(climb, room=room)
    if not many:
        return jax.jit(run)
    if jax.default_backend() != "cpu":
        return jax.jit(jax.vmap(run, (0, 0, 0, None, None)))
    return jax.jit(lambda start, rows, w, *rest: jax.lax.map(lambda one: run(*one, *rest), (start, rows, w)))


@lru_cache(maxsize=1)
def compiled_expect() -> Any:
    """Return `expect` compiled."""
    import jax

    return jax.jit(expect)


@lru_cache(maxsize=1)
def compiled_posterior() -> Any:
    """Return `posterior` of many rows, compiled."""
    import jax

    return jax.jit(jax.vmap(posterior, (None, 0)))
