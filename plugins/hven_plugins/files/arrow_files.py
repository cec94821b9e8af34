"""Arrow files: Feather, and the file and stream formats of Arrow IPC."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import hven
from hven import Batch, Claim, FileHead
from hven.errors import UnreadableFileError
from hven_plugins.files.arrow_frames import arrow_pieces
from hven_plugins.files.table_batch import table_batch

if TYPE_CHECKING:
    import pyarrow as pa

_FILE, _STREAM, _OLD = b"ARROW1", b"\xff\xff\xff\xff", b"FEA1"


def arrow_claim(head: FileHead) -> Claim | None:
    """Return what is said of an Arrow file, by its first bytes; None for any other file."""
    if head.start.startswith(_OLD):
        return Claim(
            "a Feather file of version 1", "format", "it begins with FEA1", "pyarrow reads version 2",
            "Read it with an old pandas, and write Parquet.",
        )  # fmt: skip
    if head.start.startswith(_FILE):
        return Claim("an Arrow table (Feather)", "layout", "it begins with ARROW1")
    if head.start.startswith(_STREAM) and arrow.matches(head.path):
        return Claim("a stream of Arrow", "layout", "its first message, and its name")
    return None


@hven.reader(
    name="arrow",
    patterns=("*.arrow", "*.feather", "*.ipc", "*.arrows"),
    with_options_of=table_batch,
    claims=arrow_claim,
)
def arrow(path: str, **options: Any) -> Iterator[Batch]:
    """Tables in Arrow files (Feather, IPC), read in pieces; vectors stay vectors, records and maps are left out.

    Parameters
    ----------
    path
        Of the file.
    **options
        Those of `table_batch`.
    """
    import pyarrow as pa

    with hven.local_file(path) as local:

        def batches(columns: Sequence[str] | None) -> "Iterator[pa.RecordBatch]":
            for batch in _read(local):
                yield batch if columns is None else batch.select(list(columns))

        try:
            for frame, told, notes in arrow_pieces(_schema(local), batches):
                yield table_batch(frame, told, path, "", notes, **options)
        except (OSError, pa.ArrowException) as error:
            raise UnreadableFileError(
                f"the file is not a whole Arrow file: {str(error).splitlines()[0]}",
                where=path,
                hint="Fetch or copy it again.",
            ) from error


def _schema(path: str) -> "pa.Schema":
    import pyarrow as pa

    with pa.OSFile(path) as file:
        return pa.ipc.open_file(file).schema if _is_file(path) else pa.ipc.open_stream(file).schema


def _read(path: str) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    with pa.OSFile(path) as file:
        if _is_file(path):
            held = pa.ipc.open_file(file)
            for number in range(held.num_record_batches):
                yield held.get_batch(number)
        else:
            yield from pa.ipc.open_stream(file)


def _is_file(path: str) -> bool:
    with open(path, "rb") as file:  # noqa: PTH123 - the first bytes alone
        return file.read(6) == _FILE
