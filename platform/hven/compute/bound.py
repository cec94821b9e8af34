"""A bound input: a selection resolved to pinned datasets, and held against what the analysis asks for."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hven.compute.derived import Derived, derive, needed, polars_types
from hven.errors import DataRefusedError, MissingColumnError
from hven.lake import Block, Lake, Source, check_columns, parse_where, where_text
from hven.lake import open as open_lake
from hven.lake.axes import Axes, defining, difference
from hven.plugins import Analysis, Binding, bind_inputs
from hven.schema import Column, Schema

if TYPE_CHECKING:
    import polars as pl

    from hven.compute.selection import Reference, Selection
    from hven.sky import Region

IDENTITY = ("object_id", "source_id", "_healpix_29")
"""Columns that follow the objects from the first input into the result, as far as it has them."""

_PLACED = ("_healpix_29", "ra", "dec")
_BY_OBJECT = ("object",)
_VALID = "_valid"


@dataclass(frozen=True)
class Leg:
    """One dataset of a bound input.

    Attributes
    ----------
    source
        The pinned dataset.
    text
        How it was asked for.
    number
        The catalog in which it was found.
    survey
        Whose data they are.
    flat, deep
        The columns to read: 1-D ones over ``object``, and all others.
    same_places
        Whether an object is certain to have the same ``_healpix_29`` here as in the first leg, so that files elsewhere
        on the sky need not be searched for it.
    same_as
        Older versions of the dataset with the same objects.
    """

    source: Source
    text: str
    number: int
    survey: str
    flat: tuple[str, ...]
    deep: tuple[str, ...]
    same_places: bool
    same_as: tuple[int | str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return which dataset this is, as plain values for records: equal exactly when the data are."""
        pin = self.source.pin
        return {
            "name": self.source.name,
            "lake": self.source.store.lake,
            "pin": {"engine": pin.engine, "path": pin.path, "version": pin.version},
        }


@dataclass(frozen=True)
class BoundInput:
    """One input of an analysis, ready to be read block by block. Travels to workers.

    Attributes
    ----------
    name
        The analysis's name for it.
    legs
        The dataset that sets the objects, then those joined to it.
    binding
        Which columns arrive under which names and units.
    where, region
        Which objects are meant; `where_key` tells conditions apart.
    schema
        The columns that are read, of all legs.
    flags
        Integer and true/false columns that arrive as they are kept, and may have nulls somewhere: every block has their
        ``<c>_valid``, needed or not.
    is_whole
        Whether every block sees all of it.
    margin
        How far around its objects [deg] neighbours are added to a block.
    derived
        Columns that are computed when the others are read.
    """

    name: str
    legs: tuple[Leg, ...]
    binding: Binding
    where: "pl.Expr | None"
    region: "Region | None"
    where_key: str
    schema: Schema
    flags: tuple[str, ...]
    is_whole: bool
    margin: float = 0.0
    derived: tuple[Derived, ...] = ()

    @property
    def derived_json(self) -> dict[str, Any]:
        """The derived columns as plain values, under a key of their own; empty when there are none."""
        return {"with": {one.name: one.to_json() for one in self.derived}} if self.derived else {}

    @property
    def assumed_json(self) -> dict[str, Any]:
        """The columns that are taken in and whose unit was assumed, under a key of their own; empty without any."""
        names = sorted(c.name for c in self.schema if c.assumed and c.name in self.binding.sources)
        return {"assumed": names} if names else {}

    @property
    def shape(self) -> str:
        """SHA-256 of what all blocks share beside their values: columns, units, words, attributes, flags."""
        told = f"{self.schema.to_json().decode()} {sorted(self.flags)}"
        told += f" {json.dumps(self.attributes, sort_keys=True)}" if self.attributes else ""
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def attributes(self) -> dict[str, Any]:
        """What the first dataset says of itself and reaches the analysis, but for what only tells of a part of it."""
        return defining(self.first.source.schema.attrs)

    @property
    def first(self) -> Leg:
        """The dataset whose objects are taken."""
        return self.legs[0]

    @property
    def identity(self) -> tuple[str, ...]:
        """Which of `IDENTITY` there are."""
        return tuple(name for name in IDENTITY if name in self.first.flat)

    @property
    def takes_all_rows(self) -> bool:
        """Whether every object of its one dataset is taken, so that sizes are known without reading."""
        return len(self.legs) == 1 and self.where is None and self.region is None

    def blocks(self, rows: int) -> tuple[Block, ...]:
        """Return the blocks of its objects."""
        return self.first.source.blocks(rows)


