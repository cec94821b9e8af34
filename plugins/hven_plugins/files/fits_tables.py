"""FITS tables, in and out."""

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hven
from hven import Batch, Column, Note
from hven.errors import HvenError, UnreadableFileError
from hven_plugins.files.astropy_tables import series_of
from hven_plugins.files.fits_columns import (
    FitsColumn,
    distinct_names,
    fits_columns,
    is_beyond,
    is_one_row_of_vectors,
    may_be_beyond,
    rows_dtype,
    series_of_column,
)
from hven_plugins.files.fits_frames import epoch_notes, frame_of
from hven_plugins.files.fits_headers import Hdu, fits_hdus
from hven_plugins.files.fits_layout import described_tables, fits_table_claim, science_tables
from hven_plugins.files.fits_mixins import is_of_astropy, mixin_rows
from hven_plugins.files.fits_names import ascii_text, fits_names, is_beyond_ascii
from hven_plugins.files.fits_sums import sum_notes
from hven_plugins.files.table_batch import table_batch

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Piece = tuple[pl.DataFrame, list[Column], str, list[Note]]

_log = logging.getLogger("hven")
_PATTERNS = ("*.fits", "*.fit", "*.fits.gz", "*.fit.gz", "*.fts")
_DESCRIPTIONS = ("TCOMM", "TDESC", "TDOC")
BATCH_BYTES = 2**23
"""How much of a table is in memory at a time, in bytes of the file."""

_EMPTY_COMMENTS = ("label for ", "column name", "field name", "name of column", "name of field")


@hven.reader(name="fits_table", patterns=_PATTERNS, with_options_of=table_batch, claims=fits_table_claim)
def fits_table(path: str, *, hdu: int | str | None = None, **options: Any) -> Iterator[Batch]:
    """Tables of FITS files: the only one with rows, or the HDU asked for.

    Units, UCDs and descriptions come from the header (``TUNIT``, ``TUCD``, ``TCOMM`` or the comment of ``TTYPE``),
    nulls from ``TNULL``, NaN and empty texts. Columns of vectors stay vectors. One row whose columns are vectors of one
    length, as IDL writes a table, becomes as many rows. A large table comes in pieces.

    Parameters
    ----------
    path
        Of the file.
    hdu
        Number or name of the HDU; the only table with rows when not given.
    **options
        Those of `table_batch`.
    """
    with hven.local_file(path) as local:
        for rows, told, frame, notes in fits_rows(local, path, hdu):
            yield table_batch(rows, told, path, frame, notes, **options)


def fits_rows(path: str, where: str, hdu: int | str | None = None) -> "Iterator[Piece]":
    """Yield the rows of one table of a plain FITS file, piece by piece.

    With each piece come what its header says of the columns, the frame of the positions, and notes (with the first).

    Raises
    ------
    UnreadableFileError
        If the file is not FITS, is cut short, or has no such table, or several and none is asked for.
    """
    try:
        hdus = fits_hdus(path)
        if not hdus:
            raise _not_fits(path, where)
        table = _table_of(hdus, where, hdu)
        if table.is_cut or any(one.is_cut for one in hdus[: table.index]):
            raise UnreadableFileError("the file is cut short", where=where, hint="Fetch or copy the file again.")
        frame, doubts = frame_of(hdus[0], table), [*epoch_notes(hdus[0], table), *sum_notes(path, table)]
        if str(table.header["XTENSION"]).strip() == "TABLE":
            rows, told, notes = _ascii_table(path, table)
            yield rows, told, frame, notes + doubts
            return
        if is_of_astropy(table):
            rows, told, notes = mixin_rows(path, table.index)
            yield rows, told, "", notes + doubts
            return
        for rows, told, said, notes in _binary_table(path, table, frame):
            yield rows, told, said, notes + doubts
            doubts = []
    except (OSError, EOFError, ValueError, TypeError, IndexError, KeyError) as error:
        if isinstance(error, HvenError):
            raise
        reason = str(error).split("\n")[0] or type(error).__name__
        raise UnreadableFileError(
            f"the file is not a whole FITS file: {reason}",
            where=where,
            hint="Fetch or copy it again; 'fitsinfo FILE' tells what is in it.",
        ) from error


def _not_fits(path: str, where: str) -> UnreadableFileError:
    if not Path(path).exists():
        return UnreadableFileError("there is no such file", where=where, hint="Correct the path.")
    with Path(path).open("rb") as file:
        is_begun = file.read(6) == b"SIMPLE"
    return UnreadableFileError(
        f"the file is not a whole FITS file: {'its first header has no end' if is_begun else 'it has no FITS header'}",
        where=where,
        hint="Fetch or copy it again; 'hven ingest --explain FILE' tells what it is.",
    )


