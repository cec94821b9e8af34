"""What an analysis received decides whether its result stays: columns that it does not take may change as they like."""

import importlib
import sys
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
import trial_analyses as trial
from hven.compute.records import open_run
from hven.plugins import is_other_source, source_fingerprint

STARS = {"stars": "stars"}


@pytest.fixture
def lake(tmp_path):
    """Return a lake of 900 stars in one file."""
    lake = hven.create(tmp_path / "stars")
    rng = np.random.default_rng(1)
    frame = {"object_id": np.arange(900), "feh": rng.normal(-0.3, 0.2, 900), "visits": np.arange(900) % 5}
    with lake.transaction("stars") as tx:
        tx.write("stars", pl.DataFrame(frame | {"note": ["a"] * 900}))
    return lake


def rewrite(lake, **columns):
    """Write the stars anew, with other columns."""
    frame = lake["stars"].table().collect().with_columns(**columns)
    with lake.transaction("stars again") as tx:
        tx.upsert("stars", frame)


def causes(lake, name):
    return next(one.causes for one in hven.status(lake) if one.name == name)


@pytest.mark.parametrize("clustered", ["synchronous", "workers"])
def test_a_column_that_is_not_taken_changes_and_the_result_of_everything_stays(lake, clustered, request):
    cluster = request.getfixturevalue("workers") if clustered == "workers" else clustered
    first = hven.run(lake, trial.mean_feh, STARS, cluster=cluster)
    assert not first.was_up_to_date
    rewrite(lake, note=pl.lit("b"))
    number = lake.number
    assert causes(lake, "mean_feh") == ()
    assert hven.plan(lake, trial.mean_feh, STARS).action == "update"
    again = hven.run(lake, trial.mean_feh, STARS, cluster=cluster)
    assert (again.was_up_to_date, again.made_by, again.state) == (True, first.id, "succeeded")
    assert (lake.number, again.commit, again.rows) == (number, first.commit, first.rows)
    assert again.result.table().collect().equals(first.result.table().collect())
    assert (again.report, again.figures) == (first.report, first.figures)
    assert (causes(lake, "mean_feh"), hven.plan(lake, trial.mean_feh, STARS).action) == ((), "nothing")
    assert hven.run(lake, trial.mean_feh, STARS, cluster=cluster).made_by == first.id
    assert hven.update(lake, cluster=cluster) == []

    rewrite(lake, feh=pl.when(pl.col("object_id") == 7).then(0.5).otherwise("feh"))
    (cause,) = causes(lake, "mean_feh")
    assert cause.startswith("dataset 'stars' has changed since catalog")
    assert cause.endswith(": column 'feh'")
    changed = hven.run(lake, trial.mean_feh, STARS, cluster=cluster)
    assert (changed.was_up_to_date, changed.commit) == (False, lake.number)
    rewrite(lake, note=pl.lit("c"))
    assert hven.run(lake, trial.mean_feh, STARS, cluster=cluster).made_by == changed.id


def test_a_result_of_objects_in_which_everything_is_kept_makes_no_commit_and_nothing_stale(lake):
    how = {"cluster": "synchronous", "block_rows": 300}
    first = hven.run(lake, trial.doubled, STARS, **how)
    after = hven.run(lake, trial.mean_feh, {"stars": hven.select("doubled", columns={"feh": "doubled"})}, **how)
    rewrite(lake, note=pl.lit("b"))
    number = lake.number
    again = hven.run(lake, trial.doubled, STARS, **how)
    assert (again.was_up_to_date, again.made_by, lake.number) == (True, first.id, number)
    assert (again.update["kept"], again.update["computed"], again.update["moved"]) == (3, 0, 0)
    assert (causes(lake, "doubled"), causes(lake, "mean_feh")) == ((), ())
    assert hven.update(lake, cluster="synchronous") == []
    assert hven.run(lake, trial.doubled, STARS, **how).was_up_to_date

    # What stands upon the confirmation goes on: only what really changes is computed.
    rewrite(lake, feh=pl.when(pl.col("object_id") == 899).then(0.5).otherwise("feh"))
    changed = hven.run(lake, trial.doubled, STARS, **how)
    assert (changed.was_up_to_date, changed.update["kept"], changed.update["computed"]) == (False, 2, 1)
    assert changed.update["before"] == again.id
    assert [run.output for run in hven.update(lake, cluster="synchronous")] == ["mean_feh"]
    assert after.commit < lake.number


