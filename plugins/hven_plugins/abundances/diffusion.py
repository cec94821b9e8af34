"""Covariances of stochastically forced diffusion, in closed form: what clusters put in, turbulence spreads.

Each star cluster returns the elements it makes through a few channels (core collapse, AGB stars, SNe Ia, r-process).
Channel i of element X releases the fraction f_Xi after the delay t_Xi over a Gaussian of width sigma_i, the cluster
having drifted since its birth, and the surface density S_X diffuses (arXiv:2507.14572):

    dS_X/dt = kappa laplacian(S_X) + sum_c w_c sum_i f_Xi delta(t - t_c - t_Xi) N2(x; x_c + v_c t_Xi, sigma_i^2 I).

Clusters are Poisson in space and time, at the rate Gamma. Every function is written for NumPy and JAX alike (`xp`), so
that derivatives with respect to all parameters come for free. Lengths are in pc, times in Myr, speeds in pc/Myr.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Drift = Literal["isotropic", "published"]

CHANNELS = ("cc", "agb", "ia", "r")
"""Core-collapse supernovae and winds, asymptotic giant branch stars, type Ia supernovae, the r-process."""

PC_PER_MYR = 1.0227121650537077
"""1 km/s in pc/Myr."""


@dataclass(frozen=True)
class Physics:
    """Parameters of the field; any of the numbers may be a JAX tracer.

    Attributes
    ----------
    l_corr
        Correlation length sqrt(kappa T) in pc, T being the time for which the system has run.
    kappa
        Diffusion coefficient in pc^2/Myr: scale height times velocity dispersion of the gas over three.
    sigma_v
        1-D dispersion of the drift of clusters, in pc/Myr.
    sigma_cc, sigma_agb, sigma_ia, sigma_r
        Injection widths of the channels in pc.
    weight_variance
        Variance of the clusters' weights, whose mean is one.
    rate
        Clusters per Myr and pc^2.

    Examples
    --------
    >>> round(Physics().duration)
    2794
    """

    l_corr: Any = 1000.0
    kappa: Any = 150.0 * 7.0 * PC_PER_MYR / 3.0
    sigma_v: Any = 2.0 * PC_PER_MYR
    sigma_cc: Any = 60.0
    sigma_agb: Any = 2.0
    sigma_ia: Any = 60.0
    sigma_r: Any = 60.0
    weight_variance: Any = 120.0
    rate: Any = 3e-6

    @property
    def duration(self) -> Any:
        """The time T in Myr for which the system has run."""
        return self.l_corr**2 / self.kappa

    @property
    def widths(self) -> tuple[Any, ...]:
        """Injection widths in the order of `CHANNELS`, in pc."""
        return self.sigma_cc, self.sigma_agb, self.sigma_ia, self.sigma_r

    def blurred(self, sigma: Any) -> "Physics":
        """Return the physics of a map seen through a Gaussian beam: sigma^2 is added to every injection width^2."""
        names = [f"sigma_{channel}" for channel in CHANNELS]
        return replace(self, **{n: (getattr(self, n) ** 2 + sigma**2) ** 0.5 for n in names})


@dataclass(frozen=True)
class Field:
    """Means and covariances of the surface densities of e elements.

    Attributes
    ----------
    mean
        Clusters' worth per pc^2, shape (e,).
    covariance
        Shape (e, e), in the square of that.
    """

    mean: Any
    covariance: Any

    def correlation(self, xp: Any = np) -> Any:
        """Return the correlation of each pair of elements, shape (e, e)."""
        spread = xp.sqrt(xp.diagonal(self.covariance))
        return self.covariance / (spread[:, None] * spread[None, :])

    def scatter(self, xp: Any = np) -> Any:
        """Return the scatter of each element's abundance in dex, to first order, shape (e,)."""
        return xp.sqrt(xp.diagonal(self.covariance)) / (self.mean * np.log(10.0))

    def observed_in_stars(self, err: Any, xp: Any = np) -> Any:
        """Return the correlations that stars with errors `err` of [X/H] (e,) in dex show, shape (e, e)."""
        noise = xp.asarray(err) / self.scatter(xp)
        seen = self.correlation(xp) / xp.sqrt((1 + noise**2)[:, None] * (1 + noise**2)[None, :])
        return xp.where(np.eye(len(self.mean), dtype=bool), 1.0, seen)

    def observed_in_gas(self, f_gas: Any = 2.0, xp: Any = np) -> Any:
        """Return the correlations that maps show whose variance is `f_gas` times the true one, shape (e, e)."""
        return xp.where(np.eye(len(self.mean), dtype=bool), 1.0, self.correlation(xp) / f_gas)


