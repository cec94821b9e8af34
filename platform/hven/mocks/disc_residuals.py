"""Stars whose metallicity is more than a gradient: a correlated field, and patches where many are metal-poor."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hven.methods.frames import SOLAR
from hven.mocks.disc import table_of
from hven.mocks.mock import Mock

Array = NDArray[np.float64]

_PIXEL = 0.05
_APART, _WIDTH = 3.5, 1.1


def residual_stars(
    size: int,
    seed: int,
    *,
    patches: int = 5,
    depth: float = -0.12,
    radius: float = 0.4,
    fraction: float = 0.6,
    field: float = 0.05,
    scale: float = 0.5,
    slope: float | Sequence[float] = -0.07,
    intercept: float = 0.05,
    sigma_int: float = 0.06,
    half_angle: float = 0.25,
    r_ref: float = SOLAR.r0,
) -> Mock:
    """Return stars of a sector of the disc: a gradient, a correlated field of residuals, and metal-poor patches.

    R ~ N(9.6, 1.1) kpc with error 0.08 |R - 7.2| + 0.02 kpc, azimuths uniform and exact, errors of [Fe/H] uniform
    between 0.03 and 0.1 dex, as `gradient_stars` has them. The field is white noise smoothed by a Gaussian of width
    `scale` (correlation exp(-d^2 / 4 scale^2)). At a distance d from the centre of a patch, a star belongs to it with
    probability `fraction` exp(-d^2 / 2 radius^2), and has `depth` added then.

    Parameters
    ----------
    size
        Number of stars.
    seed
        Of the random numbers; the same seed gives the same stars.
    patches
        How many patches there are, within one standard deviation of R.
    depth, radius, fraction
        Of each patch: in dex, in kpc, and the fraction of its stars that are metal-poor.
    field, scale
        Standard deviation of the field in dex, and its scale in kpc.
    slope
        Gradient in dex/kpc, or one for each of several populations of equal size, from the coolest to the hottest.
    intercept, r_ref
        [Fe/H] at the radius `r_ref` in kpc.
    sigma_int
        Standard deviation of [Fe/H] at one place, in dex.
    half_angle
        Half the opening angle of the sector in rad, seen from the Galactic centre; the Sun is in the middle.

    Returns
    -------
    Mock
        Input ``stars``: r_gal with error, phi_gal, z_gal, teff, feh with error; ``delta_feh`` with error is what is
        left without the true gradient at the radius that is expected from the observed one. Truth: ``x_gal, y_gal`` of
        the patches, over ``patch``; ``field`` and ``in_patch`` of each star, over ``object``; slope, intercept.

    Examples
    --------
    >>> mock = residual_stars(1000, seed=1, patches=2)
    >>> mock.inputs["stars"].sizes["object"], mock.truth["x_gal"].shape
    (1000, (2,))
    """
    rng = np.random.default_rng(seed)
    slopes = np.atleast_1d(np.asarray(slope, dtype=np.float64))
    r_gal, angle = rng.normal(9.6, _WIDTH, size), rng.uniform(-half_angle, half_angle, size)
    teff, feh_err = rng.uniform(7500.0, 12_500.0, size), rng.uniform(0.03, 0.1, size)
    r_gal_err = 0.08 * np.abs(r_gal - 7.2) + 0.02
    x, y = _flat(r_gal, angle)
    bumps = field * _field_at(rng, x + 9.6, y, scale)
    centres = _centres(rng, patches, radius, half_angle)
    distance2 = (x[:, None] - centres[0]) ** 2 + (y[:, None] - centres[1]) ** 2
    chance = fraction * np.exp(-0.5 * distance2 / radius**2).max(axis=1, initial=0.0)
    in_patch = rng.random(size) < chance
    population = np.argsort(np.argsort(teff)) * len(slopes) // max(size, 1)
    line = intercept + slopes[population] * (r_gal - r_ref)
    feh = line + bumps + depth * in_patch + sigma_int * rng.standard_normal(size) + feh_err * rng.standard_normal(size)
    seen = r_gal + r_gal_err * rng.standard_normal(size)
    kept = _WIDTH**2 / (_WIDTH**2 + r_gal_err**2)  # of a star's offset from the middle of the disc, the true part
    expected, expected_err = 9.6 + kept * (seen - 9.6), np.sqrt(kept) * r_gal_err
    delta = feh - intercept - slopes[population] * (expected - r_ref)
    stars = table_of(
        r_gal=(seen, "kpc"),
        r_gal_err=(r_gal_err, "kpc"),
        phi_gal=(np.mod(np.pi + angle, 2 * np.pi), "rad"),
        z_gal=(rng.laplace(scale=0.08, size=size), "kpc"),
        teff=(teff, "K"),
        feh=(feh, "dex"),
        feh_err=(feh_err, "dex"),
        delta_feh=(delta, "dex"),
        delta_feh_err=(np.hypot(feh_err, slopes[population] * expected_err), "dex"),
    )
    truth = {
        "x_gal": centres[0],
        "y_gal": centres[1],
        "field": bumps,
        "in_patch": in_patch,
        "slope": slopes if len(slopes) > 1 else float(slopes[0]),
        "intercept": intercept * np.ones(len(slopes)) if len(slopes) > 1 else intercept,
    }
    return Mock({"stars": stars}, truth)


def _flat(r_gal: Array, angle: Array) -> tuple[Array, Array]:
    """Return x and y in kpc of places at an angle in rad from the direction of the Sun."""
    return -r_gal * np.cos(angle), -r_gal * np.sin(angle)


def _centres(rng: np.random.Generator, patches: int, radius: float, half_angle: float) -> Array:
    """Return x and y of patches (2, patches) that keep clear of each other, as far as there is room."""
    chosen: list[Array] = []
    apart = _APART * radius
    while len(chosen) < patches:
        for _ in range(200):
            place = np.array(_flat(rng.uniform(8.5, 10.7, 1), 0.8 * half_angle * rng.uniform(-1, 1, 1)))[:, 0]
            if all(np.hypot(*(place - other)) > apart for other in chosen):
                chosen.append(place)
                break
        else:
            apart *= 0.9
    return np.array(chosen).reshape(-1, 2).T


def _field_at(rng: np.random.Generator, x: Array, y: Array, scale: float) -> Array:
    """Return a field of unit variance at places (n,) in kpc, interpolated on a grid that wraps around."""
    from scipy.ndimage import map_coordinates

    n = 512
    pixel = max(_PIXEL, scale / 12)
    wave2 = np.add.outer((2 * np.pi * np.fft.fftfreq(n, pixel)) ** 2, (2 * np.pi * np.fft.rfftfreq(n, pixel)) ** 2)
    noise = np.fft.rfft2(rng.standard_normal((n, n)))
    grid = np.fft.irfft2(noise * np.exp(-0.5 * wave2 * scale**2), (n, n)) * (scale / pixel) * np.sqrt(4 * np.pi)
    at = np.stack([x, y]) / pixel + n / 2
    return np.asarray(map_coordinates(grid, at, order=1, mode="grid-wrap"))
