"""What the headers of FITS tables say of positions: their frame, equinox and epoch."""

import re

from hven import Note
from hven_plugins.files.fits_headers import Hdu

_FRAMES = ("RADESYS", "RADECSYS")


def frame_of(first: Hdu, table: Hdu) -> str:
    """Return the frame of positions that the headers of a table, or of the file, say; nothing where they say none."""
    for header in (table.header, first.header):
        frame = next((str(header[key]).strip() for key in _FRAMES if str(header.get(key, "")).strip()), "")
        year = _year(header.get("EQUINOX"))
        if frame:
            return f"{frame} {year}" if year else frame
        if year and year != 2000:
            return f"FK5 {year}" if year >= 1984 else f"FK4 {year}"
    return ""


def epoch_notes(first: Hdu, table: Hdu) -> list[Note]:
    """Return notes on the epoch of positions; old files mean the equinox by it."""
    for header in (table.header, first.header):
        year = _year(header.get("EPOCH"))
        if not year or year == 2000:
            continue
        is_said = any(key in one.header for one in (table, first) for key in (*_FRAMES, "EQUINOX"))
        if is_said or year != 1950:
            return [Note(f"positions are of epoch {year:g}, as the file says; they are kept as they are")]
        text = (
            "the header says EPOCH = 1950 and no equinox: positions are taken as ICRS; if they are B1950, say frame=FK4"
        )
        return [Note(text, needs_attention=True)]
    return []


def _year(text: object) -> float:
    """Return the year of an equinox or epoch: 1950, 'B1950', '2016.0'; 0 for what is no year."""
    match = re.fullmatch(r"[BJ]?\s*(\d{4}(?:\.\d*)?)", str(text).strip(), re.IGNORECASE)
    return float(match[1]) if match else 0.0
