"""Columns of binary FITS tables: how their bytes become values, with nulls, scales, vectors and texts."""

import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hven import Note

if TYPE_CHECKING:
    import polars as pl

_FORM = re.compile(r"^\s*(\d*)([LXBIJKAEDCMPQ])(.*)$")
_SIZES = {"L": "u1", "B": "u1", "X": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_SIZES |= {"C": ">c8", "M": ">c16", "P": ">i4", "Q": ">i8"}
_UNSIGNED = {("B", -128): np.int8, ("I", 2**15): np.uint16, ("J", 2**31): np.uint32, ("K", 2**63): np.uint64}


@dataclass(frozen=True)
class FitsColumn:
    """One column, as the header declares it.

    Attributes
    ----------
    name, number
        Its name in the frame, and its number in the header, from 1.
    form
        The letter of its format: L, X, B, I, J, K, A, E, D, C, M, or of the elements when it is `ragged`.
    count
        How many elements a row has; of texts, how many letters.
    shape
        The shape of the vector in each row, in the order of NumPy; empty for single values.
    offset, width
        Where its bytes are in a row, and how many.
    scale, zero
        Of ``TSCAL`` and ``TZERO``.
    null
        Of ``TNULL``.
    ragged
        Whether each row has a vector of its own length, in the heap.
    wide
        Whether the descriptors of the heap have 64 bits.
    as_text
        Whether whole numbers are kept as texts, because some do not fit into 64 bits with sign.
    """

    name: str
    number: int
    form: str
    count: int
    shape: tuple[int, ...]
    offset: int
    width: int
    scale: float = 1.0
    zero: float = 0.0
    null: float | None = None
    ragged: bool = False
    wide: bool = False
    as_text: bool = False

    @property
    def stored(self) -> np.dtype[Any]:
        """How a row of it lies in the file."""
        if self.ragged:
            return np.dtype((">i8" if self.wide else ">i4", (2,)))
        if self.form == "A":
            return np.dtype((f"S{self.count // max(prod(self.shape), 1)}", self.shape))
        count = (self.count + 7) // 8 if self.form == "X" else self.count
        return np.dtype((_SIZES[self.form], (count,)))


def fits_columns(header: Any) -> tuple[list[FitsColumn], list[Note]]:
    """Return the columns of a binary table, with names that differ, and what was changed or left out.

    Raises
    ------
    ValueError
        If a format is none of the FITS standard.
    """
    columns: list[FitsColumn] = []
    names, notes = distinct_names(header)
    offset = 0
    for number in range(1, int(header.get("TFIELDS", 0)) + 1):
        form = str(header[f"TFORM{number}"])
        match = _FORM.match(form.upper())
        if match is None:
            raise ValueError(f"TFORM{number} = {form!r} is no format of a binary table")
        repeat, letter, rest = int(match[1] or 1), match[2], match[3].strip()
        ragged = letter in "PQ"
        width = _width(letter, repeat)
        name = names[number - 1]
        element, count = (rest[:1] or "B", 0) if ragged else (letter, repeat)
        column = FitsColumn(
            name, number, element, count, () if ragged else _shape(header.get(f"TDIM{number}"), letter, repeat, rest),
            offset, width,
            float(header.get(f"TSCAL{number}", 1.0)), header.get(f"TZERO{number}", 0), _null(header, number, element),
            ragged, letter == "Q",
        )  # fmt: skip
        offset += width
        if not repeat:
            notes.append(Note(f"column {name!r} is left out: it has no values (TFORM = {form})", True, name))
        elif ragged and (repeat > 1 or element not in "LBIJKAED"):
            notes.append(Note(f"column {name!r} is left out: hven does not read its format {form}", True, name))
        else:
            columns.append(column)
    return columns, notes


def distinct_names(header: Any) -> tuple[list[str], list[Note]]:
    """Return the names of a table's columns, the second of one name with a number behind it, and notes on those.

    Examples
    --------
    >>> distinct_names({"TFIELDS": 3, "TTYPE1": "X", "TTYPE2": "X"})[0]
    ['X', 'X_2', 'col3']
    """
    fields = int(header.get("TFIELDS", 0))
    written = [str(header.get(f"TTYPE{n}", "")).strip() or f"col{n}" for n in range(1, fields + 1)]
    names: list[str] = []
    notes = []
    for said in written:
        name, again = said, 2
        while name in names or (name != said and name in written):
            name, again = f"{said}_{again}", again + 1
        names.append(name)
        if name != said:
            notes.append(Note(f"the file has two columns {said!r}: the second is kept as {name!r}", True, name))
    return names, notes


def rows_dtype(columns: list[FitsColumn], width: int) -> np.dtype[Any]:
    """Return how a row lies in the file: fields ``c0, c1, ...`` for the columns, `width` bytes in all."""
    return np.dtype(
        {
            "names": [f"c{i}" for i in range(len(columns))],
            "formats": [column.stored for column in columns],
            "offsets": [column.offset for column in columns],
            "itemsize": width,
        }
    )


def series_of_column(column: FitsColumn, raw: NDArray[Any], heap: NDArray[np.uint8]) -> "list[pl.Series]":
    """Return the values of some rows of a column; of complex numbers two series, the real and the imaginary parts."""
    import polars as pl

    if column.ragged:
        return [_ragged(column, raw, heap)]
    if column.form == "A":
        return [_texts(column, raw)]
    if column.form in "CM":
        parts = raw.astype(raw.dtype.newbyteorder("=")) * column.scale + column.zero
        parts = parts.astype(np.complex64 if column.form == "C" else np.complex128)
        return [
            _shaped(f"{column.name}_{part}", np.ascontiguousarray(getattr(parts, part)), None, column.shape)
            for part in ("real", "imag")
        ]
    if column.form == "X":
        bits = np.unpackbits(np.ascontiguousarray(raw), axis=1)[:, : column.count]
        if column.count == 1:
            return [pl.Series(column.name, bits[:, 0].astype(bool))]
        return [_shaped(column.name, bits, None, column.shape or (column.count,))]
    values, missing = _decoded(column, raw)
    series = _shaped(column.name, values, missing, column.shape)
    return [series.cast(pl.String)] if column.as_text and not column.shape else [series]


def may_be_beyond(column: FitsColumn) -> bool:
    """Return whether a column is of unsigned whole numbers of 64 bits."""
    return (column.form, column.zero) == ("K", 2**63) and not column.shape and not column.ragged


def is_beyond(column: FitsColumn, raw: NDArray[Any]) -> bool:
    """Return whether an unsigned column of 64 bits holds numbers that no signed one does."""
    known = raw if column.null is None else raw[raw != column.null]
    return bool(known.size and known.max() >= 0)


def _width(letter: str, repeat: int) -> int:
    if letter == "A":
        return repeat
    if letter in "PQ":
        return np.dtype(_SIZES[letter]).itemsize * 2 * repeat
    return (repeat + 7) // 8 if letter == "X" else np.dtype(_SIZES[letter]).itemsize * repeat


def _null(header: Any, number: int, letter: str) -> float | None:
    """Return what stands for missing, also where the standard has no such code (of floats, or written as text)."""
    value = header.get(f"TNULL{number}")
    if isinstance(value, str):
        try:
            value = int(value) if letter in "BIJK" else float(value)
        except ValueError:
            return None
    if letter in "BIJK":
        return int(value) if isinstance(value, int | float) and float(value).is_integer() else None
    return float(value) if isinstance(value, int | float) and letter in "ED" else None


def _shape(tdim: Any, letter: str, repeat: int, rest: str) -> tuple[int, ...]:
    """Return the shape of a row's vector, from TDIM if it fits, else from the repeat count."""
    sizes = tuple(int(text) for text in re.findall(r"\d+", str(tdim or "")))[::-1]
    if letter == "A":
        piece = re.match(r":?SSTR(\d+)", rest.upper())
        if sizes and prod(sizes) == repeat:
            return sizes[:-1]
        return (repeat // int(piece[1]),) if piece and 0 < int(piece[1]) < repeat and not repeat % int(piece[1]) else ()
    if sizes and prod(sizes) == repeat and len(sizes) > 1:
        return sizes
    return (repeat,) if repeat > 1 else ()


def _decoded(column: FitsColumn, raw: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return values, and where they are missing, of numbers and truth values as they lie in the file."""
    if column.form == "L":
        return raw == ord("T"), (raw != ord("T")) & (raw != ord("F"))
    missing = raw == column.null if column.null is not None else None
    values = raw.astype(raw.dtype.newbyteorder("="), copy=False)
    unsigned = _UNSIGNED.get((column.form, int(column.zero))) if column.zero == int(column.zero) else None
    if column.scale == 1 and column.zero == 0:
        return values, missing
    if values.dtype.kind not in "iu":
        return values * column.scale + column.zero if column.form == "D" else _scaled(values, column), missing
    if column.scale == 1 and unsigned is not None:
        # The same bits with another sign: exact for every value.
        bits = values.view(np.dtype(f"u{values.dtype.itemsize}"))
        flipped = bits ^ bits.dtype.type(1 << (8 * values.dtype.itemsize - 1))
        return flipped.view(unsigned), missing
    if column.scale == 1 and column.zero == int(column.zero) and abs(int(column.zero)) < 2**53 and column.form != "K":
        return values.astype(np.int64) + int(column.zero), missing
    return values.astype(np.float64) * column.scale + column.zero, missing


def _scaled(values: NDArray[Any], column: FitsColumn) -> NDArray[Any]:
    return values.astype(np.float64) * column.scale + column.zero


def _shaped(name: str, values: NDArray[Any], missing: NDArray[np.bool_] | None, shape: tuple[int, ...]) -> "pl.Series":
    """Return values (n, count) as a series of single values or of vectors of a shape; NaN and missing ones are null."""
    import polars as pl

    if not shape:
        flat = np.ascontiguousarray(values[:, 0])
        series = pl.Series(name, flat)
        series = series.fill_nan(None) if series.dtype.is_float() else series
        if missing is None or not missing.any():
            return series
        return pl.select(pl.when(pl.Series(~missing[:, 0])).then(series).alias(name)).to_series()
    if missing is not None:
        # Vectors have no nulls: what is missing in one is NaN.
        if values.dtype.kind in "iub" and values.dtype.itemsize < 8:
            values = np.where(missing, np.nan, values.astype(np.float64))
        elif values.dtype.kind == "f":
            values = np.where(missing, np.nan, values)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    whole = np.ascontiguousarray(values.reshape((len(values), *shape)))
    return pl.Series(name, whole, dtype=_array_type(whole)) if len(whole) else pl.Series(name, [], _array_type(whole))


def _array_type(values: NDArray[Any]) -> Any:
    import polars as pl

    return pl.Array(pl.Series(np.zeros(1, values.dtype)).dtype, values.shape[1:])


def _texts(column: FitsColumn, raw: NDArray[Any]) -> "pl.Series":
    import polars as pl

    letters = raw.dtype.itemsize
    flat = text_series(column.name, np.ascontiguousarray(raw).reshape(-1), letters)
    if not column.shape:
        return flat
    return flat.reshape((len(raw), prod(column.shape))).alias(column.name).cast(pl.List(pl.String))


def text_series(name: str, texts: NDArray[Any], letters: int) -> "pl.Series":
    """Return texts of fixed width (n,) as a series, without what follows a zero byte or trailing blanks.

    An empty text is null.

    Bytes that are not UTF-8 are read as Latin-1.

    Examples
    --------
    >>> text_series("t", np.array([b"ab  ", b""]), 4).to_list()
    ['ab', None]
    """
    import polars as pl
    import pyarrow as pa

    if not letters or not len(texts):
        return pl.Series(name, [None] * len(texts), dtype=pl.String)
    wide = pa.Array.from_buffers(pa.binary(letters), len(texts), [None, pa.py_buffer(np.ascontiguousarray(texts))])
    try:
        series = pl.Series(name, wide.cast(pa.binary()).cast(pa.string()))
    except pa.ArrowInvalid:
        series = pl.Series(name, [_either(text) for text in texts.tolist()], dtype=pl.String)
    if series.str.contains("\x00", literal=True).any():
        series = series.str.extract(r"^([^\x00]*)", 1)
    series = series.str.strip_chars_end(" ")
    return pl.select(pl.when(series.str.len_bytes() > 0).then(series).alias(name)).to_series()


def _either(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _ragged(column: FitsColumn, raw: NDArray[Any], heap: NDArray[np.uint8]) -> "pl.Series":
    """Return vectors of varying length as lists; of letters as texts."""
    import polars as pl

    counts, starts = raw[:, 0].astype(np.int64), raw[:, 1].astype(np.int64)
    stored = np.dtype("S1" if column.form == "A" else _SIZES[column.form])
    if (counts < 0).any() or ((starts + counts * stored.itemsize > heap.size) & (counts > 0)).any():
        raise ValueError(f"the heap of column {column.name!r} is not whole")
    pieces = [heap[a : a + n * stored.itemsize] for a, n in zip(starts.tolist(), counts.tolist(), strict=True)]
    if column.form == "A":
        texts = [_either(piece.tobytes().split(b"\x00")[0]).rstrip(" ") or None for piece in pieces]
        return pl.Series(column.name, texts, dtype=pl.String)
    flat = np.concatenate(pieces).view(stored) if pieces else np.zeros(0, stored)
    values, missing = _decoded(column, flat[:, None])
    inner = _shaped("", values, missing, ())
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return _lists(column.name, inner, offsets)


def _lists(name: str, flat: "pl.Series", offsets: NDArray[np.int64]) -> "pl.Series":
    import polars as pl
    import pyarrow as pa

    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat.to_arrow())
    return pl.Series(name, lists)


def is_one_row_of_vectors(columns: list[FitsColumn], rows: int) -> bool:
    """Return whether a table is one row in which each column is a vector of all objects, as IDL writes it."""
    lengths = {column.shape[0] if column.shape else 1 for column in columns}
    return (
        rows == 1 and len(columns) > 1 and len(lengths) == 1 and lengths != {1} and not any(c.ragged for c in columns)
    )
