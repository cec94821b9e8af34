"""What lies near given positions: the cells to look in, and the exact answer."""

import math
from typing import TYPE_CHECKING

import numpy as np

from hven.sky.cover import as_ranges, merged
from hven.sky.healpix import ORDER, SKY, healpix_29

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_NARROWEST = 0.5
"""A lower bound of the width of a cell, across its narrowest place, in units of the square root of its area."""


def neighbourhood(ra: "ArrayLike", dec: "ArrayLike", radius: float) -> "NDArray[np.int64]":
    """Return ranges of cells of order 29 that hold every point within a radius of any of some positions.

    Parameters
    ----------
    ra, dec
        ICRS positions [deg], shape (n,).
    radius
        How far around each to look [deg].

    Returns
    -------
    numpy.ndarray
        Half-open ranges, int64, shape (m, 2), sorted and apart. They hold a little more: test with
        `is_near` afterwards.

    Examples
    --------
    >>> ranges = neighbourhood([10.0], [20.0], 1 / 3600)
    >>> cell = healpix_29(10.0, 20.0002)[0]
    >>> bool(((ranges[:, 0] <= cell) & (cell < ranges[:, 1])).any())
    True
    """
    from cdshealpix.nested import neighbours

    cells = healpix_29(ra, dec)
    if not len(cells):
        return np.empty((0, 2), np.int64)
    order = _order_of(radius)
    if order < 0:
        return np.array([[0, SKY]])
    own = np.unique(cells >> (2 * (ORDER - order)))
    around = np.asarray(neighbours(own.astype(np.uint64), order, num_threads=1)).astype(np.int64).ravel()
    return merged(as_ranges(np.unique(around[around >= 0]), order))


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


def _order_of(radius: float) -> int:
    """Return the finest order whose cells are wider than `radius` [deg]; -1 when not even those of order 0 are."""
    width = _NARROWEST * math.sqrt(4 * math.pi / 12)
    finer = math.log2(width / max(math.radians(radius), 1e-12))
    return min(math.floor(finer), ORDER - 1) if finer >= 0 else -1


def _vectors(ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.float64]":
    longitude, latitude = np.radians(np.atleast_1d(ra).astype(float)), np.radians(np.atleast_1d(dec).astype(float))
    flat = np.cos(latitude)
    return np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], axis=1)
