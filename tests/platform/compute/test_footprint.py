import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.compute.footprint import footprint, joined
from hven.sky import healpix_29, moc


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 2000), st.floats(0.001, 80))
def test_joined_footprints_cover_every_object_of_every_block(seed, size, spread):
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 4 * spread, size), rng.uniform(-spread, spread, size)
    pixels = healpix_29(ra, dec)
    blocks = np.array_split(np.sort(pixels), 4)
    footprints = [footprint(block) for block in blocks]
    assert all(len(cells) <= 256 for _, cells in footprints)
    assert moc(joined(footprints)).contains(ra, dec).all()


def test_nothing_has_no_footprint():
    assert joined([footprint(np.array([], np.int64))]) == ""
