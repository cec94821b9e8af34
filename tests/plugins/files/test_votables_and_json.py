"""VOTables and JSON: which table, what the service says, frames, vectors, every digit."""

import json

import numpy as np
import polars as pl
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from hven.errors import ReaderNotFoundError, UnreadableFileError
from hven.plugins import plugins
from hven_plugins.files import json_records, votable

FIELDS = (
    '<FIELD name="source_id" datatype="long"/><FIELD name="RA" datatype="double" unit="deg"{ref}/>'
    '<FIELD name="DE" datatype="double" unit="deg"/><FIELD name="one" datatype="int" arraysize="1"/>'
    '<FIELD name="flux" datatype="float" arraysize="2"/><FIELD name="some" datatype="int" arraysize="*"/>'
)
ROW = "<TR><TD>5853498713190525697</TD><TD>10.5</TD><TD>-5.25</TD><TD>7</TD><TD>1 2.5</TD><TD>{some}</TD></TR>"


def table(name="", rows=("1 2", "3"), ref=""):
    inside = "".join(ROW.format(some=some) for some in rows)
    data = f"<DATA><TABLEDATA>{inside}</TABLEDATA></DATA>"
    return f"<TABLE{f' name={name!r}' if name else ''}>{FIELDS.format(ref=ref)}{data}</TABLE>"


def document(*tables, before="", after=""):
    body = f'<RESOURCE type="results">{before}{"".join(tables)}{after}</RESOURCE>'
    return f'<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">{body}</VOTABLE>'


def read(path, content, **options):
    path.write_text(content)
    (batch,) = votable(str(path), position=options.pop("position", ["RA", "DE"]), **options)
    return batch


def attention(batch):
    return [str(note) for note in batch.notes if note.needs_attention]


def test_vectors_and_single_elements_are_kept(tmp_path):
    frame = read(tmp_path / "t.vot", document(table())).parts[""]
    assert frame["source_id"].to_list() == [5853498713190525697] * 2
    assert frame["one"].to_list() == [7, 7]
    assert frame["flux"].dtype == pl.Array(pl.Float32, 2)
    assert frame["some"].to_list() == [[1, 2], [3]]


def test_the_only_table_with_rows_is_read_and_of_several_one_must_be_named(tmp_path):
    two = document(table("a", rows=()), table("b"))
    batch = read(tmp_path / "t.vot", two)
    assert batch.rows == 2
    assert any("table 1 (b)" in str(note) for note in batch.notes)
    with pytest.raises(UnreadableFileError, match=r"2 tables with rows.*table 0 \(a\): 2 rows.*table 1 \(b\): 1 rows"):
        read(tmp_path / "t.vot", document(table("a"), table("b", rows=("1",))))
    for chosen in (1, "1", "b"):
        assert read(tmp_path / "t.vot", document(table("a"), table("b", rows=("1",))), table=chosen).rows == 1
    assert read(tmp_path / "t.vot", document(table("a"), table("b", rows=("1",))), table="all").rows == 3
    with pytest.raises(UnreadableFileError, match="no table c"):
        read(tmp_path / "t.vot", document(table("a"), table("b")), table="c")


def test_a_service_that_failed_is_heard_and_one_that_cut_its_result_too(tmp_path):
    cut = '<INFO name="QUERY_STATUS" value="OVERFLOW">truncated at 2 rows</INFO>'
    assert "truncated at 2 rows" in attention(read(tmp_path / "t.vot", document(table(), after=cut)))[0]
    failed = '<INFO name="QUERY_STATUS" value="ERROR">disk full</INFO>'
    for content in (document(table(), after=failed), document(before=failed)):
        with pytest.raises(UnreadableFileError, match="disk full"):
            read(tmp_path / "t.vot", content)
    fine = '<INFO name="QUERY_STATUS" value="OK"/>'
    assert attention(read(tmp_path / "t.vot", document(table(), before=fine))) == []


@pytest.mark.parametrize("by", ["column", "file"])
def test_the_frame_of_coosys_is_converted_and_its_epoch_noted(tmp_path, by):
    system = '<COOSYS ID="sys" system="eq_FK4" equinox="B1950" epoch="1991.25"/>'
    marked = ' ref="sys"' if by == "column" else ""
    other = '<COOSYS ID="other" system="ICRS"/>' if by == "column" else ""
    batch = read(tmp_path / "t.vot", document(table(ref=marked), before=system + other))
    ra, dec = batch.parts[""].select(batch.position).row(0)
    assert 11.1 < ra < 11.2
    assert -5.0 < dec < -4.9
    assert any("epoch 1991.25" in str(note) for note in batch.notes)


@pytest.mark.parametrize("address", ["http://example.org/t.bin", "file:///etc/passwd", "t.bin"])
def test_data_that_lie_elsewhere_are_not_opened(tmp_path, address):
    stream = f'<TABLE>{FIELDS.format(ref="")}<DATA><BINARY><STREAM href="{address}"/></BINARY></DATA></TABLE>'
    with pytest.raises(UnreadableFileError, match="lie elsewhere"):
        read(tmp_path / "t.vot", document(stream))


