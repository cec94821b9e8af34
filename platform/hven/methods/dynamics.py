"""Motion in the Galaxy: potentials, orbits, actions, Kepler's equation.

Lengths are in kpc, velocities in km/s, times in Gyr, masses in M_sun. Positions and velocities have the shape (..., 3),
along the axes x, y, z of a right-handed frame. A potential is plain data, a tuple of parts ``{kind: parameters}``: add
potentials with ``+``, save them as JSON, differentiate by their parameters. NumPy gives NumPy float64; JAX, as inside
`jit`, `grad` and `vmap`, gives JAX.
"""

from hven.methods._actions import (
    Actions,
    RadialOrbit,
    VerticalOrbit,
    actions,
    focal_distance,
    spherical_actions,
    vertical_action,
)
from hven.methods._kepler import eccentric_anomaly, true_anomaly
from hven.methods._orbits import Orbit, energy, leapfrog
from hven.methods._potentials import (
    GYR,
    G,
    Potential,
    acceleration,
    bar,
    circular_velocity,
    density,
    frame_acceleration,
    harmonic,
    hernquist,
    isochrone,
    kuzmin_kutuzov,
    logarithmic,
    milky_way_2014,
    miyamoto_nagai,
    moving,
    nfw,
    plummer,
    point,
    potential,
    power_law,
    rotating,
    sheet,
    slab,
)

__all__ = [
    "GYR",
    "Actions",
    "G",
    "Orbit",
    "Potential",
    "RadialOrbit",
    "VerticalOrbit",
    "acceleration",
    "actions",
    "bar",
    "circular_velocity",
    "density",
    "eccentric_anomaly",
    "energy",
    "focal_distance",
    "frame_acceleration",
    "harmonic",
    "hernquist",
    "isochrone",
    "kuzmin_kutuzov",
    "leapfrog",
    "logarithmic",
    "milky_way_2014",
    "miyamoto_nagai",
    "moving",
    "nfw",
    "plummer",
    "point",
    "potential",
    "power_law",
    "rotating",
    "sheet",
    "slab",
    "spherical_actions",
    "true_anomaly",
    "vertical_action",
]
