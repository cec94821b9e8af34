"""Actions of orbits: where they are known, where they are conserved, where there are none."""

import numpy as np
import pytest

from hven.errors import ParameterError
from hven.methods import dynamics
from hven.methods.dynamics import GYR, G

ISOCHRONE = dynamics.isochrone(1e11, 2.0)
DISC = dynamics.kuzmin_kutuzov(1e11, 3.0, 1.0)
MILKY_WAY = dynamics.milky_way_2014()


def halo(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)) * 5, rng.normal(size=(n, 3)) * 60


def disc(n, seed=0):
    """Return positions and velocities of stars of a disc that turns as the Milky Way's does, l_z < 0."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, n), rng.uniform(5, 11, n)
    along = np.stack([np.sin(angle), -np.cos(angle), 0 * angle], axis=1)
    place = np.stack([radius * np.cos(angle), radius * np.sin(angle), rng.normal(0, 0.4, n)], axis=1)
    return place, 200 * along + rng.normal(size=(n, 3)) * [35, 35, 25]


def of_isochrone(place, velocity):
    """Return j_r, l_z and j_z of Henon's isochrone in closed form (Binney & Tremaine 2008, equation 3.225)."""
    momentum = np.cross(place, velocity)
    total, l_z = np.linalg.norm(momentum, axis=1), momentum[:, 2]
    gm, energy = G * 1e11, 0.5 * np.sum(velocity**2, axis=1) - G * 1e11 / (2 + np.sqrt(4 + np.sum(place**2, axis=1)))
    with np.errstate(invalid="ignore"):
        return gm / np.sqrt(-2 * energy) - 0.5 * (total + np.sqrt(total**2 + 4 * gm * 2)), l_z, total - np.abs(l_z)


@pytest.mark.t0
def test_actions_in_the_isochrone_are_those_of_its_formula():
    """By quadrature, and by the fudge with foci close together; measured 4e-14 and 1e-8 of a typical action."""
    place, velocity = halo(200)
    j_r, l_z, j_z = of_isochrone(place, velocity)
    exact = dynamics.spherical_actions(ISOCHRONE, place, velocity)
    is_bound = np.isfinite(j_r)
    assert is_bound.sum() > 150
    assert np.array_equal(exact.is_bound, is_bound)
    assert exact.j_r[is_bound] == pytest.approx(j_r[is_bound], rel=1e-9, abs=1e-9)
    assert exact.j_z[is_bound] == pytest.approx(j_z[is_bound], rel=1e-9, abs=1e-9)
    assert exact.j_phi[is_bound] == pytest.approx(l_z[is_bound], rel=1e-12)
    fudge = dynamics.actions(ISOCHRONE, place, velocity, focal_distance=0.02)
    assert fudge.j_r[is_bound] == pytest.approx(j_r[is_bound], rel=1e-3, abs=0.05)
    assert fudge.j_z[is_bound] == pytest.approx(j_z[is_bound], rel=1e-3, abs=0.05)


@pytest.mark.t0
def test_turning_points_are_met_by_the_orbit():
    place, velocity = halo(50, seed=3)
    orbit = dynamics.leapfrog(place, velocity, ISOCHRONE, 1.5, 6000, n_saved=3000)
    expected = dynamics.spherical_actions(ISOCHRONE, place, velocity)
    radius = np.linalg.norm(orbit.position, axis=-1)
    # those that turn several times within 1.5 Gyr
    inner = expected.apocentre < 20
    assert inner.sum() > 20
    assert radius.min(axis=0)[inner] == pytest.approx(expected.pericentre[inner], rel=0.02, abs=0.01)
    assert radius.max(axis=0)[inner] == pytest.approx(expected.apocentre[inner], rel=1e-3)


@pytest.mark.t0
def test_the_fudge_is_exact_in_a_staeckel_potential():
    """Actions along orbits in the disc of Kuzmin & Kutuzov; measured 2e-5 at most, the error of the orbit."""
    orbit = dynamics.leapfrog(*disc(60), DISC, 1.0, 8000, n_saved=8)
    found = dynamics.actions(DISC, orbit.position, orbit.velocity, focal_distance=np.sqrt(8.0))
    assert found.is_bound.all()
    for action in (found.j_r, found.j_phi, found.j_z):
        assert np.ptp(action, axis=0).max() < 1e-3 * np.abs(action).max()
    assert dynamics.focal_distance(DISC, orbit.position) == pytest.approx(np.full((9, 60), np.sqrt(8.0)), rel=1e-5)
    own = dynamics.actions(DISC, orbit.position, orbit.velocity)
    assert own.j_z == pytest.approx(found.j_z, rel=1e-3, abs=1e-3)


