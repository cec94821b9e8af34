"""The hooks of hven: everything that a plugin can bring or listen to, in one file.

A plugin is a module (or a stateless object) behind an entry point of the group ``hven.plugins``. It implements any of
these functions, marked ``@hven.hookimpl``; an implementation may take fewer arguments than the hook has. A plugin that
says ``HVEN_API = 1`` is refused, with that reason, by a hven whose hooks are of another version.
"""

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hven.plugins.analysis import Analysis
    from hven.plugins.reader import Exporter, Reader
    from hven.plugins.sections import ReportSection

API_VERSION = 1
PROJECT = "hven"
ENTRY_POINTS = "hven.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def hven_analyses() -> "Sequence[Analysis]":  # type: ignore[empty-body]
    """Return the analyses that the plugin brings."""


@hookspec
def hven_readers() -> "Sequence[Reader]":  # type: ignore[empty-body]
    """Return the readers of survey files that the plugin brings."""


@hookspec
def hven_exporters() -> "Sequence[Exporter]":  # type: ignore[empty-body]
    """Return the exporters to survey files that the plugin brings."""


@hookspec
def hven_report_sections(run: Any) -> "Sequence[ReportSection]":  # type: ignore[empty-body]
    """Return what the plugin adds to the report of a run that has ended; nothing for runs that are none of its own."""


@hookspec
def hven_run_started(run: Any) -> None:
    """Hear that a run has begun: its blocks are planned, none is computed."""


@hookspec
def hven_block_done(run: Any, block: Any) -> None:
    """Hear that one block of a run is computed and its result written."""


@hookspec
def hven_block_failed(run: Any, block: Any, error: Exception) -> None:
    """Hear that one block of a run raised `error`; the others go on."""


@hookspec
def hven_run_told(run: Any, done: int, total: int, text: str) -> None:
    """Hear how far an analysis of everything at once is, in its own measure (steps of a training) and a few words."""


@hookspec
def hven_run_finished(run: Any) -> None:
    """Hear that a run has ended, whichever way: ``run.state`` says how."""


@hookspec
def hven_pipeline_finished(run: Any) -> None:
    """Hear that a pipeline has ended, well or not: `run` is the `PipelineRun`; its steps are runs of their own."""
