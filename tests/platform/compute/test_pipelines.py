"""Pipelines: checked as a whole before anything runs, run in order, and only what is stale."""

import pickle

import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
import trial_analyses as trial
from hven import Pipeline, Step, errors
from hven.compute import Intake, PipelineReport, check_pipeline, pipeline_of, runs
from hven.plugins import DatasetPath
from simulated import make_stars

COUNT = 3_000
SYNCHRONOUS = {"cluster": "synchronous"}


@pytest.fixture
def lake(tmp_path):
    lake = hven.create(tmp_path / "a survey")
    with lake.transaction("stars") as tx:
        tx.write("stars", make_stars(0, COUNT))
    return lake


@pytest.fixture
def chain(calls):
    """Return the chain stars -> doubled -> fourfold -> mean_feh, with ranked of doubled beside it; out of order."""
    twice = hven.select("doubled", columns={"feh": "doubled", "visits": "visits_seen"})
    return Pipeline(
        [
            Step(trial.mean_feh, {"stars": hven.select("stars+fourfold", where="doubled < 99", columns={})}),
            Step(trial.fragile, {"stars": twice}, {"folder": str(calls), "worst": 99.0}, output="fourfold"),
            Step(trial.ranked, {"stars": hven.select("doubled", columns={"feh": "doubled"})}),
            Step(trial.doubled, {"stars": "stars"}, {"folder": str(calls)}),
        ]
    )


def misfits(lake, *steps, **more):
    with pytest.raises(errors.PipelineError) as refused:
        check_pipeline(lake, Pipeline(list(steps), **more))
    return [(step, error.code, str(error)) for step, error in refused.value.misfits]


def test_steps_are_run_in_order_whatever_the_order_they_are_said_in(lake, chain):
    done = hven.run_pipeline(lake, chain, **SYNCHRONOUS)
    assert [(step.name, step.state) for step in done.steps] == [
        ("doubled", "succeeded"),
        ("fourfold", "succeeded"),
        ("mean_feh", "succeeded"),
        ("ranked", "succeeded"),
    ]
    assert done.is_well
    feh = lake["stars"].table().collect()["feh"]
    assert lake["mean_feh"].table().collect()["mean_feh"].item() == pytest.approx(feh.mean())
    assert lake["fourfold"].table().collect()["doubled"].sum() == pytest.approx(4 * feh.sum())


def test_the_second_time_nothing_is_done_and_nothing_is_computed(lake, chain, calls):
    hven.run_pipeline(lake, chain, **SYNCHRONOUS)
    number, called = lake.number, len(list(calls.iterdir()))
    again = hven.run_pipeline(lake, chain, cluster="local")
    assert again.did_nothing
    assert [step.run.commit for step in again.steps] == [2, 3, 4, 5]
    assert (lake.number, len(list(calls.iterdir())), len(runs(lake))) == (number, called, 4)
    assert hven.plan_pipeline(lake, chain).does_nothing


def test_only_new_blocks_are_computed_and_the_end_is_that_of_one_go(lake, chain, calls, tmp_path):
    hven.run_pipeline(lake, chain, **SYNCHRONOUS)
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 30))
    called = len(list(calls.iterdir()))
    plan = {step.name: step for step in hven.plan_pipeline(lake, chain).steps}
    assert (plan["doubled"].plan.action, plan["doubled"].after) == ("update", ())
    assert (plan["mean_feh"].after, plan["ranked"].after) == (("fourfold",), ("doubled",))
    done = hven.run_pipeline(lake, chain, **SYNCHRONOUS)
    assert [step.state for step in done.steps] == ["succeeded"] * 4
    assert [done[name].run.update["computed"] for name in ("doubled", "fourfold")] == [1, 1]
    assert len(list(calls.iterdir())) == called + 2, "one block of each"
    whole = hven.create(tmp_path / "in one go")
    with whole.transaction("all stars") as tx:
        tx.write("stars", pl.concat([make_stars(0, COUNT), make_stars(COUNT, 30)]))
    hven.run_pipeline(whole, chain, **SYNCHRONOUS)
    for name in ("doubled", "fourfold", "ranked"):
        told = [one[name].table().collect().sort("object_id") for one in (lake, whole)]
        assert told[0].equals(told[1].select(told[0].columns)), name
    assert not any(result.is_stale for result in hven.status(lake))


