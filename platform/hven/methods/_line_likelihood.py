"""The marginal likelihood of a straight line with errors in both variables, and its derivatives, in JAX.

The true abscissa of each object is integrated out in closed form. With the prior x ~ sum_k pi_k N(mu_k, tau_k^2), the
line y = a + b x + c.w, intrinsic variance v = sigma_int^2 and the error covariance [[e_x^2, c], [c, e_y^2]], component
k is

    (x_obs, y) ~ N2([mu, a + b mu + c.w], [[tau^2 + e_x^2, b tau^2 + c], [b tau^2 + c, b^2 tau^2 + v + e_y^2]]).

It is evaluated for (x_obs - mu, r) with r = y - a - b x_obs - c.w, whose determinant has no cancellation when tau^2 is
large. Parameters travel as one vector `z`; `Layout` knows what stands where.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TAU_FLOOR = 0.01
"""Smallest width of a prior component, in units of the observed spread of x.

It keeps mixtures from collapsing on one object without an error, where the likelihood is infinite."""


_BLOCK = 1024
"""Objects differentiated at a time: what they need stays in the processor's cache, and memory does not grow with n."""


class Data(NamedTuple):
    """What the likelihood is made of: arrays of NumPy or JAX, (n,) and (n, m); `weight` is zero in the padding."""

    x: Any
    y: Any
    x_var: Any
    y_var: Any
    xy_cov: Any
    weight: Any
    covariates: Any


@dataclass(frozen=True)
class Layout:
    """Where the parameters stand in the vector `z`.

    slope, intercept, coefficients of covariates, prior (means, log widths, logits), outliers (logit of twice the
    fraction, mean, log width), and last the intrinsic variance.
    """

    n_components: int
    n_covariates: int
    outliers: bool

    @property
    def size(self) -> int:
        return 2 + self.n_covariates + 3 * self.n_components - 1 + 3 * self.outliers + 1

    @property
    def coefficients(self) -> slice:
        return slice(2, 2 + self.n_covariates)

    @property
    def means(self) -> slice:
        start = 2 + self.n_covariates
        return slice(start, start + self.n_components)

    @property
    def log_widths(self) -> slice:
        return slice(self.means.stop, self.means.stop + self.n_components)

    @property
    def logits(self) -> slice:
        return slice(self.log_widths.stop, self.log_widths.stop + self.n_components - 1)

    @property
    def outlier(self) -> slice:
        return slice(self.logits.stop, self.logits.stop + 3 * self.outliers)

    @property
    def variance(self) -> int:
        return self.size - 1


def log_gaussian(x: Any, r: Any, data: Data, *, slope: Any, tau_var: Any, variance: Any) -> Any:
    """Return ln N2 of (x, r), r being the residual from the line, shape (k, n)."""
    import jax.numpy as jnp

    across = variance + data.y_var + slope**2 * data.x_var - 2 * slope * data.xy_cov
    along = tau_var + data.x_var
    mixed = data.xy_cov - slope * data.x_var
    determinant = along * across - mixed**2
    chi2 = (across * x**2 - 2 * mixed * x * r + along * r**2) / determinant
    return -jnp.log(2 * jnp.pi) - 0.5 * jnp.log(determinant) - 0.5 * chi2


def log_density(z: Any, data: Data, layout: Layout) -> Any:
    """Return the log-likelihood of each object, shape (n,), weights left out."""
    import jax
    import jax.numpy as jnp

    slope, intercept, variance = z[0], z[1], z[layout.variance]
    shift = data.covariates @ z[layout.coefficients] if layout.n_covariates else 0.0
    tau_var = TAU_FLOOR**2 + jnp.exp(2 * z[layout.log_widths])
    log_weights = jax.nn.log_softmax(jnp.concatenate([jnp.zeros(1), z[layout.logits]]))
    residual = data.y - intercept - slope * data.x - shift
    x = data.x - z[layout.means][:, None]
    line = {"slope": slope, "tau_var": tau_var[:, None], "variance": variance}
    inside = jax.scipy.special.logsumexp(log_weights[:, None] + log_gaussian(x, residual, data, **line), axis=0)
    if not layout.outliers:
        return inside
    odds, mean, log_width = z[layout.outlier]
    broad = line | {"slope": 0.0, "variance": jnp.exp(2 * log_width)}
    outside = jax.scipy.special.logsumexp(log_weights[:, None] + log_gaussian(x, data.y - mean, data, **broad), axis=0)
    fraction = 0.5 * jax.nn.sigmoid(odds)
    return jnp.logaddexp(jnp.log1p(-fraction) + inside, jnp.log(fraction) + outside)


@lru_cache(maxsize=64)
def value_gradient_hessian(layout: Layout) -> Callable[[Array, Data], tuple[Any, Any, Any]]:
    """Return the compiled function (z, data) -> mean negative log-likelihood, its gradient and its Hessian."""
    import jax
    import jax.numpy as jnp

    def loss(z: Any, rows: Data) -> Any:
        return -jnp.sum(jnp.where(rows.weight > 0, rows.weight * log_density(z, rows, layout), 0.0))

    def gradient(z: Any, rows: Data) -> tuple[Any, Any]:
        value, slope = jax.value_and_grad(loss)(z, rows)
        return slope, (value, slope)

    def add_block(total: tuple[Any, Any, Any], rows: Data, z: Any) -> tuple[tuple[Any, Any, Any], None]:
        hessian, (value, slope) = jax.jacfwd(gradient, has_aux=True)(z, rows)
        return (total[0] + value, total[1] + slope, total[2] + hessian), None

    def derivatives(z: Any, data: Data) -> tuple[Any, Any, Any]:
        block = min(len(data.x), _BLOCK)
        blocks = Data(*(v.reshape(len(v) // block, block, *v.shape[1:]) for v in data))
        size = layout.size
        zero = (jnp.zeros(()), jnp.zeros(size), jnp.zeros((size, size)))
        (value, slope, hessian), _ = jax.lax.scan(lambda total, rows: add_block(total, rows, z), zero, blocks)
        weight = jnp.sum(data.weight)
        return value / weight, slope / weight, hessian / weight

    return jax.jit(derivatives)
