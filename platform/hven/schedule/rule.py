"""A schedule: which analysis runs on what, and when it runs again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from hven.errors import ScheduleError
from hven.schedule.cron import cron_trigger


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
        Of the five fields, as ``Europe/Berlin``.
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
            cron_trigger(self.cron, self.timezone)

    def next_time(self, after: datetime) -> datetime | None:
        """Return when the clock makes it due for the first time later than `after`; None when it never does.

        A local time that a change of the clocks skips is due right after it; one that comes twice is due once, unless
        the rule is for every hour.
        """
        if not self.cron:
            return None
        trigger, is_hourly = cron_trigger(self.cron, self.timezone), self.cron.split()[1].startswith("*")
        found: datetime | None = trigger.get_next_fire_time(after, after)
        while found is not None and found.fold and not is_hourly:
            found = trigger.get_next_fire_time(found, found)
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
