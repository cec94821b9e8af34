"""Text tables as people and archives write them: dialects are found, types decided over all rows, doubts noted."""

import numpy as np
import polars as pl
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import ascii as tables
from astropy.table import Table
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from hven.errors import HvenError, ParameterError, UnreadableFileError
from hven.plugins import FileHead
from hven_plugins.files import csv
from hven_plugins.files.csv_files import claim_text
from hven_plugins.files.dialect import find_dialect
from hven_plugins.files.text_content import text_blocks

ROWS = [(11, 10.1, -20.5, "a"), (12, 10.2, 20.2, "b"), (13, 10.3, 0.25, "c")]
NAMES = ("source_id", "ra", "dec", "name")


def read(path, content, encoding="utf-8", **options):
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    (batch,) = csv(str(path), **options)
    return batch


def rows(batch):
    return batch.parts[""].rows()


def attention(batch):
    return [str(note) for note in batch.notes if note.needs_attention]


def lines(separator, end="\n", head=""):
    body = [separator.join(map(str, row)) for row in ROWS]
    return head + separator.join(NAMES) + end + end.join(body) + end


VIZIER = (
    "#\n#   VizieR Astronomical Server\n#Coosys\tJ2000:\teq_FK5 J2000\n"
    "#Column\tJmag\t(F5.2)\t? J magnitude\t[ucd=phot.mag;em.IR.J]\n"
    '_RAJ2000\t_DEJ2000\tJmag\tNo\n"h:m:s"\t"d:m:s"\tmag\t\n--------\t--------\t-----\t---\n'
    "00 30 00.0\t-00 30 00\t19.22\t 1\n00 30 00.0\t-00 30 00\t     \t 2\n\n"
)


@pytest.mark.parametrize(
    "content",
    [
        lines(","),
        lines("\t"),
        lines(";"),
        lines("|"),
        lines(" "),
        lines("   \t "),
        lines(", "),
        lines(" ,"),
        lines(",", "\r\n"),
        lines(",", "\r"),
        lines(",") + "\n\n  \n",
        "\n\n" + lines(","),
        lines(",", head="# made by hand\n# with care, and time\n"),
        lines(",", head="% made by hand\n"),
        lines(" ", head="! made by hand\n"),
        lines(",", head="// made by hand\n"),
        lines(",", head="# comment\n" * 20000),
        "#" + lines(","),
        "# reduced 2026-01-02, pipeline 3.1\n# " + lines(","),
        "# " + lines(" "),
        "# " + lines(" ").replace("\n", "\n# - deg deg -\n", 1),
        lines(",").replace("\n", "\n,deg,deg,\n", 1),
        "| " + lines(" | ").strip().replace("\n", " |\n| ") + " |\n",
        lines("|").replace("\n", "\n---------|----|-----|----\n", 1),
        lines(",").replace("\n", ",\n"),
        lines(",").replace("\n13", "\n# doubtful, all of it\n13"),
        lines(",").replace("\n13", "\nsource_id,ra,dec,name\n13"),
        '"source_id", "ra", "dec", "name"\n' + "\n".join(f'"{i}", "{r}", "{d}", "{n}"' for i, r, d, n in ROWS) + "\n",
        lines(",").replace("a", "'a'").replace("'a'me", "ame").replace("r'a'", "ra"),
        "\n".join(f"{a:>10}  {b:<6}{c:>6}  {d}" for a, b, c, d in (NAMES, *ROWS)) + "\n",
        lines(",").replace("\n12", "\n\n12"),
        "\ufeff" + lines(","),
    ],
    ids=range(32),
)
def test_whatever_separates_values_the_rows_are_the_same(tmp_path, content):
    batch = read(tmp_path / "t.txt", content)
    assert rows(batch) == ROWS
    assert batch.parts[""].columns == list(NAMES)
    assert batch.position == ("ra", "dec")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
