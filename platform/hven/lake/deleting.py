"""Objects to be deleted, and how they leave arrays: only segments that hold some of them are written anew."""

import uuid
from dataclasses import replace
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

import numpy as np

from hven.errors import DataRefusedError
from hven.lake import arrays
from hven.lake.inside import as_region, rows_inside
from hven.lake.parts import INPUT
from hven.lake.picking import pick_rows
from hven.lake.where import parse_where

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from hven.catalog import Entry, Pin
    from hven.lake.source import Source
    from hven.sky import Region


VECTORS = "_vectors"
"""What follows the name of a table in the name of the dataset of its vectors."""


def objects_meant(
    source: "Source", entry: "Entry", where: "str | pl.Expr | None", region: "Region | str | None"
) -> "pl.Expr":
    """Return the condition that is true for the objects that a condition and a region mean together.

    Raises
    ------
    DataRefusedError
        If neither is given.
    WhereError, MissingColumnError, RegionError
        If one does not fit the dataset.
    """
    conditions = [] if where is None else [parse_where(where, source.frame_schema(), source.name)]
    if region is not None:
        conditions.append(rows_inside(source, entry, as_region(region))[1])
    if not conditions:
        raise DataRefusedError(
            "nothing says which objects to delete",
            where=f"dataset {source.name!r}",
            expected="where, region or both",
            hint="To remove the whole dataset, drop it: tx.drop(name).",
        )
    return reduce(and_, conditions)


def vectors_of(source: "Source", entries: "Mapping[str, Entry]") -> str:
    """Return the dataset of the arrays that vectors of a table became, empty when there is none."""
    name = f"{source.name}{VECTORS}"
    has_ids = name in entries and {"object_id"} <= set(entries[name].columns) & set(source.frame_schema())
    return name if source.is_table and has_ids else ""


def same_objects(source: "Source", gone: "pl.Expr") -> "pl.Expr":
    """Return the condition that is true in another dataset for the objects for which `gone` is true in this one."""
    import polars as pl

    ids = source.scan().filter(gone).select("object_id").collect()["object_id"]
    return pl.col("object_id").is_in(ids.implode())


def delete_from_arrays(source: "Source", gone: "pl.Expr", transaction: str) -> "Pin":
    """Write the segments that hold objects for which `gone` is true anew without them, and return the new pin.

    Parameters
    ----------
    source
        The dataset.
    gone
        True for the objects to delete; of the variables over ``object``.
    transaction
        Names what is written.
    """
    import polars as pl

    stays = []
    first = 0
    for part in source.parts:
        is_gone = source.scan([part]).select(gone.fill_null(value=False).alias("gone")).collect()["gone"]
        if is_gone.any():
            stays.append((part, first, np.flatnonzero(~is_gone.to_numpy())))
        first += part.rows
    if not stays:
        return source.pin
    at = arrays.ArraysAt(source.store, source.pin.path)
    branch = f"txn-{transaction}-{uuid.uuid4().hex[:8]}"
    arrays.begin_branch(at, branch, str(source.pin.version))
    # The last of all segments stays, even without an object: it has what is not over objects, the wavelengths say.
    kept = {part.path for part in source.parts} - {part.path for part, _, rows in stays}
    with arrays.writing(at, branch) as session:
        arrays.remove_groups(session, kept)
        for number, (part, start, rows) in enumerate(stays):
            if not len(rows) and (kept or number < len(stays) - 1 or any(len(r) for _, _, r in stays)):
                continue
            data = pick_rows(source, start + rows)
            inputs = source.read_inputs(part)[INPUT].gather(rows)
            if not inputs.null_count() and inputs.dtype == pl.Int64:
                data = data.assign({INPUT: ("object", inputs.to_numpy())})
            # A new name in the same place: what is in it is not what was in the old one.
            stem = part.path.rsplit("-", 1)[0]
            arrays.add_group(session, f"{stem}-{uuid.uuid4().hex[:8]}", data)
        return replace(source.pin, version=arrays.commit(at, session, "deleted objects"))
