"""How a text table is written: what separates its values, where its names and units stand, what its comments are."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from hven_plugins.files.words import MISSING, is_number, is_unit

WHITESPACE = " "
_SEPARATORS = ("\t", ";", "|", ",", WHITESPACE)
_CALLED = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", WHITESPACE: "blanks"}
_RULE = re.compile(r"^[-=:+|\s]*-{2,}[-=:+|\s]*$|^[=\s]*={2,}[=\s]*$")
_TRAILING = re.compile(r"[ \t]+#[^\"'\n]*$")
_ENOUGH = 0.8
_LONGEST_ROW = 50


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Attributes
    ----------
    separator
        One character between values; a blank stands for any number of blanks and tabs; empty for fixed places.
    comment
        What lines that are passed over begin with; empty for none.
    quote
        What encloses values with separators in them; empty for none.
    names, units
        Of the columns; empty where the file has no line of names, or of units.
    skip
        Lines before the first row that are no comments: names, units, a rule.
    names_from
        Where the names stand, in words.
    bars
        Whether lines begin and end with a bar.
    decimal_comma
        Whether numbers are written as 1,5.
    trailing_comments
        Whether comments stand behind values.
    spans
        First and last place of each column at fixed places.
    rule
        The line that parts the names from the rows; it may stand below the rows again.
    """

    separator: str
    comment: str = "#"
    quote: str = '"'
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    skip: int = 0
    names_from: str = "the first line"
    bars: bool = False
    decimal_comma: bool = False
    trailing_comments: bool = False
    spans: tuple[tuple[int, int], ...] = ()
    rule: str = ""
    width: int = 0
    consistency: float = 1.0

    @property
    def is_plain(self) -> bool:
        """Whether it is what everybody expects: commas or tabs, names in the first line, nothing else."""
        usual = replace(self, names=(), width=0, separator=",", consistency=1.0, skip=1)
        return usual == Dialect(",", self.comment, skip=1) and self.separator in (",", "\t")

    def text(self) -> str:
        """Return the dialect in words.

        Examples
        --------
        >>> Dialect(";", decimal_comma=True, names=("ra",)).text()
        'values separated by semicolons, decimal commas, names in the first line'
        """
        words = [f"values separated by {_CALLED.get(self.separator, repr(self.separator))}"]
        if self.spans:
            words = ["columns at fixed places"]
        if self.bars:
            words.append("a bar at each end")
        if self.quote == "'":
            words.append("quoted by '")
        if self.decimal_comma:
            words.append("decimal commas")
        words.append(f"names in {self.names_from}" if self.names else "no line of names")
        if any(self.units):
            words.append("a line of units")
        if self.trailing_comments:
            words.append(f"comments behind values from {self.comment} on")
        return ", ".join(words)


def find_dialect(
    comments: Sequence[str], lines: Sequence[str], *, separator: str = "", comment: str = "#"
) -> Dialect | None:
    """Return how a text table is written, None where lines have nothing in common that makes them one.

    Parameters
    ----------
    comments
        Lines at the beginning that are comments; the names may stand in one.
    lines
        Those behind them, without blank ones, up to a thousand.
    separator, comment
        What the user says; found when the separator is empty.

    Examples
    --------
    >>> find_dialect(["# id ra dec"], ["1 10.5 41.2", "2 10.6 41.3"]).names
    ('id', 'ra', 'dec')
    >>> find_dialect([], ["ERROR 1064 in the query", "near line 3"]) is None
    True
    """
    rows = [line for line in lines if not (comment and line.lstrip().startswith(comment))]
    rows = _whole_rows(rows)
    if not rows:
        return None
    found = _best(rows, comments, separator, comment)
    if comment and (found is None or found.consistency < 1 or separator == "") and comment in "#!%":
        shorter = [_TRAILING.sub("", row) if comment == "#" else row for row in rows]
        if shorter != rows:
            other = _best(shorter, comments, separator, comment)
            if other is not None and _is_better(other, found, shorter, rows):
                found = replace(other, trailing_comments=True)
    if found is None and not separator:
        found = _at_fixed_places(rows, comment)
    return found


def _whole_rows(lines: Sequence[str]) -> list[str]:
    """Return rows in which a quoted value that runs over several lines is one."""
    if sum(line.count('"') % 2 for line in lines) > 0.9 * len(lines):
        return list(lines)
    rows: list[str] = []
    pending: list[str] = []
    for line in lines:
        pending.append(line)
        if sum(one.count('"') for one in pending) % 2 == 0:
            rows.append(" ".join(pending))
            pending = []
        elif len(pending) > _LONGEST_ROW:
            rows += pending
            pending = []
    return rows or list(lines)


