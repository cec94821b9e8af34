"""What an analysis of everything at once tells and keeps: heard, found again after kill -9, and gone in the end."""

import signal

import numpy as np
import polars as pl
import pytest

import hven
import trial_followed as trial
from hven.compute import run
from hven.errors import NameRefusedError
from hven.methods import progress
from hven.plugins import plugins


@pytest.fixture
def lake(tmp_path):
    made = hven.create(str(tmp_path / "lake"))
    with made.transaction() as tx:
        tx.write("stars", pl.DataFrame({"object_id": [1, 2, 3], "feh": [0.0, 0.1, 0.2]}))
    return made


class Ear:
    def __init__(self):
        self.heard = []

    @hven.hookimpl
    def hven_run_told(self, run, done, total, text):
        self.heard.append((run.analysis, done, total, text))


def test_listeners_hear_how_far_an_analysis_is(lake):
    ear = Ear()
    plugins().register(ear, "ear")
    try:
        run(lake, trial.random_walk, {"stars": "stars"}, {"steps": 3}, cluster="synchronous", progress=True)
    finally:
        plugins().unregister("ear")
    assert [(name, done, total) for name, done, total, _ in ear.heard] == [("random_walk", n, 3) for n in (1, 2, 3)]
    assert ear.heard[0][3].startswith("at ")


def test_a_killed_analysis_goes_on_from_what_it_kept_and_leaves_nothing_behind(lake):
    """A real process, killed with -9 at step 23: the next attempt begins at 20, and ends in the same numbers."""
    what = (trial.random_walk, {"stars": "stars"})
    assert trial.killed(lake.url, *what, {}, 23) == -signal.SIGKILL
    assert "random_walk" not in hven.open(lake.url)
    done = run(hven.open(lake.url), *what, cluster="synchronous", progress=False)
    walk = done.result.table().collect()
    assert walk["began"].unique().to_list() == [20]
    assert walk["walk"].to_list() == [np.random.default_rng(step).normal() for step in range(40)]
    assert lake.store.list(f"{done.folder}/kept") == []
    assert done.record["attempts"] == 2


def test_outside_of_a_run_nothing_is_heard_or_kept():
    progress.tell(1, 2, "words")
    progress.keep("name", b"content")
    assert progress.kept("name") is None


def test_a_kept_file_cannot_leave_the_folder_of_its_run(lake):
    from hven.compute.following import RunFollower

    done = run(lake, trial.random_walk, {"stars": "stars"}, {"steps": 1}, cluster="synchronous", progress=False)
    follower = RunFollower(done, print)
    with pytest.raises(NameRefusedError, match="cannot name a file"):
        follower.keep("../record.json", b"")
    with pytest.raises(NameRefusedError, match="cannot name a file"):
        follower.kept("../../hven.json")
