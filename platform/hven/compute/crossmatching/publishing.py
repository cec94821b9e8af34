"""A cross-match as a dataset of a lake: blocks written where they are made, then one commit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hven.compute.crossmatching.matching import TooMany, match_block
from hven.compute.crossmatching.request import COUNT, SEPARATION, Request
from hven.compute.crossmatching.rows import PLACE
from hven.compute.crossmatching.sources import described
from hven.compute.footprint import Footprint, footprint, joined
from hven.errors import DataRefusedError, NameRefusedError, ReadOnlyError
from hven.lake import Block, Lake, StagedTable, WrittenPart, new_segment
from hven.schema import Column, Schema, check_name

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

HOW = "crossmatch"
"""What the provenance of a result says of how it came to be."""

ID, LEFT_ID = "object_id", "object_id_left"
_KNOWN = {
    SEPARATION: Column(SEPARATION, "float64", unit="arcsec", description="Between the two", ucd="pos.angDistance"),
    COUNT: Column(COUNT, "int64", description="Objects of the right side within the radius", ucd="meta.number"),
    ID: Column(ID, "int64", description="Unique id of the pair, made from the ids of the two", ucd="meta.id;meta.main"),
    LEFT_ID: Column(LEFT_ID, "int64", description="object_id of the left side", ucd="meta.id"),
}


@dataclass(frozen=True)
class _Written:
    """What one block became: a file, where on the sky it is, and the ids in it."""

    part: WrittenPart | None
    footprint: Footprint
    ids: "NDArray[np.int64]"


def publish(
    lake: Lake,
    name: str,
    request: Request,
    stream: Callable[..., Iterator[_Written]],
    *,
    title: str,
    survey: str,
) -> int:
    """Write and publish the rows; see `Crossmatch.write`. On failure nothing stays behind."""
    import polars as pl

    from hven import __version__

    check_name(name)
    _check_target(lake, name)
    _check_ids(request)
    with lake.transaction(f"cross-match of {request.left.label}; {request.right.label}") as tx:
        staged = StagedTable(lake.store, tx.new_path(name, "table"))
        segment = new_segment(0)
        written: list[_Written] = []
        try:
            written.extend(stream(write_block, staged, segment))
            empty = _as_kept(request, pl.DataFrame(schema={**request.schema, PLACE: pl.Int64}))
            files = [one.part for one in written if one.part is not None]
            _check_unique(written, request)
            if not files:
                files = [staged.write(segment, "part-none", empty)]
            schema = Schema.of_frame(empty, _columns(request))
            told = {"how": HOW, "hven": __version__, **request.to_json()}
            texts = {"title": title or _title(request), "survey": survey, "kind": "table", "provenance": told}
            cover = joined(one.footprint for one in written if one.part is not None)
            tx.publish_table(name, staged, files, empty, schema, coverage=cover, **texts)
        except BaseException:
            lake.store.delete(*(f"{staged.path}/{one.part.path}" for one in written if one.part is not None))
            raise
    return int(tx.commit_number or 0)


def write_block(request: Request, block: Block, staged: StagedTable, segment: str) -> "_Written | TooMany":
    """Write the rows of one block as one file; nothing refers to it yet. Runs on workers."""
    frame = match_block(request, block, with_place=True)
    if isinstance(frame, TooMany):
        return frame
    if not frame.height:
        return _Written(None, footprint(np.empty(0, np.int64)), np.empty(0, np.int64))
    kept = _as_kept(request, frame)
    part = staged.write(segment, f"{block.part.path.replace('/', '-')[:60]}-{block.start:012d}", kept)
    return _Written(part, footprint(kept[PLACE].drop_nulls().to_numpy()), kept[ID].to_numpy())


def _as_kept(request: Request, frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return rows under the names and with the ids that the dataset has."""
    import polars as pl

    left_id = request.left.roles[ID]
    if request.match == "nearest" or request.how == "anti":
        rest = frame if left_id == ID else frame.with_columns(pl.col(left_id).alias(ID))
        return rest.select(ID, pl.exclude(ID))
    right_id = request.names[request.right.roles[ID]]
    frame = frame.with_columns(pl.col(left_id).alias(LEFT_ID))
    ids = pair_ids(frame[left_id].to_numpy(), frame[right_id].fill_null(-1).to_numpy())
    return frame.with_columns(pl.Series(ID, ids)).select(ID, LEFT_ID, pl.exclude(ID, LEFT_ID))


def pair_ids(left: "NDArray[np.int64]", right: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """Return an id for each pair of ids, the same for the same pair: 63 bits of two rounds of SplitMix64.

    Two of a million pairs get the same id once in twenty million; `Crossmatch.write` looks.

    Examples
    --------
    >>> len(set(pair_ids(np.array([1, 1, 2]), np.array([2, 3, 1])).tolist()))
    3
    """
    with np.errstate(over="ignore"):
        mixed = _mixed(_mixed(left.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15) + right.astype(np.uint64))
    return (mixed >> np.uint64(1)).astype(np.int64)


def _mixed(x: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    # Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators": the finaliser of SplitMix64.
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _check_target(lake: Lake, name: str) -> None:
    if lake.is_pinned:
        raise ReadOnlyError(
            "this view of the lake is pinned to one commit", where=lake.url, hint="Write to hven.open(url)."
        )
    catalog = lake.catalog
    if name in catalog and catalog[name].provenance.get("how") != HOW:
        raise NameRefusedError(
            f"there is a dataset {name!r}, and it is not the result of a cross-match",
            where=f"catalog {catalog.number}",
            hint="Choose another name, or drop that dataset first.",
        )


def _check_ids(request: Request) -> None:
    sides = [request.left, *([request.right] if request.match == "all" and request.how != "anti" else [])]
    for side in sides:
        column = side.roles.get(ID)
        dtype = side.rows.schema().get(column) if column is not None else None
        if column is None or column not in side.columns or dtype is None or not dtype.is_integer():
            raise DataRefusedError(
                "the result has no ids to be kept by",
                where=side.label,
                expected="a column object_id or source_id of whole numbers, among the columns that are taken",
                hint=f"Take it along, name it with {_names_option(side, request)}={{'object_id': ...}}, or ingest the "
                "file first.",
            )


def _names_option(side: object, request: Request) -> str:
    return "left_names" if side is request.left else "right_names"


def _check_unique(written: Sequence[_Written], request: Request) -> None:
    ids = np.sort(np.concatenate([one.ids for one in written] or [np.empty(0, np.int64)]))
    twice = ids[1:][ids[1:] == ids[:-1]]
    if len(twice):
        raise DataRefusedError(
            f"{len(twice):,} ids come twice in the result, for example {twice[0]}",
            where=request.left.label,
            expected="a unique id for every object",
            hint="Say which column names each object once with left_names={'object_id': ...}.",
        )


def _columns(request: Request) -> list[Column]:
    left = {column: column for column in request.left.columns}
    pair = request.match == "all" and request.how != "anti"
    columns = [*described(request.left, left), *(described(request.right, request.names) if request.names else ())]
    made = [_KNOWN[SEPARATION], _KNOWN[COUNT], *([_KNOWN[ID], _KNOWN[LEFT_ID]] if pair else [])]
    return [*(c for c in columns if c.name not in {m.name for m in made}), *made]


def _title(request: Request) -> str:
    names = [side.label.split(", ", 1)[1].removeprefix("dataset ") for side in (request.left, request.right)]
    return f"{names[0]} without {names[1]}" if request.how == "anti" else f"{names[0]} matched with {names[1]}"
