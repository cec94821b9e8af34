import json

import pytest

import hven


@pytest.fixture
def at_lake(command, small_lake):
    return lambda text: command(f"{text} --lake '{small_lake.url}'")


def test_create_makes_a_lake_that_opens(command, tmp_path):
    assert command(f"create '{tmp_path / 'my lake'}'").status == 0
    assert len(hven.open(tmp_path / "my lake")) == 0


def test_ls_lists_datasets_for_people_and_for_scripts(at_lake):
    said = at_lake("ls")
    assert said.status == 0
    assert "Simulated giants" in said.out
    assert {entry["name"] for entry in json.loads(at_lake("ls --json").out)} == {"stars", "spectra"}


def test_ls_of_an_older_state_shows_what_was_there(at_lake):
    assert json.loads(at_lake("ls --json --at 0").out) == []
    assert "no datasets yet" in at_lake("ls --at 0").out
    assert len(json.loads(at_lake("ls --json --at dr1").out)) == 2


def test_show_tells_columns_with_units_and_versions(at_lake):
    said = at_lake("show stars")
    assert all(
        word in said.out for word in ("Simulated giants", "teff", "K", "Effective temperature", "a small survey")
    )
    told = json.loads(at_lake("show stars --json").out)
    assert {column["name"]: column.get("units") for column in told["schema_columns"]}["feh"] == "dex"
    assert [version["rows"] for version in told["versions"]] == [600]


def test_show_of_spectra_names_their_dimensions_and_wavelengths(at_lake):
    assert "3,360 - 10,200 Å" in at_lake("show spectra").out
    columns = json.loads(at_lake("show spectra --json").out)["schema_columns"]
    assert {column["name"]: column["dims"] for column in columns}["flux"] == ["object", "wavelength"]


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("r_gal", ["stars"]),
        ("--kind spectra --survey mock", ["spectra"]),
        ("--kind cube", []),
        ("--column '*_gal' --unit kpc", ["stars"]),
        ("--ucd 'phot.mag;em.IR'", ["stars"]),
        ("--wavelength '1000:1020 nm'", ["spectra"]),
        ("--resolution 1000:", []),
        ("simulated --region 'cone(190, 5, 30)'", ["stars"]),
        ("--produced-by nobody", []),
    ],
)
def test_search_takes_every_condition(at_lake, question, names):
    assert [entry["name"] for entry in json.loads(at_lake(f"search {question} --json").out)] == names


def test_search_shows_what_it_found_or_why_nothing(at_lake):
    assert "Simulated giants" in at_lake("search giants").out
    assert "No dataset has the word 'unicorn'" in at_lake("search 'giants unicorn'").out
    assert "No dataset has a wavelength from 20000; 1 of 2 tell theirs" in at_lake("search --wavelength 20000:").out
    said = at_lake("search --kind spectrum")
    assert said.status == 1
    assert "Error [bad-query]" in said.err


def test_search_of_the_catalogs_that_ship_needs_no_lake(command):
    found = json.loads(command("search --published --survey gaia --kind table --column parallax --json").out)
    assert found
    assert all("Gaia" in entry["survey"] for entry in found)


def test_log_lists_commits_newest_first_with_their_releases(at_lake):
    commits = json.loads(at_lake("log --json").out)
    assert [(c["number"], c["message"], c["release"]) for c in commits] == [
        (1, "a small survey", "dr1"),
        (0, "created the lake", None),
    ]
    assert "stars created" in at_lake("log -n 1").out


def test_release_names_a_state_and_lists_the_names(command, lake):
    assert "catalog 0" in command(f"release early --lake {lake.url}").out
    assert json.loads(command(f"release --json --lake {lake.url}").out) == {"early": 0}
    assert "early" in command(f"release --lake {lake.url}").out


def test_the_lake_is_that_of_the_setting_or_of_the_current_folder(command, small_lake, monkeypatch, tmp_path):
    monkeypatch.setenv("HVEN_LAKE", small_lake.url)
    assert "stars" in command("ls").out
    monkeypatch.delenv("HVEN_LAKE")
    monkeypatch.chdir(small_lake.url)
    assert "stars" in command("ls").out
    monkeypatch.chdir(tmp_path)
    said = command("ls")
    assert said.status == 1
    assert "Error [lake-not-found]" in said.err


def test_an_address_may_name_a_version(command, small_lake):
    assert json.loads(command(f"ls --json --lake '{small_lake.url}@0'").out) == []