def split_line(line: str, separator: str, quote: str = '"') -> list[str]:
    """Return the values of one line, without blanks around them and without quotes.

    Examples
    --------
    >>> split_line('11, "a, b" ,', ","), split_line(' 1  "a b" ', " ")
    (['11', 'a, b', ''], ['1', 'a b'])
    """
    if separator == WHITESPACE:
        if not quote:
            return line.split()
        return [part[1:-1] if len(part) > 1 and part[0] == part[-1] == quote else part for part in _words(line, quote)]
    if quote and quote in line:
        reader = csv.reader([line.replace("\n", " ")], delimiter=separator, quotechar=quote, skipinitialspace=True)
        return [value.strip() for value in next(reader)]
    return [value.strip() for value in line.split(separator)]


def _words(line: str, quote: str) -> list[str]:
    return re.findall(rf"{quote}[^{quote}]*{quote}(?=\s|$)|\S+", line)


def _best(rows: Sequence[str], comments: Sequence[str], separator: str, comment: str) -> Dialect | None:
    """Return the dialect under which most lines have one number of clean values."""
    barred = [row for row in rows if not _RULE.match(row) or row.strip().startswith("|")]
    bars = len(barred) > 1 and all(row.strip().startswith("|") and row.strip().endswith("|") for row in barred)
    if bars:
        rows = [row.strip()[1:-1] for row in rows]
        separator = separator or "|"
    text = "\n".join(rows)
    quote = '"'
    if '"' not in text and re.search(r"(^|[\s,;|])'[^'\n]*'([\s,;|]|$)", text):
        quote = "'"
    elif sum(row.count('"') % 2 for row in rows) > 0.5 * len(rows):
        quote = ""
    scored: list[tuple[float, float, int, str, int]] = []
    for rank, candidate in enumerate([separator] if separator else _SEPARATORS):
        rules = [row for row in rows if not _RULE.match(row)]
        fields = [split_line(row, candidate, quote) for row in rules]
        if not fields:
            continue
        counts = Counter(map(len, fields[1:] or fields))
        width, often = counts.most_common(1)[0]
        if len(fields) > 3 and len(fields[-1]) < width:
            fields = fields[:-1]  # A file that is cut ends within a row.
        fits = (
            len(fields[0]) == width
            or _has_names_of_rows(width, fields)
            or (len(fields[0]) == width + 1 and not fields[0][-1])
        )
        if not separator and (width < 2 or not fits):
            continue
        share = often / max(1, len(fields) - 1)
        values = [value for row in fields[1:] or fields if len(row) == width for value in row]
        if candidate == WHITESPACE and not separator and not any(is_number(value) for value in values):
            continue
        clean = sum(_is_clean(value, candidate) for value in values) / max(1, len(values))
        scored.append((round(share, 3), round(clean, 2), -rank, candidate, width))
    if not scored and not separator:
        return _one_column(rows, comments, comment)
    scored = [one for one in scored if one[0] >= _ENOUGH or separator]
    if not scored:
        return None
    share, _, _, chosen, width = max(scored, key=lambda one: (one[0] * (0.5 + one[1]), one[2]))
    found = Dialect(chosen, comment, quote, bars=bars, width=width, consistency=share)
    return _with_names(found, rows, comments)


def _is_clean(value: str, separator: str) -> bool:
    if is_number(value) or value in MISSING:
        return True
    others = ",;|\t".replace(separator, "")
    if separator not in (WHITESPACE, ",") and re.fullmatch(r"[+-]?\d+,\d+([eE][+-]?\d+)?", value):
        return True
    return not any(other in value for other in others)


def _one_column(rows: Sequence[str], comments: Sequence[str], comment: str) -> Dialect | None:
    """Return the dialect of a table of one column: a name, and below it values that are one word each."""
    words = [row.strip() for row in rows]
    if len(words) < 2 or any(" " in word or "\t" in word for word in words):
        return None
    if not any(is_number(word) for word in words[1:]) and any(word.lower() == words[0].lower() for word in words[1:]):
        return None
    numbers = sum(is_number(word) or word in MISSING for word in words[1:])
    if numbers < 0.5 * (len(words) - 1):
        return None
    return _with_names(Dialect(",", comment, width=1), rows, comments)


