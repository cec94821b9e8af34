"""Verbs that bring data in and out: ingest, export."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer

from hven.cli.address import AtOption, LakeOption, open_lake
from hven.cli.output import AsJson, print_json, print_table, print_text
from hven.cli.texts import split_assignments

verbs = typer.Typer(rich_markup_mode="markdown")
PANEL = "Data"
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", help="An option of the reader or exporter: `name=value`. Repeats."),
]


@verbs.command(rich_help_panel=PANEL)
def ingest(
    files: Annotated[list[Path], typer.Argument(help="Survey files: FITS, CSV, Parquet, VOTable, what plugins read.")],
    name: Annotated[str, typer.Option("--name", "-n", help="What the dataset is to be called.")],
    reader: Annotated[str | None, typer.Option(help="The reader; guessed from the files' names by default.")] = None,
    mode: Annotated[
        Literal["create", "append", "replace"], typer.Option(help="What to do with the dataset.")
    ] = "create",
    option: Options = None,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Bring survey files into a lake as one dataset, in one commit.

    A file that cannot be read is set aside with its reason; the rest goes in.

    Example: `hven ingest stars-*.fits --name stars --lake my-survey`
    """
    from hven.ingest import ingest_files

    report = ingest_files(
        open_lake(lake),
        files,
        reader=reader,
        name=name,
        mode=mode,
        options=split_assignments(option or [], "--option"),
    )
    refused = [{"file": str(file), **error.to_json()} for file, error in report.set_aside]
    if as_json:
        print_json(
            {
                "commit": report.commit,
                "datasets": report.datasets,
                "rows": report.rows,
                "sentinels": report.sentinels,
                "set_aside": refused,
            }
        )
    else:
        print_text(f"Ingested {report.rows:,} objects as {', '.join(report.datasets)} (catalog {report.commit}).")
        if report.sentinels:
            counts = ", ".join(f"{column} {count:,}" for column, count in report.sentinels.items())
            print_text(f"Values that stood for 'missing' are null now: {counts}.")
        if refused:
            print_text(f"Set aside: {_counted(refused)}")
            print_table(["file", "code", "reason"], ([r["file"], r["code"], r["what"]] for r in refused))
    if refused:
        raise typer.Exit(1)


@verbs.command(rich_help_panel=PANEL)
def export(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    path: Annotated[Path, typer.Argument(help="The file to write; its ending chooses the format.")],
    exporter: Annotated[str | None, typer.Option(help="The exporter, when the ending does not tell.")] = None,
    column: Annotated[list[str] | None, typer.Option("--column", "-c", help="Only these columns. Repeats.")] = None,
    where: Annotated[str | None, typer.Option(help="Only these objects, as `'logg > 2.3'`.")] = None,
    lake: LakeOption = None,
    at: AtOption = None,
) -> None:
    """Write a dataset, or a part of it, to a file.

    Example: `hven export apogee giants.fits --where 'logg < 3' --lake demo-lake`
    """
    from hven.ingest import export_dataset

    export_dataset(open_lake(lake, at), name, path, exporter=exporter, columns=column, where=where)
    print_text(f"Wrote {path}")


def _counted(refused: list[dict[str, str]]) -> str:
    counts = Counter(r["code"] for r in refused)
    return ", ".join(f"{count} {code}" for code, count in counts.items())
