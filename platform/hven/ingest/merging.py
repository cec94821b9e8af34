"""Many files as one: rows that look alike, put together, numbered, and ordered on the sky."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.ingest.fitting import COPIED
from hven.ingest.normalise import Rows
from hven.lake import FILE
from hven.schema import Schema, frame_to_dataset

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr
    from numpy.typing import NDArray

_SIDE_BY_SIDE = 2


def merged(several: Sequence[Rows]) -> Rows:
    """Return rows that are `fitted` to the same as one, in their order."""
    import polars as pl
    import xarray as xr

    if len(several) == 1:
        return several[0]
    first = several[0]
    parts: dict[str, Any] = {}
    for name, part in first.parts.items():
        pieces: list[Any] = [rows.parts[name] for rows in several]
        if hasattr(part, "data_vars"):
            parts[name] = xr.concat(
                pieces, "object", data_vars="minimal", coords="minimal", compat="override", join="exact"
            )
        else:
            parts[name] = pl.concat(pieces)
    return Rows(pl.concat([rows.objects for rows in several]), parts, first.columns, first.identity)


def arranged(
    rows: Rows, ids: "NDArray[np.int64]", files: "NDArray[np.int32] | None" = None, aside: Executor | None = None
) -> Rows:
    """Return rows with their ``object_id``, in the order of the sky; the parts carry id and place too.

    Parameters
    ----------
    rows
        As they were read, n rows.
    ids
        Of the objects, int64, shape (n,).
    files
        Numbers of the files that they are from, int32, shape (n,); kept where no schema names it.
    aside
        Puts arrays in order beside what the caller does next; parts that are arrays are then futures.

    Examples
    --------
    >>> import polars as pl
    >>> rows = Rows(pl.DataFrame({"id": [1, 2], "_healpix_29": [9, 4]}), {}, {}, ("id",))
    >>> arranged(rows, np.array([70, 80])).objects.rows()
    [(80, 2, 4), (70, 1, 9)]
    """
    import polars as pl

    objects = rows.objects
    if "object_id" not in objects.columns:
        objects = objects.clone().insert_column(0, pl.Series("object_id", ids))
    if files is not None:
        objects = objects.with_columns(pl.Series(FILE, files))
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


def array_digests(identity: "pl.DataFrame", parts: Mapping[str, Any]) -> "pl.Series":
    """Return a digest of the arrays of those rows whose identity repeats: equal rows may still have other spectra."""
    import polars as pl

    arrays = [part for part in parts.values() if hasattr(part, "data_vars")]
    if not arrays:
        return pl.Series("\x00arrays", [None], dtype=pl.String).new_from_index(0, identity.height)
    digests: list[str | None] = [None] * identity.height
    rows = identity.is_duplicated().arg_true().to_numpy()
    for part in arrays:
        if len(rows):
            for name in sorted(str(v) for v in part.variables if "object" in part[v].dims):
                values = np.asarray(part[name].isel(object=rows).values)
                for row, value in zip(rows, values, strict=True):
                    content = value.tobytes() if values.dtype.kind in "fiub" else repr(value).encode()
                    digests[row] = blake2b(f"{digests[row]}{name}".encode() + content).hexdigest()
    return pl.Series("\x00arrays", digests, dtype=pl.String)
