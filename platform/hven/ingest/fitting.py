"""Fitting: what rows have to look like to stand in one dataset, and rows made to look like it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import DataRefusedError
from hven.ingest.normalise import MADE, Rows
from hven.schema import Note

if TYPE_CHECKING:
    import polars as pl

    from hven.lake import Lake
    from hven.schema import Column

COPIED = ("object_id", "source_id", "ra", "dec", "_healpix_29")
"""What arrays carry of the table of objects."""

_EXACT = 2**53


@dataclass(frozen=True)
class Like:
    """What rows have to look like to go into one dataset: it widens with what comes, as far as it is not fixed.

    Attributes
    ----------
    outline
        Columns with their types, parts with their axes, and no objects.
    valueless
        Columns without any value so far: their type may still become any.
    large
        Columns of whole numbers too large to be kept as floats.
    fixed
        Columns whose types cannot change any more: they stand in the lake, or ids were made from them.
    """

    outline: Rows
    valueless: frozenset[str] = frozenset()
    large: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rows: Rows) -> "Like":
        """Return what rows like these look like."""
        outline = outline_of(rows)
        return cls(outline, _valueless(rows.objects, outline.objects.columns), _large(rows.objects))

    @property
    def types(self) -> "dict[str, pl.DataType]":
        """The types of the columns."""
        return dict(self.outline.objects.schema)


def widened(like: Like, rows: Rows) -> Like:
    """Return what rows look like together with those of before.

    Raises
    ------
    DataRefusedError
        If columns, parts, or the axes of arrays are others, or no type holds the values of both.

    Examples
    --------
    >>> import polars as pl
    >>> like = Like.of(Rows(pl.DataFrame({"id": [1], "feh": [0]}), {}, {}, ("id",)))
    >>> widened(like, Rows(pl.DataFrame({"feh": [0.2], "id": [2]}), {}, {}, ("id",))).types
    {'id': Int64, 'feh': Float64}
    """
    outline = like.outline
    _same("columns", rows.objects.columns, outline.objects.columns)
    _same("parts", list(rows.parts), list(outline.parts))
    _same("identity", list(rows.identity), list(outline.identity))
    _check_units(rows.columns, outline.columns)
    for name, part in rows.parts.items():
        _check_part(name, part, outline.parts[name])
    types, large = {}, like.large | _large(rows.objects)
    for name, dtype in like.types.items():
        series = rows.objects[name]
        if series.dtype == dtype or series.null_count() == series.len():
            types[name] = dtype
        elif name in like.fixed:
            cast_series(series, dtype)
            types[name] = dtype
        elif name in like.valueless:
            types[name] = series.dtype
        else:
            types[name] = wider_type(name, dtype, series.dtype)
            if types[name].is_float() and name in large:
                raise _cannot_hold(name, series.dtype, dtype)
    valueless = like.valueless & _valueless(rows.objects, list(types))
    parts = {name: _wider_part(part, outline.parts[name], name) for name, part in rows.parts.items()}
    return Like(replace(outline, objects=empty_frame(types), parts=parts), valueless, large, like.fixed)


def fitted(rows: Rows, like: Like) -> Rows:
    """Return rows with the columns and types of those they are put together with (see `widened`).

    Raises
    ------
    DataRefusedError
        If a value would change.
    """
    parts = {
        name: part if hasattr(part, "data_vars") else cast(part, dict(like.outline.parts[name].schema))
        for name, part in rows.parts.items()
    }
    return replace(rows, objects=cast(rows.objects, like.types), parts=parts)


def unit_notes(rows: Rows, like: Like) -> tuple[Note, ...]:
    """Return notes on columns that have a unit here and none before, or none here and one before.

    Examples
    --------
    >>> import polars as pl
    >>> from hven.schema import Column
    >>> stars = pl.DataFrame({"id": [1], "size": [2.0]})
    >>> like = Like.of(Rows(stars, {}, {"size": Column("size", "", unit="pc")}, ("id",)))
    >>> unit_notes(Rows(stars, {}, {"size": Column("size", "")}, ("id",)), like)[0].text
    "column 'size' has no unit in one file and is in pc before: its values are taken as pc"
    """
    notes = []
    for name, column in rows.columns.items():
        before = like.outline.columns.get(name)
        if before is None or column.unit == before.unit or (column.unit and before.unit):
            continue
        values = rows.objects[name] if name in rows.objects.columns else None
        if values is None or not values.dtype.is_numeric() or values.null_count() == values.len():
            continue
        if before.unit:
            text = f"has no unit in one file and is in {before.unit} before: its values are taken as {before.unit}"
        else:
            text = (
                f"is in {column.unit} in one file and has no unit before: its values are kept as they are, without unit"
            )
        notes.append(Note(f"column {name!r} {text}", True, name))
    return tuple(notes)


def outline_of(rows: Rows) -> Rows:
    """Return rows without any object, that say what others have to look like."""
    parts = {part: _bare(data, whole=not part) for part, data in rows.parts.items()}
    return Rows(rows.objects.clear(), parts, rows.columns, rows.identity)


def outline_in_lake(lake: "Lake", name: str, rows: Rows, names: Mapping[str, str]) -> Rows:
    """Return the outline of what stands in a lake under the names that `rows` would get."""
    handle = lake[name]
    objects = handle.table().head(0).collect()
    if "object_id" not in rows.objects.columns:
        objects = objects.drop("object_id", strict=False)
    parts: dict[str, Any] = {}
    for part, dataset in names.items():
        if part and hasattr(rows.parts[part], "data_vars"):
            parts[part] = _bare(lake[dataset].dataset(), whole=False)
        elif part:
            parts[part] = lake[dataset].table().head(0).collect().drop("object_id", strict=False)
    if "" in rows.parts:
        parts[""] = _bare(handle.dataset(), whole=True)
    identity = handle.entry.identity or tuple(c for c in objects.columns if c not in MADE)
    return Rows(objects, parts, {column.name: column for column in handle.schema}, identity)


def wider_type(name: str, one: "pl.DataType", other: "pl.DataType") -> "pl.DataType":
    """Return the type that holds the values of two types.

    Raises
    ------
    DataRefusedError
        If numbers stand in one and text in the other.

    Examples
    --------
    >>> import polars as pl
    >>> wider_type("n", pl.Int16(), pl.Int32()), wider_type("n", pl.Int16(), pl.Float32())
    (Int32, Float64)
    """
    import polars as pl

    if one == other:
        return one
    if one.is_integer() and other.is_integer():
        return max(one, other, key=lambda kind: str(kind)[3:].zfill(3))
    if one.is_numeric() and other.is_numeric():
        return pl.Float64()
    raise DataRefusedError(
        f"column {name!r} is {other} here and {one} in what came before",
        expected="the same type of values in all files of one dataset",
        hint="Ingest these files into a dataset of their own, or correct the column.",
    )


def empty_frame(types: "Mapping[str, pl.DataType]") -> "pl.DataFrame":
    """Return a frame of these columns without rows."""
    import polars as pl

    return pl.DataFrame(schema=dict(types))


def cast(frame: "pl.DataFrame", types: "Mapping[str, pl.DataType]") -> "pl.DataFrame":
    """Return a frame with exactly the columns and types told.

    Raises
    ------
    DataRefusedError
        If a value would change: a fraction kept as a whole number, or a large whole number kept as a float.
    """
    import polars as pl

    return pl.DataFrame([cast_series(frame[name], dtype) for name, dtype in types.items()])


def cast_series(series: "pl.Series", dtype: "pl.DataType") -> "pl.Series":
    """Return a column with another type.

    Raises
    ------
    DataRefusedError
        If a value would change.
    """
    if series.dtype == dtype:
        return series
    if series.dtype.is_numeric() != dtype.is_numeric() and series.null_count() < series.len():
        # A number is no text: which of its spellings would it be?
        raise _cannot_hold(series.name, series.dtype, dtype)
    kept = series.cast(dtype, strict=False)
    changed = kept.null_count() != series.null_count()
    if series.dtype.is_integer() and dtype.is_float():
        # Whole numbers never pass through float where it could round them.
        changed = changed or _is_large(series)
    elif series.dtype.is_float() and dtype.is_integer():
        changed = changed or bool((series != kept).any()) or bool((series.abs() > _EXACT).any())
    if changed:
        raise _cannot_hold(series.name, series.dtype, dtype)
    return kept


def _cannot_hold(name: str, found: "pl.DataType", dtype: "pl.DataType") -> DataRefusedError:
    are_numbers = found.is_numeric() and dtype.is_numeric()
    together = "Ingest all files anew in one go (mode 'replace'), so that the column is made wide enough for them"
    return DataRefusedError(
        f"column {name!r} is {found} here and {dtype} in the rest, which cannot hold its values",
        hint=f"{together if are_numbers else 'Ingest these files into a dataset of their own'}, or correct the column.",
    )


def _is_large(series: "pl.Series") -> bool:
    low, high = series.min(), series.max()
    return low is not None and bool(low < -_EXACT or high > _EXACT)  # type: ignore[operator]


def _large(frame: "pl.DataFrame") -> frozenset[str]:
    import polars as pl

    return frozenset(s.name for s in frame.iter_columns() if s.dtype == pl.Int64 and _is_large(s))


def _valueless(frame: "pl.DataFrame", columns: Sequence[str]) -> frozenset[str]:
    return frozenset(name for name in columns if frame[name].null_count() == frame.height)


def _bare(data: Any, *, whole: bool) -> Any:
    """Return the axes of a part and none of its objects, without what was copied into it from the table of objects."""
    if not hasattr(data, "data_vars"):
        return data.clear().drop("object_id", strict=False)
    own = [name for name, v in data.variables.items() if v.dims == ("object",) and (whole or name in COPIED)]
    # A copy: what has no objects must not keep alive the arrays that it was cut from.
    return data.drop_vars(own).isel(object=slice(0, 0)).copy(deep=True)


def _wider_part(part: Any, like: Any, name: str) -> Any:
    if hasattr(part, "data_vars"):
        return like
    types = {}
    for column, dtype in like.schema.items():
        series = part[column]
        is_other = series.dtype != dtype and series.null_count() < series.len()
        types[column] = wider_type(f"{name}.{column}", dtype, series.dtype) if is_other else dtype
    return empty_frame(types)


def _check_units(found: "Mapping[str, Column]", wanted: "Mapping[str, Column]") -> None:
    for name, column in found.items():
        unit = wanted[name].unit if name in wanted else ""
        if unit and column.unit and unit != column.unit:
            raise DataRefusedError(
                f"column {name!r} is in {column.unit} here and in {unit} in what came before",
                expected="the same units in all files of one dataset",
                hint=f"Ingest these files into a dataset of their own, or convert the column to {unit}.",
            )


def _check_part(name: str, part: Any, like: Any) -> None:
    if not hasattr(part, "data_vars"):
        _same(f"columns of {name!r}", part.columns, like.columns)
        return
    _same(f"variables of {name!r}", list(map(str, part.variables)), list(map(str, like.variables)))
    for axis, variable in part.variables.items():
        if "object" not in variable.dims and not np.array_equal(variable.values, like[axis].values):
            raise DataRefusedError(
                f"{axis!r} of {name or 'the arrays'} is another grid than before",
                expected="the same grid in all files of one dataset",
                hint="Ingest these files into a dataset of their own.",
            )
    for axis, size in part.sizes.items():
        if axis != "object" and size != like.sizes.get(axis, size):
            raise DataRefusedError(
                f"the arrays have {size} elements along {axis!r}, and {like.sizes[axis]} in the files before",
                expected="arrays of one shape in all files of one dataset",
                hint="Ingest these files into a dataset of their own, or cut them to one size.",
            )


def _same(what: str, found: list[str], wanted: list[str]) -> None:
    if set(found) == set(wanted):
        return
    more = [name for name in found if name not in wanted]
    less = [name for name in wanted if name not in found]
    told = [f"has {', '.join(map(repr, more))}"] * bool(more) + [f"misses {', '.join(map(repr, less))}"] * bool(less)
    raise DataRefusedError(
        f"the file {' and '.join(told)}, unlike those before",
        expected=f"the same {what} in all files of one dataset",
        hint="Ingest it into a dataset of its own, or rename its columns with the reader's options.",
    )
