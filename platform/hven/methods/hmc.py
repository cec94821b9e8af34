"""Sampling of posteriors by Hamiltonian Monte Carlo, thinly over numpyro: a log-density in, draws with diagnostics out.

`sample` runs NUTS on one posterior, `sample_many` a static kernel on thousands of small ones at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError
from hven.methods._chain_diagnostics import ess_bulk, ess_tail, r_hat
from hven.methods._science import require
from hven.methods.padding import padded_length
from hven.methods.precision import in_float64

__all__ = ["Posterior", "Posteriors", "ess_bulk", "ess_tail", "r_hat", "sample", "sample_many"]

Array = NDArray[np.float64]
Bounds = Mapping[str, tuple[float | None, float | None]]

_R_HAT, _DIVERGENT, _ESS_OF_CHAIN = 1.01, 0.01, 100
_SHORTEST = 0.2
_HOPELESS = 10.0
"""Starts whose optimum is this much lower in ln p, and one more per parameter, begin at the best one instead."""


@dataclass(frozen=True)
class Posterior:
    """Draws from one posterior, and whether to believe them.

    Attributes
    ----------
    draws
        By name of the parameter, shape (n_chains, n_draws, ...).
    log_density
        ln p of each draw as the caller gave it, (n_chains, n_draws).
    r_hat, ess_bulk, ess_tail
        By name, of the parameter's shape: rank-normalised split R-hat and effective sample sizes of the bulk and the
        tails (Vehtari et al., arXiv:1903.08008).
    divergences
        Divergent transitions after warm-up, per chain, (n_chains,).
    step_size
        Per chain, (n_chains,).
    optimum
        The highest log-density (in the unconstrained space) found before sampling, by name.
    flags
        What is wrong: ``"r_hat"`` (above 1.01), ``"divergences"`` (more than 1 % of the draws), ``"ess"`` (bulk or tail
        below 100 per chain), ``"not_finite"`` (no start had a finite density; the draws are NaN).
    """

    draws: dict[str, Array]
    log_density: Array
    r_hat: dict[str, Array]
    ess_bulk: dict[str, Array]
    ess_tail: dict[str, Array]
    divergences: NDArray[np.int64]
    step_size: Array
    optimum: dict[str, Array]
    flags: tuple[str, ...]

    @property
    def is_reliable(self) -> bool:
        """Whether nothing is wrong."""
        return not self.flags

    def flat(self, name: str) -> Array:
        """Return the draws of one parameter with the chains joined, shape (n_chains n_draws, ...)."""
        values = self.draws[name]
        return values.reshape(-1, *values.shape[2:])

    def summary(self) -> dict[str, tuple[Array, Array]]:
        """Return mean and standard deviation of each parameter; NaN for all of them when a flag is raised."""
        unknown = np.nan if self.flags else 1.0
        return {name: (self.flat(name).mean(axis=0) * unknown, self.flat(name).std(axis=0) * unknown)
                for name in self.draws}  # fmt: skip


@in_float64
def sample(
    logdensity: Callable[[dict[str, Any]], Any],
    init: Mapping[str, ArrayLike],
    *,
    bounds: Bounds | None = None,
    n_warmup: int = 1000,
    n_draws: int = 1000,
    n_chains: int = 4,
    target_accept: float = 0.8,
    max_depth: int = 10,
    chain_method: str = "vectorized",
    seed: int = 0,
) -> Posterior:
    """Return draws from the posterior with the given log-density, by the No-U-Turn Sampler.

    NUTS (Hoffman and Gelman, arXiv:1111.4246) as numpyro has it, in float64, step size and diagonal mass adapted during
    warm-up. Every chain starts at an optimum of its own, found from a scattered start, so that several modes show in
    R-hat. Bounded parameters are sampled on the whole line, Jacobians included.

    Parameters
    ----------
    logdensity
        Takes a dict of parameters, returns ln p up to a constant; written with `jax.numpy`.
    init
        A start for each parameter, by name: a number or an array.
    bounds
        Lower and upper limits by name, None or infinite for no limit; parameters that are not named have none.
    n_warmup, n_draws, n_chains
        Transitions that are thrown away, draws per chain, and chains.
    target_accept, max_depth
        Of NUTS: raise the first where transitions diverge.
    chain_method
        ``"vectorized"`` runs the chains side by side, ``"sequential"`` one after the other.
    seed
        Of starts and chains.

    Raises
    ------
    DataRefusedError
        A start that is outside its bounds, or bounds of a parameter that has no start.
    MissingDependencyError
        numpyro is not installed.

    Examples
    --------
    >>> told = sample(lambda p: -0.5 * ((p["x"] - 3.0) / 0.1) ** 2, {"x": 0.0}, n_warmup=200, n_draws=300, n_chains=2)
    >>> told.flags, [float(v.round(1)) for v in told.summary()["x"]]
    ((), [3.0, 0.1])
    """
    require("numpyro", what="hmc.sample")
    import jax
    import jax.numpy as jnp
    from numpyro.infer import MCMC, NUTS  # type: ignore[import-untyped]

    start = {name: np.asarray(value, dtype=np.float64) for name, value in init.items()}
    to_line = _transforms(start, bounds or {})

    def constrained(z: dict[str, Any]) -> dict[str, Any]:
        return {name: to_line[name](value) for name, value in z.items()}

    def potential(z: dict[str, Any]) -> Any:
        x = constrained(z)
        slopes = sum(jnp.sum(to_line[name].log_abs_det_jacobian(z[name], x[name])) for name in z)
        return -(logdensity(x) + slopes)

    unconstrained = {name: jnp.asarray(to_line[name].inv(jnp.asarray(value))) for name, value in start.items()}
    starts, heights = _optima(potential, unconstrained, n_chains, seed)
    if not np.isfinite(heights).any():
        return _nothing(start, n_chains, n_draws)
    kernel = NUTS(potential_fn=potential, target_accept_prob=target_accept, max_tree_depth=max_depth)
    mcmc = MCMC(
        kernel, num_warmup=n_warmup, num_samples=n_draws, num_chains=n_chains, chain_method=chain_method,
        progress_bar=False,
    )  # fmt: skip
    first = jax.tree.map(lambda values: values[0], starts) if n_chains == 1 else starts
    mcmc.run(jax.random.key(seed), init_params=first, extra_fields=("diverging", "adapt_state.step_size"))
    z = mcmc.get_samples(group_by_chain=True)
    extra = mcmc.get_extra_fields(group_by_chain=True)
    over_draws = jax.vmap(jax.vmap(lambda one: (constrained(one), logdensity(constrained(one)))))
    x, log_density = jax.jit(over_draws)(z)
    best = constrained(jax.tree.map(lambda values: values[int(np.argmin(heights))], starts))
    return _report(
        {name: np.asarray(x[name]) for name in start},
        np.asarray(log_density),
        np.asarray(extra["diverging"]),
        np.asarray(extra["adapt_state.step_size"])[:, -1],
        {name: np.asarray(value) for name, value in best.items()},
    )


def _transforms(start: dict[str, Array], bounds: Bounds) -> dict[str, Any]:
    """Return numpyro's maps from the whole line to within the limits, by name."""
    from numpyro.distributions import biject_to, constraints  # type: ignore[import-untyped]

    odd = sorted(set(bounds) - set(start))
    if odd:
        raise DataRefusedError(
            f"bounds of {odd[0]!r}, which has no start", where="hmc.sample", expected=f"one of {', '.join(start)}",
            hint="Give a start for every parameter.",
        )  # fmt: skip
    out = {}
    for name, value in start.items():
        low, high = bounds.get(name, (None, None))
        low, high = -np.inf if low is None else low, np.inf if high is None else high
        if not np.all((value > low) & (value < high)):
            raise DataRefusedError(
                f"the start of {name!r} is {value}", where="hmc.sample", expected=f"between {low} and {high}",
                hint="Start inside the bounds, not on them.",
            )  # fmt: skip
        if np.isfinite(low) and np.isfinite(high):
            out[name] = biject_to(constraints.interval(low, high))
        elif np.isfinite(low):
            out[name] = biject_to(constraints.greater_than(low))
        else:
            out[name] = biject_to(constraints.less_than(high) if np.isfinite(high) else constraints.real)
    return out


