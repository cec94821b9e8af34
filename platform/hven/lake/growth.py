"""Growth: segments that a transaction writes one by one, and that become part of a dataset all at once.

What is dropped before, the segments of a file that turned out to be damaged, leaves no trace in the dataset.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.catalog import Pin
from hven.lake import arrays, tables
from hven.lake.axes import Axes, axes_of, check_attributes, check_axes, check_units
from hven.lake.incoming import check_array_ids, check_ids, check_takes_objects, coverage_of, kind_of, with_types
from hven.lake.parts import FILE, HIDDEN, Part
from hven.lake.picking import pick_rows
from hven.lake.source import Source
from hven.lake.spans import joined_spans, wavelength_of
from hven.lake.store import Store
from hven.lake.validation import check_arrays, check_frame, check_known_units, check_names
from hven.schema import Column, Schema, check_name
from hven.sky import join_coverage

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr
    from numpy.typing import NDArray

    from hven.lake.tables import WrittenPart
    from hven.lake.transaction import Transaction


_VALID = "_valid"


@dataclass(frozen=True)
class Settled:
    """What a dataset is after it has grown.

    Attributes
    ----------
    pin
        Where it rests, and its version.
    coverage, wavelength
        Of what was added.
    more
        Variables that all segments got: ``<c>_valid`` of a column that has nulls now.
    """

    pin: Pin
    coverage: str
    wavelength: tuple[float, float] | None = None
    more: tuple[str, ...] = ()


@dataclass
class GrowingTable:
    """A table that grows by segments; see `grow`.

    Attributes
    ----------
    store, path
        Where it rests.
    name
        Of the dataset.
    source
        What it is before, None for a new one.
    """

    store: Store
    path: str
    name: str
    source: Source | None
    _parts: "dict[str, list[WrittenPart]]" = field(default_factory=dict)
    _types: "dict[str, pl.Schema]" = field(default_factory=dict)
    _covers: dict[str, str] = field(default_factory=dict)
    _number: int = -1

    def add(self, frame: "pl.DataFrame") -> str:
        """Write rows as a segment and return its name; they may carry columns that no schema names (`HIDDEN`)."""
        where = f"dataset {self.name!r}"
        frame = tables.tableable(frame, where)
        shown = frame.drop(HIDDEN, strict=False)
        columns = Schema.of_frame(shown) if self.source is None else self.source.schema
        check_names(columns, where, is_table=True)
        check_frame(shown, columns, where)
        check_ids(frame, self.name)
        segment = self._next()
        self._parts[segment] = tables.write_parts(self.store, self.path, segment, frame)
        self._types[segment] = frame.drop(HIDDEN, strict=False).schema
        self._covers[segment] = coverage_of(frame)
        return segment

    def drop(self, segment: str) -> None:
        """Forget a segment."""
        for known in (self._parts, self._types, self._covers):
            known.pop(segment)

    def settle(self, types: "pl.Schema | None", gone: "Mapping[Part, NDArray[np.bool_]] | None" = None) -> "Settled":
        """Make the segments part of the table in one Delta commit, and return what it is then.

        Parameters
        ----------
        types
            Of the columns of a new table. Segments that were written with narrower types are written anew.
        gone
            Which rows of the files that are there are removed.
        """
        written = [part for segment in self._parts for part in self._parts_as(segment, types)]
        cover = join_coverages(self._covers.values())
        if self.source is None:
            import polars as pl

            version = tables.create_table(self.store, self.path, pl.DataFrame(schema=types), written)
            return Settled(Pin("delta", self.path, version), cover)
        removed = list(gone or ())
        for part in removed:
            stays = tables.scan_whole(self.store, self.path, [part], list(self.source.frame_schema())).collect()
            stays = stays.filter(~np.asarray(gone[part]))  # type: ignore[index]
            if stays.height:
                key = part.path.rsplit("/", 1)[1].rsplit("-", 1)[0]
                written.append(tables.write_part(self.store, self.path, part.segment, key, stays))
        pin = self.source.pin
        if not written and not removed:
            return Settled(pin, cover)
        version = tables.change_table(self.store, self.path, int(pin.version), written, removed)
        return Settled(replace(pin, version=version), cover)

    def _parts_as(self, segment: str, types: "pl.Schema | None") -> "list[WrittenPart]":
        if types is None or self._types[segment] == types:
            return self._parts[segment]
        widened = []
        for part in self._parts[segment]:
            there = Part(part.path, segment, part.rows)
            frame = tables.scan_whole(self.store, self.path, [there], list(types)).cast(dict(types)).collect()  # type: ignore[arg-type]
            key = part.path.rsplit("/", 1)[1].rsplit("-", 1)[0]
            widened.append(tables.write_part(self.store, self.path, segment, key, frame))
        return widened

    def _next(self) -> str:
        if self._number < 0:
            self._number = _first_number(self.source)
        self._number += 1
        return tables.new_segment(self._number - 1)


@dataclass
class GrowingArrays:
    """Arrays that grow by segments, in one session on a branch of their own; see `grow`.

    Attributes
    ----------
    store, path
        Where they rest.
    name
        Of the dataset.
    source
        What they are before, None for new ones.
    branch
        The transaction's own branch.
    """

    store: Store
    path: str
    name: str
    source: Source | None
    branch: str
    _session: Any = None
    _covers: dict[str, str] = field(default_factory=dict)
    _spans: dict[str, Any] = field(default_factory=dict)
    _axes: Axes | None = None
    _held: dict[str, tuple[set[str], int]] = field(default_factory=dict)
    _number: int = -1

    def add(self, data: "xr.Dataset") -> str:
        """Write arrays as a segment and return its name."""
        data = self._checked(data)
        if self._number < 0:
            self._number = _first_number(self.source)
        segment = tables.new_segment(self._number)
        self._number += 1
        session = self._begun()
        with arrays.storage_errors(self.at):
            arrays.add_group(session, segment, data, f"dataset {self.name!r}")
        self._covers[segment] = coverage_of(data)
        self._spans[segment] = wavelength_of(data)
        self._held[segment] = (set(map(str, data.variables)), int(data.sizes["object"]))
        return segment

    def drop(self, segment: str) -> None:
        """Forget a segment."""
        with arrays.storage_errors(self.at):
            arrays.remove_group(self._begun(), segment)
        del self._covers[segment], self._spans[segment], self._held[segment]

    def settle(self, types: "pl.Schema | None" = None, gone: "NDArray[np.int64] | None" = None) -> "Settled":
        """Commit the segments, and return what the dataset is then.

        Parameters
        ----------
        types
            Not for arrays.
        gone
            The ``object_id`` of objects of before that are removed; their segments are written anew without them.
        """
        del types
        there = (
            {part.path: (set(self.source.schema.names), part.rows) for part in self.source.parts} if self.source else {}
        )
        if gone is not None and len(gone) and self.source is not None:
            self._remove(self.source, np.sort(gone), there)
        more = self._complete({**there, **self._held})
        spans = [span for span in self._spans.values() if span]
        span = (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None
        version = arrays.commit(self.at, self._begun(), f"segments of {self.name}")
        return Settled(Pin("icechunk", self.path, version), join_coverages(self._covers.values()), span, more)

    def _checked(self, data: "xr.Dataset") -> "xr.Dataset":
        """Return arrays that have the axes, units and types of the dataset, or refuse them."""
        where = f"dataset {self.name!r}"
        check_array_ids(data, self.name)
        shown = data.drop_vars(HIDDEN, errors="ignore")
        check_names(Schema.of_dataset(shown), where, is_table=False)
        check_arrays(shown, self.source.kind if self.source is not None else kind_of(shown), where)
        if self.source is not None:
            check_takes_objects(self.source)
            check_units(self.source.schema, shown, where)
            check_attributes(self.source.schema.attrs, shown, where)
            known = [name for name in self.source.schema.names if name in data.variables]
            schema = replace(self.source.schema, columns=tuple(self.source.schema[name] for name in known))
            data = data.assign(with_types(shown, schema, self.name).data_vars)
        if self._axes is None:
            self._axes = self.source.axes() if self.source is not None and self.source.parts else axes_of(shown)
        check_axes(self._axes, shown, where)
        return data

    def _complete(self, segments: Mapping[str, tuple[set[str], int]]) -> tuple[str, ...]:
        """Give each segment ``<c>_valid`` of every column that has nulls in some segment, and return their names."""
        flags = sorted({n for names, _ in segments.values() for n in names if n.endswith(_VALID)})
        flags = [flag for flag in flags if all(flag.removesuffix(_VALID) in names for names, _ in segments.values())]
        added = [(segment, flag) for flag in flags for segment in segments if flag not in segments[segment][0]]
        with arrays.storage_errors(self.at):
            for segment, flag in added:
                arrays.add_variable(self._begun(), segment, flag, np.ones(segments[segment][1], bool))
        return tuple(dict.fromkeys(flag for _, flag in added))

    def _remove(self, source: Source, gone: "NDArray[np.int64]", there: dict[str, tuple[set[str], int]]) -> None:
        session, first = self._begun(), 0
        for part in source.parts:
            ids = source.scan([part]).select("object_id").collect().to_series().to_numpy()
            at = np.minimum(np.searchsorted(gone, ids), len(gone) - 1)
            stays = np.flatnonzero(gone[at] != ids)
            if len(stays) < len(ids):
                with arrays.storage_errors(self.at):
                    if len(stays):
                        # A new name in the same place: what is in it is not what was in the old one.
                        renewed = f"{part.path.rsplit('-', 1)[0]}-{uuid.uuid4().hex[:8]}"
                        kept = pick_rows(source, first + stays)
                        files = source.read_files(part)[FILE].gather(stays)
                        if not files.null_count():
                            kept[FILE] = ("object", files.to_numpy())
                        arrays.add_group(session, renewed, kept)
                        there[renewed] = (set(map(str, kept.variables)), len(stays))
                    arrays.remove_group(session, part.path)
                    del there[part.path]
            first += part.rows

    @property
    def at(self) -> arrays.ArraysAt:
        """The repository."""
        return arrays.ArraysAt(self.store, self.path)

    def _begun(self) -> Any:
        if self._session is None:
            snapshot = arrays.create_arrays(self.at) if self.source is None else str(self.source.pin.version)
            arrays.begin_branch(self.at, self.branch, snapshot)
            with arrays.writing(self.at, self.branch) as session:
                self._session = session
        return self._session


def _first_number(source: Source | None) -> int:
    """Return the number of the next segment: of ``segment-00000003-1a2b3c4d``, and of what runs made of it, 4."""
    parts = source.parts if source is not None else ()
    return 1 + max((int(part.segment.split("-")[1].partition(".")[0]) for part in parts), default=-1)


def join_coverages(covers: Iterable[str]) -> str:
    """Return the MOC of what any of several MOC texts covers; empty ones are of nothing."""
    whole = ""
    for cover in covers:
        whole = join_coverage(whole, cover) if whole and cover else whole or cover
    return whole


def grow(tx: "Transaction", name: str, *, table: bool, anew: bool) -> GrowingTable | GrowingArrays:
    """Return a dataset to add segments to, one by one; none of them belongs to it before `settle`.

    Parameters
    ----------
    tx
        The transaction.
    name
        The dataset.
    table
        Whether it is a table, or arrays.
    anew
        Whether to create or replace it, or to add to what is there.
    """
    entry, store = tx.entry(check_name(name)), tx.lake.store
    source = None
    if not anew and entry is not None:
        source = Source.of(store, entry)
    path = tx.new_path(name, "table" if table else "arrays") if source is None else source.pin.path
    if table:
        return GrowingTable(store, path, name, source)
    return GrowingArrays(store, path, name, source, f"txn-{tx.id}-{uuid.uuid4().hex[:8]}")


def settle(
    tx: "Transaction",
    growth: GrowingTable | GrowingArrays,
    schema: Schema,
    kind: str | None,
    *,
    types: "pl.Schema | None" = None,
    gone: Any = None,
    bare: "xr.Dataset | None" = None,
) -> None:
    """Make what was added to a dataset, without what is `gone`, part of it; the commit of `tx` then shows it.

    Parameters
    ----------
    tx
        The transaction.
    growth
        What `grow` gave.
    schema, kind, types, bare
        Of a new dataset: its columns, its kind (see `Transaction.write`), the types of a table, arrays without objects.
    gone
        What is removed: rows by file of a table, ids of objects of arrays.
    """
    where = f"dataset {growth.name!r}"
    check_known_units(schema, where)
    if bare is not None and growth.source is None:
        check_arrays(bare, kind or kind_of(bare), where)
    done, put = growth.settle(types, gone), tx._set  # noqa: SLF001 - a method in all but place
    before = schema if growth.source is None else growth.source.schema
    flags = tuple(Column(name, "bool") for name in done.more if name not in before)
    columns = replace(before, columns=(*before.columns, *flags))
    told: dict[str, Any] = {}
    if growth.source is None:
        told = {"wavelength": done.wavelength} if done.wavelength else {}
        put(
            growth.name,
            done.pin,
            columns,
            kind or (kind_of(bare) if bare is not None else "table"),
            done.coverage,
            told,
            bare,
        )
        return
    entry = tx.entry(growth.name)
    assert entry is not None  # noqa: S101 - it grows from there
    told = {"wavelength": joined_spans(entry.wavelength, done.wavelength), "columns": columns.names}
    cover = join_coverages([entry.coverage, done.coverage])
    put(growth.name, done.pin, columns, entry.kind, cover, told | {"schema": columns.digest}, like=entry)
