"""The index that orders every dataset on the sky: HEALPix cells of order 29, nested, ICRS."""

from typing import TYPE_CHECKING

import numpy as np

from hven.errors import DataRefusedError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

ORDER = 29
SKY = 12 << (2 * ORDER)
"""One past the last cell of order 29."""


def healpix_29(ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.int64]":
    """Return the nested HEALPix cell of order 29 that each position lies in.

    Parameters
    ----------
    ra, dec
        ICRS right ascension and declination [deg], shape (n,) or scalar; any finite `ra` is taken modulo 360.

    Returns
    -------
    numpy.ndarray
        Cells, int64, shape (n,), between 0 and 12 * 4**29.

    Raises
    ------
    DataRefusedError
        For positions that are not finite, or a declination outside -90 to 90.

    Examples
    --------
    >>> healpix_29([0.0, 45.0], [90.0, 0.0]).tolist()
    [288230376151711743, 0]
    """
    longitude, latitude = _positions(ra, dec)
    if not longitude.size:
        return np.empty(0, np.int64)
    from astropy import units
    from cdshealpix.nested import lonlat_to_healpix

    cells = lonlat_to_healpix(longitude * units.deg, latitude * units.deg, ORDER, num_threads=1)
    return np.asarray(cells).astype(np.int64)


def cell_centres(cells: "NDArray[np.int64]", order: int) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return ``ra, dec`` [deg] of the centres of nested `cells` (n,) of one `order`.

    Examples
    --------
    >>> ra, dec = cell_centres(np.array([4]), 0)
    >>> float(ra[0]), float(dec[0])
    (0.0, 0.0)
    """
    from cdshealpix.nested import healpix_to_lonlat

    ra, dec = healpix_to_lonlat(cells.astype(np.uint64), order, num_threads=1)
    return np.asarray(ra.deg, float), np.asarray(dec.deg, float)


def _positions(ra: "ArrayLike", dec: "ArrayLike") -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    longitude, latitude = np.broadcast_arrays(
        np.atleast_1d(np.asarray(ra, np.float64)), np.atleast_1d(np.asarray(dec, np.float64))
    )
    good = np.isfinite(longitude) & (np.abs(latitude) <= 90.0)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise DataRefusedError(
            f"{int((~good).sum())} of {good.size} positions are not on the sky, "
            f"the first is ra={longitude[first]}, dec={latitude[first]}",
            where=f"row {first}",
            expected="finite ra, and dec between -90 and 90, both in degrees",
            hint="Correct these positions or leave these rows out.",
        )
    return wrap(longitude), latitude


def wrap(ra: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return `ra` [deg] in 0 <= ra < 360, also where rounding would give 360.

    Examples
    --------
    >>> wrap(np.array([360.0, -1e-20, 370.0])).tolist()
    [0.0, 0.0, 10.0]
    """
    turned = np.mod(ra, 360.0)
    return np.where(turned >= 360.0, 0.0, turned)
