"""Errors-in-variables regression: the closed form at its maximum against sampling of the same model."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.harness import benchmark, best_of_each
from hven.methods import eiv

STARS, WARMUP, DRAWS = 1_000, 500, 1_000


def stars() -> tuple[np.ndarray, ...]:
    """Return radius and metallicity with errors, along a gradient with intrinsic scatter."""
    rng = np.random.default_rng(1)
    radius = rng.normal(9.0, 1.5, STARS)
    feh = 0.1 - 0.07 * (radius - 8.0) + rng.normal(scale=0.06, size=STARS)
    radius_err, feh_err = rng.uniform(0.2, 0.6, STARS), rng.uniform(0.02, 0.08, STARS)
    return radius + radius_err * rng.normal(size=STARS), feh + feh_err * rng.normal(size=STARS), radius_err, feh_err


def sampler_of(x: np.ndarray, y: np.ndarray, x_err: np.ndarray, y_err: np.ndarray) -> Callable[[], dict]:
    """Return a function that samples slope, intercept at 8 and scatter with NumPyro, compiled at its first call only.

    Flat priors, the true x integrated out in closed form: sampling those of every star as well gives the same posterior
    and takes several times as long.
    """
    import jax
    import jax.numpy as jnp
    import numpyro
    from numpyro import distributions as dist
    from numpyro.infer import MCMC, NUTS, init_to_value

    def model() -> None:
        flat = dist.ImproperUniform(dist.constraints.real, (), ())
        slope, intercept, mu = (numpyro.sample(name, flat) for name in ("slope", "intercept", "mu"))
        positive = dist.ImproperUniform(dist.constraints.positive, (), ())
        scatter, tau = (numpyro.sample(name, positive) for name in ("scatter", "tau"))
        var_x, cov = tau**2 + x_err**2, slope * tau**2
        var_y = slope**2 * tau**2 + scatter**2 + y_err**2
        off_x, off_y = x - mu, y - intercept - slope * (mu - 8.0)
        det = var_x * var_y - cov**2
        chi2 = (var_y * off_x**2 - 2 * cov * off_x * off_y + var_x * off_y**2) / det
        numpyro.factor("likelihood", jnp.sum(-0.5 * (chi2 + jnp.log(det))))

    start = {"slope": 0.0, "intercept": 0.0, "mu": 9.0, "scatter": 0.1, "tau": 1.0}
    kernel = NUTS(model, init_strategy=init_to_value(values=start))
    sampler = MCMC(
        kernel, num_warmup=WARMUP, num_samples=DRAWS, num_chains=2, chain_method="vectorized", progress_bar=False
    )

    def draw() -> dict[str, np.ndarray]:
        with jax.enable_x64(True), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler.run(jax.random.key(0))
            return {name: np.asarray(values) for name, values in sampler.get_samples().items()}

    return draw


@benchmark(target=100, against="NumPyro's NUTS on the same likelihood, 2 x (500 + 1,000) draws, compiled")
def errors_in_variables(folder: Path) -> float:
    """Speed of a line through 1,000 stars; means agree to 0.15 sigma, widths to 15 %."""
    columns = stars()
    line = eiv.fit(*columns, x0=8.0, n_components=1)
    sample = sampler_of(*columns)
    draws = sample()
    ours = {
        "slope": (line.slope, line.slope_err),
        "intercept": (line.intercept, line.intercept_err),
        "scatter": (line.sigma_int, line.sigma_int_err),
    }
    for name, (value, err) in ours.items():
        assert abs(draws[name].mean() - value) < 0.15 * err, name
        assert abs(draws[name].std() / err - 1) < 0.15, name
        print(f"  {name}: mean differs by {(draws[name].mean() - value) / err:+.2f} sigma, width by "
              f"{100 * (draws[name].std() / err - 1):+.0f} %")  # fmt: skip
    fit, sampling = best_of_each(lambda: eiv.fit(*columns, x0=8.0, n_components=1), sample, rounds=3)
    return sampling / fit
