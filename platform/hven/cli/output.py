"""How verbs speak: tables for people, JSON for scripts, errors in one paragraph on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hven.errors import HvenError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

_WIDTH = 500
"""Of lines that no terminal shows: as long as they need to be."""


def print_text(text: str) -> None:
    """Print text as it is, brackets included."""
    _console().print(text, markup=False)


def print_json(value: Any) -> None:
    """Print a value as indented JSON; dates, paths and numbers of NumPy become what JSON has for them."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Print rows under headings; the columns named in `right` are numbers and stand to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        # What a row is called is never broken: people copy it.
        side = "right" if column in right else "left"
        table.add_column(Text(column), justify=side, overflow="fold", no_wrap=number == 0)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    _print(table)


def print_rich(renderable: "RenderableType") -> None:
    """Print what knows itself how to look: as wide as the terminal, uncut when nobody watches."""
    _print(renderable)


def print_fields(fields: Iterable[tuple[str, Any]]) -> None:
    """Print what is known under short names, one a line; what is empty is left out."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields:
        if value not in (None, "", [], (), {}):
            table.add_row(name, Text(str(value)))
    _print(table)


def print_error(error: HvenError) -> None:
    """Print an error as one paragraph on stderr, with the code that documentation and scripts know it by."""
    from rich.console import Console
    from rich.text import Text

    text = Text.assemble(("Error", "bold red"), f" [{error.code}]: {error}")
    Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty()).print(text)


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDTH)


def _print(table: Any) -> None:
    console = _console()
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, set | frozenset | tuple):
        return sorted(value)
    return str(value)
