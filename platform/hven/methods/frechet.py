"""The Frechet distance of two sets of feature vectors, what finite samples add to it, and its error.

Two normal distributions are apart by ``|m1 - m2|^2 + tr[C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2]`` (Dowson & Landau 1982):
a term of the means and one of the covariances. On scattering features it is the FSD of arXiv:2307.09568, on those of an
Inception network the FID. It is always too large for finite samples, by about b/n, so distances at different n must not
be compared; the limit of 1/n -> 0 may.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, TooFewObjectsError
from hven.methods.moments import Moments, bootstrap_moments, moments_by_group

__all__ = [
    "Distance", "Extrapolated", "Sample", "covariance_ratio", "distance", "expected_log_det", "extrapolated", "floor",
    "of_samples",
]  # fmt: skip

Array = NDArray[np.float64]

_PARTS = 16
_ENOUGH = 8
"""Rows of a subset for each feature, below which the bias is not proportional to 1/n."""


@dataclass(frozen=True)
class Distance:
    """A Frechet distance and its two terms; numbers, or arrays over replicates."""

    mean_term: Array
    covariance_term: Array

    @property
    def value(self) -> Array:
        """The distance."""
        return np.asarray(self.mean_term + self.covariance_term)

    @property
    def covariance_share(self) -> Array:
        """Which part of the distance is that of the covariances: collapse shows there."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.covariance_term / self.value)