def field(
    fractions: Any, delays: Any, physics: Physics | None = None, *, drift: Drift = "isotropic", xp: Any = np
) -> Field:
    """Return means and covariances of the elements, every channel releasing at one delay.

    Parameters
    ----------
    fractions, delays
        f_Xi, and t_Xi in Myr, shape (e, c) with the channels in the order of `CHANNELS`; a delay without a fraction
        may be anything finite. What is delayed beyond the time the system has run is not there yet.
    physics
        Parameters.
    drift
        ``"isotropic"``: the closed form of a 2-D Gaussian drift. ``"published"``: that of the authors' code.
    xp
        `numpy` or `jax.numpy`.

    Examples
    --------
    >>> o, mg = [0.81, 0.18, 0.01], [0.60, 0.37, 0.03]
    >>> told = field(np.array([o, mg]), np.array([[8.0, 603.0, 437.0], [12.0, 501.0, 437.0]]))
    >>> round(float(told.correlation()[0, 1]), 3)
    0.764
    """
    return field_of(sources_at(fractions, delays, xp), physics, drift=drift, xp=xp)


@dataclass(frozen=True)
class Sources:
    """Where and when the elements come from: s moments of release, and how much of each element each one releases.

    Attributes
    ----------
    weights
        Shape (e, s).
    times
        Delays in Myr, shape (s,).
    channel
        Index into `CHANNELS`, shape (s,).
    """

    weights: Any
    times: Any
    channel: NDArray[np.int64]

    def pairs(self, value: Any, physics: Physics, xp: Any = np) -> Any:
        """Return sum_ij w_Xi w_Yj value(V_max, V_min, D^2)_ij for all elements X and Y, shape (e, e)."""
        width = xp.stack([xp.asarray(s) for s in physics.widths])[self.channel]
        return self.weights @ value(*spreads(self.times, self.times, width, width, physics, xp)) @ self.weights.T

    def mean(self, physics: Physics, xp: Any = np) -> Any:
        """Return the mean surface density of each element, Gamma sum_i f_i (T - t_i), shape (e,)."""
        return physics.rate * (self.weights @ xp.maximum(physics.duration - self.times, 0.0))


def sources_at(fractions: Any, delays: Any, xp: Any = np) -> Sources:
    """Return the sources of channels that release all at once: arguments are those of `field`."""
    f, t = xp.asarray(fractions), xp.asarray(delays)
    e, c = f.shape
    weights = (np.eye(e)[:, :, None] * f[None, :, :]).reshape(e, e * c)
    return Sources(weights, t.reshape(-1), np.tile(np.arange(c), e))


def field_of(sources: Any, physics: Physics | None = None, *, drift: Drift = "isotropic", xp: Any = np) -> Field:
    """Return means and covariances of the elements that `sources` release; see `field`."""
    physics = Physics() if physics is None else physics

    def value(v_max: Any, v_min: Any, d2: Any) -> Any:
        return log_ratio(v_max, v_min, d2, drift, xp)

    return Field(sources.mean(physics, xp), amplitude(physics) * sources.pairs(value, physics, xp))


def covariance_at_lags(sources: Any, lags: Any, physics: Physics | None = None) -> Array:
    """Return the covariance of X at one place with Y at a distance `lags` (l,) in pc, isotropic drift, (e, e, l)."""
    physics = Physics() if physics is None else physics

    def at(lag: float) -> Array:
        return np.asarray(sources.pairs(lambda v_max, v_min, d2: log_ratio_at_lag(v_max, v_min, d2, lag), physics))

    return np.asarray(amplitude(physics) * np.stack([at(float(lag)) for lag in lags], axis=-1))


