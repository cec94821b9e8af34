"""How analyses run: selections, plans, clusters, blocks, the runner and its records."""

from hven.compute.crossmatching import Crossmatch, crossmatch
from hven.compute.planning import Plan, plan
from hven.compute.records import Run, open_run, runs
from hven.compute.runner import run
from hven.compute.selection import Reference, Selection, select
from hven.compute.staleness import ResultStatus, status

__all__ = [
    "Crossmatch",
    "Plan",
    "Reference",
    "ResultStatus",
    "Run",
    "Selection",
    "crossmatch",
    "open_run",
    "plan",
    "run",
    "runs",
    "select",
    "status",
]
