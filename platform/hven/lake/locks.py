"""Locks of local lakes: the operating system's, so that none outlives its holder. Object stores have none."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from hven.errors import ConflictError
from hven.lake.store import Store, storage_error

PATIENCE = 120.0
"""Seconds to wait for a lock."""
SHORT_PATIENCE = 5.0
"""Seconds that one who holds a lock waits for another that comes before it: two could wait for one another."""


@contextmanager
def locked(store: Store, name: str, *, patience: float | None = None) -> Iterator[None]:
    """Hold the lock `name` of a local lake; on an object store there is nothing to hold.

    Raises
    ------
    ConflictError
        If another process still holds it after `patience` (by default `PATIENCE`) seconds.

    Examples
    --------
    >>> import tempfile
    >>> with locked(Store.at(tempfile.mkdtemp()), "dataset-stars"):
    ...     pass
    """
    if store.local_path is None:
        yield
        return
    from filelock import FileLock, Timeout

    seconds = PATIENCE if patience is None else patience
    folder = store.local_path / "locks"
    # Long or odd names would not make a file name; the readable part is for people who look into the folder.
    path = folder / f"{name[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}.lock"
    lock = FileLock(path, timeout=seconds, thread_local=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise ConflictError(
            f"{name!r} is being written by another process",
            where=store.url,
            hint=f"It did not finish within {seconds:g} s. Wait for it, or stop it, and do this again.",
        ) from error
    except OSError as error:
        raise storage_error(error, str(path)) from error
    try:
        yield
    finally:
        lock.release()
