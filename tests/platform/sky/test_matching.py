"""The cross-match on arrays: every pair of brute force, at poles, at 0 h and on the borders of cells."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hven.sky import healpix_29
from hven.sky import match_cells as by_cells
from hven.sky.cover import in_ranges
from hven.sky.margins import padded_ranges
from hven.sky.matching import Points, all_within, count_within, nearest_within, separations
from hven.sky.motion import propagate

ARCSEC = 1 / 3600
TRANSITION = float(np.degrees(np.arcsin(2 / 3)))
PLACES = [
    *((0.0, 90.0), (120.0, -90.0), (0.0, 0.0), (359.99999, 12.0), (45.0, 0.0), (45.0, TRANSITION)),
    *((90.0, -TRANSITION), (0.0, TRANSITION), (67.5, 41.8), (211.1, 54.3)),
]


def scattered(place, spread, count, seed):
    """Positions around a place, also across the pole, a few of them twice."""
    rng = np.random.default_rng(seed)
    angle, distance = rng.uniform(0, 2 * np.pi, count), spread * np.sqrt(rng.uniform(0, 1, count)) * 3.6e6
    ra, dec = propagate(
        np.full(count, place[0]), np.full(count, place[1]), distance * np.cos(angle), distance * np.sin(angle), 1.0
    )
    ra[: count // 10], dec[: count // 10] = ra[-(count // 10) :], dec[-(count // 10) :]
    return ra, dec


def brute_force(left, right, radius):
    """Every pair within the radii, by astropy's formula for each of n x k."""
    from astropy.coordinates import angular_separation

    apart = np.degrees(
        angular_separation(*np.radians([left.ra, left.dec])[:, :, None], *np.radians([right.ra, right.dec])[:, None, :])
    )
    one, other = np.nonzero(apart <= np.broadcast_to(np.asarray(radius) * ARCSEC, len(left))[:, None])
    return {*zip(one.tolist(), other.tolist(), strict=True)}, apart / ARCSEC


@given(
    place=st.sampled_from(PLACES),
    radius=st.sampled_from([0.01, 1.0, 30.0, 3600.0, 30_000.0]),
    crowding=st.sampled_from([0.3, 3.0, 30.0]),
    seed=st.integers(0, 2**20),
    is_own=st.booleans(),
    crowded=st.sampled_from([0, 24, 10**9]),
)
def test_pairs_are_those_of_brute_force_wherever_candidates_come_from(place, radius, crowding, seed, is_own, crowded):
    rng = np.random.default_rng(seed)
    spread = min(radius * ARCSEC * crowding, 60.0)
    left, right = (Points.at(*scattered(place, spread, 60, seed + i)) for i in range(2))
    reach = rng.uniform(0.01, 1.0, 60) * radius if is_own else np.full(60, radius)
    wanted, apart = brute_force(left, right, reach)
    usual, by_cells._CROWDED = by_cells._CROWDED, crowded
    try:
        pairs, nearest = all_within(left, right, reach), nearest_within(left, right, reach)
        count = count_within(left, right, reach)
    finally:
        by_cells._CROWDED = usual
    found = set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    # What lies on the circle itself to 1e-8 arcsec may go either way.
    assert all(abs(apart[pair] - reach[pair[0]]) < 1e-8 for pair in found ^ wanted)
    assert len(found) == len(pairs.left) <= count
    np.testing.assert_allclose(pairs.separation, apart[pairs.left, pairs.right], atol=1e-8)
    first = {}
    for one, other, separation in zip(pairs.left, pairs.right, pairs.separation, strict=True):
        first.setdefault(one, (other, separation))
    assert first == {
        one: (other, separation)
        for one, other, separation in zip(nearest.left, nearest.right, nearest.separation, strict=True)
    }


def test_a_thousand_stars_match_as_in_astropy():
    from astropy import units as u
    from astropy.coordinates import SkyCoord, match_coordinates_sky, search_around_sky

    rng = np.random.default_rng(4)
    ra, dec = rng.uniform(0, 360, 3000), np.degrees(np.arcsin(rng.uniform(-1, 1, 3000)))
    right = Points.at(ra, dec)
    left = Points.at(ra[:1000] + rng.normal(0, 2, 1000) * ARCSEC, np.clip(dec[:1000] + 2 * ARCSEC, -90, 90))
    one, other = (SkyCoord(p.ra * u.deg, p.dec * u.deg) for p in (left, right))
    place, apart, _ = match_coordinates_sky(one, other)
    near = apart <= 5 * u.arcsec
    pairs = nearest_within(left, right, 5.0)
    assert 900 < near.sum() < 1000
    np.testing.assert_array_equal(pairs.left, np.flatnonzero(near))
    np.testing.assert_array_equal(pairs.right, place[near])
    np.testing.assert_allclose(pairs.separation, apart[near].arcsec, atol=1e-9)
    a, b, _, _ = search_around_sky(one, other, 2 * u.deg)
    pairs = all_within(left, right, 7200.0)
    assert set(zip(a, b, strict=True)) == set(zip(pairs.left, pairs.right, strict=True))


