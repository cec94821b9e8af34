"""Tables in NPY and NPZ files: structured arrays, and arrays of one number of rows as columns."""

import zipfile
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

import hven
from hven import Batch, Column
from hven.errors import UnreadableFileError
from hven_plugins.files.array_columns import array_pieces
from hven_plugins.files.image_batch import unreadable
from hven_plugins.files.numpy_layout import array_headers, numpy_table_claim, table_columns
from hven_plugins.files.table_batch import table_batch


@hven.reader(name="numpy_table", patterns=("*.npz", "*.npy"), with_options_of=table_batch, claims=numpy_table_claim)
def numpy_table(path: str, **options: Any) -> Iterator[Batch]:
    """Tables in NPY and NPZ files: a structured array, or named arrays with one number of rows.

    Arrays of two and more dimensions beside others are columns of vectors. Arrays of Python objects are not read.

    Parameters
    ----------
    path
        Of the file.
    **options
        Those of `table_batch`.
    """
    try:
        with hven.local_file(path) as local:
            headers = array_headers(local)
            names = table_columns(headers)
            if not names:
                shapes = ", ".join(f"{name or 'one array'} {one.shape}" for name, one in headers.items())
                raise UnreadableFileError(
                    f"the arrays are no columns of one table: {shapes or 'there is none'}",
                    where=path,
                    expected="a structured array, or arrays of one number of rows with a name each",
                    hint="If they are images, name the reader numpy_images; else save them as columns of one length.",
                )
            rows = next(iter(names.values())).shape[0]
            size = sum(prod(one.shape) * one.dtype.itemsize for one in names.values())
            held = {} if "" in names else _arrays(local, list(names))

            def read(piece: slice) -> "dict[str, np.ndarray[Any, Any]]":
                # What was mapped stays in memory, so a large array is mapped anew for each piece.
                return {name: array[piece] for name, array in (held or _arrays(local, list(names))).items()}

            for frame, notes in array_pieces(read, rows, size):
                told = [Column(name, "", ("object",)) for name in frame.columns]
                yield table_batch(frame, told, path, "", notes, **options)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError, SyntaxError) as error:
        if isinstance(error, hven.HvenError):
            raise
        raise unreadable("the file is not a whole NumPy file of plain arrays", path, error) from error


def _arrays(path: str, names: list[str]) -> dict[str, "np.ndarray[Any, Any]"]:
    """Return the columns; one structured array gives its fields."""
    held = np.load(path, mmap_mode="r", allow_pickle=False)
    arrays = {"": held} if isinstance(held, np.ndarray) else {name: held[name] for name in names}
    if len(arrays) == 1 and (only := next(iter(arrays.values()))).dtype.names:
        return {name: only[name] for name in only.dtype.names}
    return arrays
