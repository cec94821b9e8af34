"""The numbers of a result: values with errors of a small one, quantiles of a large one."""

import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
from hven.compute import result_tables
from hven.compute.result_summary import with_error


@hven.analysis(stars=hven.Table(feh="dex"), produces={"slope": "dex/kpc", "slope_err": "dex/kpc", "map": "dex"})
def fitted(stars: xr.Dataset) -> xr.Dataset:
    """A slope for each of two populations, and a map."""
    slopes = xr.Dataset({"slope": ("population", [-0.0612345, 0.02]), "slope_err": ("population", [0.00214, np.nan])})
    return slopes.assign(map=(("x", "y"), np.arange(100.0).reshape(10, 10))).assign_coords(population=["thin", "thick"])


@hven.analysis(stars=hven.Table(feh="dex"), produces={"doubled": "dex"}, per_object=True)
def doubled_here(stars: xr.Dataset) -> xr.Dataset:
    """Twice the metallicity, nothing for the poorest."""
    return xr.Dataset({"doubled": 2 * stars.feh.where(stars.feh > -0.5)})


@pytest.fixture
def lake(tmp_path):
    lake = hven.create(tmp_path / "stars")
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"object_id": np.arange(1_001), "feh": np.linspace(-1.0, 1.0, 1_001)}))
    return lake


def test_a_small_result_is_shown_with_errors_and_units_and_arrays_by_quantiles(lake):
    run = hven.run(lake, fitted, {"stars": "stars"}, cluster="synchronous")
    small, large = result_tables(run)
    assert (small.title, small.columns) == ("fitted, by population", ("population", "slope [dex/kpc]"))
    assert small.rows == (("thin", "-0.0612 ± 0.0021"), ("thick", "0.02 ± nan"))
    assert large.rows == (("map [dex]", "x 10 x y 10", "100", "", "15.84", "49.5", "83.16"),)


def test_a_result_of_many_objects_is_shown_by_quantiles_and_what_is_missing(lake):
    run = hven.run(lake, doubled_here, {"stars": "stars"}, cluster="synchronous")
    (table,) = result_tables(run)
    ((name, values, missing, *_, high),) = table.rows
    assert (name, values, missing, table.note) == ("doubled [dex]", "750", "251", "1,001 rows")
    assert float(high) == pytest.approx(np.quantile(2 * np.linspace(-0.498, 1, 750), 0.84), abs=1e-4)


def test_errors_decide_how_many_digits_are_shown():
    assert with_error(1234.567, 123.0) == "1230 ± 120"
    assert with_error(0.5, 0.0) == "0.5 ± 0"
    assert with_error(1e9, 3e5) == "1e+09 ± 3e+05"
