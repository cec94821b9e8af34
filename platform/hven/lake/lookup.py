"""From ids to rows: where in a dataset the objects of certain ids stand."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hven.errors import DataRefusedError, MissingColumnError, SeveralObjectsError
from hven.lake.parts import Part, Run
from hven.lake.where import check_columns

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from hven.lake.source import Source

Several = Literal["error", "first", "all"]

_CELL = "_healpix_29"


def asked_ids(source: "Source", rows: Any, on: str | None) -> "tuple[pl.Series, pl.Series | None, str]":
    """Return the ids that rows ask for, their cells of ``_healpix_29`` when they carry some, and the column of the ids.

    Parameters
    ----------
    source
        The dataset that is asked.
    rows
        Ids, or a frame with a column of them.
    on
        That column; None takes ``object_id``, or ``source_id`` when frame or dataset lack the other.

    Raises
    ------
    MissingColumnError
        If the frame or the dataset lacks the column.
    DataRefusedError
        If the ids are of another type than the dataset's.
    """
    import polars as pl

    known = source.frame_schema()
    frame = rows.collect() if isinstance(rows, pl.LazyFrame) else rows
    if not isinstance(frame, pl.DataFrame):
        column = on or "object_id"
        check_columns((column,), known, source.name)
        return _fitting(_series(frame, column), known[column], source.name), None, column
    column = on or next((n for n in ("object_id", "source_id") if n in frame.columns and n in known), "object_id")
    if column not in frame.columns:
        raise MissingColumnError(
            f"the rows have no column {column!r}",
            where=f"columns {', '.join(frame.columns)}",
            hint="Select it too, or name another column with on=.",
        )
    check_columns((column,), known, source.name)
    cells = frame[_CELL] if _CELL in frame.columns and _CELL in known and frame[_CELL].dtype.is_integer() else None
    return _fitting(frame[column], known[column], source.name), cells, column


def find(
    source: "Source", ids: "pl.Series", cells: "pl.Series | None", on: str, several: Several
) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Return for the n ids asked which of them (m,) stands at which row of the dataset (m,), -1 when at none.

    The first array ascends: m is n, unless ``several="all"`` finds more.

    Parameters
    ----------
    source
        The dataset.
    ids
        As `asked_ids` returns them.
    cells
        Where the objects are likely to be found, cells of order 29; it only saves time.
    on
        The column to find them in.
    several
        What to do when an id is that of several objects.

    Raises
    ------
    SeveralObjectsError
        When it is, with ``several="error"``.
    """
    import polars as pl

    if several not in ("error", "first", "all"):
        raise DataRefusedError(
            f"several is {several!r}", expected="'error', 'first' or 'all'", hint="Choose one of these."
        )
    wanted = ids.drop_nulls().unique()
    # An object_id is found once: what is found near its place need not be looked for elsewhere.
    found = _near(source, wanted, cells, on) if cells is not None and on == "object_id" else None
    if found is None or found.height < wanted.len():
        rest = wanted if found is None else wanted.filter(~wanted.is_in(found["id"].implode()))
        more = _search(source, rest, on, _runs(source, rest, on))
        found = more if found is None else pl.concat([found, more])
    repeated = found.filter(found["id"].is_duplicated())
    if repeated.height and several == "error":
        raise SeveralObjectsError(
            f"{on} {repeated['id'][0]!r} is that of {(repeated['id'] == repeated['id'][0]).sum()} objects"
            f" ({repeated['id'].n_unique()} such ids)",
            where=f"dataset {source.name!r}",
            hint="Ask by object_id, or say several='first' or several='all'.",
        )
    found = found.sort("row")
    if several == "first":
        found = found.unique("id", keep="first", maintain_order=True)
    asked = pl.DataFrame({"id": ids, "asked": np.arange(len(ids), dtype=np.int64)})
    placed = asked.join(found, on="id", how="left", maintain_order="left_right")
    return placed["asked"].to_numpy(), placed["row"].fill_null(-1).to_numpy()


def _near(source: "Source", wanted: "pl.Series", cells: "pl.Series", on: str) -> "pl.DataFrame":
    places = np.unique(cells.drop_nulls().to_numpy().astype(np.int64))
    return _search(source, wanted, on, source.runs(np.stack([places, places + 1], axis=1)))


def _runs(source: "Source", wanted: "pl.Series", on: str) -> tuple[Run, ...]:
    """Return the rows among which the ids may be: Gaia's, for one, follow the sky, and so the row groups."""
    whole = tuple(Run(part, 0, part.rows) for part in source.parts if part.rows)
    if not wanted.len() or not wanted.dtype.is_integer() or not source.is_table:
        return whole if wanted.len() else ()
    values = wanted.sort().to_numpy().astype(np.int64)
    return source.runs(np.stack([values, values + 1], axis=1), on)


def _search(source: "Source", wanted: "pl.Series", on: str, runs: Sequence[Run]) -> "pl.DataFrame":
    """Return ``id`` and ``row`` in the dataset of those among `runs` whose id is wanted."""
    import polars as pl

    pieces = [_ids(source, run.part, on) for run in runs if run.is_whole]
    rest = [run for run in runs if not run.is_whole]
    if rest:
        pieces.append(source.scan_runs(rest).select(pl.col(on).alias("id")).collect()["id"])
    places = source.places([*(run for run in runs if run.is_whole), *rest])
    if not pieces:
        return pl.DataFrame(schema={"id": wanted.dtype, "row": pl.Int64})
    ids = pl.concat(pieces)
    at = ids.is_in(wanted.implode()).arg_true().to_numpy()
    return pl.DataFrame({"id": ids.gather(at).cast(wanted.dtype), "row": places[at]})


@lru_cache(maxsize=32)
def _ids(source: "Source", part: Part, on: str) -> "pl.Series":
    """Return the ids of a file or segment; the parts of a pinned version never change."""
    import polars as pl

    ids: pl.Series = source.scan([part]).select(pl.col(on).alias("id")).collect()["id"]
    return ids


def _series(ids: Any, column: str) -> "pl.Series":
    import polars as pl

    if isinstance(ids, pl.Series):
        return ids
    values = np.asarray(ids)
    if values.ndim != 1 or (values.dtype.kind not in "iuUTO" and values.size):
        raise DataRefusedError(
            f"ids of type {values.dtype} and shape {values.shape}",
            expected="a list of ids, or a frame with a column of them",
            hint=f"Give whole numbers: {column} as the dataset has them.",
        )
    return pl.Series(column, ids if values.dtype.kind == "O" else values, strict=False)


def _fitting(ids: "pl.Series", dtype: "pl.DataType", name: str) -> "pl.Series":
    """Return ids in the type of the dataset's column, or refuse them."""
    import polars as pl

    if not len(ids):
        return pl.Series("id", [], dtype=dtype)
    if ids.dtype == pl.Null or (ids.dtype.is_integer() and dtype.is_integer()):
        # A number that the column's type cannot hold is that of no object.
        return ids.cast(pl.Int64, strict=False).cast(dtype, strict=False).alias("id")
    if ids.dtype == dtype and dtype == pl.String:
        return ids.alias("id")
    raise DataRefusedError(
        f"the ids are {ids.dtype}, those of the dataset {dtype}",
        where=f"dataset {name!r}",
        expected="whole numbers or text, as the dataset has them",
        hint="Cast the column; whole numbers that went through floats are no longer the same.",
    )
