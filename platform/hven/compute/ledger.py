"""The ledger of a result: which block made which files of it, of what; the next run of the same recipe begins there."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hven.compute.footprint import NOWHERE, Footprint
from hven.lake import Block
from hven.lake.store import Store

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

LEDGER = "ledger.parquet"


@dataclass(frozen=True)
class Line:
    """What is known of one block of a result.

    Attributes
    ----------
    part, start, stop
        The file or segment of the first input, and rows of it.
    digest
        SHA-256 of the arrays that the analysis received; empty when there were no objects.
    rows_in, rows_out
        Objects that it was given, and that it returned.
    files
        File or segment of each part of the result, in their order.
    footprint
        Where on the sky they are.
    aside
        Objects that were set aside: the block is computed again by the next run.
    """

    part: str
    start: int
    stop: int
    digest: str
    rows_in: int
    rows_out: int
    files: tuple[str, ...] = ()
    footprint: Footprint = NOWHERE
    aside: int = 0


def write_ledger(store: Store, key: str, lines: "pl.DataFrame") -> None:
    """Store a ledger, as `ledger_of` or `read_ledger` returned it."""
    buffer = io.BytesIO()
    lines.write_parquet(buffer, compression="zstd", compression_level=1)
    store.put(key, buffer.getvalue())


def read_ledger(store: Store, key: str) -> "pl.DataFrame | None":
    """Return a ledger; None when there is none, as with runs of older versions, or it is damaged: all is computed."""
    import polars as pl

    content = store.get_or_none(key)
    if content is None:
        return None
    try:
        return pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError:
        return None


def ledger_of(lines: Sequence[Line]) -> "pl.DataFrame":
    """Return lines as the frame that is stored."""
    import polars as pl

    return pl.DataFrame(
        {
            "part": [line.part for line in lines],
            "start": [line.start for line in lines],
            "stop": [line.stop for line in lines],
            "digest": [line.digest for line in lines],
            "rows_in": [line.rows_in for line in lines],
            "rows_out": [line.rows_out for line in lines],
            "files": [list(line.files) for line in lines],
            "order": [line.footprint[0] for line in lines],
            "cells": [list(line.footprint[1]) for line in lines],
            "aside": [line.aside for line in lines],
        },
        schema=_schema(),
    )


def lines_of(ledger: "pl.DataFrame") -> list[Line]:
    """Return the lines of a ledger."""
    return [_line(told) for told in ledger.iter_rows(named=True)]


def same_rows(ledger: "pl.DataFrame", blocks: Sequence[Block]) -> "NDArray[np.int64]":
    """Return for each block the line of the block of the same rows of the same file, -1 where there is none."""
    import polars as pl

    asked = pl.DataFrame(
        {
            "part": [block.part.path for block in blocks],
            "start": [block.start for block in blocks],
            "stop": [block.stop for block in blocks],
        },
        schema={"part": pl.String, "start": pl.Int64, "stop": pl.Int64},
    )
    known = ledger.select("part", "start", "stop").with_row_index("line")
    found = asked.join(known, on=["part", "start", "stop"], how="left", maintain_order="left")
    return found["line"].cast(pl.Int64).fill_null(-1).to_numpy()


def _line(told: Mapping[str, Any]) -> Line:
    place = (told["order"], tuple(told["cells"]))
    rows = told["rows_in"], told["rows_out"]
    files, aside = tuple(told["files"]), told.get("aside", 0)
    return Line(told["part"], told["start"], told["stop"], told["digest"], *rows, files, place, aside)


def _schema() -> dict[str, Any]:
    import polars as pl

    return {
        "part": pl.String,
        "start": pl.Int64,
        "stop": pl.Int64,
        "digest": pl.String,
        "rows_in": pl.Int64,
        "rows_out": pl.Int64,
        "files": pl.List(pl.String),
        "order": pl.Int64,
        "cells": pl.List(pl.Int64),
        "aside": pl.Int64,
    }
