"""The runner: one run from its request to its commit, with its record and whoever listens."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hven.compute.clusters import Cluster, check_cluster, cluster_for, default_workers
from hven.compute.execution import Execution
from hven.compute.forecast import check_fits, forecast
from hven.compute.presence import presence_key, present, who_is_present
from hven.compute.publish import software
from hven.compute.records import Run, new_run
from hven.compute.request import Request, bytes_of_object, make_request
from hven.compute.selection import Selection
from hven.compute.staleness import declared, source_warnings
from hven.compute.stopping import stoppable_by_default
from hven.compute.whole import lazy_inputs
from hven.compute.work import Work, lay_out
from hven.errors import (
    ConflictError,
    RunBusyError,
    RunStateError,
)
from hven.lake import Block, Hold, Lake, hold
from hven.plugins import Analysis, source_fingerprint

if TYPE_CHECKING:
    from distributed import Client

CHECKPOINT = (5.0, 64)
"""Seconds, and blocks, that a killed run loses at most."""

_SMALL = 64 * 2**20
"""Bytes of a single block that no worker is started for: the start takes some seconds of processor time."""


def run(
    lake: Lake,
    analysis: str | Analysis,
    inputs: Mapping[str, str | Selection],
    parameters: Mapping[str, Any] | None = None,
    *,
    output: str | None = None,
    cluster: "str | Client" = "local",
    workers: int | None = None,
    block_rows: int | None = None,
    progress: bool | None = None,
    resume: bool = True,
    force: bool = False,
    checkpoint_seconds: float = CHECKPOINT[0],
    checkpoint_blocks: int = CHECKPOINT[1],
) -> Run:
    """Run an analysis on data of a lake, publish its result as one commit, and return the run.

    A run that was killed goes on where it was when it is asked for again: finished blocks are not computed twice, and
    no reader ever sees a part. What is up to date is returned as it is. When the same was asked for before the data
    changed, only the blocks that changed are computed, and the result is brought up to date in its place.

    Parameters
    ----------
    lake
        Where the data are, and where the result goes.
    analysis
        A name that a plugin brings, or the analysis itself.
    inputs
        For each input a selection, or its text (``"apogee"``, ``"apogee@dr1+distances"``; see `select`).
    parameters
        Of the analysis; defaults where not given.
    output
        Name of the dataset to make; the analysis's name by default.
    cluster
        ``"local"`` (processes on this machine; a single small block is computed in this process), ``"cuda"``,
        ``"synchronous"`` (this process), the address of a Dask scheduler, or a Dask client.
    workers
        How many to start, where workers are started; by default one a core, none in vain.
    block_rows
        Objects in a block, when the usual number does not suit.
    progress
        Show progress on the terminal; by default when there is one.
    resume
        Go on with an unfinished run of the same, rather than begin anew.
    force
        Compute even what is up to date.
    checkpoint_seconds, checkpoint_blocks
        How much time and how many blocks a killed run loses at most.

    Returns
    -------
    Run
        ``succeeded`` (``succeeded with caveats`` when the analysis has something to say of its result), or ``partial``
        when some blocks failed: their objects are missing from the result, `Run.failures` says which and why, and
        `hven.retry` tries just these.

    Raises
    ------
    HvenError
        For whatever does not fit, before anything is written; nothing in the lake changes.
    RunFailedError
        If there is no result at all.
    RunBusyError
        If another process is at the same run.
    RunCancelledError
        If another process cancelled it; `hven.resume` goes on.
    KeyboardInterrupt
        On Ctrl-C and SIGTERM; the run is ``cancelled``, and a note of the interrupt tells how to go on.
    TooLittleMemoryError
        If not even one object would fit into the memory of a worker; blocks that do not fit are cut smaller.

    Examples
    --------
    >>> run = hven.run(lake, "red_clump_distances", {"stars": "apogee"})  # doctest: +SKIP
    >>> run.result.table(where="r_gal < 6").collect()  # doctest: +SKIP
    """
    check_cluster(cluster)
    request = make_request(lake, analysis, inputs, parameters, output, block_rows)
    checkpoint = (checkpoint_seconds, checkpoint_blocks)
    return carry_out(request, cluster, workers, progress=progress, resume=resume, force=force, checkpoint=checkpoint)


def carry_out(
    request: Request,
    cluster: "str | Client",
    workers: int | None,
    *,
    only: Run | None = None,
    progress: bool | None = None,
    resume: bool = True,
    force: bool = False,
    checkpoint: tuple[float, int] = CHECKPOINT,
) -> Run:
    """Do what a request asks for, and return the run, as `run` does.

    Parameters
    ----------
    request
        What is asked for.
    cluster, workers, progress, resume, force, checkpoint
        As `run` takes them; `checkpoint` is seconds and blocks.
    only
        A run that is to go on: whatever else would be done instead is refused.
    """
    lake = request.lake
    checkpoint_seconds, checkpoint_blocks = checkpoint
    with _alone(request), stoppable_by_default():
        work = lay_out(request, resume=resume, force=force)
        _check_goes_on(work, only)
        if work.run is not None and work.action == "nothing":
            _equip(work.run, request, progress)
            work.run.was_up_to_date = True
            work.run.warnings += source_warnings(request.analysis, work.run.record["analysis"])
            return work.run
        work.journal.seconds, work.journal.blocks = checkpoint_seconds, checkpoint_blocks
        todo = work.todo
        used = _worth_starting(cluster, workers, work, todo)
        with cluster_for(used, workers or default_workers(len(todo))) as at_hand:
            if work.run is None and todo and request.analysis.per_object and request.chosen_rows is None:
                rows = check_fits(work, forecast(work, bytes_of_object(request.inputs, request.templates)), at_hand)
                if rows != work.rows:
                    work = lay_out(replace(request, chosen_rows=rows, block_rows=rows), resume=resume, force=force)
                    work.journal.seconds, work.journal.blocks = checkpoint_seconds, checkpoint_blocks
                    todo = work.todo
            this = work.run or new_run(lake, request.key, request.output, _told(work))
            _equip(this, request, progress)
            work.journal.folder = f"{this.folder}/journal"
            with hold(lake.store, _hold(this, request)), present(lake.store, this.folder) as presence:
                return Execution(this, work, at_hand, todo, presence).go()


def _worth_starting(asked: "str | Client", workers: int | None, work: Work, todo: Sequence[Block]) -> "str | Client":
    """Return the cluster that is worth its start: this process where nothing, or one small block, is to be computed.

    Workers that are asked for by their number are started in any case.
    """
    if not todo and work.blocks:
        return "synchronous"
    if asked != "local" or workers is not None or len(todo) > 1:
        return asked
    size = sum(block.rows for block in todo) * bytes_of_object(work.request.inputs, work.request.templates)
    return "synchronous" if size <= _SMALL else asked


def _check_goes_on(work: Work, only: Run | None) -> None:
    """Refuse to do anything but go on with this very run, and to be two at a run."""
    run, store = work.run, work.request.lake.store
    if only is not None and (run is None or run.id != only.id):
        instead = f"run {run.id}" if run is not None else "another run"
        raise RunStateError(
            f"run {only.id} cannot go on: {instead} of the same is newer, or what it was to bring up to date is gone",
            where=store.url,
            hint="Ask for it again with 'hven run', or bring the result up to date with 'hven update'.",
        )
    # On a local lake the lock has told already.
    who = who_is_present(store, run.folder) if run is not None and not store.is_local else ""
    if who:
        raise RunBusyError(
            f"{who} is computing {work.request.output!r} just so",
            where=store.url,
            hint="Wait for it. If it has died, this is known a minute later.",
        )


@contextmanager
def _alone(request: Request) -> Iterator[None]:
    """Hold the lock of this very run, or refuse at once."""
    held = request.lake.lock(_lock_name(request), patience=0.0)
    try:
        held.__enter__()
    except ConflictError as error:
        raise RunBusyError(
            f"another process is computing {request.output!r} just so",
            where=request.lake.url,
            hint="Wait for it. What it has finished will not be computed again.",
        ) from error
    try:
        yield
    finally:
        held.__exit__(None, None, None)


def _lock_name(request: Request) -> str:
    return f"run-{request.key[:16]}"


def _hold(run: Run, request: Request) -> Hold:
    """Return what no vacuum may touch while this run is at work: its outputs, and the catalog that it reads."""
    beat = presence_key(run.folder)
    return Hold(run.id, tuple(request.outputs.values()), request.number, _lock_name(request), beat)


def _equip(run: Run, request: Request, progress: bool | None) -> None:
    """Give a run what its record cannot keep."""
    run.definition, run.progress = request.analysis, progress
    run.open_inputs = lambda: lazy_inputs(request, Cluster("synchronous"))[0]


def _told(work: Work) -> dict[str, Any]:
    """Return what a record says of the request."""
    import uuid

    request = work.request
    analysis = request.analysis
    entries = work.previous.entries if work.previous is not None else {}
    places = {part: f"data/{name}/{uuid.uuid4().hex[:12]}" for part, name in request.outputs.items()}
    places |= {part: entry.pin.path.rsplit("/", 1)[0] for part, entry in entries.items()}
    pins = {part: entry.pin.version for part, entry in entries.items()}
    before = {"before": work.previous.run.id, "pins": pins} if work.previous is not None else {}
    return {
        "analysis": {
            "name": analysis.name,
            "version": analysis.version,
            "summary": analysis.summary,
            "per_object": analysis.per_object,
            "references": list(analysis.references),
            "function": f"{analysis.function.__module__}.{analysis.function.__qualname__}",
            "fingerprint": source_fingerprint(analysis.function, declared(analysis)),
        },
        "parameters": analysis.parameters_json(request.parameters),
        "asked": dict(request.asked),
        "inputs": request.inputs_json(),
        "catalog": request.number,
        "output": request.output,
        "outputs": dict(request.outputs),
        "places": places,
        "block_rows": work.rows,
        "software": software(request),
        **before,
    }
