"""Queries in SQL over the datasets of a lake."""

import re
from typing import TYPE_CHECKING

from hven.errors import DatasetNotFoundError, HvenError, MissingColumnError, QueryError, did_you_mean
from hven.lake.sql_text import calculates, check_query, first_line, tokens_of
from hven.lake.where import narrow_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from hven.lake.lake import Lake

_ADVICE = "The columns of a dataset: hven show NAME."


def run_query(lake: "Lake", text: str) -> "pl.LazyFrame":
    """Return what a query gives over the datasets of a pinned lake; see `Lake.sql`."""
    import polars as pl

    names = dict.fromkeys(check_query(text, lake.url))
    context = pl.SQLContext(register_globals=False, eager=False)
    is_calculation = calculates(tokens_of(text))
    without: dict[str, HvenError] = {}
    for name in names:
        if name not in lake:
            continue
        try:
            table = lake[name].table()
            if is_calculation:  # in 64 bits: Polars would let 16-bit numbers overflow
                table = table.with_columns(pl.col(list(narrow_columns(table.collect_schema()))).cast(pl.Int64))
            context.register(name, table)
        except HvenError as error:
            # A map has no columns over objects; that is said when the query takes it for a table.
            without[name] = error
    try:
        lazy = context.execute(text)
        lazy.collect_schema()
    except pl.exceptions.PolarsError as error:
        raise _told(lake, text, error, without) from error
    except pl.exceptions.PanicException as error:
        raise QueryError(f"the query cannot be planned: {first_line(error)}", where=lake.url, hint=_ADVICE) from error
    return lazy


def _told(lake: "Lake", text: str, error: Exception, without: "Mapping[str, HvenError]") -> HvenError:
    """Return the error of hven for what Polars says of a query."""
    line = first_line(error)
    column = re.match(r'unable to find column "(.+)"; valid columns: \[(.*)\]', line)
    if column is not None:
        known = re.findall(r'"([^"]+)"', column[2])
        hint = did_you_mean(column[1], known, f"The columns are: {', '.join(known)}.")
        return MissingColumnError(f"there is no column {column[1]!r}", where=lake.url, hint=hint)
    odd = [
        name for name in lake if not name.isidentifier() and re.search(rf'(?<!["\w]){re.escape(name)}(?!["\w])', text)
    ]
    hint = "Write the name in double quotes: " + " or ".join(f'FROM "{name}"' for name in odd) + "." if odd else ""
    missing = re.match(r"relation '(.+)' was not found", line)
    if missing is None:
        return QueryError(f"the query cannot be understood: {line}", where=lake.url, hint=hint or _ADVICE)
    name = missing[1]
    if name in without:
        return without[name]
    hint = hint or did_you_mean(name, lake, "See which there are: hven ls.")
    return DatasetNotFoundError(f"there is no dataset {name!r}", where=lake.url, hint=hint)
