"""Candidates for a cross-match from k-d trees of unit vectors: for wide radii and crowded fields."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_ARCSEC = np.pi / 648_000
_SLACK = 1e-15
"""More than rounding changes a chord between unit vectors."""

_AT_ONCE = 4_096
"""Positions whose ties are looked through at once: each may have many."""

_OCTAVE = 4.0
"""Radii up to this factor apart are searched together."""


def nearest_by_tree(
    ra: "Floats", dec: "Floats", other_ra: "Floats", other_dec: "Floats", radius: float
) -> "tuple[Ints, Ints]":
    """Return candidates for the nearest of the other positions within `radius` [arcsec]: all that are equally near.

    Examples
    --------
    >>> one, other = nearest_by_tree(np.array([0.0]), np.array([0.0]), np.array([1e-4, 1e-5]), np.zeros(2), 1.0)
    >>> one.tolist(), other.tolist()
    ([0], [1])
    """
    left, right = unit_vectors(ra, dec), unit_vectors(other_ra, other_dec)
    tree = _tree(right)
    chord, place = tree.query(left, k=2, distance_upper_bound=_chord(radius))
    found = np.flatnonzero(place[:, 0] < len(right))
    is_tied = chord[found, 1] <= chord[found, 0] + _SLACK
    ones, others = [found[~is_tied]], [place[found[~is_tied], 0].astype(np.int64)]
    tied = found[is_tied]
    for start in range(0, len(tied), _AT_ONCE):
        some = tied[start : start + _AT_ONCE]
        lists = tree.query_ball_point(left[some], chord[some, 0] + _SLACK)
        ones.append(np.repeat(some, [len(places) for places in lists]))
        others.append(np.concatenate([np.asarray(places, np.int64) for places in lists]))
    return np.concatenate(ones), np.concatenate(others)


def pairs_by_tree(
    ra: "Floats", dec: "Floats", other_ra: "Floats", other_dec: "Floats", reach: "Floats"
) -> "tuple[Ints, Ints]":
    """Return all pairs within each position's own reach [arcsec], shape (n,), and some that are further apart.

    Examples
    --------
    >>> one, other = pairs_by_tree(np.zeros(1), np.zeros(1), np.array([1e-4, 1.0]), np.zeros(2), np.ones(1))
    >>> one.tolist(), other.tolist()
    ([0], [0])
    """
    left, tree = unit_vectors(ra, dec), _tree(unit_vectors(other_ra, other_dec))
    ones, others = [], []
    for rows in _octaves(reach):
        near = _tree(left[rows]).sparse_distance_matrix(tree, _chord(float(reach[rows].max())), output_type="ndarray")
        ones.append(rows[near["i"]])
        others.append(near["j"].astype(np.int64))
    return np.concatenate(ones), np.concatenate(others)


def count_by_tree(ra: "Floats", dec: "Floats", other_ra: "Floats", other_dec: "Floats", reach: "Floats") -> int:
    """Return how many pairs `pairs_by_tree` would return.

    Examples
    --------
    >>> count_by_tree(np.zeros(1), np.zeros(1), np.array([1e-4, 1.0]), np.zeros(2), np.ones(1))
    1
    """
    left, tree = unit_vectors(ra, dec), _tree(unit_vectors(other_ra, other_dec))
    return sum(
        int(tree.count_neighbors(_tree(left[rows]), _chord(float(reach[rows].max())))) for rows in _octaves(reach)
    )


def unit_vectors(ra: "Floats", dec: "Floats") -> "Floats":
    """Return the unit vectors (n, 3) of positions [deg] (n,).

    Examples
    --------
    >>> unit_vectors(np.array([90.0]), np.array([0.0])).round(12).tolist()
    [[0.0, 1.0, 0.0]]
    """
    longitude, latitude = np.radians(ra), np.radians(dec)
    across = np.cos(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], axis=-1)


def _tree(vectors: "Floats") -> Any:
    from scipy.spatial import cKDTree

    # Neither balanced nor compact: a tree is asked about once, and this halves the time to build it.
    return cKDTree(vectors, balanced_tree=False, compact_nodes=False)


def _chord(radius: float) -> float:
    """Return a chord that no pair within `radius` [arcsec] exceeds, whatever rounding does."""
    return float(2.0 * np.sin(min(radius * _ARCSEC, np.pi) / 2.0) * (1.0 + 1e-12) + _SLACK)


def _octaves(reach: "Floats") -> "list[Ints]":
    """Return the rows of similar reach together, so that one wide search does not widen all others."""
    positive = np.maximum(reach, 1e-6)
    if positive.max() <= _OCTAVE * positive.min():
        return [np.arange(len(reach))]
    octave = np.floor(np.log(positive) / np.log(_OCTAVE))
    return [np.flatnonzero(octave == one) for one in np.unique(octave)]
