"""Pipelines and schedules take in the new files of a night, each once, and say what could not be read."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import hven
import trial_analyses as trial
from hven.compute import Intake, Pipeline, Step
from hven.plugins import plugins
from hven.schedule import Schedule, add_schedule, firings, tick

SYNCHRONOUS = {"cluster": "synchronous"}
START = datetime(2026, 3, 1, tzinfo=UTC)


class Trial:
    @hven.hookimpl
    def hven_analyses(self):
        return [trial.mean_feh]


@pytest.fixture
def nights(tmp_path):
    """Return what writes the file of a night with so many stars of one metallicity."""
    folder = tmp_path / "nights"
    folder.mkdir()

    def write(night, feh, count=3):
        ids = [100 * night + number for number in range(count)]
        frame = pl.DataFrame({"source_id": ids, "ra": [10.0 + i for i in ids], "dec": [5.0] * count})
        frame.with_columns(feh=pl.lit(feh) + pl.int_range(count) / 1000).write_csv(folder / f"night-{night}.csv")
        return folder

    return write


@pytest.fixture
def lake(tmp_path):
    return hven.create(tmp_path / "lake")


def pipeline_of(folder):
    return Pipeline([Step(trial.mean_feh, {"stars": "stars"})], [Intake("stars", (f"{folder}/night-*.csv",))])


def count(lake):
    return lake["stars"].entry.counts.rows


def test_new_and_changed_files_are_taken_in_once_and_steps_follow(lake, nights):
    pipeline = pipeline_of(nights(1, -0.3))
    told = []
    first = hven.run_pipeline(lake, pipeline, tell=told.append, **SYNCHRONOUS)
    assert ([r.rows for r in first.ingested], first["mean_feh"].state, count(lake)) == ([3], "succeeded", 3)
    again = hven.run_pipeline(lake, pipeline, tell=told.append, **SYNCHRONOUS)
    assert (again.did_nothing, count(lake), "stars: no new files" in told) == (True, 3, True)
    assert hven.plan_pipeline(lake, pipeline).does_nothing

    nights(2, 0.1)
    planned = hven.plan_pipeline(lake, pipeline)
    assert (planned.files, planned.ingests, planned.does_nothing) == ({"stars": 1}, ("stars",), False)
    assert planned.steps[0].after == ("stars",)
    second = hven.run_pipeline(lake, pipeline, tell=told.append, **SYNCHRONOUS)
    assert ([r.rows for r in second.ingested], second["mean_feh"].state, count(lake)) == ([3], "succeeded", 6)
    assert lake["mean_feh"].table().collect()["mean_feh"].item() == pytest.approx(-0.099)
    assert any("1 files were known" in text for text in told)

    nights(2, 0.5)
    hven.run_pipeline(lake, pipeline, tell=told.append, **SYNCHRONOUS)
    assert (count(lake), sorted(set(lake["stars"].table(["feh"]).collect()["feh"].round(1)))) == (6, [-0.3, 0.5])
    assert hven.run_pipeline(lake, pipeline, **SYNCHRONOUS).did_nothing


def test_files_that_were_moved_away_change_nothing(lake, nights):
    folder = nights(1, -0.3)
    pipeline = pipeline_of(folder)
    hven.run_pipeline(lake, pipeline, **SYNCHRONOUS)
    (folder / "night-1.csv").rename(folder / "done-1.csv")
    assert hven.run_pipeline(lake, pipeline, **SYNCHRONOUS).did_nothing
    nights(2, 0.1)
    assert [r.rows for r in hven.run_pipeline(lake, pipeline, **SYNCHRONOUS).ingested] == [3]
    assert count(lake) == 6


def test_a_dataset_whose_files_are_not_known_stays_as_it_is(lake, nights):
    folder = nights(1, -0.3)
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"object_id": [1, 2], "feh": [0.1, 0.3]}))
    done = hven.run_pipeline(lake, pipeline_of(folder), **SYNCHRONOUS)
    assert (done.ingested, count(lake)) == ((), 2)


def test_a_file_that_cannot_be_read_is_a_problem_and_the_others_go_in(lake, nights):
    folder = nights(1, -0.3)
    pipeline = pipeline_of(folder)
    hven.run_pipeline(lake, pipeline, **SYNCHRONOUS)
    (folder / "night-2.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2_000))
    done = hven.run_pipeline(lake, pipeline, **SYNCHRONOUS)
    assert (done.is_well, count(lake), len(done.problems)) == (True, 3, 1)
    nights(3, 0.1)
    done = hven.run_pipeline(lake, pipeline, **SYNCHRONOUS)
    assert ([r.rows for r in done.ingested], count(lake)) == ([3], 6)
    assert "night-2.csv could not be read" in done.problems[0]


def test_a_schedule_takes_in_what_a_night_brought_and_says_what_it_could_not_read(lake, nights):
    plugins().register(Trial(), "trial")
    try:
        told = Pipeline([Step("mean_feh", {"stars": "stars"})], pipeline_of(nights(1, -0.3)).ingest).to_json()
        hven.run_pipeline(lake, pipeline_of(nights(1, -0.3)), **SYNCHRONOUS)
        add_schedule(lake, "nightly", Schedule(pipeline=told, since=START.isoformat(), cron="0 8 * * *"))
        (idle,) = tick(lake, START + timedelta(days=1), **SYNCHRONOUS)
        assert (idle.outcome, idle.note) == ("succeeded", "it was up to date")
        nights(2, 0.1)
        (fired,) = tick(lake, START + timedelta(days=2), **SYNCHRONOUS)
        assert (fired.outcome, fired.note, count(lake)) == ("succeeded", "", 6)
        (nights(2, 0.1) / "night-3.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2_000))
        (partial,) = tick(lake, START + timedelta(days=3), **SYNCHRONOUS)
        assert (partial.outcome, partial.is_well) == ("partial", False)
        assert "night-3.csv could not be read" in partial.note
        assert firings(lake, "nightly")[-1] == partial
    finally:
        plugins().unregister("trial")
