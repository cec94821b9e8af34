"""What many tests share: the command called in this process, and a small lake with stars and spectra."""

import os
import shlex
import shutil
import signal
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
import xarray as xr
from hypothesis import settings

import hven
from hven.sky import healpix_29

# The same examples at every run, and no clock: a slow machine fails nothing.
settings.register_profile("hven", deadline=None, derandomize=True)
settings.load_profile("hven")

# Tests run side by side: no two of them want one port. Clusters of a whole session start before any test does.
os.environ["HVEN_DASHBOARD_PORT"] = "0"

# A shell starts what it puts in the background with Ctrl-C ignored, and so are all the processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_settings_of_the_user(monkeypatch, tmp_path_factory):
    """Take the user's own HVEN_ settings and settings file out of the way, so that a test sees hven as it is."""
    for name in [name for name in os.environ if name.startswith("HVEN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HVEN_DASHBOARD_PORT", "0")
    monkeypatch.setenv("HVEN_FLUSH", "never")  # Lakes of tests are scratch; test_flushing has the rest.
    monkeypatch.setenv("HVEN_CONFIG", str(tmp_path_factory.getbasetemp() / "no-such-settings.yaml"))


@dataclass(frozen=True)
class Said:
    """What the command said, and its exit status."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(capsys):
    """Call ``hven`` in this process: ``command("ls --lake x")`` gives its exit status and what it said."""
    from hven.cli import main

    def call(text):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(text))
            raise SystemExit(0)
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return call


@pytest.fixture(scope="session")
def small_survey():
    """Return 600 simulated giants on the sky with a metallicity gradient, and spectra of 40 pixels: frame, Dataset."""
    rng = np.random.default_rng(2)
    size = 600
    ra, dec = rng.uniform(0, 360, size), np.degrees(np.arcsin(rng.uniform(-1, 1, size)))
    order = np.argsort(healpix_29(ra, dec))
    ra, dec = ra[order], dec[order]
    r_gal = rng.uniform(5, 13, size)
    object_id = rng.choice(2**62, size, replace=False)
    stars = pl.DataFrame(
        {
            "object_id": object_id,
            "source_id": np.arange(size) // 2,
            "_healpix_29": healpix_29(ra, dec),
            "ra": ra,
            "dec": dec,
            "teff": rng.uniform(4500, 5100, size),
            "logg": rng.uniform(2.2, 3.2, size),
            "feh": 0.6 - 0.07 * r_gal + rng.normal(scale=0.1, size=size),
            "feh_err": np.full(size, 0.03),
            "r_gal": r_gal,
            "ks_mag": rng.uniform(8, 12, size),
            "h_mag": rng.uniform(8.1, 12.2, size),
            "j_mag": rng.uniform(8.6, 12.8, size),
            "a_k": rng.uniform(0, 0.4, size),
        }
    )
    spectra = xr.Dataset(
        {
            "object_id": ("object", object_id),
            "flux": (("object", "wavelength"), rng.normal(1, 0.1, (size, 40)).astype("f4"), {"units": ""}),
            "wavelength": ("wavelength", np.linspace(3360.0, 10200.0, 40), {"units": "Angstrom"}),
        }
    )
    return stars, spectra


@pytest.fixture(scope="session")
def small_lake(tmp_path_factory, small_survey):
    """Return a lake with the datasets ``stars`` and ``spectra`` and the release ``dr1``. Shared: do not change it."""
    lake = hven.create(tmp_path_factory.mktemp("session") / "small lake")
    stars, spectra = small_survey
    with lake.transaction("a small survey") as tx:
        tx.write("stars", stars, title="Simulated giants", survey="Mock", citation=["1234.56789"])
        tx.write("spectra", spectra, title="Their spectra", survey="Mock")
    lake.release("dr1")
    return lake


@pytest.fixture
def lake(tmp_path):
    """Return an empty lake."""
    return hven.create(tmp_path / "lake")


@pytest.fixture(scope="module")
def own_lake(tmp_path_factory, small_lake):
    """Return a copy of the small lake that the tests of a module may change."""
    place = tmp_path_factory.mktemp("module") / "own lake"
    shutil.copytree(small_lake.url, place)
    return hven.open(place)
