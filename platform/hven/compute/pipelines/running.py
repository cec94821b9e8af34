"""Running a pipeline: only what is stale, in order, on the same workers; and telling before what that would be."""

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

from hven.compute.clusters import cluster_for, default_workers
from hven.compute.pipelines.checking import check_pipeline
from hven.compute.pipelines.intaking import new_files, take_in
from hven.compute.pipelines.pipeline import Pipeline, Step
from hven.compute.pipelines.turns import UP_TO_DATE, StepRun, check_ended, in_order, in_turn
from hven.compute.planning import Plan, plan
from hven.compute.records import Run, now, runs_of_output
from hven.compute.request import make_request
from hven.compute.runner import run
from hven.compute.work import lay_out
from hven.errors import HvenError
from hven.lake import Lake
from hven.plugins import plugins

if TYPE_CHECKING:
    from pathlib import Path

    from distributed import Client

    from hven.ingest import IngestReport


@dataclass
class PipelineRun:
    """How a pipeline went.

    Attributes
    ----------
    lake
        Where it was run.
    pipeline
        What was run.
    ingested
        What was ingested before the first step.
    steps
        How each step went, in the order in which they were run.
    seconds
        How long it took.
    report
        Path or URL of the page that tells its story, when one was written.
    caveats
        What went wrong beside the results: a page that could not be written.
    problems
        What a person has to look at although every step is well: files that could not be read.
    """

    lake: Lake = field(repr=False)
    pipeline: Pipeline = field(repr=False)
    ingested: "tuple[IngestReport, ...]"
    steps: tuple[StepRun, ...]
    seconds: float = 0.0
    report: str | None = None
    caveats: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> StepRun:
        return next(step for step in self.steps if step.name == name)

    @property
    def is_well(self) -> bool:
        """Whether every result is there, and whole."""
        return all(step.is_well for step in self.steps)

    def check(self) -> None:
        """Refuse when a step failed.

        Raises
        ------
        HvenError
            That of the step; a `RunFailedError` that names each when several failed.
        """
        check_ended(self.steps)

    @property
    def did_nothing(self) -> bool:
        """Whether everything was up to date."""
        return not self.ingested and all(step.state == UP_TO_DATE for step in self.steps)

    def put_report(self, page: bytes) -> None:
        """Keep a page as its report, in place of what the pipeline of this name had before."""
        # What a file is called need not be a key.
        name = re.sub(r"[^\w.-]+", "_", self.pipeline.name).strip("._") or "pipeline"
        key = f"pipelines/{name}.html"
        self.lake.store.put(key, page)
        self.report = self.lake.store.address(key)

    def to_json(self) -> dict[str, Any]:
        """Return how it went as plain values, for ``--json``."""
        return {
            "is_well": self.is_well,
            "report": self.report,
            "caveats": self.caveats,
            "problems": self.problems,
            "seconds": self.seconds,
            "ingested": [report.to_json() for report in self.ingested],
            "steps": [step.to_json() for step in self.steps],
        }


@dataclass(frozen=True)
class StepPlan:
    """What a step of a pipeline would do.

    Attributes
    ----------
    name
        The step: what its result is called.
    analysis
        What is computed.
    plan
        What its run would do with its inputs as they are; None when they are not there yet.
    after
        The steps, and datasets to be ingested, that would change or make what it takes in, before it is run.
    """

    name: str
    analysis: str
    plan: Plan | None
    after: tuple[str, ...] = ()

    @property
    def does_nothing(self) -> bool:
        """Whether it is up to date."""
        return not self.after and self.plan is not None and self.plan.action == "nothing"

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain values, for ``--json``."""
        told = self.plan.to_json() if self.plan is not None else None
        return {"name": self.name, "analysis": self.analysis, "plan": told, "after": list(self.after)}


@dataclass(frozen=True)
class PipelinePlan:
    """What a pipeline would do.

    Attributes
    ----------
    ingests
        The datasets that it would ingest.
    steps
        What each step would do, in the order in which they are run.
    files
        How many files each of these datasets would take in.
    """

    ingests: tuple[str, ...]
    steps: tuple[StepPlan, ...]
    files: Mapping[str, int] = field(default_factory=dict)

    @property
    def does_nothing(self) -> bool:
        """Whether everything is up to date."""
        return not self.ingests and all(step.does_nothing for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain values, for ``--json``."""
        steps = [step.to_json() for step in self.steps]
        return {"ingests": list(self.ingests), "files": dict(self.files), "steps": steps}


