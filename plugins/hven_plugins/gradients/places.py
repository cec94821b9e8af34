"""Where stars are in the Galaxy: columns that are there, or those that follow from the sky and the distance."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import hven
from hven.methods.frames import SolarFrame, galactocentric

Array = NDArray[np.float64]
COLUMNS = {
    "r_gal_err": "kpc",
    "phi_gal": "rad",
    "z_gal": "kpc",
    "ra": "deg",
    "dec": "deg",
    "distance_err": "kpc",
}
"""Optional columns that places are made of, beside ``r_gal`` or ``distance``, with units."""


def column(stars: xr.Dataset, name: str) -> Array:
    """Return a column in memory as float64, (n,)."""
    return np.asarray(stars[name].values, dtype=np.float64)


def places(stars: xr.Dataset, names: Sequence[str], solar: SolarFrame, *, where: str) -> dict[str, Array]:
    """Return those of r_gal, phi_gal, z_gal, x_gal, y_gal that are asked for, and r_gal_err where it is known.

    A column that is there counts as it is, error included; what is not there is computed from ``ra, dec, distance``.
    ``r_gal_err`` always belongs to the r_gal that is returned.

    Raises
    ------
    MissingColumnError
        A column is neither there nor can be computed.
    """
    flat = {"x_gal", "y_gal"} & set(names)
    wanted = [name for name in ("r_gal", "phi_gal", "z_gal") if name in names or (flat and name != "z_gal")]
    known = {name: column(stars, name) for name in wanted if name in stars}
    if "r_gal" in known and "r_gal_err" in stars:
        known["r_gal_err"] = column(stars, "r_gal_err")
    if set(wanted) - set(known):
        for name in ("ra", "dec", "distance"):
            if name not in stars:
                absent = next(n for n in wanted if n not in known)
                raise hven.errors.MissingColumnError(
                    f"there is no column {name!r} to compute {absent} from",
                    where=where,
                    expected=f"{', '.join(wanted)}, or ra, dec and distance",
                    hint="Bind the missing columns.",
                )
        error = column(stars, "distance_err") if "distance_err" in stars else None
        sky = galactocentric(column(stars, "ra"), column(stars, "dec"), column(stars, "distance"), error, solar=solar)
        if "r_gal" not in known and error is not None:
            known["r_gal_err"] = sky.r_gal_err
        for name in wanted:
            known.setdefault(name, getattr(sky, name))
    if flat:
        known["x_gal"] = known["r_gal"] * np.cos(known["phi_gal"])
        known["y_gal"] = known["r_gal"] * np.sin(known["phi_gal"])
    return known
