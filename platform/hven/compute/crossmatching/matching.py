"""The matching of one block: left rows, the right ones around them, and the rows of the result."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.compute.crossmatching.request import COUNT, SEPARATION, Request
from hven.compute.crossmatching.rows import PLACE, is_on_sky
from hven.compute.crossmatching.sources import Side
from hven.lake import Block
from hven.sky.cover import in_ranges
from hven.sky.margins import padded_ranges
from hven.sky.matching import Pairs, Points, all_within, count_within, nearest_within
from hven.sky.motion import propagate

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

MOST_PAIRS = 1_000_000
"""Pairs of one block beyond which it is cut, so that all neighbours of a crowded field never fill the memory."""


@dataclass(frozen=True)
class TooMany:
    """The answer for a block with too many pairs: about how many there are."""

    pairs: int


@dataclass(frozen=True)
class _Placed:
    """Rows with their positions at the common epoch.

    Attributes
    ----------
    frame
        The rows.
    good
        Which of them can match, (n,).
    points
        Those that are, m of them.
    """

    frame: "pl.DataFrame"
    good: "NDArray[np.bool_]"
    points: Points


def match_block(request: Request, block: Block, *, with_place: bool = False) -> "pl.DataFrame | TooMany":
    """Return the rows of the result that belong to one block of the left side, in its order.

    Parameters
    ----------
    request
        What is matched.
    block
        Of the left side.
    with_place
        Whether ``_healpix_29`` comes as a column too when it was not asked for.
    """
    left = _left(request, block)
    right = _right(request, padded_ranges(left.points.cells, request.pad))
    radius = _radii(request, left)
    if request.match == "all" and request.how != "anti" and block.rows > 1:
        expected = count_within(left.points, right.points, radius)
        if expected > MOST_PAIRS:
            return TooMany(expected)
    rank = _rank(request.right, right)
    find = all_within if request.match == "all" and request.how != "anti" else nearest_within
    pairs = find(left.points, right.points, radius, rank)
    place = np.flatnonzero(left.good)
    pairs = Pairs(place[pairs.left], np.flatnonzero(right.good)[pairs.right], pairs.separation)
    counts = _counts(left, right, radius) if request.count and request.how != "anti" else None
    kept = list(request.left.columns)
    if with_place and PLACE not in kept:
        kept.append(PLACE)
    return _joined(request, left.frame.select(kept), right.frame, pairs, counts)


def _left(request: Request, block: Block) -> _Placed:
    side = request.left
    columns = [
        *side.columns,
        *side.needed(moves=request.epoch is not None, ranked=False),
        *([request.radius] if isinstance(request.radius, str) else []),
    ]
    frame = side.rows.read(block, list(dict.fromkeys(columns)), side.where)
    return _placed(side, frame, request.epoch)


def _right(request: Request, ranges: "NDArray[np.int64]") -> _Placed:
    side = request.right
    needed = side.needed(moves=request.epoch is not None, ranked=request.how != "anti")
    columns = list(dict.fromkeys([*(side.columns if request.how != "anti" else ()), *needed]))
    return _placed(side, side.rows.near(ranges, columns, side.where), request.epoch, ranges)


def _placed(
    side: Side, frame: "pl.DataFrame", epoch: float | None, ranges: "NDArray[np.int64] | None" = None
) -> _Placed:
    """Return rows with the positions of those that are on the sky (and, as stored, in `ranges`)."""
    ra, dec = _floats(frame, side.roles["ra"]), _floats(frame, side.roles["dec"])
    if side.region is not None:
        inside = side.region.contains(ra, dec)
        frame, ra, dec = frame.filter(inside), ra[inside], dec[inside]
    years: Any = 0.0
    if epoch is not None:
        years = epoch - (_floats(frame, side.epoch) if isinstance(side.epoch, str) else float(side.epoch or 0.0))
    good = is_on_sky(ra, dec) & np.isfinite(years)
    if ranges is not None:
        # Whole row groups were read, and most of their rows may be elsewhere.
        good &= in_ranges(frame[PLACE].fill_null(-1).to_numpy(), ranges)
    ra, dec = ra[good], dec[good]
    if np.any(years) and "pmra" in side.roles:
        pmra, pmdec = (_floats(frame, side.roles[role])[good] for role in ("pmra", "pmdec"))
        ra, dec = propagate(ra, dec, pmra, pmdec, years[good] if np.ndim(years) else years)
        return _Placed(frame, good, Points.at(ra, dec))
    cells = frame[PLACE].to_numpy()[good].astype(np.int64, copy=False)
    return _Placed(frame, good, Points(ra, dec, cells))


def _radii(request: Request, left: _Placed) -> "NDArray[np.float64] | float":
    if not isinstance(request.radius, str):
        return request.radius
    return _floats(left.frame, request.radius)[left.good] * request.factor


def _rank(side: Side, right: _Placed) -> "NDArray[Any] | None":
    """Return what decides between right rows that are equally near: their ids; without ids, their order."""
    column = side.roles.get("object_id")
    if column is None or column not in right.frame.columns:
        return None
    ids = right.frame[column]
    if not ids.dtype.is_integer() or ids.null_count():
        ids = ids.rank("dense").fill_null(0)
    return ids.to_numpy()[right.good]


def _counts(left: _Placed, right: _Placed, radius: "NDArray[np.float64] | float") -> "NDArray[np.int64]":
    """Return how many right positions lie within the radius of each left row, (n,)."""
    counts = np.zeros(left.frame.height, np.int64)
    found = all_within(left.points, right.points, radius).left
    counts[left.good] = np.bincount(found, minlength=len(left.points))
    return counts


def _joined(
    request: Request, left: "pl.DataFrame", right: "pl.DataFrame", pairs: Pairs, counts: "NDArray[np.int64] | None"
) -> "pl.DataFrame":
    import polars as pl

    if request.how == "anti":
        alone = np.ones(left.height, bool)
        alone[pairs.left] = False
        return left.filter(alone)
    ones, others, separation = pairs.left, pl.Series(pairs.right, dtype=pl.Int64), pl.Series(pairs.separation)
    if request.how == "left":
        alone = np.ones(left.height, bool)
        alone[ones] = False
        ones = np.concatenate([ones, np.flatnonzero(alone)])
        order = np.argsort(ones, kind="stable")
        nothing = pl.Series([None] * int(alone.sum()), dtype=pl.Int64)
        ones, others = ones[order], pl.concat([others, nothing])[order]
        separation = pl.concat([separation, nothing.cast(pl.Float64)])[order]
    taken = right.select(pl.col(column).gather(others).alias(name) for column, name in request.names.items())
    joined = [*left[ones].iter_columns(), *taken.iter_columns(), separation.alias(SEPARATION)]
    if counts is not None:
        joined.append(pl.Series(COUNT, counts[ones]))
    return pl.DataFrame(joined)


def _floats(frame: "pl.DataFrame", column: str) -> "NDArray[np.float64]":
    import polars as pl

    return frame[column].cast(pl.Float64).to_numpy()
