import pytest

import hven
import trial_analyses as trial
from simulated import listing


def test_a_plan_tells_what_a_run_would_do_and_writes_nothing(survey):
    before = listing(survey)
    planned = hven.plan(survey, trial.doubled, {"stars": "stars"}, block_rows=400, workers=3)
    assert listing(survey) == before
    assert (planned.action, planned.blocks, planned.done, planned.tasks, planned.workers) == ("new", 15, 0, 15, 3)
    assert (planned.rows, planned.block_rows) == (5_700, 400)
    assert planned.bytes_in == 5_700 * 17, "a float, an integer and whether it is valid"
    assert planned.block_bytes == 400 * 17


def test_a_plan_knows_what_is_done(survey):
    run = hven.run(survey, trial.doubled, {"stars": "stars"}, cluster="synchronous", block_rows=400)
    planned = hven.plan(survey, trial.doubled, {"stars": "stars"})
    assert (planned.action, planned.run, planned.done, planned.tasks) == ("nothing", run.id, 15, 0)
    assert hven.plan(survey, trial.doubled, {"stars": "stars"}, force=True).action == "new"
    assert hven.plan(survey, trial.doubled, {"stars": "stars@1"}).action == "new"
    assert hven.plan(survey, trial.doubled, {"stars": "stars"}, {"seconds": 0.001}).action == "new"


def test_blocks_of_wide_data_are_smaller(survey, monkeypatch):
    assert hven.plan(survey, trial.smoothed, {"spectra": "spectra"}).block_rows == 4_096
    monkeypatch.setattr("hven.compute.request._BLOCK_BYTES", 50 * 20 * (4 + 1))
    planned = hven.plan(survey, trial.smoothed, {"spectra": "spectra"})
    assert (planned.block_rows, planned.block_bytes) == (50, 50 * 20 * (4 + 1)), "flux and mask of 20 pixels"


def test_status_says_what_is_stale_and_why(survey):
    hven.run(survey, trial.doubled, {"stars": "stars"}, cluster="synchronous")
    hven.run(survey, trial.doubled, {"stars": "stars@1"}, cluster="synchronous", output="pinned")
    hven.run(survey, trial.mean_feh, {"stars": "stars+doubled"}, cluster="synchronous")
    assert [(s.name, s.is_stale) for s in hven.status(survey)] == [
        ("doubled", False),
        ("mean_feh", False),
        ("pinned", False),
    ]
    with survey.transaction() as tx:
        tx.delete("stars", where="feh > 2")
    told = {s.name: s.causes for s in hven.status(survey)}
    changed = "dataset 'stars' has changed since catalog 2"
    through = "result 'doubled', which it is made of, is stale"
    went = f"{changed.replace('2', '4')}: objects came or went"
    assert told == {"doubled": (changed,), "mean_feh": (went, through), "pinned": ()}
    with survey.transaction() as tx:
        tx.drop("doubled")
    assert "dataset 'doubled' is gone" in {s.name: s.causes for s in hven.status(survey)}["mean_feh"]


@pytest.mark.parametrize("block_rows", [None, 100])
def test_the_usual_blocks_do_not_depend_on_the_workers(survey, block_rows):
    plans = [
        hven.plan(survey, trial.doubled, {"stars": "stars"}, workers=workers, block_rows=block_rows)
        for workers in (1, 64)
    ]
    assert plans[0].block_rows == plans[1].block_rows