def test_an_update_follows_what_a_pipeline_made_without_it(lake, chain):
    hven.run_pipeline(lake, chain, **SYNCHRONOUS)
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 30))
    assert [run.output for run in hven.update(lake, **SYNCHRONOUS)] == ["doubled", "fourfold", "ranked", "mean_feh"]
    assert hven.run_pipeline(lake, chain, **SYNCHRONOUS).did_nothing


def test_a_step_that_is_changed_is_run_again_with_what_depends_on_it(lake, chain):
    hven.run_pipeline(lake, chain, **SYNCHRONOUS)
    first, *others = chain.steps
    changed = Pipeline([Step(first.analysis, first.inputs, {"least": 2}), *others])
    done = hven.run_pipeline(lake, changed, **SYNCHRONOUS)
    assert {step.name: step.state for step in done.steps} == {
        **dict.fromkeys(("doubled", "fourfold", "ranked"), "up to date"),
        "mean_feh": "succeeded",
    }


def test_a_step_that_fails_stops_what_depends_on_it_and_nothing_else(lake, chain, calls):
    mean, fourfold, *others = chain.steps
    breaking = Step(fourfold.analysis, fourfold.inputs, {"folder": str(calls), "worst": -99.0}, "fourfold")
    after = Step(trial.ranked, {"stars": hven.select("stars+mean_feh")}, output="last")
    said = []
    done = hven.run_pipeline(lake, Pipeline([mean, breaking, *others]), **SYNCHRONOUS, tell=said.append)
    assert {step.name: (step.state, step.because) for step in done.steps} == {
        "doubled": ("succeeded", ()),
        "fourfold": ("failed", ()),
        "mean_feh": ("not run", ("fourfold",)),
        "ranked": ("succeeded", ()),
    }
    assert not done.is_well
    assert isinstance(done["fourfold"].error, errors.RunFailedError)
    assert any("fourfold: failed. [run-failed]" in line for line in said)
    assert "mean_feh: not run, because there is no fourfold" in said
    assert set(lake) == {"stars", "doubled", "ranked"}
    assert done.to_json()["steps"][1]["error"]["code"] == "run-failed"
    (calls.parent / "mended").touch()
    again = hven.run_pipeline(lake, Pipeline([mean, breaking, *others]), **SYNCHRONOUS)
    assert [step.state for step in again.steps] == ["up to date", "succeeded", "succeeded", "up to date"]
    assert after.takes == ("stars", "mean_feh")


def test_a_step_that_somebody_cancels_is_not_called_failed(lake, chain, monkeypatch):
    from hven.compute.pipelines import running

    def cancelled(lake, analysis, inputs, parameters, *, output, **how):
        if output == "fourfold":
            raise errors.RunCancelledError("the run was cancelled", hint="Resume it.")
        return hven.run(lake, analysis, inputs, parameters, output=output, **how)

    monkeypatch.setattr(running, "run", cancelled)
    done = hven.run_pipeline(lake, chain, **SYNCHRONOUS)
    assert [step.state for step in done.steps] == ["succeeded", "cancelled", "not run", "succeeded"]
    with pytest.raises(errors.RunCancelledError):
        done.check()


def test_a_pipeline_that_is_interrupted_goes_on_where_it_was(lake, calls):
    pipeline = Pipeline(
        [
            Step(trial.doubled, {"stars": "stars"}),
            Step(trial.interrupted, {"stars": "more"}, {"folder": str(calls)}),
            Step(trial.ranked, {"stars": hven.select("interrupted", columns={"feh": "doubled"})}),
        ]
    )
    with lake.transaction("stars in many files") as tx:
        tx.write("more", make_stars(0, 500))
        for one in range(1, 5):
            tx.append("more", make_stars(500 * one, 500))
    with pytest.raises(KeyboardInterrupt) as stopped:
        hven.run_pipeline(lake, pipeline, **SYNCHRONOUS)
    assert "run it again to go on" in " ".join(stopped.value.__notes__)
    assert ("doubled" in lake, "interrupted" in lake, "ranked" in lake) == (True, False, False)
    done = hven.run_pipeline(lake, pipeline, **SYNCHRONOUS)
    assert [step.state for step in done.steps] == ["up to date", "succeeded", "succeeded"]
    assert len(list(calls.iterdir())) == 5 + 1, "of the five blocks only the one that was interrupted is tried again"
    assert lake["ranked"].entry.counts.rows == 2_500


