"""Small analyses that fail in known ways, for the tests of what is tried again. Workers import them."""

import builtins
import time
import uuid
from pathlib import Path

import numpy as np
import xarray as xr

import hven
from hven import Spectra, Table
from hven.errors import HvenError, StorageError


def _count(folder, values):
    """Leave a file for a call on these values, and return how many there have been."""
    block = f"{float(np.asarray(values).ravel()[0]):.9f}"
    (Path(folder) / f"{block}-{uuid.uuid4().hex}").touch()
    return len(list(Path(folder).glob(f"{block}-*")))


def tries_in(folder):
    """Return how many calls there were for each block, by the block's first value."""
    counts = {}
    for path in Path(folder).iterdir():
        block = path.name.rpartition("-")[0]
        counts[block] = counts.get(block, 0) + 1
    return counts


def _failing(kind):
    if kind == "StorageError":
        return StorageError("the store failed: no answer", hint="Wait.")
    if kind == "HvenError":
        return HvenError("these data are not what they seem", hint="Look at them.")
    return getattr(builtins, kind)("no luck")


@hven.analysis(stars=Table(feh="dex"), produces={"doubled": "dex"}, per_object=True)
def moody(
    stars: xr.Dataset, *, folder: str, kind: str = "ConnectionError", times: int = 1, worst: float = 3.0
) -> xr.Dataset:
    """Twice the metallicity; where one is above the worst, so many calls fail before."""
    calls = _count(folder, stars.feh.values)
    if float(stars.feh.max()) > worst and calls <= times:
        raise _failing(kind)
    return xr.Dataset({"doubled": 2 * stars.feh})


@hven.analysis(spectra=Spectra(flux="W", ivar=False), produces={"halved": "W"}, per_object=True)
def dim(spectra: xr.Dataset, *, folder: str, kind: str = "TimeoutError", times: int = 1) -> xr.Dataset:
    """Half of the flux; so many calls for each block fail before."""
    if _count(folder, spectra.flux.values) <= times:
        raise _failing(kind)
    return xr.Dataset({"halved": spectra.flux / 2}).assign_coords(wavelength=spectra.wavelength)


def hold(folder, calls):
    """Let calls beyond so many wait, until more are allowed; so a run cannot end while somebody looks at it."""
    path = Path(folder).parent / "hold"
    path.with_suffix(".new").write_text(str(calls))
    path.with_suffix(".new").replace(path)


def let_go(folder):
    """Let all calls pass."""
    (Path(folder).parent / "hold").unlink(missing_ok=True)


def _wait(folder):
    (Path(folder) / uuid.uuid4().hex).touch()
    path = Path(folder).parent / "hold"
    while path.exists() and len(list(Path(folder).iterdir())) > int(path.read_text()):
        time.sleep(0.02)


@hven.analysis(stars=Table(feh="dex"), produces={"doubled": "dex"}, per_object=True)
def held(stars: xr.Dataset, *, folder: str) -> xr.Dataset:
    """Twice the metallicity, once the call may pass."""
    _wait(folder)
    return xr.Dataset({"doubled": 2 * stars.feh})


@hven.analysis(spectra=Spectra(flux="W", ivar=False), produces={"halved": "W"}, per_object=True)
def held_spectra(spectra: xr.Dataset, *, folder: str) -> xr.Dataset:
    """Half of the flux, once the call may pass."""
    _wait(folder)
    return xr.Dataset({"halved": spectra.flux / 2}).assign_coords(wavelength=spectra.wavelength)


@hven.analysis(stars=Table(feh="dex"), produces={"mean_feh": "dex"})
def held_mean(stars: xr.Dataset, *, folder: str) -> xr.Dataset:
    """Mean metallicity of everything at once, once the call may pass."""
    _wait(folder)
    mean = xr.Dataset({"mean_feh": ("population", [float(stars.feh.mean())])})
    return mean.assign_attrs(caveats=["Errors were not taken into account."])


@hven.analysis(stars=Table(feh="dex"), produces={"doubled": "dex"}, per_object=True)
def cautious(stars: xr.Dataset, *, worst: float = 3.0) -> xr.Dataset:
    """Twice the metallicity, and a word of caution where one is above the worst."""
    doubled = xr.Dataset({"doubled": 2 * stars.feh})
    return (
        doubled.assign_attrs(caveats="Some are beyond the calibration.") if float(stars.feh.max()) > worst else doubled
    )
