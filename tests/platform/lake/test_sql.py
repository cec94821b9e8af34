"""SQL over the datasets of a lake: what it gives, and what it does not do."""

import numpy as np
import polars as pl
import pytest
import xarray as xr

from hven import errors


@pytest.fixture
def asked(lake):
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"object_id": [1, 2, 3], "feh": [0.1, -0.3, None], "name": ["a", "b", "c"]}))
        tx.write("gaia.stars-2", pl.DataFrame({"object_id": [1, 2], "ra": [10.0, 20.0]}))
        flux = (("object", "wavelength"), np.ones((2, 3)))
        tx.write("spectra", xr.Dataset({"object_id": ("object", [1, 2]), "snr": ("object", [5.0, 6.0]), "flux": flux}))
        tx.write("map", xr.Dataset({"dust": (("y", "x"), np.ones((2, 2)))}), kind="result")
    return lake


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT COUNT(*) FROM stars", [(3,)]),
        ("select feh from stars order by feh nulls last limit 2;", [(-0.3,), (0.1,)]),
        (
            'SELECT s.name, g.ra FROM stars s JOIN "gaia.stars-2" g ON s.object_id = g.object_id ORDER BY 2',
            [("a", 10.0), ("b", 20.0)],
        ),
        (
            'SELECT object_id FROM stars WHERE object_id IN (SELECT object_id FROM "gaia.stars-2") ORDER BY 1',
            [(1,), (2,)],
        ),
        ("WITH poor AS (SELECT * FROM stars WHERE feh < 0) SELECT name FROM poor", [("b",)]),
        (
            "SELECT feh > 0 AS rich, COUNT(*) AS n FROM stars WHERE feh IS NOT NULL GROUP BY rich ORDER BY n, rich",
            [(False, 1), (True, 1)],
        ),
        ("SELECT REPLACE(name, 'a', 'z') FROM stars LIMIT 1", [("z",)]),
        ("SELECT * EXCLUDE (feh) FROM stars LIMIT 1", [(1, "a")]),
        ("SELECT SUM(feh) OVER (ORDER BY object_id) FROM stars LIMIT 1", [(0.1,)]),
        ("SELECT snr FROM spectra WHERE object_id = 2", [(6.0,)]),
        ("SELECT CASE WHEN feh > 0 THEN 'rich' ELSE 'poor' END FROM stars LIMIT 1", [("rich",)]),
        ("SELECT 'DROP TABLE stars; --' AS text FROM stars LIMIT 1", [("DROP TABLE stars; --",)]),
    ],
)
def test_a_query_gives_what_sql_says(asked, query, rows):
    lazy = asked.sql(query)
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect().rows() == rows


def test_a_query_reads_the_lake_as_it_was(asked):
    with asked.transaction() as tx:
        tx.delete("stars", "feh < 0")
    assert asked.sql("SELECT COUNT(*) FROM stars").collect().item() == 2
    assert asked.at(1).sql("SELECT COUNT(*) FROM stars").collect().item() == 3


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('{path}')",
        "SELECT * FROM \"read_csv\"('{path}')",
        "SELECT * FROM READ_PARQUET ('{path}')",
        "SELECT * FROM scan_csv('{path}') AS a",
        "WITH a AS (SELECT * FROM read_csv('{path}')) SELECT * FROM a",
        "SELECT * FROM stars WHERE name IN (SELECT * FROM read_csv('{path}'))",
        "SELECT * FROM stars JOIN read_csv('{path}') c ON TRUE",
        "SELECT * FROM stars UNION ALL SELECT * FROM read_json('{path}')",
        "SELECT * /* ' */ FROM read_csv('{path}') -- '",
        "SELECT $$'$$ FROM read_csv('{path}')",
        "SELECT E'\\' FROM read_csv(', '{path}')",
        "FROM read_csv('{path}')",
        "SELECT * FROM '{path}'",
        'SELECT * FROM "{path}"',
    ],
)
def test_a_query_opens_no_file(asked, tmp_path, query):
    secret = tmp_path / "secret.csv"
    secret.write_text("word\ntop-secret\n")
    with pytest.raises(errors.HvenError) as raised:
        asked.sql(query.format(path=secret)).collect()
    assert isinstance(raised.value, errors.QueryError | errors.DatasetNotFoundError)
    assert "top-secret" not in str(raised.value)


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE stars",
        "TRUNCATE TABLE stars",
        "CREATE TABLE a AS SELECT * FROM stars",
        "DELETE FROM stars WHERE feh < 0",
        "INSERT INTO stars VALUES (1, 2, 'c')",
        "UPDATE stars SET feh = 0",
        "SELECT * INTO a FROM stars",
        "SHOW TABLES",
        "EXPLAIN SELECT * FROM stars",
        "SELECT 1; DROP TABLE stars",
        "WITH a AS (DELETE FROM stars) SELECT * FROM a",
        "",
        "   ;",
    ],
)
def test_a_query_changes_nothing(asked, query):
    with pytest.raises(errors.QueryError):
        asked.sql(query)
    assert asked.number == 1
    assert asked["stars"].entry.counts.rows == 3


@pytest.mark.parametrize(
    ("query", "kind", "hint"),
    [
        ("SELECT * FROM star", errors.DatasetNotFoundError, "Did you mean 'stars'"),
        ("SELECT * FROM gaia.stars-2", errors.QueryError, 'FROM "gaia.stars-2"'),
        ("SELECT fe_h FROM stars", errors.MissingColumnError, "Did you mean 'feh'"),
        ("SELECT * FROM map", errors.DataRefusedError, ".dataset()"),
        ("SELECT FROM", errors.QueryError, "hven show"),
        ("SELECT asb(feh) FROM stars", errors.QueryError, "Did you mean 'abs'"),
        ("SELECT update FROM stars", errors.QueryError, '"update"'),
    ],
)
def test_a_query_that_cannot_be_answered_says_what_to_write(asked, query, kind, hint):
    with pytest.raises(kind) as raised:
        asked.sql(query)
    assert hint in raised.value.hint


def test_variables_of_python_are_no_tables(asked):
    stranger = pl.DataFrame({"feh": [1.0]})
    with pytest.raises(errors.DatasetNotFoundError):
        asked.sql("SELECT * FROM stranger")
    assert stranger.height == 1
