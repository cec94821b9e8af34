"""Parquet, Arrow, Delta, HATS and SQLite: what is read, equal to what was written, and what is refused by name."""

import sqlite3
from contextlib import closing
from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from deltalake import DeltaTable, write_deltalake

import hven
from hven.errors import HvenError, UnreadableFileError
from hven.plugins import plugins
from hven.testing import ReaderSuite
from hven_plugins.files import arrow, delta_table, hats, parquet, sqlite_table

BIG = 2**63 + 5
STARS = {"source_id": [1, 2, 3], "ra": [10.0, 11.0, 12.0], "dec": [1.0, 2.0, 3.0]}


def read(reader, path, **options):
    return pl.concat([batch.parts[""] for batch in reader(str(path), **options)])


def notes(reader, path):
    return [note.text for batch in reader(str(path)) for note in batch.notes]


class TestParquet(ReaderSuite):
    reader = parquet

    def sample(self, folder):
        pl.DataFrame(STARS).write_parquet(folder / "a.parquet")
        return folder / "a.parquet"

    def write(self, frame, folder):
        frame.write_parquet(folder / "any.parquet")
        return folder / "any.parquet"


class TestArrow(ReaderSuite):
    reader = arrow

    def sample(self, folder):
        pl.DataFrame(STARS).write_ipc(folder / "a.feather")
        return folder / "a.feather"

    def write(self, frame, folder):
        frame.write_ipc(folder / "any.arrow", compat_level=pl.CompatLevel.oldest())
        return folder / "any.arrow"


class TestSqlite(ReaderSuite):
    reader = sqlite_table
    types = (pl.Float64, pl.Int64, pl.String)

    def sample(self, folder):
        return self.write(pl.DataFrame(STARS), folder)

    def write(self, frame, folder):
        words = {pl.Float64: "REAL", pl.Int64: "INTEGER", pl.String: "TEXT"}
        with closing(sqlite3.connect(folder / "any.sqlite")) as database:
            columns = ", ".join(f'"{name}" {words[frame.schema[name]]}' for name in frame.columns)
            database.execute(f"CREATE TABLE stars ({columns})")
            database.executemany(f"INSERT INTO stars VALUES ({', '.join('?' * frame.width)})", frame.rows())
            database.commit()
        return folder / "any.sqlite"

    def test_any_table_comes_back_as_it_was_written(self, tmp_path_factory):
        frame = pl.DataFrame({"i": [2**63 - 1, None], "x": [0.1, None], "t": ["5", None]})
        path = self.write(frame, tmp_path_factory.mktemp("any"))
        assert read(sqlite_table, path).equals(frame)


@pytest.mark.parametrize("reader", [parquet, arrow])
def test_ids_of_any_type_stay_exact_and_vectors_stay_vectors(tmp_path, reader):
    table = pa.table(
        {
            "id": pa.array([Decimal(2**63 - 1), Decimal(7)], pa.decimal128(20, 0)),
            "wide": pa.array([Decimal(2**70), None], pa.decimal128(38, 0)),
            "u8": pa.array([BIG, 1], pa.uint64()),
            "fits": pa.array([5, None], pa.uint64()),
            "kind": pa.array(["a", None]).dictionary_encode(),
            "mags": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)),
            "times": pa.array([[1.0], [2.0, 3.0]], pa.list_(pa.float64())),
            "half": pa.array(np.array([1, 2], "f2")),
            "record": pa.array([{"a": 1}, {"a": 2}]),
        }
    )
    path = tmp_path / "a.any"
    pyarrow.parquet.write_table(table, path) if reader is parquet else pyarrow.feather.write_feather(table, path)
    assert plugins().reader_for(str(path)).name == reader.name
    frame = read(reader, path)
    assert frame["id"].to_list() == [2**63 - 1, 7]
    assert frame["id"].dtype == pl.Int64
    assert frame["wide"].to_list() == [str(2**70), None]
    assert frame["u8"].to_list() == [str(BIG), "1"]
    assert frame["fits"].to_list() == [5, None]
    assert frame["kind"].to_list() == ["a", None]
    assert frame["mags"].dtype == pl.Array(pl.Float32, 2)
    assert frame["times"].to_list() == [[1.0], [2.0, 3.0]]
    assert frame["half"].to_list() == [1.0, 2.0]
    assert "record" not in frame.columns
    assert any("'record' is left out: each value is a record" in text for text in notes(reader, path))


