"""Whole numbers of few bits are calculated with in 64 bits, wherever a text of SQL computes."""

import polars as pl
import pytest

import hven


@pytest.fixture(params=["Int8", "Int16", "Int32", "UInt8", "UInt16"])
def lake(request, tmp_path):
    dtype = getattr(pl, request.param)
    largest = min(pl.select(dtype.max()).item(), 50_000)
    numbers = [largest, largest - 1, 3, 2]
    lake = hven.create(tmp_path / "lake")
    with lake.transaction() as tx:
        data = {"object_id": [1, 2, 3, 4], "s": pl.Series(numbers, dtype=dtype), "word": ["s", "a", "b", "c"]}
        tx.write("numbers", pl.DataFrame(data))
    return lake


def test_a_condition_on_a_product_selects_the_rows_for_which_it_is_true(lake):
    numbers = dict(lake["numbers"].table(["object_id", "s"]).collect().iter_rows())
    for where, true_of in {
        "s*s > 100": lambda s: s * s > 100,
        "s*s < 0": lambda s: False,
        "s * 1000 * 1000 > 5000000": lambda s: s * 1_000_000 > 5_000_000,
        "power(s, 3) > 1000 AND word <> 's'": lambda s: s**3 > 1000,
        "CASE WHEN s > 2 THEN s + 120 ELSE 0 END > 122": lambda s: s > 2 and s + 120 > 122,
        '"s" + s + s + s BETWEEN 8 AND 12': lambda s: 8 <= 4 * s <= 12,
    }.items():
        found = set(lake["numbers"].table(["object_id"], where=where).collect()["object_id"])
        wanted = {i for i, s in numbers.items() if true_of(s) and not ("word" in where and i == 1)}
        assert found == wanted, where


def test_queries_and_derived_columns_have_the_product_itself(lake):
    numbers = lake["numbers"].table(["s"]).collect()["s"].to_list()
    assert lake.sql("SELECT s*s AS x FROM numbers").collect()["x"].to_list() == [s * s for s in numbers]
    assert lake.sql("SELECT SUM(s * s) AS x FROM numbers").collect()["x"].to_list() == [sum(s * s for s in numbers)]

    @hven.analysis(stars=hven.Table(x=""), produces={"y": ""}, per_object=True)
    def same(stars):
        """The number itself."""
        return stars.x.to_dataset(name="y")

    given = hven.select("numbers", derived={"x": "s*s + s"})
    run = hven.run(lake, same, {"stars": given}, cluster="synchronous", progress=False)
    assert run.result.table().collect().sort("object_id")["y"].to_list() == [s * s + s for s in numbers]


def test_what_is_deleted_is_what_the_condition_says(lake):
    with lake.transaction() as tx:
        tx.delete("numbers", where="s*s < 0")
    assert lake["numbers"].table().collect().height == 4


def test_what_only_compares_keeps_its_types(lake):
    kept = lake["numbers"].table(["s"]).collect_schema()["s"]
    assert lake.sql("SELECT * FROM numbers WHERE s > 2").collect_schema()["s"] == kept
