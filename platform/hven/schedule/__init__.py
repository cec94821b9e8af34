"""When analyses run again: rules kept in the lake's catalog, and the tick that runs what is due."""

from hven.schedule.firings import Firing, firings
from hven.schedule.keeping import add_schedule, remove_schedule, schedules
from hven.schedule.rule import Schedule
from hven.schedule.ticking import due, tick

__all__ = ["Firing", "Schedule", "add_schedule", "due", "firings", "remove_schedule", "schedules", "tick"]
