"""Rows of a text table as frames of texts, a block of the file at a time; what is cut or ragged is refused."""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hven.errors import UnreadableFileError
from hven_plugins.files.dialect import WHITESPACE, Dialect, split_line
from hven_plugins.files.text_content import BLOCK_BYTES, text_blocks
from hven_plugins.files.words import is_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

_TAB = "\t"
_ENDS = ("[EOD]",)
_SEVERAL = re.compile(r"(?m)^#\s*(RESOURCE=|Name: |Table[ \t]+\S|Title: )")
_LONGEST_ROW = 4
_LOOKED_AT = 10_000


@dataclass
class Passed:
    """What was passed over in a text table: comments among the rows, lines of names that come again, empty rows."""

    comments: int = 0
    like_rows: int = 0
    headers: int = 0
    empty: int = 0
    rows: int = 0
    blocks: int = 0


def text_rows(
    path: str, dialect: Dialect, names: list[str], passed: Passed, *, encoding: str = "", size: int = BLOCK_BYTES
) -> "Iterator[pl.DataFrame]":
    """Yield the rows of a text table as frames of texts under `names`, without blanks around values.

    Parameters
    ----------
    path
        Of the file, not compressed.
    dialect, names
        As `find_dialect` returns it; a name for each column, all different.
    passed
        Counts what is passed over.
    encoding
        Of the text; found when empty.
    size
        Of a block in bytes.

    Raises
    ------
    UnreadableFileError
        If a row has more or fewer values than there are names, as in a file that is cut.
    """
    skip = dialect.skip
    pending = ""
    blocks = text_blocks(path, encoding, size)
    following = next(blocks, None)
    while following is not None:
        text, following = pending + following, next(blocks, None)
        if dialect.quote and text.count(dialect.quote) % 2 and following is not None:
            pending = text
            if len(pending) > _LONGEST_ROW * size:
                raise UnreadableFileError(
                    f"a quote {dialect.quote} is opened and not closed", where=path, hint="Repair the line."
                )
            continue
        pending = ""
        first_row = passed.rows
        if skip:
            text, skip = _skipped(text, skip, dialect)
        frame = _frame(text, dialect, names, passed, path, first_row, is_last=following is None)
        passed.blocks += 1
        if frame is not None and frame.height:
            passed.rows += frame.height
            yield frame


def _skipped(text: str, skip: int, dialect: Dialect) -> tuple[str, int]:
    """Return the text behind the lines of names, units and rules, and how many of them are still to come.

    A quoted name may run over several lines.
    """
    start = 0
    while skip and start < len(text):
        end = _end_of_line(text, start)
        while dialect.quote and text.count(dialect.quote, start, end) % 2 and end < len(text):
            end = _end_of_line(text, end)
        line = text[start:end].strip()
        if line and not (dialect.comment and line.startswith(dialect.comment)):
            skip -= 1
        start = end
    return text[start:], skip


def _end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end + 1


def _frame(
    text: str, dialect: Dialect, names: list[str], passed: Passed, path: str, first_row: int, *, is_last: bool
) -> "pl.DataFrame | None":
    text = _plain_lines(text, dialect, passed, path)
    if not text.strip():
        return None
    if dialect.spans:
        frame = _cut_at_places(text, dialect, names, path)
    else:
        frame = _parsed(text, dialect, names, path, first_row, is_last=is_last)
    return _without_repeated_names(_stripped(frame, dialect), names, passed)


