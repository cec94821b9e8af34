"""The pace of reading: measured on the first files, it says whether the rest is worth the start of more processes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Condition
from time import perf_counter
from typing import TypeVar

from hven.ingest.read_ahead import AHEAD_BYTES
from hven.ingest.survey_file import SurveyFile

WORTH_SECONDS = 6.0
"""Reading that is left from which on processes are started.

A process takes 1.2 s of a core to come up. With a second one, what takes R seconds alone takes (R + 1.2) / 2 at best:
of six seconds it saves two, of two seconds next to none.
"""

MEASURED_SECONDS = 0.3
"""How long is read before the pace is believed: the first file has the imports of its reader in it."""

Item = TypeVar("Item")


class ReadingPace:
    """How fast files are read here, and whether what is left is worth more processes.

    Parameters
    ----------
    files
        What is to be read.

    Examples
    --------
    >>> pace = ReadingPace([SurveyFile(0, "a.csv"), SurveyFile(1, "b.csv")])
    >>> list(pace.measured(lambda file: [f"rows of {file.path}"])(SurveyFile(0, "a.csv")))
    ['rows of a.csv']
    >>> pace.close()
    >>> pace.is_worth_more()
    False
    """

    def __init__(self, files: Sequence[SurveyFile]) -> None:
        # In bytes where all are known; of files that are fetched from elsewhere only their number is.
        sizes = [file.print.bytes if file.print is not None else None for file in files]
        self._sizes = {f.number: s if None not in sizes and s else 1 for f, s in zip(files, sizes, strict=True)}
        # What waits to be written is bounded. A process in a file beyond that would wait for its turn all the time.
        self._is_of_small = None in sizes or sum(s or 0 for s in sizes) <= AHEAD_BYTES * len(files)
        self._left = sum(self._sizes.values())
        self._done, self._seconds = 0, 0.0
        self._is_worth, self._is_closed = WORTH_SECONDS <= 0, False
        self._changed = Condition()

    def measured(self, read: Callable[[SurveyFile], Iterable[Item]]) -> Callable[[SurveyFile], Iterator[Item]]:
        """Return a function that reads as `read` does, and notes how long that takes."""

        def reading(file: SurveyFile) -> Iterator[Item]:
            began, seconds = perf_counter(), 0.0
            try:
                for item in read(file):
                    seconds += perf_counter() - began
                    yield item  # What takes it may let this wait: that is no time of reading.
                    began = perf_counter()
                seconds += perf_counter() - began
            finally:
                self._note(file, seconds)

        return reading

    def is_worth_more(self) -> bool:
        """Whether to start more processes: waits until that is known, or `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_worth or self._is_closed)
            return self._is_worth and not self._is_closed

    def close(self) -> None:
        """Start nothing more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _note(self, file: SurveyFile, seconds: float) -> None:
        with self._changed:
            size = self._sizes.get(file.number, 1)
            self._done, self._left, self._seconds = self._done + size, self._left - size, self._seconds + seconds
            is_known = self._seconds >= MEASURED_SECONDS and self._is_of_small
            if is_known and self._left * self._seconds / self._done >= WORTH_SECONDS:
                self._is_worth = True
                self._changed.notify_all()
