"""The types of columns that hven keeps, and what becomes of the others."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import polars as pl

LEFT_OUT = "left out"
_DIGITS = 15
"""Significant digits that a float keeps of any decimal."""


class Kept(NamedTuple):
    """A column as hven keeps it.

    Attributes
    ----------
    values
        The column; None when it is left out.
    note
        What was changed; empty for nothing.
    needs_attention
        Whether a person should see that.
    """

    values: "pl.Series | None"
    note: str = ""
    needs_attention: bool = False


def storable(series: "pl.Series") -> Kept:
    """Return a column as hven keeps it, and a note on what was changed.

    NaN becomes null, infinite values stay. Unsigned and 128-bit integers become signed ones of 64 bits that hold them,
    else text; decimals whole numbers or floats when these hold them, else text: no digit is lost. Categories, dates and
    times become text (ISO 8601), durations seconds, columns without any value floats. Lists, records and bytes that are
    not text are left out.

    Examples
    --------
    >>> import polars as pl
    >>> kept = storable(pl.Series("n", [1, 2], dtype=pl.UInt64))
    >>> kept.values.dtype, kept.note
    (Int64, '')
    >>> storable(pl.Series("n", [2**63], dtype=pl.UInt64)).note
    'kept exact, as text: its whole numbers are beyond 64 bits with sign'
    >>> storable(pl.Series("record", [{"a": 1}]))
    Kept(values=None, note='left out: each value is a record', needs_attention=True)
    """
    import polars as pl

    dtype = series.dtype
    if dtype in (pl.Float32, pl.Float64):
        return Kept(series.fill_nan(None) if series.is_nan().any() else series)
    if dtype in (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Boolean, pl.String):
        return Kept(series)
    if dtype.is_integer():
        return _signed(series)
    if dtype.is_decimal():
        return _plain(series)
    if dtype.is_float() or dtype == pl.Null:
        return Kept(series.cast(pl.Float32 if str(dtype) == "Float16" else pl.Float64).fill_nan(None))
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return Kept(series.cast(pl.String))
    if isinstance(dtype, pl.Datetime) or dtype in (pl.Date, pl.Time):
        return Kept(series.dt.to_string("iso:strict"), "kept as text, ISO 8601")
    if isinstance(dtype, pl.Duration):
        return Kept(series.dt.total_nanoseconds() / 1e9, "kept in seconds")
    if dtype == pl.Binary:
        try:
            return Kept(series.cast(pl.String), "kept as text")
        except pl.exceptions.PolarsError:
            return Kept(None, f"{LEFT_OUT}: bytes that are not text", needs_attention=True)
    kind = "record" if dtype == pl.Struct else "list" if dtype.is_nested() else dtype
    return Kept(None, f"{LEFT_OUT}: each value is a {kind}", needs_attention=True)


def _signed(series: "pl.Series") -> Kept:
    import polars as pl

    smallest: dict[pl.DataType, pl.DataType] = {pl.UInt8(): pl.Int16(), pl.UInt16(): pl.Int32()}
    try:
        return Kept(series.cast(smallest.get(series.dtype, pl.Int64())))
    except pl.exceptions.InvalidOperationError:
        note = "kept exact, as text: its whole numbers are beyond 64 bits with sign"
        return Kept(series.cast(pl.String), note, needs_attention=True)


def _plain(series: "pl.Series") -> Kept:
    """Return decimals as whole numbers, else as floats, else as text: the first that holds every digit of them."""
    import polars as pl

    whole = series.cast(pl.Int64, strict=False)
    if whole.null_count() == series.null_count() and (whole.cast(series.dtype, strict=False) == series).all():
        return Kept(whole)
    digits = series.cast(pl.String).str.replace_all(r"[-.]", "").str.strip_chars_start("0")
    if series.dtype.scale and (digits.str.strip_chars_end("0").str.len_chars() <= _DIGITS).all():  # type: ignore[attr-defined]
        return Kept(series.cast(pl.Float64))
    return Kept(
        series.cast(pl.String), "kept exact, as text: no float holds all digits of its decimals", needs_attention=True
    )
