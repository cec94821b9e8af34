import polars as pl
import pytest

from hven import errors
from hven.lake import parse_where

COLUMNS = pl.Schema({"feh": pl.Float64, "teff": pl.Float32, "visits": pl.Int64, "name": pl.String, "good": pl.Boolean})
STARS = pl.DataFrame(
    {
        "feh": [-1.0, None, 0.5, 0.1],
        "teff": [4000.0, 5000.0, 6000.0, None],
        "visits": [1, 2, 3, 4],
        "name": ["a1", None, "b", "4"],
        "good": [True, False, True, None],
    },
    schema=COLUMNS,
)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("feh < 0 OR teff > 5500", [0, 2]),
        ("visits IN (2, 3) AND teff BETWEEN 5500 AND 7000", [2]),
        ("name LIKE 'a%'", [0]),
        ("feh IS NULL", [1]),
        ("good", [0, 2]),
        ("NOT good", [1]),
        ("ABS(feh) > 0.2", [0, 2]),
        ("visits % 2 = 0", [1, 3]),
        ("true", [0, 1, 2, 3]),
        ("1 > 2", []),
        (pl.col("feh").is_between(0, 1), [2, 3]),
        (pl.col("name").cast(pl.Float64, strict=False) > 3, [3]),
        (pl.when(pl.col("visits") > 2).then(pl.col("good")).otherwise(True), [0, 1, 2]),
        (pl.any_horizontal(pl.col("feh") < 0, pl.col("visits") == 2), [0, 1]),
        (pl.col("feh").map_batches(lambda s: s < 0, return_dtype=pl.Boolean, is_elementwise=True), [0]),
    ],
    ids=str,
)
def test_a_condition_on_one_row_is_taken_as_it_is(where, rows):
    condition = parse_where(where, COLUMNS)
    assert STARS.with_row_index().filter(condition)["index"].to_list() == rows
    one_by_one = pl.concat([STARS.with_row_index()[i : i + 1].filter(condition) for i in range(STARS.height)])
    assert one_by_one["index"].to_list() == rows


@pytest.mark.parametrize(
    "where",
    [
        "feh > AVG(feh)",
        "COUNT(*) > 3",
        "SUM(visits) > 3 AND feh < 0",
        "ROW_NUMBER() OVER (ORDER BY feh) < 3",
        pl.col("feh") > pl.col("feh").mean(),
        pl.col("feh") > pl.col("feh").mean().over("visits"),
        pl.col("feh").rank() < 2,
        pl.col("feh").shift(1) > 0,
        pl.col("feh").is_duplicated(),
        pl.col("good").any(),
        pl.col("feh").cum_sum() > 1,
        pl.int_range(pl.len()) < 10,
        pl.col("good").filter(pl.col("visits") > 1),
        pl.col("feh").map_batches(lambda s: s.is_unique(), return_dtype=pl.Boolean),
    ],
    ids=str,
)
def test_a_condition_that_looks_at_other_rows_is_refused(where):
    with pytest.raises(errors.WhereError, match="other rows") as raised:
        parse_where(where, COLUMNS, "stars")
    assert raised.value.where == "dataset 'stars'"


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("feh <", "cannot be understood"),
        ("feh < 0; visits > 1", "cannot be understood"),
        ("feh < 0 ORDER BY feh", "cannot be understood"),
        ("SELECT feh", "cannot be understood"),
        ("stars: feh < 0", "cannot be understood: ': feh < 0'"),
        ("nofun(feh) > 1", "there is no function 'nofun'"),
        ("asb(feh) > 1", "Did you mean 'abs'"),
        ("NOT name", "name is String"),
        ("(NOT name) OR feh > 1", "name is String"),
        ("GREATEST() > feh", "GREATEST() has no arguments"),
        ("COALESCE() > feh", "COALESCE() has no arguments"),
        ("", "cannot be understood"),
        ("name > 3", "name is String"),
        ("feh = 'x'", "feh is Float64"),
        ("feh > (SELECT 1)", "'SELECT' begins a query"),
        ("feh + 1", "gives Float64"),
        ("name", "gives String"),
        (pl.struct("feh"), "gives Struct"),
        (pl.col("feh", "teff") > 1, "gives Boolean, Boolean"),
        (pl.col("feh").str.contains("x"), "does not fit"),
        (pl.col("name").str.contains("("), "does not fit"),
        (pl.col("good").implode(), "gives List"),
        (3, "3 is not a condition"),
        (pl.Series([True]), "is not a condition"),
        (["feh < 0"], "is not a condition"),
    ],
    ids=str,
)
def test_what_is_not_a_condition_is_told_with_the_types_that_matter(where, text):
    with pytest.raises(errors.WhereError) as raised:
        parse_where(where, COLUMNS)
    assert text in str(raised.value)


