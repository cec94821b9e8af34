"""How many objects belong to one of two populations with known densities, and which."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PopulationFraction:
    """The fraction of objects in the first population.

    Attributes
    ----------
    value, err
        Maximum of the likelihood and its error from the observed information; at 0 or 1 the error is NaN.
    lower, upper
        95 % limits, one-sided each, with a flat prior on 0 to 1.
    gain
        ln L at the maximum less ln L at zero.
    membership
        p = f M / (f M + (1 - f) B) of each object at the maximum, shape (n,); NaN where a density is missing.
    n
        Objects that count.
    """

    value: float
    err: float
    lower: float
    upper: float
    gain: float
    membership: Array
    n: int


def two_populations(
    log_member: ArrayLike, log_background: ArrayLike, weights: ArrayLike | None = None
) -> PopulationFraction:
    """Return the fraction f that maximises sum ln [f M + (1 - f) B], and what each object then probably is.

    Parameters
    ----------
    log_member, log_background
        ln M and ln B of each object, shape (n,): densities of the two populations in the same variables. Objects where
        one is NaN, or both are -inf, do not count.
    weights
        How often each object counts, shape (n,).

    Examples
    --------
    >>> fraction = two_populations(np.log([0.9, 0.9, 0.9, 0.1]), np.log([0.1, 0.1, 0.1, 0.9]))
    >>> round(fraction.value, 4), fraction.membership.round(2).tolist()
    (0.8125, [0.98, 0.98, 0.98, 0.33])
    """
    from scipy.optimize import brentq

    m, b = np.asarray(log_member, dtype=np.float64), np.asarray(log_background, dtype=np.float64)
    w = np.ones(m.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if m.ndim != 1 or m.shape != b.shape or m.shape != w.shape:
        raise DataRefusedError(
            f"the densities and weights have shapes {m.shape}, {b.shape} and {w.shape}",
            expected="(n,) all three",
            hint="Align the columns.",
        )
    top = np.maximum(m, b)
    counts = np.isfinite(top) & ~np.isnan(m) & ~np.isnan(b) & (w > 0)
    safe = np.where(counts, top, 0.0)
    with np.errstate(invalid="ignore"):
        member, background = np.exp(m - safe), np.exp(b - safe)
    x, y, wt = member[counts], background[counts], w[counts]
    if not counts.any():
        return PopulationFraction(np.nan, np.nan, np.nan, np.nan, np.nan, np.full(m.shape, np.nan), 0)

    def loglike(f: Array) -> Array:
        step = max(1, 1_000_000 // len(x))
        with np.errstate(divide="ignore"):
            parts = [np.log(np.outer(g, x) + np.outer(1 - g, y)) @ wt for g in np.split(f, range(step, len(f), step))]
        return np.concatenate(parts)

    def slope(f: float) -> float:
        with np.errstate(divide="ignore"):
            return float(np.clip(wt @ ((x - y) / (f * x + (1 - f) * y)), -1e300, 1e300))

    if slope(0.0) <= 0:
        value = 0.0
    elif slope(1.0) >= 0:
        value = 1.0
    else:
        value = float(brentq(slope, 0.0, 1.0, xtol=1e-14))
    mixed = value * x + (1 - value) * y
    information = float(wt @ ((x - y) / mixed) ** 2) if 0 < value < 1 else 0.0
    err = 1 / np.sqrt(information) if information > 0 else np.nan
    lower, upper = _limits(loglike, value, err, float(wt.sum()))
    with np.errstate(invalid="ignore"):
        membership = np.where(counts, value * member / (value * member + (1 - value) * background), np.nan)
    gain = float(np.diff(loglike(np.array([0.0, value])))[0])
    return PopulationFraction(value, err, lower, upper, gain, membership, int(counts.sum()))


def _limits(loglike: Callable[[Array], Array], value: float, err: float, total: float) -> tuple[float, float]:
    """Return the 5 % and 95 % points of the likelihood as a density on 0 to 1."""
    reach = 8 * err if np.isfinite(err) else 40 / np.sqrt(total)
    inner = np.linspace(max(value - reach, 0.0), min(value + reach, 1.0), 801)
    grid = np.unique(np.concatenate([inner, np.linspace(0, 1, 101)]))
    heights = loglike(grid)
    p = np.exp(heights - heights.max())
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (p[1:] + p[:-1]) * np.diff(grid))])
    lower, upper = np.interp([0.05, 0.95], mass / mass[-1], grid)
    return float(lower), float(upper)
