"""FITS tables, in and out."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hven
from hven import Batch, Column
from hven.errors import UnreadableFileError
from hven_plugins.files.astropy_tables import series_of
from hven_plugins.files.table_batch import table_batch

if TYPE_CHECKING:
    import polars as pl

_PATTERNS = ("*.fits", "*.fit", "*.fits.gz", "*.fit.gz", "*.fts")
_DESCRIPTIONS = ("TCOMM", "TDESC", "TDOC")
_EMPTY_COMMENTS = ("label for ", "column name", "field name", "name of column", "name of field")


@hven.reader(name="fits_table", patterns=_PATTERNS, with_options_of=table_batch)
def fits_table(path: str, *, hdu: int | str | None = None, **options: Any) -> Iterator[Batch]:
    """Tables of FITS files: the first one, or the HDU asked for.

    Units, UCDs and descriptions come from the header (``TUNIT``, ``TUCD``, ``TCOMM`` or the comment of ``TTYPE``),
    nulls from ``TNULL``, NaN and empty texts. Columns with vectors are left out, which the ingest tells.

    Parameters
    ----------
    path
        Of the file.
    hdu
        Number or name of the HDU; the first table when not given.
    **options
        Those of `table_batch`.
    """
    frame, told = read_fits_table(path, hdu)
    yield table_batch(frame, told, path, **options)


def read_fits_table(path: str, hdu: int | str | None = None) -> "tuple[pl.DataFrame, list[Column]]":
    """Return one table of a FITS file as a frame, and what its header says of the columns.

    Raises
    ------
    UnreadableFileError
        If the file is not FITS, is cut short, or has no such table.
    """
    import polars as pl
    from astropy.io import fits

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with fits.open(path, memmap=False, character_as_bytes=True) as hdus:
                table = _table_of(hdus, path, hdu)
                series = [_series(table, index) for index in range(len(table.columns))]
                told = [_described(table.header, index + 1, c) for index, c in enumerate(table.columns)]
        except (OSError, EOFError, ValueError, TypeError, IndexError, fits.VerifyError) as error:
            reason = str(error).split("\n")[0] or type(error).__name__
            raise UnreadableFileError(
                f"the file is not a whole FITS file: {reason}",
                where=path,
                hint="Fetch or copy it again; 'fitsinfo FILE' tells what is in it.",
            ) from error
    cut = next((str(w.message) for w in caught if "file may have been truncated" in str(w.message).lower()), "")
    if cut:
        raise UnreadableFileError(cut.rstrip("."), where=path, hint="Fetch or copy the file again.")
    return pl.DataFrame(series), told


def _table_of(hdus: Any, path: str, wanted: int | str | None) -> Any:
    from astropy.io import fits

    tables = {index: one for index, one in enumerate(hdus) if isinstance(one, fits.BinTableHDU | fits.TableHDU)}
    found = None
    if wanted is None:
        found = next(iter(tables.values()), None)
    elif str(wanted).isdigit():
        found = tables.get(int(wanted))
    else:
        found = next((one for one in tables.values() if one.name.lower() == str(wanted).lower()), None)
    if found is None:
        names = ", ".join(f"{index} ({one.name})" if one.name else str(index) for index, one in tables.items())
        raise UnreadableFileError(
            "the file has no table" if wanted is None else f"HDU {wanted!r} is no table of the file",
            where=path,
            expected="a FITS file with a binary or ASCII table",
            hint=f"Its tables are: {names}." if names else "Images are not read by this reader.",
        )
    return found


def _series(table: Any, index: int) -> "pl.Series":
    column = table.columns[index]
    if column.format.startswith(("P", "Q")) or "P" in column.format or "Q" in column.format:
        # Vectors of varying length: not read, so that a large heap costs nothing.
        return series_of(column.name, np.zeros((table.header["NAXIS2"], 2)))
    values = table.data.field(index) if table.header["NAXIS2"] else np.zeros(0, column.dtype.base)
    missing = None
    if column.null is not None and values.ndim == 1:
        raw = np.asarray(table.data.view(np.ndarray)[column.name]) if column.bzero or column.bscale else values
        missing = raw == column.null
    return series_of(column.name, values, missing)


def _described(header: Any, number: int, column: Any) -> Column:
    text = next((str(header[f"{key}{number}"]) for key in _DESCRIPTIONS if f"{key}{number}" in header), "")
    comment = header.comments[f"TTYPE{number}"] if f"TTYPE{number}" in header else ""
    if not text and not comment.lower().startswith(_EMPTY_COMMENTS):
        text = comment
    return Column(
        column.name, "", ("object",), column.unit or "", text.strip(), str(header.get(f"TUCD{number}", "")).strip()
    )


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

    Null is NaN for floats, ``TNULL`` for integers, an empty text for texts; true/false with nulls is written as 1/0.

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

    columns = [_column(series, (units or {}).get(series.name, "")) for series in data.iter_columns()]
    table = fits.BinTableHDU.from_columns(columns, nrows=data.height)
    for number, name in enumerate(data.columns, start=1):
        for key, texts in (("TUCD", ucds), ("TCOMM", descriptions)):
            if text := (texts or {}).get(name, ""):
                table.header[f"{key}{number}"] = text.encode("ascii", "replace").decode()
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
    return fits.Column(series.name, form, unit=_fits_unit(unit) or None, null=null, array=values)


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
