"""The index that orders every dataset on the sky: HEALPix cells of order 29, nested, ICRS."""

from typing import TYPE_CHECKING

import numpy as np

from hven.errors import DataRefusedError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

ORDER = 29
SKY = 12 << (2 * ORDER)
"""One past the last cell of order 29."""

_FAR_SOUTH = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4], float)
_FAR_EAST = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7], float)
"""Of the southern corner of each base cell: rings from the north pole, and longitude; in sides, and in pi / 4."""

_EVEN_BITS = 0x5555555555555555
_GATHER = (
    (1, 0x3333333333333333),
    (2, 0x0F0F0F0F0F0F0F0F),
    (4, 0x00FF00FF00FF00FF),
    (8, 0x0000FFFF0000FFFF),
    (16, 0x00000000FFFFFFFF),
)


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


def cell_vectors(cells: "NDArray[np.int64]", order: int) -> "NDArray[np.float64]":
    """Return the unit vectors (3, n) to the centres of nested HEALPix `cells` (n,) of one `order`.

    Examples
    --------
    >>> cell_vectors(np.array([4]), 0).round(12).ravel().tolist()
    [1.0, 0.0, 0.0]
    """
    longitude, height, across = _cylindrical(cells, order)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), height])


def cell_centres(cells: "NDArray[np.int64]", order: int) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return ``ra, dec`` [deg] of the centres of nested `cells` (n,) of one `order`.

    Examples
    --------
    >>> ra, dec = cell_centres(np.array([4]), 0)
    >>> float(ra[0]), float(dec[0])
    (0.0, 0.0)
    """
    longitude, height, across = _cylindrical(cells, order)
    return wrap(np.degrees(longitude)), np.degrees(np.arctan2(height, across))


def _cylindrical(
    cells: "NDArray[np.int64]", order: int
) -> "tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]":
    """Return longitude [rad], and sine and cosine of the latitude, of the centres of cells (Gorski et al. 2005).

    Written out, and not asked of cdshealpix, because every query on the sky begins here: it takes a tenth of the time
    for the few hundred cells of a step, and keeps astropy's coordinates from being imported.
    """
    face = cells >> (2 * order)
    steps = np.stack([cells, cells >> 1]) & (_EVEN_BITS & ((1 << (2 * order)) - 1))
    # The even bits of a nested index count steps to the north-east, the odd ones to the north-west.
    for shift, mask in _GATHER:
        steps = (steps | (steps >> shift)) & mask
    east, west = (steps + 0.5) / (1 << order)
    south = _FAR_SOUTH[face] - east - west
    ring = np.minimum(np.minimum(south, 4.0 - south), 1.0)
    longitude = (_FAR_EAST[face] + (east - west) / ring) * (np.pi / 4)
    # Equations 4 and 8 of Gorski et al.; in the caps 1 - |height| is at hand, so that nothing is lost near the poles.
    depth = ring * ring / 3.0
    height = np.where(ring < 1.0, np.copysign(1.0 - depth, 2.0 - south), (2.0 - south) * (2.0 / 3.0))
    across = np.sqrt(np.where(ring < 1.0, depth * (2.0 - depth), 1.0 - height * height))
    return longitude, height, across


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
