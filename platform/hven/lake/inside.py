"""From a region of the sky to the rows that lie in it: which are read, and which of those it holds exactly."""

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hven.errors import DataRefusedError, RegionError
from hven.lake.parts import Run, meets
from hven.lake.where import check_columns
from hven.sky import Region, parse_region
from hven.sky.cover import in_ranges
from hven.sky.moc_text import parse_moc

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from hven.catalog import Entry
    from hven.lake.source import Source

_log = logging.getLogger("hven")


def as_region(region: "Region | str") -> Region:
    """Return a region; text is read by `hven.sky.parse_region`.

    Raises
    ------
    RegionError
        If it is neither a region nor the text of one.
    """
    if isinstance(region, str):
        return parse_region(region)
    if not isinstance(region, Region):
        raise RegionError(
            f"{region!r} is not a region",
            expected="what hven.sky makes, or its text",
            hint="Write for example hven.sky.cone(190, 5, 1): right ascension, declination, radius in degrees.",
        )
    return region


def rows_inside(source: "Source", entry: "Entry", region: Region) -> "tuple[tuple[Run, ...], pl.Expr]":
    """Return the runs of rows that may lie in a region, and the condition that is true for those that do.

    A region that holds no part of what the dataset covers is told in the log of ``hven``, as a warning.

    Raises
    ------
    MissingColumnError, DataRefusedError
        If the dataset has no positions.
    """
    check_positions(source)
    ranges = region.ranges()
    if len(ranges) and _is_elsewhere(entry.coverage, ranges):
        _log.warning("%s holds no object: dataset %r covers other parts of the sky", region, source.name)
    return source.runs(ranges) if len(ranges) else (), condition(region, ranges)


def check_positions(source: "Source") -> None:
    """Refuse a dataset without ``ra``, ``dec`` in numbers and ``_healpix_29`` in whole ones."""
    known = source.frame_schema()
    check_columns(("_healpix_29", "ra", "dec"), known, source.name)
    for name, is_right, expected in (
        ("ra", known["ra"].is_numeric(), "degrees"),
        ("dec", known["dec"].is_numeric(), "degrees"),
        ("_healpix_29", known["_healpix_29"].is_integer(), "whole numbers, as hven.sky.healpix_29 gives them"),
    ):
        if not is_right:
            raise DataRefusedError(
                f"column {name!r} is {known[name]}",
                where=f"dataset {source.name!r}",
                expected=expected,
                hint="Write the dataset anew with positions in numbers.",
            )


def condition(region: Region, ranges: "NDArray[np.int64]") -> "pl.Expr":
    """Return the condition that is true for rows whose ``ra`` and ``dec`` lie in a region, false for all others.

    Rows whose ``_healpix_29`` is outside `ranges`, those that the region covers, are not computed with.
    """
    import polars as pl

    if not len(ranges):
        return pl.lit(value=False)

    def inside(rows: "pl.Series") -> "pl.Series":
        frame = rows.struct.unnest()
        cells = frame["_healpix_29"]
        has_nulls = cells.null_count() > 0
        values = cells.fill_null(-1).to_numpy() if has_nulls else cells.to_numpy()
        near = np.flatnonzero((values >= ranges[0, 0]) & (values < ranges[-1, 1]))
        near = near[in_ranges(values[near], ranges)]
        if has_nulls:
            near = np.concatenate([near, cells.is_null().arg_true().to_numpy()])
        found = np.zeros(len(cells), bool)
        if len(near):
            found[near] = region.contains(frame["ra"].to_numpy()[near], frame["dec"].to_numpy()[near])
        return pl.Series(found)

    columns = pl.struct("_healpix_29", "ra", "dec")
    return columns.map_batches(inside, return_dtype=pl.Boolean, is_elementwise=True)


def _is_elsewhere(coverage: str, ranges: "NDArray[np.int64]") -> bool:
    if not coverage:
        return False
    covered = _ranges_of(coverage)
    return not meets(ranges[:, 0], ranges[:, 1] - 1, covered).any()


@lru_cache(maxsize=256)
def _ranges_of(coverage: str) -> "NDArray[np.int64]":
    return parse_moc(coverage)
