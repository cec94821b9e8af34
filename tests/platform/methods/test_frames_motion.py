"""Velocities, angular momenta, frames on the sky and covariances; positions have a file of their own."""

import numpy as np
import pytest

from hven.errors import DataRefusedError, ParameterError
from hven.methods import frames, in_float64
from hven.methods.frames import GALACTIC, MAGELLANIC_STREAM


def stars(n, seed=0):
    """Return ra, dec, distance, pmra, pmdec, radial velocity of `n` objects all over the sky."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, n), np.rad2deg(np.arcsin(rng.uniform(-1, 1, n)))
    return ra, dec, rng.uniform(0.1, 20, n), *rng.normal(0, 5, (2, n)), rng.normal(0, 100, n)


def astropys(ra, dec, distance, pmra, pmdec, radial_velocity):
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    return SkyCoord(
        ra * u.deg, dec * u.deg, distance * u.kpc, pm_ra_cosdec=pmra * u.mas / u.yr, pm_dec=pmdec * u.mas / u.yr,
        radial_velocity=radial_velocity * u.km / u.s,
    )  # fmt: skip


@pytest.mark.t0
def test_velocities_are_astropys():
    """Target 1e-9 kpc and 1e-7 km/s; measured 1e-14 and 1e-12."""
    from astropy.coordinates import Galactocentric, galactocentric_frame_defaults

    with galactocentric_frame_defaults.set("v4.0"):
        frame = Galactocentric()
    measured = stars(1000)
    theirs = astropys(*measured).transform_to(frame)
    ours = frames.phase_space(*measured)
    assert ours.position == pytest.approx(theirs.cartesian.xyz.to_value("kpc").T, abs=1e-9)
    assert ours.velocity == pytest.approx(theirs.velocity.d_xyz.to_value("km/s").T, abs=1e-7)
    there = frames.galactocentric(*measured[:3])
    assert ours.position == pytest.approx(np.stack([there.x_gal, there.y_gal, there.z_gal], axis=1), abs=1e-12)


def test_the_way_back_to_what_is_measured_is_the_inverse():
    measured = stars(500, seed=1)
    back = frames.sky_motion(*frames.phase_space(*measured))
    for ours, given in zip(back, measured, strict=True):
        assert ours == pytest.approx(given, abs=1e-9)


@pytest.mark.t0
def test_the_sun_has_the_angular_momentum_of_the_spec():
    """-1994.8 kpc km/s; the disc turns clockwise as seen from the north."""
    sun = frames.phase_space(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert frames.angular_momentum(*sun)[2] == pytest.approx(-1994.8, abs=0.1)
    velocity = frames.cylindrical_velocity(*sun)
    assert velocity.v_phi_gal < 0
    assert velocity.v_phi_gal * np.hypot(*sun.position[:2]) == pytest.approx(-1994.8, abs=0.1)


def test_components_of_a_velocity_are_the_rates_of_the_coordinates():
    rng = np.random.default_rng(2)
    place, speed, step = rng.normal(size=(200, 3)) * 8, rng.normal(size=(200, 3)) * 100, 1e-7

    def coordinates(x):
        across = np.hypot(x[:, 0], x[:, 1])
        return across, np.arctan2(x[:, 1], x[:, 0]), np.hypot(across, x[:, 2]), np.arctan2(x[:, 2], across)

    now = coordinates(place)
    rates = [np.angle(np.exp(1j * (b - a))) / step if i % 2 else (b - a) / step
             for i, (a, b) in enumerate(zip(now, coordinates(place + step * speed), strict=True))]  # fmt: skip
    flat, round_ = frames.cylindrical_velocity(place, speed), frames.spherical_velocity(place, speed)
    assert flat.v_r_gal == pytest.approx(rates[0], abs=0.1)
    assert flat.v_phi_gal == pytest.approx(now[0] * rates[1], abs=0.1)
    assert flat.v_z_gal == pytest.approx(speed[:, 2])
    assert round_.v_r == pytest.approx(rates[2], abs=0.1)
    assert round_.v_b == pytest.approx(now[2] * rates[3], abs=0.1)
    assert round_.v_l == pytest.approx(now[0] * rates[1], abs=0.1)
    assert sum(np.asarray(v) ** 2 for v in round_) == pytest.approx(np.sum(speed**2, axis=1))


@pytest.mark.t0
def test_galactic_coordinates_are_those_of_hipparcos_and_gaia():
    """The matrix of ESA SP-1200 (1997), equation 1.5.11, and astropy's within 0.03 arcsec."""
    published = [[-0.0548755604, -0.8734370902, -0.4838350155], [+0.4941094279, -0.4448296300, +0.7469822445],
                 [-0.8676661490, -0.1980763734, +0.4559837762]]  # fmt: skip
    assert pytest.approx(np.array(published), abs=2e-10) == GALACTIC.matrix
    ra, dec, *_ = stars(1000)
    longitude, latitude = frames.galactic(ra, dec)
    theirs = astropys(*stars(1000)).galactic
    across = (longitude - theirs.l.deg + 180) % 360 - 180
    assert np.abs(across * np.cos(theirs.b.rad)).max() * 3600 < 0.03
    assert np.abs(latitude - theirs.b.deg).max() * 3600 < 0.03
    assert longitude.min() >= 0
    assert longitude.max() < 360


