"""A source: one pinned dataset as workers see it, small enough to travel, reading only what is asked."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.catalog import Counts, Entry, Pin
from hven.errors import LakeFormatError
from hven.lake import arrays, tables
from hven.lake.axes import Axes, check_alike
from hven.lake.parts import FILE, INPUT, ROW_GROUP, Block, Part, Run, Stretches, cut_blocks
from hven.lake.store import Store
from hven.schema import Schema, dataset_to_frame
from hven.sky.cover import meets

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Source:
    """A dataset pinned to a version, with everything needed to read it and nothing else.

    Attributes
    ----------
    store
        Of its lake.
    name, kind
        Of the dataset.
    pin
        Engine, path and version.
    schema_digest
        Names the file with its columns.
    count
        Objects that the catalog says it has; what its engine tells is held against it. None when there is no entry yet.

    Examples
    --------
    >>> source = lake["stars"].source  # doctest: +SKIP
    >>> source.read(source.blocks()[0], ["ra", "dec"])  # doctest: +SKIP
    """

    store: Store
    name: str
    kind: str
    pin: Pin
    schema_digest: str
    count: int | None = field(default=None, compare=False)

    @classmethod
    def of(cls, store: Store, entry: Entry) -> "Source":
        """Return the source of an entry of a catalog."""
        # An entry that was made of an address alone, as Intake's are, counts nothing.
        count = entry.counts.rows if entry.counts != Counts() else None
        return cls(store, entry.name, entry.kind, entry.pin, entry.schema, count)

    @property
    def schema(self) -> Schema:
        """The dataset's columns."""
        return load_schema(self.store, self.schema_digest)

    @property
    def is_table(self) -> bool:
        """Whether it is rows (Delta) rather than arrays (Icechunk)."""
        return self.pin.engine == "delta"

    @property
    def parts(self) -> tuple[Part, ...]:
        """Files or segments, in the dataset's order.

        Raises
        ------
        LakeFormatError
            If they do not have as many objects as the catalog says: the log of the engine is damaged.
        """
        if self.is_table:
            parts = tables.table_parts(self.store, self.pin.path, int(self.pin.version))
        else:
            parts = arrays.array_parts(self._arrays, str(self.pin.version))
        if self.count is not None and (there := sum(part.rows for part in parts)) != self.count:
            raise LakeFormatError(
                f"the files of dataset {self.name!r} have {there:,} objects",
                where=self.store.address(self.pin.path),
                expected=f"{self.count:,}, as the catalog says",
                hint="Restore the folder from a copy, or go back with 'hven restore' to a state that is whole.",
            )
        return parts

    @property
    def rows(self) -> int:
        """How many objects it has."""
        return sum(part.rows for part in self.parts)

    def axes(self) -> Axes:
        """Return what all segments of arrays have in common beside their objects.

        Raises
        ------
        DataRefusedError
            If they do not: no axis is put upon objects that have another.
        """
        segments = arrays.segment_axes(self._arrays, str(self.pin.version))
        check_alike(segments.items(), f"dataset {self.name!r}")
        return next(iter(segments.values()), {})

    def blocks(self, rows: int | None = None) -> tuple[Block, ...]:
        """Return the blocks of work, of about `rows` objects each."""
        return cut_blocks(self.parts, rows)

    def frame_schema(self) -> "pl.Schema":
        """Return the columns a table scan has, with Polars types; for arrays, the 1-D variables over ``object``."""
        import polars as pl

        if self.is_table:
            return tables.table_columns(self.store, self.pin.path, int(self.pin.version))
        return pl.Schema({c.name: _polars_dtype(c.dtype) for c in self.schema if c.dims == ("object",)})

    def null_columns(self) -> frozenset[str]:
        """Return the columns of a table that have nulls anywhere."""
        if self.is_table:
            return tables.null_columns(self.store, self.pin.path, int(self.pin.version))
        return frozenset()

    def scan(self, parts: Sequence[Part] | None = None) -> "pl.LazyFrame":
        """Return the rows (of some parts) as a LazyFrame; of arrays, the 1-D variables over ``object``."""
        chosen = self.parts if parts is None else parts
        if self.is_table:
            return tables.scan_parts(self.store, self.pin.path, chosen, self.frame_schema())
        return _scan_arrays(self, [Run(part, 0, part.rows) for part in chosen])

    def scan_runs(self, runs: Sequence[Run], columns: Collection[str] | None = None) -> "pl.LazyFrame":
        """Return rows of some parts as a LazyFrame, in order; what lies around them is not read.

        Parameters
        ----------
        runs
            The rows.
        columns
            Those of a table that will be asked for, all when None: a scan of 300 takes 1 ms longer to make than of 5.
        """
        if self.is_table:
            schema = self.frame_schema()
            if columns is not None:
                schema = type(schema)({name: dtype for name, dtype in schema.items() if name in columns})
            return tables.scan_runs(self.store, self.pin.path, runs, schema)
        return _scan_arrays(self, runs)

    def runs(self, ranges: "NDArray[np.int64]", column: str = "_healpix_29") -> tuple[Run, ...]:
        """Return the rows to be read, in order, for every object whose `column` lies in `ranges` or is null.

        Files and segments are passed over by what the catalog of their engine tells of them, row groups of the others
        by their footers, chunks by the column itself; each is looked at once.

        Parameters
        ----------
        ranges
            Sorted half-open ranges of whole numbers, shape (n, 2).
        column
            A column of whole numbers; only for ``_healpix_29`` are whole files passed over unopened.
        """
        found: list[Run] = []
        for part in self.parts:
            if column == "_healpix_29" and part.healpix is not None:
                low, high = np.array(part.healpix)[:, None]
                if not meets(low, high, ranges)[0]:
                    continue
            found += self._stretches(part, column).runs(part, ranges) if part.rows else ()
        return tuple(found)

    def places(self, runs: Sequence[Run]) -> "NDArray[np.int64]":
        """Return where in the dataset the rows of `runs` stand, int64, shape (rows of all runs,)."""
        first = dict(zip(self.parts, np.cumsum([0, *(part.rows for part in self.parts)]).tolist(), strict=False))
        return np.concatenate(
            [np.empty(0, np.int64), *(np.arange(first[r.part] + r.start, first[r.part] + r.stop) for r in runs)]
        )

    def _stretches(self, part: Part, column: str) -> Stretches:
        if self.is_table:
            return tables.row_groups(self.store, self.pin.path, part, column)
        return _chunks(self, part, column)

    def read(self, block: Block, columns: Sequence[str] | None = None) -> "pl.DataFrame | xr.Dataset":
        """Return one block in memory: a frame of a table, a Dataset of arrays."""
        if self.is_table:
            names = list(self.frame_schema()) if columns is None else columns
            return tables.read_rows(self.store, self.pin.path, block.part, block.start, block.stop, names)
        return self._segment(block.part, block.start, block.stop, columns)

    def read_frame(self, block: Block, columns: Sequence[str]) -> "pl.DataFrame":
        """Return 1-D columns of one block as a frame, whichever engine keeps them."""
        import polars as pl

        data = self.read(block, columns)
        return data if isinstance(data, pl.DataFrame) else dataset_to_frame(data)

    def read_rows(self, part: Part, at: "NDArray[np.int64]", columns: Sequence[str]) -> "pl.DataFrame":
        """Return rows `at` (m, ascending) of one file of a table, in memory."""
        return tables.pick_rows(self.store, self.pin.path, part, at, columns)

    def read_inputs(self, part: Part) -> "pl.DataFrame":
        """Return ``object_id`` and ``_input`` of one file or segment of a result; null where nobody kept it."""
        import polars as pl

        if self.is_table:
            return tables.read_hidden(self.store, self.pin.path, part, INPUT)
        data = self.open_segment(part, None, ["object_id", INPUT])
        columns = {name: data[name].values if name in data else None for name in ("object_id", INPUT)}
        return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Int64))

    def read_files(self, part: Part) -> "pl.DataFrame":
        """Return ``object_id`` and ``_file`` of one file or segment of what was ingested; null where nobody kept it."""
        import polars as pl

        if self.is_table:
            return tables.read_hidden(self.store, self.pin.path, part, FILE)
        data = self.open_segment(part, None, ["object_id", FILE])
        columns = {name: data[name].values if name in data else [None] * part.rows for name in ("object_id", FILE)}
        return pl.DataFrame(columns, schema={"object_id": pl.Int64, FILE: pl.Int32})

    def open_segment(
        self, part: Part, chunk: int | str | None = None, columns: Sequence[str] | None = None
    ) -> "xr.Dataset":
        """Return a segment of arrays lazily, in Dask chunks of `chunk` objects (see `arrays.open_segment`)."""
        return arrays.open_segment(self._arrays, str(self.pin.version), part.path, chunk, columns)

    @property
    def _arrays(self) -> arrays.ArraysAt:
        return arrays.ArraysAt(self.store, self.pin.path)

    def _segment(self, part: Part, start: int, stop: int, columns: Sequence[str] | None) -> "xr.Dataset":
        return arrays.read_segment(self._arrays, str(self.pin.version), part.path, start, stop, columns)


