"""A tick: look which schedules are due, and run them, one after the other. And running one by hand."""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any

from hven.compute.stopping import interrupt
from hven.errors import ConflictError, ReadOnlyError
from hven.schedule.firing import Firing
from hven.schedule.keeping import schedule_called, schedules
from hven.schedule.leases import EXPIRY, Lease, leased
from hven.schedule.standing import BY_HAND, Standing, due, reason_of
from hven.schedule.working import Listener, Turn

if TYPE_CHECKING:
    from hven.lake import Lake

LEASE = "schedules"
"""The lease of whoever runs what is due."""


def tick(
    lake: "Lake",
    now: datetime,
    *,
    lease: Lease | None = None,
    expiry: float = EXPIRY,
    listen: Listener = lambda _: None,
    **how: Any,
) -> list[Firing]:
    """Run what is due at `now` and return the firings, in the order in which they were run.

    What becomes due because another was run (``after``) is run too; each schedule at most once.

    Parameters
    ----------
    lake
        The lake whose schedules are meant.
    now
        With a time zone.
    lease
        The lease of the lake's schedules, for one who holds it; else it is taken, for as long as this takes.
    expiry
        After how many seconds of silence another holder on an object store counts as dead.
    listen
        Is told when a firing begins and when it has ended.
    **how
        Passed on to `hven.run` or `hven.update`: ``cluster``, ``workers``.

    Raises
    ------
    ReadOnlyError
        If the lake is a view of an older state.
    ConflictError
        If another process has the lease, as ``hven schedule serve`` does: it runs what is due.

    Examples
    --------
    >>> tick(lake, datetime.now(UTC))  # doctest: +SKIP
    []
    """
    check_newest(lake)
    if lease is None:
        with leased(lake, LEASE, expiry=expiry, on_loss=interrupt) as taken:
            return tick(lake, now, lease=taken, expiry=expiry, listen=listen, **how)
    began, done, fired = perf_counter(), set[str](), list[Firing]()
    known: dict[str, Standing] = {}
    while not lease.is_lost:
        # Looked at anew after each: what was run may make others due, and they may come before the rest.
        name = next((name for name in due(lake, now, known) if name not in done), None)
        if name is None:
            break
        done.add(name)
        schedule = schedules(lake).get(name)
        if schedule is None:  # Removed in this very moment.
            continue
        moment = now + timedelta(seconds=perf_counter() - began)
        why = _judged(lake, name, now)
        firing = Turn(lake, name, schedule, moment, why, how, lease.term, expiry, listen).fire()
        known.pop(name)
        if firing is not None:
            fired.append(firing)
    return fired


def run_now(
    lake: "Lake",
    name: str,
    now: datetime,
    *,
    expiry: float = EXPIRY,
    listen: Listener = lambda _: None,
    **how: Any,
) -> Firing:
    """Run a schedule now, due or not, paused or not, and return the firing; it counts for the clock and for changes.

    Raises
    ------
    ScheduleError
        If there is none of that name.
    ConflictError
        If another process begins a firing of it in this very moment.
    """
    check_newest(lake)
    schedule = schedule_called(lake, name)
    firing = Turn(lake, name, schedule, now, lambda _: BY_HAND, how, expiry=expiry, listen=listen).fire()
    if firing is None:
        raise ConflictError(
            f"schedule {name!r} is being fired by another process", where=lake.url, hint="See 'hven schedule show'."
        )
    return firing


def check_newest(lake: "Lake") -> None:
    """Refuse a view that stays at one commit: its schedules were those of another day, and it takes no results.

    Raises
    ------
    ReadOnlyError
        If it is one.
    """
    if lake.is_pinned:
        raise ReadOnlyError(
            "this view of the lake is pinned to one commit", where=lake.url, hint="Open the lake without a version."
        )


def _judged(lake: "Lake", name: str, now: datetime) -> Callable[[Standing], str]:
    """Return what tells why a schedule is due, if it still is when it is asked."""

    def why(at: Standing) -> str:
        schedule = schedules(lake).get(name)
        return "" if schedule is None else reason_of(lake.catalog, schedule, at, now)

    return why