def _optima(
    potential: Callable[[Any], Any], start: dict[str, Any], count: int, seed: int
) -> tuple[dict[str, Any], Array]:
    """Return where L-BFGS ends from `start` and from points scattered around it, and the potential there, (count,)."""
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree
    from scipy.optimize import minimize

    flat, unravel = ravel_pytree(start)
    value_and_slope = jax.jit(jax.value_and_grad(lambda v: potential(unravel(v))))

    def descend(v: Array) -> tuple[float, Array]:
        value, slope = value_and_slope(jnp.asarray(v))
        if not np.isfinite(value):
            return 1e300, np.zeros(len(v))
        return float(value), np.asarray(slope, dtype=np.float64)

    rng = np.random.default_rng(seed)
    ends, heights = [], []
    for chain in range(count):
        begin = np.asarray(flat) + (rng.normal(size=len(flat)) if chain else 0.0)
        found = minimize(descend, begin, jac=True, method="L-BFGS-B", options={"maxiter": 200})
        ends.append(found.x)
        heights.append(found.fun if found.fun < 1e299 else np.inf)
    lowest = int(np.argmin(heights))
    limit = heights[lowest] + _HOPELESS + len(flat)
    chosen = [end if height < limit else ends[lowest] for end, height in zip(ends, heights, strict=True)]
    return jax.vmap(unravel)(jnp.asarray(np.array(chosen))), np.array(heights)


