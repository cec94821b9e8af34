"""Names and texts as FITS can have them: ASCII, names of columns of at most 68 letters."""

import unicodedata
from collections.abc import Sequence
from itertools import chain, count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

LONGEST = 68
"""Letters of a text in one card of a FITS header."""


def fits_names(names: Sequence[str]) -> list[str]:
    """Return names of columns as FITS can have them: ASCII, at most 68 letters, no two equal whatever their case.

    Examples
    --------
    >>> fits_names(["ra", "\u00c5ngstr\u00f6m", "RA"])
    ['ra', 'Angstrom', 'RA_2']
    """
    plain: list[str] = []
    taken: set[str] = set()
    for name in names:
        letters = unicodedata.normalize("NFKD", name)
        letters = "".join(c if " " < c <= "~" else "_" for c in letters if not unicodedata.combining(c))
        stem = letters[:LONGEST] or "column"
        tail = next(t for t in chain([""], (f"_{n}" for n in count(2))) if _with_tail(stem, t).lower() not in taken)
        plain.append(_with_tail(stem, tail))
        taken.add(plain[-1].lower())
    return plain


def ascii_text(text: str) -> str:
    """Return a text for a FITS header, with a question mark for each letter that a header cannot have."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def is_beyond_ascii(series: "pl.Series") -> bool:
    """Return whether a column has texts with letters beyond ASCII."""
    import polars as pl

    return series.dtype == pl.String and bool((series.str.len_bytes() != series.str.len_chars()).any())


def _with_tail(stem: str, tail: str) -> str:
    return stem[: LONGEST - len(tail)] + tail
