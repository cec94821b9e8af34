"""Where-expressions: SQL text as people write it, or Polars expressions, checked against the columns there are."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hven.errors import MissingColumnError, WhereError, did_you_mean
from hven.lake.sql_text import first_line, sql_expression

if TYPE_CHECKING:
    import polars as pl


_ADVICE = "Write it as in SQL, for example: logg > 2.3 AND teff < 5000."


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
        If the text cannot be parsed, or the expression is not true or false, or not so for each row by itself: what
        aggregates or looks at neighbouring rows would depend on the files and blocks in which the rows rest.
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
    expression = _expression(where, columns, place)
    names = list(dict.fromkeys(expression.meta.root_names()))
    check_columns(names, columns, dataset)
    rows = pl.DataFrame(schema=columns)
    try:
        told = rows.select(expression).schema
        _check_types(expression, rows)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise WhereError(
            f"{where} does not fit the columns: {first_line(error)}", where=place, hint=_types_of(names, columns)
        ) from error
    dtypes = ", ".join(map(str, told.dtypes()))
    if dtypes != "Boolean":
        raise WhereError(f"{where} gives {dtypes}", where=place, expected="true or false for every row", hint=_ADVICE)
    if _looks_at_other_rows(rows, expression):
        raise WhereError(
            f"{where} looks at other rows too (an aggregate, a window, an order)",
            where=place,
            expected="a condition on one row",
            hint="Compute the number first, with .table() and Polars, and write it into the condition; or filter the "
            "table that .table() returns.",
        )
    return expression


def parse_column(text: str, columns: "pl.Schema", dataset: str = "") -> "tuple[pl.Expr, pl.DataType]":
    """Return the Polars expression of a column computed from others row by row, and its type.

    Parameters
    ----------
    text
        SQL text: ``"phot_g_mean_mag + 5*log10(parallax) - 10"``.
    columns
        The columns it may use, with their types.
    dataset
        For the error's text.

    Raises
    ------
    WhereError
        If the text cannot be parsed, does not fit the columns, or looks at other rows; if it gives neither numbers, nor
        true and false, nor texts.
    MissingColumnError
        If it names a column that is not there.

    Examples
    --------
    >>> import polars as pl
    >>> stars = pl.DataFrame({"teff": [5772.0, 4000.0]})
    >>> expression, dtype = parse_column("teff > 5000", stars.schema)
    >>> stars.select(expression)["teff"].to_list(), str(dtype)
    ([True, False], 'Boolean')
    """
    import polars as pl

    place = f"dataset {dataset!r}" if dataset else ""
    expression = sql_expression(text, place, is_condition=False, narrow=narrow_columns(columns))
    names = list(dict.fromkeys(expression.meta.root_names()))
    check_columns(names, columns, dataset)
    rows = pl.DataFrame(schema=columns)
    try:
        told = rows.select(expression).schema
        _check_types(expression, rows)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise WhereError(
            f"{text} does not fit the columns: {first_line(error)}", where=place, hint=_types_of(names, columns)
        ) from error
    dtypes = told.dtypes()
    if len(dtypes) != 1 or not (dtypes[0].is_numeric() or dtypes[0] in (pl.Boolean, pl.String)):
        given = ", ".join(map(str, dtypes))
        raise WhereError(
            f"{text} gives {given}", where=place, expected="numbers, true/false or texts", hint="Change the expression."
        )
    if not names or _looks_at_other_rows(rows, expression.is_null()):
        raise WhereError(
            f"{text} " + ("looks at other rows too (an aggregate, a window, an order)" if names else "names no column"),
            where=place,
            expected="an expression of the columns of one row",
            hint="Compute the number first, with lake.sql or 'hven query', and write it into the expression.",
        )
    return expression, dtypes[0]


def _looks_at_other_rows(rows: "pl.DataFrame", condition: "pl.Expr") -> bool:
    """Return whether a condition is not one of each row by itself."""
    import polars as pl

    # Polars moves a condition below a sort when, and only when, it holds for each row by itself.
    plan = rows.lazy().with_columns(pl.lit(0).alias("\x00key")).sort("\x00key").filter(condition).explain()
    return plan.lstrip().startswith("FILTER")


def narrow_columns(columns: "pl.Schema") -> frozenset[str]:
    """Return the columns of whole numbers of less than 64 bits, which overflow in calculations.

    Examples
    --------
    >>> import polars as pl
    >>> sorted(narrow_columns(pl.Schema({"id": pl.Int64, "visits": pl.Int16, "teff": pl.Float32})))
    ['visits']
    """
    import polars as pl

    return frozenset(name for name, dtype in columns.items() if dtype.is_integer() and dtype != pl.Int64)


def _expression(where: Any, columns: "pl.Schema", place: str) -> "pl.Expr":
    import polars as pl

    if isinstance(where, pl.Expr):
        return where
    if not isinstance(where, str):
        raise WhereError(
            f"{where!r} is not a condition",
            where=place,
            expected="SQL text or a Polars expression",
            hint=_ADVICE,
        )
    return sql_expression(where, place, narrow=narrow_columns(columns))


def _check_types(expression: "pl.Expr", rows: "pl.DataFrame") -> None:
    """Raise what Polars says of types only once there is a row: that a text is neither true nor false, say."""
    import polars as pl

    texts = {
        name: "" if dtype == pl.String else 0
        for name, dtype in rows.schema.items()
        if dtype.is_numeric() or dtype in (pl.String, pl.Boolean)
    }
    row = pl.DataFrame({name: [texts.get(name)] for name in rows.columns}, schema=rows.schema, strict=False)
    try:
        row.select(expression)
    except pl.exceptions.PolarsError as error:
        # Others are of the values of this one row, a number that "" is not, say.
        if "not supported" in first_line(error):
            raise


def _types_of(names: Iterable[str], columns: "pl.Schema") -> str:
    """Return the hint that tells the types of the columns in an expression."""
    told = ", ".join(f"{name} is {columns[name]}" for name in names if name in columns)
    return f"{told}. {_ADVICE}" if told else _ADVICE


def where_text(where: "str | pl.Expr | None") -> str:
    """Return a where-expression as text, for records: SQL as it was given, or what Polars writes of an expression."""
    return "" if where is None else str(where)


def check_columns(names: Iterable[str], columns: Iterable[str], dataset: str = "", *, where: str = "") -> None:
    """Refuse names that are not among the columns of a dataset, or of what `where` says.

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
                where=where or (f"dataset {dataset!r}" if dataset else ""),
                hint=did_you_mean(name, known, f"The columns are: {', '.join(known)}."),
            )
