"""Toy maps of reionisation, bubbles in a log-normal density, and ways in which a generator of them can fail."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import ParameterError
from hven.mocks.fields import gaussian, images, power_law
from hven.mocks.mock import Mock

Array = NDArray[np.float64]

_EDGE = 0.7
_SPREAD = 0.35
_SIGMA, _SLOPE = 0.35, -2.0


def bubble_maps(
    size: int,
    seed: int,
    *,
    bubbles: ArrayLike = 12.0,
    radius: ArrayLike = 4.0,
    pixels: int = 64,
    unique: int | None = None,
    is_gaussian: bool = False,
    blur: float = 0.0,
    noise: float = 0.003,
) -> Mock:
    """Return 21 cm-like maps: a log-normal density times soft ionised bubbles, and knobs that spoil them.

    Each map has its own density exp(sigma g - sigma^2/2), P(k) ~ k^-2 and sigma = 0.35, and Poisson many bubbles of
    log-normal radii (sigma 0.35) whose edge falls off over 0.7 pixels; everything is periodic.

    Parameters
    ----------
    size
        Number of maps.
    seed
        Of the random numbers; map i is the same whatever `size` is, but where `unique` or `is_gaussian` is set.
    bubbles
        Mean number of bubbles of a map, one for all or one for each (n,).
    radius
        Their median radius in pixels, one for all or one for each (n,), which then is a column, too.
    pixels
        Along each side.
    unique
        Collapse: only so many maps are different (but for their noise), as from a generator that has lost its variety.
    is_gaussian
        Gaussian fields with the mean and the power spectrum of such maps: what a spectrum cannot tell from them.
    blur
        Standard deviation in pixels of a Gaussian that smooths the maps, before the noise.
    noise
        Standard deviation of white noise.

    Returns
    -------
    Mock
        Input ``images``: ``flux`` (object, band, y, x), ``theta_bubbles``, ``theta_radius``. Truth: the mean
        number of ``bubbles``.

    Raises
    ------
    ParameterError
        `unique` is less than 1, or comes with a number of bubbles for each map.

    Examples
    --------
    >>> maps = bubble_maps(3, seed=1, pixels=32).inputs["images"]
    >>> maps.flux.shape, bool(maps.flux.min() > -0.1)
    ((3, 1, 32, 32), True)
    """
    if unique is not None and unique < 1:
        raise ParameterError(f"{unique} unique maps", where="bubble_maps", expected="at least 1", hint="Leave it out.")
    of_each = [np.broadcast_to(np.asarray(v, dtype=np.float64), (size,)) for v in (bubbles, radius)]
    if (unique is not None or is_gaussian) and (np.ndim(bubbles) or np.ndim(radius)):
        raise ParameterError(
            "collapsed or Gaussian maps with parameters of their own", where="bubble_maps",
            expected="one number of bubbles and one radius for all", hint="Make a set for each.",
        )  # fmt: skip
    different = size if unique is None else min(unique, size)
    if is_gaussian:
        maps = _twins(bubble_fields(256, [seed, 2], bubbles, radius, pixels), different, seed)
    else:
        maps = bubble_fields(different, [seed, 0], of_each[0][:different], of_each[1][:different], pixels)
    if blur:
        maps = _blurred(maps, blur)
    if different < size:
        maps = maps[np.random.default_rng([seed, 3]).integers(0, different, size)]
    maps = maps + noise * _white([seed, 1], size, pixels)
    columns: dict[str, tuple[Array, str]] = {"theta_bubbles": (of_each[0].copy(), "")}
    if np.ndim(radius):
        columns["theta_radius"] = (of_each[1].copy(), "pix")
    return Mock({"images": images(maps, **columns)}, {"bubbles": bubbles})


def bubble_fields(size: int, seed: list[int], bubbles: ArrayLike, radius: ArrayLike, pixels: int) -> Array:
    """Return maps without noise or blur, (size, y, x), each from the seed and its number.

    Examples
    --------
    >>> bubble_fields(2, [1], 12.0, 4.0, 16).shape
    (2, 16, 16)
    """
    power = power_law(pixels, _SLOPE)
    maps = np.empty((size, pixels, pixels))
    at = np.arange(pixels)
    number, median = (np.broadcast_to(np.asarray(v, dtype=np.float64), (size,)) for v in (bubbles, radius))
    for i in range(size):
        rng = np.random.default_rng([*seed, i])
        density = np.exp(_SIGMA * gaussian(power, rng) - _SIGMA**2 / 2)
        radii = median[i] * np.exp(_SPREAD * rng.standard_normal(rng.poisson(number[i])))
        centres = rng.uniform(0, pixels, (2, len(radii), 1))
        y, x = (np.abs((at - centre + pixels / 2) % pixels - pixels / 2) for centre in centres)
        distance = np.sqrt(y[:, :, None] ** 2 + x[:, None, :] ** 2)
        neutral = 1 / (1 + np.exp(np.clip((radii[:, None, None] - distance) / _EDGE, -50, 50)))
        maps[i] = density * neutral.prod(axis=0)
    return maps


def _twins(maps: Array, size: int, seed: int) -> Array:
    """Return Gaussian fields with the mean and the mean power spectrum of maps."""
    from scipy import fft

    mean = maps.mean()
    power = np.mean(np.abs(fft.fft2(maps - mean)) ** 2, axis=0) / maps[0].size
    return np.array([mean + gaussian(power, np.random.default_rng([seed, 4, i])) for i in range(size)])


def _blurred(maps: Array, sigma: float) -> Array:
    from scipy import fft

    k = np.fft.fftfreq(maps.shape[-1])
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (k[:, None] ** 2 + k**2))
    return np.asarray(fft.ifft2(fft.fft2(maps) * kernel).real)


def _white(seed: list[int], size: int, pixels: int) -> Array:
    return np.array([np.random.default_rng([*seed, i]).standard_normal((pixels, pixels)) for i in range(size)]).reshape(
        size, pixels, pixels
    )
