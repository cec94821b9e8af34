"""What `hven run` says of a result: its state and caveats, then its numbers."""

import json

import numpy as np
import polars as pl
import pytest

import hven

RUN = "run metallicity_gradients --input stars=stars --cluster synchronous"


@pytest.fixture
def lake(tmp_path):
    """Return a lake of stars whose metallicity falls by 0.06 dex/kpc, half of them with a filler for an error."""
    rng = np.random.default_rng(8)
    r_gal, count = rng.uniform(4, 12, 500), np.arange(500)
    columns = {
        "object_id": count,
        "r_gal": r_gal,
        "feh": 0.4 - 0.06 * r_gal + rng.normal(0, 0.1, 500),
        "feh_err": np.where(count % 2, 9.99, rng.uniform(0.02, 0.08, 500)),
        "age": rng.uniform(1, 12, 500),
        "note": ["a"] * 500,
    }
    lake = hven.create(tmp_path / "lake")
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame(columns))
    return lake


def test_a_run_prints_caveats_and_then_numbers_with_errors_and_units(command, lake):
    said = command(f"{RUN} --lake '{lake.url}'")
    assert said.status == 0
    lines = said.out.splitlines()
    assert lines[0].startswith("metallicity_gradients: succeeded with caveats (run ")
    filler = next(n for n, line in enumerate(lines) if "250 of 500 values (50 %) of 'feh_err' are 9.99" in line)
    slope = next(n for n, line in enumerate(lines) if line.lstrip().startswith("slope [dex/kpc]"))
    assert 0 < filler < slope
    value, error = lines[slope].split("]")[1].split("±")
    assert float(value) == pytest.approx(-0.06, abs=5 * float(error))

    with lake.transaction() as tx:
        tx.upsert("stars", lake["stars"].table().collect().with_columns(note=pl.lit("b")))
    assert "up to date" in command(f"status --lake '{lake.url}'").out
    number = lake.number
    again = command(f"{RUN} --lake '{lake.url}'").out
    assert again.startswith("metallicity_gradients: up to date (run ")
    assert "9.99" in again
    assert "slope [dex/kpc]" in again
    assert lake.number == number
    told = json.loads(command(f"{RUN} --json --lake '{lake.url}'").out)
    assert (told["was_up_to_date"], told["warnings"]) == (True, [])


def test_the_size_of_blocks_is_an_option(command, lake):
    how = f"--input stars=stars --cluster synchronous --lake '{lake.url}'"
    said = command(f"run red_clump_distances {how} --block-rows 0")
    assert said.status == 2
    planned = json.loads(command(f"run metallicity_gradients {how} --block-rows 100 --dry-run --json").out)
    assert (planned["block_rows"], planned["blocks"]) == (100, 5)


def test_a_source_that_changed_is_a_warning_of_status_plan_and_run(command, lake, monkeypatch):
    assert command(f"{RUN} --lake '{lake.url}'").status == 0
    monkeypatch.setattr("hven.compute.staleness.source_fingerprint", lambda *_: hven_fingerprint())
    for verb in ("status", RUN, f"{RUN} --dry-run"):
        said = command(f"{verb} --lake '{lake.url}'").out
        assert "source of analysis 'metallicity_gradients' has changed under version" in said, verb


def hven_fingerprint():
    from hven.plugins import source_fingerprint

    return f"{source_fingerprint(hven_fingerprint).partition(':')[0]}:{'0' * 32}"


def test_a_run_prints_which_columns_stand_for_wanted_ones(command, tmp_path):
    lake = hven.create(tmp_path / "spelled")
    stars = pl.DataFrame({"object_id": [1, 2, 3], "FE_H": [0.1, 0.2, 0.4], "FE_H_ERR": [0.1, 0.1, 0.2]})
    with lake.transaction("stars") as tx:
        tx.write("stars", stars)

    @hven.analysis(stars=hven.Table(feh="dex", optional={"feh_err": "dex"}), produces={"middle": "dex"})
    def weighted_feh(stars):
        """Mean of [Fe/H], weighted by its errors."""
        weights = stars.feh_err**-2
        return ((stars.feh * weights).sum() / weights.sum()).to_dataset(name="middle")

    run = hven.run(lake, weighted_feh, {"stars": "stars"}, cluster="synchronous", progress=False)
    printed = command(f"runs show {run.id} --lake {lake.url}").out
    assert "feh = FE_H, feh_err = FE_H_ERR" in " ".join(printed.split())
