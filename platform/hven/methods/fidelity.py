"""How faithful and how varied made-up vectors are: neighbours, duplicates and copies, in whitened feature space."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError

__all__ = ["Copies", "Neighbourhoods", "copies", "duplicates", "nearest", "neighbourhoods", "whitened"]

Array = NDArray[np.float64]

_ROWS = 1024
_OWN = 3
"""Neighbours of a training vector that tell how far apart those around it are; more than one, as some come twice."""


class Neighbourhoods(NamedTuple):
    """Four shares that tell fidelity from variety; all are near 1 for samples of one distribution.

    Attributes
    ----------
    precision
        Share of the generated that lie within the k-th neighbour of a reference (Kynkaanniemi et al. 2019).
    recall
        Share of the reference that lie within the k-th neighbour of a generated one.
    density
        How many such reference balls hold a generated one, over k (Naeem et al. 2020): as precision, but not fooled by
        outliers of the reference; may exceed 1.
    coverage
        Share of the reference balls that hold a generated one: variety, not fooled by outliers of the generated.
    """

    precision: float
    recall: float
    density: float
    coverage: float


class Copies(NamedTuple):
    """Which of generated vectors are copies of training ones.

    Attributes
    ----------
    share
        Of the generated that are nearer than the limit.
    relative_distance
        Of each to the nearest training vector, as told by `copies`, over the limit, shape (m,).
    which
        Rows of those training vectors, shape (m,).
    expected
        The share of vectors of the true distribution that would be called copies.
    """

    share: float
    relative_distance: Array
    which: NDArray[np.intp]
    expected: float


def whitened(reference: ArrayLike, *others: ArrayLike) -> tuple[Array, ...]:
    """Return the reference with mean zero and unit covariance, and the others moved and turned as it was.

    Directions in which the reference varies less than 1e-12 of its widest one are left out.

    Raises
    ------
    DataRefusedError
        Columns differ, or a value is not finite.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(500, 2)) @ [[3.0, 1.0], [0.0, 0.1]]
    >>> np.cov(whitened(x)[0], rowvar=False).round(6).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    sets = [np.asarray(v, dtype=np.float64) for v in (reference, *others)]
    if any(v.ndim != 2 or v.shape[1] != sets[0].shape[1] or not np.isfinite(v).all() for v in sets):
        raise DataRefusedError(
            f"sets of shapes {', '.join(str(v.shape) for v in sets)}, or with values that are not finite",
            where="fidelity", expected="(n, p) with the same p", hint="Leave out rows that miss a feature.",
        )  # fmt: skip
    first = sets[0]
    if len(first) < 3:
        raise TooFewObjectsError(f"{len(first)} rows to whiten by", expected="at least 3", hint="Add rows.")
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(first, rowvar=False)))
    kept = values > 1e-12 * values[-1]
    turn = vectors[:, kept] / np.sqrt(values[kept])
    return tuple((v - first.mean(axis=0)) @ turn for v in sets)


