"""What is due: the clock, changes and interruptions, judged by the rules and the records of firings alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from hven.schedule.checking import is_of
from hven.schedule.firing import Firing, latest
from hven.schedule.keeping import schedules

if TYPE_CHECKING:
    from hven.catalog import Catalog
    from hven.lake import Lake
    from hven.schedule.rule import Schedule

ATTEMPTS = 3
"""How many times a firing is begun that its process never ends: perhaps it is the one that kills the process."""

BY_HAND = "by hand"


@dataclass(frozen=True)
class Standing:
    """Where a schedule stands.

    Attributes
    ----------
    number
        Of its newest firing; 0 before the first.
    until
        The clock's moments up to here are dealt with.
    seen
        For each dataset that it follows, the catalog number at which it had last changed when it last ran.
    last
        The newest firing that was not skipped, if it was one of this very rule.
    skipped
        The newest firing, if that was skipped.
    """

    number: int
    until: datetime
    seen: Mapping[str, int]
    last: Firing | None = None
    skipped: Firing | None = None

    @property
    def is_broken_off(self) -> bool:
        """Whether the last firing did not end, and should go on.

        One that is called running may be just that; the lease of its result tells whether anybody is still at it.
        """
        last = self.last
        if last is None or last.outcome not in {"running", "interrupted", "cancelled"}:
            return False
        if last.outcome == "cancelled" and last.error:
            return False  # Somebody cancelled the run itself, and does not want to see it go on.
        return last.outcome == "running" or (last.reason != BY_HAND and last.attempt < ATTEMPTS)


def standing(lake: "Lake", name: str, schedule: "Schedule") -> Standing:
    """Return where a schedule stands, from the newest of its firings: two are read at most."""
    number, until, seen = 0, datetime.fromisoformat(schedule.since), {}
    skipped = last = None
    for firing in latest(lake, name):
        number = max(number, firing.number)
        if firing.rule != schedule.id:
            break
        until = max(until, datetime.fromisoformat(firing.until))
        if firing.outcome != "skipped":
            last, seen = firing, dict(firing.seen)
            break
        skipped = skipped or firing
        seen = dict(firing.seen)
    return Standing(number, until, seen, last, skipped)


def due(lake: "Lake", now: datetime, known: dict[str, Standing] | None = None) -> dict[str, str]:
    """Return the schedules that are due at `now`, each with the reason; those that others wait for come first.

    Firings that were missed count once: however often the clock passed, a schedule is due or it is not. A clock that is
    set back makes nothing due again.

    Parameters
    ----------
    lake
        The lake.
    now
        With a time zone.
    known
        Where schedules stand, as far as it was looked up before; what is looked up now is added.

    Examples
    --------
    >>> due(lake, datetime.now(UTC))  # doctest: +SKIP
    {'nightly': 'the clock'}
    """
    rules, catalog = schedules(lake), lake.catalog
    at = {} if known is None else known
    for name in rules.keys() - at.keys():
        at[name] = standing(lake, name, rules[name])
    reasons = {name: reason_of(catalog, schedule, at[name], now) for name, schedule in rules.items()}
    waiting = {name: reason for name, reason in reasons.items() if reason}
    ordered: dict[str, str] = {}
    while waiting:
        # There is no circle among them; should a rule have been kept in spite of that, the first by name breaks it.
        first = next((name for name in waiting if not _waits(rules, name, waiting)), next(iter(waiting)))
        ordered[first] = waiting.pop(first)
    return ordered


def reason_of(catalog: "Catalog", schedule: "Schedule", at: Standing, now: datetime) -> str:
    """Return why a schedule is due at `now`; empty when it is not."""
    if schedule.is_paused:
        return ""
    next_time = schedule.next_time(at.until)
    reasons = ["the clock"] if next_time is not None and next_time <= now else []
    numbers = changes(catalog, schedule)
    reasons += [f"a change of {name}" for name, number in numbers.items() if number > at.seen.get(name, -1)]
    if at.is_broken_off and at.last is not None:
        reasons.append(f"firing {at.last.number} was broken off")
    return " and ".join(reasons)


def changes(catalog: "Catalog", schedule: "Schedule") -> dict[str, int]:
    """Return for each dataset that a schedule follows the catalog number at which it last changed, when it is there."""
    told: dict[str, int] = {}
    for watched in schedule.watched:
        numbers = [entry.changed for entry in catalog.entries.values() if is_of(entry.name, watched)]
        if numbers:
            told[watched] = max(numbers)
    return told


def next_firing(lake: "Lake", name: str, schedule: "Schedule", now: datetime) -> datetime | None:
    """Return when a schedule fires next: `now` when it is due, else as the clock tells; None when only changes do."""
    if schedule.is_paused:
        return None
    at = standing(lake, name, schedule)
    # One that is running, as far as its record tells, is not shown as due.
    is_running = at.last is not None and at.last.outcome == "running"
    is_due = not is_running and reason_of(lake.catalog, schedule, at, now)
    return now if is_due else schedule.next_time(at.until)


def _waits(rules: Mapping[str, "Schedule"], name: str, waiting: Mapping[str, str]) -> bool:
    """Return whether a schedule follows what another one that is due will make."""
    watched = rules[name].watched
    made = [result for other in waiting if other != name for result in rules[other].results]
    return any(is_of(each, result) for each in watched for result in made)
