"""Regions against brute force: astropy's separations for what they hold, random points for what covers them."""

import pickle
from functools import reduce
from operator import or_

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from cdshealpix.nested import healpix_to_lonlat
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hven.sky import (
    Region,
    box,
    cone,
    everywhere,
    healpix_29,
    in_ranges,
    moc,
    nowhere,
    parse_region,
    pixels,
    polygon,
)
from hven.sky.cover import INSIDE, OUTSIDE

RA = st.floats(-360, 720) | st.sampled_from([0.0, 45.0, 90.0, 180.0, 270.0, 360.0, -1e-10, 359.9999999999])
DEC = st.floats(-90, 90) | st.sampled_from([-90.0, -41.8103148957, 0.0, 41.8103148957, 89.9999999999, 90.0])
RADIUS = st.floats(-6, 2.2).map(lambda power: 10**power) | st.sampled_from([0.0, 90.0, 180.0])
CONES = st.builds(cone, RA, DEC, RADIUS)
BOXES = st.builds(lambda a, b, c, d: box(a, b, min(c, d), max(c, d)), RA, RA, DEC, DEC)
MOCS = st.lists(st.tuples(st.integers(0, 6), st.floats(0, 1, exclude_max=True)), max_size=6).map(
    lambda cells: moc(" ".join(f"{order}/{int(part * 12 * 4**order)}" for order, part in cells))
)
PIXELS = st.tuples(st.lists(st.floats(0, 1, exclude_max=True), max_size=6), st.integers(0, 29)).map(
    lambda drawn: pixels([int(part * 12 * 4 ** drawn[1]) for part in drawn[0]], order=drawn[1])
)


def offset(ra, dec, angles, distance):
    """Positions at a distance [deg] in directions [deg] from a centre; astropy's lose digits near the poles."""
    ra, dec, angles, distance = np.radians(ra), np.radians(dec), np.radians(angles), np.radians(distance)
    centre = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    directions = np.outer(north, np.cos(angles)) + np.outer(np.cross(north, centre), np.sin(angles))
    x, y, z = np.cos(distance) * centre[:, None] + np.sin(distance) * directions
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def kite(ra, dec, size, bend):
    """Return a polygon of four vertices around a point, the fourth drawn in."""
    return polygon(*offset(ra, dec, np.array([10, 100, 190, 280]), size * np.array([1, 1, 1, bend])))


