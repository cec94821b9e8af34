"""What a long computation says of itself, and what it keeps in case it is killed.

An analysis that trains a network calls `tell` and `keep` as it goes, and begins with what `kept` finds. Inside a run
these reach the terminal and the run's folder; in a notebook they reach nobody, and nothing is found.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

__all__ = ["Follower", "followed_by", "keep", "kept", "tell"]


class Follower(Protocol):
    """Who listens to a computation and keeps its files."""

    def tell(self, done: int, total: int, text: str) -> None:
        """Hear how far it is."""
        ...

    def keep(self, name: str, content: bytes) -> None:
        """Keep a file, in the place of the one of that name before."""
        ...

    def kept(self, name: str) -> bytes | None:
        """Return the file of that name, kept by this attempt or an earlier one at the same; None when there is none."""
        ...


_FOLLOWER: ContextVar[Follower | None] = ContextVar("hven-follower", default=None)


def tell(done: int, total: int, text: str = "") -> None:
    """Say how far a computation is, `done` of `total`, with a few words.

    Examples
    --------
    >>> tell(100, 3000, "loss 0.21")
    """
    follower = _FOLLOWER.get()
    if follower is not None:
        follower.tell(done, total, text)


def keep(name: str, content: bytes) -> None:
    """Keep a file by a name of letters, digits, '-' and '.', to go on from when the computation is asked for again.

    Examples
    --------
    >>> keep("half-way.npz", b"...")
    """
    follower = _FOLLOWER.get()
    if follower is not None:
        follower.keep(name, content)


def kept(name: str) -> bytes | None:
    """Return the file that `keep` kept in an attempt at the same computation that did not end; None without one.

    Examples
    --------
    >>> kept("half-way.npz") is None
    True
    """
    follower = _FOLLOWER.get()
    return None if follower is None else follower.kept(name)


@contextmanager
def followed_by(follower: Follower) -> Iterator[None]:
    """Let `follower` hear and keep what is computed within.

    Examples
    --------
    >>> class Loud:
    ...     def tell(self, done, total, text): print(done, "of", total, text)
    ...     def keep(self, name, content): print("kept", name)
    ...     def kept(self, name): return b"content"
    >>> with followed_by(Loud()):
    ...     tell(1, 3, "steps")
    ...     keep("state", b"")
    ...     kept("state")
    1 of 3 steps
    kept state
    b'content'
    """
    token = _FOLLOWER.set(follower)
    try:
        yield
    finally:
        _FOLLOWER.reset(token)
