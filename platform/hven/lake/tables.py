"""Tables: Delta Lake (delta-rs) for versions, Parquet files of our own cut for rows, Polars for asking.

A table is written from its *pinned* version: what crashed or losing writers left behind is put aside by restoring the
pinned version first, so that nobody's uncommitted rows ever become visible.
"""

import hashlib
import io
import json
import math
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import ConflictError, DataRefusedError, LakeFormatError
from hven.lake.parts import HIDDEN, ROW_GROUP, Part, Run, Stretches
from hven.lake.store import Store, storage_error

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable
    from numpy.typing import NDArray

_ROWS_A_FILE = 64 * ROW_GROUP
_HEALPIX = "_healpix_29"
_FOOTER = 128 * 1024
_DIGITS = 32
"""Hexadecimal digits of a file's digest that stand in its name: 128 bits."""
_ASKED_FOR = frozenset({_HEALPIX, "object_id", "source_id", "ra", "dec"})
_WITH_REACH = 32
_CONFIGURATION = {
    "delta.enableExpiredLogCleanup": "false",
    # Statistics of every column; without this, delta-rs reads those of the first 32 only.
    "delta.dataSkippingNumIndexedCols": "-1",
}


@dataclass(frozen=True)
class WrittenPart:
    """A Parquet file that is written, and that no table refers to yet. Small; travels from workers.

    Attributes
    ----------
    path
        Relative to the table.
    rows, bytes
        Its size.
    stats
        Delta's statistics, as JSON text.
    """

    path: str
    rows: int
    bytes: int
    stats: str


def write_part(store: Store, table: str, segment: str, key: str, frame: "pl.DataFrame") -> WrittenPart:
    """Write one Parquet file of a table, under a name of its own for each attempt, and return what it is.

    Parameters
    ----------
    store, table
        The lake's store, and the table's key in it.
    segment
        The segment that the file belongs to.
    key
        Orders the file within its segment.
    frame
        Its rows, as `tableable` returned them.
    """
    buffer = io.BytesIO()
    frame.write_parquet(buffer, row_group_size=ROW_GROUP, compression="zstd", compression_level=1, statistics=True)
    content = buffer.getbuffer()  # Not getvalue: a copy of a large file is much memory.
    # The name says what is in it, so that a file which has changed is found (`file_digest`).
    path = f"{segment}/{key}-{uuid.uuid4().hex[:12]}.{hashlib.sha256(content).hexdigest()[:_DIGITS]}.parquet"
    store.put(f"{table}/{path}", content)
    return WrittenPart(path, frame.height, len(content), json.dumps(_statistics(frame), allow_nan=False))


def file_digest(path: str) -> str:
    """Return the beginning of the SHA-256 of a file of a table, which its name says; empty when an older hven wrote it.

    Examples
    --------
    >>> file_digest("segment-00000000-1a2b3c4d/part-00000-0123456789ab.00112233445566778899aabbccddeeff.parquet")
    '00112233445566778899aabbccddeeff'
    """
    stem = path.rsplit("/", 1)[-1].removesuffix(".parquet").rsplit("-", 1)[-1]
    digest = stem.partition(".")[2]
    return digest if len(digest) == _DIGITS else ""


def write_parts(store: Store, table: str, segment: str, frame: "pl.DataFrame") -> list[WrittenPart]:
    """Write a frame as the files of one segment, in its order."""
    starts = range(0, max(frame.height, 1), _ROWS_A_FILE)
    return [
        write_part(store, table, segment, f"part-{index:05d}", frame.slice(start, _ROWS_A_FILE))
        for index, start in enumerate(starts)
    ]


def new_segment(number: int) -> str:
    """Return the name of a new segment; segments sort in the order in which they came."""
    return f"segment-{number:08d}-{uuid.uuid4().hex[:8]}"


