"""Runs are told in objects, and are shown, resumed, retried and cancelled."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager

import polars as pl
import pytest

import hven
import trial_analyses as trial
import trial_failures
from dying import processes, run_held
from hven import errors
from hven.compute.presence import ask_to_stop, present, who_is_present

STARS = {"stars": "stars"}
SCRIPT = """
    import sys, hven, trial_failures
    if __name__ == "__main__":
        lake, parameters = hven.open(sys.argv[1]), {"folder": sys.argv[2]}
        hven.run(lake, trial_failures.held, {"stars": "stars"}, parameters, workers=1, block_rows=300)
"""


@pytest.fixture
def start(tmp_path, survey, calls):
    """Start a run of 20 blocks in a process of its own; it comes as far as this many calls, and waits in the next."""
    started = []

    def begin(until, analysis="held"):
        seen = len(list(calls.iterdir()))
        trial_failures.hold(calls, seen + until)
        told = tmp_path / f"told {len(started)}.txt"
        process = processes().Process(target=run_held, args=(survey.url, analysis, str(calls), str(told)))
        process.start()
        process.told = told.read_text
        started.append(process)
        wait_for(lambda: len(list(calls.iterdir())) > seen + until or not process.is_alive())
        return process

    yield begin
    for process in started:
        process.kill()
        process.join()


def end(process, number=None):
    """Wait for the end of a process, after a signal if one is given, and return what it said."""
    if number is not None:
        os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode, "it ends, and badly"
    return process.told()


def wait_for(happened, seconds=120):
    for _ in range(int(seconds / 0.02)):
        if happened():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def resumed(lake, run):
    """Go on with a run, which nobody holds any more."""
    if "folder" in run.parameters:
        trial_failures.let_go(run.parameters["folder"])
    return hven.resume(lake, run.id, cluster="synchronous")


def more_of(lake):
    return lake["stars"].table().collect().head(9).with_columns(object_id=pl.int_range(9, dtype=pl.Int64))


def is_as_undisturbed(lake):
    stars = lake["stars"].table().collect().select("object_id", doubled=2 * pl.col("feh")).sort("object_id")
    return lake["held"].table(["object_id", "doubled"]).collect().sort("object_id").equals(stars)


def worst_of(lake, block_rows, count):
    """Return a metallicity above which there are objects in exactly so many blocks."""
    source = lake["stars"].source
    highest = sorted(source.read(block, ["feh"])["feh"].max() for block in source.blocks(block_rows))
    return (highest[-count - 1] + highest[-count]) / 2


def test_a_killed_run_is_interrupted_and_resumes(survey, start, calls):
    process = start(until=6)
    running = hven.runs(survey)[0]
    assert running.state == "running"
    assert who_is_present(survey.store, running.folder).endswith(f":{process.pid}")
    for go_on in (hven.resume, hven.retry):
        with pytest.raises(errors.RunStateError, match="under way"):
            go_on(survey, running.id)
    # A process that nobody has waited for is dead all the same.
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: hven.runs(survey)[0].state == "interrupted")
    process.join()
    run = hven.runs(survey)[0]
    account = run.account()
    done = account.objects["done"]
    assert account.told == f"interrupted: {done:,} of 5,700 objects; {5_700 - done:,} left"
    assert done == 300 * account.blocks["done"] > 0
    assert str(process.pid) in account.cause
    assert f"hven runs resume {run.id}" in account.next_step
    with pytest.raises(errors.RunStateError, match="has not come to its end: interrupted"):
        hven.retry(survey, run.id)

    with survey.transaction("meanwhile") as tx:
        tx.append("stars", more_of(survey))
    ended = resumed(survey, run)
    assert (ended.id, ended.state, ended.blocks["reused"]) == (run.id, "succeeded", account.blocks["done"])
    account = ended.account()
    assert (account.told, account.attempts) == ("succeeded: 5,700 of 5,700 objects", 2)
    assert (account.cause, account.next_step) == ("", "")
    # It is of the data as they were when it began; the result follows them afterwards.
    assert [status.name for status in hven.status(survey) if status.is_stale] == ["held"]
    (updated,) = hven.update(survey, cluster="synchronous")
    assert (updated.update["kept"], updated.rows["out"]) == (20, 5_709)
    assert is_as_undisturbed(survey)


def test_control_c_and_sigterm_leave_a_run_that_resumes_with_the_same_result(survey, start):
    for number in (signal.SIGINT, signal.SIGTERM):
        told = end(start(until=4), number)
        run = hven.runs(survey)[0]
        assert run.state == "cancelled"
        assert f"hven runs resume {run.id}" in told
        assert run.account().cause.startswith(number.name)
    assert len(hven.runs(survey)) == 1
    done = resumed(survey, run)
    assert (done.state, done.record["attempts"]) == ("succeeded", 3)
    assert is_as_undisturbed(survey)


@pytest.mark.parametrize("how", ["terminal", pytest.param("cancel", marks=pytest.mark.slow)])
def test_a_run_on_workers_is_stopped_by_the_terminal_and_from_elsewhere_and_resumes(survey, calls, tmp_path, how):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT))
    trial_failures.hold(calls, 4)
    command = [sys.executable, str(path), survey.url, str(calls)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, start_new_session=True) as process:
        wait_for(lambda: len(list(calls.iterdir())) > 4 or process.poll() is not None)
        assert process.poll() is None, process.stderr.read().decode()
        if how == "terminal":
            # As the terminal does it: all processes are told, the workers, too.
            os.killpg(process.pid, signal.SIGINT)
        else:
            assert hven.cancel(survey, hven.runs(survey)[0].id).state == "cancelled"
        trial_failures.let_go(calls)
        told = process.communicate(timeout=60)[1].decode()
    run = hven.runs(survey)[0]
    assert (run.state, run.failures, run.blocks["failed"]) == ("cancelled", [], 0)
    assert f"hven runs resume {run.id}" in told
    assert resumed(survey, run).state == "succeeded"
    assert is_as_undisturbed(survey)


def test_a_run_is_cancelled_from_another_process_in_the_middle_of_a_long_block(survey, start):
    process = start(until=3)
    cancelled = hven.cancel(survey, hven.runs(survey)[0].id)
    told = end(process)
    assert cancelled.state == "cancelled"
    assert "RunCancelledError" in told
    assert f"by {cancelled.record['cancelled']['by']}" in cancelled.account().cause
    assert who_is_present(survey.store, cancelled.folder) == ""
    assert not survey.store.list(f"{cancelled.folder}/presence")
    assert hven.cancel(survey, cancelled.id).record == hven.runs(survey)[0].record, "a second time changes nothing"
    assert resumed(survey, cancelled).state == "succeeded"
    assert is_as_undisturbed(survey)


def test_an_analysis_of_everything_at_once_is_cancelled_too(survey, start):
    process = start(until=0, analysis="held_mean")
    cancelled = hven.cancel(survey, hven.runs(survey)[0].id)
    end(process)
    assert (cancelled.state, "held_mean" in survey) == ("cancelled", False)
    assert cancelled.account().told == "cancelled: of 5,700 objects, all at once"
    assert resumed(survey, cancelled).state == "succeeded with caveats"


def test_a_run_in_a_thread_is_cancelled_between_two_blocks(survey, calls, monkeypatch):
    raised, presences = [], []

    @contextmanager
    def watched(store, folder):
        with present(store, folder) as presence:
            presences.append(presence)
            yield presence

    def run():
        try:
            hven.run(survey, trial_failures.held, STARS, {"folder": str(calls)}, cluster="synchronous", block_rows=300)
        except errors.RunCancelledError as error:
            raised.append(error)

    monkeypatch.setattr("hven.compute.runner.present", watched)
    trial_failures.hold(calls, 3)
    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: len(list(calls.iterdir())) > 3)
    assert hven.cancel(survey, hven.runs(survey)[0].id, patience=0.0).state == "running"
    wait_for(lambda: presences[0].request)
    # The block at hand is brought to its end, and no other is begun.
    trial_failures.let_go(calls)
    thread.join()
    cancelled = hven.runs(survey)[0]
    assert (cancelled.state, raised[0].code) == ("cancelled", "run-cancelled")
    assert (len(list(calls.iterdir())), cancelled.blocks["done"]) == (4, 4)
    assert resumed(survey, cancelled).rows["out"] == 5_700


def test_a_dead_run_is_marked_as_cancelled_and_resumes(survey, start):
    end(start(until=3), signal.SIGKILL)
    run = hven.cancel(survey, hven.runs(survey)[0].id)
    assert (run.state, hven.runs(survey)[0].state) == ("cancelled", "cancelled")
    assert resumed(survey, run).state == "succeeded"


def test_a_request_to_stop_that_was_meant_for_an_earlier_attempt_stops_no_later_one(survey, calls):
    with pytest.raises(KeyboardInterrupt):
        hven.run(survey, trial.interrupted, STARS, {"folder": str(calls)}, cluster="synchronous", block_rows=1_000)
    run = hven.runs(survey)[0]
    ask_to_stop(survey.store, run.folder)
    assert resumed(survey, run).state == "succeeded"


def test_what_was_set_aside_is_told_in_objects_and_tried_again_alone(survey, calls):
    parameters = {"folder": str(calls), "worst": worst_of(survey, 400, 2)}
    run = hven.run(survey, trial.fragile, STARS, parameters, cluster="synchronous", block_rows=400)
    account = hven.open_run(survey, run.id).account()
    aside = sum(failure["rows"] for failure in run.failures)
    assert run.state == "partial"
    assert account.told.startswith(f"partial: {5_700 - aside:,} of 5,700 objects; {aside} set aside: ")
    assert account.objects == {"of": 5_700, "done": 5_700 - aside, "set_aside": aside, "left": 0} == run.objects
    assert {one.cause for one in account.set_aside} == {"data"}
    told = {(block, *ends) for one in account.set_aside for block, ends in zip(one.blocks, one.ranges, strict=True)}
    assert told == {(failure["block"], failure["first"], failure["last"]) for failure in run.failures}
    assert f"hven runs retry {run.id}" in account.next_step
    json.dumps(account.to_json())
    with pytest.raises(errors.RunStateError, match="retry"):
        resumed(survey, run)

    made = len(list(calls.iterdir()))
    (calls.parent / "mended").touch()
    again = hven.retry(survey, run.id, cluster="synchronous")
    assert (again.id, again.state, len(list(calls.iterdir()))) == (run.id, "succeeded", made + 2)
    assert survey["fragile"].table().collect()["object_id"].n_unique() == 5_700
    for go_on in (hven.resume, hven.retry, hven.cancel):
        with pytest.raises(errors.RunStateError, match="has ended: succeeded"):
            go_on(survey, run.id)


def test_conditions_count_no_object_that_was_not_asked_for(survey, calls):
    giants = {"stars": hven.select("stars", where="feh > 0")}
    parameters = {"folder": str(calls), "worst": worst_of(survey, 400, 1)}
    run = hven.run(survey, trial.fragile, giants, parameters, cluster="synchronous", block_rows=400)
    objects = run.account().objects
    asked = survey["stars"].table(where="feh > 0").collect().height
    assert objects == {"of": asked, "done": run.rows["out"], "set_aside": asked - run.rows["out"], "left": 0}


def test_a_run_whose_result_was_replaced_does_not_go_on(survey, calls):
    with pytest.raises(KeyboardInterrupt):
        hven.run(survey, trial.interrupted, STARS, {"folder": str(calls)}, cluster="synchronous", block_rows=1_000)
    old = hven.runs(survey)[0]
    with survey.transaction("more") as tx:
        tx.append(
            "stars", survey["stars"].table().collect().head(9).with_columns(object_id=pl.int_range(9, dtype=pl.Int64))
        )
    newer = hven.run(survey, trial.interrupted, STARS, {"folder": str(calls)}, cluster="synchronous")
    with pytest.raises(errors.RunStateError, match=f"made by run {newer.id}"):
        resumed(survey, old)


def test_a_run_of_another_version_of_its_analysis_does_not_go_on(survey, calls):
    with pytest.raises(KeyboardInterrupt):
        hven.run(survey, trial.interrupted, STARS, {"folder": str(calls)}, cluster="synchronous", block_rows=1_000)
    run = hven.runs(survey)[0]
    newer = hven.analysis(
        stars=hven.Table(feh="dex", visits=""), produces={"doubled": "dex"}, per_object=True, version="2"
    )(trial.interrupted.function)
    with pytest.raises(errors.RunStateError, match="now version 2"):
        hven.resume(survey, run.id, analysis=newer, cluster="synchronous")


def test_the_result_of_a_resumed_run_keeps_its_recipe(survey, calls):
    asked = (survey, trial.interrupted, {"stars": hven.select("stars", where="feh > -9")}, {"folder": str(calls)})
    with pytest.raises(KeyboardInterrupt):
        hven.run(*asked, cluster="synchronous", block_rows=1_000)
    assert resumed(survey, hven.runs(survey)[0]).state == "succeeded"
    assert hven.plan(*asked).action == "nothing"
    assert [status.causes for status in hven.status(survey)] == [()]


def test_an_update_that_was_interrupted_resumes_as_an_update(survey, calls):
    asked = (survey, trial.interrupted, STARS, {"folder": str(calls)})
    first = hven.run(*asked, cluster="synchronous", block_rows=5_000)
    with survey.transaction("more") as tx:
        tx.append("stars", more_of(survey))
    with pytest.raises(KeyboardInterrupt):
        hven.run(*asked, cluster="synchronous")
    (broken,) = [run for run in hven.runs(survey) if run.id != first.id]
    assert broken.account().objects == {"of": 5_709, "done": 5_700, "set_aside": 0, "left": 9}
    done = resumed(survey, broken)
    assert (done.id, done.state, done.update["before"]) == (broken.id, "succeeded", first.id)
    assert (done.update["kept"], done.update["computed"], done.rows["out"]) == (2, 1, 5_709)


def test_a_record_of_an_older_hven_has_an_account_too(survey):
    run = hven.run(survey, trial.doubled, STARS, cluster="synchronous")
    for state, told in (("running", "interrupted"), ("succeeded", "succeeded")):
        for key in ("objects", "candidates", "tries", "workers_lost", "said", "by", "cancelled", "asked"):
            run.record.pop(key, None)
        run.record["state"] = state
        run.save()
        account = hven.open_run(survey, run.id).account()
        assert account.told.startswith(f"{told}: 5,700 of 5,700 objects")


def test_what_an_analysis_says_of_its_result_makes_it_one_with_caveats(survey):
    parameters = {"worst": worst_of(survey, 400, 1)}
    run = hven.run(survey, trial_failures.cautious, STARS, parameters, cluster="synchronous", block_rows=400)
    assert (run.state, run.is_complete) == ("succeeded with caveats", True)
    assert run.account().told == "succeeded with caveats: 5,700 of 5,700 objects; Some are beyond the calibration."
    assert any(caveat.startswith("Some are beyond the calibration. (") for caveat in run.caveats)
    assert hven.plan(survey, trial_failures.cautious, STARS, parameters).action == "nothing"
    folder = survey.url
    whole = hven.run(survey, trial_failures.held_mean, STARS, {"folder": folder}, cluster="synchronous")
    assert whole.state == "succeeded with caveats"
    assert whole.account().told == "succeeded with caveats: of 5,700 objects, all at once"
