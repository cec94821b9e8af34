"""What radius a star is expected to have, given where it is seen: errors that grow with the distance, and cuts.

An error that is stated as a fraction of the observed distance is itself noisy: a star that is scattered outwards has a
larger one. The likelihood of the observed distance needs the error at the true one, e(d) = e_obs (d / d_obs)^p, p being
the slope of ln e against ln d_obs over the stars: 0 for errors that are the same everywhere, 1 for a fraction.

The density of the true distances is deconvolved without a form, by EM on a grid, in sectors of the sky: the noise does
not change in which one a star is. A cut on the observed radius removes, at each true distance, a known part of the
stars; EM puts it back. The mean m and variance v of the true radius that follow for each star are what a line needs:
[Fe/H] given what is observed has the mean a + b m and the variance sigma_int^2 + e^2 + b^2 v (regression calibration;
Carroll et al. 2006, Measurement Error in Nonlinear Models, chapter 4).
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hven.methods.frames import SolarFrame, galactocentric

Array = NDArray[np.float64]
Range = tuple[float, float]

_GRID, _STEPS = 80, 60
_STARS_OF_SECTOR, _MOST_SECTORS = 120, 24
_LEAST_KEPT = 0.02
_MOST_GROWTH = 1.4


@dataclass(frozen=True)
class Sightlines:
    """Where stars are seen: R^2 = a + 2 b d + c d^2 along the line of sight of each, d being its distance.

    Attributes
    ----------
    distance, distance_err
        In kpc, (n,), both above zero.
    a, b, c
        Of the line of sight: R0^2 in kpc^2, kpc, and the squared part of the plane, (n,).
    """

    distance: Array
    distance_err: Array
    a: Array
    b: Array
    c: Array

    def radius(self, distance: Array) -> Array:
        """Return R of each star (n, k) at the distances (k,)."""
        squared = self.a[:, None] + 2 * self.b[:, None] * distance + self.c[:, None] * distance**2
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)))

    def within(self, radius: float) -> tuple[Array, Array]:
        """Return between which distances each star (n,) is inside `radius`; twice the same where it never is."""
        under = self.b**2 - self.c * (self.a - radius**2)
        root, c = np.sqrt(np.maximum(under, 0.0)), np.maximum(self.c, 1e-12)
        return np.maximum((-self.b - root) / c, 0.0), np.maximum((-self.b + root) / c, 0.0)

    def part(self, which: NDArray[np.int64]) -> "Sightlines":
        """Return some of them."""
        return Sightlines(*(v[which] for v in (self.distance, self.distance_err, self.a, self.b, self.c)))


def sightlines(stars: xr.Dataset, solar: SolarFrame) -> Sightlines | None:
    """Return the lines of sight of stars with ``ra, dec, distance, distance_err``; None where these do not serve.

    They do not where a column is absent, a distance or an error is not above zero, or the errors grow faster than the
    distance, as those of inverted parallaxes: the error at the true distance is then not known well enough.
    """
    if not {"ra", "dec", "distance", "distance_err"} <= set(stars):
        return None
    ra, dec, distance, error = (stars[name].values for name in ("ra", "dec", "distance", "distance_err"))
    if not (np.all(distance > 0) and np.all(error > 0)) or growth(distance, error) > _MOST_GROWTH:
        return None
    here, near, far = (galactocentric(ra, dec, np.full(len(ra), d), solar=solar).r_gal ** 2 for d in (0.0, 1.0, 2.0))
    c = (far - 2 * near + here) / 2
    return Sightlines(distance, error, here, (near - here - c) / 2, c)


def growth(distance: Array, distance_err: Array) -> float:
    """Return the power p of the distance that its errors grow with, between 0 and 2.

    Examples
    --------
    >>> d = np.linspace(0.5, 5, 100)
    >>> round(growth(d, 0.2 * d), 6), round(growth(d, 0.3 + 0 * d), 6)
    (1.0, 0.0)
    """
    x, y = np.log(distance), np.log(distance_err)
    spread = np.var(x)
    return float(np.clip(np.mean((x - x.mean()) * (y - y.mean())) / spread, 0, 2)) if spread > 1e-9 else 0.0


def expected_radii(seen: Sightlines, *, r_range: Range | None = None) -> tuple[Array, Array]:
    """Return mean and variance of the true radius of each star, (n,) each, given its observed distance.

    `r_range` are the observed radii in kpc that the stars were selected by.
    """
    mean, variance = np.empty(len(seen.a)), np.empty(len(seen.a))
    power = growth(seen.distance, seen.distance_err)
    low, high = np.quantile(seen.distance, [0.002, 0.998])
    share = float(np.median(seen.distance_err / seen.distance))
    grid = np.geomspace(max(low / (1 + 2 * share), 0.02), high * (1 + share), _GRID)
    for which in _sectors(seen):
        mean[which], variance[which] = _in_sector(seen.part(which), grid, power, r_range)
    return mean, variance


def _sectors(seen: Sightlines) -> list[NDArray[np.int64]]:
    """Return the stars of each sector of the sky: by the angle to the Galactic centre, then by latitude."""
    n = int(np.clip(len(seen.a) // _STARS_OF_SECTOR, 1, _MOST_SECTORS))
    heights = 3 if n >= 18 else 1
    by_angle = np.array_split(np.argsort(seen.b, kind="stable"), max(n // heights, 1))
    ordered = [sector[np.argsort(seen.c[sector], kind="stable")] for sector in by_angle]
    return [part for sector in ordered for part in np.array_split(sector, heights)]


def _in_sector(seen: Sightlines, grid: Array, power: float, r_range: Range | None) -> tuple[Array, Array]:
    error = seen.distance_err[:, None] * (grid / seen.distance[:, None]) ** power
    error = np.maximum(error, 0.5 * np.gradient(grid))  # what the grid resolves
    density = -0.5 * ((seen.distance[:, None] - grid) / error) ** 2 - np.log(error)
    kept = np.ones((1, len(grid)))
    if r_range is not None:
        inner, outer = (
            _below(far[:, None], grid, error) - _below(near[:, None], grid, error)
            for near, far in (seen.within(r_range[0]), seen.within(r_range[1]))
        )
        kept = np.maximum(outer - inner, 0.0)
    return _moments(_chances(density, kept), seen.radius(grid))


def _below(limit: float | Array, at: Array, error: Array) -> Array:
    from scipy.special import ndtr

    return np.asarray(ndtr((limit - at) / error))


def _chances(log_density: Array, kept: Array) -> Array:
    """Return the chance of each place of the grid for each star (n, k); `kept` is what the selection leaves there."""
    likelihood = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    left = np.maximum(kept.mean(axis=0), _LEAST_KEPT)
    weight = np.full(log_density.shape[1], 1 / log_density.shape[1])
    for _ in range(_STEPS):
        chance = likelihood * weight
        chance /= chance.sum(axis=1, keepdims=True)
        weight = chance.sum(axis=0) / left
        weight /= weight.sum()
    chance = likelihood * weight
    return np.asarray(chance / chance.sum(axis=1, keepdims=True))


def _moments(chance: Array, radius: Array) -> tuple[Array, Array]:
    mean = np.sum(chance * radius, axis=1)
    return mean, np.maximum(np.sum(chance * radius**2, axis=1) - mean**2, 0.0)