def test_unicode_of_any_width_is_read(tmp_path, encoding):
    assert rows(read(tmp_path / "t.csv", lines(","), encoding)) == ROWS


def test_latin_1_is_refused_and_read_when_it_is_named(tmp_path):
    with pytest.raises(UnreadableFileError, match="not text in utf-8"):
        read(tmp_path / "t.csv", "name,x\n\xc5,1\n", "latin-1")
    (batch,) = csv(str(tmp_path / "t.csv"), encoding="latin-1")
    assert rows(batch) == [("\xc5", 1)]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_decimal_commas_are_points_where_no_comma_separates(tmp_path, separator):
    content = f"ra{separator}dec{separator}note\n10,5{separator}-1,25{separator}a, b\n11{separator}2,5e1{separator}c\n"
    batch = read(tmp_path / "t.txt", content)
    assert rows(batch) == [(10.5, -1.25, "a, b"), (11.0, 25.0, "c")]
    assert any("decimal commas" in str(note) for note in batch.notes)


def test_comments_behind_values_and_names_with_units_are_told_apart_from_values(tmp_path):
    batch = read(tmp_path / "t.csv", "id,ra\n1,10.5\n2,11.5 # doubtful\n3,12.5\n")
    assert rows(batch) == [(1, 10.5), (2, 11.5), (3, 12.5)]
    batch = read(tmp_path / "t.dat", "# id teff [K] dist (kpc)\n1 5000 2.5 # a giant\n2 5100 3.5\n")
    assert rows(batch) == [(1, 5000, 2.5), (2, 5100, 3.5)]
    assert {column.name: column.unit for column in batch.columns} == {"id": "", "teff": "K", "dist": "kpc"}


def test_the_dialect_is_a_note_unless_it_is_what_everybody_expects(tmp_path):
    assert read(tmp_path / "t.csv", lines(",")).notes == ()
    assert "separated by semicolons" in str(read(tmp_path / "t.csv", lines(";")).notes[0])


def test_vizier_s_lines_of_units_and_dashes_are_no_rows_and_its_comments_are_heard(tmp_path):
    batch = read(tmp_path / "asu.tsv", VIZIER)
    frame = batch.parts[""]
    assert frame.select("Jmag", "No").rows() == [(19.22, 1), (None, 2)]
    told = {column.name: column for column in batch.columns}
    assert (told["Jmag"].unit, told["Jmag"].description, told["Jmag"].ucd) == ("mag", "J magnitude", "phot.mag;em.IR.J")
    assert np.allclose(frame.select(batch.position).row(0), (7.5, -0.5), atol=1e-4)
    assert any("converted from fk5" in str(note) for note in batch.notes)


def test_several_tables_of_vizier_in_one_file_are_refused(tmp_path):
    with pytest.raises(UnreadableFileError, match="several tables"):
        read(tmp_path / "asu.tsv", VIZIER + VIZIER.replace("#   VizieR", "#RESOURCE=yCat\n#   VizieR"))


@pytest.mark.parametrize(
    "content", ["11,10.1,20.1\n12,10.2,20.2\n", "11 10.1 20.1\n12 10.2 20.2\n", "11,10,NA\n1,2,3\n"]
)
def test_a_file_without_names_is_refused_and_read_when_they_are_given(tmp_path, content):
    with pytest.raises(UnreadableFileError, match="no line of names"):
        read(tmp_path / "t.csv", content)
    batch = read(tmp_path / "t.csv", content, names=["id", "ra", "dec"])
    assert batch.parts[""].columns == ["id", "ra", "dec"]
    assert batch.rows == 2
    with pytest.raises(ParameterError, match="has 2 names"):
        read(tmp_path / "t.csv", content, names=["id", "ra"])


