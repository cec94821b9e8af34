"""Chains of results: what is stale and why is told, and an update follows the recipes in order."""

import polars as pl
import pytest

import hven
import trial_analyses as trial
from hven import errors
from hven.compute import outputs_for, runs
from hven.plugins import DatasetPath
from simulated import make_stars

COUNT = 3_000
CLUSTER = {"cluster": "synchronous"}


@pytest.fixture
def lake(tmp_path, calls):
    """Return a lake with a chain: stars -> doubled -> ranked, and mean_feh of stars and doubled."""
    lake = hven.create(tmp_path / "a survey")
    with lake.transaction("stars") as tx:
        tx.write("stars", make_stars(0, COUNT))
    hven.run(lake, trial.doubled, {"stars": "stars"}, {"folder": str(calls)}, **CLUSTER, block_rows=1_000)
    stars = hven.select("doubled", columns={"feh": "doubled"})
    again = hven.select("doubled", columns={"feh": "doubled", "visits": "visits_seen"})
    parameters = {"folder": str(calls), "worst": 99.0}
    hven.run(lake, trial.fragile, {"stars": again}, parameters, **CLUSTER, block_rows=1_000, output="fourfold")
    hven.run(lake, trial.ranked, {"stars": stars}, **CLUSTER)
    hven.run(lake, trial.mean_feh, {"stars": hven.select("stars+doubled", where="feh < 9")}, **CLUSTER)
    return lake


def stale(lake):
    return [s.name for s in hven.status(lake) if s.is_stale]


def test_nothing_is_stale_and_nothing_is_run_at_first(lake):
    number = lake.number
    assert stale(lake) == []
    assert hven.update(lake, **CLUSTER) == []
    assert lake.number == number


def test_what_is_made_of_stale_results_is_stale_and_says_so(lake):
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 30))
    told = {s.name: s for s in hven.status(lake)}
    assert stale(lake) == ["doubled", "fourfold", "mean_feh", "ranked"]
    assert told["doubled"].causes == ("dataset 'stars' has changed since catalog 1",)
    assert told["ranked"].causes == ("result 'doubled', which it is made of, is stale",)
    assert told["ranked"].made_of == ("doubled",)
    # What it takes of the stars themselves is what it was: new ones count once there is a result of them.
    assert told["mean_feh"].causes == ("result 'doubled', which it is made of, is stale",)


def test_an_update_follows_the_chain_in_order_and_computes_what_is_new(lake, calls):
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 30))
    called = len(list(calls.iterdir()))
    done = hven.update(lake, **CLUSTER)
    assert [run.output for run in done] == ["doubled", "fourfold", "mean_feh", "ranked"]
    assert [run.state for run in done] == ["succeeded"] * 4
    assert len(list(calls.iterdir())) == called + 2, "one block of each"
    assert [run.update["computed"] for run in done[:2]] == [1, 1]
    assert stale(lake) == []
    stars = lake["stars"].table().collect().sort("object_id")
    assert (
        lake["fourfold"]
        .table()
        .collect()
        .sort("object_id")["doubled"]
        .equals((4 * stars["feh"]).alias("doubled"), check_names=True)
    )
    assert lake["mean_feh"].table().collect()["n"].item() == COUNT + 30
    assert hven.update(lake, **CLUSTER) == []


def test_one_result_is_updated_with_what_it_is_made_of_and_nothing_else(lake):
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 30))
    assert [run.output for run in hven.update(lake, "ranked", **CLUSTER)] == ["doubled", "ranked"]
    assert stale(lake) == ["fourfold", "mean_feh"]
    assert outputs_for(lake, None) == ["doubled", "fourfold", "mean_feh", "ranked"]


def test_what_follows_an_unchanged_result_is_left_alone(lake, calls):
    stars = lake["stars"].table().collect()
    with lake.transaction("the same stars in other files") as tx:
        tx.write("stars", stars)
    assert stale(lake) == ["doubled", "fourfold", "mean_feh", "ranked"]
    called, number = len(list(calls.iterdir())), lake["doubled"].entry.pin.version
    done = hven.update(lake, "fourfold", **CLUSTER)
    assert done == [], "its data are as they were, so nothing is committed and nothing follows"
    assert (len(list(calls.iterdir())), lake["doubled"].entry.pin.version) == (called, number)
    assert stale(lake) == []


def test_a_new_version_of_an_analysis_makes_its_results_stale(lake, monkeypatch):
    monkeypatch.setattr(trial.doubled, "version", "2")
    told = {s.name: s.causes for s in hven.status(lake)}
    assert told["doubled"] == ("analysis 'doubled' is now version 2, and was 1",)
    hven.update(lake, "doubled", **CLUSTER)
    assert lake["doubled"].entry.provenance["version"] == "2"
    assert "doubled" not in stale(lake)


