"""The integral over the true x where the mean is bent, and no closed form exists.

Under component k the true x given x_obs is Gaussian, N(x_k, v_k); with x = x_k + sqrt(v_k) u an object's density is

    N(x_obs; mu_k, tau_k^2 + e_x^2) int phi(u) N(y; m(x) + (c / e_x^2) (x_obs - x), v + e_y^2 - c^2 / e_x^2) du,

and for an upper limit the normal density of y is replaced by its distribution function. Where y is known much better
than x, the integrand is a narrow peak somewhere in phi. The nodes follow it: u = u* + w b sinh(t / b), u* and w being
place and width of the peak (of the edge, for a limit) from a few Gauss-Newton steps, are dense there and reach beyond
eight standard deviations on both sides. In t the rule is Gauss and Legendre's, between the corners of the mean, whose
moves it follows: so the result can be differentiated twice with respect to the place of a knee.
"""

from typing import Any

import numpy as np

from hven.methods._line_means import Basis, Mean, corners, mean_and_slope

_STRETCH = 2.0
_REACH = 8.0
_STEPS = 4
_FARTHEST = 50.0
_OUTSIDE = 1e6
_VARIANCE_FLOOR = 1e-20


def log_integral(
    p: Any, data: Any, mean: Mean, basis: Basis, *, prior: tuple[Any, Any], variance: Any, shift: Any,
    has_limits: bool, n_nodes: int,
) -> Any:  # fmt: skip
    """Return ln of the density above for each component and object, shape (k, n).

    Parameters
    ----------
    p
        Parameters of the mean.
    data
        The rows, see `Data`.
    mean, basis
        Which mean, and its knots.
    prior
        Means and variances of the components, each (k, 1).
    variance
        The intrinsic variance v.
    shift
        What covariates add to the mean, (n,) or 0.
    has_limits, n_nodes
        Whether there are upper limits at all; nodes between two corners.
    """
    import jax
    import jax.numpy as jnp

    mu, tau_var = prior
    has_error = data.x_var > 0
    tilt = jnp.where(has_error, data.xy_cov / jnp.where(has_error, data.x_var, 1.0), 0.0)
    noise = variance + data.y_var - tilt * data.xy_cov + _VARIANCE_FLOOR
    total = tau_var + data.x_var
    middle = data.x - (data.x - mu) * data.x_var / total
    spread = jnp.sqrt(tau_var / total) * jnp.sqrt(data.x_var)

    def residual(u: Any) -> tuple[Any, Any]:
        x = middle + spread * u
        value, slope = mean_and_slope(p, x, mean, basis)
        return data.y - shift - value - tilt * (data.x - x), spread * (tilt - slope)

    peak, width = jax.lax.stop_gradient(_peak(residual, noise, data.is_limit > 0, middle))
    reach = _REACH + jnp.abs(peak)
    end = _STRETCH * jnp.arcsinh(reach / (_STRETCH * width))
    edges = [-end]
    for corner in corners(p, mean, basis):
        u = jnp.where(spread > 0, (corner - middle) / jnp.where(spread > 0, spread, 1.0), _OUTSIDE)
        edges.append(jnp.clip(_STRETCH * jnp.arcsinh((u - peak) / (_STRETCH * width)), -end, end))
    ends = jnp.stack([*edges, end])
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    half = 0.5 * (ends[1:] - ends[:-1])[:, None]
    t = 0.5 * (ends[1:] + ends[:-1])[:, None] + half * nodes[:, None, None]  # (panels, nodes, k, n)
    u = peak + width * _STRETCH * jnp.sinh(t / _STRETCH)
    r, _ = residual(u)
    of_y = -0.5 * jnp.log(2 * jnp.pi * noise) - 0.5 * r**2 / noise
    if has_limits:
        of_y = jnp.where(data.is_limit > 0, jax.scipy.special.log_ndtr(r / jnp.sqrt(noise)), of_y)
    height = of_y - 0.5 * u**2 + jnp.log(jnp.cosh(t / _STRETCH))
    highest = jax.lax.stop_gradient(height.max(axis=(0, 1)))
    area = jnp.sum(half * weights[:, None, None] * jnp.exp(height - highest), axis=(0, 1))
    of_x = -0.5 * jnp.log(2 * jnp.pi * total) - 0.5 * (data.x - mu) ** 2 / total
    return of_x + jnp.log(area * width) + highest - 0.5 * jnp.log(2 * jnp.pi)


def _peak(residual: Any, noise: Any, is_limit: Any, like: Any) -> tuple[Any, Any]:
    """Return where the integrand is highest, or a limit's edge, and its width there; each (k, n)."""
    import jax.numpy as jnp

    u = jnp.zeros_like(like)
    r_0, g_0 = residual(u)
    for _ in range(_STEPS):
        r, g = residual(u)
        u = jnp.clip(-g * (r - g * u) / (noise + g**2), -_FARTHEST, _FARTHEST)
    steep = jnp.where(jnp.abs(g_0) > 1e-9, g_0, 1e-9)
    u = jnp.where(is_limit & (r_0 > 0), jnp.clip(-r_0 / steep, -_REACH, _REACH), u)
    _, g = residual(u)
    return u, 1 / jnp.sqrt(1 + g**2 / noise)
