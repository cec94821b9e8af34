"""A result is brought up to date: just the blocks that changed are computed, and it ends as if made anew."""

import numpy as np
import polars as pl
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import hven
import trial_analyses as trial
from hven import errors
from simulated import make_spectra, make_stars

COUNT, BLOCK = 40_000, 4_000
CLUSTER = {"cluster": "synchronous"}


@hven.analysis(stars=hven.Table(ra="deg", dec="deg"), produces={"near": ""}, per_object=True, margin="0.2 deg")
def crowding(stars: xr.Dataset) -> xr.Dataset:
    """How many stars are within about 0.2 deg of each, near the equator."""
    apart = np.hypot(stars.ra.values - stars.ra.values[:, None], stars.dec.values - stars.dec.values[:, None])
    return xr.Dataset({"near": ("object", (apart < 0.19).sum(axis=1) - 1)})


@pytest.fixture
def lake(tmp_path):
    """Return a lake with ``stars`` in one segment of ten blocks."""
    lake = hven.create(tmp_path / "a survey")
    with lake.transaction("stars") as tx:
        tx.write("stars", make_stars(0, COUNT))
    return lake


def update(lake, calls, analysis=trial.doubled, inputs=None, **how):
    """Run an analysis as ever, and return the run and how often the analysis was called."""
    before = len(list(calls.iterdir()))
    run = hven.run(lake, analysis, inputs or {"stars": "stars"}, {"folder": str(calls)}, **CLUSTER, **how)
    return run, len(list(calls.iterdir())) - before


def first(lake, calls, **how):
    run, called = update(lake, calls, block_rows=BLOCK, **how)
    assert run.state == "succeeded"
    return run, called


def counts(run):
    return tuple(run.record["update"][what] for what in ("kept", "moved", "computed", "withdrawn"))


def check_as_if_anew(lake, name="doubled", analysis=trial.doubled, inputs=None):
    """Hold a result against a fresh run of the same, object by object."""
    hven.run(lake, analysis, inputs or {"stars": "stars"}, output="anew", force=True, **CLUSTER)
    got, told = (lake[one].table().collect().sort("object_id") for one in (name, "anew"))
    assert got.equals(told)
    assert lake[name].entry.coverage == lake["anew"].entry.coverage
    assert lake[name].entry.counts.rows == got.height
    assert "_input" not in got.columns
    with lake.transaction() as tx:
        tx.drop("anew")


def test_objects_that_were_appended_are_computed_and_no_others(lake, calls):
    before, called = first(lake, calls)
    assert called == 10
    files = {part.path for part in lake["doubled"].source.parts}
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, COUNT // 100))
    run, called = update(lake, calls)
    assert (called, counts(run)) == (1, (10, 0, 1, 0))
    assert run.blocks == {"total": 11, "done": 11, "empty": 0, "failed": 0, "reused": 0}
    assert run.rows == {"in": COUNT + 400, "out": COUNT + 400}
    assert files < {part.path for part in lake["doubled"].source.parts}, "what stays is not written again"
    assert lake["doubled"].entry.pin.path == before.result.entry.pin.path
    assert lake["doubled"].entry.provenance["update"] == run.record["update"]
    assert before.result.table().collect().height == COUNT, "the older state is as it was"
    check_as_if_anew(lake)


def test_blocks_that_stay_are_not_even_read(lake, calls, monkeypatch):
    from hven.compute import stretch

    first(lake, calls)
    read, seen = stretch.read_aligned, []
    monkeypatch.setattr(stretch, "read_aligned", lambda inputs, block: seen.append(block) or read(inputs, block))
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 100))
    update(lake, calls)
    assert [block.rows for block in seen] == [100]


def test_objects_of_one_region_that_changed_are_computed_and_the_others_are_moved(lake, calls):
    first(lake, calls)
    changed = lake["stars"].table(region="cone(40, 20, 12)").collect()
    assert 200 < changed.height < 800
    with lake.transaction() as tx:
        tx.upsert("stars", changed.with_columns(feh=pl.col("feh") + 1))
    run, called = update(lake, calls)
    kept, moved, computed, withdrawn = counts(run)
    assert (called, computed, withdrawn) == (1, 1, 0)
    assert kept + moved == 10
    check_as_if_anew(lake)


