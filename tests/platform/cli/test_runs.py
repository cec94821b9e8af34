import json

import pytest

GRADIENT = "run metallicity_gradients --input stars=stars -p bins=2 --cluster synchronous"


@pytest.fixture
def in_lake(command, own_lake):
    return lambda text: command(f"{text} --lake '{own_lake.url}'")


@pytest.fixture(scope="module")
def run_id(own_lake):
    import hven

    return hven.run(own_lake, "metallicity_gradients", {"stars": "stars"}, {"bins": 1}, cluster="synchronous").id


def test_run_publishes_a_result_and_says_where_it_is(command, own_lake):
    said = command(f"{GRADIENT} --output by_hand --lake '{own_lake.url}'")
    assert said.status == 0, said.err
    assert all(word in said.out for word in ("succeeded", "by_hand", "report.html", "600 in"))
    assert own_lake["by_hand"].dataset().sizes["population"] == 2


def test_run_takes_conditions_regions_columns_and_versions(command, own_lake):
    said = command(
        "run metallicity_gradients -i stars=stars@dr1 -w 'logg > 2.5' --region 'box(0, 180, -90, 90)' "
        "--column stars.feh_err=feh_err "
        f"-p bins=1 --cluster synchronous --output narrowed --json --lake '{own_lake.url}'"
    )
    assert said.status == 0, said.err
    record = json.loads(said.out)
    given = record["inputs"]["stars"]
    assert given["where"] == "logg > 2.5"
    assert given["region"].startswith("box(")
    expected = own_lake["stars"].table(where="logg > 2.5 AND ra < 180").collect().height
    assert record["rows"]["in"] == expected


def test_a_dry_run_tells_blocks_tasks_and_bytes_and_does_nothing(command, own_lake):
    before = own_lake.number
    said = command(f"{GRADIENT} --output never --dry-run --lake '{own_lake.url}'")
    assert said.status == 0, said.err
    assert all(word in said.out for word in ("blocks", "tasks", "reads", "Nothing was run"))
    plan = json.loads(command(f"{GRADIENT} --output never --dry-run --json --lake '{own_lake.url}'").out)
    assert plan["action"] == "new"
    assert plan["rows"] == 600
    assert own_lake.number == before
    assert "never" not in own_lake


def test_runs_lists_them_and_show_tells_one(command, in_lake, run_id, own_lake):
    assert run_id in in_lake("runs").out
    assert run_id in [record["id"] for record in json.loads(in_lake("runs --json").out)]
    said = command(f"runs show {run_id} --lake '{own_lake.url}'")
    assert "metallicity_gradients" in said.out
    assert "stars as in catalog" in said.out
    assert (
        json.loads(command(f"runs show {run_id} --json --lake '{own_lake.url}'").out)["state"]
        == "succeeded with caveats"
    )
    assert command(f"runs --lake '{own_lake.url}' show {run_id}").status == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("run metallicity_gradient --input stars", "unknown-analysis"),
        ("run metallicity_gradients --input strs=stars", "bad-parameter"),
        ("run metallicity_gradients --input stars=strs", "dataset-not-found"),
        ("run metallicity_gradients --input stars=stars@99", "version-not-found"),
        ("run metallicity_gradients --input stars=spectra", "missing-column"),
        ("run metallicity_gradients --input stars=stars -p bins=0", "bad-parameter"),
        ("run metallicity_gradients --input stars=stars -p binz=3", "bad-parameter"),
        ("run metallicity_gradients --input stars=stars --where 'logg >'", "bad-where"),
        ("run metallicity_gradients --input stars=stars --region 'ball(1, 2)'", "bad-region"),
        ("run metallicity_gradients --input stars=stars --cluster nonsense", "no-cluster"),
        ("run metallicity_gradients --input stars=stars --output ../x", "name-refused"),
        ("runs show nonsense", "run-not-found"),
    ],
)
def test_what_does_not_fit_is_told_by_its_code_and_changes_nothing(in_lake, own_lake, arguments, code):
    before = own_lake.number
    said = in_lake(arguments)
    assert said.status == 1
    assert said.err.startswith(f"Error [{code}]: ")
    assert own_lake.number == before


def test_a_condition_for_an_input_that_is_not_given_is_refused(in_lake):
    said = in_lake("run metallicity_gradients --input stars --where stars='feh <'")
    assert "bad-where" in said.err


def test_an_interrupted_run_says_how_to_go_on(command, own_lake, monkeypatch):
    def interrupted(*_, **__):
        stop = KeyboardInterrupt()
        stop.add_note("Run 7 is cancelled. What is finished is kept: run it again to go on.")
        raise stop

    monkeypatch.setattr("hven.compute.run", interrupted)
    said = command(f"{GRADIENT} --output stopped --lake '{own_lake.url}'")
    assert (said.status, said.out) == (130, "")
    assert "run it again to go on" in said.err


def test_show_tells_which_listener_failed_at_what(in_lake, own_lake):
    import hven
    from hven.plugins import plugins

    class Deaf:
        @hven.hookimpl
        def hven_run_finished(self, run):
            raise OSError("no line")

    plugins().register(Deaf(), "deaf")
    try:
        said = in_lake("run red_clump_distances --input stars=stars --cluster synchronous --output unheard")
    finally:
        plugins().unregister("deaf")
    assert said.status == 0
    assert "deaf failed at hven_run_finished: OSError: no line" in said.out
    newest = hven.compute.runs(own_lake)[0]
    assert "OSError: no line" in in_lake(f"runs show {newest.id}").out
