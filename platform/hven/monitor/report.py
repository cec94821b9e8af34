"""The report of a run: one HTML file with everything in it, which opens without a network."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hven.monitor.figures import draw_figures
from hven.monitor.pages import inline, page
from hven.monitor.sections import DrawnSection, keep_sections, plugin_sections

if TYPE_CHECKING:
    from hven.compute import Run

_ROWS = 12
_COLUMNS = 14


def write_report(run: "Run") -> None:
    """Draw the figures of a finished run, write its report with what plugins add, and note all of it in its record.

    A run that left the result of another one as it was has the report of that one.
    """
    if run.record.get("confirms"):
        return
    figures, sections = draw_figures(run), plugin_sections(run)
    for name, content in figures.items():
        run.record["figures"][name] = run.put(f"figures/{name}.png", content)
    run.record["sections"] = keep_sections(run, sections)
    run.record["report"] = run.put("report.html", report_html(run, figures, sections).encode())


def report_html(run: "Run", figures: Mapping[str, bytes], sections: Sequence[DrawnSection] = ()) -> str:
    """Return the report of a run as HTML: what, of what, with what, how it went, and what came out.

    Parameters
    ----------
    run
        A run that has ended.
    figures
        PNG by name; they stand inside the page.
    sections
        What plugins add.
    """
    analysis = run.definition
    return page(
        "report.html.jinja",
        run=run,
        record=run.record,
        where=_where(run.record.get("cluster") or {}),
        doc=analysis.doc if analysis is not None else None,
        figures=inline(figures),
        sections=[(section, inline(section.figures)) for section in sections],
        results=_previews(run),
        units=_units(run),
    )


def _where(cluster: Mapping[str, Any]) -> str:
    """Return where a run was computed: in the process that asked for it, or on so many workers."""
    if cluster.get("kind") == "synchronous":
        return "in one process"
    workers = cluster.get("workers", 1)
    return f"on {workers:,} {'worker' if workers == 1 else 'workers'}"


def _previews(run: "Run") -> dict[str, dict[str, Any]]:
    """Return, for each dataset that the run made, its first rows, and for arrays also what they are."""
    previews: dict[str, dict[str, Any]] = {}
    for handle in run.results.values():
        if handle.source.is_table:
            frame = handle.table().head(_ROWS).collect()
            preview = _rows(frame.columns, frame.iter_rows(), handle.entry.counts.rows)
        else:
            data = handle.dataset()
            dims = Counter(v.dims for v in data.variables.values() if len(v.dims) == 1)
            dim = dims.most_common(1)[0][0][0] if dims else None
            flat = [str(n) for n, v in data.variables.items() if dim is not None and v.dims == (dim,)]
            values = data[flat].isel({dim: slice(0, _ROWS)} if dim is not None else {}).compute()
            rows = zip(*(values[name].values.tolist() for name in flat), strict=True)
            preview = _rows(flat, rows, int(data.sizes[dim]) if dim is not None else 1)
            arrays = [(c.name, " x ".join(c.dims), c.dtype, c.unit, c.description) for c in handle.schema]
            preview["arrays"] = arrays
        previews[handle.name] = preview
    return previews


def _rows(names: Sequence[str], rows: Iterable[Sequence[Any]], count: int) -> dict[str, Any]:
    cells = [[_number(value) for value in row[:_COLUMNS]] for row in rows]
    return {"names": names[:_COLUMNS], "cells": cells, "rows": count, "more": len(names[_COLUMNS:]), "arrays": ()}


def _units(run: "Run") -> dict[str, str]:
    return {column.name: column.unit for handle in run.results.values() for column in handle.schema}


def _number(value: object) -> str:
    """Return a value as people read it: five digits of fractions, thousands told apart in counts."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value)