def test_objects_that_come_or_go_are_told_as_such(lake):
    hven.run(lake, trial.mean_feh, STARS, cluster="synchronous")
    frame = lake["stars"].table().collect().head(1).with_columns(object_id=pl.lit(5_000))
    with lake.transaction("one more") as tx:
        tx.append("stars", frame)
    assert causes(lake, "mean_feh")[0].endswith(": objects came or went")
    assert not hven.run(lake, trial.mean_feh, STARS, cluster="synchronous").was_up_to_date


def test_records_without_digests_are_computed_again(lake):
    first = hven.run(lake, trial.mean_feh, STARS, cluster="synchronous")
    del first.record["received"]
    first.save()
    rewrite(lake, note=pl.lit("b"))
    assert causes(lake, "mean_feh")[0].startswith("dataset 'stars' has changed since catalog")
    assert not hven.run(lake, trial.mean_feh, STARS, cluster="synchronous").was_up_to_date


def test_force_computes_what_is_the_same(lake):
    hven.run(lake, trial.mean_feh, STARS, cluster="synchronous")
    rewrite(lake, note=pl.lit("b"))
    assert not hven.run(lake, trial.mean_feh, STARS, cluster="synchronous", force=True).was_up_to_date


def test_arrays_are_known_by_their_values_and_large_ones_by_their_version(survey, monkeypatch):
    given = {"scale": "weights"}
    hven.run(survey, trial.weighed, given, cluster="synchronous")
    weights = survey["weights"].dataset().compute()
    with survey.transaction("the same again") as tx:
        tx.write("weights", weights, kind="model")
    number = survey.number
    assert hven.run(survey, trial.weighed, given, cluster="synchronous").was_up_to_date
    assert survey.number == number
    with survey.transaction("others") as tx:
        tx.write("weights", weights + 1, kind="model")
    assert not hven.run(survey, trial.weighed, given, cluster="synchronous").was_up_to_date


SOURCE = """
import xarray as xr
import hven

_FACTOR = {factor}

def _scaled(values):
    {comment}
    return _FACTOR * values

@hven.analysis(stars=hven.Table(feh="dex"), produces={{"scaled": "dex"}}, per_object={per_object})
def scaled_feh(stars: xr.Dataset) -> xr.Dataset:
    "{text}"
    return xr.Dataset({{"scaled": _scaled(stars.feh){sum}}})
"""


