"""Comma-separated values, in and out; ECSV with its units too."""

import gzip
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hven
from hven import Batch, Column
from hven.errors import UnreadableFileError
from hven_plugins.files.astropy_tables import astropy_frame
from hven_plugins.files.table_batch import table_batch

if TYPE_CHECKING:
    import polars as pl

_NULLS = ["", "null", "NULL", "Null", "None", "N/A", "n/a", "--", "nan", "NaN", "NAN", "<NA>"]


@hven.reader(
    name="csv", patterns=("*.csv", "*.csv.gz", "*.tsv", "*.tsv.gz", "*.ecsv", "*.ecsv.gz"), with_options_of=table_batch
)
def csv(
    path: str,
    *,
    separator: str = "",
    comment: str = "#",
    nulls: list[str] | None = None,
    **options: Any,
) -> Iterator[Batch]:
    """Comma- or tab-separated values with a line of names; ECSV, as the Gaia archive writes it, with its units.

    Parameters
    ----------
    path
        Of the file.
    separator
        Between values; by default a tab for .tsv, else a comma.
    comment
        Lines that begin so are passed over.
    nulls
        Texts that mean missing; by default empty, null, nan, N/A and the like.
    **options
        Those of `table_batch`.
    """
    if _is_ecsv(path):
        frame, told = _read_ecsv(path)
    else:
        default = "\t" if Path(path).name.lower().removesuffix(".gz").endswith(".tsv") else ","
        frame, told = _read_csv(path, separator or default, comment, _NULLS if nulls is None else nulls), []
    yield table_batch(frame, told, path, **options)


def _read_csv(path: str, separator: str, comment: str, nulls: list[str]) -> "pl.DataFrame":
    import polars as pl

    try:
        return pl.read_csv(
            _with_line_feeds(path),
            glob=False,
            separator=separator,
            comment_prefix=comment or None,
            null_values=nulls,
            infer_schema_length=None,
        )
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise UnreadableFileError(
            f"the file is not a table of values separated by {separator!r}: {str(error).splitlines()[0]}",
            where=path,
            expected="a line of names, then lines with as many values",
            hint="Choose another 'separator' or 'comment', or repair the line.",
        ) from error


def _with_line_feeds(path: str) -> str | bytes:
    """Return the path, or the content where lines end with a carriage return alone, as old spreadsheets wrote them."""
    if path.lower().endswith(".gz"):
        return path
    with Path(path).open("rb") as file:
        start = file.read(2**16)
        if b"\r" not in start or b"\n" in start:
            return path
        return (start + file.read()).replace(b"\r", b"\n")


def _is_ecsv(path: str) -> bool:
    opened: Any = gzip.open if path.lower().endswith(".gz") else open
    try:
        with opened(path, "rb") as file:
            return bytes(file.read(7)) == b"# %ECSV"
    except OSError as error:
        raise UnreadableFileError(str(error), where=path, hint="Look whether the file is whole.") from error


def _read_ecsv(path: str) -> "tuple[pl.DataFrame, list[Column]]":
    from astropy.io import ascii as tables
    from astropy.io.ascii import InconsistentTableError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units that astropy does not know: the ingest tells of those
        try:
            return astropy_frame(tables.read(path, format="ecsv", fill_values=[(null, "0") for null in _NULLS]))
        except (OSError, ValueError, InconsistentTableError) as error:
            raise UnreadableFileError(
                f"the file is not whole ECSV: {str(error).splitlines()[0]}", where=path, hint="Fetch or copy it again."
            ) from error


@hven.exporter(name="csv", patterns=("*.csv", "*.tsv", "*.csv.gz", "*.tsv.gz"))
def write_csv(data: Any, path: str | Path, *, separator: str = "") -> None:
    """Comma- or tab-separated values with a line of names; null is empty. Units are not written.

    Parameters
    ----------
    data
        A Polars frame.
    path
        Of the file; ``.gz`` at the end compresses it.
    separator
        Between values; by default a tab for .tsv, else a comma.
    """
    name = Path(path).name.lower()
    used = separator or ("\t" if ".tsv" in name else ",")
    opened: Any = gzip.open if name.endswith(".gz") else open
    with opened(path, "wb") as file:
        data.write_csv(file, separator=used)
