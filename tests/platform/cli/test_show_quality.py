"""``hven show`` has the quality sheet of a dataset as it is, whatever was done to its rows since it came."""

import json

import numpy as np
import polars as pl
import pytest
import xarray as xr
from typer.testing import CliRunner

import hven
from hven.cli import app
from hven.ingest.quality_sheets import make_quality, quality_sheet
from hven.schema import Column, Schema
from simulated import make_spectra

ROWS = 900


@pytest.fixture
def ingested(tmp_path):
    """Return a lake with stars from a file that has fillers and nulls."""
    rng = np.random.default_rng(3)
    stars = pl.DataFrame(
        {
            "id": np.arange(ROWS),
            "feh": rng.normal(-0.2, 0.3, ROWS),
            "feh_err": np.where(np.arange(ROWS) < 300, 9.99, rng.uniform(0.02, 0.1, ROWS)),
            "age": rng.uniform(1, 12, ROWS),
            "note": [None if n % 3 else f"star {n}" for n in range(ROWS)],
        }
    )
    stars.write_parquet(tmp_path / "stars.parquet")
    lake = hven.create(tmp_path / "a lake")
    hven.ingest_files(lake, tmp_path / "stars.parquet", name="stars", progress=False)
    return lake


def shown(lake, *more):
    """Return the quality that ``hven show stars --json`` tells, by column."""
    result = CliRunner().invoke(app, ["show", "stars", "--lake", lake.url, "--json", *more])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)["quality"]
    return None if told is None else {column["name"]: column for column in told}


def test_what_is_made_when_it_is_shown_is_what_an_ingest_makes(ingested):
    entry = ingested["stars"].entry
    kept = quality_sheet(ingested, entry)
    assert kept == make_quality(ingested, entry)


def delete(lake):
    with lake.transaction() as tx:
        tx.delete("stars", where="feh_err > 5")


def upsert(lake):
    new = lake["stars"].table().collect().with_columns(feh_err=pl.lit(0.5))
    with lake.transaction() as tx:
        tx.upsert("stars", new)


def swap(lake):
    """Remove rows and add as many others: their number says nothing."""
    frame = lake["stars"].table().collect()
    with lake.transaction() as tx:
        tx.delete("stars", where="feh_err > 5")
        tx.append("stars", frame.filter(pl.col("feh_err") > 5).with_columns(pl.col("object_id") + 1, feh_err=0.25))


def replace(lake):
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"object_id": np.arange(7), "feh_err": np.linspace(1, 2, 7)}))


def restore(lake):
    delete(lake)
    CliRunner().invoke(app, ["restore", "stars", "--at", "1", "--lake", lake.url])


@pytest.mark.parametrize("change", [delete, upsert, swap, replace, restore])
def test_after_any_change_the_sheet_is_that_of_the_rows_that_are_there(ingested, change):
    before = shown(ingested)["feh_err"]
    assert (before["rows"], before["largest"][-1], len(before["fillers"])) == (ROWS, 9.99, 1)
    change(ingested)
    errors = ingested["stars"].table().collect()["feh_err"]
    for _ in range(2):  # made, and kept
        after = shown(ingested)["feh_err"]
        assert (after["rows"], after["largest"][-1]) == (len(errors), pytest.approx(errors.max()))
        assert ("fillers" in after) == (change is restore)


def test_a_compaction_keeps_the_sheet(ingested):
    made = ingested["stars"].entry.provenance["quality"]
    more = ingested["stars"].table().collect().with_columns(pl.col("object_id") + 1)
    with ingested.transaction() as tx:
        tx.append("stars", more)
    assert "quality" not in ingested["stars"].entry.provenance
    sheet = shown(ingested)
    with ingested.transaction() as tx:
        tx.compact("stars")
    assert shown(ingested)["feh"]["nulls"] == sheet["feh"]["nulls"] if "nulls" in sheet["feh"] else True
    assert made