def test_spectra_are_refused_by_name_and_votables_of_any_name_are_known(tmp_path):
    (tmp_path / "a.csv").write_text(document(table()))
    assert plugins().reader_for(tmp_path / "a.csv").name == "votable"
    (tmp_path / "s.xml").write_text(document(table()).replace('type="results"', 'type="results" utype="spec:Spectrum"'))
    with pytest.raises(ReaderNotFoundError, match="a VOTable of spectra"):
        plugins().reader_for(tmp_path / "s.xml")


@given(st.data(), st.sampled_from(["tabledata", "binary", "binary2"]))
def test_random_votables_written_by_astropy_come_back(tmp_path_factory, data, form):
    height = data.draw(st.integers(1, 8))
    floats = st.floats(allow_nan=False, allow_subnormal=False)
    words = st.text("abc XYZ", min_size=1).map(lambda text: f"w{text}w")
    values = {
        "n": np.array(data.draw(st.lists(st.integers(-(2**62), 2**62), min_size=height, max_size=height))),
        "x": np.array(data.draw(st.lists(floats, min_size=height, max_size=height))),
        "t": np.array(data.draw(st.lists(words, min_size=height, max_size=height))),
        "v": np.array(data.draw(st.lists(st.tuples(floats, floats), min_size=height, max_size=height))),
    }  # fmt: skip
    path = tmp_path_factory.mktemp("t") / "t.vot"
    Table(values).write(path, format="votable", tabledata_format=form)
    (batch,) = votable(str(path))
    for name, written in values.items():
        assert batch.parts[""][name].to_list() == written.tolist()


VALUES = {
    "n": st.integers(-(2**63), 2**63 - 1),
    "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "t": st.none() | st.text(max_size=5),
    "ok": st.none() | st.booleans(),
    "v": st.tuples(st.integers(0, 9), st.integers(0, 9)).map(list),
}


@given(st.lists(st.fixed_dictionaries(VALUES), min_size=2, max_size=9), st.sampled_from(["lines", "array", "columns"]))
def test_random_records_come_back_with_every_digit(tmp_path_factory, records, form):
    path = tmp_path_factory.mktemp("t") / "t.json"
    columns = {name: [record[name] for record in records] for name in VALUES}
    if form == "lines":
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    else:
        path.write_text(json.dumps(records if form == "array" else columns))
    assert plugins().reader_for(path).name == "json_records"
    (batch,) = json_records(str(path))
    for name, values in columns.items():
        assert batch.parts[""][name].to_list() == values


def test_records_that_lack_keys_have_nulls_and_whole_numbers_beyond_64_bits_are_text(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"id": 18446744073709551615, "a": "007"}\n{"id": 1, "b": 0.5}\n')
    (batch,) = json_records(str(tmp_path / "t.jsonl"))
    assert batch.parts[""].rows() == [("18446744073709551615", "007", None), ("1", None, 0.5)]
    assert "beyond 2^63" in attention(batch)[0]


def test_the_answer_of_a_tap_service_has_its_units(tmp_path):
    content = {"metadata": [{"name": "ra", "unit": "deg"}, {"name": "n"}], "data": [[1.5, 2], [2.5, None]]}
    (tmp_path / "t.json").write_text(json.dumps(content))
    (batch,) = json_records(str(tmp_path / "t.json"))
    assert batch.parts[""].rows() == [(1.5, 2), (2.5, None)]
    assert batch.columns[0].unit == "deg"


def test_lines_of_several_blocks_have_one_type(tmp_path, monkeypatch):
    from hven_plugins.files import json_tables

    monkeypatch.setattr(json_tables, "_LINES_BYTES", 200)
    lines = [json.dumps({"id": n, "x": n if n < 90 else 0.5, "v": [1] * (2 if n < 50 else 3)}) for n in range(100)]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    batches = list(json_records(str(tmp_path / "t.jsonl")))
    assert len(batches) > 3
    assert {batch.parts[""].schema["x"] for batch in batches} == {pl.Float64()}
    assert {batch.parts[""].schema["v"] for batch in batches} == {pl.List(pl.Int64)}
    assert sum(batch.rows for batch in batches) == 100


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"error": {"code": 429,\n "message": "Too many requests"}}', "Too many requests"),
        ('{"detail": "Not found", "status": 404}', "Not found"),
        ('{"cells": [], "nbformat": 4}', "Jupyter"),
        ("<!DOCTYPE html><html><head><title>503 Service Unavailable</title></head></html>", "503 Service Unavailable"),
        ("\n<html><body><h1>Bad Gateway</h1></body></html>", "Bad Gateway"),
        ('<?xml version="1.0"?><ExceptionReport>no such layer</ExceptionReport>', "no such layer"),
        ("<?xml version='1.0'?><svg></svg>", "an XML document \\(svg\\)"),
        ("%!PS-Adobe-3.0\n", "PostScript"),
        ("Traceback (most recent call last):\n  File\n", "the error of a Python program"),
        ("Dear all,\nthis is a letter\nof no great length.\n", "text without a table"),
    ],
)
@pytest.mark.parametrize("name", ["page.txt", "page.csv", "page.fits"])
def test_pages_and_answers_of_services_are_refused_with_their_words(tmp_path, content, words, name):
    if name.endswith("csv") and content.startswith("Dear"):
        pytest.skip("a file called .csv is refused by its reader")
    (tmp_path / name).write_text(content)
    with pytest.raises(ReaderNotFoundError, match=words):
        plugins().reader_for(tmp_path / name)
