"""Positions from 2MASS designations."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.sky import ra_dec_from_2mass


def designation(ra: float, dec: float) -> str:
    """Return the truncated 2MASS designation of a position given in whole 0.01 s and 0.1 arcsec."""
    ticks, tenths = int(ra / 15 * 360_000), int(abs(dec) * 36_000)
    clock = f"{ticks // 360_000:02}{ticks // 6000 % 60:02}{ticks % 6000:04}"
    return f"{clock}{'-' if dec < 0 else '+'}{tenths // 36_000:02}{tenths // 600 % 60:02}{tenths % 600:03}"


@settings(deadline=None)
@given(st.floats(0, 360, exclude_max=True), st.floats(-90, 90), st.sampled_from(["2M", "AP", "2MASS J", ""]))
def test_a_name_gives_back_its_position_to_a_tenth_of_an_arcsecond(ra, dec, prefix):
    found_ra, found_dec = ra_dec_from_2mass([prefix + designation(ra, dec)])
    assert abs((found_ra[0] - ra + 180) % 360 - 180) * 3600 < 0.0751
    assert abs(found_dec[0] - dec) * 3600 < 0.0501


def test_declinations_just_south_of_the_equator_keep_their_sign():
    _, dec = ra_dec_from_2mass(["2M00000000-0000300"])
    assert dec[0] < 0


def test_what_is_not_a_designation_gives_nan():
    ra, dec = ra_dec_from_2mass(["VESTA", None, "2M25000000+0000000", "2M00600000+0000000", "2M00000000+9100000", ""])
    assert np.isnan(ra).all()
    assert np.isnan(dec).all()


def test_vega_is_where_hipparcos_puts_it():
    ra, dec = ra_dec_from_2mass(["2MASS J18365633+3847012"])
    assert abs(ra[0] - 279.23473479) * 3600 * np.cos(np.radians(38.8)) < 0.1
    assert abs(dec[0] - 38.78368896) * 3600 < 0.1