def _report(
    draws: dict[str, Array], log_density: Array, diverging: NDArray[np.bool_], step_size: Array, best: dict[str, Array]
) -> Posterior:
    told = {name: (r_hat(values), ess_bulk(values), ess_tail(values)) for name, values in draws.items()}
    n_chains = len(diverging)
    fewest = _ESS_OF_CHAIN * n_chains
    raised = {
        "r_hat": not all(np.all(r <= _R_HAT) for r, _, _ in told.values()),
        "divergences": float(np.mean(diverging)) > _DIVERGENT,
        "ess": not all(np.all(np.minimum(bulk, tail) >= fewest) for _, bulk, tail in told.values()),
    }
    return Posterior(
        draws=draws,
        log_density=log_density,
        r_hat={name: values[0] for name, values in told.items()},
        ess_bulk={name: values[1] for name, values in told.items()},
        ess_tail={name: values[2] for name, values in told.items()},
        divergences=diverging.sum(axis=1).astype(np.int64),
        step_size=step_size,
        optimum=best,
        flags=tuple(flag for flag, is_raised in raised.items() if is_raised),
    )


def _nothing(start: dict[str, Array], n_chains: int, n_draws: int) -> Posterior:
    unknown = {name: np.full(value.shape, np.nan) for name, value in start.items()}
    return Posterior(
        draws={name: np.full((n_chains, n_draws, *value.shape), np.nan) for name, value in start.items()},
        log_density=np.full((n_chains, n_draws), np.nan),
        r_hat=unknown,
        ess_bulk=unknown,
        ess_tail=unknown,
        divergences=np.zeros(n_chains, dtype=np.int64),
        step_size=np.full(n_chains, np.nan),
        optimum=unknown,
        flags=("not_finite",),
    )


@dataclass(frozen=True)
class Posteriors:
    """Draws from n posteriors of k parameters.

    Attributes
    ----------
    draws
        Shape (n, n_chains, n_draws, k).
    r_hat, ess_bulk, ess_tail
        As in `Posterior`, each (n, k).
    divergences
        Divergent transitions after warm-up, (n,).
    is_reliable
        Whether R-hat is at most 1.01 for all parameters and no more than 1 % of the transitions diverge, (n,).
    """

    draws: Array
    r_hat: Array
    ess_bulk: Array
    ess_tail: Array
    divergences: NDArray[np.int64]
    is_reliable: NDArray[np.bool_]

    def flat(self) -> Array:
        """Return the draws with the chains joined, shape (n, n_chains n_draws, k)."""
        n, chains, draws, k = self.draws.shape
        return self.draws.reshape(n, chains * draws, k)


