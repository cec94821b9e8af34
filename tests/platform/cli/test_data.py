import json

import polars as pl
import pytest

import hven


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


def test_ingest_explain_says_who_claims_a_file_and_shows_its_rows_and_writes_nothing(command, lake, tmp_path):
    (tmp_path / "stars.dat").write_text("# id GLON GLAT TEFF\n1 10.5 41.2 4800\n2 10.6 41.3 N/A\n")
    (tmp_path / "page.csv").write_text("<html><title>503</title></html>")
    said = command(f"ingest --explain {tmp_path / 'stars.dat'} {tmp_path / 'page.csv'} --lake {lake.url}")
    assert said.status == 1
    for words in (
        "a text table of 4 columns",
        "read by csv",
        "teff",
        "4800",
        "converted from galactic",
        "an HTML page (503)",
    ):
        assert words in " ".join(said.out.split())
    said = command(f"ingest --explain {tmp_path / 'stars.dat'} --json")
    assert said.status == 0
    [explained] = json.loads(said.out)
    assert explained["reader"] == "csv"
    assert explained["rows"][1]["teff"] is None
    assert [column["unit"] for column in explained["columns"] if column["name"] in ("ra", "teff")] == ["K", "deg"]
    assert len(lake.catalog) == 0


def test_ingest_without_a_name_is_refused_with_the_option_to_give(command, lake, survey_file):
    said = command(f"ingest {survey_file} --lake {lake.url}")
    assert said.status != 0
    assert "--name" in said.err


def test_upsert_replaces_rows_of_objects_that_are_there_and_notes_decide_the_exit_status(
    command, lake, survey_file, tmp_path
):
    assert command(f"ingest {survey_file} --name stars --lake {lake.url}").status == 0
    ids = dict(lake["stars"].table(["source_id", "object_id"]).collect().iter_rows())
    better = tmp_path / "better.csv"
    better.write_text("source_id,ra,dec,teff\n8,20.0,2.0,5100.0\n9,30.0,3.0,6000.0\n")
    said = command(f"upsert stars {better} --lake {lake.url}")
    assert said.status == 0, said.out + said.err
    now = hven.open(lake.url)["stars"].table().collect().sort("source_id")
    assert now["teff"].to_list() == [4800.0, 5100.0, 6000.0]
    assert dict(zip(now["source_id"], now["object_id"], strict=True)).items() >= ids.items()
    odd = tmp_path / "odd.csv"
    odd.write_text("source_id,ra,dec,teff\n10,40.0,4.0,none of it\n")
    assert command(f"upsert stars {odd} --lake {lake.url}").status == 1  # text where numbers were: set aside
    doubtful = tmp_path / "doubtful.csv"
    doubtful.write_text("source_id,ra,dec,distance\n1,10.0,1.0,1.5\n2,20.0,2.0,2.5\n")
    said = command(f"ingest {doubtful} --name far --lake {lake.url}")
    assert said.status == 3
    assert "Needs attention" in said.out
    assert command(f"ingest {doubtful} --name farther --accept --lake {lake.url}").status == 0
    nothing = command(f"ingest {doubtful} --name farther --mode append --lake {lake.url}")
    assert nothing.status == 0
    assert "no commit was made" in nothing.out
