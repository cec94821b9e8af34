"""A survey to compute on, and workers that are started once."""

import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
from simulated import make_spectra, make_stars

COUNT, LATER, WITH_SPECTRA = 5_000, 700, 300


@pytest.fixture(scope="session")
def workers():
    """Return a client of two worker processes."""
    from hven.compute.clusters import cluster_for

    with cluster_for("local", 2) as cluster:
        yield cluster.client


@pytest.fixture
def survey(tmp_path):
    """Return a lake: ``stars`` in two segments, ``spectra`` of some of them in two segments, a model, an offset."""
    lake = hven.create(tmp_path / "a survey")
    stars, later = make_stars(0, COUNT), make_stars(COUNT, LATER)
    chosen = np.sort(np.random.default_rng(1).choice(COUNT, WITH_SPECTRA, replace=False))
    spectra = make_spectra(0, WITH_SPECTRA).assign(object_id=("object", stars["object_id"].to_numpy()[chosen]))
    with lake.transaction("stars and spectra") as tx:
        tx.write("stars", stars, survey="Mock", title="Stars")
        tx.write("spectra", spectra.isel(object=slice(0, 200)))
        tx.write("weights", xr.Dataset({"weights": (("i", "j"), np.full((2, 2), 0.5))}), kind="model")
        tx.write("offset", pl.DataFrame({"offset": [0.25, 0.5]}))
    with lake.transaction("more") as tx:
        tx.append("stars", later)
        tx.append("spectra", spectra.isel(object=slice(200, None)))
    return lake


@pytest.fixture
def calls(tmp_path):
    """Return a folder in which analyses leave a file for each call."""
    folder = tmp_path / "calls"
    folder.mkdir()
    return folder