def test_an_ingest_after_a_change_leaves_no_sheet_of_a_part(ingested, tmp_path):
    delete(ingested)
    pl.DataFrame({"id": [5_000], "feh": [3.0], "feh_err": [0.1], "age": [2.0], "note": ["x"]}).write_parquet(
        tmp_path / "more.parquet"
    )
    hven.ingest_files(ingested, tmp_path / "more.parquet", name="stars", mode="append", progress=False)
    after = shown(ingested)["feh"]
    assert (after["rows"], after["largest"][-1]) == (ROWS - 300 + 1, 3.0)


def test_a_described_unit_is_in_the_sheet(ingested):
    with ingested.transaction() as tx:
        tx.describe("stars", units={"age": "Gyr"})
    age = shown(ingested)["age"]
    assert (age["unit"], age.get("assumed", "")) == ("Gyr", "")


def test_spectra_and_datasets_of_transactions_have_sheets_too(tmp_path):
    lake = hven.create(tmp_path / "lake")
    with lake.transaction() as tx:
        tx.write("stars", make_spectra(0, 50))
        tx.write("model", xr.Dataset({"weights": (("i", "j"), np.ones((2, 2)))}), kind="model")
    assert shown(lake)["name"]["nulls"] == 10
    assert CliRunner().invoke(app, ["show", "model", "--lake", lake.url]).exit_code == 0


def test_a_sheet_that_would_take_long_is_made_when_it_is_asked_for(ingested, monkeypatch):
    delete(ingested)
    monkeypatch.setattr("hven.ingest.quality_sheets._QUICK", 100)
    assert shown(ingested) is None
    printed = CliRunner().invoke(app, ["show", "stars", "--lake", ingested.url]).output
    assert "hven show stars --quality" in " ".join(printed.split())
    assert shown(ingested, "--quality")["feh"]["rows"] == ROWS - 300
    assert shown(ingested)["feh"]["rows"] == ROWS - 300


def test_a_unit_that_a_frame_does_not_say_is_assumed_and_a_caveat_of_runs(tmp_path):
    lake = hven.create(tmp_path / "lake")
    frame = pl.DataFrame({"object_id": np.arange(60), "age": np.linspace(1, 12, 60), "teff": 5_000.0, "note": "a"})
    said = Schema((Column("age", "float64", unit="Gyr"),))
    with lake.transaction() as tx:
        tx.write("stars", frame)
        tx.write("said", frame, schema=said)
        tx.write("dataset", xr.Dataset({"age": ("object", frame["age"].to_numpy(), {"units": "Gyr"})}))
        tx.write("silent", xr.Dataset({"age": ("object", frame["age"].to_numpy())}))
        tx.write("spectra", make_spectra(0, 5).assign(wavelength=("wavelength", np.linspace(3000, 4000, 20))))
    assumed = {name: {c.name for c in lake[name].schema if c.assumed} for name in lake}
    assert assumed == {
        "stars": {"age", "teff"},
        "said": {"teff"},
        "dataset": set(),
        "silent": {"age"},
        "spectra": {"wavelength"},
    }

    @hven.analysis(stars=hven.Table(age="Gyr"), produces={"middle": "Gyr"})
    def middle_age(stars):
        """Mean age."""
        return stars.age.mean().to_dataset(name="middle")

    caveat = "Unit assumed: the values of 'age' are taken as Gyr, as the data do not say their unit."
    for name, wanted in {"stars": [caveat], "said": [], "dataset": [], "silent": [caveat]}.items():
        run = hven.run(lake, middle_age, {"stars": name}, output=f"of_{name}", cluster="synchronous", progress=False)
        assert run.caveats == wanted
    with lake.transaction() as tx:
        tx.describe("stars", units={"age": "Gyr"})
    run = hven.run(lake, middle_age, {"stars": "stars"}, output="of_stars", cluster="synchronous", progress=False)
    assert run.caveats == []