def test_objects_that_were_withdrawn_leave_the_result_and_nothing_is_computed(lake, calls):
    first(lake, calls)
    gone = lake["stars"].table().collect()["object_id"][[3, 17_000, COUNT - 1]]
    with lake.transaction() as tx:
        tx.delete("stars", where=pl.col("object_id").is_in(gone.implode()))
    run, called = update(lake, calls)
    assert (called, run.record["update"]["withdrawn"]) == (0, 3)
    check_as_if_anew(lake)
    with lake.transaction() as tx:
        tx.delete("stars", where="ra > 10")
    run, called = update(lake, calls)
    left = lake["doubled"].entry.counts.rows
    assert (called, run.record["update"]["withdrawn"]) == (0, COUNT - 3 - left)
    check_as_if_anew(lake)


def test_the_same_objects_written_anew_are_known_again(lake, calls):
    first(lake, calls)
    stars = lake["stars"].table().collect()
    with lake.transaction("the very same, in other files") as tx:
        tx.write("stars", stars)
    number = lake["doubled"].entry.pin.version
    run, called = update(lake, calls)
    assert (called, counts(run)) == (0, (10, 0, 0, 0))
    assert lake["doubled"].entry.pin.version == number, "no file of the result is touched"
    with lake.transaction("the same in three pieces") as tx:
        tx.write("stars", stars[:1_000])
        tx.append("stars", stars[1_000:30_100])
        tx.append("stars", stars[30_100:])
    run, called = update(lake, calls)
    assert called == 0
    assert counts(run)[2:] == (0, 0)
    assert run.record["update"]["moved"] > 0
    check_as_if_anew(lake)


def test_another_version_or_parameter_makes_everything_stale(lake, calls, monkeypatch):
    first(lake, calls)
    monkeypatch.setattr(trial.doubled, "version", "2")
    run, called = update(lake, calls)
    assert (called, run.record.get("update")) == (3, None)
    run = hven.run(lake, trial.doubled, {"stars": "stars"}, {"folder": str(calls), "seconds": 1e-6}, **CLUSTER)
    assert run.record.get("update") is None
    assert len(list(calls.iterdir())) == 10 + 3 + 3


def test_columns_that_the_analysis_does_not_take_may_change(lake, calls):
    first(lake, calls)
    with lake.transaction() as tx:
        tx.write("stars", lake["stars"].table().collect().with_columns(name=pl.lit("renamed")))
    assert update(lake, calls)[1] == 0
    check_as_if_anew(lake)


def test_conditions_hold_in_updates_too(lake, calls):
    chosen = {"stars": hven.select("stars", where="feh > 0", region="box(0, 180, -90, 90)")}
    first(lake, calls, inputs=chosen)
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 600))
    run, called = update(lake, calls, inputs=chosen)
    assert called == 1
    assert run.record["update"]["computed"] == 1
    check_as_if_anew(lake, inputs=chosen)


def test_a_joined_dataset_that_changed_makes_stale_what_it_changed(lake, calls):
    stars = lake["stars"].table().collect()
    more = stars.select("object_id", "_healpix_29", feh_b=pl.col("feh") * 0.5)
    with lake.transaction() as tx:
        tx.write("more", more)
    chosen = {"stars": hven.select("stars+more", columns={"feh": "feh_b"})}
    first(lake, calls, inputs=chosen)
    with lake.transaction() as tx:
        tx.upsert("more", more[7_000:7_010].with_columns(feh_b=pl.lit(5.0)))
        tx.delete("more", where=pl.col("object_id") == more["object_id"][12_345])
    run, called = update(lake, calls, inputs=chosen)
    assert (called, counts(run)) == (1, (8, 1, 1, 1))
    check_as_if_anew(lake, inputs=chosen)


def test_whole_inputs_that_changed_make_everything_stale_and_the_same_values_nothing(lake, calls):
    with lake.transaction() as tx:
        tx.write("offset", pl.DataFrame({"offset": [0.5]}))
        tx.write("weights", make_weights(1.0), kind="model")
    given = {"stars": "stars", "scale": "weights", "zero": "offset"}
    hven.run(lake, trial.scaled, given, **CLUSTER, block_rows=BLOCK)
    with lake.transaction() as tx:
        tx.write("offset", pl.DataFrame({"offset": [0.5]}))
    assert counts(hven.run(lake, trial.scaled, given, **CLUSTER)) == (10, 0, 0, 0)
    with lake.transaction() as tx:
        tx.write("weights", make_weights(2.0), kind="model")
    assert counts(hven.run(lake, trial.scaled, given, **CLUSTER)) == (0, 0, 10, 0)
    assert np.allclose(lake["scaled"].table().collect()["scaled"], lake["stars"].table().collect()["feh"] * 8 + 0.5)


