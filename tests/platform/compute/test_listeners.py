"""Whoever listens to runs: what is told when, and that a listener which fails stops nothing."""

import pytest

import hven
import trial_analyses as trial
from hven.compute import open_run
from hven.plugins import plugins

LIFE_CYCLE = ("hven_run_started", "hven_block_done", "hven_block_failed", "hven_run_finished")


@pytest.fixture
def listening():
    """Register listeners by hand that are gone after the test."""
    added = []

    def add(name, listener):
        plugins().register(listener, name)
        added.append(name)

    yield add
    for name in added:
        plugins().unregister(name)


class Scribe:
    """Write down all that is told."""

    def __init__(self):
        self.heard = []

    @hven.hookimpl
    def hven_run_started(self, run):
        self.heard.append(("started", run.state, run.done))

    @hven.hookimpl
    def hven_block_done(self, run, block):
        self.heard.append(("done", run.state, block.index))

    @hven.hookimpl
    def hven_block_failed(self, run, block, error):
        self.heard.append(("failed", run.state, block.index, error.what))

    @hven.hookimpl
    def hven_run_finished(self, run):
        self.heard.append(("finished", run.state, run.done))


class Failing:
    """Raise at one hook."""

    def __init__(self, hook, error):
        def fail(run):
            raise error

        setattr(self, hook, hven.hookimpl(fail))


def some_fail(lake, calls):
    """Run an analysis of which one block fails, that of the highest metallicity."""
    highest = lake["stars"].table(["feh"]).collect()["feh"].max()
    given = {"folder": str(calls), "worst": highest - 1e-9}
    return hven.run(lake, trial.fragile, {"stars": "stars"}, given, cluster="synchronous", block_rows=1000)


def test_listeners_hear_of_a_run_in_the_order_of_what_happens(survey, calls, listening):
    scribe = Scribe()
    listening("scribe", scribe)
    run = some_fail(survey, calls)
    assert run.state == "partial"
    first, *blocks, last = scribe.heard
    assert first == ("started", "running", 0)
    assert last == ("finished", "partial", run.done)
    assert sorted(block[2] for block in blocks) == list(range(run.blocks["total"]))
    told = {block[2]: block[3] for block in blocks if block[0] == "failed"}
    assert told == {failure["block"]: failure["what"] for failure in run.failures}
    assert all("cannot be" in what for what in told.values())
    assert all(block[1] == "running" for block in blocks)


@pytest.mark.parametrize("hook", LIFE_CYCLE)
@pytest.mark.parametrize("error", [RuntimeError("deaf"), SystemExit(3)])
def test_a_listener_that_raises_is_recorded_in_the_run_and_the_others_hear_all_the_same(
    survey, calls, listening, hook, error
):
    scribe = Scribe()
    listening("before", Failing(hook, error))
    listening("scribe", scribe)
    listening("after", Failing(hook, error))
    run = some_fail(survey, calls)
    assert run.state == "partial"
    assert {block[0] for block in scribe.heard} == {"started", "done", "failed", "finished"}
    told = [line for line in open_run(survey, run.id).record["log"] if line["event"] == "listener-failed"]
    assert sorted((line["plugin"], line["hook"]) for line in told) == [("after", hook), ("before", hook)]
    assert all(line["what"] == f"{type(error).__name__}: {error}" for line in told)