def test_several_that_fail_are_named_in_one_error(lake, calls):
    steps = [
        Step(trial.fragile, {"stars": "stars"}, {"folder": str(calls), "worst": -99.0}, output=name) for name in "ab"
    ]
    done = hven.run_pipeline(lake, Pipeline([*steps, Step(trial.ranked, {"stars": "stars"})]), **SYNCHRONOUS)
    assert [step.state for step in done.steps] == ["failed", "failed", "succeeded"]
    with pytest.raises(errors.RunFailedError, match=r"2 results could not be made: 'a', because .*; 'b', because"):
        done.check()


def test_what_fails_in_an_update_stops_only_what_is_made_of_it(lake, chain, calls):
    mean, fourfold, *others = chain.steps
    highest = 4 * float(lake["stars"].table().collect()["feh"].max())
    edge = Step(fourfold.analysis, fourfold.inputs, {"folder": str(calls), "worst": highest}, "fourfold")
    hven.run_pipeline(lake, Pipeline([mean, edge, *others]), **SYNCHRONOUS)
    with lake.transaction("all of them are too rich now") as tx:
        tx.write("stars", make_stars(0, COUNT).with_columns(feh=pl.col("feh") + 100))
    with pytest.raises(errors.RunFailedError, match="cannot be"):
        hven.update(lake, **SYNCHRONOUS)
    assert [s.name for s in hven.status(lake) if s.is_stale] == ["fourfold", "mean_feh"]
    assert lake["ranked"].entry.changed == lake.number


def test_everything_that_does_not_fit_is_told_at_once_and_nothing_runs(lake):
    number = lake.number
    told = misfits(
        lake,
        Step("metallicity_gradient", {"stars": "stars"}),
        Step(trial.doubled, {"stars": "star"}, {"secnds": 1.0, "folder": 7, "seconds": -1.0}),
        Step(trial.mean_feh, {"strs": "stars"}, {"least": "many"}),
        Step(trial.fragile, {"stars": hven.select("stars", where="fehh > 0", columns={"feh": "logg"})}),
        Step(trial.ranked, {"stars": hven.select("stars", where="feh +")}, output="../ranked"),
        Step(trial.ranked, {"stars": hven.select("stars", where="feh + 1")}),
        Step(trial.ranked, {"stars": "stars@17"}, output="stars"),
        misfits=(errors.RunFileError("there is no key 'wrkers'", hint="Did you mean 'workers'?"),),
    )
    codes = [(step, code) for step, code, _ in told]
    texts = [text for *_, text in told]
    assert codes == [
        ("", "bad-run-file"),
        ("metallicity_gradient", "unknown-analysis"),
        ("doubled", "bad-parameter"),
        ("doubled", "bad-parameter"),
        ("doubled", "bad-parameter"),
        ("doubled", "dataset-not-found"),
        ("mean_feh", "bad-parameter"),
        ("mean_feh", "bad-parameter"),
        ("mean_feh", "bad-parameter"),
        ("fragile", "bad-parameter"),
        ("fragile", "missing-column"),
        ("fragile", "missing-column"),
        ("../ranked", "name-refused"),
        ("../ranked", "bad-where"),
        ("ranked", "bad-where"),
        ("stars", "name-refused"),
        ("stars", "version-not-found"),
    ]
    assert "Did you mean 'metallicity_gradients'" in texts[1]
    assert "Did you mean 'seconds'" in texts[2]
    assert "parameter 'folder' is 7" in texts[3]
    assert "'seconds' is -1.0" in texts[4]
    assert "at least 0" in texts[4]
    assert "Did you mean 'stars'" in texts[5]
    assert "a whole number" in texts[6]
    assert "no input 'strs'" in texts[7]
    assert "input 'stars' is not given" in texts[8]
    assert "'folder' is missing" in texts[9]
    assert "no column 'logg'" in texts[10]
    assert "no column 'fehh'" in texts[11]
    assert "Did you mean 'feh'" in texts[11]
    assert (lake.number, runs(lake)) == (number, [])


