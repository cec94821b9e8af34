"""Columns of vectors are kept as arrays beside the table, under the same ids."""

import numpy as np
import polars as pl
import pytest

import hven
from hven.errors import DataRefusedError
from hven.ingest.vectors import split_vectors


@pytest.fixture
def lake(tmp_path):
    return hven.create(tmp_path / "lake")


def stars(path, numbers, mag=0.0, *, vectors=True):
    frame = pl.DataFrame({"source_id": numbers, "feh": [float(n) for n in numbers]})
    if vectors:
        mags = np.array(numbers)[:, None] + np.arange(5) + mag
        frame = frame.with_columns(
            pl.Series("mags", mags, dtype=pl.Array(pl.Float64, 5)),
            pl.Series("cov", np.ones((len(numbers), 2, 3), "f4") * np.array(numbers)[:, None, None]),
            pl.Series("flags", [[n, 7] for n in numbers]),
        )
    frame.write_parquet(path)
    return path


def check(lake, mags):
    table = lake["stars"].table(["object_id", "source_id"]).collect()
    arrays = lake["stars_vectors"].of(table).compute()
    assert bool(arrays["present"].all())
    assert lake["stars_vectors"].entry.counts.rows == table.height
    number = table["source_id"].to_numpy()
    shift = np.array([mags[n] for n in number.tolist()])
    assert sorted(mags) == sorted(number.tolist())
    assert np.array_equal(arrays["mags"].values, number[:, None] + np.arange(5) + shift[:, None])
    assert np.array_equal(arrays["cov"].values, np.ones((1, 2, 3)) * number[:, None, None])
    assert arrays["flags"].values.tolist() == [[n, 7] for n in number.tolist()]


def test_vectors_follow_their_objects_through_create_append_upsert_change_and_replace(lake, tmp_path):
    how = {"name": "stars", "options": {"identity": ["source_id"]}}
    report = hven.ingest_files(lake, stars(tmp_path / "a.parquet", [3, 1, 2]), **how)
    assert report.datasets == ("stars", "stars_vectors")
    assert lake["stars_vectors"].kind == "result"
    assert lake["stars_vectors"].dataset()["cov"].dims == ("object", "cov_axis_1", "cov_axis_2")
    check(lake, {1: 0, 2: 0, 3: 0})
    hven.ingest_files(lake, stars(tmp_path / "b.parquet", [5, 4]), mode="append", **how)
    check(lake, dict.fromkeys(range(1, 6), 0))
    hven.ingest_files(lake, stars(tmp_path / "c.parquet", [5, 6], 0.5), mode="upsert", **how)
    check(lake, {**dict.fromkeys(range(1, 5), 0), 5: 0.5, 6: 0.5})
    hven.ingest_files(lake, stars(tmp_path / "a.parquet", [1, 9], 0.25), mode="append", **how)
    check(lake, {1: 0.25, 9: 0.25, 4: 0, 5: 0.5, 6: 0.5})
    hven.ingest_files(lake, stars(tmp_path / "d.parquet", [8]), mode="replace", **how)
    check(lake, {8: 0})
    with pytest.raises(DataRefusedError, match="beside the table the file brings nothing"):
        hven.ingest_files(lake, stars(tmp_path / "e.parquet", [10], vectors=False), mode="append", **how)
    hven.ingest_files(lake, stars(tmp_path / "e.parquet", [10], vectors=False), mode="replace", **how)
    assert "stars_vectors" not in lake


def test_units_and_descriptions_of_vectors_are_kept(lake, tmp_path):
    from astropy import units as u
    from astropy.table import Column, Table

    table = Table({"source_id": [1, 2], "flux": Column(np.ones((2, 4)), unit=u.Jy, description="Flux by band")})
    table.write(tmp_path / "a.ecsv")
    table.write(tmp_path / "a.fits")
    for number, file in enumerate(("a.fits", "a.ecsv")):
        hven.ingest_files(lake, tmp_path / file, name=f"stars{number}")
        column = lake[f"stars{number}_vectors"].schema["flux"]
        assert (column.unit, column.dims) == ("Jy", ("object", "flux_axis"))


