"""Rows on the sky: Parquet files or a frame, read piece by piece, or near given cells."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hven.lake import Block, Part
from hven.sky.cover import meets
from hven.sky.margins import fewer

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

PLACE = "_healpix_29"
GRAIN = 16_384
"""Rows in a row group of what is written here."""

_MOST_RANGES = 8
_LOOKED_AT = 1_000


class Rows(Protocol):
    """Rows that are in order of ``_healpix_29``, within each of their parts."""

    def schema(self) -> "pl.Schema":
        """Return the columns with their types."""

    def parts(self) -> tuple[Part, ...]:
        """Return the pieces they are stored in, with how many rows each has."""

    def scan(self) -> "pl.LazyFrame":
        """Return all rows, lazily."""

    def read(self, block: Block, columns: Sequence[str], where: "pl.Expr | None") -> "pl.DataFrame":
        """Return the rows of a block for which `where` is true."""

    def near(self, ranges: "NDArray[np.int64]", columns: Sequence[str], where: "pl.Expr | None") -> "pl.DataFrame":
        """Return the rows whose cell lies in sorted half-open `ranges` (n, 2), in their order, and maybe some more."""


@dataclass(frozen=True)
class ParquetRows:
    """Rows in Parquet files, each in order of ``_healpix_29``. Small; travels to workers.

    Attributes
    ----------
    addresses
        Of the files, absolute.
    known
        The files as parts; a part of -1 rows was not counted yet.
    options
        Of the object store.
    place
        The column with the cells.
    columns
        The schema when it is known.
    """

    addresses: tuple[str, ...]
    known: tuple[Part, ...]
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    place: str = PLACE
    columns: "pl.Schema | None" = field(default=None, repr=False, hash=False)

    def schema(self) -> "pl.Schema":
        """Return the columns with their types."""
        return self.columns if self.columns is not None else self.scan(self.addresses[:1]).collect_schema()

    def parts(self) -> tuple[Part, ...]:
        """Return the files; those that nobody counted are counted now."""
        return tuple(
            part if part.rows >= 0 else Part(part.path, part.segment, self._count(address), healpix=part.healpix)
            for part, address in zip(self.known, self.addresses, strict=True)
        )

    def read(self, block: Block, columns: Sequence[str], where: "pl.Expr | None") -> "pl.DataFrame":
        """Return the rows of a block for which `where` is true."""
        address = self.addresses[[part.path for part in self.known].index(block.part.path)]
        lazy = self.scan([address]).slice(block.start, block.rows)
        return (lazy if where is None else lazy.filter(where)).select(columns).collect()

    def near(self, ranges: "NDArray[np.int64]", columns: Sequence[str], where: "pl.Expr | None") -> "pl.DataFrame":
        """Return the rows whose cell lies in `ranges`; files and row groups elsewhere on the sky are not read."""
        import polars as pl

        pieces = []
        for part, address in zip(self.known, self.addresses, strict=True):
            if not len(ranges) or not may_meet(part.healpix, ranges):
                continue
            groups = _row_groups(address, self.place)
            if groups is None:
                pieces.append(self.scan([address]).filter(_between(self.place, ranges)))
                continue
            # Each scan ends with its run: equal ones would be shared, and the file read whole.
            pieces += [
                self.scan([address], stop).slice(start, stop - start) for start, stop in _runs_meeting(groups, ranges)
            ]
        pieces = [piece if where is None else piece.filter(where) for piece in pieces]
        if not pieces:
            return pl.DataFrame(schema=self.schema()).select(columns)
        return pl.concat([piece.select(columns) for piece in pieces]).collect()

    def is_placed(self, ra: str, dec: str) -> bool:
        """Return whether the cells are those of the positions, as far as the first rows show."""
        import polars as pl

        from hven.sky import healpix_29

        first = self.scan(self.addresses[:1]).select(pl.col(ra, dec).cast(pl.Float64), self.place).head(_LOOKED_AT)
        some = first.collect().drop_nulls()
        good = is_on_sky(some[ra].to_numpy(), some[dec].to_numpy())
        some = some.filter(good)
        return bool((healpix_29(some[ra], some[dec]) == some[self.place].to_numpy()).all())

    def is_ordered(self) -> bool:
        """Return whether the rows of each file are in order on the sky, which takes reading one column."""
        import polars as pl

        cell = pl.col(self.place)
        return all(self.scan([a]).select(cell.drop_nulls().is_sorted()).collect().item() for a in self.addresses)

    def scan(self, addresses: Sequence[str] | None = None, most: int | None = None) -> "pl.LazyFrame":
        """Return the rows of all files, or of some; the first `most` of them."""
        import polars as pl

        chosen = self.addresses if addresses is None else addresses
        if not chosen:
            return pl.LazyFrame(schema=self.columns)
        options = dict(self.options) or None
        return pl.scan_parquet(list(chosen), glob=False, hive_partitioning=False, n_rows=most, storage_options=options)

    def _count(self, address: str) -> int:
        import polars as pl

        return int(self.scan([address]).select(pl.len()).collect().item())


@dataclass(frozen=True)
class FrameRows:
    """Rows of a frame in memory, in order of ``_healpix_29``; rows without a place come last.

    Attributes
    ----------
    frame
        The rows.
    cells
        Of those that have a place, int64, sorted.
    """

    frame: "pl.DataFrame"
    cells: "NDArray[np.int64]"

    @classmethod
    def of(cls, frame: "pl.DataFrame", ra: str, dec: str) -> "FrameRows":
        """Return the rows of a frame in order, with the cells of their positions."""
        return cls.in_order(with_places(frame, ra, dec))

    @classmethod
    def in_order(cls, frame: "pl.DataFrame") -> "FrameRows":
        """Return the rows of a frame that has its cells, in order."""
        if not frame[PLACE].is_sorted(nulls_last=True):
            frame = frame.sort(PLACE, nulls_last=True, maintain_order=True)
        return cls(frame, frame[PLACE].drop_nulls().to_numpy())

    def schema(self) -> "pl.Schema":
        """Return the columns with their types."""
        return self.frame.schema

    def parts(self) -> tuple[Part, ...]:
        """Return one part, in which blocks may begin anywhere."""
        reach = (int(self.cells[0]), int(self.cells[-1])) if len(self.cells) else None
        return (Part("frame", "frame", self.frame.height, grain=1, healpix=reach),)

    def scan(self) -> "pl.LazyFrame":
        """Return all rows, lazily."""
        return self.frame.lazy()

    def read(self, block: Block, columns: Sequence[str], where: "pl.Expr | None") -> "pl.DataFrame":
        """Return the rows of a block for which `where` is true."""
        some = self.frame.slice(block.start, block.rows)
        return (some if where is None else some.filter(where)).select(columns)

    def near(self, ranges: "NDArray[np.int64]", columns: Sequence[str], where: "pl.Expr | None") -> "pl.DataFrame":
        """Return the rows whose cell lies in `ranges`."""
        import polars as pl

        bounds = np.searchsorted(self.cells, ranges)
        pieces = [self.frame.slice(start, stop - start) for start, stop in bounds.tolist() if stop > start]
        some = pl.concat(pieces) if pieces else self.frame.clear()
        return (some if where is None else some.filter(where)).select(columns)


def with_places(frame: "pl.DataFrame", ra: str, dec: str) -> "pl.DataFrame":
    """Return rows in order of ``_healpix_29``, which is computed; rows that are nowhere on the sky come last.

    Examples
    --------
    >>> import polars as pl
    >>> with_places(pl.DataFrame({"ra": [10.0, None, 45.0], "dec": [80.0, 5.0, 0.0]}), "ra", "dec")["ra"].to_list()
    [45.0, 10.0, None]
    """
    import polars as pl

    from hven.sky import healpix_29

    longitude, latitude = (frame[name].cast(pl.Float64).to_numpy() for name in (ra, dec))
    good = is_on_sky(longitude, latitude)
    cells = np.zeros(frame.height, np.int64)
    cells[good] = healpix_29(longitude[good], latitude[good])
    places = pl.select(pl.when(pl.Series(good)).then(pl.Series(cells))).to_series().alias(PLACE)
    return frame.with_columns(places).sort(PLACE, nulls_last=True, maintain_order=True)


def is_on_sky(ra: "NDArray[Any]", dec: "NDArray[Any]") -> "NDArray[np.bool_]":
    """Return which positions [deg] are on the sky: finite, and not beyond a pole.

    Examples
    --------
    >>> is_on_sky(np.array([10.0, np.nan, 10.0]), np.array([5.0, 5.0, 95.0])).tolist()
    [True, False, False]
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(ra) & (np.abs(dec) <= 90.0))


