"""What a result holds already: blocks that are known again by what they received, and objects by what they were."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hven.compute.ledger import read_ledger
from hven.compute.pieces import ID
from hven.lake import INPUT, Part, Source
from hven.lake.store import Store

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Earlier:
    """The part of a result that an update may use again, as workers look it up. Small; travels with the task.

    Attributes
    ----------
    store, key
        Where the lines of its ledger are: of all blocks but those that stay without a look.
    sources
        The result as it is pinned now, by part.
    """

    store: Store
    key: str
    sources: Mapping[str, Source]

    def __hash__(self) -> int:
        return hash((self.store, self.key))

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
        import polars as pl

        spots = _spots(self)
        near = [at for at, spot in enumerate(spots) if reach is None or spot.part.healpix is None
                or (spot.part.healpix[0] <= reach[1] and reach[0] <= spot.part.healpix[1])]  # fmt: skip
        asked = pl.DataFrame({ID: ids}).with_row_index("row")
        found = [
            asked.join(_inputs(spots[at].source, spots[at].part), on=ID, how="inner").with_columns(spot=pl.lit(at))
            for at in near
        ]
        if not found:
            return Found(self, pl.DataFrame(schema={"row": pl.UInt32, ID: pl.Int64, INPUT: pl.Int64}), len(ids))
        return Found(self, pl.concat(found).sort("row"), len(ids))


@dataclass(frozen=True)
class Found:
    """Objects that a result holds.

    Attributes
    ----------
    earlier
        The result.
    rows
        ``row`` among the objects asked for, the hash ``_input``, ``spot`` (a file) and ``at`` (a row of it).
    asked
        How many objects were asked for.
    """

    earlier: Earlier
    rows: "pl.DataFrame"
    asked: int

    @property
    def count(self) -> int:
        """How many of them have a result."""
        return int(self.rows.height)

    def have(self, hashes: "NDArray[np.int64]") -> bool:
        """Return whether every object has a result, made of just what has this hash now."""
        import polars as pl

        return self.count == self.asked and bool((self.rows[INPUT] == pl.Series(hashes)).fill_null(value=False).all())

    def table(self, part: str) -> "pl.DataFrame":
        """Return the rows of a table that are the objects' result, in the order in which they were asked for."""
        import polars as pl

        source, columns = self.earlier.sources[part], list(self.earlier.sources[part].frame_schema())
        pieces = [source.read_rows(held, at, columns) for held, at in self._cuts(part)]
        return pl.concat(pieces)[self._order()]

    def arrays(self, part: str) -> "xr.Dataset":
        """Return the arrays that are the objects' result, in the order in which they were asked for."""
        import xarray as xr

        source = self.earlier.sources[part]
        pieces = [source.open_segment(held).isel(object=at).load() for held, at in self._cuts(part)]
        whole = xr.concat(pieces, "object", data_vars="minimal", coords="minimal", compat="override", join="override")
        return whole.isel(object=self._order())

    def _cuts(self, part: str) -> "list[tuple[Part, NDArray[np.int64]]]":
        spots = _spots(self.earlier)
        return [
            (spots[spot].parts[part], np.sort(rows["at"].to_numpy()))
            for (spot,), rows in self.rows.sort("spot").group_by("spot", maintain_order=True)
        ]

    def _order(self) -> "NDArray[np.int64]":
        """Return where among the rows of all cuts, one after the other, each object is."""
        placed = self.rows.sort("spot", "at")["row"].to_numpy()
        return np.argsort(placed, kind="stable")


@dataclass(frozen=True)
class _Spot:
    """The files in which one block left its result: that of the first part, and each by part."""

    source: Source
    part: Part
    parts: Mapping[str, Part]


@lru_cache(maxsize=8)
def _lines(earlier: Earlier) -> "pl.DataFrame":
    import polars as pl

    known = read_ledger(earlier.store, earlier.key)
    columns: dict[str, Any] = {"line": pl.Int64, "digest": pl.String, "files": pl.List(pl.String)}
    return known if known is not None else pl.DataFrame(schema=columns)


@lru_cache(maxsize=8)
def _digests(earlier: Earlier) -> dict[str, int]:
    """Return digest -> line; of digests that two blocks have, -1."""
    found: dict[str, int] = {}
    for digest, line in _lines(earlier).select("digest", "line").iter_rows():
        if digest:
            found[digest] = -1 if digest in found else line
    return found


@lru_cache(maxsize=8)
def _spots(earlier: Earlier) -> list[_Spot]:
    names = list(earlier.sources)
    known = [{part.path: part for part in earlier.sources[name].parts} for name in names]
    first = earlier.sources[names[0]]
    spots = []
    for files in _lines(earlier)["files"].to_list():
        held = [parts.get(file) for parts, file in zip(known, files or (), strict=False)]
        if held and None not in held:
            spots.append(_Spot(first, held[0], dict(zip(names, held, strict=True))))  # type: ignore[arg-type]
    return spots


@lru_cache(maxsize=256)
def _inputs(source: Source, part: Part) -> "pl.DataFrame":
    """Return ``object_id``, ``_input`` and place of the rows of one file of a result; a file never changes."""
    return source.read_inputs(part).with_row_index("at")