def tableable(frame: "pl.DataFrame", where: str) -> "pl.DataFrame":
    """Return `frame` with the types that tables keep: NaN as null, no unsigned integers, no categories.

    Raises
    ------
    DataRefusedError
        For column types that tables do not keep, naming the column.
    """
    import polars as pl

    smaller: dict[Any, Any] = {pl.UInt8: pl.Int16, pl.UInt16: pl.Int32, pl.UInt32: pl.Int64, pl.UInt64: pl.Int64}
    kept = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Float32, pl.Float64, pl.Boolean, pl.String)
    columns = []
    for series in frame.iter_columns():
        dtype = series.dtype
        if dtype.is_float():
            columns.append(series.fill_nan(None) if series.is_nan().any() else series)
        elif type(dtype) in smaller or dtype in smaller:
            try:
                columns.append(series.cast(smaller[type(dtype)]))
            except pl.exceptions.InvalidOperationError as error:
                raise DataRefusedError(
                    f"column {series.name!r} has unsigned integers above 2^63 - 1",
                    where=where,
                    hint="Tables keep signed 64-bit integers: cast to text, or to another numbering.",
                ) from error
        elif dtype in (pl.Categorical, pl.Enum) or isinstance(dtype, pl.Categorical | pl.Enum):
            columns.append(series.cast(pl.String))
        elif dtype in kept:
            columns.append(series)
        else:
            raise DataRefusedError(
                f"column {series.name!r} has type {dtype}",
                where=where,
                expected="numbers, true/false or text",
                hint="Cast the column (dates to MJD or ISO text, vectors to arrays), or leave it out.",
            )
    return pl.DataFrame(columns)


def create_table(store: Store, table: str, frame: "pl.DataFrame", parts: Sequence[WrittenPart]) -> int:
    """Create a Delta table of files that are written, with the columns of `frame`, and return its version."""
    import polars as pl
    from deltalake import Schema
    from deltalake.transaction import create_table_with_add_actions

    with _told(store, table):
        create_table_with_add_actions(
            store.address(table),
            Schema.from_arrow(pl.DataFrame(schema=frame.schema).to_arrow().schema),
            [_add(part) for part in parts],
            mode="error",
            configuration=_CONFIGURATION,
            storage_options=dict(store.options),
            commit_properties=_once(),
            post_commithook_properties=_quiet(),
        )
    return 0


def settle_table(store: Store, table: str, frame: "pl.DataFrame", parts: Sequence[WrittenPart]) -> int:
    """Make a Delta table hold exactly these files, whatever an earlier attempt left there, and return its version.

    For the tables of runs, which nobody else writes: a run that was killed between this and its commit does it again.
    """
    from deltalake import DeltaTable

    with _told(store, table):
        if not DeltaTable.is_deltatable(store.address(table), storage_options=dict(store.options) or None):
            return create_table(store, table, frame, parts)
        version = _open(store, table).version()
    there, wanted = table_parts(store, table, version), {part.path for part in parts}
    add = [part for part in parts if part.path not in {known.path for known in there}]
    remove = [known for known in there if known.path not in wanted]
    return change_table(store, table, version, add, remove) if add or remove else version


def renew_table(store: Store, table: str, pinned: int, parts: Sequence[WrittenPart], kept: Collection[str]) -> int:
    """Make a Delta table hold these new files and, of the pinned version, only those `kept`; return the version to pin.

    Raises
    ------
    ConflictError
        If a file that was to be kept is not in the pinned version.
    """
    there = {known.path: known for known in table_parts(store, table, pinned)}
    lost = [path for path in kept if path not in there]
    if lost:
        raise ConflictError(
            f"{len(lost):,} files of the result that was to be updated are gone: somebody changed it meanwhile",
            where=store.address(table),
            hint="Nothing of this run was published. Run it again.",
        )
    wanted = {*kept, *(part.path for part in parts)}
    add = [part for part in parts if part.path not in there]
    remove = [known for path, known in there.items() if path not in wanted]
    return change_table(store, table, pinned, add, remove) if add or remove else pinned


def change_table(store: Store, table: str, pinned: int, add: Sequence[WrittenPart], remove: Sequence[Part] = ()) -> int:
    """Add and remove files in one Delta commit on top of the pinned version, and return the new version to pin.

    Raises
    ------
    ConflictError
        If another writer got in between.
    """
    from deltalake.transaction import RemoveAction

    with _told(store, table):
        live = _open(store, table)
        if live.version() != pinned:
            live.restore(pinned, commit_properties=_once(), post_commithook_properties=_quiet())
            live = _open(store, table)
        now = int(time.time() * 1000)
        gone = [RemoveAction(part.path, True, now, part.bytes, {}) for part in remove]
        base = live.version()
        live.create_write_transaction(
            [*gone, *(_add(part) for part in add)],
            "append",
            live.schema(),
            commit_properties=_once(),
            post_commithook_properties=_quiet(),
        )
        return base + 1


