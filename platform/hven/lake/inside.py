"""From a region of the sky to the rows that lie in it: which are read, and which of those it holds exactly."""

import logging
from typing import TYPE_CHECKING

import numpy as np

from hven.errors import DataRefusedError, MissingColumnError, RegionError
from hven.sky import Region, parse_region
from hven.sky.cover import in_ranges, meets
from hven.sky.meeting import covered_ranges

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from hven.catalog import Entry
    from hven.lake.parts import Run
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
    note_if_elsewhere(entry, region, ranges)
    return source.runs(ranges) if len(ranges) else (), condition(region, ranges)


def note_if_elsewhere(entry: "Entry", region: Region, ranges: "NDArray[np.int64]") -> None:
    """Warn in the log of ``hven`` of a region, whose cells lie in `ranges`, that holds no part of what is covered."""
    covered = covered_ranges(entry.coverage)
    if len(ranges) and len(covered) and not meets(ranges[:, 0], ranges[:, 1] - 1, covered).any():
        _log.warning("%s holds no object: dataset %r covers other parts of the sky", region, entry.name)


def check_positions(source: "Source") -> None:
    """Refuse a dataset without ``ra``, ``dec`` in numbers and ``_healpix_29`` in whole ones."""
    known = source.frame_schema()
    missing = [name for name in ("ra", "dec", "_healpix_29") if name not in known]
    if missing:
        raise MissingColumnError(
            f"there is no column {missing[0]!r}, so nobody knows which objects a region holds",
            where=f"dataset {source.name!r}",
            expected="ra, dec and _healpix_29",
            hint="Ask a dataset with positions of the same objects, and take these by its rows: .of(rows).",
        )
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
