"""Retention: what of the past is kept, and the removal of the rest."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hven.catalog import Catalog
from hven.errors import VersionNotFoundError
from hven.lake import arrays, chain, tables
from hven.lake.locks import locked
from hven.lake.newest import settled_newest
from hven.lake.store import Store
from hven.lake.tombstones import bury

GRACE = timedelta(days=7)
"""What is younger is kept, whoever needs it: a run or a reader may be at work on it."""


@dataclass(frozen=True)
class Removed:
    """What retention removes.

    Attributes
    ----------
    catalogs
        Numbers of catalogs that can no longer be opened.
    places
        Datasets' folders that no kept catalog names.
    files
        Files of tables that no kept version needs.
    bytes
        Of the places and files; what Icechunk frees is not counted.
    """

    catalogs: tuple[int, ...]
    places: tuple[str, ...]
    files: tuple[str, ...]
    bytes: int


def vacuum(store: Store, newest: int, named: Collection[int], keep: int, grace: timedelta, *, dry_run: bool) -> Removed:
    """Remove the catalogs that nothing keeps, and then the data that only they named.

    Parameters
    ----------
    store, newest
        The lake, and the number of its newest catalog.
    named
        Catalogs to keep in any case: those of releases and of open runs.
    keep
        How many of the newest to keep.
    grace
        What is younger is kept.
    dry_run
        Only tell.
    """
    oldest = time.time() - grace.total_seconds()
    kept, gone = _sort_catalogs(store, newest, named, keep, oldest)
    if not dry_run:
        settled_newest(store, newest)
        for number, transaction in gone.items():
            bury(store, number, transaction)
        chain.forget_catalogs()
    pins = _pins(kept.values())
    places, files, size = [], [], 0
    for place, ages in _places(store).items():
        if place not in pins:
            if max(changed for changed, _ in ages.values()) < oldest:
                places.append(place)
                size += sum(count for _, count in ages.values())
                if not dry_run:
                    store.delete(*ages)
            continue
        engine, versions = pins[place]
        with locked(store, f"dataset-{place.split('/')[1]}"):
            if engine == "delta":
                hours = int(grace.total_seconds() // 3600)
                old = tables.vacuum_table(store, place, [int(v) for v in versions], hours, dry_run=dry_run)
                files += [f"{place}/{path}" for path in old]
                size += sum(ages[f"{place}/{path}"][1] for path in old if f"{place}/{path}" in ages)
            elif not dry_run:
                before = datetime.fromtimestamp(oldest, UTC)
                arrays.expire(arrays.ArraysAt(store, place), [str(v) for v in versions], before)
    return Removed(tuple(gone), tuple(places), tuple(files), size)


def _sort_catalogs(
    store: Store, newest: int, named: Collection[int], keep: int, oldest: float
) -> tuple[dict[int, Catalog], dict[int, str]]:
    kept, gone = {}, {}
    for number in range(newest, -1, -1):
        try:
            catalog = chain.load_catalog(store, number)
        except VersionNotFoundError:
            continue
        young = datetime.fromisoformat(catalog.commit.created).timestamp() >= oldest
        if number > newest - max(keep, 1) or young or number in named:
            kept[number] = catalog
        else:
            gone[number] = catalog.commit.transaction
    return kept, gone


def _pins(catalogs: Collection[Catalog]) -> dict[str, tuple[str, set[int | str]]]:
    """Return place -> (engine, versions) of everything that kept catalogs name."""
    pins: dict[str, tuple[str, set[int | str]]] = {}
    for catalog in catalogs:
        for entry in catalog.entries.values():
            pins.setdefault(entry.pin.path, (entry.pin.engine, set()))[1].add(entry.pin.version)
    return pins


def _places(store: Store) -> Mapping[str, dict[str, tuple[float, int]]]:
    """Return ``data/<name>/<id>/<engine>`` -> its files, with their age and size."""
    places: dict[str, dict[str, tuple[float, int]]] = defaultdict(dict)
    for key, age in store.ages("data").items():
        places["/".join(key.split("/")[:4])][key] = age
    return places
