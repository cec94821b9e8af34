"""Verbs about running analyses again: schedule add, ls, rm, tick."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from hven.cli.address import LakeOption, open_lake
from hven.cli.analysis_command import AnalysisCommand, parameter_texts
from hven.cli.output import AsJson, print_json, print_table, print_text
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

verbs = typer.Typer(
    rich_markup_mode="markdown", no_args_is_help=True, help="Say when analyses run again, and run what is due."
)
Name = Annotated[str, typer.Argument(help="The schedule's name.")]


@verbs.command(cls=AnalysisCommand)
def add(
    context: typer.Context,
    name: Name,
    analysis: Annotated[str, typer.Argument(help="The analysis to run.")],
    given: InputOption,
    where: WhereOption = None,
    region: RegionOption = None,
    column: ColumnOption = None,
    parameter: ParameterOption = None,
    output: Annotated[str, typer.Option(help="The result's name; the analysis's by default.")] = "",
    cron: Annotated[str, typer.Option(help="When: minute, hour, day, month, day of week, as `'0 3 * * *'`.")] = "",
    timezone: Annotated[str, typer.Option(help="The time zone of --cron.")] = "UTC",
    on_change: Annotated[list[str] | None, typer.Option(help="A dataset whose change makes it due. Repeats.")] = None,
    lake: LakeOption = None,
) -> None:
    """Keep a rule for when an analysis runs again in the lake's catalog.

    Example: `hven schedule add nightly metallicity_gradients --input stars=apogee --cron '0 3 * * *' -l demo-lake`
    """
    import hven
    from hven.plugins import plugins as discover
    from hven.schedule import Schedule, add_schedule

    opened = open_lake(lake)

    described = discover().analysis(analysis)
    texts = parameter_texts(context, described, split_assignments(parameter or [], "-p"))
    parameters = described.parse_texts(texts)
    selections = read_selections(described, given, where, region, column)
    hven.plan(opened, described, selections, parameters, output=output or None)
    schedule = Schedule(
        described.name,
        {name: selection.to_json() for name, selection in selections.items()},
        since=datetime.now(UTC).isoformat(),
        cron=cron,
        timezone=timezone,
        on_change=tuple(on_change or ()),
        parameters=described.parameters_json(parameters),
        output=output,
    )
    add_schedule(opened, name, schedule)
    print_text(f"Schedule {name} is kept; 'hven schedule tick' runs it when it is due.")


@verbs.command("ls")
def list_schedules(lake: LakeOption = None, as_json: AsJson = False) -> None:
    """List the schedules of a lake, with how they last went.

    Example: `hven schedule ls --lake demo-lake`
    """
    from hven.schedule import firings, schedules

    opened = open_lake(lake)
    found = schedules(opened)
    if as_json:
        print_json({name: schedule.to_json() for name, schedule in found.items()})
        return
    rows: list[list[Any]] = []
    for name, schedule in found.items():
        past = firings(opened, name)
        clock = f"{schedule.cron} ({schedule.timezone})" if schedule.cron else ""
        last = f"{past[-1].outcome} at {past[-1].at}" if past else "never"
        rows.append([name, schedule.analysis, clock, ", ".join(schedule.on_change), last])
    print_table(["schedule", "analysis", "clock", "on change of", "last"], rows)


@verbs.command("rm")
def remove(name: Name, lake: LakeOption = None) -> None:
    """Remove a schedule; results of its runs stay.

    Example: `hven schedule rm nightly --lake demo-lake`
    """
    from hven.schedule import remove_schedule

    remove_schedule(open_lake(lake), name)
    print_text(f"Schedule {name} is removed.")


@verbs.command()
def tick(
    workers: WorkersOption = None,
    cluster: ClusterOption = "local",
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Run what is due now, and end: for cron, systemd timers and the like.

    Example: `hven schedule tick --lake demo-lake`
    """
    from dataclasses import asdict

    from hven.schedule import tick as run_due

    fired = run_due(open_lake(lake), datetime.now(UTC), cluster=cluster, workers=workers)
    if as_json:
        print_json([asdict(firing) for firing in fired])
    elif not fired:
        print_text("Nothing is due.")
    else:
        print_table(
            ["schedule", "because of", "outcome", "run"], ([f.schedule, f.reason, f.outcome, f.run] for f in fired)
        )
    if any(firing.outcome != "succeeded" for firing in fired):
        raise typer.Exit(1)
