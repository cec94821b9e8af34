"""The clock of schedules against zoneinfo, minute by minute, wherever clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hven.errors import ScheduleError
from hven.schedule.zones import next_instant, time_zone

ZONES = sorted(available_timezones())
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def named(field, size):
    """The values of a field of cron."""
    if field.startswith("*"):
        return set(range(0, size, int(field.partition("/")[2] or 1)))
    first, _, last = field.partition("-")
    return set(range(int(first), int(last) + 1)) if last else {int(part) for part in field.split(",")}


def all_instants(minutes, hours, zone, around):
    """Every instant of a rule within two days, found by looking at each minute."""
    minute_set, hour_set = named(minutes, 60), named(hours, 24)
    steps = [around.replace(second=0, microsecond=0) + n * MINUTE for n in range(-2 * 1440, 3 * 1440)]
    if hours in ("*", "*/1", "0-23"):
        shown = ((step, step.astimezone(zone)) for step in steps)
        return sorted(step for step, local in shown if local.minute in minute_set and local.hour in hour_set)
    dial = (step.replace(tzinfo=zone, fold=0) for step in steps)
    return sorted({d.astimezone(UTC) for d in dial if d.minute in minute_set and d.hour in hour_set})


def changes_of_clocks(zone, year):
    """The hours of a year after which the clocks of a zone show another offset."""
    days = [datetime(year, 1, 1, tzinfo=UTC) + n * DAY for n in range(367)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    return [days[n] for n in range(366) if offsets[n] != offsets[n + 1]]


minutes = st.sampled_from(["0", "30", "59", "5,35", "*/15", "*"])
hours = st.sampled_from(["*", "0", "1", "2", "3", "23", "2,14", "*/2", "*/6", "1-3", "0-22"])


@settings(max_examples=150)
@given(st.sampled_from(ZONES), st.integers(1973, 2037), minutes, hours, st.integers(-1500, 3000), st.integers(0, 59))
@example("Pacific/Apia", 2011, "30", "3", 600, 0)  # A whole day was skipped.
@example("Australia/Lord_Howe", 2026, "*/15", "*", 900, 7)  # Half an hour.
@example("Africa/Casablanca", 2026, "30", "2", 1440, 0)  # Back for Ramadan.
@example("America/St_Johns", 2005, "5,35", "*/2", 200, 0)  # One minute past midnight.
def test_a_rule_comes_when_zoneinfo_says_in_every_zone_and_around_every_change(zone, year, minute, hour, off, second):
    zone = ZoneInfo(zone)
    near = changes_of_clocks(zone, year) or [datetime(year, 3, 1, tzinfo=UTC)]
    after = near[off % len(near)] + off * MINUTE + timedelta(seconds=second)
    told = [instant for instant in all_instants(minute, hour, zone, after) if instant > after]
    for expected in told[:4]:
        found = next_instant(f"{minute} {hour} * * *", zone, after)
        assert found.astimezone(UTC) == expected
        assert found.tzinfo is zone
        after = found.astimezone(UTC)


@settings(max_examples=15)
@given(st.sampled_from(ZONES), st.integers(1973, 2037), st.integers(0, 23), st.integers(0, 59))
def test_a_rule_for_each_day_comes_once_for_every_day_of_a_year(zone, year, hour, minute):
    """Where an island jumped over a whole day, as Samoa did on 30 December 2011, that day's is one with the next's."""
    zone = time_zone(zone)
    after, count = datetime(year, 1, 1, tzinfo=zone) - MINUTE, 0
    while (after := next_instant(f"{minute} {hour} * * *", zone, after)) is not None and after.year == year:
        count += 1
    days = (datetime(year + 1, 1, 1, tzinfo=UTC) - datetime(year, 1, 1, tzinfo=UTC)).days
    new_year = [datetime(year + n, 1, 1, tzinfo=UTC).astimezone(zone).utcoffset() for n in (0, 1)]
    assert count in ({days, days - 1} if abs(new_year[1] - new_year[0]) > DAY / 2 else {days})


@pytest.mark.parametrize(
    ("cron", "weekday"), [("0 3 * * 0", 6), ("0 3 * * 7", 6), ("0 3 * * sun", 6), ("0 3 * * 1", 0), ("0 3 * * sat", 5)]
)
def test_days_of_the_week_are_counted_as_in_crontab(cron, weekday):
    assert next_instant(cron, time_zone("UTC"), datetime(2026, 3, 3, tzinfo=UTC)).weekday() == weekday


def test_rules_for_rare_days_come_and_rules_for_days_that_there_are_not_are_refused():
    assert next_instant("0 0 29 2 *", time_zone("UTC"), datetime(2096, 3, 1, tzinfo=UTC)).year == 2104
    with pytest.raises(ScheduleError, match="never comes"):
        next_instant("0 0 30 2 *", time_zone("UTC"), datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(("name", "near"), [("Europe/Berln", "Europe/Berlin"), ("", "such as"), ("../etc", "such as")])
def test_a_time_zone_that_there_is_not_is_refused_with_the_nearest(name, near):
    with pytest.raises(ScheduleError, match=near):
        time_zone(name)
