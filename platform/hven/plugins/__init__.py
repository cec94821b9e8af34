"""How analyses, readers and exporters are declared, found, bound to data and checked."""

from hven.plugins.analysis import Analysis, analysis
from hven.plugins.archives import local_file
from hven.plugins.backends import call
from hven.plugins.binding import Binding, Bound, bind, named_columns
from hven.plugins.claims import Claim, Explanation, FileHead
from hven.plugins.dataset_path import DatasetPath, pin_paths
from hven.plugins.discovery import PluginInfo, PluginRegistry, plugins
from hven.plugins.file_limits import check_whole
from hven.plugins.fingerprint import is_other_source, source_fingerprint
from hven.plugins.hookspecs import API_VERSION, hookimpl
from hven.plugins.inputs import ANY, Cube, Images, Input, Model, Spectra, Table, Variable, Whole
from hven.plugins.lazily import lazily
from hven.plugins.page import analysis_page
from hven.plugins.quantities import Unit
from hven.plugins.reader import Batch, Exporter, Reader, exporter, reader
from hven.plugins.results import bind_inputs, check_result, evaluate
from hven.plugins.sections import ReportSection
from hven.plugins.switches import switched
from hven.plugins.user_settings import Notify, read_settings

__all__ = [
    "ANY",
    "API_VERSION",
    "Analysis",
    "Batch",
    "Binding",
    "Bound",
    "Claim",
    "Cube",
    "DatasetPath",
    "Explanation",
    "Exporter",
    "FileHead",
    "Images",
    "Input",
    "Model",
    "Notify",
    "PluginInfo",
    "PluginRegistry",
    "Reader",
    "ReportSection",
    "Spectra",
    "Table",
    "Unit",
    "Variable",
    "Whole",
    "analysis",
    "analysis_page",
    "bind",
    "bind_inputs",
    "call",
    "check_result",
    "check_whole",
    "evaluate",
    "exporter",
    "hookimpl",
    "is_other_source",
    "lazily",
    "local_file",
    "named_columns",
    "pin_paths",
    "plugins",
    "read_settings",
    "reader",
    "source_fingerprint",
    "switched",
]
