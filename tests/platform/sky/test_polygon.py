"""Polygons against oracles that work otherwise: azimuths and distances from a centre, and a plane after projection."""

import math
import pickle

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matplotlib.path import Path

from hven.errors import RegionError
from hven.sky import box, cone, healpix_29, in_ranges, parse_region, polygon

RA = st.floats(-360, 720) | st.sampled_from([0.0, 90.0, 180.0, 359.9999999999, 360.0])
DEC = st.floats(-90, 90) | st.sampled_from([-90.0, -89.9999999999, 0.0, 41.8103148957, 90.0])
CENTRES = st.tuples(RA, DEC)
TINY = np.radians(1e-10)


def unit(ra, dec):
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def degrees(points):
    return np.degrees(np.arctan2(points[1], points[0])), np.degrees(np.arctan2(points[2], np.hypot(*points[:2])))


class Star:
    """A polygon that is seen whole from one point: its border lies at one distance [rad] in each direction."""

    def __init__(self, centre, azimuths, distances):
        order = np.argsort(azimuths)
        ra, dec = np.radians(centre)
        north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
        self.axes = np.stack([unit(*centre), north, np.array([-np.sin(ra), np.cos(ra), 0.0])])
        self.azimuths, self.distances = np.radians(azimuths)[order], np.radians(distances)[order]
        gaps = np.diff(self.azimuths, append=self.azimuths[0] + 2 * np.pi)
        assume(gaps.min() > 0.05 and gaps.max() < 3.0)
        self.vertices = self.at(self.azimuths, self.distances).T
        area = girard(unit(*self.vertices.T).T[::-1])  # Azimuths go clockwise.
        assume(abs(area - 2 * np.pi) > 1e-3)
        self.area, self.is_inside = min(area, 4 * np.pi - area), area < 2 * np.pi

    def at(self, azimuths, distances):
        toward = np.outer(self.axes[1], np.cos(azimuths)) + np.outer(self.axes[2], np.sin(azimuths))
        return np.stack(degrees(self.axes[0][:, None] * np.cos(distances) + toward * np.sin(distances)))

    def border(self, azimuths):
        """The four-parts formula: cot(distance) between two vertices is a sum of theirs, weighted by sines."""
        azimuths = np.mod(azimuths, 2 * np.pi)
        place = np.searchsorted(self.azimuths, azimuths, side="right") - 1
        one, other = place % len(self.azimuths), (place + 1) % len(self.azimuths)
        back = np.mod(azimuths - self.azimuths[one], 2 * np.pi)
        ahead = np.mod(self.azimuths[other] - azimuths, 2 * np.pi)
        cot = np.sin(ahead) / np.tan(self.distances[one]) + np.sin(back) / np.tan(self.distances[other])
        return np.arctan2(np.sin(back + ahead), cot)

    def holds(self, ra, dec):
        """Which positions lie inside, and about which there is no doubt: sides may point at the centre, nearly."""
        along, north, east = self.axes @ unit(ra, dec)
        azimuth, distance = np.arctan2(east, north), np.arctan2(np.hypot(north, east), along)
        margins = [distance - self.border(azimuth + turn) for turn in (-1e-9, 0, 1e-9)]
        is_certain = (np.sign(margins[0]) == np.sign(margins[2])) & (np.abs(margins).min(axis=0) > 1e-13)
        return (margins[1] < 0) == self.is_inside, is_certain


def girard(corners):
    """The area that lies to the left of unit vectors (n, 3) in a ring: the sum of its angles, less those in a plane."""
    total = (2 - len(corners)) * np.pi
    for before, corner, after in zip(np.roll(corners, 1, 0), corners, np.roll(corners, -1, 0), strict=True):
        one, other = np.cross(corner, after - corner), np.cross(corner, before - corner)
        total += np.arctan2(np.cross(one, other) @ corner, one @ other) % (2 * np.pi)
    return total if total > 0 else total + 4 * np.pi


@st.composite
def stars(draw, farthest=150.0):
    count = draw(st.integers(3, 9))
    gaps = np.cumsum(draw(st.lists(st.floats(0.4, 1), min_size=count, max_size=count)))
    azimuths = (draw(st.floats(0, 360)) + 360 * gaps / gaps[-1]) % 360
    size = draw(st.floats(-4, 0).map(lambda power: farthest * 10**power))
    distances = draw(st.lists(st.floats(0.1, 1.0), min_size=count, max_size=count))
    return Star(draw(CENTRES), azimuths, size * np.array(distances))


