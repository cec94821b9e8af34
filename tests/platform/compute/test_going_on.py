"""Runs are told in objects, and are shown, resumed, retried and cancelled."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import polars as pl
import pytest

import hven
import trial_analyses as trial
import trial_failures
from hven import errors
from hven.compute.presence import ask_to_stop, who_is_present

STARS = {"stars": "stars"}
SCRIPT = """
    import sys, hven, trial_analyses, trial_failures
    if __name__ == "__main__":
        lake, name, seconds, cluster = hven.open(sys.argv[1]), sys.argv[2], float(sys.argv[4]), sys.argv[5]
        analysis = getattr(trial_analyses, name, None) or getattr(trial_failures, name)
        parameters = {"folder": sys.argv[3], "seconds": seconds}
        hven.run(lake, analysis, {"stars": "stars"}, parameters, workers=1, cluster=cluster,
                 block_rows=300 if name == "doubled" else None, checkpoint_seconds=0.1, checkpoint_blocks=2)
"""


@pytest.fixture
def start(tmp_path, survey, calls):
    """Start a run of 20 blocks in a process of its own, and wait until so many calls were made."""
    path, started = tmp_path / "script.py", []
    path.write_text(textwrap.dedent(SCRIPT))

    def begin(seconds, until, analysis="doubled", cluster="synchronous", **how):
        command = [sys.executable, path, survey.url, analysis, calls, str(seconds), cluster]
        environment = os.environ | {"PYTHONPATH": "tests"}
        process = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True, env=environment, **how)
        started.append(process)
        before = len(list(calls.iterdir()))
        wait_for(lambda: len(list(calls.iterdir())) >= before + until or process.poll() is not None)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(happened, seconds=120):
    for _ in range(int(seconds / 0.02)):
        if happened():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def resumed(lake, run):
    return hven.resume(lake, run.id, cluster="synchronous")


def more_of(lake):
    return lake["stars"].table().collect().head(9).with_columns(object_id=pl.int_range(9, dtype=pl.Int64))


def undisturbed(lake, **parameters):
    run = hven.run(lake, trial.doubled, STARS, parameters, output="undisturbed", cluster="synchronous", block_rows=300)
    return run.result.table().collect()


def worst_of(lake, block_rows, count):
    """Return a metallicity above which there are objects in exactly so many blocks."""
    source = lake["stars"].source
    highest = sorted(source.read(block, ["feh"])["feh"].max() for block in source.blocks(block_rows))
    return (highest[-count - 1] + highest[-count]) / 2


def test_a_killed_run_is_interrupted_and_resumes(survey, start, calls):
    process = start(0.03, until=6)
    running = hven.runs(survey)[0]
    assert running.state == "running"
    assert who_is_present(survey.store, running.folder).endswith(f":{process.pid}")
    with pytest.raises(errors.RunStateError, match="under way"):
        resumed(survey, running)
    process.kill()
    # A process that nobody has waited for is dead all the same.
    wait_for(lambda: hven.runs(survey)[0].state == "interrupted")
    process.wait()
    run = hven.runs(survey)[0]
    account = run.account()
    assert account.told.startswith("interrupted: ")
    assert f"{account.objects['done']:,} of 5,700 objects" in account.told
    assert account.objects == {"of": 5_700, "done": account.objects["done"], "set_aside": 0} | {
        "left": 5_700 - account.objects["done"]
    }
    assert account.objects["done"] == 300 * account.blocks["done"] > 0
    assert str(process.pid) in account.cause
    assert f"hven runs resume {run.id}" in account.next_step

    with survey.transaction("meanwhile") as tx:
        tx.append(
            "stars", survey["stars"].table().collect().head(9).with_columns(object_id=pl.int_range(9, dtype=pl.Int64))
        )
    done = resumed(survey, run)
    assert (done.id, done.state, done.blocks["reused"]) == (run.id, "succeeded", account.blocks["done"])
    assert done.account().told == "succeeded: 5,700 of 5,700 objects"
    assert (done.account().attempts, done.account().cause, done.account().next_step) == (2, "", "")
    # It is of the data as they were when it began; the result follows them afterwards.
    assert [status.name for status in hven.status(survey) if status.is_stale] == ["doubled"]
    (updated,) = hven.update(survey, cluster="synchronous")
    assert (updated.update["kept"], updated.rows["out"]) == (20, 5_709)


def test_control_c_and_sigterm_leave_a_run_that_resumes_with_the_same_result(survey, start, calls):
    for number in (signal.SIGINT, signal.SIGTERM):
        process = start(0.03, until=4)
        process.send_signal(number)
        told = process.communicate(timeout=60)[1]
        run = hven.runs(survey)[0]
        assert (process.returncode != 0, run.state) == (True, "cancelled")
        assert f"hven runs resume {run.id}" in told
        assert run.account().cause.startswith(number.name)
    assert len(hven.runs(survey)) == 1
    done = resumed(survey, run)
    assert (done.state, done.record["attempts"]) == ("succeeded", 3)
    assert survey["doubled"].table().collect().equals(undisturbed(survey))


def test_a_terminal_interrupts_workers_too_and_the_run_resumes(survey, start):
    process = start(0.1, until=4, cluster="local", start_new_session=True)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    run = hven.runs(survey)[0]
    assert (run.state, run.failures, run.blocks["failed"]) == ("cancelled", [], 0)
    assert resumed(survey, run).state == "succeeded"
    assert survey["doubled"].table().collect().equals(undisturbed(survey))


def test_a_run_is_cancelled_from_another_process_between_blocks_and_in_the_middle_of_a_long_one(survey, start):
    for seconds, cluster in ((0.05, "synchronous"), (60.0, "synchronous"), (60.0, "local")):
        process = start(seconds, until=1, cluster=cluster)
        cancelled = hven.cancel(survey, hven.runs(survey)[0].id)
        told = process.communicate(timeout=60)[1]
        assert (cancelled.state, process.returncode) == ("cancelled", 1)
        assert "RunCancelledError" in told
        assert f"by {cancelled.record['cancelled']['by']}" in cancelled.account().cause
        assert who_is_present(survey.store, cancelled.folder) == ""
        assert not survey.store.list(f"{cancelled.folder}/presence")
    first = hven.runs(survey)[-1]
    assert hven.cancel(survey, first.id).record == hven.runs(survey)[-1].record, "a second time changes nothing"
    assert resumed(survey, first).state == "succeeded"
    assert survey["doubled"].table().collect().equals(undisturbed(survey))


def test_an_analysis_of_everything_at_once_is_cancelled_too(survey, start):
    process = start(60.0, until=1, analysis="slow_mean")
    cancelled = hven.cancel(survey, hven.runs(survey)[0].id)
    process.communicate(timeout=60)
    assert (cancelled.state, "slow_mean" in survey) == ("cancelled", False)
    assert cancelled.account().told.startswith("cancelled: of 5,700 objects")


def test_a_run_in_a_thread_is_cancelled_between_two_blocks(survey, calls):
    raised = []

    def run():
        parameters = {"folder": str(calls), "seconds": 0.05}
        try:
            hven.run(survey, trial.doubled, STARS, parameters, cluster="synchronous", block_rows=100)
        except errors.RunCancelledError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: len(list(calls.iterdir())) >= 3)
    cancelled = hven.cancel(survey, hven.runs(survey)[0].id)
    thread.join()
    assert (cancelled.state, raised[0].code) == ("cancelled", "run-cancelled")
    assert len(list(calls.iterdir())) < 57
    assert resumed(survey, cancelled).rows["out"] == 5_700


def test_a_dead_run_is_marked_as_cancelled_and_resumes(survey, start):
    process = start(0.03, until=3)
    process.kill()
    process.wait()
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


def test_what_an_analysis_says_of_its_result_makes_it_one_with_caveats(survey):
    parameters = {"worst": worst_of(survey, 400, 1)}
    run = hven.run(survey, trial_failures.cautious, STARS, parameters, cluster="synchronous", block_rows=400)
    assert (run.state, run.is_complete) == ("succeeded with caveats", True)
    assert run.account().told == "succeeded with caveats: 5,700 of 5,700 objects; Some are beyond the calibration."
    assert any(caveat.startswith("Some are beyond the calibration. (") for caveat in run.caveats)
    assert hven.plan(survey, trial_failures.cautious, STARS, parameters).action == "nothing"
    whole = hven.run(survey, trial_failures.slow_mean, STARS, {"folder": str(survey.url)}, cluster="synchronous")
    assert whole.state == "succeeded with caveats"
    assert whole.account().told == "succeeded with caveats: of 5,700 objects, all at once"
