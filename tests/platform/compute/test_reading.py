"""Joins and alignments against Polars, which has all in memory."""

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hven
import trial_analyses as trial
from hven.compute.bound import bind_selections
from hven.compute.reading import count_aligned, read_aligned
from hven.compute.selection import select
from simulated import make_stars

COUNT = 800


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Return a lake with stars, and in another order and place: some of them, twice over in segments."""
    made = hven.create(tmp_path_factory.mktemp("reading") / "lake")
    stars = make_stars(0, COUNT)
    rng = np.random.default_rng(5)
    moved = stars.select("object_id", weight=pl.col("feh") * 3, feh=-pl.col("feh")).sample(500, shuffle=True, seed=1)
    moved = moved.with_columns(_healpix_29=pl.Series(rng.integers(0, 2**59, 500)))
    with made.transaction() as tx:
        tx.write("stars", stars[:500])
        tx.write("others", moved[:200].sort("_healpix_29"))
    with made.transaction() as tx:
        tx.append("stars", stars[500:])
        tx.append("others", moved[200:].sort("_healpix_29"))
    hven.run(made, trial.doubled, {"stars": "stars"}, cluster="synchronous", block_rows=100)
    return made


CONDITIONS = [None, "feh > 0", "feh > 0 AND weight < 2", "visits IS NULL", "feh > 100"]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    second=st.sampled_from(["others", "doubled"]),
    condition=st.sampled_from(CONDITIONS),
    rows=st.integers(30, 900),
    is_swapped=st.booleans(),
)
def test_a_join_read_in_blocks_is_the_join_of_the_whole(lake, second, condition, rows, is_swapped):
    names = [second, "stars"] if is_swapped else ["stars", second]
    if condition and "weight" in condition and second != "others":
        condition = None
    if condition and "visits" in condition and second == "doubled":
        condition = "visits_seen IS NULL"
    frames = [lake[name].table().collect() for name in names]
    both = frames[0].join(frames[1], on="object_id", how="inner", maintain_order="left")
    told = both.sql(f"SELECT * FROM self WHERE {condition}") if condition else both
    wanted = hven.Table(feh="dex", optional={"weight": None, "doubled": "dex"})
    analysis = hven.analysis(stars=wanted, produces={"x": ""})(_nothing)
    bound = bind_selections(lake, analysis, {"stars": select("+".join(names), where=condition)}, {})
    pieces = [read_aligned(bound, block) for block in bound[0].blocks(rows)]
    assert [piece.rows for piece in pieces] == [count_aligned(bound, block) for block in bound[0].blocks(rows)]
    for column, got in (("object_id", "ids"), ("feh", "stars"), ("weight", "stars"), ("doubled", "stars")):
        if column in told.columns:
            read = [(piece.ids if got == "ids" else piece.inputs["stars"])[column].values for piece in pieces]
            assert np.array_equal(np.concatenate(read), told[column].to_numpy())


def test_files_elsewhere_on_the_sky_are_not_read_for_objects_of_the_same_place(lake, monkeypatch):
    from hven.lake import tables

    analysis = hven.analysis(stars=hven.Table(doubled="dex"), produces={"x": ""})(_nothing)
    for second, is_pruned in (("doubled", True), ("others", False)):
        wanted = hven.Table(doubled="dex") if is_pruned else hven.Table(weight=None)
        analysis = hven.analysis(stars=wanted, produces={"x": ""})(_nothing)
        bound = bind_selections(lake, analysis, {"stars": select(f"stars+{second}")}, {})
        seen = []
        scan = tables.scan_parts

        def spy(store, table, parts, columns, scan=scan, seen=seen):
            seen.append(len(parts))
            return scan(store, table, parts, columns)

        with monkeypatch.context() as patched:
            patched.setattr(tables, "scan_parts", spy)
            read_aligned(bound, bound[0].blocks(50)[0])
        assert (seen[-1] < len(lake[second].source.parts)) is is_pruned


def _nothing(stars):
    """Return nothing: only its declaration is used."""
