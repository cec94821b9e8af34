"""The demo's real spectra come in two halves: after the second only new blocks run, and the end is that of one go."""

import polars as pl
import pytest
import xarray as xr

import hven
from hven.cli.demo import PIPELINE

SYNCHRONOUS = {"cluster": "synchronous"}
BLOCK = 4_096


@hven.analysis(spectra=hven.Spectra(flux="", ivar=False), produces={"colour": ""}, per_object=True)
def spectral_colour(spectra: xr.Dataset) -> xr.Dataset:
    """Flux below 6000 Angstrom over that above, of each spectrum."""
    is_blue = spectra.wavelength < 6000
    blue, red = (spectra.flux.where(side, drop=True).mean("wavelength") for side in (is_blue, ~is_blue))
    return xr.Dataset({"colour": (blue / red).astype("f8")})


def analyse(lake):
    """Run the demo's pipeline and an analysis of the spectra; what is cut into blocks, into small ones."""
    hven.run(
        lake, "red_clump_distances", {"stars": "apogee"}, output="apogee_distances", **SYNCHRONOUS, block_rows=BLOCK
    )
    hven.run(lake, spectral_colour, {"spectra": "apogee_xp_spectra"}, **SYNCHRONOUS, block_rows=BLOCK)
    done = hven.run_pipeline(lake, PIPELINE, **SYNCHRONOUS)
    assert {step.name: step.state.removesuffix(" with caveats") for step in done.steps} == {
        "apogee_distances": "up to date",
        **dict.fromkeys(("metallicity_gradients", "alpha_copula", "alpha_split"), "succeeded"),
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_half_the_real_spectra_then_the_rest_give_what_all_of_them_give(tmp_path):
    whole = hven.create(tmp_path / "in one go")
    hven.ingest_files(whole, reader="apogee_xp_library", name="apogee")
    analyse(whole)
    halves = hven.create(tmp_path / "in two halves")
    stars, spectra = whole["apogee"].table().collect(), whole["apogee_xp_spectra"].dataset().compute()
    first = pl.Series(range(stars.height)).hash(seed=1) % 2 == 0
    is_first = pl.Series(spectra["object_id"].values).is_in(stars.filter(first)["object_id"].implode()).to_numpy()
    with halves.transaction("the first half") as tx:
        tx.write("apogee", stars.filter(first), schema=whole["apogee"].schema)
        tx.write("apogee_xp_spectra", spectra.isel(object=is_first))
    analyse(halves)
    with halves.transaction("the rest") as tx:
        tx.append("apogee", stars.filter(~first))
        tx.append("apogee_xp_spectra", spectra.isel(object=~is_first))
    assert all(s.is_stale for s in hven.status(halves))
    runs = {run.output: run for run in hven.update(halves, **SYNCHRONOUS)}
    wholes = {"metallicity_gradients", "alpha_copula", "alpha_split"}
    assert set(runs) == {"apogee_distances", "spectral_colour", *wholes}
    new = -(-int((~first).sum()) // BLOCK)
    for name in ("apogee_distances", "spectral_colour"):
        update = runs[name].update
        assert update["kept"] in range(5, 7)
        assert (update["moved"], update["computed"], update["withdrawn"]) == (0, new, 0)
        got, told = (lake[name].table().collect().sort("object_id") for lake in (halves, whole))
        assert got.height == 40_226
        assert got.equals(told), name
    slopes = [lake["metallicity_gradients"].dataset()["slope"].values for lake in (halves, whole)]
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-6)
    splits = [lake["alpha_split"].dataset().compute() for lake in (halves, whole)]
    assert splits[0]["data_polynomial"].values == pytest.approx(splits[1]["data_polynomial"].values, rel=1e-6)
    assert int(splits[0]["n_high"]) == int(splits[1]["n_high"])
    assert not any(s.is_stale for s in hven.status(halves))
    assert hven.run_pipeline(halves, PIPELINE, **SYNCHRONOUS).did_nothing
