"""Gravitational potentials: plain data that add, save as JSON and pass through `jit`, with their formulas."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hven.errors import DataRefusedError, ParameterError
from hven.methods._rowwise import rowwise

G = 4.300917270e-6
"""Newton's constant in kpc (km/s)^2 / M_sun (CODATA 2018 with the IAU's nominal solar mass parameter)."""
GYR = 1.0227121650537077
"""How far 1 km/s goes in 1 Gyr, in kpc."""

Part = dict[str, dict[str, Any]]
Potential = tuple[Part, ...]

_SMALL = 1e-12


def potential(parts: Potential, position: ArrayLike, time: ArrayLike = 0.0) -> Any:
    """Return the potential in (km/s)^2, shape (...), at positions (..., 3) in kpc and times (...) in Gyr.

    Examples
    --------
    >>> potential(point(1e10), [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]).round(2).tolist()
    [-43009.17, -21504.59]
    """
    return rowwise(phi, parts, (position, 1), (time, 0))


def acceleration(parts: Potential, position: ArrayLike, time: ArrayLike = 0.0) -> Any:
    """Return minus the gradient of the potential in (km/s)^2 / kpc, shape (..., 3); arguments as of `potential`.

    Examples
    --------
    >>> acceleration(harmonic(10.0), [1.0, 3.0, -2.0]).tolist()
    [-100.0, -300.0, 200.0]
    """
    return rowwise(pull, parts, (position, 1), (time, 0))


def density(parts: Potential, position: ArrayLike, time: ArrayLike = 0.0) -> Any:
    """Return the mass density in M_sun / kpc^3 that the potential follows from, shape (...): Laplacian / 4 pi G.

    Examples
    --------
    >>> sun = density(milky_way_2014(), [-8.0, 0.0, 0.0])
    >>> bool(0.08 < sun / 1e9 < 0.12)  # M_sun / pc^3
    True
    """
    return rowwise(_laplacian, parts, (position, 1), (time, 0))


def circular_velocity(parts: Potential, radius: ArrayLike) -> Any:
    """Return the speed of circular orbits in the plane in km/s, shape (...), at radii (...) in kpc, along the x axis.

    NaN where the force points outwards.

    Examples
    --------
    >>> float(circular_velocity(milky_way_2014(), 8.0).round(6))
    220.0
    """
    return rowwise(_circular, parts, (radius, 0))


def phi(parts: Potential, position: Any, time: Any) -> Any:
    """Return the potential at one place (3,) and time."""
    total: Any = 0.0
    for part in parts:
        for kind, parameters in part.items():
            if kind not in _FORMULAS:
                raise ParameterError(
                    f"there is no potential {kind!r}",
                    expected=", ".join(sorted(_FORMULAS)),
                    hint="Build potentials with the functions of hven.methods.dynamics.",
                )
            total = total + _FORMULAS[kind](parameters, position, time)
    return total


def pull(parts: Potential, position: Any, time: Any) -> Any:
    """Return the acceleration at one place (3,) and time."""
    import jax

    return -jax.grad(phi, argnums=1)(parts, position, time)


def _laplacian(parts: Potential, position: Any, time: Any) -> Any:
    import jax

    return jax.numpy.trace(jax.hessian(phi, argnums=1)(parts, position, time)) / (4 * np.pi * G)


def _circular(parts: Potential, radius: Any) -> Any:
    import jax.numpy as jnp

    inwards = -pull(parts, jnp.stack([radius, 0 * radius, 0 * radius]), 0.0 * radius)[0]
    return jnp.sqrt(radius * inwards)


# --- the kinds ------------------------------------------------------------------------------------


def point(mass: float) -> Potential:
    """Return a point mass in M_sun: -G M / r."""
    return ({"point": {"mass": mass}},)


def plummer(mass: float, scale: float) -> Potential:
    """Return a Plummer sphere: -G M / sqrt(r^2 + b^2), mass in M_sun, scale b in kpc."""
    return ({"plummer": {"mass": mass, "scale": scale}},)


def hernquist(mass: float, scale: float) -> Potential:
    """Return a Hernquist (1990) sphere: -G M / (r + a), mass in M_sun, scale a in kpc."""
    return ({"hernquist": {"mass": mass, "scale": scale}},)


def isochrone(mass: float, scale: float) -> Potential:
    """Return Henon's isochrone: -G M / (b + sqrt(b^2 + r^2)), mass in M_sun, scale b in kpc."""
    return ({"isochrone": {"mass": mass, "scale": scale}},)


