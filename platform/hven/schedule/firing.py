"""Firings: the record of each time a schedule ran something. They make no commits.

The firings of a schedule are numbered, and a number is taken by put-if-absent: of two processes that both think it is
their turn, one begins the firing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hven.lake import Lake

FOLDER = "runs/schedule-firings"
KEPT = 500
"""How many firings of a schedule are kept; older ones are removed as new ones come."""
_NUMBER = re.compile(r"/(\d{8})\.json$")


@dataclass(frozen=True)
class Firing:
    """One time that a schedule was due and what came of it.

    Attributes
    ----------
    schedule
        Its name.
    number
        Of the firing, counted from 1 for each name.
    at
        When it fired: ISO 8601, with a time zone.
    reason
        ``the clock``, the datasets that had changed, ``by hand``, or that an earlier firing was interrupted.
    outcome
        ``running``; as the run ended (``succeeded``, ``partial``, ``failed``); ``cancelled`` when the process was asked
        to stop, or somebody cancelled the run; ``interrupted`` when it died; ``skipped`` when somebody else was
        computing the same result.
    rule
        The schedule's id.
    by
        The process, as ``host:pid``.
    term
        Of the lease under which it fired, which grows with each holder; 0 by hand.
    attempt
        1, and one more after each interruption.
    skips
        How many times in a row it was skipped, when it was.
    runs
        The ids of its runs: one of an analysis; of an update, one for each result that was not up to date.
    note
        What else is to be known: why it was skipped, that the result was up to date.
    error
        What kept it from ending well, as `HvenError.to_json` gives it.
    seconds
        How long it took.
    until
        All moments of the clock up to here are dealt with.
    seen
        For each dataset whose change counts, the catalog number at which it had last changed.
    """

    schedule: str
    number: int
    at: str
    reason: str
    outcome: str
    rule: str = ""
    by: str = ""
    term: int = 0
    attempt: int = 1
    skips: int = 0
    runs: tuple[str, ...] = ()
    note: str = ""
    error: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    until: str = ""
    seen: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Whether nobody has to look at it."""
        return self.outcome not in {"failed", "partial", "interrupted", "cancelled"}

    def to_json(self) -> dict[str, Any]:
        """Return the firing as plain values."""
        return asdict(self)


def firings(lake: "Lake", schedule: str, last: int | None = None) -> list[Firing]:
    """Return the firings of a schedule, oldest first; only the `last` few when told so."""
    numbers = _numbers(lake, schedule)
    found = (_read(lake, schedule, number) for number in (numbers if last is None else numbers[-last:]))
    return [firing for firing in found if firing is not None]


def latest(lake: "Lake", schedule: str) -> Iterator[Firing]:
    """Give the firings of a schedule, newest first, each read when it is asked for."""
    found = (_read(lake, schedule, number) for number in reversed(_numbers(lake, schedule)))
    yield from (firing for firing in found if firing is not None)


def begin_firing(lake: "Lake", firing: Firing) -> bool:
    """Keep a new firing; False when another process has taken its number."""
    content = _content(firing)
    try:
        lake.store.create(_key(firing.schedule, firing.number), content)
    except FileExistsError:
        # The store may have retried a put whose answer was lost: then what is there is ours.
        return lake.store.get(_key(firing.schedule, firing.number)) == content
    old = [number for number in _numbers(lake, firing.schedule) if number <= firing.number - KEPT]
    lake.store.delete(*(_key(firing.schedule, number) for number in old))
    return True


def end_firing(lake: "Lake", firing: Firing) -> None:
    """Keep what became of a firing."""
    lake.store.put(_key(firing.schedule, firing.number), _content(firing))


def forget_firing(lake: "Lake", firing: Firing) -> None:
    """Remove a firing that came to nothing."""
    lake.store.delete(_key(firing.schedule, firing.number))


def _numbers(lake: "Lake", schedule: str) -> list[int]:
    matches = (_NUMBER.search(key) for key in lake.store.list(f"{FOLDER}/{schedule}"))
    return sorted(int(match[1]) for match in matches if match)


def _read(lake: "Lake", schedule: str, number: int) -> Firing | None:
    """Return a firing; None when another process has removed it since it was listed, or when its file is torn."""
    text = lake.store.get_or_none(_key(schedule, number))
    if text is None:
        return None
    try:
        told = json.loads(text)
        kept = {f.name: told[f.name] for f in fields(Firing) if f.name in told}
        return Firing(**kept | {"runs": tuple(kept.get("runs", ()))})
    except (ValueError, TypeError):
        return None


def _key(schedule: str, number: int) -> str:
    return f"{FOLDER}/{schedule}/{number:08d}.json"


def _content(firing: Firing) -> bytes:
    return json.dumps(firing.to_json(), ensure_ascii=False).encode()
