"""Many files as one: rows whose columns agree, put together, numbered, and ordered on the sky."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import DataRefusedError
from hven.ingest.normalise import Rows
from hven.ingest.object_ids import object_ids
from hven.schema import Schema, frame_to_dataset

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr
    from numpy.typing import NDArray

COPIED = ("object_id", "source_id", "ra", "dec", "_healpix_29")
_EXACT = 2**53
_SIDE_BY_SIDE = 2


def fitted(rows: Rows, like: Rows, *, is_written: bool = False) -> Rows:
    """Return `rows` with the columns in the order of those they are to be put together with.

    Parameters
    ----------
    rows
        Of one file.
    like
        What was read before, or with `is_written` stands in the lake, so that its types cannot change any more.

    Raises
    ------
    DataRefusedError
        If columns, types, parts, or the axes of arrays are others.

    Examples
    --------
    >>> import polars as pl
    >>> one = Rows(pl.DataFrame({"id": [1], "feh": [0.1]}), {}, {}, ("id",))
    >>> two = Rows(pl.DataFrame({"feh": [0.2], "id": [2]}), {}, {}, ("id",))
    >>> fitted(two, one).objects.columns
    ['id', 'feh']
    """
    _same("columns", rows.objects.columns, like.objects.columns)
    _same("parts", list(rows.parts), list(like.parts))
    _same("identity", list(rows.identity), list(like.identity))
    for name, part in rows.parts.items():
        _check_part(name, part, like.parts[name])
    types = dict(like.objects.schema) if is_written else common_types([like.objects, rows.objects])
    return replace(rows, objects=cast(rows.objects, types))


def merged(several: Sequence[Rows]) -> Rows:
    """Return rows that fit together (`fitted`) as one, in their order."""
    import polars as pl
    import xarray as xr

    if len(several) == 1:
        return several[0]
    first = several[0]
    types = common_types([rows.objects for rows in several])
    parts: dict[str, Any] = {}
    for name, part in first.parts.items():
        pieces: list[Any] = [rows.parts[name] for rows in several]
        if hasattr(part, "data_vars"):
            parts[name] = xr.concat(
                pieces, "object", data_vars="minimal", coords="minimal", compat="override", join="exact"
            )
        else:
            common = common_types(pieces)
            parts[name] = pl.concat([cast(piece, common) for piece in pieces])
    return Rows(
        pl.concat([cast(rows.objects, types) for rows in several]),
        parts,
        first.columns,
        first.identity,
        tuple(dict.fromkeys(note for rows in several for note in rows.notes)),
    )


def arranged(rows: Rows, taken: "NDArray[np.int64] | None" = None, aside: Executor | None = None) -> Rows:
    """Return rows with their ``object_id``, in the order of the sky; the parts carry id and place too.

    Parameters
    ----------
    rows
        As they were read.
    taken
        The ids that stand in the dataset already.
    aside
        Puts arrays in order beside what the caller does next; parts that are arrays are then futures.

    Examples
    --------
    >>> import polars as pl
    >>> rows = Rows(pl.DataFrame({"id": [1, 2], "_healpix_29": [9, 4]}), {}, {}, ("id",))
    >>> arranged(rows).objects.columns, arranged(rows).objects["id"].to_list()
    (['object_id', 'id', '_healpix_29'], [2, 1])
    """
    import polars as pl

    objects = rows.objects
    if "object_id" not in objects.columns:
        identity = objects.select(rows.identity)
        content = objects.with_columns(_array_digests(identity, rows.parts))
        ids = object_ids(identity, content, taken)
        objects = objects.insert_column(0, pl.Series("object_id", ids))
    by = [name for name in ("_healpix_29", "object_id") if name in objects.columns]
    order = objects.select(pl.arg_sort_by(by)).to_series()
    objects = objects[order]
    copied = frame_to_dataset(objects.select(c for c in COPIED if c in objects.columns), Schema.of_frame(objects))
    parts: dict[str, Any] = {}
    for name, part in rows.parts.items():
        if not hasattr(part, "data_vars"):
            parts[name] = pl.concat(
                [objects.select("object_id"), part[order].drop("object_id", strict=False)], how="horizontal"
            )
            continue
        told: xr.Dataset = copied if name else frame_to_dataset(objects, Schema.of_frame(objects, rows.columns))
        if aside is None:
            parts[name] = _in_order(part, order.to_numpy(), told)
        else:
            parts[name] = aside.submit(_in_order, part, order.to_numpy(), told)
    return Rows(objects, parts, rows.columns, rows.identity, rows.notes)


def common_types(frames: "Sequence[pl.DataFrame]") -> "dict[str, pl.DataType]":
    """Return for each column the type that holds the values of all frames; a column without values agrees with any.

    Raises
    ------
    DataRefusedError
        If numbers stand in one and text in the other.
    """
    import polars as pl

    types: dict[str, pl.DataType] = {}
    for name in frames[0].columns:
        kinds = [frame[name].dtype for frame in frames if frame[name].null_count() < frame.height]
        kinds = list(dict.fromkeys(kinds or [frames[0][name].dtype]))
        if len(kinds) == 1:
            types[name] = kinds[0]
        elif all(kind.is_integer() for kind in kinds):
            types[name] = max(kinds, key=lambda kind: str(kind)[3:].zfill(3))
        elif all(kind.is_numeric() for kind in kinds):
            types[name] = pl.Float64()
        else:
            raise DataRefusedError(
                f"column {name!r} is {kinds[-1]} here and {kinds[0]} in the files before",
                expected="the same type of values in all files of one dataset",
                hint="Ingest these files into a dataset of their own, or correct the column.",
            )
    return types


def cast(frame: "pl.DataFrame", types: "Mapping[str, pl.DataType]") -> "pl.DataFrame":
    """Return a frame with exactly the columns and types told.

    Raises
    ------
    DataRefusedError
        If a value would change: a fraction kept as a whole number, or a large whole number kept as a float.
    """
    import polars as pl

    columns = []
    for name, dtype in types.items():
        series = frame[name]
        kept = series.cast(dtype, strict=False)
        changed = kept.null_count() != series.null_count()
        if series.dtype.is_integer() and dtype.is_float():
            # Whole numbers never pass through float where it could round them.
            changed = changed or bool((series.cast(pl.Int64).abs() > _EXACT).any())
        elif series.dtype.is_float() and dtype.is_integer():
            changed = changed or bool((series != kept).any()) or bool((series.abs() > _EXACT).any())
        if changed:
            raise DataRefusedError(
                f"column {name!r} is {series.dtype} here and {dtype} in the rest, which cannot hold its values",
                hint="Ingest these files into a dataset of their own, or correct the column.",
            )
        columns.append(kept)
    return pl.DataFrame(columns)


def _in_order(part: "xr.Dataset", order: "NDArray[np.integer[Any]]", told: "xr.Dataset") -> "xr.Dataset":
    """Return arrays with their objects in another order, and what is `told` of each object in that order already.

    Where arrays are in memory this is ``np.take``, which is three times faster than what `isel` does with wide ones,
    and lets another array be put in order beside it.
    """
    part = part.drop_vars(told.variables, errors="ignore")
    moved = part.copy()

    def in_order(variable: "xr.Variable") -> "xr.Variable":
        if variable.dims[:1] == ("object",) and isinstance(variable.data, np.ndarray):
            return variable.copy(data=variable.data.take(order, axis=0))
        return variable.isel(object=order)

    names = [name for name, variable in part.variables.items() if "object" in variable.dims]
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
        for name, variable in zip(names, threads.map(in_order, (part.variables[n] for n in names)), strict=True):
            moved[name] = variable
    return moved.assign(told.variables)


def _array_digests(identity: "pl.DataFrame", parts: Mapping[str, Any]) -> "pl.Series":
    """Return a digest of the arrays of those rows whose identity repeats: equal rows may still have other spectra."""
    import polars as pl

    digests: list[str | None] = [None] * identity.height
    rows = identity.is_duplicated().arg_true().to_numpy()
    for part in parts.values():
        if len(rows) and hasattr(part, "data_vars"):
            for name in sorted(str(v) for v in part.variables if "object" in part[v].dims):
                values = np.asarray(part[name].isel(object=rows).values)
                for row, value in zip(rows, values, strict=True):
                    content = value.tobytes() if values.dtype.kind in "fiub" else repr(value).encode()
                    digests[row] = blake2b(f"{digests[row]}{name}".encode() + content).hexdigest()
    return pl.Series("\x00arrays", digests, dtype=pl.String)


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
