"""Pipelines on the command line: run and planned by ``hven run -c FILE``, written by ``hven pipeline``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hven.cli.address import LakeOption, open_lake
from hven.cli.output import AsJson, print_json, print_table, print_text
from hven.cli.results import print_result
from hven.errors import ParameterError

if TYPE_CHECKING:
    from hven.compute import PipelinePlan, PipelineRun
    from hven.lake import Lake

verbs = typer.Typer(rich_markup_mode="markdown")


@verbs.command(rich_help_panel="Runs")
def pipeline(
    name: Annotated[str | None, typer.Argument(help="A result; all of them by default.")] = None,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Print the pipeline that results were made by, as a file that `hven run -c` takes.

    Of one result, with everything that it is made of. Survey files are not part of it: they have been ingested.

    Example: `hven pipeline metallicity_gradients --lake demo-lake > gradients.yaml`
    """
    from hven.compute import pipeline_of

    found = pipeline_of(open_lake(lake), name)
    print_json(found) if as_json else typer.echo(found.to_yaml(), nl=False)


def run_file_of_pipeline(
    file: Path, lake: "Lake", beside: Mapping[str, Any], *, dry_run: bool, as_json: bool, **how: Any
) -> None:
    """Run the pipeline that a file describes, or print what that would do; exit status 1 when a step did not go well.

    Parameters
    ----------
    file
        The file.
    lake
        Where to.
    beside
        Options of one analysis, by what they are called; none may be given.
    dry_run, as_json
        Print what would be done; print JSON.
    **how
        ``cluster``, ``workers`` and ``force``, as `hven.run_pipeline` takes them.

    Raises
    ------
    ParameterError
        For an option that is of one analysis.
    """
    import hven

    for option, value in beside.items():
        if value:
            raise ParameterError(
                f"{option} is said of one analysis, and the file describes a pipeline",
                where=str(file),
                hint="Say it in the step that it is for.",
            )
    if dry_run:
        plan = hven.plan_pipeline(lake, file, workers=how["workers"])
        print_json(plan) if as_json else _print_plan(plan)
        return
    done = hven.run_pipeline(lake, file, **how, tell=(lambda _: None) if as_json else print_text)
    print_json(done) if as_json else _print_end(done)
    if not done.is_well:
        raise typer.Exit(1)
    if done.problems:
        raise typer.Exit(ATTENTION)


ATTENTION = 3
"""Exit status when all steps are well, and a person has to look at something: a file that could not be read."""


def _print_plan(plan: "PipelinePlan") -> None:
    for name in plan.ingests:
        count = plan.files.get(name, 0)
        print_text(f"{name}: {count:,} new or changed files would be ingested")
    print_table(
        ["step", "analysis", "would do", "blocks", "because"],
        ([s.name, s.analysis, *_would_do(s)] for s in plan.steps),
    )
    print_text("Everything is up to date." if plan.does_nothing else "Nothing was run.")


def _would_do(step: Any) -> tuple[str, str, str]:
    """Return what a step would do, of how many blocks, and why."""
    causes = [f"{name!r} comes first" for name in step.after]
    if step.plan is None:
        return "a new run", "", "; ".join(causes)
    action = {"new": "a new run", "resume": "go on", "retry": "try failed blocks again", "update": "update"}
    counts = {"new": step.plan.new, "stale": sum(step.plan.stale.values()), "up to date": step.plan.done}
    blocks = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    what = action.get(step.plan.action, "look again" if causes else "nothing")
    return what, blocks, "; ".join([*step.plan.stale, *causes])


def _print_end(done: "PipelineRun") -> None:
    for step in done.steps:
        if step.run is not None and step.error is None and not step.run.was_up_to_date:
            print_text("")
            print_result(step.run)
            print_text("")
    if done.report is not None:
        print_text(f"Report: {done.report}")
    if done.did_nothing:
        print_text("Everything was up to date.")
    elif all(step.is_well for step in done.steps):
        print_text("All steps succeeded.")
        for problem in done.problems:
            print_text(f"! {problem}")
    else:
        bad = ", ".join(f"{step.name} ({step.state})" for step in done.steps if not step.is_well)
        print_text(f"Not well: {bad}. The same command tries again what is left.")
