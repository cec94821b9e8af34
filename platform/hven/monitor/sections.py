"""Sections that plugins add to a report: asked for one by one, so that one that fails is told and harms no other."""

from typing import TYPE_CHECKING, Any

from hven.monitor.figures import to_png
from hven.plugins import ReportSection, plugins

if TYPE_CHECKING:
    from hven.compute import Run


def plugin_sections(run: "Run") -> list[tuple[ReportSection, dict[str, bytes]]]:
    """Return the sections that plugins have for the report of a run, each with its figures as PNG.

    A plugin that fails becomes a caveat of the run and a line of its log.
    """
    sections: list[tuple[ReportSection, dict[str, bytes]]] = []
    for answer in plugins().call("hven_report_sections", run=run):
        error = answer.error
        try:
            sections += [_drawn(section) for section in answer.result or ()]
        except Exception as raised:  # noqa: BLE001  somebody else's section: its failure is told
            error = raised
        if error is not None:
            what = f"{type(error).__name__}: {error}"
            run.caveat(f"Plugin {answer.plugin} could not add its section to the report: {what}")
            run.log("section-failed", plugin=answer.plugin, error=what)
    return sections


def _drawn(section: Any) -> tuple[ReportSection, dict[str, bytes]]:
    if not isinstance(section, ReportSection):
        raise TypeError(f"{section!r} is not a ReportSection")
    return section, {name: to_png(figure) for name, figure in section.figures.items()}
