"""Positions from the names of stars."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl
    from numpy.typing import NDArray

_DESIGNATION = r"(\d{2})(\d{2})(\d{4})([+-])(\d{2})(\d{2})(\d{3})$"


def ra_dec_from_2mass(names: "Iterable[str | None] | pl.Series") -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return ``ra, dec`` [deg] that 2MASS designations say, NaN where a name is not one.

    The last 16 characters are read, ``HHMMSSss+DDMMSSs`` (hours, minutes, hundredths of seconds; degrees, minutes,
    tenths of arcseconds), whatever stands before: ``2MASS J``, or APOGEE's ``2M`` and ``AP``. Designations are
    truncated, not rounded, so the middle of what a name can mean is returned: right to 0.08 arcsec in `ra` and 0.05 in
    `dec`.

    Parameters
    ----------
    names
        Designations, n of them.

    Returns
    -------
    ra, dec
        ICRS [deg], float64, each of shape (n,).

    Examples
    --------
    >>> ra, dec = ra_dec_from_2mass(["2M18365633+3847012"])  # Vega
    >>> round(float(ra[0]), 4), round(float(dec[0]), 4)
    (279.2347, 38.7837)
    """
    import polars as pl

    text = names if isinstance(names, pl.Series) else pl.Series(list(names), dtype=pl.String)
    parts = pl.DataFrame({"name": text.str.strip_chars()}).select(
        pl.col("name").str.extract(_DESIGNATION, group).alias(field)
        for group, field in enumerate(("h", "m", "s", "sign", "d", "am", "as"), start=1)
    )
    n = {field: parts[field].cast(pl.Float64).to_numpy() for field in ("h", "m", "s", "d", "am", "as")}
    ra = 15.0 * (n["h"] + n["m"] / 60.0 + (n["s"] + 0.5) / 360_000.0)
    size = n["d"] + n["am"] / 60.0 + n["as"] / 36_000.0
    middle = np.minimum(size + 0.5 / 36_000.0, 90.0)
    dec = np.where((parts["sign"] == "-").fill_null(value=False).to_numpy(), -middle, middle)
    good = (n["h"] < 24) & (n["m"] < 60) & (n["s"] < 6000) & (size <= 90.0) & (n["am"] < 60) & (n["as"] < 600)
    return np.where(good, ra, np.nan), np.where(good, dec, np.nan)
