"""The chain of catalogs: where the newest is, and the one put that makes a commit."""

import json
from collections.abc import Callable, Collection
from functools import lru_cache

from hven.catalog import Catalog, Commit, commit_of
from hven.errors import ConflictError, LakeFormatError, StorageError, VersionNotFoundError
from hven.lake.schemas import Schemas
from hven.lake.store import Store

_HINT = "catalogs/latest"


def catalog_key(number: int) -> str:
    """Return the key of a catalog's file.

    Examples
    --------
    >>> catalog_key(42)
    'catalogs/00000042.json'
    """
    return f"catalogs/{number:08d}.json"


def newest_number(store: Store, at_least: int = 0) -> int:
    """Return the number of the newest catalog: from the hint (or what the caller knows) forward, without listing."""
    number = max(at_least, _hint(store))
    if not store.exists(catalog_key(number)):
        # No hint, or one that got ahead of us: fall back on what is really there.
        there = [key for key in store.list("catalogs") if key.endswith(".json")]
        if not there:
            raise LakeFormatError(
                "the lake has no catalog",
                where=store.url,
                hint="Restore the folder 'catalogs' from a copy of the lake.",
            )
        number = int(there[-1].removeprefix("catalogs/").removesuffix(".json"))
    while store.exists(catalog_key(number + 1)):
        number += 1
    return number


def load_catalog(store: Store, number: int) -> Catalog:
    """Return one catalog of the chain; catalogs never change, so each is read once.

    Raises
    ------
    VersionNotFoundError
        If there is none of that number.
    """
    try:
        return _load(store, number)
    except FileNotFoundError:
        raise _not_found(store, number) from None


@lru_cache(maxsize=256)
def _load(store: Store, number: int) -> Catalog:
    key = catalog_key(number)
    return Catalog.from_json(store.get(key), store.address(key), Schemas(store))


def load_commit(store: Store, number: int) -> Commit:
    """Return what one catalog of the chain says of its commit; the datasets that it lists are not read.

    Raises
    ------
    VersionNotFoundError
        If there is none of that number.
    """
    try:
        return _load_commit(store, number)
    except FileNotFoundError:
        raise _not_found(store, number) from None


@lru_cache(maxsize=4096)
def _load_commit(store: Store, number: int) -> Commit:
    key = catalog_key(number)
    return commit_of(store.get(key), store.address(key))


def _not_found(store: Store, number: int) -> VersionNotFoundError:
    return VersionNotFoundError(
        f"there is no catalog {number}",
        where=store.url,
        hint="See which there are with lake.log() or 'hven log'.",
    )


def forget_catalogs() -> None:
    """Drop the catalogs that were read, after some were removed."""
    _load.cache_clear()
    _load_commit.cache_clear()


def publish(
    store: Store,
    base: Catalog,
    touched: Collection[str],
    build: Callable[[Catalog, int], Catalog],
) -> Catalog:
    """Put the next catalog, on top of whatever others committed meanwhile, and return it.

    The put-if-absent of the catalog's file is the transaction: before it nothing has changed, after it everything has.

    Parameters
    ----------
    store
        Of the lake.
    base
        The catalog in which the datasets are as the transaction found them.
    touched
        The datasets that the transaction changes.
    build
        From the catalog to build upon and the new number to the new catalog; called again after a lost race.

    Raises
    ------
    ConflictError
        If another commit changed a dataset that this one touches; it names them.
    """
    top = base
    while True:
        new = build(top, top.number + 1)
        if _put(store, new):
            _remember(store, new.number)
            return new
        top = load_catalog(store, newest_number(store, top.number + 1))
        clashes = sorted(name for name in touched if top.entries.get(name) != base.entries.get(name))
        if clashes:
            raise ConflictError(
                f"{', '.join(map(repr, clashes))} changed since this transaction began",
                where=f"catalog {top.number}, {top.commit.message or 'no message'}",
                hint="Nothing of this transaction was published. Open the lake again and redo the change.",
            )


def _put(store: Store, catalog: Catalog) -> bool:
    """Put a catalog; True when it is there and ours, False when another transaction was faster."""
    key = catalog_key(catalog.number)
    try:
        store.create(key, catalog.to_json())
    except FileExistsError:
        # The store may have retried a put whose answer was lost: then the winner is this very transaction.
        return _load(store, catalog.number).commit.transaction == catalog.commit.transaction
    except StorageError:
        found = store.get_or_none(key)
        if found is None:
            raise
        return Catalog.from_json(found).commit.transaction == catalog.commit.transaction
    return True


def _hint(store: Store) -> int:
    text = store.get_or_none(_HINT)
    try:
        return int(json.loads(text)) if text else 0
    except ValueError:
        return 0


def _remember(store: Store, number: int) -> None:
    """Write the hint; it only shortens the search, so a failure to write it is no failure of the commit."""
    try:
        store.put(_HINT, str(number).encode())
    except StorageError:
        return
