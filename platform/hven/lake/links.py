"""Symbolic links in a lake: data may rest behind one, but nothing is ever removed through one."""

import os
from pathlib import Path

from hven.lake.store import Store


def has_links(store: Store, key: str) -> bool:
    """Return whether a folder of a local lake is reached through a symbolic link, or holds one.

    Examples
    --------
    >>> import tempfile
    >>> store = Store.at(tempfile.mkdtemp())
    >>> store.put("data/stars/1/table/part.parquet", b"")
    >>> has_links(store, "data/stars/1/table")
    False
    """
    root = store.local_path
    if root is None:
        return False
    parts = Path(key).parts
    if any((root / Path(*parts[: depth + 1])).is_symlink() for depth in range(len(parts))):
        return True
    return any(
        (Path(folder) / name).is_symlink()
        for folder, folders, files in os.walk(root / key)
        for name in (*folders, *files)
    )
