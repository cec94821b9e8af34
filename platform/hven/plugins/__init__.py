"""How analyses, readers and exporters are declared, found, bound to data and checked."""

from hven.plugins.analysis import Analysis, analysis
from hven.plugins.hookspecs import API_VERSION, hookimpl
from hven.plugins.inputs import Cube, Images, Input, Model, Spectra, Table, Variable, Whole
from hven.plugins.reader import Batch, Exporter, Reader, exporter, reader

__all__ = [
    "API_VERSION",
    "Analysis",
    "Batch",
    "Cube",
    "Exporter",
    "Images",
    "Input",
    "Model",
    "Reader",
    "Spectra",
    "Table",
    "Variable",
    "Whole",
    "analysis",
    "exporter",
    "hookimpl",
    "reader",
]
