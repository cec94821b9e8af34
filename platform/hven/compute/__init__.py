"""How analyses run: selections, plans, clusters, blocks, the runner and its records."""

from hven.compute.crossmatching import Crossmatch, crossmatch
from hven.compute.planning import Plan, plan
from hven.compute.records import Run, open_run, runs
from hven.compute.run_file import RunFile, read_run_file
from hven.compute.runner import run
from hven.compute.selection import Reference, Selection, select
from hven.compute.staleness import ResultStatus, status
from hven.compute.updating import outputs_for, update

__all__ = [
    "Crossmatch",
    "Plan",
    "Reference",
    "ResultStatus",
    "Run",
    "RunFile",
    "Selection",
    "crossmatch",
    "open_run",
    "outputs_for",
    "plan",
    "read_run_file",
    "run",
    "runs",
    "select",
    "status",
    "update",
]
