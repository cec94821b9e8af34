"""MOCs in text, files and mocpy, and pixels: round trips, and what is refused with the name of the file."""

import json

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from cdshealpix.nested import healpix_to_lonlat, lonlat_to_healpix
from hypothesis import given, settings
from hypothesis import strategies as st
from mocpy import MOC

from hven.errors import RegionError
from hven.sky import box, cone, everywhere, healpix_29, in_ranges, moc, nowhere, parse_region, pixels, polygon


@pytest.fixture
def field():
    return MOC.from_cone(190 * u.deg, 5 * u.deg, radius=3 * u.deg, max_depth=9)


SHAPES = (
    cone(0, 90, 2),
    cone(10, 10, 150),
    box(355, 5, -10, 10),
    polygon([(350, -5), (10, -5), (0, 10)]),
    cone(190, 5, 2) - cone(190, 5, 1),
)


def around(ra, dec, reach, size=3000):
    rng = np.random.default_rng(0)
    return ra + rng.uniform(-reach, reach, size), dec + rng.uniform(-reach, reach, size)


def test_a_moc_reads_what_mocpy_writes_and_agrees_with_it_on_every_point(field):
    ours = moc(field.to_string("ascii"))
    ra, dec = around(190, 5, 5)
    assert ours == moc(field)
    assert (ours.ranges() == field.to_depth29_ranges.astype(np.int64)).all()
    assert (ours.contains(ra, dec) == field.contains_lonlat(ra * u.deg, dec * u.deg)).all()
    assert ours.area() == pytest.approx(field.sky_fraction * everywhere().area(), rel=1e-12)


@pytest.mark.parametrize(("form", "ending"), [("fits", "fits"), ("json", "json"), ("ascii", "txt")])
def test_a_moc_goes_to_a_file_and_back(tmp_path, field, form, ending):
    path = tmp_path / f"field.{ending}"
    moc(field).to_moc(29).save(str(path), format=form)
    assert moc(path) == moc(str(path)) == parse_region(f"moc({path})", files=True) == moc(field)


def test_a_moc_file_named_in_a_text_is_read_once(tmp_path, field):
    path = tmp_path / "field.fits"
    field.save(str(path), format="fits")
    region = parse_region(f"cone(190, 5, 1) & moc({path})", files=True)
    path.unlink()
    assert parse_region(region.to_text()) == region == cone(190, 5, 1) & moc(field)


@pytest.mark.parametrize("shape", [*SHAPES, nowhere(), everywhere(), moc("3/7")], ids=str)
@pytest.mark.parametrize("order", [0, 6, 9])
def test_the_moc_of_a_region_covers_it_at_that_order(shape, order):
    theirs = shape.to_moc(order)
    assert theirs.max_order == order
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, 20000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20000)))
    held = shape.contains(ra, dec)
    covered = in_ranges(healpix_29(ra, dec), moc(theirs).ranges())
    assert covered[held].all()
    assert (shape.relation(theirs.flatten().astype(np.int64), order) > 0).all()


@pytest.mark.parametrize("order", [3, 6, 9])
def test_the_moc_of_a_region_ends_two_cells_beyond_it(order):
    reach = np.degrees(2.2 / 2**order)
    for one, wider in (
        (cone(0, 90, 2), cone(0, 90, 2 + reach)),
        (box(355, 5, -10, 10), box(355 - 1.1 * reach, 5 + 1.1 * reach, -10 - reach, 10 + reach)),
        (polygon([(0, 80), (120, 80), (240, 80)]), cone(0, 90, 10 + reach)),
    ):
        ra, dec = np.random.default_rng(4).uniform(0, 360, 20000), np.random.default_rng(5).uniform(-30, 90, 20000)
        covered = moc(one.to_moc(order)).contains(ra, dec)
        assert covered.any()
        assert wider.contains(ra, dec)[covered].all()


def test_an_order_too_fine_for_a_border_is_refused_with_the_one_that_is_not():
    with pytest.raises(RegionError, match=r"Ask for order \d+ or less"):
        cone(0, 0, 50).to_moc(29)
    for order in (-1, 30):
        with pytest.raises(RegionError, match="from 0 to 29"):
            cone(0, 0, 1).to_moc(order)
    assert cone(0, 0, 1e-6).to_moc(29).max_order == 29


PIXEL = st.integers(0, 29).flatmap(
    lambda order: st.tuples(st.lists(st.integers(0, 12 * 4**order - 1), max_size=20), st.just(order))
)


