"""FITS tables, read and written."""

import numpy as np
import polars as pl
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.errors import MissingColumnError, ParameterError, UnreadableFileError
from hven_plugins.files import fits_table, write_fits

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cc", "Cs"]), max_size=8)
COLUMNS = {
    pl.Float64: st.floats(allow_nan=False),
    pl.Float32: st.floats(allow_nan=False, width=32),
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.Int32: st.integers(-(2**31), 2**31 - 1),
    pl.Int16: st.integers(-(2**15), 2**15 - 1),
    pl.String: TEXT.map(lambda text: text.rstrip(" ") or None),
}


@st.composite
def frames(draw):
    rows = draw(st.integers(1, 8))
    types = draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=5))
    columns = [
        pl.Series(f"c{n}", draw(st.lists(st.none() | COLUMNS[dtype], min_size=rows, max_size=rows)), dtype=dtype)
        for n, dtype in enumerate(types)
    ]
    if draw(st.booleans()):
        columns.append(pl.Series("flag", draw(st.lists(st.booleans(), min_size=rows, max_size=rows))))
    return pl.DataFrame(columns)


def read(path, **options):
    (batch,) = fits_table(str(path), **options)
    return batch


def told(batch):
    return {column.name: column for column in batch.columns}


@settings(deadline=None)
@given(frames())
def test_a_table_comes_back_from_fits_as_it_was_written(tmp_path_factory, frame):
    path = tmp_path_factory.mktemp("fits") / "table.fits"
    write_fits(frame, path)
    assert read(path).parts[""].equals(frame)


def test_units_ucds_and_descriptions_come_back(tmp_path):
    frame = pl.DataFrame({"v": [1.0], "flux": [2.0], "odd": [1]})
    units = {"v": "km/s", "flux": "W / (nm m2)", "odd": "furlong"}
    write_fits(frame, tmp_path / "t.fits", units=units, ucds={"v": "phys.veloc"}, descriptions={"v": "How fast"})
    columns = told(read(tmp_path / "t.fits"))
    assert (columns["v"].unit, columns["v"].ucd, columns["v"].description) == ("km s-1", "phys.veloc", "How fast")
    assert columns["odd"].unit == "furlong"


def test_nulls_of_integers_scaled_columns_and_unsigned_ones_are_read(tmp_path):
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("n", "J", null=-99, array=[1, -99]),
            fits.Column("u", "J", bzero=2**31, array=np.array([0, 2**32 - 1], "u4")),
            fits.Column("s", "I", null=7, array=[10, 7]),
            fits.Column("b", "L", array=[True, False]),
            fits.Column("t", "5A", array=["ab", ""]),
        ]
    )
    table.writeto(tmp_path / "t.fits")
    fits.setval(tmp_path / "t.fits", "TSCAL3", value=0.1, ext=1)
    frame = read(tmp_path / "t.fits").parts[""]
    assert frame["n"].to_list() == [1, None]
    assert frame["u"].to_list() == [0, 2**32 - 1]
    assert frame["s"].to_list() == [pytest.approx(1.0), None]
    assert frame["b"].to_list() == [True, False]
    assert frame["t"].to_list() == ["ab", None]


def test_what_astropy_writes_is_read_masks_comments_and_all(tmp_path):
    table = Table({"teff": [5000.0, np.nan], "n": MaskedColumn([1, 2], mask=[False, True])}, units={"teff": "K"})
    table.write(tmp_path / "t.fits.gz")
    batch = read(tmp_path / "t.fits.gz")
    assert batch.parts[""]["n"].to_list() == [1, None]
    assert told(batch)["teff"].unit == "K"


