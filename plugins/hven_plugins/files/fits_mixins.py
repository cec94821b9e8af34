"""Columns that astropy writes into FITS as several: positions on the sky and times, put together again by astropy."""

import warnings
from typing import TYPE_CHECKING

from hven_plugins.files.astropy_tables import astropy_frame
from hven_plugins.files.fits_headers import Hdu

if TYPE_CHECKING:
    import polars as pl

    from hven import Column, Note

_SERIALIZED = ("astropy.coordinates", "astropy.time")
_SCALES = ("UTC", "TAI", "TCB", "TCG", "TDB", "TT", "UT1")
_LARGEST = 2**28


def is_of_astropy(table: Hdu) -> bool:
    """Return whether a table has positions or times that astropy wrote, and is small enough to be read whole."""
    header = table.header
    comments = "".join(str(line) for line in header.get("COMMENT", ()))
    is_serialized = "BEGIN-ASTROPY-SERIALIZED" in comments and any(word in comments for word in _SERIALIZED)
    has_times = any(key.startswith("TCTYP") and str(header[key]).strip().upper() in _SCALES for key in header)
    return (is_serialized or has_times) and table.size <= _LARGEST


def mixin_rows(path: str, index: int) -> "tuple[pl.DataFrame, list[Column], list[Note]]":
    """Return the rows of such a table, what is said of its columns, and what was made of some."""
    from astropy.table import QTable

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units that astropy does not know: the ingest tells of those
        return astropy_frame(
            QTable.read(path, hdu=index, format="fits", astropy_native=True, unit_parse_strict="silent")
        )
