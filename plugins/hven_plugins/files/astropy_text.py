"""Text tables whose layout a header describes: MRT and CDS byte by byte, IPAC, SExtractor, DAOPHOT, LaTeX."""

import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import hven
from hven import Batch, Claim, FileHead, Note
from hven.errors import UnreadableFileError
from hven_plugins.files.astropy_tables import astropy_frame
from hven_plugins.files.table_batch import table_batch
from hven_plugins.files.text_content import decode_start, text_blocks

if TYPE_CHECKING:
    import polars as pl

    from hven import Column

_LAYOUTS: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    (
        "cds",
        "a machine-readable table (MRT, CDS)",
        re.compile(r"(?m)^.{0,2}Byte-by-byte Description of file", re.IGNORECASE),
    ),
    (
        "ipac",
        "an IPAC table",
        re.compile(r"(?m)\A(?:\\[^\n]*\n)*\|[^\n]*\|[ \t]*\n(?:\|[^\n]*\|[ \t]*\n){1,3}[ \t]*[^|\s\\]"),
    ),
    ("sextractor", "a SExtractor catalog", re.compile(r"\A(?:#[^\n]*\n)*?#\s+1\s+[A-Z][A-Z0-9_]+(\s|$)")),
    ("daophot", "a DAOPHOT table", re.compile(r"(?m)^#N\s+\S+[^\n]*\\?\s*$\n#U\s")),
    ("latex", "a LaTeX table", re.compile(r"\\begin\{(?:tabular|deluxetable)\*?\}")),
)
_CALLED = {layout: what for layout, what, _ in _LAYOUTS}


def layout_of(text: str) -> str:
    r"""Return astropy's name of the layout of a text table that describes itself, empty for any other text.

    Examples
    --------
    >>> layout_of("Title: x\nByte-by-byte Description of file: t.txt\n"), layout_of("ra,dec\n1,2\n")
    ('cds', '')
    """
    return next((layout for layout, _, pattern in _LAYOUTS if pattern.search(text)), "")


def claim_layout(head: FileHead) -> Claim | None:
    """Return what a file is as a text table that describes its own layout."""
    text = None if head.is_folder else decode_start(head.start)
    layout = layout_of(text) if text else ""
    if not text or not layout or text.lstrip()[:1] in ("<", "{"):
        return None
    return Claim(_CALLED[layout], "layout", f"its header, of the layout {layout!r}")


@hven.reader(
    name="ascii_layout", patterns=("*_mrt.txt", "*.mrt", "*.tbl"), with_options_of=table_batch, claims=claim_layout
)
def ascii_layout(path: str, *, layout: str = "", readme: str = "", **options: Any) -> Iterator[Batch]:
    """Text tables that describe their layout: MRT and CDS byte by byte, IPAC, SExtractor, DAOPHOT, LaTeX.

    Parameters
    ----------
    path
        Of the file.
    layout
        Astropy's name of the layout, as cds, ipac or fixed_width_two_line; found in the file by default.
    readme
        The file ReadMe that describes a table of the CDS without a header of its own.
    **options
        Those of `table_batch`.
    """
    with hven.local_file(path) as local:
        hven.check_whole(local, path, "a text table that describes its layout")
        text = "".join(text_blocks(local))
        used = layout or ("cds" if readme else layout_of(text))
        if not used:
            raise UnreadableFileError(
                "the file has no header that describes its layout",
                where=path,
                expected=", ".join(_CALLED.values()),
                hint="Say its layout with the option 'layout', or leave the reader to hven.",
            )
        frame, told, notes = _read(local, text, used, readme, path)
    yield table_batch(frame, told, path, "", notes, **options)


def _read(
    path: str, text: str, layout: str, readme: str, where: str
) -> "tuple[pl.DataFrame, list[Column], list[Note]]":
    from astropy.io import ascii as tables
    from astropy.io.ascii import InconsistentTableError

    settings: dict[str, Any] = {"readme": readme} if readme else {}
    if layout == "cds" and not readme:
        parts = len(re.findall(r"(?m)^Byte-by-byte Description of file", text))
        if parts > 1:
            raise UnreadableFileError(
                f"the file describes {parts} tables",
                where=where,
                expected="one table with its description",
                hint="Name the description with the option 'readme' and give the file of one table.",
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units that astropy does not know: the ingest tells of those
        try:
            table = tables.read(path if readme else text, format=layout, guess=False, **settings)
        except (OSError, ValueError, TypeError, IndexError, KeyError, InconsistentTableError) as error:
            reason = str(error).split("\n")[0] or type(error).__name__
            raise UnreadableFileError(
                f"the file cannot be read as {_CALLED.get(layout, f'a table of the layout {layout!r}')}: {reason}",
                where=where,
                hint="Fetch or copy it again, or repair the line.",
            ) from error
    return astropy_frame(table)
