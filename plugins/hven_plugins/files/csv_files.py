"""Text tables, in and out: values between commas, tabs, semicolons, bars or blanks, or at fixed places."""

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hven
from hven import Batch, Claim, Column, FileHead, Note
from hven.errors import MissingColumnError, ParameterError, UnreadableFileError, did_you_mean
from hven_plugins.files.astropy_text import layout_of
from hven_plugins.files.column_types import ColumnFacts, ColumnType, column_type
from hven_plugins.files.dialect import Dialect, find_dialect
from hven_plugins.files.ecsv_files import ecsv_batches, is_ecsv
from hven_plugins.files.named_columns import column_names, described
from hven_plugins.files.table_batch import table_batch
from hven_plugins.files.text_content import decode_start, leading_lines
from hven_plugins.files.text_rows import Passed, text_rows
from hven_plugins.files.vizier_headers import vizier_columns, vizier_frame

if TYPE_CHECKING:
    import polars as pl

_PATTERNS = (
    "*.csv", "*.csv.gz", "*.tsv", "*.tsv.gz", "*.ecsv", "*.ecsv.gz", "*.psv", "*.tab", "*.tst", "*.dat", "*.cat",
)  # fmt: skip

_ERROR_NAMES = {"error", "message", "msg", "code", "status", "detail", "exception", "reason", "error_message", "errors"}


def claim_text(head: FileHead) -> Claim | None:
    r"""Return what a file is as a text table; by its name alone where its lines have nothing in common.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "stars.dat"
    >>> _ = file.write_text("# id ra dec\n1 10.5 41.2\n2 10.6 41.3\n")
    >>> claim_text(FileHead(str(file))).why
    'values separated by blanks, names in a line that begins with #'
    """
    if head.is_folder:
        return None
    text = decode_start(head.start)
    if text is None and head.raw and csv.matches(head.path):
        return Claim(f"a file called {head.name}", "name", "its name, as its content is no text")
    if text is None or not text.strip() or text.lstrip()[:1] in ("<", "{") or text.lstrip()[:2] in ("[{", "[\n"):
        return None
    if is_ecsv(text):
        return Claim("an ECSV table", "layout", "it begins with # %ECSV")
    if layout_of(text):
        return None
    try:
        comments, lines = leading_lines(head.path, passed=_marks_of(text))
        found = _dialect(comments, lines, head.path, "", None, _marks_of(text))
    except UnreadableFileError:
        found = None
    if found is None:
        if csv.matches(head.path):
            return Claim(f"a text called {head.name}", "name", "its name, as its lines have nothing in common")
        return None
    what = "a table of VizieR" if any("VizieR" in line for line in comments[:20]) else "a text table"
    return Claim(f"{what} of {found.width} columns", "format", found.text())


@hven.reader(name="csv", patterns=_PATTERNS, with_options_of=table_batch, claims=claim_text)
def csv(
    path: str,
    *,
    separator: str = "",
    comment: str | None = None,
    quote: str | None = None,
    names: list[str] | None = None,
    nulls: list[str] | None = None,
    text: list[str] | None = None,
    encoding: str = "",
    **options: Any,
) -> Iterator[Batch]:
    """Text tables: CSV, TSV, ECSV, VizieR's, values between semicolons, bars or blanks, columns at fixed places.

    How the file is written is found in it: what separates values, where names and units stand, what comments begin
    with, decimal commas. Types are decided over all rows; what is doubtful is noted.

    Parameters
    ----------
    path
        Of the file.
    separator
        Between values, a blank for any number of blanks and tabs; found in the file by default.
    comment
        Lines that begin so are passed over; found by default, usually #. Empty for none.
    quote
        What encloses values; found by default, usually ". Empty for none.
    names
        Of the columns, where the file has no line of names (or with numbers in it).
    nulls
        Texts that mean missing; by default empty, null, nan, N/A and the like, in columns of numbers also NA, -, *.
    text
        Columns that stay text though all values are numbers.
    encoding
        Of the text, as latin-1; by default UTF-8, or UTF-16 where the file says so.
    **options
        Those of `table_batch`.
    """
    with hven.local_file(path) as local:
        yield from _batches(local, path, separator, comment, quote, names, nulls, text or [], encoding, options)


def _batches(
    local: str,
    path: str,
    separator: str,
    comment: str | None,
    quote: str | None,
    names: Sequence[str] | None,
    nulls: Sequence[str] | None,
    text: Sequence[str],
    encoding: str,
    options: dict[str, Any],
) -> Iterator[Batch]:
    start = decode_start(FileHead(local).raw, encoding)
    if start is None:
        raise UnreadableFileError("the file is not text", where=path, hint="Say another reader with --reader.")
    if is_ecsv(start) and not separator:
        yield from ecsv_batches(local, path, options)
        return
    comments, lines = leading_lines(local, encoding, passed=_marks_of(start) if comment is None else comment)
    dialect = _dialect(comments, lines, path, separator, comment, _marks_of(start))
    if dialect is None:
        raise _no_table(comments, lines, path)
    if quote is not None:
        dialect = replace(dialect, quote=quote)
    if names is not None:
        dialect = _with_given_names(dialect, names, path)
    if not dialect.names:
        raise _no_names(dialect, lines, path)
    _refuse_error(dialect, lines, path)
    columns, notes = column_names(dialect.names)
    columns, told = described(columns, dialect.units, vizier_columns(comments, columns))
    passed, later = Passed(), Passed()
    facts = {name: ColumnFacts(name, dialect.decimal_comma) for name in columns}
    kept: list[pl.DataFrame] = []
    for block in text_rows(local, dialect, columns, passed, encoding=encoding):
        kept = [*kept, block] if not kept and passed.blocks == 1 else []
        for name in columns:
            facts[name].take(block[name])
    types = {name: column_type(one, nulls) for name, one in facts.items()}
    _check_text_columns(columns, text, path)
    types |= {name: ColumnType("text", types[name].nulls) for name in text}
    notes = [*_dialect_notes(dialect, passed), *notes, *(note for one in types.values() for note in one.notes)]
    if passed.blocks > 1:
        told = [_with_angle_unit(column, facts[column.name], types[column.name]) for column in told]
    for block in kept or text_rows(local, dialect, columns, later, encoding=encoding):
        typed = block.select(types[name].cast(block[name]).alias(name) for name in columns)
        yield table_batch(typed, told, path, vizier_frame(comments), notes, **options)
        notes = []