def _plain_lines(text: str, dialect: Dialect, passed: Passed, path: str) -> str:
    """Return a text without comments and blank lines, and with one separator between values."""
    if dialect.comment and (dialect.comment in text):
        mark = re.escape(dialect.comment)
        if dialect.comment == "#" and first_content_behind(text, _SEVERAL):
            raise UnreadableFileError(
                "the file holds several tables, one behind the other",
                where=path,
                expected="one table",
                hint="Write each table into a file of its own.",
            )
        _count_comments(text, mark, dialect, passed)
        text = re.sub(rf"(?m)^[ \t]*{mark}[^\n]*\n?", "", text)
        if dialect.trailing_comments:
            text = re.sub(rf"(?m)[ \t]+{mark}[^\n]*$", "", text)
    if "\n\n" in text or text.startswith("\n") or re.search(r"\n[ \t]+\n", text) or text[:1] in " \t":
        text = re.sub(r"(?m)^[ \t]*\n", "", text) if dialect.separator != _TAB else re.sub(r"(?m)^ *\n", "", text)
    for end in _ENDS:
        if text.rstrip().endswith(end):
            text = text.rstrip()[: -len(end)]
    if dialect.rule and text.rstrip().endswith(dialect.rule):
        # Only the last line: a rule between rows parts several tables.
        text = re.sub(rf"(?:\A|\n)[ \t]*{re.escape(dialect.rule)}\s*\Z", "\n", text)
    if dialect.bars:
        text = re.sub(r"(?m)^[ \t]*\|[-=+:| ]+\|[ \t]*\n?|^[ \t]*\+[-=+ ]+\+[ \t]*\n?", "", text)
        text = re.sub(r"(?m)^[ \t]*\||\|[ \t]*$", "", text)
    if dialect.separator == WHITESPACE:
        return _with_tabs(text, dialect.quote)
    if dialect.quote and dialect.quote in text:
        text = _without_blanks_at_quotes(text, dialect.separator, dialect.quote)
    return text


def _count_comments(text: str, mark: str, dialect: Dialect, passed: Passed) -> None:
    """Count the comments behind the first row, and those of them that look like rows."""
    begin = 0
    if not passed.rows:
        first = re.search(rf"(?m)^(?![ \t]*{mark})[ \t]*\S", text)
        begin = first.start() if first else len(text)
    for found in re.finditer(rf"(?m)^[ \t]*{mark}[ \t]*(?P<words>[^\n]*)", text[begin:]):
        passed.comments += 1
        if passed.comments <= _LOOKED_AT and dialect.separator and len(dialect.names) > 1:
            fields = split_line(found["words"], dialect.separator, dialect.quote)
            is_like = len(fields) == len(dialect.names) and any(map(is_number, fields))
            passed.like_rows += is_like


def _without_blanks_at_quotes(text: str, separator: str, quote: str) -> str:
    """Return a text without the blanks between separators and quotes, which parsers take for a part of the value."""
    mark = re.escape(separator)
    blank = "[ ]" if separator == _TAB else "[ \t]"
    if not re.search(rf"(?m)(?:^|{mark}){blank}+{quote}|{quote}{blank}+(?:{mark}|$)", text):
        return text
    quoted = rf"(?P<value>{quote}(?:[^{quote}]|{quote}{quote})*{quote}){blank}*"
    return re.sub(
        rf"(?m)(?P<before>^|{mark}){blank}*{quoted}(?={mark}|$)", lambda found: found["before"] + found["value"], text
    )


def first_content_behind(text: str, pattern: re.Pattern[str]) -> bool:
    r"""Return whether a mark of a new table stands behind rows of a text.

    Examples
    --------
    >>> first_content_behind("1\t2\n#RESOURCE=b\n", _SEVERAL)
    True
    """
    places = [found.start() for found in pattern.finditer(text)]
    before = text[: places[-1]] if places else ""
    return any(line.strip() and not line.lstrip().startswith("#") for line in before.splitlines())


def _with_tabs(text: str, quote: str) -> str:
    text = re.sub(r"(?m)^[ \t]+|[ \t]+$", "", text)
    if quote and quote in text:
        return re.sub(
            rf"{quote}[^{quote}\n]*{quote}|[ \t]+", lambda found: found[0] if found[0][0] == quote else _TAB, text
        )
    return re.sub(r"[ \t]+", _TAB, text)


