"""A simulated survey of the size of the demo's: stars, and spectra as smooth as real ones."""

import numpy as np
import polars as pl
import xarray as xr

STARS, PIXELS = 40_000, 343
LABELS = (
    *("teff", "teff_err", "logg", "logg_err", "feh", "feh_err", "alpha_m", "alpha_m_err", "snr", "a_k", "medflux"),
    *("j_mag", "h_mag", "ks_mag", "phot_g_mean_mag", "phot_bp_mean_mag", "phot_rp_mean_mag"),
)


def spectra(stars: int = STARS, pixels: int = PIXELS) -> xr.Dataset:
    """Return spectra with errors; noise as in XP spectra, so that they compress as those do."""
    rng = np.random.default_rng(1)
    wavelength = np.linspace(3360, 10200, pixels)
    slope = rng.normal(scale=0.4, size=(stars, 1))
    flux = 1 + slope * (wavelength - 6500) / 3500 + rng.normal(scale=0.01, size=(stars, pixels))
    errors = 0.01 * np.exp(rng.normal(scale=0.2, size=(stars, pixels)))
    return xr.Dataset(
        {
            "object_id": ("object", np.arange(stars, dtype=np.int64)),
            "flux": (("object", "wavelength"), flux.astype("f4"), {"units": ""}),
            "flux_err": (("object", "wavelength"), errors.astype("f4"), {"units": ""}),
            "wavelength": ("wavelength", wavelength, {"units": "Angstrom"}),
        }
    )


def stars(count: int = STARS) -> pl.DataFrame:
    """Return a table of stars all over the sky, with labels and magnitudes as in the demo's."""
    rng = np.random.default_rng(2)
    return pl.DataFrame(
        {
            "source_id": np.arange(count, dtype=np.int64) * 7919,
            "ra": rng.uniform(0, 360, count),
            "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, count))),
            **{name: rng.normal(size=count).astype("f4") for name in LABELS},
        }
    )
