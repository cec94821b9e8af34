"""A result has one axis for all of its objects, as its inputs do."""

import numpy as np
import pytest
import xarray as xr

import hven
import trial_analyses as trial
from hven.errors import DataRefusedError
from simulated import make_spectra


@pytest.fixture
def lake(tmp_path):
    """Return a lake with spectra of which those of the last of three blocks are bright."""
    lake = hven.create(tmp_path / "lake")
    spectra = make_spectra(0, 3000)
    spectra.flux.values[2500] = 99
    with lake.transaction() as tx:
        tx.write("spectra", spectra)
    return lake


@pytest.mark.parametrize(
    ("by", "said"),
    [("values", "has other values"), ("length", "has the shape"), ("unit", "'wavelength' is in 'nm', not 'Angstrom'")],
)
def test_a_result_whose_axis_depends_on_the_block_is_refused_by_name_and_the_rest_is_published(lake, by, said):
    given = {"spectra": "spectra"}
    run = hven.run(
        lake, trial.shifted, given, {"by": by, "worst": 50.0}, cluster="synchronous", block_rows=1024, progress=False
    )
    assert run.state == "partial"
    failure = run.failures[0]
    assert failure["code"] == "result-refused"
    assert ("'shifted'" if by == "length" else "'wavelength'") in failure["what"]
    assert said in failure["what"]
    result = lake["shifted"].dataset()
    assert result.sizes["object"] == 2048
    np.testing.assert_array_equal(result.wavelength.values, make_spectra(0, 1).wavelength.values)


def test_an_update_keeps_to_the_axes_of_the_result_before(lake):
    told = {"cluster": "synchronous", "block_rows": 1024, "progress": False}
    asked = trial.shifted, {"spectra": "spectra"}, {"by": "values", "worst": 500.0}
    assert hven.run(lake, *asked, **told).state == "succeeded"
    more = make_spectra(5000, 200)
    more.flux.values[:] = 999
    with lake.transaction() as tx:
        tx.append("spectra", more)
    run = hven.run(lake, *asked, **told)
    assert run.state == "partial"
    assert "has other values" in run.failures[0]["what"]
    assert lake["shifted"].dataset().sizes["object"] == 3000


def test_datasets_joined_to_one_input_need_one_axis(lake):
    other = make_spectra(0, 3000).rename(flux="sky", mask="sky_mask", name="other_name")
    with lake.transaction() as tx:
        tx.write("same", other)
        tx.write("other", other.assign(wavelength=other.wavelength * 1.001))
        tx.write("shorter", other.isel(wavelength=slice(1, None)).drop_vars("wavelength"), kind="result")
    told = {"cluster": "synchronous", "progress": False}

    @hven.analysis(spectra=hven.Spectra(flux="W", ivar=False, sky=None), produces={"n": ""}, per_object=True)
    def with_sky(spectra):
        """Pixels of a spectrum with its sky."""
        return xr.Dataset({"n": ("object", np.full(spectra.sizes["object"], spectra.sky.shape[-1]))})

    object.__setattr__(with_sky.inputs["spectra"].variable("sky"), "dims", (("object", "wavelength"),))
    assert hven.run(lake, with_sky, {"spectra": "spectra+same"}, **told).state == "succeeded"
    with pytest.raises(DataRefusedError, match=r"'wavelength' of .* has other values"):
        hven.run(lake, with_sky, {"spectra": "spectra+other"}, **told)
    with pytest.raises(DataRefusedError, match=r"'wavelength' of .* has another length"):
        hven.run(lake, with_sky, {"spectra": "spectra+shorter"}, **told)
