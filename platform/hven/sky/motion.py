"""Proper motion: positions at another epoch."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

MAS = np.pi / 648_000_000
"""One milliarcsecond [rad]."""


def propagate(
    ra: "ArrayLike", dec: "ArrayLike", pmra: "ArrayLike", pmdec: "ArrayLike", years: "ArrayLike"
) -> "tuple[Floats, Floats]":
    """Return the positions [deg] after so many years of proper motion, along great circles.

    The star moves uniformly along a straight line without radial velocity, as in astropy's ``apply_space_motion`` when
    it is told none (The Hipparcos and Tycho Catalogues, ESA SP-1200 vol. 1, section 1.5.5): the angle passed is
    arctan(mu t). Perspective acceleration and parallax are left out: 0.06 arcsec in 10 years for Barnard's star,
    the worst there is.

    Parameters
    ----------
    ra, dec
        Positions [deg], shape (n,).
    pmra, pmdec
        Proper motions [mas/yr], `pmra` times cos(dec), shape (n,). What is not finite counts as standing still.
    years
        Julian years, forward or backward, shape (n,) or one for all.

    Examples
    --------
    >>> ra, dec = propagate([0.0], [89.9], [0.0], [720_000.0], 1.0)  # over the pole
    >>> float(ra[0].round(6)), float(dec[0].round(4))
    (180.0, 89.9)
    """
    longitude, latitude = np.radians(np.asarray(ra, float)), np.radians(np.asarray(dec, float))
    years = np.asarray(years, float)
    east, north = (
        np.where(np.isfinite(motion), motion, 0.0) * MAS * years
        for motion in (np.asarray(pmra, float), np.asarray(pmdec, float))
    )
    sin_ra, cos_ra, sin_dec, cos_dec = np.sin(longitude), np.cos(longitude), np.sin(latitude), np.cos(latitude)
    x = cos_dec * cos_ra - east * sin_ra - north * sin_dec * cos_ra
    y = cos_dec * sin_ra + east * cos_ra - north * sin_dec * sin_ra
    z = sin_dec + north * cos_dec
    return np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arctan2(z, np.hypot(x, y)))
