"""Verbs about running analyses again: schedule add, ls, show, rm, pause, resume, run-now, tick, serve."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hven.cli.address import LakeOption, open_lake
from hven.cli.analysis_command import AnalysisCommand, parameter_texts
from hven.cli.output import AsJson, print_fields, print_json, print_table, print_text
from hven.cli.selecting import (
    ClusterOption,
    ColumnOption,
    InputOption,
    ParameterOption,
    RegionOption,
    WhereOption,
    WithOption,
    WorkersOption,
    read_selections,
)
from hven.cli.texts import split_assignments

if TYPE_CHECKING:
    from hven.lake import Lake
    from hven.schedule import Event, Firing, Schedule

verbs = typer.Typer(
    rich_markup_mode="markdown", no_args_is_help=True, help="Say when analyses run again, and run what is due."
)
Name = Annotated[str, typer.Argument(help="The schedule's name.")]

FAILED = 3
"""Exit status when a firing did not end well."""
INTERRUPTED = 130
_SHOWN = 20


@verbs.command(cls=AnalysisCommand)
def add(
    context: typer.Context,
    name: Name,
    analysis: Annotated[str | None, typer.Argument(help="The analysis to run.")] = None,
    given: InputOption = None,
    where: WhereOption = None,
    region: RegionOption = None,
    column: ColumnOption = None,
    derived: WithOption = None,
    parameter: ParameterOption = None,
    output: Annotated[str, typer.Option(help="The result's name; the analysis's by default.")] = "",
    file: Annotated[
        Path | None, typer.Option("--config", "-c", help="Run the pipeline of this YAML file, instead of an analysis.")
    ] = None,
    update: Annotated[str, typer.Option(help="Bring this result up to date, instead of an analysis.")] = "",
    cron: Annotated[
        str, typer.Option(help="When: minute, hour, day, month, day of week, as `'0 3 * * *'`; or `@daily`.")
    ] = "",
    timezone: Annotated[str, typer.Option(help="The time zone of --cron, as Europe/Berlin.")] = "UTC",
    on_change: Annotated[list[str] | None, typer.Option(help="A dataset whose change makes it due. Repeats.")] = None,
    after: Annotated[
        list[str] | None, typer.Option(help="A result that it runs after, when made anew. Repeats.")
    ] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Keep it, but run nothing until it is resumed.")] = False,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Keep a rule for when an analysis, or a pipeline, runs again in the lake's catalog.

    Whether it could run is checked at once: the analysis, its inputs and parameters, and what it follows.

    Example: `hven schedule add nightly metallicity_gradients --input stars=apogee --cron '0 3 * * *' -l demo-lake`
    """
    from hven.compute import check_pipeline
    from hven.schedule import Schedule, add_schedule

    opened = open_lake(lake)
    kept = add_schedule(
        opened,
        name,
        Schedule(
            **_work(context, name, analysis, given, where, region, column, derived, parameter),
            since=_now().isoformat(),
            cron=cron,
            timezone=timezone,
            on_change=tuple(on_change or ()),
            after=tuple(after or ()),
            output=output,
            update=update,
            pipeline=check_pipeline(opened, file).to_json() if file is not None else {},
            is_paused=paused,
        ),
    )
    if as_json:
        print_json({"name": name, **kept.to_json()})
    else:
        print_text(f"Schedule {name} is kept; 'hven schedule serve' or 'hven schedule tick' runs it when it is due.")


def _work(
    context: typer.Context,
    name: str,
    analysis: str | None,
    given: list[str] | None,
    where: list[str] | None,
    region: list[str] | None,
    column: list[str] | None,
    derived: list[str] | None,
    parameter: list[str] | None,
) -> dict[str, Any]:
    """Return what a schedule runs, as its rule keeps it; nothing for an update."""
    from hven.plugins import plugins as discover
    from hven.schedule.checking import told_as_schedule

    if analysis is None:
        return {}
    with told_as_schedule(name):
        described = discover().analysis(analysis)
        texts = parameter_texts(context, described, split_assignments(parameter or [], "-p"))
        parameters = described.parse_texts(texts)
        selections = read_selections(described, given, where, region, column, derived=derived)
        return {
            "analysis": described.name,
            "inputs": {name: selection.to_json() for name, selection in selections.items()},
            "parameters": described.parameters_json(parameters),
        }


