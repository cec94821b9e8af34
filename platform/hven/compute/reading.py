"""What a worker reads of bound inputs: the bound columns of the selected objects of one block, and nothing else."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.compute.derived import needed
from hven.compute.pieces import ID, PLACE, Piece, Rows, block_piece, ids_piece, ranges_piece
from hven.lake import Block
from hven.schema import frame_to_dataset
from hven.sky import is_near, padded_ranges

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    import xarray as xr

    from hven.compute.bound import BoundInput


@dataclass(frozen=True)
class Aligned:
    """The objects of one block that every input has and every condition lets through, in the block's order.

    Attributes
    ----------
    inputs
        Dataset by input, bound: under the analysis's names and in its units, all with the same objects; those of the
        margin come last, and ``is_margin`` tells them.
    ids
        What tells the objects of the block apart (`IDENTITY`, as far as it is there), over ``object``.
    rows
        How many objects of the block there are.
    margin
        How many of the margin.
    """

    inputs: "Mapping[str, xr.Dataset]"
    ids: "xr.Dataset"
    rows: int
    margin: int = 0


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
    own = _selected(first, block_piece(first.first, block))
    pieces = _same_objects(inputs, own)
    rows = pieces[0].frame.height
    ids = _with_flags(frame_to_dataset(pieces[0].frame.select(first.identity), first.schema), first)
    if first.margin and rows:
        beyond = _same_objects(inputs, _margin(first, pieces[0].frame))
        pieces = [piece.followed_by(other) for piece, other in zip(pieces, beyond, strict=True)]
    data = {given.name: _dataset(given, piece) for given, piece in zip(inputs, pieces, strict=True)}
    if first.margin:
        flags = np.arange(pieces[0].frame.height) >= rows
        data = {name: part.assign(is_margin=("object", flags)) for name, part in data.items()}
    return Aligned(data, ids, rows, pieces[0].frame.height - rows)


def count_aligned(inputs: "Sequence[BoundInput]", block: Block) -> int:
    """Return how many objects `read_aligned` would give, reading only what decides it."""
    slim = [only_deciding(given, is_only=len(inputs) == 1) for given in inputs]
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
    return xr.concat(data, "object", data_vars="minimal", coords="minimal", compat="override", join="exact")


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
    if given.margin:
        data["is_margin"] = ("object", np.zeros(1, bool))
    whole = xr.merge([data, *deep], compat="override", join="exact") if deep else data
    return given.binding.apply(whole).assign_attrs(_told(given))


def _example_frame(given: "BoundInput") -> "pl.DataFrame":
    import polars as pl

    columns: dict[str, pl.Series] = {}
    for leg in given.legs:
        known = leg.source.frame_schema()
        for name in leg.flat:
            value = None if name in given.flags else _example(known[name])
            columns.setdefault(name, pl.Series(name, [value], dtype=known[name]))
    return with_derived(given, pl.DataFrame(columns))


def with_derived(given: "BoundInput", frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return rows of an input with the columns that are computed from those that were read."""
    return frame.with_columns([one.expression for one in given.derived]) if given.derived else frame


def _same_objects(inputs: "Sequence[BoundInput]", own: Piece) -> list[Piece]:
    """Return objects of the first input, as far as every other input has them too, and these of each input."""
    first, pieces = inputs[0], [own]
    for given in inputs[1:]:
        near = pieces[0].frame[PLACE] if PLACE in pieces[0].frame.columns and _have_one_source(first, given) else None
        other = _selected(given, ids_piece(given.first, pieces[0].frame[ID], near))
        here, there = _common(pieces[0].frame[ID], other.frame[ID])
        pieces = [*(piece.take(here) for piece in pieces), other.take(there)]
    return pieces


