"""Flushing: what a commit needs is on the device before it is acknowledged, so that a power cut loses no commit.

First everything that was written to the file system of the lake, by whichever engine, files and folders: one call
of the operating system. Then, once the catalog is put, its file and its folder. Object stores do this by themselves.
"""

import ctypes
import os
import sys
from functools import lru_cache
from typing import Any

from hven.lake.store import Store, storage_error

SETTING = "HVEN_FLUSH"


def flush_all(store: Store) -> None:
    """Wait until all that was written to the file system of a local lake is on the device.

    Raises
    ------
    StorageError
        If the device could not take it.

    Examples
    --------
    >>> import tempfile
    >>> flush_all(Store.at(tempfile.mkdtemp()))
    """
    path = store.local_path
    if path is None or not _is_wanted():
        return
    call = _syncfs()
    try:
        if call is None:
            os.sync()
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if call(descriptor) != 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_error(error, store.url) from error


def flush_file(store: Store, key: str) -> None:
    """Wait until one file of a local lake, and the folder that names it, are on the device.

    Raises
    ------
    StorageError
        If the device could not take it.
    """
    root = store.local_path
    if root is None or not _is_wanted():
        return
    try:
        for path in (root / key, (root / key).parent):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise storage_error(error, store.address(key)) from error


def _is_wanted() -> bool:
    return os.environ.get(SETTING, "").lower() not in ("0", "never", "no", "off")


@lru_cache(maxsize=1)
def _syncfs() -> Any:
    """Return the call that flushes one file system; None where there is none, and all are flushed."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