@verbs.command("ls")
def list_schedules(lake: LakeOption = None, as_json: AsJson = False) -> None:
    """List the schedules of a lake: what they run, when they fire next, and how they last went.

    Example: `hven schedule ls --lake demo-lake`
    """
    from hven.schedule import schedules

    opened = open_lake(lake)
    now = _now()
    told = {name: _standing(opened, name, schedule, now) for name, schedule in schedules(opened).items()}
    if as_json:
        print_json(told)
        return
    print_table(
        ["schedule", "runs", "result", "when", "next", "last", "because"],
        (
            [
                name,
                rule["analysis"] or ("pipeline" if rule["pipeline"] else "update"),
                rule["result"],
                _when(rule),
                _next(rule),
                f"{rule['last']['outcome']} at {rule['last']['at'][:19]}Z" if rule["last"] else "never",
                _because(rule["last"]),
            ]
            for name, rule in told.items()
        ),
    )


@verbs.command()
def show(name: Name, lake: LakeOption = None, as_json: AsJson = False) -> None:
    """Show a schedule and how its last firings went.

    Example: `hven schedule show nightly --lake demo-lake`
    """
    from hven.schedule import firings, schedule_called

    opened = open_lake(lake)
    told = _standing(opened, name, schedule_called(opened, name), _now())
    past = firings(opened, name, _SHOWN)
    if as_json:
        print_json({"name": name, **told, "firings": [firing.to_json() for firing in past]})
        return
    print_fields(
        [
            ("schedule", name),
            ("runs", told["analysis"] or ("a pipeline" if told["pipeline"] else f"update of {told['update']}")),
            *((f"input {given}", selected["datasets"]) for given, selected in told["inputs"].items()),
            ("parameters", ", ".join(f"{key}={value}" for key, value in told["parameters"].items())),
            ("result", told["result"]),
            ("when", _when(told)),
            ("next", _next(told)),
        ]
    )
    if past:
        _print_firings(past[::-1])


@verbs.command("rm")
def remove(name: Name, lake: LakeOption = None) -> None:
    """Remove a schedule; results of its runs stay, and the records of its firings.

    Example: `hven schedule rm nightly --lake demo-lake`
    """
    from hven.schedule import remove_schedule

    remove_schedule(open_lake(lake), name)
    print_text(f"Schedule {name} is removed.")


@verbs.command()
def pause(name: Name, lake: LakeOption = None) -> None:
    """Keep a schedule from being due, until it is resumed.

    Example: `hven schedule pause nightly --lake demo-lake`
    """
    from hven.schedule import pause_schedule

    pause_schedule(open_lake(lake), name)
    print_text(f"Schedule {name} is paused; 'hven schedule resume {name}' lets it run again.")


@verbs.command()
def resume(name: Name, lake: LakeOption = None) -> None:
    """Let a paused schedule be due again: by the clock from now on, and by what has changed meanwhile.

    Example: `hven schedule resume nightly --lake demo-lake`
    """
    from hven.schedule import resume_schedule

    resume_schedule(open_lake(lake), name, _now())
    print_text(f"Schedule {name} is resumed.")


