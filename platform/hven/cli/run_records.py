"""Verbs about runs that there are: runs, and of one of them show, resume, retry, cancel."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hven.cli.address import LakeOption, open_lake
from hven.cli.interrupting import interruptible
from hven.cli.output import AsJson, print_fields, print_json, print_table, print_text
from hven.cli.results import print_result
from hven.cli.selecting import ClusterOption, WorkersOption

if TYPE_CHECKING:
    from hven.compute import Run, SetAside

listed = typer.Typer(rich_markup_mode="markdown")
RunId = Annotated[str, typer.Argument(help="The run; the beginning or the end of its id will do.")]

_RANGES = 5
"""Ranges of objects that are shown of what was set aside for one reason; --json tells them all."""


@listed.callback(invoke_without_command=True)
def runs(context: typer.Context, lake: LakeOption = None, as_json: AsJson = False) -> None:
    """List the runs of a lake, newest first.

    Example: `hven runs --lake demo-lake`
    """
    from hven.compute import runs as list_runs
    from hven.compute import unreadable_runs

    if context.invoked_subcommand is not None:
        context.obj = lake
        return
    opened = open_lake(lake)
    found = list_runs(opened)
    if as_json:
        print_json([r.to_json() for r in found])
        return
    print_table(
        ["run", "analysis", "result", "state", "blocks", "objects", "catalog"],
        ([r.id, r.analysis, r.output, r.state, blocks_text(r), objects_text(r), r.commit] for r in found),
        right=["objects", "catalog"],
    )
    for run_id, why in unreadable_runs(opened, [run.id for run in found]).items():
        print_text(f"{run_id} cannot be read: {why}")


@listed.command()
def show(context: typer.Context, id: RunId, lake: LakeOption = None, as_json: AsJson = False) -> None:
    """Show a run: how it stands in objects, what was set aside and why, what to do, where report and log are.

    Example: `hven runs show 3f2a --lake demo-lake`
    """
    from hven.compute import open_run

    found = open_run(open_lake(lake or context.obj), id)
    if as_json:
        print_json(found.to_json() | {"account": found.account().to_json()})
    else:
        print_run(found)


@listed.command()
def resume(
    context: typer.Context,
    id: RunId,
    workers: WorkersOption = None,
    cluster: ClusterOption = "local",
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a run that was cancelled, interrupted or failed; what is finished is not computed again.

    Example: `hven runs resume 3f2a --lake demo-lake`
    """
    import hven

    with interruptible():
        done = hven.resume(open_lake(lake or context.obj), id, cluster=cluster, workers=workers)
    tell_run(done, as_json=as_json)