def test_types_are_those_of_the_whole_file_in_all_pieces(tmp_path):
    table = pa.table({"u8": pa.array([1] * 5000 + [BIG], pa.uint64())})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=1000)
    batches = list(parquet(str(tmp_path / "a.parquet")))
    assert {batch.parts[""].schema["u8"] for batch in batches} == {pl.String()}


def test_a_large_file_comes_in_bounded_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("hven_plugins.files.array_columns.BATCH_BYTES", 16_000)
    pl.DataFrame({"n": np.arange(10_000)}).write_parquet(tmp_path / "a.parquet")
    batches = list(parquet(str(tmp_path / "a.parquet")))
    assert max(batch.rows for batch in batches) <= 4000
    assert pl.concat([batch.parts[""] for batch in batches])["n"].to_list() == list(range(10_000))


def test_units_of_hven_astropy_and_voparquet_are_read_and_an_unnamed_index_is_called_index(tmp_path):
    field = pa.field("v", pa.float64(), metadata={"unit": "km/s", "ucd": "phys.veloc"})
    fields = '<FIELD name="w" unit="mag" ucd="phot.mag"><DESCRIPTION>How bright</DESCRIPTION></FIELD>'
    votable = f"<VOTABLE><TABLE>{fields}</TABLE></VOTABLE>".encode()
    yaml = "datatype:\n- {name: x, unit: deg, datatype: float64, description: Where}\n"
    meta = {"IVOA.VOTable-Parquet.content": votable, "table_meta_yaml": yaml}
    schema = pa.schema([field, ("w", pa.float64()), ("x", pa.float64()), ("__index_level_0__", pa.int64())], meta)
    pyarrow.parquet.write_table(pa.table([[1.0], [2.0], [3.0], [9]], schema=schema), tmp_path / "a.parquet")
    (batch,) = parquet(str(tmp_path / "a.parquet"))
    told = {column.name: (column.unit, column.ucd, column.description) for column in batch.columns}
    assert told["v"] == ("km/s", "phys.veloc", "")
    assert told["w"] == ("mag", "phot.mag", "How bright")
    assert told["x"] == ("deg", "", "Where")
    assert batch.parts[""].rows() == [(1.0, 2.0, 3.0, 9)]
    assert batch.parts[""].columns[-1] == "index"


