"""Objects that make an analysis raise are set aside by themselves: the rest of their block has a result."""

import numpy as np
import polars as pl
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import hven
import trial_analyses as trial
from hven import errors
from hven.compute import runs
from hven.compute.isolating import _CALLS, isolate, rows_of

STARS = {"stars": "stars"}


@given(st.integers(2, 300), st.data())
def test_just_the_rows_that_raise_are_found(rows, data):
    bad = data.draw(st.sets(st.integers(0, rows - 1), min_size=1, max_size=min(12, rows)))

    def attempt(start, stop):
        if found := sorted(bad & set(range(start, stop))):
            raise ValueError(f"{'odd' if found[0] % 2 else 'even'} row")
        return list(range(start, stop))

    found = isolate(attempt, rows, ValueError("rows"))
    if len(found.faults) == 1 and found.faults[0][:2] == (0, rows) and rows > 1:
        assert all(row in bad for row in np.linspace(0, rows - 1, 8).astype(int)), "given up without a reason"
        return
    assert rows_of(found.faults).tolist() == sorted(bad)
    assert [row for _, _, made in found.made for row in made] == sorted(set(range(rows)) - bad)


def test_an_error_that_all_objects_have_is_given_up_after_a_few_calls():
    calls = []

    def attempt(start, stop):
        calls.append((start, stop))
        raise KeyError("wavelength")

    found = isolate(attempt, 65_536, KeyError("wavelength"))
    assert (found.made, [fault[:2] for fault in found.faults]) == ([], [(0, 65_536)])
    assert len(calls) <= 8


def test_the_number_of_calls_has_a_bound_and_no_row_is_lost():
    calls, bad = [], np.random.default_rng(5).random(65_536) < 0.2

    def attempt(start, stop):
        calls.append(stop - start)
        if bad[start:stop].any():
            raise ValueError("bad")
        return stop - start

    found = isolate(attempt, len(bad), ValueError("bad"))
    assert len(calls) <= _CALLS + 10
    assert sorted([*rows_of(found.made), *rows_of(found.faults)]) == list(range(len(bad)))
    assert set(np.flatnonzero(bad)) <= set(rows_of(found.faults).tolist())


def test_an_error_that_is_not_one_of_objects_comes_through():
    def attempt(start, stop):
        raise MemoryError("too much") if stop - start > 4 else ValueError(f"row {start}")

    with pytest.raises(MemoryError):
        isolate(attempt, 16, ValueError("rows"))


@pytest.fixture
def lake(tmp_path):
    """Return a lake of 1,000 stars, all in one block, with ids of their survey."""
    lake = hven.create(tmp_path / "stars")
    count = np.arange(1_000)
    feh = np.random.default_rng(3).normal(-0.3, 0.2, 1_000)
    feh[[17, 600]] = 9.0
    frame = pl.DataFrame({"object_id": count + 10_000, "source_id": count * 7, "feh": feh, "visits": count % 5})
    with lake.transaction("stars") as tx:
        tx.write("stars", frame)
    return lake


def test_the_only_block_of_a_run_gives_the_result_of_all_objects_but_the_two_that_raise(lake, calls):
    parameters = {"folder": str(calls), "worst": 3.0}
    run = hven.run(lake, trial.fragile, STARS, parameters, cluster="synchronous")
    assert (run.state, run.rows, run.blocks["failed"]) == ("partial", {"in": 998, "out": 998}, 1)
    (aside,) = run.account().set_aside
    assert (aside.objects, aside.named) == (2, ((10_017, 119), (10_600, 4_200)))
    assert "a metallicity of 9.000 cannot be" in aside.reason
    assert "2 of 1,000 objects are missing" in run.caveats[0]
    result = lake["fragile"].table(["object_id", "source_id", "doubled"]).collect().sort("object_id")
    stars = lake["stars"].table(["object_id", "source_id", "feh"]).collect().sort("object_id")
    stars = stars.filter(pl.col("feh") < 3)
    assert result.equals(stars.select("object_id", "source_id", (2 * pl.col("feh")).alias("doubled")))
    assert run.objects == {"of": 1_000, "done": 998, "set_aside": 2, "left": 0}
    assert "blocks failed" in next(s.causes for s in hven.status(lake) if s.name == "fragile")[0]

    again = hven.run(lake, trial.fragile, STARS, parameters, cluster="synchronous")
    assert (again.id, again.state, again.rows, again.objects) == (run.id, "partial", run.rows, run.objects)
    (calls.parent / "mended").touch()
    mended = hven.retry(lake, run.id, analysis=trial.fragile, cluster="synchronous")
    assert (mended.id, mended.state, mended.failures, mended.caveats) == (run.id, "succeeded", [], [])
    assert mended.objects == {"of": 1_000, "done": 1_000, "set_aside": 0, "left": 0}
    assert lake["fragile"].table().collect()["object_id"].n_unique() == lake["fragile"].entry.counts.rows == 1_000


