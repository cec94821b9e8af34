"""The types of columns that hven keeps, and what becomes of the others."""

from typing import TYPE_CHECKING

from hven.errors import DataRefusedError

if TYPE_CHECKING:
    import polars as pl

LEFT_OUT = "left out"


def storable(series: "pl.Series") -> "tuple[pl.Series | None, str]":
    """Return a column as hven keeps it, and a note on what was changed; None in place of a column that is left out.

    NaN becomes null. Unsigned integers become signed ones that hold them; categories, dates and times become text
    (ISO 8601), durations seconds, decimals floats, columns without any value floats. Vectors, lists, records and bytes
    that are not text are left out.

    Raises
    ------
    DataRefusedError
        If an integer does not fit into 64 bits with sign.

    Examples
    --------
    >>> import polars as pl
    >>> kept, note = storable(pl.Series("n", [1, 2], dtype=pl.UInt64))
    >>> kept.dtype, note
    (Int64, '')
    >>> storable(pl.Series("flux", [[1.0], [2.0]]))
    (None, 'left out: each value is a list')
    """
    import polars as pl

    dtype = series.dtype
    if dtype in (pl.Float32, pl.Float64):
        return series.fill_nan(None), ""
    if dtype in (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Boolean, pl.String):
        return series, ""
    if dtype.is_integer():
        return _signed(series), ""
    if dtype.is_float() or dtype.is_decimal() or dtype == pl.Null:
        return series.cast(pl.Float32 if str(dtype) == "Float16" else pl.Float64).fill_nan(None), ""
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return series.cast(pl.String), ""
    if isinstance(dtype, pl.Datetime):
        return series.dt.to_string("iso:strict"), "kept as text, ISO 8601"
    if dtype in (pl.Date, pl.Time):
        return series.dt.to_string("iso:strict"), "kept as text, ISO 8601"
    if isinstance(dtype, pl.Duration):
        return series.dt.total_nanoseconds() / 1e9, "kept in seconds"
    if dtype == pl.Binary:
        try:
            return series.cast(pl.String), "kept as text"
        except pl.exceptions.PolarsError:
            return None, f"{LEFT_OUT}: bytes that are not text"
    return (
        None,
        f"{LEFT_OUT}: each value is a {'record' if dtype == pl.Struct else 'list' if dtype.is_nested() else dtype}",
    )


def _signed(series: "pl.Series") -> "pl.Series":
    import polars as pl

    smallest: dict[pl.DataType, pl.DataType] = {pl.UInt8(): pl.Int16(), pl.UInt16(): pl.Int32()}
    try:
        return series.cast(smallest.get(series.dtype, pl.Int64()))
    except pl.exceptions.InvalidOperationError as error:
        raise DataRefusedError(
            f"column {series.name!r} has whole numbers beyond 2^63 - 1, the largest is {series.max()!r}",
            expected="whole numbers of 64 bits with sign",
            hint="Read the column as text.",
        ) from error