POLYGONS = st.builds(kite, RA, DEC, st.floats(-4, 1.9).map(lambda power: 10**power), st.floats(0.1, 1))
SHAPES = CONES | BOXES | MOCS | PIXELS | POLYGONS
REGIONS = st.recursive(
    SHAPES,
    lambda inner: (
        st.builds(lambda a, b: a & b, inner, inner)
        | st.builds(lambda a, b: a | b, inner, inner)
        | st.builds(lambda a, b: a - b, inner, inner)
        | st.builds(lambda a, b: a ^ b, inner, inner)
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


@settings(deadline=None, max_examples=50)
@given(RA, DEC, RADIUS, st.integers(0, 2**32))
def test_a_cone_holds_exactly_what_astropy_finds_within_its_radius(ra, dec, radius, seed):
    centre = SkyCoord(ra, dec, unit="deg")
    near_ra, near_dec = points_near(centre, min(2 * radius, 180), seed)
    separations = centre.separation(SkyCoord(near_ra, near_dec, unit="deg")).rad
    held = cone(ra, dec, radius).contains(near_ra, near_dec)
    certain = abs(separations - np.radians(radius)) > 2e-15
    assert (held == (separations <= np.radians(radius)))[certain].all()
    assert cone(ra, dec, radius).contains([ra], [dec]).all()


@settings(deadline=None, max_examples=50)
@given(RA, DEC, RADIUS, st.integers(0, 2**32))
def test_the_ranges_of_a_cone_cover_every_point_of_it_down_to_its_rim(ra, dec, radius, seed):
    region, centre = cone(ra, dec, radius), SkyCoord(ra, dec, unit="deg")
    angles = np.random.default_rng(seed).uniform(0, 360, 300) * u.deg
    rim = centre.directional_offset_by(angles, radius * (1 - 1e-12) * u.deg)
    inner = points_near(centre, radius, seed)
    for near_ra, near_dec in ((rim.ra.deg, rim.dec.deg), inner):
        held = region.contains(near_ra, near_dec)
        assert is_covered(region, near_ra[held], near_dec[held]).all()


@settings(deadline=None, max_examples=50)
@given(RA, DEC, RADIUS, st.integers(0, 2**32))
def test_the_rim_of_a_cone_decides_to_the_tenth_digit_of_a_degree(ra, dec, radius, seed):
    assume(1e-9 < radius < 180 - 1e-9)
    region = cone(ra, dec, radius)
    angles = np.random.default_rng(seed).uniform(0, 360, 100)
    for edge, is_held in ((-1e-10, True), (1e-10, False)):
        near_ra, near_dec = offset(ra, dec, angles, radius + edge)
        assert (region.contains(near_ra, near_dec) == is_held).all()
        if is_held:
            assert is_covered(region, near_ra, near_dec).all()


@pytest.mark.parametrize("radius", [1e-6, 1.0, 30.0, 90.0, 120.0, 179.0])
def test_the_rim_of_a_cone_belongs_to_it(radius):
    assert cone(0, 0, radius).contains([radius, -radius, 360 - radius, 360 + radius], [0.0] * 4).all()
    assert cone(10, 90, radius).contains([0.0, 123.0, 359.0], [90 - radius] * 3).all()
    assert not cone(0, 0, radius).contains([radius + 1e-10, 360 - radius - 1e-10], [0.0, 0.0]).any()


def test_a_cone_without_radius_holds_its_centre_and_one_of_180_degrees_everything():
    ra, dec = sky(8)
    for centre in ((0, 0), (360, 12.3), (-10, 45), (77, 90), (0, -90)):
        assert cone(*centre, 0).contains(*centre)
        assert cone(*centre, 0).contains(centre[0] + 360.0, centre[1])
        assert cone(*centre, 180).contains(ra, dec).all()
        assert cone(*centre, 180).contains(centre[0] + 180.0, -centre[1])
        assert is_covered(cone(*centre, 0), *(np.array([x], float) for x in centre)).all()
    assert cone(77, 90, 0).contains([0.0, 200.0], [90.0, 90.0]).all()


@settings(deadline=None, max_examples=50)
@given(BOXES, st.integers(0, 2**32))
def test_the_ranges_of_a_box_cover_every_point_of_it_down_to_its_corners(region, seed):
    rng = np.random.default_rng(seed)
    width = 360.0 if region.ra_max - region.ra_min >= 360 else (region.ra_max - region.ra_min) % 360
    ra = np.concatenate([[region.ra_min, region.ra_max] * 2, region.ra_min + width * rng.uniform(0, 1, 300)])
    dec = rng.uniform(region.dec_min, region.dec_max, 304)
    dec[:4] = [region.dec_min, region.dec_min, region.dec_max, region.dec_max]
    held = region.contains(ra, dec)
    assert held[:4].all()
    assert is_covered(region, ra[held], dec[held]).all()


@settings(deadline=None, max_examples=50)
@given(REGIONS, st.integers(0, 2**32))
def test_the_ranges_of_any_combination_cover_what_it_holds(region, seed):
    ra, dec = sky(seed)
    held = region.contains(ra, dec)
    assert is_covered(region, ra[held], dec[held]).all()


@settings(deadline=None, max_examples=50)
@given(REGIONS)
def test_ranges_are_sorted_separate_and_on_the_sky(region):
    ranges = region.ranges()
    assert ranges.dtype == np.int64
    assert ranges.shape == (len(ranges), 2)
    edges = ranges.ravel()
    assert (np.diff(edges) > 0).all()
    assert not len(edges) or (edges[0] >= 0 and edges[-1] <= 12 * 4**29)


@settings(deadline=None, max_examples=50)
@given(REGIONS)
def test_a_region_survives_its_own_text(region):
    assert parse_region(region.to_text()) == region


@settings(deadline=None, max_examples=50)
@given(REGIONS, REGIONS, st.integers(0, 2**32))
def test_combinations_hold_what_logic_says(left, right, seed):
    ra, dec = sky(seed, 300)
    a, b = left.contains(ra, dec), right.contains(ra, dec)
    assert ((left & right).contains(ra, dec) == (a & b)).all()
    assert ((left | right).contains(ra, dec) == (a | b)).all()
    assert ((left - right).contains(ra, dec) == (a & ~b)).all()
    assert ((left ^ right).contains(ra, dec) == (a ^ b)).all()
    assert ((~left).contains(ra, dec) == ~a).all()


@settings(deadline=None, max_examples=200)
@given(REGIONS, st.integers(0, 2**32))
def test_what_is_said_of_a_cell_is_true_of_every_point_of_it(region, seed):
    rng = np.random.default_rng(seed)
    order = int(rng.integers(0, 30))
    border = region.ranges().ravel()[:-1] if rng.random() < 0.8 else np.empty(0, np.int64)
    near = rng.choice(border, 40) >> (2 * (29 - order)) if len(border) else np.empty(0, np.int64)
    near = np.clip(near[:, None] + np.arange(-2, 3), 0, 12 * 4**order - 1).ravel()
    cells = np.concatenate([near, rng.integers(0, 12 * 4**order, 50)])
    relation = region.relation(cells, order)
    for dx, dy in [(0, 0), (0, 1), (1, 0), (1, 1), *rng.uniform(0, 1, (6, 2))]:
        longitude, latitude = healpix_to_lonlat(cells, order, min(dx, 1 - 1e-12), min(dy, 1 - 1e-12))
        is_own = healpix_29(longitude.deg, latitude.deg) >> (2 * (29 - order)) == cells  # Corners round to neighbours.
        held = region.contains(longitude.deg, latitude.deg)
        assert held[is_own & (relation == INSIDE)].all()
        assert not held[is_own & (relation == OUTSIDE)].any()


@settings(deadline=None, max_examples=50)
@given(SHAPES)
def test_a_shape_is_covered_by_a_bounded_number_of_ranges(region):
    assert len(region.ranges()) <= 1280 or hasattr(region, "text")


@settings(deadline=None, max_examples=50)
@given(REGIONS)
def test_a_region_travels_and_stays_equal(region):
    region.ranges()
    again = pickle.loads(pickle.dumps(region))
    assert again == region
    assert hash(again) == hash(region)
    assert (again.ranges() == region.ranges()).all()


@settings(deadline=None, max_examples=50)
@given(CONES)
def test_the_ranges_of_a_cone_hold_little_more_than_the_cone(region):
    assume(region.radius > 1e-4)
    area = (1 - np.cos(np.radians(region.radius))) / 2
    covered = np.diff(region.ranges(), axis=1).astype(float).sum() / (12 * 4.0**29)
    assert covered <= 1.5 * area + 1e-15


@settings(deadline=None, max_examples=15)
@given(REGIONS)
def test_areas_lie_between_their_bounds_and_add_up(region):
    (low, high), whole = region.area_bounds(), 4 * np.pi * np.degrees(1) ** 2
    assert -1e-9 <= low <= high <= whole + 1e-9
    assert low - 1e-9 <= region.area() <= high + 1e-9
    assert region.area() + (~region).area() == pytest.approx(whole)
    fine = Region.area_bounds(region)
    assert fine[0] <= high * (1 + 1e-12) + 1e-12
    assert low <= fine[1] * (1 + 1e-12) + 1e-12


def test_areas_of_cones_and_boxes_are_exact_and_those_of_overlaps_good_to_four_digits():
    assert everywhere().area() == cone(0, 0, 180).area() == pytest.approx(box(0, 360, -90, 90).area())
    assert everywhere().area() == pytest.approx(129600 / np.pi)
    assert nowhere().area() == cone(0, 0, 0).area() == 0
    assert box(350, 10, 0, 90).area() == pytest.approx(everywhere().area() / 36)
    assert box(-10, 10, 0, 90) != box(350, 10, 0, 90)
    assert cone(0, 0, 1e-6).area() == pytest.approx(np.pi * 1e-12, rel=1e-12)
    lens, one = cone(0, 0, 1) & cone(1, 0, 1), cone(0, 0, 1).area()
    flat = 2 * np.pi / 3 - np.sqrt(3) / 2  # of two circles of radius 1 at a distance of 1, in a plane
    assert lens.area() == pytest.approx(flat, rel=3e-4)
    assert (cone(0, 0, 1) | cone(1, 0, 1)).area() == pytest.approx(2 * one - lens.area(), rel=2e-4)
    assert (cone(0, 0, 1) ^ cone(1, 0, 1)).area() == pytest.approx(2 * one - 2 * lens.area(), rel=4e-4)
    assert (cone(0, 0, 1) - cone(1, 0, 1)).area() == pytest.approx(one - lens.area(), rel=4e-4)
    low, high = lens.area_bounds()
    assert low < lens.area() < high < 1.005 * low


def test_a_thousand_fields_are_one_union_and_no_deep_tree():
    fields = [cone(ra, dec, 0.1) for ra in range(0, 360, 6) for dec in range(-80, 81, 5)]
    survey = reduce(or_, fields)
    assert len(fields) > 1000
    assert survey.parts == tuple(fields)
    assert parse_region(survey.to_text()) == survey == pickle.loads(pickle.dumps(survey))
    assert survey.contains([6.0, 9.0], [5.0, 5.0]).tolist() == [True, False]
    assert is_covered(survey, [6.0, 354.0], [5.0, -80.0]).all()


def test_an_operator_takes_regions_only():
    for combine in ("__and__", "__or__", "__sub__", "__xor__"):
        assert getattr(cone(0, 0, 1), combine)("cone(0, 0, 1)") is NotImplemented
    with pytest.raises(TypeError):
        cone(0, 0, 1) | 3
    assert ~~cone(0, 0, 1) == cone(0, 0, 1)


def test_a_box_goes_through_zero_right_ascension():
    region = box(350, 10, -5, 5)
    assert region.contains([355, 0, 360, 5, 350, 10, 180, 349.9], [0] * 8).tolist() == [True] * 6 + [False] * 2
    assert box(-10, 10, -5, 5).contains([355.0, 5.0, 20.0], [0, 0, 0]).tolist() == [True, True, False]


def test_the_whole_sky_is_one_range_and_holds_every_point():
    ra, dec = sky(3)
    whole = (box(0, 360, -90, 90), cone(12, 34, 180), moc("0/0-11"), ~nowhere(), pixels(range(48), 1), everywhere())
    for region in whole:
        assert region.contains(ra, dec).all()
        assert region.ranges().tolist() == [[0, 12 * 4**29]]


def test_an_empty_region_holds_nothing_and_has_no_ranges():
    ra, dec = sky(4)
    for region in (moc(""), moc("0/"), ~everywhere(), nowhere(), pixels([], 3), cone(0, 0, 1) - box(0, 360, -90, 90)):
        assert not region.contains(ra, dec).any()
        assert region.ranges().shape == (0, 2)


def test_a_region_around_a_pole_holds_the_pole_at_any_right_ascension():
    ra = np.array([0.0, 100.0, 200.0, 300.0])
    for region in (cone(77, 89.5, 1), box(10, 20, 80, 90), cone(0, 90, 1e-9), kite(5, 90, 2, 0.5)):
        assert region.contains(ra, np.full(4, 90.0)).all()
        assert is_covered(region, ra, np.full(4, 90.0)).all()


def test_right_ascension_may_have_made_many_turns():
    far = 360.0 * 2**40
    for region in (cone(190, 5, 1), box(189, 191, 4, 6), kite(190, 5, 1, 0.9), moc("5/2000-9000")):
        assert region.contains([190.25 + far, 190.25 - far], [5.0, 5.0]).all()
    assert cone(190.25 + far, 5, 1e-3).contains(190.25, 5.0)
    assert box(190.25 + far, 190.5 + far, 4, 6).contains([190.3, 190.6], [5, 5]).tolist() == [True, False]
    assert polygon([(far, 0), (far + 1, 0), (far, 1)]).contains(0.25, 0.25)


def test_a_box_whose_ends_all_but_meet_goes_all_around():
    region = box(5e-72, 0, -1, 1)
    assert region.contains([0.0, 5e-72, 180.0], [0, 0, 0]).all()
    assert is_covered(region, np.array([0.0, 5e-72, 180.0]), np.zeros(3)).all()
    assert region.area() == box(0, 360, -1, 1).area()


def test_nan_lies_in_no_region():
    for region in (cone(0, 0, 180), cone(0, 80, 50), box(0, 360, -90, 90), everywhere(), ~cone(0, 0, 1), ~nowhere()):
        assert not region.contains([np.nan, 1.0, np.inf, 0.0], [0.0, np.nan, 0.0, 90.1]).any()


def test_a_region_answers_in_the_shape_it_is_asked_in():
    for region in (
        cone(0, 0, 10),
        cone(0, 0, 100),
        box(350, 10, -5, 5),
        everywhere(),
        ~cone(180, 0, 1),
        kite(0, 0, 9, 1),
    ):
        assert region.contains(0.0, 0.0).shape == ()
        assert region.contains([], []).shape == (0,)
        assert region.contains([[0.0], [1.0]], [0.0, 1.0, 2.0]).shape == (2, 3)
        assert region.contains(np.float32(0), 0)