@dataclass(frozen=True)
class _Found:
    """A dataset that a selection names, as it stands in a catalog."""

    reference: "Reference"
    source: Source
    number: int
    survey: str
    lineage: frozenset[tuple[Any, ...]]
    columns: "pl.Schema"
    same_as: tuple[int | str, ...]


def bind_selections(
    lake: Lake, analysis: Analysis, selections: "Mapping[str, Selection]", parameters: Mapping[str, Any]
) -> tuple[BoundInput, ...]:
    """Return every input of `analysis`, in its order, resolved in `lake` and bound; no values are read.

    Raises
    ------
    DatasetNotFoundError, VersionNotFoundError, LakeNotFoundError
        For what is not there.
    MissingColumnError, UnitError, DataRefusedError, WhereError, ParameterError
        For what does not fit.
    """
    import polars as pl

    found = {name: [_find(lake, reference) for reference in s.datasets] for name, s in selections.items()}
    for name, legs in found.items():
        _check_join(name, legs)
    derived = {name: derive(s.derived, pl.Schema(_known(found[name])), s.text) for name, s in selections.items()}
    schemas = {name: _joint_schema(legs, derived[name]) for name, legs in found.items()}
    renames = {name: s.columns for name, s in selections.items()}
    bindings = bind_inputs(analysis, schemas, parameters, renames, {name: s.text for name, s in selections.items()})
    is_whole = {name: _is_whole(analysis, name) for name in bindings}
    margins = dict.fromkeys(bindings, 0.0)
    if analysis.margin:
        # Neighbours are those of the objects that blocks are cut from; other inputs follow by id.
        margins[next(name for name in bindings if not is_whole[name])] = analysis.margin_deg
    return tuple(
        _bound(
            name, found[name], selections[name], schemas[name], binding, derived[name], is_whole[name], margins[name]
        )
        for name, binding in bindings.items()
    )


def where_key(where: "str | pl.Expr | None") -> str:
    """Return a text that is the same exactly when the condition is; expressions have no faithful text of their own."""
    if where is None or isinstance(where, str):
        return where or ""
    return hashlib.sha256(where.meta.serialize()).hexdigest()


def _is_whole(analysis: Analysis, name: str) -> bool:
    given = analysis.inputs[name]
    return given.is_whole or not given.is_by_object


def _find(lake: Lake, reference: "Reference") -> _Found:
    home = open_lake(reference.url) if reference.url else lake
    handle = (home.at(reference.version) if reference.version else home)[reference.name]
    pin = handle.entry.pin
    lineage = {(pin.path, pin.version), *_made_from(handle.entry.provenance)}
    source, survey = handle.source, handle.entry.survey
    if not source.is_table:
        source.axes()
    same = handle.entry.same_as
    return _Found(reference, source, handle.lake.number, survey, frozenset(lineage), source.frame_schema(), same)


