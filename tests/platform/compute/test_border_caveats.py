"""What is wrong with the values that an analysis is given is a caveat of the run, its report and its state."""

import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
from hven.compute.border_caveats import column_caveats, sampled_blocks
from hven.lake import Block, Part

COUNT = 788


@hven.analysis(
    stars=hven.Table(feh="dex", optional={"feh_err": "dex", "age": "Gyr"}),
    produces={"doubled": "dex"},
    per_object=True,
)
def doubled_feh(stars: xr.Dataset) -> xr.Dataset:
    """Twice the metallicity."""
    return xr.Dataset({"doubled": 2 * stars.feh})


@hven.analysis(stars=hven.Table(feh="dex", optional={"feh_err": "dex"}), produces={"mean_feh": "dex"})
def mean_of_feh(stars: xr.Dataset) -> xr.Dataset:
    """The mean metallicity."""
    mean = xr.Dataset({"mean_feh": ("one", [float(stars.feh.mean())])})
    return mean if "feh_err" in stars else mean.assign_attrs(assumed="no errors in feh")


@pytest.fixture
def written(tmp_path):
    """Return what makes a lake with stars of these columns."""

    def write(**columns):
        lake = hven.create(tmp_path / "stars")
        with lake.transaction() as tx:
            tx.write("stars", pl.DataFrame({"object_id": np.arange(COUNT)} | columns))
        return lake

    return write


@pytest.fixture
def feh():
    return np.random.default_rng(4).normal(-0.3, 0.2, COUNT)


def errors_with_fillers():
    rng = np.random.default_rng(5)
    return np.where(np.arange(COUNT) < 367, 9.99, rng.uniform(0.02, 0.1, COUNT))


@pytest.mark.parametrize("analysis", [doubled_feh, mean_of_feh])
@pytest.mark.parametrize("block_rows", [None, 100])
def test_fillers_in_errors_are_a_caveat_of_every_kind_of_run(written, feh, analysis, block_rows):
    lake = written(feh=feh, feh_err=errors_with_fillers())
    run = hven.run(lake, analysis, {"stars": "stars"}, cluster="synchronous", block_rows=block_rows)
    assert run.state == "succeeded with caveats"
    (caveat,) = run.caveats
    assert caveat.startswith("A value that looks like 'missing': 367 of 788 values (47 %) of 'feh_err' are 9.99")
    assert hven.open_run(lake, run.id).caveats == [caveat]
    page = lake.store.get(run.record["report"]).decode()
    assert page.index("367 of 788") < page.index('class="facts"')


def test_sound_columns_have_no_caveats(written, feh):
    lake = written(feh=feh, feh_err=np.random.default_rng(5).uniform(0.02, 0.1, COUNT))
    run = hven.run(lake, doubled_feh, {"stars": "stars"}, cluster="synchronous")
    assert (run.state, run.caveats) == ("succeeded", [])


def test_errors_that_a_dataset_does_not_have_are_told_once(written, feh):
    lake = written(feh=feh)
    by_object = hven.run(lake, doubled_feh, {"stars": "stars"}, cluster="synchronous")
    assert by_object.caveats == ["Dataset 'stars' has no column 'feh_err': the analysis ran without errors of 'feh'."]
    whole = hven.run(lake, mean_of_feh, {"stars": "stars"}, cluster="synchronous")
    assert whole.caveats == ["Assumed: no errors in feh. (788 objects)"]
    assert {by_object.state, whole.state} == {"succeeded with caveats"}


