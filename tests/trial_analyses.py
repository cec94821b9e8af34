"""Small analyses for the tests of runs. In a module of their own, because workers import them."""

import os
import signal
import time
import uuid
from pathlib import Path
from typing import Annotated

import numpy as np
import xarray as xr
from pydantic import Field

import hven
from hven import Model, Spectra, Table, Whole


def note_call(folder, stars):
    """Leave a file for one call, so that tests can count calls in other processes."""
    if folder:
        first = stars.feh.values[0] if stars.sizes["object"] else np.nan
        (Path(folder) / f"{uuid.uuid4().hex}").write_text(repr(float(first)))


def _doubled(stars):
    return xr.Dataset({"doubled": 2 * stars.feh, "visits_seen": stars.visits}).assign(
        **({"visits_seen_valid": stars.visits_valid} if "visits_valid" in stars else {})
    )


@hven.analysis(
    stars=Table(feh="dex", visits=None), produces={"doubled": "dex", "visits_seen": ""}, per_object=True, version="1"
)
def doubled(stars: xr.Dataset, *, folder: str = "", seconds: Annotated[float, Field(ge=0)] = 0.0) -> xr.Dataset:
    """Twice the metallicity.

    It is of no use but to be seen.

    Parameters
    ----------
    folder
        Where each call leaves a file.
    seconds
        How long a block takes.
    """
    note_call(folder, stars)
    time.sleep(seconds)
    return _doubled(stars)


@hven.analysis(stars=Table(feh="dex", visits=""), produces={"doubled": "dex", "visits_seen": ""}, per_object=True)
def fragile(stars: xr.Dataset, *, folder: str, worst: float = 3.0) -> xr.Dataset:
    """Twice the metallicity, when nobody is above the worst, or somebody has mended it."""
    note_call(folder, stars)
    if float(stars.feh.max()) > worst and not (Path(folder).parent / "mended").exists():
        raise ValueError(f"a metallicity of {float(stars.feh.max()):.3f} cannot be")
    return _doubled(stars)


@hven.analysis(stars=Table(feh="dex", visits=""), produces={"doubled": "dex", "visits_seen": ""}, per_object=True)
def deadly(stars: xr.Dataset, *, worst: float = 3.0) -> xr.Dataset:
    """Twice the metallicity; a metallicity above the worst kills the worker."""
    if float(stars.feh.max()) > worst:
        os.kill(os.getpid(), signal.SIGKILL)
    return _doubled(stars)


@hven.analysis(stars=Table(feh="dex", visits=""), produces={"doubled": "dex", "visits_seen": ""}, per_object=True)
def interrupted(stars: xr.Dataset, *, folder: str) -> xr.Dataset:
    """Twice the metallicity; the third call is interrupted by the keyboard."""
    note_call(folder, stars)
    if len(list(Path(folder).iterdir())) == 3:
        raise KeyboardInterrupt
    return _doubled(stars)


@hven.analysis(spectra=Spectra(flux="W", ivar=False), produces={"smoothed": "W", "level": "W"}, per_object=True)
def smoothed(spectra: xr.Dataset, *, folder: str = "", worst: float = 1e9) -> xr.Dataset:
    """Spectra, averaged over three pixels."""
    if folder:
        (Path(folder) / uuid.uuid4().hex).touch()
    if float(spectra.flux.max()) > worst and not (Path(folder).parent / "mended").exists():
        raise ValueError("too bright")
    smooth = spectra.flux.rolling(wavelength=3, center=True, min_periods=1).mean()
    return xr.Dataset({"smoothed": smooth, "level": spectra.flux.mean("wavelength")}).assign_coords(
        wavelength=spectra.wavelength
    )


@hven.analysis(
    stars=Table(feh="dex"), spectra=Spectra(flux="W", ivar=False), produces={"brightness": "W"}, per_object=True
)
def weighted(stars: xr.Dataset, spectra: xr.Dataset) -> xr.Dataset:
    """Mean flux times metallicity: of stars that have a spectrum."""
    return xr.Dataset({"brightness": (spectra.flux.mean("wavelength") * stars.feh).astype("f8")})


@hven.analysis(
    stars=Table(feh="dex"), scale=Model(), zero=Whole(Table(offset="dex")), produces={"scaled": "dex"}, per_object=True
)
def scaled(stars: xr.Dataset, scale: xr.Dataset, zero: xr.Dataset) -> xr.Dataset:
    """Metallicity on another scale."""
    factor = float(scale.weights.values.sum())
    return xr.Dataset({"scaled": stars.feh * factor + float(zero.offset.values.sum())})


@hven.analysis(
    stars=Table(feh="dex"), produces={"low": {"feh_low": "dex"}, "high": {"feh_high": "dex"}}, per_object=True
)
def halves(stars: xr.Dataset) -> dict[str, xr.Dataset]:
    """Two parts of one result."""
    return {
        "low": xr.Dataset({"feh_low": np.minimum(stars.feh, 0)}),
        "high": xr.Dataset({"feh_high": np.maximum(stars.feh, 0)}),
    }


@hven.analysis(stars=Table(feh="dex", optional={"doubled": "dex"}), produces={"mean_feh": "dex", "n": "", "chunks": ""})
def mean_feh(stars: xr.Dataset, *, least: int = 1) -> xr.Dataset:
    """Mean metallicity of everything at once."""
    if stars.sizes["object"] < least:
        raise hven.errors.TooFewObjectsError("too few stars", hint="Take more.")
    values = {"mean_feh": [float(stars.feh.mean())], "n": [stars.sizes["object"]], "chunks": [len(stars.feh.chunks[0])]}
    return xr.Dataset({name: ("population", value) for name, value in values.items()})


