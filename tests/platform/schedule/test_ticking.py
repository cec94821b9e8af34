from datetime import timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hven
import hven.compute
import hven.plugins
import hven.schedule
from hven.errors import ConflictError, ReadOnlyError, RunBusyError, RunCancelledError, ScheduleError
from hven.schedule import add_schedule, due, firings, leased, pause_schedule, run_now, schedules, serve, tick
from hven.schedule.firing import begin_firing
from hven.schedule.standing import ATTEMPTS
from hven.schedule.working import _worst

HERE = {"cluster": "synchronous"}
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def add_star(lake, number):
    with lake.transaction("another star") as tx:
        one = lake["stars"].table().head(1).collect()
        tx.append("stars", one.with_columns(object_id=pl.lit(number, dtype=pl.Int64)))


class Killed(BaseException):
    """What nobody catches, as nobody catches a kill."""


def killed(*_, **__):
    raise Killed


def stopped(*_, **__):
    interrupt = KeyboardInterrupt("SIGTERM")
    interrupt.add_note("Run it again to go on.")
    raise interrupt


def test_a_schedule_is_due_once_its_time_has_come_and_missed_firings_count_once(lake, rule, start):
    add_schedule(lake, "nightly", rule("0 3 * * *"))
    assert due(lake, start + 2 * HOUR) == {}
    assert due(lake, start + 5 * DAY) == {"nightly": "the clock"}
    [firing] = tick(lake, start + 5 * DAY, **HERE)
    assert (firing.outcome, firing.number, firing.term, firing.is_well) == ("succeeded", 1, 1, True)
    assert tick(lake, start + 5 * DAY + HOUR, **HERE) == []
    assert due(lake, start + 6 * DAY) == {"nightly": "the clock"}


def test_a_change_of_a_dataset_makes_it_due_until_it_has_run_on_it(lake, rule, start):
    add_schedule(lake, "follow", rule(on_change=("stars",), output="gradient"))
    assert due(lake, start + DAY) == {"follow": "a change of stars"}
    [firing] = tick(lake, start + DAY, **HERE)
    assert (firing.outcome, firing.seen) == ("succeeded", {"stars": 1})
    assert due(lake, start + 9 * DAY) == {}
    add_star(lake, 5)
    assert due(lake, start + 9 * DAY) == {"follow": "a change of stars"}


def test_firings_are_recorded_with_their_outcome_and_make_no_commits_of_their_own(lake, rule, start):
    add_schedule(lake, "nightly", rule("@daily", output="gradients"))
    before, told = lake.number, []
    [firing] = tick(lake, start + DAY, listen=told.append, **HERE)
    assert [(f.outcome, f.number) for f in told] == [("running", 1), ("succeeded", 1)]
    assert firings(lake, "nightly") == [firing]
    assert lake.number == before + 1
    assert lake["gradients"].entry.provenance["run"] == firing.runs[0]
    assert firing.note == ""
    [again] = tick(lake, start + 2 * DAY, **HERE)
    assert (again.runs, again.note) == (firing.runs, "it was up to date")
    assert lake.number == before + 1


def test_a_firing_and_its_runs_name_each_other_however_they_end(lake, rule, start, monkeypatch):
    add_schedule(lake, "sound", rule(on_change=("stars",), output="sound"))
    add_schedule(lake, "broken", rule(on_change=("stars",), parameters={"least": 10**6}, output="broken"))
    for firing in tick(lake, start, **HERE):
        [run] = firing.runs
        told = hven.compute.open_run(lake, run).record
        assert (told["state"], told["output"]) == (firing.outcome, firing.schedule)
        assert told["schedule"] == {"name": firing.schedule, "firing": 1}
    add_star(lake, 7)
    with monkeypatch.context() as patched:
        patched.setattr("hven.compute.execution.compute_whole", killed)
        with pytest.raises(Killed):
            tick(lake, start, **HERE)
    died = [f for name in ("sound", "broken") for f in firings(lake, name) if f.outcome == "running"]
    assert [hven.compute.open_run(lake, run).state for f in died for run in f.runs] == ["interrupted"]
    assert "schedule-" not in str(hven.plugins.plugins().plugins)


