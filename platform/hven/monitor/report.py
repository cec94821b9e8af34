"""The report of a run: one HTML file with everything in it, which opens without a network."""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from hven.monitor.figures import draw_figures
from hven.monitor.sections import plugin_sections

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

    from hven.compute import Run
    from hven.plugins import ReportSection

_ROWS = 12
_COLUMNS = 14


def write_report(run: "Run") -> None:
    """Draw the figures of a finished run, write its report with what plugins add, and note both in its record."""
    figures = draw_figures(run)
    for name, content in figures.items():
        run.record["figures"][name] = run.put(f"figures/{name}.png", content)
    run.record["report"] = run.put("report.html", report_html(run, figures, plugin_sections(run)).encode())


def report_html(
    run: "Run",
    figures: Mapping[str, bytes],
    sections: "Sequence[tuple[ReportSection, Mapping[str, bytes]]]" = (),
) -> str:
    """Return the report of a run as HTML: what, of what, with what, how it went, and what came out.

    Parameters
    ----------
    run
        A run that has ended.
    figures
        PNG by name; they stand inside the page.
    sections
        What plugins add, each with its figures as PNG.
    """
    analysis = run.definition
    return _template().render(
        run=run,
        record=run.record,
        doc=analysis.doc if analysis is not None else None,
        figures=_inline(figures),
        sections=[(section, _inline(drawn)) for section, drawn in sections],
        results=_previews(run),
        units=_units(run),
        style=resources.files("hven.monitor").joinpath("report.css").read_text(encoding="utf-8"),
    )


@lru_cache(maxsize=1)
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # The loader finds the template in the package, wherever that is installed.
    environment = Environment(loader=PackageLoader("hven.monitor", "."), autoescape=True, undefined=StrictUndefined)
    environment.filters["prose"] = _prose
    return environment.get_template("report.html.jinja")


def _inline(figures: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in figures.items()}


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


def _prose(text: str) -> "Markup":
    """Return a paragraph of a docstring as HTML: what stands between backticks is code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(`{1,2})(.+?)\1", r"<code>\2</code>", str(escape(text))))  # noqa: S704  escaped just before


def _number(value: object) -> str:
    """Return a value as people read it: five digits of fractions, thousands told apart in counts."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value)