def _table_of(hdus: Sequence[Hdu], where: str, wanted: int | str | None) -> Hdu:
    tables = {one.index: one for one in hdus if one.is_table}
    shown = described_tables(list(tables.values()))
    found: Hdu | None
    if wanted is None:
        full = [one for one in science_tables(hdus) if one.rows]
        if len(full) > 1:
            raise UnreadableFileError(
                f"the file has {len(full)} tables, and which one is meant is not said",
                where=where,
                expected=shown,
                hint=f"Choose one with the option hdu, as hdu={full[0].index}.",
            )
        found = next(iter(full or science_tables(hdus)), None)
    elif str(wanted).isdigit():
        found = tables.get(int(wanted))
    else:
        found = next((one for one in tables.values() if one.name == str(wanted).upper()), None)
    if found is None:
        raise UnreadableFileError(
            "the file has no table" if wanted is None else f"HDU {wanted!r} is no table of the file",
            where=where,
            expected="a FITS file with a binary or ASCII table",
            hint=f"Its tables are: {shown}." if shown else "Images are not read by this reader.",
        )
    if found.header.get("ZTABLE", False):
        raise UnreadableFileError(
            "the table is compressed (ZTABLE = T), and its columns are not expanded here",
            where=where,
            hint="Expand it with: funpack FILE.",
        )
    return found


def _binary_table(path: str, table: Hdu, frame: str) -> "Iterator[Piece]":
    import polars as pl

    header = table.header
    columns, notes = fits_columns(header)
    told = _described(header, columns)
    width, count = int(header["NAXIS1"]), table.rows
    dtype = rows_dtype(columns, width)
    if any(column.offset + column.width > width for column in columns):
        raise ValueError(f"its columns do not fit into rows of {width} bytes")
    gap = int(header.get("THEAP", width * count))

    def rows_of(piece: slice) -> "NDArray[Any]":
        # Read, not mapped: what is mapped stays in memory as long as the system pleases.
        size = min(piece.stop, count) - piece.start
        if not size or not width:
            return np.zeros(0, dtype)
        return np.fromfile(path, dtype, size, offset=table.start + piece.start * width)

    def heap_now() -> "NDArray[np.uint8]":
        if table.size <= gap or not any(column.ragged for column in columns):
            return np.zeros(0, np.uint8)
        return np.memmap(path, np.uint8, "r", table.start + gap, (table.size - gap,))

    step = max(1, BATCH_BYTES // max(width, 1))
    pieces = [slice(start, start + step) for start in range(0, count, step)] or [slice(0, 0)]
    columns = [
        replace(column, as_text=may_be_beyond(column) and any(is_beyond(column, rows_of(p)[f"c{i}"]) for p in pieces))
        for i, column in enumerate(columns)
    ]
    notes += [_kept_as_text(column.name) for column in columns if column.as_text]
    is_transposed = is_one_row_of_vectors(columns, count)
    if is_transposed:
        notes.append(Note(f"one row of vectors was read as {columns[0].shape[0]} rows, as IDL writes tables", True))
    for piece in pieces:
        rows, heap = rows_of(piece), heap_now()
        series = [one for i, c in enumerate(columns) for one in series_of_column(c, rows[f"c{i}"], heap)]
        if is_transposed:
            series = [_unpacked(one) for one in series]
        yield pl.DataFrame(series), told, frame, notes
        notes = []


def _kept_as_text(name: str) -> Note:
    return Note(f"column {name!r} has whole numbers beyond 2^63 - 1: kept as text", column=name)


def _unpacked(series: "pl.Series") -> "pl.Series":
    """Return the elements of a series of one vector as rows."""
    values = series.explode()
    return values.fill_nan(None) if values.dtype.is_float() else values


def _ascii_table(path: str, table: Hdu) -> "tuple[pl.DataFrame, list[Column], list[Note]]":
    """Return a table that is written as text: small by its nature, so it is read whole by astropy."""
    import polars as pl
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, memmap=False, character_as_bytes=True) as hdus:
            held = hdus[table.index]
            names, notes = distinct_names(held.header)
            for number, name in enumerate(names, 1):
                held.header[f"TTYPE{number}"] = name
            series = [_ascii_series(held, i, _blanks(path, table, i + 1)) for i in range(len(held.columns))]
            told = [_one(held.header, i, c.name) for i, c in enumerate(held.columns, 1)]
    return pl.DataFrame(series), told, notes


def _ascii_series(table: Any, index: int, missing: "NDArray[np.bool_]") -> "pl.Series":
    column = table.columns[index]
    values = table.data.field(index) if table.header["NAXIS2"] else np.zeros(0, column.dtype.base)
    return series_of(column.name, values, missing)


def _blanks(path: str, table: Hdu, number: int) -> "NDArray[np.bool_]":
    """Return where a column of an ASCII table is blank or says TNULL: astropy gives 0 there."""
    header, width = table.header, int(table.header["NAXIS1"])
    size = re.match(r"\s*[AIFED](\d+)", str(header[f"TFORM{number}"]))
    first = int(header[f"TBCOL{number}"]) - 1
    rows = np.fromfile(path, np.uint8, width * table.rows, offset=table.start).reshape(table.rows, width)
    field = np.ascontiguousarray(rows[:, first : first + (int(size[1]) if size else 1)])
    texts = np.char.strip(field.view(f"S{field.shape[1]}").reshape(table.rows)) if field.size else np.zeros(0, "S1")
    null = str(header.get(f"TNULL{number}", "")).strip().encode()
    return np.asarray((texts == b"") | (texts == null))