def _scan_arrays(source: Source, runs: Sequence[Run]) -> "pl.LazyFrame":
    """Return the 1-D variables of runs of arrays as a LazyFrame that reads just the columns a query uses."""
    from polars.io.plugins import register_io_source

    known = source.frame_schema()

    def read(
        columns: "list[str] | None", where: "pl.Expr | None", limit: int | None, _batch: int | None
    ) -> "Iterator[pl.DataFrame]":
        names = list(known) if columns is None else columns
        for run in runs:
            stop = run.stop if limit is None else min(run.stop, run.start + limit)
            data = source._segment(run.part, run.start, stop, names)  # noqa: SLF001 - a method in all but place
            limit = None if limit is None else limit - (stop - run.start)
            frame = dataset_to_frame(data.reset_coords()).select(names)
            yield frame if where is None else frame.filter(where)

    return register_io_source(read, schema=known, is_pure=True)


@lru_cache(maxsize=256)
def _chunks(source: Source, part: Part, column: str) -> Stretches:
    """Return what the chunks of a segment hold of a column without nulls; the column is read, once."""
    values = np.asarray(source.open_segment(part, None, [column])[column].values)
    starts = np.arange(0, len(values), ROW_GROUP)
    edges = np.append(starts, len(values))
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return Stretches(edges, low, high, np.zeros(len(starts), bool))


def schema_key(digest: str) -> str:
    """Return the key under which a lake keeps a schema."""
    return f"schemas/{digest}.json"


def load_schema(store: Store, digest: str) -> Schema:
    """Return a schema by the hash under which a lake keeps it."""
    try:
        text = store.get(schema_key(digest))
    except FileNotFoundError as error:
        raise _no_schema(store, digest) from error
    if hashlib.sha256(text).hexdigest() != digest:
        raise _no_schema(store, digest)
    return Schema.from_json(text)


def _no_schema(store: Store, digest: str) -> LakeFormatError:
    return LakeFormatError(
        "the file with a dataset's columns is missing or damaged",
        where=store.address(schema_key(digest)),
        hint="Restore the folder 'schemas' from a copy of the lake.",
    )


def _polars_dtype(dtype: str) -> Any:
    import polars as pl

    return {
        "float32": pl.Float32,
        "float64": pl.Float64,
        "int8": pl.Int8,
        "int16": pl.Int16,
        "int32": pl.Int32,
        "int64": pl.Int64,
        "bool": pl.Boolean,
    }.get(dtype, pl.String)