@pytest.mark.t1
def test_actions_in_the_milky_way_are_conserved_to_five_percent():
    """Spec: constant to 5 % in an axisymmetric potential; measured: 0.2 % in the median."""
    orbit = dynamics.leapfrog(*disc(200, seed=1), MILKY_WAY, 1.0, 4000, n_saved=4)
    found = dynamics.actions(MILKY_WAY, orbit.position, orbit.velocity, focal_distance=3.6)
    for action in (found.j_r, found.j_z):
        spread = action.std(axis=0) / action.mean()
        assert np.median(spread) < 0.01
        assert np.quantile(spread, 0.95) < 0.05


@pytest.mark.t0
def test_actions_in_the_milky_way_are_those_of_galpy():
    """Reference values of galpy 1.12.1 (BSD), actionAngleStaeckel(MWPotential2014, delta=0.45), ro = 8, vo = 220.

    Its azimuth is counted the other way round in its own frame; here the same numbers go in, and l_z keeps its sign.
    """
    place = [[8.0, 0.0, 0.1], [8.0, 0.0, 0.1], [6.0, 0.0, 1.0]]
    velocity = [[30.0, 220.0, 20.0], [-60.0, 150.0, 40.0], [10.0, -200.0, -30.0]]
    found = dynamics.actions(MILKY_WAY, place, velocity, focal_distance=3.6)
    assert found.j_r == pytest.approx([12.542204160021083, 137.36066567566996, 5.710201944275397], rel=1e-7)
    assert found.j_phi == pytest.approx([1760.0, 1200.0, -1200.0])
    assert found.j_z == pytest.approx([3.1786750006984406, 15.118664542366611, 40.74367804845083], rel=1e-7)


def test_plane_and_circle_have_no_action_across():
    speed = dynamics.circular_velocity(MILKY_WAY, 8.0)
    circle = dynamics.actions(MILKY_WAY, [8.0, 0.0, 0.0], [0.0, -speed, 0.0], focal_distance=3.6)
    assert circle.j_phi == pytest.approx(-8 * speed)
    assert circle.j_r == pytest.approx(0.0, abs=1e-6)
    assert circle.j_z == pytest.approx(0.0, abs=1e-6)
    sphere = dynamics.spherical_actions(ISOCHRONE, [8.0, 0.0, 0.0], [30.0, 0.0, 0.0])  # through the centre
    assert sphere.j_phi == 0.0
    assert sphere.pericentre < 1e-9
    assert sphere.j_r == pytest.approx(of_isochrone(np.array([[8.0, 0, 0]]), np.array([[30.0, 0, 0]]))[0][0], rel=1e-3)


def test_small_epicycles_have_the_actions_of_oscillators():
    """j = amplitude^2 frequency / 2 for both, with the epicyclic frequencies of the potential."""
    speed = dynamics.circular_velocity(MILKY_WAY, np.array([8.0, 7.99, 8.01]))
    slope = (speed[2] - speed[1]) / 0.02
    kappa = np.sqrt(2 * speed[0] / 8.0 * (slope + speed[0] / 8.0))
    nu = np.sqrt(-dynamics.acceleration(MILKY_WAY, [8.0, 0.0, 1e-3])[2] / 1e-3)
    found = dynamics.actions(MILKY_WAY, [8.0, 0.0, 0.0], [2.0, speed[0], 1.0], focal_distance=3.6)
    assert found.j_r == pytest.approx(2.0**2 / (2 * kappa), rel=0.01)
    assert found.j_z == pytest.approx(1.0**2 / (2 * nu), rel=0.01)


