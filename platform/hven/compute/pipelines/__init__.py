"""Pipelines: analyses that take in what others make, checked as a whole, run and kept up to date in order."""

from hven.compute.pipelines.checking import check_pipeline
from hven.compute.pipelines.following import pipeline_of
from hven.compute.pipelines.pipeline import Intake, Pipeline, Step
from hven.compute.pipelines.reading import is_pipeline, pipeline_told, read_pipeline
from hven.compute.pipelines.report import PipelineReport, ShownStep
from hven.compute.pipelines.running import PipelinePlan, PipelineRun, StepPlan, plan_pipeline, run_pipeline
from hven.compute.pipelines.turns import StepRun

__all__ = [
    "Intake",
    "Pipeline",
    "PipelinePlan",
    "PipelineReport",
    "PipelineRun",
    "ShownStep",
    "Step",
    "StepPlan",
    "StepRun",
    "check_pipeline",
    "is_pipeline",
    "pipeline_of",
    "pipeline_told",
    "plan_pipeline",
    "read_pipeline",
    "run_pipeline",
]
