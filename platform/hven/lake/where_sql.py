"""The SQL text of a Polars expression, where there is one that means exactly the same."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_COMPARED = {"Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">=", "Eq": "=", "NotEq": "<>"}
_JOINED = {"And": "AND", "Or": "OR"}
_ADDED = {"Plus": "+", "Minus": "-"}
_ASKED = {"IsNull": "IS NULL", "IsNotNull": "IS NOT NULL"}


def where_sql(where: "pl.Expr") -> str:
    """Return SQL text that is the same condition; empty when there is none.

    Comparisons, sums, differences, absolute values, ``is_null``, ``is_between``, ``&``, ``|`` and ``~`` of conditions
    have one. Others (functions, products, casts, lists) mean something else in SQL, or nothing. What is returned is
    parsed again, and has to be the same.

    Examples
    --------
    >>> import polars as pl
    >>> where_sql((pl.col("logg") > 2.3) & ~pl.col("feh").is_null())
    '(("logg" > 2.3e0) AND (NOT ("feh" IS NULL)))'
    >>> where_sql(pl.col("name").str.contains("NGC"))
    ''
    """
    import polars as pl

    try:
        text = _text(json.loads(where.meta.serialize(format="json")))
        again = _text(json.loads(pl.sql_expr(text).meta.serialize(format="json"))) if text else ""
    except (pl.exceptions.PolarsError, ValueError, TypeError, KeyError, IndexError):
        # An expression that does not become JSON, or another release of Polars that writes it otherwise.
        return ""
    return text if text == again else ""


def _text(node: Any) -> str:
    """Return the SQL of a node of an expression as Polars writes it in JSON; empty when there is none."""
    [(kind, told)] = node.items()
    if kind == "Column":
        name = str(told)
        return "" if '"' in name else f'"{name}"'
    if kind == "Literal":
        return _literal(told)
    if kind == "BinaryExpr":
        sign = (_COMPARED | _JOINED | _ADDED).get(told["op"], "")
        return _put(f"({{}} {sign} {{}})", told["left"], told["right"]) if sign else ""
    if kind == "Cast":
        # SQL makes true or false of what NOT is said of; a condition is that already.
        return _text(told["expr"]) if told["dtype"] == {"Literal": "Boolean"} and _is_condition(told["expr"]) else ""
    return _function(told["function"], told["input"]) if kind == "Function" else ""


def _function(function: Any, given: list[Any]) -> str:
    if function == "Abs":
        return _put("ABS({})", *given)
    asked = function.get("Boolean") if isinstance(function, Mapping) else None
    if asked == "Not" and _is_condition(given[0]):
        equal = given[0].get("BinaryExpr", {})
        if equal.get("op") == "Eq":
            return _put("({} <> {})", equal["left"], equal["right"])
        return _put("(NOT {})", given[0])
    if isinstance(asked, str) and asked in _ASKED:
        return _put(f"({{}} {_ASKED[asked]})", given[0])
    if asked == {"IsBetween": {"closed": "Both"}}:
        return _put("(({} >= {}) AND ({} <= {}))", given[0], given[1], given[0], given[2])
    return ""


def _is_condition(node: Mapping[str, Any]) -> bool:
    """Return whether a node is true or false by itself, whatever the columns are."""
    if "Cast" in node:
        return node["Cast"]["dtype"] == {"Literal": "Boolean"} and _is_condition(node["Cast"]["expr"])
    if "BinaryExpr" in node:
        told = node["BinaryExpr"]
        is_joined = told["op"] in _JOINED and _is_condition(told["left"]) and _is_condition(told["right"])
        return told["op"] in _COMPARED or is_joined
    function = node.get("Function", {}).get("function")
    return isinstance(function, Mapping) and "Boolean" in function


def _literal(told: Mapping[str, Any]) -> str:
    [(kind, value)] = told.items()
    sort, value = next(iter(value.items())) if isinstance(value, Mapping) else ("", value)
    if (kind, sort) == ("Dyn", "Int"):
        return str(int(value))
    if (kind, sort) == ("Dyn", "Float") and value is not None:
        # Without an exponent it would be a decimal number, which compares otherwise.
        text = repr(float(value))
        return text if "e" in text else f"{text}e0"
    if (kind, sort) == ("Scalar", "Boolean"):
        return str(value).upper()
    return "'{}'".format(value.replace("'", "''")) if (kind, sort) == ("Scalar", "String") else ""


def _put(form: str, *nodes: Any) -> str:
    texts = [_text(node) for node in nodes]
    return form.format(*texts) if all(texts) else ""