def test_results_of_parts_are_one_thing_to_update(lake):
    hven.run(lake, trial.halves, {"stars": "stars"}, **CLUSTER)
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 30))
    for name in ("halves", "halves.low"):
        assert outputs_for(lake, name) == ["halves"]
    assert [run.output for run in hven.update(lake, "halves.low", **CLUSTER)] == ["halves"]
    assert lake["halves.high"].entry.counts.rows == COUNT + 30


def test_datasets_that_parameters_name_are_followed_too(lake):
    @hven.analysis(stars=hven.Table(feh="dex"), produces={"n": ""})
    def rows_of(stars, *, other: DatasetPath):
        """How many objects another dataset has."""
        import xarray as xr

        return xr.Dataset({"n": ("population", [other.handle().entry.counts.rows])})

    trial.rows_of, rows_of.function.__module__, rows_of.function.__qualname__ = rows_of, "trial_analyses", "rows_of"
    try:
        hven.run(lake, rows_of, {"stars": "stars"}, {"other": "doubled"}, **CLUSTER)
        assert "rows_of" not in stale(lake)
        with lake.transaction() as tx:
            tx.delete("doubled", where="doubled > 0")
        told = {s.name: s.causes for s in hven.status(lake)}
        assert told["rows_of"] == ("what parameter 'other' names has changed",)
        hven.update(lake, "rows_of", **CLUSTER)
        assert lake["rows_of"].table().collect()["n"].item() == lake["doubled"].entry.counts.rows
        assert "rows_of" not in stale(lake)
    finally:
        del trial.rows_of


def test_what_cannot_be_followed_is_refused_by_its_own_error(lake):
    chosen = hven.select("stars", where=pl.col("feh").round(2) < 1)
    hven.run(lake, trial.doubled, {"stars": chosen}, **CLUSTER, output="by_expression")
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 30))
    with pytest.raises(errors.RecipeError, match="Polars expression"):
        hven.update(lake, "by_expression", **CLUSTER)
    run = hven.run(lake, trial.doubled, {"stars": chosen}, **CLUSTER, output="by_expression")
    assert run.update["computed"] == 1
    with pytest.raises(errors.DataRefusedError, match="not the result of a run"):
        hven.update(lake, "stars", **CLUSTER)
    with pytest.raises(errors.DatasetNotFoundError, match="doubled"):
        hven.update(lake, "doubld", **CLUSTER)


def test_a_condition_given_as_an_expression_is_followed_by_an_update(lake):
    chosen = hven.select("stars", where=(pl.col("feh") < 0.1) & pl.col("feh").is_not_null())
    hven.run(lake, trial.doubled, {"stars": chosen}, **CLUSTER, output="by_expression")
    more = make_stars(COUNT, 30)
    with lake.transaction() as tx:
        tx.append("stars", more)
    (run,) = hven.update(lake, "by_expression", **CLUSTER)
    assert run.update["computed"] == 1
    assert lake["by_expression"].entry.counts.rows == lake["stars"].table(where="feh < 0.1").collect().height
    by_text = hven.select("stars", where='(("feh" < 0.1e0) AND ("feh" IS NOT NULL))')
    assert hven.run(lake, trial.doubled, {"stars": by_text}, **CLUSTER, output="by_expression").id == run.id


def test_an_analysis_that_is_gone_is_named_and_nothing_is_imported_for_it(lake, monkeypatch):
    monkeypatch.delattr(trial, "doubled")
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 30))
    with pytest.raises(errors.AnalysisNotFoundError, match="'doubled'"):
        hven.update(lake, "doubled", **CLUSTER)


def test_failed_blocks_are_tried_again_by_an_update(lake, calls):
    highest = float(lake["stars"].table().collect()["feh"].max())
    parameters = {"folder": str(calls), "worst": highest - 1e-9}
    run = hven.run(lake, trial.fragile, {"stars": "stars"}, parameters, **CLUSTER, block_rows=500)
    assert (run.state, stale(lake)) == ("partial", ["fragile"])
    (calls.parent / "mended").touch()
    (again,) = hven.update(lake, **CLUSTER)
    assert (again.id, again.state, stale(lake)) == (run.id, "succeeded", [])


def test_a_block_that_failed_is_computed_by_the_next_update(lake, calls):
    highest = float(lake["stars"].table().collect()["feh"].max())
    parameters = {"folder": str(calls), "worst": highest - 1e-9}
    hven.run(lake, trial.fragile, {"stars": "stars"}, parameters, **CLUSTER, block_rows=500)
    (calls.parent / "mended").touch()
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 30))
    (run,) = hven.update(lake, "fragile", **CLUSTER)
    assert (run.output, run.state, run.update["kept"], run.update["computed"]) == ("fragile", "succeeded", 5, 2)
    assert lake["fragile"].entry.counts.rows == COUNT + 30
    assert len(runs(lake)) == 4 + 1 + 1