def _marks_of(text: str) -> str:
    """Return what the lines of comments at the beginning of a text begin with, empty when there are none."""
    first = text.lstrip("\ufeff").lstrip()
    if first.startswith("//"):
        return "//"
    if first[:1] in ("%", "!") or first.startswith("; "):
        return first[0]
    return "#"


def _dialect(
    comments: Sequence[str], lines: Sequence[str], path: str, separator: str, comment: str | None, mark: str = "#"
) -> Dialect | None:
    used = mark if comment is None else comment
    if lines and not separator and (said := re.fullmatch(r'"?sep=(.)"?', lines[0].strip())):  # as Excel is told
        found = find_dialect(comments, lines[1:], separator=said[1], comment=used)
        return found and replace(found, skip=found.skip + 1)
    if (
        not separator
        and path.lower().removesuffix(".gz").endswith((".tsv", ".tab"))
        and any("\t" in row for row in lines)
    ):
        separator = "\t"
    return find_dialect(comments, lines, separator=separator, comment=used)


def _no_table(comments: Sequence[str], lines: Sequence[str], path: str) -> UnreadableFileError:
    shown = (lines or comments or [""])[0].strip()
    shown = shown if len(shown) < 80 else f"{shown[:77]}..."
    if not lines:
        what = "the file has comments only" if comments else "the file has no text"
    else:
        what = f"the file is not a table: its lines have nothing in common; the first is {shown!r}"
    return UnreadableFileError(
        what,
        where=path,
        expected="a line of names, then lines with as many values",
        hint="Choose another 'separator' or 'comment', or repair the file; a service may have answered with an error.",
    )


def _no_names(dialect: Dialect, lines: Sequence[str], path: str) -> UnreadableFileError:
    first = lines[0].strip() if lines else ""
    shown = first if len(first) < 60 else f"{first[:57]}..."
    return UnreadableFileError(
        f"the file has no line of names: its first line holds values, {shown!r}",
        where=path,
        expected=f"names of its {dialect.width} columns, in the first line or in a comment above the rows",
        hint='Give them with the option names, as in -o names=\'["source_id", "ra", "dec"]\'.',
    )


def _with_given_names(dialect: Dialect, names: Sequence[str], path: str) -> Dialect:
    if len(names) != dialect.width:
        raise ParameterError(
            f"option 'names' has {len(names)} names",
            where=path,
            expected=f"{dialect.width}, one for each column",
            hint="Correct the option.",
        )
    return replace(dialect, names=tuple(names), names_from="the option 'names'")


def _refuse_error(dialect: Dialect, lines: Sequence[str], path: str) -> None:
    """Refuse one row of a message and a code: what a service answers when it has no data."""
    if len(lines) > dialect.skip + 1 or not dialect.names or not lines:
        return
    if {name.strip().lower() for name in dialect.names} <= _ERROR_NAMES:
        raise UnreadableFileError(
            f"a service answered with an error: {lines[-1].strip()[:200]}", where=path, hint="Ask it again."
        )


def _check_text_columns(columns: Sequence[str], text: Sequence[str], path: str) -> None:
    for name in text:
        if name not in columns:
            raise MissingColumnError(
                f"option 'text' names column {name!r}, which the file does not have",
                where=path,
                hint=did_you_mean(name, columns, f"Its columns are: {', '.join(columns)[:1000]}."),
            )


def _dialect_notes(dialect: Dialect, passed: Passed) -> list[Note]:
    """Return how the file was read, where that is not what everybody expects."""
    notes = [] if dialect.is_plain else [Note(f"read as a text table: {dialect.text()}", needs_attention=False)]
    if dialect.names and dialect.names[0] == "row" and dialect.skip and len(dialect.names) == dialect.width:
        notes.append(
            Note("the line of names has one name less than the rows have values: the first column is 'row'", True)
        )
    if passed.like_rows:
        what = f"{passed.like_rows:,} lines among the rows begin with {dialect.comment} and have the values of a row"
        notes.append(Note(f"{what}: passed over as comments; if they are rows, say comment=''", True))
    elif passed.comments:
        notes.append(Note(f"{passed.comments:,} lines among the rows begin with {dialect.comment} and are passed over"))
    if passed.headers:
        notes.append(
            Note(f"the line of names comes again {passed.headers} times among the rows, and is left out", True)
        )
    if passed.empty:
        notes.append(Note(f"{passed.empty} rows without any value are left out"))
    return notes


def _with_angle_unit(column: Column, facts: ColumnFacts, kind: ColumnType) -> Column:
    """Return a column of angles as texts with the unit that all rows together say, for files of several blocks."""
    if kind.kind != "text" or column.unit or facts.hours < 25 or not column.name.lower().lstrip("_").startswith("ra"):
        return column
    return replace(column, unit="deg")


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
