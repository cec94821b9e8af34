"""The chain of catalogs: reading them, and the one put that makes a commit."""

from collections.abc import Callable, Collection
from functools import lru_cache

from hven.catalog import Catalog, Commit, commit_of
from hven.errors import ConflictError, StorageError, VersionNotFoundError
from hven.lake.flushing import flush_all, flush_file
from hven.lake.newest import newest_number, remember, settled_newest
from hven.lake.schemas import Schemas
from hven.lake.store import Store
from hven.lake.tombstones import buried_transaction, catalog_key, is_tombstone

__all__ = [
    "catalog_key",
    "forget_catalogs",
    "load_catalog",
    "load_commit",
    "newest_number",
    "publish",
]


def load_catalog(store: Store, number: int) -> Catalog:
    """Return one catalog of the chain; catalogs never change, so each is read once.

    Raises
    ------
    VersionNotFoundError
        If there is none of that number, or a vacuum removed it.
    """
    try:
        return _load(store, number)
    except FileNotFoundError:
        raise _not_found(store, number) from None


@lru_cache(maxsize=256)
def _load(store: Store, number: int) -> Catalog:
    return Catalog.from_json(_text(store, number), store.address(catalog_key(number)), Schemas(store))


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
    return commit_of(_text(store, number), store.address(catalog_key(number)))


def _text(store: Store, number: int) -> bytes:
    text = store.get(catalog_key(number))
    if is_tombstone(text):
        raise FileNotFoundError(catalog_key(number))
    return text


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
    The newest catalog is looked for again, for certain, before every put; what `base` was may be long gone.

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
    flush_all(store)  # What the catalog will name is on the device before it.
    top = load_catalog(store, settled_newest(store, base.number))
    while True:
        _refuse_clashes(base, top, touched)
        new = build(top, top.number + 1)
        if _put(store, new):
            flush_file(store, catalog_key(new.number))
            remember(store, new.number, new.commit.transaction)
            return new
        top = load_catalog(store, settled_newest(store, top.number + 1))


def _refuse_clashes(base: Catalog, top: Catalog, touched: Collection[str]) -> None:
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
        return _transaction(store.get(key), store.address(key)) == catalog.commit.transaction
    except StorageError:
        found = store.get_or_none(key)
        if found is None:
            raise
        return _transaction(found, store.address(key)) == catalog.commit.transaction
    return True


def _transaction(text: bytes, where: str) -> str:
    return buried_transaction(text) if is_tombstone(text) else commit_of(text, where).transaction
