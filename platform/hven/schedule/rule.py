"""A schedule: what runs again, and when."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from hven.errors import ScheduleError
from hven.schedule.cron import cron_trigger
from hven.schedule.zones import next_instant, time_zone


@dataclass(frozen=True)
class Schedule:
    """A rule for when an analysis runs again: by the clock, when a dataset changes, after another result.

    Any of them makes it due. What runs is an analysis with its inputs, or the update of a result that there is.

    Attributes
    ----------
    analysis
        Its name; empty for an update.
    inputs
        Input -> what is selected, as `hven.compute.Selection.to_json` gives it.
    since
        From when on the clock counts: ISO 8601, with a time zone.
    cron
        Five fields as in crontab (minute, hour, day, month, day of week) or ``@daily`` and the like; empty for not by
        the clock.
    timezone
        Of the five fields, as ``Europe/Berlin``.
    on_change
        Datasets whose change makes it due.
    after
        Results: it is due when one of them was published anew, and never runs before those that are due themselves.
    parameters
        Of the analysis.
    output
        What the result is called; the analysis's name when empty.
    update
        The result to be brought up to date, instead of an analysis.
    pipeline
        The pipeline to be run, instead of an analysis, as `hven.Pipeline.to_json` gives it.
    is_paused
        Whether it is never due until it is resumed.
    id
        Given when it is added, so that firings of an earlier schedule of the same name do not count.

    Raises
    ------
    ScheduleError
        If it says neither what nor when, or in a way that cannot be understood.

    Examples
    --------
    >>> stars = {"datasets": "apogee"}
    >>> nightly = Schedule("metallicity_gradients", {"stars": stars}, "2026-01-01T00:00+00:00", "0 3 * * *")
    >>> nightly.next_time(datetime.fromisoformat("2026-01-05T12:00+00:00")).isoformat()
    '2026-01-06T03:00:00+00:00'
    """

    analysis: str = ""
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    since: str = ""
    cron: str = ""
    timezone: str = "UTC"
    on_change: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""
    update: str = ""
    pipeline: Mapping[str, Any] = field(default_factory=dict)
    is_paused: bool = False
    id: str = ""

    def __post_init__(self) -> None:
        count = sum(map(bool, (self.analysis, self.update, self.pipeline)))
        if count != 1:
            raise ScheduleError(
                "the schedule says several things to run" if count else "the schedule runs nothing",
                expected="an analysis, the result to update, or a pipeline",
                hint="Name one of them.",
            )
        if not self.cron and not self.watched:
            raise ScheduleError(
                "the schedule says neither when nor upon what",
                expected="a cron rule, datasets to follow, or results to come after",
                hint="Give one of them.",
            )
        try:
            is_known = datetime.fromisoformat(self.since).tzinfo is not None
        except ValueError:
            is_known = False
        if not is_known:
            raise ScheduleError(
                f"the schedule counts since {self.since!r}",
                where="since",
                expected="a time with its zone, as 2026-01-01T00:00+00:00",
                hint="Give one.",
            )
        time_zone(self.timezone)
        if self.cron:
            cron_trigger(self.cron)

    @property
    def results(self) -> tuple[str, ...]:
        """What it makes: one result, or those of all steps of a pipeline."""
        if self.pipeline:
            return tuple(step.get("output") or step["analysis"] for step in self.pipeline["steps"])
        return (self.update or self.output or self.analysis,)

    @property
    def watched(self) -> tuple[str, ...]:
        """Everything whose change makes it due."""
        return tuple(dict.fromkeys((*self.on_change, *self.after)))

    def next_time(self, after: datetime) -> datetime | None:
        """Return when the clock makes it due for the first time later than `after`; None when it never does.

        A local time that a change of the clocks skips is due as much later as they change; one that comes twice is due
        once. A rule for every hour is due in every hour that passes.
        """
        return next_instant(self.cron, time_zone(self.timezone), after) if self.cron else None

    def to_json(self) -> dict[str, Any]:
        """Return the rule as plain JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str = "") -> Self:
        """Return the rule that `to_json` gave.

        Raises
        ------
        ScheduleError
            If something is missing in it.
        """
        known = {f.name for f in fields(cls)}
        told = {key: value for key, value in values.items() if key in known}
        for key in ("on_change", "after"):
            told[key] = tuple(told.get(key, ()))
        try:
            return cls(**told)
        except ScheduleError as error:
            raise ScheduleError(
                f"the schedule is not complete: {error.what}",
                where=where,
                expected=error.expected,
                hint="Remove it and add it again: hven schedule rm.",
            ) from error
