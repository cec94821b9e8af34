"""Tables of astropy as Polars frames."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from hven import Column, Note

if TYPE_CHECKING:
    import polars as pl

_EXACT = 2**53


def astropy_frame(table: Any) -> "tuple[pl.DataFrame, list[Column], list[Note]]":
    """Return an astropy table as a frame, what it says of its columns, and what was made of some.

    Masked values become null, NaN and empty texts too. Times become ISO 8601 in their own scale, positions on the sky
    two columns of ICRS degrees, vectors of one length arrays. Other columns with more than a number, a truth value or a
    text in each row come back as columns of empty lists, for the ingest to tell that they are left out.

    Examples
    --------
    >>> from astropy.table import Table
    >>> frame, columns, notes = astropy_frame(Table({"teff": [5772.0]}, units={"teff": "K"}))
    >>> frame["teff"].item(), columns[0].unit, notes
    (5772.0, 'K', [])
    """
    import polars as pl

    kept: list[pl.Series] = []
    columns: list[Column] = []
    notes: list[Note] = []
    places = [name for name in table.colnames if hasattr(table[name], "icrs")]
    for name in table.colnames:
        values = table[name]
        if name in places:
            parts = _position_parts(name, values, table.colnames, alone=len(places) == 1)
            for called, (numbers, unit) in parts.items():
                kept.append(series_of(called, np.ma.asarray(numbers)))
                columns.append(Column(called, "", ("object",), unit, f"ICRS position of {name}"))
            frame = getattr(values, "name", "icrs")
            *first, last = map(repr, parts)
            notes.append(Note(f"column {name!r} ({frame} positions) is kept as {', '.join(first)} and {last}, ICRS"))
            continue
        if hasattr(values, "isot"):
            notes.append(Note(f"column {name!r} is kept as text, ISO 8601, scale {values.scale}", column=name))
        kept.append(series_of(name, values))
        columns.append(_described(name, values))
    return pl.DataFrame(kept), columns, notes


def _position_parts(name: str, places: Any, taken: list[str], *, alone: bool) -> dict[str, tuple[Any, str]]:
    """Return what a column of positions says, ICRS: right ascension and declination, distances, motions, by name."""
    there = places.icrs
    found = {"ra": (there.ra.deg, "deg"), "dec": (there.dec.deg, "deg")}
    if getattr(there.distance.unit, "physical_type", "dimensionless") != "dimensionless":
        found["distance"] = (there.distance.value, str(there.distance.unit))
    if there.data.differentials:
        motions = {"pmra": ("pm_ra_cosdec", "mas/yr"), "pmdec": ("pm_dec", "mas/yr")}
        motions["radial_velocity"] = ("radial_velocity", "km/s")
        for called, (part, unit) in motions.items():
            try:
                found[called] = (getattr(there, part).to_value(unit), unit)
            except (AttributeError, TypeError, ValueError):  # motions on the sky alone, or velocities alone
                continue
    lower = {other.lower() for other in taken if other != name}
    is_plain = alone and not lower & set(found)
    return {called if is_plain else f"{name}_{called}": part for called, part in found.items()}


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
            return _times(name, values)
        return _of_lists(name, len(values))
    mask = np.ma.getmaskarray(values) if np.ma.isMaskedArray(values) else np.zeros(values.shape, bool)
    plain = np.asarray(values.data if np.ma.isMaskedArray(values) else values)
    if plain.ndim > 1 and plain.dtype.kind in "iufb" and plain.size and plain.dtype.itemsize <= 8:
        return _vectors(name, plain, mask)
    if plain.ndim != 1 or plain.dtype.kind in "cV":
        return _of_lists(name, len(plain))
    null = mask if missing is None else mask | missing
    if plain.dtype.kind in "SUO":
        if plain.dtype.kind == "O" and any(isinstance(value, np.ndarray | list | tuple) for value in plain):
            return _lists(name, plain, null)
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


def _times(name: str, values: Any) -> "pl.Series":
    import polars as pl

    masked = np.atleast_1d(np.asarray(getattr(values, "mask", False)))
    values = values.copy()
    values.precision = 9  # astropy prints three digits of a second unless it is asked for more
    texts = np.atleast_1d(np.asarray(getattr(values.isot, "unmasked", values.isot)))
    if texts.ndim != 1:
        return _of_lists(name, len(texts))
    gone = np.broadcast_to(masked, texts.shape)
    fine = [re.sub(r"(\.\d{3}\d*?)0+$", r"\1", str(text)) for text in texts]
    known = [None if is_masked else text for text, is_masked in zip(fine, gone, strict=True)]
    return pl.Series(name, known, dtype=pl.String)


def _vectors(name: str, values: "np.ndarray[Any, Any]", mask: "np.ndarray[Any, Any]") -> "pl.Series":
    """Return vectors of one length as an array column, of floats with NaN where elements are masked."""
    import polars as pl

    if not mask.any():
        return pl.Series(name, np.ascontiguousarray(values.astype(_native(values.dtype), copy=False)))
    if values.dtype.kind in "iu" and (np.abs(values[~mask].astype(np.float64)) > _EXACT).any():
        return _of_lists(name, len(values))
    kind = _native(values.dtype) if values.dtype.kind == "f" else np.dtype(np.float64)
    native = np.ascontiguousarray(values.astype(kind))
    native[mask] = np.nan
    return pl.Series(name, native)


def _lists(name: str, values: "np.ndarray[Any, Any]", null: "np.ndarray[Any, Any]") -> "pl.Series":
    """Return vectors of varying length as a column of lists; nothing of them where they are no numbers."""
    import polars as pl

    rows: list[list[Any] | None] = []
    for value, is_null in zip(values, null, strict=True):
        array = np.ma.asarray(value if value is not None else [])
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iufb"):
            return _of_lists(name, len(values))
        rows.append(None if is_null else [None if one is np.ma.masked else one for one in array.tolist()])
    known = [one for row in rows if row for one in row if one is not None]
    kind = pl.Float64 if any(isinstance(one, float) for one in known) else pl.Int64
    return pl.Series(name, rows, dtype=pl.List(pl.Boolean if known and isinstance(known[0], bool) else kind))


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
    if text.replace(" ", "") in ("dex(Sun)", "dex(solar)", "[Sun]", "dex(---)", "dex(-)"):
        # CDS writes so of abundances relative to the Sun, and of logarithms of plain numbers: both are dex.
        text = "dex"
    return Column(name, "", ("object",), text, str(getattr(info, "description", "") or ""), str(meta.get("ucd") or ""))
