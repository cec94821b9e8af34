"""Verbs that bring data in and out: ingest, upsert, export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hven.cli.address import AtOption, LakeOption, open_lake
from hven.cli.explaining import print_explained
from hven.cli.output import AsJson, print_json, print_table, print_text
from hven.cli.texts import read_region, split_assignments

if TYPE_CHECKING:
    from hven.ingest import IngestReport

ATTENTION = 3
"""Exit status when something went in that a person should look at."""

_LISTED = 5

verbs = typer.Typer(rich_markup_mode="markdown")
PANEL = "Data"
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", help="An option of the reader or exporter: `name=value`. Repeats."),
]


@verbs.command(rich_help_panel=PANEL)
def ingest(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="FITS, CSV, Parquet, VOTable, what plugins read; none for a reader that finds its file."),
    ] = None,
    name: Annotated[str, typer.Option("--name", "-n", help="What the dataset is to be called.")] = "",
    reader: Annotated[
        str | None, typer.Option(help="The reader; by default the one that knows the content of a file.")
    ] = None,
    mode: Annotated[
        Literal["create", "append", "upsert", "replace"],
        typer.Option(help="Create, add rows, add rows and replace those of objects that are there, or replace all."),
    ] = "create",
    option: Options = None,
    again: Annotated[bool, typer.Option("--again", help="Read files that are in the dataset already again.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say who claims each file and why, show its first rows; write nothing.")
    ] = False,
    accept: Annotated[bool, typer.Option("--accept", help="Exit with 0 also when notes need attention.")] = False,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Bring survey files into a lake as one dataset, in one commit.

    A file that cannot be read is set aside with its reason; the rest goes in, and the exit status is 1. When notes need
    attention it is 3. Files that are in the dataset already are skipped. With `--explain` nothing is written:
    each file is shown as what it is, by whom it is read, and how its first rows would be kept.

    Example: `hven ingest stars-*.fits --name stars --lake my-survey`
    """
    from hven.ingest import explain_files, ingest_files

    options = split_assignments(option or [], "--option")
    if explain:
        explained = explain_files(files or (), reader=reader, options=options)
        print_explained(explained, as_json=as_json)
        raise typer.Exit(1 if any(one.error for one in explained) else 0)
    if not name:
        raise typer.BadParameter("say what the dataset is to be called", param_hint="'--name' / '-n'")
    report = ingest_files(
        open_lake(lake),
        files or (),
        name=name,
        reader=reader,
        mode=mode,
        options=options,
        again=again,
    )
    _end(report, accept=accept, as_json=as_json)


@verbs.command(rich_help_panel=PANEL)
def upsert(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    files: Annotated[list[str], typer.Argument(help="Files with new rows, or better ones.")],
    reader: Annotated[
        str | None, typer.Option(help="The reader; by default the one that knows the content of a file.")
    ] = None,
    option: Options = None,
    accept: Annotated[bool, typer.Option("--accept", help="Exit with 0 also when notes need attention.")] = False,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Add the rows of files to a dataset; rows of objects that are there replace theirs, which keep their ids.

    The same as `hven ingest --mode upsert`.

    Example: `hven upsert stars corrected-*.fits --lake my-survey`
    """
    from hven.ingest import ingest_files

    options = split_assignments(option or [], "--option")
    report = ingest_files(open_lake(lake), files, name=name, reader=reader, mode="upsert", options=options)
    _end(report, accept=accept, as_json=as_json)


def _end(report: "IngestReport", *, accept: bool, as_json: bool) -> None:
    """Print what came of an ingest, and end with the exit status that it has."""
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    if report.set_aside:
        raise typer.Exit(1)
    if report.attention and not accept:
        raise typer.Exit(ATTENTION)


def _print_report(report: "IngestReport") -> None:
    if report.commit is None:
        print_text(f"Nothing new for {', '.join(report.datasets)}: no commit was made.")
    else:
        print_text(f"Ingested {report.rows:,} objects as {', '.join(report.datasets)} (catalog {report.commit}).")
    for what, files in (("Skipped, in the dataset already", report.skipped), ("Read again", report.replaced)):
        if files:
            more = f" and {len(files) - _LISTED:,} more" if len(files) > _LISTED else ""
            print_text(f"{what}: {', '.join(files[:_LISTED])}{more}.")
    if report.sentinels:
        counts = ", ".join(
            f"{column} {count:,} ({count / report.rows:.0%})" for column, count in report.sentinels.items()
        )
        print_text(f"Null, because missing or marked as bad: {counts}.")
    for note in report.notes:
        if not note.needs_attention:
            print_text(str(note))
    if report.attention:
        print_text(f"Needs attention ({len(report.attention)}), or --accept:")
        for note in report.attention:
            print_text(f"! {note}")
    if report.set_aside:
        print_text(f"Set aside, {len(report.set_aside)} of {len(report.files) + len(report.set_aside)} files:")
        print_table(["file", "code", "reason"], ([file, e.code, e.what] for file, e in report.set_aside))


@verbs.command(rich_help_panel=PANEL)
def export(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    path: Annotated[Path, typer.Argument(help="The file to write; its ending chooses the format.")],
    exporter: Annotated[str | None, typer.Option(help="The exporter, when the ending does not tell.")] = None,
    column: Annotated[list[str] | None, typer.Option("--column", "-c", help="Only these columns. Repeats.")] = None,
    where: Annotated[str | None, typer.Option("--where", "-w", help="Only these objects: `'logg > 2.3'`.")] = None,
    region: Annotated[str | None, typer.Option(help="Only this part of the sky: `'cone(190, 5, 1)'`.")] = None,
    option: Options = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if there is one.")] = False,
    lake: LakeOption = None,
    at: AtOption = None,
) -> None:
    """Write a dataset, or a part of it, to a file.

    Example: `hven export apogee giants.fits --where 'logg < 3' --lake demo-lake`
    """
    from hven.ingest import export_dataset

    count = export_dataset(
        open_lake(lake, at),
        name,
        path,
        exporter=exporter,
        columns=column,
        where=where,
        region=read_region(region),
        options=split_assignments(option or [], "--option"),
        overwrite=overwrite,
    )
    print_text(f"Wrote {count:,} objects to {path}")
