"""Releases: names for catalogs, a small file each."""

import json

from hven.errors import LakeFormatError
from hven.lake.store import Store


def release_key(name: str) -> str:
    """Return the key of a release's file.

    Examples
    --------
    >>> release_key("dr1")
    'releases/dr1.json'
    """
    return f"releases/{name}.json"


def release_told(text: bytes) -> tuple[int, str] | None:
    """Return the number and the digest of the catalog that a release names; None when its file is damaged.

    Examples
    --------
    >>> release_told(b'{"catalog": 7, "sha256": "ab"}'), release_told(b'{"cat')
    ((7, 'ab'), None)
    """
    try:
        told = json.loads(text)
        return int(told["catalog"]), str(told["sha256"])
    except (ValueError, KeyError, TypeError):
        return None


def read_releases(store: Store) -> dict[str, tuple[int, str] | None]:
    """Return name -> number and digest of the catalog of each release; None for one whose file is damaged."""
    keys = [key for key in store.list("releases") if key.endswith(".json")]
    return {key.removeprefix("releases/").removesuffix(".json"): release_told(store.get(key)) for key in keys}


def damaged_release(url: str, name: str) -> LakeFormatError:
    """Return the error about a release whose file is damaged."""
    return LakeFormatError(
        f"the file of release {name!r} is damaged",
        where=f"{url}/{release_key(name)}",
        hint="Restore the file from a copy of the lake, or remove it and release the catalog again.",
    )