def test_wavelengths_may_be_names(tmp_path):
    head = ",".join(["source_id", *map(str, range(400, 420, 2))])
    batch = read(
        tmp_path / "t.csv", head + "\n" + "\n".join(f"{n}," + ",".join(["0.5"] * 10) for n in (1, 2, 3)) + "\n"
    )
    assert batch.parts[""].columns[1] == "400"


def test_names_of_rows_without_a_name_of_their_own_are_a_column_that_is_noted(tmp_path):
    batch = read(tmp_path / "t.txt", "ra dec\na 1.0 2.0\nb 3.0 4.0\n")
    assert rows(batch) == [("a", 1.0, 2.0), ("b", 3.0, 4.0)]
    assert len(attention(batch)) == 1


@pytest.mark.parametrize("word", ["NA", "#N/A", "...", "masked", "-nan", "*", "---", "n/a", "-", "INDEF", "?"])
def test_a_word_for_missing_leaves_a_column_of_numbers_a_column_of_numbers(tmp_path, word):
    content = "id,teff\n" + "".join(f"{k},{word if k == 7 else 5000 + k / 10}\n" for k in range(50))
    batch = read(tmp_path / "t.csv", content)
    assert batch.parts[""]["teff"].null_count() == 1
    assert batch.parts[""]["teff"].dtype == pl.Float64
    assert attention(batch) == []


def test_one_unknown_word_is_null_with_attention_and_several_make_the_column_text_with_attention(tmp_path):
    content = "id,teff\n" + "".join(f"{k},{5000 + k}\n" for k in range(50))
    one = read(tmp_path / "t.csv", content + "50,blended\n51,blended\n")
    assert one.parts[""]["teff"].null_count() == 2
    assert attention(one) == ["column 'teff': 'blended' (2 values) is taken as missing"]
    several = read(tmp_path / "t.csv", content + "50,<5000\n51,>6000\n")
    assert several.parts[""]["teff"].dtype == pl.String
    assert "column 'teff' ended as text though 96.2 % of its values are numbers" in attention(several)[0]
    ids = read(tmp_path / "t.csv", "star_id,x\n1,2\n2,3\nBD,4\n")
    assert ids.parts[""]["star_id"].to_list() == ["1", "2", "BD"]


def test_numbers_of_fortran_infinities_and_signs_are_numbers(tmp_path):
    batch = read(tmp_path / "t.csv", "a,b,c,d\n1.5D+03,inf,+1,-0\n-2.5d-1,-Infinity,-.5,3\n1.5-300,nan,5.,4\n")
    frame = batch.parts[""]
    assert frame["a"].to_list() == [1500.0, -0.25, 1.5e-300]
    assert frame["b"].to_list() == [np.inf, -np.inf, None]
    assert frame["c"].to_list() == [1.0, -0.5, 5.0]
    assert np.signbit(frame["d"].to_list()[0])


def test_ids_keep_leading_zeros_and_every_digit(tmp_path):
    first = '"002297384",0266,5853498713190525697,9223372036854775808,7.0'
    content = f"kic,plate,gaia_id,huge,dec_id\n{first}\n010005473,12,,1,8.\n"
    frame = read(tmp_path / "t.csv", content).parts[""]
    assert frame["kic"].to_list() == ["002297384", "010005473"]
    assert frame["plate"].to_list() == ["0266", "12"]
    assert frame["gaia_id"].to_list() == [5853498713190525697, None]
    assert frame["huge"].to_list() == ["9223372036854775808", "1"]
    assert frame["dec_id"].to_list() == [7, 8]