def _described(header: Any, columns: Sequence[FitsColumn]) -> list[Column]:
    told: list[Column] = []
    for column in columns:
        one = _one(header, column.number, column.name)
        if column.form in "CM":
            told += [replace(one, name=f"{column.name}_{part}") for part in ("real", "imag")]
        else:
            told.append(one)
    return told


def _one(header: Any, number: int, name: str) -> Column:
    text = next((str(header[f"{key}{number}"]) for key in _DESCRIPTIONS if f"{key}{number}" in header), "")
    comment = header.comments[f"TTYPE{number}"] if f"TTYPE{number}" in header else ""
    if not text and not comment.lower().startswith(_EMPTY_COMMENTS):
        text = comment
    unit, ucd = (str(header.get(f"{key}{number}", "")).strip() for key in ("TUNIT", "TUCD"))
    return Column(name, "", ("object",), unit, text.strip(), ucd)


@hven.exporter(name="fits", patterns=_PATTERNS)
def write_fits(
    data: Any,
    path: str | Path,
    *,
    units: dict[str, str] | None = None,
    descriptions: dict[str, str] | None = None,
    ucds: dict[str, str] | None = None,
) -> None:
    """Binary tables of FITS, with units, UCDs and descriptions in the header.

    Names of columns that FITS cannot have (beyond ASCII, longer than 68 letters) become plain ones, as comments in the
    header say. Null is NaN for floats, ``TNULL`` for integers, an empty text for texts; true/false with nulls is
    written as 1/0.

    Parameters
    ----------
    data
        A Polars frame.
    path
        Of the file; ``.gz`` at the end compresses it.
    units
        By column; the dataset's when not given.
    descriptions
        By column; the dataset's when not given.
    ucds
        By column; the dataset's when not given.
    """
    from astropy.io import fits

    names = fits_names(data.columns)
    columns = [
        _column(series.alias(name), (units or {}).get(series.name, ""))
        for series, name in zip(data.iter_columns(), names, strict=True)
    ]
    table = fits.BinTableHDU.from_columns(columns, nrows=data.height)
    for number, (name, plain) in enumerate(zip(data.columns, names, strict=True), start=1):
        for key, texts in (("TUCD", ucds), ("TCOMM", descriptions)):
            if text := (texts or {}).get(name, ""):
                table.header[f"{key}{number}"] = ascii_text(text)
        if plain != name:
            table.header.add_comment(f"Column {plain} is called {name.encode('unicode_escape').decode()} in the lake.")
            _log.warning("column %r is called %r in %s: names in FITS are short and plain", name, plain, path)
        if is_beyond_ascii(data[name]):
            table.header.add_comment(f"Texts of column {plain} are UTF-8.")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path, overwrite=True)


def _column(series: "pl.Series", unit: str) -> Any:
    import polars as pl
    from astropy.io import fits

    has_nulls, null = bool(series.null_count()), None
    if series.dtype == pl.Boolean and not has_nulls:
        form, values = "L", series.to_numpy()
    elif series.dtype == pl.Boolean:
        form, null, values = "I", -1, series.cast(pl.Int16).fill_null(-1).to_numpy()
    elif series.dtype.is_float():
        form = "E" if series.dtype == pl.Float32 else "D"
        values = series.fill_null(float("nan")).to_numpy()
    elif series.dtype.is_integer():
        form = {1: "I", 2: "I", 4: "J", 8: "K"}[np.dtype(str(series.dtype).lower()).itemsize]
        if has_nulls:
            null = _unused(series)
        values = (series if null is None else series.fill_null(null)).to_numpy()
        values = values.astype(np.int16) if values.dtype == np.int8 else values
    else:
        texts = [text.encode() for text in series.cast(pl.String).fill_null("").to_list()]
        width = max(1, *map(len, texts)) if texts else 1
        form, values = f"{width}A", np.array(texts, dtype=f"S{width}")
    return fits.Column(series.name, form, unit=ascii_text(_fits_unit(unit)) or None, null=null, array=values)


def _unused(series: "pl.Series") -> int:
    """Return a number that no value of a column of integers has, the smallest of its type if it can be."""
    bits = 8 * np.dtype(str(series.dtype).lower()).itemsize
    low = -(2 ** (max(bits, 16) - 1))
    values = set(series.drop_nulls().unique().to_list()) if series.min() == low else set()
    return next(number for number in range(low, low + len(values) + 1) if number not in values)


def _fits_unit(text: str) -> str:
    """Return a unit as the FITS standard spells it, or as it is where FITS has no word for it."""
    if not text:
        return ""
    from astropy import units

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", units.UnitsWarning)
            return str(units.Unit(text).to_string("fits"))
    except (ValueError, TypeError):
        return text
