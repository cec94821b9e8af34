"""Leases: who runs the schedules of a lake, and who is at work on a result. Each has one holder at most.

On a local lake the operating system's lock is the lease: it ends with its holder, however that dies. On an object
store the lease is a chain of terms, each a file that was put if absent, as the chain of catalogs is: whoever puts the
next one is the holder, and says again and again that it lives. Another may put the next term once the holder has
released it, or has said nothing for `EXPIRY` seconds; both times are the store's own: no clock of a machine counts.

What is promised: one holder at a time, unless a holder is held up for longer than `EXPIRY` without noticing (a machine
that sleeps). That one finds the next term as soon as it looks, and stops. What it may still have begun harms nothing:
the number of a firing, a checkpoint of a run and a commit are each put if absent, so the second is refused. The term
grows with each holder, and every firing keeps the one it fired under.
"""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from hven.compute.presence import me
from hven.errors import ConflictError, StorageError

if TYPE_CHECKING:
    from hven.lake import Lake
    from hven.lake.store import Store

EXPIRY = 60.0
"""Seconds of silence after which a holder on an object store counts as dead."""

_SHORTEST = 0.02

FOLDER = "runs/schedule-leases"


@dataclass
class Lease:
    """A lease that is held.

    Attributes
    ----------
    name, term
        What is held, and the how-manieth holding of it this is.
    """

    name: str
    term: int
    _lost: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def is_lost(self) -> bool:
        """Whether another holds it, or may: this one was held up for too long."""
        return self._lost.is_set()


@contextmanager
def leased(
    lake: "Lake", name: str, *, expiry: float = EXPIRY, on_loss: Callable[[], object] = lambda: None
) -> Iterator[Lease]:
    """Hold a lease; refuse at once when another does.

    Parameters
    ----------
    lake
        Whose lease.
    name
        What is held.
    expiry
        On an object store: seconds of silence after which a holder counts as dead.
    on_loss
        Called, in another thread, when the lease is lost while it is held.

    Raises
    ------
    ConflictError
        If another holds it; it says who.

    Examples
    --------
    >>> import hven, tempfile
    >>> lake = hven.create(tempfile.mkdtemp() + "/lake")
    >>> for _ in range(2):
    ...     with leased(lake, "schedules") as lease:
    ...         print(lease.term)
    1
    2
    """
    terms = _Terms(lake.store, f"{FOLDER}/{name}", expiry)
    if lake.store.is_local:
        try:
            held = lake.lock(f"lease-{name}", patience=0)
            held.__enter__()
        except ConflictError as error:
            raise _held(lake, name, terms) from error
        try:
            yield Lease(name, terms.put_next(terms.newest()))
        finally:
            held.__exit__(None, None, None)
        return
    newest = terms.newest()
    if newest and not terms.is_over(newest):
        raise _held(lake, name, terms)
    term = terms.put_next(newest)
    if term == 0:
        raise _held(lake, name, terms)
    lease, done = Lease(name, term), threading.Event()
    beating = threading.Thread(target=_beat, args=(terms, lease, done, on_loss), daemon=True)
    beating.start()
    try:
        yield lease
    finally:
        done.set()
        beating.join()
        if not lease.is_lost:
            terms.release(term)


def holder(lake: "Lake", name: str) -> str:
    """Return who held a lease last, as ``host:pid``; empty when nobody ever did."""
    terms = _Terms(lake.store, f"{FOLDER}/{name}", EXPIRY)
    return str(terms.told(terms.newest()).get("by", ""))


@dataclass(frozen=True)
class _Terms:
    """The terms of one lease."""

    store: "Store"
    folder: str
    expiry: float

    def newest(self) -> int:
        """Return the number of the newest term; 0 before the first."""
        stems = (key.rsplit("/", 1)[1].removesuffix(".json") for key in self.store.list(self.folder))
        return max((int(stem) for stem in stems if stem.isdecimal()), default=0)

    def told(self, term: int) -> dict[str, Any]:
        """Return what is told of a term; nothing when it is not there, or torn."""
        text = self.store.get_or_none(self._key(term))
        try:
            told = json.loads(text) if text else {}
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}

    def put_next(self, newest: int) -> int:
        """Put the term after `newest` and return its number; 0 when another was faster."""
        content = json.dumps({"by": me(), "id": uuid.uuid4().hex}).encode()
        try:
            self.store.create(self._key(newest + 1), content)
        except FileExistsError:
            # The store may have retried a put whose answer was lost: then what is there is ours.
            if self.store.get_or_none(self._key(newest + 1)) != content:
                return 0
        if not self.is_newest(newest + 1):
            # Since we looked, others have come and gone, and the file that we did not find was an old one, removed.
            self.store.delete(self._key(newest + 1))
            return 0
        self.store.delete(*(self._key(newest, ending) for ending in ("json", "beat", "over") if newest))
        return newest + 1

    def is_over(self, term: int) -> bool:
        """Return whether a term was released, or its holder silent for too long by the clock of the store."""
        mark = f"{self.folder}/mark-{uuid.uuid4().hex}"
        self.store.put(mark, b"")
        try:
            ages = self.store.ages(self.folder)
        finally:
            self.store.delete(mark)
        if self._key(term, "over") in ages:
            return True
        last = max((ages[key][0] for key in (self._key(term), self._key(term, "beat")) if key in ages), default=0.0)
        return ages[mark][0] - last > self.expiry

    def is_newest(self, term: int) -> bool:
        """Return whether nobody has put a later term."""
        return self.newest() == term

    def beat(self, term: int) -> None:
        """Say that the holder lives."""
        self.store.put(self._key(term, "beat"), b"")

    def release(self, term: int) -> None:
        """Say that the term is over."""
        try:
            self.store.put(self._key(term, "over"), b"")
        except StorageError:
            return  # It ends by itself, a little later.

    def _key(self, term: int, ending: str = "json") -> str:
        return f"{self.folder}/{term:08d}.{ending}"


def _beat(terms: _Terms, lease: Lease, done: threading.Event, on_loss: Callable[[], object]) -> None:
    """Say again and again that the holder lives, until it is done or somebody else holds the lease."""
    heard = monotonic()
    while not done.wait(max(terms.expiry / 4, _SHORTEST)):
        try:
            is_ours = terms.is_newest(lease.term)
            if is_ours:
                terms.beat(lease.term)
                heard = monotonic()
        except StorageError:
            # Whether others hear us is not known: they may take over once we were silent for too long.
            is_ours = monotonic() - heard < terms.expiry
        if not is_ours:
            lease._lost.set()  # noqa: SLF001 - the lease's own thread
            on_loss()
            return


def _held(lake: "Lake", name: str, terms: _Terms) -> ConflictError:
    by = terms.told(terms.newest()).get("by", "another process")
    return ConflictError(
        f"{by} has the lease of {name!r}", where=lake.url, hint="Wait for it, or stop it, and do this again."
    )
