"""The headers of a FITS file, read without its data: what the judgement of its content starts from."""

import os
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Any


@dataclass(frozen=True)
class Hdu:
    """One header and data unit.

    Attributes
    ----------
    index
        Its number in the file, from 0.
    header
        The header, of astropy.
    start
        Where its data begin, in bytes.
    size
        How many bytes its data have, without the padding.
    is_cut
        Whether the file ends before its data do.
    """

    index: int
    header: Any = field(repr=False)
    start: int = 0
    size: int = 0
    is_cut: bool = False

    @property
    def name(self) -> str:
        """The name of the extension, in capitals; empty without one."""
        return str(self.header.get("EXTNAME", "")).strip().upper()

    @property
    def is_table(self) -> bool:
        """Whether it is a table (a compressed image, which is kept as one, is not)."""
        kind = str(self.header.get("XTENSION", "")).strip()
        return kind in ("BINTABLE", "TABLE", "A3DTABLE") and not self.header.get("ZIMAGE", False)

    @property
    def rows(self) -> int:
        """The rows of a table."""
        return int(self.header.get("NAXIS2", 0)) if self.is_table else 0

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of a table's columns, as they are written; ``col3`` for the third when it has none."""
        if not self.is_table:
            return ()
        fields = int(self.header.get("TFIELDS", 0))
        return tuple(str(self.header.get(f"TTYPE{i}", "")).strip() or f"col{i}" for i in range(1, fields + 1))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image in the order of NumPy, y before x; empty for tables and headers without data."""
        if self.is_table:
            return ()
        z = "Z" if self.header.get("ZIMAGE", False) else ""
        axes = int(self.header.get(f"{z}NAXIS", 0))
        return tuple(int(self.header.get(f"{z}NAXIS{i}", 0)) for i in range(axes, 0, -1))


def fits_hdus(path: str) -> tuple[Hdu, ...]:
    """Return the headers of a plain FITS file; none of a file that is not FITS.

    They are remembered for the files that were looked at last, because several readers ask for the same ones.

    Examples
    --------
    >>> fits_hdus(__file__)
    ()
    """
    try:
        state = Path(path).stat()
    except OSError:
        return ()
    if not S_ISREG(state.st_mode):
        return ()
    return _hdus(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4)
def _hdus(path: str, size: int, _mtime: int) -> tuple[Hdu, ...]:
    from astropy.io import fits

    found: list[Hdu] = []
    with Path(path).open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if file.read(9) != b"SIMPLE  =":
            return ()
        file.seek(0)
        while file.tell() < size:
            try:
                header = fits.Header.fromfile(file, endcard=True)
                data, padded = int(header.data_size), int(header.data_size_padded)
            except (OSError, EOFError, ValueError, TypeError, KeyError, fits.VerifyError):
                # What follows the last whole header is no part of the file that anybody could read.
                break
            start = file.tell()
            found.append(Hdu(len(found), header, start, data, start + data > size))
            file.seek(padded, os.SEEK_CUR)
    return tuple(found)
