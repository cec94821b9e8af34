"""A tick: look which schedules are due, and run them, one after the other."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hven.errors import ConflictError, HvenError
from hven.schedule.firings import Firing, firings, record_firing
from hven.schedule.keeping import schedules

if TYPE_CHECKING:
    from hven.lake import Lake
    from hven.schedule.rule import Schedule


def due(lake: "Lake", now: datetime) -> dict[str, str]:
    """Return the schedules that are due at `now`, each with the reason.

    Firings that were missed count once: however often the clock passed, a schedule is due or it is not.
    """
    reasons = {name: _reason(lake, name, schedule, now) for name, schedule in schedules(lake).items()}
    return {name: reason for name, reason in reasons.items() if reason}


def tick(lake: "Lake", now: datetime, **how: Any) -> list[Firing]:
    """Run what is due at `now` and return the firings; a schedule that another process is running is passed over.

    Parameters
    ----------
    lake
        The lake whose schedules are meant.
    now
        With a time zone.
    **how
        Passed on to `hven.run`: ``cluster``, ``workers``.
    """
    done = []
    for name, reason in due(lake, now).items():
        try:
            with lake.lock(f"schedule-{name}", patience=0):
                # Another process may have run it between the look and the lock.
                schedule = schedules(lake).get(name)
                if schedule is not None and _reason(lake, name, schedule, now):
                    firing = _fire(lake, name, schedule, now, reason, how)
                    record_firing(lake, firing)
                    done.append(firing)
        except ConflictError:
            continue
    return done


def _reason(lake: "Lake", name: str, schedule: "Schedule", now: datetime) -> str:
    past = firings(lake, name)
    since = datetime.fromisoformat(past[-1].at if past else schedule.since)
    next_time = schedule.next_time(since)
    reasons = ["the clock"] if next_time is not None and next_time <= now else []
    seen = past[-1].seen if past else {}
    changed = [dataset for dataset, number in _changes(lake, schedule) if number > seen.get(dataset, -1)]
    return " and ".join([*reasons, *(f"a change of {dataset}" for dataset in changed)])


def _changes(lake: "Lake", schedule: "Schedule") -> Iterator[tuple[str, int]]:
    catalog = lake.catalog
    for dataset in schedule.on_change:
        if dataset in catalog:
            yield dataset, catalog[dataset].changed


def _fire(lake: "Lake", name: str, schedule: "Schedule", now: datetime, reason: str, how: Mapping[str, Any]) -> Firing:
    from hven.compute import run, select

    seen = dict(_changes(lake, schedule))
    at = now.astimezone(UTC).isoformat()
    selections = {
        given: select(told["datasets"], told.get("where"), told.get("region") or None, told.get("columns"))
        for given, told in schedule.inputs.items()
    }
    try:
        done = run(lake, schedule.analysis, selections, schedule.parameters, output=schedule.output or None, **how)
    except HvenError as error:
        return Firing(name, at, reason, "error", error=error.to_json(), seen=seen)
    return Firing(name, at, reason, done.state, run=done.id, seen=seen)
