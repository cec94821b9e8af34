import json

import polars as pl
import pytest

from hven.schema import Column, Schema


@pytest.fixture
def at_lake(command, lake):
    frame = pl.DataFrame(
        {"object_id": [1, 2, 3], "feh": [0.1, -0.3, None], "years": [1e9, 2e9, 3e9], "name": ["a", "b", "c"]}
    )
    with lake.transaction("stars") as tx:
        tx.write("stars", frame, schema=Schema((Column("years", "float64", unit="yr"),)))
        tx.write("others", frame)
    return lambda text: command(f"{text} --lake {lake.url}")


def test_drop_and_restore_are_commits_with_messages(at_lake, lake):
    said = at_lake("drop stars others --yes")
    assert said.status == 0, said.err
    assert "hven restore stars --at 1" in said.out
    assert list(lake) == []
    assert lake.log(1)[0].message == "dropped stars, others"
    said = at_lake("restore stars --at 1")
    assert "3 objects (catalog 3)" in said.out
    assert list(lake) == ["stars"]
    assert json.loads(at_lake("restore others --at 1 --json").out) == {
        "restored": "others",
        "at": "1",
        "rows": 3,
        "commit": 4,
    }


def test_nothing_is_dropped_or_deleted_without_a_yes(at_lake, lake):
    for text in ("drop stars", "delete stars --where 'feh > 0'"):
        said = at_lake(text)
        assert said.status == 1
        assert "--yes" in said.err
    assert lake.number == 1


def test_delete_says_how_many_and_how_to_get_them_back(at_lake, lake):
    said = at_lake("delete stars --where 'feh > 0' --yes")
    assert "Deleted 1 of 3 objects of stars (catalog 2)" in said.out
    assert "hven restore stars --at 1" in said.out
    assert lake.log(1)[0].message == "deleted objects of stars: feh > 0"
    assert json.loads(at_lake("delete stars --where 'feh > 0' --yes --json").out) == {"deleted": 0, "commit": None}
    assert json.loads(at_lake("delete stars --where 'feh < 0' --yes --json").out) == {"deleted": 1, "commit": 3}
    assert lake["stars"].table().collect()["object_id"].to_list() == [3]
    assert "which objects" in at_lake("delete stars --yes").err


def test_describe_says_units_titles_and_citations(at_lake, lake):
    said = at_lake(
        "describe stars --unit feh=dex --title 'Three stars' --citation A --citation B "
        "--column-description 'name=As in HD'"
    )
    assert said.status == 0, said.err
    entry, schema = lake["stars"].entry, lake["stars"].schema
    assert (entry.title, entry.citation, schema["name"].description) == ("Three stars", ("A", "B"), "As in HD")


def test_describe_does_not_convert_and_says_so(at_lake, lake):
    refused = at_lake("describe stars --unit years=Gyr")
    assert "[wrong-unit]" in refused.err
    assert "not converted" in refused.err
    said = at_lake("describe stars --unit years=Gyr --force")
    assert "years is taken to be in Gyr; its values are as they were." in said.out
    assert lake["stars"].schema["years"].unit == "Gyr"
    assert lake["stars"].table().collect()["years"].to_list() == [1e9, 2e9, 3e9]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("describe stars --unit feh=bananas --force", "wrong-unit"),
        ("describe stars --unit name=K", "wrong-unit"),
        ("describe stars --unit age=Gyr", "missing-column"),
        ("describe stars --unit Gyr", "bad-parameter"),
        ("describe stars --ucd 'feh=nonsense;;'", "data-refused"),
        ("describe stars", "bad-parameter"),
        ("describe star --title x", "dataset-not-found"),
        ("restore stars --at dr7", "version-not-found"),
        ("restore nothing_like_it --at 1", "dataset-not-found"),
        ("drop nothing_like_it --yes", "dataset-not-found"),
        ("delete stars --where 'fe > 0' --yes", "missing-column"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(at_lake, lake, text, code):
    said = at_lake(text)
    assert said.status == 1
    assert said.err.startswith(f"Error [{code}]")
    assert lake.number == 1


def test_vectors_of_a_table_leave_and_come_back_with_its_objects(command, lake, tmp_path):
    import numpy as np
    from astropy.table import Table

    table = Table(
        {"source_id": [1, 2, 3], "ra": [1.0, 2.0, 3.0], "dec": [0.0] * 3, "mags": np.arange(12.0).reshape(3, 4)}
    )
    table.write(tmp_path / "stars.fits")
    said = command(f"ingest {tmp_path / 'stars.fits'} --name vec --accept --lake {lake.url}")
    assert said.status == 0, said.err
    assert "Deleted 1 of 3" in command(f"delete vec --where 'source_id = 2' --yes --lake {lake.url}").out
    assert sorted(lake["vec_vectors"].dataset()["mags"].values.tolist()) == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert command(f"restore vec --at 1 --lake {lake.url}").status == 0
    assert lake["vec_vectors"].dataset().sizes["object"] == 3
    assert "hven drop vec_vectors" in command(f"drop vec --yes --lake {lake.url}").out