def test_what_has_another_length_in_each_row_is_left_out_and_needs_attention(lake, tmp_path):
    pl.DataFrame({"source_id": [1, 2], "epochs": [[1.0], [2.0, 3.0]]}).write_parquet(tmp_path / "a.parquet")
    report = hven.ingest_files(lake, tmp_path / "a.parquet", name="stars")
    assert report.datasets == ("stars",)
    assert [note.column for note in report.attention] == ["epochs"]


def test_a_table_of_nothing_but_vectors_has_the_number_of_each_row(lake, tmp_path):
    frame = pl.DataFrame({"mags": pl.Series(np.arange(6.0).reshape(3, 2), dtype=pl.Array(pl.Float64, 2))})
    frame.write_parquet(tmp_path / "a.parquet")
    report = hven.ingest_files(lake, tmp_path / "a.parquet", name="stars")
    assert report.rows == 3
    table = lake["stars"].table(["object_id", "row"]).collect()
    assert np.array_equal(lake["stars_vectors"].of(table)["mags"].values[:, 0], 2.0 * table["row"].to_numpy())


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([[1, None], [3, 4]], pl.Array(pl.Int64, 2), [[1.0, np.nan], [3.0, 4.0]]),
        ([[1, 2], None], pl.Array(pl.Int32, 2), [[1.0, 2.0], [np.nan, np.nan]]),
        ([[1, 2], [3, 4]], pl.Array(pl.UInt8, 2), [[1, 2], [3, 4]]),
        ([[True, False], [True, True]], pl.List(pl.Boolean), [[True, False], [True, True]]),
        ([["a", None], ["b", "c"]], pl.List(pl.String), [["a", None], ["b", "c"]]),
        ([[[1.5], [2.5]], [[3.5], [4.5]]], pl.List(pl.List(pl.Float32)), [[[1.5], [2.5]], [[3.5], [4.5]]]),
    ],
)
def test_elements_of_each_type_are_what_they_were(values, dtype, expected):
    _, arrays, _ = split_vectors(pl.DataFrame({"x": pl.Series(values, dtype=dtype)}), {})
    found = arrays["x"].values
    assert found.dtype.kind != "O"
    assert [str(x) for x in found.ravel()] == [str(x) for x in np.array(expected, dtype=found.dtype).ravel()]
    assert found.shape == np.shape(expected)


def test_one_row_of_vectors_needs_attention():
    frame = pl.DataFrame({"id": [[1, 2, 3]], "teff": [[5.0, 6.0, 7.0]], "note": ["x"]})
    assert any("columns of 3 objects" in str(note) for note in split_vectors(frame, {})[2] if note.needs_attention)


@pytest.mark.parametrize("values", [[[], []], [[1], [2, 3]], [[[1], [2, 3]], [[1], [2]]], [[2**60, None], [1, 2]]])
def test_what_no_array_holds_is_left_out_with_the_reason(values):
    _, arrays, notes = split_vectors(pl.DataFrame({"id": [1, 2], "x": values}), {})
    assert arrays is None
    assert notes[0].needs_attention


def test_vectors_called_as_the_keys_of_chunks_are_can_be_read(tmp_path):
    lake = hven.create(tmp_path / "lake")
    columns = {"source_id": [1, 2], "c": [[1.0, 2.0], [3.0, 4.0]], "zarr": [[5, 6], [7, 8]], "0": [[1], [2]]}
    pl.DataFrame(columns, schema_overrides={"c": pl.Array(pl.Float64, 2)}).write_parquet(tmp_path / "t.parquet")
    hven.ingest_files(lake, tmp_path / "t.parquet", name="t", progress=False)
    found = lake["t_vectors"].dataset().sortby("source_id")
    assert found["c"].values.tolist() == columns["c"]
    assert found["zarr"].values.tolist() == columns["zarr"]
