"""The story of a long run: a survey is ingested, a per-object run is killed in its middle, and run again."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
import trial_analyses as trial
from hven.compute import runs
from simulated import make_stars

STARS, BLOCK = 3_000, 100
SCRIPT = """
    import sys
    import hven, trial_analyses

    if __name__ == "__main__":
        lake, analysis, given, folder = hven.open(sys.argv[1]), *sys.argv[2:5]
        run = hven.run(
            lake, getattr(trial_analyses, analysis), {given.split("=")[0]: given.split("=")[1]}, {"folder": folder},
            workers=1, block_rows=100, checkpoint_seconds=0.1, checkpoint_blocks=4,
        )
        print(run.id, run.state)
"""


@pytest.fixture
def survey(tmp_path):
    """Return a lake with stars ingested from two files, one after the other, and spectra of them."""
    lake = hven.create(tmp_path / "a survey lake")
    for number, first in enumerate((0, STARS)):
        stars = make_stars(first, STARS).select("ra", "dec", "feh", "visits", source_id=pl.int_range(STARS) + first)
        stars.write_csv(tmp_path / f"stars-{number}.csv")
        hven.ingest_files(lake, tmp_path / f"stars-{number}.csv", name="stars", mode="append" if number else "create")
    ids = lake["stars"].table(["object_id"]).collect()["object_id"].to_numpy()
    flux = np.random.default_rng(3).normal(size=(len(ids), 10)).astype("f4")
    spectra = {"object_id": ("object", ids), "flux": (("object", "wavelength"), flux, {"units": "W"})}
    with lake.transaction("their spectra") as tx:
        tx.write("spectra", xr.Dataset(spectra, {"wavelength": np.linspace(4000.0, 5000.0, 10)}))
    return lake


@pytest.fixture
def start(tmp_path, survey):
    """Start a run in a process of its own, and wait until so many blocks have been begun."""
    path = tmp_path / "run script.py"
    path.write_text(textwrap.dedent(SCRIPT))
    folder = tmp_path / "calls"
    folder.mkdir()

    def begin(analysis, given, until=None, watch=lambda: None):
        arguments = [path, survey.url, analysis, given, folder]
        environment = os.environ | {"PYTHONPATH": str(Path(trial.__file__).parent)}
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            start_new_session=True,
        )
        while until is not None and len(list(folder.iterdir())) < until and process.poll() is None:
            watch()
            time.sleep(0.01)
        return process

    begin.folder = folder
    return begin


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.split()


@pytest.mark.timeout(300)
def test_a_run_killed_again_and_again_ends_as_if_nothing_had_happened(survey, start):
    before = survey.number

    def nobody_sees_a_part():
        assert survey.number == before
        assert "doubled" not in survey

    finished = [0]
    for until in (7, 30):
        kill(start("doubled", "stars=stars", until, nobody_sees_a_part))
        nobody_sees_a_part()
        run = runs(survey)[0]
        journal = hven.compute.work.open_journal(run)
        finished.append(len(journal.finished))
        assert run.state == "interrupted"
    assert finished == sorted(finished)
    assert 0 < finished[-1] < 60
    began = len(list(start.folder.iterdir()))
    said = finish(start("doubled", "stars=stars"))
    done = runs(survey)[0]
    assert said == [done.id, "succeeded"]
    assert len(runs(survey)) == 1
    assert done.blocks == {"total": 60, "done": 60, "empty": 0, "failed": 0, "reused": finished[-1]}
    # A block that was finished is not computed again: each block of the last attempt left one file.
    assert len(list(start.folder.iterdir())) == began + 60 - finished[-1]
    assert survey.number == before + 1

    hven.run(survey, trial.doubled, {"stars": "stars"}, cluster="synchronous", output="undisturbed", block_rows=BLOCK)
    got, told = (survey[name].table().collect() for name in ("doubled", "undisturbed"))
    assert got.equals(told)
    assert got["object_id"].n_unique() == 2 * STARS
    received = [survey[name].entry.provenance["received"] for name in ("doubled", "undisturbed")]
    assert received[0] == received[1]


@pytest.mark.timeout(300)
def test_a_run_that_makes_arrays_survives_too(survey, start):
    before = survey.number
    kill(start("smoothed", "spectra=spectra", 25))
    assert (survey.number, "smoothed" in survey) == (before, False)
    reused = len(hven.compute.work.open_journal(runs(survey)[0]).finished)
    assert 0 < reused < 60
    began = len(list(start.folder.iterdir()))
    finish(start("smoothed", "spectra=spectra"))
    assert len(list(start.folder.iterdir())) == began + 60 - reused
    got, given = survey["smoothed"].dataset().compute(), survey["spectra"].dataset().compute()
    assert (got.object_id == given.object_id).all()
    assert np.array_equal(got.smoothed, trial.smoothed(given).smoothed)


class Killed(BaseException):
    """What nobody catches, as nobody catches a kill."""


def test_a_run_killed_just_before_its_commit_commits_when_run_again(survey, monkeypatch, tmp_path):
    asked = (survey, trial.doubled, {"stars": "stars"})
    before = survey.number
    with monkeypatch.context() as patched:
        patched.setattr("hven.lake.transaction.chain.publish", lambda *a: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            hven.run(*asked, cluster="synchronous", block_rows=1_000)
    assert (survey.number, runs(survey)[0].state) == (before, "interrupted")
    run = hven.run(*asked, cluster="synchronous", block_rows=1_000)
    assert (run.state, run.blocks["reused"], survey.number) == ("succeeded", 6, before + 1)
    assert run.result.entry.counts.rows == 2 * STARS


def test_a_run_killed_just_after_its_commit_does_not_commit_again(survey, monkeypatch):
    from hven.compute import execution

    asked = (survey, trial.doubled, {"stars": "stars"})
    published = execution.publish_blocks

    def publish_and_die(*arguments):
        published(*arguments)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(execution, "publish_blocks", publish_and_die)
        with pytest.raises(Killed):
            hven.run(*asked, cluster="synchronous", block_rows=1_000)
    number = survey.number
    assert (runs(survey)[0].state, runs(survey)[0].commit) == ("interrupted", None)
    run = hven.run(*asked, cluster="synchronous", block_rows=1_000)
    assert (run.state, run.commit, survey.number) == ("succeeded", number, number)
