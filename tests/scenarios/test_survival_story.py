"""The story of a bad day: the worker, the client and the scheduler of a run are killed, and nothing is lost."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import hven
import trial_failures as trial
from hven.compute.work import open_journal
from simulated import make_spectra, make_stars

COUNT, BLOCK, ALLOWED, PATIENCE = 6_000, 100, 12, 120
SCRIPT = """
    import sys
    import hven, trial_failures

    if __name__ == "__main__":
        url, address, analysis, given, folder = sys.argv[1:6]
        lake, how = hven.open(url), {"cluster": address, "checkpoint_seconds": 0.1, "checkpoint_blocks": 4}
        unfinished = [run.id for run in hven.runs(lake) if run.state == "interrupted"]
        if unfinished:
            done = hven.resume(lake, unfinished[0], **how)
        else:
            asked = getattr(trial_failures, analysis), {given: given}, {"folder": folder}
            done = hven.run(lake, *asked, block_rows=100, **how)
        print(done.state)
"""


@pytest.fixture
def start(tmp_path):
    """Start a process that imports what this one does; whatever is left of them in the end is killed."""
    started = []
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(trial.__file__).parent), *sys.path])),
        # One worker after the other dies under blocks that are not to blame.
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "10",
    }

    def begin(*arguments):
        path, command = tmp_path / f"process {len(started)}.txt", [sys.executable, *map(str, arguments)]
        with path.open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        process.said = path.read_text
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)


def wait_for(happened, process):
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert process.poll() is None, process.said()
        assert time.monotonic() < deadline, process.said()
        time.sleep(0.02)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["table", pytest.param("arrays", marks=pytest.mark.slow)])
def test_worker_client_and_scheduler_are_killed_and_the_result_is_that_of_a_good_day(tmp_path, start, kind):
    lake = hven.create(tmp_path / "a survey")
    calls, script = tmp_path / "calls", tmp_path / "client.py"
    calls.mkdir()
    script.write_text(textwrap.dedent(SCRIPT))
    make, name = (make_stars, "stars") if kind == "table" else (make_spectra, "spectra")
    analysis = trial.held if kind == "table" else trial.held_spectra
    with lake.transaction() as tx:
        tx.write(name, make(0, COUNT))
    before = lake.number
    file = tmp_path / "scheduler.json"
    host = ("--host", "127.0.0.1", "--no-dashboard")
    scheduler = start("-m", "dask", "scheduler", *host, "--port", "0", "--scheduler-file", file)
    wait_for(lambda: file.exists() and file.read_text().endswith("}"), scheduler)
    address = json.loads(file.read_text())["address"]

    def worker():
        return start("-m", "dask", "worker", address, *host, "--no-nanny", "--nthreads", "1", "--memory-limit", "0")

    def client():
        return start(script, lake.url, address, analysis.name, name, calls)

    def finished():
        return [len(open_journal(run).finished) for run in hven.runs(lake)]

    def wait_for_more(process, before):
        """Let some calls pass, too few to end the run, until some more blocks are finished."""
        trial.hold(calls, len(list(calls.iterdir())) + ALLOWED)
        wait_for(lambda: sum(finished()) >= before + 4, process)

    first_worker, first = worker(), client()
    wait_for_more(first, 0)

    kill(first_worker)
    worker()
    wait_for_more(first, sum(finished()))
    assert [run.state for run in hven.runs(lake)] == ["running"]

    kill(first)
    [run] = hven.runs(lake)
    assert (run.state, lake.number, analysis.name in lake) == ("interrupted", before, False)
    [kept] = finished()
    # The worker lives on and ends the blocks that it had begun.
    assert run.account().blocks["done"] >= kept > 0

    second = client()
    wait_for_more(second, kept)
    kill(scheduler)
    trial.let_go(calls)
    assert second.wait(PATIENCE) == 1, second.said()
    [run] = hven.runs(lake)
    assert (run.state, run.record["error"]["code"], lake.number) == ("interrupted", "no-cluster", before)
    assert run.blocks["reused"] == kept

    done = hven.resume(lake, run.id, cluster="synchronous")
    assert (done.id, done.state, done.record["attempts"], lake.number) == (run.id, "succeeded", 3, before + 1)
    how = {"cluster": "synchronous", "output": "undisturbed", "block_rows": BLOCK}
    good_day = hven.run(lake, analysis, {name: name}, {"folder": str(calls)}, **how)
    got, told = (each.result.dataset().compute().sortby("object_id") for each in (done, good_day))
    assert got.identical(told)
    assert (got.object_id == sorted(make(0, COUNT)["object_id"])).all()
