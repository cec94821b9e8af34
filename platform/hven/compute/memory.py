"""How much memory this process had in use at most, since somebody began to look."""

from pathlib import Path

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


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


def _status(name: str) -> int:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