def nfw(mass: float, scale: float, flattening: float = 1.0) -> Potential:
    """Return a Navarro-Frenk-White halo: -G M ln(1 + m / r_s) / m with m^2 = x^2 + y^2 + z^2 / q^2.

    `mass` in M_sun is 4 pi rho_0 r_s^3, so that M ln(1 + c) - M c / (1 + c) lies within c r_s when q = 1; `flattening`
    q is that of the equipotentials.
    """
    return ({"nfw": {"mass": mass, "scale": scale, "flattening": flattening}},)


def miyamoto_nagai(mass: float, length: float, height: float) -> Potential:
    """Return a Miyamoto & Nagai (1975) disc: -G M / sqrt(R^2 + (a + sqrt(z^2 + b^2))^2), a length, b height in kpc."""
    return ({"miyamoto_nagai": {"mass": mass, "length": length, "height": height}},)


def logarithmic(speed: float, core: float, flattening: float = 1.0) -> Potential:
    """Return a logarithmic halo: v^2 / 2 ln(R^2 + z^2 / q^2 + r_c^2), with lengths in kpc and v in km/s."""
    return ({"logarithmic": {"speed": speed, "core": core, "flattening": flattening}},)


def power_law(mass: float, slope: float, cutoff: float) -> Potential:
    """Return a sphere of density r^-slope exp(-(r / cutoff)^2) of this total mass in M_sun; slope below 2."""
    return ({"power_law": {"mass": mass, "slope": slope, "cutoff": cutoff}},)


def kuzmin_kutuzov(mass: float, length: float, height: float) -> Potential:
    """Return the Staeckel disc of Dejonghe & de Zeeuw (1988): -G M / (sqrt lambda + sqrt nu), axes a, c in kpc.

    Its focal distance is sqrt(a^2 - c^2), and `actions` are exact in it.
    """
    return ({"kuzmin_kutuzov": {"mass": mass, "length": length, "height": height}},)


def harmonic(frequency: float) -> Potential:
    """Return the potential within a homogeneous sphere: w^2 r^2 / 2, w in km/s/kpc."""
    return ({"harmonic": {"frequency": frequency}},)


def sheet(surface_density: float, height: float) -> Potential:
    """Return an infinite sheet: 2 pi G S sqrt(z^2 + D^2), S in M_sun / kpc^2 (1 M_sun / pc^2 = 1e6), D in kpc."""
    return ({"sheet": {"surface_density": surface_density, "height": height}},)


def slab(mass_density: float) -> Potential:
    """Return a thick homogeneous slab: 2 pi G rho z^2, rho in M_sun / kpc^3 (1 M_sun / pc^3 = 1e9)."""
    return ({"slab": {"density": mass_density}},)


def bar(mass: float, half_length: float, width: float, height: float) -> Potential:
    """Return the bar of Long & Murali (1992): a needle of length 2 a on the x axis, softened by b and c; all in kpc.

    G M / 2a ln((x - a + T1) / (x + a + T2)) with T1^2 = (a - x)^2 + s^2, T2^2 = (a + x)^2 + s^2 and
    s^2 = y^2 + (b + sqrt(c^2 + z^2))^2. Turn it with `rotating`.
    """
    return ({"bar": {"mass": mass, "half_length": half_length, "width": width, "height": height}},)


def rotating(parts: Potential, pattern_speed: float, angle: float = 0.0) -> Potential:
    """Return `parts` turning about the z axis: their x axis is at `angle` in rad at time 0.

    `pattern_speed` in km/s/kpc is counter-clockwise as seen from the north Galactic pole; in the frames of hven the
    disc turns clockwise, so the bar of the Milky Way has a negative one.
    """
    return ({"rotating": {"of": parts, "pattern_speed": pattern_speed, "angle": angle}},)


def moving(parts: Potential, times: ArrayLike, places: ArrayLike) -> Potential:
    """Return `parts` on a path: centred at `places` (n, 3) in kpc at ascending `times` (n,) in Gyr.

    Between the times the path is a cubic with tangents of three points; before and after, it stays at its ends.
    """
    return ({"moving": {"of": parts, **_path(times, places)}},)


def frame_acceleration(times: ArrayLike, accelerations: ArrayLike) -> Potential:
    """Return the inertial force of a frame that is itself accelerated: (n, 3) in (km/s)^2 / kpc at `times` in Gyr.

    Everything in the frame is accelerated by minus this: -a_MW for orbits about a Milky Way that falls towards the LMC.
    """
    return ({"frame_acceleration": _path(times, accelerations)},)


