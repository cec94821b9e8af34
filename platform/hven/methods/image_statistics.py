"""Classical statistics of images, one row an image: power spectrum, pixel histogram, peaks, Minkowski functionals."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError

__all__ = ["histograms", "minkowski", "peak_counts", "power_spectrum"]

Array = NDArray[np.float64]


def power_spectrum(images: ArrayLike) -> tuple[Array, Array]:
    """Return wavenumbers (k,) and the isotropic power spectra (n, k) of images (n, y, x), taken as periodic.

    ``<|FFT|^2> / (y x)`` of the image less its mean, averaged over rings of width one in cycles per image (of the
    shorter side), up to the Nyquist frequency.

    Examples
    --------
    >>> wave = np.cos(2 * np.pi * 3 * np.arange(32) / 32)
    >>> k, power = power_spectrum(np.tile(wave, (1, 32, 1)))
    >>> k[np.argmax(power[0])], bool(power[0, 5] < 1e-20)
    (np.float64(3.0), True)
    """
    from scipy import fft

    pixels = _checked(images)
    rows, columns = pixels.shape[1:]
    short = min(rows, columns)
    centred = pixels - pixels.mean(axis=(1, 2), keepdims=True)
    power = np.abs(fft.rfft2(centred)) ** 2 / (rows * columns)
    k = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)) * short
    weight = np.full(k.shape, 2.0)
    weight[:, 0] = 1.0
    if columns % 2 == 0:
        weight[:, -1] = 1.0
    ring = np.rint(k).astype(np.intp).ravel()
    chosen = (ring >= 1) & (ring <= short // 2)
    sums = np.zeros((short // 2 + 1, ring.size))
    sums[ring[chosen], np.flatnonzero(chosen)] = weight.ravel()[chosen]
    sums = sums[1:] / sums[1:].sum(axis=1, keepdims=True)
    return np.arange(1.0, short // 2 + 1), np.asarray(power.reshape(len(power), -1) @ sums.T)


def histograms(images: ArrayLike, edges: ArrayLike) -> Array:
    """Return the density of pixel values of each image between `edges` (b + 1,), shape (n, b).

    What lies beyond the edges counts in the outermost bins, so that each row integrates to one.

    Examples
    --------
    >>> histograms([[[0.0, 0.0], [1.0, 9.0]]], [-0.5, 0.5, 1.5]).tolist()
    [[0.5, 0.5]]
    """
    pixels, bounds = _checked(images), _increasing(edges)
    where = np.clip(np.searchsorted(bounds, pixels, side="right") - 1, 0, len(bounds) - 2)
    n, b = len(pixels), len(bounds) - 1
    flat = (where + b * np.arange(n)[:, None, None]).ravel()
    counts = np.bincount(flat, minlength=n * b).reshape(n, b)
    return np.asarray(counts / pixels[0].size / np.diff(bounds)) if n else np.zeros((0, b))


def peak_counts(images: ArrayLike, thresholds: ArrayLike) -> Array:
    """Return the number of peaks above each threshold (t,) per pixel, shape (n, t).

    A peak is higher than its eight neighbours; images are taken as periodic.

    Examples
    --------
    >>> image = np.zeros((8, 8)); image[2, 2], image[5, 6] = 1.0, 3.0
    >>> (64 * peak_counts(image[None], [0.5, 2.0, 4.0])).tolist()
    [[2.0, 1.0, 0.0]]
    """
    pixels, levels = _checked(images), np.asarray(thresholds, dtype=np.float64)
    is_peak = np.ones(pixels.shape, dtype=bool)
    for shift in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)):
        is_peak &= pixels > np.roll(pixels, shift, axis=(1, 2))
    heights = np.where(is_peak, pixels, -np.inf)
    return np.stack([np.mean(heights > level, axis=(1, 2)) for level in levels], axis=1)


def minkowski(images: ArrayLike, thresholds: ArrayLike) -> Array:
    """Return the three Minkowski functionals of what lies above each threshold (t,), shape (n, 3, t).

    Per pixel: the area; the length of the boundary (edges of pixels between in and out); the Euler characteristic,
    connected regions (over edges and corners) less holes. Images are taken as periodic.

    Examples
    --------
    >>> image = np.zeros((10, 10)); image[2:7, 2:7] = 1.0; image[4, 4] = 0.0
    >>> (100 * minkowski(image[None], [0.5])).round(9).ravel().tolist()
    [24.0, 24.0, 0.0]
    """
    pixels, levels = _checked(images), np.asarray(thresholds, dtype=np.float64)
    told = np.empty((len(pixels), 3, len(levels)))
    for t, level in enumerate(levels):
        inside = pixels > level
        beside, below = np.roll(inside, -1, axis=2), np.roll(inside, -1, axis=1)
        across = np.roll(below, -1, axis=2)
        faces = inside.mean(axis=(1, 2))
        edges = (inside | beside).mean(axis=(1, 2)) + (inside | below).mean(axis=(1, 2))
        corners = (inside | beside | below | across).mean(axis=(1, 2))
        boundary = (inside ^ beside).mean(axis=(1, 2)) + (inside ^ below).mean(axis=(1, 2))
        told[:, 0, t], told[:, 1, t], told[:, 2, t] = faces, boundary, corners - edges + faces
    return told


def _checked(images: ArrayLike) -> Array:
    pixels = np.asarray(images, dtype=np.float64)
    if pixels.ndim != 3 or min(pixels.shape[1:], default=0) < 2:
        raise DataRefusedError(
            f"the images have shape {pixels.shape}", expected="(n, y, x), at least 2 pixels a side",
            hint="Take one band at a time.",
        )  # fmt: skip
    return pixels


def _increasing(edges: ArrayLike) -> Array:
    bounds = np.asarray(edges, dtype=np.float64)
    if bounds.ndim != 1 or len(bounds) < 2 or np.any(np.diff(bounds) <= 0):
        raise ParameterError("the edges do not increase", where="histograms", hint="Sort them, without repeats.")
    return bounds
