"""Likelihoods: ln p of each row, as JAX functions that may be differentiated, mapped and compiled.

NumPy arrays or numbers in, NumPy arrays of float64 out. With a JAX array among the arguments, as inside a function that
is compiled or differentiated, JAX arrays come out, in the precision of that function. Every density is normalised: over
all data that can be observed, p integrates or sums to one.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from hven.methods.precision import in_float64

__all__ = [
    "dirichlet_multinomial",
    "gaussian",
    "gaussian_cov",
    "mixture",
    "poisson",
    "rice",
    "skew_normal",
    "student_t",
    "truncated_gaussian",
    "vae_loss",
    "with_outliers",
]

_LOG_2PI = float(np.log(2 * np.pi))


def _per_row(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` in float64 and from NumPy to NumPy, unless JAX is at work on its arguments."""
    in_double = in_float64(function)

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        jax = sys.modules.get("jax")
        if jax is not None and any(isinstance(value, jax.Array) for value in (*args, *kwargs.values())):
            return function(*args, **kwargs)
        result = in_double(*args, **kwargs)
        is_traced = isinstance(result, sys.modules["jax"].core.Tracer)
        return result if is_traced else np.asarray(result)

    return run


@_per_row
def gaussian(x: Any, mu: Any, err: Any, scatter: Any = 0.0) -> Any:
    """Return ln N(x | mu, err^2 + scatter^2): known errors and a scatter that may be learned. All broadcast.

    Examples
    --------
    >>> float(gaussian(0.0, 0.0, 1.0)), float(gaussian(0.0, 0.0, 3.0, 4.0) - gaussian(0.0, 0.0, 5.0))
    (-0.9189385332046727, 0.0)
    """
    import jax.numpy as jnp

    variance = jnp.asarray(err) ** 2 + jnp.asarray(scatter) ** 2
    return -0.5 * ((jnp.asarray(x) - jnp.asarray(mu)) ** 2 / variance + jnp.log(variance) + _LOG_2PI)


@_per_row
def gaussian_cov(x: Any, mu: Any, cov: Any) -> Any:
    """Return ln N(x | mu, cov) of vectors x (..., d) with covariances (..., d, d), by their Cholesky factors.

    NaN where a covariance is not positive definite.

    Examples
    --------
    >>> float(gaussian_cov([1.0, 2.0], [0.0, 0.0], [[1.0, 0.0], [0.0, 4.0]]))
    -3.531024246969...
    """
    import jax
    import jax.numpy as jnp

    off = jnp.asarray(x) - jnp.asarray(mu)
    factor = jnp.linalg.cholesky(jnp.asarray(cov))
    shape = jnp.broadcast_shapes(off.shape[:-1], factor.shape[:-2])
    d = off.shape[-1]
    off, factor = jnp.broadcast_to(off, (*shape, d)), jnp.broadcast_to(factor, (*shape, d, d))
    whitened = jax.scipy.linalg.solve_triangular(factor, off[..., None], lower=True)[..., 0]
    log_det = 2 * jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)
    return -0.5 * (jnp.sum(whitened**2, axis=-1) + log_det + d * _LOG_2PI)


@_per_row
def rice(u_obs: Any, u: Any, sigma: Any) -> Any:
    """Return ln p of the length `u_obs` of a vector of two components, true length `u`, error `sigma` in each.

    ln(u_obs / sigma^2) - (u_obs - u)^2 / (2 sigma^2) + ln I0e(u_obs u / sigma^2) (Rice 1945).

    Examples
    --------
    >>> round(float(rice(1.0, 0.0, 1.0)), 6)  # Rayleigh
    -0.5
    """
    import jax
    import jax.numpy as jnp

    u_obs, u, variance = jnp.asarray(u_obs), jnp.asarray(u), jnp.asarray(sigma) ** 2
    bessel = jnp.log(jax.scipy.special.i0e(u_obs * u / variance))
    return jnp.log(u_obs / variance) - (u_obs - u) ** 2 / (2 * variance) + bessel


@_per_row
def with_outliers(logp: Any, logp_outlier: Any, fraction: Any) -> Any:
    """Return ln[(1 - f) p + f p_outlier]; exact for f = 0 and f = 1.

    Examples
    --------
    >>> float(with_outliers(-1.0, -5.0, 0.0))
    -1.0
    """
    import jax.numpy as jnp

    fraction = jnp.asarray(fraction)
    return jnp.logaddexp(jnp.log1p(-fraction) + jnp.asarray(logp), jnp.log(fraction) + jnp.asarray(logp_outlier))


@_per_row
def mixture(logp: Any, weights: Any) -> Any:
    """Return ln sum_k w_k p_k for `logp` (..., k) and weights (..., k), which are made to sum to one.

    Examples
    --------
    >>> round(float(mixture([-1.0, -1.0], [0.3, 0.7])), 12)
    -1.0
    """
    import jax
    import jax.numpy as jnp

    weights = jnp.asarray(weights)
    share = weights / jnp.sum(weights, axis=-1, keepdims=True)
    return jax.scipy.special.logsumexp(jnp.asarray(logp), b=share, axis=-1)


