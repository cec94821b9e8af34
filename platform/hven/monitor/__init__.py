"""What people look at: progress, figures, the reports of runs and of pipelines. A plugin that listens to runs."""

from typing import Any

import hven
from hven.monitor.pipeline_page import pipeline_html, write_pipeline_page
from hven.monitor.progress import advance, begin, end, show
from hven.monitor.report import report_html, write_report

__all__ = ["pipeline_html", "report_html", "write_pipeline_page", "write_report"]


@hven.hookimpl
def hven_run_started(run: Any) -> None:
    """Show a bar."""
    begin(run)


@hven.hookimpl
def hven_block_done(run: Any) -> None:
    """Move the bar."""
    advance(run)


@hven.hookimpl
def hven_block_failed(run: Any) -> None:
    """Move the bar, and count the failure on it."""
    advance(run, failed=True)


@hven.hookimpl
def hven_run_told(run: Any, done: int, total: int, text: str) -> None:
    """Show how far the analysis says it is."""
    show(run, done, total, text)


@hven.hookimpl
def hven_run_finished(run: Any) -> None:
    """Take the bar away, and write figures and report."""
    end(run)
    write_report(run)


@hven.hookimpl(tryfirst=True)
def hven_pipeline_finished(run: Any) -> None:
    """Write the page that tells its story: first of all, so that others who hear the end may send it."""
    write_pipeline_page(run)
