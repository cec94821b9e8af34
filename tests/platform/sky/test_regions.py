"""Regions against brute force: astropy's separations for what they hold, random points for what covers them."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hven.errors import RegionError
from hven.sky import Region, box, cone, healpix_29, moc, parse_region
from hven.sky.cover import in_ranges

RA = st.floats(0, 360) | st.sampled_from([0.0, 45.0, 90.0, 180.0, 270.0, 360.0])
DEC = st.floats(-90, 90) | st.sampled_from([-90.0, -41.8103148957, 0.0, 41.8103148957, 90.0])
RADIUS = st.floats(-6, 2.2).map(lambda power: 10**power) | st.sampled_from([0.0, 90.0, 180.0])
CONES = st.builds(cone, RA, DEC, RADIUS)
BOXES = st.builds(lambda a, b, c, d: box(a, b, min(c, d), max(c, d)), RA, RA, DEC, DEC)
MOCS = st.lists(st.tuples(st.integers(0, 6), st.floats(0, 1, exclude_max=True)), max_size=6).map(
    lambda cells: moc(" ".join(f"{order}/{int(part * 12 * 4**order)}" for order, part in cells))
)
REGIONS = st.recursive(
    CONES | BOXES | MOCS,
    lambda inner: (
        st.builds(lambda a, b: a & b, inner, inner)
        | st.builds(lambda a, b: a | b, inner, inner)
        | inner.map(lambda a: ~a)
    ),
    max_leaves=4,
)


def is_covered(region: Region, ra, dec):
    return in_ranges(healpix_29(ra, dec), region.ranges())


def points_near(region_centre: SkyCoord, reach: float, seed: int, size: int = 300):
    rng = np.random.default_rng(seed)
    near = region_centre.directional_offset_by(
        rng.uniform(0, 360, size) * u.deg, reach * np.sqrt(rng.uniform(0, 1, size)) * u.deg
    )
    return near.ra.deg, near.dec.deg


def sky(seed: int, size: int = 2000):
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, size), np.degrees(np.arcsin(rng.uniform(-1, 1, size)))
    corners = np.array([(a, d) for a in (0, 90, 200, 359.999999999) for d in (-90, -45, 0, 41.8103148957, 90)])
    return np.concatenate([ra, corners[:, 0]]), np.concatenate([dec, corners[:, 1]])


@settings(deadline=None)
@given(RA, DEC, RADIUS, st.integers(0, 2**32))
def test_a_cone_holds_exactly_what_astropy_finds_within_its_radius(ra, dec, radius, seed):
    centre = SkyCoord(ra, dec, unit="deg")
    near_ra, near_dec = points_near(centre, min(2 * radius, 180), seed)
    separations = centre.separation(SkyCoord(near_ra, near_dec, unit="deg")).rad
    held = cone(ra, dec, radius).contains(near_ra, near_dec)
    certain = abs(separations - np.radians(radius)) > 1e-15
    assert (held == (separations <= np.radians(radius)))[certain].all()
    assert cone(ra, dec, radius).contains([ra], [dec]).all()


@settings(deadline=None)
@given(RA, DEC, RADIUS, st.integers(0, 2**32))
def test_the_ranges_of_a_cone_cover_every_point_of_it_down_to_its_rim(ra, dec, radius, seed):
    region, centre = cone(ra, dec, radius), SkyCoord(ra, dec, unit="deg")
    angles = np.random.default_rng(seed).uniform(0, 360, 300) * u.deg
    rim = centre.directional_offset_by(angles, radius * (1 - 1e-12) * u.deg)
    inner = points_near(centre, radius, seed)
    for near_ra, near_dec in ((rim.ra.deg, rim.dec.deg), inner):
        held = region.contains(near_ra, near_dec)
        assert is_covered(region, near_ra[held], near_dec[held]).all()


@settings(deadline=None)
@given(BOXES, st.integers(0, 2**32))
def test_the_ranges_of_a_box_cover_every_point_of_it_down_to_its_corners(region, seed):
    rng = np.random.default_rng(seed)
    width = (region.ra_max - region.ra_min) if region.ra_max >= region.ra_min else region.ra_max - region.ra_min + 360
    ra = np.concatenate([[region.ra_min, region.ra_max] * 2, region.ra_min + width * rng.uniform(0, 1, 300)]) % 360
    dec = rng.uniform(region.dec_min, region.dec_max, 304)
    dec[:4] = [region.dec_min, region.dec_min, region.dec_max, region.dec_max]
    held = region.contains(ra, dec)
    assert held[:4].all()
    assert is_covered(region, ra[held], dec[held]).all()


@settings(deadline=None)
@given(REGIONS, st.integers(0, 2**32))
def test_the_ranges_of_any_combination_cover_what_it_holds(region, seed):
    ra, dec = sky(seed)
    held = region.contains(ra, dec)
    assert is_covered(region, ra[held], dec[held]).all()


@settings(deadline=None)
@given(REGIONS)
def test_ranges_are_sorted_separate_and_on_the_sky(region):
    ranges = region.ranges()
    assert ranges.dtype == np.int64
    assert ranges.shape == (len(ranges), 2)
    edges = ranges.ravel()
    assert (np.diff(edges) > 0).all()
    assert not len(edges) or (edges[0] >= 0 and edges[-1] <= 12 * 4**29)


@settings(deadline=None)
@given(REGIONS)
def test_a_region_survives_its_own_text(region):
    assert parse_region(region.to_text()) == region


@settings(deadline=None)
@given(REGIONS, REGIONS, st.integers(0, 2**32))
def test_combinations_hold_what_logic_says(left, right, seed):
    ra, dec = sky(seed, 300)
    a, b = left.contains(ra, dec), right.contains(ra, dec)
    assert ((left & right).contains(ra, dec) == (a & b)).all()
    assert ((left | right).contains(ra, dec) == (a | b)).all()
    assert ((~left).contains(ra, dec) == ~a).all()


@settings(deadline=None)
@given(CONES)
def test_the_ranges_of_a_cone_hold_little_more_than_the_cone(region):
    assume(region.radius > 1e-4)
    area = (1 - np.cos(np.radians(region.radius))) / 2
    covered = np.diff(region.ranges(), axis=1).astype(float).sum() / (12 * 4.0**29)
    assert covered <= 1.5 * area + 1e-15


def test_a_box_goes_through_zero_right_ascension():
    region = box(350, 10, -5, 5)
    assert region.contains([355, 0, 360, 5, 350, 10, 180, 349.9], [0] * 8).tolist() == [True] * 6 + [False] * 2
    assert box(-10, 10, -5, 5).contains([355.0, 5.0, 20.0], [0, 0, 0]).tolist() == [True, True, False]


def test_the_whole_sky_is_one_range_and_holds_every_point():
    ra, dec = sky(3)
    for region in (box(0, 360, -90, 90), cone(12, 34, 180), moc("0/0-11"), ~moc("")):
        assert region.contains(ra, dec).all()
        assert region.ranges().tolist() == [[0, 12 * 4**29]]


def test_an_empty_region_holds_nothing_and_has_no_ranges():
    ra, dec = sky(4)
    for region in (moc(""), moc("0/"), ~moc("0/0-11"), cone(0, 0, 1) & ~box(0, 360, -90, 90)):
        assert not region.contains(ra, dec).any()
        assert region.ranges().shape == (0, 2)


def test_a_region_around_a_pole_holds_the_pole_at_any_right_ascension():
    ra = np.array([0.0, 100.0, 200.0, 300.0])
    for region in (cone(77, 89.5, 1), box(10, 20, 80, 90), cone(0, 90, 1e-9)):
        assert region.contains(ra, np.full(4, 90.0)).all()
        assert is_covered(region, ra, np.full(4, 90.0)).all()


def test_nan_lies_in_no_region():
    for region in (cone(0, 0, 180), box(0, 360, -90, 90), moc("0/0-11"), ~cone(0, 0, 1)):
        assert not region.contains([np.nan, 1.0], [0.0, np.nan]).any()


@pytest.mark.parametrize(
    "text",
    [
        "cone(nan, 0, 1)",
        "cone(0, 0, -1)",
        "cone(0, 0, 181)",
        "cone(0, 91, 1)",
        "cone(0, 0, inf)",
        "cone(0, 0)",
        "cone(0, 0, one)",
        "cone(0, 0, 1",
        "box(0, 10, 5, -5)",
        "box(0, 10, -95, 5)",
        "box(0, 10, 5)",
        "moc(3/5-2)",
        "moc(3/99999)",
        "moc(30/1)",
        "moc(5)",
        "moc(three)",
        "circle(0, 0, 1)",
        "",
        "cone(0, 0, 1) &",
        "cone(0, 0, 1) cone(1, 1, 1)",
        "(cone(0, 0, 1)",
        "cone(0, 0, 1))",
        "| cone(0, 0, 1)",
    ],
)
def test_a_malformed_region_is_refused_with_its_code_and_a_next_step(text):
    with pytest.raises(RegionError) as refused:
        parse_region(text)
    assert refused.value.code == "bad-region"
    assert refused.value.hint


def test_operators_bind_as_in_python():
    a, b, c = (f"cone({ra}, 0, 1)" for ra in (1, 2, 3))
    assert parse_region(f"{a} | {b} & ~{c}") == parse_region(a) | (parse_region(b) & ~parse_region(c))
    assert parse_region(f"({a} | {b}) & {c}") == (parse_region(a) | parse_region(b)) & parse_region(c)


def test_a_moc_reads_what_mocpy_writes_and_agrees_with_it_on_every_point():
    from mocpy import MOC

    theirs = MOC.from_cone(190 * u.deg, 5 * u.deg, radius=3 * u.deg, max_depth=9)
    ours = moc(theirs.to_string("ascii"))
    ra, dec = points_near(SkyCoord(190, 5, unit="deg"), 5, 0, 3000)
    assert (ours.ranges() == theirs.to_depth29_ranges.astype(np.int64)).all()
    assert (ours.contains(ra, dec) == theirs.contains_lonlat(ra * u.deg, dec * u.deg)).all()
    assert (~ours.contains(ra, dec) == (~ours).contains(ra, dec)).all()
