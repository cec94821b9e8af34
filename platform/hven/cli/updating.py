"""Verbs that keep a lake in shape: status and update of results, compact."""

from typing import Annotated

import typer

from hven.cli.address import LakeOption, open_lake
from hven.cli.interrupting import interruptible
from hven.cli.output import AsJson, print_json, print_table, print_text
from hven.cli.results import print_result
from hven.cli.run_records import blocks_text, objects_text
from hven.cli.selecting import ClusterOption, WorkersOption

verbs = typer.Typer(rich_markup_mode="markdown")
PANEL = "Runs"


@verbs.command(rich_help_panel=PANEL)
def status(lake: LakeOption = None, as_json: AsJson = False) -> None:
    """List the results of a lake: which are up to date, and why others are not.

    Example: `hven status --lake demo-lake`
    """
    import hven

    found = hven.status(open_lake(lake))
    if as_json:
        print_json(found)
        return
    rows = ([s.name, s.analysis, "stale" if s.is_stale else "up to date", "; ".join(s.causes)] for s in found)
    print_table(["result", "analysis", "state", "because"], rows)
    for warning in dict.fromkeys(text for s in found for text in s.warnings):
        print_text(f"! {warning[0].upper()}{warning[1:]}.")
    if any(s.is_stale for s in found):
        print_text("Bring them up to date with 'hven update', or one and what it is made of with 'hven update NAME'.")


@verbs.command(rich_help_panel="Lakes")
def compact(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    rows: Annotated[int | None, typer.Option(min=1, help="Objects in a new file or segment at most.")] = None,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Make few large files of the many small ones that appends left; no object changes, and results stay up to date.

    Example: `hven compact apogee --lake demo-lake`
    """
    opened = open_lake(lake)
    done = opened.compact(name, rows=rows)
    if as_json:
        print_json(None if done is None else vars(done))
    elif done is None:
        print_text(f"{name} is in good shape: nothing was done.")
    else:
        print_text(f"{name}: {done.before:,} files or segments became {done.after:,} (catalog {opened.number}).")


@verbs.command(rich_help_panel=PANEL)
def update(
    name: Annotated[str | None, typer.Argument(help="A result; all of them by default.")] = None,
    workers: WorkersOption = None,
    cluster: ClusterOption = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be run, and do nothing.")] = False,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Bring results and what they are made of up to date, in order; only blocks that changed are computed.

    Example: `hven update metallicity_gradients --lake demo-lake`
    """
    import hven
    from hven.compute import outputs_for

    opened = open_lake(lake)
    if dry_run:
        told = {s.name.partition(".")[0]: s for s in hven.status(opened)} | {s.name: s for s in hven.status(opened)}
        stale = [told[output] for output in outputs_for(opened, name) if told[output].is_stale]
        if as_json:
            print_json(stale)
        else:
            print_table(["result", "analysis", "because"], ([s.name, s.analysis, "; ".join(s.causes)] for s in stale))
            print_text("Nothing was run.")
        return
    with interruptible():
        done = hven.update(opened, name, cluster=cluster, workers=workers)
    if as_json:
        print_json(done)
    elif done:
        rows = ([run.output, run.state, blocks_text(run), objects_text(run), run.id] for run in done)
        print_table(["result", "state", "blocks", "objects", "run"], rows, right=["objects"])
        for run in done:
            print_text("")
            print_result(run)
    else:
        print_text("Everything is up to date.")
    if any(not run.is_complete for run in done):
        raise typer.Exit(1)