def milky_way_2014() -> Potential:
    """Return MWPotential2014 of Bovy (2015, arXiv:1412.3451, table 1): bulge, disc and halo fitted to the Milky Way.

    A power-law bulge (slope 1.8, cutoff 1.9 kpc), a Miyamoto-Nagai disc (3 kpc, 0.28 kpc) and an NFW halo (16 kpc) that
    give 5, 60 and 35 % of the radial force at 8 kpc, where the circular speed is 220 km/s. These belong to the
    potential and are not those of `hven.methods.frames.SolarFrame`.
    """
    from scipy.special import gammainc

    r0, v2_over_g = 8.0, 220.0**2 / G
    bulge = 0.05 * v2_over_g * r0 / float(gammainc(0.6, (r0 / 1.9) ** 2))
    disc = 0.60 * v2_over_g * (r0**2 + 3.28**2) ** 1.5 / r0**2
    halo = 0.35 * v2_over_g * r0 / float(np.log(1.5) - 0.5 / 1.5)
    return power_law(bulge, 1.8, 1.9) + miyamoto_nagai(disc, 3.0, 0.28) + nfw(halo, 16.0)


def require_symmetry(parts: Potential, *, spherical: bool, where: str) -> None:
    """Raise ParameterError where a part of the potential turns, moves or is not as symmetric as a method supposes."""
    for part in parts:
        for kind, parameters in part.items():
            flattening = parameters.get("flattening", 1.0)
            is_round = kind in _SPHERES and not (isinstance(flattening, int | float) and flattening != 1)
            if not (is_round or (kind in _DISCS and not spherical)):
                raise ParameterError(
                    f"the potential has a part {kind!r}",
                    where=where,
                    expected="spheres that rest" if spherical else "spheres and discs that rest",
                    hint="Leave this part out: in it orbits have no such actions.",
                )


def _path(times: ArrayLike, places: ArrayLike) -> dict[str, Any]:
    t, x = np.asarray(times, dtype=np.float64), np.asarray(places, dtype=np.float64)
    is_good = t.ndim == 1 and len(t) >= 3 and np.all(np.diff(t) > 0) and x.shape == (len(t), 3)
    if not (is_good and np.isfinite(t).all() and np.isfinite(x).all()):
        raise DataRefusedError(
            f"a path with times of shape {t.shape} and places of shape {x.shape}",
            where="dynamics",
            expected="3 or more ascending finite times (n,) and finite places (n, 3)",
            hint="Sort the path by time and leave out what is missing.",
        )
    return {"times": t, "places": x, "slopes": np.gradient(x, t, axis=0, edge_order=2)}


# --- their formulas -------------------------------------------------------------------------------


def _length(x: Any, soft: Any = _SMALL) -> Any:
    """Return |x| of (3,), never quite zero: its derivative exists everywhere."""
    import jax.numpy as jnp

    return jnp.sqrt(x @ x + soft**2)


def _flattened(p: dict[str, Any], x: Any, soft: Any) -> Any:
    import jax.numpy as jnp

    return jnp.sqrt(x[0] ** 2 + x[1] ** 2 + (x[2] / p["flattening"]) ** 2 + soft**2)


def _nfw(p: dict[str, Any], x: Any, _t: Any) -> Any:
    import jax.numpy as jnp

    m = _flattened(p, x, _SMALL * p["scale"])
    return -G * p["mass"] * jnp.log1p(m / p["scale"]) / m


def _disc(p: dict[str, Any], x: Any, _t: Any) -> Any:
    import jax.numpy as jnp

    above = p["length"] + jnp.sqrt(x[2] ** 2 + p["height"] ** 2)
    return -G * p["mass"] / jnp.sqrt(x[0] ** 2 + x[1] ** 2 + above**2)


def _logarithmic(p: dict[str, Any], x: Any, _t: Any) -> Any:
    import jax.numpy as jnp

    return p["speed"] ** 2 * jnp.log(_flattened(p, x, p["core"]))


def _power_law(p: dict[str, Any], x: Any, _t: Any) -> Any:
    """Mass within r over r, and the potential of the shells outside, by incomplete gamma functions."""
    from jax.numpy import exp
    from jax.scipy.special import gammaln

    r, inner, outer = _length(x, _SMALL * p["cutoff"]), 1.5 - 0.5 * p["slope"], 1 - 0.5 * p["slope"]
    s = (r / p["cutoff"]) ** 2
    shells = (1 - _lower_gamma(outer, s)) * exp(gammaln(outer) - gammaln(inner)) / p["cutoff"]
    return -G * p["mass"] * (_lower_gamma(inner, s) / r + shells)


