import numpy as np
import polars as pl
import pytest

import hven
import trial_analyses as trial
from hven import errors
from hven.compute import open_run, runs


def table(lake, name, **asked):
    return lake[name].table(**asked).collect().sort("object_id")


def expected(lake, **asked):
    return table(lake, "stars", **asked).select(
        "object_id", "_healpix_29", (2 * pl.col("feh")).alias("doubled"), pl.col("visits").alias("visits_seen")
    )


def test_a_per_object_run_on_workers_gives_every_object_its_result(survey, workers):
    run = hven.run(survey, trial.doubled, {"stars": "stars"}, cluster=workers, block_rows=400)
    assert (run.state, run.blocks["done"], run.rows) == ("succeeded", 15, {"in": 5_700, "out": 5_700})
    assert table(survey, "doubled").equals(expected(survey))


def test_the_result_is_in_the_order_of_its_input(survey):
    hven.run(survey, trial.doubled, {"stars": "stars"}, cluster="synchronous", block_rows=333)
    ids = survey["doubled"].table().collect()["object_id"]
    assert ids.equals(survey["stars"].table().collect()["object_id"])
    assert len({part.segment for part in survey["doubled"].source.parts}) == 2


@pytest.mark.parametrize("block_rows", [1, 97, 1_000, 16_384])
def test_the_cut_into_blocks_does_not_matter(tmp_path, block_rows):
    from simulated import make_stars

    lake = hven.create(tmp_path / "lake")
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 120 if block_rows == 1 else 3_000))
    hven.run(lake, trial.doubled, {"stars": "stars"}, cluster="synchronous", block_rows=block_rows)
    assert table(lake, "doubled").equals(expected(lake))


def test_where_and_region_choose_the_objects(survey):
    chosen = hven.select("stars", where="feh > 0.2 AND visits IS NOT NULL", region="cone(120, 30, 40)")
    run = hven.run(survey, trial.doubled, {"stars": chosen}, cluster="synchronous", block_rows=500)
    told = expected(survey, where="feh > 0.2 AND visits IS NOT NULL", region=hven.sky.cone(120, 30, 40))
    assert 10 < told.height < 2_000
    assert table(survey, "doubled").equals(told)
    assert run.rows["in"] == told.height
    assert run.blocks["empty"] > 0


def test_a_polars_expression_chooses_as_sql_does(survey):
    chosen = hven.select("stars", where=pl.col("feh") > 0.2)
    hven.run(survey, trial.doubled, {"stars": chosen}, cluster="synchronous")
    assert table(survey, "doubled").equals(expected(survey, where="feh > 0.2"))


def test_joined_datasets_are_seen_as_one(survey):
    hven.run(survey, trial.doubled, {"stars": hven.select("stars", where="feh < 1")}, cluster="synchronous")
    for first, second in (("stars", "doubled"), ("doubled", "stars")):
        chosen = hven.select(f"{first}+{second}", where="doubled > 0 AND ra < 180")
        run = hven.run(survey, trial.mean_feh, {"stars": chosen}, cluster="synchronous", output="m")
        told = table(survey, "stars", where="feh > 0 AND feh < 1 AND ra < 180")
        assert run.result.table().collect()["n"].item() == told.height
        assert run.result.table().collect()["mean_feh"].item() == pytest.approx(told["feh"].mean())


def test_inputs_are_aligned_by_object(survey, workers):
    for clustered in ("synchronous", workers):
        run = hven.run(
            survey,
            trial.weighted,
            {"stars": hven.select("stars", where="feh > -1"), "spectra": "spectra"},
            cluster=clustered,
            block_rows=900,
            force=True,
        )
        spectra = survey["spectra"].dataset(["object_id", "flux"]).compute()
        mean = pl.DataFrame({"object_id": spectra.object_id.values, "mean": spectra.flux.values.mean(1)})
        both = table(survey, "stars", where="feh > -1").join(mean, on="object_id").sort("object_id")
        got = table(survey, "weighted")
        assert got["object_id"].equals(both["object_id"])
        assert np.allclose(got["brightness"], both["mean"] * both["feh"], rtol=1e-5)
        assert run.rows["out"] == both.height


def test_the_input_that_comes_first_sets_the_objects_and_their_order(survey):
    run = hven.run(survey, trial.smoothed, {"spectra": "spectra+stars"}, cluster="synchronous", block_rows=64)
    got = run.result.dataset().compute()
    assert (got.object_id == survey["spectra"].dataset(["object_id"]).object_id).all()


def test_arrays_come_out_as_arrays(survey, workers):
    run = hven.run(survey, trial.smoothed, {"spectra": "spectra"}, cluster=workers, block_rows=64)
    assert (run.result.kind, run.blocks["done"]) == ("result", 6)
    got, given = run.result.dataset().compute(), survey["spectra"].dataset().compute()
    again = trial.smoothed(given)
    assert (got.object_id == given.object_id).all()
    assert np.array_equal(got.smoothed.values, again.smoothed.values)
    assert np.array_equal(got.wavelength.values, given.wavelength.values)
    assert run.result.schema["smoothed"].unit == "W"


def test_conditions_hold_for_arrays_too(survey):
    chosen = hven.select("spectra", where="name IS NOT NULL")
    run = hven.run(survey, trial.smoothed, {"spectra": chosen}, cluster="synchronous", block_rows=70)
    assert run.rows["in"] == 240