def test_a_spectrum_as_a_table_of_pixels_is_refused(tmp_path):
    pl.DataFrame({"wave": [1.0], "flux": [2.0], "ivar": [3.0]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(HvenError, match="a spectrum"):
        plugins().reader_for(str(tmp_path / "a.parquet"))


def test_a_delta_table_is_what_its_log_says(tmp_path):
    path = str(tmp_path / "stars")
    write_deltalake(path, pa.table({"source_id": [1, 2, 3], "field": ["a", "a", "b"]}), partition_by=["field"])
    DeltaTable(path).delete("source_id = 2")
    write_deltalake(path, pa.table({"source_id": [4], "field": ["b"]}), mode="append")
    DeltaTable(path).optimize.compact()
    rows = [(1, "a"), (3, "b"), (4, "b")]
    assert sorted(read(delta_table, path).select("source_id", "field").rows()) == rows
    assert read(delta_table, path, version=0).height == 3
    lake = hven.create(tmp_path / "lake")
    assert hven.ingest_files(lake, tmp_path, name="stars", progress=False).rows == 3


def test_a_delta_table_with_deletion_vectors_is_refused_rather_than_read_with_deleted_rows(tmp_path):
    path = tmp_path / "stars"
    write_deltalake(str(path), pa.table({"source_id": [1, 2, 3]}))
    log = path / "_delta_log" / "00000000000000000001.json"
    file = next(path.glob("*.parquet"))
    inline = "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"
    vector = f'{{"storageType":"i","pathOrInlineDv":"{inline}","sizeInBytes":44,"cardinality":6}}'
    features = '"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]'
    protocol = f'{{"protocol":{{"minReaderVersion":3,"minWriterVersion":7,{features}}}}}'
    removed = f'{{"remove":{{"path":"{file.name}","dataChange":true,"deletionTimestamp":0}}}}'
    added = (
        f'{{"add":{{"path":"{file.name}","partitionValues":{{}},"size":{file.stat().st_size},"modificationTime":0,'
        f'"dataChange":true,"deletionVector":{vector}}}}}'
    )
    log.write_text(f"{protocol}\n{removed}\n{added}")
    with pytest.raises(UnreadableFileError, match="deletion"):
        list(delta_table(str(path)))


def catalog(folder, kind="object", rows=3, **more):
    """A catalog in the layout of HATS, with two partitions."""
    said = {"obs_collection": folder.name, "dataproduct_type": kind, "hats_nrows": rows, **more}
    folder.mkdir(parents=True)
    (folder / "hats.properties").write_text("#HATS catalog\n" + "\n".join(f"{k}={v}" for k, v in said.items()))
    for pixel, ids in ((44, [1, 2]), (45, [3])):
        inside = folder / "dataset" / "Norder=1" / "Dir=0"
        inside.mkdir(parents=True, exist_ok=True)
        frame = pl.DataFrame({"source_id": ids, "raMean": [10.0] * len(ids), "decMean": [1.0] * len(ids)})
        frame.write_parquet(inside / f"Npix={pixel}.parquet")
    pl.DataFrame({"source_id": [99]}).write_parquet(folder / "dataset" / "_metadata")
    pl.DataFrame({"source_id": [98]}).write_parquet(folder / "dataset" / "data_thumbnail.parquet")
    return folder


PLACED = {"hats_col_ra": "raMean", "hats_col_dec": "decMean"}


def test_a_hats_catalog_is_its_partitions_alone(tmp_path):
    folder = catalog(tmp_path / "ztf", **PLACED)
    batches = list(hats(str(folder)))
    assert sorted(source for batch in batches for source in batch.parts[""]["source_id"].to_list()) == [1, 2, 3]
    assert batches[0].position is not None
    assert batches[0].survey == "ztf"
    lake = hven.create(tmp_path / "lake")
    assert hven.ingest_files(lake, folder, name="stars", progress=False).rows == 3


def test_of_a_collection_the_primary_catalog_is_read_and_a_margin_is_refused(tmp_path):
    collection = tmp_path / "gaia"
    catalog(collection / "gaia_main", **PLACED)
    catalog(collection / "gaia_10arcs", "margin", **PLACED)
    (collection / "collection.properties").write_text("hats_primary_table_url=gaia_main\nall_margins=gaia_10arcs\n")
    assert sorted(read(hats, collection)["source_id"].to_list()) == [1, 2, 3]
    assert plugins().reader_for(str(collection)).name == "hats"
    with pytest.raises(HvenError, match="'margin'"):
        plugins().reader_for(str(collection / "gaia_10arcs"))
    lake = hven.create(tmp_path / "lake")
    assert hven.ingest_files(lake, collection, name="stars", progress=False).rows == 3


def test_a_hats_catalog_with_missing_partitions_is_refused(tmp_path):
    folder = catalog(tmp_path / "ztf", rows=4, **PLACED)
    with pytest.raises(UnreadableFileError, match="3 rows, and its properties say 4"):
        list(hats(str(folder)))


def test_a_database_is_not_changed_and_its_tables_are_named(tmp_path):
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE stars (id INTEGER, teff, mixed, bytes BLOB)")
        database.execute("CREATE TABLE fields (id INTEGER)")
        database.execute("INSERT INTO fields VALUES (1)")
        rows = [(2**63 - 1, 5000, "a", b"\x00"), (7, 5000.5, 3, None), (None, None, None, None)]
        database.executemany("INSERT INTO stars VALUES (?, ?, ?, ?)", rows)
        database.commit()
    before = path.read_bytes()
    with pytest.raises(UnreadableFileError, match="fields: 1 rows; stars: 3 rows"):
        list(sqlite_table(str(path)))
    with pytest.raises(UnreadableFileError, match="stras"):
        list(sqlite_table(str(path), table="stras"))
    (batch,) = sqlite_table(str(path), table="stars")
    assert batch.parts[""].rows() == [(2**63 - 1, 5000.0, "a"), (7, 5000.5, "3"), (None, None, None)]
    assert {note.column for note in batch.notes if note.needs_attention} == {"mixed", "bytes"}
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]
