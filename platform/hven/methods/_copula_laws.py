"""Distributions, conditional distributions, rank correlations, tails and draws of the copula families, in NumPy.

All of positive dependence and unrotated, as `hven.methods._copula_families`; `theta` is rho for Gaussian and Student.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def distribution(family: str, theta: float, nu: float, u: Array, v: Array) -> Array:
    """Return C(u, v)."""
    from scipy.special import ndtri, owens_t, stdtr

    if family == "independence":
        return u * v
    if family == "gaussian":
        # in terms of Owen's T; exact along the whole square, corners included
        h, k = ndtri(u), ndtri(v)
        root = np.sqrt((1 - theta) * (1 + theta))
        with np.errstate(divide="ignore", invalid="ignore"):
            a = np.where(h == 0, np.inf * np.sign(k), (k - theta * h) / (h * root))
            b = np.where(k == 0, np.inf * np.sign(h), (h - theta * k) / (k * root))
        both = (h == 0) & (k == 0)
        apart = 0.5 * ((h * k < 0) | ((h * k == 0) & (h + k < 0)))
        general = 0.5 * (u + v) - owens_t(h, np.nan_to_num(a, nan=0.0)) - owens_t(k, np.nan_to_num(b, nan=0.0)) - apart
        return np.asarray(np.where(both, 0.25 + np.arcsin(theta) / (2 * np.pi), general))
    if family == "student":
        nodes, weights = np.polynomial.legendre.leggauss(120)
        root = 0.5 * (nodes + 1)  # of the share of u: crowded towards 0, where the integrand bends most
        # quantiles cost most: once for each different u and v, of which a grid has few
        (of_u, at_u), (of_v, at_v) = (np.unique(side, return_inverse=True) for side in (u, v))
        x, y = t_quantile(of_u[:, None] * root**2, nu), t_quantile(of_v, nu)
        steep = np.sqrt((nu + 1) / ((nu + x**2) * (1 - theta**2)))
        at_u, at_v = at_u.reshape(u.shape), at_v.reshape(v.shape)
        inner = stdtr(nu + 1, y[at_v][..., None] * steep[at_u] - (theta * x * steep)[at_u])
        return np.asarray(u * (inner @ (root * weights)))
    if family == "frank":
        return np.asarray(-np.log1p(np.expm1(-theta * u) * np.expm1(-theta * v) / np.expm1(-theta)) / theta)
    with np.errstate(over="ignore"):
        if family == "clayton":
            return np.asarray((u**-theta + v**-theta - 1) ** (-1 / theta))
        if family == "gumbel":
            return np.asarray(np.exp(-(((-np.log(u)) ** theta + (-np.log(v)) ** theta) ** (1 / theta))))
        a, b = (1 - u) ** theta, (1 - v) ** theta
        return np.asarray(1 - (a + b - a * b) ** (1 / theta))


def conditional(family: str, theta: float, nu: float, u: Array, v: Array) -> Array:
    """Return P(V <= v | U = u), the h-function."""
    from scipy.special import ndtr, ndtri, stdtr

    if family == "independence":
        return v + 0 * u
    if family == "gaussian":
        return np.asarray(ndtr((ndtri(v) - theta * ndtri(u)) / np.sqrt((1 - theta) * (1 + theta))))
    if family == "student":
        x, y = t_quantile(u, nu), t_quantile(v, nu)
        return np.asarray(stdtr(nu + 1, (y - theta * x) * np.sqrt((nu + 1) / ((nu + x**2) * (1 - theta**2)))))
    if family == "clayton":
        return np.asarray((1 + u**theta * (v**-theta - 1)) ** (-1 - 1 / theta))
    if family == "gumbel":
        a, b = -np.log(u), -np.log(v)
        size = (a**theta + b**theta) ** (1 / theta)
        return np.asarray(np.exp(-size) / u * (a / size) ** (theta - 1))
    if family == "frank":
        grown = -np.exp(-theta * u) * np.expm1(-theta * v)
        return np.asarray(grown / (grown - np.exp(-theta * v) * np.expm1(-theta * (1 - v))))
    a, b = 1 - u, (1 - v) ** theta
    return np.asarray((1 - b) * (1 - b + b * a**-theta) ** (1 / theta - 1))


def tau_of(family: str, theta: float) -> float:
    """Return Kendall's tau."""
    from scipy.special import polygamma, psi

    if family == "independence":
        return 0.0
    if family in {"gaussian", "student"}:
        return float(2 / np.pi * np.arcsin(theta))
    if family == "clayton":
        return theta / (theta + 2)
    if family == "gumbel":
        return 1 - 1 / theta
    if family == "frank":
        return float(1 - 4 / theta * (1 - _debye(theta)))
    if abs(theta - 2) < 1e-5:  # the limit of the quotient below, to second order
        return float(1 - polygamma(1, 2) - 0.5 * (polygamma(1, 2) + 0.5 * polygamma(2, 2)) * (2 - theta))
    return float(1 + 2 / (2 - theta) * (psi(2) - psi(2 / theta + 1)))


