"""Periodic random fields with a given power spectrum, from which maps of other mocks are made."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hven.errors import ParameterError
from hven.mocks.mock import Mock

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

Array = NDArray[np.float64]


def gaussian_fields(
    size: int,
    seed: int,
    *,
    pixels: int = 64,
    slope: float = -2.0,
    power: "Callable[[Array], Array] | Array | None" = None,
    lognormal: float = 0.0,
) -> Mock:
    """Return Gaussian (or log-normal) random fields of a given power spectrum on a periodic square.

    Parameters
    ----------
    size
        Number of maps.
    seed
        Of the random numbers; map i is the same whatever `size` is.
    pixels
        Along each side.
    slope
        Of P(k) ~ k^slope, where `power` does not say otherwise; the fields then have unit variance.
    power
        <|FFT of the map|^2> / pixels^2 on the grid of FFTs, shape (y, x), or a function of k in cycles per box.
    lognormal
        sigma of exp(sigma g - sigma^2/2) with g of unit variance; 0 leaves the fields Gaussian.

    Returns
    -------
    Mock
        Input ``images``: ``flux`` (object, band, y, x). Truth: ``power``, the spectrum of the Gaussian fields.

    Examples
    --------
    >>> maps = gaussian_fields(100, seed=1, pixels=32).inputs["images"]
    >>> maps.flux.shape, bool(abs(float(maps.flux.var()) - 1) < 0.1)
    ((100, 1, 32, 32), True)
    """
    spectrum = _on_grid(power, pixels, slope)
    maps = np.array([gaussian(spectrum, np.random.default_rng([seed, i])) for i in range(size)])
    maps = maps.reshape(size, pixels, pixels)
    if lognormal:
        maps = np.exp(lognormal * maps / np.sqrt(spectrum.mean()) - lognormal**2 / 2)
    return Mock({"images": images(maps)}, {"power": spectrum})


def gaussian(power: Array, rng: np.random.Generator) -> Array:
    """Return one Gaussian field (y, x) whose <|FFT|^2> is `power` times the number of pixels.

    Examples
    --------
    >>> gaussian(np.ones((4, 4)), np.random.default_rng(0)).shape
    (4, 4)
    """
    from scipy import fft

    return np.asarray(fft.ifft2(fft.fft2(rng.standard_normal(power.shape)) * np.sqrt(power)).real)


def power_law(pixels: int, slope: float) -> Array:
    """Return P(k) ~ k^slope on the grid of FFTs (y, x), without power at k = 0, of unit variance.

    Examples
    --------
    >>> round(float(power_law(16, -2.0).mean()), 12)
    1.0
    """
    k = wavenumbers(pixels)
    power = np.zeros_like(k)
    power[k > 0] = k[k > 0] ** slope
    return power / power.mean()


def wavenumbers(pixels: int) -> Array:
    """Return |k| in cycles per box on the grid of FFTs, shape (y, x)."""
    k = np.fft.fftfreq(pixels) * pixels
    return np.hypot(k[:, None], k)


def images(maps: "Array", **columns: "tuple[Array, str]") -> "xr.Dataset":
    """Return maps (n, y, x) as a dataset of images of one band, with columns given as (values, unit).

    Examples
    --------
    >>> images(np.zeros((2, 4, 4)), theta_zeta=(np.ones(2), "")).flux.dims
    ('object', 'band', 'y', 'x')
    """
    import xarray as xr

    variables: dict[str, Any] = {
        "object_id": ("object", np.arange(len(maps), dtype=np.int64)),
        "flux": (("object", "band", "y", "x"), np.asarray(maps, dtype=np.float32)[:, None]),
        **{name: ("object", values, {"units": unit}) for name, (values, unit) in columns.items()},
    }
    return xr.Dataset(variables, {"band": ["map"]})


def _on_grid(power: "Callable[[Array], Array] | Array | None", pixels: int, slope: float) -> Array:
    if power is None:
        return power_law(pixels, slope)
    if callable(power):
        k = wavenumbers(pixels)
        spectrum = np.zeros_like(k)
        spectrum[k > 0] = power(k[k > 0])
    else:
        spectrum = np.asarray(power, dtype=np.float64)
    if spectrum.shape != (pixels, pixels) or not np.all(np.isfinite(spectrum)) or np.any(spectrum < 0):
        raise ParameterError(
            f"the power has shape {spectrum.shape}", where="gaussian_fields",
            expected=f"({pixels}, {pixels}), finite, not negative", hint="Give a function of k in cycles per box.",
        )  # fmt: skip
    return spectrum
