"""Cron rules as crontab means them, on APScheduler's cron fields (which count the days of the week from Monday)."""

from functools import lru_cache
from typing import TYPE_CHECKING

from hven.errors import ScheduleError

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_HINT = "Every night at three is '0 3 * * *', Sundays at noon '0 12 * * 0'."


def cron_fields(cron: str) -> tuple[str, str, str, str, str]:
    """Return the fields of a rule: minute, hour, day, month, day of week.

    Raises
    ------
    ScheduleError
        If there are not five, nor a name for them; or if a day of the month and one of the week are named: crontab
        takes either, APScheduler both, so hven takes neither.

    Examples
    --------
    >>> cron_fields("@daily")
    ('0', '0', '*', '*', '*')
    """
    fields = _NAMED.get(cron.strip().lower(), cron).split()
    if len(fields) != 5:
        raise ScheduleError(
            f"{cron!r} is not a cron rule",
            where="cron",
            expected=f"five fields (minute hour day month day-of-week), or one of {', '.join(_NAMED)}",
            hint=_HINT,
        )
    minute, hour, day, month, weekdays = fields
    if day != "*" and weekdays != "*":
        raise ScheduleError(
            f"{cron!r} names a day of the month and a day of the week", where="cron", hint="Make two schedules of it."
        )
    return minute, hour, day, month, weekdays


def is_every_hour(cron: str) -> bool:
    """Return whether a rule is for every hour, and so for each that passes rather than for each on the dial.

    Examples
    --------
    >>> is_every_hour("*/5 * * * *"), is_every_hour("0 3 * * *")
    (True, False)
    """
    return cron_fields(cron)[1] in ("*", "*/1", "0-23")


@lru_cache(maxsize=512)
def cron_trigger(cron: str) -> "CronTrigger":
    """Return what tells the times that a rule names, in a calendar without changes of the clocks (0 and 7 are Sunday).

    Raises
    ------
    ScheduleError
        If it is not a rule, or names no day that ever comes.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> start = datetime(2026, 3, 1, 13, tzinfo=UTC)
    >>> cron_trigger("0 12 * * 0").get_next_fire_time(None, start).strftime("%A %d")
    'Sunday 08'
    """
    from datetime import UTC, datetime

    from apscheduler.triggers.cron import CronTrigger

    minute, hour, day, month, weekdays = cron_fields(cron)
    try:
        trigger = CronTrigger(
            minute=minute, hour=hour, day=day, month=month, day_of_week=_by_name(weekdays), timezone=UTC
        )
    except ValueError as error:
        raise ScheduleError(
            f"{cron!r} is not a cron rule: {error}",
            where="cron",
            expected="five fields: minute hour day month day-of-week",
            hint=_HINT,
        ) from error
    if trigger.get_next_fire_time(None, datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise ScheduleError(f"{cron!r} never comes", where="cron", expected="a day that there is", hint=_HINT)
    return trigger


def _by_name(weekdays: str) -> str:
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