def test_models_and_whole_inputs_are_seen_by_every_block(survey, workers):
    given = {"stars": "stars", "scale": "weights", "zero": "offset"}
    hven.run(survey, trial.scaled, given, cluster=workers, block_rows=1_000)
    got = table(survey, "scaled")
    assert np.allclose(got["scaled"], table(survey, "stars")["feh"] * 2 + 0.75)


def test_a_result_of_parts_is_one_commit(survey):
    before = survey.number
    run = hven.run(survey, trial.halves, {"stars": "stars"}, cluster="synchronous", block_rows=1_000)
    assert survey.number == before + 1
    assert {part: handle.name for part, handle in run.results.items()} == {"low": "halves.low", "high": "halves.high"}
    assert table(survey, "halves.low")["feh_low"].max() <= 0 <= table(survey, "halves.high")["feh_high"].min()


def test_the_entry_of_a_result_tells_how_it_came_to_be(survey):
    chosen = hven.select("stars@1", where="feh > 0", region="box(0, 180, -90, 90)")
    run = hven.run(survey, trial.doubled, {"stars": chosen}, {"seconds": 0}, cluster="synchronous")
    entry = survey["doubled"].entry
    made = entry.provenance
    assert (made["run"], made["analysis"], made["version"]) == (run.id, "doubled", "1")
    assert made["parameters"] == {"folder": "", "seconds": 0.0}
    assert made["inputs"]["stars"]["where"] == "feh > 0"
    assert made["inputs"]["stars"]["region"] == "box(0, 180, -90, 90)"
    leg = made["inputs"]["stars"]["legs"][0]
    assert (leg["asked"], leg["catalog"], leg["pin"]["version"]) == (
        "stars@1",
        1,
        survey.at(1)["stars"].entry.pin.version,
    )
    assert made["software"]["hven"] == hven.__version__
    assert len(made["received"]) == 64
    assert (entry.title, entry.survey) == ("Twice the metallicity", "Mock")
    assert run.rows["in"] < 5_000
    held = survey["doubled"].table().join(survey["stars"].table(), on="object_id").collect()
    assert hven.sky.moc(entry.coverage).contains(held["ra"], held["dec"]).all()
    assert hven.sky.sky_fraction(entry.coverage) <= hven.sky.sky_fraction(survey["stars"].entry.coverage)


def test_result_columns_have_their_own_units_and_words(survey):
    hven.run(survey, trial.doubled, {"stars": "stars"}, cluster="synchronous")
    schema = survey["doubled"].schema
    assert (schema["doubled"].unit, schema["doubled"].description) == ("dex", "")
    assert schema["object_id"].description


def test_another_lake_is_read_and_not_written(survey, tmp_path):
    other = hven.create(tmp_path / "other")
    survey.release("dr1")
    before = survey.number
    hven.run(other, trial.doubled, {"stars": f"{survey.url}#stars@dr1"}, cluster="synchronous")
    assert table(other, "doubled").equals(expected(survey))
    assert survey.number == before


def test_what_is_up_to_date_is_not_computed_again(survey, calls):
    asked = {"analysis": trial.doubled, "inputs": {"stars": "stars"}, "parameters": {"folder": str(calls)}}
    first = hven.run(survey, **asked, cluster="synchronous", block_rows=1_000)
    made, number = len(list(calls.iterdir())), survey.number
    second = hven.run(survey, **asked, cluster="synchronous", block_rows=1_000)
    assert (second.id, second.state, survey.number) == (first.id, "succeeded", number)
    assert len(list(calls.iterdir())) == made
    third = hven.run(survey, **asked, cluster="synchronous", block_rows=1_000, force=True)
    assert third.id != first.id
    assert survey.number == number + 1
    assert len(list(calls.iterdir())) == 2 * made


def test_changed_data_and_a_dropped_result_are_computed_again(survey):
    first = hven.run(survey, trial.doubled, {"stars": "stars"}, cluster="synchronous")
    with survey.transaction() as tx:
        tx.delete("stars", where="feh < -1")
    second = hven.run(survey, trial.doubled, {"stars": "stars"}, cluster="synchronous")
    assert second.id != first.id
    assert table(survey, "doubled").equals(expected(survey))
    with survey.transaction() as tx:
        tx.drop("doubled")
    third = hven.run(survey, trial.doubled, {"stars": "stars"}, cluster="synchronous")
    assert third.id not in {first.id, second.id}
    assert "doubled" in survey


def test_runs_are_listed_newest_first_and_opened_by_a_part_of_their_id(survey):
    made = [
        hven.run(survey, trial.doubled, {"stars": "stars"}, cluster="synchronous", force=True, output=f"d{i}").id
        for i in range(3)
    ]
    assert [run.id for run in runs(survey)] == sorted(made, reverse=True)
    assert open_run(survey, made[0]).record == open_run(survey, made[0][-6:]).record
    assert open_run(survey, made[1]).result.name == "d1"
    with pytest.raises(errors.RunNotFoundError):
        open_run(survey, "nothing")
    with pytest.raises(errors.RunNotFoundError):
        open_run(survey, "2")


def test_readers_at_older_catalogs_keep_the_older_result(survey):
    first = hven.run(survey, trial.doubled, {"stars": "stars@1"}, cluster="synchronous")
    hven.run(survey, trial.doubled, {"stars": "stars"}, cluster="synchronous")
    assert first.result.entry.counts.rows == 5_000
    assert survey["doubled"].entry.counts.rows == 5_700
