"""A patch of stars against others at its radius: metal-poor fractions, distributions, and rings that are turned."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hven.methods.stats import permutation_p
from hven_plugins.gradients.cells import mean_and_scatter
from hven_plugins.gradients.evidence import Detector, Stars

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_FEWEST = 20


class Compared(NamedTuple):
    """The stars of one patch beside their controls; NaN where there are too few of either.

    Attributes
    ----------
    n, n_controls
        Stars in the patch, and outside of any patch at its radii.
    mean, sigma_int, sigma_int_controls
        Mean residual less that of the controls, and intrinsic scatters about the field, in dex.
    fraction, fraction_controls
        Of stars that are metal-poor.
    fraction_p, ks_p, ad_p
        p-values of a binomial test for more metal-poor stars than among the controls, and of the Kolmogorov-Smirnov and
        Anderson-Darling tests of one distribution.
    """

    n: int
    n_controls: int
    mean: float
    sigma_int: float
    sigma_int_controls: float
    fraction: float
    fraction_controls: float
    fraction_p: float
    ks_p: float
    ad_p: float


def compare(delta: Array, off: Array, err: Array, patch: Mask, controls: Mask, metal_poor: float) -> Compared:
    """Return how the residuals of a patch differ from those of its controls.

    Parameters
    ----------
    delta, off, err
        Residuals, what they are off the field around them, and their errors, (n,).
    patch, controls
        Which stars belong to either, (n,).
    metal_poor
        Residual in dex below which a star counts as metal-poor.
    """
    from scipy.stats import anderson_ksamp, binomtest, ks_2samp

    n, others = int(patch.sum()), int(controls.sum())
    if min(n, others) < _FEWEST:
        return Compared(n, others, *[np.nan] * 8)
    a, b = delta[patch], delta[controls]
    group = np.repeat([0, 1], [n, others])
    errors = np.concatenate([err[patch], err[controls]])
    told, beside = (
        mean_and_scatter(np.concatenate([v[patch], v[controls]]), errors, group, 2, n_min=_FEWEST) for v in (delta, off)
    )
    poor, poor_controls = int(np.sum(a < metal_poor)), int(np.sum(b < metal_poor))
    chance = (poor_controls + 0.5) / (others + 1)
    with warnings.catch_warnings():  # p-values beyond the table of the Anderson-Darling test are capped, with a warning
        warnings.simplefilter("ignore")
        ad_p = float(anderson_ksamp([a, b]).pvalue)
    return Compared(
        n,
        others,
        float(told.mean[0] - told.mean[1]),
        float(beside.scatter[0]),
        float(beside.scatter[1]),
        poor / n,
        poor_controls / others,
        float(binomtest(poor, n, chance, "greater").pvalue),
        float(ks_2samp(a, b, method="asymp").pvalue),
        ad_p,
    )


def turned(stars: Stars, ring: float, rng: np.random.Generator) -> Stars:
    """Return the stars with the residuals of each ring of radius moved along it, by a random number of stars.

    Residuals keep their order in azimuth, and with it whatever hangs together along a ring; what hangs together across
    rings is torn.
    """
    radius = np.hypot(stars.x, stars.y)
    azimuth = np.arctan2(stars.y, -stars.x)
    member = np.floor(radius / ring).astype(np.int64)
    order = np.lexsort((azimuth, member))
    starts = np.flatnonzero(np.diff(member[order], prepend=-1))
    source = np.empty(len(order), dtype=np.int64)
    for first, last in zip(starts, [*starts[1:], len(order)], strict=True):
        source[order[first:last]] = np.roll(order[first:last], rng.integers(last - first))
    return stars.moved(source)


def permutation_values(
    made: Detector, stars: Stars, places: tuple[Array, Array], observed: Array, at: NDArray[np.int64], *,
    ring: float, n_permutations: int, seed: int,
) -> Array:  # fmt: skip
    """Return for each patch the chance of evidence like the `observed` at its pixel `at` when rings are turned."""
    rng = np.random.default_rng(seed)
    null = [made.evidence(turned(stars, ring, rng), places).z[at] for _ in range(n_permutations if len(at) else 0)]
    values = np.array(null).reshape(len(null), len(at))
    return np.array([permutation_p(float(z), values[:, i], "less") for i, z in enumerate(observed)])