@listed.command()
def retry(
    context: typer.Context,
    id: RunId,
    workers: WorkersOption = None,
    cluster: ClusterOption = "local",
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Try again what a run set aside, and only that; what succeeds enters its result.

    Example: `hven runs retry 3f2a --lake demo-lake`
    """
    import hven

    with interruptible():
        done = hven.retry(open_lake(lake or context.obj), id, cluster=cluster, workers=workers)
    tell_run(done, as_json=as_json)


@listed.command()
def cancel(
    context: typer.Context,
    id: RunId,
    patience: Annotated[float, typer.Option(min=0.0, help="Seconds to wait until it has stopped.")] = 60.0,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a run that is under way, here or elsewhere; what it has finished is kept, and resume goes on with it.

    Example: `hven runs cancel 3f2a --lake demo-lake`
    """
    import hven

    done = hven.cancel(open_lake(lake or context.obj), id, patience=patience)
    if as_json:
        print_json(done)
    elif done.state == "running":
        print_text(f"Run {done.id} was asked to stop, and has not yet. It will, unless its machine is gone.")
    else:
        account = done.account()
        print_text(f"Run {done.id} is {account.told}. {account.next_step}")
    if done.state == "running":
        raise typer.Exit(1)


def tell_run(done: "Run", *, as_json: bool) -> None:
    """Print a run that has ended, and end the command with status 1 when its result is not complete."""
    if as_json:
        print_json(done.to_json() | {"was_up_to_date": done.was_up_to_date, "warnings": done.warnings})
    elif done.was_up_to_date:
        print_result(done)
    else:
        print_run(done)
    if not done.is_complete:
        raise typer.Exit(1)


def print_run(done: "Run") -> None:
    """Print what there is to know of a run: caveats and numbers first."""
    account = done.account()
    print_result(done)
    print_text("")
    print_fields(
        [
            ("run", done.id),
            ("analysis", done.analysis),
            ("state", account.told),
            ("because", account.cause),
            ("next", account.next_step),
            *((f"input {name}", _input_text(told)) for name, told in done.record["inputs"].items()),
            ("parameters", json.dumps(done.parameters, ensure_ascii=False)),
            ("blocks", blocks_text(done)),
            ("objects", _objects_in_and_out(done)),
            ("tried again", ", ".join(f"{count:,} ({cause})" for cause, count in account.tries.items())),
            ("workers lost", account.workers_lost or ""),
            ("time", _time_text(done)),
            ("brings up to date", f"what run {done.update['before']} made" if done.update else ""),
            ("result", ", ".join(done.outputs.values())),
            ("catalog", done.commit),
            ("listeners", "; ".join(_deaf(done))),
            ("report", account.report),
            ("log", account.log),
        ]
    )
    if account.set_aside:
        columns = ["objects", "blocks", "because", "kind", "tries", "object_id"]
        print_table(columns, map(_aside_row, account.set_aside), right=["objects", "blocks", "tries"])
    if done.failures:
        print_table(["block", "objects", "code", "error"], (_failure_row(failure) for failure in done.failures))


def blocks_text(done: "Run") -> str:
    """Return how the blocks of a run fared, in words."""
    counts, update = done.blocks, done.update
    words = [f"{counts[what]} {what}" for what in ("failed", "reused", "empty") if counts[what]]
    words += [f"{update[what]} {what}" for what in ("kept", "moved", "computed") if update.get(what)]
    return ", ".join([f"{done.done} of {counts['total']}", *words])


def objects_text(run: "Run") -> str:
    """Return how many objects a run was given, and of how many where not all are done; nothing of a run without any."""
    done, of = run.objects.get("done", run.rows["in"]), run.objects.get("of", run.rows["in"])
    if run.is_complete:
        return f"{done:,}" if of else ""
    return f"{done:,} of {of:,}"


def _aside_row(one: "SetAside") -> list[Any]:
    known = [f"{first} to {last}" for first, last in one.ranges if first is not None]
    count = len(known)
    if one.named:
        known = [f"{id}" if source is None else f"{id} (source_id {source})" for id, source in one.named]
        count = max(one.objects, len(known))
    shown = ", ".join(known[:_RANGES]) + (f" and {count - _RANGES:,} more" if count > _RANGES else "")
    return [f"{one.objects:,}", len(one.blocks), f"[{one.code}] {one.reason}", one.cause, one.tries, shown]


def _time_text(done: "Run") -> str:
    record = done.record
    attempts = f", in {record['attempts']:,} attempts" if record["attempts"] > 1 else ""
    ended = f" to {record['finished']}" if record["finished"] else ""
    return f"{record['created']}{ended}; {record['seconds']:,.1f} s{attempts}"


def _deaf(done: "Run") -> Iterator[str]:
    """Give what listeners of the run have failed at; it did not stop the run."""
    for line in done.record.get("log", ()):
        if line["event"] == "listener-failed":
            yield f"{line['plugin']} failed at {line['hook']}: {line['what']}"


def _failure_row(failure: dict[str, Any]) -> list[Any]:
    text = f"{failure['what']} ({failure['where']}). {failure['hint']}"
    return [failure["block"], f"{failure['rows']:,}, {failure['first']} to {failure['last']}", failure["code"], text]


def _input_text(told: dict[str, Any]) -> str:
    # Columns that were bound under another name: as was asked for, or as the same column by its spelling.
    bound = {wanted: one["source"] for wanted, one in told.get("bound", {}).items() if one["source"] != wanted}
    columns = ", ".join(f"{wanted} = {column}" for wanted, column in (told["columns"] | bound).items())
    catalogs = ", ".join(f"{leg['name']} as in catalog {leg['catalog']}" for leg in told["legs"])
    narrowed = [f"where {told['where']}"] * bool(told["where"]) + [f"in {told['region']}"] * bool(told["region"])
    derived = ", ".join(f"{name} = {text}" for name, text in told.get("with", {}).items())
    return "; ".join([catalogs, *narrowed, *[columns] * bool(columns), *[f"with {derived}"] * bool(derived)])


def _objects_in_and_out(done: "Run") -> str:
    """Return what went in and came out, which for an analysis of everything at once need not be objects."""
    what = "out" if done.record["analysis"]["per_object"] else "rows out"
    return f"{done.rows['in']:,} in, {done.rows['out']:,} {what}{_withdrawn_text(done)}"


def _withdrawn_text(done: "Run") -> str:
    withdrawn = done.update.get("withdrawn")
    return f", {withdrawn:,} withdrawn" if withdrawn else ""
