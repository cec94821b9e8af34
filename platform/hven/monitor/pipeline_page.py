"""The page of a pipeline: one HTML file that tells what was done with what, and shows what came out.

All that it shows was kept by the steps' runs: a step that was up to date shows what its last run drew.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from hven.errors import RecipeError, did_you_mean
from hven.monitor.pages import inline, page
from hven.monitor.sections import DrawnSection, kept_sections

if TYPE_CHECKING:
    from hven.compute import Pipeline, PipelineRun, Run, ShownStep, StepRun

_WORST = ("failed", "cancelled", "partial", "not run")
_Kept = TypeVar("_Kept")


def write_pipeline_page(run: "PipelineRun") -> None:
    """Write the page of a pipeline that has ended, in place of the one before."""
    run.put_report(pipeline_html(run).encode())


def pipeline_html(run: "PipelineRun") -> str:
    """Return the page of a pipeline as HTML.

    Parameters
    ----------
    run
        A pipeline that has ended.
    """
    lake, pipeline = run.lake.pinned(), run.pipeline
    steps = {step.name: _Step.of(step, pipeline) for step in run.steps}
    shown = pipeline.report.shown(list(steps))
    names = [intake.name for intake in pipeline.ingest if intake.name in lake]
    return page(
        "pipeline.html.jinja",
        title=pipeline.report.title or pipeline.name,
        text=pipeline.report.text,
        state=_state(run),
        steps=steps,
        up_to_date=sum(step.state == "up to date" for step in run.steps),
        ingested=sum(lake[name].entry.counts.rows for name in names) if pipeline.ingest else None,
        seconds=run.seconds,
        work=sum(step.run.record["seconds"] for step in run.steps if step.run is not None),
        catalog=lake.number,
        shown=[_Part.of(one, steps[one.step]) for one in shown],
        open={one.step: number for number, one in reversed([*enumerate(shown, 1)])},
        yaml=_yaml(pipeline),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


@dataclass(frozen=True)
class _Step:
    """A step as the page tells it; `link` leads from the page to the report of its run."""

    ended: "StepRun"
    analysis: str
    summary: str
    link: str = ""

    @classmethod
    def of(cls, ended: "StepRun", pipeline: "Pipeline") -> "_Step":
        if ended.run is not None:
            told, report = ended.run.record["analysis"], ended.run.record["report"]
            return cls(ended, told["name"], told["summary"], f"../{quote(report)}" if report else "")
        step = next(step for step in pipeline.steps if step.name == ended.name)
        known = step.known
        return cls(ended, known.name if known else str(step.analysis), known.summary if known else "")


@dataclass(frozen=True)
class _Part:
    """A step that stands open on the page: its sections, each with its figures, its own figures, and what is amiss."""

    step: _Step
    text: str
    figures: Mapping[str, str]
    sections: Sequence[tuple[DrawnSection, Mapping[str, str]]]
    caveats: Sequence[str]

    @classmethod
    def of(cls, shown: "ShownStep", step: _Step) -> "_Part":
        run = step.ended.run
        if run is None or step.ended.error is not None:
            return cls(step, shown.text, {}, [], [])
        caveats = list(run.caveats)
        figures = _chosen(shown.figures, _kept_figures(run, caveats), "figure", caveats)
        sections = _chosen(shown.sections, [(one.title, one) for one in kept_sections(run)], "section", caveats)
        drawn = [(section, inline(section.figures)) for _, section in sections]
        return cls(step, shown.text, inline(dict(figures)), drawn, caveats)


def _kept_figures(run: "Run", caveats: list[str]) -> list[tuple[str, bytes]]:
    found = [(name, run.lake.store.get_or_none(key)) for name, key in run.record["figures"].items()]
    caveats += [f"Figure {name!r} is not in the lake any more." for name, content in found if content is None]
    return [(name, content) for name, content in found if content is not None]


def _chosen(
    wanted: Iterable[str] | None, kept: list[tuple[str, _Kept]], what: str, caveats: list[str]
) -> list[tuple[str, _Kept]]:
    """Return what is wanted of what there is; what there is not is told."""
    if wanted is None:
        return kept
    known = [name for name, _ in kept]
    for name in wanted:
        if name not in known:
            hint = did_you_mean(name, known, f"There are: {', '.join(map(repr, known)) or 'none'}.")
            caveats.append(f"There is no {what} {name!r}. {hint}")
    return [one for name in wanted for one in kept if one[0] == name]


def _state(run: "PipelineRun") -> str:
    """Return how the whole of it ended: as its worst step did."""
    if run.did_nothing:
        return "up to date"
    states = {step.state for step in run.steps if not step.is_well}
    return next((state for state in _WORST if state in states), "succeeded")


def _yaml(pipeline: "Pipeline") -> str:
    """Return the pipeline as its file says it: survey files that lie beside the file are named from there."""
    home = Path(pipeline.path).resolve().parent if pipeline.path and Path(pipeline.path).is_file() else None

    def said(file: str) -> str:
        return str(Path(file).relative_to(home)) if home is not None and Path(file).is_relative_to(home) else file

    ingest = [replace(intake, files=tuple(map(said, intake.files))) for intake in pipeline.ingest]
    try:
        return replace(pipeline, ingest=ingest).to_yaml()
    except RecipeError as error:
        return f"# It cannot be written as a file: {error}\n"
