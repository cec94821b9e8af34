import dask.array as da
import numpy as np
import pytest
import xarray as xr

from hven.errors import MissingColumnError, TooMuchDataError
from hven.methods import gather


def lazy(touched):
    """Return a lazy Dataset of 1000 objects that notes in `touched` when its flux is computed."""

    def flux(block):
        touched.append(block.shape)
        return block + 1.0

    fluxes = da.zeros((1000, 5), chunks=(100, 5)).map_blocks(flux, dtype="f8", meta=np.zeros((0, 0)))
    feh = da.arange(1000, chunks=100, dtype="f8")
    return xr.Dataset({"feh": ("object", feh, {"units": "dex"}), "flux": (("object", "wavelength"), fluxes)})


def test_only_the_columns_asked_for_are_computed():
    touched = []
    stars = gather(lazy(touched), ["feh"])
    assert list(stars) == ["feh"]
    assert isinstance(stars["feh"].data, np.ndarray)
    assert stars["feh"].attrs == {"units": "dex"}
    assert touched == []


def test_too_much_is_refused_before_anything_is_computed():
    touched = []
    with pytest.raises(TooMuchDataError, match=r"48 kB|46.88 kiB"):
        gather(lazy(touched), limit="20 kB")
    assert touched == []
    assert set(gather(lazy(touched), limit=48_000)) == {"feh", "flux"}


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(MissingColumnError, match="Did you mean 'feh'"):
        gather(lazy([]), ["fe_h"])
