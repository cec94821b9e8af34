"""What reaches an analysis: float64 with NaN, whatever the dataset keeps, and however many columns it has."""

import numpy as np
import polars as pl
import pytest

import hven
import trial_analyses as trial
from hven.plugins import evaluate, lazily
from simulated import make_stars

ROWS = 700


def twins(columns):
    """Return stars with whole numbers and flags, a third of them null, and the same with floats: `columns` in all."""
    rng = np.random.default_rng(columns)
    stars = make_stars(0, ROWS).drop("visits", "name")
    others = [pl.Series(f"c_{i:03d}", rng.normal(size=ROWS).astype("f4")) for i in range(columns - stars.width - 3)]
    null = {name: rng.random(ROWS) < 1 / 3 for name in ("teff", "visits", "is_variable")}
    whole = {
        "teff": pl.Series(rng.integers(3500, 7000, ROWS).astype("i2")),
        "visits": pl.Series(rng.integers(0, 50, ROWS)),
        "is_variable": pl.Series(rng.random(ROWS) < 0.5),
    }
    made = {n: values.set(pl.Series(null[n]), None).alias(n) for n, values in whole.items()}
    integers = stars.select(*(["object_id", "_healpix_29", "ra", "dec"]), *others, *made.values(), "feh")
    return integers, integers.with_columns(pl.col(*made).cast(pl.Float64))


@pytest.fixture
def lake(tmp_path):
    return hven.create(tmp_path / "lake")


@pytest.mark.parametrize("columns", [8, 40, 300])
def test_whole_numbers_and_flags_with_nulls_give_what_their_float_twins_give(lake, columns):
    integers, floats = twins(columns)
    with lake.transaction() as tx:
        for name, frame in (("integers", integers), ("floats", floats)):
            tx.write(name, frame[: ROWS // 2])
            tx.append(name, frame[ROWS // 2 :])
    for analysis, into in ((trial.seen, "seen"), (trial.means, "means")):
        results = []
        for name in ("integers", "floats"):
            run = hven.run(
                lake, analysis, {"stars": name}, cluster="synchronous", block_rows=130, output=f"{into}_{name}"
            )
            assert run.state == "succeeded"
            results.append(lake[f"{into}_{name}"].table().collect())
        assert results[0].equals(results[1])
    seen = lake["seen_integers"].table().collect()
    told = seen.join(integers, on="object_id", how="inner")
    for name in ("teff", "visits"):
        assert told[f"seen_{name}"].null_count() == integers[name].null_count() > 100
        assert told[f"seen_{name}"].equals(told[name].cast(pl.Float64))
    assert lake["means_integers"].table().collect()["teff_mean"][0] == pytest.approx(integers["teff"].mean())


def test_columns_that_a_parameter_names_have_nan_for_nulls_too(lake):
    integers, _ = twins(9)
    integers = integers.rename({"visits": "transits"})
    with lake.transaction() as tx:
        tx.write("stars", integers)
    hven.run(lake, trial.seen, {"stars": "stars"}, {"columns": ["transits"]}, cluster="synchronous")
    assert lake["seen"].table().collect()["seen_transits"].null_count() == integers["transits"].null_count()


@pytest.mark.parametrize("is_lazy", [True, False])
def test_a_notebook_gives_an_analysis_what_a_run_gives_it(lake, is_lazy):
    integers, floats = twins(12)
    with lake.transaction() as tx:
        tx.write("integers", integers)
        tx.write("floats", floats)
    results = []
    for name in ("integers", "floats"):
        data = lake[name].dataset()
        opened = data if is_lazy else data.compute()
        results.append(
            [lazily(trial.seen, {"stars": opened})[""].compute(), evaluate(trial.seen, {"stars": opened})[""]]
        )
        results[-1].append(evaluate(trial.means, {"stars": opened})[""])
    for one, other in zip(*results, strict=True):
        assert one.equals(other)
    assert int(np.isnan(results[0][0].seen_teff.values).sum()) == integers["teff"].null_count()


def test_objects_that_come_back_in_another_order_are_refused_and_never_given_others_values(tmp_path):
    @hven.analysis(stars=hven.Table(object_id=None, teff="K"), produces={"hot": "K"}, per_object=True)
    def sorts(stars):
        """Return the stars in the order of their temperatures."""
        return stars.sortby("teff").rename(teff="hot")

    lake = hven.create(tmp_path / "lake")
    with lake.transaction("stars") as tx:
        tx.write("stars", pl.DataFrame({"object_id": range(6), "teff": [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]}))
    with pytest.raises(hven.errors.HvenError, match="'object_id' of the result is not that of the objects"):
        hven.run(lake, sorts, {"stars": "stars"}, cluster="synchronous")
    with lake.transaction("in order") as tx:
        tx.write("stars", pl.DataFrame({"object_id": range(6), "teff": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}))
    assert hven.run(lake, sorts, {"stars": "stars"}, cluster="synchronous").state == "succeeded"