def test_a_firing_that_fails_is_recorded_with_its_error_and_does_not_stop_the_others(lake, rule, start, monkeypatch):
    add_schedule(lake, "broken", rule(on_change=("stars",), parameters={"least": 10**6}, output="broken"))
    add_schedule(lake, "sound", rule(on_change=("stars",), output="sound"))
    fired = {firing.schedule: firing for firing in tick(lake, start, **HERE)}
    assert (fired["broken"].outcome, fired["broken"].is_well) == ("failed", False)
    assert fired["broken"].error["code"] == "too-few-objects"
    assert fired["sound"].outcome == "succeeded"
    assert [firing.outcome for firing in firings(lake, "broken")] == ["failed"]
    assert due(lake, start) == {}
    with monkeypatch.context() as patched:
        patched.setattr("hven.compute.run", lambda *a, **k: 1 / 0)
        add_star(lake, 6)
        broken = tick(lake, start, **HERE)
    assert [f.error["what"] for f in broken] == ["ZeroDivisionError: division by zero"] * 2
    assert "Traceback" in broken[0].error["traceback"]


def test_a_schedule_runs_after_the_result_that_it_waits_for_in_the_same_tick(lake, rule, start):
    add_schedule(lake, "b_first", rule("@daily", output="one"))
    add_schedule(lake, "a_second", rule("@daily", after=("one",), output="two"))
    add_schedule(lake, "c_third", rule(after=("two",), output="three"))
    assert list(due(lake, start + DAY)) == ["b_first", "a_second"]
    fired = tick(lake, start + DAY, **HERE)
    assert [f.schedule for f in fired] == ["b_first", "a_second", "c_third"]
    assert fired[2].reason == "a change of two"
    assert due(lake, start + DAY) == {}
    # Nothing new: only the clock calls.
    assert [f.schedule for f in tick(lake, start + 2 * DAY, **HERE)] == ["b_first", "a_second"]


def test_an_update_brings_a_result_and_what_it_is_made_of_up_to_date(lake, rule, start):
    hven.run(lake, "mean_metallicity", {"stars": "stars"}, output="mean", **HERE)
    hven.run(
        lake, "mean_metallicity", {"stars": hven.select("mean", columns={"feh": "mean_feh"})}, output="top", **HERE
    )
    add_schedule(lake, "nightly", rule("@daily", update="top"))
    [firing] = tick(lake, start + DAY, **HERE)
    assert (firing.outcome, firing.runs, firing.note) == ("succeeded", (), "it was up to date")
    add_star(lake, 5)
    [firing] = tick(lake, start + 2 * DAY, **HERE)
    assert [hven.compute.open_run(lake, run).output for run in firing.runs] == ["mean", "top"]
    assert lake["top"].table().collect().equals(lake["mean"].table().collect())
    assert not any(result.is_stale for result in hven.status(lake))


def test_parts_of_a_result_count_as_it(lake, rule, start):
    add_schedule(lake, "first", rule("@daily", output="one"))
    add_schedule(lake, "second", rule(after=("one",), output="two"))
    with lake.transaction("a part") as tx:
        tx.write("one.low", lake["stars"].table().head(3).collect())
    assert due(lake, start) == {"second": "a change of one"}


def test_only_one_ticks_and_the_other_is_told_who(lake, rule, start):
    add_schedule(lake, "follow", rule(on_change=("stars",)))
    with leased(lake, "schedules"), pytest.raises(ConflictError, match="has the lease of 'schedules'"):
        tick(lake, start, **HERE)
    assert firings(lake, "follow") == []


def test_what_another_process_is_computing_is_skipped_and_says_so_once(lake, rule, start):
    add_schedule(lake, "hourly", rule("@hourly", output="gradients"))
    add_schedule(lake, "follow", rule(on_change=("stars",), output="gradients"))
    with leased(lake, "result-gradients"):
        for hour in range(1, 5):
            tick(lake, start + hour * HOUR, **HERE)
    [skipped] = firings(lake, "hourly")
    assert (skipped.outcome, skipped.skips, skipped.is_well) == ("skipped", 4, True)
    assert "has the lease of 'result-gradients'" in skipped.note
    assert [f.skips for f in firings(lake, "follow")] == [1]
    # What the clock called for is over, the change is still to be run on.
    assert [f.schedule for f in tick(lake, start + 4 * HOUR, **HERE)] == ["follow"]
    assert [f.outcome for f in firings(lake, "follow")] == ["skipped", "succeeded"]


