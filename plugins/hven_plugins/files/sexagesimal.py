"""Angles that are written as hours or degrees, minutes and seconds, in one column or in several."""

from typing import TYPE_CHECKING

import numpy as np

from hven import Note

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

_SIGN = "\x00south"
_MINUS, _PRIME, _SECOND = "\u2212", "\u2032", "\u2033"
PATTERN = (
    rf"^([+\-{_MINUS}]?)\s*(\d{{1,3}})\s*[:hHdD°_\s]\s*(\d{{1,2}}(?:[.,]\d+)?)"
    rf"\s*[:mM'{_PRIME}_\s]?\s*(\d{{1,2}}(?:[.,]\d*)?)?\s*[sS\"{_SECOND}]?$"
)
"""Sign, hours or degrees, minutes, seconds (which may be absent) of an angle."""

_HOURS = ("h", "hr", "hour", "hours", "hms", "h:m:s", "hh:mm:ss", "hourangle")
_SPLIT = (
    ("rah", "ram", "ras", "de-", "ded", "dem", "des"),
    ("rah", "ram", "ras", "de_sign", "ded", "dem", "des"),
    ("ra_h", "ra_m", "ra_s", "dec_sign", "dec_d", "dec_m", "dec_s"),
    ("rah", "ram", "ras", "", "ded", "dem", "des"),
    ("ra_h", "ra_m", "ra_s", "", "dec_d", "dec_m", "dec_s"),
)
"""Names of hours, minutes and seconds, sign, degrees, minutes and seconds; without a sign the degrees have it."""


def is_hours(unit: str) -> bool:
    """Return whether a unit of a right ascension means hours.

    Examples
    --------
    >>> is_hours("hourangle"), is_hours('"h:m:s"'), is_hours("deg")
    (True, True, False)
    """
    return unit.strip().strip("\"'").lower() in _HOURS


def degrees(texts: "pl.Series", unit: str, *, is_right_ascension: bool) -> "tuple[pl.Series, list[Note]]":
    """Return angles that are texts in degrees, null where a text is no angle, and what was assumed.

    A right ascension is in hours unless its unit, its letters, its name or a value from 24 on say degrees.

    Examples
    --------
    >>> import polars as pl
    >>> degrees(pl.Series("ra", ["12:34:56,7"]), "", is_right_ascension=True)[0].to_list()
    [188.73625]
    >>> degrees(pl.Series("dec", ["-00 12 14.966"]), "", is_right_ascension=False)[0].round(6).to_list()
    [-0.204157]
    """
    import polars as pl

    name = texts.name
    part = pl.DataFrame({"text": texts.str.strip_chars()}).select(
        "text", *(pl.col("text").str.extract(PATTERN, group).alias(str(group)) for group in range(1, 5))
    )
    number = [pl.col(str(group)).str.replace(",", ".").cast(pl.Float64) for group in (2, 3, 4)]
    size = number[0] + number[1] / 60 + number[2].fill_null(0.0) / 3600
    good = (number[1] <= 60) & (number[2].fill_null(0.0) <= 60)
    plain = pl.col("text").str.replace(f"^{_MINUS}", "-").cast(pl.Float64, strict=False)
    signed = pl.when(good).then(pl.when(pl.col("1").is_in(["-", _MINUS])).then(-size).otherwise(size))
    parts = part.select(angle=signed, plain=pl.when(pl.col("2").is_null()).then(plain), whole=number[0])
    notes: list[Note] = []
    factor = 1.0
    if is_right_ascension:
        factor, reason = _hours_or_degrees(part["text"], unit, name, parts["whole"])
        if reason:
            notes.append(Note(f"column {name!r} is {reason}", column=name))
    count = int(parts["plain"].is_not_null().sum())
    if count and is_right_ascension and is_hours(unit):
        parts = parts.with_columns(pl.col("plain") * 15.0)
    elif count and factor != 1.0 and count < parts.height:
        text = f"column {name!r}: {count:,} values are plain numbers among hours, minutes and seconds: taken as degrees"
        notes.append(Note(text, True, name))
    found = parts.select(pl.coalesce(pl.col("angle") * factor, "plain").alias(name)).to_series()
    return found, notes


def joined(data: "pl.DataFrame") -> "tuple[pl.Series, pl.Series] | None":
    """Return right ascension and declination [deg] from six or seven columns of hours to seconds, None without them.

    Without a column of signs, whole numbers of degrees do not tell -0 from 0: they are not put together then.

    Examples
    --------
    >>> import polars as pl
    >>> parts = {"RAh": [1], "RAm": [30], "RAs": [0.0], "DE-": ["-"], "DEd": [0], "DEm": [30], "DEs": [0.0]}
    >>> [column.item() for column in joined(pl.DataFrame(parts))]
    [22.5, -0.5]
    """
    import polars as pl

    lower: Mapping[str, str] = {name.lower(): name for name in reversed(data.columns)}
    names = next((names for names in _SPLIT if all(name in lower for name in names if name)), None)
    if names is None:
        return None
    signs = _signs(data[lower[names[3] or names[4]]], is_degrees=not names[3])
    if signs is None:
        return None
    numbers = [lower[name] for name in names if name and name != names[3]]
    data = data.with_columns(pl.col(numbers).cast(pl.Float64, strict=False), signs.alias(_SIGN))
    h, m, s, d, minutes, seconds = (pl.col(name) for name in numbers)
    d, is_south = d.abs(), pl.col(_SIGN)
    ra = (h + m / 60 + s.fill_null(0.0) / 3600) * 15
    size = d + minutes / 60 + seconds.fill_null(0.0) / 3600
    dec = pl.when(is_south).then(-size).otherwise(size)
    found = data.select(ra.alias("ra"), dec.alias("dec"))
    return found["ra"], found["dec"]


def _signs(column: "pl.Series", *, is_degrees: bool) -> "pl.Series | None":
    """Return where a declination is negative, by its sign or by the degrees that carry it; None when that is lost."""
    import polars as pl

    if column.dtype == pl.String or not is_degrees:
        texts = column.cast(pl.String).str.strip_chars().str.replace(f"^{_MINUS}", "-")
        return texts.str.starts_with("-").fill_null(value=False)
    if column.dtype.is_float():
        return pl.Series(np.signbit(column.fill_null(0.0).to_numpy()))
    is_lost = bool((column == 0).any()) and bool((column < 0).any())
    return None if is_lost or not column.dtype.is_integer() else (column < 0).fill_null(value=False)


def _hours_or_degrees(texts: "pl.Series", unit: str, name: str, whole: "pl.Series") -> tuple[float, str]:
    """Return the factor to degrees of right ascensions that are texts, and why, where it was not said."""
    if is_hours(unit):
        return 15.0, ""
    if unit.strip().lower().startswith(("deg", "d:m:s", '"d:m:s"')):
        return 1.0, ""
    if texts.str.contains(r"\d\s*[hH]").any():
        return 15.0, ""
    if texts.str.contains(r"\d\s*[dD°]").any():
        return 1.0, ""
    largest = whole.max()
    if isinstance(largest, float) and largest >= 25:
        return 1.0, f"taken as degrees, minutes and seconds: no hour is {largest:g}"
    if "deg" in name.lower():
        return 1.0, "taken as degrees, minutes and seconds, as its name says"
    if largest is None:
        return 1.0, ""
    return 15.0, "taken as hours, minutes and seconds, as is usual; if it is in degrees, say so with the option 'units'"
