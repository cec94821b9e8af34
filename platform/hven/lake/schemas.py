"""The schemas of a lake, many at once: what a search for units, UCDs or descriptions reads."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from hven.lake.source import load_schema
from hven.lake.store import Store
from hven.schema import Schema

_AT_ONCE = 16
"""Requests to an object store; from a folder of this machine, one after the other is faster."""


@dataclass(frozen=True)
class Schemas:
    """Gives schemas by the hashes under which a lake keeps them. They never change, so each is read once.

    Examples
    --------
    >>> Schemas(lake.store)([entry.schema for entry in lake.catalog.entries.values()])  # doctest: +SKIP
    """

    store: Store

    def __call__(self, digests: Collection[str]) -> dict[str, Schema]:
        """Return hash -> schema.

        Raises
        ------
        LakeFormatError
            If a file is missing or damaged.
        """
        if self.store.is_local or len(digests) < 2:
            return {digest: _load(self.store, digest) for digest in digests}
        with ThreadPoolExecutor(min(_AT_ONCE, len(digests))) as pool:
            return dict(zip(digests, pool.map(lambda digest: _load(self.store, digest), digests), strict=True))


@lru_cache(maxsize=4096)
def _load(store: Store, digest: str) -> Schema:
    return load_schema(store, digest)


def forget_schemas() -> None:
    """Drop the schemas that were read."""
    _load.cache_clear()
