"""The marginal likelihood of a straight line with errors in both variables, and its derivatives, in JAX.

The true abscissa of each object is integrated out in closed form. With the prior x ~ sum_k pi_k N(mu_k, tau_k^2), the
line y = a + b x + c.w, intrinsic variance v = sigma_int^2 and the error covariance [[e_x^2, c], [c, e_y^2]], component
k is

    (x_obs, y) ~ N2([mu, a + b mu + c.w], [[tau^2 + e_x^2, b tau^2 + c], [b tau^2 + c, b^2 tau^2 + v + e_y^2]]).

It is evaluated for (x_obs - mu, r) with r = y - a - b x_obs - c.w, whose determinant has no cancellation when tau^2 is
large. Of an upper limit only Phi is known: the probability that y is lower, given x_obs. A bent mean is integrated
numerically, see `_line_quadrature`. Parameters travel as one vector `z`; `Layout` knows what stands where.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hven.methods._line_means import LINE, NO_BASIS, Basis, Mean
from hven.methods._line_quadrature import log_integral

Array = NDArray[np.float64]

TAU_FLOOR = 0.01
"""Smallest width of a prior component, in units of the observed spread of x.

It keeps mixtures from collapsing on one object without an error, where the likelihood is infinite."""


_BLOCK, _BENT_BLOCK = 1024, 64
"""Objects differentiated at a time: what they need stays in the processor's cache, and memory does not grow with n."""


class Data(NamedTuple):
    """What the likelihood is made of: arrays of NumPy or JAX, (n,) and (n, m); `weight` is zero in the padding.

    Where `is_limit` is not 0, y is an upper limit. `error_bin` says which prior of the true x an object has.
    """

    x: Any
    y: Any
    x_var: Any
    y_var: Any
    xy_cov: Any
    weight: Any
    is_limit: Any
    covariates: Any
    error_bin: Any


@dataclass(frozen=True)
class Layout:
    """Where the parameters stand in the vector `z`, and what is compiled.

    mean (slope and intercept of a line), coefficients of covariates, prior (means, log widths, logits), outliers (logit
    of twice the fraction, mean, log width), and last the intrinsic variance. `n_nodes` are those of the quadrature.
    With several `n_bins` of the error of x each has a prior of its own: (components, bins) in a row.
    """

    n_components: int
    n_covariates: int
    outliers: bool
    mean: Mean = LINE
    has_limits: bool = False
    n_nodes: int = 0
    n_bins: int = 1

    @property
    def size(self) -> int:
        of_prior = self.n_bins * (3 * self.n_components - 1)
        return self.mean.size + self.n_covariates + of_prior + 3 * self.outliers + 1

    @property
    def coefficients(self) -> slice:
        return slice(self.mean.size, self.mean.size + self.n_covariates)

    @property
    def means(self) -> slice:
        start = self.coefficients.stop
        return slice(start, start + self.n_components * self.n_bins)

    @property
    def log_widths(self) -> slice:
        return slice(self.means.stop, self.means.stop + self.n_components * self.n_bins)

    @property
    def logits(self) -> slice:
        return slice(self.log_widths.stop, self.log_widths.stop + (self.n_components - 1) * self.n_bins)

    @property
    def outlier(self) -> slice:
        return slice(self.logits.stop, self.logits.stop + 3 * self.outliers)

    @property
    def variance(self) -> int:
        return self.size - 1

    @property
    def wanted(self) -> list[int]:
        """Places of what a fit reports: the mean's parameters, the variance, the coefficients of the covariates."""
        return [*range(self.mean.size), self.variance, *range(self.coefficients.start, self.coefficients.stop)]


def log_gaussian(x: Any, r: Any, data: Data, *, slope: Any, tau_var: Any, variance: Any) -> Any:
    """Return ln N2 of (x, r), r being the residual from the line, shape (k, n)."""
    import jax.numpy as jnp

    across = variance + data.y_var + slope**2 * data.x_var - 2 * slope * data.xy_cov
    along = tau_var + data.x_var
    mixed = data.xy_cov - slope * data.x_var
    determinant = along * across - mixed**2
    chi2 = (across * x**2 - 2 * mixed * x * r + along * r**2) / determinant
    return -jnp.log(2 * jnp.pi) - 0.5 * jnp.log(determinant) - 0.5 * chi2


def log_below(x: Any, r: Any, data: Data, *, slope: Any, tau_var: Any, variance: Any) -> Any:
    """Return ln [N(x) P(residual < r given x)], for y that are upper limits; shape (k, n)."""
    import jax
    import jax.numpy as jnp

    across = variance + data.y_var + slope**2 * data.x_var - 2 * slope * data.xy_cov
    along = tau_var + data.x_var
    mixed = data.xy_cov - slope * data.x_var
    below = (r - mixed / along * x) / jnp.sqrt(across - mixed**2 / along)
    return jax.scipy.special.log_ndtr(below) - 0.5 * jnp.log(2 * jnp.pi * along) - 0.5 * x**2 / along


