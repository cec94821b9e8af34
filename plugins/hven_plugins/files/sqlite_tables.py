"""Tables in SQLite databases."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hven
from hven import Batch, Claim, Column, FileHead, Note
from hven.errors import UnreadableFileError, did_you_mean
from hven_plugins.files.table_batch import table_batch

if TYPE_CHECKING:
    import polars as pl

_MAGIC = b"SQLite format 3\x00"
_EXACT = 2**53
BATCH_ROWS = 100_000
"""How many rows are in memory at a time."""


def sqlite_claim(head: FileHead) -> Claim | None:
    """Return what is said of a SQLite database, by its first bytes; None for any other file."""
    return (
        Claim("a SQLite database", "layout", "it begins with 'SQLite format 3'") if head.start[:16] == _MAGIC else None
    )


@hven.reader(
    name="sqlite_table",
    patterns=("*.sqlite", "*.sqlite3", "*.db", "*.db3"),
    with_options_of=table_batch,
    claims=sqlite_claim,
)
def sqlite_table(path: str, *, table: str = "", **options: Any) -> Iterator[Batch]:
    """Tables in SQLite databases, which are opened for reading only; the only table when none is named.

    Columns of whole numbers stay exact; a column that holds numbers and texts is text. Bytes are left out.

    Parameters
    ----------
    path
        Of the file.
    table
        Name of the table; the only one when empty.
    **options
        Those of `table_batch`.
    """
    try:
        with hven.local_file(path) as local, closing(_opened(local, path)) as database:
            name = _table_of(database, path, table)
            types, notes = _types(database, name)
            told = [Column(column, "", ("object",)) for column in types]
            shown = ", ".join(map(_quoted, types)) or "NULL"
            rows = database.execute(f"SELECT {shown} FROM {_quoted(name)}")  # noqa: S608 - names of the database, quoted
            is_begun = False
            while (block := rows.fetchmany(BATCH_ROWS)) or not is_begun:
                yield table_batch(_frame(block, types), told, path, "", [] if is_begun else notes, **options)
                is_begun = True
    except (sqlite3.Error, OSError) as error:
        raise UnreadableFileError(
            f"the database cannot be read: {error}", where=path, hint="Copy it again, with its journal if there is one."
        ) from error


def _opened(path: str, where: str) -> sqlite3.Connection:
    if not Path(path).is_file():
        raise UnreadableFileError("there is no such file", where=where, hint="Correct the path.")
    database = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
    for pragma in ("query_only = 1", "trusted_schema = 0", "cell_size_check = 1"):
        database.execute(f"PRAGMA {pragma}")
    database.text_factory = lambda text: text.decode(errors="replace")
    return database


def _table_of(database: sqlite3.Connection, where: str, wanted: str) -> str:
    found = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    )
    names = [str(name) for (name,) in found]
    if wanted:
        if wanted not in names:
            raise UnreadableFileError(
                f"there is no table {wanted!r}", where=where,
                hint=did_you_mean(wanted, names, f"Its tables are: {', '.join(names) or 'none'}."),
            )  # fmt: skip
        return wanted
    rows = {name: _count(database, name) for name in names}
    full = [name for name in names if rows[name]] or names
    if len(full) != 1:
        shown = "; ".join(f"{name}: {rows[name]} rows" for name in names)
        raise UnreadableFileError(
            f"the database has {len(full)} tables, and which one is meant is not said" if full else "it has no table",
            where=where,
            expected=shown,
            hint=f"Choose one with the option table, as table={full[0]}." if full else "Leave it out.",
        )
    return full[0]


def _count(database: sqlite3.Connection, name: str) -> int:
    (count,) = database.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()  # noqa: S608 - a name, quoted
    return int(count)


def _types(database: sqlite3.Connection, name: str) -> "tuple[dict[str, Any], list[Note]]":
    """Return the type of each column, from its values: SQLite lets a column hold any; and notes on what is lost."""
    import polars as pl

    types: dict[str, Any] = {}
    notes = []
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({_quoted(name)})")]
    for column in columns:
        one, table = _quoted(column), _quoted(name)
        found = {sort for (sort,) in database.execute(f"SELECT DISTINCT typeof({one}) FROM {table}")}  # noqa: S608
        found.discard("null")
        if "blob" in found:
            notes.append(Note(f"column {column!r} is left out: it holds bytes", True, column))
        elif found == {"integer"}:
            types[column] = pl.Int64
        elif found <= {"integer", "real"} and not _is_rounded(database, one, table, found):
            types[column] = pl.Float64
        else:
            types[column] = pl.String
            if len(found) > 1:
                notes.append(Note(f"column {column!r} holds numbers and texts: kept as text", True, column))
    return types, notes


def _is_rounded(database: sqlite3.Connection, one: str, table: str, found: set[str]) -> bool:
    """Whether whole numbers beside floats are too large to be floats."""
    if "integer" not in found:
        return False
    limit = f"typeof({one}) = 'integer' AND abs({one}) > {_EXACT}"
    return database.execute(f"SELECT 1 FROM {table} WHERE {limit} LIMIT 1").fetchone() is not None  # noqa: S608


def _frame(rows: list[Any], types: dict[str, Any]) -> "pl.DataFrame":
    import polars as pl

    columns = list(zip(*rows, strict=True)) if rows and types else [()] * len(types)
    series = []
    for (name, dtype), values in zip(types.items(), columns, strict=True):
        plain = [None if v is None else str(v) for v in values] if dtype == pl.String else list(values)
        one = pl.Series(name, plain, dtype=dtype, strict=False)
        series.append(one.fill_nan(None) if one.dtype.is_float() else one)
    return pl.DataFrame(series)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