def vacuum_table(store: Store, table: str, versions: Sequence[int], hours: int, *, dry_run: bool) -> list[str]:
    """Remove files older than `hours` that none of these versions needs (strays among them), and return their paths."""
    with _told(store, table):
        live = _open(store, table)
        return live.vacuum(
            hours,
            dry_run=dry_run,
            enforce_retention_duration=False,
            keep_versions=list(versions),
            full=True,
            commit_properties=_once(),
            post_commithook_properties=_quiet(),
        )


@lru_cache(maxsize=1024)
def table_parts(store: Store, table: str, version: int) -> tuple[Part, ...]:
    """Return the files of a pinned version, in the order of the dataset: segments as they came."""
    actions = _actions(store, table, version)
    low, high = f"min.{_HEALPIX}", f"max.{_HEALPIX}"
    parts = []
    wanted = ("path", "num_records", "size_bytes", low, high, f"null_count.{_HEALPIX}")
    for row in actions.select(name for name in wanted if name in actions.columns).iter_rows(named=True):
        is_placed = row.get(low) is not None and row.get(high) is not None and not row.get(f"null_count.{_HEALPIX}")
        reach = (row[low], row[high]) if is_placed else None
        segment = row["path"].split("/")[0]
        rows, size = row.get("num_records"), row["size_bytes"]
        if rows is None:
            rows = _footer(store, f"{table}/{row['path']}", size).num_rows
        parts.append(Part(row["path"], segment, rows, size, ROW_GROUP, reach))
    return tuple(sorted(parts, key=lambda part: part.path))


def null_columns(store: Store, table: str, version: int) -> frozenset[str]:
    """Return the columns that may have nulls in a pinned version: all but those whose statistics say that they do not.

    Tables of other writers, and wide ones of older lakes, have no statistics of some columns: these may have nulls.
    """
    actions = _actions(store, table, version)
    known = (name for name in table_columns(store, table, version) if f"null_count.{name}" in actions.columns)
    whole = {name for name in known if not actions[f"null_count.{name}"].fill_null(1).sum()}
    return frozenset(table_columns(store, table, version)) - whole if actions.height else frozenset()


def told_statistics(store: Store, table: str, version: int) -> dict[str, dict[str, Any]]:
    """Return path -> what the log of a pinned version says of each file, by names such as ``min.ra``."""
    return {row["path"]: row for row in _actions(store, table, version).iter_rows(named=True)}


def _actions(store: Store, table: str, version: int) -> "pl.DataFrame":
    return _log(store, table, version)[0]


@lru_cache(maxsize=256)
def _log(store: Store, table: str, version: int) -> "tuple[pl.DataFrame, pl.Schema]":
    """Return the files of a pinned version with their statistics, and its columns; the log is read once for both."""
    import polars as pl

    with _told(store, table):
        live = _open(store, table, version)
        _check_entry(store, table, version)
        empty: Any = pl.DataFrame(pl.from_arrow(_arrow_empty(live)))
        return pl.DataFrame(live.get_add_actions(flatten=True)), pl.Schema(empty.schema)


def _check_entry(store: Store, table: str, version: int) -> None:
    """Refuse an entry of the log that is empty: delta-rs takes it for the version before."""
    key = f"{table}/_delta_log/{version:020d}.json"
    text = store.get_or_none(key)  # There is none when a checkpoint stands for it.
    if text is not None and not text.strip():
        raise LakeFormatError(
            "an entry of the log of a table is empty",
            where=store.address(key),
            hint="Restore the file from a copy of the lake, or go back with 'hven restore' to a state that is whole.",
        )


