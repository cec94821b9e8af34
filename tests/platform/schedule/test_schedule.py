from datetime import UTC, datetime, timedelta

import pytest

from hven.errors import NameRefusedError, ScheduleError
from hven.schedule import (
    Schedule,
    add_schedule,
    due,
    next_firing,
    pause_schedule,
    remove_schedule,
    resume_schedule,
    schedules,
    tick,
)


def times(rule, start, count):
    found = [rule.next_time(start)]
    while len(found) < count:
        found.append(rule.next_time(found[-1]))
    return [time.astimezone(UTC).strftime("%d %H:%M") for time in found]


def test_schedules_are_kept_in_the_catalog_so_they_are_versioned(lake, rule):
    before = lake.number
    kept = add_schedule(lake, "nightly", rule("0 3 * * *"))
    assert schedules(lake) == {"nightly": kept}
    assert kept.cron == "0 3 * * *"
    assert schedules(lake.at(before)) == {}
    pause_schedule(lake, "nightly")
    remove_schedule(lake, "nightly")
    assert schedules(lake) == {}
    assert [schedules(lake.at(before + n))["nightly"].is_paused for n in (1, 2)] == [False, True]
    assert [commit.message for commit in lake.log()[:3]] == [
        "removed schedule nightly",
        "paused schedule nightly",
        "added schedule nightly",
    ]


def test_the_clock_is_that_of_the_time_zone_and_changes_of_it_neither_skip_nor_double_a_day(rule):
    nightly = rule("30 2 * * *", "Europe/Berlin")  # 02:30 does not exist on 29 March and comes twice on 25 October
    assert times(nightly, datetime(2026, 3, 28, tzinfo=UTC), 3) == ["28 01:30", "29 01:30", "30 00:30"]
    assert times(nightly, datetime(2026, 10, 24, tzinfo=UTC), 3) == ["24 00:30", "25 00:30", "26 01:30"]
    hourly = rule("@hourly", "Europe/Berlin")
    assert times(hourly, datetime(2026, 10, 24, 23, 30, tzinfo=UTC), 3) == ["25 00:00", "25 01:00", "25 02:00"]


@pytest.mark.parametrize(
    ("weekdays", "days"),
    [
        ("0", ["01", "08", "15"]),
        ("7", ["01", "08", "15"]),
        ("sun", ["01", "08", "15"]),
        ("1-5", ["02", "03", "04"]),
        ("5-7", ["01", "06", "07"]),
        ("fri-mon", ["01", "02", "06"]),
        ("*/2", ["01", "03", "05"]),
        ("2,4", ["03", "05", "10"]),
    ],
)
def test_days_of_the_week_are_those_of_crontab(rule, start, weekdays, days):
    assert [time[:2] for time in times(rule(f"0 3 * * {weekdays}"), start, 3)] == days  # 1 March 2026 is a Sunday


def test_a_paused_schedule_is_not_due_and_a_resumed_one_counts_the_clock_from_then_on(lake, rule, start):
    add_schedule(lake, "nightly", rule("0 3 * * *"))
    pause_schedule(lake, "nightly")
    pause_schedule(lake, "nightly")
    later = start + timedelta(days=5, hours=1)
    assert due(lake, later) == {}
    assert next_firing(lake, "nightly", schedules(lake)["nightly"], later) is None
    resume_schedule(lake, "nightly", later)
    assert due(lake, later) == {}
    assert next_firing(lake, "nightly", schedules(lake)["nightly"], later) == start + timedelta(days=5, hours=3)
    assert due(lake, later + timedelta(hours=3)) == {"nightly": "the clock"}


def test_what_has_changed_while_a_schedule_was_paused_makes_it_due_when_resumed(lake, rule, start):
    add_schedule(lake, "follow", rule(on_change=("stars",), is_paused=True))
    assert due(lake, start) == {}
    resume_schedule(lake, "follow", start)
    assert due(lake, start) == {"follow": "a change of stars"}
    assert next_firing(lake, "follow", schedules(lake)["follow"], start) == start


def test_a_schedule_that_only_follows_has_no_next_time(lake, rule, start):
    add_schedule(lake, "follow", rule(on_change=("stars",)))
    tick(lake, start, cluster="synchronous")
    assert next_firing(lake, "follow", schedules(lake)["follow"], start) is None


