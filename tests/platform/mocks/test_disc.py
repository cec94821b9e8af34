import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.methods.frames import galactocentric
from hven.mocks import gradient_stars, red_clump_stars

MOCKS = [gradient_stars, red_clump_stars]


@pytest.mark.parametrize("make", MOCKS)
def test_the_same_seed_gives_the_same_stars_and_another_gives_others(make):
    one, again, other = make(50, 1), make(50, 1), make(50, 2)
    assert one.inputs["stars"].identical(again.inputs["stars"])
    assert not one.inputs["stars"].equals(other.inputs["stars"])


@pytest.mark.parametrize("make", MOCKS)
@settings(deadline=None, max_examples=20)
@given(size=st.integers(1, 400), seed=st.integers(0, 2**32))
def test_any_size_works_and_nothing_is_missing(make, size, seed):
    stars = make(size, seed).inputs["stars"]
    assert stars.sizes == {"object": size}
    assert all(np.isfinite(stars[name]).all() for name in stars)
    assert all(stars[name].attrs["units"] for name in stars if name != "object_id")


def test_errors_are_those_that_the_stars_were_scattered_by():
    mock = red_clump_stars(20_000, seed=3)
    stars, truth = mock.inputs["stars"], mock.truth
    modulus = 5 * np.log10(truth["distance"]) + 10
    assert np.std(stars.ks_mag - stars.a_k - modulus) == pytest.approx(np.sqrt(0.09**2 + 0.025**2 + 0.04**2), rel=0.02)
    assert np.mean(stars.ks_mag - stars.a_k - modulus) == pytest.approx(-1.622, abs=0.003)
    assert truth["r_gal"] == pytest.approx(galactocentric(stars.ra, stars.dec, truth["distance"]).r_gal, abs=1e-9)


def test_populations_have_the_slopes_that_were_asked_for():
    mock = gradient_stars(40_000, seed=4, slope=[0.0, -0.1], sigma_int=0.01)
    stars = mock.inputs["stars"].sortby("teff")
    for half, slope in ((slice(0, 20_000), 0.0), (slice(20_000, None), -0.1)):
        part = stars.isel(object=half)
        assert np.polyfit(part.r_gal, part.feh, 1)[0] == pytest.approx(slope * 1.21 / (1.21 + 0.053), abs=0.002)
