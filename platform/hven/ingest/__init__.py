"""How data comes in and goes out: batch ingest and export; readers and exporters themselves are plugins."""

from hven.ingest.explaining import ExplainedFile, explain_files
from hven.ingest.export import export_dataset, export_frame
from hven.ingest.normalise import Rows, normalise
from hven.ingest.pipeline import ingest_files
from hven.ingest.report import IngestReport

__all__ = [
    "ExplainedFile",
    "IngestReport",
    "Rows",
    "explain_files",
    "export_dataset",
    "export_frame",
    "ingest_files",
    "normalise",
]
