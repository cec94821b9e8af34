"""A catalog as HTML for notebooks: one table with everything in it, no scripts, nothing from elsewhere."""

from collections.abc import Iterable
from html import escape
from importlib import resources

from hven.catalog.listing import COLUMNS, cells, sky_text, spans_of
from hven.catalog.query import Searchable

MOST = 50
_MEANING = {"sky": ' title="The whole sky; right ascension 0 in the middle, growing to the left"'}
_RIGHT = {"objects", "size"}


def page(items: Iterable[Searchable], heading: str, note: str = "", most: int = MOST) -> str:
    """Return a table with a row an item, of which it shows the first `most`, with sketches of what they cover.

    Whatever stands in an entry is text: it is escaped.
    """
    rows = list(items)
    parts = [f'<div class="hven-catalog"><style>{_style()}</style><p class="hven-heading">{escape(heading)}</p>']
    if note:
        parts.append(f'<p class="hven-note">{escape(note)}</p>')
    if rows:
        heads = "".join(f"<th{_side(name)}{_MEANING.get(name, '')}>{name}</th>" for name in COLUMNS)
        parts += [f"<table><thead><tr>{heads}</tr></thead><tbody>", *map(_row, rows[:most]), "</tbody></table>"]
    if len(rows) > most:
        parts.append(f'<p class="hven-note">... and {len(rows) - most:,} more</p>')
    return "".join([*parts, "</div>"])


def _row(item: Searchable) -> str:
    from hven.catalog.sketch import sketch

    told = dict(zip(COLUMNS, map(escape, cells(item)), strict=True))
    told["dataset"] = f"<b>{told['dataset']}</b>"
    if item.coverage:
        drawn = sketch(item.coverage, f"{item.name} covers {sky_text(item.coverage)} of the sky")
        told["sky"] = f"{drawn}<small>{told['sky']}</small>"
    spans = "".join(f"<small>{escape(text)}</small>" for text in spans_of(item))
    told["title"] += spans
    return f"<tr>{''.join(f'<td{_side(name)}>{cell}</td>' for name, cell in told.items())}</tr>"


def _side(name: str) -> str:
    return ' class="hven-right"' if name in _RIGHT else ""


def _style() -> str:
    return resources.files("hven.catalog").joinpath("catalog.css").read_text(encoding="utf-8")