def test_proper_motions_turn_with_the_frame_and_back():
    measured = stars(500, seed=3)
    turned = frames.to_frame(GALACTIC, *measured[:2], *measured[3:5])
    theirs = astropys(*measured).galactic
    assert turned.pm_phi1 == pytest.approx(theirs.pm_l_cosb.to_value("mas/yr"), abs=1e-5)
    assert turned.pm_phi2 == pytest.approx(theirs.pm_b.to_value("mas/yr"), abs=1e-5)
    back = frames.from_frame(GALACTIC, *turned)
    for ours, given in zip(back, (*measured[:2], *measured[3:5]), strict=True):
        assert ours == pytest.approx(given, abs=1e-9)
    assert frames.to_frame(GALACTIC, *measured[:2]).pm_phi1 is None


@pytest.mark.t0
def test_the_magellanic_clouds_are_where_nidever_puts_them():
    """Nidever et al. 2008: the Large Cloud at L_MS = 0, the Stream at negative, the Leading Arm at positive L_MS."""
    cloud = np.array([[280.47, -32.75], [302.80, -44.30], [92.0, -52.0], [290.0, 20.0]])
    icrs = frames.from_frame(GALACTIC, cloud[:, 0], cloud[:, 1])
    longitude, latitude, *_ = frames.to_frame(MAGELLANIC_STREAM, icrs.ra, icrs.dec)
    assert longitude[:2] == pytest.approx([0.0, -15.53], abs=0.01)
    assert latitude[:2] == pytest.approx([2.40, -11.59], abs=0.01)
    assert longitude[2] < -90
    assert longitude[3] > 30


def test_great_circles_have_their_pole_and_their_origin():
    frame = frames.great_circle((34.5987, 29.7331), (200.0, 59.4504))  # GD-1: Koposov et al. 2010, with their matrix
    pole = frames.to_frame(frame, 34.5987, 29.7331)
    assert pole.phi2 == pytest.approx(90.0, abs=1e-5)
    koposov = np.array([0.7147776536, 0.4930681392, 0.4959603976])
    assert frame.matrix[2] == pytest.approx(koposov, abs=1e-6)
    origin = frames.to_frame(frame, 200.0, 59.4504)
    assert origin.phi1 == pytest.approx(0.0, abs=1e-9)
    node = frames.great_circle((100.0, 30.0))
    assert node.matrix @ node.matrix.T == pytest.approx(np.eye(3), abs=1e-14)
    assert np.linalg.det(node.matrix) == pytest.approx(1.0)
    ahead = frames.from_frame(node, [0.0, 1.0], [0.0, 0.0]).dec
    assert ahead[0] == pytest.approx(0.0, abs=1e-12)
    assert ahead[1] > 0.5  # northwards
    ends = frames.great_circle_through((10.0, 20.0), (60.0, -10.0))
    middle = frames.to_frame(ends, [10.0, 60.0], [20.0, -10.0])
    assert middle.phi2 == pytest.approx([0.0, 0.0], abs=1e-12)
    assert middle.phi1.sum() == pytest.approx(0.0, abs=1e-12)
    assert middle.phi1[0] < 0
    assert ends.attrs()["sky_frame_matrix"] == ends.matrix.ravel().tolist()


@pytest.mark.t0
def test_covariances_are_those_of_draws():
    """Distances good to 2 %: the linear covariance against 20,000 draws; measured within 4 %."""
    measured = stars(20, seed=4)
    spread = np.zeros((20, 4, 4))
    spread[:, range(4), range(4)] = np.stack(
        [(0.02 * measured[2]) ** 2, *np.full((2, 20), 0.01), np.full(20, 4.0)], axis=1
    )
    spread[:, 1, 2] = spread[:, 2, 1] = 0.006
    spread[:, 0, 1] = spread[:, 1, 0] = -0.5 * 0.02 * measured[2] * 0.1
    drawn = frames.normal_draws(np.stack(measured[2:], axis=1), spread, np.arange(20), 20_000, seed=1)
    place, speed = frames.phase_space(*measured[:2], *np.moveaxis(drawn, -1, 0))
    linear = frames.phase_space_covariance(*measured[:5], spread)
    momenta = frames.angular_momentum(place, speed)
    linear_momenta = frames.momentum_covariance(*frames.phase_space(*measured), linear)
    for i in range(20):
        for found, sample in ((linear[i], np.cov(np.hstack([place[:, i], speed[:, i]]).T)),
                              (linear_momenta[i], np.cov(momenta[:, i].T))):  # fmt: skip
            scale = np.sqrt(np.outer(np.diag(sample), np.diag(sample)))
            assert np.abs((found - sample) / scale).max() < 0.06


