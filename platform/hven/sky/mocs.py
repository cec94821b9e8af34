"""MOCs (multi-order coverage maps) and HEALPix pixels as regions: from text, files, `mocpy.MOC` and lists of cells."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import RegionError
from hven.sky.cover import as_ranges, merged
from hven.sky.healpix import ORDER, SKY
from hven.sky.moc_text import canonical_moc, moc_text
from hven.sky.regions import Moc

if TYPE_CHECKING:
    from mocpy import MOC
    from numpy.typing import ArrayLike, NDArray

_FORMS = "a MOC of the sky in ICRS as FITS, JSON or ASCII"


def moc(source: "str | os.PathLike[str] | MOC") -> Moc:
    """Return the region of a MOC, brought to its canonical form.

    Parameters
    ----------
    source
        ASCII text such as ``3/1-5,7 6/800``; the path of a FITS, JSON or ASCII file (a text with a letter in it is a
        path); or a `mocpy.MOC`.

    Raises
    ------
    RegionError
        If the text or the file is not a MOC of the sky in ICRS, naming the part or the file that is wrong.

    Examples
    --------
    >>> moc("1/0 1/1,2-3 3/4").text
    '0/0'
    """
    if isinstance(source, str) and not any(letter.isalpha() for letter in source):
        return Moc(canonical_moc(source))
    if isinstance(source, str | os.PathLike):
        return Moc(_read(Path(source)))
    ranges = getattr(source, "to_depth29_ranges", None)
    if ranges is None:
        raise RegionError(
            f"a {type(source).__name__} is not a MOC of the sky",
            where="moc",
            expected="ASCII text, the path of a file, or a mocpy.MOC",
            hint="Write it with mocpy: MOC.to_string('ascii').",
        )
    return Moc(_canonical(np.asarray(ranges)))


def pixels(ids: "ArrayLike", order: int) -> Moc:
    """Return the region of HEALPix pixels, nested and ICRS, of one order.

    It is the MOC of these pixels, and written so.

    Parameters
    ----------
    ids
        Integers, shape (n,), from 0 to ``12 * 4**order - 1``, in any order; one more than once counts once.
    order
        From 0 to 29; nside is ``2**order``.

    Raises
    ------
    RegionError
        If `order` or an id is no integer or out of range, naming the first that is.

    Examples
    --------
    >>> pixels([3, 1, 2], order=6)
    Moc(text='6/1-3')
    """
    if isinstance(order, bool) or not isinstance(order, int | np.integer) or not 0 <= order <= ORDER:
        raise RegionError(
            f"there is no order {order!r} of HEALPix pixels",
            where="pixels",
            expected="an integer from 0 to 29",
            hint="Give log2(nside): 10 for nside 1024.",
        )
    given = np.asarray(ids).ravel()
    if given.dtype.kind not in "iu":  # Integers beyond 64 bits are Python's own; those are out of range.
        no_integers = [place for place, one in enumerate(given.tolist()) if type(one) is not int]
        if no_integers:
            raise _pixel_refused(given, no_integers[0], int(order), "is no integer")
    wrong = np.flatnonzero((given < 0) | (given >= 12 << (2 * int(order))))
    if wrong.size:
        raise _pixel_refused(given, int(wrong[0]), int(order), f"is no pixel of order {order}")
    return Moc(moc_text(merged(as_ranges(given.astype(np.int64), int(order)))))


def _pixel_refused(given: "NDArray[Any]", first: int, order: int, what: str) -> RegionError:
    return RegionError(
        f"{given[first]!s} {what}",
        where=f"pixels, number {first} of {given.size}",
        expected=f"integers from 0 to {(12 << (2 * order)) - 1}, nested",
        hint="Correct the ids, or the order they belong to.",
    )


def _read(path: Path) -> str:
    """Return the canonical text of the MOC in a file."""
    try:
        content = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise _file_refused(path, f"cannot be read: {error}") from error
    if content is None:
        raise RegionError(
            f"{str(path)!r} is neither a MOC nor a file that is there",
            where=f"moc({path})",
            expected="order/cells such as '3/1-5,7 6/800', or the path of a file",
            hint="Correct the text or the path.",
        )
    if content.startswith(b"SIMPLE"):
        return _from_fits(path, content)
    try:
        text = content.decode("ascii")
        return _from_json(path, text) if text.lstrip().startswith("{") else canonical_moc(text)
    except UnicodeDecodeError as error:
        raise _file_refused(path, "is neither FITS nor JSON nor ASCII") from error
    except RegionError as error:
        raise _file_refused(path, f"is no MOC: {error.what}") from error


def _from_fits(path: Path, content: bytes) -> str:
    """Return the text of a MOC in FITS; mocpy reads those of time, and of other frames, as if they were of the sky."""
    from mocpy import MOC

    dimension, frame = _card(content, "MOCDIM", "SPACE"), _card(content, "COORDSYS", "C")
    if dimension != "SPACE":
        raise _file_refused(path, f"is a MOC of {dimension.lower()}, not of the sky")
    if frame != "C":
        raise _file_refused(path, f"is a MOC in frame {frame!r}, not in ICRS ('C')")
    try:
        ranges = np.asarray(MOC.load(str(path), format="fits").to_depth29_ranges)
    except (OSError, ValueError) as error:
        raise _file_refused(path, f"is no MOC: {error}") from error
    if ranges.size and (ranges.max() > SKY or (ranges[:, 0] >= ranges[:, 1]).any()):
        raise _file_refused(path, "names cells that do not exist")
    return _canonical(ranges)


def _card(content: bytes, keyword: str, default: str) -> str:
    """Return a text that the headers of a FITS file, the first two, give to a keyword."""
    headers = b"".join(content.split(b"END" + 77 * b" ", 2)[:2])
    found = re.search(rb"%-8b= '([^']*)'" % keyword.encode(), headers)
    return found[1].decode("ascii", "replace").strip() if found else default


def _from_json(path: Path, text: str) -> str:
    """Return the text of a MOC in JSON; mocpy turns orders and cells that do not exist into others."""
    try:
        orders = json.loads(text)
    except ValueError as error:
        raise _file_refused(path, f"is no JSON: {error}") from error
    for order, cells in orders.items():
        if not order.isdecimal() or not isinstance(cells, list) or any(type(cell) is not int for cell in cells):
            raise _file_refused(path, f"is no MOC: {order!r} is not an order with a list of cells")
    return canonical_moc(" ".join(f"{order}/{','.join(map(str, cells))}" for order, cells in orders.items()))


def _canonical(ranges: "NDArray[Any]") -> str:
    return moc_text(merged(ranges.astype(np.int64).reshape(-1, 2)))


def _file_refused(path: Path, what: str) -> RegionError:
    return RegionError(
        f"the file {what}",
        where=str(path),
        expected=_FORMS,
        hint="Write it again with mocpy: MOC.save(path, format='fits').",
    )
