import json

import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
from hven import errors
from hven.catalog import Entry
from hven.lake.spans import resolution_of, wavelength_of


def spectra(wavelength, unit="Angstrom", first=0, **attrs):
    grid = np.atleast_1d(wavelength)
    dims = ("wavelength",) if grid.ndim == 1 else ("object", "wavelength")
    return xr.Dataset(
        {
            "object_id": ("object", np.arange(first, first + 2)),
            "flux": (("object", "wavelength"), np.ones((2, grid.shape[-1]), "f4")),
            "wavelength": (dims, grid, {"units": unit} if unit else {}),
        },
        attrs=attrs,
    )


def test_wavelengths_are_kept_in_angstrom_whatever_their_unit(lake):
    with lake.transaction() as tx:
        tx.write("nm", spectra([360.0, 700.0], "nm"))
        tx.write("um", spectra([0.36, 0.7], "um"))
        tx.write("bare", spectra([3600.0, 7000.0], ""))
        tx.write("pixels", spectra([1.0, 2.0], "pix"))
    assert {e.name: e.wavelength for e in lake.catalog.search()} == {
        "bare": (3600.0, 7000.0),
        "nm": (3600.0, 7000.0),
        "pixels": None,
        "um": (3600.0, 7000.0),
    }


def test_gaps_in_the_grids_of_objects_do_not_count_and_appended_ones_widen_the_span(lake):
    with lake.transaction() as tx:
        tx.write("spectra", spectra([[4000.0, 5000.0], [3900.0, np.nan]], resolving_power=1800))
        tx.append("spectra", spectra([[4100.0, 6000.0], [np.nan, 0.0]], first=2, resolving_power=[1500, 2000]))
    entry = lake.catalog["spectra"]
    assert (entry.wavelength, entry.resolution) == ((3900.0, 6000.0), (1500.0, 2000.0))


@pytest.mark.parametrize(
    ("attrs", "span"),
    [
        ({"resolving_power": 1800}, (1800.0, 1800.0)),
        ({"resolution": [30.0, 100.0]}, (30.0, 100.0)),
        ({"resolving_power": "high"}, None),
        ({"resolving_power": -1, "resolution": 5}, (5.0, 5.0)),
        ({}, None),
    ],
)
def test_resolving_power_is_read_from_attributes(attrs, span):
    assert resolution_of(attrs) == span


def test_resolving_power_is_read_from_a_variable_without_unit():
    data = xr.Dataset({"resolution": ("wavelength", [1800.0, np.nan, 2200.0])})
    assert resolution_of({}, data) == (1800.0, 2200.0)
    data["resolution"].attrs["units"] = "Angstrom"
    assert resolution_of({}, data) is None
    assert wavelength_of(data) is None
    assert wavelength_of(xr.Dataset({"wavelength": ("wavelength", np.empty(0))})) is None


def test_what_data_do_not_tell_can_be_said_when_writing_or_later(lake):
    frame = pl.DataFrame({"object_id": [1]})
    with lake.transaction() as tx:
        tx.write("labels", frame, wavelength=(15100, 17000), resolution=22500)
        tx.write("spectra", spectra([4000.0, 5000.0]), wavelength=[3000, 9000])
        tx.write("plain", frame)
    assert lake.catalog["labels"].resolution == (22500.0, 22500.0)
    assert lake.catalog.search(resolution="20000:").names == ("labels",)
    assert lake.catalog["spectra"].wavelength == (3000.0, 9000.0)
    with lake.transaction() as tx:
        tx.describe("plain", resolution=(1000, 2000))
        tx.describe("labels", wavelength=None)
    assert lake.catalog["plain"].resolution == (1000.0, 2000.0)
    assert lake.catalog["labels"].wavelength is None
    assert hven.open(lake.url).catalog.search(resolution=1500).names == ("plain",)


@pytest.mark.parametrize("value", [(2, 1), (np.nan, 1), (1, 2, 3), "wide", -5, (0, 1), (1, np.inf)])
def test_a_span_that_is_none_is_refused_and_nothing_published(lake, value):
    with pytest.raises(errors.DataRefusedError, match="the resolution is"), lake.transaction() as tx:
        tx.write("labels", pl.DataFrame({"object_id": [1]}), resolution=value)
    assert len(lake) == 0


def test_catalogs_from_before_resolution_was_kept_still_open(lake):
    with lake.transaction() as tx:
        tx.write("spectra", spectra([4000.0, 5000.0], resolving_power=100))
    told = lake.catalog["spectra"].to_json()
    assert json.loads(json.dumps(told))["resolution"] == [100.0, 100.0]
    del told["resolution"]
    assert Entry.from_json(told).resolution is None
