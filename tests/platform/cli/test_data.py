import json

import polars as pl
import pytest


@pytest.fixture
def survey_file(tmp_path):
    path = tmp_path / "stars.csv"
    pl.DataFrame({"source_id": [7, 8], "ra": [10.0, 20.0], "dec": [1.0, 2.0], "teff": [4800.0, None]}).write_csv(path)
    return path


def test_ingest_brings_a_file_in_and_says_what_became_null(command, lake, survey_file):
    said = command(f"ingest {survey_file} --name stars --lake {lake.url}")
    assert said.status == 0, said.err
    assert "Ingested 2 objects as stars (catalog 1)" in said.out
    assert "teff 1" in said.out
    assert lake["stars"].table().collect().height == 2


def test_ingest_sets_an_unreadable_file_aside_and_ends_with_status_1(command, lake, survey_file, tmp_path):
    broken = tmp_path / "broken.csv"
    broken.write_bytes(b"\x00\xff")
    said = command(f"ingest {survey_file} {broken} --name stars --lake {lake.url} --json")
    report = json.loads(said.out)
    assert said.status == 1
    assert report["rows"] == 2
    assert [refused["code"] for refused in report["set_aside"]] == ["unreadable-file"]
    again = command(f"ingest {survey_file} {broken} --name more --lake {lake.url}")
    assert "Set aside, 1 of 2 files" in again.out


def test_an_option_of_a_reader_that_it_does_not_have_is_refused(command, lake, survey_file):
    said = command(f"ingest {survey_file} --name stars --option nonsense=1 --lake {lake.url}")
    assert said.status == 1
    assert "bad-parameter" in said.err


def test_export_writes_the_part_that_is_asked_for(command, small_lake, tmp_path):
    path = tmp_path / "giants.csv"
    said = command(f"export stars {path} --where 'logg < 2.5' -c object_id -c logg --lake '{small_lake.url}'")
    assert said.status == 0, said.err
    frame = pl.read_csv(path)
    assert frame.columns == ["object_id", "logg"]
    assert frame["logg"].max() < 2.5
    assert frame.height == small_lake["stars"].table(where="logg < 2.5").collect().height