def theta_of(family: str, tau: float) -> float:
    """Return the parameter that has this Kendall's tau, 0 <= tau < 1 (any sign for Gaussian and Student)."""
    from scipy.optimize import brentq

    if family == "independence":
        return float("nan")
    if family in {"gaussian", "student"}:
        return float(np.sin(0.5 * np.pi * tau))
    if family == "clayton":
        return 2 * tau / (1 - tau)
    if family == "gumbel":
        return 1 / (1 - tau)
    low, high = (1e-6, 1e4) if family == "frank" else (1.0, 1e4)
    if tau <= tau_of(family, low):
        return low
    return float(brentq(lambda theta: tau_of(family, theta) - tau, low, high, xtol=1e-13, rtol=1e-14))


@lru_cache(maxsize=8)
def start_table(family: str) -> tuple[Array, Array]:
    """Return a table of tau and theta to start searches from: `theta_of` for many values at once."""
    theta = np.geomspace(0.01, 100, 200) + (0 if family in {"frank", "clayton"} else 1)
    return np.array([tau_of(family, t) for t in theta]), theta


def tails_of(family: str, theta: float, nu: float) -> tuple[float, float]:
    """Return the tail dependence at the corner (0, 0) and at (1, 1)."""
    if family == "student":
        both = student_tail(theta, nu)
        return both, both
    if family == "clayton":
        return float(2 ** (-1 / theta)), 0.0
    if family in {"gumbel", "joe"}:
        return 0.0, float(2 - 2 ** (1 / theta))
    return 0.0, 0.0


def student_tail(rho: float, nu: float) -> float:
    """Return 2 t_{nu+1}(-sqrt((nu+1)(1-rho)/(1+rho)))."""
    from scipy.special import stdtr

    return float(2 * stdtr(nu + 1, -np.sqrt((nu + 1) * (1 - rho) / (1 + rho))))


def draw(family: str, theta: float, nu: float, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return `n` pairs; Archimedean families by frailty (Marshall & Olkin 1988), Frank by its conditional."""
    from scipy.special import gammaln, ndtr, stdtr

    if family == "independence":
        u, v = rng.random((2, n))
        return u, v
    if family in {"gaussian", "student"}:
        x, y = rng.standard_normal((2, n))
        y = theta * x + np.sqrt((1 - theta) * (1 + theta)) * y
        if family == "gaussian":
            return np.asarray(ndtr(x)), np.asarray(ndtr(y))
        spread = np.sqrt(nu / rng.chisquare(nu, n))
        return np.asarray(stdtr(nu, x * spread)), np.asarray(stdtr(nu, y * spread))
    if family == "frank":
        u, q = rng.random((2, n))
        # the inverse of `conditional` in v
        v = -np.log1p(q * np.expm1(-theta) / (np.exp(-theta * u) * (1 - q) + q)) / theta
        return u, np.asarray(v)
    first, second = rng.exponential(size=(2, n))
    alpha = 1 / theta
    if family == "clayton":
        frailty = rng.gamma(alpha, size=n)
        return np.asarray((1 + first / frailty) ** -alpha), np.asarray((1 + second / frailty) ** -alpha)
    if family == "gumbel":  # a positive stable frailty, after Kanter 1975
        angle, size = np.pi * rng.random(n), rng.exponential(size=n)
        stable = np.sin(alpha * angle) / np.sin(angle) ** theta
        stable *= (np.sin((1 - alpha) * angle) / size) ** (theta - 1)
        return np.asarray(np.exp(-((first / stable) ** alpha))), np.asarray(np.exp(-((second / stable) ** alpha)))
    q = rng.random(n)  # Joe: a Sibuya frailty, P(V > k) = 1 / (k B(k, 1 - alpha)), after Hofert 2011
    near = np.maximum(np.floor(((1 - q) * np.exp(gammaln(1 - alpha))) ** -theta), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.exp(gammaln(near + 1 - alpha) - gammaln(near + 1) - gammaln(1 - alpha))
    sibuya = np.where(q <= alpha, 1.0, np.where(1 - beyond < q, near + 1, near))
    return (
        np.asarray(-np.expm1(np.log(-np.expm1(-first / sibuya)) * alpha)),
        np.asarray(-np.expm1(np.log(-np.expm1(-second / sibuya)) * alpha)),
    )


def t_quantile(u: Array, nu: float) -> Array:
    """Return the quantile of Student's t, by the incomplete beta function (SciPy's own is good to 1e-8 only)."""
    from scipy.special import betaincinv

    tail = np.minimum(u, 1 - u)
    near = betaincinv(0.5, 0.5 * nu, 1 - 2 * tail)
    far = betaincinv(0.5 * nu, 0.5, 2 * tail)
    with np.errstate(divide="ignore"):
        squared = nu * np.where(near < 0.4, near / (1 - near), 1 / far - 1)
    return np.asarray(np.sign(u - 0.5) * np.sqrt(squared))


def _debye(theta: float) -> float:
    """Return the first Debye function, (1/theta) int_0^theta t / (e^t - 1) dt."""
    from scipy.integrate import quad

    return float(
        quad(lambda t: -t * np.exp(-t) / np.expm1(-t) if t else 1.0, 0, theta, epsabs=1e-14, epsrel=1e-13)[0] / theta
    )
