"""What fails is contained, told and can be tried again."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import timedelta

import polars as pl
import pytest

import hven
import trial_analyses as trial
from hven import errors
from hven.compute import open_run, runs
from hven.lake.store import Store


def worst_of(lake, block_rows, count):
    """Return a metallicity above which there are objects in exactly so many blocks."""
    source = lake["stars"].source
    highest = sorted(source.read(block, ["feh"])["feh"].max() for block in source.blocks(block_rows))
    return (highest[-count - 1] + highest[-count]) / 2


def doubled(lake, where=None):
    stars = lake["stars"].table(where=where).collect()
    return stars.select("object_id", (2 * pl.col("feh")).alias("doubled")).sort("object_id")


@pytest.mark.parametrize("clustered", ["synchronous", "workers"])
def test_a_block_that_fails_harms_no_other_and_is_tried_again(survey, calls, clustered, request):
    cluster = request.getfixturevalue("workers") if clustered == "workers" else clustered
    parameters = {"folder": str(calls), "worst": worst_of(survey, 400, 2)}
    run = hven.run(survey, trial.fragile, {"stars": "stars"}, parameters, cluster=cluster, block_rows=400)
    assert (run.state, run.blocks["failed"], run.blocks["done"]) == ("partial", 2, 13)
    assert "2 of 15 blocks failed" in run.caveats[0]
    failure = run.failures[0]
    assert failure["code"] == "run-failed"
    assert "cannot be" in failure["what"]
    ids = survey["stars"].source.read(survey["stars"].blocks(400)[failure["block"]], ["object_id"])["object_id"]
    assert (failure["first"], failure["rows"]) == (failure["last"], 1)
    assert failure["first"] in ids
    assert [object_id for object_id, _ in failure["objects"]] == [failure["first"]]
    entry = survey["fragile"].entry
    assert [missing["block"] for missing in entry.provenance["missing"]] == sorted(f["block"] for f in run.failures)
    lost = sum(f["rows"] for f in run.failures)
    assert entry.counts.rows == 5_700 - lost
    assert next(s.causes for s in hven.status(survey) if s.name == "fragile") == ("2 of 15 blocks failed",)

    made = len(list(calls.iterdir()))
    (calls.parent / "mended").touch()
    planned = hven.plan(survey, trial.fragile, {"stars": "stars"}, parameters)
    assert (planned.action, planned.run, planned.tasks, planned.done) == ("retry", run.id, 2, 13)
    again = hven.run(survey, trial.fragile, {"stars": "stars"}, parameters, cluster=cluster)
    assert (again.id, again.state, again.blocks["reused"], again.caveats) == (run.id, "succeeded", 13, [])
    assert len(list(calls.iterdir())) == made + 2
    assert survey["fragile"].table(["object_id", "doubled"]).collect().sort("object_id").equals(doubled(survey))
    ids = survey["fragile"].table(["object_id"]).collect()
    assert ids.equals(survey["stars"].table(["object_id"]).collect())
    assert survey.at(run.commit)["fragile"].table().collect().height == 5_700 - lost


def test_arrays_that_fail_in_part_are_tried_again(survey, calls):
    flux = survey["spectra"].dataset(["flux"]).flux.compute()
    parameters = {"folder": str(calls), "worst": float(flux.max()) - 1e-3}
    run = hven.run(survey, trial.smoothed, {"spectra": "spectra"}, parameters, cluster="synchronous", block_rows=64)
    assert (run.state, run.blocks["failed"]) == ("partial", 1)
    before = run.result.entry.counts.rows
    (calls.parent / "mended").touch()
    made = len(list(calls.iterdir()))
    again = hven.run(survey, trial.smoothed, {"spectra": "spectra"}, parameters, cluster="synchronous", block_rows=64)
    assert (again.id, again.state, len(list(calls.iterdir()))) == (run.id, "succeeded", made + 1)
    got = again.result.dataset().compute()
    assert before < 300
    assert (got.object_id == survey["spectra"].dataset(["object_id"]).object_id).all()


def test_nothing_is_published_when_every_block_fails(survey, calls):
    before = survey.number
    with pytest.raises(errors.RunFailedError, match=r"15 of 15 blocks failed.*a metallicity of"):
        hven.run(
            survey,
            trial.fragile,
            {"stars": "stars"},
            {"folder": str(calls), "worst": -10.0},
            cluster="synchronous",
            block_rows=400,
        )
    run = runs(survey)[0]
    assert (run.state, run.commit, survey.number) == ("failed", None, before)
    assert len(run.failures) == 15
    journal = b"".join(survey.store.get(key) for key in survey.store.list(f"{run.folder}/journal"))
    assert journal.count(b"Traceback") == 15


def test_a_result_that_has_lost_objects_is_refused(survey):
    with pytest.raises(errors.RunFailedError, match=r"the result has 999 objects"):
        hven.run(survey, trial.short, {"stars": "stars"}, cluster="synchronous", block_rows=1_000)
    run = runs(survey)[0]
    assert {failure["code"] for failure in run.failures} == {"result-refused"}


def test_a_result_that_is_of_another_type_in_one_block_is_refused_there(survey):
    parameters = {"worst": worst_of(survey, 1_000, 2)}
    run = hven.run(survey, trial.fickle, {"stars": "stars"}, parameters, cluster="synchronous", block_rows=1_000)
    assert run.blocks["failed"] in {2, 4}
    assert all("other columns or types" in failure["what"] for failure in run.failures)


def test_a_block_that_kills_its_workers_is_set_aside(survey):
    worst = worst_of(survey, 400, 1)
    run = hven.run(survey, trial.deadly, {"stars": "stars"}, {"worst": worst}, workers=2, block_rows=400)
    assert (run.state, run.blocks["failed"], run.blocks["done"]) == ("partial", 1, 14)
    assert "worker died" in run.failures[0]["what"]
    assert "block_rows" in run.failures[0]["hint"]


def test_a_run_that_is_interrupted_says_so_and_goes_on(survey, calls):
    asked = (trial.interrupted, {"stars": "stars"}, {"folder": str(calls)})
    with pytest.raises(KeyboardInterrupt) as stopped:
        hven.run(survey, *asked, cluster="synchronous", block_rows=1_000)
    run = runs(survey)[0]
    assert (run.state, run.blocks["done"], "interrupted" in survey) == ("cancelled", 2, False)
    assert run.id in stopped.value.__notes__[0]
    again = hven.run(survey, *asked, cluster="synchronous", block_rows=9)
    assert (again.id, again.state, again.blocks) == (
        run.id,
        "succeeded",
        {"total": 6, "done": 6, "empty": 0, "failed": 0, "reused": 2},
    )
    assert len(list(calls.iterdir())) == 7


def test_control_c_on_workers_leaves_a_run_that_goes_on(survey, calls, tmp_path):
    script = """
        import sys, hven, trial_analyses
        if __name__ == "__main__":
            lake = hven.open(sys.argv[1])
            hven.run(lake, trial_analyses.doubled, {"stars": "stars"}, {"folder": sys.argv[2], "seconds": 0.2},
                     workers=1, block_rows=300, checkpoint_seconds=0.5)
    """
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(script))
    command = [sys.executable, path, survey.url, str(calls)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "tests"}) as process:
        wait_for(lambda: len(list(calls.iterdir())) >= 5)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1].decode()
    run = runs(survey)[0]
    assert process.returncode != 0
    assert "run it again to go on" in told
    assert run.state == "cancelled"
    assert 1 <= run.blocks["done"] < 20
    parameters = {"folder": str(calls), "seconds": 0.2}
    again = hven.run(survey, trial.doubled, {"stars": "stars"}, parameters, cluster="synchronous")
    assert (again.id, again.state, again.blocks["reused"]) == (run.id, "succeeded", run.blocks["done"])


@pytest.mark.parametrize("after", [1, 3])
def test_a_store_that_fails_in_the_middle_leaves_a_run_that_goes_on(survey, calls, monkeypatch, after):
    asked = (survey, trial.doubled, {"stars": "stars"}, {"folder": str(calls)})
    before, create = survey.number, Store.create

    def fail(store, key, content):
        if "/journal/" in key and key.endswith(f"{after:08d}.json"):
            raise errors.StorageError("the disk is full", hint="Free space.")
        create(store, key, content)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "create", fail)
        with pytest.raises(errors.StorageError, match="full"):
            hven.run(*asked, cluster="synchronous", block_rows=400, checkpoint_blocks=2)
    assert (survey.number, runs(survey)[0].state) == (before, "failed")
    again = hven.run(*asked, cluster="synchronous")
    assert (again.state, again.blocks["reused"]) == ("succeeded", 2 * after)
    assert len(list(calls.iterdir())) == 15 + 2


def test_what_retention_took_from_an_unfinished_run_is_computed_again(survey, calls):
    stars = {"stars": "stars"}
    with pytest.raises(KeyboardInterrupt):
        hven.run(survey, trial.interrupted, stars, {"folder": str(calls)}, cluster="synchronous", block_rows=1_000)
    cancelled = runs(survey)[0]
    (place,) = cancelled.record["places"].values()
    survey.store.delete(survey.store.list(f"{place}/table")[0])
    again = hven.run(survey, trial.interrupted, stars, {"folder": str(calls)}, cluster="synchronous")
    assert (again.id, again.state, again.blocks["reused"], again.rows["out"]) == (cancelled.id, "succeeded", 1, 5_700)
    assert survey["interrupted"].table().collect()["object_id"].n_unique() == 5_700


def test_retention_keeps_what_runs_published(survey):
    for analysis, given in ((trial.doubled, {"stars": "stars"}), (trial.smoothed, {"spectra": "spectra"})):
        hven.run(survey, analysis, given, cluster="synchronous", block_rows=100)
    with survey.transaction() as tx:
        tx.describe("stars", title="Stars")
    removed = survey.vacuum(keep=1, grace=timedelta(0), dry_run=False)
    assert removed.places == ()
    assert survey["doubled"].table().collect().height == 5_700
    assert survey["smoothed"].dataset().compute().sizes["object"] == 300


def test_the_same_run_is_not_made_twice_at_once(survey):
    key = hven.compute.request.make_request(survey, trial.doubled, {"stars": "stars"}, None, None, None).key
    with survey.lock(f"run-{key[:16]}"), pytest.raises(errors.RunBusyError):
        hven.run(survey, trial.doubled, {"stars": "stars"}, cluster="synchronous")
    assert runs(survey) == []


def test_a_listener_that_raises_is_noted_and_stops_nothing(survey):
    from hven.plugins import plugins

    class Bad:
        @hven.hookimpl
        def hven_block_done(self, run, block):
            raise RuntimeError("deaf")

    registry = plugins()
    registry.register(Bad(), "bad-listener")
    try:
        run = hven.run(survey, trial.doubled, {"stars": "stars"}, cluster="synchronous", block_rows=1000)
    finally:
        registry.unregister("bad-listener")
    assert run.state == "succeeded"
    told = [line for line in open_run(survey, run.id).record["log"] if line["event"] == "listener-failed"]
    assert told[0]["plugin"] == "bad-listener"
    assert "deaf" in told[0]["what"]
    assert len(told) == 1, "once, however many blocks"


def wait_for(happened, seconds=60):
    for _ in range(int(seconds / 0.05)):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")