def everywhere_near(star, seed, size=200):
    """Positions all over the sky, most of them around the border, and the poles."""
    rng = np.random.default_rng(seed)
    azimuths = rng.uniform(0, 2 * np.pi, size)
    near = star.at(azimuths, np.clip(star.border(azimuths) * rng.uniform(0, 2, size), 0, np.pi))
    far = np.stack([rng.uniform(0, 360, size), np.degrees(np.arcsin(rng.uniform(-1, 1, size)))])
    return np.concatenate([near, far, np.array([[0, 90], [123, 90], [0, -90], [0, 0], [360, 0]]).T], axis=1)


@settings(deadline=None, max_examples=50)
@given(stars(), st.integers(0, 2**32))
def test_a_polygon_holds_what_lies_on_the_smaller_side_of_its_border(star, seed):
    ra, dec = everywhere_near(star, seed)
    expected, is_certain = star.holds(ra, dec)
    held = polygon(star.vertices).contains(ra, dec)
    assert (held == expected)[is_certain].all()


@settings(deadline=None, max_examples=50)
@given(stars(), st.integers(0, 2**32), st.integers(0, 8), st.booleans())
def test_neither_direction_nor_first_vertex_nor_turns_of_right_ascension_matter(star, seed, first, is_reversed):
    ra, dec = everywhere_near(star, seed)
    other = np.roll(star.vertices, first, axis=0)[:: -1 if is_reversed else 1]
    one, same = polygon(star.vertices), polygon(other[:, 0] - 360.0, other[:, 1])
    _, is_certain = star.holds(ra, dec)
    assert (same.contains(ra + 360.0, dec) == one.contains(ra, dec))[is_certain].all()
    assert same.area() == pytest.approx(one.area(), rel=1e-9)


@settings(deadline=None, max_examples=50)
@given(stars(), st.integers(0, 2**32))
def test_the_border_belongs_to_a_polygon_and_decides_to_the_tenth_digit_of_a_degree(star, seed):
    shape, rng = polygon(star.vertices), np.random.default_rng(seed)
    place, along = rng.integers(0, len(star.vertices), 100), rng.uniform(0.02, 0.98, 100)
    a, b = unit(*star.vertices[place].T), unit(*np.roll(star.vertices, -1, 0)[place].T)
    assume(np.linalg.norm(a - b, axis=0).min() > 1e-5)
    normal = np.cross(a - b, a + b, axis=0)
    normal /= np.linalg.norm(normal, axis=0)
    on = (1 - along) * a + along * b
    on /= np.linalg.norm(on, axis=0)
    left, right = on + TINY * normal, on - TINY * normal
    said = [shape.contains(*degrees(points)) for points in (on, left, right)]
    assert shape.contains(*star.vertices.T).all()
    assert said[0].all()
    assert (said[1] != said[2]).all()
    assert len(set(said[1])) == 1
    for points in (on, left, right):
        held = shape.contains(*degrees(points))
        ra, dec = degrees(points)
        assert in_ranges(healpix_29(ra[held], dec[held]), shape.ranges()).all()


@settings(deadline=None, max_examples=50)
@given(stars())
def test_the_area_of_a_polygon_is_exact(star):
    shape = polygon(star.vertices)
    assert np.radians(np.radians(shape.area())) == pytest.approx(star.area, rel=1e-11, abs=1e-13)
    assert shape.area() + (~shape).area() == pytest.approx(4 * np.pi * np.degrees(1) ** 2)


@settings(deadline=None, max_examples=50)
@given(stars(), st.integers(0, 2**32))
def test_a_few_hundred_ranges_cover_a_polygon_and_hold_little_more(star, seed):
    shape = polygon(star.vertices)
    ra, dec = everywhere_near(star, seed)
    held, ranges = shape.contains(ra, dec), shape.ranges()
    assert in_ranges(healpix_29(ra[held], dec[held]), ranges).all()
    assert len(ranges) <= 1280
    if star.is_inside and star.area > 0.5 * np.pi * (1 - np.cos(star.distances.max())):
        assert np.diff(ranges, axis=1).sum() / (12 * 4**29) * 4 * np.pi < 1.5 * star.area + 1e-15


