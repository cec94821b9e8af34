"""Derived columns: computed from what is read, part of what is asked, and of what decides whether a result is stale."""

import json

import numpy as np
import polars as pl
import pytest

import hven
import trial_analyses as trial
from hven import errors
from simulated import make_spectra, make_stars

HOW = {"cluster": "synchronous"}
STARS = (
    make_stars(0, 3_000)
    .rename({"feh": "metals"})
    .with_columns(teff=5000 + 10 * pl.col("dec"), r_gal=8 + pl.col("ra") / 90)
)


def run(lake, analysis=trial.mean_feh, output=None, **selected):
    return hven.run(lake, analysis, {"stars": hven.select("stars", **selected)}, output=output, **HOW)


def mean(lake, name="mean_feh"):
    return lake[name].table().collect()["mean_feh"].item()


@pytest.fixture
def lake(tmp_path):
    lake = hven.create(tmp_path / "lake")
    with lake.transaction("stars") as tx:
        tx.write("stars", STARS)
    return lake


def test_an_analysis_takes_a_column_that_is_computed_as_it_is_read(lake):
    done = run(lake, derived={"feh [dex]": "metals + 0.5*log10(teff/5000)"})
    assert done.state == "succeeded"
    expected = lake["stars"].table().select(pl.col("metals") + 0.5 * (pl.col("teff") / 5000).log10()).collect()
    assert mean(lake) == pytest.approx(np.nanmean(expected.to_series().to_numpy()), rel=1e-6)
    assert "feh" not in lake["stars"].schema


def test_a_derived_column_has_its_unit_and_is_converted(lake):
    run(lake, derived={"feh [dex]": "metals"})
    # 100 is how many times a hundredth of a unit is: percent of a dex make no sense, a length does.
    with pytest.raises(errors.UnitError, match="'dex'"):
        run(lake, derived={"feh [km]": "metals"}, output="lengths")
    with pytest.raises(errors.UnitError, match="bananas"):
        run(lake, derived={"feh [bananas]": "metals"})


def test_a_condition_may_use_a_derived_column(lake):
    done = run(lake, where="hot > 0 AND feh < 0", derived={"feh": "metals", "hot": "teff - 5000"})
    assert done.state == "succeeded"
    expected = lake["stars"].table(where="teff > 5000 AND metals < 0").collect()["metals"].mean()
    assert mean(lake) == pytest.approx(expected, rel=1e-6)


def test_derived_columns_stand_in_renamed_columns_and_in_per_object_results(lake):
    selection = hven.select("stars", columns={"feh": "twice"}, derived={"twice [dex]": "2*metals"})
    hven.run(lake, trial.doubled, {"stars": selection}, **HOW)
    both = lake["doubled"].table().collect().join(lake["stars"].table().collect(), on="object_id")
    assert both.height == 3_000
    assert np.allclose(both["doubled"], 4 * both["metals"], equal_nan=True)


def test_a_derived_column_of_joined_datasets_uses_both(lake):
    stars = lake["stars"].table().collect()
    with lake.transaction() as tx:
        tx.write("offsets", stars.select("object_id", offset=pl.lit(0.25))[::2])
    done = hven.run(
        lake, trial.mean_feh, {"stars": hven.select("stars+offsets", derived={"feh": "metals + offset"})}, **HOW
    )
    assert [caveat[:6] for caveat in done.caveats] == ["Join: "]
    assert mean(lake) == pytest.approx(stars["metals"][::2].mean() + 0.25, rel=1e-6)


def test_another_expression_is_another_result_and_the_same_is_kept(lake):
    first = run(lake, derived={"feh": "metals"})
    assert run(lake, derived={"feh": "metals"}).id == first.id, "nothing was computed again"
    second = run(lake, derived={"feh": "metals + 1"})
    assert second.id != first.id
    assert mean(lake) == pytest.approx(lake["stars"].table().collect()["metals"].mean() + 1, rel=1e-6)


def test_a_result_with_derived_columns_is_stale_when_what_they_are_made_of_changes(lake):
    run(lake, derived={"feh": "metals + teff/10000"})
    (status,) = hven.status(lake)
    assert not status.is_stale
    ids = lake["stars"].table().collect()["object_id"]
    with lake.transaction() as tx:
        tx.delete("stars", pl.col("object_id") == ids[0])
    (status,) = hven.status(lake)
    assert status.is_stale
    hven.update(lake, **HOW)
    stars = lake["stars"].table().collect()
    assert mean(lake) == pytest.approx((stars["metals"] + stars["teff"] / 10000).mean(), rel=1e-6)
    made = lake.catalog["mean_feh"].provenance["inputs"]["stars"]
    assert made["with"] == {"feh": "metals + teff/10000"}


