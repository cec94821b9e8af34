"""Which positions lie near any of others: the exact answer, after `hven.sky.padded_ranges` said where to look."""

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def is_near(
    ra: "ArrayLike", dec: "ArrayLike", of_ra: "ArrayLike", of_dec: "ArrayLike", radius: float
) -> "NDArray[np.bool_]":
    """Return which positions lie within a radius of any of some others; the border is near.

    Parameters
    ----------
    ra, dec
        The positions asked about [deg], shape (n,).
    of_ra, of_dec
        Those around which it is near [deg], shape (m,).
    radius
        How near [deg].

    Returns
    -------
    numpy.ndarray
        bool, shape (n,).

    Examples
    --------
    >>> is_near([359.9, 1.0], [0.0, 0.0], [0.1], [0.0], 0.3).tolist()
    [True, False]
    """
    from scipy.spatial import cKDTree

    asked, others = _vectors(ra, dec), _vectors(of_ra, of_dec)
    if not len(asked) or not len(others):
        return np.zeros(len(asked), bool)
    chord = 2 * math.sin(math.radians(min(radius, 180.0)) / 2)
    # A rounding of the unit vectors, 4e-11 arcsec, is let in rather than left out.
    reach = chord + 2e-16
    distance, _ = cKDTree(others).query(asked, distance_upper_bound=np.nextafter(reach, math.inf))
    return np.asarray(distance <= reach)


def _vectors(ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.float64]":
    longitude, latitude = np.radians(np.atleast_1d(ra).astype(float)), np.radians(np.atleast_1d(dec).astype(float))
    flat = np.cos(latitude)
    return np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], axis=1)
