"""Draws from the posterior of a fitted mean, by Hamiltonian Monte Carlo on the likelihood that the fit maximises.

Priors, in standardised units: flat for the mean, the coefficients and the intrinsic scatter; broad for the mixture of
the true x and for the outliers, which would be improper without. The components' means are sampled in ascending order,
as the first and the logarithms of the gaps, so that chains cannot differ by their names. Whether to believe the draws
is judged by what is reported: a component or outliers that the data do not need may wander.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hven.methods._line_likelihood import Data, Layout, log_likelihood
from hven.methods._line_means import Basis

Array = NDArray[np.float64]

_MEAN_WIDTH, _LOG_WIDTH, _LOGIT_WIDTH = 3.0, 2.0, 1.5
_R_HAT, _ESS = 1.01, 400
_WARMUP, _DRAWS, _CHAINS = 400, 500, 4


def draw(layout: Layout, data: Data, basis: Basis, z: Array, *, fixed_variance: bool, seed: int) -> tuple[Array, bool]:
    """Return draws (d, p) of what a fit reports, the variance as a standard deviation, and whether to believe them.

    `data` are standardised and padded, `z` is the maximum; `fixed_variance` keeps the variance there.
    """
    import jax.numpy as jnp

    from hven.methods.hmc import sample

    init = _parts(layout, z, fixed_variance=fixed_variance)

    def vector(part: dict[str, Any]) -> Any:
        variance = z[-1:] if fixed_variance else part["scatter"] ** 2
        means = part["first"] + jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.exp(part["gaps"]))])
        return jnp.concatenate([part["mean"], means, part["log_widths"], part["logits"], part["outliers"], variance])

    def density(part: dict[str, Any]) -> Any:
        prior = jnp.sum((part["first"] / _MEAN_WIDTH) ** 2) + jnp.sum((part["gaps"] / _LOG_WIDTH) ** 2)
        prior += jnp.sum((part["log_widths"] / _LOG_WIDTH) ** 2) + jnp.sum((part["logits"] / _LOGIT_WIDTH) ** 2)
        if layout.outliers:
            odds, middle, log_width = part["outliers"]
            prior += (odds / 2 / _LOGIT_WIDTH) ** 2 + (middle / _MEAN_WIDTH) ** 2 + (log_width / _LOG_WIDTH) ** 2
        return log_likelihood(vector(part), data, layout, basis) - 0.5 * prior

    told = sample(
        density, init, bounds={"scatter": (0.0, None)} if not fixed_variance else None, n_warmup=_WARMUP,
        n_draws=_DRAWS, n_chains=_CHAINS, seed=seed,
    )  # fmt: skip
    mean, size = told.flat("mean"), layout.mean.size
    scatter = np.full((len(mean), 1), np.sqrt(z[-1])) if fixed_variance else told.flat("scatter")
    names = ["mean"] if fixed_variance else ["mean", "scatter"]
    is_reliable = not {"divergences", "not_finite"} & set(told.flags) and all(
        np.all(told.r_hat[name] <= _R_HAT) and np.all(np.minimum(told.ess_bulk[name], told.ess_tail[name]) >= _ESS)
        for name in names
    )
    return np.concatenate([mean[:, :size], scatter, mean[:, size:]], axis=1), bool(is_reliable)


def _parts(layout: Layout, z: Array, *, fixed_variance: bool) -> dict[str, Array]:
    """Return the parameters by name, the mean's and the covariates' as one, the components in order."""
    order = np.argsort(z[layout.means])
    means, logits = z[layout.means][order], np.concatenate([[0.0], z[layout.logits]])[order]
    parts = {
        "mean": z[: layout.coefficients.stop],
        "first": means[:1],
        "gaps": np.log(np.maximum(np.diff(means), 1e-3)),
        "log_widths": z[layout.log_widths][order],
        "logits": logits[1:] - logits[0],
        "outliers": z[layout.outlier],
    }
    return parts if fixed_variance else {**parts, "scatter": np.sqrt(np.maximum(z[-1:], 1e-4))}