def _is_better(other: Dialect, found: Dialect | None, shorter: Sequence[str], rows: Sequence[str]) -> bool:
    """Return whether a table reads better without comments behind values."""
    if found is None or other.consistency > found.consistency:
        return True
    if other.separator != found.separator or other.width != found.width:
        return False
    last = [split_line(row, other.separator, other.quote)[-1:] for row in shorter[1:]]
    before = [split_line(row, found.separator, found.quote)[-1:] for row in rows[1:]]
    return sum(is_number(*value) for value in last if value) > sum(is_number(*value) for value in before if value)


def _with_names(found: Dialect, rows: Sequence[str], comments: Sequence[str]) -> Dialect:
    """Return a dialect that knows where names and units stand, and how many lines to skip."""

    def fields_of(row: str) -> list[str]:
        return split_line(row, found.separator, found.quote)

    start = 1 if _RULE.match(rows[0]) else 0
    body = list(rows[start:])
    rule = next((index for index, row in enumerate(body[1:4], 1) if _RULE.match(row)), 0)
    table = [fields_of(row) for row in body if not _RULE.match(row)]
    if any(is_number(value) for row in table[1:rule] for value in row):
        rule = 0  # what stands above it is no line of units: it is a row without values
    found = replace(found, rule=body[rule].strip() if rule else "")
    found = replace(found, decimal_comma=_has_decimal_commas(found.separator, table))
    if rule and len(table[0]) == found.width:
        units = next((row for row in table[1:rule] if _all_units(row)), table[1] if rule == 2 else [])
        skip = start + rule + 1
        return replace(found, names=tuple(table[0]), units=tuple(_as_units(units)), skip=skip)
    if found.width > 1 and not any(row[-1] for row in table if len(row) == found.width):
        found = replace(found, width=found.width - 1)
        table = [row[:-1] if len(row) > found.width else row for row in table]
    if _has_names_of_rows(found.width, table):
        return replace(found, names=("row", *table[0]), skip=start + 1)
    head = table[0]
    if len(head) == found.width + 1 and not head[-1]:
        head = head[:-1]
    if len(head) == found.width and _is_header(head, table[1:], found.decimal_comma):
        units = table[1] if len(table) > 2 and _is_units(table[1], table[2:]) else []
        if not units and _is_second_header(table):
            head, units = (table[1], []) if len(set(head)) < len(head) else (head, table[1])
            return replace(found, names=tuple(head), units=tuple(_as_units(units)), skip=start + 2)
        skip = start + 1 + bool(units)
        return replace(found, names=tuple(head), units=tuple(_as_units(units)), skip=skip)
    return _with_names_of_comments(replace(found, skip=start), comments, fields_of)


def _has_names_of_rows(width: int, table: Sequence[Sequence[str]]) -> bool:
    """Return whether rows begin with a name or a count that has no name of a column above it, as R writes tables."""
    if len(table) < 3 or len(table[0]) != width - 1 or not _is_header(table[0], [row[1:] for row in table[1:]]):
        return False
    first = [row[0] for row in table[1:] if row]
    counts = (
        first == [str(number) for number in range(int(first[0]), int(first[0]) + len(first))]
        if first[0] in "01"
        else False
    )
    return counts or (len(set(first)) == len(first) and not any(is_number(value) for value in first))


def _with_names_of_comments(found: Dialect, comments: Sequence[str], fields_of: Callable[[str], list[str]]) -> Dialect:
    """Return a dialect whose names and units stand in the last comment lines that have as many words as a row."""
    fitting: list[list[str]] = []
    for line in reversed(comments[-12:]):
        plain = line.strip()[len(found.comment) :].lstrip(found.comment)
        fields = fields_of(plain)
        if len(fields) > found.width and not fields[-1]:
            fields = fields[:-1]
        if len(fields) > found.width and found.separator == WHITESPACE:
            fields = fields_of(re.sub(r"\s+([\[(][^\])\s]*[\])])", r"\1", plain))
        if len(fields) == found.width and not all(is_number(field) for field in fields):
            fitting.append(fields)
            if len(fitting) == 2:
                break
    if not fitting or (found.width == 1 and not comments[-1:]):
        return found
    units: list[str] = []
    names = fitting[0]
    if len(fitting) > 1 and _all_units(fitting[0]):
        names, units = fitting[1], fitting[0]
    if sum(is_number(name) for name in names) > 0.5 * len(names) or len(set(names)) < 0.5 * len(names):
        return found
    line = f"a line that begins with {found.comment}"
    return replace(found, names=tuple(names), units=tuple(_as_units(units)), names_from=line)