@settings(deadline=None, max_examples=50)
@given(stars())
def test_a_polygon_survives_its_text_and_a_journey_to_a_worker(star):
    shape = polygon(star.vertices)
    shape.contains(0, 0)
    assert parse_region(shape.to_text()) == shape == pickle.loads(pickle.dumps(shape))
    assert hash(parse_region(shape.to_text())) == hash(shape)
    assert vars(pickle.loads(pickle.dumps(shape))) == {"vertices": shape.vertices}


def comb(teeth):
    """A border with many turns, in a plane: ``teeth`` long teeth, 1 degree high and 0.01 apart."""
    steps = np.arange(teeth)
    up = np.stack([0.02 * steps, np.full(teeth, 1.0)], axis=1)
    across = np.add(up, [0.01, 0.0])
    down, on = across * [1, 0.01], up * [1, 0.01] + [0.02, 0.0]
    return np.concatenate([np.stack([up, across, down, on], axis=1).reshape(-1, 2)[:-1], [[0.02 * teeth, -1], [0, -1]]])


@pytest.mark.parametrize("centre", [(0.0, 0.0), (180.0, 89.5), (123.4, -90.0), (359.9, 41.8)])
def test_a_border_with_hundreds_of_turns_is_that_of_the_plane_it_is_projected_from(centre):
    outline = comb(60) - [0.6, 0.0]
    frame = SkyCoord(*centre, unit="deg").skyoffset_frame()
    rng = np.random.default_rng(5)
    spots = np.concatenate([rng.uniform(-1.5, 1.5, (4000, 2)), outline + 1e-9, outline - 1e-9])

    def on_sky(plane):  # gnomonic: straight lines are great circles
        x, y = np.radians(plane).T
        there = SkyCoord(np.arctan(x) * u.rad, np.arctan(y * np.cos(np.arctan(x))) * u.rad, frame=frame).icrs
        return there.ra.deg, there.dec.deg

    shape = polygon(*on_sky(outline))
    assert (shape.contains(*on_sky(spots)) == Path(outline).contains_points(spots)).all()


def test_a_polygon_may_hold_a_pole_have_it_as_a_vertex_or_on_a_side():
    around = polygon([(0, 80), (120, 80), (240, 80)])
    corner = polygon([(10, 90), (0, 80), (20, 80)])
    through = polygon([(0, 80), (180, 80), (90, 70)])
    ra = np.array([0.0, 100.0, 200.0, 300.0])
    for shape in (around, corner, through):
        assert shape.contains(ra, np.full(4, 90.0)).all()
        assert in_ranges(healpix_29(ra, np.full(4, 90.0)), shape.ranges()).all()
        assert not shape.contains(ra, np.full(4, -90.0)).any()
    assert corner.contains([10.0, 190.0, 10.0], [89.0, 89.0, 79.0]).tolist() == [True, False, False]
    assert through.contains([90.0, 270.0], [89.0, 89.0]).tolist() == [True, False]


def test_a_polygon_of_meridians_and_the_equator_is_the_box_between_them():
    shape, same = polygon([(350, 0), (10, 0), (10, 90)]), box(350, 10, 0, 90)
    rng = np.random.default_rng(2)
    ra = np.concatenate([rng.uniform(0, 360, 5000), np.repeat([350.0, 0.0, 360.0, 10.0, -10.0], 50)])
    dec = np.concatenate([np.degrees(np.arcsin(rng.uniform(-1, 1, 5000))), np.tile(np.linspace(0, 90, 50), 5)])
    assert (shape.contains(ra, dec) == same.contains(ra, dec)).all()
    assert shape.area() == pytest.approx(same.area(), rel=1e-14)


def test_the_smaller_side_is_inside_and_the_larger_one_is_its_complement():
    vertices = [(0, -10), (90, -10), (180, -10), (270, -10)]
    assert polygon(vertices).contains([0.0, 0.0], [-90.0, 90.0]).tolist() == [True, False]
    assert (~polygon(vertices)).contains([0.0, 0.0], [-90.0, 90.0]).tolist() == [False, True]
    assert polygon(vertices).area() < 2 * math.pi * math.degrees(1) ** 2 < (~polygon(vertices)).area()


