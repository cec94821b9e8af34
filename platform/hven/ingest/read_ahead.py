"""Reading ahead: while rows of one file are written, the next are read, as far as a budget of memory allows."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from threading import Condition, Thread
from typing import Any, Protocol, TypeVar

AHEAD_BYTES = 32 * 2**20
"""What is read ahead of the writing at most, in all; one piece of each thread comes on top."""

_WINDOW = 64


class Sized(Protocol):
    """What is read: it says how many bytes it takes up."""

    @property
    def nbytes(self) -> int:
        """Its size in memory, about."""
        ...


File = TypeVar("File")
Item = TypeVar("Item", bound=Sized)


def read_ahead(
    files: Sequence[File],
    reads: Sequence[Callable[[File], Iterable[Item]]],
    budget: int = AHEAD_BYTES,
    stop: Sequence[Callable[[], None]] = (),
) -> Generator[tuple[File, Item | Exception | None], None, None]:
    """Give what is read of each file, in the order of the files; after the last of a file None, or why it ended early.

    Parameters
    ----------
    files
        What to read.
    reads
        Functions that give the pieces of a file; each runs in a thread of its own, and takes the next file in turn. One
        with a method `is_ready` is asked first, which may take time, and takes no file when it says no.
    budget
        Bytes that may wait to be taken.
    stop
        What makes reads that are under way end, when nothing more is taken.

    Examples
    --------
    >>> class Piece(list):
    ...     nbytes = 8
    >>> for file, piece in read_ahead(["a", "b"], [lambda name: [Piece([name, 1]), Piece([name, 2])]]):
    ...     print(file, piece)
    a ['a', 1]
    a ['a', 2]
    a None
    b ['b', 1]
    b ['b', 2]
    b None
    """
    ahead = _Ahead(files, budget)
    threads = [Thread(target=ahead.produce, args=(read,), daemon=True) for read in reads]
    for thread in threads:
        thread.start()
    try:
        yield from ahead.consume()
    finally:
        ahead.close()
        for end in stop:
            end()
        for thread in threads:
            thread.join()


class _ClosedError(Exception):
    """Nobody takes what is read any more."""


class _Ahead:
    """What was read and not yet taken, by file."""

    def __init__(self, files: Sequence[Any], budget: int) -> None:
        self.files, self.budget = files, budget
        self.waiting: dict[int, deque[Any]] = {}
        self.held = self.next = self.current = 0
        self.is_closed = False
        self.changed = Condition()

    def produce(self, read: Callable[[Any], Iterable[Any]]) -> None:
        """Read one file after the other, as long as there are any."""
        if hasattr(read, "is_ready") and not read.is_ready():
            return
        while (index := self._begin()) is not None:
            try:
                for piece in read(self.files[index]):
                    self._put(index, piece)
                self._put(index, None)
            except _ClosedError:
                return
            except BaseException as error:  # noqa: BLE001 - handed on to the one who takes it, who would wait for ever
                is_plain = isinstance(error, Exception)
                handed = error if is_plain else RuntimeError(f"{type(error).__name__}: {error}")
                try:
                    self._put(index, handed)
                except _ClosedError:
                    return

    def consume(self) -> Iterator[tuple[Any, Any]]:
        """Give what was read, file by file."""
        for index, file in enumerate(self.files):
            with self.changed:
                self.current = index
                self.changed.notify_all()
            while True:
                item = self._take(index)
                yield file, item
                if item is None or isinstance(item, Exception):
                    break

    def close(self) -> None:
        """Make the threads end at their next piece."""
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()

    def _begin(self) -> int | None:
        with self.changed:
            self.changed.wait_for(lambda: self.is_closed or self.next < self.current + _WINDOW)
            if self.is_closed or self.next >= len(self.files):
                return None
            index, self.next = self.next, self.next + 1
            self.waiting[index] = deque()
            return index

    def _put(self, index: int, item: Any) -> None:
        size = getattr(item, "nbytes", 0)
        with self.changed:
            # The file whose turn it is always gets on, or all would wait for each other.
            self.changed.wait_for(
                lambda: (
                    self.is_closed
                    or self.held + size <= self.budget
                    or (index == self.current and not self.waiting[index])
                )
            )
            if self.is_closed:
                raise _ClosedError
            self.waiting[index].append(item)
            self.held += size
            self.changed.notify_all()

    def _take(self, index: int) -> Any:
        with self.changed:
            self.changed.wait_for(lambda: bool(self.waiting.get(index)))
            item = self.waiting[index].popleft()
            self.held -= getattr(item, "nbytes", 0)
            self.changed.notify_all()
            return item
