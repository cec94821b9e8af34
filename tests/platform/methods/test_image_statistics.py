"""Spectra, histograms, peaks and Minkowski functionals against counting by hand and SciPy."""

import numpy as np
import pytest
from scipy import ndimage

from hven.errors import DataRefusedError, ParameterError
from hven.methods import image_statistics as statistics


def fields(n=20, shape=(24, 32), seed=0):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(n, *shape)), (0, 1, 1), mode="wrap")


def test_power_is_the_mean_over_rings():
    images = fields(3, (16, 16))
    k, power = statistics.power_spectrum(images)
    full = np.abs(np.fft.fft2(images - images.mean((1, 2), keepdims=True))) ** 2 / 256
    ring = np.rint(np.hypot(*np.meshgrid(*[np.fft.fftfreq(16) * 16] * 2, indexing="ij")))
    for i, one in enumerate(k):
        np.testing.assert_allclose(power[:, i], full[:, ring == one].mean(axis=1), rtol=1e-12)


def test_white_noise_has_the_power_of_its_variance():
    noise = 3 * np.random.default_rng(1).normal(size=(200, 33, 40))
    assert statistics.power_spectrum(noise)[1].mean() == pytest.approx(9.0, rel=0.02)


def test_histograms_are_those_of_numpy_and_integrate_to_one():
    images, edges = fields(), np.linspace(-0.5, 0.5, 12)
    told = statistics.histograms(images, edges)
    clipped = np.clip(images[3], -0.4999, 0.4999)
    np.testing.assert_allclose(told[3], np.histogram(clipped, edges, density=True)[0])
    np.testing.assert_allclose(told @ np.diff(edges), 1.0)


def test_peaks_are_the_maxima_of_their_neighbourhood():
    images = fields()
    footprint = np.ones((3, 3), dtype=bool)
    footprint[1, 1] = False
    for image, told in zip(images, statistics.peak_counts(images, [0.0, 0.3]), strict=True):
        around = ndimage.maximum_filter(image, footprint=footprint, mode="wrap")
        expected = [np.mean((image > around) & (image > t)) for t in (0.0, 0.3)]
        assert told.tolist() == expected


def test_the_euler_characteristic_counts_regions_less_holes():
    """On images whose border is outside: regions over eight neighbours, holes over four."""
    images = fields(8, (40, 40), seed=2)
    images[:, [0, -1]], images[:, :, [0, -1]] = -9.0, -9.0
    told = statistics.minkowski(images, [0.1])
    for image, euler in zip(images, told[:, 2, 0], strict=True):
        inside = image > 0.1
        regions = ndimage.label(inside, np.ones((3, 3)))[1]
        holes = ndimage.label(~inside)[1] - 1
        assert round(1600 * euler) == regions - holes


def test_area_and_boundary_of_a_rectangle():
    image = np.zeros((1, 20, 30))
    image[0, 3:8, 4:14] = 1.0
    assert (600 * statistics.minkowski(image, [0.5])).ravel() == pytest.approx([50, 30, 1])


def test_what_cannot_be_is_refused():
    with pytest.raises(DataRefusedError, match="shape"):
        statistics.power_spectrum(np.zeros((4, 4)))
    with pytest.raises(ParameterError, match="increase"):
        statistics.histograms(fields(), [1.0, 0.0])
