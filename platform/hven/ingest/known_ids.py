"""Known ids: the object ids that are taken, so many that they are kept sorted in few runs and searched."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


_LARGE = 2**22


class KnownIds:
    """A set of ids that grows by many at a time.

    Small runs of like size are merged; large ones stay as they are, since a merge takes as much memory again.

    Examples
    --------
    >>> known = KnownIds(np.array([5, 1]))
    >>> known.add(np.array([3]))
    >>> known.contain(np.array([3, 4, 5])).tolist(), len(known)
    ([True, False, True], 3)
    >>> known.remove(np.array([5]))
    >>> known.contain(np.array([3, 4, 5])).tolist()
    [True, False, False]
    """

    def __init__(self, ids: "NDArray[np.int64] | None" = None) -> None:
        self._runs: list[NDArray[np.int64]] = []
        if ids is not None:
            self.add(ids)

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, ids: "NDArray[np.int64]") -> None:
        """Add ids, in any order."""
        run = np.sort(np.asarray(ids, np.int64))
        while self._runs and len(self._runs[-1]) <= min(2 * len(run), _LARGE - len(run)):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        if len(run):
            self._runs.append(run)

    def remove(self, ids: "NDArray[np.int64]") -> None:
        """Remove ids, those that are in it."""
        gone = np.sort(np.asarray(ids, np.int64))
        self._runs = [kept for run in self._runs if len(kept := run[~_are_in(run, gone)])]

    def contain(self, ids: "NDArray[np.int64]") -> "NDArray[np.bool_]":
        """Return which of n ids are in it, shape (n,)."""
        order = np.argsort(ids)  # In order they are found several times faster.
        asked, found = np.asarray(ids)[order], np.zeros(len(ids), bool)
        for run in self._runs:
            found[order] |= _are_in(asked, run)
        return found

    def copy(self) -> "KnownIds":
        """Return another set of the same ids; it shares their memory."""
        other = KnownIds()
        other._runs = list(self._runs)
        return other


def _are_in(ids: "NDArray[np.int64]", ordered: "NDArray[np.int64]") -> "NDArray[np.bool_]":
    """Return which ids are among sorted ones; the shorter of the two is searched for in the longer."""
    if not len(ordered) or not len(ids):
        return np.zeros(len(ids), bool)
    at = np.minimum(np.searchsorted(ordered, ids), len(ordered) - 1)
    return np.asarray(ordered[at] == ids)
