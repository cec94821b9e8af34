"""Memory of this process: how much it had in use at most since somebody began to look, and a limit it is held to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_LEAST = 16 * 2**20
"""Bytes that are left even to a process that is beyond its limit: it has to tell of that."""


def forget_peak() -> None:
    """Begin to look anew, where the system lets us."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def peak_memory() -> int:
    """Return the most bytes that this process had in use since `forget_peak`; 0 when the system does not tell.

    Examples
    --------
    >>> forget_peak()
    >>> before = peak_memory()
    >>> held = bytearray(64 * 2**20)
    >>> peak_memory() - before >= 60 * 2**20 or before == 0
    True
    """
    return _status("VmHWM")


def memory_now() -> int:
    """Return the bytes that this process has in use; 0 when the system does not tell."""
    return _status("VmRSS")


@contextmanager
def held_to(limit: int) -> Iterator[None]:
    """Refuse memory beyond `limit` bytes in use, with `MemoryError`, rather than be killed for it.

    Memory that is reserved counts as if it were used. What allocates in other languages may end the process instead
    (Rust does). Where the system has no such limit, as on macOS, nothing is refused.

    Parameters
    ----------
    limit
        Bytes that the process may have in use; 0 for no limit.

    Examples
    --------
    >>> with held_to(0):
    ...     held = bytearray(2**20)
    """
    reserved = _status("VmData")
    if not limit or not reserved:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    room = max(limit - memory_now(), _LEAST)
    most = reserved + room if hard == resource.RLIM_INFINITY else min(reserved + room, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _status(name: str) -> int:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