def _parsed(
    text: str, dialect: Dialect, names: list[str], path: str, first_row: int, *, is_last: bool
) -> "pl.DataFrame":
    import polars as pl

    separator = _TAB if dialect.separator == WHITESPACE else dialect.separator
    quote = dialect.quote if dialect.quote and dialect.quote in text else None
    unquoted = text if quote is None else re.sub(rf"{quote}[^{quote}]*{quote}", "", text)
    lines = unquoted.count("\n") + (not unquoted.endswith("\n"))
    separators = unquoted.count(separator)
    if separators == lines * len(names) and _all_end_with(unquoted, separator):
        # A separator at the end of each row, behind the last value.
        text = re.sub(rf"(?m){re.escape(separator)}$", "", text)
        separators -= lines
    try:
        if separators != lines * (len(names) - 1):
            raise _ragged(text, separator, dialect.quote, names, path, first_row, is_last=is_last)
        frame = pl.read_csv(
            text.encode(),
            has_header=False,
            schema=dict.fromkeys(names, pl.String),
            separator=separator,
            quote_char=quote,
            comment_prefix=None,
            raise_if_empty=False,
        )
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise _ragged(text, separator, dialect.quote, names, path, first_row, is_last=is_last) from error
    if frame.height != lines:
        raise _ragged(text, separator, dialect.quote, names, path, first_row, is_last=is_last)
    return frame


def _all_end_with(text: str, separator: str) -> bool:
    return all(line.endswith(separator) for line in text.splitlines())


def _ragged(
    text: str, separator: str, quote: str, names: list[str], path: str, first_row: int, *, is_last: bool
) -> UnreadableFileError:
    """Return the error for rows that have more or fewer values than names."""
    lines = text.splitlines()
    for index, line in enumerate(lines):
        count = len(split_line(line, separator, quote))
        if count == len(names):
            continue
        shown = line if len(line) < 60 else f"{line[:57]}..."
        if is_last and index == len(lines) - 1 and count < len(names):
            return UnreadableFileError(
                f"the file is cut in its last row, which has {count} of {len(names)} values: {shown!r}",
                where=path,
                hint="Fetch or copy it again, or remove that row.",
            )
        return UnreadableFileError(
            f"row {first_row + index + 1} has {count} values, and there are {len(names)} names: {shown!r}",
            where=path,
            expected="a line of names, then lines with as many values",
            hint="Choose another 'separator' or 'comment', or repair the line.",
        )
    return UnreadableFileError(
        f"the quotes {quote!r} of the file do not pair up",
        where=path,
        expected="values with separators in them enclosed by quotes",
        hint="Repair the line, or say what quotes are with the option 'quote' (empty for none).",
    )


def _cut_at_places(text: str, dialect: Dialect, names: list[str], path: str) -> "pl.DataFrame":
    import polars as pl

    lines = pl.Series("line", text.expandtabs().rstrip("\n").split("\n"))
    spans = dialect.spans
    for (_, first), (last, _) in pairwise(spans):
        between = lines.str.slice(first, last - first).str.strip_chars()
        if (between != "").any():
            raise UnreadableFileError(
                f"a value runs over the border of two columns, in row {int((between != '').arg_max() or 0) + 1}",
                where=path,
                expected="columns at the same places in all lines",
                hint="Say what separates values with the option 'separator', or write the table as CSV.",
            )
    ends = [*(last for _, last in spans[:-1]), None]
    cut = {
        name: lines.str.slice(first, None if last is None else last - first)
        for name, (first, _), last in zip(names, spans, ends, strict=True)
    }
    return pl.DataFrame(cut)


def _stripped(frame: "pl.DataFrame", dialect: Dialect) -> "pl.DataFrame":
    import polars as pl

    frame = frame.with_columns(pl.all().str.strip_chars())
    if dialect.quote == "'":
        frame = frame.with_columns(pl.all().str.strip_chars("'"))
    return frame


def _without_repeated_names(frame: "pl.DataFrame", names: list[str], passed: Passed) -> "pl.DataFrame":
    """Return rows without lines of names that come again (files put together) and without rows that have no value."""
    import polars as pl

    first = frame.columns[0]
    suspects = frame.select((pl.col(first) == names[0]).fill_null(value=False)).to_series()
    if suspects.any() and frame.width > 1:
        again = frame.select(pl.all_horizontal((pl.col(name) == name).fill_null(value=False) for name in names))
        count = int(again.to_series().sum())
        passed.headers += count
        frame = frame.filter(~again.to_series()) if count else frame
    if frame.width > 1 and frame.select((pl.col(first).is_null() | (pl.col(first) == "")).any()).item():
        empty = frame.select(pl.all_horizontal(pl.all().is_null() | (pl.all() == ""))).to_series()
        if empty.any():
            passed.empty += int(empty.sum())
            frame = frame.filter(~empty)
    return frame
