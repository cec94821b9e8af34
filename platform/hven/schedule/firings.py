"""Firings: the record of each time a schedule ran something. They make no commits."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hven.lake import Lake

_FOLDER = "runs/schedule-firings"


@dataclass(frozen=True)
class Firing:
    """One time that a schedule was due and what came of it.

    Attributes
    ----------
    schedule
        Its name.
    at
        When it fired: ISO 8601, with a time zone.
    reason
        ``"the clock"`` or the datasets that had changed.
    outcome
        ``succeeded``, or as the run ended, or ``error`` when there was no run.
    run
        The run's id; empty when there was none.
    error
        What kept it from running, as `HvenError.to_json` gives it.
    seen
        For each dataset whose change counts, the catalog number at which it had last changed.
    """

    schedule: str
    at: str
    reason: str
    outcome: str
    run: str = ""
    error: Mapping[str, str] = field(default_factory=dict)
    seen: Mapping[str, int] = field(default_factory=dict)


def record_firing(lake: "Lake", firing: Firing) -> None:
    """Keep a firing under the lake's runs."""
    stamp = "".join(c for c in firing.at if c.isalnum())
    lake.store.put(f"{_FOLDER}/{firing.schedule}/{stamp}.json", json.dumps(asdict(firing)).encode())


def firings(lake: "Lake", schedule: str) -> list[Firing]:
    """Return the firings of a schedule, oldest first."""
    keys = sorted(key for key in lake.store.list(f"{_FOLDER}/{schedule}") if key.endswith(".json"))
    return [Firing(**json.loads(lake.store.get(key))) for key in keys]
