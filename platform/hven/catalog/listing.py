"""A catalog as a table in terminals, no wider than they are."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hven.catalog.query import Searchable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

WIDTH = 80
MOST = 30
COLUMNS = ("dataset", "kind", "survey", "objects", "size", "sky", "title")
_RIGHT = {"objects", "size", "sky"}
_LONGEST = {"dataset": 40, "survey": 24}
_GIVEN_UP = ("survey", "sky", "size")
"""What a narrow terminal does without, in this order, so that a title can be read."""
_TITLE = 24
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True)
class Listing:
    """Items as a table, a row each, of which the first `most` are shown; rich draws it as wide as the terminal."""

    items: tuple[Searchable, ...]
    heading: str = ""
    note: str = ""
    most: int = MOST

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich import box
        from rich.table import Table
        from rich.text import Text

        if self.heading:
            yield Text(self.heading, style="bold")
        if self.note:
            yield Text(self.note)
        if not self.items:
            return
        rows = [dict(zip(COLUMNS, cells(item), strict=True)) for item in self.items[: self.most]]
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        widths = _widths(rows, options.max_width)
        for name, width in widths.items():
            side = "right" if name in _RIGHT else "left"
            table.add_column(name, justify=side, width=width, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
        for row in rows:
            table.add_row(*(Text(row[name]) for name in widths))
        yield table
        if len(self.items) > self.most:
            yield Text(f"... and {len(self.items) - self.most:,} more")


def listing(items: Iterable[Searchable], heading: str = "", note: str = "", most: int = MOST) -> Listing:
    """Return a table for `rich` with a row an item, under a heading; `note` says why it is empty."""
    return Listing(tuple(items), heading, note, most)


def as_text(renderable: "RenderableType", width: int = WIDTH) -> str:
    """Return what a terminal of that width would show, without colours."""
    from rich.console import Console

    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def cells(item: Searchable) -> list[str]:
    """Return what a row tells, in the order of `COLUMNS`; what is not known is empty."""
    counts = getattr(item, "counts", None)
    rows, size = getattr(counts, "rows", 0) or 0, getattr(counts, "bytes", 0) or 0
    return [
        item.name,
        item.kind,
        item.survey,
        f"{rows:,}" if rows else "",
        size_text(size) if size else "",
        sky_text(item.coverage),
        " ".join(item.title.split()),
    ]


def sky_text(coverage: str) -> str:
    """Return the part of the sky that a coverage holds, as people say it.

    Examples
    --------
    >>> sky_text("0/0-3"), sky_text("10/7"), sky_text("")
    ('33%', '<0.1%', '')
    """
    from hven.sky import sky_fraction

    if not coverage:
        return ""
    percent = 100 * sky_fraction(coverage)
    return "<0.1%" if percent < 0.1 else f"{percent:.2g}%" if percent < 99.5 else "100%"


def spans_of(item: Searchable) -> list[str]:
    """Return what an item spans in wavelength and resolution, in words, as far as it tells.

    Examples
    --------
    >>> spans_of(entry)  # doctest: +SKIP
    ['3,360 - 10,200 Å', 'R 30 - 100']
    """
    told = []
    if item.wavelength:
        told.append(f"{_span(item.wavelength)} Å")
    if item.resolution:
        told.append(f"R {_span(item.resolution)}")
    return told


def size_text(count: int) -> str:
    """Return a number of bytes as people say it.

    Examples
    --------
    >>> size_text(812), size_text(56_000_000)
    ('812 B', '56.0 MB')
    """
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{count} B"


def _widths(rows: list[dict[str, str]], most: int) -> dict[str, int]:
    """Return how wide each column is drawn: those that hold nothing, and those given up, are left out."""
    from rich.cells import cell_len

    widths = {name: max(cell_len(row[name]) for row in rows) for name in COLUMNS}
    widths = {
        name: min(max(width, len(name)), _LONGEST.get(name, most))
        for name, width in widths.items()
        if width or name == "dataset"
    }
    for name in _GIVEN_UP:
        if _taken(widths) + min(widths.get("title", 0), _TITLE) > most:
            widths.pop(name, None)
    if "title" in widths:
        widths["title"] = min(widths["title"], max(most - _taken(widths), len("title")))
    widths["dataset"] = max(
        min(widths["dataset"], most - _taken(widths) - widths.get("title", 0) + widths["dataset"]), 8
    )
    return widths


def _taken(widths: dict[str, int]) -> int:
    """Return the width of all but the title, with two blanks between columns."""
    return sum(width + 2 for name, width in widths.items() if name != "title")


def _span(ends: tuple[float, float]) -> str:
    return f"{ends[0]:,.6g}" if ends[0] == ends[1] else f"{ends[0]:,.6g} - {ends[1]:,.6g}"
