"""Frames on the sky that are turned against ICRS: Galactic, great circles of streams, the Magellanic Stream."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import ParameterError
from hven.methods._array_namespace import floats

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SkyFrame:
    """A right-handed frame on the sky.

    Attributes
    ----------
    name
        What it is called in attributes and figures.
    matrix
        The rotation (3, 3) that carries unit vectors of ICRS to this frame.
    """

    name: str
    matrix: Array

    def attrs(self) -> dict[str, str | list[float]]:
        """Return the frame as attributes for a result that depends on it."""
        return {"sky_frame": self.name, "sky_frame_matrix": self.matrix.ravel().tolist()}


class FramePosition(NamedTuple):
    """Positions in a frame, each of shape (...): longitude from -180 and latitude in deg, proper motions in mas/yr.

    pm_phi1 includes cos(phi2). Proper motions are None when none were given.
    """

    phi1: Any
    phi2: Any
    pm_phi1: Any
    pm_phi2: Any


class IcrsPosition(NamedTuple):
    """Positions in ICRS, each of shape (...): ra from 0 and dec in deg, pmra (with cos dec) and pmdec in mas/yr."""

    ra: Any
    dec: Any
    pmra: Any
    pmdec: Any


def great_circle(
    pole: tuple[float, float], origin: tuple[float, float] | None = None, *, name: str = "great circle"
) -> SkyFrame:
    """Return the frame whose equator is the great circle of a pole.

    Parameters
    ----------
    pole
        ICRS ra and dec in deg of its north pole.
    origin
        ICRS ra and dec in deg of a point at longitude zero; it need not lie on the circle. None: where the circle
        crosses the celestial equator northwards.
    name
        What it is called.

    Raises
    ------
    ParameterError
        The origin is the pole, or opposite to it; or the pole is a celestial one and no origin is given.

    Examples
    --------
    >>> frame = great_circle((0.0, 60.0), (180.0, 30.0))
    >>> [float(v.round(9) + 0) for v in to_frame(frame, 180.0, 30.0)[:2]]
    [0.0, 0.0]
    """
    up = _unit(*pole)
    towards = np.cross([0.0, 0.0, 1.0], up) if origin is None else _unit(*origin)
    x = towards - (towards @ up) * up
    if np.linalg.norm(x) < 1e-9:
        raise ParameterError(
            f"the origin of the great circle with its pole at {pole} cannot be {origin}",
            expected="a point away from both poles",
            hint="Give an origin on the sky beside the pole.",
        )
    x = x / np.linalg.norm(x)
    return SkyFrame(name, np.stack([x, np.cross(up, x), up]))


def great_circle_through(
    first: tuple[float, float], second: tuple[float, float], *, name: str = "great circle"
) -> SkyFrame:
    """Return the frame whose equator runs from `first`, at longitude -a, to `second`, at a, both ICRS (ra, dec) in deg.

    Examples
    --------
    >>> frame = great_circle_through((10.0, 20.0), (60.0, -10.0))
    >>> to_frame(frame, [10.0, 60.0], [20.0, -10.0]).phi1.round(6).tolist()
    [-28.812609, 28.812609]
    """
    a, b = _unit(*first), _unit(*second)
    x, up = a + b, np.cross(a, b)
    if np.linalg.norm(up) < 1e-9:
        raise ParameterError(
            f"no single great circle runs through {first} and {second}",
            expected="two points that are neither equal nor opposite",
            hint="Give another point, or use great_circle with a pole.",
        )
    x, up = x / np.linalg.norm(x), up / np.linalg.norm(up)
    return SkyFrame(name, np.stack([x, np.cross(up, x), up]))


def to_frame(
    frame: SkyFrame, ra: ArrayLike, dec: ArrayLike, pmra: ArrayLike | None = None, pmdec: ArrayLike | None = None
) -> FramePosition:
    """Return positions, and proper motions, of ICRS in a frame.

    Parameters
    ----------
    frame
        The frame.
    ra, dec
        In deg, shape (...).
    pmra, pmdec
        In mas/yr, pmra with cos(dec), shape (...); None: only positions.

    Examples
    --------
    >>> centre = to_frame(GALACTIC, 266.4051, -28.936175, -3.151, -5.547)  # Sgr A*
    >>> round(float(centre.pm_phi1), 3), round(float(centre.pm_phi2), 3)
    (-6.376, -0.201)
    """
    return FramePosition(*_turned(frame.matrix, ra, dec, pmra, pmdec, 180.0))


def from_frame(
    frame: SkyFrame,
    phi1: ArrayLike,
    phi2: ArrayLike,
    pm_phi1: ArrayLike | None = None,
    pm_phi2: ArrayLike | None = None,
) -> IcrsPosition:
    """Return positions, and proper motions, of a frame in ICRS: the inverse of `to_frame`.

    Examples
    --------
    >>> [round(float(v), 4) for v in from_frame(GALACTIC, 0.0, 90.0)[:2]]
    [192.8595, 27.1283]
    """
    return IcrsPosition(*_turned(frame.matrix.T, phi1, phi2, pm_phi1, pm_phi2, 360.0))


def galactic(ra: ArrayLike, dec: ArrayLike) -> tuple[Any, Any]:
    """Return Galactic longitude l, from 0 to 360, and latitude b in deg, of ICRS positions (...) in deg.

    As in the catalogues of Hipparcos and Gaia: pole at 192.85948, 27.12825, celestial pole at l = 122.93192 (ESA 1997,
    SP-1200, volume 1, section 1.5.3). astropy's differ by up to 0.03 arcsec, for its definition is in FK5.

    Examples
    --------
    >>> l, b = galactic(10.684708, 41.26875)  # M31
    >>> round(float(l), 2), round(float(b), 2)
    (121.17, -21.57)
    """
    longitude, latitude = _turned(GALACTIC.matrix, ra, dec, None, None, 360.0)[:2]
    return longitude, latitude


def turn_covariance(frame: SkyFrame, ra: ArrayLike, dec: ArrayLike, covariance: ArrayLike) -> Any:
    """Return covariances (..., 2, 2) of (pmra, pmdec) turned to those of (pm_phi1, pm_phi2) at ICRS positions (...).

    Examples
    --------
    >>> turned = turn_covariance(GALACTIC, 100.0, 20.0, [[0.04, 0.01], [0.01, 0.09]])
    >>> float(np.trace(turned).round(12))
    0.13
    """
    xp, alpha, delta, spread = floats(ra, dec, covariance)
    east, north = _turned(frame.matrix, alpha, delta, xp.ones_like(alpha), xp.zeros_like(alpha), 180.0)[2:]
    turn = xp.stack([xp.stack([east, -north], axis=-1), xp.stack([north, east], axis=-1)], axis=-2)
    return turn @ spread @ xp.swapaxes(turn, -1, -2)


def _turned(matrix: Array, longitude: Any, latitude: Any, pm_east: Any, pm_north: Any, wrap: float) -> tuple[Any, ...]:
    """Return longitude below `wrap`, latitude, and proper motions, after a rotation."""
    has_motion = pm_east is not None and pm_north is not None
    zero = 0.0
    xp, lon, lat, east, north = floats(
        longitude, latitude, pm_east if has_motion else zero, pm_north if has_motion else zero
    )
    lon, lat, east, north = xp.broadcast_arrays(lon, lat, east, north)
    turn = xp.asarray(matrix, dtype=lon.dtype)
    place, along_east, along_north = (_dot(turn, v) for v in triad(xp, lon, lat))
    new_lon = xp.rad2deg(xp.arctan2(place[1], place[0]))
    new_lat = xp.rad2deg(xp.arctan2(place[2], xp.hypot(place[0], place[1])))
    if wrap > 180:
        new_lon = xp.where(new_lon < 0, new_lon + 360.0, new_lon)
    new_lon = xp.where(new_lon >= wrap, new_lon - 360.0, new_lon)
    if not has_motion:
        return new_lon, new_lat, None, None
    motion = [e * east + n * north for e, n in zip(along_east, along_north, strict=True)]
    _, to_east, to_north = triad(xp, new_lon, new_lat)
    pm_1, pm_2 = (sum(a * b for a, b in zip(motion, axis, strict=True)) for axis in (to_east, to_north))
    return new_lon, new_lat, pm_1, pm_2


def triad(xp: Any, longitude: Any, latitude: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return unit vectors away from the observer, to the east and to the north at positions in deg: x, y, z each."""
    a, d = xp.deg2rad(longitude), xp.deg2rad(latitude)
    sin_a, cos_a, sin_d, cos_d = xp.sin(a), xp.cos(a), xp.sin(d), xp.cos(d)
    away = [cos_d * cos_a, cos_d * sin_a, sin_d]
    return away, [-sin_a, cos_a, xp.zeros_like(sin_a)], [-sin_d * cos_a, -sin_d * sin_a, cos_d]


