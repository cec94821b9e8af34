"""Sections that plugins add to a report: asked for once, drawn, and kept beside the run's record.

They are asked for one by one, so that one that fails is told and harms no other. What is kept are texts and PNGs: the
page of a pipeline shows them without the plugin, whichever machine the run was on.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hven.monitor.figures import to_png
from hven.plugins import ReportSection, plugins

if TYPE_CHECKING:
    from hven.compute import Run


@dataclass(frozen=True)
class DrawnSection:
    """A section as pages show it.

    Attributes
    ----------
    title, text, columns, rows
        As the `hven.ReportSection` says them; cells are text.
    figures
        PNG by name.
    """

    title: str
    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figures: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def plugin_sections(run: "Run") -> list[DrawnSection]:
    """Return the sections that plugins have for the report of a run.

    A plugin that fails becomes a caveat of the run and a line of its log.
    """
    sections: list[DrawnSection] = []
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


def keep_sections(run: "Run", sections: Sequence[DrawnSection]) -> str | None:
    """Write sections beside a run's record, and return the key by which `kept_sections` finds them; None for none."""
    told = []
    for number, section in enumerate(sections, 1):
        # A section may call its figures what it likes.
        keys = {
            name: run.put(f"sections/{number}-{place}.png", content)
            for place, (name, content) in enumerate(section.figures.items(), 1)
        }
        told.append({**vars(section), "figures": keys})
    return run.put("sections.json", json.dumps(told, indent=1, ensure_ascii=False).encode()) if told else None


def kept_sections(run: "Run") -> list[DrawnSection]:
    """Return the sections that the report of a run has, as they were kept; figures that are gone are left out."""
    key, store = run.record.get("sections"), run.lake.store
    kept = (store.get_or_none(key) if key is not None else None) or b"[]"
    sections = []
    for told in json.loads(kept):
        found = {name: store.get_or_none(place) for name, place in told["figures"].items()}
        figures = {name: content for name, content in found.items() if content is not None}
        sections.append(DrawnSection(**{**told, "figures": figures}))
    return sections


def _drawn(section: Any) -> DrawnSection:
    if not isinstance(section, ReportSection):
        raise TypeError(f"{section!r} is not a ReportSection")
    rows = [[str(cell) for cell in row] for row in section.rows]
    figures = {str(name): to_png(figure) for name, figure in section.figures.items()}
    return DrawnSection(str(section.title), str(section.text), [str(name) for name in section.columns], rows, figures)