def make_weights(value):
    return xr.Dataset({"weights": (("i", "j"), np.full((2, 2), value))})


def test_results_of_parts_are_updated_together(lake):
    hven.run(lake, trial.halves, {"stars": "stars"}, **CLUSTER, block_rows=BLOCK)
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 100))
        tx.delete("stars", where="ra < 20")
    number = lake.number
    run = hven.run(lake, trial.halves, {"stars": "stars"}, **CLUSTER)
    assert (lake.number, run.record["update"]["computed"]) == (number + 1, 1)
    for part in ("halves.low", "halves.high"):
        check_as_if_anew_parts(lake, part)


def check_as_if_anew_parts(lake, part):
    feh = lake["stars"].table().collect().sort("object_id")
    got = lake[part].table().collect().sort("object_id")
    assert got["object_id"].equals(feh["object_id"])
    worst = np.minimum if part.endswith("low") else np.maximum
    assert np.array_equal(got[f"feh_{part.split('.')[1]}"], worst(feh["feh"].to_numpy(), 0))


def test_a_result_changed_by_hand_is_made_right_again(lake, calls):
    first(lake, calls)
    result = lake["doubled"].table().collect()
    with lake.transaction() as tx:
        tx.upsert("doubled", result[5_000:5_002].with_columns(doubled=pl.lit(99.0)))
    assert [s.causes for s in hven.status(lake)] == [("the result was changed by hand",)]
    run, called = update(lake, calls)
    assert (called, run.record["update"]["computed"]) == (1, 1)
    check_as_if_anew(lake)


def test_a_result_that_was_replaced_while_it_was_updated_is_not_published_over(lake, calls, monkeypatch):
    from hven.compute import execution

    first(lake, calls)
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 100))
    publish = execution.publish_blocks

    def meanwhile(*given):
        with lake.transaction() as tx:
            tx.delete("doubled", where="doubled > 0")
        return publish(*given)

    with monkeypatch.context() as patched:
        patched.setattr(execution, "publish_blocks", meanwhile)
        with pytest.raises(errors.ConflictError, match=r"gone.*Run it again"):
            update(lake, calls)
    run, _ = update(lake, calls)
    assert run.state == "succeeded"
    check_as_if_anew(lake)


def test_spectra_are_updated_group_by_group(tmp_path, calls):
    lake = hven.create(tmp_path / "spectra")
    with lake.transaction() as tx:
        tx.write("spectra", make_spectra(0, 200))
    given = {"spectra": "spectra"}
    hven.run(lake, trial.smoothed, given, {"folder": str(calls)}, **CLUSTER, block_rows=64)
    with lake.transaction() as tx:
        tx.append("spectra", make_spectra(200, 30))
    run, called = update(lake, calls, trial.smoothed, given)
    assert (called, counts(run)) == (1, (4, 0, 1, 0))
    assert run.result.dataset().sizes["object"] == 230
    spectra = lake["spectra"].dataset().compute()
    with lake.transaction("another order, one changed, ten gone") as tx:
        turned = spectra.isel(object=np.arange(229, 9, -1))
        turned["flux"][3] += 1
        tx.write("spectra", turned)
    run, called = update(lake, calls, trial.smoothed, given)
    assert (called, counts(run)) == (1, (0, 3, 1, 10))
    got, given = run.result.dataset().compute(), lake["spectra"].dataset().compute()
    assert (got.object_id == given.object_id).all()
    assert "_input" not in got
    assert np.array_equal(got.smoothed, trial.smoothed(given).smoothed)
    assert hven.status(lake)[0].causes == ()


def test_compaction_makes_nothing_stale_and_later_updates_compute_nothing_twice(tmp_path, calls):
    lake = hven.create(tmp_path / "pieces")
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 500))
        for first in range(500, 3_000, 500):
            tx.append("stars", make_stars(first, 500))
    run, called = update(lake, calls)
    assert called == 6
    lake.compact("stars")
    assert [s.causes for s in hven.status(lake)] == [()]
    again, called = update(lake, calls)
    assert (again.id, called) == (run.id, 0)
    with lake.transaction() as tx:
        tx.append("stars", make_stars(3_000, 50))
    run, called = update(lake, calls)
    assert (called, counts(run)) == (1, (0, 1, 1, 0))
    check_as_if_anew(lake)


