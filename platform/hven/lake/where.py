"""Where-expressions: SQL text as people write it, or Polars expressions, checked against the columns there are."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hven.errors import MissingColumnError, WhereError, did_you_mean

if TYPE_CHECKING:
    import polars as pl


def parse_where(where: "str | pl.Expr", columns: "pl.Schema", dataset: str = "") -> "pl.Expr":
    """Return the Polars expression of a where-expression, after a check that it is true or false for every row.

    Parameters
    ----------
    where
        SQL text (``"logg > 2.3 AND teff < 5000"``) or a Polars expression.
    columns
        The columns it may use, with their types.
    dataset
        For the error's text.

    Raises
    ------
    WhereError
        If the text cannot be parsed, or the expression is not true or false.
    MissingColumnError
        If it names a column that is not there.

    Examples
    --------
    >>> import polars as pl
    >>> stars = pl.DataFrame({"logg": [2.0, 2.5]})
    >>> stars.filter(parse_where("logg > 2.3", stars.schema))["logg"].to_list()
    [2.5]
    """
    import polars as pl

    place = f"dataset {dataset!r}" if dataset else ""
    advice = "Write it as in SQL, for example: logg > 2.3 AND teff < 5000."
    if isinstance(where, str):
        try:
            expression = pl.sql_expr(where)
        except pl.exceptions.PolarsError as error:
            raise WhereError(
                f"{where!r} cannot be understood: {_first_line(error)}", where=place, hint=advice
            ) from error
    else:
        expression = where
    check_columns(expression.meta.root_names(), columns, dataset)
    try:
        dtype = pl.DataFrame(schema=columns).select(expression.alias("where")).schema["where"]
    except pl.exceptions.PolarsError as error:
        raise WhereError(f"{where} does not fit the columns: {_first_line(error)}", where=place, hint=advice) from error
    if dtype != pl.Boolean:
        raise WhereError(f"{where} gives {dtype}", where=place, expected="true or false for every row", hint=advice)
    return expression


def where_text(where: "str | pl.Expr | None") -> str:
    """Return a where-expression as text, for records: SQL as it was given, or what Polars writes of an expression."""
    return "" if where is None else str(where)


def check_columns(names: Iterable[str], columns: Iterable[str], dataset: str = "") -> None:
    """Refuse names that are not among the columns.

    Raises
    ------
    MissingColumnError
        With the nearest names.
    """
    known = list(columns)
    for name in names:
        if name not in known:
            raise MissingColumnError(
                f"there is no column {name!r}",
                where=f"dataset {dataset!r}" if dataset else "",
                hint=did_you_mean(name, known, f"The columns are: {', '.join(known)}."),
            )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
