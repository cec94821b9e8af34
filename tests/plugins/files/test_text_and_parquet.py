"""CSV, ECSV, Parquet and VOTable files."""

import gzip

import numpy as np
import polars as pl
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

import hven
from hven.errors import UnreadableFileError
from hven_plugins.files import csv, parquet, votable, write_csv, write_parquet

FRAME = pl.DataFrame(
    {"source_id": [2**60 + 1, 7], "ra": [1.5, 2.5], "dec": [-1.0, 1.0], "name": ['a, "b" é', None], "ok": [True, None]}
)


def read(reader, path, **options):
    (batch,) = reader(str(path), **options)
    return batch


def table():
    return Table(
        {
            "source_id": [2**60 + 1, 7],
            "teff": MaskedColumn([5000.0, 0.0], mask=[False, True], unit=u.K, description="How hot"),
            "n": MaskedColumn([3, 4], mask=[True, False]),
            "name": ["a", "b"],
        }
    )


@pytest.mark.parametrize("file", ["t.csv", "t.tsv", "t.csv.gz"])
def test_a_table_comes_back_from_csv_with_its_large_ids(tmp_path, file):
    write_csv(FRAME, tmp_path / file)
    assert read(csv, tmp_path / file).parts[""].equals(FRAME)
    if file.endswith("gz"):
        assert gzip.decompress((tmp_path / file).read_bytes()).startswith(b"source_id")


def test_missing_values_comments_and_other_separators_are_understood(tmp_path):
    (tmp_path / "t.csv").write_text("# made by hand\nteff;feh;name\n5000;null;nan\nN/A;0.5;x\n")
    frame = read(csv, tmp_path / "t.csv", separator=";").parts[""]
    assert frame.rows() == [(5000, None, None), (None, 0.5, "x")]


def test_lines_that_end_with_carriage_returns_alone_are_lines(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\r1,2\r3,4\r")
    assert read(csv, tmp_path / "t.csv").parts[""].rows() == [(1, 2), (3, 4)]


def test_types_are_told_from_the_whole_file_and_not_from_its_beginning(tmp_path):
    (tmp_path / "t.csv").write_text("x\n" + "1\n" * 5000 + "0.5\n")
    assert read(csv, tmp_path / "t.csv").parts[""]["x"].dtype == pl.Float64


@pytest.mark.parametrize("content", ["", "a,b\n1,2,3\n", "a,b\n1,\xff\n"])
def test_a_file_that_is_no_table_is_refused_by_name(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(UnreadableFileError) as refused:
        read(csv, tmp_path / "t.csv")
    assert refused.value.where == str(tmp_path / "t.csv")


@pytest.mark.parametrize("file", ["t.ecsv", "t.csv"])
def test_ecsv_brings_its_units_and_descriptions_whatever_its_name(tmp_path, file):
    table().write(tmp_path / file, format="ascii.ecsv", delimiter=",")
    batch = read(csv, tmp_path / file)
    assert batch.parts[""].select("source_id", "teff", "n").rows() == [(2**60 + 1, 5000.0, None), (7, None, 4)]
    columns = {column.name: column for column in batch.columns}
    assert (columns["teff"].unit, columns["teff"].description) == ("K", "How hot")


def test_a_table_comes_back_from_parquet_with_units_ucds_and_descriptions(tmp_path):
    texts = {"units": {"ra": "deg"}, "ucds": {"ra": "pos.eq.ra"}, "descriptions": {"name": "à la carte"}}
    write_parquet(FRAME, tmp_path / "t.parquet", **texts)
    batch = read(parquet, tmp_path / "t.parquet")
    columns = {column.name: column for column in batch.columns}
    assert batch.parts[""].equals(FRAME)
    assert (columns["ra"].unit, columns["ra"].ucd, columns["name"].description) == ("deg", "pos.eq.ra", "à la carte")


def test_parquet_of_a_path_with_blanks_brackets_and_accents_is_read_and_a_cut_one_refused(tmp_path):
    path = tmp_path / "étoiles [1] a=b" / "t x.parquet"
    path.parent.mkdir()
    FRAME.write_parquet(path)
    assert read(parquet, path).parts[""].equals(FRAME)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UnreadableFileError):
        read(parquet, path)


def test_a_votable_brings_nulls_units_ucds_and_descriptions(tmp_path):
    original = table()
    original["teff"].info.meta = {"ucd": "phys.temperature.effective"}
    original.write(tmp_path / "t.vot", format="votable")
    batch = read(votable, tmp_path / "t.vot")
    assert batch.parts[""].rows() == [(2**60 + 1, 5000.0, None, "a"), (7, None, 4, "b")]
    columns = {column.name: column for column in batch.columns}
    assert (columns["teff"].unit, columns["teff"].description) == ("K", "How hot")
    assert columns["teff"].ucd == "phys.temperature.effective"


def test_a_votable_without_that_table_or_an_error_page_is_refused(tmp_path):
    table().write(tmp_path / "t.vot", format="votable")
    with pytest.raises(UnreadableFileError, match="no table 3"):
        read(votable, tmp_path / "t.vot", table=3)
    (tmp_path / "t.vot").write_text("<html><body>503</body></html>")
    with pytest.raises(UnreadableFileError):
        read(votable, tmp_path / "t.vot")


def test_a_column_with_a_vector_in_each_row_is_kept_beside_the_table_and_the_report_says_so(tmp_path):
    wide = table()
    wide["flux"] = np.ones((2, 3))
    wide.write(tmp_path / "t.fits")
    report = hven.ingest_files(hven.create(tmp_path / "lake"), tmp_path / "t.fits", name="stars")
    assert any("'flux' is kept beside the table" in str(note) for note in report.notes)


@pytest.mark.parametrize("file", ["t.fits", "t.csv", "t.parquet", "t.vot", "t.ecsv"])
def test_the_same_table_gets_the_same_ids_from_every_kind_of_file(tmp_path, file):
    lake, original = hven.create(tmp_path / "lake"), table()
    original.remove_columns(["n"])
    original["teff"].mask = False
    if file.endswith(("csv", "parquet")) and "ecsv" not in file:
        frame = pl.DataFrame({name: original[name].tolist() for name in original.colnames})
        (write_csv if file.endswith("csv") else write_parquet)(frame, tmp_path / file)
    else:
        original.write(tmp_path / file, format={"vot": "votable", "ecsv": "ascii.ecsv"}.get(file[2:]))
    hven.ingest_files(lake, tmp_path / file, name="stars")
    ids = lake["stars"].table(["object_id", "source_id"]).collect().sort("source_id")["object_id"]
    assert ids.to_list() == [94399454917175798, 4685547239164776627]


def test_options_call_columns_by_the_names_that_the_dataset_and_its_notes_have(tmp_path):
    path = tmp_path / "stars.csv"
    path.write_text("ID,AGE,FE_H\n1,4000,-0.1\n2,5000,-9999\n")
    lake = hven.create(tmp_path / "lake")
    options = {"units": {"age": "Myr"}, "sentinels": {"feh": [-9999]}}
    hven.ingest_files(lake, path, name="stars", options=options)
    table = lake["stars"].table(["age", "feh"]).collect().sort("age")
    assert table.rows() == [(4.0, -0.1), (5.0, None)]
