"""Where the quality sheets of datasets rest: ``quality/<sha256>.json``.

An ingest makes the sheet of what it writes, and the dataset's provenance names it. A dataset that a
transaction wrote or changed has none there; its sheet is made when it is first shown, and kept under the version of
the data that it is of.
"""

import hashlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from hven.errors import HvenError, LakeFormatError
from hven.lake import Source
from hven.lake.parts import cut_blocks
from hven.lake.source import load_schema
from hven.schema import Quality, merged_quality, quality_of

if TYPE_CHECKING:
    from hven.catalog import Entry
    from hven.lake import Lake

_FOLDER = "quality"

_ROWS = 2**20
"""Rows that are looked at at once."""

_QUICK = 20_000_000
"""Values of a dataset whose sheet is made unasked when it is shown: some seconds."""


def save_quality(lake: "Lake", sheet: Quality) -> str:
    """Keep a sheet in a lake, and return the hash that the provenance of its dataset names as ``quality``.

    Examples
    --------
    >>> save_quality(lake, sheet)  # doctest: +SKIP
    '5f2c...'
    """
    text = sheet.to_json()
    digest = hashlib.sha256(text).hexdigest()
    lake.store.put(_key(digest), text)
    return digest


def quality_sheet(lake: "Lake", entry: "Entry") -> Quality | None:
    """Return the quality sheet of a dataset as it is in `entry`; None when nobody has made it (see `make_quality`).

    Raises
    ------
    LakeFormatError
        If the file is missing.

    Examples
    --------
    >>> quality_sheet(lake, lake["stars"].entry)["teff"].nulls  # doctest: +SKIP
    12
    """
    digest = entry.provenance.get(_FOLDER)
    if not digest:
        try:
            return _described(lake, entry, lake.store.get(_key(_version(entry))))
        except FileNotFoundError:
            return None
    try:
        return _described(lake, entry, lake.store.get(_key(digest)))
    except FileNotFoundError as error:
        raise LakeFormatError(
            "the quality sheet of a dataset is missing",
            where=lake.store.address(_key(digest)),
            hint="Restore the folder 'quality' from a copy of the lake.",
        ) from error


def make_quality(lake: "Lake", entry: "Entry") -> Quality | None:
    """Return the quality sheet of a dataset, made from all of its values and kept for the next time where it can be.

    Of arrays, it is that of their 1-D variables over ``object``; None when there are none. At most some million rows
    are in memory at once.
    """
    source = Source(lake.store, entry.name, entry.kind, entry.pin, entry.schema)
    columns = {column.name: column for column in source.schema}
    names = [name for name in source.frame_schema() if name not in ("object_id", "_healpix_29")]
    if not names:
        return None
    sheets = [
        quality_of(source.read_frame(block, names), columns)
        for part in source.parts
        for block in cut_blocks((part,), _ROWS)
    ]
    sheet = merged_quality(sheets) if sheets else Quality()
    # Who may only read a lake gets the sheet all the same.
    with suppress(HvenError, OSError):
        lake.store.put(_key(_version(entry)), sheet.to_json())
    return sheet


def is_quick(entry: "Entry") -> bool:
    """Return whether the quality sheet of a dataset is made within some seconds."""
    return entry.counts.rows * max(len(entry.columns), 1) <= _QUICK


def _described(lake: "Lake", entry: "Entry", text: bytes) -> Quality:
    """Return a sheet with the units that the columns have now: they may have been described since it was made."""
    sheet = Quality.from_json(text)
    schema = load_schema(lake.store, entry.schema)
    return replace(
        sheet,
        columns=tuple(
            replace(c, unit=schema[c.name].unit, assumed=schema[c.name].assumed) if c.name in schema else c
            for c in sheet.columns
        ),
    )


def _version(entry: "Entry") -> str:
    """Return the name of the sheet of one version of the data."""
    pin = entry.pin
    return hashlib.sha256(f"{pin.engine} {pin.path} {pin.version}".encode()).hexdigest()


def _key(digest: str) -> str:
    return f"{_FOLDER}/{digest}.json"