def run_pipeline(
    lake: Lake,
    pipeline: "Pipeline | str | Path",
    *,
    cluster: "str | Client | None" = None,
    workers: int | None = None,
    progress: bool | None = None,
    force: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> PipelineRun:
    """Run what is stale of a pipeline, in order, and return how each step went.

    The whole of it is checked before anything runs. New and changed survey files are taken in first; files that are
    known by their content are not read again, and one that cannot be read is a problem of the run, not its end. Steps
    that are up to date are left alone, and of the others only the blocks that changed are computed, so that running it
    again does nothing. A step that fails stops those that depend on it, and no others. What was killed goes on where it
    was when it is run again.

    Each step is a run of its own with a commit of its own, and each result keeps its recipe: `hven.update` follows the
    chain from there on, without the pipeline.

    In the end one page is written that tells how it went and shows what came out (`PipelineRun.report`); what it says
    and shows, `Pipeline.report` tells.

    Parameters
    ----------
    lake
        Where the data are, and where the results go.
    pipeline
        A pipeline, or the path of its file.
    cluster, workers, progress
        As `hven.run` takes them, for all steps; what the pipeline says by default.
    force
        Compute even what is up to date.
    tell
        Is told in words what happens, as it happens.

    Raises
    ------
    PipelineError
        With everything that does not fit; nothing was run.
    HvenError
        If survey files cannot be ingested; no step was run.

    Examples
    --------
    >>> done = hven.run_pipeline(lake, "disc.yaml")  # doctest: +SKIP
    >>> [(step.name, step.state) for step in done.steps]  # doctest: +SKIP
    [('apogee_distances', 'up to date'), ('metallicity_gradients', 'succeeded')]
    """
    began, since = perf_counter(), now()
    told = check_pipeline(lake, pipeline)
    taken = take_in(lake, told, progress, tell)
    ingested = tuple(taken.reports)
    if ingested:
        # What was read now is known column by column.
        check_pipeline(lake, told)
    steps = {step.name: step for step in told.steps}
    with _Hands(cluster or told.cluster or "local", workers or told.workers, tell) as hands:

        def do(name: str) -> StepRun:
            return _step(lake, steps[name], hands, force=force, progress=progress, tell=tell)

        ended = []
        for one in in_turn(told.needs, do):
            if one.error is not None:
                tell(f"{one.name}: {one.state}. [{one.error.code}] {one.error}")
            elif one.because:
                tell(f"{one.name}: not run, because there is no {' and no '.join(one.because)}")
            ended.append(replace(one, run=_broken_off(lake, one.name, since)) if one.error is not None else one)
    seconds = round(perf_counter() - began, 3)
    done = PipelineRun(lake, told, ingested, tuple(ended), seconds, problems=taken.problems)
    for answer in plugins().call("hven_pipeline_finished", run=done):
        if answer.error is not None:
            what = f"{type(answer.error).__name__}: {answer.error}"
            done.caveats.append(f"Plugin {answer.plugin} failed at the end of the pipeline: {what}")
            tell(done.caveats[-1])
    return done


def _broken_off(lake: Lake, output: str, since: str) -> Run | None:
    """Return the run of a step that has no result; None when it was refused before there was a run."""
    try:
        newest = next(runs_of_output(lake, output), None)
    except HvenError:
        # What stopped the step may be the very store that keeps its record.
        return None
    return newest if newest is not None and (newest.record["finished"] or "") >= since else None


def plan_pipeline(lake: Lake, pipeline: "Pipeline | str | Path", *, workers: int | None = None) -> PipelinePlan:
    """Return what `run_pipeline` would do. Nothing is written, started or computed.

    Raises
    ------
    PipelineError
        With everything that does not fit.

    Examples
    --------
    >>> [step.name for step in hven.plan_pipeline(lake, "disc.yaml").steps if not step.does_nothing]  # doctest: +SKIP
    """
    told = check_pipeline(lake, pipeline)
    files = {intake.name: count for intake in told.ingest if (count := new_files(lake, intake))}
    ingests = tuple(files)
    coming = {name: intake.name for intake in told.ingest if intake.name in ingests for name in intake.makes}
    steps = {step.name: step for step in told.steps}
    plans: dict[str, StepPlan] = {}
    for name in in_order(told.needs):
        step = steps[name]
        changing = [need for need in told.needs[name] if not plans[need].does_nothing]
        after = tuple(dict.fromkeys([*changing, *(coming[taken] for taken in step.takes if taken in coming)]))
        made = [taken for taken in step.takes if coming.get(taken, "") not in lake and taken in coming]
        is_there = all(taken in lake for taken in step.takes) and not made
        known = _planned(lake, step, workers or told.workers, is_certain=not after) if is_there else None
        analysis = step.analysis if isinstance(step.analysis, str) else step.analysis.name
        plans[name] = StepPlan(name, analysis, known, after)
    return PipelinePlan(ingests, tuple(plans.values()), files)


def _planned(lake: Lake, step: Step, workers: int | None, *, is_certain: bool) -> Plan | None:
    """Return what a step would do with its inputs as they are; None when they fit only once they were made anew."""
    try:
        return plan(lake, step.analysis, step.inputs, step.parameters, output=step.name, workers=workers)
    except HvenError:
        if is_certain:
            raise
        return None


class _Hands:
    """The workers of all steps: started when the first has something to compute, stopped at the end."""

    def __init__(self, asked: "str | Client", workers: int | None, tell: Callable[[str], None]) -> None:
        self.asked, self.workers, self.tell = asked, workers, tell
        self.open = ExitStack()
        self.client: str | Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.open.close()

    def take(self) -> "str | Client":
        """Return what runs are given as their cluster."""
        if self.asked not in {"local", "cuda"}:
            return self.asked
        if self.client is None:
            cluster = self.open.enter_context(cluster_for(self.asked, self.workers or default_workers(_MANY)))
            self.client = cluster.client or "synchronous"
            if cluster.dashboard:
                self.tell(f"Watch the workers at {cluster.dashboard} while this runs.")
        return self.client


_MANY = 1024
"""Tasks: as many workers are started as there are cores."""


def _step(
    lake: Lake, step: Step, hands: _Hands, *, force: bool, progress: bool | None, tell: Callable[[str], None]
) -> StepRun:
    """Run one step, when there is something to do."""
    request = make_request(lake, step.analysis, step.inputs, step.parameters, step.name, None)
    work = lay_out(request, force=force)
    if work.action == "nothing":
        tell(f"{step.name}: up to date")
        if work.run is not None:
            work.run.was_up_to_date = True
        return StepRun(step.name, UP_TO_DATE, work.run)
    tell(f"{step.name}: running {request.analysis.name} ...")
    has_work = bool(work.todo) or not work.blocks
    cluster = hands.take() if has_work else "synchronous"
    how = {"output": step.name, "cluster": cluster, "progress": progress, "force": force}
    done = run(lake, request.analysis, step.inputs, step.parameters, **how)  # type: ignore[arg-type]
    if done.was_up_to_date:
        tell(f"{step.name}: up to date, nothing that it takes in has changed")
        return StepRun(step.name, UP_TO_DATE, done)
    tell(f"{step.name}: {done.state}, from {done.rows['in']:,} objects (run {done.id})")
    return StepRun(step.name, done.state, done)
