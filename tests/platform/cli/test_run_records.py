"""What the command says of runs that there are, and does with them."""

import json

import pytest
import xarray as xr

import hven
import trial_analyses as trial
from hven.compute.presence import present
from simulated import make_stars


@pytest.fixture
def lake(tmp_path):
    """Return a lake with three runs: one cancelled, one partial, one that has succeeded."""
    lake = hven.create(tmp_path / "lake")
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 600))
    (tmp_path / "calls").mkdir()
    folder = {"folder": str(tmp_path / "calls")}
    how = {"cluster": "synchronous", "block_rows": 100}
    with pytest.raises(KeyboardInterrupt):
        hven.run(lake, trial.interrupted, {"stars": "stars"}, folder, **how)
    worst = float(lake["stars"].table(["feh"]).collect()["feh"].max()) - 1e-9
    hven.run(lake, trial.fragile, {"stars": "stars"}, folder | {"worst": worst}, **how)
    hven.run(lake, trial.halves, {"stars": "stars"}, **how)
    return lake


@pytest.fixture
def say(command, lake):
    return lambda text: command(f"{text} --lake '{lake.url}'")


def run_of(lake, analysis):
    return next(run for run in hven.runs(lake) if run.analysis == analysis)


def test_runs_lists_states_and_objects(say):
    told = {record["analysis"]["name"]: record for record in json.loads(say("runs --json").out)}
    assert [told[name]["state"] for name in ("interrupted", "fragile", "halves")] == [
        "cancelled",
        "partial",
        "succeeded",
    ]
    assert told["interrupted"]["objects"] == {"of": 600, "done": 200, "set_aside": 0, "left": 400}
    assert "200 of 600" in say("runs").out
    assert "599 of 600" in say("runs").out


def listed_objects(say, analysis):
    """Return the state and what stands under "objects" in the line of a run."""
    head, *lines = (line for line in say("runs").out.splitlines() if line.strip())
    end = head.index("objects") + len("objects")
    (line,) = (line for line in lines if f" {analysis} " in line)
    return line[head.index("objects") - 8 : end].strip()


def test_runs_counts_the_objects_that_went_in_and_not_the_rows_that_came_out(say, lake):
    how = {"cluster": "synchronous", "progress": False}
    run = hven.run(lake, trial.cumulated, {"stars": hven.select("stars", where="feh < 0")}, **how)
    below = lake["stars"].table(["feh"], where="feh < 0").collect().height
    assert 0 < below < 600
    assert run.rows == {"in": below, "out": 901}
    assert listed_objects(say, "cumulated") == str(below)
    assert f"{below} in, 901 rows out" in " ".join(say(f"runs show {run.id}").out.split())
    assert listed_objects(say, "halves") == "600"
    show = say(f"runs show {run_of(lake, 'halves').id}").out
    assert "600 in, 600 out" in " ".join(show.split())


def test_of_a_run_of_everything_at_once_that_failed_all_objects_are_left(say, lake):
    with pytest.raises(hven.errors.TooFewObjectsError):
        hven.run(lake, trial.cumulated, {"stars": "stars"}, {"least": 10_000}, cluster="synchronous", progress=False)
    run = run_of(lake, "cumulated")
    assert run.objects == {"of": 600, "done": 0, "set_aside": 0, "left": 600}
    assert listed_objects(say, "cumulated") == "0 of 600"
    assert "failed: of 600 objects, all at once" in say(f"runs show {run.id}").out


def test_a_run_without_objects_lists_none(say, lake):
    with lake.transaction() as tx:
        tx.write("scale", xr.Dataset({"weights": ("layer", [1.0, 2.0])}), kind="model")
    run = hven.run(lake, trial.weighed, {"scale": "scale"}, cluster="synchronous", progress=False)
    assert run.rows == {"in": 0, "out": 1}
    assert listed_objects(say, "weighed") == ""


def test_show_tells_how_a_run_stands_in_objects_and_what_to_do(say, lake):
    run = run_of(lake, "fragile")
    said = say(f"runs show {run.id}").out
    assert "partial: 599 of 600 objects; 1 set aside: analysis 'fragile' raised ValueError" in said
    assert f"'hven runs retry {run.id}' tries again what was set aside." in said
    ((object_id, _),) = run.failures[0]["objects"]
    assert str(object_id) in said
    assert "log.jsonl" in said
    account = json.loads(say(f"runs show {run.id} --json").out)["account"]
    assert account["objects"] == {"of": 600, "done": 599, "set_aside": 1, "left": 0}
    assert account["set_aside"][0]["cause"] == "data"


def test_retry_tries_what_was_set_aside_and_its_status_tells_whether_all_is_well(say, lake, tmp_path):
    run = run_of(lake, "fragile")
    calls = len(list((tmp_path / "calls").iterdir()))
    said = say(f"runs retry {run.id} --cluster synchronous")
    assert (said.status, len(list((tmp_path / "calls").iterdir())) > calls) == (1, True)
    assert "partial" in said.out
    (tmp_path / "mended").touch()
    said = say(f"runs retry {run.id} --cluster synchronous --json")
    assert (said.status, json.loads(said.out)["state"]) == (0, "succeeded")
    assert lake["fragile"].table().collect().height == 600
    assert say(f"runs retry {run.id} --cluster synchronous").err.startswith("Error [run-state]: ")


def test_resume_goes_on_with_a_cancelled_run(say, lake):
    run = run_of(lake, "interrupted")
    said = say(f"runs resume {run.id} --cluster synchronous")
    assert said.status == 0
    assert "succeeded: 600 of 600 objects" in said.out
    assert "in 2 attempts" in said.out
    assert "Error [run-state]" in say(f"runs resume {run.id} --cluster synchronous").err


def test_an_interrupted_resume_says_how_to_go_on(say, lake, monkeypatch):
    def interrupted(*_, **__):
        stop = KeyboardInterrupt("SIGTERM")
        stop.add_note("What is finished is kept: 'hven runs resume 7'.")
        raise stop

    monkeypatch.setattr("hven.compute.going_on.carry_out", interrupted)
    said = say(f"runs resume {run_of(lake, 'interrupted').id}")
    assert (said.status, said.out) == (143, "")
    assert "hven runs resume 7" in said.err


def test_cancel_says_what_was_done_and_how_to_go_on(say, lake):
    run = run_of(lake, "interrupted")
    said = say(f"runs cancel {run.id}")
    assert (said.status, f"'hven runs resume {run.id}' goes on with it." in said.out) == (0, True)
    assert "cancelled: 200 of 600 objects; 400 left" in said.out
    assert json.loads(say(f"runs cancel {run.id} --json").out)["state"] == "cancelled"
    assert "Error [run-state]" in say(f"runs cancel {run_of(lake, 'halves').id}").err


def test_cancel_does_not_wait_longer_than_its_patience(say, lake):
    run = run_of(lake, "interrupted")
    run.record["state"] = "running"
    run.save()
    with present(lake.store, run.folder) as presence:
        presence.close()  # It does not heed requests any more.
        said = say(f"runs cancel {run.id} --patience 0.2")
    assert said.status == 1
    assert "asked to stop" in said.out
    assert json.loads(say(f"runs show {run.id} --json").out)["state"] == "interrupted"
