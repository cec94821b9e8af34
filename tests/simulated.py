"""Simulated stars and spectra for the tests of the lake, and a look at everything that is in one."""

import numpy as np
import polars as pl
import xarray as xr

from hven.sky import healpix_29


def make_stars(first, count, seed=0):
    rng = np.random.default_rng(seed + first)
    ra, dec = rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    index = np.arange(first, first + count)
    return pl.DataFrame(
        {
            "object_id": index + 2**60,
            "_healpix_29": healpix_29(ra, dec),
            "ra": ra,
            "dec": dec,
            "feh": rng.normal(size=count),
            "visits": [None if i % 7 == 0 else int(i) for i in index],
            "name": [None if i % 5 == 0 else f"star {i}" for i in index],
        }
    ).sort("_healpix_29")


def make_spectra(first, count, pixels=20):
    rng = np.random.default_rng(first)
    names = np.array(
        [None if i % 5 == 0 else f"s{i}" for i in range(count)], dtype=np.dtypes.StringDType(na_object=None)
    )
    return xr.Dataset(
        {
            "object_id": ("object", np.arange(first, first + count)),
            "name": ("object", names),
            "flux": (("object", "wavelength"), rng.normal(size=(count, pixels)).astype("f4"), {"units": "W"}),
            "mask": (("object", "wavelength"), rng.random((count, pixels)) < 0.1),
            "wavelength": ("wavelength", np.linspace(3000, 4000, pixels), {"units": "Angstrom"}),
        }
    )


def listing(lake):
    """Every key of a lake with its bytes: what is there, whoever wrote it."""
    return {key: lake.store.get(key) for key in lake.store.list("") if not key.startswith("locks/")}