def test_an_update_and_a_result_that_stays_keep_the_caveats(written, feh):
    lake = written(feh=feh, feh_err=errors_with_fillers(), note=["a"] * COUNT)
    how = {"cluster": "synchronous", "block_rows": 100}
    runs = [hven.run(lake, analysis, {"stars": "stars"}, **how) for analysis in (doubled_feh, mean_of_feh)]
    with lake.transaction() as tx:
        tx.upsert("stars", lake["stars"].table().collect().with_columns(note=pl.lit("b")))
    for before, analysis in zip(runs, (doubled_feh, mean_of_feh), strict=True):
        again = hven.run(lake, analysis, {"stars": "stars"}, **how)
        assert (again.was_up_to_date, again.caveats, again.state) == (True, before.caveats, before.state)
    with lake.transaction() as tx:
        tx.append("stars", lake["stars"].table().collect().head(1).with_columns(object_id=pl.lit(5_000)))
    assert runs[0].caveats[0] in hven.run(lake, doubled_feh, {"stars": "stars"}, **how).caveats


GOOD = np.linspace(-1.0, 0.4, 500)
CASES = {
    "Errors that are zero or negative: 3 of 500": {"feh": GOOD, "feh_err": np.r_[np.full(497, 0.1), 0.0, -1.0, -1.0]},
    "Errors larger than the scatter": {"feh": GOOD, "feh_err": np.linspace(0.7, 1.1, 500)},
    "Errors larger than the range": {"feh": GOOD, "feh_err": np.linspace(0.1, 3.0, 500)},
    "One value only: all 500 values of 'feh' are 0.25": {"feh": np.full(500, 0.25)},
    "No value at all: all 500": {"feh": np.full(500, np.nan)},
    "Mostly missing: 300 of 500": {"feh": np.where(np.arange(500) < 300, np.nan, GOOD)},
    "Infinite values: 2 of 500": {"feh": np.r_[GOOD[:-2], np.inf, -np.inf]},
    "A value that looks like 'missing': 20 of 500": {"teff": np.r_[np.linspace(4e3, 6e3, 480), np.full(20, -9999.0)]},
    "A value that looks like 'missing': 30 of 500": {"parallax": np.r_[np.linspace(0.1, 6, 470), np.zeros(30)]},
}


@pytest.mark.parametrize("wanted", CASES)
def test_each_thing_that_is_wrong_is_said_with_its_number(wanted):
    found = list(column_caveats(CASES[wanted], {}, {}))
    assert [caveat for caveat in found if caveat.startswith(wanted)], found


@pytest.mark.parametrize("seed", range(5))
def test_noise_rounding_and_skew_are_no_faults(seed):
    rng = np.random.default_rng(seed)
    columns = {
        "feh": np.round(rng.normal(-0.2, 0.3, 2_000), 2),
        "feh_err": rng.lognormal(-3, 0.4, 2_000),
        "age": rng.exponential(3, 2_000),
        "teff": rng.normal(5_000, 300, 2_000).astype("f4").astype("f8"),
        "visits": rng.poisson(3, 2_000).astype("f8"),
        "g_mag": rng.uniform(9, 18, 2_000),
    }
    assert list(column_caveats(columns, {}, {})) == []


def test_of_many_blocks_some_are_looked_at_all_over_the_sky():
    blocks = [Block(index, Part("a", "s", 100), 0, 100) for index in range(1_000)]
    assert sampled_blocks(blocks[:5]) == {0, 1, 2, 3, 4}
    chosen = sorted(sampled_blocks(blocks))
    assert (len(chosen), chosen[0], chosen[-1]) == (16, 0, 999)


def test_a_unit_that_no_file_said_is_a_caveat_of_every_run_on_the_column(tmp_path):
    (tmp_path / "stars.csv").write_text("id,age,feh\n" + "".join(f"{i},{1 + i % 9},{i / 100}\n" for i in range(60)))
    lake = hven.create(tmp_path / "lake")
    hven.ingest_files(lake, tmp_path / "stars.csv", name="stars", progress=False)

    @hven.analysis(stars=hven.Table(age="Gyr"), produces={"middle": "Gyr"})
    def middle_age(stars):
        """Mean age."""
        return stars.age.mean().to_dataset(name="middle")

    run = hven.run(lake, middle_age, {"stars": "stars"}, cluster="synchronous", progress=False)
    assert run.state == "succeeded with caveats"
    assert any("'age' are taken as Gyr" in caveat for caveat in run.caveats)
