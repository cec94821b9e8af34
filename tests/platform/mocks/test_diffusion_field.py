import numpy as np
import pytest

from hven.errors import ParameterError
from hven.mocks import diffusion_field

SMALL = {"pixels": 32, "steps": 30, "box": 8000.0}


def densities(size=1, seed=1, **knobs):
    return diffusion_field(size, seed, logarithm=False, **{**SMALL, **knobs}).inputs["maps"].flux.values


def test_maps_have_the_mean_that_the_rate_of_clusters_gives():
    """Equal weights: 540,000 clusters, of which the mean knows to 0.14 %."""
    assert densities(weight_variance=0.0).mean(axis=(0, 2, 3)) == pytest.approx(np.ones(3), abs=0.01)


def test_weights_have_mean_one_and_the_variance_that_is_asked_for():
    from hven.mocks.diffusion_field import _lightest, _weights

    u = (np.arange(2_000_000) + 0.5) / 2_000_000
    for variance in (0.5, 10.0, 120.0):
        weights = _weights(u, _lightest(variance))
        assert weights.mean() == pytest.approx(1, rel=1e-3)
        assert weights.var() == pytest.approx(variance, rel=0.01)
    np.testing.assert_allclose(_weights(u[:9], _lightest(0.0)), 1, rtol=1e-6)


def test_an_element_with_equal_channels_is_the_mean_of_their_maps():
    delays, widths = [[10.0, 500.0]] * 3, [[60.0, 60.0]] * 3
    fractions = [[1, 0], [0, 1], [0.25, 0.75]]
    maps = densities(fractions=fractions, delays=delays, widths=widths)[0].astype(float)
    duration = 1000.0**2 / 357.95
    parts = np.array([0.25 * (duration - 10), 0.75 * (duration - 500)])
    np.testing.assert_allclose(maps[2], np.tensordot(parts / parts.sum(), maps[:2], 1), rtol=2e-5)


def test_what_is_delayed_alike_is_the_same_map_and_more_diffusion_is_smoother():
    same = densities(delays=(100.0, 100.0, 400.0))[0]
    np.testing.assert_array_equal(same[0], same[1])
    assert np.corrcoef(same[0].ravel(), same[2].ravel())[0, 1] < 0.99
    rough, smooth = (densities(l_corr=length, kappa=357.95 * (length / 1000) ** 2).std() for length in (500.0, 1500.0))
    assert rough > smooth


def test_map_i_of_a_seed_is_the_same_however_many_there_are():
    np.testing.assert_array_equal(densities(2)[0], densities(1)[0])
    assert not np.array_equal(densities(2)[0], densities(2)[1])


def test_logarithms_are_about_their_mean_in_dex():
    maps = diffusion_field(1, 1, **SMALL).inputs["maps"]
    assert maps.flux.attrs["units"] == "dex"
    np.testing.assert_allclose(maps.flux.mean(["y", "x"]), 0, atol=1e-6)
    logs = np.log10(densities())
    np.testing.assert_allclose(maps.flux, logs - logs.mean(axis=(2, 3), keepdims=True), atol=1e-5)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ParameterError, match="for 3 elements"):
        diffusion_field(1, 1, delays=(10.0, 20.0))
