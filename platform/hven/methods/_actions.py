"""Actions of orbits: exact in spherical potentials and in one dimension, by the Staeckel fudge in discs."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hven.errors import ParameterError
from hven.methods._orbits import total_energy
from hven.methods._potentials import GYR, Potential, phi, require_symmetry
from hven.methods._rowwise import is_jax, rowwise

_HALVINGS = 60
_DOUBLINGS = 40
_NODES = 96
_SMALL_HEIGHT = 1e-4


class Actions(NamedTuple):
    """Actions in kpc km/s, each of shape (...), and whether the orbit has them.

    `j_phi` is l_z, with its sign. `is_bound` is False, and the others are NaN, where a value is missing or no outer
    turning point lies within 10^12 times the present distance.
    """

    j_r: Any
    j_phi: Any
    j_z: Any
    is_bound: Any


class RadialOrbit(NamedTuple):
    """An orbit in a sphere: actions in kpc km/s, turning points in kpc, eccentricity; shape (...)."""

    j_r: Any
    j_phi: Any
    j_z: Any
    pericentre: Any
    apocentre: Any
    eccentricity: Any
    is_bound: Any


class VerticalOrbit(NamedTuple):
    """A vertical oscillation, each of shape (...).

    `j_z` in kpc km/s; `angle` in rad, 0 where the star rises through the plane, below 2 pi; `frequency` in rad / Gyr;
    `z_max` in kpc; `is_bound` is False, and the others are NaN, where a value is missing or the star never turns.
    """

    j_z: Any
    angle: Any
    frequency: Any
    z_max: Any
    is_bound: Any


def spherical_actions(parts: Potential, position: ArrayLike, velocity: ArrayLike) -> RadialOrbit:
    """Return actions, pericentre and apocentre in a spherical potential, by quadrature to about 1e-10.

    j_r = 1 / pi int sqrt(2 (E - phi) - L^2 / r^2) dr between the turning points, j_z = L - abs(l_z), j_phi = l_z. The
    potential is read along the x axis, so it must be spherical.

    Parameters
    ----------
    parts
        The potential, independent of time.
    position, velocity
        Shape (..., 3), in kpc and km/s.

    Raises
    ------
    ParameterError
        A part of the potential is not a sphere at rest.

    Examples
    --------
    >>> from hven.methods.dynamics import harmonic
    >>> orbit = spherical_actions(harmonic(10.0), [3.0, 0.0, 0.0], [0.0, 10.0, 0.0])  # an ellipse of axes 3 and 1
    >>> orbit.j_r.round(9).tolist(), orbit.j_phi.tolist(), orbit.pericentre.round(9).tolist()
    (10.0, 30.0, 1.0)
    """
    require_symmetry(parts, spherical=True, where="spherical_actions")
    return RadialOrbit(*rowwise(_spherical, parts, (position, 1), (velocity, 1)))


def vertical_action(parts: Potential, radius: ArrayLike, z: ArrayLike, v_z: ArrayLike) -> VerticalOrbit:
    """Return action, angle and frequency of the motion in z alone, at a fixed radius, by quadrature to about 1e-9.

    j_z = 2 / pi int_0^z_max v dz. The potential must be the same below and above the plane.

    Parameters
    ----------
    parts
        The potential, independent of time.
    radius, z, v_z
        Of shapes that broadcast, in kpc and km/s; z from the plane of the potential.

    Raises
    ------
    ParameterError
        A part of the potential turns, moves or is a bar.

    Examples
    --------
    >>> from hven.methods.dynamics import harmonic
    >>> orbit = vertical_action(harmonic(70.0), 8.0, 0.0, 14.0)
    >>> orbit.j_z.round(9).tolist(), orbit.z_max.round(9).tolist(), orbit.frequency.round(2).tolist()
    (1.4, 0.2, 71.59)
    """
    require_symmetry(parts, spherical=False, where="vertical_action")
    return VerticalOrbit(*rowwise(_vertical, parts, (radius, 0), (z, 0), (v_z, 0)))


def actions(
    parts: Potential, position: ArrayLike, velocity: ArrayLike, *, focal_distance: ArrayLike | None = None
) -> Actions:
    """Return actions in an axisymmetric potential by the Staeckel fudge of Binney (2012, arXiv:1207.4910).

    The potential is taken as if it were separable in prolate spheroidal coordinates with foci at z = +- the focal
    distance; the actions are exact where it is, and conserved to a few percent along orbits of disc stars elsewhere.
    Momenta are p_u^2 / 2 d^2 = E sinh^2 u - I_3 - U(u) - l_z^2 / 2 d^2 sinh^2 u, and p_v in the same way, with V from
    the potential along the coordinate line through the star, and U along the one in the plane: the choices of galpy.

    Parameters
    ----------
    parts
        The potential: axisymmetric, the same below and above the plane, independent of time.
    position, velocity
        Shape (..., 3), in kpc and km/s.
    focal_distance
        In kpc, of shape (...); None: at each star by `focal_distance`. Give one number to compare the stars of an
        orbit.

    Raises
    ------
    ParameterError
        A focal distance is not positive, or a part of the potential turns, moves or is a bar.

    Examples
    --------
    >>> from hven.methods.dynamics import kuzmin_kutuzov
    >>> disc = kuzmin_kutuzov(1e11, 3.0, 1.0)
    >>> found = actions(disc, [8.0, 0.0, 0.5], [10.0, -200.0, 5.0], focal_distance=np.sqrt(8.0))
    >>> found.j_phi.round(6).tolist(), bool(found.is_bound)
    (-1600.0, True)
    """
    require_symmetry(parts, spherical=False, where="actions")
    focus = _focal(parts, position) if focal_distance is None else focal_distance
    if focal_distance is not None and not is_jax(focal_distance) and not np.all(np.asarray(focal_distance) > 0):
        raise ParameterError(
            f"the focal distance is {focal_distance}",
            where="actions",
            expected="a positive length in kpc",
            hint="Leave it out, or ask `hven.methods.dynamics.focal_distance`.",
        )
    return Actions(*rowwise(_staeckel, parts, (position, 1), (velocity, 1), (focus, 0)))


def focal_distance(parts: Potential, position: ArrayLike) -> Any:
    """Return the focal distance in kpc, shape (...), of the Staeckel potential that fits best at places (..., 3).

    d^2 = z^2 - R^2 + (3 z phi_R - 3 R phi_z + R z (phi_RR - phi_zz)) / phi_Rz (Sanders 2012, arXiv:1208.2813, equation
    9), taken at abs(z) >= 0.01 R, where it is not 0 / 0, and never below 0.01 r: in a sphere it vanishes.

    Examples
    --------
    >>> from hven.methods.dynamics import kuzmin_kutuzov
    >>> focal_distance(kuzmin_kutuzov(1e11, 3.0, 1.0), [8.0, 0.0, 0.5]).round(9).tolist()
    2.828427125
    """
    return _focal(parts, position)


def _focal(parts: Potential, position: ArrayLike) -> Any:
    return rowwise(_focal_distance, parts, (position, 1))


# --- one row --------------------------------------------------------------------------------------


def _spherical(parts: Potential, position: Any, velocity: Any) -> tuple[Any, ...]:
    import jax.numpy as jnp

    momentum = jnp.cross(position, velocity)
    squared, l_z = momentum @ momentum, momentum[2]
    r0, e = jnp.sqrt(position @ position), total_energy(parts, position, velocity, 0.0)

    def speed2(r: Any) -> Any:  # r^2 times the square of the radial velocity
        return 2 * (e - phi(parts, jnp.stack([r, 0 * r, 0 * r]), 0.0)) * r * r - squared

    low = _root(speed2, 0 * r0, r0)
    high, is_bound = _outer_root(speed2, r0)

    def radial(r: Any) -> Any:
        return jnp.sqrt(jnp.maximum(speed2(r), 0.0)) / r

    j_r = _between(radial, low, high) / np.pi
    eccentricity = (high - low) / (high + low)
    found = (j_r, l_z, jnp.sqrt(squared) - jnp.abs(l_z), low, high, eccentricity)
    is_known = is_bound & jnp.isfinite(j_r)
    return (*(jnp.where(is_known, value, jnp.nan) for value in found), is_known)


def _vertical(parts: Potential, radius: Any, z: Any, v_z: Any) -> tuple[Any, ...]:
    import jax
    import jax.numpy as jnp

    def rise(height: Any) -> Any:  # the potential above that in the plane
        return phi(parts, jnp.stack([radius, 0 * radius, height]), 0.0) - plane

    plane = phi(parts, jnp.stack([radius, 0 * radius, 0 * radius]), 0.0)
    stiffness = jnp.sqrt(jax.grad(jax.grad(rise))(0 * z))  # the frequency of small oscillations
    e = 0.5 * v_z**2 + rise(z)
    top, is_bound = _outer_root(lambda height: e - rise(height), jnp.abs(z), least=_SMALL_HEIGHT)
    nodes, weights = np.polynomial.legendre.leggauss(48)

    def over(reach: Any) -> tuple[Any, Any]:  # int v dz and int dz / v for z = top sin(psi), psi from 0 to reach
        psi = 0.5 * reach * (1 + nodes)
        height = top * jnp.sin(psi)
        speed = jnp.sqrt(jnp.maximum(2 * (e - jax.vmap(rise)(height)), 0.0)) + 1e-300
        width = 0.5 * reach * weights * top * jnp.cos(psi)
        return jnp.sum(width * speed), jnp.sum(width / speed)

    area, quarter = over(0.5 * np.pi)
    _, passed = over(jnp.arcsin(jnp.clip(jnp.abs(z) / top, 0.0, 1.0)))
    passed = jnp.where(z < 0, -passed, passed)
    passed = jnp.where(v_z < 0, 2 * quarter - passed, passed)
    is_small = top < _SMALL_HEIGHT  # there the difference of two potentials keeps too few digits
    small = 0.5 * (v_z**2 / stiffness + stiffness * z**2)
    frequency = jnp.where(is_small, stiffness, 0.5 * np.pi / quarter)
    angle = jnp.where(is_small, jnp.arctan2(stiffness * z, v_z), frequency * passed)
    angle = jnp.mod(angle, 2 * np.pi)
    angle = jnp.where(angle >= 2 * np.pi, 0.0, angle)
    top = jnp.where(is_small, jnp.sqrt(2 * small / stiffness), top)
    found = (jnp.where(is_small, small, 2 / np.pi * area), angle, frequency * GYR, top)
    is_known = is_bound & jnp.isfinite(found[0])
    return (*(jnp.where(is_known, value, jnp.nan) for value in found), is_known)


def _staeckel(parts: Potential, position: Any, velocity: Any, focus: Any) -> tuple[Any, ...]:
    import jax.numpy as jnp

    across, z = jnp.sqrt(position[0] ** 2 + position[1] ** 2), position[2]
    l_z = position[0] * velocity[1] - position[1] * velocity[0]
    v_across = (position[0] * velocity[0] + position[1] * velocity[1]) / across
    e = total_energy(parts, position, velocity, 0.0)

    near, far = jnp.hypot(across, z - focus), jnp.hypot(across, z + focus)  # distances from the foci
    cosh_u = 0.5 * (far + near) / focus
    sinh2_u0 = cosh_u**2 - 1
    cos_v = jnp.clip(0.5 * (far - near) / focus, -1.0, 1.0)
    sin2_v0 = (across / focus) ** 2 / sinh2_u0
    sinh_u, sin_v = jnp.sqrt(sinh2_u0), jnp.sqrt(sin2_v0)
    u0, v0 = jnp.arcsinh(sinh_u), jnp.arctan2(sin_v, jnp.abs(cos_v))
    p_u0 = focus * (v_across * cosh_u * sin_v + velocity[2] * sinh_u * cos_v)
    p_v0 = focus * (v_across * sinh_u * cos_v - velocity[2] * cosh_u * sin_v)

    def at(sinh2: Any, sin2: Any) -> Any:  # (sinh^2 u + sin^2 v) times the potential
        place = focus * jnp.stack([jnp.sqrt(sinh2 * sin2), 0 * sinh2, jnp.sqrt((1 + sinh2) * (1 - sin2))])
        return (sinh2 + sin2) * phi(parts, place, 0.0)

    sin2_v0 = jnp.minimum(sin2_v0, 1.0)
    here, in_plane, turn = at(sinh2_u0, sin2_v0), at(sinh2_u0, 1.0), l_z**2 / (2 * focus**2)
    i_u = e * sinh2_u0 - 0.5 * (p_u0 / focus) ** 2 - turn / sinh2_u0  # I_3 + U(u_0)
    i_v = 0.5 * (p_v0 / focus) ** 2 - e * sin2_v0 + turn / sin2_v0  # I_3 + V(v_0)

    def momentum2_u(u: Any) -> Any:
        sinh2 = jnp.sinh(u) ** 2
        return (2 * focus**2 * (e * sinh2 - i_u - (at(sinh2, 1.0) - in_plane)) * sinh2 - l_z**2) / sinh2

    def momentum2_v(v: Any) -> Any:
        sin2 = jnp.sin(v) ** 2
        return (2 * focus**2 * (e * sin2 + i_v - (at(sinh2_u0, sin2) - here)) * sin2 - l_z**2) / sin2

    low_u = _root(momentum2_u, 0 * u0, u0)
    high_u, is_bound = _outer_root(momentum2_u, u0, most=8)
    low_v = _root(momentum2_v, 0 * v0, v0)
    j_r = _between(lambda u: jnp.sqrt(jnp.maximum(momentum2_u(u), 0.0)), low_u, high_u) / np.pi
    j_z = _between(lambda v: jnp.sqrt(jnp.maximum(momentum2_v(v), 0.0)), low_v, np.pi - low_v) / np.pi
    is_known = is_bound & jnp.isfinite(j_r) & jnp.isfinite(j_z)
    return (*(jnp.where(is_known, value, jnp.nan) for value in (j_r, l_z, j_z)), is_known)


def _focal_distance(parts: Potential, position: Any) -> Any:
    import jax
    import jax.numpy as jnp

    across = jnp.sqrt(position[0] ** 2 + position[1] ** 2)
    z = jnp.maximum(jnp.abs(position[2]), 0.01 * across)

    def meridional(place: Any) -> Any:
        return phi(parts, jnp.stack([place[0], 0 * place[0], place[1]]), 0.0)

    place = jnp.stack([across, z])
    slope, bend = jax.grad(meridional)(place), jax.hessian(meridional)(place)
    pulls = 3 * z * slope[0] - 3 * across * slope[1] + across * z * (bend[0, 0] - bend[1, 1])
    squared = z**2 - across**2 + pulls / jnp.where(bend[0, 1] == 0, jnp.inf, bend[0, 1])
    floor = 1e-4 * (across**2 + z**2)
    return jnp.sqrt(jnp.where(squared > floor, squared, jnp.where(jnp.isnan(squared), jnp.nan, floor)))


# --- roots and integrals --------------------------------------------------------------------------


def _root(function: Any, outside: Any, inside: Any) -> Any:
    """Return the root between `outside`, where `function` is negative (or that point if it is not), and `inside`."""
    from jax import lax
    from jax import numpy as jnp

    def halve(_: Any, bracket: tuple[Any, Any]) -> tuple[Any, Any]:
        out, within = bracket
        middle = 0.5 * (out + within)
        is_within = function(middle) >= 0
        return jnp.where(is_within, out, middle), jnp.where(is_within, middle, within)

    return lax.fori_loop(0, _HALVINGS, halve, (outside, inside))[1]


def _outer_root(function: Any, start: Any, most: int = _DOUBLINGS, least: float = 0.0) -> tuple[Any, Any]:
    """Return the root above `start`, where `function` is not negative, and whether there is one; `least`: first try."""
    from jax import lax
    from jax import numpy as jnp

    def double(_: Any, reach: Any) -> Any:
        return jnp.where(function(reach) >= 0, 2 * reach, reach)

    beyond = lax.fori_loop(0, most, double, jnp.maximum(2 * start, least))
    return _root(function, beyond, start), function(beyond) < 0


def _between(function: Any, low: Any, high: Any) -> Any:
    """Return the integral of a function that vanishes like a square root at both ends: midpoints of an angle."""
    import jax
    import jax.numpy as jnp

    angle = (np.arange(_NODES) + 0.5) * np.pi / _NODES
    half = 0.5 * (high - low)
    values = jax.vmap(function)(0.5 * (high + low) - half * np.cos(angle))
    return half * jnp.sum(values * np.sin(angle)) * (np.pi / _NODES)
