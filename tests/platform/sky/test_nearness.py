"""What lies near positions, wherever they are."""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.sky import healpix_29, is_near, padded_ranges
from hven.sky.cover import in_ranges

PLACES = st.sampled_from(
    [(0.0, 90.0), (123.0, -90.0), (0.0, 0.0), (359.99999, 0.1), (45.0, 41.8103), (90.0, -41.8103), (180.0, 60.0)]
) | st.tuples(st.floats(0, 360), st.floats(-90, 90))


def around(place, radius, count, seed):
    """Return positions up to a little over `radius` [deg] from a place, many of them just inside."""
    rng = np.random.default_rng(seed)
    centre = SkyCoord(*place, unit="deg")
    reach = radius * np.concatenate([np.full(count // 2, 0.999999), rng.uniform(0, 1.3, count - count // 2)])
    near = centre.directional_offset_by(rng.uniform(0, 360, count) * units.deg, np.minimum(reach, 179.0) * units.deg)
    return near.ra.deg, near.dec.deg


@settings(deadline=None, max_examples=150)
@given(PLACES, st.floats(-7, 1.8), st.integers(0, 2**20))
def test_the_cells_hold_everything_within_the_radius_at_poles_corners_and_ra_zero(place, exponent, seed):
    radius = 10**exponent
    ra, dec = around(place, radius, 60, seed)
    apart = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(*place, unit="deg")).deg
    ranges = padded_ranges(healpix_29(*place), radius)
    inside = in_ranges(healpix_29(ra, dec), ranges)
    assert inside[apart <= radius].all()
    assert (ranges[1:, 0] > ranges[:-1, 1]).all()


@settings(deadline=None, max_examples=60)
@given(PLACES, st.floats(-4, 1.5), st.integers(0, 2**20))
def test_near_is_what_astropy_finds_near(place, exponent, seed):
    radius = 10**exponent
    ra, dec = around(place, radius, 40, seed)
    of_ra, of_dec = around(place, radius / 2, 5, seed + 1)
    apart = SkyCoord(ra, dec, unit="deg")[:, None].separation(SkyCoord(of_ra, of_dec, unit="deg")[None]).deg.min(axis=1)
    clear = abs(apart - radius) > 1e-9
    assert is_near(ra, dec, of_ra, of_dec, radius)[clear].tolist() == (apart <= radius)[clear].tolist()


def test_the_cells_are_few_and_not_much_wider_than_the_radius():
    ranges = padded_ranges(healpix_29(10.0, 20.0), 10 / 3600)
    area = (ranges[:, 1] - ranges[:, 0]).sum() / (12 * 4**29) * 4 * np.pi * np.degrees(1) ** 2
    assert len(ranges) <= 9
    assert area < 9 * (4 * 10 / 3600) ** 2


@pytest.mark.parametrize("radius", [100.0, 180.0])
def test_a_radius_wider_than_cells_looks_everywhere(radius):
    assert padded_ranges(healpix_29(10.0, 20.0), radius).tolist() == [[0, 12 * 4**29]]
    assert is_near([190.0], [-20.0], [10.0], [20.0], 180.0).all()


def test_nothing_is_near_nothing():
    assert padded_ranges(np.array([], np.int64), 1.0).shape == (0, 2)
    assert is_near([1.0], [2.0], [], [], 1.0).tolist() == [False]
    assert is_near([], [], [1.0], [2.0], 1.0).tolist() == []