def gather_rows(frames: "Iterator[pl.DataFrame]", folder: str, ra: str, dec: str) -> ParquetRows:
    """Return rows that come in any order, as Parquet files in `folder`, each in order of ``_healpix_29``.

    One frame is in memory at a time.
    """
    from pathlib import Path

    addresses, parts, columns = [], [], None
    Path(folder).mkdir(parents=True)
    for number, frame in enumerate(frames):
        rows = FrameRows.of(frame, ra, dec)
        columns = rows.frame.schema
        address = str(Path(folder) / f"{number:06d}.parquet")
        rows.frame.write_parquet(address, row_group_size=GRAIN, compression="lz4", statistics=True)
        [whole] = rows.parts()
        addresses.append(address)
        parts.append(Part(address, f"{number:06d}", whole.rows, healpix=whole.healpix))
    return ParquetRows(tuple(addresses), tuple(parts), columns=columns)


@dataclass(frozen=True)
class _RowGroups:
    """The row groups of a Parquet file: where each begins, and the first and last cell in it."""

    start: "NDArray[np.int64]"
    low: "NDArray[np.int64]"
    high: "NDArray[np.int64]"


@lru_cache(maxsize=4096)
def _row_groups(address: str, place: str) -> _RowGroups | None:
    """Return the row groups of a file on this machine, as its footer tells; None of others, or when it does not."""
    import pyarrow.parquet as pq

    if "://" in address:
        return None
    footer = pq.read_metadata(address)
    column = footer.schema.names.index(place)
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    told = [group.column(column).statistics for group in groups]
    if not all(
        t is not None and (t.has_min_max or t.null_count == g.num_rows) for t, g in zip(told, groups, strict=True)
    ):
        return None
    rows = np.array([0, *(group.num_rows for group in groups)], np.int64)
    # A group without any place is nowhere: its last cell lies before its first.
    low = [t.min if t.has_min_max else np.iinfo(np.int64).max for t in told]
    high = [t.max if t.has_min_max else -1 for t in told]
    return _RowGroups(np.cumsum(rows), np.array(low, np.int64), np.array(high, np.int64))


def _runs_meeting(groups: _RowGroups, ranges: "NDArray[np.int64]") -> list[tuple[int, int]]:
    """Return the rows (start, stop) of neighbouring row groups that meet any of the ranges."""
    needed = meets(groups.low, groups.high, ranges)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], needed, [False]])))
    return [(int(groups.start[a]), int(groups.start[b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _between(place: str, ranges: "NDArray[np.int64]") -> "pl.Expr":
    """Return the condition on cells; with few ranges, as many conditions cost more than some rows too many."""
    import polars as pl

    cell = pl.col(place)
    few = fewer(ranges, _MOST_RANGES)
    return pl.any_horizontal([cell.is_between(low, high, closed="left") for low, high in few.tolist()])


def may_meet(reach: tuple[int, int] | None, ranges: "NDArray[np.int64]") -> bool:
    """Return whether a part's first and last cell meet any of the half-open ranges; true when they are not known.

    Examples
    --------
    >>> may_meet((5, 9), np.array([[0, 5], [9, 12]])), may_meet((5, 8), np.array([[0, 5], [9, 12]]))
    (True, False)
    """
    return reach is None or bool(meets(np.array(reach[:1]), np.array(reach[1:]), ranges)[0])
