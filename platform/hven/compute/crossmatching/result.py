"""A cross-match: described at once, computed block by block when its rows are asked for."""

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hven.compute.crossmatching.matching import match_block
from hven.compute.crossmatching.publishing import publish
from hven.compute.crossmatching.request import Join, Match, Request, make_request, parse_radius
from hven.compute.crossmatching.rows import may_meet
from hven.compute.crossmatching.sources import open_side
from hven.compute.crossmatching.stream import in_order, workers_for
from hven.errors import ParameterError, StorageError
from hven.lake.parts import cut_blocks

if TYPE_CHECKING:
    import os

    import polars as pl
    from astropy.units import Quantity

    from hven.compute.clusters import AskedCluster
    from hven.compute.crossmatching.sources import Matched
    from hven.lake import Block, Lake

BLOCK_ROWS = 131_072
"""Rows of the left side in a block, when nobody says otherwise: some tens of megabytes a worker."""


def crossmatch(
    left: "Matched",
    right: "Matched",
    radius: "str | float | Quantity" = "1 arcsec",
    *,
    lake: "Lake | None" = None,
    match: Match = "nearest",
    how: Join = "inner",
    epoch: float | None = None,
    left_epoch: float | str | None = None,
    right_epoch: float | str | None = None,
    left_columns: Sequence[str] | None = None,
    right_columns: Sequence[str] | None = None,
    left_names: Mapping[str, str] | None = None,
    right_names: Mapping[str, str] | None = None,
    suffix: str = "_right",
    count: bool = False,
    block_rows: int | None = None,
    cluster: "AskedCluster | None" = None,
    workers: int | None = None,
    scratch: "str | os.PathLike[str] | None" = None,
) -> "Crossmatch":
    """Return the cross-match of two catalogs by position, to be computed block by block when its rows are asked for.

    The answer is exact everywhere, poles and right ascension 0 included, and the same for any blocks, workers and order
    of rows. Positions that are null, NaN or off the sky match nothing: a left join and an anti-join keep their rows.

    Parameters
    ----------
    left, right
        Each a dataset of a lake (``lake["gaia"]``, or with `lake` given its name, ``"gaia@dr1"``, or a selection of
        `hven.select` with a condition and a region), Parquet (a file, a list or a folder of them), a HATS catalog (its
        folder), a frame of Polars (lazy or not) or pandas, or the 1-D variables of an xarray Dataset. Positions are
        ICRS, in degrees. What is in no order on the sky is copied into it first, by the columns that are needed.
    radius
        Largest separation, itself included: ``"1 arcsec"``, a number of arcseconds, an angle of astropy; or the column
        of the left side with each object's own radius (in arcseconds where no unit is known). At most ten degrees.
    lake
        Where the names of datasets are looked up.
    match
        ``"nearest"``: the nearest right object of each left one, the lowest id where several are equally near.
        ``"all"``: every right object within the radius.
    how
        ``"inner"``: left objects that have a match. ``"left"``: all, with nulls for those that have none. ``"anti"``:
        those that have none.
    epoch
        Julian year to which the positions of both sides are brought by their proper motions (`hven.sky.propagate`)
        before they are matched; by default positions are compared as they are. Rows without proper motions stay where
        they are. The columns returned are those of the catalogs, not moved.
    left_epoch, right_epoch
        Of the positions: a Julian year, or the column that has it. By default what the dataset's attrs say under
        ``epoch``, else its column ``ref_epoch``.
    left_columns, right_columns
        What to return; all by default.
    left_names, right_names
        Which columns stand for ``ra``, ``dec``, ``pmra``, ``pmdec``, ``object_id`` where they are called otherwise.
    suffix
        For right columns whose name the left side has too.
    count
        Whether ``n_within`` is returned: how many right objects are within the radius.
    block_rows
        Rows of the left side in a block; 131,072 by default. What is in memory at once grows with it.
    cluster
        Threads of this process by default; or what `hven.run` takes: ``"local"``, an address, a Dask client, ...
    workers
        How many threads or processes; a core each by default.
    scratch
        A folder for copies; one of the system by default. Workers on other machines have to see it.

    Returns
    -------
    Crossmatch
        With ``blocks()``, ``collect()``, ``sink_parquet(path)`` and ``write(lake, name)``; rows have the columns of the
        left side, those of the right side, and ``separation`` [arcsec].

    Raises
    ------
    ParameterError
        For a radius, epoch, `match` or `how` that is none.
    MissingColumnError
        For columns that are not there; for positions, an epoch or proper motions that are missing where needed.
    HvenError
        For datasets, files and regions that are not there or malformed.

    Examples
    --------
    >>> import polars as pl
    >>> stars = pl.DataFrame({"object_id": [1, 2], "ra": [10.0, 20.0], "dec": [0.0, 0.0]})
    >>> gaia = pl.DataFrame({"source_id": [70, 71], "ra": [10.0001, 20.1], "dec": [0.0, 0.0]})
    >>> crossmatch(stars, gaia, "1 arcsec", right_columns=["source_id"]).collect()["source_id"].to_list()
    [70]
    >>> crossmatch(stars, gaia, "1 arcsec", how="anti").collect()["object_id"].to_list()
    [2]
    """
    if block_rows is not None and (not isinstance(block_rows, int) or block_rows < 1):
        raise ParameterError(
            f"block_rows is {block_rows!r}", expected="a whole number of at least 1", hint="Or leave it out."
        )
    own = parse_radius(radius)
    place = tempfile.mkdtemp(prefix="hven-crossmatch-", dir=scratch)
    try:
        left_side, right_side = (
            open_side(
                word,
                source,
                lake=lake,
                names=names or {},
                epoch=since,
                columns=columns,
                also=[own] if isinstance(own, str) and word == "left" else [],
                scratch=str(Path(place) / word),
                in_memory=cluster in (None, "synchronous"),
            )
            for word, source, names, since, columns in (
                ("left", left, left_names, left_epoch, left_columns),
                ("right", right, right_names, right_epoch, right_columns),
            )
        )
        request = make_request(left_side, right_side, radius, match, how, epoch, suffix, count)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return Crossmatch(request, place, block_rows=block_rows or BLOCK_ROWS, cluster=cluster, workers=workers)


