"""The HEALPix index of order 29, and coverage."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.errors import DataRefusedError
from hven.sky import common_coverage, coverage, healpix_29, join_coverage, moc

RNG = np.random.default_rng(1)


def test_cells_are_signed_integers_between_zero_and_twelve_times_four_to_the_29():
    cells = healpix_29(RNG.uniform(0, 360, 1000), np.degrees(np.arcsin(RNG.uniform(-1, 1, 1000))))
    assert cells.dtype == np.int64
    assert cells.min() >= 0
    assert cells.max() < 12 * 4**29


def test_any_turn_of_right_ascension_gives_the_same_cell():
    ra = RNG.integers(0, 360, 100).astype(float)
    dec = RNG.uniform(-90, 90, 100)
    assert (healpix_29(ra, dec) == healpix_29(ra - 360.0, dec)).all()
    assert healpix_29(360.0, 12.0) == healpix_29(0.0, 12.0) == healpix_29(-1e-20, 12.0)


def test_the_centres_of_the_base_cells_are_where_the_healpix_paper_puts_them():
    band = np.degrees(np.arcsin(2 / 3))  # Gorski et al. 2005, section 4
    ra = np.array([45, 135, 225, 315, 0, 90, 180, 270, 45, 135, 225, 315]) + 1e-3
    dec = np.array([band] * 4 + [0.0] * 4 + [-band] * 4)
    assert (healpix_29(ra, dec) >> 58).tolist() == list(range(12))


@pytest.mark.parametrize(("ra", "dec"), [(np.nan, 0.0), (0.0, np.nan), (np.inf, 0.0), (0.0, 90.1)])
def test_a_position_that_is_not_on_the_sky_is_refused_naming_its_row(ra, dec):
    with pytest.raises(DataRefusedError, match="row 1"):
        healpix_29([10.0, ra], [10.0, dec])


def test_no_positions_give_no_cells_and_no_coverage():
    assert healpix_29([], []).shape == (0,)
    assert coverage(np.empty(0, np.int64)) == ""


@pytest.mark.parametrize("size", [1, 100, 10_000, 1_000_000])
def test_coverage_holds_every_object_in_less_than_four_kilobytes(size):
    ra, dec = RNG.uniform(0, 360, size), np.degrees(np.arcsin(RNG.uniform(-1, 1, size)))
    text = coverage(healpix_29(ra, dec))
    assert len(text) < 4096
    assert moc(text).contains(ra, dec).all()


def test_coverage_of_the_whole_sky_is_twelve_cells():
    from hven.sky.healpix import cell_centres

    ra, dec = cell_centres(np.arange(12 * 4**7), 7)
    assert coverage(healpix_29(ra, dec)) == "0/0-11"


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 360), st.floats(-90, 90)), min_size=1, max_size=30), st.randoms())
def test_coverage_does_not_depend_on_order(points, random):
    cells = [int(healpix_29(ra, dec)[0]) for ra, dec in points]
    shuffled = random.sample(cells, len(cells))
    assert coverage(np.array(cells)) == coverage(np.array(shuffled))


def test_joined_coverage_holds_the_objects_of_both_in_less_than_four_kilobytes():
    places = [
        (RNG.uniform(0, 90, 3000), RNG.uniform(-90, 0, 3000)),
        (RNG.uniform(80, 300, 3000), RNG.uniform(-5, 90, 3000)),
    ]
    joined = join_coverage(*(coverage(healpix_29(ra, dec)) for ra, dec in places))
    assert len(joined) < 4096
    assert all(moc(joined).contains(ra, dec).all() for ra, dec in places)
    assert join_coverage("", "") == ""
    assert join_coverage(joined, "") == join_coverage("", joined) == joined


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**20), st.integers(0, 300), st.integers(0, 300))
def test_common_coverage_holds_exactly_what_both_hold(seed, one, other):
    from hven.sky.healpix import cell_centres

    rng = np.random.default_rng(seed)
    cells = [np.sort(rng.choice(12 * 4**3, size, replace=False)) for size in (one, other)]
    texts = [coverage(some << (2 * 26)) if len(some) else "" for some in cells]
    regions = [moc(text) for text in texts]
    ra, dec = cell_centres(np.arange(12 * 4**5), 5)
    both = regions[0].contains(ra, dec) & regions[1].contains(ra, dec)
    assert (moc(common_coverage(*texts)).contains(ra, dec) == both).all()


@pytest.mark.parametrize("order", [0, 1, 2, 5, 13, 20, 29])
def test_centres_of_cells_are_those_of_cdshealpix_to_the_last_digits(order):
    from cdshealpix.nested import healpix_to_lonlat

    from hven.sky.healpix import cell_centres, cell_vectors

    last = 12 * 4**order
    cells = np.unique(np.concatenate([RNG.integers(0, last, 5000), np.arange(min(last, 48)), [last - 1]]))
    ra, dec = (angle.rad for angle in healpix_to_lonlat(cells.astype(np.uint64), order))
    theirs = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    assert np.abs(cell_vectors(cells, order) - theirs).max() < 2e-15
    own_ra, own_dec = cell_centres(cells, order)
    assert np.abs(own_dec - np.degrees(dec)).max() < 1e-13
    assert ((own_ra >= 0) & (own_ra < 360)).all()
    if order < 29:  # The last order has as many cells as a position has digits.
        assert (healpix_29(own_ra, own_dec) >> (2 * (29 - order)) == cells).all()


def test_asking_for_the_ranges_of_a_region_imports_no_astropy():
    code = (
        "import sys; from hven.sky import box, cone, polygon\n"
        "for shape in (cone(190, 5, 1), box(0, 1, 2, 3), polygon([(0, 0), (1, 0), (0, 1)])):\n"
        "    shape.ranges(), shape.contains([0.5], [0.5])\n"
        "sys.exit('astropy' in sys.modules or 'mocpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
