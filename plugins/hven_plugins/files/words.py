"""Words of text tables: which are numbers, which say that a value is missing, which are units."""

import re
from functools import lru_cache

NULLS = ("", "null", "NULL", "Null", "None", "N/A", "n/a", "--", "nan", "NaN", "NAN", "<NA>", "———")
"""Texts that mean missing in any column."""

NUMBER_NULLS = frozenset(
    [
        *NULLS, "NA", "na", "Na", "#N/A", "#N/A N/A", "#NA", "N.A.", "n.a.", "none", "NONE", "NoData", "nodata",
        "-nan", "+nan", "-NaN", "nan(ind)", "-nan(ind)", "1.#QNAN", "-1.#IND", "1.#IND", "-1.#QNAN",
        "#NUM!", "#VALUE!", "#DIV/0!", "#REF!", "masked", "Masked", "MASKED", "missing", "Missing", "MISSING",
        "undef", "undefined", "unknown", "nil", "NIL", "inDef", "INDEF", "nul", "(null)", "[null]", "NaT", "nd", "ND",
        ".", "..", "...", "....", "\u2026", "*", "**", "***", "****", "-", "---", "----", "-----", "------",
        "\u2013", "\u2014", "?", "??", "???", "x", "X", "xxx", "XXX", "NULL.", "\\N", '""', "''",
    ]
)  # fmt: skip
"""Texts that mean missing in a column of numbers."""

MISSING = NUMBER_NULLS

NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdDqQ][+-]?\d+|[+-]\d{3})?$"
"""Numbers as files write them, with the exponents of Fortran."""

INFINITE = r"^[+-]?(?:inf|Inf|INF|infinity|Infinity|INFINITY)$"

_NUMBER = re.compile(NUMBER)
_INFINITE = re.compile(INFINITE)
_NO_UNIT = frozenset(["", "-", "--", "---", "none", "None", "unitless", "dimensionless", "n/a", "1", '""'])
_HOURS = frozenset(["h:m:s", "hms", "d:m:s", "dms", "hh:mm:ss", "dd:mm:ss"])


def is_number(text: str) -> bool:
    """Return whether a text is a number, infinities included.

    Examples
    --------
    >>> [is_number(text) for text in ("1", "-.5", "1.5D+03", "1.5-300", "inf", "nan", "1,5", "12:30")]
    [True, True, True, True, True, False, False, False]
    """
    return _NUMBER.match(text) is not None or _INFINITE.match(text) is not None


_PLAIN = r"[+\-\u2212]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_GROUPED = r"[+\-\u2212]?\d{1,3}(?:[, '\u2019\u00a0\u202f_]\d{3})+(?:\.\d+)?|[+\-\u2212]?\d{1,3}(?:\.\d{3})+,\d+"
_NEARLY = re.compile(
    rf"(?:[<>\u2264\u2265~\u2248]=?\s*{_PLAIN}|{_PLAIN}\s*(?:%|[:?*\u2020]|(?:\u00b1|\+/-|\+-)\s*{_PLAIN})"
    rf"|{_GROUPED}|[+\-\u2212]?\d+,\d+(?:[eE][+-]?\d+)?|0[xX][0-9a-fA-F]+)"
)
_WITH_UNIT = re.compile(rf"{_PLAIN}(?P<blank>\s*)(?P<unit>[^\W\d_][^\d\s]*)")


def is_nearly_number(text: str) -> bool:
    """Return whether a text is a number with something beside it: a limit, a per cent sign, an error, a unit.

    Examples
    --------
    >>> [is_nearly_number(text) for text in ("<-2.5", "50%", "50+/-3", "50 pc", "1,234.5", "0x1F")]
    [True, True, True, True, True, True]
    >>> [is_nearly_number(text) for text in ("5000", "12:30", "2020-01-01", "1.2.3", "5A", "3C 273", "G2V")]
    [False, False, False, False, False, False, False]
    """
    if _NEARLY.fullmatch(text) is not None:
        return True
    match = _WITH_UNIT.fullmatch(text)
    if match is None or not (match["blank"] or len(match["unit"]) > 1):
        return False
    return not is_number(text) and is_unit(match["unit"])


@lru_cache(maxsize=4096)
def is_unit(text: str) -> bool:
    """Return whether a text is a unit, or says that there is none.

    Examples
    --------
    >>> [is_unit(text) for text in ("deg", "(mas/yr)", "km.s-1", "---", "source_id", "teff")]
    [True, True, True, True, False, False]
    """
    import warnings

    from astropy import units

    bare = text.strip().strip("\"'")
    if bare in _NO_UNIT or bare.lower() in _HOURS:
        return True
    if len(bare) > 1 and bare[0] + bare[-1] in ("()", "[]"):
        bare = bare[1:-1]
    bare = {"degrees": "deg", "degree": "deg", "Kelvin": "K"}.get(bare, bare)
    for spelling in (None, "fits", "vounit", "cds"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                units.Unit(bare, format=spelling)
        except (ValueError, TypeError):
            continue
        return True
    return False