def test_a_function_that_changed_under_its_version_is_a_warning_and_never_silence(lake, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def module(**said):
        told = {"factor": 2, "comment": "# as in the paper", "text": "Scaled.", "per_object": True, "sum": ""} | said
        (tmp_path / "scaling_plugin.py").write_text(SOURCE.format(**told))
        importlib.invalidate_caches()
        sys.modules.pop("scaling_plugin", None)
        return importlib.import_module("scaling_plugin").scaled_feh

    how = {"cluster": "synchronous"}
    made = hven.run(lake, module(), STARS, **how)
    assert made.record["analysis"]["fingerprint"] == made.result.entry.provenance["fingerprint"] != ""
    again = hven.run(lake, module(comment="# as in the other paper", text="Scaled, that is."), STARS, **how)
    assert (again.id, again.warnings, again.was_up_to_date) == (made.id, [], True)

    changed = module(factor=3)
    (status,) = hven.status(lake)
    assert (status.causes, status.is_stale) == ((), False)
    assert "source of analysis 'scaled_feh' has changed under version 1" in status.warnings[0]
    assert "has changed under version 1" in hven.plan(lake, changed, STARS).warnings[0]
    told = hven.run(lake, changed, STARS, **how)
    assert (told.id, told.was_up_to_date) == (made.id, True)
    assert "has changed under version 1" in told.warnings[0]

    with lake.transaction("one more") as tx:
        tx.append("stars", lake["stars"].table().collect().head(1).with_columns(object_id=pl.lit(5_000)))
    mixed = hven.run(lake, changed, STARS, **how)
    assert mixed.state == "succeeded with caveats"
    assert "another source of the analysis" in mixed.caveats[0]
    forced = hven.run(lake, changed, STARS, force=True, **how)
    assert (forced.state, hven.status(lake)[0].warnings) == ("succeeded", ())
    sys.modules.pop("scaling_plugin", None)


def test_fingerprints_follow_helpers_and_not_words():
    before = source_fingerprint(trial.doubled.function)
    assert before == source_fingerprint(trial.doubled.function) != source_fingerprint(trial.fragile.function)
    assert not is_other_source("", before)


def closing_over(factor, more=None):
    def scaled(stars):
        return factor * stars if more is None else more(stars)

    return scaled


def test_fingerprints_follow_what_a_function_closes_over_and_what_it_declares():
    table = np.arange(3.0)
    one = source_fingerprint(closing_over(2.0))
    assert one == source_fingerprint(closing_over(2.0)) != source_fingerprint(closing_over(3.0))
    assert source_fingerprint(closing_over(table)) == source_fingerprint(closing_over(table.copy()))
    assert source_fingerprint(closing_over(table)) != source_fingerprint(closing_over(table + 1))
    assert source_fingerprint(closing_over({"a": [1]})) != source_fingerprint(closing_over({"a": [2]}))
    inner = [source_fingerprint(closing_over(1, closing_over(factor))) for factor in (2, 2, 3)]
    assert inner[0] == inner[1] != inner[2]
    assert is_other_source(one, source_fingerprint(closing_over(2.0), "kpc"))


@pytest.mark.parametrize("change", ["unit", "closure"])
def test_another_unit_or_closure_under_one_version_is_a_warning(lake, change):
    def made(unit, factor):
        @hven.analysis(stars=hven.Table(feh="dex"), produces={"scaled": unit}, per_object=True)
        def scaled(stars):
            """Scaled."""
            return xr.Dataset({"scaled": ("object", factor * stars.feh.values)})

        return scaled

    first = hven.run(lake, made("K", 2.0), STARS, cluster="synchronous")
    same = hven.run(lake, made("K", 2.0), STARS, cluster="synchronous")
    assert (same.id, same.warnings) == (first.id, [])
    other = hven.run(lake, made("kpc" if change == "unit" else "K", 2.0 + (change == "closure")), STARS)
    assert (other.was_up_to_date, "has changed under version 1" in other.warnings[0]) == (True, True)


def test_retention_leaves_what_a_confirmation_stands_upon(lake):
    first = hven.run(lake, trial.mean_feh, STARS, cluster="synchronous")
    rewrite(lake, note=pl.lit("b"))
    hven.run(lake, trial.mean_feh, STARS, cluster="synchronous")
    lake.vacuum(keep=1, grace=timedelta(0), dry_run=False)
    assert open_run(lake, first.id).state == "succeeded"
    assert (causes(lake, "mean_feh"), lake["mean_feh"].table().collect().height) == ((), 1)


@hven.analysis(stars=hven.Table(distance="kpc"), produces={"far": "kpc"}, per_object=True)
def each_far(stars):
    """Return the distance of each star."""
    return stars[["distance"]].rename(distance="far")


@hven.analysis(stars=hven.Table(distance="kpc"), produces={"far": "kpc"})
def farthest(stars):
    """Return the largest distance."""
    return stars[["distance"]].max().rename(distance="far")


@pytest.mark.parametrize("analysis", [each_far, farthest], ids=lambda one: one.name)
def test_another_unit_of_a_column_that_is_taken_makes_a_result_stale_and_another_text_does_not(lake, analysis):
    rewrite_all = pl.DataFrame({"object_id": range(9), "distance": np.linspace(1, 2, 9), "age": np.ones(9)})
    with lake.transaction("stars") as tx:
        tx.write("stars", rewrite_all)
    hven.run(lake, analysis, STARS, output="far", cluster="synchronous")
    with lake.transaction("words, and the unit of another column") as tx:
        tx.describe("stars", units={"age": "Myr"}, descriptions={"distance": "From parallaxes"}, force=True)
    assert causes(lake, "far") == ()
    with lake.transaction("they are in pc") as tx:
        tx.describe("stars", units={"distance": "pc"}, force=True)
    assert causes(lake, "far") == ("column 'distance' of dataset 'stars' is in 'pc' now, and was in 'kpc'",)
    hven.run(lake, analysis, STARS, output="far", cluster="synchronous")
    assert float(lake["far"].dataset().far.max()) == pytest.approx(0.002)
    assert causes(lake, "far") == ()
