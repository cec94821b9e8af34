"""Verbs about running analyses: run, runs."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hven.cli.address import LakeOption, open_lake
from hven.cli.output import AsJson, print_fields, print_json, print_table, print_text, size_text
from hven.cli.selecting import (
    ClusterOption,
    ColumnOption,
    InputOption,
    ParameterOption,
    RegionOption,
    WhereOption,
    WorkersOption,
    read_selections,
)
from hven.cli.texts import split_assignments

if TYPE_CHECKING:
    from hven.compute import Plan, Run

verbs = typer.Typer(rich_markup_mode="markdown")
PANEL = "Runs"


@verbs.command(rich_help_panel=PANEL)
def run(
    analysis: Annotated[str, typer.Argument(help="The analysis; `hven analyses` lists them.")],
    given: InputOption,
    where: WhereOption = None,
    region: RegionOption = None,
    column: ColumnOption = None,
    parameter: ParameterOption = None,
    output: Annotated[str | None, typer.Option(help="The result's name; the analysis's by default.")] = None,
    workers: WorkersOption = None,
    cluster: ClusterOption = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")] = False,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Run an analysis and publish its result as a dataset, in one commit.

    A run that was interrupted continues where it stopped when the same command is given again.

    Example: `hven run metallicity_gradients --input stars=apogee+apogee_distances --where 'logg > 2.3' -p bins=10`
    """
    import hven
    from hven.plugins import plugins as discover

    described = discover().analysis(analysis)
    parameters = described.parse_texts(split_assignments(parameter or [], "-p"))
    selections = read_selections(described, given, where, region, column)
    opened = open_lake(lake)
    if dry_run:
        _print_plan(hven.plan(opened, described, selections, parameters, output=output), as_json=as_json)
        return
    done = hven.run(opened, described, selections, parameters, output=output, cluster=cluster, workers=workers)
    if as_json:
        print_json(done.record)
    else:
        _print_run(done)
    if done.state != "succeeded":
        raise typer.Exit(1)


listed = typer.Typer(rich_markup_mode="markdown", help="List the runs of a lake, or show one.")
verbs.add_typer(listed, name="runs", rich_help_panel=PANEL)


@listed.callback(invoke_without_command=True)
def runs(context: typer.Context, lake: LakeOption = None, as_json: AsJson = False) -> None:
    """List the runs of a lake, newest first.

    Example: `hven runs --lake demo-lake`
    """
    from hven.compute import runs as list_runs

    if context.invoked_subcommand is not None:
        context.obj = lake
        return
    found = list_runs(open_lake(lake))
    if as_json:
        print_json([r.record for r in found])
        return
    print_table(
        ["run", "analysis", "output", "state", "started", "blocks"],
        ([r.id, r.analysis, r.output, r.state, r.record.get("started"), _blocks_text(r)] for r in found),
    )


@listed.command()
def show(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="The run; the first letters of its id will do.")],
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Show a run: what it took in, how it went, where its report is.

    Example: `hven runs show 3f2a --lake demo-lake`
    """
    from hven.compute import open_run

    found = open_run(open_lake(lake or context.obj), id)
    print_json(found.record) if as_json else _print_run(found)


def _print_run(done: "Run") -> None:
    record = done.record
    print_fields(
        [
            ("run", done.id),
            ("analysis", done.analysis),
            ("state", done.state),
            ("result", done.output),
            ("inputs", json.dumps(record.get("inputs"), ensure_ascii=False)),
            ("parameters", json.dumps(record.get("parameters"), ensure_ascii=False)),
            ("blocks", _blocks_text(done)),
            ("catalog", record.get("commit")),
            ("report", done.report),
        ]
    )


def _blocks_text(done: "Run") -> str:
    counts: Any = done.blocks
    return ", ".join(f"{count} {what}" for what, count in counts.items()) if isinstance(counts, dict) else str(counts)


def _print_plan(plan: "Plan", *, as_json: bool) -> None:
    if as_json:
        print_json(plan)
        return
    print_fields(
        [
            ("blocks", f"{len(plan.blocks)} ({len(plan.done)} of them done)"),
            ("tasks", plan.tasks),
            ("reads", size_text(plan.bytes_in)),
        ]
    )
    print_text("Nothing was run.")
