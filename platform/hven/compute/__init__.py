"""How analyses run: selections, plans, clusters, blocks, the runner and its records."""

from hven.compute.planning import Plan, plan
from hven.compute.records import Run, open_run, runs
from hven.compute.runner import run
from hven.compute.selection import Reference, Selection, select
from hven.compute.staleness import ResultStatus, status

__all__ = [
    "Plan",
    "Reference",
    "ResultStatus",
    "Run",
    "Selection",
    "open_run",
    "plan",
    "run",
    "runs",
    "select",
    "status",
]
