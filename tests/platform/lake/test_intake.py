"""A lake's catalog opens in plain Intake, for anyone who has hven installed."""

import shutil

import intake
import polars as pl
import pytest

import hven


@pytest.fixture
def told(lake, stars, spectra):
    with lake.transaction() as tx:
        tx.write("stars", stars, title="Stars")
        tx.write("spectra", spectra)
    with lake.transaction() as tx:
        tx.delete("stars", "feh > 0")
        tx.append("spectra", spectra.assign(object_id=spectra.object_id + 10**6))
    return lake


def test_intake_opens_the_pinned_datasets(told, stars, spectra):
    catalog = intake.from_yaml_file(f"{told.url}/catalogs/00000001.json")
    assert sorted(catalog) == ["spectra", "stars"]
    assert catalog["stars"].read().collect().equals(stars), "pinned: what was deleted later is there"
    assert catalog["stars"].metadata["title"] == "Stars"
    found = catalog["spectra"].read().compute()
    assert found.equals(told.at(1)["spectra"].dataset().compute())
    assert found.sizes["object"] == spectra.sizes["object"]
    newest = intake.from_yaml_file(f"{told.url}/catalogs/00000002.json")
    assert newest["stars"].read().select(pl.len()).collect().item() < stars.height
    assert newest["spectra"].read().sizes["object"] == 2 * spectra.sizes["object"]


def test_intake_opens_a_moved_lake_under_blanks_and_accents(told, stars, tmp_path):
    there = tmp_path / "détour é" / "second plåce 100%"
    there.parent.mkdir()
    shutil.move(told.url, there)
    catalog = intake.from_yaml_file(f"{there}/catalogs/00000001.json")
    assert catalog["stars"].read().collect().equals(stars)
    assert catalog["spectra"].read().sizes["object"] == 3_000


def test_hven_reads_its_catalog_without_intake(told):
    text = told.store.get("catalogs/00000002.json")
    assert hven.catalog.Catalog.from_json(text) == told.catalog
