"""Log-densities of the bivariate copula families in JAX, with their bounds: positive dependence, unrotated.

Negative dependence and rotations are flips of the data (u -> 1 - u), which `hven.methods.copulas` makes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EDGE = 1e-10
"""Pseudo-observations are kept this far from 0 and 1."""

_Z_MAX = 6.5
S_MIN, S_MAX = 1 / 50, 1 / 2
"""Range of 1/nu of Student's t."""


@dataclass(frozen=True)
class Family:
    """One family: its log-density of (a, b, parameters), the bounds of the parameters, and whether rotating helps.

    `prepare` makes a of u and b of v: what does not change while parameters are searched. Parameters are (theta,), for
    Student's t (rho, 1/nu).
    """

    name: str
    prepare: Callable[[Any], Any]
    log_density: Callable[[Any, Any, Any], Any]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    is_rotated: bool = False


def _normal_score(u: Any) -> Any:
    from jax.scipy.special import ndtri

    return ndtri(u)


def _log(u: Any) -> Any:
    import jax.numpy as jnp

    return jnp.log(u)


def _log_complement(u: Any) -> Any:
    import jax.numpy as jnp

    return jnp.log1p(-u)


def _itself(u: Any) -> Any:
    return u


def _gaussian(x: Any, y: Any, p: Any) -> Any:
    """Return exp{-[rho^2 (x^2 + y^2) - 2 rho x y] / [2 (1 - rho^2)]} / sqrt(1 - rho^2), x = Phi^-1(u)."""
    import jax.numpy as jnp

    rho = p[0]
    rest = (1 - rho) * (1 + rho)
    return -0.5 * jnp.log(rest) - (rho**2 * (x**2 + y**2) - 2 * rho * x * y) / (2 * rest)


def _student(first: Any, second: Any, p: Any) -> Any:
    """Return t_2(x, y; rho, nu) / [t(x; nu) t(y; nu)], x = t_nu^-1(u)."""
    return student_of_quantiles(t_quantile(first, p[1]), t_quantile(second, p[1]), p[0], p[1])


def student_of_quantiles(first: tuple[Any, Any], second: tuple[Any, Any], rho: Any, inverse_nu: Any) -> Any:
    """Return the log-density of Student's copula from `t_quantile` of both sides."""
    import jax.numpy as jnp
    from jax.scipy.special import gammaln

    nu, rest = 1 / inverse_nu, (1 - rho) * (1 + rho)
    (x, x_log), (y, y_log) = first, second
    joint = jnp.log1p((x**2 - 2 * rho * x * y + y**2) / (nu * rest))
    norm = gammaln(0.5 * nu + 1) + gammaln(0.5 * nu) - 2 * gammaln(0.5 * (nu + 1))
    return norm - 0.5 * jnp.log(rest) - 0.5 * (nu + 2) * joint + 0.5 * (nu + 1) * (x_log + y_log)


def _clayton(a: Any, b: Any, p: Any) -> Any:
    """Return (1 + theta) (uv)^(-1-theta) (u^-theta + v^-theta - 1)^(-2-1/theta)."""
    import jax.numpy as jnp

    theta = p[0]  # a, b = ln u, ln v
    most = -theta * jnp.minimum(a, b)
    total = most + jnp.log(jnp.exp(-theta * a - most) + jnp.exp(-theta * b - most) - jnp.exp(-most))
    return jnp.log1p(theta) - (1 + theta) * (a + b) - (2 + 1 / theta) * total


def _gumbel(a: Any, b: Any, p: Any) -> Any:
    """Return e^-A (uv)^-1 (ln u ln v)^(theta-1) A^(1-2 theta) (A + theta - 1), A^theta = (-ln u)^theta + (-ln v)^theta.

    The published density with A = [...]^(1/theta).
    """
    import jax.numpy as jnp

    theta = p[0]  # a, b = ln u, ln v
    x, y = jnp.log(-a), jnp.log(-b)
    log_a = jnp.logaddexp(theta * x, theta * y) / theta
    size = jnp.exp(log_a)
    return -size - a - b + (theta - 1) * (x + y) + (1 - 2 * theta) * log_a + jnp.log(size + theta - 1)


