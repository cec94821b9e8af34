"""Whether predicted distributions are right: one report, ranks of simulations, conformal intervals, power curves.

A prediction for each object is given by mean and standard deviation, by samples, or by its cumulative distribution at
the observed value. `report` says whether the observed values look like draws from the predictions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, TooFewObjectsError
from hven.methods._predictions import Predictions, predictions

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LEVELS", "Calibration", "PowerCurve", "Ranks", "conformal_factor", "power", "ranks_of_truth", "report"]

Array = NDArray[np.float64]

LEVELS = (0.38, 0.68, 0.95)
"""Central intervals whose coverage is told."""

_BINS = 10
_FEWEST = 10
_FALSE_ALARM = 0.01


@dataclass(frozen=True)
class Calibration:
    """How predictions compare with what was observed, for g groups (one, named "all", when none were given).

    Attributes
    ----------
    groups
        Names of the groups.
    n, n_dropped
        Objects used, and left out because a value is not finite, each (g,).
    pit
        Probability integral transforms u_i = F_i(y_i) of all n objects, NaN for those dropped; uniform when calibrated.
    ks_statistic, ks_pvalue
        Kolmogorov-Smirnov test of the PIT against the uniform distribution, each (g,).
    coverage, coverage_err
        Fraction of values inside the central intervals of `LEVELS`, and its binomial error, each (g, 3).
    chi_std, chi_inside
        Standard deviation about zero of the normal scores chi = Phi^-1(u), which for Gaussian predictions are
        (y - mean)/std, and fraction with chi between -1 and 1 (0.683 expected), each (g,).
    reliability
        Fraction of PIT values below 0.1, 0.2, ... 0.9, (g, 9): the reliability diagram.
    ece
        Expected calibration error: mean distance of the reliability diagram from the diagonal, (g,).
    crps
        Mean continuous ranked probability score, in the unit of y, (g,); NaN when only the cdf is known.
    bias, nmad, outlier_rate
        Median of the residual y - mean; 1.4826 times the median distance from it; and the fraction of residuals
        further from it than 5 nmad, each (g,). NaN when only the cdf is known.
    sharpness
        Mean standard deviation of the predictions, (g,); NaN when only the cdf is known.
    flags
        Per group, the checks that failed: ``"pit"`` (the KS test), ``"width"`` (chi_std is not 1: too wide or too
        narrow), ``"coverage"`` (of one of the intervals). Together they fail for 1 % of calibrated predictions.
    """

    groups: tuple[str, ...]
    n: NDArray[np.int64]
    n_dropped: NDArray[np.int64]
    pit: Array
    ks_statistic: Array
    ks_pvalue: Array
    coverage: Array
    coverage_err: Array
    chi_std: Array
    chi_inside: Array
    reliability: Array
    ece: Array
    crps: Array
    bias: Array
    nmad: Array
    outlier_rate: Array
    sharpness: Array
    flags: tuple[tuple[str, ...], ...]

    @property
    def is_calibrated(self) -> bool:
        """Whether no check has failed in any group."""
        return not any(self.flags)

    def to_dataset(self) -> "xr.Dataset":
        """Return the report as a Dataset over `group`, `level`, `probability` and, for the PIT, `object`."""
        import xarray as xr

        per_group = (
            *("n", "n_dropped", "ks_statistic", "ks_pvalue", "chi_std", "chi_inside", "ece", "crps", "bias", "nmad"),
            *("outlier_rate", "sharpness"),
        )
        data: dict[str, Any] = {name: ("group", getattr(self, name)) for name in per_group}
        data["coverage"] = (("group", "level"), self.coverage)
        data["coverage_err"] = (("group", "level"), self.coverage_err)
        data["reliability"] = (("group", "probability"), self.reliability)
        data["is_calibrated"] = ("group", [not flags for flags in self.flags])
        data["flags"] = ("group", np.array([", ".join(flags) for flags in self.flags], dtype=str))
        data["pit"] = ("object", self.pit)
        coordinates = {
            "group": np.array(self.groups, dtype=str),
            "level": list(LEVELS),
            "probability": np.arange(1, _BINS) / _BINS,
        }
        return xr.Dataset(data, coords=coordinates)


def report(
    y: ArrayLike,
    *,
    mean: ArrayLike | None = None,
    std: ArrayLike | None = None,
    samples: ArrayLike | None = None,
    cdf: ArrayLike | None = None,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    seed: int = 0,
) -> Calibration:
    """Return how well predicted distributions describe observed values.

    Exactly one kind of prediction is given: `mean` and `std` (Gaussian), `samples`, or `cdf`.

    Parameters
    ----------
    y
        Observed values, shape (n,).
    mean, std
        Gaussian predictions, shape (n,) or one for all. The errors of `y`, if any, belong into `std`.
    samples
        Draws from the predictions, shape (n, m); the PIT is (number of draws below y + U)/(m + 1), U ~ U(0, 1).
    cdf
        F_i(y_i), shape (n,); or for discrete values, (n, 2) with F_i just below y_i and at y_i, between which the PIT
        is drawn (Czado et al. 2009, doi:10.1111/j.1541-0420.2009.01191.x).
    groups
        A label per object, shape (n,): every group gets its own row of the report.
    seed
        Of what is drawn for discrete values and samples.

    Raises
    ------
    DataRefusedError
        Not exactly one kind of prediction, or shapes that do not fit.
    TooFewObjectsError
        A group of fewer than ten objects with finite values.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> told = report(rng.normal(size=500), mean=0.0, std=1.0)
    >>> told.flags, [float(v) for v in told.coverage[0].round(2)]
    (((),), [0.36, 0.69, 0.94])
    >>> report(rng.normal(size=500), mean=0.0, std=1.2).flags
    (('width', 'coverage'),)
    """
    given = predictions(y, mean=mean, std=std, samples=samples, cdf=cdf, seed=seed)
    labels = np.full(len(given.pit), "all") if groups is None else np.asarray(groups).astype(str)
    if labels.shape != given.pit.shape:
        raise DataRefusedError(
            f"groups has shape {labels.shape}", expected=f"{given.pit.shape}, as y", hint="Align the arrays."
        )
    names = sorted(set(labels.tolist()))
    rows = [_row(given, labels == name, name) for name in names]
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0] if key != "flags"}
    flags = tuple(row["flags"] for row in rows)
    return Calibration(groups=tuple(names), pit=given.pit, flags=flags, **columns)


def _row(given: Predictions, chosen: NDArray[np.bool_], name: str) -> dict[str, Any]:
    from scipy.special import ndtri
    from scipy.stats import chi2, kstest

    used = chosen & np.isfinite(given.pit)
    pit, n = given.pit[used], int(used.sum())
    if n < _FEWEST:
        raise TooFewObjectsError(
            f"{n} objects with finite predictions", where=f"group {name!r}", expected=f"{_FEWEST} or more",
            hint="Leave the group out, or join it with another.",
        )  # fmt: skip
    level = np.array(LEVELS)
    coverage = np.mean(np.abs(pit[:, None] - 0.5) <= level / 2, axis=0)
    # normal scores beyond 8 sigma are a PIT of exactly 0 or 1: no float is left to tell how far out they are
    chi = given.chi[used] if given.chi is not None else np.clip(ndtri(pit), -8.2, 8.2)
    squares = float(np.sum(chi**2))
    ks = kstest(pit, "uniform")
    edges = np.arange(1, _BINS) / _BINS
    reliability = np.mean(pit[:, None] <= edges, axis=0)
    each = _FALSE_ALARM / 3
    p_width = 2 * min(chi2.cdf(squares, n), chi2.sf(squares, n))
    flags = {
        "pit": ks.pvalue < each,
        "width": p_width < each,
        "coverage": bool(_coverage_pvalues(coverage, n).min() < each / len(LEVELS)),
    }
    return {
        "n": n,
        "n_dropped": int(chosen.sum()) - n,
        "ks_statistic": float(ks.statistic),
        "ks_pvalue": float(ks.pvalue),
        "coverage": coverage,
        "coverage_err": np.sqrt(coverage * (1 - coverage) / n),
        "chi_std": float(np.sqrt(squares / n)),
        "chi_inside": float(np.mean(np.abs(chi) < 1)),
        "reliability": reliability,
        "ece": float(np.mean(np.abs(reliability - edges))),
        **_of_residuals(given, used),
        "flags": tuple(flag for flag, is_raised in flags.items() if is_raised),
    }


def _coverage_pvalues(coverage: Array, n: int) -> Array:
    from scipy.stats import binomtest

    counts = np.rint(coverage * n).astype(int)
    return np.array([binomtest(int(k), n, level).pvalue for k, level in zip(counts, LEVELS, strict=True)])


def _of_residuals(given: Predictions, used: NDArray[np.bool_]) -> dict[str, float]:
    if given.mean is None or given.std is None or given.crps is None:
        return dict.fromkeys(("crps", "bias", "nmad", "outlier_rate", "sharpness"), np.nan)
    residual = (given.y - given.mean)[used]
    bias = float(np.median(residual))
    nmad = 1.4826 * float(np.median(np.abs(residual - bias)))
    return {
        "crps": float(np.mean(given.crps[used])),
        "bias": bias,
        "nmad": nmad,
        "outlier_rate": float(np.mean(np.abs(residual - bias) > 5 * nmad)),
        "sharpness": float(np.mean(given.std[used])),
    }


@dataclass(frozen=True)
class Ranks:
    """Ranks of true values among posterior draws, one a simulation.

    Attributes
    ----------
    ranks
        Number of draws below the truth, shape (n,), from 0 to `n_draws`; uniform when the posteriors are right.
    n_draws
        Draws per posterior.
    ks_pvalue
        Of the Kolmogorov-Smirnov test of uniformity; ties are broken at random.
    """

    ranks: NDArray[np.int64]
    n_draws: int
    ks_pvalue: float

    @property
    def is_uniform(self) -> bool:
        """Whether the ranks could be uniform: p > 0.01."""
        return self.ks_pvalue > _FALSE_ALARM


def ranks_of_truth(truth: ArrayLike, draws: ArrayLike, *, seed: int = 0) -> Ranks:
    """Return the ranks of `truth` (n,) among posterior `draws` (n, m): simulation-based calibration.

    Each row comes from one simulation: a truth drawn from the prior, data simulated from it, draws of the posterior
    given the data (Talts et al., arXiv:1804.06788). Use 500 simulations or more, and draws that are independent: thin
    chains to their effective sample size.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> told = ranks_of_truth(rng.normal(size=500), rng.normal(size=(500, 99)))
    >>> told.is_uniform, int(told.ranks.max()) <= 99
    (True, True)
    """
    from scipy.stats import kstest

    truth, draws = np.asarray(truth, dtype=np.float64), np.asarray(draws, dtype=np.float64)
    if draws.ndim != 2 or truth.shape != draws.shape[:1]:
        raise DataRefusedError(
            f"truth has shape {truth.shape} and draws {draws.shape}", expected="(n,) and (n, m)",
            hint="Call it for one parameter at a time.",
        )  # fmt: skip
    rng = np.random.default_rng(seed)
    below = np.sum(draws < truth[:, None], axis=1)
    ties = np.sum(draws == truth[:, None], axis=1)
    ranks = below + rng.integers(0, ties + 1)
    u = (ranks + rng.random(len(ranks))) / (draws.shape[1] + 1)
    return Ranks(ranks.astype(np.int64), draws.shape[1], float(kstest(u, "uniform").pvalue))


def conformal_factor(y: ArrayLike, mean: ArrayLike, sigma: ArrayLike = 1.0, *, level: float = 0.68) -> float:
    """Return q such that mean +- q sigma holds a new value with probability `level` or more, whatever the distribution.

    The ceil((n + 1) level)/n quantile of abs(y - mean)/sigma over n objects that were not used for the prediction
    (split conformal prediction: Vovk et al. 2005; Lei et al., arXiv:1604.04173). Infinite when n is too small for it.

    Examples
    --------
    >>> y = np.random.default_rng(1).normal(scale=2.0, size=10_000)
    >>> round(conformal_factor(y, 0.0, 1.0, level=0.6827), 1)
    2.0
    """
    observed, centre, unit = (np.asarray(values, dtype=np.float64) for values in (y, mean, sigma))
    residual = np.abs(observed - centre) / unit
    residual = np.sort(residual[np.isfinite(residual)])
    position = int(np.ceil((len(residual) + 1) * level))
    return float(residual[position - 1]) if position <= len(residual) else np.inf


@dataclass(frozen=True)
class PowerCurve:
    """How often a test rejects, by the size of the effect: arrays (m,), rates with binomial errors."""

    effects: Array
    rate: Array
    rate_err: Array
    n_rep: int
    alpha: float

    def effect_at(self, rate: float = 0.8) -> float:
        """Return the smallest effect, interpolated, from which on the test rejects as often as `rate`; NaN if none."""
        below = np.flatnonzero(self.rate < rate)
        if len(below) == 0:
            return float(self.effects[0])
        last = int(below[-1])
        if last + 1 == len(self.rate):
            return np.nan
        x, y = self.effects[last : last + 2], self.rate[last : last + 2]
        return float(np.interp(rate, y, x))


def power(
    test: Callable[[Any], float],
    simulate: Callable[[float, np.random.Generator], Any],
    effects: ArrayLike,
    n_rep: int = 200,
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> PowerCurve:
    """Return the fraction of simulated data sets in which a test rejects, for each size of an effect.

    Parameters
    ----------
    test
        Takes data, returns a p-value.
    simulate
        Takes an effect and a random generator, returns data. The generator of repetition r is the same for all effects,
        so that the curve is smooth.
    effects
        Sizes of the effect in ascending order, shape (m,); include 0 to see the rate of false alarms.
    n_rep
        Repetitions per effect.
    alpha
        The test rejects below this p-value.
    seed
        Of the simulations.

    Examples
    --------
    >>> from scipy.stats import ttest_1samp
    >>> curve = power(lambda x: ttest_1samp(x, 0).pvalue, lambda d, rng: rng.normal(d, 1, 50), [0.0, 0.2, 0.4, 0.8])
    >>> [float(rate) for rate in curve.rate]
    [0.07, 0.27, 0.735, 1.0]
    """
    sizes = np.asarray(effects, dtype=np.float64)
    pvalues = [[test(simulate(size, np.random.default_rng([seed, r]))) for r in range(n_rep)] for size in sizes]
    rate = np.mean(np.asarray(pvalues) < alpha, axis=1)
    return PowerCurve(sizes, rate, np.sqrt(rate * (1 - rate) / n_rep), n_rep, alpha)
