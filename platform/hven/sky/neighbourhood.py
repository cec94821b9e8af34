"""HEALPix cells near a place: those to interpolate between, and those around a cell."""

from typing import TYPE_CHECKING

import numpy as np

from hven.errors import DataRefusedError, ParameterError
from hven.sky.healpix import ORDER, wrap

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def bilinear_weights(
    longitude: "ArrayLike", latitude: "ArrayLike", order: int
) -> "tuple[NDArray[np.int64], NDArray[np.float64]]":
    """Return the four cells around each position, and what their values weigh in an interpolation.

    The value of a map there is ``(weights * values[cells]).sum(axis=1)``. Weights of a row add up to 1. Where
    three cells meet, at eight points of the sky, a cell may stand twice.
    Errors fall with the square of the cells' size, but only in proportion to it along the seams of the polar caps
    (longitudes 0, 90, 180, 270 beyond latitude 41.8).

    Parameters
    ----------
    longitude, latitude
        In deg, in the frame of the map: ra and dec, or those of `to_galactic`. Shape (n,).
    order
        Of the map: n_side = 2^order, nested.

    Returns
    -------
    tuple
        Cells (n, 4), int64, and weights (n, 4). A position that is NaN, or beyond a pole, has cells of 0 and weights
        of NaN, so that what is read there is NaN.

    Raises
    ------
    ParameterError
        The order is not between 0 and 29.

    Examples
    --------
    >>> cells, weights = bilinear_weights([10.0, np.nan], [5.0, 0.0], 3)
    >>> weights.sum(axis=1).round(12).tolist()
    [1.0, nan]
    """
    _refuse_order(order)
    lon, lat = np.broadcast_arrays(
        np.atleast_1d(np.asarray(longitude, np.float64)), np.atleast_1d(np.asarray(latitude, np.float64))
    )
    is_good = np.isfinite(lon) & (np.abs(lat) <= 90.0)
    cells, weights = np.zeros((len(lon), 4), np.int64), np.full((len(lon), 4), np.nan)
    if is_good.any():
        from astropy import units
        from cdshealpix.nested import bilinear_interpolation

        found, share = bilinear_interpolation(
            wrap(lon[is_good]) * units.deg, lat[is_good] * units.deg, order, num_threads=1
        )
        cells[is_good], weights[is_good] = np.asarray(found).astype(np.int64), np.asarray(share)
    return cells, weights


def neighbours(cells: "ArrayLike", order: int) -> "NDArray[np.int64]":
    """Return the cells that touch each nested cell, shape (n, 8): to the S, SE, E, SW, NE, W, NW and N.

    It is -1 where there is none: 24 cells of an order have seven neighbours, those of order 0 have six.

    Parameters
    ----------
    cells
        Nested, of one `order`, shape (n,).
    order
        From 0 to 29.

    Raises
    ------
    ParameterError
        The order is not between 0 and 29.
    DataRefusedError
        A cell is not one of that order.

    Examples
    --------
    >>> neighbours([42, 5], 3).tolist()
    [[317, 40, 41, 319, 43, -1, 213, 215], [366, 367, 378, 4, 16, 6, 7, 18]]
    """
    _refuse_order(order)
    asked = np.atleast_1d(np.asarray(cells))
    if (
        asked.ndim != 1
        or not np.issubdtype(asked.dtype, np.integer)
        or np.any((asked < 0) | (asked >= 12 << 2 * order))
    ):
        raise DataRefusedError(
            f"cells of shape {asked.shape} and type {asked.dtype} are not all cells of order {order}",
            where="neighbours",
            expected=f"whole numbers from 0 to {(12 << 2 * order) - 1}",
            hint="Shift cells of order 29 to this order: cells >> 2 * (29 - order).",
        )
    if not len(asked):
        return np.empty((0, 8), np.int64)
    from cdshealpix.nested import neighbours as around

    found = np.asarray(around(asked.astype(np.uint64), order, num_threads=1)).astype(np.int64)
    return np.delete(found, 4, axis=1)


def _refuse_order(order: int) -> None:
    if not 0 <= order <= ORDER:
        raise ParameterError(
            f"the order is {order}", expected=f"0 to {ORDER}", hint="It is log2 of n_side: 10 for n_side 1024."
        )
