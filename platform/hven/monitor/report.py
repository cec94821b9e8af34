"""The report of a run: one HTML file with everything in it, which opens without a network."""

import base64
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from hven.monitor.figures import draw_figures

if TYPE_CHECKING:
    from hven.compute import Run

_ROWS = 12
_COLUMNS = 14


def write_report(run: "Run") -> None:
    """Draw the figures of a finished run, write its report, and note both in its record."""
    figures = draw_figures(run)
    for name, content in figures.items():
        run.record["figures"][name] = run.put(f"figures/{name}.png", content)
    run.record["report"] = run.put("report.html", report_html(run, figures).encode())


def report_html(run: "Run", figures: Mapping[str, bytes]) -> str:
    """Return the report of a run as HTML: what, of what, with what, how it went, and what came out.

    Parameters
    ----------
    run
        A run that has ended.
    figures
        PNG by name; they stand inside the page.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # The loader finds the template in the package, wherever that is installed.
    environment = Environment(loader=PackageLoader("hven.monitor", "."), autoescape=True, undefined=StrictUndefined)
    environment.filters["number"] = _number
    analysis = run.definition
    return environment.get_template("report.html.jinja").render(
        run=run,
        record=run.record,
        doc=analysis.doc if analysis is not None else "",
        summary=analysis.summary if analysis is not None else "",
        figures={name: base64.b64encode(content).decode() for name, content in figures.items()},
        results=_previews(run),
        units=_units(run),
        style=resources.files("hven.monitor").joinpath("report.css").read_text(encoding="utf-8"),
    )


def _previews(run: "Run") -> dict[str, dict[str, Any]]:
    """Return, for each table that the run made, its first rows; for arrays, what they are."""
    previews: dict[str, dict[str, Any]] = {}
    for handle in run.results.values():
        rows = handle.entry.counts.rows
        if handle.source.is_table:
            frame = handle.table().head(_ROWS).collect()
            names = frame.columns[:_COLUMNS]
            cells = [[_number(value) for value in row] for row in frame.select(names).iter_rows()]
            more = len(frame.columns) - len(names)
            previews[handle.name] = {"names": names, "cells": cells, "rows": rows, "more": more}
        else:
            arrays = [(c.name, " x ".join(c.dims), c.dtype, c.unit, c.description) for c in handle.schema]
            previews[handle.name] = {
                "names": ["variable", "over", "type", "unit", "what it is"], "cells": arrays, "rows": rows, "more": 0,
            }  # fmt: skip
    return previews


def _units(run: "Run") -> dict[str, str]:
    return {column.name: column.unit for handle in run.results.values() for column in handle.schema}


def _number(value: object) -> str:
    """Return a value as people read it: five digits of fractions, thousands told apart in counts."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value)
