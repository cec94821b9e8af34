"""Positions and velocities in the Galaxy with their covariances, angular momenta, and draws of what is measured."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError
from hven.methods._array_namespace import floats
from hven.methods._sky_frames import triad
from hven.methods.precision import in_float64

Array = NDArray[np.float64]

_K = 149_597_870.7 / 31_557_600
"""What a proper motion of 1 mas/yr at 1 kpc is in km/s: 4.740470..., an astronomical unit a Julian year."""


class PhaseSpace(NamedTuple):
    """Galactocentric positions in kpc and velocities in km/s, each (..., 3): x, y, z of the right-handed frame."""

    position: Any
    velocity: Any


class SkyMotion(NamedTuple):
    """What an observer at the Sun measures, each (...): deg, kpc, mas/yr (pmra with cos dec), km/s."""

    ra: Any
    dec: Any
    distance: Any
    pmra: Any
    pmdec: Any
    radial_velocity: Any


class CylindricalVelocity(NamedTuple):
    """Velocities outwards, along phi_gal and upwards in km/s, each (...); v_phi_gal is l_z / r_gal, < 0 in discs."""

    v_r_gal: Any
    v_phi_gal: Any
    v_z_gal: Any


class SphericalVelocity(NamedTuple):
    """Velocities in km/s, each (...), away from the centre, towards growing latitude and towards growing longitude."""

    v_r: Any
    v_b: Any
    v_l: Any


def to_phase_space(
    frame: tuple[Array, Array, Array],
    ra: ArrayLike,
    dec: ArrayLike,
    distance: ArrayLike,
    pmra: ArrayLike,
    pmdec: ArrayLike,
    radial_velocity: ArrayLike,
) -> PhaseSpace:
    """Return Galactocentric positions and velocities; `frame` is rotation, offset and velocity of the Sun."""
    xp, *measured = floats(ra, dec, distance, pmra, pmdec, radial_velocity)
    alpha, delta, d, east, north, along = xp.broadcast_arrays(*measured)
    away, to_east, to_north = (xp.stack(v, axis=-1) for v in triad(xp, alpha, delta))
    matrix, offset, sun = (xp.asarray(v, dtype=away.dtype) for v in frame)
    across = _K * d[..., None] * (east[..., None] * to_east + north[..., None] * to_north)
    motion = along[..., None] * away + across
    return PhaseSpace((d[..., None] * away) @ matrix.T + offset, motion @ matrix.T + sun)


def from_phase_space(frame: tuple[Array, Array, Array], position: ArrayLike, velocity: ArrayLike) -> SkyMotion:
    """Return what is measured of phase-space positions: the inverse of `to_phase_space`."""
    xp, place, speed = floats(position, velocity)
    matrix, offset, sun = (xp.asarray(v, dtype=place.dtype) for v in frame)
    seen, motion = (place - offset) @ matrix, (speed - sun) @ matrix
    d = xp.sqrt(xp.sum(seen**2, axis=-1))
    ra = xp.mod(xp.rad2deg(xp.arctan2(seen[..., 1], seen[..., 0])), 360.0)
    ra = xp.where(ra >= 360.0, 0.0, ra)
    dec = xp.rad2deg(xp.arctan2(seen[..., 2], xp.hypot(seen[..., 0], seen[..., 1])))
    along, east, north = (xp.sum(motion * xp.stack(v, axis=-1), axis=-1) for v in triad(xp, ra, dec))
    return SkyMotion(ra, dec, d, east / (_K * d), north / (_K * d), along)


def covariance_of(matrix: Array, ra: Any, dec: Any, distance: Any, pmra: Any, pmdec: Any, covariance: Any) -> Any:
    """Return the covariance (..., 6, 6) of position and velocity, from that of distance and motion, (..., 4, 4)."""
    xp, *measured, spread = floats(ra, dec, distance, pmra, pmdec, covariance)
    alpha, delta, d, east, north = xp.broadcast_arrays(*measured)
    away, to_east, to_north = (xp.stack(v, axis=-1) @ xp.asarray(matrix.T) for v in triad(xp, alpha, delta))
    none = xp.zeros_like(away)
    turn = _K * d[..., None]
    columns = [
        xp.concatenate([away, _K * (east[..., None] * to_east + north[..., None] * to_north)], axis=-1),
        xp.concatenate([none, turn * to_east], axis=-1),
        xp.concatenate([none, turn * to_north], axis=-1),
        xp.concatenate([none, away], axis=-1),
    ]
    jacobian = xp.stack(columns, axis=-1)
    return jacobian @ spread @ xp.swapaxes(jacobian, -1, -2)


def cylindrical_velocity(position: ArrayLike, velocity: ArrayLike) -> CylindricalVelocity:
    """Return velocities along r_gal, phi_gal, z_gal of Galactocentric positions and velocities (..., 3); NaN at R = 0.

    Examples
    --------
    >>> sun = cylindrical_velocity([-8.122, 0.0, 0.0208], [12.9, 245.6, 7.78])
    >>> [float(v) for v in sun]
    [-12.9, -245.6, 7.78]
    """
    xp, place, speed = floats(position, velocity)
    x, y = place[..., 0], place[..., 1]
    r = xp.hypot(x, y)
    r = xp.where(r > 0, r, xp.nan)
    out, around = x * speed[..., 0] + y * speed[..., 1], x * speed[..., 1] - y * speed[..., 0]
    return CylindricalVelocity(out / r, around / r, speed[..., 2])


def spherical_velocity(position: ArrayLike, velocity: ArrayLike) -> SphericalVelocity:
    """Return Galactocentric velocities away from the centre, towards latitude b and longitude l; NaN on the z axis.

    The angles are those of the frame of `position`: b rises towards z, l counter-clockwise as seen from above.

    Examples
    --------
    >>> [float(v) for v in spherical_velocity([0.0, 8.0, 0.0], [-200.0, 10.0, 5.0])]
    [10.0, 5.0, 200.0]
    """
    xp, place, speed = floats(position, velocity)
    out, around, up = cylindrical_velocity(place, speed)
    across, z = xp.hypot(place[..., 0], place[..., 1]), place[..., 2]
    r = xp.hypot(across, z)
    return SphericalVelocity((across * out + z * up) / r, (across * up - z * out) / r, around)


def angular_momentum(position: ArrayLike, velocity: ArrayLike) -> Any:
    """Return r x v in kpc km/s, shape (..., 3); l_z of the disc is negative in the right-handed frame.

    Examples
    --------
    >>> angular_momentum([-8.122, 0.0, 0.0208], [12.9, 245.6, 7.78]).round(1).tolist()
    [-5.1, 63.5, -1994.8]
    """
    xp, place, speed = floats(position, velocity)
    return xp.cross(place, speed)


def momentum_covariance(position: ArrayLike, velocity: ArrayLike, covariance: ArrayLike) -> Any:
    """Return the covariance (..., 3, 3) of r x v, from that of positions and velocities, (..., 6, 6), to first order.

    The first order falls short where distances are good to no better than 10 %, for r x v grows with their square:
    draw then (`normal_draws`), or take draws of the distance's posterior.

    Examples
    --------
    >>> spread = np.diag([0.0, 0, 0, 25.0, 25.0, 25.0])
    >>> momentum_covariance([8.0, 0.0, 0.0], [0.0, -220.0, 0.0], spread).diagonal().tolist()
    [0.0, 1600.0, 1600.0]
    """
    xp, place, speed, spread = floats(position, velocity, covariance)
    jacobian = xp.concatenate([-_crosses(xp, speed), _crosses(xp, place)], axis=-1)
    return jacobian @ spread @ xp.swapaxes(jacobian, -1, -2)


def _crosses(xp: Any, vector: Any) -> Any:
    """Return the matrices (..., 3, 3) of the cross products v x."""
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    none = xp.zeros_like(x)
    rows = [[none, -z, y], [z, none, -x], [-y, x, none]]
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


@in_float64
def normal_draws(mean: ArrayLike, covariance: ArrayLike, ids: ArrayLike, n_draws: int, *, seed: int = 0) -> Array:
    """Return draws of measurements about their means, shape (n_draws, n, d).

    They depend on the seed and the object's id only, not on the rows around it. A row whose covariance is not positive
    semi-definite, or that misses a value, is NaN.

    Parameters
    ----------
    mean, covariance
        Shapes (n, d) and (n, d, d).
    ids
        Whole numbers, unique to each object, shape (n,).
    n_draws
        How many of each.
    seed
        Of the draws.

    Raises
    ------
    DataRefusedError
        The shapes do not belong together, or ids are not whole numbers.

    Examples
    --------
    >>> some = normal_draws([[1.0, 2.0], [3.0, 4.0]], [np.eye(2), np.eye(2)], [7, 8], 500)
    >>> other = normal_draws([[3.0, 4.0]], [np.eye(2)], [8], 500)
    >>> some.shape, bool(np.all(some[:, 1] == other[:, 0]))
    ((500, 2, 2), True)
    """
    import jax

    centre, spread, names = (
        np.asarray(mean, dtype=np.float64),
        np.asarray(covariance, dtype=np.float64),
        np.asarray(ids),
    )
    is_square = centre.ndim == 2 and spread.shape == (*centre.shape, centre.shape[-1])
    if not is_square or names.shape != centre.shape[:1] or not np.issubdtype(names.dtype, np.integer):
        raise DataRefusedError(
            f"means {centre.shape}, covariances {spread.shape}, ids {names.shape} of type {names.dtype}",
            where="normal_draws",
            expected="(n, d), (n, d, d) and (n,) whole numbers",
            hint="Pass object_id as the ids, and one covariance for each object.",
        )
    if n_draws < 1:
        raise ParameterError(f"n_draws is {n_draws}", expected="at least 1", hint="A few hundred give an error to 5 %.")
    n = len(centre)
    words = np.pad(names.astype(np.int64).view(np.uint64), (0, -n % 256))
    key, half = jax.random.key(seed), np.uint64(32)

    def one(high: Any, low: Any) -> Any:
        own = jax.random.fold_in(jax.random.fold_in(key, high), low)
        return jax.random.normal(own, (n_draws, centre.shape[1]))

    unit = np.asarray(jax.vmap(one)((words >> half).astype(np.uint32), words.astype(np.uint32)))[:n]
    is_known = np.isfinite(spread).all(axis=(1, 2)) & np.isfinite(centre).all(axis=1)
    values, axes = np.linalg.eigh(np.where(is_known[:, None, None], 0.5 * (spread + np.swapaxes(spread, 1, 2)), 0.0))
    is_known &= values.min(axis=1, initial=0.0) >= -1e-10 * np.abs(values).max(axis=1, initial=0.0)
    root = axes * np.sqrt(np.maximum(values, 0.0))[:, None, :] @ np.swapaxes(axes, 1, 2)
    drawn = centre[:, None] + unit @ np.swapaxes(root, 1, 2)
    return np.asarray(np.where(is_known[:, None, None], drawn, np.nan).swapaxes(0, 1))