def test_the_error_lists_each_misfit_on_its_own_line_and_travels_between_processes(lake):
    with pytest.raises(errors.PipelineError) as refused:
        hven.run_pipeline(lake, Pipeline([Step("fitt", {"stars": "x"}, output="a"), Step("fit", output="b")]))
    error = refused.value
    assert str(error).splitlines()[0] == "2 things do not fit in the pipeline. Nothing was run."
    assert [line[:24] for line in str(error).splitlines()[1:]] == [
        "  a: [unknown-analysis] ",
        "  b: [unknown-analysis] ",
    ]
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.to_json()) == (str(error), error.to_json())
    assert [one["step"] for one in error.to_json()["misfits"]] == ["a", "b"]


def test_steps_that_the_report_is_to_show_and_that_are_none_are_told_with_the_rest(lake):
    report = PipelineReport(show=["doubled", "rankd"])
    told = misfits(lake, Step(trial.doubled, {"stars": "star"}), Step(trial.ranked, {"stars": "stars"}), report=report)
    assert [(step, code) for step, code, _ in told] == [("", "bad-run-file"), ("doubled", "dataset-not-found")]
    assert "to show 'rankd', which is no step. Did you mean 'ranked'?" in told[0][2]


def test_the_run_of_a_step_that_failed_is_at_hand(lake, calls):
    breaking = Step(trial.fragile, {"stars": "stars"}, {"folder": str(calls), "worst": -99.0})
    done = hven.run_pipeline(lake, Pipeline([breaking]), **SYNCHRONOUS)
    (step,) = done.steps
    assert (step.state, step.run.id, step.run.state) == ("failed", runs(lake)[0].id, "failed")
    assert done.to_json()["steps"][0]["run"] == step.run.id
    assert not step.is_well


def test_two_steps_that_write_one_dataset_are_refused(lake):
    ((step, code, text),) = misfits(
        lake,
        Step(trial.doubled, {"stars": "stars"}, output="new"),
        Step(trial.ranked, {"stars": "stars"}, output="new"),
    )
    assert (step, code) == ("new", "name-refused")
    assert "by step 1 (doubled) and by step 2 (ranked)" in text


def test_parts_of_results_are_datasets_that_steps_may_take(lake):
    low = hven.select("halves.low", columns={"feh": "feh_low"})
    done = hven.run_pipeline(
        lake, Pipeline([Step(trial.ranked, {"stars": low}), Step(trial.halves, {"stars": "stars"})]), **SYNCHRONOUS
    )
    assert [step.name for step in done.steps] == ["halves", "ranked"]
    ((_, code, text),) = misfits(lake, Step(trial.ranked, {"stars": "halves"}), Step(trial.halves, {"stars": "stars"}))
    assert code == "dataset-not-found"
    assert "'halves.low'" in text


def test_circles_are_refused_each_by_its_steps(lake):
    around = {"feh": "rank"}
    told = misfits(
        lake,
        Step(trial.ranked, {"stars": hven.select("b", columns=around)}, output="a"),
        Step(trial.ranked, {"stars": hven.select("a", columns=around)}, output="b"),
        Step(trial.ranked, {"stars": hven.select("c", columns=around)}, output="c"),
        Step(trial.ranked, {"stars": "stars"}, output="d"),
    )
    circles = [text for *_, text in told if "circle" in text]
    assert len(circles) == 2
    assert any("'a' -> 'b' -> 'a'" in text or "'b' -> 'a' -> 'b'" in text for text in circles)
    assert any("'c' -> 'c'" in text for text in circles)


