"""Errors-in-variables regression: the closed form at its maximum against sampling of the same posterior."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.harness import benchmark, best_of_each
from hven.methods import eiv, in_float64

STARS, CHAINS, WARMUP, DRAWS = 1_000, 2, 500, 1_000


def stars() -> tuple[np.ndarray, ...]:
    """Return radius and metallicity with errors, along a gradient with intrinsic scatter."""
    rng = np.random.default_rng(1)
    radius = rng.normal(9.0, 1.5, STARS)
    feh = 0.1 - 0.07 * (radius - 8.0) + rng.normal(scale=0.06, size=STARS)
    radius_err, feh_err = rng.uniform(0.2, 0.6, STARS), rng.uniform(0.02, 0.08, STARS)
    return radius + radius_err * rng.normal(size=STARS), feh + feh_err * rng.normal(size=STARS), radius_err, feh_err


def sampler_of(x: np.ndarray, y: np.ndarray, x_err: np.ndarray, y_err: np.ndarray) -> Callable[[], dict]:
    """Return a function that samples slope, intercept at 8 and scatter by NumPyro's NUTS, compiled at its first call.

    Priors are flat, the chains start near the answer, and the true x is integrated out in closed form: sampling those
    of every star as well gives the same posterior and takes several times as long. (`numpyro.infer.MCMC` would compile
    at every run; its kernel is used directly.)
    """
    import jax
    import jax.numpy as jnp
    from numpyro.infer.hmc import hmc

    def potential(p: dict) -> jax.Array:
        scatter, tau = jnp.exp(p["ln_scatter"]), jnp.exp(p["ln_tau"])
        var_x, cov = tau**2 + x_err**2, p["slope"] * tau**2
        var_y = p["slope"] ** 2 * tau**2 + scatter**2 + y_err**2
        off_x, off_y = x - p["mu"], y - p["intercept"] - p["slope"] * (p["mu"] - 8.0)
        det = var_x * var_y - cov**2
        chi2 = (var_y * off_x**2 - 2 * cov * off_x * off_y + var_x * off_y**2) / det
        return jnp.sum(0.5 * (chi2 + jnp.log(det))) - p["ln_scatter"] - p["ln_tau"]

    begin, step = hmc(potential, algo="NUTS")
    near = {"slope": -0.05, "intercept": 0.1, "mu": 9.0, "ln_scatter": np.log(0.05), "ln_tau": np.log(1.5)}

    def one_chain(key: jax.Array) -> dict:
        state = begin({name: jnp.asarray(value) for name, value in near.items()}, WARMUP, rng_key=key)
        state, _ = jax.lax.scan(lambda now, _: (step(now), None), state, None, length=WARMUP)
        return jax.lax.scan(lambda now, _: (step(now), now.z), state, None, length=DRAWS)[1]

    compiled = jax.jit(jax.vmap(one_chain))

    @in_float64
    def draw() -> dict[str, np.ndarray]:
        return {
            name: np.asarray(z).ravel() for name, z in compiled(jax.random.split(jax.random.key(0), CHAINS)).items()
        }

    return draw


@benchmark(target=100, against="NumPyro's NUTS on the same likelihood, compiled, 2 x (500 + 1,000) draws")
def errors_in_variables(folder: Path) -> float:
    """Speed of a line through 1,000 stars; means agree to 0.15 sigma, widths to 15 %."""
    columns = stars()
    sample = sampler_of(*columns)
    draws = sample()
    line = eiv.fit(*columns, x0=8.0, n_components=1)
    both = {
        "slope": (draws["slope"], line.slope, line.slope_err),
        "intercept": (draws["intercept"], line.intercept, line.intercept_err),
        "scatter": (np.exp(draws["ln_scatter"]), line.sigma_int, line.sigma_int_err),
    }
    for name, (sampled, value, err) in both.items():
        off, width = (sampled.mean() - value) / err, sampled.std() / err - 1
        print(f"  {name}: mean differs by {off:+.2f} sigma, width by {100 * width:+.0f} %")
        assert abs(off) < 0.15, name
        assert abs(width) < 0.15, name
    fit, sampling = best_of_each(lambda: eiv.fit(*columns, x0=8.0, n_components=1), sample, rounds=5)
    return sampling / fit