def test_covariances_of_proper_motions_turn_like_the_motions():
    ra, dec, *_ = stars(50, seed=5)
    spread = np.broadcast_to([[0.04, 0.015], [0.015, 0.09]], (50, 2, 2))
    turned = frames.turn_covariance(MAGELLANIC_STREAM, ra, dec, spread)
    values, axes = np.linalg.eigh(spread[0])
    expected = 0
    for value, axis in zip(values, axes.T, strict=True):
        moved = np.stack(
            frames.to_frame(MAGELLANIC_STREAM, ra, dec, np.full(50, axis[0]), np.full(50, axis[1]))[2:], axis=1
        )
        expected = expected + value * moved[:, :, None] * moved[:, None, :]
    assert turned == pytest.approx(expected, abs=1e-12)


@in_float64
def _jacobian(measured):
    import jax

    def six(d, pmra, pmdec, rv):
        return jax.numpy.concatenate(frames.phase_space(measured[0], measured[1], d, pmra, pmdec, rv))

    return np.stack([np.asarray(v) for v in jax.jacfwd(six, argnums=(0, 1, 2, 3))(*measured[2:])], axis=1)


def test_jax_differentiates_phase_space_into_its_jacobian():
    measured = [float(v[0]) for v in stars(1, seed=6)]
    jacobian = _jacobian(measured)
    spread = np.diag([0.04, 0.01, 0.02, 9.0])
    linear = frames.phase_space_covariance(*measured[:5], spread)
    assert linear == pytest.approx(jacobian @ spread @ jacobian.T, rel=1e-10, abs=1e-12)


def test_draws_belong_to_objects_and_not_to_rows():
    mean, spread = np.arange(12.0).reshape(6, 2), np.tile([[1.0, 0.9], [0.9, 1.0]], (6, 1, 1))
    ids = np.array([5, -7, 2**40, 3, 8, 9])
    drawn = frames.normal_draws(mean, spread, ids, 4000, seed=3)
    assert np.array_equal(frames.normal_draws(mean[::-1], spread, ids[::-1], 4000, seed=3), drawn[:, ::-1])
    assert not np.allclose(frames.normal_draws(mean, spread, ids, 4000, seed=4), drawn)
    off = drawn - mean
    assert np.mean(off, axis=0) == pytest.approx(np.zeros((6, 2)), abs=0.08)
    assert np.mean(off[..., 0] * off[..., 1], axis=0) == pytest.approx(np.full(6, 0.9), abs=0.08)
    assert abs(np.corrcoef(off[:, 0, 0], off[:, 1, 0])[0, 1]) < 0.06
    spread[1], mean[2, 0] = [[1.0, 2.0], [2.0, 1.0]], np.nan
    holed = frames.normal_draws(mean, spread, ids, 10, seed=3)
    assert np.isnan(holed).all(axis=(0, 2)).tolist() == [False, True, True, False, False, False]
    assert np.isfinite(holed[:, 3:]).all()


def test_missing_velocities_leave_positions_and_what_cannot_be_is_refused():
    place, speed = frames.phase_space(10.0, 20.0, [1.0, 2.0], 1.0, 1.0, [np.nan, 3.0])
    assert np.isfinite(place).all()
    assert np.isnan(speed).all(axis=1).tolist() == [True, False]
    assert np.isnan(frames.cylindrical_velocity([0.0, 0.0, 1.0], [1.0, 1.0, 1.0]).v_r_gal)
    with pytest.raises(ParameterError, match="origin"):
        frames.great_circle((10.0, 20.0), (190.0, -20.0))
    with pytest.raises(ParameterError, match="origin"):
        frames.great_circle((0.0, 90.0))
    with pytest.raises(ParameterError, match="no single great circle"):
        frames.great_circle_through((10.0, 20.0), (10.0, 20.0))
    with pytest.raises(DataRefusedError, match="ids"):
        frames.normal_draws(np.zeros((2, 2)), np.zeros((2, 2, 2)), [1.0, 2.0], 3)
    with pytest.raises(ParameterError, match="n_draws"):
        frames.normal_draws(np.zeros((2, 2)), np.zeros((2, 2, 2)), [1, 2], 0)
