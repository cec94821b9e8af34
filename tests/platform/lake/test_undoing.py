"""Undo and describe: delete, drop, restore, and what is said of columns, each as a commit."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

import hven
from hven import errors
from hven.sky import cone
from simulated import make_spectra, make_stars


@pytest.fixture
def both(lake, stars, spectra):
    with lake.transaction("both") as tx:
        tx.write("stars", stars)
        tx.write("spectra", spectra)
    return lake


def test_objects_are_deleted_by_condition_and_region(both, stars):
    region = cone(float(stars["ra"][0]), float(stars["dec"][0]), 20)
    inside = both["stars"].table(region=region).collect()
    asked = inside.filter(pl.col("feh") > 0)
    assert 0 < asked.height < inside.height
    with both.transaction("bad stars") as tx:
        assert tx.delete("stars", "feh > 0", region) == asked.height
    left = both["stars"].table().collect()
    assert left.height == stars.height - asked.height == both["stars"].entry.counts.rows
    assert not set(left["object_id"]) & set(asked["object_id"])
    with both.transaction() as tx:
        assert tx.delete("stars", region=region) == inside.height - asked.height
    assert both["stars"].table(region=region).collect().height == 0


def test_objects_of_arrays_are_deleted_and_the_others_keep_their_values(both, spectra):
    more = make_spectra(10_000, 50)
    with both.transaction() as tx:
        tx.append("spectra", more)
    untouched = both["spectra"].source.parts[1]
    ids = spectra["object_id"].values
    with both.transaction("bad spectra") as tx:
        assert tx.delete("spectra", pl.col("object_id").is_in(ids[[0, 7, 2999]].tolist())) == 3
    left = both["spectra"].dataset().compute()
    assert both["spectra"].source.parts[1].path == untouched.path
    stays = np.delete(np.arange(len(ids)), [0, 7, 2999])
    assert np.array_equal(left["object_id"].values, np.concatenate([ids[stays], more["object_id"].values]))
    assert np.array_equal(left["flux"].values[: len(stays)], spectra["flux"].values[stays], equal_nan=True)
    assert left["flux"].attrs == both.at(2)["spectra"].dataset()["flux"].attrs
    assert both.at(2)["spectra"].dataset().sizes["object"] == 3050


def test_arrays_without_any_object_left_keep_their_axis_and_can_be_appended_to(both, spectra):
    with both.transaction() as tx:
        assert tx.delete("spectra", "object_id > -1") == 3000
    left = both["spectra"].dataset()
    assert left.sizes["object"] == 0
    assert np.array_equal(left["wavelength"], spectra["wavelength"])
    with both.transaction() as tx:
        tx.append("spectra", make_spectra(10_000, 5))
    assert both["spectra"].dataset().sizes["object"] == 5


def test_a_deletion_without_condition_is_refused(both):
    with pytest.raises(errors.DataRefusedError, match="which objects"), both.transaction() as tx:
        tx.delete("stars")
    with pytest.raises(errors.MissingColumnError, match="'feh'"), both.transaction() as tx:
        tx.delete("stars", "fe_h > 0")
    assert both.number == 1


@pytest.mark.parametrize("name", ["stars", "spectra"])
def test_a_dropped_or_changed_dataset_comes_back_as_it_was(both, name):
    with both.transaction() as tx:
        tx.delete(name, "object_id > 0")
    with both.transaction() as tx:
        tx.drop(name)
    before = both.at(1)[name]
    assert both.restore(name, at=1) == 4
    after = both[name]
    assert after.entry.pin == before.entry.pin
    assert after.table().collect().equals(before.table().collect())
    assert both.log()[0].message == f"restored {name} as in 1"
    # What is restored is written to as any dataset, and the past stays what it was.
    with both.transaction() as tx:
        tx.append(name, make_stars(20_000, 3) if name == "stars" else make_spectra(20_000, 3))
    assert both[name].entry.counts.rows == before.entry.counts.rows + 3
    assert both.at(4)[name].table().collect().height == before.entry.counts.rows


def test_a_dataset_comes_back_from_a_release(both):
    both.release("dr1")
    with both.transaction() as tx:
        tx.delete("stars", "feh > 0")
    both.restore("stars", at="dr1")
    assert both["stars"].entry.counts.rows == both.at("dr1")["stars"].entry.counts.rows


def test_what_cannot_be_restored_is_told(both):
    with pytest.raises(errors.DatasetNotFoundError, match="It was in catalog 1"):
        both.restore("stars", at=0)
    with pytest.raises(errors.DatasetNotFoundError, match="Did you mean 'stars'"):
        both.restore("star", at=1)
    with pytest.raises(errors.VersionNotFoundError):
        both.restore("stars", at=7)
    with pytest.raises(errors.VersionNotFoundError):
        both.restore("stars", at="dr9")
    assert both.number == 1


@pytest.mark.parametrize("name", ["stars", "spectra"])
def test_what_a_vacuum_removed_is_not_restored(both, name):
    with both.transaction() as tx:
        tx.write(name, make_stars(30_000, 10) if name == "stars" else make_spectra(30_000, 10))
    both.vacuum(keep=1, grace=timedelta(0), dry_run=False)
    with pytest.raises(errors.VersionNotFoundError):
        both.restore(name, at=1)
    assert both[name].entry.counts.rows == 10


def test_files_that_are_gone_while_the_catalog_is_there_are_told(both):
    with both.transaction() as tx:
        tx.drop("stars")
    [path] = (both.store.local_path / both.at(1)["stars"].entry.pin.path).rglob("*.parquet")
    path.unlink()
    with pytest.raises(errors.VersionNotFoundError, match="were removed"):
        both.restore("stars", at=1)


def test_units_and_descriptions_of_columns_change_and_values_do_not(both, stars):
    with both.transaction("units") as tx:
        tx.describe("stars", units={"visits": "1"}, descriptions={"feh": "Iron"}, title="Stars")
    handle = both["stars"]
    assert (handle.schema["visits"].unit, handle.schema["feh"].description, handle.entry.title) == (
        "1",
        "Iron",
        "Stars",
    )
    assert handle.table().collect().equals(stars)
    assert both.at(1)["stars"].schema["visits"].unit == ""
    assert "1" in handle.entry.units


def test_units_of_arrays_change_in_the_catalog_and_in_the_arrays(both, spectra):
    with both.transaction() as tx:
        tx.append("spectra", make_spectra(10_000, 5))
    with both.transaction() as tx:
        tx.describe("spectra", units={"flux": "Jy"}, descriptions={"flux": "Flux density"}, force=True)
    data = both["spectra"].dataset()
    assert both["spectra"].schema["flux"].unit == data["flux"].attrs["units"] == "Jy"
    assert data["flux"].attrs["description"] == "Flux density"
    assert np.array_equal(data["flux"].values[:3000], spectra["flux"].values, equal_nan=True)
    with both.transaction() as tx:
        tx.append("spectra", make_spectra(20_000, 5).assign(flux=lambda d: d.flux.assign_attrs(units="Jy")))
    assert both.at(2)["spectra"].dataset()["flux"].attrs.get("units", "") != "Jy"


@pytest.mark.parametrize(
    ("told", "kind", "text"),
    [
        ({"units": {"visits": "bananas"}}, errors.UnitError, "bananas"),
        ({"units": {"name": "K"}}, errors.UnitError, "has no unit"),
        ({"units": {"ra": "rad"}}, errors.UnitError, "values are not converted"),
        ({"units": {"fe_h": "dex"}}, errors.MissingColumnError, "Did you mean 'feh'"),
        ({"descriptions": {"fe_h": "Iron"}}, errors.MissingColumnError, "Did you mean 'feh'"),
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_is_refused(both, stars, told, kind, text):
    with both.transaction() as tx:
        tx.write("stars", stars.with_columns(name=pl.lit("x")))
        tx.describe("stars", units={"ra": "deg"})  # a unit that nobody said is assumed, and gives way
    with pytest.raises(kind, match=text), both.transaction() as tx:
        tx.describe("stars", **told)
    assert both.number == 2


def test_a_unit_that_was_assumed_gives_way_and_is_assumed_no_longer(lake, tmp_path):
    path = tmp_path / "stars.csv"
    path.write_text("source_id,ra,dec,age\n1,10,20,4500\n2,11,21,9000\n")
    hven.ingest_files(lake, path, name="stars")
    assert (lake["stars"].schema["age"].unit, lake["stars"].schema["age"].assumed) == ("Gyr", "unit")
    with lake.transaction() as tx:
        tx.describe("stars", units={"age": "Myr"})
    assert (lake["stars"].schema["age"].unit, lake["stars"].schema["age"].assumed) == ("Myr", "")
    with pytest.raises(errors.UnitError, match="not converted"), lake.transaction() as tx:
        tx.describe("stars", units={"age": "Gyr"})


def test_a_conflict_is_told_when_another_changed_the_dataset(both, stars):
    with pytest.raises(errors.ConflictError), both.transaction() as tx:
        with both.transaction() as other:
            other.write("stars", stars.head(3))
        tx.restore("stars", 1)
    assert hven.open(both.url)["stars"].entry.counts.rows == 3


def test_a_date_is_told_which_catalog_it_ended_with(tmp_path):
    lake = hven.create(tmp_path / "lake")
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"a": [1]}))
    for date in ("2999-01-01", "2999-01-01T10:00"):
        told = r"is a date.* 2999-01-01 \(UTC\) ended with catalog 1: say 1"
        with pytest.raises(hven.errors.VersionNotFoundError, match=told):
            lake.restore("stars", date)
    with pytest.raises(hven.errors.VersionNotFoundError, match="no commit of that day or before; 'hven log'"):
        lake.at("1999-01-01")