def log_density(z: Any, data: Data, layout: Layout, basis: Basis = NO_BASIS) -> Any:
    """Return the log-likelihood of each object, shape (n,), weights left out."""
    import jax
    import jax.numpy as jnp

    p, variance = z[: layout.mean.size], z[layout.variance]
    shift = data.covariates @ z[layout.coefficients] if layout.n_covariates else 0.0
    k, bins = layout.n_components, layout.n_bins

    def of_object(values: Any) -> Any:  # (k, bins) as each object has it: (k, n), or (k, 1) where there is one for all
        return values[:, data.error_bin.astype(int)] if bins > 1 else values

    tau_var = of_object(TAU_FLOOR**2 + jnp.exp(2 * z[layout.log_widths].reshape(k, bins)))
    logits = jnp.concatenate([jnp.zeros((1, bins)), z[layout.logits].reshape(k - 1, bins)])
    log_weights = of_object(jax.nn.log_softmax(logits, axis=0))
    mu = of_object(z[layout.means].reshape(k, bins))

    def straight(residual: Any, **line: Any) -> Any:
        given = (data.x - mu, residual, data)
        seen = log_gaussian(*given, tau_var=tau_var, **line)
        if not layout.has_limits:
            return seen
        return jnp.where(data.is_limit > 0, log_below(*given, tau_var=tau_var, **line), seen)

    if layout.mean.kind == "line":
        by_component = straight(data.y - p[1] - p[0] * data.x - shift, slope=p[0], variance=variance)
    else:
        by_component = log_integral(
            p, data, layout.mean, basis, prior=(mu, tau_var), variance=variance, shift=shift,
            has_limits=layout.has_limits, n_nodes=layout.n_nodes,
        )  # fmt: skip
    inside = jax.scipy.special.logsumexp(log_weights + by_component, axis=0)
    if not layout.outliers:
        return inside
    odds, mean, log_width = z[layout.outlier]
    broad = straight(data.y - mean, slope=0.0, variance=jnp.exp(2 * log_width))
    outside = jax.scipy.special.logsumexp(log_weights + broad, axis=0)
    fraction = 0.5 * jax.nn.sigmoid(odds)
    return jnp.logaddexp(jnp.log1p(-fraction) + inside, jnp.log(fraction) + outside)


def log_likelihood(z: Any, rows: Data, layout: Layout, basis: Basis) -> Any:
    """Return the log-likelihood of all objects, weighted; a block at a time, so that gradients take little memory."""
    import jax
    import jax.numpy as jnp

    def of_block(block: Data) -> Any:
        return jnp.sum(jnp.where(block.weight > 0, block.weight * log_density(z, block, layout, basis), 0.0))

    blocks = _blocks(rows, layout)
    return of_block(rows) if len(blocks.x) == 1 else jnp.sum(jax.lax.map(jax.checkpoint(of_block), blocks))


def _blocks(data: Data, layout: Layout) -> Data:
    block = min(len(data.x), _BLOCK if layout.mean.kind == "line" else _BENT_BLOCK)
    return Data(*(v.reshape(len(v) // block, block, *v.shape[1:]) for v in data))


@lru_cache(maxsize=64)
def densities(layout: Layout) -> Callable[[Array, Data, Basis], Any]:
    """Return the compiled function (z, data, basis) -> log-likelihood of each object, (n,)."""
    import jax

    def of_rows(z: Any, data: Data, basis: Basis) -> Any:
        return jax.lax.map(lambda rows: log_density(z, rows, layout, basis), _blocks(data, layout)).reshape(-1)

    return jax.jit(of_rows)


@lru_cache(maxsize=64)
def value_gradient_hessian(layout: Layout) -> Callable[[Array, Data, Basis], tuple[Any, Any, Any]]:
    """Return the compiled function (z, data, basis) -> mean negative log-likelihood, its gradient and its Hessian."""
    import jax
    import jax.numpy as jnp

    def loss(z: Any, rows: Data, basis: Basis) -> Any:
        return -jnp.sum(jnp.where(rows.weight > 0, rows.weight * log_density(z, rows, layout, basis), 0.0))

    def gradient(z: Any, rows: Data, basis: Basis) -> tuple[Any, Any]:
        value, slope = jax.value_and_grad(loss)(z, rows, basis)
        return slope, (value, slope)

    def derivatives(z: Any, data: Data, basis: Basis) -> tuple[Any, Any, Any]:
        def add_block(total: tuple[Any, Any, Any], rows: Data) -> tuple[tuple[Any, Any, Any], None]:
            hessian, (value, slope) = jax.jacfwd(gradient, has_aux=True)(z, rows, basis)
            return (total[0] + value, total[1] + slope, total[2] + hessian), None

        size = layout.size
        zero = (jnp.zeros(()), jnp.zeros(size), jnp.zeros((size, size)))
        (value, slope, hessian), _ = jax.lax.scan(add_block, zero, _blocks(data, layout))
        weight = jnp.sum(data.weight)
        return value / weight, slope / weight, hessian / weight

    return jax.jit(derivatives)
