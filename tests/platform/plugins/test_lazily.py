"""Per-object analyses on lazy Datasets are as lazy as these."""

import numpy as np
import pytest
import xarray as xr

import hven
from hven.errors import DeclarationError, MissingColumnError
from hven.plugins import evaluate, lazily
from hven.testing import differences

CALLS: list[int] = []


@hven.analysis(
    per_object=True,
    stars=hven.Table(feh="dex", optional={"name": None}),
    spectra=hven.Spectra(ivar=False),
    scale=hven.Whole(hven.Table(factor="")),
    produces={"labels": {"scaled": "dex", "upper": ""}, "spectra": {"flux": ""}},
)
def scaled(stars: xr.Dataset, spectra: xr.Dataset, scale: xr.Dataset, *, power: int = 1) -> dict[str, xr.Dataset]:
    """Scale everything by the sum of all factors."""
    CALLS.append(stars.sizes["object"])
    factor = float(scale.factor.sum()) ** power
    upper = np.array(["" if n is None else str(n).upper() for n in stars.name.values], np.dtypes.StringDType())
    return {
        "labels": xr.Dataset({"scaled": stars.feh * factor, "upper": ("object", upper)}),
        "spectra": xr.Dataset({"flux": spectra.flux * factor, "wavelength": spectra.wavelength}),
    }


def inputs():
    rng = np.random.default_rng(1)
    names = np.array([f"star {n}" for n in range(10)], np.dtypes.StringDType(na_object=None))
    stars = xr.Dataset({"feh": ("object", rng.normal(size=10), {"units": "dex"}), "name": ("object", names)})
    flux = (("object", "wavelength"), rng.normal(size=(10, 5)))
    spectra = xr.Dataset({"flux": flux, "wavelength": ("wavelength", np.arange(5.0), {"units": "Angstrom"})})
    return {"stars": stars, "spectra": spectra, "scale": xr.Dataset({"factor": ("object", [1.0, 2.0])})}


def lazy_inputs():
    data = inputs()
    return {**data, "stars": data["stars"].chunk({"object": 4}), "spectra": data["spectra"].chunk({"object": 3})}


def test_chunks_are_computed_when_they_are_asked_for_and_only_those():
    CALLS.clear()
    parts = lazily(scaled, lazy_inputs(), {"power": 2})
    assert CALLS == [1]  # one made-up object, to see what the result is like
    assert {part: data.chunksizes["object"] for part, data in parts.items()} == {
        "labels": (4, 4, 2),
        "spectra": (4, 4, 2),
    }
    parts["labels"].isel(object=slice(8, 10)).compute(scheduler="threads")
    assert CALLS == [1, 2]


def test_the_result_is_that_of_everything_at_once():
    found = {part: data.compute() for part, data in lazily(scaled, lazy_inputs(), {"power": 2}).items()}
    assert not differences(found, evaluate(scaled, inputs(), {"power": 2}), rtol=0.0)
    assert found["spectra"].flux.dims == ("object", "wavelength")


def test_data_in_memory_are_one_chunk():
    assert lazily(scaled, inputs())["labels"].chunksizes["object"] == (10,)


def test_what_does_not_fit_is_told_before_anything_is_computed():
    CALLS.clear()
    data = lazy_inputs()
    with pytest.raises(MissingColumnError, match="feh"):
        lazily(scaled, {**data, "stars": data["stars"].drop_vars("feh")})
    assert not CALLS


def test_an_analysis_of_everything_at_once_is_refused():
    @hven.analysis(stars=hven.Table(feh="dex"), produces={"mean": "dex"})
    def mean(stars):
        """Return the mean."""
        return stars.mean().rename(feh="mean")

    with pytest.raises(DeclarationError, match="everything at once"):
        lazily(mean, {"stars": inputs()["stars"]})