def _made_from(provenance: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the pin of the dataset from which a result has its objects, and with them ``_healpix_29``."""
    for given in provenance.get("inputs", {}).values():
        pin = given["legs"][0]["pin"]
        return [(pin["path"], pin["version"])]
    return []


def _check_join(name: str, legs: Sequence[_Found]) -> None:
    if len(legs) > 1:
        for leg in legs:
            if "object_id" not in leg.columns:
                raise MissingColumnError(
                    "there is no column 'object_id' to join by",
                    where=f"dataset {leg.source.name!r}, input {name!r}",
                    hint="Join datasets of objects, or write their object_id when ingesting.",
                )


def _joint_schema(legs: Sequence[_Found], derived: Sequence[Derived]) -> Schema:
    columns: dict[str, Column] = {}
    for leg in legs:
        for column in leg.source.schema:
            columns.setdefault(column.name, column)
    return Schema((*columns.values(), *(one.column for one in derived)))


def _known(found: Sequence[_Found]) -> dict[str, Any]:
    """Return the columns of all legs with their types, without the flags of arrays: where these say so, it is null."""
    known: dict[str, Any] = {}
    for leg in found:
        for column, dtype in leg.columns.items():
            if not (column.endswith(_VALID) and column.removesuffix(_VALID) in leg.columns):
                known.setdefault(column, dtype)
    return known


def _bound(
    name: str,
    found: Sequence[_Found],
    selection: "Selection",
    schema: Schema,
    binding: Binding,
    derived: Sequence[Derived],
    is_whole: bool,
    margin: float,
) -> BoundInput:
    import polars as pl

    condition, used = None, set(binding.sources)
    known = _known(found) | polars_types(derived)
    if selection.where is not None:
        condition = parse_where(selection.where, pl.Schema(known), selection.text)
        used.update(condition.meta.root_names())
    if selection.region is not None:
        check_columns(_PLACED, known, selection.text)
        used.update(_PLACED)
    if margin:
        check_columns((*_PLACED, "object_id"), found[0].columns, selection.text)
        used.update(_PLACED)
    used.update(column for column in IDENTITY if column in found[0].columns)
    mine = needed(derived, used)
    used.update(name for one in mine for name in one.needs)
    legs: list[Leg] = []
    taken: set[str] = set()
    for leg in found:
        own = [c for c in leg.source.schema if c.name in used and c.name not in taken and not _is_flag(c, leg.source)]
        taken.update(c.name for c in own)
        flat = [c.name for c in own if c.dims == _BY_OBJECT]
        if len(found) > 1 and "object_id" not in flat:
            flat.insert(0, "object_id")
        deep = tuple(c.name for c in own if c.dims != _BY_OBJECT)
        same = bool(leg.lineage & found[0].lineage) and all("_healpix_29" in f.columns for f in (leg, found[0]))
        text = str(leg.reference)
        _check_shared_axes(name, legs, leg.source, text, deep)
        legs.append(Leg(leg.source, text, leg.number, leg.survey, tuple(flat), deep, same, leg.same_as))
    taken.update(one.name for one in mine)
    read = Schema(tuple(c for c in schema if c.name in taken))
    if is_whole and (condition is not None or selection.region is not None or len(legs) > 1):
        _refuse_part_of_whole(name, selection, read)
    return BoundInput(
        name,
        tuple(legs),
        binding,
        condition,
        selection.region,
        where_key(selection.where),
        read,
        (*_flags(legs, schema, binding), *(one.name for one in mine if one.dtype == "bool")),
        is_whole,
        margin,
        mine,
    )


def _check_shared_axes(name: str, legs: Sequence[Leg], source: Source, text: str, deep: Sequence[str]) -> None:
    """Refuse arrays of two datasets along one dimension of which each has axes of its own, when these differ."""
    axes = source.axes() if deep else {}
    dims = {dim for column in deep for dim in source.schema[column].dims} - {"object"}
    for leg in legs:
        others = leg.source.axes() if leg.deep else {}
        shared = dims & {dim for column in leg.deep for dim in leg.source.schema[column].dims}
        for dim in sorted(shared):
            kept, new = ([one] if (one := known.get(dim)) else [] for known in (others, axes))
            found = difference({dim: kept[0]}, {dim: new[0]}) if kept and new else None
            is_by_object = any("object" in one["dims"] for one in (*kept, *new))
            if found or is_by_object or _size(others, dim) != _size(axes, dim):
                how = found[1] if found else "is another for each object" if is_by_object else "has another length"
                raise DataRefusedError(
                    f"{dim!r} of {text!r} {how}",
                    where=f"input {name!r}, joined to {leg.text!r}",
                    expected=f"one {dim} for all arrays of an input, value by value",
                    hint="Interpolate one dataset to the other's, or give them as inputs of their own.",
                )


def _size(axes: Axes, dim: str) -> int | None:
    """Return the length of a dimension, as the arrays along it tell."""
    sizes = {
        length
        for one in axes.values()
        for along, length in zip((d for d in one["dims"] if d != "object"), one["shape"], strict=True)
        if along == dim
    }
    return next(iter(sizes), None)


def _is_flag(column: Column, source: Source) -> bool:
    return column.name.endswith(_VALID) and not source.is_table and column.name.removesuffix(_VALID) in source.schema


def _flags(legs: Sequence[Leg], schema: Schema, binding: Binding) -> tuple[str, ...]:
    """Return the columns that arrive as they are kept and may have nulls; what arrives as floats needs no flags."""
    flags: list[str] = []
    as_kept = {*IDENTITY, *(bound.source for bound in binding.columns.values() if not bound.is_number)}
    for leg in legs:
        kept = leg.source.null_columns() if leg.source.is_table else _array_flags(leg.source.schema)
        flags += [c for c in leg.flat if c in kept & as_kept and schema[c].dtype.startswith(("int", "bool"))]
    return tuple(flags)


def _array_flags(schema: Schema) -> set[str]:
    return {name.removesuffix(_VALID) for name in schema.names if name.endswith(_VALID)}


def _refuse_part_of_whole(name: str, selection: "Selection", read: Schema) -> None:
    if "object" not in {dim for column in read for dim in column.dims}:
        raise DataRefusedError(
            f"input {name!r} is taken whole, and {selection.text!r} is not a dataset of objects",
            where=f"where {where_text(selection.where)!r}" if selection.where is not None else "",
            hint="Leave out where, region and '+' for this input.",
        )
