"""Interpolation weights, neighbours and Galactic coordinates of HEALPix maps."""

import numpy as np
import pytest

from hven import sky
from hven.errors import DataRefusedError, ParameterError
from hven.methods import frames
from hven.sky.healpix import cell_centres

RNG = np.random.default_rng(3)
LON, LAT = RNG.uniform(0, 360, 4000), np.degrees(np.arcsin(RNG.uniform(-1, 1, 4000)))


def smooth(lon, lat):
    """Return a function on the sphere without a seam: a polynomial of the unit vector."""
    a, d = np.radians(lon), np.radians(lat)
    x, y, z = np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)
    return 1 + x - 2 * y * z + 3 * x * z**2


def error_of(order):
    cells, weights = sky.bilinear_weights(LON, LAT, order)
    values = smooth(*cell_centres(np.arange(12 << 2 * order), order))
    return np.abs((weights * values[cells]).sum(axis=1) - smooth(LON, LAT))


def test_a_smooth_map_is_read_to_second_order():
    """Halving the cells quarters the error; the nearest cell only halves it, and so do seams of the polar caps."""
    coarse, fine = error_of(4), error_of(5)
    assert np.median(coarse) / np.median(fine) == pytest.approx(4.0, rel=0.15)
    assert np.quantile(coarse, 0.98) / np.quantile(fine, 0.98) == pytest.approx(4.0, rel=0.2)
    home = sky.healpix_29(LON, LAT) >> 2 * (29 - 5)
    nearest = np.abs(smooth(*cell_centres(home, 5)) - smooth(LON, LAT))
    assert np.median(fine) < np.median(nearest) / 20
    assert fine.max() < nearest.max() / 2
    rough = fine > 0.01
    assert np.abs(LAT[rough]).min() > 41.8
    assert np.abs((LON[rough] + 45) % 90 - 45).max() < 20


def test_weights_are_fractions_and_a_centre_is_its_own_cell():
    cells, weights = sky.bilinear_weights(LON, LAT, 6)
    assert weights.sum(axis=1) == pytest.approx(np.ones(4000))
    assert weights.min() >= -1e-12
    assert cells.dtype == np.int64
    some = np.array([0, 77, 3000, 12 * 4**6 - 1])
    cells, weights = sky.bilinear_weights(*cell_centres(some, 6), 6)
    own = np.sum(np.where(cells == some[:, None], weights, 0), axis=1)
    assert own == pytest.approx(np.ones(4), abs=1e-6)


def test_the_cells_of_the_weights_touch_the_cell_of_the_position():
    cells, weights = sky.bilinear_weights(LON, LAT, 5)
    home = sky.healpix_29(LON, LAT) >> 2 * (29 - 5)
    allowed = np.column_stack([home, sky.neighbours(home, 5)])
    is_near = (cells[:, :, None] == allowed[:, None, :]).any(axis=2)
    assert is_near[weights > 1e-9].all()


def test_a_position_that_is_none_reads_nan():
    cells, weights = sky.bilinear_weights([10.0, np.nan, 10.0, np.inf, 370.0], [5.0, 0.0, 91.0, 0.0, 5.0], 3)
    assert np.isnan(weights).all(axis=1).tolist() == [False, True, True, True, False]
    assert cells[0].tolist() == cells[4].tolist()
    assert sky.bilinear_weights([], [], 3)[0].shape == (0, 4)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_neighbours_are_the_cells_that_share_a_corner(order):
    """By brute force: the corners of all cells, from cdshealpix's geometry and not from its table of neighbours."""
    from cdshealpix.nested import vertices

    cells = np.arange(12 << 2 * order)
    lon, lat = (np.asarray(v.to_value("rad")) for v in vertices(cells.astype(np.uint64), order, num_threads=1))
    corners = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    named = {}
    for cell, four in enumerate(corners):
        for corner in np.round(four, 6) + 0.0:
            named.setdefault(tuple(corner), set()).add(cell)
    around = [set() for _ in cells]
    for together in named.values():
        for cell in together:
            around[cell] |= together - {cell}
    found = sky.neighbours(cells, order)
    assert [set(row[row >= 0].tolist()) for row in found] == around
    assert np.sum(found < 0) == 24  # one of 24 cells each; at order 0 two of each of the 12


def test_what_is_no_cell_or_order_is_refused():
    with pytest.raises(ParameterError, match="order"):
        sky.bilinear_weights(1.0, 1.0, 30)
    with pytest.raises(ParameterError, match="order"):
        sky.neighbours([0], -1)
    for cells in ([768], [-1], [0.5], [[0]]):
        with pytest.raises(DataRefusedError, match="order 3"):
            sky.neighbours(cells, 3)
    assert sky.neighbours(np.empty(0, np.int64), 3).shape == (0, 8)


def test_galactic_coordinates_are_astropys_and_those_of_the_methods():
    """Target 0.03 arcsec of astropy, whose definition is in FK5; 1e-9 deg of the matrix in hven.methods."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    longitude, latitude = sky.to_galactic(LON, LAT)
    theirs = SkyCoord(LON * u.deg, LAT * u.deg).galactic
    apart = SkyCoord(longitude * u.deg, latitude * u.deg, frame="galactic").separation(theirs)
    assert apart.to_value("arcsec").max() < 0.03
    ours = frames.galactic(LON, LAT)
    assert latitude == pytest.approx(ours[1], abs=1e-9)
    assert (longitude - ours[0] + 180) % 360 - 180 == pytest.approx(np.zeros(4000), abs=1e-7)
    assert longitude.min() >= 0
    assert longitude.max() < 360
    back = sky.from_galactic(longitude, latitude)
    assert back[1] == pytest.approx(LAT, abs=1e-9)
    assert (back[0] - LON + 180) % 360 - 180 == pytest.approx(np.zeros(4000), abs=1e-7)
    assert np.isnan(sky.to_galactic(np.nan, 0.0)).all()
    assert sky.to_galactic(192.85948, 27.12825)[1] == pytest.approx(90.0, abs=1e-6)