def test_an_update_tries_the_block_again_that_lacks_objects_and_keeps_the_others(survey, calls):
    fehs = survey["stars"].table(["object_id", "feh"]).collect().sort("feh")
    parameters = {"folder": str(calls), "worst": float(fehs["feh"][-2:].mean())}
    run = hven.run(survey, trial.fragile, STARS, parameters, cluster="synchronous", block_rows=400)
    assert (run.state, run.objects["set_aside"], run.blocks["failed"]) == ("partial", 1, 1)
    with survey.transaction("more") as tx:
        tx.append("stars", fehs.head(1).with_columns(object_id=pl.lit(1, pl.Int64), visits=pl.lit(1, pl.Int64),
            ra=pl.lit(10.0), dec=pl.lit(10.0)))  # fmt: skip
    (calls.parent / "mended").touch()
    update = hven.run(survey, trial.fragile, STARS, parameters, cluster="synchronous")
    assert (update.state, update.rows["out"]) == ("succeeded", 5_701)
    assert update.update["computed"] == 2
    assert survey["fragile"].table(["object_id"]).collect().height == 5_701


def test_nothing_is_published_when_every_object_raises_the_same(lake, calls):
    with pytest.raises(errors.RunFailedError, match="the only block failed, and there is no result"):
        hven.run(lake, trial.fragile, STARS, {"folder": str(calls), "worst": -9.0}, cluster="synchronous")
    assert (runs(lake)[0].state, len(list(calls.iterdir())) <= 9) == ("failed", True)


def test_arrays_lack_just_the_objects_that_raise(survey, calls):
    flux = survey["spectra"].dataset(["flux", "object_id"]).compute()
    brightest = flux.flux.max("wavelength")
    worst = int(flux.object_id[int(np.argmax(brightest.values))])
    parameters = {"folder": str(calls), "worst": float(brightest.max()) - 1e-3}
    run = hven.run(survey, trial.smoothed, {"spectra": "spectra"}, parameters, cluster="synchronous")
    assert (run.state, [one[0] for one in run.account().set_aside[0].named]) == ("partial", [worst])
    got = run.result.dataset().compute()
    assert set(got.object_id.values) == set(flux.object_id.values) - {worst}
    level = flux.flux.mean("wavelength").sel(object=np.isin(flux.object_id, got.object_id))
    np.testing.assert_allclose(got.level, level, rtol=1e-6)


@hven.analysis(
    stars=hven.Table(ra="deg", dec="deg", feh="dex"), produces={"near": ""}, per_object=True, margin="30 arcmin"
)
def neighbours(stars: xr.Dataset, *, worst: float) -> xr.Dataset:
    """Count the stars within half a degree; a star above the worst cannot have any."""
    own = ~stars.is_margin.values
    if (stars.feh.values[own] > worst).any():
        raise ValueError("no neighbours")
    ra, dec = stars.ra.values, stars.dec.values
    cosine = np.cos(np.radians(dec))
    near = (np.hypot((ra[:, None] - ra) * cosine[:, None], dec[:, None] - dec) < 0.5).sum(axis=1)
    return xr.Dataset({"near": ("object", near.astype("i8"))})


def test_neighbours_stay_neighbours_when_a_block_is_halved(survey):
    fehs = survey["stars"].table(["feh"]).collect()["feh"].sort()
    parameters = {"worst": float(fehs[-3:-1].mean())}
    whole = hven.run(survey, neighbours, STARS, {"worst": 99.0}, cluster="synchronous", output="whole")
    run = hven.run(survey, neighbours, STARS, parameters, cluster="synchronous", output="lacking")
    assert (whole.state, run.state, run.objects["set_aside"]) == ("succeeded", "partial", 2)
    both = survey["lacking"].table(["object_id", "near"]).collect().join(
        survey["whole"].table(["object_id", "near"]).collect(), on="object_id"
    )  # fmt: skip
    assert both.height == 5_698
    assert (both["near"] == both["near_right"]).all()
