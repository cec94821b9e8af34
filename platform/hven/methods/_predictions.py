"""Three ways of giving a predicted distribution, brought to one: PIT, normal scores, moments and CRPS per object."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Per object, each (n,): what is observed, its PIT (NaN where something is not finite), and what else is known."""

    y: Array
    pit: Array
    chi: Array | None = None
    mean: Array | None = None
    std: Array | None = None
    crps: Array | None = None


def predictions(
    y: ArrayLike,
    *,
    mean: ArrayLike | None,
    std: ArrayLike | None,
    samples: ArrayLike | None,
    cdf: ArrayLike | None,
    seed: int,
) -> Predictions:
    """Return the prediction that was given, whichever its form."""
    given = [mean is not None and std is not None, samples is not None, cdf is not None]
    if sum(given) != 1 or (mean is None) != (std is None):
        raise DataRefusedError(
            "not exactly one prediction",
            where="calibration.report",
            expected="mean and std, or samples, or cdf",
            hint="Give one of the three.",
        )
    observed = np.asarray(y, dtype=np.float64)
    if observed.ndim != 1:
        raise DataRefusedError(f"y has shape {observed.shape}", expected="(n,)", hint="Report one quantity at a time.")
    rng = np.random.default_rng(seed)
    if mean is not None and std is not None:
        n = len(observed)
        return _gaussian(observed, _shaped("mean", mean, (n,)), _shaped("std", std, (n,)))
    if samples is not None:
        return _of_samples(observed, np.asarray(samples, dtype=np.float64), rng)
    return _of_cdf(observed, np.asarray(cdf, dtype=np.float64), rng)


def _shaped(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.shape not in {(), shape}:
        raise DataRefusedError(f"{name} has shape {array.shape}", expected=f"{shape}, as y", hint="Align the arrays.")
    return np.broadcast_to(array, shape)


def _gaussian(y: Array, mean: Array, std: Array) -> Predictions:
    from scipy.special import ndtr

    std = np.where(std > 0, std, np.nan)
    chi = (y - mean) / std
    density = np.exp(-0.5 * chi**2) / np.sqrt(2 * np.pi)
    # Gneiting and Raftery 2007, doi:10.1198/016214506000001437
    crps = std * (chi * (2 * ndtr(chi) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return Predictions(y, ndtr(chi), chi, mean, std, crps)


def _of_samples(y: Array, samples: Array, rng: np.random.Generator) -> Predictions:
    if samples.ndim != 2 or len(samples) != len(y) or samples.shape[1] < 2:
        raise DataRefusedError(
            f"samples has shape {samples.shape}",
            expected=f"({len(y)}, m) with m > 1",
            hint="Put objects first, draws second.",
        )
    n, m = samples.shape
    finite = np.isfinite(y) & np.isfinite(samples).all(axis=1)
    below = np.sum(samples < y[:, None], axis=1)
    ties = np.sum(samples == y[:, None], axis=1)
    pit = np.where(finite, (below + rng.random(n) * (ties + 1)) / (m + 1), np.nan)
    ordered = np.sort(samples, axis=1)
    # mean |x - y| - mean |x - x'| / 2, the second over pairs of different draws: unbiased for a finite number of draws
    spread = (ordered @ (2 * np.arange(m) - m + 1)) / (m * (m - 1))
    crps = np.mean(np.abs(samples - y[:, None]), axis=1) - spread
    return Predictions(y, pit, None, samples.mean(axis=1), samples.std(axis=1, ddof=1), crps)


def _of_cdf(y: Array, cdf: Array, rng: np.random.Generator) -> Predictions:
    if cdf.shape not in {y.shape, (len(y), 2)}:
        raise DataRefusedError(
            f"cdf has shape {cdf.shape}",
            expected=f"({len(y)},), or ({len(y)}, 2) for discrete values",
            hint="Give F(y) per object.",
        )
    if np.any((cdf < 0) | (cdf > 1)):
        raise DataRefusedError(
            "a cdf is outside 0 to 1", where="calibration.report", hint="Give probabilities, not densities."
        )
    low, high = (cdf, cdf) if cdf.ndim == 1 else (cdf[:, 0], cdf[:, 1])
    pit = low + rng.random(len(y)) * (high - low)
    return Predictions(y, np.where(np.isfinite(y), pit, np.nan))
