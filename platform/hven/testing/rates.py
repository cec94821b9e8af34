"""How often an analysis is right over many realisations: coverage and false alarms, judged in both directions.

An error bar that is too large is as wrong as one that is too small, and so is a test that never raises a false alarm.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

FEWEST = 60
"""Realisations below which no rate is judged: of 20, half to nine tenths could be two thirds."""

_CHANCE = 1e-3
"""A right analysis fails by chance this often, on either side."""


@dataclass(frozen=True)
class Rate:
    """How many of several realisations hit, and how many should.

    Attributes
    ----------
    hits, of
        Realisations.
    expected
        The share that should hit.

    Examples
    --------
    >>> rate = Rate(80, 120, 0.68)
    >>> rate.share, rate.verdict()
    (0.6666666666666666, '')
    >>> Rate(100, 120, 0.68).verdict()
    'too often: 100 of 120 (0.833), expected 0.68'
    """

    hits: int
    of: int
    expected: float

    @property
    def share(self) -> float:
        """The share that hit."""
        return self.hits / self.of

    def verdict(self, slack: float = 0.0, chance: float = _CHANCE) -> str:
        """Return what is wrong with the rate; empty when it is as expected.

        Parameters
        ----------
        slack
            By how much the true share may lie off the expected one, on either side.
        chance
            How improbable the count may be, on each side, of a share within these bounds.
        """
        from scipy.stats import binom

        told = f"{self.hits} of {self.of} ({self.share:.3f}), expected {self.expected:g}"
        told += f" within {slack:g}" if slack else ""
        if binom.cdf(self.hits, self.of, max(self.expected - slack, 0.0)) < chance:
            return f"too seldom: {told}"
        if binom.sf(self.hits - 1, self.of, min(self.expected + slack, 1.0)) < chance:
            return f"too often: {told}"
        return ""

    def check(self, slack: float = 0.0) -> None:
        """Fail when the rate is too low or too high.

        Raises
        ------
        AssertionError
            With the `verdict`.
        """
        verdict = self.verdict(slack)
        if verdict:
            raise AssertionError(verdict)


def coverage(
    measure: Callable[[int], tuple[float, float]],
    truth: float,
    seeds: Iterable[int] = range(FEWEST),
    *,
    sigmas: float = 1.0,
) -> Rate:
    """Return how often a value lies within its own error of the truth.

    Parameters
    ----------
    measure
        Gives value and standard error of the realisation with a seed. One that is not finite is no hit.
    truth
        What is to be found.
    seeds
        Of the realisations, 60 at least.
    sigmas
        How many errors count as within; the share expected is that of a normal distribution.

    Raises
    ------
    ValueError
        For fewer realisations than 60: no rate is known from them.

    Examples
    --------
    >>> def mean(seed, claimed=0.1):
    ...     return np.random.default_rng(seed).normal(3.0, 0.1), claimed
    >>> coverage(mean, 3.0).check()
    >>> coverage(lambda seed: mean(seed, claimed=0.3), 3.0).verdict()[:9]
    'too often'
    >>> coverage(lambda seed: mean(seed, claimed=0.05), 3.0).verdict()[:10]
    'too seldom'
    """
    from scipy.stats import norm

    found = np.array([measure(seed) for seed in seeds], dtype=np.float64).reshape(-1, 2)
    hits = np.abs(found[:, 0] - truth) <= sigmas * found[:, 1]
    return _rate(hits & np.isfinite(found).all(axis=1), float(norm.cdf(sigmas) - norm.cdf(-sigmas)))


def null_rate(p_value: Callable[[int], float], seeds: Iterable[int] = range(200), *, level: float = 0.05) -> Rate:
    """Return how often a test finds something where there is nothing: of a right test, as often as its level says.

    Parameters
    ----------
    p_value
        Gives the p-value of the realisation with a seed, in which there is nothing to find. NaN finds nothing.
    seeds
        Of the realisations, 60 at least; so many that three hits or more are expected.
    level
        At which a p-value counts.

    Raises
    ------
    ValueError
        For fewer realisations than 60, or so few that finding nothing at all would pass.

    Examples
    --------
    >>> null_rate(lambda seed: np.random.default_rng(seed).random()).check()
    >>> null_rate(lambda seed: 0.5).verdict()
    'too seldom: 0 of 200 (0.000), expected 0.05'
    """
    rate = _rate(np.array([p_value(seed) for seed in seeds], dtype=np.float64) < level, level)
    if not Rate(0, rate.of, level).verdict():
        raise ValueError(f"{rate.of} realisations tell nothing of a level of {level:g}: finding nothing would pass")
    return rate


def _rate(hits: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]", expected: float) -> Rate:
    if len(hits) < FEWEST:
        raise ValueError(f"{len(hits)} realisations, and a rate needs {FEWEST} at least")
    return Rate(int(hits.sum()), len(hits), expected)