def _dot(matrix: Any, vector: list[Any]) -> list[Any]:
    return [sum(matrix[i, j] * vector[j] for j in range(3)) for i in range(3)]


def _unit(longitude: float, latitude: float) -> Array:
    a, d = np.deg2rad(longitude), np.deg2rad(latitude)
    return np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])


def _galactic() -> SkyFrame:
    pole, node = _unit(192.85948, 27.12825), np.deg2rad(122.93192)
    north = np.array([0.0, 0.0, 1.0])
    to_north = north - (north @ pole) * pole  # towards the celestial pole, at l = 122.93192
    to_north = to_north / np.linalg.norm(to_north)
    across = np.cross(pole, to_north)
    x = np.cos(node) * to_north - np.sin(node) * across
    return SkyFrame("Galactic", np.stack([x, np.cross(pole, x), pole]))


def _magellanic_stream() -> SkyFrame:
    """Pole at l, b = 188.5, -7.5, the Large Cloud (280.47, -32.75) at longitude zero (Nidever et al. 2008)."""
    pole, cloud = _unit(188.5, -7.5), _unit(280.47, -32.75)
    x = cloud - (cloud @ pole) * pole
    x = x / np.linalg.norm(x)
    return SkyFrame("Magellanic Stream (Nidever et al. 2008)", np.stack([x, np.cross(pole, x), pole]) @ GALACTIC.matrix)


GALACTIC = _galactic()
"""The Galactic frame of Hipparcos and Gaia; `galactic` gives l from 0."""
MAGELLANIC_STREAM = _magellanic_stream()
"""The frame of the Magellanic Stream of Nidever, Majewski & Burton (2008, arXiv:0706.1578): the Stream at L_MS < 0."""
