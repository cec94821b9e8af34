"""Multi-order coverage maps (MOCs) as the ASCII text of the IVOA standard, to and from ranges of cells of order 29."""

import re
from typing import TYPE_CHECKING

import numpy as np

from hven.errors import RegionError
from hven.sky.cover import merged
from hven.sky.healpix import ORDER

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOKEN = re.compile(r"(?:(\d{1,2})/)?(?:(\d+)(?:-(\d+))?)?")


def parse_moc(text: str) -> "NDArray[np.int64]":
    """Return the sorted half-open ranges (n, 2) of order 29 that MOC `text` names; the empty text names none.

    Raises
    ------
    RegionError
        If the text is not a MOC, naming the part that is wrong.

    Examples
    --------
    >>> parse_moc("0/0-11").tolist() == [[0, 12 * 4**29]]
    True
    """
    ranges: list[tuple[int, int]] = []
    order = -1
    for token in re.split(r"[\s,]+", text.strip()):
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise _refused(token, text)
        if match[1] is not None:
            order = int(match[1])
            if order > ORDER:
                raise _refused(token, text)
        if match[2] is None:
            continue
        first, last = int(match[2]), int(match[3] or match[2])
        if order < 0 or first > last or last >= 12 << (2 * order):
            raise _refused(token, text)
        shift = 2 * (ORDER - order)
        ranges.append((first << shift, (last + 1) << shift))
    return merged(np.array(ranges, np.int64).reshape(-1, 2))


def moc_text(ranges: "NDArray[np.int64]", order: int = ORDER) -> str:
    """Return the canonical ASCII MOC of sorted, separate `ranges` (n, 2) of order 29; ``""`` when there are none.

    Examples
    --------
    >>> moc_text(np.array([[0, 4**29], [4**29 + 4**28, 4**29 + 4**28 * 2]]))
    '0/0 1/5'
    """
    if not len(ranges):
        return ""
    from mocpy import MOC

    text = MOC.from_depth29_ranges(order, ranges.astype(np.uint64)).to_string("ascii")
    return re.sub(r"\s*\b\d+/(?=\s|$)", "", str(text)).strip()


def canonical_moc(text: str) -> str:
    """Return MOC `text` in its shortest form: equal regions give equal texts.

    Examples
    --------
    >>> canonical_moc("1/0-3 2/16")
    '0/0 2/16'
    """
    return moc_text(parse_moc(text))


def _refused(token: str, text: str) -> RegionError:
    return RegionError(
        f"{token!r} is not part of a MOC",
        where=f"moc({text if len(text) <= 60 else text[:57] + '...'})",
        expected="order/cells with the order from 0 to 29, for example '3/1-5,7 6/800'",
        hint="Correct the text, or write it with mocpy: MOC.to_string('ascii').",
    )
