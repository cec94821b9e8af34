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


def test_vectors_stay_vectors_and_complex_numbers_are_two_columns(tmp_path):
    columns = [
        fits.Column("id", "K", array=[1, 2]),
        fits.Column("v", "3E", array=np.ones((2, 3))),
        fits.Column("p", "PE()", array=np.array([np.ones(2, "f4"), np.ones(3, "f4")], dtype=object)),
        fits.Column("c", "C", array=np.ones(2, complex)),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    frame = read(tmp_path / "t.fits").parts[""]
    assert frame["id"].to_list() == [1, 2]
    assert frame["v"].dtype == pl.Array(pl.Float32, 3)
    assert frame["p"].to_list() == [[1.0, 1.0], [1.0, 1.0, 1.0]]
    assert frame.select("c_real", "c_imag").rows() == [(1.0, 0.0), (1.0, 0.0)]


def test_the_hdu_asked_for_is_read_by_number_or_name_and_several_are_named_otherwise(tmp_path):
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2)))]
    hdus += [fits.BinTableHDU(Table({"n": [n]}), name=f"T{n}") for n in (1, 2)]
    fits.HDUList(hdus).writeto(tmp_path / "t.fits")
    found = [read(tmp_path / "t.fits", hdu=hdu).parts[""]["n"].item() for hdu in (2, 3, "3", "t2")]
    assert found == [1, 2, 2, 2]
    for hdu in (1, None):
        with pytest.raises(UnreadableFileError, match=r"HDU 2 \(T1\): 1 rows, 1 columns; HDU 3 \(T2\)"):
            read(tmp_path / "t.fits", hdu=hdu)


def test_the_only_table_with_rows_is_read(tmp_path):
    tables = [fits.BinTableHDU(Table({"n": rows})) for rows in (np.zeros(0), [7])]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(tmp_path / "t.fits")
    assert read(tmp_path / "t.fits").parts[""]["n"].to_list() == [7]


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


VALUES = {
    "L": st.booleans(),
    "B": st.integers(0, 255),
    "I": st.integers(-(2**15), 2**15 - 1),
    "J": st.integers(-(2**31), 2**31 - 1),
    "K": st.integers(-(2**63), 2**63 - 1),
    "E": st.floats(width=32, allow_nan=False),
    "D": st.floats(allow_nan=False),
    "C": st.complex_numbers(allow_nan=False, allow_infinity=False, max_magnitude=1e30),
    "M": st.complex_numbers(allow_nan=False, allow_infinity=False, max_magnitude=1e30),
}
STORED = {"L": "?", "B": "u1", "I": "i2", "J": "i4", "K": "i8", "E": "f4", "D": "f8", "C": "c8", "M": "c16"}


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_vector_that_astropy_writes_comes_back_equal_in_pieces_too(tmp_path_factory, monkeypatch_module, data):
    rows = data.draw(st.integers(1, 6))
    columns, wanted = [], {}
    for n, form in enumerate(data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))):
        shape = data.draw(st.sampled_from([(), (2,), (3,), (2, 3)]))
        size = rows * int(np.prod(shape))
        flat = data.draw(st.lists(VALUES[form], min_size=size, max_size=size))
        values = np.array(flat, STORED[form]).reshape(rows, *shape)
        dim = str(shape[::-1]).replace(" ", "") if len(shape) > 1 else None
        columns.append(fits.Column(f"c{n}", f"{int(np.prod(shape))}{form}", dim=dim, array=values))
        wanted[f"c{n}"] = values
    path = tmp_path_factory.mktemp("fits") / "t.fits"
    columns.append(fits.Column("one", "J", array=np.arange(rows)))
    fits.BinTableHDU.from_columns(columns).writeto(path)
    monkeypatch_module.setattr("hven_plugins.files.fits_tables.BATCH_BYTES", 64)
    batches = list(fits_table(str(path)))
    frame = pl.concat([batch.parts[""] for batch in batches])
    assert frame["one"].to_list() == list(range(rows))
    for name, values in wanted.items():
        if values.dtype.kind == "c":
            assert np.array_equal(frame[f"{name}_real"].to_numpy() + 1j * frame[f"{name}_imag"].to_numpy(), values)
        else:
            assert np.array_equal(frame[name].to_numpy(), values)


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_columns_of_one_name_are_all_kept_with_a_note(tmp_path):
    columns = [fits.Column(name, "J", array=[n, n]) for n, name in enumerate(["X", "Y", "X", "X"])]
    for n, column in enumerate(columns):
        column.name = f"T{n}"
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    for n, name in enumerate(["X", "Y", "X", "X"], 1):
        fits.setval(tmp_path / "t.fits", f"TTYPE{n}", value=name, ext=1)
    batch = read(tmp_path / "t.fits")
    assert batch.parts[""].rows()[0] == (0, 1, 2, 3)
    assert batch.parts[""].columns == ["X", "Y", "X_2", "X_3"]
    assert all("two columns 'X'" in note.text and note.needs_attention for note in batch.notes)


