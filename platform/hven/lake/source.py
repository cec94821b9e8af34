"""A source: one pinned dataset as workers see it, small enough to travel, reading only what is asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.catalog import Pin
from hven.errors import LakeFormatError
from hven.lake import arrays, tables
from hven.lake.parts import Block, Part, cut_blocks
from hven.lake.store import Store
from hven.schema import Schema, dataset_to_frame

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr


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
        """Files or segments, in the dataset's order."""
        if self.is_table:
            return tables.table_parts(self.store, self.pin.path, int(self.pin.version))
        return arrays.array_parts(self._arrays, str(self.pin.version))

    @property
    def rows(self) -> int:
        """How many objects it has."""
        return sum(part.rows for part in self.parts)

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
        return _scan_arrays(self, chosen)

    def read(self, block: Block, columns: Sequence[str] | None = None) -> "pl.DataFrame | xr.Dataset":
        """Return one block in memory: a frame of a table, a Dataset of arrays."""
        if self.is_table:
            return tables.read_rows(self.store, self.pin.path, block.part, block.start, block.stop, columns)
        return self._segment(block.part, block.start, block.stop, columns)

    def read_frame(self, block: Block, columns: Sequence[str]) -> "pl.DataFrame":
        """Return 1-D columns of one block as a frame, whichever engine keeps them."""
        import polars as pl

        data = self.read(block, columns)
        return data if isinstance(data, pl.DataFrame) else dataset_to_frame(data)

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


def _scan_arrays(source: Source, parts: Sequence[Part]) -> "pl.LazyFrame":
    """Return the 1-D variables over ``object`` as a LazyFrame that reads just what a query uses."""
    from polars.io.plugins import register_io_source

    known = source.frame_schema()

    def read(
        columns: "list[str] | None", where: "pl.Expr | None", _limit: int | None, _batch: int | None
    ) -> "Iterator[pl.DataFrame]":
        for part in parts:
            data = source.open_segment(part, None, columns if columns is not None else list(known))
            frame = dataset_to_frame(data.reset_coords().load()).select(columns if columns is not None else list(known))
            yield frame if where is None else frame.filter(where)

    return register_io_source(read, schema=known, is_pure=True)


def schema_key(digest: str) -> str:
    """Return the key under which a lake keeps a schema."""
    return f"schemas/{digest}.json"


def load_schema(store: Store, digest: str) -> Schema:
    """Return a schema by the hash under which a lake keeps it."""
    try:
        return Schema.from_json(store.get(schema_key(digest)))
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise LakeFormatError(
            "the file with a dataset's columns is missing or damaged",
            where=store.address(schema_key(digest)),
            hint="Restore the folder 'schemas' from a copy of the lake.",
        ) from error


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


def positions_of(ids: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return where each of `wanted` (m) stands in `ids` (n, unique), -1 where it does not.

    Examples
    --------
    >>> positions_of(np.array([30, 10, 20]), np.array([10, 99, 30])).tolist()
    [1, -1, 0]
    """
    if len(ids) == 0:
        return np.full(len(wanted), -1)
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    found = order[place]
    return np.where(ids[found] == wanted, found, -1)