def scan_parts(
    store: Store, table: str, parts: Sequence[Part], columns: "pl.Schema", most: int | None = None
) -> "pl.LazyFrame":
    """Return a LazyFrame over files of a table, in order (its first `most` rows); of no files, an empty one."""
    import polars as pl

    if not parts:
        return pl.LazyFrame(schema=columns)
    paths = [store.address(f"{table}/{part.path}") for part in parts]
    # The columns are known, so that no footer is read to plan a query. Files may have more of them (`HIDDEN`).
    return pl.scan_parquet(
        paths,
        glob=False,
        n_rows=most,
        schema=columns,
        extra_columns="ignore",
        storage_options=dict(store.options) or None,
    )


def scan_whole(store: Store, table: str, parts: Sequence[Part], columns: Sequence[str]) -> "pl.LazyFrame":
    """Return a LazyFrame over files of a table, in order, with what no schema names (`HIDDEN`) when any file has it."""
    import polars as pl

    options = dict(store.options) or None
    scans = [pl.scan_parquet(store.address(f"{table}/{p.path}"), glob=False, storage_options=options) for p in parts]
    there = [scan.collect_schema().names() for scan in scans]
    hidden = [name for name in HIDDEN if any(name in names for names in there)]
    nothing = {name: pl.lit(None, dtype=getattr(pl, HIDDEN[name])).alias(name) for name in hidden}
    return pl.concat(
        [
            scan.select([*columns, *(name if name in names else nothing[name] for name in hidden)])
            for scan, names in zip(scans, there, strict=True)
        ]
    )


def scan_runs(store: Store, table: str, runs: Sequence[Run], columns: "pl.Schema") -> "pl.LazyFrame":
    """Return a LazyFrame over rows of files of a table, in order; row groups without any of them are not read."""
    import polars as pl

    scans = []
    for is_whole, group in groupby(runs, lambda run: run.is_whole):
        if is_whole:
            scans.append(scan_parts(store, table, [run.part for run in group], columns))
        else:
            # Each scan ends with its run. Scans of one file that are equal but for the slice would be shared: Polars
            # reads such a file whole, once, and cuts it afterwards.
            for run in group:
                end = run.start + run.rows
                scans.append(scan_parts(store, table, [run.part], columns, end).slice(run.start, run.rows))
    if not scans:
        return scan_parts(store, table, (), columns)
    return scans[0] if len(scans) == 1 else pl.concat(scans)


@lru_cache(maxsize=4096)
def row_groups(store: Store, table: str, part: Part, column: str) -> Stretches:
    """Return what the row groups of a file hold of a column, as its footer tells; only the footer is read."""
    footer = _footer(store, f"{table}/{part.path}", part.bytes)
    place = footer.schema.names.index(column)
    count = footer.num_row_groups
    starts = np.zeros(count + 1, np.int64)
    low, high, is_open = np.zeros(count, np.int64), np.zeros(count, np.int64), np.ones(count, bool)
    for index in range(count):
        group = footer.row_group(index)
        starts[index + 1] = starts[index] + group.num_rows
        told = group.column(place).statistics
        if told is not None and told.has_min_max and told.has_null_count and isinstance(told.min, int):
            low[index], high[index], is_open[index] = told.min, told.max, told.null_count > 0
    return Stretches(starts, low, high, is_open)


def _footer(store: Store, key: str, size: int) -> Any:
    import pyarrow.parquet as pq

    # A file ends with its footer, the footer's length in four bytes, and four letters.
    tail = store.get_range(key, max(size - _FOOTER, 0), size)
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length > len(tail):
        tail = store.get_range(key, max(size - length, 0), size)
    return pq.read_metadata(io.BytesIO(tail))


def read_rows(
    store: Store, table: str, part: Part, start: int, stop: int, columns: Sequence[str] | None = None
) -> "pl.DataFrame":
    """Return rows of one file in memory; only the row groups and columns that are needed are read."""
    import polars as pl

    lazy = pl.scan_parquet(
        store.address(f"{table}/{part.path}"), glob=False, storage_options=dict(store.options) or None
    ).slice(start, stop - start)
    try:
        return (lazy if columns is None else lazy.select(columns)).collect()
    except (OSError, pl.exceptions.ComputeError) as error:
        raise storage_error(error, store.address(f"{table}/{part.path}")) from error


