"""Ids that keep every digit, whichever type a file gives them."""

import re
from typing import TYPE_CHECKING

from hven import Note

if TYPE_CHECKING:
    import polars as pl

IDENTITIES = (
    "source_id",
    "dr3_source_id",
    "sobject_id",
    "apogee_id",
    "targetid",
    "specobjid",
    "obsid",
    "objid",
    "source",
    "gaiaedr3",
    "star_id",
    "id",
)
"""Names under which surveys publish what tells their objects apart, lower case, in the order of preference."""

_ID = re.compile(
    r"(^|_)ids?$|^(kic|tic|epic|hip|hd|object)$|(obj|source|target|obs|star|gaia|cat)_?id(_|$)|[a-z]ID$",
)
_NUMBERS_ONLY = ("source",)
_EXACT = 2**53


def is_id(name: str) -> bool:
    """Return whether a column of that name holds ids rather than measurements.

    Examples
    --------
    >>> is_id("GaiaDR3_ID"), is_id("specObjID"), is_id("KIC"), is_id("grid"), is_id("valid")
    (True, True, True, False, False)
    """
    return name.lower() in IDENTITIES or any(_ID.search(one) is not None for one in (name, name.lower()))


def guessed_identity(data: "pl.DataFrame", rounded: set[str]) -> tuple[str, ...]:
    """Return the column that tells the objects of a table apart by its name; nothing where there is none.

    Examples
    --------
    >>> import polars as pl
    >>> guessed_identity(pl.DataFrame({"SOURCE_ID": [7], "id": ["a"]}), set())
    ('SOURCE_ID',)
    """
    lower = {name.lower(): name for name in reversed(data.columns)}
    for name in IDENTITIES:
        column = lower.get(name)
        if column is None or column in rounded or data[column].dtype.is_nested():
            continue
        # 'source' is the id in VizieR's tables of Gaia, and in others the paper or survey of a value.
        if name in _NUMBERS_ONLY and not data[column].dtype.is_integer():
            continue
        return (column,)
    return ()


def exact_ids(data: "pl.DataFrame") -> "tuple[pl.DataFrame, list[Note], set[str]]":
    """Return a table whose ids keep every digit, what was changed, and the ids that were rounded before.

    Decimals without digits behind the point and floats that are whole numbers become integers where they are ids;
    integers beyond 64 bits with sign become text.

    Examples
    --------
    >>> import polars as pl
    >>> data, notes, rounded = exact_ids(pl.DataFrame({"source_id": [7.0, None], "teff": [5000.0, 4000.0]}))
    >>> data["source_id"].to_list(), str(notes[0]), rounded
    ([7, None], "column 'source_id' holds whole numbers as decimals: kept as integers", set())
    >>> exact_ids(pl.DataFrame({"source_id": [5.85308e18]}))[2]
    {'source_id'}
    """
    import polars as pl

    notes: list[Note] = []
    rounded: set[str] = set()
    for series in data.iter_columns():
        name, dtype = series.name, series.dtype
        if dtype == pl.UInt64 and series.len() and (series.max() or 0) >= 2**63:  # type: ignore[operator]
            data = data.with_columns(series.cast(pl.String))
            notes.append(Note(f"column {name!r} has whole numbers beyond 2^63 - 1: kept as text", column=name))
        elif dtype.is_decimal() and (is_id(name) or dtype.scale == 0):  # type: ignore[attr-defined]
            data, noted = _decimal(data, series)
            notes += noted
        elif dtype.is_float() and is_id(name):
            known = series.drop_nulls().drop_nans()
            if known.is_empty() or not (known == known.floor()).all() or known.is_infinite().any():
                continue
            largest = float(known.abs().to_numpy().max())
            if largest > (_EXACT if dtype == pl.Float64 else 2**24):
                rounded.add(name)
                notes.append(
                    Note(
                        f"column {name!r} is rounded in the file already: {largest:.6g} as a {dtype} has lost"
                        " its last digits, so different objects may share an id; it is not used as identity",
                        True,
                        name,
                    )
                )
            else:
                data = data.with_columns(series.fill_nan(None).cast(pl.Int64))
                notes.append(Note(f"column {name!r} holds whole numbers as decimals: kept as integers", column=name))
    return data, notes, rounded


def _decimal(data: "pl.DataFrame", series: "pl.Series") -> "tuple[pl.DataFrame, list[Note]]":
    """Return a table in which one column of decimals is of integers, or of text where those do not fit."""
    import polars as pl

    name = series.name
    texts = series.cast(pl.String)
    if texts.str.contains(r"\.0*[1-9]").any():
        return data, []
    digits = texts.str.replace(r"\.0*$", "")
    whole = digits.cast(pl.Int64, strict=False)
    if whole.null_count() == series.null_count():
        return data.with_columns(whole), [
            Note(f"column {name!r} holds decimals without a fraction: kept as integers", column=name)
        ]
    return data.with_columns(digits), [
        Note(f"column {name!r} has whole numbers beyond 2^63 - 1: kept as text", column=name)
    ]
