"""Going on with runs: resume what was broken off, retry what was set aside, cancel what is under way."""

import time
from typing import TYPE_CHECKING

from hven.compute.presence import ask_to_stop, me, who_is_present
from hven.compute.recipes import Recipe
from hven.compute.records import Run, now, open_run, runs_of
from hven.compute.request import Request, make_request
from hven.compute.runner import CHECKPOINT, carry_out
from hven.errors import RunStateError
from hven.lake import Lake

if TYPE_CHECKING:
    from distributed import Client

    from hven.plugins import Analysis

_POLL = 0.05


def resume(
    lake: Lake,
    run_id: str,
    *,
    analysis: "Analysis | None" = None,
    cluster: "str | Client" = "local",
    workers: int | None = None,
    progress: bool | None = None,
    checkpoint_seconds: float = CHECKPOINT[0],
    checkpoint_blocks: int = CHECKPOINT[1],
) -> Run:
    """Go on with a run that was cancelled, interrupted or failed, and return it.

    Everything is as it was asked for, and of the data as they were then, whatever has changed since: what is finished
    is not computed again.

    Parameters
    ----------
    lake
        The lake.
    run_id
        The run; the beginning or the end of its id will do.
    analysis
        The analysis itself, when no plugin brings it.
    cluster, workers, progress, checkpoint_seconds, checkpoint_blocks
        As `hven.run` takes them.

    Raises
    ------
    RunNotFoundError
        If there is no such run.
    RunStateError
        If it is under way or has ended, if its analysis has another version now, or if its result was replaced since.
    AnalysisNotFoundError, RecipeError
        If its analysis is not at hand, or a condition was a Polars expression.
    HvenError
        Whatever `hven.run` raises.

    Examples
    --------
    >>> hven.resume(lake, hven.runs(lake)[0].id).state  # doctest: +SKIP
    'succeeded'
    """
    run = open_run(lake, run_id)
    if run.state == "partial":
        raise RunStateError(
            f"run {run.id} has ended: {run.objects['set_aside']:,} objects were set aside",
            where=lake.url,
            hint=f"'hven runs retry {run.id}' tries these again.",
        )
    if run.is_complete or run.state == "running":
        raise _ended(run) if run.is_complete else _busy(run)
    how = (checkpoint_seconds, checkpoint_blocks)
    return carry_out(_same_request(run, analysis), cluster, workers, only=run, progress=progress, checkpoint=how)


def retry(
    lake: Lake,
    run_id: str,
    *,
    analysis: "Analysis | None" = None,
    cluster: "str | Client" = "local",
    workers: int | None = None,
    progress: bool | None = None,
    checkpoint_seconds: float = CHECKPOINT[0],
    checkpoint_blocks: int = CHECKPOINT[1],
) -> Run:
    """Try again what a run set aside, and only that, and return the run; what succeeds enters its result.

    Parameters
    ----------
    lake, run_id, analysis, cluster, workers, progress, checkpoint_seconds, checkpoint_blocks
        As `resume` takes them.

    Raises
    ------
    RunStateError
        If nothing was set aside, or the run has not come to its end, or its result was replaced since.
    HvenError
        Whatever `resume` raises.

    Examples
    --------
    >>> hven.retry(lake, "3f2a").failures  # doctest: +SKIP
    []
    """
    run = open_run(lake, run_id)
    if run.state == "running":
        raise _busy(run)
    if run.is_complete:
        raise _ended(run)
    if run.state != "partial" and not (run.state == "failed" and run.failures):
        raise RunStateError(
            f"run {run.id} has not come to its end: {run.state}",
            where=lake.url,
            hint=f"'hven runs resume {run.id}' goes on with it.",
        )
    how = (checkpoint_seconds, checkpoint_blocks)
    return carry_out(_same_request(run, analysis), cluster, workers, only=run, progress=progress, checkpoint=how)


def cancel(lake: Lake, run_id: str, *, patience: float = 60.0) -> Run:
    """Cancel a run and return it; what it has finished is kept, and `resume` goes on with it.

    A run that is under way, in this process or any other, is asked to stop: it does so after the block at hand, or in
    its middle when that takes long. One whose process is dead is marked as cancelled.

    Parameters
    ----------
    lake
        The lake.
    run_id
        The run; the beginning or the end of its id will do.
    patience
        Seconds to wait until it has stopped. After that it is returned as it is, still ``running``: the request stays.

    Raises
    ------
    RunNotFoundError
        If there is no such run.
    RunStateError
        If it has ended, also while it was asked.

    Examples
    --------
    >>> hven.cancel(lake, "3f2a").state  # doctest: +SKIP
    'cancelled'
    """
    run = open_run(lake, run_id)
    if run.state == "running":
        ask_to_stop(lake.store, run.folder)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and run.state == "running":
            time.sleep(_POLL)
            run = open_run(lake, run.id)
    if run.state == "interrupted":
        run.record |= {"state": "cancelled", "cancelled": {"by": me(), "at": now()}, "finished": now()}
        run.log("cancelled", by=me())
        run.save()
    if run.state not in {"running", "cancelled"}:
        raise _ended(run)
    return run


def _same_request(run: Run, analysis: "Analysis | None") -> Request:
    """Return the request that a run was begun with, of the data as they were then.

    Raises
    ------
    RunStateError
        If that cannot be asked for any more.
    """
    lake, told = run.lake, run.record
    made = told["analysis"]
    recipe = Recipe(
        run.output,
        tuple(run.outputs.values()),
        {"analysis": made["name"], "function": made["function"], "parameters": told["parameters"]}
        | {key: told[key] for key in ("asked", "inputs") if key in told},
    )
    known, selections, parameters = recipe.arguments(analysis)
    if known.version != made["version"]:
        raise RunStateError(
            f"analysis {known.name!r} is now version {known.version}, and run {run.id} began with {made['version']}",
            where=lake.url,
            hint="Run it anew with 'hven run', or bring the result up to date with 'hven update'.",
        )
    _check_not_replaced(run)
    request = make_request(lake, known, selections, parameters, run.output, None, at=told["catalog"])
    if request.key != run.key:
        raise RunStateError(
            f"the data that run {run.id} began with are not to be had any more as they were",
            where=lake.url,
            hint="Run it anew with 'hven run', or bring the result up to date with 'hven update'.",
        )
    newest = next(runs_of(lake, run.key))
    if newest.id != run.id:
        raise RunStateError(
            f"run {newest.id} of the same was begun since", where=lake.url, hint="See it with 'hven runs show'."
        )
    return request


def _check_not_replaced(run: Run) -> None:
    """Refuse to go on when the result was made by another run meanwhile: an older one would take its place."""
    ours = {run.id, run.record.get("before")}
    for name in run.outputs.values():
        entry = run.lake.catalog.entries.get(name)
        maker = entry.provenance.get("run") if entry is not None else None
        if entry is not None and maker not in ours and entry.changed > run.record["catalog"]:
            raise RunStateError(
                f"{name!r} was made by run {maker} since run {run.id} began",
                where=run.lake.url,
                hint="Bring it up to date with 'hven update', or run it anew with 'hven run'.",
            )


def _ended(run: Run) -> RunStateError:
    return RunStateError(
        f"run {run.id} has ended: {run.state}", where=run.lake.url, hint="There is nothing to do; see 'hven runs show'."
    )


def _busy(run: Run) -> RunStateError:
    who = who_is_present(run.lake.store, run.folder)
    return RunStateError(
        f"run {run.id} is under way{f' ({who})' if who else ''}",
        where=run.lake.url,
        hint=f"Wait for it, or stop it with 'hven runs cancel {run.id}'.",
    )