def test_a_result_that_was_compacted_is_brought_up_to_date_without_computing_it_again(lake, calls):
    first(lake, calls)
    assert lake.compact("doubled").after == 1
    assert [s.causes for s in hven.status(lake)] == [()]
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 50))
    run, called = update(lake, calls)
    assert (called, counts(run)) == (1, (0, 10, 1, 0))
    check_as_if_anew(lake)


def test_arrays_and_results_of_parts_that_were_compacted_are_known_again(tmp_path, calls):
    lake = hven.create(tmp_path / "spectra")
    with lake.transaction() as tx:
        tx.write("spectra", make_spectra(0, 200))
        tx.write("stars", make_stars(0, 3_000))
    hven.run(lake, trial.smoothed, {"spectra": "spectra"}, {"folder": str(calls)}, **CLUSTER, block_rows=64)
    hven.run(lake, trial.halves, {"stars": "stars"}, **CLUSTER, block_rows=1_000)
    for name in ("smoothed", "halves.low"):
        assert lake.compact(name) is not None
    with lake.transaction() as tx:
        tx.append("spectra", make_spectra(200, 5))
        tx.append("stars", make_stars(3_000, 5))
    run, called = update(lake, calls, trial.smoothed, {"spectra": "spectra"})
    assert (called, counts(run)) == (1, (0, 4, 1, 0))
    assert counts(hven.run(lake, trial.halves, {"stars": "stars"}, **CLUSTER)) == (0, 3, 1, 0)
    check_as_if_anew_parts(lake, "halves.low")
    check_as_if_anew_parts(lake, "halves.high")


STEPS = st.lists(st.sampled_from(["append", "change", "withdraw", "compact", "rewrite", "compact result"]), max_size=5)


@settings(max_examples=12)
@given(steps=STEPS, seed=st.integers(0, 2**20), every=st.booleans())
def test_whatever_happens_to_the_data_an_update_ends_as_if_made_anew(tmp_path_factory, steps, seed, every):
    lake = hven.create(tmp_path_factory.mktemp("any") / "lake")
    rng, known = np.random.default_rng(seed), 1_000
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, known))
    hven.run(lake, trial.doubled, {"stars": "stars"}, **CLUSTER, block_rows=300)
    for step in steps:
        stars = lake["stars"].table().collect()
        some = stars.sample(40, seed=int(rng.integers(2**31)))
        with lake.transaction() as tx:
            if step == "append":
                tx.append("stars", make_stars(known, 70))
                known += 70
            elif step == "change":
                tx.upsert("stars", some.with_columns(feh=pl.col("feh") + 1))
            elif step == "withdraw":
                tx.delete("stars", where=pl.col("object_id").is_in(some["object_id"].implode()))
            elif step == "rewrite":
                tx.write("stars", stars.sample(fraction=1, shuffle=True, seed=seed))
            else:
                tx.compact("stars" if step == "compact" else "doubled")
        if every:
            hven.update(lake, **CLUSTER)
    hven.update(lake, **CLUSTER)
    assert [s.causes for s in hven.status(lake)] == [()]
    check_as_if_anew(lake)


def test_neighbours_that_changed_make_a_block_stale(tmp_path):
    lake = hven.create(tmp_path / "crowded")
    frame = make_stars(0, 600).with_columns(ra=pl.col("ra") / 90, dec=pl.col("dec") / 45)
    frame = frame.with_columns(_healpix_29=hven.sky.healpix_29(frame["ra"], frame["dec"])).sort("_healpix_29")
    with lake.transaction() as tx:
        tx.write("stars", frame[:-20])
    hven.run(lake, crowding, {"stars": "stars"}, **CLUSTER, block_rows=100)
    with lake.transaction() as tx:
        tx.append("stars", frame[-20:])
    run = hven.run(lake, crowding, {"stars": "stars"}, **CLUSTER)
    assert run.update["kept"] >= 1, "blocks whose neighbours are the same"
    assert run.update["computed"] >= 2, "the new block, and whoever has it for a neighbour"
    check_as_if_anew(lake, "crowding", crowding)


def test_analyses_of_everything_are_left_alone_by_a_compaction(tmp_path):
    lake = hven.create(tmp_path / "whole")
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 300))
        tx.append("stars", make_stars(300, 300))
    run = hven.run(lake, trial.mean_feh, {"stars": "stars"}, **CLUSTER)
    lake.compact("stars")
    assert hven.run(lake, trial.mean_feh, {"stars": "stars"}, **CLUSTER).id == run.id
    assert hven.update(lake, **CLUSTER) == []
