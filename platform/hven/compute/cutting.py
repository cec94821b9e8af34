"""Blocks that did not fit into memory, cut smaller while a run goes on.

A block that runs out of memory is cut into halves, and these again, down to a small part of a usual block. Once
smaller ones have been seen to fit, blocks as large as what did not are cut before they are tried. What still does not
fit is set aside; when not even the smallest part of any block fits, the analysis needs what no cut can give, and none
is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hven.compute.journal import Journal
from hven.compute.task import Outcome
from hven.lake import Block

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

_SMALLEST = 64
"""Blocks are cut down to this part of a usual one."""


def cut_up(blocks: Sequence[Block], cuts: Sequence[tuple[int, int]]) -> Sequence[Block]:
    """Return blocks after some were cut, in order, each at a row: the first half has its index, the second a new one.

    Examples
    --------
    >>> from hven.lake import Part
    >>> part = Part("a", "s", 40)
    >>> [(b.index, b.start, b.stop) for b in cut_up([Block(0, part, 0, 20), Block(1, part, 20, 40)], [(0, 10), (0, 5)])]
    [(0, 0, 5), (1, 20, 40), (2, 10, 20), (3, 5, 10)]
    """
    if not cuts:
        return blocks
    made = list(blocks)
    for index, row in cuts:
        whole = made[index]
        made[index] = replace(whole, stop=row)
        made.append(replace(whole, index=len(made), start=row))
    return made


def cut_alike(blocks: Sequence[Block], ledger: "pl.DataFrame") -> Sequence[Block]:
    """Return blocks cut where those of a ledger begin: what an earlier run had to cut is known again by its pieces."""
    import polars as pl

    begin = pl.DataFrame(
        {"part": [block.part.path for block in blocks], "start": [block.start for block in blocks]},
        schema={"part": pl.String, "start": pl.Int64},
    )
    inside = ledger.select("part", "start").join(begin, on=["part", "start"], how="anti")
    if not inside.height:
        return blocks
    rows = {part: np.sort(some["start"].to_numpy()) for (part,), some in inside.group_by("part")}
    nowhere = np.empty(0, np.int64)
    pieces = [piece for block in blocks for piece in _pieces(block, rows.get(block.part.path, nowhere))]
    return tuple(replace(piece, index=index) for index, piece in enumerate(pieces))


def _pieces(block: Block, rows: "NDArray[np.int64]") -> list[Block]:
    edges = [block.start, *rows[(rows > block.start) & (rows < block.stop)].tolist(), block.stop]
    return [replace(block, start=start, stop=stop) for start, stop in pairwise(edges)]


@dataclass
class Cutting:
    """What a run has learned of how large its blocks may be.

    Attributes
    ----------
    journal
        Keeps the cuts, so that a resumed run has the same blocks.
    rows
        Objects in a usual block.
    laid
        How many blocks there were before any was cut.
    refused
        Objects of the smallest block that did not fit; 0 when all did.
    fitted
        Objects of the largest block that did.
    """

    journal: Journal
    rows: int
    laid: int
    refused: int = 0
    fitted: int = 0

    def note(self, block: Block, outcome: Outcome) -> None:
        """Take in whether a block fitted into memory."""
        if outcome.failure is not None and outcome.failure.cause == "memory":
            self.refused = min(self.refused or block.rows, block.rows)
        elif outcome.rows_in:
            self.fitted = max(self.fitted, block.rows)

    def is_too_large(self, block: Block) -> bool:
        """Return whether blocks of that size did not fit, and none did, though smaller ones do."""
        return 0 < self.fitted < self.refused <= block.rows

    def halves(self, block: Block) -> list[Block]:
        """Return the two blocks that take the place of one; none when it is too small to be cut, or that is no use."""
        is_in_vain = not self.fitted and 0 < self.refused * _SMALLEST <= self.rows
        if is_in_vain or block.rows < 2 or block.rows * _SMALLEST <= self.rows:
            return []
        grain = block.part.grain if block.rows >= 2 * block.part.grain else 1
        middle = block.start + block.rows // 2 // grain * grain
        second = replace(block, index=self.laid + len(self.journal.cuts), start=middle)
        self.journal.cuts.append((block.index, middle))
        return [replace(block, stop=middle), second]