@mean_feh.figure
def _(result: xr.Dataset):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot(result.mean_feh, "o")
    return figure


@hven.analysis(stars=Table(feh="dex"), produces={"rank": ""})
def ranked(stars: xr.Dataset) -> xr.Dataset:
    """Rank in metallicity, of every object."""
    return xr.Dataset({"rank": ("object", np.argsort(np.argsort(stars.feh.values)))})


@hven.analysis(stars=Table(feh="dex"), produces={"histogram": "", "edges": "dex"})
def histogram(stars: xr.Dataset) -> xr.Dataset:
    """Counts by metallicity and metallicity again: arrays of two dimensions."""
    counts, edges, _ = np.histogram2d(stars.feh.values, -stars.feh.values, bins=4)
    return xr.Dataset({"histogram": (("one", "other"), counts), "edges": ("edge", edges)})


@hven.analysis(stars=Table(feh="dex"), produces={"curve": {"below": ""}, "total": {"n": ""}})
def cumulated(stars: xr.Dataset, *, least: int = 1) -> dict[str, xr.Dataset]:
    """How many are below each of 900 metallicities, and how many there are: parts that tell of no object."""
    if stars.sizes["object"] < least:
        raise hven.errors.TooFewObjectsError("too few stars", hint="Take more.")
    below = np.searchsorted(np.sort(stars.feh.values), np.linspace(-2, 1, 900))
    total = xr.Dataset({"n": ("all", [stars.sizes["object"]])})
    return {"curve": xr.Dataset({"below": ("feh", below)}), "total": total}


@hven.analysis(scale=Model(), produces={"weight": ""})
def weighed(scale: xr.Dataset) -> xr.Dataset:
    """Sum of the weights of a model: there are no objects at all."""
    return xr.Dataset({"weight": ("all", [float(scale.weights.values.sum())])})


@hven.analysis(
    stars=Table(teff="K", optional={"visits": "", "is_variable": "", "feh": "dex"}, named_by="columns"),
    produces={"seen_<x>": ""},
    per_object=True,
)
def seen(stars: xr.Dataset, *, columns: list[str] | None = None) -> xr.Dataset:
    """Everything that arrives: all of it as float64, with nothing beside it."""
    assert {v.dtype for v in stars.variables.values()} == {np.dtype("f8")}, stars
    assert not [name for name in stars.variables if str(name).endswith("_valid")], stars
    return xr.Dataset({f"seen_{str(n).replace('_', '')}": ("object", v.values) for n, v in stars.data_vars.items()})


@hven.analysis(stars=Table(teff="K", optional={"visits": "", "is_variable": ""}), produces={"<x>_mean": ""})
def means(stars: xr.Dataset) -> xr.Dataset:
    """Mean of everything that arrives."""
    assert {v.dtype for v in stars.variables.values()} == {np.dtype("f8")}, stars
    return xr.Dataset(
        {f"{str(name).replace('_', '')}_mean": ("all", [float(stars[name].mean())]) for name in stars.data_vars}
    )


@hven.analysis(spectra=Spectra(flux="W", ivar=False), produces={"shifted": "W"}, per_object=True)
def shifted(spectra: xr.Dataset, *, by: str = "nothing", worst: float = 1e9) -> xr.Dataset:
    """Spectra whose axis depends on the data, where one is above the worst."""
    axis, flux = spectra.wavelength, spectra.flux
    if float(flux.max()) > worst and by == "values":
        axis = axis + 1.0
    if float(flux.max()) > worst and by == "length":
        flux, axis = flux[:, 1:], axis[1:]
    if float(flux.max()) > worst and by == "unit":
        axis = axis.assign_attrs(units="nm")
    return xr.Dataset({"shifted": (flux.dims, flux.values)}).assign_coords(
        wavelength=("wavelength", axis.values, {"units": axis.attrs.get("units", "")})
    )


@hven.analysis(stars=Table(ra="deg", dec="deg", feh="dex"), produces={"ra": "deg", "dec": "deg"}, per_object=True)
def moved(stars: xr.Dataset, *, worst: float) -> xr.Dataset:
    """Positions, off the sphere for stars above the worst."""
    return xr.Dataset({"ra": stars.ra, "dec": stars.dec.where(stars.feh <= worst, 95.0)})


@hven.analysis(stars=Table(feh="dex"), produces={"double": "dex"}, per_object=True)
def short(stars: xr.Dataset) -> xr.Dataset:
    """A result that has lost an object."""
    return xr.Dataset({"double": stars.feh[1:]})


@hven.analysis(stars=Table(feh="dex"), produces={"double": "dex"}, per_object=True)
def fickle(stars: xr.Dataset, *, worst: float = 3.0) -> xr.Dataset:
    """A result whose type depends on the data."""
    return xr.Dataset({"double": stars.feh.astype("f4") if float(stars.feh.max()) > worst else stars.feh})


@hven.analysis(stars=Table(feh="dex"), produces={"doubled": "dex"}, per_object=True)
def greedy(stars: xr.Dataset, *, folder: str = "", each: int = 0, more: int = 0, worst: float = 9.0) -> xr.Dataset:
    """Twice the metallicity, in `each` bytes of memory for each object, and `more` where one is above the worst."""
    note_call(folder, stars)
    held = np.ones((stars.sizes["object"], max(each // 8, 1)))
    if float(stars.feh.max()) > worst:
        held = held * np.ones(more // 8)[0]
    return xr.Dataset({"doubled": stars.feh * 2 * held[:, 0]})


@doubled.figure
def _(result: xr.Dataset):
    raise RuntimeError("no ink")