@_per_row
def dirichlet_multinomial(k: Any, alpha: Any) -> Any:
    """Return ln p of counts k (..., m), multinomial with probabilities drawn from a Dirichlet of `alpha` (..., m).

    ln[N! Gamma(A) / Gamma(N + A) prod Gamma(k_i + alpha_i) / (k_i! Gamma(alpha_i))] with A = sum alpha, N = sum k; a
    row without counts gives 0.

    Examples
    --------
    >>> round(float(dirichlet_multinomial([1, 0], [1.0, 1.0])), 12) == round(float(np.log(0.5)), 12)
    True
    """
    import jax
    import jax.numpy as jnp

    gammaln = jax.scipy.special.gammaln
    k, alpha = jnp.asarray(k), jnp.asarray(alpha)
    k = k.astype(alpha.dtype)
    total, strength = jnp.sum(k, axis=-1), jnp.sum(alpha, axis=-1)
    each = gammaln(k + alpha) - gammaln(k + 1) - gammaln(alpha)
    return gammaln(total + 1) + gammaln(strength) - gammaln(total + strength) + jnp.sum(each, axis=-1)


@_per_row
def truncated_gaussian(x: Any, mu: Any, sigma: Any, lower: Any = -np.inf, upper: Any = np.inf) -> Any:
    """Return ln p of a Gaussian cut to lower <= x <= upper; -inf outside.

    Examples
    --------
    >>> round(float(truncated_gaussian(0.0, 0.0, 1.0, lower=0.0) - gaussian(0.0, 0.0, 1.0)), 6)  # ln 2
    0.693147
    """
    import jax.numpy as jnp

    x, mu, sigma, lower, upper = (jnp.asarray(v) for v in (x, mu, sigma, lower, upper))
    inside = (x >= lower) & (x <= upper)
    mass = _log_normal_mass((lower - mu) / sigma, (upper - mu) / sigma)
    return jnp.where(inside, gaussian(x, mu, sigma) - mass, -jnp.inf)


def _log_normal_mass(a: Any, b: Any) -> Any:
    """Return ln[Phi(b) - Phi(a)], both reflected into the lower tail where they are above zero."""
    import jax
    import jax.numpy as jnp

    above = a > 0
    low, high = jnp.where(above, -b, a), jnp.where(above, -a, b)
    log_low, log_high = (jax.scipy.special.log_ndtr(v) for v in (low, high))
    return log_high + jnp.log1p(-jnp.exp(jnp.minimum(log_low - log_high, 0.0)))


@_per_row
def student_t(x: Any, mu: Any, sigma: Any, nu: Any) -> Any:
    """Return ln p of Student's t with `nu` degrees of freedom, centre `mu` and scale `sigma`.

    Examples
    --------
    >>> round(float(student_t(0.0, 0.0, 1.0, 1.0)), 6) == round(float(-np.log(np.pi)), 6)  # Cauchy
    True
    """
    import jax
    import jax.numpy as jnp

    gammaln = jax.scipy.special.gammaln
    x, mu, sigma, nu = (jnp.asarray(v) for v in (x, mu, sigma, nu))
    norm = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * jnp.log(nu * jnp.pi) - jnp.log(sigma)
    return norm - 0.5 * (nu + 1) * jnp.log1p(((x - mu) / sigma) ** 2 / nu)


@_per_row
def poisson(k: Any, rate: Any) -> Any:
    """Return ln p of counts `k` for a mean of `rate`; a rate of 0 gives 0 for k = 0, else -inf.

    Examples
    --------
    >>> float(poisson(0, 2.0))
    -2.0
    """
    import jax
    import jax.numpy as jnp

    k, rate = jnp.asarray(k), jnp.asarray(rate) * 1.0
    return jax.scipy.special.xlogy(k, rate) - rate - jax.scipy.special.gammaln(k.astype(rate.dtype) + 1)


@_per_row
def skew_normal(x: Any, location: Any, scale: Any, shape: Any) -> Any:
    """Return ln p of the skew-normal: 2/scale phi(z) Phi(shape z) with z = (x - location)/scale (Azzalini 1985).

    Examples
    --------
    >>> float(skew_normal(0.3, 0.0, 1.0, 0.0) - gaussian(0.3, 0.0, 1.0))
    0.0
    """
    import jax
    import jax.numpy as jnp

    x, location, scale, shape = (jnp.asarray(v) for v in (x, location, scale, shape))
    z = (x - location) / scale
    return jnp.log(2.0) + gaussian(x, location, scale) + jax.scipy.special.log_ndtr(shape * z)


@_per_row
def vae_loss(x: Any, x_hat: Any, err: Any, scatter: Any, z_mean: Any, z_log_var: Any) -> Any:
    """Return the loss of a variational auto-encoder whose decoder has a learned scatter, one value a row.

    1/2 sum_j [(x_j - xhat_j)^2 / (err_j^2 + s_j^2) + ln(err_j^2 + s_j^2)] + KL(N(z_mean, e^z_log_var) || N(0, 1)), the
    negative evidence lower bound but for a constant (Laroche and Speagle, arXiv:2307.06378). Data (..., m), latents
    (..., l). Where `x` or `err` is not finite, the value is missing and counts for nothing.

    Examples
    --------
    >>> float(vae_loss([1.0, np.nan], [0.0, 7.0], [1.0, 1.0], 0.0, [0.0], [0.0]))
    0.5
    """
    import jax.numpy as jnp

    x, err = jnp.asarray(x), jnp.asarray(err)
    known = jnp.isfinite(x) & jnp.isfinite(err)
    variance = jnp.where(known, err, 1.0) ** 2 + jnp.asarray(scatter) ** 2
    misfit = (jnp.where(known, x, 0.0) - jnp.asarray(x_hat)) ** 2 / variance + jnp.log(variance)
    z_mean, z_log_var = jnp.asarray(z_mean), jnp.asarray(z_log_var)
    divergence = z_mean**2 + jnp.exp(z_log_var) - z_log_var - 1
    return 0.5 * (jnp.sum(jnp.where(known, misfit, 0.0), axis=-1) + jnp.sum(divergence, axis=-1))
