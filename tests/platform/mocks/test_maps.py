"""Maps of bubbles, Gaussian fields and reionisation are what they say, and their knobs do what they say."""

import numpy as np
import pytest

from hven.errors import ParameterError
from hven.mocks import bubble_maps, gaussian_fields, reionisation_maps


def pixels(mock):
    return mock.inputs["images"].flux.values[:, 0].astype(float)


def spectrum(maps):
    return np.mean(np.abs(np.fft.fft2(maps)) ** 2, axis=0) / maps[0].size


def test_gaussian_fields_have_the_spectrum_that_is_asked_for():
    mock = gaussian_fields(400, 1, pixels=32, power=lambda k: 1 / (1 + k) ** 2)
    measured, truth = spectrum(pixels(mock)), mock.truth["power"]
    ratio = measured[truth > 0] / truth[truth > 0]
    assert ratio.mean() == pytest.approx(1.0, abs=0.01)
    assert ratio.std() == pytest.approx(1 / np.sqrt(400), rel=0.15)
    assert measured[0, 0] < 1e-10


def test_lognormal_fields_are_positive_with_mean_one():
    maps = pixels(gaussian_fields(200, 2, pixels=32, lognormal=0.5))
    assert maps.min() > 0
    assert maps.mean() == pytest.approx(1.0, abs=0.01)
    assert np.log(maps).std() == pytest.approx(0.5, rel=0.05)


def test_a_map_is_the_same_however_many_are_made():
    for make in (bubble_maps, gaussian_fields, reionisation_maps):
        few, many = (pixels(make(n, 3, pixels=16)) for n in (2, 5))
        assert np.array_equal(few, many[:2])
        assert not np.array_equal(few, pixels(make(2, 4, pixels=16)))
        assert pixels(make(0, 3, pixels=16)).shape == (0, 16, 16)


def test_more_bubbles_leave_less_neutral():
    means = [pixels(bubble_maps(100, 1, bubbles=b)).mean() for b in (0.0, 6.0, 12.0, 24.0)]
    assert means[0] == pytest.approx(1.0, abs=0.01)
    assert np.all(np.diff(means) < -0.05)


def test_collapsed_maps_repeat_but_for_their_noise():
    maps = pixels(bubble_maps(30, 1, unique=3, noise=0.0, pixels=32))
    assert len(np.unique(maps.reshape(30, -1), axis=0)) == 3
    noisy = pixels(bubble_maps(30, 1, unique=3, noise=0.01, pixels=32))
    assert (noisy - maps).std() == pytest.approx(0.01, rel=0.02)
    with pytest.raises(ParameterError, match="0 unique"):
        bubble_maps(3, 1, unique=0)


def test_gaussian_twins_have_the_spectrum_of_the_maps_and_nothing_else():
    maps, twins = (pixels(bubble_maps(300, 1, pixels=32, is_gaussian=g)) for g in (False, True))
    ratio = spectrum(twins)[0, 1:16] / spectrum(maps)[0, 1:16]
    assert np.abs(ratio - 1).max() < 0.35
    assert twins.mean() == pytest.approx(maps.mean(), abs=0.02)

    def skewness(values):
        return np.mean((values - values.mean()) ** 3) / values.std() ** 3

    assert abs(skewness(twins)) < 0.1 < abs(skewness(maps))


def test_blur_takes_the_small_scales():
    sharp, blurred = (spectrum(pixels(bubble_maps(50, 1, blur=b, noise=0.0))) for b in (0.0, 1.0))
    k = np.fft.fftfreq(64)[:20]
    np.testing.assert_allclose((blurred / sharp)[0, :20], np.exp(-4 * (np.pi * k) ** 2), rtol=1e-3)


def test_zeta_ionises_more_and_t_vir_less():
    """The two parameters of arXiv:2307.09568 act as they do there."""
    by_zeta = [reionisation_maps(20, 1, zeta=z).truth["ionised"].mean() for z in (10.0, 30.0, 100.0)]
    by_t_vir = [reionisation_maps(20, 1, log_t_vir=t).truth["ionised"].mean() for t in (4.2, 4.7, 5.2)]
    assert np.all(np.diff(by_zeta) > 0.05)
    assert np.all(np.diff(by_t_vir) < -0.05)


def test_at_equal_ionisation_rarer_haloes_make_larger_bubbles():
    """The length over which ionised pixels hang together grows with T_vir when zeta makes up for it."""

    def length(log_t_vir):
        zetas = np.geomspace(8, 200, 7)
        made = [reionisation_maps(8, 2, zeta=z, log_t_vir=log_t_vir) for z in zetas]
        best = min(made, key=lambda mock: abs(mock.truth["ionised"].mean() - 0.3))
        assert best.truth["ionised"].mean() == pytest.approx(0.3, abs=0.15)
        ionised = (pixels(best) == 0).astype(float)
        ionised = ionised - ionised.mean()
        power = spectrum(ionised)[0, 1:32]
        return (power / np.arange(1, 32)).sum() / power.sum()

    assert length(5.3) > length(4.0)


def test_ionised_pixels_are_dark_and_parameters_ride_along():
    mock = reionisation_maps(3, 1, zeta=[20.0, 40.0, 60.0], log_t_vir=4.5, pixels=32)
    maps = mock.inputs["images"]
    assert maps.theta_zeta.values.tolist() == [20.0, 40.0, 60.0]
    assert maps.flux.attrs["units"] == "mK"
    assert float(maps.flux.min()) >= 0.0
    with pytest.raises(ParameterError, match="positive"):
        reionisation_maps(1, 1, zeta=-1.0)


def test_a_spectrum_that_is_none_is_refused():
    with pytest.raises(ParameterError, match="shape"):
        gaussian_fields(1, 1, pixels=16, power=np.ones((8, 8)))