def test_columns_of_what_is_yet_to_be_made_are_known_from_its_analysis(lake):
    first = Step(trial.doubled, {"stars": "stars"})
    told = misfits(
        lake,
        first,
        Step(trial.ranked, {"stars": hven.select("doubled", columns={"feh": "dubled"})}, output="a"),
        Step(trial.ranked, {"stars": hven.select("doubled", columns={"feh": "visits_seen"})}, output="b"),
        Step(trial.ranked, {"stars": hven.select("stars+doubled", where="doubld > 0")}, output="c"),
        Step(trial.smoothed, {"spectra": "doubled"}, output="d"),
    )
    assert [(step, code) for step, code, _ in told] == [
        ("a", "missing-column"),
        ("c", "missing-column"),
        ("d", "missing-column"),
    ]
    assert "Did you mean 'doubled'" in told[0][2]
    assert "'dubled'" in told[0][2]
    fitting = hven.select("stars+doubled", where="doubled > 0 AND visits > 1", region="cone(10, 10, 30)")
    check_pipeline(lake, Pipeline([first, Step(trial.ranked, {"stars": fitting})]))


def test_units_of_what_is_yet_to_be_made_are_held_against_what_is_asked_for(lake):
    @hven.analysis(stars=hven.Table(length="kpc"), produces={"n": ""})
    def in_kpc(stars):
        """Wants a length."""

    ((_, code, text),) = misfits(
        lake,
        Step(trial.doubled, {"stars": "stars"}),
        Step(in_kpc, {"stars": hven.select("doubled", columns={"length": "doubled"})}),
    )
    assert code == "wrong-unit"
    assert "'doubled' is in 'dex'" in text


def test_names_that_a_pattern_promises_may_be_asked_for(lake):
    @hven.analysis(stars=hven.Table(feh="dex"), produces={"u_<x>": ""}, per_object=True)
    def unit_ranks(stars):
        """Promises columns by pattern."""
        return stars.rename(feh="u_feh")

    wants = hven.select("unit_ranks", columns={"feh": "u_feh"})
    check_pipeline(lake, Pipeline([Step(unit_ranks, {"stars": "stars"}), Step(trial.ranked, {"stars": wants})]))
    wants = hven.select("unit_ranks", columns={"feh": "v_feh"})
    told = misfits(lake, Step(unit_ranks, {"stars": "stars"}), Step(trial.ranked, {"stars": wants}))
    assert [code for _, code, _ in told] == ["missing-column"]


def test_a_trained_model_and_a_dataset_that_a_parameter_names_are_steps_before(lake):
    @hven.analysis(stars=hven.Table(feh="dex"), produces={"weights": ""})
    def learnt(stars):
        """A model: as much as there are stars."""
        return xr.Dataset({"weights": (("i", "j"), np.full((2, 2), stars.sizes["object"] / 4))})

    @hven.analysis(stars=hven.Table(feh="dex"), produces={"n": ""})
    def rows_beside(stars, *, other: DatasetPath):
        """How many objects another dataset has."""
        return xr.Dataset({"n": ("population", [other.handle().entry.counts.rows])})

    with lake.transaction() as tx:
        tx.write("offset", pl.DataFrame({"offset": [0.25]}))
    steps = [
        Step(rows_beside, {"stars": "stars"}, {"other": "scaled"}),
        Step(trial.scaled, {"stars": "stars", "scale": "learnt", "zero": "offset"}),
        Step(learnt, {"stars": "stars"}),
    ]
    done = hven.run_pipeline(lake, Pipeline(steps), **SYNCHRONOUS)
    assert [(step.name, step.state) for step in done.steps] == [
        ("learnt", "succeeded"),
        ("scaled", "succeeded"),
        ("rows_beside", "succeeded"),
    ]
    assert lake["rows_beside"].table().collect()["n"].item() == COUNT
    ((_, code, text),) = misfits(lake, Step(rows_beside, {"stars": "stars"}, {"other": "scald"}, "beside"))
    assert code == "dataset-not-found"
    assert "Did you mean 'scaled'" in text