def cross_power(sources: Any, k: Any, physics: Physics | None = None, *, drift: Drift = "isotropic") -> Array:
    """Return the cross power of X and Y at wave numbers `k` (m,) in 1/pc: covariance times pc^2, shape (e, e, m).

    The covariance at a lag r is the integral of k dk / (2 pi) J0(k r) P(k).
    """
    physics = Physics() if physics is None else physics

    def at(one: float) -> Array:
        return np.asarray(sources.pairs(lambda v_max, v_min, d2: power_ratio(v_max, v_min, d2, one, drift), physics))

    return np.asarray(amplitude(physics) * np.stack([at(float(one)) for one in k], axis=-1))


def amplitude(physics: Physics) -> Any:
    """Return what sums of f f G are multiplied by to give covariances: Gamma <w^2> / (8 pi kappa)."""
    return physics.rate * (1 + physics.weight_variance) / (8 * np.pi * physics.kappa)


def spreads(t: Any, t2: Any, width: Any, width2: Any, physics: Physics, xp: Any = np) -> tuple[Any, Any, Any]:
    """Return V_max, V_min and D^2 of every pair of sources in pc^2, each (n, m), for delays and widths (n,) and (m,).

    V is the sum of the variances of the two Gaussians that one cluster has made: the most that the oldest cluster has,
    and the least, that of the last one that has released both. D^2 is the variance of the drift between the releases.
    """
    sums, gaps = t[:, None] + t2[None, :], xp.abs(t[:, None] - t2[None, :])
    own = width[:, None] ** 2 + width2[None, :] ** 2
    v_min = 2 * physics.kappa * gaps + own
    v_max = 4 * physics.l_corr**2 - 2 * physics.kappa * sums + own
    return xp.maximum(v_max, v_min), v_min, (physics.sigma_v * gaps) ** 2


def log_ratio(v_max: Any, v_min: Any, d2: Any, drift: Drift = "isotropic", xp: Any = np) -> Any:
    """Return G at lag zero: the covariance of two sources in units of Gamma <w^2> / (8 pi kappa).

    Isotropic: ln[(V_max + D^2) / (V_min + D^2)]. Published: ln(V_max / V_min) + h(D / V_max^1/2) - h(D / V_min^1/2)
    with h(u) = 2 u asinh(u) / (1 + u^2)^1/2, which is every drift taken parallel to the wave vector.
    """
    if drift == "isotropic":
        return xp.log((v_max + d2) / (v_min + d2))

    def h(u2: Any) -> Any:
        # asinh(u) / u from u^2 alone, for the derivative of u at 0 is infinite
        small = u2 < 1e-6
        u = xp.sqrt(xp.where(small, 1.0, u2))
        return 2 * u2 / xp.sqrt(1 + u2) * xp.where(small, 1 - u2 / 6, xp.arcsinh(u) / u)

    return xp.log(v_max / v_min) + h(d2 / v_max) - h(d2 / v_min)


def log_ratio_at_lag(v_max: Any, v_min: Any, d2: Any, lag: float) -> Array:
    """Return G at `lag` in pc for an isotropic drift: E1(r^2 / 2 (V_max + D^2)) - E1(r^2 / 2 (V_min + D^2))."""
    from scipy.special import exp1

    if lag == 0:
        return np.asarray(log_ratio(v_max, v_min, d2))
    return np.asarray(exp1(lag**2 / (2 * (v_max + d2))) - exp1(lag**2 / (2 * (v_min + d2))))


def power_ratio(v_max: Any, v_min: Any, d2: Any, k: float, drift: Drift = "isotropic") -> Array:
    """Return the cross power of two sources at wave number `k` in 1/pc: pc^2 times Gamma <w^2> / (8 pi kappa).

    4 pi / k^2 [exp(-k^2 V_min / 2) - exp(-k^2 V_max / 2)] times exp(-k^2 D^2 / 2), or for the published form the mean
    of cos(k v dt) over a Rayleigh distribution of v.
    """
    from scipy.special import dawsn

    if drift == "isotropic":
        drifted = np.exp(-(k**2) * d2 / 2)
    else:
        s = k * np.sqrt(d2)
        drifted = 1 - np.sqrt(2) * s * dawsn(s / np.sqrt(2))
    fresh = np.exp(-(k**2) * v_min / 2)
    return np.asarray(-4 * np.pi / k**2 * fresh * np.expm1(-(k**2) * (v_max - v_min) / 2) * drifted)
