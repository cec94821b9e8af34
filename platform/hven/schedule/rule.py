"""A schedule: which analysis runs on what, and when it runs again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from hven.errors import ScheduleError

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger


@dataclass(frozen=True)
class Schedule:
    """A rule for when an analysis runs again: by the clock, when a dataset changes, or both.

    Attributes
    ----------
    analysis
        Its name.
    inputs
        Input -> what is selected, as `hven.compute.Selection.to_json` gives it.
    since
        From when on it counts: ISO 8601, with a time zone.
    cron
        Five fields as in crontab (minute, hour, day, month, day of week); empty for not by the clock.
    timezone
        Of the five fields, as ``Europe/Berlin``. A local time that is skipped or comes twice counts once.
    on_change
        Datasets whose change makes it due.
    parameters
        Of the analysis.
    output
        What the result is called; the analysis's name when empty.

    Examples
    --------
    >>> stars = {"datasets": "apogee"}
    >>> nightly = Schedule("metallicity_gradients", {"stars": stars}, "2026-01-01T00:00+00:00", "0 3 * * *")
    >>> nightly.next_time(datetime.fromisoformat("2026-01-05T12:00+00:00")).isoformat()
    '2026-01-06T03:00:00+00:00'
    """

    analysis: str
    inputs: Mapping[str, Mapping[str, Any]]
    since: str
    cron: str = ""
    timezone: str = "UTC"
    on_change: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""

    def __post_init__(self) -> None:
        if not self.cron and not self.on_change:
            raise ScheduleError(
                "the schedule says neither when nor upon what",
                hint="Give it a cron rule, or datasets to follow.",
            )
        if self.cron:
            self._trigger()

    def next_time(self, after: datetime) -> datetime | None:
        """Return when the clock makes it due for the first time later than `after`; None when it never does."""
        if not self.cron:
            return None
        found: datetime | None = self._trigger().get_next_fire_time(after, after)
        return found

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
        try:
            return cls(**{**told, "on_change": tuple(told.get("on_change", ()))})
        except TypeError as error:
            raise ScheduleError(
                "the schedule is not complete", where=where, hint="Remove it and add it again: hven schedule rm."
            ) from error

    def _trigger(self) -> "CronTrigger":
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        from apscheduler.triggers.cron import CronTrigger

        try:
            zone = ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ScheduleError(
                f"there is no time zone {self.timezone!r}", expected="a name such as Europe/Berlin", hint="Correct it."
            ) from error
        try:
            return CronTrigger.from_crontab(self.cron, timezone=zone)
        except ValueError as error:
            raise ScheduleError(
                f"{self.cron!r} is not a cron rule: {error}",
                expected="five fields: minute hour day month day-of-week",
                hint="Every night at three is '0 3 * * *'.",
            ) from error
