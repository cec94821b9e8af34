"""Arrays of NumPy as columns of a table: single values, vectors, complex numbers, texts, and what is left out."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hven import Note
from hven_plugins.files.astropy_tables import series_of

if TYPE_CHECKING:
    import polars as pl

BATCH_BYTES = 2**26
"""How much of a file is in memory at a time."""


def array_pieces(
    read: Callable[[slice], Mapping[str, NDArray[Any]]], rows: int, nbytes: int
) -> "Iterator[tuple[pl.DataFrame, list[Note]]]":
    """Yield the rows of a table in bounded pieces, with columns of one type in all of them; notes come with the first.

    Parameters
    ----------
    read
        A function that gives the columns of a slice of rows.
    rows
        How many there are.
    nbytes
        How large the table is.

    Examples
    --------
    >>> [frame.height for frame, _ in array_pieces(lambda rows: {"n": np.arange(5)[rows]}, 5, 40)]
    [5]
    """
    step = piece_rows(nbytes, rows)
    pieces = [slice(start, start + step) for start in range(0, max(rows, 1), step)]
    wide = [name for name, array in read(slice(0, 1)).items() if array.dtype == np.uint64 and array.ndim == 1]
    texts: set[str] = set()
    for piece in pieces if wide and len(pieces) > 1 else ():
        arrays = read(piece)
        texts |= {name for name in wide if len(arrays[name]) and arrays[name].max() >= 2**63}
    for number, piece in enumerate(pieces):
        frame, notes = array_frame(read(piece), texts)
        yield frame, [] if number else notes


def array_frame(columns: Mapping[str, NDArray[Any]], texts: Collection[str] = ()) -> "tuple[pl.DataFrame, list[Note]]":
    """Return arrays (n,) or (n, ...) as a frame, in which vectors stay vectors, and a note on each that is left out.

    Complex numbers become two columns, ``_real`` and ``_imag``; records one column for each of their fields. Whole
    numbers of the columns `texts` become text.

    Examples
    --------
    >>> frame, notes = array_frame({"id": np.array([1, 2]), "mags": np.ones((2, 5), "f4")})
    >>> frame.schema["mags"], notes
    (Array(Float32, shape=(5,)), [])
    """
    import polars as pl

    series: list[pl.Series] = []
    notes: list[Note] = []
    for name, array in columns.items():
        found = _series(name, array)
        if name in texts:
            notes.append(Note(f"column {name!r} has whole numbers beyond 2^63 - 1: kept as text", column=name))
            found = [one.cast(pl.String) for one in found]
        if not found:
            notes.append(
                Note(f"column {name!r} is left out: hven does not keep values of type {array.dtype}", True, name)
            )
        series += found
    return pl.DataFrame(series), notes


def piece_rows(nbytes: int, rows: int) -> int:
    """Return how many rows of a table of that size are read at a time.

    Examples
    --------
    >>> piece_rows(2**30, 1000)
    62
    """
    return max(1, rows * BATCH_BYTES // max(nbytes, 1)) if nbytes > BATCH_BYTES else max(rows, 1)


def _series(name: str, array: NDArray[Any]) -> "list[pl.Series]":
    import polars as pl

    kind = array.dtype.kind
    if kind == "c":
        parts = ((f"{name}_real", array.real), (f"{name}_imag", array.imag))
        return [one for called, values in parts for one in _series(called, np.ascontiguousarray(values))]
    if array.dtype.names:
        return [one for field in array.dtype.names for one in _series(f"{name}_{field}", array[field])]
    if array.ndim == 1 and kind in "SUO":
        return _texts_or_lists(name, array)
    if array.ndim == 1:
        return [series_of(name, array)] if kind in "biufMm" and kind != "m" else []
    if kind not in "biuf" or 0 in array.shape[1:]:
        return []
    values = array.astype(array.dtype.newbyteorder("="), copy=False)
    if kind == "f" and values.dtype.itemsize not in (4, 8):
        values = values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
    values = np.ascontiguousarray(values.astype(np.uint8) if kind == "b" else values)
    inner = pl.Series(np.zeros(1, values.dtype)).dtype
    return [pl.Series(name, values if len(values) else [], dtype=pl.Array(inner, values.shape[1:]))]


def _texts_or_lists(name: str, array: NDArray[Any]) -> "list[pl.Series]":
    import polars as pl

    if array.dtype.kind == "O" and len(array) and all(isinstance(one, np.ndarray) for one in array):
        if any(one.dtype.kind not in "iuf" or one.ndim != 1 for one in array):
            return []
        return [
            pl.Series(
                name,
                [one.tolist() for one in array],
                dtype=pl.List(pl.Float64 if array[0].dtype.kind == "f" else pl.Int64),
            )
        ]
    series = series_of(name, array)
    return [] if series.dtype == pl.List(pl.Float64) else [series]
