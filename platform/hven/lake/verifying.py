"""Verifying: whether a lake holds what its catalogs say, and where it does not."""

import hashlib
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import HvenError, VersionNotFoundError
from hven.lake import arrays, chain, tables
from hven.lake.parts import SHARD, Part
from hven.lake.releases import read_releases
from hven.lake.source import Source

if TYPE_CHECKING:
    import polars as pl

    from hven.catalog import Catalog, Entry
    from hven.lake.lake import Lake


@dataclass(frozen=True)
class Fault:
    """Something that is not as the lake says.

    Attributes
    ----------
    what
        What is wrong.
    where
        The file or folder, relative to the lake.
    dataset
        The dataset, if it is one's.
    catalog
        The catalog that names it.
    objects
        Places of the first and last object of the dataset that it concerns, counted from 0; None for all.
    """

    what: str
    where: str
    dataset: str = ""
    catalog: int | None = None
    objects: tuple[int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def verify(lake: "Lake", *, is_deep: bool = False) -> list[Fault]:
    """Return what is wrong with a lake: its chain, its releases, and the datasets of this view and of all releases.

    Parameters
    ----------
    lake
        The lake, or a view of it.
    is_deep
        Whether every byte is read: digests of table files and checksums of chunks, rows, statistics, ids that repeat.
        Without it, only what is said of the data is looked at, and whether the files are there and of their size.

    Examples
    --------
    >>> import hven, polars as pl, tempfile
    >>> lake = hven.create(tempfile.mkdtemp() + "/lake")
    >>> with lake.transaction() as tx:
    ...     tx.write("stars", pl.DataFrame({"object_id": [1, 2]}))
    >>> verify(lake, is_deep=True)
    []
    """
    catalogs: dict[int, Catalog] = {}
    faults = list(_chain_faults(lake))
    wanted = {"newest": lake.number}
    for name, told in read_releases(lake.store).items():
        if told is None:
            faults.append(Fault("the file of a release is damaged", f"releases/{name}.json"))
            continue
        wanted[name] = told[0]
        text = lake.store.get_or_none(chain.catalog_key(told[0])) or b""
        if hashlib.sha256(text).hexdigest() != told[1]:
            what = f"release {name!r} names another catalog than the one that is there"
            faults.append(Fault(what, chain.catalog_key(told[0]), catalog=told[0]))
    for number in sorted(set(wanted.values()), reverse=True):
        try:
            catalogs[number] = chain.load_catalog(lake.store, number)
        except VersionNotFoundError as error:
            faults.append(Fault(error.what, chain.catalog_key(number), catalog=number))
        except HvenError:
            continue  # The chain has told of it.
    seen = set()
    for number, catalog in catalogs.items():
        for entry in catalog.entries.values():
            if (entry.pin, entry.schema) not in seen:
                seen.add((entry.pin, entry.schema))
                faults += _entry_faults(lake, entry, number, is_deep=is_deep)
    return faults


def _chain_faults(lake: "Lake") -> Iterator[Fault]:
    """Give what is wrong with the files of catalogs; one that was removed by a vacuum is none."""
    for number in range(lake.number, -1, -1):
        try:
            chain.load_commit(lake.store, number)
        except VersionNotFoundError:
            continue
        except HvenError as error:
            yield Fault(error.what, chain.catalog_key(number), catalog=number)


def _entry_faults(lake: "Lake", entry: "Entry", number: int, *, is_deep: bool) -> Iterator[Fault]:
    source = Source.of(lake.store, entry)

    def fault(what: str, where: str = entry.pin.path, objects: tuple[int, int] | None = None) -> Fault:
        return Fault(what, where, entry.name, number, objects)

    try:
        known = set(source.schema.names)
        parts = source.parts
    except (HvenError, OSError, ValueError) as error:
        yield fault(getattr(error, "what", str(error)))
        return
    missing = [name for name in source.frame_schema() if name not in known] if source.is_table else []
    if missing:
        yield fault(f"the columns {', '.join(missing)} are in the files and not in the schema")
    look = _table_faults if source.is_table else _array_faults
    yield from look(source, parts, fault, is_deep)


_Tell = Callable[..., Fault]


def _table_faults(source: Source, parts: tuple[Part, ...], fault: _Tell, is_deep: bool) -> Iterator[Fault]:
    import polars as pl

    there = source.store.ages(source.pin.path)
    told = tables.told_statistics(source.store, source.pin.path, int(source.pin.version)) if is_deep else {}
    ids, start = [], 0
    for part in parts:
        key, reach = f"{source.pin.path}/{part.path}", (start, start + part.rows - 1)
        start += part.rows
        if key not in there:
            yield fault("a file is missing", key, reach)
            continue
        if there[key][1] != part.bytes:
            yield fault(f"a file has {there[key][1]:,} bytes instead of {part.bytes:,}", key, reach)
            continue
        if not is_deep:
            continue
        content = source.store.get(key)
        digest = tables.file_digest(part.path)
        if digest and not hashlib.sha256(content).hexdigest().startswith(digest):
            yield fault("a file is damaged: it is not what was written", key, reach)
            continue
        try:
            frame = pl.read_parquet(io.BytesIO(content))
        except (pl.exceptions.PolarsError, OSError) as error:
            yield fault(f"a file cannot be read: {str(error).splitlines()[0]}", key, reach)
            continue
        if frame.height != part.rows:
            yield fault(f"a file has {frame.height:,} rows instead of {part.rows:,}", key, reach)
        for what in _false_statistics(frame, told.get(part.path, {})):
            yield fault(what, key, reach)
        if "object_id" in frame.columns:
            ids.append(frame["object_id"].to_numpy())
    yield from _repeated(ids, fault)


def _array_faults(source: Source, parts: tuple[Part, ...], fault: _Tell, is_deep: bool) -> Iterator[Fault]:
    if not is_deep:
        return
    at, snapshot = arrays.ArraysAt(source.store, source.pin.path), str(source.pin.version)
    ids, first = [], 0
    for part in parts:
        try:
            data = arrays.open_segment(at, snapshot, part.path, None)
        except HvenError as error:
            yield fault(error.what, f"{source.pin.path}, {part.path}", (first, first + part.rows - 1))
            first += part.rows
            continue
        for name, variable in data.variables.items():
            length = variable.sizes.get("object", 1)
            if "object" in variable.dims and length != part.rows:
                yield fault(
                    f"{name!r} has {length:,} objects instead of {part.rows:,}", f"{source.pin.path}, {part.path}"
                )
            for start in range(0, length, SHARD):
                stop = min(start + SHARD, length)
                chosen = data[[name]].isel(object=slice(start, stop)) if "object" in variable.dims else data[[name]]
                try:
                    with arrays.storage_errors(at), arrays.damage_named(at, part.path):
                        values = chosen.load()[name].values
                except HvenError as error:
                    reach = (first + start, first + stop - 1) if "object" in variable.dims else None
                    yield fault(f"{name!r}: {error.what}", f"{source.pin.path}, {part.path}", reach)
                    continue
                if name == "object_id":
                    ids.append(np.asarray(values))
        first += part.rows
    yield from _repeated(ids, fault)


def _repeated(ids: "list[np.ndarray[Any, Any]]", fault: _Tell) -> Iterator[Fault]:
    every = np.concatenate(ids) if ids else np.empty(0, np.int64)
    repeated = len(every) - len(np.unique(every))
    if repeated:
        yield fault(f"{repeated:,} object_id repeat")


def _false_statistics(frame: "pl.DataFrame", told: dict[str, Any]) -> Iterator[str]:
    """Give each statistic of a file that its rows do not bear out: queries pass over files by them."""
    for name in frame.columns:
        column = frame[name]
        nulls = told.get(f"null_count.{name}")
        if nulls is not None and nulls != column.null_count():
            yield f"column {name!r} has {column.null_count():,} nulls, and its statistics say {nulls:,}"
        low, high = told.get(f"min.{name}"), told.get(f"max.{name}")
        if column.dtype.is_numeric() and low is not None and high is not None and column.drop_nulls().len():
            least, most = float(column.min()), float(column.max())  # type: ignore[arg-type]
            slack = 1e-6 * max(abs(least), abs(most)) if column.dtype.is_float() else 0.0
            if (math.isfinite(least) and least < low - slack) or (math.isfinite(most) and most > high + slack):
                yield f"column {name!r} goes from {least:g} to {most:g}, and its statistics say {low:g} to {high:g}"
