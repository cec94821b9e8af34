"""Whether a region meets a coverage, against counting the cells that both hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hven import errors
from hven.sky import box, cone, coverage, healpix_29, meeting, moc, parse_region, sky_fraction

RA, DEC = st.floats(0, 360), st.floats(-90, 90)
REGIONS = st.one_of(
    st.builds(cone, RA, DEC, st.floats(0.01, 60)),
    st.builds(
        lambda ra, width, dec, height: box(ra, ra + width, dec, min(dec + height, 90)),
        RA,
        st.floats(0.1, 90),
        DEC,
        st.floats(0.1, 90),
    ),
    st.lists(st.integers(0, 12 * 4**3 - 1), min_size=1, max_size=9).map(
        lambda cells: moc(f"3/{','.join(map(str, cells))}")
    ),
)
REGIONS = st.one_of(
    REGIONS, st.builds(lambda a, b: a & ~b, REGIONS, REGIONS), st.builds(lambda a, b: a | b, REGIONS, REGIONS)
)
COVERAGES = st.lists(st.integers(0, 12 * 4**5 - 1), min_size=1, max_size=30).map(
    lambda cells: moc(f"5/{','.join(map(str, cells))}").text
)
SPREAD = np.random.default_rng(1)
POINTS = SPREAD.uniform(0, 360, 4_000), np.degrees(np.arcsin(SPREAD.uniform(-1, 1, 4_000)))


@given(REGIONS, st.lists(COVERAGES, min_size=1, max_size=4))
def test_no_coverage_that_holds_a_point_of_the_region_is_missed(region, coverages):
    there = region.contains(*POINTS)
    for text, meets in zip(coverages, meeting(region, coverages), strict=True):
        assert meets or not (there & moc(text).contains(*POINTS)).any()


@given(REGIONS, COVERAGES)
def test_what_is_said_to_be_apart_from_the_cover_of_a_region_is_apart(region, text):
    [meets] = meeting(region, [text])
    common = (moc(text) & region).ranges()
    assert meets is False or len(common) > 0


@settings(max_examples=40)
@given(RA, DEC, st.floats(0.02, 20), st.floats(-0.01, 0.01))
def test_a_cone_meets_a_point_exactly_when_it_holds_it(ra, dec, radius, beyond):
    at = healpix_29([ra], [dec])
    place = moc(f"29/{at[0]}")
    other = parse_region(f"cone({ra}, {dec}, {radius})")
    far = dec + radius + beyond if dec < 0 else dec - radius - beyond
    [meets] = meeting(cone(ra, far, radius), [place.text])
    assert meeting(other, [place.text]) == [True]
    if abs(beyond) > 1e-7:
        assert meets is bool(beyond < 0)


def test_poles_right_ascension_0_whole_and_empty_sky():
    everywhere = box(0, 360, -90, 90)
    texts = ["0/0-11", coverage(healpix_29([0.0], [90.0])), coverage(healpix_29([359.9999], [0.0])), ""]
    assert meeting(everywhere, texts) == [True, True, True, False]
    assert meeting(~everywhere, texts) == [False, False, False, False]
    assert meeting(cone(77, 90, 0), texts) == [True, True, False, False]
    assert meeting(box(359, 1, -1, 1), texts) == [True, False, True, False]
    assert meeting(moc(""), texts) == [False, False, False, False]
    assert meeting(cone(0.0, 0.0, 0.001), []) == []


def test_neighbours_that_share_a_border_of_cells_do_not_meet():
    assert meeting(moc("3/5"), ["3/4", "3/5", "3/6", "2/1", "5/80"]) == [False, True, False, True, True]


def test_a_malformed_coverage_is_refused():
    with pytest.raises(errors.RegionError, match="not part of a MOC"):
        meeting(cone(1, 2, 3), ["3/x"])


def test_the_fraction_of_the_sky_is_that_of_the_cells():
    assert sky_fraction("") == 0
    assert sky_fraction("0/0-11") == 1
    assert sky_fraction("1/0 2/4") == pytest.approx(1 / 48 + 1 / 192)
