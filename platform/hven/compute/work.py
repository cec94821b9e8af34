"""What there is to do: the blocks of a request, those that stay, those that are finished, and those that are left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Literal

import numpy as np

from hven.compute.cutting import cut_alike, cut_up
from hven.compute.journal import Journal
from hven.compute.previous import Previous, is_current, previous_of, previous_result
from hven.compute.records import Run, runs_of
from hven.compute.request import Request
from hven.lake import Block

if TYPE_CHECKING:
    from numpy.typing import NDArray

Action = Literal["new", "update", "resume", "retry", "nothing"]


@dataclass(frozen=True)
class Work:
    """What there is to do for a request.

    Attributes
    ----------
    request
        What is asked for.
    action
        ``new``, ``update`` (a result of the same recipe is brought up to date), ``resume`` (an unfinished run goes on),
        ``retry`` (failed blocks only) or ``nothing``.
    run
        The run that goes on, or that has done it all.
    previous
        The result that is brought up to date.
    rows
        Objects in a block.
    laid
        All blocks, as they were laid out; `blocks` as they are after some were cut.
    kept
        For each of those laid out the line of the ledger before that stands for it, int64; -1 for none.
    journal
        What earlier attempts of the run have finished.
    standing
        Of an analysis of everything at once: the result of the same recipe, which stays when what is received turns
        out to be the same.
    """

    request: Request
    action: Action
    run: Run | None
    previous: Previous | None
    rows: int
    laid: Sequence[Block]
    kept: "NDArray[np.int64]"
    journal: Journal
    standing: Previous | None = None

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return len(self.laid) + len(self.journal.cuts)

    @property
    def blocks(self) -> Sequence[Block]:
        """All blocks, those that were cut for want of memory in their pieces."""
        return cut_up(self.laid, self.journal.cuts)

    @property
    def lines(self) -> Iterable[tuple[Block, int]]:
        """Each block with the line that stands for it; what had to be cut has none."""
        return zip(self.blocks, chain(self.kept.tolist(), repeat(-1)), strict=False)

    @property
    def todo(self) -> list[Block]:
        """The blocks that are neither kept nor finished."""
        if self.action == "nothing":
            return []
        return [block for block, line in self.lines if line < 0 and not self.journal.is_finished(block)]


def lay_out(request: Request, *, resume: bool = True, force: bool = False) -> Work:
    """Return what there is to do for a request; nothing is written, and of the data nothing is read."""
    run, previous, action = _standing(request, resume=resume, force=force)
    journal = open_journal(run) if run is not None and action != "nothing" else Journal(request.lake.store, "")
    known = run or (previous.run if previous is not None and request.chosen_rows is None else None)
    rows = int(known.record["block_rows"]) if known is not None else request.block_rows
    blocks: Sequence[Block] = request.blocks(rows)
    if previous is not None and previous.ledger is not None and rows == previous.run.record["block_rows"]:
        blocks = cut_alike(blocks, previous.ledger)
    kept = np.full(len(blocks), -1, np.int64)
    if previous is not None and action != "nothing" and request.analysis.per_object:
        kept = previous.kept(request, blocks)
        is_there = previous.lines_there
        for index, line in journal.lines.items():
            if not is_there[line]:
                journal.forget(index)
    stands = previous_result(request) if action in ("update", "resume") and not request.analysis.per_object else None
    if stands is not None and not (stands.is_whole and stands.run.is_complete and stands.has_same_shapes(request)):
        stands = None
    return Work(request, action, run, previous, rows, blocks, kept, journal, stands)


def open_journal(run: Run) -> Journal:
    """Return the journal of a run with all that earlier attempts wrote."""
    journal = Journal(run.lake.store, f"{run.folder}/journal")
    journal.load(run.record["places"])
    return journal


def _standing(request: Request, *, resume: bool, force: bool) -> tuple[Run | None, Previous | None, Action]:
    """Return the run that goes on or has done it all, the result that is brought up to date, and what is to be done."""
    if force:
        return None, None, "new"
    newest = next(runs_of(request.lake, request.key), None)
    if newest is not None and newest.is_complete:
        if is_current(newest, request.outputs):
            return newest, None, "nothing"
        newest = None
    if newest is not None and resume:
        before = previous_of(request, newest)
        if before is not None or not newest.record.get("before"):
            return newest, before, "retry" if newest.state == "partial" else "resume"
    previous = previous_result(request)
    if previous is None:
        return None, None, "new"
    if previous.is_whole and previous.run.is_complete and previous.is_of(request):
        return previous.run, None, "nothing"
    return None, previous if request.analysis.per_object else None, "update"
