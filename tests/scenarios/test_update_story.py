"""The story of a growing survey: an update is killed in its middle and run again, and computes nothing twice."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import hven
import trial_analyses as trial
from hven.compute import runs
from hven.compute.work import open_journal
from simulated import make_spectra, make_stars

COUNT, LATER, BLOCK = 1_000, 2_000, 100
SCRIPT = """
    import sys
    import hven, trial_analyses

    if __name__ == "__main__":
        lake = hven.open(sys.argv[1])
        for run in hven.update(lake, sys.argv[2], workers=1):
            print(run.id, run.state)
"""


@pytest.fixture
def update(tmp_path):
    """Begin an update in a process of its own, and wait until so many blocks have been begun since."""
    path = tmp_path / "update script.py"
    path.write_text(textwrap.dedent(SCRIPT))

    def begin(lake, name, calls, until=None):
        before = len(list(calls.iterdir()))
        process = subprocess.Popen(
            [sys.executable, str(path), lake.url, name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(filter(None, [str(Path(trial.__file__).parent), *sys.path]))},
            text=True,
            start_new_session=True,
        )
        while until is not None and len(list(calls.iterdir())) < before + until and process.poll() is None:
            time.sleep(0.01)
        return process

    return begin


@pytest.fixture
def calls(tmp_path):
    folder = tmp_path / "calls"
    folder.mkdir()
    return folder


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.split()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["table", pytest.param("arrays", marks=pytest.mark.slow)])
def test_an_update_that_is_killed_goes_on_and_ends_as_if_nothing_had_happened(tmp_path, calls, update, kind):
    lake = hven.create(tmp_path / "a growing survey")
    make, name = (make_stars, "stars") if kind == "table" else (make_spectra, "spectra")
    analysis = trial.doubled if kind == "table" else trial.smoothed
    with lake.transaction() as tx:
        tx.write(name, make(0, COUNT))
    parameters = {"folder": str(calls)} | ({"seconds": 0.02} if kind == "table" else {})
    asked = (lake, analysis, {name: name}, parameters)
    first = hven.run(*asked, cluster="synchronous", block_rows=BLOCK, checkpoint_seconds=0.1, checkpoint_blocks=2)
    with lake.transaction("the rest") as tx:
        tx.append(name, make(COUNT, LATER))
    number = lake.number
    kill(update(lake, analysis.name, calls, until=8))
    assert (lake.number, runs(lake)[0].state) == (number, "interrupted"), "no reader sees a part"
    half = runs(lake)[0]
    assert half.record["before"] == first.id
    finished = len(open_journal(half).finished)
    began = len(list(calls.iterdir()))
    assert finish(update(lake, analysis.name, calls)) == [half.id, "succeeded"]
    run = runs(lake)[0]
    total = (COUNT + LATER) // BLOCK
    assert run.blocks == {"total": total, "done": total, "empty": 0, "failed": 0, "reused": finished}
    assert (run.update["kept"], run.update["computed"]) == (COUNT // BLOCK, LATER // BLOCK)
    assert len(list(calls.iterdir())) == began + LATER // BLOCK - finished
    assert lake.number == number + 1
    hven.run(*asked, cluster="synchronous", output="undisturbed", block_rows=BLOCK)
    got, told = (lake[one].dataset().compute().sortby("object_id") for one in (analysis.name, "undisturbed"))
    assert got.identical(told)
    assert run.update["withdrawn"] == 0


class Killed(BaseException):
    """What nobody catches, as nobody catches a kill."""


@pytest.mark.parametrize("kind", ["table", "arrays"])
def test_an_update_killed_around_its_commit_commits_once(tmp_path, calls, monkeypatch, kind):
    from hven.compute import execution

    lake = hven.create(tmp_path / "lake")
    make, name = (make_stars, "stars") if kind == "table" else (make_spectra, "spectra")
    analysis = trial.doubled if kind == "table" else trial.smoothed
    asked = (lake, analysis, {name: name}, {"folder": str(calls)})
    with lake.transaction() as tx:
        tx.write(name, make(0, 300))
    hven.run(*asked, cluster="synchronous", block_rows=BLOCK)
    publish = execution.publish_blocks

    def publish_and_die(*given):
        publish(*given)
        raise Killed

    deaths = [
        ("hven.lake.transaction.chain.publish", lambda *_: (_ for _ in ()).throw(Killed())),
        ("hven.compute.execution.publish_blocks", publish_and_die),
    ]
    for step, (place, death) in enumerate(deaths, 1):
        with lake.transaction() as tx:
            tx.append(name, make(300 * step, 300))
        number, called = lake.number, len(list(calls.iterdir()))
        with monkeypatch.context() as patched:
            patched.setattr(place, death)
            with pytest.raises(Killed):
                hven.run(*asked, cluster="synchronous")
        run = hven.run(*asked, cluster="synchronous")
        assert (run.state, run.update["kept"], run.update["computed"]) == ("succeeded", 3 * step, 3)
        assert (lake.number, len(list(calls.iterdir()))) == (number + 1, called + 3)
        assert run.result.entry.counts.rows == 300 * (step + 1)
        assert [s.causes for s in hven.status(lake)] == [()]