def distance(mean_a: ArrayLike, cov_a: ArrayLike, mean_b: ArrayLike, cov_b: ArrayLike) -> Distance:
    """Return the Frechet distance of two normal distributions, from means (..., p) and covariances (..., p, p).

    In the symmetric form: the eigenvalues of C1^1/2 C2 C1^1/2, which are not negative but for rounding, are clipped at
    zero. (The square root of the product C1 C2 itself, as is often used, is complex for nearly singular ones.)

    Raises
    ------
    DataRefusedError
        A mean or covariance is not finite, or shapes do not fit.

    Examples
    --------
    >>> found = distance([0.0], [[1.0]], [3.0], [[4.0]])
    >>> float(found.value), float(found.mean_term), float(found.covariance_term)
    (10.0, 9.0, 1.0)
    """
    m1, c1, m2, c2 = (np.asarray(v, dtype=np.float64) for v in (mean_a, cov_a, mean_b, cov_b))
    if m1.shape[-1] != m2.shape[-1] or c1.shape[-2:] != (m1.shape[-1],) * 2 or c2.shape[-2:] != (m2.shape[-1],) * 2:
        raise DataRefusedError(
            f"means of shapes {m1.shape}, {m2.shape} with covariances {c1.shape}, {c2.shape}", where="frechet",
            expected="(..., p) and (..., p, p)", hint="Take the same features of both sets.",
        )  # fmt: skip
    if not all(np.isfinite(v).all() for v in (m1, c1, m2, c2)):
        raise DataRefusedError(
            "a mean or a covariance is not finite", where="frechet", hint="Leave out rows that miss a feature."
        )
    values, vectors = np.linalg.eigh(c1)
    root = (vectors * np.sqrt(np.clip(values, 0, None))[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    product = root @ c2 @ root
    inner = np.linalg.eigvalsh(0.5 * (product + np.swapaxes(product, -1, -2)))
    traces = np.trace(c1, axis1=-2, axis2=-1) + np.trace(c2, axis1=-2, axis2=-1)
    overlap = 2 * np.sqrt(np.clip(inner, 0, None)).sum(axis=-1)
    return Distance(np.asarray(np.sum((m1 - m2) ** 2, axis=-1)), np.asarray(traces - overlap))


@dataclass(frozen=True)
class Sample:
    """What is kept of a set of feature vectors, of any number: moments of subsets and of bootstrap replicates.

    Samples of parts of a set `merge` to that of the whole. Rows fall into 16 subsets by their ids.

    Attributes
    ----------
    subsets
        Moments of each subset that has rows, by number.
    replicates
        Moments of the bootstrap replicates of the even and of the odd subsets; None without bootstrap.

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(size=(500, 3))
    >>> whole = Sample.of(x, np.arange(500), n_boot=0)
    >>> halves = Sample.of(x[:200], np.arange(200), n_boot=0).merge(Sample.of(x[200:], np.arange(200, 500), n_boot=0))
    >>> bool(np.allclose(whole.moments.covariance(), halves.moments.covariance()))
    True
    """

    subsets: dict[int, Moments]
    replicates: tuple[Moments, Moments] | None = None

    @classmethod
    def of(cls, x: ArrayLike, ids: ArrayLike, *, n_boot: int = 100, seed: int = 0) -> "Sample":
        """Return the sample of rows `x` (n, p); rows with a value that is not finite are left out.

        Parameters
        ----------
        x
            Features, shape (n, p).
        ids
            Whole numbers, shape (n,), which choose the subset and the bootstrap weights of a row: of its own for each,
            also where rows are equal. Rows that share one count as one, of another weight, and go together.
        n_boot, seed
            Replicates of the bootstrap, 0 for none, and its seed.
        """
        rows, names = np.asarray(x, dtype=np.float64), np.asarray(ids)
        known = np.isfinite(rows).all(axis=1)
        rows, names = rows[known], names[known]
        subset = _scattered(names) % _PARTS
        replicates = None
        if n_boot:
            even = subset % 2 == 0
            replicates = (
                bootstrap_moments(rows[even], names[even], seed, n_boot=n_boot),
                bootstrap_moments(rows[~even], names[~even], seed, n_boot=n_boot),
            )
        return cls(moments_by_group(rows, subset), replicates)

    def merge(self, other: "Sample") -> "Sample":
        """Return the sample of the rows of both."""
        both = dict(self.subsets)
        for name, moments in other.subsets.items():
            both[name] = both[name].merge(moments) if name in both else moments
        if self.replicates is None or other.replicates is None:
            return Sample(both)
        one, two = (a.merge(b) for a, b in zip(self.replicates, other.replicates, strict=True))
        return Sample(both, (one, two))

    @property
    def n(self) -> int:
        """Number of rows."""
        return sum(int(m.n[0, 0]) for m in self.subsets.values())

    @property
    def moments(self) -> Moments:
        """Moments of all rows."""
        if not self.subsets:
            raise TooFewObjectsError("there are no rows", where="frechet", hint="Loosen the selection.")
        return reduce(Moments.merge, (self.subsets[name] for name in sorted(self.subsets)))

    def cut(self, pieces: int) -> list[Moments]:
        """Return the moments of disjoint `pieces`, each of 16 / `pieces` subsets; those without rows are left out."""
        groups = [
            [self.subsets[name] for name in range(piece, _PARTS, pieces) if name in self.subsets]
            for piece in range(pieces)
        ]
        return [reduce(Moments.merge, group) for group in groups if group]

    def select(self, columns: Sequence[int]) -> "Sample":
        """Return the sample of some of the columns."""
        chosen = {name: m.select(columns) for name, m in self.subsets.items()}
        if self.replicates is None:
            return Sample(chosen)
        one, two = (m.select(columns) for m in self.replicates)
        return Sample(chosen, (one, two))


@dataclass(frozen=True)
class Extrapolated:
    """Frechet distances of subsets of growing size, and where they tend to.

    Attributes
    ----------
    n
        Effective sizes 2 / (1/n_a + 1/n_b) of the subsets, all rows first, shape (levels,).
    mean_term, covariance_term
        The terms, each a mean over disjoint subsets, shape (levels,).
    limit
        Terms of the straight line in 1/n at 1/n = 0. The bias of the mean term is removed too.
    error, limit_error
        Standard errors of the distance of all rows, and of the limit, from the bootstrap; NaN without, and
        where a replicate of a half has hardly a row.
    """

    n: Array
    mean_term: Array
    covariance_term: Array
    limit: Distance
    error: float
    limit_error: float

    @property
    def value(self) -> Array:
        """The distances (levels,): the first is that of all rows."""
        return np.asarray(self.mean_term + self.covariance_term)


def of_samples(a: Sample, b: Sample) -> Distance:
    """Return the Frechet distance of two samples, biased as it is."""
    return _between(_checked(a, "the first set"), _checked(b, "the second set"))


def extrapolated(a: Sample, b: Sample) -> Extrapolated:
    """Return the Frechet distance of two samples at N, N/2, N/4 ..., extrapolated linearly in 1/N.

    Distances at N/2^m are means over 2^m pairs of disjoint subsets. Subsets are cut until fewer than 8 rows are left
    for each feature: below, the bias is not linear any more. The error of the limit is that of 2 D(N) - D(N/2),
    less what replicates of a bootstrap scatter more than samples do: of 40 pairs of samples, 0.9 to 1.5 times their
    scatter, from no distance to a large one.

    Raises
    ------
    TooFewObjectsError
        Fewer rows than features + 2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> one, other = (Sample.of(rng.normal(size=(4000, 4)), np.arange(4000)) for _ in range(2))
    >>> told = extrapolated(one, other)
    >>> bool(told.value[0] > 0), bool(abs(told.limit.value) < 4 * told.limit_error)
    (True, True)
    """
    whole = _checked(a, "the first set"), _checked(b, "the second set")
    levels = [([whole[0]], [whole[1]])]
    p = whole[0].n.shape[-1]
    pieces = 2
    while pieces <= _PARTS:
        cut = a.cut(pieces), b.cut(pieces)
        if any(len(one) < pieces or min(int(m.n[0, 0]) for m in one) < _ENOUGH * p for one in cut):
            break
        levels.append(cut)
        pieces *= 2
    n = np.array([np.mean([_effective(x, y) for x, y in zip(*level, strict=True)]) for level in levels])
    found = [[_between(x, y) for x, y in zip(*level, strict=True)] for level in levels]
    means, covariances = (
        np.array([np.mean([getattr(d, term) for d in level]) for level in found])
        for term in ("mean_term", "covariance_term")
    )
    limit = Distance(*(np.asarray(_at_infinity(n, terms)) for terms in (means, covariances)))
    return Extrapolated(n, means, covariances, limit, *_errors(a, b))


def floor(sample: Sample, n: float) -> tuple[float, float]:
    """Return the distance that two samples of effective size `n` of one distribution have, and its scatter.

    Measured on disjoint halves of the sample, cut in eight ways, and scaled by 1/n. The scatter is that of the cuts;
    they share rows, so it is a little small.

    Parameters
    ----------
    sample
        Of the reference.
    n
        2 / (1/n_a + 1/n_b) of the two sets that are compared.
    """
    _checked(sample, "the reference", at_least=2)
    names = sorted(sample.subsets)
    found = []
    rng = np.random.default_rng(0)
    for _ in range(8):
        order = rng.permutation(names)
        one, other = (
            reduce(Moments.merge, (sample.subsets[int(name)] for name in side))
            for side in (order[: len(order) // 2], order[len(order) // 2 :])
        )
        found.append(float(_between(one, other).value) * _effective(one, other) / n)
    return float(np.mean(found)), float(np.std(found, ddof=1))


def covariance_ratio(reference: ArrayLike, other: ArrayLike) -> Array:
    """Return the eigenvalues of C_ref^-1/2 C C_ref^-1/2, shape (p,), the smallest first.

    They are the variances of the other set where those of the reference are one: much below one, variety is lost. The
    sum of their logarithms is the difference of the log-determinants.

    Raises
    ------
    DataRefusedError
        The covariance of the reference is singular.

    Examples
    --------
    >>> covariance_ratio([[1.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]]).tolist()
    [0.25, 1.0]
    """
    from scipy.linalg import eigh

    ours, theirs = (np.asarray(c, dtype=np.float64) for c in (reference, other))
    scale = np.sqrt(np.diag(ours))
    if not np.isfinite(ours).all() or np.any(scale <= 0) or np.linalg.eigvalsh(ours / np.outer(scale, scale))[0] <= 0:
        raise DataRefusedError(
            "the covariance of the reference is singular", where="frechet.covariance_ratio",
            expected="a feature that varies, and more rows than features", hint="Leave out features, or add rows.",
        )  # fmt: skip
    unit = np.outer(scale, scale)
    return np.clip(np.asarray(eigh(theirs / unit, ours / unit, eigvals_only=True)), 0.0, None)


def expected_log_det(n: int, p: int, given: int = 0) -> float:
    """Return what the log-determinant of a covariance of n rows is on average, that of the truth being zero.

    For normal rows, sum_i psi((nu - i) / 2) + ln(2 / (n - 1)) with i = 0 ... p - 1 and nu = n - 1 - `given`: a
    determinant of few rows is too small.

    Parameters
    ----------
    n, p
        Numbers of rows and columns.
    given
        How many further columns were held fixed, as by `Moments.partial_covariance`.

    Raises
    ------
    TooFewObjectsError
        Not more rows than columns, all of them.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = [np.linalg.slogdet(np.cov(rng.normal(size=(60, 20)), rowvar=False))[1] for _ in range(100)]
    >>> round(float(np.mean(found)), 1), round(expected_log_det(60, 20), 1)
    (-4.1, -4.1)
    """
    from scipy.special import psi

    if n <= p + given:
        raise TooFewObjectsError(
            f"{n} rows for {p + given} columns", where="frechet.expected_log_det", expected=f"at least {p + given + 1}",
            hint="Add images, or use fewer scales.",
        )  # fmt: skip
    return float(np.sum(psi((n - 1 - given - np.arange(p)) / 2)) + p * np.log(2 / (n - 1)))


def _between(one: Moments, other: Moments) -> Distance:
    return distance(one.means, one.covariance(), other.means, other.covariance())


def _effective(one: Moments, other: Moments) -> float:
    return float(2 / (1 / one.weight[0, 0] + 1 / other.weight[0, 0]))


def _at_infinity(n: Array, values: Array) -> float:
    return float(np.polyfit(1 / n, values, 1)[1]) if len(n) > 1 else np.nan


def _errors(a: Sample, b: Sample) -> tuple[float, float]:
    if a.replicates is None or b.replicates is None:
        return np.nan, np.nan
    even, odd = ((a.replicates[i], b.replicates[i]) for i in (0, 1))
    if any(np.min(m.weight[:, 0, 0]) < 3 for pair in (even, odd) for m in pair):
        return np.nan, np.nan
    whole = _between(even[0].merge(odd[0]), even[1].merge(odd[1])).value
    halves = (_between(*even).value + _between(*odd).value) / 2
    ours, both = _effective(a.moments, a.moments), _effective(a.moments, b.moments)
    chance = _of_chance(even[0], odd[0]) * (ours / both)
    return _without_chance(whole, chance[0]), _without_chance(2 * whole - halves, 2 * chance[0] - chance[1])


def _of_chance(even: Moments, odd: Moments) -> Array:
    """Return distances between pairs of replicates of one sample: of all rows, and of halves, shape (2, replicates)."""
    found = []
    for one in (even.merge(odd), even, odd):
        means, covariance = one.means, one.covariance()
        found.append(distance(means, covariance, np.roll(means, 1, axis=0), np.roll(covariance, 1, axis=0)).value)
    return np.stack([found[0], (found[1] + found[2]) / 2])


def _without_chance(replicates: Array, chance: Array) -> float:
    """Return the scatter of a distance from that of its replicates, which scatter about a distance with noise in it.

    A distance is d^2 with noise of variance s^2 in d: its variance is 4 d^2 s^2 + 2 s^4. Replicates scatter about
    d^2 + s^2 and have 4 s^4 more on average: twice the variance of `chance`, the distances where d is zero.
    """
    least = float(chance.var(ddof=1))
    return float(np.sqrt(max(float(replicates.var(ddof=1)) - 2 * least, least)))


def _checked(sample: Sample, which: str, at_least: int = 1) -> Moments:
    moments = sample.moments
    n, p = int(moments.n[0, 0]), moments.n.shape[-1]
    if n < at_least * (p + 2) or len(sample.subsets) < at_least:
        raise TooFewObjectsError(
            f"{which} has {n} rows for {p} features", where="frechet", expected=f"at least {at_least * (p + 2)}",
            hint="Add images, or use fewer scales.",
        )  # fmt: skip
    return moments


def _scattered(ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return numbers in which neighbouring ids are far apart (the finaliser of splitmix64), not negative."""
    z = np.asarray(ids).astype(np.int64).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(2)).astype(np.int64)
