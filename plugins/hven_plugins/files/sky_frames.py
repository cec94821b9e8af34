"""Frames in which files give positions, and the way from them to ICRS."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import DataRefusedError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_FRAMES = {
    "icrs": "icrs",
    "gcrs": "",
    "gappt": "",
    "fk5": "fk5",
    "eqfk5": "fk5",
    "j2000": "fk5",
    "fk4": "fk4",
    "eqfk4": "fk4",
    "b1950": "fk4",
    "fk4noe": "fk4noeterms",
    "fk4noeterms": "fk4noeterms",
    "galactic": "galactic",
    "gal": "galactic",
    "galacticii": "galactic",
    "galacticlatlon": "galactic",
    "supergalactic": "supergalactic",
    "ecliptic": "barycentricmeanecliptic",
    "eclfk5": "barycentricmeanecliptic",
    "barycentricmeanecliptic": "barycentricmeanecliptic",
    "barycentrictrueecliptic": "barycentrictrueecliptic",
    "geocentrictrueecliptic": "",
}


def read_frame(text: str) -> str:
    """Return astropy's name of a frame as files write it, with its equinox when that is not the usual one.

    Raises
    ------
    DataRefusedError
        If hven does not convert positions from that frame.

    Examples
    --------
    >>> read_frame("ICRS"), read_frame("eq_FK5 J2000"), read_frame("FK5 1975.0"), read_frame("FK4"), read_frame("b1950")
    ('icrs', 'fk5', 'fk5 J1975', 'fk4', 'fk4')
    """
    equinox = re.search(r"(?<![A-Za-z0-9.])([JjBb]?)(\d{4}(?:\.\d*)?)\s*\)?\s*$", text)
    word = text[: equinox.start()] if equinox else text
    plain = re.sub(r"[^a-z0-9]", "", word.lower())
    if not plain and equinox:
        plain = (equinox[1] or ("J" if float(equinox[2]) >= 1984 else "B")).lower()
        plain = {"j": "fk5", "b": "fk4"}[plain]
    found = _FRAMES.get(plain, "")
    if not found:
        raise DataRefusedError(
            f"the positions are in the frame {text!r}, from which hven does not convert",
            expected="icrs, fk5, fk4, galactic, supergalactic or ecliptic, with an equinox such as J2000 if need be",
            hint="Say the frame with the option 'frame', or read the file without position: position=[].",
        )
    if equinox is None or found in ("icrs", "galactic", "supergalactic"):
        return found
    year = float(equinox[2])
    letter = equinox[1].upper() or ("B" if found.startswith("fk4") and year < 1984 else "J")
    usual = "B1950" if found.startswith("fk4") else "J2000"
    written = f"{letter}{year:g}"
    return found if written == usual else f"{found} {written}"


def to_icrs(longitude: "ArrayLike", latitude: "ArrayLike", frame: str) -> "tuple[NDArray[Any], NDArray[Any]]":
    """Return ICRS right ascension and declination [deg] of positions [deg] in `frame`; NaN stays NaN.

    Parameters
    ----------
    longitude, latitude
        In degrees, shape (n,).
    frame
        As `read_frame` returns it.

    Examples
    --------
    >>> ra, dec = to_icrs([0.0], [90.0], "galactic")
    >>> ra.round(3).tolist(), dec.round(3).tolist()
    ([192.859], [27.128])
    """
    from astropy import units
    from astropy.coordinates import SkyCoord

    lon, lat = (np.asarray(values, dtype=np.float64) for values in (longitude, latitude))
    ra, dec = np.full(lon.shape, np.nan), np.full(lon.shape, np.nan)
    known = np.isfinite(lon) & (np.abs(lat) <= 90)
    name, _, equinox = frame.partition(" ")
    settings = {"equinox": equinox} if equinox else {}
    there = SkyCoord(lon[known] * units.deg, lat[known] * units.deg, frame=name, **settings).icrs
    ra[known], dec[known] = there.ra.deg, there.dec.deg
    return ra, dec
