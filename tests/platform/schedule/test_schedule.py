from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from hven.errors import ScheduleError
from hven.schedule import Schedule, add_schedule, due, firings, remove_schedule, schedules, tick

STARS = {"stars": {"datasets": "stars"}}
START = datetime(2026, 3, 1, tzinfo=UTC)


def by_clock(cron, timezone="UTC", **told):
    return Schedule("metallicity_gradients", STARS, START.isoformat(), cron, timezone, parameters={"bins": 1}, **told)


def on_change(**told):
    told = {"parameters": {"bins": 1}, **told}
    return Schedule("metallicity_gradients", STARS, START.isoformat(), on_change=("stars",), **told)


@pytest.fixture
def lake(lake, small_survey):
    with lake.transaction("stars") as tx:
        tx.write("stars", small_survey[0])
    return lake


def test_schedules_are_kept_in_the_catalog_so_they_are_versioned(lake):
    before = lake.number
    add_schedule(lake, "nightly", by_clock("0 3 * * *"))
    assert schedules(lake) == {"nightly": by_clock("0 3 * * *")}
    assert schedules(lake.at(before)) == {}
    remove_schedule(lake, "nightly")
    assert schedules(lake) == {}
    assert list(schedules(lake.at(before + 1))) == ["nightly"]


def test_a_schedule_is_due_once_its_time_has_come_and_missed_firings_count_once(lake):
    add_schedule(lake, "nightly", by_clock("0 3 * * *"))
    assert due(lake, START + timedelta(hours=2)) == {}
    assert due(lake, START + timedelta(days=5)) == {"nightly": "the clock"}
    [firing] = tick(lake, START + timedelta(days=5), cluster="synchronous")
    assert firing.outcome == "succeeded"
    assert tick(lake, START + timedelta(days=5, hours=1), cluster="synchronous") == []
    assert due(lake, START + timedelta(days=6)) == {"nightly": "the clock"}


def times(rule, start, count):
    found = [rule.next_time(start)]
    while len(found) < count:
        found.append(rule.next_time(found[-1]))
    return [time.astimezone(UTC).strftime("%d %H:%M") for time in found]


def test_the_clock_is_that_of_the_time_zone_and_changes_of_it_neither_skip_nor_double_a_day():
    rule = by_clock("30 2 * * *", "Europe/Berlin")  # 02:30 does not exist on 29 March and comes twice on 25 October
    assert times(rule, datetime(2026, 3, 28, tzinfo=UTC), 3) == ["28 01:30", "29 01:30", "30 00:30"]
    assert times(rule, datetime(2026, 10, 24, tzinfo=UTC), 3) == ["24 00:30", "25 00:30", "26 01:30"]
    hourly = by_clock("0 * * * *", "Europe/Berlin")
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
def test_days_of_the_week_are_those_of_crontab(weekdays, days):
    assert [time[:2] for time in times(by_clock(f"0 3 * * {weekdays}"), START, 3)] == days  # 1 March 2026 is a Sunday


def test_a_change_of_a_dataset_makes_it_due_until_it_has_run_on_it(lake, small_survey):
    add_schedule(lake, "follow", on_change(output="gradient"))
    now = START + timedelta(days=1)
    assert due(lake, now) == {"follow": "a change of stars"}
    [firing] = tick(lake, now, cluster="synchronous")
    assert (firing.outcome, firing.seen) == ("succeeded", {"stars": 1})
    assert due(lake, now + timedelta(days=9)) == {}
    with lake.transaction("another star") as tx:
        tx.append("stars", small_survey[0].head(1).with_columns(object_id=pl.lit(5, dtype=pl.Int64)))
    assert due(lake, now + timedelta(days=9)) == {"follow": "a change of stars"}


def test_firings_are_recorded_with_their_outcome_and_make_no_commits_of_their_own(lake):
    add_schedule(lake, "follow", on_change())
    before = lake.number
    [firing] = tick(lake, START, cluster="synchronous")
    assert firings(lake, "follow") == [firing]
    assert lake.number == before + 1
    assert lake["metallicity_gradients"].entry.provenance["run"] == firing.run


def test_a_firing_that_fails_is_recorded_with_its_error_and_does_not_stop_the_others(lake):
    add_schedule(lake, "broken", on_change(parameters={"bins": 1, "n_min": 10**6}))
    add_schedule(lake, "sound", on_change(output="sound"))
    fired = {firing.schedule: firing for firing in tick(lake, START, cluster="synchronous")}
    assert fired["broken"].outcome == "error"
    assert fired["broken"].error["code"] == "too-few-objects"
    assert fired["sound"].outcome == "succeeded"
    assert [firing.outcome for firing in firings(lake, "broken")] == ["error"]


def test_what_another_process_is_running_is_passed_over(lake):
    add_schedule(lake, "follow", on_change())
    with lake.lock("schedule-follow", patience=0):
        assert tick(lake, START, cluster="synchronous") == []
    assert firings(lake, "follow") == []


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"cron": "0 3 * *"}, "is not a cron rule"),
        ({"cron": "99 3 * * *"}, "is not a cron rule"),
        ({"cron": "0 3 * * 8"}, "no day of the week 8"),
        ({"cron": "0 3 1 * 1"}, "day of the month and a day of the week"),
        ({"cron": "0 3 * * *", "timezone": "Mars/Olympus"}, "no time zone"),
        ({}, "neither when nor upon what"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(told, said):
    with pytest.raises(ScheduleError, match=said):
        Schedule("metallicity_gradients", STARS, START.isoformat(), **told)


def test_names_of_schedules_are_taken_once_and_unknown_ones_are_told(lake):
    add_schedule(lake, "nightly", on_change())
    with pytest.raises(ScheduleError, match="already"):
        add_schedule(lake, "nightly", on_change())
    with pytest.raises(ScheduleError, match="Did you mean 'nightly'"):
        remove_schedule(lake, "nihgtly")


def test_a_schedule_survives_its_text_and_a_damaged_one_is_told():
    rule = by_clock("0 3 * * *", on_change=("stars",))
    assert Schedule.from_json(rule.to_json()) == rule
    with pytest.raises(ScheduleError, match="not complete"):
        Schedule.from_json({"cron": "0 3 * * *"})
