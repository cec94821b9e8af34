"""Where the newest catalog is: found from a hint forward, and where it must be certain, by listing what comes after.

Numbers without a file do not occur below the newest catalog (`tombstones`), so that probing forward from any catalog
finds the newest. A copy that was made while others wrote, and lakes of format 1, may have gaps: a listing sees past
them.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from hven.errors import LakeFormatError, StorageError
from hven.lake.identity import is_gapless, raise_format
from hven.lake.store import Store
from hven.lake.tombstones import catalog_key, close_gaps

_FOLDER = "catalogs"
HINT = "catalogs/latest"
"""The key of the hint."""


@dataclass(frozen=True)
class _Hint:
    """What the hint says: a number, and whether it bears witness that this catalog was published."""

    number: int = -1
    is_witness: bool = False


def newest_number(store: Store, at_least: int = -1, *, is_certain: bool = False) -> int:
    """Return the number of the newest catalog.

    Parameters
    ----------
    store
        Of the lake.
    at_least
        A catalog that the caller has seen.
    is_certain
        Whether to list what comes after, past gaps that a copy may have: one more request to a store. Lakes of
        format 1 are always listed.

    Raises
    ------
    LakeFormatError
        If there is no catalog, or if one that was published is gone.
    """
    return _look(store, at_least, is_certain=is_certain)[0]


def newest_there(store: Store) -> int:
    """Return the number of the newest catalog that has a file, whatever is known of later ones.

    Raises
    ------
    LakeFormatError
        If there is none.
    """
    there = _numbers(store.names_after(_FOLDER))
    if not there:
        raise _no_catalog(store)
    return max(there)


def settled_newest(store: Store, at_least: int = -1) -> int:
    """Return the number of the newest catalog for certain, after closing the gaps below it: for writers.

    A lake of format 1 is of the present format afterwards.
    """
    number, gaps = _look(store, at_least, is_certain=True)
    if not is_gapless(store):
        gaps = sorted(set(range(number)) - set(_numbers(store.names_after(_FOLDER))))
    close_gaps(store, gaps)
    if not is_gapless(store):
        raise_format(store)
    return number


def remember(store: Store, number: int, transaction: str) -> None:
    """Write the hint; it only shortens the search, so a failure to write it is no failure of the commit."""
    try:
        store.put(HINT, json.dumps({"catalog": number, "transaction": transaction}).encode())
    except StorageError:
        return


def _look(store: Store, at_least: int, *, is_certain: bool) -> tuple[int, list[int]]:
    """Return the number of the newest catalog, and the gaps that were seen before it."""
    hint = _hint(store)
    start = max(at_least, hint.number)
    number = _last_in_row(store, start) if start >= 0 and store.exists(catalog_key(start)) else -1
    gaps: list[int] = []
    if number < 0 or is_certain or not is_gapless(store):
        later = _numbers(store.names_after(_FOLDER, catalog_key(number).rpartition("/")[2] if number >= 0 else ""))
        if later:
            gaps = sorted(set(range(number + 1, max(later))) - set(later)) if number >= 0 else []
            number = max(later)
    if number < 0:
        raise _no_catalog(store)
    wanted = max(at_least, hint.number if hint.is_witness else -1)
    if number < wanted:
        raise LakeFormatError(
            f"catalog {wanted} was published, and its file is gone; the newest that is there is {number}",
            where=store.address(catalog_key(wanted)),
            hint=f"Restore the file from a copy; {store.url}@{number} opens; 'hven repair' makes it the newest.",
        )
    return number, gaps


def _no_catalog(store: Store) -> LakeFormatError:
    return LakeFormatError(
        "the lake has no catalog", where=store.url, hint="Restore the folder 'catalogs' from a copy of the lake."
    )


def _last_in_row(store: Store, number: int) -> int:
    """Return the last catalog of the row without gaps that begins with one that is there."""
    step = 1
    while store.exists(catalog_key(number + step)):
        number += step
        step *= 2
    while step > 1:
        step //= 2
        if store.exists(catalog_key(number + step)):
            number += step
    return number


def _numbers(names: Iterable[str]) -> list[int]:
    """Return the numbers of catalogs among the names of files."""
    stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    return [int(stem) for stem in stems if stem.isdecimal()]


def _hint(store: Store) -> _Hint:
    """Return what the hint says. That of format 1 is a bare number, which may also be one that was never published."""
    text = store.get_or_none(HINT)
    try:
        told = json.loads(text) if text else None
        if isinstance(told, dict):
            return _Hint(int(told["catalog"]), bool(told["transaction"]))
        return _Hint() if told is None else _Hint(int(told))
    except (ValueError, KeyError, TypeError):
        return _Hint()
