"""Polars expressions as SQL: the same condition, or none at all."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hven.lake import where_sql

FRAME = pl.DataFrame(
    {
        "feh": [-1.5, -0.1, 0.0, 0.3, float("nan"), None, 2.3],
        "logg": pl.Series([2.3, 2.2999999, 0.1, None, 5.0, -0.1, 1e-7], dtype=pl.Float32),
        "visits": [1, 2, 3, None, -1, 2**62, 0],
        "odd name": ["a", "it's", None, "", "b", "a", "z"],
    }
)
NUMBERS = st.one_of(
    st.integers(-(2**40), 2**40), st.floats(-1e6, 1e6), st.sampled_from([0.1, 2.3, -1.5, 1e-7, 1e300, 0.3])
)


def sums():
    columns = st.sampled_from([pl.col("feh"), pl.col("logg"), pl.col("visits")])
    return st.one_of(columns, columns.map(lambda c: c.abs()), st.builds(lambda a, b: a - b, columns, NUMBERS))


def conditions():
    compared = st.builds(
        lambda a, b, how: getattr(a, how)(b),
        sums(), st.one_of(NUMBERS, sums()), st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"]),
    )  # fmt: skip
    asked = st.one_of(sums().map(lambda c: c.is_null()), sums().map(lambda c: c.is_not_null()))
    between = st.builds(lambda a, b, c: a.is_between(b, c), sums(), NUMBERS, NUMBERS)
    named = st.sampled_from(["a", "it's", ""]).map(lambda text: pl.col("odd name") == text)
    return st.recursive(
        st.one_of(compared, asked, between, named),
        lambda inner: st.one_of(
            inner.map(lambda one: ~one),
            st.builds(lambda a, b: a & b, inner, inner),
            st.builds(lambda a, b: a | b, inner, inner),
        ),
        max_leaves=6,
    )


@given(conditions())
def test_the_text_of_an_expression_is_the_same_condition(condition):
    text = where_sql(condition)
    assert text
    got, told = (FRAME.select(kept=one)["kept"] for one in (pl.sql_expr(text), condition))
    assert got.equals(told, null_equal=True), text


@pytest.mark.parametrize(
    "condition",
    [
        pl.col("odd name").str.contains("a"),
        pl.col("visits").is_in([1, 2]),
        pl.col("feh") * 2 > 1,
        pl.col("visits") / 2 > 1,
        pl.col("feh").is_nan(),
        pl.col("feh") > math.inf,
        pl.col("feh") > pl.col("feh").mean(),
        pl.col("feh").map_batches(lambda one: one > 0, return_dtype=pl.Boolean),
        ~pl.col("visits") > 1,
        pl.col("feh").is_between(0, 1, closed="none"),
        pl.col("feh") > pl.lit(1.5, dtype=pl.Float32),
        pl.col('a "quoted" name') > 1,
        pl.col("feh").ne_missing(1),
    ],
)
def test_what_sql_would_say_otherwise_has_no_text(condition):
    assert where_sql(condition) == ""
