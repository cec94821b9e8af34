"""Limits of files: how much a compressed one may expand to, and how large one may be that is read whole into memory."""

import os
from pathlib import Path

from hven.errors import SettingsError, TooMuchDataError

EXPANDED_VARIABLE = "HVEN_LARGEST_EXPANDED"
WHOLE_VARIABLE = "HVEN_LARGEST_WHOLE"

EXPANDED_BYTES = 10 * 2**30
WHOLE_BYTES = 512 * 2**20
"""Astropy takes two (VOTable) to eight times (ECSV, MRT) the size of a file in memory, measured: 4 GB of this one."""


def largest_expanded() -> int:
    """Return to how many bytes a compressed file may expand, when that is also 200 times its size.

    Examples
    --------
    >>> largest_expanded() >= 2**20
    True
    """
    return _bytes(EXPANDED_VARIABLE, EXPANDED_BYTES)


def check_whole(path: str, where: str, what: str, hint: str = "") -> None:
    """Refuse a file that can only be read whole into memory, and is larger than the setting ``HVEN_LARGEST_WHOLE``.

    Parameters
    ----------
    path
        The file.
    where
        What errors call it.
    what
        What it is, as "a VOTable".
    hint
        What else to do; write it as FITS or Parquet when not given.

    Raises
    ------
    TooMuchDataError
        If it is larger.
    SettingsError
        If the setting is no size.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "stars.vot"
    >>> _ = file.write_text("<VOTABLE/>")
    >>> check_whole(str(file), "stars.vot", "a VOTable")
    """
    limit = _bytes(WHOLE_VARIABLE, WHOLE_BYTES)
    size = Path(path).stat().st_size
    if size > limit:
        raise TooMuchDataError(
            f"{what} is read whole into memory, and this one has {_shown(size)}",
            where=where,
            expected=f"at most {_shown(limit)}: up to eight times as much comes into memory",
            hint=f"{hint or 'Write it as FITS or Parquet, which are read in pieces'}; or raise {WHOLE_VARIABLE} where "
            "there is memory for it.",
        )


def _bytes(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    from dask.utils import parse_bytes

    try:
        size = int(parse_bytes(text))
    except (ValueError, OverflowError):
        size = -1
    if size < 0:
        raise SettingsError(
            f"{variable} is {text!r}", expected="a size, such as 20GB or 512MiB", hint="Correct it, or take it away."
        )
    return size


def _shown(size: int) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 10**9 else f"{size / 1e6:.3g} MB"
