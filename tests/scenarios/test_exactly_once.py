"""Exactly once: killed at whatever moment, however often, a run loses no object and has none twice."""

import signal
from itertools import count

import pytest

import hven
import trial_analyses as trial
from dying import processes, run_and_die
from hven.compute import runs
from simulated import make_spectra, make_stars

COUNT, BLOCK, PATIENCE = 600, 50, 120
KINDS = {"table": (make_stars, "stars", trial.doubled), "arrays": (make_spectra, "spectra", trial.smoothed)}


class Survey:
    """A lake on which runs of one kind are killed, and what each run must come to."""

    def __init__(self, folder, kind):
        self.make, self.name, self.analysis = KINDS[kind]
        self.lake, self.rows = hven.create(folder), 0
        self.grow()

    def grow(self):
        """Add objects, so that the next run is an update."""
        with self.lake.transaction() as tx:
            add = tx.append if self.rows else tx.write
            add(self.name, self.make(self.rows, COUNT))
        self.rows += COUNT
        asked = (self.lake, self.analysis, {self.name: self.name})
        how = {"cluster": "synchronous", "block_rows": BLOCK, "progress": False, "force": True}
        self.told = hven.run(*asked, output="undisturbed", **how).result.dataset().compute().sortby("object_id")

    def run(self, seed):
        """Run in a process of its own, and return whether it lived."""
        arguments = (self.lake.url, self.analysis.name, self.name, BLOCK, seed)
        process = processes().Process(target=run_and_die, args=arguments)
        process.start()
        process.join(PATIENCE)
        assert process.exitcode in {0, -signal.SIGKILL}, f"seed {seed}"
        return process.exitcode == 0

    @property
    def is_done(self):
        """Whether readers see the result of all objects; a part they must never see."""
        name = self.analysis.name
        if name not in self.lake:
            return False
        got = self.lake[name].dataset().compute().sortby("object_id")
        if got.sizes["object"] == self.rows - COUNT > 0:
            return False
        # Bit for bit, and every object once: what is undisturbed has each once.
        assert got.identical(self.told)
        return True


def killed_until(survey, wanted, seeds):
    """Run, and run again when it was killed, until there were so many kills; return how many runs came to their end."""
    kills, ended = 0, 0
    while kills < wanted:
        lived = survey.run(next(seeds))
        kills += not lived
        if survey.is_done and lived:
            ended += 1
            survey.grow()
        else:
            assert not lived
    while not survey.is_done:
        assert survey.run(None)
        ended += 1
    return ended


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "kills"), [("table", 3), ("arrays", 2)])
def test_runs_killed_at_random_moments_have_every_object_once(tmp_path, kind, kills):
    survey = Survey(tmp_path / "lake", kind)
    assert killed_until(survey, kills, seeds=count(1)) >= 1
    assert all(run.state != "running" for run in runs(survey.lake))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("first_seed", [1_000, 2_000])
@pytest.mark.parametrize("kind", ["table", "arrays"])
def test_fifty_kills_lose_no_object_and_double_none(tmp_path, kind, first_seed):
    survey = Survey(tmp_path / "lake", kind)
    assert killed_until(survey, 25, seeds=count(first_seed)) >= 1
