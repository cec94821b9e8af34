"""Rows of a table: new ones as segments of their own, and files written anew without those that go."""

from typing import TYPE_CHECKING

from hven.lake import tables
from hven.lake.parts import INPUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from hven.catalog import Pin
    from hven.lake.parts import Part
    from hven.lake.source import Source
    from hven.lake.tables import WrittenPart


def segment_number(part: "Part") -> int:
    """Return the number of a part's segment: of ``segment-00000003-1a2b3c4d``, and of what runs made of it, 3."""
    return int(part.segment.split("-")[1].partition(".")[0])


def next_number(parts: "Sequence[Part]") -> int:
    """Return the number of the next segment of a dataset."""
    return 1 + max(map(segment_number, parts), default=-1)


def change_rows(
    source: "Source", pin: "Pin", add: "Sequence[pl.DataFrame]" = (), gone: "pl.Expr | None" = None
) -> int | None:
    """Commit new segments, rewrite the files that hold rows for which `gone` is true, and return the new version.

    None when there is nothing to change.
    """
    store, path, parts = source.store, pin.path, source.parts
    removed: list[Part] = []
    written: list[WrittenPart] = []
    for part in parts if gone is not None else ():
        whole = tables.scan_whole(store, path, [part], list(source.frame_schema()))
        frame = whole.collect().drop(INPUT, strict=False)
        stays = frame.filter(~gone.fill_null(value=False))  # type: ignore[union-attr]
        if stays.height == frame.height:
            continue
        removed.append(part)
        if stays.height:
            key = part.path.rsplit("/", 1)[1].rsplit("-", 1)[0]
            written.append(tables.write_part(store, path, part.segment, key, stays))
    number = next_number(parts)
    for frame in add:
        if frame.height:
            written += tables.write_parts(store, path, tables.new_segment(number), frame)
    if not written and not removed:
        return None
    return tables.change_table(store, path, int(pin.version), written, removed)
