"""Plans tell what is new and stale and what it takes, and blocks that would not fit into a worker are cut smaller."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import hven
import trial_analyses as trial
from hven import errors
from hven.compute import clusters
from simulated import make_stars

COUNT = 20_000
STARS = {"stars": "stars"}
CLUSTER = {"cluster": "synchronous"}
MB = 2**20


@pytest.fixture
def lake(tmp_path):
    lake = hven.create(tmp_path / "a survey")
    with lake.transaction("stars") as tx:
        tx.write("stars", make_stars(0, COUNT))
    return lake


@hven.analysis(stars=hven.Table(feh="dex"), produces={"doubled": "dex"}, per_object=True)
def hungry(stars: xr.Dataset, *, each: int = 4096) -> xr.Dataset:
    """Twice the metallicity, in `each` bytes of memory for each object."""
    held = np.ones((stars.sizes["object"], each // 8))
    return xr.Dataset({"doubled": stars.feh * 2 * held[:, 0]})


def test_a_plan_tells_new_stale_and_up_to_date_blocks_with_their_causes(lake, monkeypatch):
    def told(**asked):
        plan = hven.plan(lake, trial.doubled, STARS, **asked)
        return plan.action, plan.new, dict(plan.stale), plan.done

    assert hven.plan(lake, trial.doubled, STARS, block_rows=2_000).new == 10
    hven.run(lake, trial.doubled, STARS, **CLUSTER, block_rows=2_000)
    assert told() == ("nothing", 0, {}, 10)
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 2_500))
    assert told() == ("update", 2, {}, 10)
    with lake.transaction() as tx:
        tx.delete("stars", where="ra < 1")
    assert told() == ("update", 2, {"objects of its file were changed, moved or withdrawn": 10}, 0)
    parameters = {"seconds": 1e-5}
    assert told(parameters=parameters)[2] == {"parameter 'seconds' is 1e-05, and was 0.0": 3}
    monkeypatch.setattr(trial.doubled, "version", "2")
    assert list(told()[2]) == ["the analysis is now version 2, and was 1"]


@hven.analysis(stars=hven.Table(feh="dex"), produces={"doubled": "dex"}, per_object=True, block_rows=3_000)
def laborious(stars: xr.Dataset) -> xr.Dataset:
    """Twice the metallicity, as if that took long."""
    return xr.Dataset({"doubled": stars.feh * 2})


def test_an_analysis_says_how_many_objects_a_block_has_at_most_and_who_runs_it_may_say_otherwise(lake):
    assert hven.plan(lake, laborious, STARS).blocks == 7
    assert hven.plan(lake, laborious, STARS, block_rows=10_000).blocks == 2
    run = hven.run(lake, laborious, STARS, **CLUSTER)
    assert (run.record["block_rows"], run.blocks["total"], run.rows["out"]) == (3_000, 7, COUNT)
    assert laborious.to_json()["block_rows"] == 3_000


def test_a_plan_names_the_input_that_made_everything_stale(lake):
    import polars as pl

    weights = xr.Dataset({"weights": (("i", "j"), np.ones((2, 2)))})
    with lake.transaction() as tx:
        tx.write("weights", weights, kind="model")
        tx.write("offset", pl.DataFrame({"offset": [0.5]}))
    given = {"stars": "stars", "scale": "weights", "zero": "offset"}
    hven.run(lake, trial.scaled, given, **CLUSTER, block_rows=5_000)
    with lake.transaction() as tx:
        tx.append("offset", pl.DataFrame({"offset": [1.5]}))
    assert hven.plan(lake, trial.scaled, given).stale == {"dataset 'offset' has changed": 4}
    hven.run(lake, trial.mean_feh, STARS, **CLUSTER)
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 10))
    plan = hven.plan(lake, trial.mean_feh, STARS)
    assert (plan.action, sum(plan.stale.values())) == ("update", plan.blocks)


def test_memory_time_and_bytes_are_known_from_a_block_that_is_measured(lake):
    rough = hven.plan(lake, hungry, STARS, block_rows=10_000)
    assert (rough.seconds, rough.bytes_out, rough.known_from) == (None, None, "the size of the inputs")
    plan = hven.plan(lake, hungry, STARS, block_rows=10_000, measure=True, workers=2)
    assert "measured block of 10,000" in plan.known_from
    assert plan.bytes_out == COUNT * 3 * 8, "id, place and the doubled metallicity"
    assert plan.seconds > 0
    more = hven.plan(lake, hungry, STARS, {"each": 16_384}, block_rows=10_000, measure=True)
    if plan.peak_bytes:
        assert more.peak_bytes - plan.peak_bytes == pytest.approx(10_000 * 12_288, rel=0.25)
    assert list(lake) == ["stars"]
    assert hven.compute.runs(lake) == []


def test_memory_and_time_are_known_from_the_run_before(lake):
    run = hven.run(lake, hungry, STARS, **CLUSTER, block_rows=5_000)
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 2_000))
    plan = hven.plan(lake, hungry, STARS, workers=1)
    assert plan.known_from == f"run {run.id}"
    assert plan.seconds == pytest.approx(run.record["work"] / 10, rel=0.01)
    assert plan.bytes_out == pytest.approx(run.result.entry.counts.bytes / 10, rel=0.01)
    assert plan.peak_bytes >= run.record["memory"]["idle"]


@pytest.fixture
def small_workers(monkeypatch):
    """Let workers seem to have little memory."""

    def limit(memory):
        ours = clusters.Cluster

        def small(*given, **told):
            return replace(ours(*given, **told), memory=memory)

        monkeypatch.setattr(clusters, "Cluster", small)

    return limit


def test_blocks_that_would_not_fit_are_cut_smaller(lake, small_workers, monkeypatch):
    monkeypatch.setattr("hven.compute.forecast._IDLE", 100 * MB)
    monkeypatch.setattr("hven.compute.forecast._COPIES", 1_000)
    one = hven.plan(lake, trial.doubled, STARS).block_bytes / 16_384
    small_workers(int((100 * MB + 5_000 * 1_000 * one) / 0.85))
    run = hven.run(lake, trial.doubled, STARS, **CLUSTER)
    assert run.record["block_rows"] in range(4_990, 5_001)
    assert (run.blocks["total"], run.rows["out"]) == (5, COUNT) or run.blocks["total"] == 4
    assert len(set(lake["doubled"].table().collect()["object_id"])) == COUNT


def test_workers_too_small_for_one_object_are_refused_by_name(lake, small_workers):
    number = lake.number
    small_workers(64 * MB)
    with pytest.raises(errors.TooLittleMemoryError, match=r"67 MB of memory.*with one object.*fewer workers"):
        hven.run(lake, trial.doubled, STARS, **CLUSTER)
    assert (lake.number, hven.compute.runs(lake)) == (number, [])
    assert hven.run(lake, trial.doubled, STARS, **CLUSTER, block_rows=1_000).state == "succeeded", "who insists may try"


def test_workers_tell_their_memory():
    with clusters.cluster_for("local", 1) as cluster:
        assert cluster.memory > 100 * MB
    with clusters.cluster_for("synchronous", 1) as cluster:
        assert cluster.memory == 0