def test_firings_of_an_earlier_schedule_of_the_same_name_do_not_count(lake, rule, start):
    add_schedule(lake, "follow", rule(on_change=("stars",)))
    tick(lake, start, cluster="synchronous")
    remove_schedule(lake, "follow")
    add_schedule(lake, "follow", rule(on_change=("stars",), output="another"))
    assert due(lake, start) == {"follow": "a change of stars"}
    [firing] = tick(lake, start, cluster="synchronous")
    assert firing.number == 2


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"cron": "0 3 * *"}, "is not a cron rule"),
        ({"cron": "99 3 * * *"}, "is not a cron rule"),
        ({"cron": "@nightly"}, "one of @yearly"),
        ({"cron": "0 3 * * 8"}, "no day of the week 8"),
        ({"cron": "0 3 1 * 1"}, "day of the month and a day of the week"),
        ({"cron": "0 3 31 6 *"}, "never comes"),
        ({"cron": "0 3 * * *", "timezone": "Mars/Olympus"}, "no time zone"),
        ({}, "neither when nor upon what"),
        ({"cron": "@daily", "update": "gradients"}, "says several things to run"),
        ({"cron": "@daily", "analysis": ""}, "runs nothing"),
        ({"cron": "@daily", "since": "2026-01-01"}, "counts since"),
        ({"cron": "@daily", "since": "yesterday"}, "counts since"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(start, told, said):
    with pytest.raises(ScheduleError, match=said) as refused:
        Schedule(**{"analysis": "mean_metallicity", "since": start.isoformat(), **told})
    assert refused.value.code == "bad-schedule"
    assert refused.value.hint


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"analysis": "mean_metallicit"}, "could not run: .*Did you mean 'mean_metallicity'"),
        ({"inputs": {"stars": {"datasets": "strs"}}}, "could not run: .*Did you mean 'stars'"),
        ({"inputs": {"planets": {"datasets": "stars"}}}, "could not run: .*'planets'"),
        ({"inputs": {"stars": {"datasets": "stars", "where": "nothing > 1"}}}, "could not run: .*nothing"),
        ({"inputs": {"stars": {"datasets": "stars", "columns": {"feh": "fehh"}}}}, "could not run: .*fehh"),
        ({"parameters": {"least": 0}}, "could not run: .*least"),
        ({"output": "stars"}, "could not run: .*stars"),
        ({"on_change": ("strs",)}, "follows 'strs'.*Did you mean 'stars'"),
        ({"after": ("stars",)}, "comes after 'stars', which nothing makes"),
        ({"after": ("mean_metallicity",)}, "set itself off: new -> new"),
        ({"update": "stars"}, "could not run: .*not the result of a run"),
        ({"update": "nothing"}, "could not run: there is no dataset 'nothing'"),
    ],
)
def test_what_could_not_run_is_refused_when_it_is_added(lake, rule, told, said):
    before = lake.number
    with pytest.raises(ScheduleError, match=said):
        add_schedule(lake, "new", rule("0 3 * * *", **told))
    assert lake.number == before


def test_schedules_that_would_set_each_other_off_are_refused(lake, rule):
    add_schedule(lake, "one", rule("@daily", output="a"))
    add_schedule(lake, "two", rule(after=("a",), output="b"))
    add_schedule(lake, "three", rule(on_change=("b",), output="c"))
    remove_schedule(lake, "one")
    with pytest.raises(ScheduleError, match="set itself off: one -> two -> three -> one"):
        add_schedule(lake, "one", rule("@daily", after=("c",), output="a"))
    add_schedule(lake, "one", rule("@daily", output="a"))
    with pytest.raises(ScheduleError, match="set itself off: self -> self"):
        add_schedule(lake, "self", rule(on_change=("self",), output="self", after=("a",)))


def test_a_schedule_may_come_after_what_another_one_will_make(lake, rule):
    first = rule("@daily", output="gradients")
    inputs = {"stars": {"datasets": "gradients"}}
    with pytest.raises(ScheduleError, match="'gradients'"):
        add_schedule(lake, "second", rule(after=("gradients",), inputs=inputs, output="again"))
    add_schedule(lake, "first", first)
    add_schedule(lake, "second", rule(after=("gradients",), inputs=inputs, output="again"))
    assert list(schedules(lake)) == ["first", "second"]


def test_names_of_schedules_are_taken_once_and_unknown_ones_are_told(lake, rule, start):
    add_schedule(lake, "nightly", rule("@daily"))
    with pytest.raises(ScheduleError, match="already"):
        add_schedule(lake, "nightly", rule("@daily"))
    with pytest.raises(NameRefusedError):
        add_schedule(lake, "../nightly", rule("@daily"))
    for verb in (remove_schedule, pause_schedule, lambda *given: resume_schedule(*given, start)):
        with pytest.raises(ScheduleError, match="Did you mean 'nightly'"):
            verb(lake, "nihgtly")


def test_a_schedule_survives_its_text_and_a_damaged_one_is_told(rule):
    kept = rule("0 3 * * *", on_change=("stars",), after=("a", "b"), is_paused=True)
    assert Schedule.from_json(kept.to_json()) == kept
    assert Schedule.from_json({**kept.to_json(), "of_a_later_hven": 1}) == kept
    with pytest.raises(ScheduleError, match="not complete"):
        Schedule.from_json({"cron": "0 3 * * *"})
