"""Known ids: the object ids that are taken, in memory while they are few, and sorted in a temporary file beyond that.

Eight bytes a row of what was written is 300 MB for a table of 4 GB. Ids are hashes, so no index tells where they can
be; but those that are asked for come half a million at a time, and then going through all that are known, in order and
a megabyte at a time, takes 0.2 s for 40 million.
"""

import os
import tempfile
import weakref
from typing import IO, TYPE_CHECKING

import numpy as np

from hven.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

IN_MEMORY = 2**20
"""How many ids are in memory at most; the rest is in the folder for temporary files, 8 bytes an id."""

_STRETCH = 2**17
_FEW = 32
_BUCKET_BITS = 16


class KnownIds:
    """A set of ids that grows by many at a time, with no more than `IN_MEMORY` of them in memory.

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
        self._loose: list[NDArray[np.int64]] = []
        self._is_sorted = False
        self._runs: tuple[_Run, ...] = ()
        self._file: _IdFile | None = None
        if ids is not None:
            self.add(ids)

    def __len__(self) -> int:
        return sum(map(len, self._loose)) + sum(run.count for run in self._runs)

    def add(self, ids: "NDArray[np.int64]") -> None:
        """Add ids, in any order."""
        self._loose.append(np.array(ids, np.int64))
        self._is_sorted = False
        if sum(map(len, self._loose)) > IN_MEMORY:
            self._file = self._file or _IdFile()
            self._runs = (*self._runs, self._file.write(self._ordered()))
            self._loose = []

    def remove(self, ids: "NDArray[np.int64]") -> None:
        """Remove ids, those that are in it."""
        gone = np.sort(np.asarray(ids, np.int64))
        self._loose = [loose[~_are_in(loose, gone)] for loose in self._loose]
        if self._file is not None:
            kept = (self._file.without(run, gone) for run in self._runs)
            self._runs = tuple(run for run in kept if run.count)

    def contain(self, ids: "NDArray[np.int64]") -> "NDArray[np.bool_]":
        """Return which of n ids are in it, shape (n,)."""
        order = np.argsort(ids)  # In order they are found several times faster, and a file is read from end to end.
        asked, found = np.asarray(ids)[order], np.zeros(len(ids), bool)
        if sum(map(len, self._loose)) > _FEW * len(asked):
            for loose in self._loose:
                found[order] |= _are_among(asked, loose)
        else:
            found[order] |= _are_in(asked, self._ordered())
        if self._file is not None:
            for run in self._runs:
                for stretch in self._file.stretches(run):
                    low, high = np.searchsorted(asked, stretch[0]), np.searchsorted(asked, stretch[-1], side="right")
                    if low < high:
                        found[order[low:high]] |= _are_in(asked[low:high], stretch)
        return found

    def copy(self) -> "KnownIds":
        """Return another set of the same ids; it shares their memory and their file."""
        other = KnownIds()
        other._loose, other._is_sorted = list(self._loose), self._is_sorted
        other._runs, other._file = self._runs, self._file
        return other

    def _ordered(self) -> "NDArray[np.int64]":
        """Return what is in memory, sorted, and keep it so."""
        if not self._is_sorted or len(self._loose) != 1:
            self._loose = [np.sort(np.concatenate([np.empty(0, np.int64), *self._loose]))]
            self._is_sorted = True
        return self._loose[0]


class _Run:
    """Sorted ids in a file: where they begin, and how many they are."""

    def __init__(self, start: int, count: int) -> None:
        self.start, self.count = start, count


class _IdFile:
    """A temporary file of runs of sorted ids, which is gone when nobody refers to it. What is in it never changes."""

    def __init__(self) -> None:
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(prefix="hven-ids-")  # noqa: SIM115 - it lives as long as this
        except OSError as error:
            raise _no_room(error) from error
        weakref.finalize(self, self._file.close)

    def write(self, ids: "NDArray[np.int64]") -> _Run:
        """Add a run at the end."""
        try:
            start = self._file.seek(0, os.SEEK_END)
            self._file.write(np.ascontiguousarray(ids).data)
            self._file.flush()
        except OSError as error:
            raise _no_room(error) from error
        return _Run(start // 8, len(ids))

    def stretches(self, run: _Run) -> "Iterator[NDArray[np.int64]]":
        """Give the ids of a run, some at a time."""
        for start in range(run.start, run.start + run.count, _STRETCH):
            count = min(_STRETCH, run.start + run.count - start)
            # Read, not mapped: what is mapped counts as memory of the process.
            self._file.seek(8 * start)
            yield np.frombuffer(self._file.read(8 * count), np.int64)

    def without(self, run: _Run, gone: "NDArray[np.int64]") -> _Run:
        """Return a run of the ids of another without some; the same when it has none of them."""
        if not any(_are_in(stretch, gone).any() for stretch in self.stretches(run)):
            return run
        kept = [stretch[~_are_in(stretch, gone)] for stretch in self.stretches(run)]
        return self.write(np.concatenate(kept))


def _no_room(error: OSError) -> StorageError:
    return StorageError(
        f"ids of objects cannot be kept in a temporary file: {error}",
        where=tempfile.gettempdir(),
        expected=f"8 bytes for each object, when there are more than {IN_MEMORY:,}",
        hint="Nothing was published and the lake is as before. Free space there, or name another folder as TMPDIR.",
    )


def _are_among(asked: "NDArray[np.int64]", loose: "NDArray[np.int64]") -> "NDArray[np.bool_]":
    """Return which of a few sorted ids are among many unsorted ones, in a tenth of the time that sorting these takes.

    A table of one bit for each value of 16 bits of an id puts aside all but a few of the many.
    """
    if not len(asked) or not len(loose):
        return np.zeros(len(asked), bool)
    is_asked = np.zeros(2**_BUCKET_BITS, bool)
    is_asked[_buckets(asked)] = True
    return _are_in(asked, np.sort(loose[is_asked[_buckets(loose)]]))


def _buckets(ids: "NDArray[np.int64]") -> "NDArray[np.uint16]":
    """Return 16 bits of each id: the lowest, mixed with higher ones, since ids of one's own may end in zeros."""
    return (ids ^ (ids >> _BUCKET_BITS) ^ (ids >> 2 * _BUCKET_BITS) ^ (ids >> 3 * _BUCKET_BITS)).astype(np.uint16)


def _are_in(ids: "NDArray[np.int64]", ordered: "NDArray[np.int64]") -> "NDArray[np.bool_]":
    """Return which ids are among sorted ones."""
    if not len(ordered) or not len(ids):
        return np.zeros(len(ids), bool)
    at = np.minimum(np.searchsorted(ordered, ids), len(ordered) - 1)
    return np.asarray(ordered[at] == ids)
