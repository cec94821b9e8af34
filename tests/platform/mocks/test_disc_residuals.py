import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.mocks import residual_stars


@settings(deadline=None, max_examples=10)
@given(size=st.integers(1, 300), seed=st.integers(0, 2**32), patches=st.integers(0, 12))
def test_any_size_works_and_nothing_is_missing(size, seed, patches):
    mock = residual_stars(size, seed, patches=patches)
    stars = mock.inputs["stars"]
    assert stars.sizes == {"object": size}
    assert all(np.isfinite(stars[name]).all() for name in stars)
    assert all(stars[name].attrs["units"] for name in stars if name != "object_id")
    assert mock.truth["x_gal"].shape == (patches,)


def test_the_same_seed_gives_the_same_stars():
    one, again, other = (residual_stars(50, seed).inputs["stars"] for seed in (1, 1, 2))
    assert one.identical(again)
    assert not one.equals(other)


def test_the_field_has_the_spread_and_the_correlation_that_were_asked_for():
    fields = [residual_stars(3000, seed, patches=0, field=0.05, scale=0.3, half_angle=0.8) for seed in range(12)]
    assert np.std([mock.truth["field"] for mock in fields]) == pytest.approx(0.05, rel=0.05)
    products = []
    for mock in fields:
        stars, field = mock.inputs["stars"], mock.truth["field"]
        angle = stars.phi_gal.values - np.pi
        x, y = -stars.r_gal.values * np.cos(angle), stars.r_gal.values * np.sin(angle)
        i, j = np.random.default_rng(0).integers(0, 3000, (2, 200_000))
        apart = np.hypot(x[i] - x[j], y[i] - y[j])
        here = (apart > 0.7) & (apart < 0.9)
        products.append(np.mean(field[i][here] * field[j][here]))
    assert np.mean(products) == pytest.approx(0.0025 * np.exp(-0.64 / 0.36), abs=0.0002)


def test_patches_are_as_deep_and_as_large_as_they_should_be():
    mock = residual_stars(60_000, 3, field=0.0, patches=2)
    stars, truth = mock.inputs["stars"], mock.truth
    distance = [np.hypot(stars.r_gal * np.cos(stars.phi_gal) - x, stars.r_gal * np.sin(stars.phi_gal) - y)
                for x, y in zip(truth["x_gal"], truth["y_gal"], strict=True)]  # fmt: skip
    nearest = np.min(distance, axis=0)
    # 0.6, blurred by errors of the radius.
    assert truth["in_patch"][nearest < 0.15].mean() == pytest.approx(0.47, abs=0.05)
    assert truth["in_patch"][nearest > 2.0].mean() < 0.01
    inside = truth["in_patch"]
    assert stars.delta_feh.values[inside].mean() == pytest.approx(-0.12, abs=0.01)
    clean = stars.delta_feh.values[~inside]
    assert np.std(clean) == pytest.approx(np.sqrt(0.06**2 + np.mean(stars.delta_feh_err.values**2)), rel=0.02)
    assert np.hypot(*(np.diff(truth[axis]) for axis in ("x_gal", "y_gal")))[0] > 1.39


def test_residuals_do_not_depend_on_the_observed_radius():
    stars = residual_stars(100_000, 4, field=0.0, patches=0, slope=-0.07).inputs["stars"]
    assert np.polyfit(stars.r_gal - 9.6, stars.delta_feh, 1)[0] == pytest.approx(0.0, abs=0.002)
