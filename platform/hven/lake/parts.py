"""Parts and blocks: the files a table is made of, and the pieces of work they are cut into."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ROW_GROUP = 16_384
"""Rows in a row group of a table: small enough that a region of the sky is a few contiguous ranges."""

CHUNK = 1_024
"""Objects in a chunk of arrays: small random reads."""

SHARD = 4_096
"""Objects in a shard of arrays, the unit of writing."""

BLOCK_ROWS = 65_536
"""Objects in a block of a run, when nobody says otherwise."""


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
