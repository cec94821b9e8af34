"""Tombstones: what stands in place of a catalog that retention removed.

The file of a catalog is never deleted. A tombstone takes its place, so that put-if-absent fails on every number that
was ever published: a writer that slept through a vacuum cannot publish behind the newest catalog.
"""

import json
from collections.abc import Iterable

from hven.lake.store import Store

_BEGINNING = b'{"tombstone":'


def catalog_key(number: int) -> str:
    """Return the key of a catalog's file.

    Examples
    --------
    >>> catalog_key(42)
    'catalogs/00000042.json'
    """
    return f"catalogs/{number:08d}.json"


def tombstone(number: int, transaction: str = "") -> bytes:
    """Return the text of a tombstone. It keeps the id of the transaction, so that a lost answer is still recognised.

    Examples
    --------
    >>> is_tombstone(tombstone(3))
    True
    """
    return _BEGINNING + json.dumps({"number": number, "transaction": transaction}).encode() + b"}\n"


def is_tombstone(text: bytes) -> bool:
    """Return whether the text in place of a catalog is a tombstone."""
    return text.startswith(_BEGINNING)


def buried_transaction(text: bytes) -> str:
    """Return the id of the transaction whose catalog was removed; empty when it is not known."""
    return str(json.loads(text)["tombstone"]["transaction"])


def bury(store: Store, number: int, transaction: str) -> None:
    """Put a tombstone in place of a catalog."""
    store.put(catalog_key(number), tombstone(number, transaction))


def close_gaps(store: Store, numbers: Iterable[int]) -> None:
    """Put tombstones where there is no catalog; one that is there stays."""
    for number in numbers:
        try:
            store.create(catalog_key(number), tombstone(number))
        except FileExistsError:
            continue
