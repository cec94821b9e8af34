"""Freed memory kept for the next array of its size, where glibc would give it back and fetch it anew."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

_TRIM, _MMAP = -1, -3
_USUAL = {_MMAP: 32 * 2**20, _TRIM: 64 * 2**20}
_KEPT = {_MMAP: 2**30, _TRIM: 2**31 - 1}


@contextmanager
def memory_kept() -> Iterator[None]:
    """Have this process keep what is freed meanwhile, up to 2 GB; at the end it is given back.

    A step of training frees a few arrays of tens of megabytes and the next one asks for the same again. Past 32 MB
    glibc hands each back to the kernel and takes it as fresh pages, thousands a step, which costs a third of the time
    of a small network. Other C libraries than glibc are left as they are.
    """
    c = _glibc()
    if c is None:
        yield
        return
    for what, size in _KEPT.items():
        c.mallopt(what, size)
    try:
        yield
    finally:
        for what, size in _USUAL.items():
            c.mallopt(what, size)
        c.malloc_trim(0)


@lru_cache(maxsize=1)
def _glibc() -> Any:
    """Return the C library of this process if it is glibc."""
    if not sys.platform.startswith("linux"):
        return None
    c = ctypes.CDLL(None)
    return c if hasattr(c, "gnu_get_libc_version") else None
