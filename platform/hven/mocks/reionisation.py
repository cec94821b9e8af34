"""A small semi-numerical reionisation: bubbles where enough matter has collapsed into haloes that can form stars."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import ParameterError
from hven.mocks.fields import gaussian, images, wavenumbers
from hven.mocks.mock import Mock

Array = NDArray[np.float64]

_OMEGA_M, _OMEGA_B, _H, _SIGMA_8, _N_S = 0.31, 0.049, 0.68, 0.82, 0.965
_DELTA_C = 1.686
_MATTER = 2.775e11 * _OMEGA_M * _H**2
"""Mean density of matter in solar masses per comoving Mpc^3."""


def reionisation_maps(
    size: int,
    seed: int,
    *,
    zeta: ArrayLike = 30.0,
    log_t_vir: ArrayLike = 4.7,
    z: float = 7.5,
    pixels: int = 64,
    box: float = 128.0,
) -> Mock:
    """Return slices of the 21 cm brightness temperature during reionisation, from an excursion set.

    A pixel is ionised where zeta f_coll > 1 in a sphere of any radius about it (Furlanetto et al. 2004,
    arXiv:astro-ph/0403697; Mesinger et al. 2011, arXiv:1003.3878), with the fraction of mass in haloes above the mass
    of virial temperature T_vir

        f_coll = erfc[(delta_c / D - delta_R) / sqrt(2 (sigma_min^2 - sigma_R^2))]

    Elsewhere, and in partly ionised pixels, T = 27 mK x_HI (1 + delta) sqrt((1 + z)/10), spins being hot. The density
    is Gaussian with the spectrum of a plane cut through cold dark matter (BBKS). A larger zeta ionises more; a higher
    T_vir ionises later, and in larger bubbles about rarer haloes. It is meant to move statistics of maps as zeta and
    T_vir do in 2307.09568, not to predict a signal: planes are filtered in two dimensions.

    Parameters
    ----------
    size
        Number of maps.
    seed
        Of the densities; map i has the same density whatever `size` and the parameters are.
    zeta
        Ionising efficiency, one for all maps or one for each (n,); 10 to 250 in the paper.
    log_t_vir
        log10 of the smallest virial temperature in K, one or (n,); 4 to 6 in the paper.
    z
        Redshift.
    pixels
        Along each side.
    box
        Length of each side in comoving Mpc.

    Returns
    -------
    Mock
        Input ``images``: ``flux`` [mK] (object, band, y, x), ``theta_zeta``, ``theta_log_t_vir``. Truth:
        ``ionised`` (n,), the fraction of the volume.

    Raises
    ------
    ParameterError
        An efficiency, redshift or size of the box that is not positive.

    Examples
    --------
    >>> early, late = (reionisation_maps(4, seed=1, zeta=zeta, pixels=32).truth["ionised"] for zeta in (15.0, 60.0))
    >>> bool((late >= early).all() and late.mean() > early.mean() + 0.2)
    True
    """
    from scipy.special import erfc

    efficiency, temperature = (np.broadcast_to(np.asarray(v, dtype=np.float64), (size,)) for v in (zeta, log_t_vir))
    if np.any(efficiency <= 0) or z <= 0 or box <= 0:
        raise ParameterError("zeta, z and box must be positive", where="reionisation_maps", hint="Correct them.")
    pixel = box / pixels
    growth = _growth(z)
    power = growth**2 * _plane_power(pixels, box)
    filters = _filters(pixels, pixel)
    spread = np.array([np.sum(power * w**2) / power.size for w in filters])
    smallest = growth**2 * _variance(temperature, z)
    maps, ionised = np.empty((size, pixels, pixels)), np.empty(size)
    for i in range(size):
        density = gaussian(power, np.random.default_rng([seed, i]))
        modes = np.fft.fft2(density)
        fraction = np.zeros_like(density)
        for window, variance in zip(filters, spread, strict=True):
            smooth = np.fft.ifft2(modes * window).real
            left = max(smallest[i] - variance, 1e-3 * smallest[i])
            fraction_here = efficiency[i] * erfc((_DELTA_C - smooth) / np.sqrt(2 * left))
            fraction = np.where(fraction_here > 1, 1.0, fraction)
        neutral = 1 - np.maximum(fraction, np.minimum(fraction_here, 1.0))
        maps[i] = 27.0 * np.sqrt((1 + z) / 10) * neutral * np.maximum(1 + density, 0.0)
        ionised[i] = 1 - neutral.mean()
    columns: dict[str, Any] = {"theta_zeta": (efficiency.copy(), ""), "theta_log_t_vir": (temperature.copy(), "dex")}
    made = images(maps, **columns)
    made["flux"].attrs["units"] = "mK"
    return Mock({"images": made}, {"ionised": ionised})


def _growth(z: float) -> float:
    """Return the growth factor of matter domination with a constant (Carroll, Press & Turner 1992), 1 at z = 0."""

    def shape(redshift: float) -> float:
        total = _OMEGA_M * (1 + redshift) ** 3 + 1 - _OMEGA_M
        matter, rest = _OMEGA_M * (1 + redshift) ** 3 / total, (1 - _OMEGA_M) / total
        below = matter ** (4 / 7) - rest + (1 + matter / 2) * (1 + rest / 70)
        return float(2.5 * matter / below / (1 + redshift))

    return shape(z) / shape(0.0)


def _power(k: Array) -> Array:
    """Return the linear power spectrum at z = 0 [Mpc^3] for k in 1/Mpc (Bardeen et al. 1986), of sigma_8 = 0.82."""
    return np.asarray(_SIGMA_8**2 / _unnormalised(8.0 / _H) * _shape(k))


def _shape(k: Array) -> Array:
    gamma = _OMEGA_M * _H * np.exp(-_OMEGA_B * (1 + np.sqrt(2 * _H) / _OMEGA_M))
    q = k / (gamma * _H)
    series = 1 + 3.89 * q + (16.1 * q) ** 2 + (5.46 * q) ** 3 + (6.71 * q) ** 4
    return np.asarray(k**_N_S * (np.log1p(2.34 * q) / (2.34 * q)) ** 2 / np.sqrt(series))


@lru_cache(maxsize=64)
def _unnormalised(radius: float) -> float:
    """Return the variance in spheres of `radius` Mpc of a field with the spectrum `_shape`."""
    k = np.geomspace(1e-4, 300 / radius, 3000)
    x = k * radius
    window = 3 * (np.sin(x) - x * np.cos(x)) / x**3
    return float(np.trapezoid(_shape(k) * window**2 * k**3 / (2 * np.pi**2), np.log(k)))


def _variance(log_t_vir: Array, z: float) -> Array:
    """Return sigma^2 at z = 0 of the mass whose haloes have this virial temperature at z (Barkana & Loeb 2001)."""
    mass = 1e8 / _H * (10**log_t_vir / 1.98e4 * 10 / (1 + z)) ** 1.5 / np.sqrt(_OMEGA_M)
    radius = (3 * mass / (4 * np.pi * _MATTER)) ** (1 / 3)
    grid = np.geomspace(radius.min(initial=0.01) * 0.99, radius.max(initial=0.02) * 1.01, 24)
    known = np.array([_unnormalised(float(r)) for r in grid]) * _SIGMA_8**2 / _unnormalised(8.0 / _H)
    return np.asarray(np.exp(np.interp(np.log(radius), np.log(grid), np.log(known))))


def _plane_power(pixels: int, box: float) -> Array:
    """Return <|FFT|^2> / pixels^2 of a plane through the field: P(k) summed over the modes across it."""
    flat = wavenumbers(pixels) * 2 * np.pi / box
    across = np.linspace(0, np.pi * pixels / box, 400)
    total = np.sqrt(flat[..., None] ** 2 + across**2)
    total[0, 0, 0] = total[0, 0, 1]
    plane = np.asarray(np.trapezoid(_power(total), across, axis=-1)) / np.pi
    plane[0, 0] = 0.0
    return np.asarray(plane * (pixels / box) ** 2)


def _filters(pixels: int, pixel: float) -> list[Array]:
    """Return Gaussian filters in Fourier space from bubbles of a sixth of the box down to a pixel, no filter last."""
    k = wavenumbers(pixels) * 2 * np.pi / (pixels * pixel)
    radii = pixel * np.geomspace(pixels / 6, 1.0, 10)
    return [*(np.exp(-0.5 * (k * r / 2) ** 2) for r in radii), np.ones_like(k)]
