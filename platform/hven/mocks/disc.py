"""Stars of a disc whose metallicity falls with radius: as a table of radii, and as red clump stars in the sky."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hven.methods.frames import SOLAR, galactocentric, sky_position
from hven.mocks.mock import Mock

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray


def gradient_stars(
    size: int,
    seed: int,
    *,
    slope: float | Sequence[float] = -0.07,
    intercept: float = 0.05,
    sigma_int: float = 0.06,
    r_ref: float = SOLAR.r0,
    teff_err: float = 0.0,
) -> Mock:
    """Return stars along a radial metallicity gradient, with errors in radius and [Fe/H].

    R ~ N(9.6, 1.1) kpc with error 0.08 |R - 7.2| + 0.02 kpc, what a distance good to some per cent gives towards the
    anticentre; errors of [Fe/H] uniform between 0.03 and 0.1 dex; intrinsic scatter `sigma_int`.

    Parameters
    ----------
    size
        Number of stars.
    seed
        Of the random numbers; the same seed gives the same stars.
    slope
        Gradient in dex/kpc, or one for each of several populations of equal size, from the coolest to the hottest.
    intercept
        [Fe/H] at `r_ref`.
    sigma_int
        Standard deviation of [Fe/H] at one radius, in dex.
    r_ref
        Radius in kpc that the intercept belongs to.
    teff_err
        Error of the temperatures in K, which mixes the populations; without one there is no column of it.

    Returns
    -------
    Mock
        Input ``stars``: r_gal, feh with errors, and teff, truly between 7500 and 12,500 K, which tells populations
        apart.
        Truth: slope, intercept, sigma_int, over ``population`` when there are several.

    Examples
    --------
    >>> mock = gradient_stars(1000, seed=1, slope=[-0.02, -0.06])
    >>> mock.inputs["stars"].sizes["object"], mock.truth["slope"].tolist()
    (1000, [-0.02, -0.06])
    """
    rng = np.random.default_rng(seed)
    slopes = np.atleast_1d(np.asarray(slope, dtype=np.float64))
    teff = rng.uniform(7500.0, 12_500.0, size)
    population = np.argsort(np.argsort(teff)) * len(slopes) // max(size, 1)
    r_gal = rng.normal(9.6, 1.1, size)
    r_gal_err = 0.08 * np.abs(r_gal - 7.2) + 0.02
    feh_err = rng.uniform(0.03, 0.1, size)
    feh = intercept + slopes[population] * (r_gal - r_ref) + rng.normal(scale=sigma_int, size=size)
    stars = table_of(
        r_gal=(r_gal + r_gal_err * rng.standard_normal(size), "kpc"),
        r_gal_err=(r_gal_err, "kpc"),
        feh=(feh + feh_err * rng.standard_normal(size), "dex"),
        feh_err=(feh_err, "dex"),
        teff=(teff, "K"),
    )
    if teff_err:
        noise = teff_err * rng.standard_normal(size)
        stars = stars.assign(
            teff=("object", teff + noise, {"units": "K"}),
            teff_err=("object", np.full(size, teff_err), {"units": "K"}),
        )
    several = np.ones(len(slopes)) if len(slopes) > 1 else 1.0
    truth = {
        "slope": slopes if len(slopes) > 1 else float(slopes[0]),
        "intercept": intercept * several,
        "sigma_int": sigma_int * several,
    }
    return Mock({"stars": stars}, truth)


def red_clump_stars(
    size: int,
    seed: int,
    *,
    absolute_mag: float = -1.622,
    scatter: float = 0.09,
    ks_mag_err: float = 0.025,
    a_k_err: float = 0.04,
    slope: float = -0.07,
    sigma_int: float = 0.06,
    reach: float = 5.0,
) -> Mock:
    """Return red clump stars of an exponential disc as a survey sees them from the Sun: positions, Ks, A_K, labels.

    Scale length 2.6 kpc, scale height 0.3 kpc, out to `reach` kpc around the Sun; dust of scale height 0.1 kpc that
    dims by 0.07 mag/kpc in Ks in the plane; [Fe/H] falls with radius by `slope`.

    Parameters
    ----------
    size
        Number of stars.
    seed
        Of the random numbers; the same seed gives the same stars.
    absolute_mag, scatter
        Mean and standard deviation of the absolute magnitude in Ks, in mag.
    ks_mag_err, a_k_err
        1-sigma errors of the magnitudes and of the extinctions, in mag.
    slope
        Metallicity gradient in dex/kpc, through [Fe/H] = 0 at the Sun.
    sigma_int
        Standard deviation of [Fe/H] at one radius, in dex.
    reach
        Greatest distance from the Sun in the plane, in kpc.

    Returns
    -------
    Mock
        Input ``stars``. Truth: distance, r_gal, phi_gal, z_gal of each star.

    Examples
    --------
    >>> mock = red_clump_stars(100, seed=1)
    >>> sorted(mock.truth), bool(mock.truth["distance"].max() < 8)
    (['distance', 'phi_gal', 'r_gal', 'z_gal'], True)
    """
    rng = np.random.default_rng(seed)
    x, y = _disc_around_the_sun(rng, size, reach)
    z = rng.laplace(scale=0.3, size=size)
    ra, dec, distance = sky_position(x, y, z)
    true = galactocentric(ra, dec, distance)
    height = np.abs(z - SOLAR.z_sun) / 0.1
    in_dust = distance * np.where(height > 1e-6, -np.expm1(-height) / np.maximum(height, 1e-6), 1.0)
    a_k = 0.07 * in_dust
    ks_mag = absolute_mag + scatter * rng.standard_normal(size) + 5 * np.log10(distance) + 10 + a_k
    feh_err = rng.uniform(0.01, 0.05, size)
    feh = slope * (true.r_gal - SOLAR.r0) + rng.normal(scale=sigma_int, size=size)
    stars = table_of(
        ra=(ra, "deg"),
        dec=(dec, "deg"),
        ks_mag=(ks_mag + ks_mag_err * rng.standard_normal(size), "mag"),
        ks_mag_err=(np.full(size, ks_mag_err), "mag"),
        a_k=(a_k + a_k_err * rng.standard_normal(size), "mag"),
        a_k_err=(np.full(size, a_k_err), "mag"),
        teff=(rng.normal(4775.0, 80.0, size), "K"),
        logg=(rng.normal(2.43, 0.05, size), "dex"),
        feh=(feh + feh_err * rng.standard_normal(size), "dex"),
        feh_err=(feh_err, "dex"),
    )
    truth = {"distance": distance, "r_gal": true.r_gal, "phi_gal": true.phi_gal, "z_gal": true.z_gal}
    return Mock({"stars": stars}, truth)


def _disc_around_the_sun(
    rng: np.random.Generator, size: int, reach: float
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return x, y (size,) in kpc, of surface density exp(-R / 2.6) within `reach` of the Sun, by rejection."""
    kept: list[NDArray[np.float64]] = []
    while sum(len(k) for k in kept) < size:
        radius, angle = reach * np.sqrt(rng.random(4 * size + 100)), rng.uniform(0, 2 * np.pi, 4 * size + 100)
        xy = np.stack([radius * np.cos(angle) - SOLAR.r0, radius * np.sin(angle)], axis=1)
        density = np.exp(-(np.hypot(xy[:, 0], xy[:, 1]) - (SOLAR.r0 - reach)) / 2.6)
        kept.append(xy[rng.random(len(xy)) < density])
    x, y = np.concatenate(kept)[:size].T
    return x, y


def table_of(**columns: "tuple[NDArray[np.float64], str]") -> "xr.Dataset":
    """Return a table over ``object`` with ids, of columns given as (values, unit)."""
    import xarray as xr

    variables = {name: ("object", values, {"units": unit}) for name, (values, unit) in columns.items()}
    object_id = ("object", np.arange(len(next(iter(columns.values()))[0]), dtype=np.int64))
    return xr.Dataset({"object_id": object_id, **variables})