@settings(deadline=None, max_examples=60)
@given(PIXEL, st.integers(0, 2**32))
def test_pixels_hold_what_healpix_puts_into_them(drawn, seed):
    ids, order = drawn
    region = pixels(ids, order=order)
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, 200), np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))
    if ids:
        inner = healpix_to_lonlat(np.array(ids, np.uint64), order, 0.3, 0.6)
        ra, dec = np.concatenate([ra, inner[0].deg]), np.concatenate([dec, inner[1].deg])
    expected = np.isin(np.asarray(lonlat_to_healpix(ra * u.deg, dec * u.deg, order)), ids)
    assert (region.contains(ra, dec) == expected).all()
    assert region == pixels(sorted(set(ids)), order) == parse_region(region.to_text())
    assert parse_region(f"pixels({''.join(f'{one}, ' for one in ids)}order={order})") == region
    assert region.area() == pytest.approx(len(set(ids)) / (12 * 4**order) * everywhere().area())


def test_pixels_come_in_any_kind_of_integers():
    assert pixels(np.array([1, 2], np.uint64), 6) == pixels((2, 1, 1), np.int8(6)) == pixels(range(1, 3), 6)
    assert pixels(7, 0) == moc("0/7")
    assert pixels(12 * 4**29 - 1, 29).contains([0.0], [0.0]).tolist() == [False]


@pytest.mark.parametrize(
    ("ids", "order", "what"),
    [
        ([0, 12], 0, "12 is no pixel of order 0 .pixels, number 1 of 2"),
        ([-1], 5, "-1 is no pixel"),
        ([2**70], 29, "is no pixel"),
        ([12 * 4**29], 29, "is no pixel"),
        ([1, 2.5], 5, "1.0 is no integer"),
        ([np.nan], 5, "nan is no integer"),
        (["a"], 5, "a is no integer"),
        ([True], 5, "True is no integer"),
        ([None], 5, "None is no integer"),
        ([1], 30, "no order 30"),
        ([1], -1, "no order -1"),
        ([1], 2.0, "no order 2.0"),
        ([1], True, "no order True"),
    ],
)
def test_pixels_that_are_none_are_refused(ids, order, what):
    with pytest.raises(RegionError, match=what) as refused:
        pixels(ids, order=order)
    assert refused.value.code == "bad-region"
    assert all((refused.value.where, refused.value.expected, refused.value.hint))


def damaged_files(folder, field):
    """Files that are no MOC of the sky in ICRS, and what is said of each."""
    good = folder / "good.fits"
    field.save(str(good), format="fits")
    whole = good.read_bytes()
    yield "empty.fits", b"", None
    yield "cut.fits", whole[:3000], "no MOC"
    yield "half.fits", whole[: len(whole) // 2], "no MOC"
    yield "head.fits", b"SIMPLE  =                    T junk", "no MOC"
    yield "junk.fits", np.random.default_rng(0).bytes(5000), "neither FITS nor JSON nor ASCII"
    yield "words.txt", b"three stars", "'three' is not part of a MOC"
    yield "cells.txt", b"3/99999", "'3/99999' is not part of a MOC"
    yield "cells.json", b'{"3": [99999]}', "99999"
    yield "order.json", b'{"x": [1]}', "'x' is not an order"
    yield "floats.json", b'{"3": [1.5]}', "'3' is not an order with a list of cells"
    yield "deep.json", b'{"31": [1]}', "31/1"
    yield "cut.json", b'{"3": [1', "no JSON"
    for name, word, value, what in (
        ("galactic.fits", "COORDSYS", "G", "frame 'G'"),
        ("time.fits", "MOCDIM", "TIME", "a MOC of time"),
    ):
        with fits.open(good) as units:
            units[1].header[word] = value
            units.writeto(folder / name)
        yield name, (folder / name).read_bytes(), what
    table = fits.BinTableHDU.from_columns([fits.Column("ra", "D", array=np.arange(3.0))])
    table.writeto(folder / "stars.fits")
    yield "stars.fits", (folder / "stars.fits").read_bytes(), "no MOC"


def test_a_file_that_is_no_moc_is_refused_by_name(tmp_path, field):
    for name, content, what in damaged_files(tmp_path, field):
        path = tmp_path / name
        path.write_bytes(content)
        if what is None:
            assert moc(path) == nowhere(), "an empty text is an empty MOC"
            continue
        with pytest.raises(RegionError, match=what) as refused:
            moc(path)
        assert refused.value.where == str(path)
        assert refused.value.expected
        assert "mocpy" in refused.value.hint


def test_what_is_neither_a_moc_nor_a_file_is_refused(tmp_path):
    for source in ("three", tmp_path, tmp_path / "none.fits", str(tmp_path / "none.fits")):
        with pytest.raises(RegionError, match="neither a MOC nor a file"):
            moc(source)
    for source in (None, 3, [1, 2]):
        with pytest.raises(RegionError, match="is not a MOC of the sky"):
            moc(source)


def test_json_with_an_old_order_or_none_at_all_is_read(tmp_path):
    path = tmp_path / "moc.json"
    path.write_text(json.dumps({"1": [0, 1, 2, 3], "6": []}))
    assert moc(path) == moc("0/0")
