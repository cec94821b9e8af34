"""Tables of astropy as Polars frames."""

from typing import TYPE_CHECKING, Any

import numpy as np

from hven import Column

if TYPE_CHECKING:
    import polars as pl


def astropy_frame(table: Any) -> "tuple[pl.DataFrame, list[Column]]":
    """Return an astropy table as a frame, and what it says of its columns.

    Masked values become null, NaN and empty texts too. Columns with more than a number, a truth value or a text in each
    row come back as columns of empty lists, for the ingest to tell that they are left out.

    Examples
    --------
    >>> from astropy.table import Table
    >>> frame, columns = astropy_frame(Table({"teff": [5772.0]}, units={"teff": "K"}))
    >>> frame["teff"].item(), columns[0].unit
    (5772.0, 'K')
    """
    import polars as pl

    frame = pl.DataFrame([series_of(name, table[name]) for name in table.colnames])
    return frame, [_described(name, table[name]) for name in table.colnames]


def series_of(name: str, values: Any, missing: Any = None) -> "pl.Series":
    """Return a NumPy array or astropy column (n,) as a Polars series; `missing` says where null is.

    Examples
    --------
    >>> series_of("n", np.array([1, 2], dtype=">i4")).to_list()
    [1, 2]
    """
    import polars as pl

    if not hasattr(values, "dtype"):
        # Times and other columns of astropy that are more than arrays.
        if hasattr(values, "isot"):
            return pl.Series(name, [str(t) for t in np.atleast_1d(values.isot)], dtype=pl.String)
        return _of_lists(name, len(values))
    mask = np.ma.getmaskarray(values) if np.ma.isMaskedArray(values) else np.zeros(values.shape, bool)
    plain = np.asarray(values.data if np.ma.isMaskedArray(values) else values)
    if plain.ndim != 1 or plain.dtype.kind in "cV":
        return _of_lists(name, len(plain))
    null = mask if missing is None else mask | missing
    if plain.dtype.kind in "SUO":
        texts = [_text(value) for value in plain.tolist()]
        if any(isinstance(text, _NotText) for text in texts):
            return _of_lists(name, len(plain))
        series = pl.Series(name, texts, dtype=pl.String)
    elif plain.dtype.kind == "M":
        series = pl.Series(name, plain.astype("datetime64[us]"))
    else:
        series = pl.Series(name, np.ascontiguousarray(plain.astype(_native(plain.dtype), copy=False)))
        series = series.fill_nan(None) if series.dtype.is_float() else series
    return series if not null.any() else pl.select(pl.when(pl.Series(~null)).then(series).alias(name)).to_series()


class _NotText:
    """Stands for a value that is neither text nor nothing."""


def _text(value: object) -> str | _NotText | None:
    if isinstance(value, bytes):
        value = _decoded(value)
    if isinstance(value, str):
        return value.rstrip(" \x00") or None
    return None if value is None or value is np.ma.masked else _NotText()


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        return np.dtype(np.float32 if dtype.itemsize < 4 else np.float64)
    return dtype.newbyteorder("=")


def _of_lists(name: str, rows: int) -> "pl.Series":
    import polars as pl

    return pl.Series(name, [None] * rows, dtype=pl.List(pl.Float64))


def _described(name: str, column: Any) -> Column:
    info = getattr(column, "info", column)
    meta = getattr(info, "meta", None) or {}
    unit = getattr(info, "unit", None)
    text = "" if unit is None else str(unit)
    return Column(name, "", ("object",), text, str(getattr(info, "description", "") or ""), str(meta.get("ucd") or ""))
