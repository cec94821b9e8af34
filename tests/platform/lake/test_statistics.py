"""What the log of a table says of its files: nulls and reach of every column, or nothing, never what is not true."""

import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hven
from hven.lake import tables
from hven.sky import cone
from simulated import make_spectra, make_stars

ODD = ("1E1207", "a.b", " x", "min", "num_records", "null_count.q", 'x"y', "ä")


def statistics(lake, name):
    """Return the statistics of each file of a table, read by a parser that takes JSON only."""

    def refuse(text):
        raise AssertionError(f"{text} is not JSON")

    log = [key for key in lake.store.list(f"{lake[name].entry.pin.path}/_delta_log") if key.endswith(".json")]
    actions = [json.loads(line, parse_constant=refuse) for key in log for line in lake.store.get(key).splitlines()]
    return [json.loads(a["add"]["stats"], parse_constant=refuse) for a in actions if "add" in a]


def wide(first, count, columns):
    """Return stars with so many columns: the position in the middle, the index of the sky last."""
    rng = np.random.default_rng(first)
    stars = make_stars(first, count).drop("name")
    more = [pl.Series(f"c_{i:03d}", rng.integers(0, 9, count).astype("i2")) for i in range(columns - stars.width)]
    half = len(more) // 2
    last = stars["_healpix_29"]
    return pl.DataFrame([*more[:half], *stars.drop("_healpix_29").iter_columns(), *more[half:], last])


@pytest.mark.parametrize("columns", [6, 40, 300])
def test_nulls_and_places_are_known_of_tables_of_any_width(lake, columns):
    frame = pl.concat([wide(0, 600, columns), wide(600, 600, columns)]).sort("_healpix_29")
    with lake.transaction() as tx:
        tx.write("stars", frame[:400])
        for start in (400, 800):
            tx.append("stars", frame[start : start + 400])
    source = lake["stars"].source
    assert source.null_columns() == {"visits"}
    reach = [(part["_healpix_29"][0], part["_healpix_29"][-1]) for part in (frame[:400], frame[400:800], frame[800:])]
    assert [part.healpix for part in source.parts] == reach
    near = cone(frame["ra"][10], frame["dec"][10], 0.01)
    cell = frame["_healpix_29"][10]
    assert len(source.runs(np.array([[cell, cell + 1]]))) == 1
    assert lake["stars"].table(region=near).collect()["object_id"].to_list() == [frame["object_id"][10]]
    opened = lake["stars"].dataset().compute()
    assert [n for n in opened.variables if n.endswith("_valid")] == ["visits_valid"]
    assert opened.visits_valid.values.tolist() == frame["visits"].is_not_null().to_list()


def test_statistics_outlive_a_checkpoint_of_the_log(lake, monkeypatch):
    monkeypatch.setattr(tables, "_CONFIGURATION", tables._CONFIGURATION | {"delta.checkpointInterval": "3"})
    with lake.transaction() as tx:
        tx.write("stars", wide(0, 10, 40))
        for number in range(1, 6):
            tx.append("stars", wide(10 * number, 10, 40))
    source = lake["stars"].source
    assert any("checkpoint.parquet" in key for key in lake.store.list(f"{source.pin.path}/_delta_log"))
    assert source.null_columns() == {"visits"}
    assert all(part.healpix for part in source.parts)


def test_what_the_log_does_not_say_may_be_null_and_anywhere(lake, monkeypatch):
    """Lakes that were written before have no statistics of columns after the 32nd; other writers leave out any."""
    monkeypatch.setattr(tables, "_CONFIGURATION", {"delta.enableExpiredLogCleanup": "false"})
    frame = wide(0, 300, 60)
    with lake.transaction() as tx:
        tx.write("stars", frame)
    source = lake["stars"].source
    assert set(frame.columns[40:]) <= source.null_columns()
    assert [part.healpix for part in source.parts] == [None]
    opened = lake["stars"].dataset().compute()
    assert opened.visits_valid.values.tolist() == frame["visits"].is_not_null().to_list()
    assert opened[f"{frame.columns[50]}_valid"].values.all()
    assert lake["stars"].table(region=cone(frame["ra"][3], frame["dec"][3], 1)).collect().height >= 1
    with lake.transaction() as tx:
        tx.append("stars", wide(300, 300, 60))
    assert lake["stars"].table().collect()["visits"].null_count() == 2 * frame["visits"].null_count()
    monkeypatch.setattr(tables, "_statistics", lambda frame: {})
    with lake.transaction() as tx:
        tx.append("stars", wide(600, 77, 60))
    assert [part.rows for part in lake["stars"].source.parts] == [300, 300, 77]


FLOATS = st.one_of(st.none(), st.floats(width=32, allow_nan=True, allow_infinity=True), st.just(math.inf))


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(st.lists(FLOATS, min_size=1, max_size=6), min_size=1, max_size=3),
    name=st.sampled_from(ODD),
    dtype=st.sampled_from([pl.Float32, pl.Float64]),
)
def test_infinite_values_are_kept_and_the_statistics_stay_true(tmp_path_factory, pieces, name, dtype):
    lake = hven.create(tmp_path_factory.mktemp("infinite") / "lake")
    frames = [pl.DataFrame({name: pl.Series(values, dtype=dtype), "q": range(len(values))}) for values in pieces]
    with lake.transaction() as tx:
        tx.write("stars", frames[0])
        for frame in frames[1:]:
            tx.append("stars", frame)
    kept = lake["stars"].table().collect()
    assert kept.equals(pl.concat(frames).with_columns(pl.col(name).fill_nan(None)))
    for told, part in zip(statistics(lake, "stars"), frames, strict=True):
        values = part[name].fill_nan(None).drop_nulls()
        assert told["nullCount"][name] == part.height - len(values)
        for bound, side in (("minValues", values.min()), ("maxValues", values.max())):
            assert told[bound].get(name, side) == side
    known = lake["stars"].source.null_columns()
    assert (name in known) is any(frame[name].fill_nan(None).null_count() > 0 for frame in frames)
    for above in (0.0, 1e30):
        wanted = kept.filter(pl.col(name) > above)
        assert lake["stars"].table(where=pl.col(name) > above).collect().equals(wanted)


def test_infinite_values_go_through_compaction_upsert_and_delete(lake):
    frame = pl.DataFrame({"object_id": [1, 2, 3], "x": [math.inf, None, 1.0]})
    with lake.transaction() as tx:
        tx.write("stars", frame)
        tx.append("stars", frame.with_columns(pl.col("object_id") + 10, -pl.col("x")))
    with lake.transaction() as tx:
        tx.compact("stars")
    with lake.transaction() as tx:
        tx.upsert("stars", pl.DataFrame({"object_id": [3, 4], "x": [-math.inf, math.nan]}))
        tx.delete("stars", "object_id = 12")
    kept = lake["stars"].table().collect().sort("object_id")
    assert kept.rows() == [(1, math.inf), (2, None), (3, -math.inf), (4, None), (11, -math.inf), (13, -1.0)]
    assert statistics(lake, "stars")


def test_infinite_values_of_arrays_are_kept(lake):
    spectra = make_spectra(0, 5).drop_vars("name")
    spectra.flux.values[2, 3] = np.inf
    with lake.transaction() as tx:
        tx.write("spectra", spectra)
    assert lake["spectra"].dataset().flux.values[2, 3] == np.inf
