"""Positions on the sky as unit vectors, and the angles between them."""

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SQUARE_DEGREES = math.degrees(1.0) ** 2
"""Square degrees in a steradian."""


def positions(ra: "ArrayLike", dec: "ArrayLike") -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return `ra`, `dec` [deg] as floats of one shape, with few enough turns in `ra` to count in degrees.

    Examples
    --------
    >>> positions([1, 36e8 + 2], 3)
    (array([1., 2.]), array([3., 3.]))
    """
    longitude, latitude = np.broadcast_arrays(np.asarray(ra, np.float64), np.asarray(dec, np.float64))
    if (np.abs(longitude) > 720.0).any():
        with np.errstate(invalid="ignore"):
            longitude = np.fmod(longitude, 360.0)  # Exact, and NaN for infinity.
    return longitude, latitude


def on_sky(ra: "NDArray[np.float64]", dec: "NDArray[np.float64]") -> "NDArray[np.bool_]":
    """Return which positions [deg] are finite, with a declination between -90 and 90.

    Examples
    --------
    >>> on_sky(np.array([0.0, np.nan, 0.0]), np.array([90.0, 0.0, 91.0])).tolist()
    [True, False, False]
    """
    return np.asarray(np.isfinite(ra) & (np.abs(dec) <= 90.0))


def unit_vectors(ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.float64]":
    """Return the unit vectors (3, n) towards `ra`, `dec` [deg] of shape (n,).

    Examples
    --------
    >>> unit_vectors([0.0, 90.0], [0.0, 0.0]).round(12).T.tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    longitude, latitude = np.radians(ra), np.radians(dec)
    across = np.cos(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)])


def separations(vectors: "NDArray[np.float64]", centre: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return the angles [rad], shape (n,), from unit `vectors` (3, n) to one `centre` (3,); exact near 0 and pi.

    Twice the arc tangent of the half difference over the half sum (Kahan, "How futile are mindless assessments of
    roundoff", section 12).

    Examples
    --------
    >>> float(separations(unit_vectors([0.0], [1e-9]), np.array([1.0, 0.0, 0.0]))[0] / np.radians(1e-9))
    1.0
    """
    apart, together = vectors - centre[:, None], vectors + centre[:, None]
    return np.asarray(2.0 * np.arctan2(_length(apart), _length(together)))


def _length(vectors: "NDArray[np.float64]") -> "NDArray[np.float64]":
    return np.asarray(np.sqrt(vectors[0] * vectors[0] + vectors[1] * vectors[1] + vectors[2] * vectors[2]))
