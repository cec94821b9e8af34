"""From the sky to the Galaxy and back: positions, velocities, angular momenta, frames on the sky, with their errors.

The Galactocentric frame is astropy's, right-handed: the disc has l_z < 0 and v_phi_gal < 0.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import ParameterError
from hven.methods._phase_space import (
    CylindricalVelocity,
    PhaseSpace,
    SkyMotion,
    SphericalVelocity,
    angular_momentum,
    covariance_of,
    cylindrical_velocity,
    from_phase_space,
    momentum_covariance,
    normal_draws,
    spherical_velocity,
    to_phase_space,
)
from hven.methods._sky_frames import (
    GALACTIC,
    MAGELLANIC_STREAM,
    FramePosition,
    IcrsPosition,
    SkyFrame,
    from_frame,
    galactic,
    great_circle,
    great_circle_through,
    to_frame,
    turn_covariance,
)

__all__ = [
    "GALACTIC",
    "MAGELLANIC_STREAM",
    "SOLAR",
    "CylindricalVelocity",
    "FramePosition",
    "GalacticPosition",
    "IcrsPosition",
    "PhaseSpace",
    "SkyFrame",
    "SkyMotion",
    "SkyPosition",
    "SolarFrame",
    "SphericalVelocity",
    "angular_momentum",
    "cylindrical_velocity",
    "from_frame",
    "galactic",
    "galactocentric",
    "great_circle",
    "great_circle_through",
    "momentum_covariance",
    "normal_draws",
    "phase_space",
    "phase_space_covariance",
    "sky_motion",
    "sky_position",
    "spherical_velocity",
    "to_frame",
    "turn_covariance",
]

Array = NDArray[np.float64]

# The Galactic centre in ICRS and the roll that lays the x-y plane on the Galactic plane: astropy's Galactocentric,
# after Reid & Brunthaler (2004), arXiv:astro-ph/0408107, and the definition of the Galactic frame.
_CENTRE_RA, _CENTRE_DEC, _ROLL = 266.4051, -28.936175, 58.5986320306


@dataclass(frozen=True)
class SolarFrame:
    """Where the Sun is in the Galaxy and how it moves: the parameters of a Galactocentric frame.

    Attributes
    ----------
    r0
        Distance of the Sun from the Galactic centre in kpc (GRAVITY collaboration 2018, arXiv:1807.09409).
    z_sun
        Height of the Sun above the plane in kpc (Bennett & Bovy 2019, arXiv:1809.03507).
    v_sun
        Velocity of the Sun in km/s along x, y, z (Drimmel & Poggio 2018, doi:10.3847/2515-5172/aaef8b).

    Examples
    --------
    >>> SolarFrame(r0=8.178).attrs()["r0_kpc"]
    8.178
    """

    r0: float = 8.122
    z_sun: float = 0.0208
    v_sun: tuple[float, float, float] = (12.9, 245.6, 7.78)

    def __post_init__(self) -> None:
        if not 0 <= abs(self.z_sun) < self.r0:
            raise ParameterError(
                f"r0 = {self.r0} kpc and z_sun = {self.z_sun} kpc",
                expected="0 <= |z_sun| < r0",
                hint="Both are in kpc; z_sun is about 0.02.",
            )

    def attrs(self) -> dict[str, str | float | list[float]]:
        """Return the parameters as attributes for a result that depends on them."""
        return {
            "frame": "Galactocentric, right-handed, as in astropy v4.0",
            "r0_kpc": self.r0,
            "z_sun_kpc": self.z_sun,
            "v_sun_km_s": list(self.v_sun),
        }


SOLAR = SolarFrame()


class GalacticPosition(NamedTuple):
    """Galactocentric positions and their 1-sigma errors, each of shape (n,).

    x_gal, y_gal, z_gal, r_gal in kpc; the Sun is at negative x, y points along rotation, z to the north Galactic pole.
    phi_gal in rad, from 0 to 2 pi, with the Sun at pi and falling along rotation.
    """

    x_gal: Array
    y_gal: Array
    z_gal: Array
    r_gal: Array
    phi_gal: Array
    x_gal_err: Array
    y_gal_err: Array
    z_gal_err: Array
    r_gal_err: Array
    phi_gal_err: Array


class SkyPosition(NamedTuple):
    """Positions as seen from the Sun, each of shape (n,): ICRS ra and dec in deg, distance in kpc."""

    ra: Array
    dec: Array
    distance: Array


def galactocentric(
    ra: ArrayLike,
    dec: ArrayLike,
    distance: ArrayLike,
    distance_err: ArrayLike | None = None,
    *,
    solar: SolarFrame = SOLAR,
) -> GalacticPosition:
    """Return Galactocentric positions of objects, with the errors that follow from those of their distances.

    R = hypot(x, y), and e_R^2 = R'^2 e_d^2 + 3/4 R''^2 e_d^4 with R' = (x u_x + y u_y) / R, u the unit vector towards
    the object; in a frame without z_sun R' is (d cos^2 b - R0 cos b cos l) / R. The second term is the root mean square
    of the next order: without it the error vanishes where the line of sight is a tangent of the circle. The same holds
    for phi. Neither is enough where e_d is not small against R, near the Galactic centre. All errors of an object come
    from the one of its distance, so they are fully correlated; errors of ra and dec are left out (an arcsecond at 10
    kpc is 0.05 pc).

    Parameters
    ----------
    ra, dec
        ICRS position in deg, shape (n,).
    distance, distance_err
        Distance from the Sun and its 1-sigma error in kpc, shape (n,). NaN gives NaN. None for the error: none.
    solar
        Where the Sun is.

    Examples
    --------
    >>> here = galactocentric(ra=[266.4051], dec=[-28.936175], distance=[2.0], distance_err=[0.1])
    >>> here.r_gal.round(3).tolist(), here.r_gal_err.round(3).tolist(), here.phi_gal.round(3).tolist()
    ([6.122], [0.1], [3.142])
    """
    ra, dec, distance = (np.asarray(v, dtype=np.float64) for v in (ra, dec, distance))
    error = np.zeros_like(distance) if distance_err is None else np.asarray(distance_err, dtype=np.float64)
    matrix, offset = _icrs_to_galactocentric(solar)
    alpha, delta = np.deg2rad(ra), np.deg2rad(dec)
    towards = np.stack([np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)])
    u_x, u_y, u_z = np.tensordot(matrix, towards, axes=1)
    x, y, z = u_x * distance + offset[0], u_y * distance + offset[1], u_z * distance + offset[2]
    r = np.hypot(x, y)
    with np.errstate(divide="ignore", invalid="ignore"):  # at R = 0 the errors of R and phi have no meaning: NaN
        r_1, phi_1 = (x * u_x + y * u_y) / r, (x * u_y - y * u_x) / r**2
        r_2, phi_2 = (u_x**2 + u_y**2 - r_1**2) / r, -2 * phi_1 * r_1 / r
        r_err = np.sqrt((r_1 * error) ** 2 + 0.75 * (r_2 * error**2) ** 2)
        phi_err = np.sqrt((phi_1 * error) ** 2 + 0.75 * (phi_2 * error**2) ** 2)
    phi = np.mod(np.arctan2(y, x), 2 * np.pi)
    phi = np.where(phi >= 2 * np.pi, 0.0, phi)  # what rounding left of a tiny negative angle
    errors = (np.abs(u_x) * error, np.abs(u_y) * error, np.abs(u_z) * error, r_err, phi_err)
    return GalacticPosition(x, y, z, r, phi, *errors)


def sky_position(x_gal: ArrayLike, y_gal: ArrayLike, z_gal: ArrayLike, *, solar: SolarFrame = SOLAR) -> SkyPosition:
    """Return where in the sky, and how far, Galactocentric positions (n,) in kpc are: the inverse of `galactocentric`.

    Examples
    --------
    >>> ra, dec, distance = sky_position([0.0], [0.0], [0.0])
    >>> ra.round(4).tolist(), dec.round(4).tolist(), distance.round(3).tolist()
    ([266.4051], [-28.9362], [8.122])
    """
    matrix, offset = _icrs_to_galactocentric(solar)
    galactic = np.stack(
        [np.asarray(v, dtype=np.float64) - o for v, o in zip((x_gal, y_gal, z_gal), offset, strict=True)]
    )
    x, y, z = np.tensordot(matrix.T, galactic, axes=1)
    ra, dec = np.mod(np.rad2deg(np.arctan2(y, x)), 360.0), np.rad2deg(np.arctan2(z, np.hypot(x, y)))
    return SkyPosition(np.where(ra >= 360.0, 0.0, ra), dec, np.sqrt(x**2 + y**2 + z**2))


def phase_space(
    ra: ArrayLike,
    dec: ArrayLike,
    distance: ArrayLike,
    pmra: ArrayLike,
    pmdec: ArrayLike,
    radial_velocity: ArrayLike,
    *,
    solar: SolarFrame = SOLAR,
) -> PhaseSpace:
    """Return Galactocentric positions (..., 3) in kpc and velocities (..., 3) in km/s of what is measured.

    NumPy gives NumPy float64; JAX, as inside `jit` and `grad`, gives JAX.

    Parameters
    ----------
    ra, dec, distance
        ICRS in deg, and kpc, of shapes that broadcast: draws of a distance, (n_draws, n), are fine.
    pmra, pmdec, radial_velocity
        In mas/yr, pmra with cos(dec), and in km/s. NaN gives NaN velocities.
    solar
        Where the Sun is, and how it moves.

    Examples
    --------
    >>> centre = phase_space(266.4051, -28.936175, 8.122, -3.151, -5.547, 0.0)  # Sgr A*, nearly at rest
    >>> bool(abs(centre.position).max() < 1e-3), bool(abs(centre.velocity).max() < 15)
    (True, True)
    """
    return to_phase_space(_frame(solar), ra, dec, distance, pmra, pmdec, radial_velocity)


def phase_space_covariance(
    ra: ArrayLike,
    dec: ArrayLike,
    distance: ArrayLike,
    pmra: ArrayLike,
    pmdec: ArrayLike,
    covariance: ArrayLike,
    *,
    solar: SolarFrame = SOLAR,
) -> Any:
    """Return the covariance (..., 6, 6) of x, y, z, v_x, v_y, v_z, to first order.

    Errors of ra and dec are left out. Where distances are good to no better than 10 %, draw instead (`normal_draws`).

    Parameters
    ----------
    ra, dec, distance, pmra, pmdec, solar
        As of `phase_space`.
    covariance
        Of distance, pmra, pmdec and radial velocity, in this order and their units, shape (..., 4, 4).

    Examples
    --------
    >>> spread = phase_space_covariance(0.0, 0.0, 2.0, 0.0, 0.0, np.diag([0.01, 0.0, 0.0, 9.0]))
    >>> float(np.trace(spread[:3, :3]).round(9)), float(np.trace(spread[3:, 3:]).round(9))
    (0.01, 9.0)
    """
    return covariance_of(_icrs_to_galactocentric(solar)[0], ra, dec, distance, pmra, pmdec, covariance)


def sky_motion(position: ArrayLike, velocity: ArrayLike, *, solar: SolarFrame = SOLAR) -> SkyMotion:
    """Return ra, dec, distance, pmra, pmdec and radial velocity of Galactocentric (..., 3): inverse of `phase_space`.

    Examples
    --------
    >>> seen = sky_motion([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    >>> [round(float(v), 2) for v in seen]
    [266.41, -28.94, 8.12, -3.15, -5.55, -12.88]
    """
    return from_phase_space(_frame(solar), position, velocity)


def _frame(solar: SolarFrame) -> tuple[Array, Array, Array]:
    return (*_icrs_to_galactocentric(solar), np.asarray(solar.v_sun, dtype=np.float64))


@lru_cache(maxsize=16)
def _icrs_to_galactocentric(solar: SolarFrame) -> tuple[Array, Array]:
    """Return the rotation (3, 3) and the offset (3,) in kpc that carry ICRS positions to Galactocentric ones."""
    to_centre = _turn(_ROLL, "x") @ _turn(-_CENTRE_DEC, "y") @ _turn(_CENTRE_RA, "z")
    tilt = _turn(-np.rad2deg(np.arcsin(solar.z_sun / solar.r0)), "y")
    return tilt @ to_centre, -tilt @ np.array([solar.r0, 0.0, 0.0])


def _turn(angle: float, axis: str) -> Array:
    """Return the matrix (3, 3) that turns the axes by `angle` in deg about `axis`."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = s, -s
    return matrix