def _is_header(head: Sequence[str], rows: Sequence[Sequence[str]], decimal_comma: bool = False) -> bool:
    """Return whether a first line holds names: words above columns of numbers."""
    if not any(head):
        return False
    names = numbers = 0
    values: list[float] = []
    for index, field in enumerate(head):
        column = [row[index] for row in rows if index < len(row)]
        known = [value for value in column if value not in MISSING]
        count = sum(is_number(value) or (decimal_comma and is_number(value.replace(",", "."))) for value in known)
        if not known or count < 0.6 * len(known) or field in MISSING:
            continue
        if is_number(field) or (decimal_comma and is_number(field.replace(",", "."))):
            numbers += 1
            values.append(float(re.sub("[dD]", "e", field.replace(",", "."))))
        else:
            names += 1
    if names + numbers == 0:
        return not any(is_number(field) for field in head) and len(set(head)) == len(head)
    is_axis = len(values) > 4 and all(one < two for one, two in pairwise(values))
    return names > numbers or (names > 0 and (is_axis or names >= numbers))


def _is_units(line: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a second line holds units: words above numbers, one of them a unit."""
    if any(is_number(field) or is_number(field.replace(",", ".")) for field in line):
        return False
    found = False
    for index, field in enumerate(line):
        column = [row[index] for row in rows if index < len(row) and row[index] not in MISSING]
        numbers = sum(is_number(value) for value in column)
        if column and numbers > 0.6 * len(column) and field not in MISSING:
            if not is_unit(field):
                return False
            found = True
    return found


def _is_second_header(table: Sequence[Sequence[str]]) -> bool:
    """Return whether a second line holds words above every column of numbers, and there are several."""
    if len(table) < 5:
        return False
    second, rows = table[1], table[2:]
    above = []
    for index, field in enumerate(second):
        known = [row[index] for row in rows if index < len(row) and row[index] not in MISSING]
        if known and sum(map(is_number, known)) > 0.9 * len(known):
            above.append(field)
    words = [field for field in above if field not in MISSING]
    is_of_words = not any(is_number(field) or field[:1].isdigit() for field in second)
    return is_of_words and len(words) > 1 and 2 * len(words) >= len(above)


def _all_units(fields: Sequence[str]) -> bool:
    return any(is_unit(field) and field.strip("()[]-") for field in fields) and all(is_unit(field) for field in fields)


def _as_units(fields: Sequence[str]) -> list[str]:
    plain = []
    for field in fields:
        bare = field.strip().strip("\"'")
        if len(bare) > 1 and bare[0] + bare[-1] == "()":
            bare = bare[1:-1]
        plain.append("" if set(bare) <= set("-. ") else bare)
    return plain


def _has_decimal_commas(separator: str, table: Sequence[Sequence[str]]) -> bool:
    if separator == ",":
        return False
    values = [value for row in table for value in row]
    commas = sum(re.fullmatch(r"[+-]?\d+,\d+([eE][+-]?\d+)?", value) is not None for value in values)
    points = [value for value in values if "." in value and is_number(value)]
    if any(re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+,\d+|[+-]?\d{1,3}(\.\d{3}){2,}", value) for value in values):
        points = [value for value in points if not re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+", value)]
    return commas > 0 and not points


def _at_fixed_places(rows: Sequence[str], comment: str) -> Dialect | None:
    """Return the dialect of columns that are parted by places where every line is blank."""
    if len(rows) < 4:
        return None
    lines = [row.expandtabs().rstrip() for row in rows if not _RULE.match(row)]
    longest = max(map(len, lines))
    blank = [all(index >= len(line) or line[index] == " " for line in lines) for index in range(longest)]
    spans: list[tuple[int, int]] = []
    begin = -1
    for index, is_blank in enumerate([*blank, True]):
        if not is_blank and begin < 0:
            begin = index
        elif is_blank and begin >= 0:
            spans.append((begin, index))
            begin = -1
    if len(spans) < 2:
        return None
    table = [[line[first:last].strip() for first, last in spans] for line in lines]
    head = table[0]
    if not all(head) or len(set(head)) < len(head) or not _is_header(head, table[1:]):
        return None
    numbers = sum(is_number(value) for row in table[1:] for value in row)
    if any(" " in name for name in head) or numbers < 0.2 * len(spans) * (len(table) - 1):
        return None
    start = 1 if _RULE.match(rows[0]) else 0
    body = rows[start:]
    rules = next((index for index, row in enumerate(body[1:4], 1) if _RULE.match(row)), 0)
    if any(is_number(value) for row in table[1:rules] for value in row):
        rules = 0
    rule = body[rules].strip() if rules else ""
    skip = start + rules + 1
    return Dialect("", comment, "", tuple(head), skip=skip, spans=tuple(spans), rule=rule, width=len(spans))
