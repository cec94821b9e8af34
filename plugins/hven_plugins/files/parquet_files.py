"""Parquet files, in and out; units, UCDs and descriptions rest in the metadata of their fields."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hven
from hven import Batch, Column
from hven.errors import UnreadableFileError
from hven_plugins.files.table_batch import table_batch

_PATTERNS = ("*.parquet", "*.parq", "*.pq")


@hven.reader(name="parquet", patterns=_PATTERNS, with_options_of=table_batch)
def parquet(path: str, **options: Any) -> Iterator[Batch]:
    """Tables in Parquet files; columns of lists and records are left out, which the ingest tells.

    Parameters
    ----------
    path
        Of the file.
    **options
        Those of `table_batch`.
    """
    import polars as pl
    import pyarrow as pa
    from pyarrow.parquet import read_schema

    try:
        frame = pl.read_parquet(path, glob=False, hive_partitioning=False)
        told = [_described(field) for field in read_schema(path)]
    except (OSError, pl.exceptions.PolarsError, pa.ArrowException) as error:
        raise UnreadableFileError(
            f"the file is not a whole Parquet file: {str(error).splitlines()[0]}",
            where=path,
            hint="Fetch or copy it again.",
        ) from error
    yield table_batch(frame, told, path, **options)


@hven.exporter(name="parquet", patterns=_PATTERNS)
def write_parquet(
    data: Any,
    path: str | Path,
    *,
    units: dict[str, str] | None = None,
    descriptions: dict[str, str] | None = None,
    ucds: dict[str, str] | None = None,
) -> None:
    """Parquet, with units, UCDs and descriptions in the metadata of the fields.

    Parameters
    ----------
    data
        A Polars frame.
    path
        Of the file.
    units
        By column; the dataset's when not given.
    descriptions
        By column; the dataset's when not given.
    ucds
        By column; the dataset's when not given.
    """
    from pyarrow.parquet import write_table

    table = data.to_arrow()
    texts: dict[str, Mapping[str, str]] = {"unit": units or {}, "description": descriptions or {}, "ucd": ucds or {}}
    for index, name in enumerate(table.column_names):
        told = {key: by_name[name] for key, by_name in texts.items() if by_name.get(name)}
        table = table.set_column(index, table.field(index).with_metadata(told), table.column(index))
    write_table(table, path, compression="zstd")


def _described(field: Any) -> Column:
    told = {key.decode(): text.decode(errors="replace") for key, text in (field.metadata or {}).items()}
    return Column(field.name, "", ("object",), told.get("unit", ""), told.get("description", ""), told.get("ucd", ""))
