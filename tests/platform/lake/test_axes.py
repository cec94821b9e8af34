"""Wavelengths, bands and attributes are part of a dataset: equal in every segment, value by value, or refused."""

import numpy as np
import polars as pl
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.errors import DataRefusedError
from hven.lake import arrays
from hven.lake.axes import axes_of, difference
from simulated import listing, make_spectra


def with_axis(first, count=4, **attrs):
    return make_spectra(first, count, pixels=6).assign_attrs(attrs).assign(grid=("edge", np.arange(7.0)))


@pytest.fixture
def kept(lake):
    with lake.transaction() as tx:
        tx.write("spectra", with_axis(0, r0=8.122, frame="vacuum"))
    return lake


CHANGES = {
    "values": (lambda d: d.assign(wavelength=d.wavelength + 1e-9), "'wavelength' has other values"),
    "length": (lambda d: d.isel(wavelength=slice(1, None)), r"has the shape 5, not 6"),
    "unit": (lambda d: d.assign(wavelength=d.wavelength.assign_attrs(units="nm")), "'wavelength' is in 'nm'"),
    "name": (lambda d: d.rename(wavelength="pixel"), "'wavelength'"),
    "dims": (lambda d: d.assign(mask=("object", np.zeros(4, bool))), "'mask'"),
    "grid": (lambda d: d.assign(grid=d.grid * 2), "'grid' has other values"),
    "missing": (lambda d: d.drop_vars("grid"), "'grid'"),
    "more": (lambda d: d.assign(edges=("edge", np.arange(7.0))), "'edges'"),
    "unit of the flux": (lambda d: d.assign(flux=d.flux.assign_attrs(units="mW")), "'flux' is in 'mW'"),
    "attribute": (lambda d: d.assign_attrs(r0=8.0), "attribute 'r0' is 8.0"),
    "words": (lambda d: d.assign_attrs(frame="air"), "attribute 'frame' is 'air'"),
    "type": (lambda d: d.assign(flux=d.flux.astype("i8")), "'flux' is int64"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_append_with_another_axis_is_refused_by_name_and_nothing_is_written(kept, change):
    changed, said = CHANGES[change]
    before = listing(kept)
    with pytest.raises(DataRefusedError, match=said) as refused, kept.transaction() as tx:
        tx.append("spectra", changed(with_axis(10)))
    assert "dataset 'spectra'" in str(refused.value)
    after = listing(kept)
    assert {k: v for k, v in after.items() if "/refs/" not in k} == {
        k: v for k, v in before.items() if "/refs/" not in k
    }
    assert kept["spectra"].entry.counts.rows == 4


def test_an_append_that_fits_is_taken_with_the_types_of_the_dataset_and_says_nothing_of_units_it_does_not_name(kept):
    more = with_axis(10, history="of another night")
    with kept.transaction() as tx:
        tx.append("spectra", more.assign(flux=more.flux.astype("f8").drop_attrs()))
    whole = kept["spectra"].dataset()
    assert whole.flux.dtype == "f4"
    assert whole.sizes == {"object": 8, "wavelength": 6, "edge": 7}
    np.testing.assert_array_equal(whole.wavelength.values, more.wavelength.values)


@pytest.mark.parametrize("lacking", [False, True])
def test_segments_of_before_with_other_axes_are_not_read_as_one(kept, monkeypatch, lacking):
    """Lakes could hold them: nothing is read with the axis of another object, and no compaction makes it so."""
    monkeypatch.setattr("hven.lake.transaction.check_axes", lambda *_: None)
    if lacking:
        monkeypatch.setattr(arrays, "axes_of", lambda _: None)
    with kept.transaction() as tx:
        tx.append("spectra", with_axis(10).assign(wavelength=with_axis(0).wavelength + 1))
    monkeypatch.undo()
    reads = (
        lambda h: h.dataset(),
        lambda h: h.dataset(where="object_id > 2"),
        lambda h: h.of([0, 11]),
    )
    for read in reads:
        with pytest.raises(DataRefusedError, match="'wavelength' has other values in segment-00000001"):
            read(kept["spectra"])
    with pytest.raises(DataRefusedError, match="'wavelength' has other values"), kept.transaction() as tx:
        tx.compact("spectra")
    assert kept["spectra"].table(["object_id"]).collect().height == 8


def test_segments_that_do_not_tell_their_axes_are_compared_by_what_they_hold(kept, monkeypatch):
    monkeypatch.setattr(arrays, "axes_of", lambda _: None)
    with kept.transaction() as tx:
        tx.write("old", with_axis(0))
    monkeypatch.undo()
    with kept.transaction() as tx:
        tx.append("old", with_axis(10))
    assert kept["old"].dataset().sizes["object"] == 8
    with pytest.raises(DataRefusedError, match="'grid' has other values"), kept.transaction() as tx:
        tx.append("old", with_axis(20).assign(grid=("edge", np.zeros(7))))


@pytest.mark.parametrize("kind", ["cube", "model", "result"])
def test_nothing_is_added_to_what_has_no_objects(lake, kind):
    data = xr.Dataset({"extinction": (("z", "y", "x"), np.zeros((2, 3, 4)), {"units": "mag / kpc"})})
    data = data.assign_coords({n: (n, np.arange(float(s)), {"units": "kpc"}) for n, s in data.sizes.items()})
    with lake.transaction() as tx:
        tx.write("dust", data, kind=kind)
    with pytest.raises(DataRefusedError, match="no dimension 'object'"), lake.transaction() as tx:
        tx.append("dust", data)


def test_a_dataset_for_a_table_in_another_unit_is_refused(lake):
    stars = xr.Dataset({"object_id": ("object", [1]), "d": ("object", [5.0], {"units": "pc"})})
    with lake.transaction() as tx:
        tx.write("stars", stars)
        tx.append("stars", pl.DataFrame({"object_id": [2], "d": [6.0]}))
    wrong = xr.Dataset({"object_id": ("object", [3]), "d": ("object", [0.005], {"units": "kpc"})})
    for change in ("append", "upsert"):
        with pytest.raises(DataRefusedError, match="'d' is in 'kpc'"), lake.transaction() as tx:
            getattr(tx, change)("stars", wrong)
    assert lake["stars"].table().collect()["d"].to_list() == [5.0, 6.0]


def test_a_number_for_the_whole_dataset_is_an_axis_too(lake):
    def made(first, scale):
        return with_axis(first).assign(scale=((), scale, {"units": "kpc"}), survey=((), "apogee"))

    with lake.transaction() as tx:
        tx.write("spectra", made(0, 8.122))
        tx.append("spectra", made(10, np.float32(8.0).astype(float) + 0.122))
    with pytest.raises(DataRefusedError, match="'scale' has other values"), lake.transaction() as tx:
        tx.append("spectra", made(20, 8.0))


FLOATS = st.lists(st.floats(allow_infinity=False, width=32), min_size=1, max_size=4)


@settings(deadline=None)
@given(one=FLOATS, other=FLOATS, units=st.tuples(*[st.sampled_from(["nm", "Angstrom", ""])] * 2))
def test_two_axes_are_the_same_exactly_when_every_value_and_the_unit_is(one, other, units):
    made = [
        axes_of(xr.Dataset(coords={"bin": ("bin", np.array(values), {"units": unit})}))
        for values, unit in zip((one, other), units, strict=True)
    ]
    is_same = np.array_equal(one, other, equal_nan=True) and units[1] in {"", units[0]}
    assert (difference(*made) is None) is is_same