def _lower_gamma(a: Any, x: Any) -> Any:
    """Return the regularised P(a, x), to 1e-13: its series up to x = 25, beyond it the asymptotic one of 1 - P.

    JAX has `gammainc`, whose loops of unknown length take ten times as long to compile and to run.
    """
    import jax.numpy as jnp
    from jax import lax
    from jax.scipy.special import gammaln

    near, far = jnp.minimum(x, 25.0), jnp.maximum(x, 25.0)
    terms = lax.fori_loop(0, 90, lambda i, inside: 1 + near / (a + 90 - i) * inside, jnp.ones_like(near))
    below = jnp.exp(a * jnp.log(near) - near - gammaln(a + 1)) * terms
    tail = 1 + (a - 1) / far * (1 + (a - 2) / far * (1 + (a - 3) / far))
    above = 1 - jnp.exp((a - 1) * jnp.log(far) - far - gammaln(a)) * tail
    return jnp.where(x < 25.0, below, above)


def _kuzmin_kutuzov(p: dict[str, Any], x: Any, _t: Any) -> Any:
    import jax.numpy as jnp

    across2, up2, a2, c2 = x[0] ** 2 + x[1] ** 2, x[2] ** 2, p["length"] ** 2, p["height"] ** 2
    product = a2 * c2 + c2 * across2 + a2 * up2  # lambda nu; their sum is below
    return -G * p["mass"] / jnp.sqrt(across2 + up2 + a2 + c2 + 2 * jnp.sqrt(product))


def _sheet(p: dict[str, Any], x: Any, _t: Any) -> Any:
    import jax.numpy as jnp

    return 2 * np.pi * G * p["surface_density"] * jnp.sqrt(x[2] ** 2 + p["height"] ** 2)


def _bar(p: dict[str, Any], x: Any, _t: Any) -> Any:
    import jax.numpy as jnp

    a = p["half_length"]
    side2 = x[1] ** 2 + (p["width"] + jnp.sqrt(p["height"] ** 2 + x[2] ** 2)) ** 2
    # asinh form of the logarithm: no cancellation where x - a + T_- is small
    return -G * p["mass"] / (2 * a) * (jnp.arcsinh((x[0] + a) / side2**0.5) - jnp.arcsinh((x[0] - a) / side2**0.5))


def _rotating(p: dict[str, Any], x: Any, t: Any) -> Any:
    import jax.numpy as jnp

    angle = p["angle"] + p["pattern_speed"] * GYR * t
    c, s = jnp.cos(angle), jnp.sin(angle)
    return phi(p["of"], jnp.stack([c * x[0] + s * x[1], c * x[1] - s * x[0], x[2]]), t)


def _along(p: dict[str, Any], t: Any) -> Any:
    """Return where a path is at time t, (3,)."""
    import jax.numpy as jnp

    times, places, slopes = (jnp.asarray(p[name]) for name in ("times", "places", "slopes"))
    now = jnp.clip(t, times[0], times[-1])
    i = jnp.clip(jnp.searchsorted(times, now, side="right") - 1, 0, len(times) - 2)
    width = times[i + 1] - times[i]
    f = (now - times[i]) / width
    rise = f * f * (3 - 2 * f)
    bend = width * f * (1 - f) * ((1 - f) * slopes[i] - f * slopes[i + 1])
    return (1 - rise) * places[i] + rise * places[i + 1] + bend


_FORMULAS: dict[str, Callable[[dict[str, Any], Any, Any], Any]] = {
    "point": lambda p, x, _t: -G * p["mass"] / (x @ x) ** 0.5,
    "plummer": lambda p, x, _t: -G * p["mass"] / _length(x, p["scale"]),
    "hernquist": lambda p, x, _t: -G * p["mass"] / (_length(x, _SMALL * p["scale"]) + p["scale"]),
    "isochrone": lambda p, x, _t: -G * p["mass"] / (p["scale"] + _length(x, p["scale"])),
    "nfw": _nfw,
    "miyamoto_nagai": _disc,
    "logarithmic": _logarithmic,
    "power_law": _power_law,
    "kuzmin_kutuzov": _kuzmin_kutuzov,
    "harmonic": lambda p, x, _t: 0.5 * p["frequency"] ** 2 * (x @ x),
    "sheet": _sheet,
    "slab": lambda p, x, _t: 2 * np.pi * G * p["density"] * x[2] ** 2,
    "bar": _bar,
    "rotating": _rotating,
    "moving": lambda p, x, t: phi(p["of"], x - _along(p, t), t),
    "frame_acceleration": lambda p, x, t: _along(p, t) @ x,
}

_SPHERES = frozenset({"point", "plummer", "hernquist", "isochrone", "nfw", "logarithmic", "power_law", "harmonic"})
_DISCS = _SPHERES | {"miyamoto_nagai", "kuzmin_kutuzov", "sheet", "slab"}
