"""The daemon: it holds the lake's lease, sleeps until something may be due, and ticks."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING, Any, Self

from hven.compute.presence import me
from hven.compute.stopping import interrupt
from hven.errors import ConflictError, HvenError
from hven.schedule.firing import Firing
from hven.schedule.keeping import schedules
from hven.schedule.leases import EXPIRY, Lease, leased
from hven.schedule.ticking import LEASE, check_newest, tick

if TYPE_CHECKING:
    from hven.lake import Lake
    from hven.schedule.rule import Schedule

EVERY = 30.0
"""Seconds between two looks for datasets that have changed, and for schedules that were added."""


@dataclass(frozen=True)
class Event:
    """Something that the daemon tells.

    Attributes
    ----------
    kind
        ``waiting`` (another has the lease), ``serving``, ``firing`` (one begins), ``fired`` (it has ended), ``trouble``
        (a look failed; the next one may not), ``lost`` (another has taken the lease), ``stopped``.
    at
        When: ISO 8601.
    told
        What belongs to it: the firing, the error, the holder of the lease.
    """

    kind: str
    at: str
    told: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as one flat mapping, for a line of a log."""
        return {"event": self.kind, "time": self.at, **self.told}


def _utc_now() -> datetime:
    return datetime.now(UTC)


def serve(
    lake: "Lake",
    *,
    every: float = EVERY,
    expiry: float = EXPIRY,
    clock: Callable[[], datetime] = _utc_now,
    tell: Callable[[Event], None] = lambda _: None,
    **how: Any,
) -> None:
    """Run what is due, when it is due, until a `KeyboardInterrupt` (in `stoppable`: also SIGTERM).

    While another process has the lake's lease this one waits, and takes over when that one ends or dies. A run that is
    interrupted is cancelled so that it can go on, and its firing says so.

    Parameters
    ----------
    lake
        The lake whose schedules are meant.
    every
        Seconds between two looks for changes. The clock's moments are met to the second whatever this is.
    expiry
        On an object store: after how many seconds of silence the holder of the lease counts as dead.
    clock
        Gives the time, with a zone.
    tell
        Is told what happens.
    **how
        Passed on to `hven.run` or `hven.update`: ``cluster``, ``workers``.

    Raises
    ------
    HvenError
        If the lake cannot be reached when this begins; later it is told, and tried again.

    Examples
    --------
    >>> with stoppable():  # doctest: +SKIP
    ...     serve(lake, tell=print)
    """

    def say(kind: str, **told: Any) -> None:
        tell(Event(kind, clock().astimezone(UTC).isoformat(timespec="milliseconds"), told))

    check_newest(lake)
    # A local lease ends with its holder, and is looked at in no time.
    patience = min(every, 1.0) if lake.store.is_local else min(every, expiry / 4)
    waits_for, has_begun = "", False
    while True:
        lease = None
        try:
            with leased(lake, LEASE, expiry=expiry, on_loss=interrupt) as lease:
                waits_for, has_begun = "", True
                say("serving", lake=lake.url, by=me(), term=lease.term)
                _look(lake, lease, every, expiry, clock, say, how)
        except KeyboardInterrupt:
            if lease is None or not lease.is_lost:
                say("stopped")
                return
        except ConflictError as error:
            has_begun = True
            if waits_for != error.what:
                waits_for = error.what
                say("waiting", what=error.what)
        except HvenError as error:
            if not has_begun:
                raise
            say("trouble", error=error.to_json())
        if lease is not None and lease.is_lost:
            say("lost", term=lease.term)
        try:
            sleep(patience)
        except KeyboardInterrupt:
            say("stopped")
            return


def _look(
    lake: "Lake",
    lease: Lease,
    every: float,
    expiry: float,
    clock: Callable[[], datetime],
    say: Callable[..., None],
    how: Mapping[str, Any],
) -> None:
    """Look for what is due, again and again, as long as the lease is held."""

    def listen(firing: Firing) -> None:
        say("firing" if firing.outcome == "running" else "fired", **firing.to_json())

    trouble = ""
    with _Alarm() as alarm:
        while not lease.is_lost:
            try:
                alarm.follow(schedules(lake))
                tick(lake, clock(), lease=lease, expiry=expiry, listen=listen, **how)
                trouble = ""
            except HvenError as error:
                # A store that does not answer, a rule that this machine cannot read: the next look may go well.
                if trouble != str(error):
                    trouble = str(error)
                    say("trouble", error=error.to_json())
            alarm.wait(every)


class _Alarm:
    """An alarm clock that rings at each moment of the rules. APScheduler keeps the time."""

    def __init__(self) -> None:
        from apscheduler.schedulers.background import BackgroundScheduler

        self._rang = threading.Event()
        self._rules: dict[str, Schedule] = {}
        self._scheduler = BackgroundScheduler(timezone=UTC)

    def __enter__(self) -> Self:
        self._scheduler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._scheduler.shutdown(wait=False)

    def follow(self, rules: "Mapping[str, Schedule]") -> None:
        """Ring by these rules from now on."""
        for name in [name for name in self._rules if rules.get(name) != self._rules[name]]:
            del self._rules[name]
            if self._scheduler.get_job(name):
                self._scheduler.remove_job(name)
        for name, rule in rules.items():
            if name not in self._rules:
                self._rules[name] = rule
                if rule.cron and not rule.is_paused:
                    # A moment that was missed rings once, however late: the tick decides what is due.
                    self._scheduler.add_job(
                        self._rang.set, _moments(rule), id=name, coalesce=True, misfire_grace_time=None
                    )

    def wait(self, seconds: float) -> bool:
        """Wait until it rings, at most so many seconds, and return whether it has."""
        rang = self._rang.wait(seconds)
        self._rang.clear()
        return rang


def _moments(rule: "Schedule") -> Any:
    """Return the moments of a rule as a trigger of APScheduler."""
    from apscheduler.triggers.base import BaseTrigger

    class _Moments(BaseTrigger):  # type: ignore[misc]
        def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:  # noqa: ARG002
            return rule.next_time(now)

    return _Moments()