def read_hidden(store: Store, table: str, part: Part, name: str) -> "pl.DataFrame":
    """Return ``object_id`` and a column that no schema names (`HIDDEN`) of one file, null where the file has none."""
    import polars as pl

    address = store.address(f"{table}/{part.path}")
    lazy = pl.scan_parquet(address, glob=False, storage_options=dict(store.options) or None)
    there = lazy.collect_schema()
    types = {"object_id": pl.Int64, name: getattr(pl, HIDDEN[name])}
    return lazy.select(
        (pl.col(column) if column in there else pl.lit(None)).cast(dtype).alias(column)
        for column, dtype in types.items()
    ).collect()


def pick_rows(store: Store, table: str, part: Part, at: "NDArray[np.int64]", columns: Sequence[str]) -> "pl.DataFrame":
    """Return rows `at` (m, ascending) of one file in memory; only row groups that hold some of them are read."""
    groups = np.unique(at // ROW_GROUP)
    breaks = np.flatnonzero(np.diff(groups) > 1) + 1
    import polars as pl

    pieces = []
    for some in np.split(groups, breaks):
        start, stop = int(some[0]) * ROW_GROUP, min((int(some[-1]) + 1) * ROW_GROUP, part.rows)
        mine = at[np.searchsorted(at, start) : np.searchsorted(at, stop)]
        pieces.append(read_rows(store, table, part, start, stop, columns)[mine - start])
    return pl.concat(pieces)


def table_columns(store: Store, table: str, version: int) -> "pl.Schema":
    """Return the columns of a pinned version with their Polars types."""
    return _log(store, table, version)[1]


def _arrow_empty(table: "DeltaTable") -> Any:
    import pyarrow as pa

    return pa.schema(table.schema().to_arrow()).empty_table()


def _open(store: Store, table: str, version: int | None = None) -> "DeltaTable":
    from deltalake import DeltaTable

    return DeltaTable(store.address(table), version=version, storage_options=dict(store.options) or None)


def _add(part: WrittenPart) -> Any:
    from deltalake.transaction import AddAction

    return AddAction(part.path, part.bytes, {}, int(time.time() * 1000), True, part.stats)


def _once() -> Any:
    from deltalake import CommitProperties

    return CommitProperties(max_commit_retries=0)


def _quiet() -> Any:
    from deltalake import PostCommitHookProperties

    return PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)


def _statistics(frame: "pl.DataFrame") -> dict[str, Any]:
    """Return Delta's statistics of a file: counts of every column, and the reach of numbers as far as it is finite.

    Most columns of wide tables have no reach here: reading the log would take long, and row groups have it too. JSON
    knows no infinity, and one makes delta-rs drop the statistics of the whole file: what has no bound claims nothing.
    """
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    columns = [series for series in frame.iter_columns() if series.name not in HIDDEN]
    for place, series in enumerate(columns):
        if series.dtype.is_numeric() and (place < _WITH_REACH or series.name in _ASKED_FOR):
            for reach, bound in ((low, series.min()), (high, series.max())):
                if isinstance(bound, int | float) and math.isfinite(bound):
                    reach[series.name] = bound
    nulls = {series.name: series.null_count() for series in columns}
    return {"numRecords": frame.height, "minValues": low, "maxValues": high, "nullCount": nulls}


def _check_access(store: Store, table: str) -> None:
    """Raise `StorageError` when a folder of a local table is there and may not be read: delta-rs finds it missing."""
    if store.local_path is not None:
        log = store.local_path / table / "_delta_log"
        try:
            next(iter(log.iterdir()), None)
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(error, str(log)) from error


@contextmanager
def _told(store: Store, table: str) -> Iterator[None]:
    from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

    try:
        yield
    except CommitFailedError as error:
        raise ConflictError(
            "another writer changed the table at the same moment",
            where=store.address(table),
            hint="Nothing of this change was published. Do it again.",
        ) from error
    except TableNotFoundError as error:
        _check_access(store, table)
        raise LakeFormatError(
            "the files of a table are missing",
            where=store.address(table),
            hint="Restore them from a copy of the lake, or drop the dataset: hven drop NAME.",
        ) from error
    except (DeltaError, OSError) as error:
        raise storage_error(error, store.address(table)) from error
