"""Parquet files, in and out; units, UCDs and descriptions rest in the metadata of their fields."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hven
from hven import Batch, Claim, FileHead
from hven.errors import UnreadableFileError
from hven_plugins.files.array_columns import piece_rows
from hven_plugins.files.arrow_frames import arrow_pieces
from hven_plugins.files.survey_spectra import is_table_of_pixels
from hven_plugins.files.table_batch import table_batch

if TYPE_CHECKING:
    import pyarrow as pa

    from hven_plugins.files.arrow_frames import Piece

_PATTERNS = ("*.parquet", "*.parq", "*.pq")


def parquet_claim(head: FileHead) -> Claim | None:
    """Return what is said of a Parquet file, by its first bytes and its schema; None for any other file."""
    if head.start[:4] not in (b"PAR1", b"PARE"):
        return None
    try:
        names = parquet_schema(head.path).names
    except (OSError, ValueError):
        return Claim("a Parquet file", "format", "it begins with PAR1")
    if is_table_of_pixels(names):
        return Claim(
            "a spectrum, as a table of its pixels", "survey", f"the columns {', '.join(names[:4])}",
            "hven has no reader of it yet", "Leave it out, or read it as a table with --reader parquet.",
        )  # fmt: skip
    return Claim("a Parquet table", "layout", f"it begins with PAR1, and has {len(names)} columns")


@hven.reader(name="parquet", patterns=_PATTERNS, with_options_of=table_batch, claims=parquet_claim)
def parquet(path: str, **options: Any) -> Iterator[Batch]:
    """Tables in Parquet files, read in pieces; vectors stay vectors, records and maps are left out.

    Units, UCDs and descriptions come from the metadata: those of hven, of astropy, and of VOParquet.

    Parameters
    ----------
    path
        Of the file.
    **options
        Those of `table_batch`.
    """
    with hven.local_file(path) as local:
        for frame, told, notes in parquet_pieces([local], path):
            yield table_batch(frame, told, path, "", notes, **options)


def parquet_schema(path: str) -> Any:
    """Return the schema of a Parquet file in the types of Arrow.

    Raises
    ------
    OSError, ValueError
        If it is not a whole Parquet file.
    """
    from pyarrow.parquet import read_schema

    return read_schema(path)


def parquet_pieces(paths: Sequence[str], where: str, without: Collection[str] = ()) -> "Iterator[Piece]":
    """Yield the rows of Parquet files of one schema in bounded pieces.

    Parameters
    ----------
    paths
        Of the files.
    where
        The file or folder, for errors.
    without
        Columns to leave out.

    Raises
    ------
    UnreadableFileError
        If one of them is not a whole Parquet file, or has other columns than the first.
    """
    import pyarrow as pa

    try:
        schema = parquet_schema(paths[0])
        schema = pa.schema([one for one in schema if one.name not in without], schema.metadata)

        def batches(columns: Sequence[str] | None) -> "Iterator[pa.RecordBatch]":
            for path in paths:
                yield from _batches(path, columns, schema, where)

        yield from arrow_pieces(schema, batches)
    except (OSError, pa.ArrowException) as error:
        raise UnreadableFileError(
            f"the file is not a whole Parquet file: {str(error).splitlines()[0]}",
            where=where,
            hint="Fetch or copy it again.",
        ) from error


def _batches(path: str, columns: Sequence[str] | None, schema: Any, where: str) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
        meta = file.metadata
        own = file.schema_arrow
        missing = [name for name in schema.names if name not in own.names]
        if missing:
            raise UnreadableFileError(
                f"{Path(path).name} misses column {missing[0]!r}, which other files of the table have",
                where=where,
                hint="Write the table again with one schema.",
            )
        size = sum(meta.row_group(n).total_byte_size for n in range(meta.num_row_groups))
        rows = piece_rows(size, meta.num_rows)
        # By number, because two columns may have one name.
        is_all = columns is None and own.names == schema.names
        names = None if is_all else list(columns or schema.names)
        for batch in file.iter_batches(min(rows, 2**20), columns=names):
            if columns is None and batch.schema != schema and not is_all:
                yield pa.RecordBatch.from_arrays([batch.column(name) for name in schema.names], names=schema.names)
            else:
                yield batch


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