def test_a_polygon_of_a_thousand_vertices_is_a_cone_but_for_its_arcs():
    angles = np.linspace(0, 360, 1000, endpoint=False) * u.deg
    rim = SkyCoord(3, 88, unit="deg").directional_offset_by(angles, 5 * u.deg)
    shape, same = polygon(rim.ra.deg, rim.dec.deg), cone(3, 88, 5)
    assert shape.area() == pytest.approx(same.area(), rel=1e-5)
    rng = np.random.default_rng(7)
    ra, dec = rng.uniform(0, 360, 3000), rng.uniform(80, 90, 3000)
    assert (shape.contains(ra, dec) == same.contains(ra, dec)).mean() > 0.999
    assert (shape.contains(ra, dec) <= cone(3, 88, 5 + 1e-9).contains(ra, dec)).all()


def test_scalars_nan_and_what_is_off_the_sky():
    shape = polygon([(350, -10), (10, -10), (10, 10), (350, 10)])
    assert shape.contains(0.0, 0.0).shape == ()
    assert bool(shape.contains(0.0, 0.0))
    assert shape.contains([], []).shape == (0,)
    assert shape.contains([[0.0, 180.0]], [[0.0], [1.0]]).tolist() == [[True, False], [True, False]]
    assert not shape.contains([np.nan, 0.0, np.inf, 0.0], [0.0, np.nan, 0.0, 91.0]).any()


@pytest.mark.parametrize(
    ("vertices", "what"),
    [
        ([], "shape"),
        ([(0, 0), (1, 0)], "2 vertices has no inside"),
        ([(0, 0), (1, 0), (1, 1), (0, 0)], "last vertex is the first one again"),
        ([(0, 0), (1, 0), (1, 0), (0, 1)], "vertex 3 .1, 0. repeats the one before it"),
        ([(0, 0), (1, 0), (361, 0), (0, 1)], "repeats"),
        ([(0, 90), (77, 90), (0, 10)], "repeats"),
        ([(0, 0), (1, 0), (0, 1), (1, 0), (2, 2)], "vertex 4 .1, 0. repeats vertex 2"),
        ([(0, 0), (2, 0), (1, 0)], "lies on the side from vertex 1 to vertex 2"),
        ([(0, 0), (10, 0), (20, 0), (5, 0)], "lies on the side"),
        ([(0, 0), (4, 0), (4, 4), (2, 0), (0, 4)], "vertex 4 .2, 0. lies on the side from vertex 1 to vertex 2"),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], "side from vertex 1 to 2 crosses the side from vertex 3 to 4"),
        ([(350, 0), (10, 5), (10, 0), (350, 5)], "crosses"),
        ([(0, 80), (180, 80), (90, 80), (270, 80)], "crosses"),
        ([(0, 0), (180, 0), (90, 45)], "opposite points"),
        ([(0, 90), (0, -90), (90, 0)], "opposite points"),
        ([(0, 0), (120, 0), (240, 0)], "halves the sky"),
        ([(0, 0), (math.nan, 0), (1, 1)], "vertex 2 is .nan"),
        ([(0, 0), (1, math.inf), (1, 1)], "vertex 2"),
        ([(0, 0), (1, 95), (1, 1)], "declination 95.0 is not on the sky .vertex 2"),
        ([(0, 0, 1), (1, 0, 1), (1, 1, 1)], "shape"),
        ([(0, 0), (1, 0), (1,)], "not pairs"),
        ([("a", "b"), (1, 0), (1, 1)], "not pairs"),
        ("polygon", "not pairs"),
    ],
)
def test_a_malformed_polygon_is_refused_saying_which_vertex_and_what_to_do(vertices, what):
    with pytest.raises(RegionError, match=what) as refused:
        polygon(vertices)
    assert refused.value.code == "bad-region"
    assert all((refused.value.where, refused.value.expected, refused.value.hint))


def test_arrays_of_different_length_are_no_polygon():
    with pytest.raises(RegionError, match="pairs"):
        polygon([0, 1, 1], [0, 0])
