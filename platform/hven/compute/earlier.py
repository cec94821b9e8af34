"""What a result holds already: blocks that are known again by what they received, and objects by what they were."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hven.compute.ledger import read_ledger, write_ledger
from hven.compute.pieces import ID
from hven.lake import INPUT, Part, Source
from hven.lake.store import Store

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr
    from numpy.typing import NDArray

_BLOCKS = "before-blocks.parquet"
_FILES = "before-files.parquet"


@dataclass(frozen=True)
class Earlier:
    """The part of a result that an update may use again, as workers look it up. Small; travels with the task.

    Attributes
    ----------
    store, folder
        Where it is told which blocks and which files those are.
    sources
        The result as it is pinned now, by part.
    """

    store: Store
    folder: str
    sources: Mapping[str, Source]

    def __hash__(self) -> int:
        return hash((self.store, self.folder))

    def line_of(self, digest: str) -> int | None:
        """Return the line of the block that received the same arrays, if there was one, and just one."""
        found = _digests(self).get(digest)
        return found if found is not None and found >= 0 else None

    def find(self, ids: "NDArray[np.int64]", reach: tuple[int, int] | None) -> "Found":
        """Return where the result holds the objects with these ids (n,).

        Parameters
        ----------
        ids
            ``object_id`` of the objects, each once.
        reach
            First and last ``_healpix_29`` of them, when they have one.
        """
        return Found(self, ids, reach)


@dataclass(frozen=True, eq=False)
class Found:
    """Objects of which a result holds some, perhaps.

    Attributes
    ----------
    earlier
        The result.
    ids, reach
        As they were asked for.
    """

    earlier: Earlier
    ids: "NDArray[np.int64]"
    reach: tuple[int, int] | None

    @property
    def count(self) -> int:
        """How many of them have a result."""
        return int(self._rows[next(iter(self.earlier.sources))].height)

    def have(self, hashes: "NDArray[np.int64]") -> bool:
        """Return whether every object has a result, in every part, made of just what has this hash now."""
        import polars as pl

        now = pl.Series(hashes)
        return all(
            rows.height == len(self.ids) and bool((rows[INPUT] == now).fill_null(value=False).all())
            for rows in self._rows.values()
        )

    def table(self, part: str) -> "pl.DataFrame":
        """Return the rows of a table that are the objects' result, in the order in which they were asked for."""
        import polars as pl

        source = self.earlier.sources[part]
        pieces = [source.read_rows(held, at, list(source.frame_schema())) for held, at in self._cuts(part)]
        return pl.concat(pieces)[self._order(part)]

    def arrays(self, part: str) -> "xr.Dataset":
        """Return the arrays that are the objects' result, in the order in which they were asked for."""
        import xarray as xr

        source = self.earlier.sources[part]
        pieces = [source.open_segment(held).isel(object=at).load() for held, at in self._cuts(part)]
        whole = xr.concat(pieces, "object", data_vars="minimal", coords="minimal", compat="override", join="exact")
        return whole.isel(object=self._order(part))

    @cached_property
    def _rows(self) -> "dict[str, pl.DataFrame]":
        """For each part, ``row`` among the ids, the hash ``_input``, the file and ``at``, a row of it."""
        import polars as pl

        asked = pl.DataFrame({ID: self.ids}).with_row_index("row")
        nothing = pl.DataFrame(
            schema={"row": pl.UInt32, ID: pl.Int64, "at": pl.UInt32, INPUT: pl.Int64, "file": pl.Int32}
        )
        found = {}
        for name, source in self.earlier.sources.items():
            pieces = [
                asked.join(_inputs(source, part), on=ID, how="inner").select(
                    *("row", ID, "at", INPUT), file=pl.lit(number, pl.Int32)
                )
                for number, part in enumerate(_left(self.earlier)[name])
                if self._may_be_in(part)
            ]
            found[name] = pl.concat(pieces).sort("row") if pieces else nothing
        return found

    def _may_be_in(self, part: Part) -> bool:
        reach, held = self.reach, part.healpix
        return reach is None or held is None or (held[0] <= reach[1] and reach[0] <= held[1])

    def _cuts(self, part: str) -> "list[tuple[Part, NDArray[np.int64]]]":
        rows, files = self._rows[part].sort("file", "at"), _left(self.earlier)[part]
        return [(files[file], some["at"].to_numpy()) for (file,), some in rows.group_by("file", maintain_order=True)]

    def _order(self, part: str) -> "NDArray[np.int64]":
        """Return where among the rows of all cuts, one after the other, each object is."""
        return np.argsort(self._rows[part].sort("file", "at")["row"].to_numpy(), kind="stable")


def write_earlier(earlier: Earlier, lines: "pl.DataFrame", kept: Mapping[str, set[str]]) -> None:
    """Store for workers which blocks (``line``, ``digest``) and files may be used again: all but those `kept`."""
    import polars as pl

    left = [
        (name, part.path)
        for name, source in earlier.sources.items()
        for part in source.parts
        if part.path not in kept[name]
    ]
    write_ledger(earlier.store, f"{earlier.folder}/{_BLOCKS}", lines)
    files = pl.DataFrame(left, schema={"name": pl.String, "path": pl.String}, orient="row")
    write_ledger(earlier.store, f"{earlier.folder}/{_FILES}", files)


@lru_cache(maxsize=8)
def _digests(earlier: Earlier) -> dict[str, int]:
    """Return digest -> line; of digests that two blocks have, -1."""
    lines = read_ledger(earlier.store, f"{earlier.folder}/{_BLOCKS}")
    found: dict[str, int] = {}
    for digest, line in lines.select("digest", "line").iter_rows() if lines is not None else ():
        if digest:
            found[digest] = -1 if digest in found else line
    return found


@lru_cache(maxsize=8)
def _left(earlier: Earlier) -> dict[str, list[Part]]:
    """Return the files of each part of the result that may be used again."""
    told = read_ledger(earlier.store, f"{earlier.folder}/{_FILES}")
    left = set(told.iter_rows()) if told is not None else set()
    return {
        name: [part for part in source.parts if (name, part.path) in left] for name, source in earlier.sources.items()
    }


@lru_cache(maxsize=256)
def _inputs(source: Source, part: Part) -> "pl.DataFrame":
    """Return ``object_id``, ``_input`` and place of the rows of one file of a result; a file never changes."""
    return source.read_inputs(part).with_row_index("at")
