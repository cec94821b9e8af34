"""The colour of a star, and its magnitude freed of reddening."""

from typing import TYPE_CHECKING, Annotated

import numpy as np
import xarray as xr
from pydantic import Field

import hven
from hven.mocks import Mock

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@hven.analysis(
    stars=hven.Table(
        phot_g_mean_mag="mag",
        phot_bp_mean_mag="mag",
        phot_rp_mean_mag="mag",
        optional={"phot_g_mean_mag_err": "mag", "phot_bp_mean_mag_err": "mag", "phot_rp_mean_mag_err": "mag"},
    ),
    produces={"bp_rp": "mag", "bp_rp_err": "mag", "w_g": "mag", "w_g_err": "mag"},
    references=("1805.02079",),
    per_object=True,
)
def gaia_colours(
    stars: xr.Dataset, *, ratio: float = 1.90, assumed_err: Annotated[float, Field(ge=0)] = 0.01
) -> xr.Dataset:
    """Colour BP - RP and Wesenheit magnitude W = G - ratio (BP - RP) of each star, with 1-sigma errors.

    W does not change with reddening when `ratio` is A_G / E(BP - RP).

    Parameters
    ----------
    ratio
        Total to selective extinction, A_G / E(BP - RP); 1.90 after Ripepi et al. 2019 (arXiv:1805.02079).
    assumed_err
        Error in mag of a magnitude that comes without one.
    """
    magnitudes, errors = {}, {}
    for band in ("g", "bp", "rp"):
        name = f"phot_{band}_mean_mag"
        magnitudes[band] = stars[name].astype("float64")
        errors[band] = stars.get(f"{name}_err", xr.full_like(magnitudes[band], assumed_err)).astype("float64")
    bp_rp = magnitudes["bp"] - magnitudes["rp"]
    bp_rp_err = np.hypot(errors["bp"], errors["rp"])
    w_g_err = np.hypot(errors["g"], ratio * bp_rp_err)
    return xr.Dataset(
        {"bp_rp": bp_rp, "bp_rp_err": bp_rp_err, "w_g": magnitudes["g"] - ratio * bp_rp, "w_g_err": w_g_err}
    )


@gaia_colours.figure
def _(result: xr.Dataset) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(result.bp_rp, result.w_g, ",", rasterized=True)
    axes.set(xlabel="BP - RP [mag]", ylabel="W [mag]")
    axes.invert_yaxis()
    return figure


@gaia_colours.mock
def _(size: int, seed: int) -> Mock:
    rng = np.random.default_rng(seed)
    bp_rp, g = rng.uniform(0.5, 2.0, size), rng.uniform(8.0, 16.0, size)
    rp = g - 0.4 * bp_rp
    true = {"g": g, "bp": rp + bp_rp, "rp": rp}
    stars = {}
    for band, magnitude in true.items():
        name = f"phot_{band}_mean_mag"
        stars[name] = ("object", rng.normal(magnitude, 0.02), {"units": "mag"})
        stars[f"{name}_err"] = ("object", np.full(size, 0.02), {"units": "mag"})
    return Mock({"stars": xr.Dataset(stars)}, truth={"bp_rp": bp_rp, "w_g": g - 1.90 * bp_rp})