@pytest.mark.t0
def test_vertical_actions_are_those_of_a_quadrature():
    """Spec, phase_snail: within 1e-6; 71.8, 61.1 (61.0 when recomputed) and 47.8 rad/Gyr at 0.3, 0.5 and 1 kpc."""
    from scipy.integrate import quad

    surface, height, density = 50e6, 0.18, 0.0105e9
    thin = dynamics.sheet(surface, height) + dynamics.slab(density)
    tops = np.array([0.01, 0.3, 0.5, 1.0])
    found = dynamics.vertical_action(thin, 8.0, tops, np.zeros(4))

    def depth(z):
        return 2 * np.pi * G * (surface * np.sqrt(z**2 + height**2) + density * z**2)

    for i, top in enumerate(tops):

        def speed(angle, top=top):
            return np.sqrt(2 * (depth(top) - depth(top * np.sin(angle))))

        area = quad(lambda p, top=top: top * np.cos(p) * speed(p), 0, np.pi / 2, epsabs=0, epsrel=1e-10)[0]
        time = quad(lambda p, top=top: top * np.cos(p) / speed(p), 0, np.pi / 2, epsabs=0, epsrel=1e-9)[0]
        assert found.j_z[i] == pytest.approx(2 / np.pi * area, rel=1e-6)
        assert found.frequency[i] == pytest.approx(np.pi / 2 / time * GYR, rel=1e-6)
    assert found.frequency[1:] == pytest.approx([71.8, 61.1, 47.8], abs=0.1)


def test_vertical_angles_grow_with_time_at_their_frequency():
    thin = dynamics.sheet(50e6, 0.18) + dynamics.slab(0.0105e9)
    z, v_z = np.array([0.0, 0.3, -0.2, 0.05, 1e-5]), np.array([20.0, 5.0, -10.0, -30.0, 0.0])
    start = np.stack([0 * z + 8, 0 * z, z], axis=1), np.stack([0 * z, 0 * z, v_z], axis=1)
    orbit = dynamics.leapfrog(*start, thin, 0.2, 4000, n_saved=20)
    found = dynamics.vertical_action(thin, 8.0, orbit.position[..., 2], orbit.velocity[..., 2])
    assert found.is_bound.all()
    assert np.ptp(found.j_z, axis=0) / found.j_z[0] == pytest.approx(np.zeros(5), abs=1e-4)
    ahead = found.angle - (found.angle[0] + found.frequency[0] * orbit.time[:, None])
    assert np.abs(np.exp(1j * ahead) - 1).max() < 1e-3


def test_what_is_not_bound_or_missing_is_flagged_in_its_row():
    place, velocity = np.tile([8.0, 0.0, 0.1], (3, 1)), np.array([[0.0, -200, 0], [0.0, -900, 0], [np.nan, 0, 0]])
    for found in (dynamics.actions(DISC, place, velocity, focal_distance=2.0),
                  dynamics.spherical_actions(ISOCHRONE, place, velocity)):  # fmt: skip
        assert found.is_bound.tolist() == [True, False, False]
        assert np.isnan(found.j_r).tolist() == np.isnan(found.j_phi).tolist() == [False, True, True]
    up = dynamics.vertical_action(dynamics.plummer(1e10, 1.0), 0.0, 0.1, [10.0, 1000.0, np.nan])
    assert up.is_bound.tolist() == [True, False, False]
    with pytest.raises(ParameterError, match="focal distance"):
        dynamics.actions(DISC, place, velocity, focal_distance=0.0)


def test_potentials_without_such_actions_are_refused():
    place, velocity, barred = (
        np.ones(3),
        np.ones(3),
        MILKY_WAY + dynamics.rotating(dynamics.bar(1e10, 4.0, 1.0, 0.5), -40),
    )
    moving = dynamics.moving(ISOCHRONE, [0.0, 1.0, 2.0], np.zeros((3, 3)))
    for parts in (barred, moving, dynamics.bar(1e10, 4.0, 1.0, 0.5)):
        with pytest.raises(ParameterError, match="the potential has a part"):
            dynamics.actions(parts, place, velocity, focal_distance=3.0)
        with pytest.raises(ParameterError, match="the potential has a part"):
            dynamics.vertical_action(parts, 8.0, 0.1, 10.0)
    for parts in (DISC, dynamics.nfw(1e11, 10.0, 0.8), moving):
        with pytest.raises(ParameterError, match="spheres that rest"):
            dynamics.spherical_actions(parts, place, velocity)


def test_no_rows_give_no_actions():
    assert dynamics.spherical_actions(ISOCHRONE, np.empty((0, 3)), np.empty((0, 3))).j_r.shape == (0,)
