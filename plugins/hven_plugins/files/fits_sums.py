"""The checksum that a FITS file keeps of its data (DATASUM): bytes that changed since are noted."""

import numpy as np

from hven import Note
from hven_plugins.files.fits_headers import Hdu

_BLOCK = 2880
_PIECE = 1456 * _BLOCK


def sum_notes(path: str, table: Hdu) -> list[Note]:
    """Return a note on data that are not those of which the header keeps the sum; nothing where it keeps none."""
    said = str(table.header.get("DATASUM", "")).strip()
    if not said.isdigit() or int(said) == data_sum(path, table.start, table.size):
        return []
    text = "the data are not what was written: their checksum is not the DATASUM of the header; fetch the file again"
    return [Note(text, needs_attention=True)]


def data_sum(path: str, start: int, size: int) -> int:
    """Return the sum of 32-bit words with carry, as the FITS standard defines DATASUM."""
    total, end = 0, start + size + -size % _BLOCK
    for first in range(start, end, _PIECE):
        words = np.fromfile(path, ">u4", min(_PIECE, end - first) // 4, offset=first)
        total += int(words.sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total