@pytest.mark.parametrize(
    ("derived", "kind", "text"),
    [
        ({"feh": "metal + 1"}, errors.MissingColumnError, "Did you mean 'metals'"),
        ({"feh": "AVG(metals)"}, errors.WhereError, "other rows"),
        ({"feh": "metals - LAG(metals) OVER (ORDER BY teff)"}, errors.WhereError, "other rows"),
        ({"feh": "(SELECT 1)"}, errors.WhereError, "begins a query"),
        ({"feh": "read_csv('x')"}, errors.WhereError, "no function"),
        ({"feh": "metals +"}, errors.WhereError, "cannot be understood"),
        ({"feh": "1"}, errors.WhereError, "names no column"),
        ({"feh": "DATE '2020-01-01'"}, errors.WhereError, "gives Date"),
        ({"feh": "metals", "teff": "metals"}, errors.WhereError, "already"),
        ({"feh": "metals", "metals_valid": "teff > 0"}, errors.WhereError, "'metals_valid' would say"),
        ({"feh": "metals", "feh_valid": "teff > 0"}, errors.WhereError, "'feh_valid' would say"),
        ({"fe/h": "metals"}, errors.WhereError, "cannot name"),
        ({"feh": "metals + 'a'"}, errors.WhereError, "feh|metals"),
    ],
    ids=str,
)
def test_what_cannot_be_derived_is_refused_before_anything_is_read(lake, derived, kind, text):
    with pytest.raises(kind, match=text):
        run(lake, derived=derived)
    assert "mean_feh" not in lake


def test_spectra_take_derived_columns_of_their_objects(tmp_path):
    lake = hven.create(tmp_path / "lake")
    spectra = make_spectra(0, 300)
    with lake.transaction() as tx:
        tx.write("spectra", spectra.assign(snr=("object", np.arange(300.0))))
    selection = hven.select("spectra", where="half_snr > 100", derived={"half_snr": "snr/2"})
    hven.run(lake, trial.smoothed, {"spectra": selection}, **HOW)
    assert lake["smoothed"].entry.counts.rows == 99


def test_a_run_file_and_a_pipeline_take_derived_columns(lake, tmp_path, command):
    table = "red_clump_distances"
    frame = pl.DataFrame(
        {"object_id": [1, 2, 3], "ra": [1.0, 2.0, 3.0], "dec": [0.0] * 3, "k": [10.0, 11.0, 12.0], "a_k": [0.1] * 3}
    )
    with lake.transaction() as tx:
        tx.write("clump", frame)
    file = tmp_path / "run.yaml"
    file.write_text(
        f"analysis: {table}\ninputs: {{stars: clump}}\nwith:\n  'ks_mag [mag]': k - 0.5\ncluster: synchronous\n"
    )
    said = command(f"run -c {file} --lake {lake.url}")
    assert said.status == 0, said.err
    by_file = lake[table].table().collect()["distance"].to_list()
    said = command(
        f"run {table} -i clump --with 'ks_mag [mag] = k - 0.5' --output other --cluster synchronous --lake {lake.url}"
    )
    assert said.status == 0, said.err
    assert lake["other"].table().collect()["distance"].to_list() == by_file
    pipe = tmp_path / "pipe.yaml"
    pipe.write_text(
        f"steps:\n  - analysis: {table}\n    output: third\n    inputs: {{stars: clump}}\n"
        "    with: {stars: {ks_mag: k - 0.5}}\n"
    )
    said = command(f"run -c {pipe} --cluster synchronous --lake {lake.url}")
    assert said.status == 0, said.err
    assert lake["third"].table().collect()["distance"].to_list() == by_file
    assert "ks_mag [mag]: k - 0.5" in command(f"pipeline {table} --lake {lake.url}").out
    pipe.write_text(pipe.read_text().replace("k - 0.5", "kk - 0.5").replace("third", "fourth"))
    refused = command(f"run -c {pipe} --cluster synchronous --lake {lake.url}")
    assert "Did you mean 'k'" in refused.err
    assert "fourth" not in lake


def test_a_schedule_keeps_derived_columns(lake, command):
    said = command(
        "schedule add nightly metallicity_gradients -i stars --with 'feh [dex] = metals' --cron '0 3 * * *' "
        f"--json --lake {lake.url}"
    )
    assert said.status == 0, said.err
    assert json.loads(said.out)["inputs"]["stars"]["with"] == {"feh [dex]": "metals"}


def test_a_cross_match_refuses_derived_columns(lake):
    with pytest.raises(errors.ParameterError, match="derived"):
        hven.crossmatch(hven.select("stars", derived={"a": "teff"}), "stars", "1 arcsec", lake=lake)
