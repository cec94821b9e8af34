"""The store a lake rests in: a folder or an object-store prefix, seen as keys and bytes (obstore's)."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from hven.errors import StorageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore


@dataclass(frozen=True)
class Store:
    """Keys (relative, ``/``-separated) and their bytes under one URL. Small, hashable, and travels to workers.

    Attributes
    ----------
    url
        An absolute local path, or an URL such as ``s3://bucket/prefix``.
    options
        Options of the object store, as key-value pairs (region, endpoint; credentials come from the environment).
    lake
        Id of the lake in it, so that nothing remembered of another lake at the same address is ever taken for it.

    Examples
    --------
    >>> import tempfile
    >>> store = Store.at(tempfile.mkdtemp())
    >>> store.create("releases/dr1.json", b"{}")
    >>> store.get("releases/dr1.json")
    b'{}'
    """

    url: str
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    lake: str = field(default="", repr=False)

    @classmethod
    def at(cls, url: str | os.PathLike[str], **options: str) -> "Store":
        """Return the store at `url`; plain paths and ``file://`` URLs become absolute paths."""
        text = os.fspath(url)
        parts = urlsplit(text)
        if parts.scheme == "file":
            text = unquote(parts.path)
        elif "://" in text:
            return cls(text.rstrip("/"), tuple(sorted(options.items())))
        return cls(str(Path(text).expanduser().absolute()))

    @property
    def is_local(self) -> bool:
        """Whether this is a folder on this machine."""
        return "://" not in self.url

    @property
    def local_path(self) -> Path | None:
        """The folder, or None for an object store."""
        return Path(self.url) if self.is_local else None

    def address(self, key: str) -> str:
        """Return the whole path or URL of a key, for the engines that read by themselves."""
        return f"{self.url}/{key}"

    def get(self, key: str) -> bytes:
        """Return the bytes of a key.

        Raises
        ------
        FileNotFoundError
            If there is no such key.
        StorageError
            If the store fails.
        """
        with _told(self.url, key):
            return bytes(_open(self).get(key).bytes())

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        """Return the bytes of a key from `start` to `stop`, half open."""
        from obstore import get_range

        with _told(self.url, key):
            return bytes(get_range(_open(self), key, start=start, end=stop))

    def get_or_none(self, key: str) -> bytes | None:
        """Return the bytes of a key, or None when it is not there."""
        try:
            return self.get(key)
        except FileNotFoundError:
            return None

    def exists(self, key: str) -> bool:
        """Return whether a key is there."""
        try:
            with _told(self.url, key):
                _open(self).head(key)
        except FileNotFoundError:
            return False
        return True

    def put(self, key: str, content: bytes | memoryview) -> None:
        """Write a key whole, replacing what was there: readers see the old bytes or the new, never a part."""
        with _told(self.url, key):
            _open(self, writing=True).put(key, content)

    def create(self, key: str, content: bytes) -> None:
        """Write a key that must not be there yet (put-if-absent).

        Raises
        ------
        FileExistsError
            If the key is there, also when it is our own whose answer was lost and was retried underneath.
        """
        from obstore.exceptions import AlreadyExistsError

        try:
            with _told(self.url, key):
                _open(self, writing=True).put(key, content, mode="create")
        except AlreadyExistsError as error:
            raise FileExistsError(key) from error

    def list(self, prefix: str) -> list[str]:
        """Return the keys under a prefix (a folder), sorted."""
        with _told(self.url, prefix):
            return sorted(item["path"] for batch in _open(self).list(prefix) for item in batch)

    def names_after(self, folder: str, name: str = "") -> tuple[str, ...]:
        """Return the names of the files right in a folder that sort after `name`, sorted; one request to a store."""
        path = self.local_path
        with _told(self.url, folder):
            if path is not None:
                there = (path / folder).iterdir() if (path / folder).is_dir() else ()
                return tuple(sorted(file.name for file in there if file.name > name))
            found = _open(self).list(folder, offset=f"{folder}/{name}" if name else None)
            keys = [item["path"] for batch in found for item in batch]
        return tuple(sorted(key.rsplit("/", 1)[-1] for key in keys))

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the folders right under a prefix, sorted, without listing what is in them."""
        with _told(self.url, prefix):
            found = _open(self).list_with_delimiter(prefix)["common_prefixes"]
        return tuple(sorted(path.rsplit("/", 1)[-1] for path in found))

    def ages(self, prefix: str) -> dict[str, tuple[float, int]]:
        """Return key -> (seconds since the epoch of its last change, bytes) for the keys under a prefix."""
        with _told(self.url, prefix):
            items = [item for batch in _open(self).list(prefix) for item in batch]
        return {item["path"]: (item["last_modified"].timestamp(), int(item["size"])) for item in items}

    def now(self) -> float:
        """Return the time by the clock that dates the files: the machine's, or the object store's own."""
        if self.is_local:
            return time.time()
        key = f"locks/clock-{uuid.uuid4().hex}"
        self.put(key, b"")
        try:
            with _told(self.url, key):
                return float(_open(self).head(key)["last_modified"].timestamp())
        finally:
            self.delete(key)

    def delete(self, *keys: str) -> None:
        """Remove keys; one that is not there is no error."""
        for key in keys:
            try:
                with _told(self.url, key):
                    _open(self, writing=True).delete(key)
            except FileNotFoundError:
                continue


@lru_cache(maxsize=64)
def _opened(url: str, options: tuple[tuple[str, str], ...], _pid: int) -> "ObjectStore":
    from obstore.store import LocalStore, from_url

    if "://" not in url:
        return LocalStore(url)
    settings: Any = dict(options)
    return from_url(url, config=settings)


def _open(store: Store, *, writing: bool = False) -> "ObjectStore":
    path = store.local_path
    if path is not None and not path.is_dir():
        if not writing:
            raise FileNotFoundError(str(path))
        path.mkdir(parents=True, exist_ok=True)
    return _opened(store.url, store.options, os.getpid())


@contextmanager
def _told(url: str, key: str) -> Iterator[None]:
    """Turn a store's failures into `StorageError`; "not found" and "already exists" pass, callers act on them."""
    from obstore.exceptions import AlreadyExistsError, BaseError

    try:
        yield
    except (FileNotFoundError, AlreadyExistsError):
        raise
    except NotADirectoryError as error:
        raise FileNotFoundError(key) from error
    except (BaseError, OSError) as error:
        raise storage_error(error, f"{url}/{key}") from error


def storage_error(error: Exception, where: str) -> StorageError:
    """Return the error that tells of a failing store: its first line, not the engine's whole context."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return StorageError(
        f"the store failed: {reason}",
        where=where,
        hint="Nothing was published and the lake is as before. Free space, or mend access, and do it again.",
    )
