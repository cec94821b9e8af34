"""Schedules in the lake's catalog: added, removed and listed; each change is a commit."""

from typing import TYPE_CHECKING

from hven.errors import ScheduleError, did_you_mean
from hven.schedule.rule import Schedule

if TYPE_CHECKING:
    from hven.lake import Lake


def schedules(lake: "Lake") -> dict[str, Schedule]:
    """Return the lake's schedules by name."""
    return {name: Schedule.from_json(rule, where=f"schedule {name!r}") for name, rule in lake.catalog.schedules.items()}


def add_schedule(lake: "Lake", name: str, schedule: Schedule) -> None:
    """Keep a new schedule in the lake.

    Raises
    ------
    ScheduleError
        If the name is taken.
    """
    if name in lake.catalog.schedules:
        raise ScheduleError(f"there is a schedule {name!r} already", hint="Remove it first: hven schedule rm.")
    with lake.transaction(f"added schedule {name}") as tx:
        tx.schedule(name, schedule.to_json())


def remove_schedule(lake: "Lake", name: str) -> None:
    """Remove a schedule; what it ran stays.

    Raises
    ------
    ScheduleError
        If there is none of that name.
    """
    known = lake.catalog.schedules
    if name not in known:
        raise ScheduleError(
            f"there is no schedule {name!r}",
            where=lake.url,
            hint=did_you_mean(name, known, f"The schedules are: {', '.join(known) or 'none yet'}."),
        )
    with lake.transaction(f"removed schedule {name}") as tx:
        tx.schedule(name, None)
