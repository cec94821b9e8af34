"""Verbs about running analyses: run, runs."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hven.cli.address import LakeOption, open_lake
from hven.cli.analysis_command import AnalysisCommand, other_options, parameter_texts
from hven.cli.interrupting import interruptible
from hven.cli.output import AsJson, print_fields, print_json, print_text
from hven.cli.pipelines import run_file_of_pipeline
from hven.cli.run_records import listed, tell_run
from hven.cli.selecting import (
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
from hven.errors import ParameterError

if TYPE_CHECKING:
    from hven.compute import Plan, RunFile

verbs = typer.Typer(rich_markup_mode="markdown")
PANEL = "Runs"
RunClusterOption = Annotated[
    str | None, typer.Option(help="local, synchronous, or the address of a Dask scheduler; local by default.")
]


@verbs.command(cls=AnalysisCommand, rich_help_panel=PANEL)
def run(
    context: typer.Context,
    analysis: Annotated[
        str | None,
        typer.Argument(help="The analysis; `hven analyses` lists them. Its --help tells its parameters."),
    ] = None,
    given: InputOption = None,
    where: WhereOption = None,
    region: RegionOption = None,
    column: ColumnOption = None,
    derived: WithOption = None,
    parameter: ParameterOption = None,
    output: Annotated[str | None, typer.Option(help="The result's name; the analysis's by default.")] = None,
    workers: WorkersOption = None,
    cluster: RunClusterOption = None,
    block_rows: Annotated[
        int | None, typer.Option(min=1, help="Objects in a block, when the usual number does not suit.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="Take all this from a YAML file; what is given here counts more. Or run a pipeline."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Compute even what is up to date.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="With --dry-run: compute one block on a worker, to know memory and time.")
    ] = False,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Run an analysis and publish its result as a dataset, in one commit; or all that is stale of a pipeline (-c).

    A run that was interrupted continues where it stopped when the same command is given again. Parameters of the
    analysis are options too: `--bins 10` is `-p bins=10`. A file that has `steps` is a pipeline: it is checked as a
    whole, and its steps are run in order, each with a commit of its own.

    Example: `hven run metallicity_gradients --input stars=apogee+apogee_distances --where 'logg > 2.3' -p bins=10`
    """
    import hven
    from hven.compute import is_pipeline
    from hven.plugins import plugins as discover

    if file is not None and is_pipeline(file):
        said: dict[str, Any] = {"--input": given, "--where": where, "--region": region, "--column": column}
        said |= {"--with": derived}
        said |= {"--parameter": parameter, "--output": output, "--measure": measure, "--block-rows": block_rows}
        said |= other_options(context)
        how: dict[str, Any] = {"cluster": cluster, "workers": workers, "force": force}
        with interruptible():
            run_file_of_pipeline(
                file, open_lake(lake), {"NAME": analysis} | said, dry_run=dry_run, as_json=as_json, **how
            )
        return
    told = _run_file(file, analysis)
    described = discover().analysis(told.analysis)
    texts = parameter_texts(context, described, split_assignments(parameter or [], "-p"))
    parameters = described.parse_texts(texts, told.parameters)
    selections = read_selections(described, given, where, region, column, told, derived)
    output, workers = output or told.output or None, workers or told.workers
    cluster = cluster or told.cluster or "local"
    opened = open_lake(lake)
    if dry_run:
        how = {"output": output, "workers": workers, "force": force, "measure": measure, "block_rows": block_rows}
        plan = hven.plan(opened, described, selections, parameters, **how)
        _print_plan(plan, as_json=as_json)
        return
    with interruptible():
        how = {"output": output, "cluster": cluster, "workers": workers, "force": force, "block_rows": block_rows}
        done = hven.run(opened, described, selections, parameters, **how)
    tell_run(done, as_json=as_json)


def _run_file(path: Path | None, analysis: str | None) -> "RunFile":
    """Return what the file says, and the analysis in any case; without a file, what a file with just that would say."""
    from hven.compute import RunFile, read_run_file

    told = read_run_file(path) if path is not None else RunFile("the command line")
    if analysis and told.analysis and analysis != told.analysis:
        raise ParameterError(
            f"the command names the analysis {analysis!r}, and the file {told.analysis!r}",
            where=told.path,
            hint="Leave one of them out.",
        )
    if not analysis and not told.analysis:
        raise ParameterError("no analysis is named", where=told.path, hint="Name one: 'hven run NAME' or in the file.")
    return replace(told, analysis=analysis or told.analysis)


verbs.add_typer(listed, name="runs", rich_help_panel=PANEL)


def _plan_blocks_text(plan: "Plan") -> str:
    stale = sum(plan.stale.values())
    counts = {"new": plan.new, "stale": stale, "up to date": plan.done}
    return ", ".join([f"{plan.blocks:,}", *(f"{count:,} {what}" for what, count in counts.items() if count)])


def _duration_text(seconds: float) -> str:
    """Return a time as people say it.

    Examples
    --------
    >>> _duration_text(0.4), _duration_text(75), _duration_text(9000)
    ('under a second', '1 min 15 s', '2 h 30 min')
    """
    if seconds < 1:
        return "under a second"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    told = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join([f"{count} {unit}" for count, unit in told if count][:2])


def _print_plan(plan: "Plan", *, as_json: bool) -> None:
    from hven.catalog.listing import size_text

    if as_json:
        print_json(plan)
        return
    action = {
        "new": "a new run",
        "resume": f"goes on with run {plan.run}",
        "retry": f"tries the failed blocks of run {plan.run} again",
        "nothing": f"nothing: run {plan.run} has made it of the same data",
        "update": f"brings up to date what run {plan.run} made",
    }
    print_fields(
        [
            ("analysis", plan.analysis),
            ("result", plan.output),
            ("would do", action[plan.action]),
            ("objects", f"{plan.rows:,}, at most {plan.block_rows:,} in a block"),
            ("blocks", _plan_blocks_text(plan)),
            *(("stale", f"{count:,} because {cause}") for cause, count in plan.stale.items()),
            ("tasks", f"{plan.tasks:,} on {plan.workers} workers"),
            ("reads", f"{size_text(plan.bytes_in)}, at most {size_text(plan.block_bytes)} in a block"),
            ("writes", size_text(plan.bytes_out) if plan.bytes_out is not None else ""),
            ("memory", f"{size_text(plan.peak_bytes)} in a worker at most" if plan.tasks else ""),
            ("time", f"{_duration_text(plan.seconds)}, if all is computed" if plan.seconds is not None else ""),
            ("known from", plan.known_from if plan.tasks else ""),
            ("warning", " ".join(plan.warnings)),
        ]
    )
    print_text("Nothing was run.")