def _frank(u: Any, v: Any, p: Any) -> Any:
    """Return theta (1 - e^-theta) e^(-theta (u+v)) / [(1 - e^-theta) - (1 - e^-theta u) (1 - e^-theta v)]^2.

    The bracket is summed from positive terms only, so that nothing cancels in the corners.
    """
    import jax.numpy as jnp

    theta = p[0]
    bracket = -jnp.exp(-theta * u) * jnp.expm1(-theta * v) - jnp.exp(-theta * v) * jnp.expm1(-theta * (1 - v))
    return jnp.log(theta) + jnp.log(-jnp.expm1(-theta)) - theta * (u + v) - 2 * jnp.log(bracket)


def _joe(a: Any, b: Any, p: Any) -> Any:
    """Return (u' v')^(theta-1) W^(1/theta-2) (theta - 1 + W), W = u'^theta + v'^theta - (u' v')^theta, u' = 1 - u."""
    import jax.numpy as jnp

    theta = p[0]  # a, b = ln u', ln v'
    a, b = theta * a, theta * b
    most = jnp.maximum(a, b)
    log_w = most + jnp.log(jnp.exp(a - most) + jnp.exp(b - most) - jnp.exp(a + b - most))
    return (1 - 1 / theta) * (a + b) + (1 / theta - 2) * log_w + jnp.log(theta - 1 + jnp.exp(log_w))


FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Family("gaussian", _normal_score, _gaussian, (-0.9999,), (0.9999,)),
        Family("student", _normal_score, _student, (-0.9999, S_MIN), (0.9999, S_MAX)),
        Family("clayton", _log, _clayton, (1e-4,), (40.0,), is_rotated=True),
        Family("gumbel", _log, _gumbel, (1.0 + 1e-6,), (30.0,), is_rotated=True),
        Family("frank", _itself, _frank, (1e-3,), (80.0,)),
        Family("joe", _log_complement, _joe, (1.0 + 1e-6,), (40.0,), is_rotated=True),
    )
}


def t_quantile(z: Any, inverse_nu: Any) -> tuple[Any, Any]:
    """Return x = t_nu^-1(Phi(z)) and ln(1 + x^2/nu), 2 <= nu <= 50.

    JAX has no quantile of Student's t. In Wallace's variable y = sqrt(nu ln(1 + x^2/nu)) it is nearly a multiple of the
    normal quantile z; y/z is smooth in z^2 and 1/nu, and is kept as a Chebyshev series of relative accuracy 1e-13.
    """
    import jax.numpy as jnp

    series = _ratio_series()
    t = jnp.clip((2 * inverse_nu - S_MIN - S_MAX) / (S_MAX - S_MIN), -1.0, 1.0)
    coefficients = jnp.asarray(series) @ jnp.cos(jnp.arange(series.shape[1]) * jnp.arccos(t))
    place = 2 * (z / _Z_MAX) ** 2 - 1
    first = second = jnp.zeros_like(place)  # Clenshaw's recurrence
    for c in coefficients[:0:-1]:
        first, second = 2 * place * first - second + c, first
    grown = inverse_nu * (z * (place * first - second + coefficients[0])) ** 2
    return jnp.sign(z) * jnp.sqrt(jnp.expm1(grown) / inverse_nu), grown


@lru_cache(maxsize=1)
def _ratio_series(terms: tuple[int, int] = (32, 40)) -> Array:
    """Return the Chebyshev coefficients of y/z in z^2 (first axis) and 1/nu."""
    from scipy.fft import dctn
    from scipy.special import betaincinv, erf, ndtr

    nodes = [np.cos(np.pi * (np.arange(m) + 0.5) / m) for m in terms]
    z = _Z_MAX * np.sqrt(0.5 * (nodes[0] + 1))[:, None]
    s = 0.5 * (S_MIN + S_MAX) + 0.5 * (S_MAX - S_MIN) * nodes[1][None, :]
    centre = -np.log1p(-betaincinv(0.5, 0.5 / s, erf(z / np.sqrt(2))))  # ln(1 + x^2/nu); stdtrit is good to 1e-8 only
    tail = -np.log(betaincinv(0.5 / s, 0.5, 2 * ndtr(-z)))
    ratio = np.sqrt(np.where(z < 0.7, centre, tail) / s) / z
    series = dctn(ratio, type=2) / (terms[0] * terms[1])
    series[0] /= 2
    series[:, 0] /= 2
    return np.asarray(series)