def test_spectra_models_and_whole_tables_of_the_lake_are_held_against_what_is_asked_for(survey):
    steps = [
        Step(trial.scaled, {"stars": "stars", "scale": "weights", "zero": "offset"}),
        Step(trial.smoothed, {"spectra": "spectra"}),
        Step(trial.weighted, {"stars": "stars", "spectra": hven.select("smoothed", columns={"flux": "smoothed"})}),
    ]
    done = hven.run_pipeline(survey, Pipeline(steps), **SYNCHRONOUS)
    assert done.is_well
    assert [step.name for step in done.steps] == ["scaled", "smoothed", "weighted"]
    told = misfits(
        survey,
        Step(trial.scaled, {"stars": "stars", "scale": "weights", "zero": "weights"}, output="a"),
        Step(trial.smoothed, {"spectra": "stars"}, output="b"),
        Step(trial.scaled, {"stars": "stars", "scale": "weights+stars", "zero": "offset"}, output="c"),
    )
    assert [step for step, *_ in told] == ["a", "b", "c"]


def test_survey_files_are_ingested_once_and_columns_are_checked_before_the_first_step(lake, tmp_path):
    (tmp_path / "more.csv").write_text("source_id,ra,dec,feh\n1,10,20,-0.1\n2,11,21,0.3\n")
    more = Intake("more", (str(tmp_path / "more.csv"),))
    pipeline = Pipeline([Step(trial.mean_feh, {"stars": "more"})], [more])
    assert hven.plan_pipeline(lake, pipeline).ingests == ("more",)
    assert hven.plan_pipeline(lake, pipeline).steps[0].after == ("more",)
    done = hven.run_pipeline(lake, pipeline, **SYNCHRONOUS)
    assert [report.rows for report in done.ingested] == [2]
    assert lake["mean_feh"].table().collect()["mean_feh"].item() == pytest.approx(0.1)
    assert hven.run_pipeline(lake, pipeline, **SYNCHRONOUS).did_nothing
    wrong = Pipeline(
        [Step(trial.mean_feh, {"stars": hven.select("again", where="fe > 0")}, output="other")],
        [Intake("again", more.files)],
    )
    with pytest.raises(errors.PipelineError, match="no column 'fe'"):
        hven.run_pipeline(lake, wrong, **SYNCHRONOUS)
    assert "again" in lake
    assert "other" not in lake


def test_what_is_wrong_with_an_ingest_is_told_with_the_rest(lake, tmp_path):
    told = misfits(
        lake,
        Step(trial.mean_feh, {"stars": "a"}),
        ingest=[
            Intake("a", (str(tmp_path / "none" / "*.csv"),)),
            Intake("b", ("x.csv",), "csvv"),
            Intake("c d", ("x",)),
        ],
    )
    assert [(step, code) for step, code, _ in told] == [
        ("a", "unreadable-file"),
        ("b", "unknown-reader"),
        ("c d", "name-refused"),
    ]


def test_results_know_the_pipeline_that_they_were_made_by(lake, chain, tmp_path):
    hven.run_pipeline(lake, chain, **SYNCHRONOUS)
    found = pipeline_of(lake, "mean_feh")
    assert [step.name for step in found.steps] == ["doubled", "fourfold", "mean_feh"]
    assert found.steps[2].to_json() == {
        "analysis": "mean_feh",
        "inputs": {"stars": "stars+fourfold"},
        "where": {"stars": "doubled < 99"},
    }
    assert hven.run_pipeline(lake, pipeline_of(lake), **SYNCHRONOUS).did_nothing


def test_a_condition_that_has_no_text_runs_but_is_not_written_down(lake):
    def of(where):
        return Pipeline([Step(trial.ranked, {"stars": hven.select("stars", where=where)})])

    assert of(pl.col("feh") < 0).to_json()["steps"][0]["where"] == {"stars": '("feh" < 0)'}
    rounded = of(pl.col("feh").round(1) < 0)
    assert hven.run_pipeline(lake, rounded, **SYNCHRONOUS).is_well
    with pytest.raises(errors.RecipeError, match="Polars expression"):
        rounded.to_yaml()


def test_a_lake_of_the_past_cannot_be_run_in(lake):
    told = []
    with pytest.raises(errors.PipelineError) as refused:
        hven.run_pipeline(lake.at(1), Pipeline([Step(trial.ranked, {"stars": "stars"})]), **SYNCHRONOUS)
    told = [error.code for _, error in refused.value.misfits]
    assert told == ["read-only"]
