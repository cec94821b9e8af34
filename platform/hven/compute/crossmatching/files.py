"""Files of others: Parquet with positions, and HATS catalogs, found in a folder or an object store."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hven.compute.crossmatching.rows import PLACE, ParquetRows
from hven.errors import DataRefusedError, UnreadableFileError
from hven.lake import Part
from hven.lake.store import Store

if TYPE_CHECKING:
    import polars as pl

_PIXEL = re.compile(r"(?:^|/)Norder=(\d+)/Dir=\d+/Npix=(\d+)(?:\.parquet$|/.*\.parquet$)")
_PROPERTIES = ("hats.properties", "properties")
_COLLECTION = "collection.properties"
_BATCH = 500_000


@dataclass(frozen=True)
class Hats:
    """A HATS catalog: its partitions, and which columns say where an object is.

    Attributes
    ----------
    rows
        The partitions.
    ra, dec
        The columns of the position.
    """

    rows: ParquetRows
    ra: str
    dec: str


def find_hats(address: str) -> Hats | None:
    """Return the HATS catalog in a folder (the primary one of a collection), or None when it is none.

    Raises
    ------
    UnreadableFileError
        If its properties are there, and its partitions are not.
    """
    store = Store.at(address)
    collection = store.get_or_none(_COLLECTION)
    if collection is not None:
        primary = _properties(collection).get("hats_primary_table_url", "")
        return find_hats(store.address(primary)) if primary else None
    told = next((text for key in _PROPERTIES if (text := store.get_or_none(key)) is not None), None)
    if told is None:
        return None
    properties = _properties(told)
    keys = [(key, match) for key in store.list("dataset") if (match := _PIXEL.search(key))]
    if not keys:
        raise UnreadableFileError(
            "the HATS catalog has no partitions",
            where=store.url,
            expected="dataset/Norder=*/Dir=*/Npix=*.parquet",
            hint="Fetch the whole catalog, or correct the folder.",
        )
    found = sorted((_reach(int(match[1]), int(match[2])), store.address(key)) for key, match in keys)
    parts = tuple(Part(address, address, -1, healpix=reach) for reach, address in found)
    rows = ParquetRows(tuple(address for _, address in found), parts)
    if PLACE not in rows.schema():
        raise UnreadableFileError(
            f"the HATS catalog has no column {PLACE!r}",
            where=store.url,
            hint="Import it again with a newer hats-import, which adds it; or give its Parquet files as a list.",
        )
    return Hats(rows, properties.get("hats_col_ra", "ra"), properties.get("hats_col_dec", "dec"))


def find_parquet(source: "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]") -> tuple[str, ...]:
    """Return the addresses of Parquet files: one file, a list of files, or all in a folder and below.

    Of a Delta table, the files that its log names. Hidden files, and those that other programs left, are none of them.

    Raises
    ------
    UnreadableFileError
        If there are none, or a Delta table marks rows of its files as deleted.
    """
    if not isinstance(source, str | os.PathLike):
        return tuple(address for one in source for address in find_parquet(one))
    store = Store.at(source)
    if store.url.endswith((".parquet", ".parq", ".pq")) and (store.local_path is None or store.local_path.is_file()):
        return (store.url,)
    if store.get_or_none("_delta_log/00000000000000000000.json") is not None or _is_delta(store):
        return _delta_files(store)
    try:
        found = [key for key in store.list("") if key.endswith((".parquet", ".parq", ".pq"))]
    except FileNotFoundError:
        found = []
    keys = [key for key in found if not any(part.startswith((".", "_")) for part in key.split("/"))]
    if not keys:
        raise UnreadableFileError(
            "there is no Parquet file and no HATS catalog",
            where=store.url,
            expected="a Parquet file, a folder of them, or a HATS catalog",
            hint="Correct the path.",
        )
    return tuple(store.address(key) for key in keys)


def _is_delta(store: Store) -> bool:
    """Whether a local folder has a Delta log, of which the first entry may be gone."""
    return store.local_path is not None and (store.local_path / "_delta_log").is_dir()


def _delta_files(store: Store) -> tuple[str, ...]:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    if store.local_path is None:
        raise UnreadableFileError(
            "it is a Delta table in an object store", where=store.url, hint="Ingest it, and match the dataset."
        )
    try:
        table = DeltaTable(str(store.local_path))
        if "deletionVectors" in (table.protocol().reader_features or ()):
            raise UnreadableFileError(
                "the Delta table marks rows as deleted (deletion vectors)",
                where=store.url,
                hint="Rewrite it without deletion vectors (REORG TABLE ... APPLY (PURGE)).",
            )
        return tuple(sorted(table.file_uris()))
    except DeltaError as error:
        raise UnreadableFileError(
            f"the Delta table cannot be read: {str(error).splitlines()[0]}", where=store.url, hint="Copy it whole."
        ) from error


def scan_files(addresses: Sequence[str]) -> "pl.LazyFrame":
    """Return the rows of Parquet files.

    Raises
    ------
    UnreadableFileError
        If the first is none.
    """
    import polars as pl

    lazy = pl.scan_parquet(list(addresses), glob=False, hive_partitioning=False)
    try:
        lazy.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UnreadableFileError(
            f"it is no Parquet file: {str(error).splitlines()[0]}", where=addresses[0], hint="Correct the path."
        ) from error
    return lazy


def batches(lazy: "pl.LazyFrame", columns: Sequence[str]) -> "Iterator[pl.DataFrame]":
    """Give the rows of a LazyFrame in frames of some hundred thousand, in order.

    Raises
    ------
    DataRefusedError
        If they cannot be read.
    """
    import polars as pl

    held: list[pl.DataFrame] = []
    try:
        for batch in lazy.select(columns).collect_batches(maintain_order=True, chunk_size=_BATCH):
            held.append(batch)
            if sum(frame.height for frame in held) >= _BATCH:
                yield pl.concat(held)
                held = []
    except pl.exceptions.PolarsError as error:
        raise DataRefusedError(
            f"the rows cannot be read: {str(error).splitlines()[0]}", hint="Correct the query or the files."
        ) from error
    if held:
        yield pl.concat(held)


def _properties(text: bytes) -> dict[str, str]:
    lines = [line.split("=", 1) for line in text.decode().splitlines() if "=" in line and not line.startswith("#")]
    return {key.strip(): value.strip() for key, value in lines}


def _reach(order: int, pixel: int) -> tuple[int, int]:
    shift = 2 * (29 - order)
    return pixel << shift, ((pixel + 1) << shift) - 1
