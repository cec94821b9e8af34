"""A plan: what a run would do, told without doing it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hven.compute.clusters import cluster_for, default_workers
from hven.compute.forecast import Forecast, forecast, measured_forecast
from hven.compute.request import bytes_of_object, make_request
from hven.compute.selection import Selection
from hven.compute.staleness import source_warnings
from hven.compute.standing import standing_of
from hven.compute.work import Action, Work, lay_out
from hven.lake import Lake
from hven.plugins import Analysis


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes
    ----------
    analysis, output
        What is computed, and the dataset that it makes.
    action
        ``new``, ``update`` (a result of the same recipe is brought up to date), ``resume`` (an unfinished run goes on),
        ``retry`` (failed blocks only) or ``nothing`` (up to date).
    run
        The run that would go on, that made the result, or whose result is brought up to date; empty for a new one.
    blocks, done
        How many blocks there are, and how many need no more work.
    new
        How many blocks are of objects of which there is no result yet.
    stale
        How many blocks have a result that may be out of date, by the cause. When they are read, those that turn out
        to be as they were are not computed.
    tasks
        How many tasks will be computed.
    rows, block_rows
        Objects in the first input before any condition, and in a block at most.
    bytes_in
        Bytes of the bound columns in memory, of the blocks that are to be computed, before any condition.
    block_bytes
        Bytes of them in the largest block: what one worker holds, and at least once more for the result.
    workers
        How many work at once.
    peak_bytes
        Memory that a worker will have in use at most.
    bytes_out
        Bytes that will be written, before compression when measured; None when nobody knows.
    seconds
        How long the tasks will take, all computed; None when nobody knows.
    known_from
        Whence memory, bytes and time are known: a run, a measured block, or the size of the inputs.
    warnings
        What should be known: the source of the analysis has changed under its version.
    """

    analysis: str
    output: str
    action: Action
    run: str
    blocks: int
    done: int
    new: int
    stale: Mapping[str, int]
    tasks: int
    rows: int
    block_rows: int
    bytes_in: int
    block_bytes: int
    workers: int
    peak_bytes: int
    bytes_out: int | None
    seconds: float | None
    known_from: str
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain values, for ``--json``."""
        return asdict(self)


def plan(
    lake: Lake,
    analysis: str | Analysis,
    inputs: Mapping[str, str | Selection],
    parameters: Mapping[str, Any] | None = None,
    *,
    output: str | None = None,
    workers: int | None = None,
    block_rows: int | None = None,
    resume: bool = True,
    force: bool = False,
    measure: bool = False,
) -> Plan:
    """Return what `run` would do with the same arguments. Nothing is written, started or computed.

    With `measure`, one block is read and computed on a worker that is started for that, to know the memory and the
    time; nothing of it is kept.

    Raises
    ------
    HvenError
        Whatever `run` would refuse before it begins.

    Examples
    --------
    >>> hven.plan(lake, "red_clump_distances", {"stars": "apogee"}).blocks  # doctest: +SKIP
    3
    """
    request = make_request(lake, analysis, inputs, parameters, output, block_rows)
    work = lay_out(request, resume=resume, force=force)
    todo = work.todo
    one = bytes_of_object(request.inputs, request.templates)
    computed = sum(block.rows for block in todo)
    known = work.run or (work.previous.run if work.previous is not None else None)
    largest = max((block.rows for block in todo), default=0)
    told = _forecast(work, one, measure=measure)
    new, stale = standing_of(work)
    hands = workers or default_workers(len(todo))
    return Plan(
        request.analysis.name,
        request.output,
        work.action,
        known.id if known is not None else "",
        len(work.blocks),
        len(work.blocks) - len(todo),
        new,
        stale,
        len(todo),
        sum(block.rows for block in work.blocks),
        work.rows,
        computed * one,
        largest * one,
        hands,
        told.peak(largest) if todo else 0,
        None if told.bytes_out_per_row is None else int(told.bytes_out_per_row * computed),
        None if told.seconds_per_row is None else told.seconds_per_row * computed / hands,
        told.known_from,
        tuple(source_warnings(request.analysis, known.record["analysis"]) if known is not None else ()),
    )


def _forecast(work: Work, bytes_of_one: int, *, measure: bool) -> Forecast:
    if not (measure and work.todo and work.request.analysis.per_object):
        return forecast(work, bytes_of_one)
    with cluster_for("local", 1) as cluster:
        return measured_forecast(work, cluster)
