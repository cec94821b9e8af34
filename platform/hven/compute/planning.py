"""A plan: what a run would do, told without doing it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hven.compute.clusters import default_workers
from hven.compute.journal import Journal
from hven.compute.publish import is_current
from hven.compute.records import Run, runs_of
from hven.compute.request import Request, bytes_of_object, make_request
from hven.compute.selection import Selection
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
        ``new``, ``resume`` (an unfinished run goes on), ``retry`` (failed blocks only) or ``nothing`` (up to date).
    run
        The run that would go on, or that made the result; empty for a new one.
    blocks, done
        How many blocks there are, and how many need no more work.
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
    """

    analysis: str
    output: str
    action: Literal["new", "resume", "retry", "nothing"]
    run: str
    blocks: int
    done: int
    tasks: int
    rows: int
    block_rows: int
    bytes_in: int
    block_bytes: int
    workers: int

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
) -> Plan:
    """Return what `run` would do with the same arguments. Nothing is written, started or computed.

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
    known, action = previous_run(request, resume=resume, force=force)
    rows = int(known.record["block_rows"]) if known is not None else request.block_rows
    blocks = request.blocks(rows)
    todo = list(blocks) if action != "nothing" else []
    if known is not None and todo and request.analysis.per_object:
        journal = open_journal(known)
        todo = [block for block in blocks if not journal.is_finished(block)]
    one = bytes_of_object(request.inputs, request.templates)
    computed = sum(block.rows for block in todo)
    return Plan(
        request.analysis.name,
        request.output,
        action,
        known.id if known is not None else "",
        len(blocks),
        len(blocks) - len(todo),
        len(todo),
        sum(block.rows for block in blocks),
        rows,
        computed * one,
        max((block.rows for block in todo), default=0) * one,
        workers or default_workers(len(todo)),
    )


def previous_run(
    request: Request, *, resume: bool, force: bool
) -> tuple[Run | None, Literal["new", "resume", "retry", "nothing"]]:
    """Return the run of the same key that a request goes on with, or that has done it all, and what that means."""
    newest = None if force else next(runs_of(request.lake, request.key), None)
    if newest is None:
        return None, "new"
    if newest.state == "succeeded":
        return (newest, "nothing") if is_current(newest, request.outputs) else (None, "new")
    if not resume:
        return None, "new"
    return newest, "retry" if newest.state == "partial" else "resume"


def open_journal(run: Run) -> Journal:
    """Return the journal of a run with all that earlier attempts wrote."""
    journal = Journal(run.lake.store, f"{run.folder}/journal")
    journal.load(run.record["places"])
    return journal
