"""Parts and blocks: the files a table is made of, and the pieces of work they are cut into."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hven.sky.cover import meets

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW_GROUP = 16_384
"""Rows in a row group of a table: small enough that a region of the sky is a few contiguous ranges."""

CHUNK = 1_024
"""Objects in a chunk of arrays: small random reads."""

SHARD = 4_096
"""Objects in a shard of arrays, the unit of writing."""

BLOCK_ROWS = 65_536
"""Objects in a block of a run, when nobody says otherwise."""

INPUT = "_input"
"""In files of results: a hash of what each object's result was made of. No schema names it, and no reader sees it."""

FILE = "_file"
"""In files of ingested tables: the number of the survey file that each row is from. No schema names it either."""

HIDDEN = {INPUT: "Int64", FILE: "Int32"}
"""Columns of files that no schema names, and their types."""

_RUNS = 8


@dataclass(frozen=True)
class Part:
    """One immutable piece of a dataset: a Parquet file of a table, or a segment's group of arrays.

    Attributes
    ----------
    path
        Relative to the table (or the group's name).
    segment
        The segment it belongs to.
    rows, bytes
        How much it holds; bytes are 0 where the engine does not tell.
    grain
        Blocks begin and end at multiples of this many rows: row groups, shards.
    healpix
        First and last ``_healpix_29`` in it, or None.
    """

    path: str
    segment: str
    rows: int
    bytes: int = 0
    grain: int = ROW_GROUP
    healpix: tuple[int, int] | None = None


@dataclass(frozen=True)
class Run:
    """Consecutive rows of one part, from `start` to `stop`, half open."""

    part: Part
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.stop - self.start

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its part."""
        return self.rows == self.part.rows


@dataclass(frozen=True, eq=False)
class Stretches:
    """What values of one column the n stretches hold that a part is cut into (row groups, chunks).

    Attributes
    ----------
    starts
        First row of each, and one past the last row of all, int64, shape (n + 1,).
    low, high
        Smallest and largest value of each, int64, shape (n,).
    is_open
        Which may hold anything (nulls, or nobody knows), bool, shape (n,).
    """

    starts: "NDArray[np.int64]"
    low: "NDArray[np.int64]"
    high: "NDArray[np.int64]"
    is_open: "NDArray[np.bool_]"

    def runs(self, part: Part, ranges: "NDArray[np.int64]") -> tuple[Run, ...]:
        """Return the rows of the stretches that meet any of the sorted half-open ranges (m, 2): at most a few runs.

        Examples
        --------
        >>> known = Stretches(np.array([0, 10, 20]), np.array([1, 7]), np.array([5, 9]), np.zeros(2, bool))
        >>> [(r.start, r.stop) for r in known.runs(Part("a", "s", 20), np.array([[6, 8], [30, 40]]))]
        [(10, 20)]
        """
        met = self.is_open | meets(self.low, self.high, ranges)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], met, [False]]).astype(np.int8)))
        first, last = self.starts[edges[::2]], self.starts[edges[1::2]]
        # Each run is opened by itself: the narrowest gaps are read along rather than opened around.
        gaps = first[1:] - last[:-1]
        kept = np.sort(np.argsort(-gaps, kind="stable")[: _RUNS - 1])
        starts, stops = np.concatenate([first[:1], first[kept + 1]]), np.concatenate([last[kept], last[-1:]])
        return tuple(Run(part, int(start), int(stop)) for start, stop in zip(starts, stops, strict=True))


@dataclass(frozen=True)
class Block:
    """The unit of work: whole row groups or shards of one part of one segment.

    Attributes
    ----------
    index
        Its place among the blocks of the dataset.
    part
        What it is cut from.
    start, stop
        Rows of the part, half open.
    """

    index: int
    part: Part
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.stop - self.start

    @property
    def key(self) -> str:
        """Its name, the same as long as its part and cut are the same."""
        return f"{self.part.path}[{self.start}:{self.stop}]"


def cut_blocks(parts: Sequence[Part], rows: int | None = None) -> tuple[Block, ...]:
    """Return the blocks of parts, in order, of about `rows` rows each and never across parts.

    Examples
    --------
    >>> [b.rows for b in cut_blocks([Part("a", "s", 40_000)], rows=16_384)]
    [16384, 16384, 7232]
    """
    cuts = [(part, start, stop) for part in parts for start, stop in _cuts(part, rows or BLOCK_ROWS)]
    return tuple(Block(index, part, start, stop) for index, (part, start, stop) in enumerate(cuts))


def _cuts(part: Part, rows: int) -> Iterator[tuple[int, int]]:
    # Whole grains, unless the caller wants blocks smaller than one: then any cut of a grain is as good as another.
    step = max(rows // part.grain * part.grain, min(rows, part.grain), 1)
    for start in range(0, part.rows, step):
        yield start, min(start + step, part.rows)
