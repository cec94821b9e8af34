"""Galactic coordinates: of maps that are published in them, asked at positions in ICRS."""

from typing import TYPE_CHECKING

import numpy as np

from hven.sky.healpix import wrap

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_POLE_RA, _POLE_DEC, _NODE = 192.85948, 27.12825, 122.93192
"""The north Galactic pole in ICRS, and the Galactic longitude of the celestial one (ESA 1997, SP-1200)."""


def to_galactic(ra: "ArrayLike", dec: "ArrayLike") -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return Galactic longitude l from 0 to 360, and latitude b, in deg, of ICRS positions in deg.

    Parameters
    ----------
    ra, dec
        Of shapes that broadcast; NaN gives NaN.

    Examples
    --------
    >>> l, b = to_galactic(266.4051, -28.936175)  # the Galactic centre
    >>> bool(min(l, 360 - l) < 1e-4), bool(abs(b) < 1e-4)
    (True, True)
    """
    alpha, delta = np.radians(np.asarray(ra, np.float64) - _POLE_RA), np.radians(np.asarray(dec, np.float64))
    longitude, b = _over_pole(alpha, delta)
    return wrap(_NODE - np.degrees(longitude)), b


def from_galactic(longitude: "ArrayLike", latitude: "ArrayLike") -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return ICRS ra from 0 to 360, and dec, in deg, of Galactic positions in deg: the inverse of `to_galactic`.

    Examples
    --------
    >>> [round(float(v), 3) for v in from_galactic(0.0, 90.0)]
    [192.859, 27.128]
    """
    angle, b = np.radians(_NODE - np.asarray(longitude, np.float64)), np.radians(np.asarray(latitude, np.float64))
    turned, dec = _over_pole(angle, b)
    return wrap(_POLE_RA + np.degrees(turned)), dec


def _over_pole(
    angle: "NDArray[np.float64]", latitude: "NDArray[np.float64]"
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return longitude [rad] and latitude [deg] in the other frame; the two poles are at one distance of each other."""
    sin_pole, cos_pole = np.sin(np.radians(_POLE_DEC)), np.cos(np.radians(_POLE_DEC))
    up, out = np.sin(latitude), np.cos(latitude)
    x, y, z = out * np.cos(angle), out * np.sin(angle), up
    return np.arctan2(y, z * cos_pole - x * sin_pole), np.degrees(
        np.arctan2(z * sin_pole + x * cos_pole, np.hypot(y, z * cos_pole - x * sin_pole))
    )
