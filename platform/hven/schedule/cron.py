"""Cron rules as crontab means them, for APScheduler, which counts the days of the week from Monday."""

from typing import TYPE_CHECKING

from hven.errors import ScheduleError

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_HINT = "Every night at three is '0 3 * * *', Sundays at noon '0 12 * * 0'."


def cron_trigger(cron: str, timezone: str) -> "CronTrigger":
    """Return the trigger of a rule of five fields: minute, hour, day, month, day of week (0 and 7 are Sunday).

    Raises
    ------
    ScheduleError
        If the rule or the time zone is none, or if it names a day of the month and one of the week as well: crontab
        takes either, APScheduler both, so hven takes neither.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> start = datetime(2026, 3, 1, 13, tzinfo=UTC)
    >>> cron_trigger("0 12 * * 0", "UTC").get_next_fire_time(None, start).strftime("%A %d")
    'Sunday 08'
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from apscheduler.triggers.cron import CronTrigger

    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ScheduleError(
            f"there is no time zone {timezone!r}", expected="a name such as Europe/Berlin", hint="Correct it."
        ) from error
    try:
        minute, hour, day, month, weekdays = cron.split()
        if day != "*" and weekdays != "*":
            raise ScheduleError(
                f"{cron!r} names a day of the month and a day of the week", hint="Make two schedules of it."
            )
        return CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=_named(weekdays), timezone=zone)
    except ValueError as error:
        raise ScheduleError(
            f"{cron!r} is not a cron rule: {error}",
            expected="five fields: minute hour day month day-of-week",
            hint=_HINT,
        ) from error


def _named(weekdays: str) -> str:
    """Return the days of a field by name, each by itself: ``fri,sat,sun`` for ``5-7``."""
    if weekdays == "*":
        return weekdays
    found: list[int] = []
    for part in weekdays.lower().split(","):
        reach, _, step = part.partition("/")
        first, _, last = ("0", "", "6") if reach == "*" else reach.partition("-")
        start = _number(first)
        stop = _number(last) if last else 6 if step else start
        found += range(start, stop + 1 if stop >= start else stop + 8, int(step or 1))
    return ",".join(dict.fromkeys(_DAYS[number % 7] for number in found))


def _number(day: str) -> int:
    number = _DAYS.index(day) if day in _DAYS else int(day)
    if not 0 <= number <= 7:
        raise ValueError(f"there is no day of the week {number}")
    return number
