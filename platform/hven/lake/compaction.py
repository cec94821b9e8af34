"""Compaction: many small files or segments become few of a good size, in the order of the sky; no object changes.

Small appends make small files. What is large enough already stays as it is. Memory stays bounded by one new file.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.catalog import Pin
from hven.lake import arrays, tables
from hven.lake.parts import FILE, HIDDEN, INPUT, ROW_GROUP, SHARD, Part
from hven.lake.picking import pick_rows
from hven.lake.source import Source

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

_HEALPIX = "_healpix_29"
_LAST = np.iinfo(np.int64).max
FILE_ROWS = 64 * ROW_GROUP
"""Rows of a file of a table at most."""
SEGMENT_OBJECTS = 64 * SHARD
"""Objects of a segment of arrays at most."""


@dataclass(frozen=True)
class Compacted:
    """What a compaction came to.

    Attributes
    ----------
    name
        The dataset.
    before, after
        How many files or segments it had, and has.
    rows
        Objects that were written anew.
    """

    name: str
    before: int
    after: int
    rows: int


def compact_source(source: Source, number: str, most: int | None = None) -> tuple[Pin, Compacted] | None:
    """Write the small files or segments of a dataset anew as few, and return the new pin; None when none is small.

    Parameters
    ----------
    source
        The dataset.
    number
        Names what is written: of the transaction.
    most
        Objects in a new file or segment at most.
    """
    limit = most or (FILE_ROWS if source.is_table else SEGMENT_OBJECTS)
    small = [part for part in source.parts if part.rows < limit // 2]
    rows = sum(part.rows for part in small)
    if len(small) < 2:
        return None
    count = -(-rows // limit)
    if count >= len(small):
        return None
    first = int(small[0].segment.split("-")[1].partition(".")[0])
    if source.is_table:
        pin = _compact_table(source, small, count, first)
    else:
        pin = _compact_arrays(source, small, count, first, number)
    return pin, Compacted(source.name, len(source.parts), len(replace(source, pin=pin).parts), rows)


def _compact_table(source: Source, small: Sequence[Part], count: int, first: int) -> Pin:
    store, path = source.store, source.pin.path
    segment = tables.new_segment(first)
    columns = list(source.frame_schema())
    held = tables.scan_whole(store, path, small, columns)
    written = []
    for index, piece in enumerate(_pieces_of_sky(source, held, small, count)):
        frame = piece.collect()
        if _HEALPIX in columns:
            keys = [_HEALPIX, *(["object_id"] if "object_id" in columns else [])]
            frame = frame.sort(keys, nulls_last=True, maintain_order=True)
        frame = frame.drop(name for name in HIDDEN if name in frame.columns and frame[name].is_null().all())
        written.append(tables.write_part(store, path, segment, f"part-{index:05d}", frame))
    version = tables.change_table(store, path, int(source.pin.version), written, small)
    return replace(source.pin, version=version)


def _pieces_of_sky(source: Source, held: "pl.LazyFrame", small: Sequence[Part], count: int) -> "Iterator[pl.LazyFrame]":
    """Give the rows of small files in pieces of about one size, each a stretch of the sky; without places, in order."""
    import polars as pl

    if _HEALPIX not in source.frame_schema():
        rows = sum(part.rows for part in small)
        step = -(-rows // max(count, 1))
        for start in range(0, max(rows, 1), max(step, 1)):
            yield held.slice(start, step)
        return
    place = pl.col(_HEALPIX).fill_null(_LAST)
    cells = held.select(place).collect()[_HEALPIX].sort().to_numpy()
    # Rows of one cell stay together: a file more or less full is of no matter.
    edges = np.unique(cells[[index * len(cells) // count for index in range(count)]])
    for low, high in zip(edges.tolist(), [*edges[1:].tolist(), None], strict=True):
        yield held.filter(place >= low if high is None else (place >= low) & (place < high))


def _compact_arrays(source: Source, small: Sequence[Part], count: int, first: int, number: str) -> Pin:
    at = arrays.ArraysAt(source.store, source.pin.path)
    branch = f"txn-{number}-{uuid.uuid4().hex[:8]}"
    arrays.begin_branch(at, branch, str(source.pin.version))
    rows, hidden = _rows_in_order(source, small)
    kept = [part.path for part in source.parts if part not in small]
    with arrays.writing(at, branch) as session:
        arrays.remove_groups(session, kept)
        for index, mine in enumerate(np.array_split(np.arange(len(rows)), count)):
            data = pick_rows(source, rows[mine])
            data = data.assign({name: ("object", values[mine]) for name, values in hidden.items()})
            arrays.add_group(session, f"segment-{first:08d}.{index:05d}-{uuid.uuid4().hex[:8]}", data)
        return replace(source.pin, version=arrays.commit(at, session, "compaction"))


def _rows_in_order(source: Source, small: Sequence[Part]) -> "tuple[NDArray[np.int64], dict[str, NDArray[Any]]]":
    """Return where in the dataset the objects of small segments stand, in the order of the sky, and what is hidden."""
    import polars as pl

    firsts = dict(zip(source.parts, np.cumsum([0, *(part.rows for part in source.parts)]).tolist(), strict=False))
    rows = np.concatenate([np.arange(firsts[part], firsts[part] + part.rows) for part in small])
    hidden = {
        INPUT: pl.concat([source.read_inputs(part) for part in small])[INPUT],
        FILE: pl.concat([source.read_files(part) for part in small])[FILE],
    }
    known = source.frame_schema()
    keys = [name for name in (_HEALPIX, "object_id") if name in known] if _HEALPIX in known else []
    order = np.arange(len(rows))
    if keys:
        order = source.scan(small).select(pl.arg_sort_by(keys)).collect().to_series().to_numpy().astype(np.int64)
    return rows[order], {name: s.to_numpy()[order] for name, s in hidden.items() if not s.null_count()}
