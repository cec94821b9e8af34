"""The verbs that tell what is stale and bring it up to date."""

import json
import shutil

import pytest

import hven


@pytest.fixture
def in_lake(command, small_lake, tmp_path):
    """Call the command in a lake with one result, of stars that may change; return it with that lake."""
    place = tmp_path / "a lake"
    shutil.copytree(small_lake.url, place)
    lake = hven.open(place)
    hven.run(lake, "red_clump_distances", {"stars": "stars"}, cluster="synchronous", output="distances", block_rows=300)

    def call(text):
        return command(f"{text} --lake '{lake.url}'")

    call.lake = lake
    return call


def test_status_and_update_tell_what_is_stale_and_make_it_right(in_lake):
    said = in_lake("status")
    assert (said.status, "up to date" in said.out, "hven update" in said.out) == (0, True, False)
    assert in_lake("update").out.strip() == "Everything is up to date."
    with in_lake.lake.transaction() as tx:
        tx.delete("stars", where="ra < 20")
    told = json.loads(in_lake("status --json").out)
    assert [(s["name"], s["is_stale"]) for s in told] == [("distances", True)]
    assert "dataset 'stars' has changed" in in_lake("status").out
    said = in_lake("update --dry-run")
    assert "distances" in said.out
    assert "Nothing was run" in said.out
    assert json.loads(in_lake("update --dry-run --json").out)[0]["name"] == "distances"
    assert json.loads(in_lake("status --json").out)[0]["is_stale"]
    (run,) = json.loads(in_lake("update distances --cluster synchronous --json").out)
    assert (run["state"], run["update"]["computed"]) == ("succeeded with caveats", 0)
    assert run["update"]["withdrawn"] > 0
    assert not json.loads(in_lake("status --json").out)[0]["is_stale"]
    said = in_lake(f"runs show {run['id']}")
    assert "withdrawn" in said.out
    assert "brings up to date" in said.out
    page = (in_lake.lake.store.get(run["report"])).decode()
    assert "objects left it" in page


def test_what_is_no_result_is_refused(in_lake):
    assert "[data-refused]" in in_lake("update stars").err
    assert "[dataset-not-found]" in in_lake("update distance").err


def test_compact_says_what_became_of_the_files(in_lake):
    in_lake.lake.compact("distances")
    assert "in good shape" in in_lake("compact distances").out
    with in_lake.lake.transaction() as tx:
        stars = in_lake.lake["stars"].table().collect()
        tx.write("pieces", stars[:100])
        tx.append("pieces", stars[100:])
    assert "2 files or segments became 1" in in_lake("compact pieces").out
    assert json.loads(in_lake("compact pieces --json").out) is None
