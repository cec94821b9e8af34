"""Where the quality sheets of datasets rest: ``quality/<sha256>.json``, named by a dataset's provenance."""

import hashlib
from typing import TYPE_CHECKING

from hven.errors import LakeFormatError
from hven.schema import Quality

if TYPE_CHECKING:
    from hven.catalog import Entry
    from hven.lake import Lake

_FOLDER = "quality"


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
    """Return the quality sheet of a dataset; None when it has none, or its rows were changed since it was made.

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
        return None
    try:
        sheet = Quality.from_json(lake.store.get(_key(digest)))
    except FileNotFoundError as error:
        raise LakeFormatError(
            "the quality sheet of a dataset is missing",
            where=lake.store.address(_key(digest)),
            hint="Restore the folder 'quality' from a copy of the lake.",
        ) from error
    return sheet if sheet.rows == entry.counts.rows else None


def _key(digest: str) -> str:
    return f"{_FOLDER}/{digest}.json"
