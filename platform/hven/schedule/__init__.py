"""When analyses run again: rules kept in the lake's catalog, the tick that runs what is due, and the daemon."""

from hven.compute.stopping import stoppable
from hven.schedule.firing import Firing, firings
from hven.schedule.keeping import (
    add_schedule,
    pause_schedule,
    remove_schedule,
    resume_schedule,
    schedule_called,
    schedules,
)
from hven.schedule.leases import Lease, leased
from hven.schedule.rule import Schedule
from hven.schedule.serving import Event, serve
from hven.schedule.standing import due, next_firing
from hven.schedule.ticking import run_now, tick

__all__ = [
    "Event",
    "Firing",
    "Lease",
    "Schedule",
    "add_schedule",
    "due",
    "firings",
    "leased",
    "next_firing",
    "pause_schedule",
    "remove_schedule",
    "resume_schedule",
    "run_now",
    "schedule_called",
    "schedules",
    "serve",
    "stoppable",
    "tick",
]