def nearest(x: ArrayLike, among: ArrayLike, k: int = 1, *, is_same: bool = False) -> tuple[Array, NDArray[np.intp]]:
    """Return the distances to the k nearest rows `among` (m, p) of each row of `x` (n, p), and which, both (n, k).

    Every pair is measured, 1024 rows at a time: exact, and in many dimensions as quick as a tree.

    Parameters
    ----------
    x, among
        Shapes (n, p) and (m, p).
    k
        How many neighbours, the nearest first.
    is_same
        Whether both are the same rows, none of which is its own neighbour.

    Raises
    ------
    TooFewObjectsError
        Fewer than k rows to choose from.

    Examples
    --------
    >>> distance, which = nearest([[0.0], [3.0]], [[1.0], [5.0], [2.5]])
    >>> distance.ravel().tolist(), which.ravel().tolist()
    ([1.0, 0.5], [0, 2])
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(among, dtype=np.float64)
    if k < 1 or len(b) < k + is_same:
        raise TooFewObjectsError(
            f"{len(b)} rows, of which {k} are wanted", where="fidelity.nearest", expected=f"at least {k + is_same}",
            hint="Add rows, or ask for fewer neighbours.",
        )  # fmt: skip
    squares = np.sum(b**2, axis=1)
    distances, indices = np.empty((len(a), k)), np.empty((len(a), k), dtype=np.intp)
    for start in range(0, len(a), _ROWS):
        rows = slice(start, min(start + _ROWS, len(a)))
        gaps = squares - 2 * a[rows] @ b.T
        if is_same:
            gaps[np.arange(len(gaps)), np.arange(rows.start, rows.stop)] = np.inf
        chosen = np.argpartition(gaps, k - 1, axis=1)[:, :k]
        # the short cut loses digits where rows nearly coincide, which is what is looked for
        exact = np.sqrt(np.sum((a[rows, None] - b[chosen]) ** 2, axis=2))
        order = np.argsort(exact, axis=1, kind="stable")
        distances[rows] = np.take_along_axis(exact, order, axis=1)
        indices[rows] = np.take_along_axis(chosen, order, axis=1)
    return distances, indices


def neighbourhoods(reference: ArrayLike, generated: ArrayLike, *, k: int = 5) -> Neighbourhoods:
    """Return precision, recall, density and coverage of generated vectors (m, p) against a reference (n, p).

    Distances are taken as they are: whiten first. Values depend on n and m; compare with those of two samples of the
    reference of the same sizes.

    Raises
    ------
    ParameterError
        k is not positive.
    TooFewObjectsError
        Not more than k rows in either set.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, same = rng.normal(size=(2, 400, 3))
    >>> collapsed = np.repeat(rng.normal(size=(5, 3)), 80, axis=0)
    >>> neighbourhoods(x, same).coverage > 0.9, neighbourhoods(x, collapsed).coverage < 0.1
    (True, True)
    """
    if k < 1:
        raise ParameterError(f"k is {k}", where="fidelity", expected="at least 1", hint="5 is usual.")
    ours, theirs = np.asarray(reference, dtype=np.float64), np.asarray(generated, dtype=np.float64)
    radius = nearest(ours, ours, k, is_same=True)[0][:, -1]
    other_radius = nearest(theirs, theirs, k, is_same=True)[0][:, -1]
    counts, covered, recalled = np.empty(len(theirs)), np.zeros(len(ours), dtype=bool), np.zeros(len(ours), dtype=bool)
    squares = np.sum(ours**2, axis=1)
    for start in range(0, len(theirs), _ROWS):
        rows = slice(start, min(start + _ROWS, len(theirs)))
        gaps = np.clip(squares + np.sum(theirs[rows] ** 2, axis=1)[:, None] - 2 * theirs[rows] @ ours.T, 0, None)
        inside = gaps <= radius**2
        counts[rows] = inside.sum(axis=1)
        covered |= inside.any(axis=0)
        recalled |= (gaps <= other_radius[rows, None] ** 2).any(axis=0)
    return Neighbourhoods(
        float(np.mean(counts > 0)), float(recalled.mean()), float(counts.mean() / k), float(covered.mean())
    )


def duplicates(reference: ArrayLike, generated: ArrayLike, *, quantile: float = 0.01) -> tuple[float, float]:
    """Return the share of generated vectors with a twin among themselves, and the distance below which one is a twin.

    Twins are nearer to each other than the `quantile` of the distances of neighbours within the reference; of a sample
    of n of the same distribution that share is about `quantile`, or one pair, 2 / n, where that is more.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(500, 4))
    >>> share, _ = duplicates(x, np.repeat(rng.normal(size=(250, 4)), 2, axis=0))
    >>> share
    1.0
    """
    usual = nearest(reference, reference, is_same=True)[0][:, 0]
    limit = float(np.quantile(usual, quantile, method="weibull"))
    found = nearest(generated, generated, is_same=True)[0][:, 0]
    return float(np.mean(found <= limit)), limit


def copies(training: ArrayLike, generated: ArrayLike, held_out: ArrayLike, *, quantile: float = 0.01) -> Copies:
    """Return the share of generated vectors that are copies of training ones, their distances, and of which.

    A copy is nearer to a training vector than a fraction `quantile` of the held-out ones are, distances being relative
    to those of that training vector to its own three nearest neighbours. Of n held-out vectors the fraction is not less
    than 1 / (n + 1), which is how often a further one is nearer than all of them.

    Without the latter, a generator that only makes what is usual seems to copy, as training vectors are dense there. In
    many dimensions some of that is left: of normal vectors in 26 dimensions, 0.8 times as wide as they should be, 2 %
    are called copies, of those 0.6 times as wide 6 %.

    Raises
    ------
    TooFewObjectsError
        Fewer than four training vectors, or no held-out one.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> training, fresh, held_out = rng.normal(size=(3, 400, 3))
    >>> copies(training, training[:50], held_out).share, copies(training, fresh, held_out).share < 0.05
    (1.0, True)
    """
    real, _ = _relative_to_own(held_out, training)
    if not len(real):
        raise TooFewObjectsError("there are no held-out rows", where="fidelity.copies", hint="Hold some out.")
    # of the quantiles in use the one whose expectation is the fraction, for any distribution
    limit = float(np.quantile(real, quantile, method="weibull"))
    found, which = _relative_to_own(generated, training)
    relative = found / limit if limit > 0 else np.where(found > 0, np.inf, 0.0)
    return Copies(float(np.mean(relative <= 1.0)), relative, which, max(quantile, 1 / (len(real) + 1)))


def _relative_to_own(x: ArrayLike, training: ArrayLike) -> tuple[Array, NDArray[np.intp]]:
    """Return distances to the nearest training vectors over those of these to their own neighbours, and which."""
    among = np.asarray(training, dtype=np.float64)
    distances, rows = nearest(x, among)
    distance, which = distances[:, 0], rows[:, 0]
    used, place = np.unique(which, return_inverse=True)
    # the first is the vector itself, or its equal
    own = nearest(among[used], among, _OWN + 1)[0][:, 1:].mean(axis=1)[place]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distance > 0, distance / own, 0.0), which
