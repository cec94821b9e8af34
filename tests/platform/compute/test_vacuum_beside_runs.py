"""A vacuum in the middle of a run takes nothing from it: neither files nor branches that no catalog names yet."""

from datetime import timedelta

import polars as pl
import pytest
import xarray as xr

import hven
from hven.plugins import Spectra, Table
from simulated import make_spectra, make_stars


def _vacuum(url):
    hven.open(url).vacuum(keep=1, grace=timedelta(0), dry_run=False)


@hven.analysis(stars=Table(feh="dex"), produces={"doubled": "dex"}, per_object=True)
def doubled_beside_vacuums(stars: xr.Dataset, *, url: str) -> xr.Dataset:
    """Twice the metallicity, with a vacuum in each block."""
    _vacuum(url)
    return xr.Dataset({"doubled": 2 * stars.feh})


@hven.analysis(spectra=Spectra(flux="W", ivar=False), produces={"smoothed": "W"}, per_object=True)
def smoothed_beside_vacuums(spectra: xr.Dataset, *, url: str) -> xr.Dataset:
    """The flux, with a vacuum in each block."""
    _vacuum(url)
    return xr.Dataset({"smoothed": spectra.flux}).assign_coords(wavelength=spectra.wavelength)


@pytest.mark.parametrize("analysis", [doubled_beside_vacuums, smoothed_beside_vacuums])
def test_a_run_and_its_update_are_whole_after_vacuums_in_every_block(survey, analysis):
    name = "stars" if analysis is doubled_beside_vacuums else "spectra"
    for count in (5_700, 5_800) if name == "stars" else (300, 400):
        # The first result and then its update, which goes on in the same place.
        run = hven.run(
            survey, analysis, {name: name}, {"url": survey.url}, cluster="synchronous", block_rows=1_000, output="out"
        )
        assert run.state == "succeeded"
        again = hven.open(survey.url)["out"]
        assert again.entry.counts.rows == count
        values = again.table() if name == "stars" else again.dataset().compute()
        if name == "stars":
            assert values.select(pl.col("doubled").is_not_null().sum()).collect().item() > 0.9 * count
        else:
            assert values.sizes["object"] == count
        assert survey.store.list("holds") == []
        start = 90_000 + count
        with survey.transaction() as tx:
            tx.append(name, make_stars(start, 100) if name == "stars" else make_spectra(start, 100))
