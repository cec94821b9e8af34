"""Verbs that show rows: head, query."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hven.cli.address import AtOption, LakeOption, open_lake
from hven.cli.output import AsJson, print_json, print_text
from hven.cli.rows_text import rows_json, rows_text
from hven.cli.texts import read_region

if TYPE_CHECKING:
    from hven.lake import DatasetHandle

verbs = typer.Typer(rich_markup_mode="markdown")
PANEL = "Data"
_SHOWN = 50
_READ = 64 * 2**20
"""Bytes of an array that is not over objects up to which its range is read."""


@verbs.command(rich_help_panel=PANEL)
def head(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many objects.")] = 10,
    column: Annotated[list[str] | None, typer.Option("--column", "-c", help="Only these columns. Repeats.")] = None,
    where: Annotated[str | None, typer.Option("--where", "-w", help="Only these objects: `'logg > 2.3'`.")] = None,
    region: Annotated[str | None, typer.Option(help="Only this part of the sky: `'cone(190, 5, 1)'`.")] = None,
    lake: LakeOption = None,
    at: AtOption = None,
    as_json: AsJson = False,
) -> None:
    """Show the first objects of a dataset; of arrays, the lowest and highest value of each object.

    Example: `hven head apogee -n 5 --column feh --column teff --lake demo-lake`
    """
    handle = open_lake(lake, at)[name]
    if not handle.source.frame_schema():
        _show_variables(handle, column, as_json=as_json)
        return
    frame, sizes = handle.head(count, column, where, read_region(region)), {}
    units = {c.name: c.unit for c in handle.schema}
    for variable in handle.schema:
        if variable.name in frame.columns and variable.dims != ("object",):
            sizes[variable.name] = ", ".join(variable.dims[1:])
    if as_json:
        print_json(rows_json(frame))
        return
    headings = {name: f"{name} ({dims})" for name, dims in sizes.items()}
    print_text(rows_text(frame.rename(headings), {headings.get(n, n): unit for n, unit in units.items()}, _width()))
    if frame.height < count or handle.entry.counts.rows == frame.height:
        print_text(f"{frame.height:,} {'object' if frame.height == 1 else 'objects'}")
    else:
        print_text(f"the first {frame.height:,} of {handle.entry.counts.rows:,} objects")


@verbs.command(rich_help_panel=PANEL)
def query(
    text: Annotated[str, typer.Argument(metavar="SQL", help="`SELECT ... FROM DATASET ...`, as Polars takes it.")],
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", min=1, help=f"Rows to show; {_SHOWN}, or all with --json or --output."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the rows to this file; its ending chooses the format.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if there is one.")] = False,
    lake: LakeOption = None,
    at: AtOption = None,
    as_json: AsJson = False,
) -> None:
    """Ask the datasets of a lake in SQL. Names with dots or dashes stand in double quotes.

    Example: `hven query 'SELECT COUNT(*) AS n, AVG(feh) AS feh FROM apogee WHERE logg < 2' --lake demo-lake`
    """
    lazy = open_lake(lake, at).sql(text)
    if output is not None:
        from hven.ingest import export_frame

        rows = export_frame(lazy if count is None else lazy.head(count), output, overwrite=overwrite)
        print_text(f"Wrote {rows:,} rows to {output}")
        return
    if as_json:
        print_json(rows_json((lazy if count is None else lazy.head(count)).collect()))
        return
    most = count or _SHOWN
    frame = lazy.head(most + 1).collect()
    print_text(rows_text(frame.head(most), width=_width()))
    if frame.height > most:
        print_text(f"the first {most:,} rows; more with -n, all with --output FILE")


def _show_variables(handle: "DatasetHandle", columns: list[str] | None, *, as_json: bool) -> None:
    """Show what a dataset without objects has: a map, a cube, a model."""
    import polars as pl

    data = handle.dataset(columns)
    rows = []
    for name, variable in data.variables.items():
        is_small = variable.dtype.kind in "fiub" and variable.size and variable.nbytes <= _READ
        rows.append(
            {
                "variable": str(name),
                "dims": ", ".join(f"{dim} {size}" for dim, size in variable.sizes.items()),
                "type": str(variable.dtype) if variable.dtype.kind in "fiub" else "string",
                "unit": str(variable.attrs.get("units", "")),
                "values": _value_text(variable) if is_small else "not read",
            }
        )
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("variable", "dims", "type", "unit", "values"), pl.String))
    if as_json:
        print_json(rows_json(frame))
    else:
        print_text(rows_text(frame, width=_width()))


def _value_text(variable: Any) -> str:
    from hven.lake.heading import range_text

    values = variable.values
    return f"{values.item()}" if values.ndim == 0 else range_text(values)


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 500