def test_one_row_of_vectors_becomes_rows_but_an_object_with_single_values_stays_one(tmp_path):
    vectors = [fits.Column("ID", "3K", array=[[1, 2, 3]]), fits.Column("RA", "3D", array=[[1.5, np.nan, 3.5]])]
    names = [fits.Column("NAME", "6A", dim="(2,3)", array=np.array([["ab", "c", "de"]]))]
    fits.BinTableHDU.from_columns([*vectors, *names]).writeto(tmp_path / "idl.fits")
    batch = read(tmp_path / "idl.fits")
    assert batch.parts[""].rows() == [(1, 1.5, "ab"), (2, None, "c"), (3, 3.5, "de")]
    assert "IDL" in batch.notes[0].text
    single = fits.Column("SURVEY", "4A", array=["SDSS"])
    fits.BinTableHDU.from_columns([*vectors, single]).writeto(tmp_path / "one.fits")
    assert read(tmp_path / "one.fits").rows == 1


def test_unsigned_scaled_and_null_values_are_exact(tmp_path):
    columns = [
        fits.Column("u8", "K", bzero=2**63, array=np.array([0, 2**63 - 1], "u8")),
        fits.Column("big", "K", bzero=2**63, array=np.array([0, 2**64 - 1], "u8")),
        fits.Column("i1", "B", bzero=-128, array=np.array([-128, 127], "i1")),
        fits.Column("l", "L", array=[True, False]),
        fits.Column("vi", "2J", null=-9, array=[[1, -9], [3, 4]]),
        fits.Column("bits", "3X", array=np.array([[1, 0, 1], [0, 1, 1]], bool)),
        fits.Column("j", "J", array=[5, 6]),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    with fits.open(tmp_path / "t.fits", mode="update") as hdus:
        hdus[1].header["TZERO7"], hdus[1].header["TSCAL7"] = 1000, 1
    raw = bytearray((tmp_path / "t.fits").read_bytes())
    at = raw.rindex(b"T\x00\x00\x00\x01\xff\xff\xff\xf7")
    raw[at] = 0
    (tmp_path / "t.fits").write_bytes(raw)
    batch = read(tmp_path / "t.fits")
    frame = batch.parts[""]
    assert frame["u8"].to_list() == [0, 2**63 - 1]
    assert frame["big"].to_list() == ["0", str(2**64 - 1)]
    assert frame["i1"].to_list() == [-128, 127]
    assert frame["l"].to_list() == [None, False]
    assert frame["vi"].to_list() == [[1.0, pytest.approx(np.nan, nan_ok=True)], [3.0, 4.0]]
    assert frame["bits"].to_list() == [[1, 0, 1], [0, 1, 1]]
    assert frame["j"].to_list() == [1005, 1006]
    assert frame["j"].dtype == pl.Int64
    assert any("beyond 2^63" in note.text for note in batch.notes)


def test_texts_end_at_a_zero_byte_or_blanks_and_other_bytes_are_latin_1(tmp_path):
    texts = np.array([b"ab\x00cd", b"x   ", "Ångström".encode("latin-1"), b""], "S8")
    fits.BinTableHDU.from_columns([fits.Column("t", "8A", array=texts)]).writeto(tmp_path / "t.fits")
    assert read(tmp_path / "t.fits").parts[""]["t"].to_list() == ["ab", "x", "Ångström", None]


def test_a_large_table_comes_in_bounded_pieces(tmp_path, monkeypatch):
    Table({"n": np.arange(5000), "x": np.arange(5000.0)}).write(tmp_path / "t.fits")
    monkeypatch.setattr("hven_plugins.files.fits_tables.BATCH_BYTES", 16_000)
    batches = list(fits_table(str(tmp_path / "t.fits")))
    assert [batch.rows for batch in batches] == [1000] * 5
    assert pl.concat([batch.parts[""] for batch in batches])["n"].to_list() == list(range(5000))
