import json

import pytest
import yaml

import hven


@pytest.fixture
def catalogs(tmp_path):
    """A folder with a catalog of one file that is there and one that is not."""
    (tmp_path / "stars.csv").write_text("ra,dec\n1,2\n")
    folder = tmp_path / "catalogs"
    folder.mkdir()
    told = {
        "kind": "table", "survey": "Mine", "title": "Stars", "description": "Stars.", "format": "csv", "licence": "CC0",
        "citation": ["arXiv:1234.56789"], "checked": ["by hand"], "columns": [{"name": "ra", "unit": "deg"}],
    }  # fmt: skip
    catalog = {"version": 2, "metadata": {}, "user_parameters": {}, "aliases": {}, "data": {}, "entries": {}}
    for name, file in (("here", "stars.csv"), ("gone", "none.csv")):
        catalog["aliases"][name] = name
        catalog["data"][f"{name}_file"] = {
            "datatype": "intake.readers.datatypes:CSV", "kwargs": {"url": f"file://{tmp_path}/{file}"},
            "metadata": {}, "user_parameters": {},
        }  # fmt: skip
        catalog["entries"][name] = {
            "reader": "intake.readers.readers:PolarsCSV", "kwargs": {"args": [f"{{data({name}_file)}}"]},
            "output_instance": "polars:LazyFrame", "metadata": told, "user_parameters": {},
        }  # fmt: skip
    (folder / "mine.yaml").write_text(yaml.safe_dump(catalog))
    return folder


def test_published_ls_lists_the_surveys_that_ship(command):
    said = command("published ls")
    assert said.status == 0, said.err
    assert all(name in said.out for name in hven.published())
    told = json.loads(command("published ls --survey Gaia --kind spectra --json").out)
    assert {entry["name"] for entry in told} == {"gaia_dr3_xp_continuous", "gaia_dr3_xp_sampled"}
    assert "o dataset of survey 'Mars'" in command("published ls --survey Mars").out


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("parallax --kind table", "gaia_dr3_source"),
        ("--column radial_velocity --unit km/s", "apogee_dr17_allstar"),
        ("--ucd pos.parallax", "gaia_dr3_source"),
        ("--wavelength '1510:1700 nm' --resolution 20000:", "apogee_dr17_apstar"),
    ],
)
def test_published_ls_takes_the_conditions_of_a_search(command, question, name):
    found = {entry["name"] for entry in json.loads(command(f"published ls {question} --json").out)}
    assert name in found
    assert found < set(hven.published())
    assert "bad-region" in command("published ls --region 'ball(1, 2)'").err


def test_published_show_tells_where_it_is_what_to_cite_and_how_to_get_it(command):
    said = command("published show apogee_dr17_allstar")
    entry = hven.published()["apogee_dr17_allstar"]
    assert said.status == 0, said.err
    for text in (entry.address, "2022ApJS..259...35A", "733,901", "VHELIO_AVG", "radial_velocity", entry.licence):
        assert text in said.out
    assert f"{entry.download_command()}\n" in said.out
    assert f"{entry.ingest_command()} --lake LAKE" in said.out


def test_published_show_fills_the_parts_of_an_address(command):
    told = json.loads(command("published show sdss_dr17_spec -p plate=0300 -p fiber=0007 --json").out)
    assert told["address"].endswith("/26/spectra/lite/0300/spec-0300-51602-0007.fits")
    assert "spec-0300-51602-0007.fits" in told["download"]
    said = command("published show apogee_dr17_apstar")
    assert "apo25m/{field}/apStar-dr17-{apogee_id}.fits" in said.out
    assert "hven.published()['apogee_dr17_apstar'].open()" in said.out
    assert "bad-parameter" in command("published show sdss_dr17_spec -p plait=1").err


def test_published_show_names_the_nearest_of_a_misspelt_name(command):
    said = command("published show gaia_dr3_sources")
    assert said.status == 1
    assert "dataset-not-found" in said.err
    assert "gaia_dr3_source" in said.err


def test_published_check_says_what_answers_and_what_does_not(command, catalogs):
    said = command(f"published check here --catalogs '{catalogs}'")
    assert said.status == 0, said.err
    assert "here answers" in said.out
    said = command(f"published check gone --catalogs '{catalogs}'")
    assert said.status == 1
    assert "source-unreachable" in said.err
    assert "none.csv" in said.err
    said = command(f"published check --json --catalogs '{catalogs}'")
    assert said.status == 1
    assert {told["name"]: told["answers"] for told in json.loads(said.out)} == {"here": True, "gone": False}
    table = command(f"published check --catalogs '{catalogs}'").out
    assert "no such file" in table


def test_published_check_of_a_broken_catalog_names_the_key(command, catalogs):
    path = catalogs / "mine.yaml"
    path.write_text(path.read_text().replace("licence", "license"))
    said = command(f"published ls --catalogs '{catalogs}'")
    assert said.status == 1
    assert "bad-catalog" in said.err
    assert "'licence' is missing" in said.err