@in_float64
def sample_many(
    logdensity: Callable[..., Any],
    init: ArrayLike,
    args: tuple[ArrayLike, ...] = (),
    *,
    n_warmup: int = 300,
    n_draws: int = 500,
    n_chains: int = 4,
    n_leapfrog: int = 6,
    target_accept: float = 0.8,
    seed: int = 0,
    ids: ArrayLike | None = None,
) -> Posteriors:
    """Return draws from many small posteriors at once, by Hamiltonian Monte Carlo with a fixed number of steps.

    The static kernel of numpyro (dual averaging of the step size, diagonal mass) under `vmap`: all rows take the same
    number of steps, so none waits for another. After warm-up each trajectory has a random length, between a fifth of
    `n_leapfrog` adapted steps and all of them. For posteriors without bounds and of moderate shape; `sample` is for
    difficult ones.

    Parameters
    ----------
    logdensity
        ``logdensity(p, *row)`` with p (k,) and each element of `args` without its first axis.
    init
        Starts, shape (n, k).
    args
        Arrays with the n rows along their first axis.
    n_warmup, n_draws, n_chains, n_leapfrog, target_accept
        Transitions that are thrown away, draws per chain, chains per row, leapfrog steps per transition, and the
        acceptance that the step size aims at.
    seed, ids
        The draws of a row follow from the seed and its id (n,), not from its place; ids are 0, 1, 2... when not given.

    Examples
    --------
    >>> told = sample_many(lambda p, y: -0.5 * ((p - y) ** 2).sum(), np.zeros((3, 2)), (np.array([1.0, 2.0, 3.0]),))
    >>> told.flat().mean(axis=1).round(0).tolist()
    [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    """
    require("numpyro", what="hmc.sample_many")
    import jax
    from numpyro.infer.hmc import hmc  # type: ignore[import-untyped]

    start = np.asarray(init, dtype=np.float64)
    n = len(start)
    numbers = np.arange(n) if ids is None else np.asarray(ids).astype(np.int64)
    arrays = tuple(np.asarray(values) for values in args)
    if any(len(values) != n for values in (numbers, *arrays)):
        raise DataRefusedError(
            f"init has {n} rows, and ids and arguments {[len(values) for values in (numbers, *arrays)]}",
            where="hmc.sample_many", expected="as many everywhere", hint="Align the arrays.",
        )  # fmt: skip

    def one_chain(key: Any, p: Any, *row: Any) -> tuple[Any, Any]:
        begin, step = hmc(potential_fn_gen=lambda *data: lambda q: -logdensity(q, *data), algo="HMC")
        start_key, chain_key, length_key = jax.random.split(key, 3)
        scattered = p + 0.1 * jax.random.normal(start_key, p.shape)
        state = begin(
            scattered, n_warmup, step_size=0.1, target_accept_prob=target_accept, trajectory_length=None,
            num_steps=n_leapfrog, rng_key=chain_key, model_args=row,
        )  # fmt: skip

        state, _ = jax.lax.scan(lambda now, _: (step(now, model_args=row), None), state, None, length=n_warmup)
        longest = state.adapt_state.step_size

        def transition(now: Any, fraction: Any) -> tuple[Any, tuple[Any, Any]]:
            # trajectories of one length fall into step with a nearly Gaussian posterior, and then do not mix
            now = now._replace(adapt_state=now.adapt_state._replace(step_size=fraction * longest))
            new = step(now, model_args=row)
            return new, (new.z, new.diverging)

        fractions = jax.random.uniform(length_key, (n_draws,), p.dtype, _SHORTEST, 1.0)
        return jax.lax.scan(transition, state, fractions)[1]

    def chains(number: Any, p: Any, *row: Any) -> tuple[Any, Any]:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), number[0]), number[1])
        return jax.vmap(lambda k: one_chain(k, p, *row))(jax.random.split(key, n_chains))

    pairs = np.stack([numbers & 0xFFFFFFFF, numbers >> 32], axis=1).astype(np.uint32)
    filled = np.resize(np.arange(n), padded_length(n))
    draws, diverging = jax.jit(jax.vmap(chains))(pairs[filled], start[filled], *(values[filled] for values in arrays))
    found, divergences = np.asarray(draws)[:n], np.asarray(diverging)[:n].sum(axis=(1, 2))
    by_chain = np.moveaxis(found, 0, 2)  # (chains, draws, n, k)
    rhat = r_hat(by_chain)
    few = divergences <= _DIVERGENT * n_chains * n_draws
    return Posteriors(
        draws=found,
        r_hat=rhat,
        ess_bulk=ess_bulk(by_chain),
        ess_tail=ess_tail(by_chain),
        divergences=divergences.astype(np.int64),
        is_reliable=few & np.all(rhat <= _R_HAT, axis=1),
    )