def test_a_run_by_hand_of_the_very_same_makes_a_firing_skipped_without_filling_the_records(
    lake, rule, start, monkeypatch
):
    add_schedule(lake, "follow", rule(on_change=("stars",)))

    def busy(*_, **__):
        raise RunBusyError("another process is computing it", hint="Wait for it.")

    with monkeypatch.context() as patched:
        patched.setattr("hven.compute.run", busy)
        for _ in range(3):
            tick(lake, start, **HERE)
    [skipped] = firings(lake, "follow")
    assert (skipped.outcome, skipped.skips) == ("skipped", 3)
    assert [f.outcome for f in tick(lake, start, **HERE)] == ["succeeded"]


def test_a_firing_whose_process_died_is_told_and_goes_on_a_few_times(lake, rule, start, monkeypatch):
    add_schedule(lake, "nightly", rule("@daily"))
    now = start + DAY
    with monkeypatch.context() as patched:
        patched.setattr("hven.compute.run", killed)
        with pytest.raises(Killed):
            tick(lake, now, **HERE)
        assert firings(lake, "nightly")[-1].outcome == "running"
        assert due(lake, now) == {"nightly": "firing 1 was broken off"}
        for _ in range(ATTEMPTS - 1):
            with pytest.raises(Killed):
                tick(lake, now, **HERE)
        # It may be this very firing that kills: it is left alone until it is due anew.
        assert tick(lake, now, **HERE) == []
    past = firings(lake, "nightly")
    assert [(f.outcome, f.attempt) for f in past] == [("interrupted", n + 1) for n in range(ATTEMPTS)]
    assert "not tried again until" in past[-1].note
    assert due(lake, now) == {}
    [firing] = tick(lake, now + DAY, **HERE)
    assert (firing.outcome, firing.reason) == ("succeeded", "the clock")


def test_a_firing_that_was_broken_off_is_taken_up(lake, rule, start, monkeypatch):
    add_schedule(lake, "nightly", rule("@daily"))
    for stop, outcome in ((killed, "interrupted"), (stopped, "cancelled")):
        with monkeypatch.context() as patched:
            patched.setattr("hven.compute.run", stop)
            with pytest.raises(BaseException):  # noqa: B017, PT011 - whatever ended it
                tick(lake, start + DAY, **HERE)
        [firing] = tick(lake, start + DAY, **HERE)
        before = firings(lake, "nightly")[-2]
        assert (before.outcome, before.is_well) == (outcome, False)
        assert (firing.outcome, firing.reason) == ("succeeded", f"firing {before.number} was broken off")
        start += DAY
    assert before.note == "Run it again to go on."


def test_what_was_stopped_by_hand_is_not_taken_up(lake, rule, start, monkeypatch):
    add_schedule(lake, "nightly", rule("@daily"))
    with monkeypatch.context() as patched:
        patched.setattr("hven.compute.run", stopped)
        with pytest.raises(KeyboardInterrupt):
            run_now(lake, "nightly", start, **HERE)
    assert due(lake, start) == {}


def test_a_run_that_was_cancelled_by_somebody_is_not_taken_up_until_it_is_due_anew(lake, rule, start, monkeypatch):
    def cancelled(*_, **__):
        raise RunCancelledError("run 7 was cancelled by her", hint="Resume it.")

    add_schedule(lake, "nightly", rule("@daily"))
    with monkeypatch.context() as patched:
        patched.setattr("hven.compute.run", cancelled)
        [firing] = tick(lake, start + DAY, **HERE)
    assert (firing.outcome, firing.error["code"], firing.is_well) == ("cancelled", "run-cancelled", False)
    assert due(lake, start + DAY) == {}
    assert due(lake, start + 2 * DAY) == {"nightly": "the clock"}


