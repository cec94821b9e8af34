"""Schedules in the lake's catalog: added, removed, paused and listed; each change is a commit."""

import uuid
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from hven.errors import ScheduleError, did_you_mean
from hven.schedule.checking import check_schedule
from hven.schedule.rule import Schedule

if TYPE_CHECKING:
    from hven.lake import Lake

_TURNS = "schedules-kept"


def schedules(lake: "Lake") -> dict[str, Schedule]:
    """Return the lake's schedules by name."""
    return {name: Schedule.from_json(rule, where=f"schedule {name!r}") for name, rule in lake.catalog.schedules.items()}


def schedule_called(lake: "Lake", name: str) -> Schedule:
    """Return one schedule of the lake.

    Raises
    ------
    ScheduleError
        If there is none of that name.
    """
    _check_known(lake, name)
    return Schedule.from_json(lake.catalog.schedules[name], where=f"schedule {name!r}")


def add_schedule(lake: "Lake", name: str, schedule: Schedule) -> Schedule:
    """Keep a new schedule in the lake, and return it as it is kept.

    Raises
    ------
    ScheduleError
        If the name is taken, or it could not run: its analysis is not there, its inputs do not fit, what it follows is
        not there, or it would set itself off.

    Examples
    --------
    >>> add_schedule(lake, "nightly", Schedule(update="gradients", since=now, cron="0 3 * * *"))  # doctest: +SKIP
    """
    with lake.lock(_TURNS):
        if name in lake.catalog.schedules:
            raise ScheduleError(
                f"there is a schedule {name!r} already", where=lake.url, hint="Remove it first: hven schedule rm."
            )
        check_schedule(lake, name, schedule, schedules(lake))
        kept = replace(schedule, id=uuid.uuid4().hex[:12])
        with lake.transaction(f"added schedule {name}") as tx:
            tx.schedule(name, kept.to_json())
    return kept


def remove_schedule(lake: "Lake", name: str) -> None:
    """Remove a schedule; what it ran stays, and so do the records of its firings.

    Raises
    ------
    ScheduleError
        If there is none of that name.
    """
    with lake.lock(_TURNS):
        _check_known(lake, name)
        with lake.transaction(f"removed schedule {name}") as tx:
            tx.schedule(name, None)


def pause_schedule(lake: "Lake", name: str) -> None:
    """Keep a schedule from being due until it is resumed.

    Raises
    ------
    ScheduleError
        If there is none of that name.
    """
    with lake.lock(_TURNS):
        schedule = schedule_called(lake, name)
        if not schedule.is_paused:
            _keep(lake, name, replace(schedule, is_paused=True), "paused")


def resume_schedule(lake: "Lake", name: str, now: datetime) -> None:
    """Let a paused schedule be due again: by the clock from `now` on, and by what has changed meanwhile.

    Raises
    ------
    ScheduleError
        If there is none of that name.
    """
    with lake.lock(_TURNS):
        schedule = schedule_called(lake, name)
        if schedule.is_paused:
            _keep(lake, name, replace(schedule, is_paused=False, since=now.isoformat()), "resumed")


def _keep(lake: "Lake", name: str, schedule: Schedule, verb: str) -> None:
    with lake.transaction(f"{verb} schedule {name}") as tx:
        tx.schedule(name, schedule.to_json())


def _check_known(lake: "Lake", name: str) -> None:
    known = lake.catalog.schedules
    if name not in known:
        raise ScheduleError(
            f"there is no schedule {name!r}",
            where=lake.url,
            hint=did_you_mean(name, known, f"The schedules are: {', '.join(known) or 'none yet'}."),
        )
