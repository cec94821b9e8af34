"""Objects of a dataset picked by row: lazy variables in the order asked for, each stored shard read at most once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.lake.parts import ROW_GROUP, Part
from hven.schema import Schema, frame_to_dataset
from hven.schema.conventions import STRING

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr
    from numpy.typing import NDArray

    from hven.lake.source import Source

_READ = 4 * 2**20
_CHUNK = 64 * 2**20


@dataclass(frozen=True, eq=False)
class Layout:
    """Which rows are read together, and where they go.

    Attributes
    ----------
    pieces
        What one task reads: rows of one part, ascending, each once.
    chunks
        How many objects each chunk of the answer has.
    plans
        For each chunk, for each piece it needs: the piece, where its values go in the chunk, and which of its values.
    """

    pieces: "tuple[tuple[Part, NDArray[np.int64]], ...]"
    chunks: tuple[int, ...]
    plans: "tuple[tuple[tuple[int, NDArray[np.int64], NDArray[np.int64]], ...], ...]"


def pick_rows(source: "Source", rows: "NDArray[np.int64]", columns: Sequence[str] | None = None) -> "xr.Dataset":
    """Return the objects at `rows` (m,) of a dataset, in this order, with lazy Dask variables; those at -1 are blank.

    A row may be asked for more than once. Blank is NaN, 0, False, null; True in ``mask``. Text of arrays is read at
    once, for it cannot be lazy and know its nulls.
    """
    return _pick_of_table(source, rows, columns) if source.is_table else _pick_of_arrays(source, rows, columns)


def layout(parts: Sequence[Part], rows: "NDArray[np.int64]", grain: int, width: int) -> Layout:
    """Return how `rows` are read: by whole grains of about 4 MB, into chunks of about 64 MB.

    Parameters
    ----------
    parts
        Of the dataset, in its order.
    rows
        In the dataset, in any order, -1 for none; shape (m,).
    grain, width
        Rows that are stored together, and bytes of one row.

    Examples
    --------
    >>> told = layout([Part("a", "s", 10), Part("b", "s", 10)], np.array([12, 3, -1, 12]), grain=4, width=2**20)
    >>> [(part.path, at.tolist()) for part, at in told.pieces], told.chunks
    ([('a', [3]), ('b', [2])], (4,))
    """
    stored, back = np.unique(rows, return_inverse=True)
    absent = int(len(stored) > 0 and stored[0] < 0)
    firsts = np.cumsum([0, *(part.rows for part in parts)])
    step = grain * max(_READ // (grain * width), 1)
    part_of = np.searchsorted(firsts, stored, side="right") - 1
    within = stored - firsts[np.maximum(part_of, 0)]
    changes = np.flatnonzero((np.diff(part_of) != 0) | (np.diff(within // step) != 0)) + 1
    edges = np.unique(np.concatenate([[absent], changes[changes > absent], [len(stored)]])).astype(np.int64)
    pieces = tuple((parts[part_of[a]], within[a:b]) for a, b in pairwise(edges.tolist()))
    size = max(_CHUNK // width, 1)
    chunks = tuple(min(size, len(rows) - start) for start in range(0, len(rows), size)) or (0,)
    plans = []
    for start in np.cumsum([0, *chunks[:-1]]).tolist():
        mine = back[start : start + size]
        order = np.argsort(mine, kind="stable")
        cuts = np.searchsorted(mine[order], edges)
        plan = [
            (piece, order[a:b], mine[order[a:b]] - edges[piece])
            for piece, (a, b) in enumerate(pairwise(cuts.tolist()))
            if a < b
        ]
        plans.append(tuple(plan))
    return Layout(pieces, chunks, tuple(plans))


def table_template(source: "Source", names: Sequence[str]) -> "xr.Dataset":
    """Return one row of a table that has the variables of the whole: ``<c>_valid`` where the version has nulls."""
    import polars as pl

    nulls, columns = source.null_columns(), source.frame_schema()
    example = {n: pl.Series(n, [None if n in nulls else _example(columns[n])], dtype=columns[n]) for n in names}
    return frame_to_dataset(pl.DataFrame(example), source.schema)


def table_values(frame: "pl.DataFrame", names: Sequence[str]) -> "dict[str, NDArray[Any]]":
    """Return the variables of rows of a table, with the flag of each of `names` even if none of its values is null."""
    data = frame_to_dataset(frame, Schema(()))
    values = {str(name): np.asarray(variable.values) for name, variable in data.variables.items()}
    for name in names:
        values.setdefault(f"{name}_valid", np.ones(len(values[name]), dtype=bool))
    return values


def _pick_of_table(source: "Source", rows: "NDArray[np.int64]", columns: Sequence[str] | None) -> "xr.Dataset":
    import xarray as xr
    from dask.base import tokenize

    schema = source.schema
    names = list(schema.names if columns is None else columns)
    template = table_template(source, names)
    width = sum(v.dtype.itemsize for v in template.variables.values())
    told = layout(source.parts, rows, ROW_GROUP, max(width, 1))
    token = tokenize(source, names, rows)
    reads: dict[Any, Any] = {
        (f"rows-{token}", i): (_read_table, source, part, at, names) for i, (part, at) in enumerate(told.pieces)
    }
    variables = {
        name: xr.Variable("object", _lazy(str(name), v.dtype, (), told, reads, token, is_table=True), v.attrs)
        for name, v in template.variables.items()
    }
    return xr.Dataset(variables, attrs=dict(schema.attrs))


def _pick_of_arrays(source: "Source", rows: "NDArray[np.int64]", columns: Sequence[str] | None) -> "xr.Dataset":
    import xarray as xr
    from dask.base import tokenize

    source.axes()
    parts = source.parts
    token = tokenize(source, rows)
    layouts: dict[tuple[int, int], Layout] = {}
    template = source.open_segment(parts[0], None, columns)
    variables: dict[str, xr.Variable] = {}
    for name in (n for n in source.schema.names if n in template.variables):
        variable = template.variables[name]
        if "object" not in variable.dims:
            variables[name] = variable if name in template.indexes else variable.chunk()
            continue
        if variable.dtype.kind == "T":
            variables[name] = xr.Variable("object", _texts(source, name, rows), variable.attrs)
            continue
        grain = (variable.encoding.get("shards") or variable.encoding.get("chunks") or (ROW_GROUP,))[0]
        width = variable.dtype.itemsize * int(np.prod(variable.shape[1:], dtype=np.int64))
        key = (int(grain), max(width, 1))
        told = layouts.get(key) or layouts.setdefault(key, layout(parts, rows, *key))
        reads = {
            (f"read-{name}-{token}", i): (_read_array, source, part, name, at)
            for i, (part, at) in enumerate(told.pieces)
        }
        values = _lazy(name, variable.dtype, variable.shape[1:], told, reads, token, is_table=False)
        variables[name] = xr.Variable(variable.dims, values, variable.attrs)
    coordinates = {name: variables.pop(name) for name in list(variables) if name in template.coords}
    return xr.Dataset(variables, coords=coordinates, attrs=template.attrs)


def _lazy(
    name: str,
    dtype: "np.dtype[Any]",
    tail: tuple[int, ...],
    told: Layout,
    reads: Mapping[Any, Any],
    token: str,
    *,
    is_table: bool,
) -> Any:
    """Return the Dask array of one variable: a task for each chunk, which puts together what the reads gave."""
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    keys = list(reads)
    label = f"of-{name}-{token}"
    zeros = (0,) * len(tail)
    tasks: dict[Any, Any] = {
        (label, chunk, *zeros): (
            _put_together,
            [keys[piece] for piece, _, _ in plan],
            [to for _, to, _ in plan],
            [taken for _, _, taken in plan],
            (size, *tail),
            dtype,
            _blank(name, dtype),
            name if is_table else None,
        )
        for chunk, (size, plan) in enumerate(zip(told.chunks, told.plans, strict=True))
    }
    first = keys[0][0] if keys else "rows"
    layers: dict[str, Any] = {label: tasks, first: dict(reads)}
    graph = HighLevelGraph(layers, {label: {first}, first: set()})
    return da.Array(graph, label, (told.chunks, *((n,) for n in tail)), dtype=dtype)


def _put_together(
    pieces: Sequence[Any],
    to: "Sequence[NDArray[np.int64]]",
    taken: "Sequence[NDArray[np.int64]]",
    shape: tuple[int, ...],
    dtype: "np.dtype[Any]",
    blank: Any,
    name: str | None,
) -> "NDArray[Any]":
    values = [piece if name is None else piece[name] for piece in pieces]
    if sum(map(len, to)) == shape[0]:
        whole: NDArray[Any] = np.empty(shape, dtype)
    else:
        whole = np.full(shape, blank, dtype)
    for piece, at, some in zip(values, to, taken, strict=True):
        whole[at] = piece[some]
    return whole


def _read_table(source: "Source", part: Part, at: "NDArray[np.int64]", names: Sequence[str]) -> Any:
    return table_values(source.read_rows(part, at, names), names)


def _read_array(source: "Source", part: Part, name: str, at: "NDArray[np.int64]") -> "NDArray[Any]":
    variable = source.open_segment(part, None, [name]).variables[name]
    is_dense = at[-1] - at[0] + 1 == len(at)
    return np.asarray(variable.isel(object=slice(int(at[0]), int(at[-1]) + 1) if is_dense else at).values)


def _texts(source: "Source", name: str, rows: "NDArray[np.int64]") -> "NDArray[Any]":
    found = np.full(len(rows), None, STRING)
    first = 0
    for part in source.parts:
        mine = np.flatnonzero((rows >= first) & (rows < first + part.rows))
        if len(mine):
            found[mine] = source.open_segment(part, None, [name])[name].values[rows[mine] - first]
        first += part.rows
    return found


def _blank(name: str, dtype: "np.dtype[Any]") -> Any:
    if dtype.kind == "b":
        return name == "mask"
    return {"f": np.nan, "T": None}.get(dtype.kind, 0)


def _example(dtype: "pl.DataType") -> Any:
    import polars as pl

    return "" if dtype == pl.String else False if dtype == pl.Boolean else 0
