"""Vectors: columns with an array in each row become arrays beside the table, under the same ids."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.ingest.file_units import standard_unit
from hven.ingest.storable import storable
from hven.schema import Column, Note
from hven.schema.conventions import STRING

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

PART = "vectors"
"""The part that the arrays are: the dataset ``<name>_vectors``."""


def split_vectors(
    frame: "pl.DataFrame", told: Mapping[str, Column], first: int = 0
) -> "tuple[pl.DataFrame, xr.Dataset | None, list[Note]]":
    """Return the single values of a table, its vectors as arrays over ``object``, and notes on both.

    Vectors of one length make a variable over ``(object, <column>_axis)``, of several dimensions over
    ``<column>_axis_1`` and so on. Missing numbers are NaN. What has another length in each row is left out.

    Parameters
    ----------
    frame
        A table.
    told
        What is known of its columns: units, descriptions.
    first
        Number of its first row in the file. A table of nothing but vectors gets the number of each row as a column.

    Examples
    --------
    >>> import polars as pl
    >>> stars = pl.DataFrame({"id": [1, 2], "mags": [[17.1, 16.2], None], "ages": [[1], [2, 3]]})
    >>> frame, arrays, notes = split_vectors(stars, {"mags": Column("mags", "", unit="mag")})
    >>> frame.columns, arrays.mags.dims, arrays.mags.values.tolist(), arrays.mags.attrs
    (['id'], ('object', 'mags_axis'), [[17.1, 16.2], [nan, nan]], {'units': 'mag'})
    >>> [str(note) for note in notes if note.needs_attention]
    ["column 'ages' is left out: its vectors have several lengths"]
    """
    import polars as pl
    import xarray as xr

    nested = [series for series in frame.iter_columns() if isinstance(series.dtype, pl.Array | pl.List)]
    if not nested:
        return frame, None, []
    variables: dict[str, Any] = {}
    notes: list[Note] = []
    for series in nested:
        name, column = series.name, told.get(series.name, Column(series.name, ""))
        values, why = _array(series)
        if values is None:
            notes.append(Note(f"column {name!r} is left out: {why}", True, name))
            continue
        unit = standard_unit(column.unit)
        if unit is None:
            notes.append(
                Note(f"column {name!r}: the unit {column.unit!r} of the file is not known, and not kept", True, name)
            )
        attrs = {"units": unit or "", "description": column.description, "ucd": column.ucd}
        shape = values.shape[1:]
        axes = [f"{name}_axis"] if len(shape) == 1 else [f"{name}_axis_{k}" for k in range(1, len(shape) + 1)]
        variables[name] = (("object", *axes), values, {key: text for key, text in attrs.items() if text})
        notes.append(
            Note(f"column {name!r} is kept beside the table: arrays of {_text(shape)} for each object", column=name)
        )
    lengths = [values.shape[1:] for _, values, _ in variables.values()]
    if len(nested[0]) == 1 and not first and len(lengths) > 1 and lengths.count(lengths[0]) == len(lengths):
        text = (
            f"the table is one row of vectors: if these are columns of {_text(lengths[0])} objects, write them as rows"
        )
        notes.append(Note(text, needs_attention=True))
    frame = frame.drop([series.name for series in nested])
    if not frame.width:
        frame = pl.DataFrame({"row": np.arange(first, first + len(nested[0]))})
        notes.append(
            Note("the table has vectors alone: its objects are told apart by the number of their row", True, "row")
        )
    return frame, xr.Dataset(variables) if variables else None, notes


def _array(series: "pl.Series") -> "tuple[np.ndarray[Any, Any] | None, str]":
    """Return a column of vectors as an array (n, ...), or why there is none."""
    import polars as pl

    inner, shape = series.drop_nulls(), []
    while isinstance(inner.dtype, pl.Array | pl.List):
        lengths = inner.list.len() if isinstance(inner.dtype, pl.List) else pl.Series([inner.dtype.size])
        if not len(inner) and isinstance(inner.dtype, pl.List):
            return None, "it has no vector"
        if lengths.n_unique() > 1 or inner.null_count():
            return None, "its vectors have several lengths"
        shape.append(int(lengths[0]))
        if not shape[-1]:
            return None, "its vectors are empty"
        inner = inner.explode()
    kept, note = storable(inner)[:2]
    if kept is None:
        return None, note
    flat = _flat(kept, is_whole=not series.null_count())
    if flat is None:
        return None, "it has missing values among whole numbers that are too large for floats"
    there = flat.reshape(-1, *shape)
    if not series.null_count():
        return there, ""
    whole = np.full((len(series), *shape), None if flat.dtype.kind == "T" else np.nan, flat.dtype)
    whole[series.is_not_null().to_numpy()] = there
    return whole, ""


def _flat(values: "pl.Series", *, is_whole: bool) -> "np.ndarray[Any, Any] | None":
    """Return single values as NumPy has them, floats when some are missing; None if these could not hold them."""
    import polars as pl

    if values.dtype == pl.String:
        return np.array(values.to_list(), dtype=STRING)
    if values.dtype.is_float():
        return values.fill_null(float("nan")).to_numpy()
    if is_whole and not values.null_count():
        return values.to_numpy()
    if values.dtype.is_integer() and (values.cast(pl.Int64).abs() > 2**53).any():
        return None
    return values.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