def test_ids_that_were_rounded_before_are_no_identity_and_need_attention(tmp_path):
    batch = read(tmp_path / "t.csv", "source_id,x\n5.85308E+18,1\n5.85308E+18,2\n")
    assert batch.identity == ()
    assert any("rounded in the file already" in text for text in attention(batch))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b,c\n1,2,3\n4,5,6\n7,8", "cut in its last row"),
        ("a,b\n1,2\n3\n4,5\n6,7\n8,9\n", r"row 2 has 1 values"),
        ("a,b\n1,2\n3,4,5\n6,7\n8,9\n1,1\n", r"row 2 has 3 values"),
        ('a,b\n1,"x\n2,3\n', "quote|quotes|cut"),
        ("ERROR 1064 in the query\nnear line 3\ncolumn raa does not exist\n", "not a table"),
        ("# only\n# comments\n", "comments only"),
        ("message,code\nToo many requests,429\n", "Too many requests"),
    ],
)
def test_what_is_cut_or_ragged_or_no_table_is_refused_by_name(tmp_path, content, words):
    with pytest.raises(UnreadableFileError, match=words):
        read(tmp_path / "t.csv", content)


def test_repeated_names_repeated_headers_and_empty_rows_are_noted(tmp_path):
    batch = read(tmp_path / "t.csv", "x,x,,y [K]\n1,2,3,4\n,,,\nx,x,,y [K]\n5,6,7,8\n")
    assert batch.parts[""].columns == ["x", "x_2", "col3", "y"]
    assert rows(batch)[-1] == (5, 6, 7, 8)
    assert next(column.unit for column in batch.columns if column.name == "y") == "K"
    assert any("two columns are called 'x'" in str(note) for note in batch.notes)


def test_numbers_with_separators_of_thousands_are_text_with_attention(tmp_path):
    batch = read(tmp_path / "t.csv", 'id,v\n1,"1,234.5"\n2,"12,000"\n')
    assert batch.parts[""]["v"].to_list() == ["1,234.5", "12,000"]
    assert "separators of thousands" in attention(batch)[0]


def test_vectors_written_as_text_are_vectors(tmp_path):
    batch = read(tmp_path / "t.csv", 'id,flux,some\n1,"(1.0, 2.5)","[1]"\n2,"[3, nan]","x"\n')
    assert batch.parts[""]["flux"].dtype == pl.Array(pl.Float64, 2)
    assert batch.parts[""]["flux"].to_list()[0] == [1.0, 2.5]
    assert batch.parts[""]["some"].dtype == pl.String


