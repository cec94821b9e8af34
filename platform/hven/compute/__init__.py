"""How analyses run: selections, plans, clusters, blocks, the runner and its records."""

from hven.compute.account import Account, SetAside
from hven.compute.crossmatching import Crossmatch, crossmatch
from hven.compute.going_on import cancel, resume, retry
from hven.compute.pipelines import (
    Intake,
    Pipeline,
    PipelinePlan,
    PipelineReport,
    PipelineRun,
    ShownStep,
    Step,
    StepPlan,
    StepRun,
    check_pipeline,
    is_pipeline,
    pipeline_of,
    pipeline_told,
    plan_pipeline,
    read_pipeline,
    run_pipeline,
)
from hven.compute.planning import Plan, plan
from hven.compute.records import Run, open_run, runs, unreadable_runs
from hven.compute.result_summary import ResultTable, result_tables
from hven.compute.run_file import RunFile, read_run_file
from hven.compute.runner import run
from hven.compute.selection import Reference, Selection, select
from hven.compute.staleness import ResultStatus, status
from hven.compute.updating import outputs_for, update

__all__ = [
    "Account",
    "Crossmatch",
    "Intake",
    "Pipeline",
    "PipelinePlan",
    "PipelineReport",
    "PipelineRun",
    "Plan",
    "Reference",
    "ResultStatus",
    "ResultTable",
    "Run",
    "RunFile",
    "Selection",
    "SetAside",
    "ShownStep",
    "Step",
    "StepPlan",
    "StepRun",
    "cancel",
    "check_pipeline",
    "crossmatch",
    "is_pipeline",
    "open_run",
    "outputs_for",
    "pipeline_of",
    "pipeline_told",
    "plan",
    "plan_pipeline",
    "read_pipeline",
    "read_run_file",
    "result_tables",
    "resume",
    "retry",
    "run",
    "run_pipeline",
    "runs",
    "select",
    "status",
    "unreadable_runs",
    "update",
]