@pytest.mark.parametrize("where", ["fe_h < 0", pl.col("fe_h") < 0, "feh < 0 AND fe_h > 1"], ids=str)
def test_an_unknown_column_is_told_with_the_nearest(where):
    with pytest.raises(errors.MissingColumnError, match="Did you mean 'feh'"):
        parse_where(where, COLUMNS, "stars")


@pytest.mark.parametrize(
    "where",
    [
        "visits IN (SELECT * FROM read_csv('{path}'))",
        "visits IN (SELECT * FROM \"read_csv\"('{path}'))",
        "EXISTS (WITH a AS (FROM read_csv('{path}')) TABLE a)",
        "visits = ANY(FROM read_csv ('{path}'))",
        "visits IN (FROM scan_csv('{path}'))",
        "read_csv('{path}') > 1",
        "a.read_csv('{path}') > 1",
        "visits > 1 /* ' */ OR visits IN (SELECT 1) -- '",
        "name = 'a\\' OR visits IN (FROM read_csv(\\'{path}\\')) OR name = '",
        "name = $$'$$ OR visits IN (FROM read_csv('{path}'))",
        "name = E'\\' OR visits IN (FROM read_csv('{path}'))",
        "feh > 0 AND now() > visits",
        "CURRENT_DATE > visits",
    ],
)
def test_a_condition_opens_nothing_and_has_no_query_inside_of_it(where, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("word\ntop-secret\n")
    with pytest.raises(errors.WhereError) as raised:
        parse_where(where.format(path=secret), COLUMNS)
    assert "top-secret" not in str(raised.value)


@pytest.mark.parametrize(
    "where",
    [
        " OR ".join(f"visits = {n}" for n in range(20_000)),
        " + ".join(["feh"] * 20_000) + " > 0",
        "(" * 20_000 + "feh > 0" + ")" * 20_000,
        "NOT " * 20_000 + "good",
        "visits" + "::int" * 20_000 + " > 0",
        "GREATEST(" + ", ".join(["feh"] * 20_000) + ") > 0",
        "feh > " + "-(" * 20_000 + "1" + ")" * 20_000,
        "CASE " + "WHEN good THEN true " * 20_000 + "END",
    ],
    ids=lambda where: where[:12],
)
def test_a_condition_of_20_000_terms_is_refused(where):
    with pytest.raises(errors.WhereError) as raised:
        parse_where(where, COLUMNS)
    assert len(str(raised.value)) < 600


def test_a_list_of_20_000_values_is_no_long_condition():
    listed = ", ".join(str(n) for n in range(-10_000, 10_000))
    condition = parse_where(f"visits IN ({listed}) AND name NOT IN ('a1', 'it''s')", COLUMNS)
    assert STARS.filter(condition)["visits"].to_list() == [3, 4]


@pytest.mark.parametrize(
    "where",
    ['"feh" > 0', "feh/2 > 0.1", "feh > -1e-3", "CAST(name AS DOUBLE) > 3", "name::double > 3", "ROUND(feh, 1) = 0.1"],
)
def test_what_is_an_expression_stays_one(where):
    assert parse_where(where, COLUMNS) is not None
