"""The verb crossmatch, as people type it."""

import json

import numpy as np
import polars as pl
import pytest

import hven


@pytest.fixture
def gaia(small_survey, tmp_path):
    """Return a Parquet file with every second star of the small survey, a little off."""
    stars, _ = small_survey
    near = stars[::2].select(pl.col("object_id").alias("source_id"), "ra", pl.col("dec") * (1 - 1e-9))
    near.write_parquet(tmp_path / "gaia.parquet")
    return tmp_path / "gaia.parquet"


def test_crossmatch_keeps_pairs_as_a_dataset(command, own_lake, gaia, small_survey):
    line = f"crossmatch stars {gaia} --radius '1 arcsec' --to matched --how left --count --lake '{own_lake.url}'"
    said = command(f"{line} --json")
    assert said.status == 0, said.err
    told = json.loads(said.out)
    assert told == {"dataset": "matched", "rows": 600, "catalog": own_lake.number}
    table = own_lake["matched"].table().collect()
    stars = small_survey[0]
    found = table.drop_nulls("separation")
    assert set(found["object_id"]) == set(stars["object_id"][::2])
    assert (found["object_id"] == found["source_id_right"]).all()
    again = command(line)
    assert "Wrote 600 rows to matched (catalog" in again.out


def test_crossmatch_writes_a_file(command, small_lake, gaia, tmp_path):
    out = tmp_path / "pairs.parquet"
    said = command(
        f"crossmatch stars {gaia} --radius 1 --to {out} --where 'logg > 2.5' --region 'box(0, 180, -90, 90)' "
        f"--left-column object_id --right-column source_id --cluster synchronous --lake '{small_lake.url}'"
    )
    assert said.status == 0, said.err
    pairs = pl.read_parquet(out)
    assert pairs.columns == ["object_id", "source_id", "separation"]
    assert f"Wrote {pairs.height:,} rows" in said.out
    assert 0 < pairs.height < 150
    np.testing.assert_array_equal(pairs["object_id"], pairs["source_id"])


def test_crossmatch_takes_columns_by_other_names(command, small_lake, gaia, tmp_path):
    pl.read_parquet(gaia).rename({"ra": "RAJ2000", "dec": "DEJ2000"}).write_parquet(tmp_path / "vizier.parquet")
    line = f"crossmatch stars {tmp_path}/vizier.parquet --radius 1 --to {tmp_path}/out.parquet"
    line += f" --lake '{small_lake.url}'"
    assert "missing-column" in command(line).err
    said = command(f"{line} --right-name ra=RAJ2000 --right-name dec=DEJ2000")
    assert said.status == 0, said.err
    assert pl.read_parquet(tmp_path / "out.parquet").height == 300


def test_crossmatch_tells_what_is_wrong(command, small_lake, gaia):
    at = f"--to x --lake '{small_lake.url}'"
    assert "bad-parameter" in command(f"crossmatch stars {gaia} --radius '0 arcsec' {at}").err
    assert "missing-column" in command(f"crossmatch stars {gaia} --radius 1 --epoch 2000 {at}").err
    assert (
        "missing-column"
        in command(f"crossmatch stars {gaia} --radius 1 --epoch 2000 --left-epoch 2000.0 --right-epoch when {at}").err
    )
    assert "bad-parameter" in command(f"crossmatch {gaia} stars --radius 1 --where 'ra > 1' {at}").err
    assert "x" not in hven.open(small_lake.url)
