"""What a worker reads of bound inputs: the bound columns of the selected objects of one block, and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.lake import Block, Part, Source
from hven.schema import dataset_to_frame, frame_to_dataset

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

    from hven.compute.bound import BoundInput, Leg

_ID = "object_id"
_PLACE = "_healpix_29"
_Rows = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Aligned:
    """The objects of one block that every input has and every condition lets through, in the block's order.

    Attributes
    ----------
    inputs
        Dataset by input, bound: under the analysis's names and in its units, all with the same objects.
    ids
        What tells the objects apart (`IDENTITY`, as far as it is there), over ``object``.
    rows
        How many objects there are.
    """

    inputs: "Mapping[str, xr.Dataset]"
    ids: "xr.Dataset"
    rows: int


@dataclass(frozen=True)
class _Piece:
    """Objects of one input: their 1-D columns at once, other columns when they are asked for.

    Attributes
    ----------
    frame
        1-D columns, a row an object.
    deep
        For each dataset that has others: which rows of it, and how they are read.
    """

    frame: "pl.DataFrame"
    deep: "tuple[tuple[_Rows, Callable[[_Rows], xr.Dataset]], ...]" = ()

    def take(self, rows: _Rows) -> "_Piece":
        return _Piece(self.frame[rows], tuple((index[rows], read) for index, read in self.deep))


def read_aligned(inputs: "Sequence[BoundInput]", block: Block) -> Aligned:
    """Return one block of several inputs: the first one's block, and the same objects of the others.

    Parameters
    ----------
    inputs
        Inputs over ``object``; the block is one of the first.
    block
        Of the first input's first dataset.
    """
    first = inputs[0]
    pieces = [_selected(first, _block_piece(first.first, block))]
    for given in inputs[1:]:
        near = pieces[0].frame[_PLACE] if _PLACE in pieces[0].frame.columns and _is_near(first, given) else None
        other = _selected(given, _ids_piece(given.first, pieces[0].frame[_ID], near))
        here, there = _common(pieces[0].frame[_ID], other.frame[_ID])
        pieces = [*(piece.take(here) for piece in pieces), other.take(there)]
    ids = _with_flags(frame_to_dataset(pieces[0].frame.select(first.identity), first.schema), first)
    data = {given.name: _dataset(given, piece) for given, piece in zip(inputs, pieces, strict=True)}
    return Aligned(data, ids, pieces[0].frame.height)


def count_aligned(inputs: "Sequence[BoundInput]", block: Block) -> int:
    """Return how many objects `read_aligned` would give, reading only what decides it."""
    slim = [_slim(given, is_only=len(inputs) == 1) for given in inputs]
    return block.rows if len(slim) == 1 and slim[0].takes_all_rows else read_aligned(slim, block).rows


def read_whole(given: "BoundInput") -> "xr.Dataset":
    """Return all of an input in memory, bound: for inputs that every block sees whole."""
    import xarray as xr

    source = given.first.source
    if "object" not in {d for column in source.schema for d in column.dims}:
        pieces = [source.open_segment(part, None, given.first.deep).load() for part in source.parts]
        return given.binding.apply(pieces[-1])
    data = [read_aligned([given], block).inputs[given.name] for block in source.blocks()]
    if len(data) == 1:
        return data[0]
    return xr.concat(data, "object", data_vars="minimal", coords="minimal", compat="override", join="override")


def example_aligned(inputs: "Sequence[BoundInput]") -> Aligned:
    """Return one made-up object of every input: the variables, types and units that an analysis will be given."""
    first = inputs[0]
    frame = _example_frame(first).select(first.identity)
    ids = _with_flags(frame_to_dataset(frame, first.schema), first)
    return Aligned({given.name: template(given) for given in inputs}, ids, 1)


def template(given: "BoundInput") -> "xr.Dataset":
    """Return one made-up object of an input, bound; variables without ``object`` are as they are."""
    import xarray as xr

    deep = [
        _one_object(leg.source.open_segment(leg.source.parts[0], None, leg.deep))
        for leg in given.legs
        if leg.deep and leg.source.parts
    ]
    data = _with_flags(frame_to_dataset(_example_frame(given), given.schema), given)
    return given.binding.apply(xr.merge([data, *deep], compat="override", join="override") if deep else data)


def _example_frame(given: "BoundInput") -> "pl.DataFrame":
    import polars as pl

    columns: dict[str, pl.Series] = {}
    for leg in given.legs:
        known = leg.source.frame_schema()
        for name in leg.flat:
            value = None if name in given.flags else _example(known[name])
            columns.setdefault(name, pl.Series(name, [value], dtype=known[name]))
    return pl.DataFrame(columns)


def _selected(given: "BoundInput", piece: _Piece) -> _Piece:
    """Return the objects of the first dataset that the joined ones have too and that the condition lets through."""
    import polars as pl

    for leg in given.legs[1:]:
        near = piece.frame[_PLACE] if leg.same_places else None
        other = _ids_piece(leg, piece.frame[_ID], near)
        here, there = _common(piece.frame[_ID], other.frame[_ID])
        kept, found = piece.take(here), other.take(there)
        frame = kept.frame.hstack(found.frame.drop(_ID))
        piece = _Piece(frame, (*kept.deep, *found.deep))
    if given.where is None and given.region is None:
        return piece
    lets = pl.lit(value=True) if given.where is None else given.where.fill_null(value=False)
    mask = piece.frame.select(lets.alias("lets"))["lets"].to_numpy()
    if given.region is not None:
        mask = mask & given.region.contains(piece.frame["ra"].to_numpy(), piece.frame["dec"].to_numpy())
    return piece.take(np.flatnonzero(np.broadcast_to(mask, piece.frame.height)))


def _block_piece(leg: "Leg", block: Block) -> _Piece:
    import polars as pl

    source, part = leg.source, block.part
    if not source.is_table:
        flat = _arrays(source, part, leg.flat, slice(block.start, block.stop))
        frame = dataset_to_frame(flat) if leg.flat else pl.DataFrame({"": np.zeros(block.rows, "i1")})

        def read(rows: _Rows) -> "xr.Dataset":
            # What lies between the first and the last object is read in one go: shards are.
            low, high = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
            data = _arrays(source, part, leg.deep, slice(block.start + low, block.start + high))
            return data if len(rows) == high - low else _pick(data, rows - low)

        return _Piece(frame, ((np.arange(block.rows), read),) if leg.deep else ())
    return _Piece(source.read_frame(block, leg.flat) if leg.flat else pl.DataFrame({"": np.zeros(block.rows, "i1")}))


def _ids_piece(leg: "Leg", ids: "pl.Series", near: "pl.Series | None") -> _Piece:
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
            lazy = lazy.filter(pl.col(_PLACE).is_between(*reach))
        return _Piece(lazy.filter(pl.col(_ID).is_in(ids.implode())).select(leg.flat).collect())
    wanted = ids.to_numpy()
    spots = [(part, np.flatnonzero(np.isin(_part_ids(leg.source, part), wanted))) for part in parts]
    spots = [(part, rows) for part, rows in spots if len(rows)] or [(part, rows) for part, rows in spots[:1]]
    flat = _gather(leg.source, spots, leg.flat, None)
    deep = ((np.arange(flat.sizes["object"]), lambda rows: _gather(leg.source, spots, leg.deep, rows)),)
    return _Piece(dataset_to_frame(flat), deep if leg.deep else ())


def _gather(
    source: Source, spots: "Sequence[tuple[Part, _Rows]]", columns: Sequence[str], rows: _Rows | None
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
        data = xr.concat(pieces, "object", data_vars="minimal", coords="minimal", compat="override", join="override")
    return data if order is None else _pick(data, np.argsort(order, kind="stable"))


def _dataset(given: "BoundInput", piece: _Piece) -> "xr.Dataset":
    import xarray as xr

    wanted = set(given.binding.sources)
    names = [name for name in piece.frame.columns if name in wanted]
    data = _with_flags(frame_to_dataset(piece.frame.select(names), given.schema), given)
    for rows, read in piece.deep:
        data = xr.merge([data, read(rows)], compat="override", join="override", combine_attrs="drop")
    return given.binding.apply(data)


def _with_flags(data: "xr.Dataset", given: "BoundInput") -> "xr.Dataset":
    """Return a block without nulls with the flags that blocks with nulls have, so that all blocks are alike."""
    for name in given.flags:
        if name in data.variables and f"{name}_valid" not in data.variables:
            data[f"{name}_valid"] = ("object", np.ones(data.sizes["object"], dtype=bool))
    return data


def _slim(given: "BoundInput", *, is_only: bool) -> "BoundInput":
    """Return an input that reads just the columns which decide how many objects there are."""
    deciding = set() if given.where is None else set(given.where.meta.root_names())
    deciding |= {"ra", "dec"} if given.region is not None else set()
    deciding |= set() if is_only and len(given.legs) == 1 else {_ID, _PLACE}
    legs = tuple(replace(leg, flat=tuple(n for n in leg.flat if n in deciding), deep=()) for leg in given.legs)
    return replace(given, legs=legs, binding=replace(given.binding, columns={}, valid=()), flags=())


def _is_near(first: "BoundInput", given: "BoundInput") -> bool:
    return given.first.source == first.first.source


def _common(ids: "pl.Series", others: "pl.Series") -> tuple[_Rows, _Rows]:
    """Return the rows of `ids` that are among `others`, and where they stand there."""
    import polars as pl

    left = pl.DataFrame({_ID: ids, "here": np.arange(len(ids))})
    right = pl.DataFrame({_ID: others, "there": np.arange(len(others))})
    both = left.join(right, on=_ID, how="inner", maintain_order="left")
    return both["here"].to_numpy(), both["there"].to_numpy()


def _pick(data: "xr.Dataset", rows: _Rows) -> "xr.Dataset":
    return data.isel(object=rows) if "object" in data.dims else data


def _one_object(data: "xr.Dataset") -> "xr.Dataset":
    """Return a Dataset like `data` with one object, of which nothing over ``object`` is read."""
    import xarray as xr

    made = {}
    for name, variable in data.variables.items():
        if "object" in variable.dims:
            shape = [1 if d == "object" else n for d, n in variable.sizes.items()]
            values = np.zeros(shape, dtype=variable.dtype)
            made[name] = xr.Variable(variable.dims, values, variable.attrs)
        else:
            made[name] = variable.load()
    return xr.Dataset(made)


def _example(dtype: Any) -> Any:
    import polars as pl

    return "" if dtype == pl.String else False if dtype == pl.Boolean else 0


def _meets(reach: tuple[int, int], other: tuple[Any, Any]) -> bool:
    return bool(reach[0] <= other[1] and reach[1] >= other[0])


def _arrays(source: Source, part: Part, columns: Sequence[str], rows: "slice | _Rows") -> "xr.Dataset":
    """Return columns of some objects of a segment of arrays, in memory."""
    data = _opened(source, part, tuple(columns))
    return (data.isel(object=rows) if "object" in data.dims else data.copy()).load()


@lru_cache(maxsize=32)
def _opened(source: Source, part: Part, columns: tuple[str, ...]) -> "xr.Dataset":
    """Return a segment of arrays, opened and not read; block after block is cut from it."""
    return source.open_segment(part, None, columns)


@lru_cache(maxsize=64)
def _part_ids(source: Source, part: Part) -> _Rows:
    """Return the ids of one segment of arrays; they are asked for at every block."""
    return np.asarray(source.open_segment(part, None, [_ID])[_ID].values)
