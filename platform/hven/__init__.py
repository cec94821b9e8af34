"""Hven: a plugin-based lakehouse and analytics platform for sky surveys.

Everything here is public. Names are imported when first used, so that ``import hven`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hven import errors, methods, mocks, sky
    from hven.catalog import open_catalog, published
    from hven.compute import (
        Crossmatch,
        Pipeline,
        Run,
        Selection,
        Step,
        cancel,
        crossmatch,
        open_run,
        plan,
        plan_pipeline,
        read_pipeline,
        resume,
        retry,
        run,
        run_pipeline,
        runs,
        select,
        status,
        update,
    )
    from hven.errors import HvenError
    from hven.ingest import export_dataset, ingest_files
    from hven.lake import Lake, create, open
    from hven.plugins import (
        Analysis,
        Batch,
        Claim,
        Cube,
        DatasetPath,
        Exporter,
        FileHead,
        Images,
        Model,
        Reader,
        ReportSection,
        Spectra,
        Table,
        Unit,
        Whole,
        analysis,
        check_whole,
        exporter,
        hookimpl,
        local_file,
        reader,
    )
    from hven.schema import Column, Note

__version__ = "0.1.0"

_HOMES = {
    "Analysis": "hven.plugins",
    "Batch": "hven.plugins",
    "Claim": "hven.plugins",
    "Column": "hven.schema",
    "Crossmatch": "hven.compute",
    "Cube": "hven.plugins",
    "DatasetPath": "hven.plugins",
    "Exporter": "hven.plugins",
    "FileHead": "hven.plugins",
    "HvenError": "hven.errors",
    "Images": "hven.plugins",
    "Lake": "hven.lake",
    "Model": "hven.plugins",
    "Note": "hven.schema",
    "Pipeline": "hven.compute",
    "Reader": "hven.plugins",
    "ReportSection": "hven.plugins",
    "Run": "hven.compute",
    "Selection": "hven.compute",
    "Spectra": "hven.plugins",
    "Step": "hven.compute",
    "Table": "hven.plugins",
    "Unit": "hven.plugins",
    "Whole": "hven.plugins",
    "analysis": "hven.plugins",
    "cancel": "hven.compute",
    "check_whole": "hven.plugins",
    "create": "hven.lake",
    "crossmatch": "hven.compute",
    "export_dataset": "hven.ingest",
    "exporter": "hven.plugins",
    "hookimpl": "hven.plugins",
    "ingest_files": "hven.ingest",
    "local_file": "hven.plugins",
    "open": "hven.lake",
    "open_catalog": "hven.catalog",
    "open_run": "hven.compute",
    "plan": "hven.compute",
    "plan_pipeline": "hven.compute",
    "published": "hven.catalog",
    "read_pipeline": "hven.compute",
    "reader": "hven.plugins",
    "resume": "hven.compute",
    "retry": "hven.compute",
    "run": "hven.compute",
    "run_pipeline": "hven.compute",
    "runs": "hven.compute",
    "select": "hven.compute",
    "status": "hven.compute",
    "update": "hven.compute",
}
_FLOORS = ("errors", "methods", "mocks", "sky", "testing")

__all__ = [
    "Analysis",
    "Batch",
    "Claim",
    "Column",
    "Crossmatch",
    "Cube",
    "DatasetPath",
    "Exporter",
    "FileHead",
    "HvenError",
    "Images",
    "Lake",
    "Model",
    "Note",
    "Pipeline",
    "Reader",
    "ReportSection",
    "Run",
    "Selection",
    "Spectra",
    "Step",
    "Table",
    "Unit",
    "Whole",
    "__version__",
    "analysis",
    "cancel",
    "check_whole",
    "create",
    "crossmatch",
    "errors",
    "export_dataset",
    "exporter",
    "hookimpl",
    "ingest_files",
    "local_file",
    "methods",
    "mocks",
    "open",
    "open_catalog",
    "open_run",
    "plan",
    "plan_pipeline",
    "published",
    "read_pipeline",
    "reader",
    "resume",
    "retry",
    "run",
    "run_pipeline",
    "runs",
    "select",
    "sky",
    "status",
    "update",
]


def __getattr__(name: str) -> Any:
    if name in _FLOORS:
        return import_module(f"hven.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hven' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
