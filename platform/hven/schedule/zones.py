"""When a cron rule comes in a time zone, through every change of its clocks.

A rule for certain hours names local times, each of which is one instant: one that comes twice counts the first time,
and one that a change of the clocks skips counts where the clocks would have shown it without the change (03:30 summer
time for a skipped 02:30; `zoneinfo` with ``fold=0``, PEP 495). So no day is skipped, and none counts twice. A rule for
every hour counts whenever the clocks show one of its times: no hour that passes is left out.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from hven.errors import ScheduleError, did_you_mean
from hven.schedule.cron import cron_trigger, is_every_hour

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_REACH = timedelta(hours=26)
"""How near a change of the clocks has to be to matter. The greatest, when islands changed their date, were 24 hours."""


@lru_cache(maxsize=128)
def time_zone(name: str) -> "ZoneInfo":
    """Return a time zone of the IANA database.

    Raises
    ------
    ScheduleError
        If there is none of that name.

    Examples
    --------
    >>> time_zone("Europe/Berlin").key
    'Europe/Berlin'
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(
            f"there is no time zone {name!r}",
            where="timezone",
            expected="a name such as Europe/Berlin",
            hint=did_you_mean(name, available_timezones(), "Correct it; on small systems, install the package tzdata."),
        ) from error


def next_instant(cron: str, zone: "ZoneInfo", after: datetime) -> datetime | None:
    """Return the first instant later than `after` at which a rule comes, in the time of `zone`, or None.

    Examples
    --------
    >>> night = datetime(2026, 3, 29, 0, tzinfo=UTC)  # 02:30 is skipped
    >>> next_instant("30 2 * * *", time_zone("Europe/Berlin"), night).isoformat()
    '2026-03-29T03:30:00+02:00'
    """
    trigger, every_hour = cron_trigger(cron), is_every_hour(cron)
    best: datetime | None = None
    # Around a change of the clocks the order of local times is not that of instants: look that much further both ways.
    start = _dial(after, zone) - _swing(after, zone)
    stop = start
    local: datetime | None = trigger.get_next_fire_time(None, start)
    while local is not None and (best is None or local <= stop):
        for instant in _instants(local, zone, every_hour=every_hour):
            if instant > after and (best is None or instant < best):
                best = instant
                stop = _dial(best, zone) + _swing(best, zone)
        local = trigger.get_next_fire_time(local, local)
    return None if best is None else best.astimezone(zone)


def _instants(local: datetime, zone: "ZoneInfo", *, every_hour: bool) -> Iterator[datetime]:
    """Give the instants that a time on the dial stands for."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if not every_hour:
        yield first
        return
    again = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    yield from (instant for instant in dict.fromkeys((first, again)) if _dial(instant, zone) == local)


def _dial(instant: datetime, zone: "ZoneInfo") -> datetime:
    """Return what the clocks show, as if it were UTC: a calendar in which clocks never change."""
    return instant.astimezone(zone).replace(tzinfo=UTC, fold=0)


def _swing(instant: datetime, zone: "ZoneInfo") -> timedelta:
    """Return by how much the clocks change around an instant."""
    near = (instant - _REACH, instant, instant + _REACH)
    offsets = [moment.astimezone(zone).utcoffset() or timedelta() for moment in near]
    return max(offsets) - min(offsets)
