"""Pieces: objects of one dataset, their 1-D columns at once and wide ones when they are asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.lake import Block, Part, Source
from hven.schema import dataset_to_frame
from hven.sky import in_ranges

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

    from hven.compute.bound import Leg

ID = "object_id"
PLACE = "_healpix_29"
Rows = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Piece:
    """Objects of one input: their 1-D columns at once, other columns when they are asked for.

    Attributes
    ----------
    frame
        1-D columns, a row an object.
    deep
        For each dataset that has others: which rows of it, and how they are read.
    """

    frame: "pl.DataFrame"
    deep: "tuple[tuple[Rows, Callable[[Rows], xr.Dataset]], ...]" = ()

    def take(self, rows: Rows) -> "Piece":
        """Return some of the objects."""
        return Piece(self.frame[rows], tuple((index[rows], read) for index, read in self.deep))

    def followed_by(self, other: "Piece") -> "Piece":
        """Return these objects and then those of another piece of the same datasets."""
        deep = tuple(_one_after_the_other(*pair) for pair in zip(self.deep, other.deep, strict=True))
        return Piece(self.frame.vstack(other.frame.select(self.frame.columns)), deep)


def block_piece(leg: "Leg", block: Block) -> Piece:
    """Return the objects of one block of a dataset."""
    import polars as pl

    source, part = leg.source, block.part
    if not source.is_table:
        flat = _arrays(source, part, leg.flat, slice(block.start, block.stop))
        frame = dataset_to_frame(flat) if leg.flat else pl.DataFrame({"": np.zeros(block.rows, "i1")})

        def read(rows: Rows) -> "xr.Dataset":
            # What lies between the first and the last object is read in one go: shards are.
            low, high = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
            data = _arrays(source, part, leg.deep, slice(block.start + low, block.start + high))
            return data if len(rows) == high - low else _pick(data, rows - low)

        return Piece(frame, ((np.arange(block.rows), read),) if leg.deep else ())
    return Piece(source.read_frame(block, leg.flat) if leg.flat else pl.DataFrame({"": np.zeros(block.rows, "i1")}))


def ids_piece(leg: "Leg", ids: "pl.Series", near: "pl.Series | None") -> Piece:
    """Return the objects of a dataset that are among `ids`, in its order; `near` are their places when those decide."""
    import polars as pl

    parts = leg.source.parts
    reach: tuple[Any, Any] | None = None
    if near is not None and len(near) and not near.null_count():
        reach = (near.min(), near.max())
        parts = tuple(p for p in parts if p.healpix is None or _meets(p.healpix, reach))
    if leg.source.is_table:
        lazy = leg.source.scan(parts)
        if reach is not None:
            lazy = lazy.filter(pl.col(PLACE).is_between(*reach))
        return Piece(lazy.filter(pl.col(ID).is_in(ids.implode())).select(leg.flat).collect())
    wanted = ids.to_numpy()
    return _spots_piece(leg, [(p, np.flatnonzero(np.isin(_part_column(leg.source, p, ID), wanted))) for p in parts])


def ranges_piece(leg: "Leg", ranges: Rows) -> Piece:
    """Return the objects of a dataset whose place lies in half-open `ranges` (n, 2), in its order."""
    import polars as pl

    parts = [p for p in leg.source.parts if p.healpix is None or _meets_any(p.healpix, ranges)] or leg.source.parts[:1]
    if leg.source.is_table:
        place = pl.col(PLACE)
        near = place.is_between(int(ranges[0, 0]), int(ranges[-1, 1])) if len(ranges) else pl.lit(value=False)
        inside = place.map_batches(lambda s: pl.Series(in_ranges(s.to_numpy(), ranges)), pl.Boolean)
        return Piece(leg.source.scan(parts).filter(near).filter(inside).select(leg.flat).collect())
    return _spots_piece(
        leg, [(p, np.flatnonzero(in_ranges(_part_column(leg.source, p, PLACE), ranges))) for p in parts]
    )


def _spots_piece(leg: "Leg", spots: "Sequence[tuple[Part, Rows]]") -> Piece:
    """Return the objects at some rows of some segments of arrays."""
    held = [(part, rows) for part, rows in spots if len(rows)] or list(spots[:1])
    flat = _gather(leg.source, held, leg.flat, None)
    deep = ((np.arange(flat.sizes["object"]), lambda rows: _gather(leg.source, held, leg.deep, rows)),)
    return Piece(dataset_to_frame(flat), deep if leg.deep else ())


def _one_after_the_other(
    first: "tuple[Rows, Callable[[Rows], xr.Dataset]]", second: "tuple[Rows, Callable[[Rows], xr.Dataset]]"
) -> "tuple[Rows, Callable[[Rows], xr.Dataset]]":
    """Return the index and the reading of wide columns of two pieces as one; those of the first always come first."""
    import xarray as xr

    border = int(first[0].max(initial=-1)) + 1

    def read(rows: Rows) -> "xr.Dataset":
        halves = [first[1](rows[rows < border]), second[1](rows[rows >= border] - border)]
        held = [half for half in halves if half.sizes.get("object")] or halves[:1]
        return xr.concat(held, "object", data_vars="minimal", coords="minimal", compat="override", join="exact")

    return np.concatenate([first[0], second[0] + border]), read


def _gather(
    source: Source, spots: "Sequence[tuple[Part, Rows]]", columns: Sequence[str], rows: Rows | None
) -> "xr.Dataset":
    """Return columns of objects at some rows of some parts (or at `rows` among all these), in memory."""
    import xarray as xr

    pieces: list[xr.Dataset] = []
    first = 0
    order = None if rows is None else np.argsort(rows, kind="stable")
    for part, at in spots:
        if rows is not None and order is not None:
            mine = rows[order]
            chosen = at[mine[(mine >= first) & (mine < first + len(at))] - first]
        else:
            chosen = at
        first += len(at)
        if len(chosen) or not pieces:
            pieces.append(_arrays(source, part, columns, chosen))
    pieces = [p for p in pieces if p.sizes["object"]] or pieces[:1]
    data = pieces[0]
    if len(pieces) > 1:
        data = xr.concat(pieces, "object", data_vars="minimal", coords="minimal", compat="override", join="exact")
    return data if order is None else _pick(data, np.argsort(order, kind="stable"))


def _pick(data: "xr.Dataset", rows: Rows) -> "xr.Dataset":
    return data.isel(object=rows) if "object" in data.dims else data


def _meets_any(reach: tuple[int, int], ranges: Rows) -> bool:
    return bool(((ranges[:, 0] <= reach[1]) & (ranges[:, 1] > reach[0])).any())


def _meets(reach: tuple[int, int], other: tuple[Any, Any]) -> bool:
    return bool(reach[0] <= other[1] and reach[1] >= other[0])


def _arrays(source: Source, part: Part, columns: Sequence[str], rows: "slice | Rows") -> "xr.Dataset":
    """Return columns of some objects of a segment of arrays, in memory."""
    data = _opened(source, part, tuple(columns))
    return (data.isel(object=rows) if "object" in data.dims else data.copy()).load()


@lru_cache(maxsize=32)
def _opened(source: Source, part: Part, columns: tuple[str, ...]) -> "xr.Dataset":
    """Return a segment of arrays, opened and not read; block after block is cut from it."""
    return source.open_segment(part, None, columns)


@lru_cache(maxsize=128)
def _part_column(source: Source, part: Part, name: str) -> Rows:
    """Return the ids or places of one segment of arrays; they are asked for at every block."""
    return np.asarray(source.open_segment(part, None, [name])[name].values)