@verbs.command("run-now")
def run_now(
    name: Name,
    workers: WorkersOption = None,
    cluster: ClusterOption = "local",
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Run a schedule now, due or not; a paused one too. Exit status 3 when it did not end well, or was skipped.

    Example: `hven schedule run-now nightly --lake demo-lake`
    """
    from hven.schedule import run_now as run_one
    from hven.schedule import stoppable

    try:
        with stoppable():
            firing = run_one(open_lake(lake), name, _now(), cluster=cluster, workers=workers)
    except KeyboardInterrupt as interrupt:
        raise _interrupted(interrupt) from interrupt
    print_json(firing) if as_json else _print_firings([firing])
    if not firing.is_well or firing.outcome == "skipped":
        raise typer.Exit(FAILED)


@verbs.command()
def tick(
    workers: WorkersOption = None,
    cluster: ClusterOption = "local",
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Run what is due now, and end: for cron, systemd timers and Kubernetes CronJobs.

    Exit status: 0 when nothing was due, when all went well, or when another process runs what is due; 3 when a firing
    failed or was partial; 130 when it was interrupted, and the next tick goes on; 1 for any other error.

    Example: `hven schedule tick --lake demo-lake`
    """
    from hven.errors import ConflictError
    from hven.schedule import stoppable
    from hven.schedule import tick as run_due

    opened = open_lake(lake)
    try:
        with stoppable():
            fired = run_due(opened, _now(), cluster=cluster, workers=workers)
    except ConflictError as error:
        print_json([]) if as_json else print_text(f"Nothing to do here: {error.what}.")
        return
    except KeyboardInterrupt as interrupt:
        raise _interrupted(interrupt) from interrupt
    if as_json:
        print_json([firing.to_json() for firing in fired])
    elif not fired:
        print_text("Nothing is due.")
    else:
        _print_firings(fired)
    if not all(firing.is_well for firing in fired):
        raise typer.Exit(FAILED)


@verbs.command()
def serve(
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between two looks for changes; the clock is met in any case.")
    ] = 30.0,
    once: Annotated[
        bool, typer.Option("--once", help="Run what is due now, and end, as `hven schedule tick`.")
    ] = False,
    workers: WorkersOption = None,
    cluster: ClusterOption = "local",
    lake: LakeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for all that happens.")] = False,
) -> None:
    """Run what is due, when it is due, until it is stopped (SIGTERM, Ctrl-C).

    Of several, one works: it has the lake's lease, and another takes over when it ends or dies. When it is stopped in
    the middle of a run, the next one goes on with it.

    Example: `hven schedule serve --lake demo-lake`
    """
    from hven.schedule import serve as go_on
    from hven.schedule import stoppable

    if once:
        tick(workers, cluster, lake, as_json)
        return
    opened = open_lake(lake)

    def tell(event: "Event") -> None:
        import json

        typer.echo(json.dumps(event.to_json(), ensure_ascii=False) if as_json else _line(event))

    with stoppable():
        go_on(opened, every=every, tell=tell, cluster=cluster, workers=workers)


def _now() -> datetime:
    return datetime.now(UTC)


def _standing(lake: "Lake", name: str, schedule: "Schedule", now: datetime) -> dict[str, Any]:
    """Return a schedule with when it fires next and how it last went, as plain values."""
    from hven.schedule import firings, next_firing

    last = firings(lake, name, 1)
    coming = next_firing(lake, name, schedule, now)
    return {
        **schedule.to_json(),
        "result": ", ".join(schedule.results),
        "next": coming.isoformat() if coming is not None else None,
        "is_due": coming == now,
        "last": last[0].to_json() if last else None,
    }


def _when(told: dict[str, Any]) -> str:
    clock = f"{told['cron']} ({told['timezone']})" if told["cron"] else ""
    changed = f"on change of {', '.join(told['on_change'])}" if told["on_change"] else ""
    later = f"after {', '.join(told['after'])}" if told["after"] else ""
    return "; ".join(text for text in (clock, changed, later) if text)


def _next(told: dict[str, Any]) -> str:
    if told["is_paused"]:
        return "paused"
    return "now" if told["is_due"] else told["next"] or ""


def _print_firings(fired: "list[Firing]") -> None:
    print_table(
        ["schedule", "at", "because of", "outcome", "runs", "note"],
        ([f.schedule, f"{f.at[:19]}Z", f.reason, f.outcome, ", ".join(f.runs), _note(f)] for f in fired),
    )


def _because(last: dict[str, Any] | None) -> str:
    """Return why a schedule's last firing did not go well; nothing when it did."""
    if not last or last["outcome"].startswith(("succeeded", "running")):
        return ""
    return f"[{last['error']['code']}] {last['error']['what']}" if last["error"] else last["note"]


def _note(firing: "Firing") -> str:
    return f"[{firing.error['code']}] {firing.error['what']}" if firing.error else firing.note


def _line(event: "Event") -> str:
    """Return what happened as one line for people."""
    told = event.told
    text = {
        "serving": "serving {lake} as {by}, term {term} of the lease",
        "waiting": "waiting: {what}",
        "firing": "{schedule}: firing {number} because of {reason}",
        "fired": "{schedule}: firing {number} {outcome} after {seconds:.1f} s{problem}",
        "trouble": "trouble: {problem}",
        "lost": "the lease is lost",
        "stopped": "stopped",
    }[event.kind]
    error = told.get("error") or {}
    problem = f" [{error['code']}] {error['what']}" if error else f" {told['note']}" if told.get("note") else ""
    return f"{event.at}  {text.format(**told, problem=problem)}".rstrip()


def _interrupted(interrupt: KeyboardInterrupt) -> typer.Exit:
    typer.echo("\n".join(getattr(interrupt, "__notes__", ["Interrupted."])), err=True)
    return typer.Exit(INTERRUPTED)