def test_files_larger_than_a_block_have_one_type_for_all_their_rows(tmp_path, monkeypatch):
    from hven_plugins.files import text_rows

    monkeypatch.setattr(text_rows, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(text_rows.text_rows, "__kwdefaults__", {"encoding": "", "size": 1000})
    table = pl.DataFrame({"id": range(900), "x": [*map(str, range(899)), "0.5"], "t": ["a,\nb", '"'] * 450})
    table.write_csv(tmp_path / "t.csv")
    batches = list(csv(str(tmp_path / "t.csv")))
    assert len(batches) > 3
    assert {batch.parts[""]["x"].dtype for batch in batches} == {pl.Float64}
    whole = pl.concat([batch.parts[""] for batch in batches])
    assert whole.equals(table.with_columns(pl.col("x").cast(pl.Float64)))


def test_ecsv_with_times_positions_and_text_ids_keeps_them(tmp_path):
    table = Table({"id": ["007", "8"], "ra_x": [1.0, 2.0] * u.deg})
    table.write(tmp_path / "p.ecsv")
    (batch,) = csv(str(tmp_path / "p.ecsv"))
    assert batch.parts[""]["id"].to_list() == ["007", "8"]
    table["obs"] = Time([50000, 50001], format="mjd", scale="tdb")
    table["obs"][1] = np.ma.masked
    table["coord"] = SkyCoord([10.0, 11.0], [1.0, 2.0], unit="deg")
    table["v"] = np.ones((2, 3))
    table.write(tmp_path / "t.ecsv")
    (batch,) = csv(str(tmp_path / "t.ecsv"))
    frame = batch.parts[""]
    assert frame["obs"].to_list()[1] is None
    assert batch.position == ("ra", "dec")
    assert frame.select("ra", "dec").rows() == [(10.0, 1.0), (11.0, 2.0)]
    assert frame["v"].dtype == pl.Array(pl.Float64, 3)


def test_text_is_claimed_by_its_content_and_prose_is_not(tmp_path):
    claims = {}
    for name, content in {
        "t.txt": lines(" "), "p.csv": "Dear all,\nno\n",
        "prose.txt": "Dear all,\nthis is a letter\nof no great length.\n",
        "page.csv": "<html></html>", "image.csv": "\x00\x01\x02", "ecsv.dat": "# %ECSV 1.0\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(content)
        claims[name] = claim_text(FileHead(str(tmp_path / name)))
    assert {name: claim and claim.strength for name, claim in claims.items()} == {
        "t.txt": "format", "prose.txt": None, "p.csv": "name", "page.csv": None, "image.csv": "name",
        "ecsv.dat": "layout",
    }  # fmt: skip


WORDS = (
    st.text("abcXYZ é,;|'\"-_", max_size=8).map(str.strip).filter(lambda text: text.strip("-'\"") not in ("", "x", "X"))
)


@given(st.data(), st.sampled_from([",", "\t", ";", "|"]))
def test_random_tables_written_by_polars_come_back(tmp_path_factory, data, separator):
    height = data.draw(st.integers(2, 20))
    column = {
        "n": st.integers(-(2**63), 2**63 - 1),
        "x": st.none() | st.floats(allow_nan=False),
        "t": st.none() | WORDS,
        "ok": st.none() | st.booleans(),
    }
    values = {name: data.draw(st.lists(one, min_size=height, max_size=height)) for name, one in column.items()}
    values["t"][0] = "word"
    frame = pl.DataFrame(values, schema={"n": pl.Int64, "x": pl.Float64, "t": pl.String, "ok": pl.Boolean})
    frame = frame.with_columns(pl.col("x").replace(-0.0, 0.0))
    path = tmp_path_factory.mktemp("t") / "t.csv"
    frame.write_csv(path, separator=separator, quote_style="non_numeric")
    (batch,) = csv(str(path))
    back = batch.parts[""].with_columns(
        pl.col("x").cast(pl.Float64), pl.col("ok").cast(pl.Boolean), pl.col("n").cast(pl.Int64)
    )
    assert back.equals(frame)


@given(st.data(), st.sampled_from(["commented_header", "basic", "tab", "fixed_width", "ecsv", "csv", "rdb_like"]))
def test_random_tables_written_by_astropy_come_back(tmp_path_factory, data, form):
    height = data.draw(st.integers(3, 12))
    finite = st.floats(-1e300, 1e300, allow_subnormal=False)
    values = {
        "n": data.draw(st.lists(st.integers(-(2**62), 2**62), min_size=height, max_size=height)),
        "x": data.draw(st.lists(finite, min_size=height, max_size=height)),
        "t": data.draw(st.lists(st.text("abcXYZ", min_size=2, max_size=6), min_size=height, max_size=height)),
    }
    path = tmp_path_factory.mktemp("t") / "t.txt"
    form = "basic" if form == "rdb_like" else form
    tables.write(Table(values), path, format=form)
    (batch,) = csv(str(path))
    frame = batch.parts[""]
    assert frame["n"].to_list() == values["n"]
    assert frame["x"].to_list() == values["x"]
    assert frame["t"].to_list() == values["t"]


def test_text_blocks_cut_at_lines_whatever_ends_them(tmp_path):
    (tmp_path / "t").write_bytes(b"ab\r\ncd\r\nef\rgh\n")
    assert ["".join(text_blocks(str(tmp_path / "t"), "", size)) for size in range(1, 9)] == ["ab\ncd\nef\ngh\n"] * 8


def test_lines_that_have_nothing_in_common_have_no_dialect():
    assert find_dialect([], ["a letter", "to you all", "from"]) is None


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(HvenError):
        list(csv(str(tmp_path / "none.csv")))