def _margin(given: "BoundInput", own: "pl.DataFrame") -> Piece:
    """Return the objects near those of a block that are not among them, in the order of the sky.

    The condition holds for them too; the region does not: what is just beyond it is still a neighbour.
    """
    import polars as pl

    around = ranges_piece(given.first, padded_ranges(own[PLACE].to_numpy(), given.margin))
    around = around.take(np.flatnonzero(~around.frame[ID].is_in(own[ID].implode()).to_numpy()))
    found = _selected(replace(given, region=None), around)
    is_in = is_near(found.frame["ra"], found.frame["dec"], own["ra"], own["dec"], given.margin)
    order = found.frame.select(pl.arg_sort_by(PLACE, ID)).to_series().to_numpy()
    return found.take(order[is_in[order]])


def _selected(given: "BoundInput", piece: Piece) -> Piece:
    """Return the objects of the first dataset that the joined ones have too and that the condition lets through."""
    import polars as pl

    for leg in given.legs[1:]:
        near = piece.frame[PLACE] if leg.same_places else None
        other = ids_piece(leg, piece.frame[ID], near)
        here, there = _common(piece.frame[ID], other.frame[ID])
        kept, found = piece.take(here), other.take(there)
        frame = kept.frame.hstack(found.frame.drop(ID))
        piece = Piece(frame, (*kept.deep, *found.deep))
    piece = replace(piece, frame=with_derived(given, piece.frame))
    if given.where is None and given.region is None:
        return piece
    lets = pl.lit(value=True) if given.where is None else given.where.fill_null(value=False)
    mask = piece.frame.select(lets.alias("lets"))["lets"].to_numpy()
    if given.region is not None:
        mask = mask & given.region.contains(piece.frame["ra"].to_numpy(), piece.frame["dec"].to_numpy())
    return piece.take(np.flatnonzero(np.broadcast_to(mask, piece.frame.height)))


def _dataset(given: "BoundInput", piece: Piece) -> "xr.Dataset":
    import xarray as xr

    wanted = set(given.binding.sources)
    names = [name for name in piece.frame.columns if name in wanted]
    data = _with_flags(frame_to_dataset(piece.frame.select(names), given.schema), given)
    for rows, read in piece.deep:
        data = xr.merge([data, read(rows)], compat="override", join="exact", combine_attrs="drop")
    return given.binding.apply(data).assign_attrs(_told(given))


def _told(given: "BoundInput") -> dict[str, Any]:
    """Return what the first dataset of an input says of itself as a whole, but for what was found wrong with it."""
    return {name: value for name, value in given.first.source.schema.attrs.items() if name != "caveats"}


def _with_flags(data: "xr.Dataset", given: "BoundInput") -> "xr.Dataset":
    """Return a block without nulls with the flags that blocks with nulls have, so that all blocks are alike."""
    for name in given.flags:
        if name in data.variables and f"{name}_valid" not in data.variables:
            data[f"{name}_valid"] = ("object", np.ones(data.sizes["object"], dtype=bool))
    return data


def only_deciding(given: "BoundInput", *, is_only: bool) -> "BoundInput":
    """Return an input that reads just the columns which decide how many objects there are."""
    deciding = set() if given.where is None else set(given.where.meta.root_names())
    derived = needed(given.derived, deciding)
    deciding |= {name for one in derived for name in one.needs}
    deciding |= {"ra", "dec"} if given.region is not None else set()
    deciding |= set() if is_only and len(given.legs) == 1 else {ID, PLACE}
    legs = tuple(replace(leg, flat=tuple(n for n in leg.flat if n in deciding), deep=()) for leg in given.legs)
    binding = replace(given.binding, columns={}, valid=())
    return replace(given, legs=legs, binding=binding, flags=(), margin=0.0, derived=derived)


def _have_one_source(first: "BoundInput", given: "BoundInput") -> bool:
    return given.first.source == first.first.source


def _common(ids: "pl.Series", others: "pl.Series") -> tuple[Rows, Rows]:
    """Return the rows of `ids` that are among `others`, and where they stand there."""
    import polars as pl

    left = pl.DataFrame({ID: ids, "here": np.arange(len(ids))})
    right = pl.DataFrame({ID: others, "there": np.arange(len(others))})
    both = left.join(right, on=ID, how="inner", maintain_order="left")
    return both["here"].to_numpy(), both["there"].to_numpy()


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