def test_vectors_and_complex_numbers_come_as_lists_for_the_ingest_to_leave_out(tmp_path):
    columns = [
        fits.Column("id", "K", array=[1, 2]),
        fits.Column("v", "3E", array=np.ones((2, 3))),
        fits.Column("p", "PE()", array=np.array([np.ones(2, "f4"), np.ones(3, "f4")], dtype=object)),
        fits.Column("c", "C", array=np.ones(2, complex)),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    frame = read(tmp_path / "t.fits").parts[""]
    assert frame["id"].to_list() == [1, 2]
    assert all(frame[name].dtype == pl.List for name in ("v", "p", "c"))


def test_the_hdu_asked_for_is_read_by_number_or_name_and_the_first_table_otherwise(tmp_path):
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2)))]
    hdus += [fits.BinTableHDU(Table({"n": [n]}), name=f"T{n}") for n in (1, 2)]
    fits.HDUList(hdus).writeto(tmp_path / "t.fits")
    found = [read(tmp_path / "t.fits", hdu=hdu).parts[""]["n"].item() for hdu in (None, 3, "3", "t2")]
    assert found == [1, 2, 2, 2]
    with pytest.raises(UnreadableFileError, match=r"2 \(T1\), 3 \(T2\)"):
        read(tmp_path / "t.fits", hdu=1)


@pytest.mark.parametrize("damage", ["text", "cut", "cut gzip", "image", "empty"])
def test_a_file_that_is_not_a_whole_table_is_refused_by_name_with_a_next_step(tmp_path, damage):
    path = tmp_path / ("t.fits.gz" if damage == "cut gzip" else "t.fits")
    Table({"x": np.random.default_rng(0).normal(size=20_000)}).write(path)
    if damage == "text":
        path.write_text("<html>404</html>")
    elif damage == "image":
        fits.PrimaryHDU(np.zeros((3, 3))).writeto(path, overwrite=True)
    else:
        path.write_bytes(path.read_bytes()[: 0 if damage == "empty" else 30_000])
    with pytest.raises(UnreadableFileError) as refused:
        read(path)
    assert refused.value.where == str(path)
    assert refused.value.hint


def test_options_rename_tell_units_and_mark_what_is_missing(tmp_path):
    Table({"FE_H": np.array([-9999.99, 0.1], "f4"), "AK": [-1.0, 0.2], "ID": [1, 2]}).write(tmp_path / "t.fits")
    batch = read(
        tmp_path / "t.fits",
        columns={"feh": "FE_H", "a_k": "AK"},
        units={"feh": "dex"},
        sentinels={"*": [-9999.99]},
        valid={"a_k": [0, None]},
        identity=["ID"],
    )
    assert batch.parts[""].rows() == [(None, None, 1), (pytest.approx(0.1), 0.2, 2)]
    assert told(batch)["feh"].unit == "dex"
    assert batch.identity == ("ID",)


def test_an_option_that_names_no_column_is_refused_with_the_nearest(tmp_path):
    Table({"FE_H": [0.1], "feh": [0.2]}).write(tmp_path / "t.fits")
    for option in ({"columns": {"x": "FEH"}}, {"units": {"FEH": "dex"}}, {"position": ["FEH", "feh"]}):
        with pytest.raises(MissingColumnError, match="FE"):
            read(tmp_path / "t.fits", **option)
    with pytest.raises(ParameterError, match="has a column 'feh' already"):
        read(tmp_path / "t.fits", columns={"feh": "FE_H"})


@pytest.mark.parametrize(
    ("ra", "dec"), [("RA", "DEC"), ("RAJ2000", "DEJ2000"), ("RA_ICRS", "DE_ICRS"), ("RAdeg", "DEdeg"), ("ra", "dec")]
)
def test_usual_names_of_positions_are_recognised(tmp_path, ra, dec):
    Table({"x": [1.0], ra: [1.0], dec: [2.0]}).write(tmp_path / "t.fits")
    assert read(tmp_path / "t.fits").position == (ra, dec)
    assert read(tmp_path / "t.fits", position=[]).position is None


def test_positions_in_hours_and_minutes_are_understood_and_rows_without_any_dropped_when_told(tmp_path):
    table = pl.DataFrame({"RA": ["12:30:00", "01 00 00.0", ""], "DEC": ["-00:30:00", "+10 15 00", ""]})
    write_fits(table, tmp_path / "t.fits", units={"RA": "'h:m:s'", "DEC": "'d:m:s'"})
    batch = read(tmp_path / "t.fits", unplaced="drop")
    assert batch.parts[""].rows() == [(187.5, -0.5), (15.0, 10.25)]
    assert [told(batch)[name].unit for name in ("RA", "DEC")] == ["deg", "deg"]
