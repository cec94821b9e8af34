"""Schedules that run pipelines: kept with them, checked with them, and as well or badly ended as their steps."""

from dataclasses import replace

import pytest

import hven
from hven.errors import PipelineError, ScheduleError
from hven.schedule import Schedule, add_schedule, due, firings, schedules, tick

HERE = {"cluster": "synchronous"}


@pytest.fixture
def pipeline(start):
    def make(least=1, **told):
        rich = hven.select("stars", where="feh > 0")
        steps = [
            hven.Step("mean_metallicity", {"stars": "stars"}, {"least": least}, output="mean_of_all"),
            hven.Step("mean_metallicity", {"stars": rich}, output="mean_of_rich"),
        ]
        return Schedule(pipeline=hven.Pipeline(steps).to_json(), since=start.isoformat(), **told)

    return make


def test_a_pipeline_is_kept_with_its_schedule_and_run_when_it_is_due(lake, pipeline, start):
    kept = add_schedule(lake, "chain", pipeline(on_change=("stars",)))
    assert Schedule.from_json(kept.to_json()) == kept == schedules(lake)["chain"]
    assert kept.results == ("mean_of_all", "mean_of_rich")
    [firing] = tick(lake, start, **HERE)
    assert (firing.outcome, len(firing.runs)) == ("succeeded", 2)
    assert {"mean_of_all", "mean_of_rich"} < set(lake)
    assert due(lake, start) == {}
    [again] = [hven.schedule.run_now(lake, "chain", start, **HERE)]
    assert (again.outcome, again.note) == ("succeeded", "it was up to date")


def test_what_the_page_of_a_pipeline_is_to_tell_is_kept_with_its_schedule(lake, pipeline, start):
    report = {"title": "Means", "show": [{"step": "mean_of_rich", "text": "Only these."}]}
    told = pipeline(on_change=("stars",))
    add_schedule(lake, "means", replace(told, pipeline={**told.pipeline, "report": report}))
    tick(lake, start, **HERE)
    page = lake.store.get("pipelines/schedule_means.html").decode()
    assert "<h1>Means<" in page
    assert "<p>Only these.</p>" in page


def test_a_step_that_fails_fails_the_firing_and_the_others_are_run(lake, pipeline, start):
    add_schedule(lake, "chain", pipeline(least=1_000_000, on_change=("stars",)))
    [firing] = tick(lake, start, **HERE)
    assert (firing.outcome, firing.error["code"], len(firing.runs)) == ("failed", "too-few-objects", 2)
    assert "mean_of_rich" in lake
    assert "mean_of_all" not in lake
    assert [one.outcome for one in firings(lake, "chain")] == ["failed"]


def test_a_pipeline_that_does_not_fit_is_refused_when_its_schedule_is_added(lake, pipeline):
    with pytest.raises(PipelineError, match=r"1 thing does not fit.*schedule 'chain'") as refused:
        add_schedule(lake, "chain", pipeline(least=0, cron="@daily"))
    assert [step for step, _ in refused.value.misfits] == ["mean_of_all"]
    assert schedules(lake) == {}


def test_schedules_come_after_any_step_of_a_pipeline_and_never_before_it(lake, pipeline, rule, start):
    add_schedule(lake, "chain", pipeline(on_change=("stars",)))
    add_schedule(lake, "before", rule(after=("mean_of_rich",), cron="@daily", output="last"))
    assert list(due(lake, start.replace(day=5))) == ["chain", "before"]
    with pytest.raises(ScheduleError, match="set itself off: again -> again"):
        add_schedule(lake, "again", pipeline(after=("mean_of_all",)))