class Crossmatch:
    """A cross-match that was checked, and whose rows come block by block. Made by `crossmatch`.

    The rows come in the order of the left side's blocks, those of one object by separation. Every method computes them
    anew: nothing is kept in between.

    Examples
    --------
    >>> import polars as pl
    >>> stars = pl.DataFrame({"ra": [10.0, 20.0], "dec": [0.0, 0.0], "object_id": [1, 2]})
    >>> near = pl.DataFrame({"ra": [10.0001], "dec": [0.0], "object_id": [7]})
    >>> match = crossmatch(stars, near, "1 arcsec", left_columns=["object_id"], right_columns=["object_id"])
    >>> match
    <hven crossmatch: left, a frame; right, a frame; nearest within 1 arcsec, inner>
    >>> match.collect()["object_id_right"].to_list()
    [7]
    """

    def __init__(
        self,
        request: Request,
        scratch: str,
        *,
        block_rows: int,
        cluster: "AskedCluster | None" = None,
        workers: int | None = None,
    ) -> None:
        self.request = request
        self._block_rows = block_rows
        self._cluster = cluster
        self._workers = workers
        # Copies live as long as this does.
        self._remove_copies = weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)

    def __repr__(self) -> str:
        told, epoch = self.request, self.request.epoch
        radius = told.radius if isinstance(told.radius, str) else f"{told.radius:g} arcsec"
        at = "" if epoch is None else f" at {epoch:g}"
        return f"<hven crossmatch: {told.left.label}; {told.right.label}; {told.match} within {radius}{at}, {told.how}>"

    @property
    def schema(self) -> "pl.Schema":
        """The columns of the result, with their types."""
        return self.request.schema

    @cached_property
    def left_blocks(self) -> "tuple[Block, ...]":
        """The blocks of the left side: rows, and which part of the sky."""
        region = self.request.left.region
        parts = self.request.left.rows.parts()
        if region is not None:
            ranges = region.ranges()
            parts = tuple(part for part in parts if may_meet(part.healpix, ranges))
        return cut_blocks(parts, self._block_rows)

    def blocks(self) -> "Iterator[pl.DataFrame]":
        """Give the rows of the result, a frame for each block of the left side (several where it has many pairs)."""
        yield from self._stream(match_block)

    def collect(self) -> "pl.DataFrame":
        """Return all rows of the result in memory."""
        import polars as pl

        frames = [frame for frame in self.blocks() if frame.height]
        return pl.concat(frames) if frames else pl.DataFrame(schema=self.schema)

    def sink_parquet(self, path: "str | os.PathLike[str]") -> int:
        """Write the rows to one Parquet file, a block in memory at a time, and return how many there are.

        The file appears when it is whole.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        import polars as pl
        import pyarrow.parquet as pq

        target = Path(path)
        unfinished = target.with_name(f".{target.name}.unfinished")
        count = 0
        try:
            form = pl.DataFrame(schema=self.schema).to_arrow().schema
            with pq.ParquetWriter(unfinished, form, compression="zstd", compression_level=1) as writer:
                for frame in self.blocks():
                    count += frame.height
                    if frame.height:
                        writer.write_table(frame.to_arrow())
            unfinished.replace(target)
        except OSError as error:
            raise StorageError(
                f"the file cannot be written: {error.strerror or error}",
                where=str(target),
                hint="Choose another place.",
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)
        return count

    def write(self, lake: "Lake", name: str, *, title: str = "", survey: str = "") -> int:
        """Write the rows as a dataset, in one commit with its provenance, and return the catalog that has it.

        A row of a nearest match (or of an anti-join) is its left object, and keeps its ``object_id``: the result joins
        to the left dataset as any other result does. When all neighbours are kept a row is a pair: it has an
        ``object_id`` of its own, made from the two, and ``object_id_left`` next to the right one's.

        Parameters
        ----------
        lake
            Where the result goes.
        name
            Of the dataset. An earlier cross-match of that name is replaced.
        title, survey
            Texts of its entry.

        Raises
        ------
        NameRefusedError
            If there is a dataset of that name that is not the result of a cross-match.
        DataRefusedError
            If the rows have no ids to be kept by, or an id comes twice.
        """
        return publish(lake, name, self.request, self._stream, title=title, survey=survey)

    def _stream(self, work: Any, *arguments: Any) -> Iterator[Any]:
        blocks = self.left_blocks
        with workers_for(self._cluster, self._workers, len(blocks)) as (submit, threads):
            yield from in_order(submit, threads, partial(_of_block, work, self.request), blocks, *arguments)


def _of_block(work: Any, request: Request, block: "Block", *arguments: Any) -> Any:
    return work(request, block, *arguments)