@given(st.permutations(range(40)), st.integers(0, 100))
def test_neither_the_order_of_rows_nor_ties_change_a_pair(order, seed):
    order = np.asarray(order)
    rng = np.random.default_rng(seed)
    # Five places only: most right positions are there several times.
    ra, dec = rng.choice([10.0, 10.0001, 10.0002, 359.9999, 0.0], (2, 40)), np.full(40, 89.0)
    ids = rng.permutation(1000)[:40]
    left = Points.at(ra[0], dec)
    straight = nearest_within(left, Points.at(ra[1], dec), 1.0, ids)
    turned = nearest_within(left, Points.at(ra[1][order], dec), 1.0, ids[order])
    assert ids[straight.right].tolist() == ids[order][turned.right].tolist()
    assert all(ids[r] == ids[ra[1] == ra[1][r]].min() for r in straight.right)


def test_thousands_of_equal_positions_are_told_apart_by_rank():
    right = Points.at(np.full(5000, 12.0), np.full(5000, -3.0))
    rank = np.random.default_rng(1).permutation(5000)
    pairs = nearest_within(Points.at(np.full(9, 12.0), np.full(9, -3.0)), right, 1.0, rank)
    assert set(rank[pairs.right]) == {0}
    assert pairs.separation.max() == 0.0


def test_nothing_matches_nothing():
    some, none = Points.at([1.0], [2.0]), Points.at([], [])
    for find in (nearest_within, all_within):
        assert len(find(some, none, 1.0).left) == len(find(none, some, 1.0).left) == 0
    assert count_within(none, some, 1.0) == 0


@given(place=st.sampled_from(PLACES), pad=st.sampled_from([1e-5, 3e-4, 0.01, 0.5, 6.0]), seed=st.integers(0, 2**20))
def test_margins_hold_all_that_is_near(place, pad, seed):
    rng = np.random.default_rng(seed)
    ra, dec = scattered(place, 2 * pad, 40, seed)
    angle = rng.uniform(0, 2 * np.pi, 40)
    step = np.degrees(np.tan(np.radians(pad * (1 - 1e-9)))) * 3.6e6
    near = healpix_29(*propagate(ra, dec, step * np.cos(angle), step * np.sin(angle), 1.0))
    for cell, neighbour in zip(healpix_29(ra, dec), near, strict=True):
        assert in_ranges(np.array([neighbour]), padded_ranges(np.array([cell]), pad)).all()


def test_proper_motions_move_stars_as_in_astropy():
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from astropy.time import Time

    rng = np.random.default_rng(7)
    size = 300
    ra, dec = rng.uniform(0, 360, size), np.degrees(np.arcsin(rng.uniform(-1, 1, size)))
    dec[:4] = 89.99999, -89.99999, 90.0, -90.0
    pmra, pmdec = rng.normal(0, 3000, (2, size))
    star = SkyCoord(
        ra * u.deg,
        dec * u.deg,
        distance=np.full(size, 10) * u.pc,
        pm_ra_cosdec=pmra * u.mas / u.yr,
        pm_dec=pmdec * u.mas / u.yr,
        radial_velocity=np.zeros(size) * u.km / u.s,
        obstime=Time(2016.0, format="jyear", scale="tdb"),
    )
    then = star.apply_space_motion(Time(1950.0, format="jyear", scale="tdb"))
    ours = propagate(ra, dec, pmra, pmdec, -66.0)
    # astropy's routine (ERFA's starpm) corrects for light time, which it does not tell apart from the motion.
    assert separations(*ours, then.ra.deg, then.dec.deg).max() < 1e-3
    back = propagate(*propagate(ra, dec, 0.0, 0.0, 10.0), np.nan, np.nan, 5.0)
    assert separations(*back, ra, dec).max() < 1e-8


def test_a_star_passes_over_the_pole_and_through_0_h():
    ra, dec = propagate([30.0, 359.9999], [89.9999, 0.0], [0.0, 1000.0], [1000.0, 0.0], 1.0)
    np.testing.assert_allclose(ra, [210.0, 359.9999 + 1 / 3600 - 360], atol=1e-7)
    np.testing.assert_allclose(dec, [180 - 89.9999 - 1 / 3600, 0.0], atol=1e-9)
