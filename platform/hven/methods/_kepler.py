"""Kepler's equation, for NumPy and JAX."""

import sys
from typing import Any

import numpy as np

from hven.methods._array_namespace import floats


def eccentric_anomaly(mean_anomaly: Any, eccentricity: Any) -> Any:
    """Return E of E - e sin E = M in rad, in the same turn as M; NaN where e is not in 0 <= e < 1.

    The start is the cubic of Markley (1995, Celestial Mechanics 63, 101), good to 1e-3; two steps of Halley and one of
    Newton follow. Good to 1e-12 for e < 0.999. NumPy gives NumPy, JAX gives JAX, with exact derivatives.

    Parameters
    ----------
    mean_anomaly, eccentricity
        Of shapes that broadcast; M in rad.

    Examples
    --------
    >>> e = 0.9
    >>> eccentric = eccentric_anomaly([0.1, 7.0], e)
    >>> (eccentric - e * np.sin(eccentric)).round(12).tolist()
    [0.1, 7.0]
    """
    xp, anomaly, e = floats(mean_anomaly, eccentricity)
    is_orbit = (e >= 0) & (e < 1)
    e = xp.where(is_orbit, e, 0.0)
    turns = xp.round(anomaly / (2 * np.pi)) * (2 * np.pi)
    m = anomaly - turns
    still, still_e = (value if xp is np else sys.modules["jax"].lax.stop_gradient(value) for value in (m, e))
    found = _markley_start(xp, xp.abs(still), still_e)
    for _ in range(2):
        sine, cosine = still_e * xp.sin(found), still_e * xp.cos(found)
        off, slope = found - sine - xp.abs(still), 1 - cosine
        found = found - off * slope / (slope**2 - 0.5 * off * sine)
    found = xp.where(still < 0, -found, found)
    # one step of Newton, whose derivatives by M and e are those of the equation
    found = found - (found - e * xp.sin(found) - m) / (1 - still_e * xp.cos(found))
    return xp.where(is_orbit, found + turns, xp.nan)


def true_anomaly(mean_anomaly: Any, eccentricity: Any) -> Any:
    """Return the true anomaly in rad, in the same turn as the mean anomaly; arguments as of `eccentric_anomaly`.

    Examples
    --------
    >>> float(true_anomaly(np.pi / 2, 0.0)), bool(np.isnan(true_anomaly(1.0, 1.0)))
    (1.5707963267948966, True)
    """
    xp, _, e = floats(mean_anomaly, eccentricity)
    eccentric = eccentric_anomaly(mean_anomaly, eccentricity)
    beta = e / (1 + xp.sqrt(xp.where(e < 1, 1 - e * e, xp.nan)))
    return eccentric + 2 * xp.arctan2(beta * xp.sin(eccentric), 1 - beta * xp.cos(eccentric))


def _markley_start(xp: Any, m: Any, e: Any) -> Any:
    """Return a first guess of E for 0 <= M <= pi (Markley's equations 5, 9, 10, 14, 15 and 20)."""
    alpha = (3 * np.pi**2 + 1.6 * np.pi * (np.pi - m) / (1 + e)) / (np.pi**2 - 6)
    d = 3 * (1 - e) + alpha * e
    q, r = 2 * alpha * d * (1 - e) - m * m, 3 * alpha * d * (d - 1 + e) * m + m**3
    w = (xp.abs(r) + xp.sqrt(xp.maximum(q**3 + r * r, 0.0))) ** (2 / 3)
    return (2 * r * w / (w * w + w * q + q * q) + m) / d