def test_run_now_runs_what_is_not_due_and_what_is_paused_and_counts(lake, rule, start):
    add_schedule(lake, "nightly", rule("@daily", on_change=("stars",)))
    pause_schedule(lake, "nightly")
    firing = run_now(lake, "nightly", start + DAY, **HERE)
    assert (firing.outcome, firing.reason, firing.term) == ("succeeded", "by hand", 0)
    hven.schedule.resume_schedule(lake, "nightly", start)
    assert due(lake, start + DAY) == {}
    with leased(lake, "result-mean_metallicity"):
        assert run_now(lake, "nightly", start + DAY, **HERE).outcome == "skipped"
    with pytest.raises(ScheduleError, match="Did you mean 'nightly'"):
        run_now(lake, "nigthly", start)


def test_a_number_that_another_has_taken_is_not_fired_again(lake, rule, start, monkeypatch):
    """Two holders of one lease, as an object store may have when one was asleep: one begins the firing."""
    add_schedule(lake, "nightly", rule("@daily"))
    began = []

    def late(lake, firing):
        monkeypatch.undo()
        began.extend(tick(lake, start + DAY, lease=hven.schedule.Lease("schedules", 2), **HERE))
        return begin_firing(lake, firing)

    monkeypatch.setattr("hven.schedule.working.begin_firing", late)
    monkeypatch.setattr("hven.schedule.working.leased", lambda *a, **k: leased(lake, f"own-{len(began)}"))
    assert tick(lake, start + DAY, **HERE) == []
    assert [f.term for f in firings(lake, "nightly")] == [2]


def test_a_view_of_an_older_state_fires_nothing(lake, rule, start):
    add_schedule(lake, "nightly", rule("@daily"))
    view = lake.at(lake.number)
    for ask in (tick, lambda *given: run_now(given[0], "nightly", given[1]), lambda *given: serve(given[0])):
        with pytest.raises(ReadOnlyError):
            ask(view, start + DAY)
    assert firings(lake, "nightly") == []


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        ([], "succeeded"),
        (["succeeded", "succeeded with caveats"], "succeeded with caveats"),
        (["succeeded with caveats", "partial", "succeeded"], "partial"),
        (["partial", "failed"], "failed"),
    ],
)
def test_of_several_runs_the_firing_tells_the_worst(states, worst):
    assert _worst(states) == worst


def test_old_firings_are_removed_and_numbers_go_on(lake, rule, start, monkeypatch):
    add_schedule(lake, "hourly", rule("@hourly"))
    monkeypatch.setattr("hven.schedule.firing.KEPT", 3)
    for hour in range(1, 7):
        tick(lake, start + hour * HOUR, **HERE)
    assert [f.number for f in firings(lake, "hourly")] == [4, 5, 6]
    assert [f.number for f in firings(lake, "hourly", 1)] == [6]
    assert len({f.runs for f in firings(lake, "hourly")}) == 1


def test_a_firing_that_another_process_removes_in_this_moment_is_passed_over(lake, rule, start, monkeypatch):
    add_schedule(lake, "hourly", rule("@hourly"))
    for hour in (1, 2):
        tick(lake, start + hour * HOUR, **HERE)
    monkeypatch.setattr("hven.schedule.firing._numbers", lambda *_: [1, 2, 3])
    assert [f.number for f in firings(lake, "hourly")] == [1, 2]
    assert due(lake, start + 2 * HOUR) == {}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(-300, 400), min_size=1, max_size=12), number=st.uuids())
def test_whatever_the_clock_does_each_of_its_moments_fires_once_at_most(lake, rule, start, monkeypatch, steps, number):
    """Steps of minutes, forwards and backwards: a firing is due if a moment lies between the latest time and now."""
    monkeypatch.setattr("hven.compute.run", killed_softly)
    name, kept = f"n{number.hex}", rule("0 */2 * * *", output=f"o{number.hex}")
    for other in schedules(lake):
        hven.schedule.remove_schedule(lake, other)
    add_schedule(lake, name, kept)
    now = latest = start
    for step in steps:
        now += timedelta(minutes=step)
        moments = [start + timedelta(hours=2 * n) for n in range(1, 100)]
        is_due = any(latest < moment <= now for moment in moments)
        assert bool(tick(lake, now, **HERE)) == is_due
        if is_due:
            latest = now


def killed_softly(*_, **__):
    raise ScheduleError("it does not run here", hint="Nothing.")
