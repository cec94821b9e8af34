"""Retention: what of the past is kept, and the removal of the rest."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hven.catalog import Catalog
from hven.errors import ConflictError, VersionNotFoundError
from hven.lake import arrays, chain, tables
from hven.lake.holds import holds, is_held
from hven.lake.links import has_links
from hven.lake.locks import locked
from hven.lake.newest import newest_number, settled_newest
from hven.lake.store import Store
from hven.lake.tombstones import bury

GRACE = timedelta(days=7)
"""What is younger is kept, whoever needs it: a run or a reader may be at work on it."""

_PATIENCE = 2.0
"""Seconds to wait for a dataset that another process is writing; then it is passed over."""


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
    passed_over
        Datasets' folder -> why nothing was removed there.
    """

    catalogs: tuple[int, ...]
    places: tuple[str, ...]
    files: tuple[str, ...]
    bytes: int
    passed_over: Mapping[str, str] = field(default_factory=dict)


def vacuum(store: Store, newest: int, named: Collection[int], keep: int, grace: timedelta, *, dry_run: bool) -> Removed:
    """Remove the catalogs that nothing keeps, and then the data that only they named.

    Nothing is removed of a dataset that a run or another process is writing, whatever the clocks say, nor through a
    symbolic link.

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
    # By the clock of the store, which also wrote the ages of its files.
    oldest = store.now() - grace.total_seconds()
    held = holds(store, oldest)
    kept, gone = _sort_catalogs(store, newest, {*named, *(one.catalog for one in held)}, keep, oldest)
    if not dry_run:
        settled_newest(store, newest)
        for number, transaction in gone.items():
            bury(store, number, transaction)
        chain.forget_catalogs()
    pins = _pins(kept.values())
    places, files, size = [], [], 0
    passed_over: dict[str, str] = {}
    for place, ages in _places(store).items():
        name = place.split("/")[1]
        if has_links(store, place):
            passed_over[place] = "a symbolic link leads out of it"
            continue
        if place not in pins and max(changed for changed, _ in ages.values()) >= oldest:
            continue
        try:
            with locked(store, f"dataset-{name}", patience=_PATIENCE):
                # Once more, under the lock: what began or was committed while this one looked around.
                held, now = holds(store, oldest), _pins_after(store, newest)
                if is_held(name, held):
                    passed_over[place] = "a run is writing it"
                elif place in pins:
                    engine, versions = pins[place][0], pins[place][1] | now.get(place, ("", set()))[1]
                    if engine == "delta":
                        hours = int(max(time.time() - oldest, 0.0) // 3600)
                        old = tables.vacuum_table(store, place, [int(v) for v in versions], hours, dry_run=dry_run)
                        files += [f"{place}/{path}" for path in old]
                        size += sum(ages[f"{place}/{path}"][1] for path in old if f"{place}/{path}" in ages)
                    elif not dry_run:
                        before = datetime.fromtimestamp(oldest, UTC)
                        at = arrays.ArraysAt(store, place)
                        arrays.expire(at, [str(v) for v in versions], before, _young_branches(place, ages, oldest))
                elif place not in now:
                    places.append(place)
                    size += sum(count for _, count in ages.values())
                    if not dry_run:
                        store.delete(*ages)
        except ConflictError:
            passed_over[place] = "another process is writing it"
    return Removed(tuple(gone), tuple(places), tuple(files), size, passed_over)


def _young_branches(place: str, ages: Mapping[str, tuple[float, int]], oldest: float) -> set[str]:
    """Return the branches of a repository that were made or moved within the grace period."""
    refs = {key.removeprefix(f"{place}/refs/"): changed for key, (changed, _) in ages.items()}
    moved = {key.split("/")[0]: changed for key, changed in refs.items() if key.startswith("branch.")}
    return {folder.removeprefix("branch.") for folder, changed in moved.items() if changed >= oldest}


def _pins_after(store: Store, number: int) -> dict[str, tuple[str, set[int | str]]]:
    """Return what the catalogs pin that were published after one."""
    newest = newest_number(store, number, is_certain=True)
    return _pins([chain.load_catalog(store, later) for later in range(number + 1, newest + 1)])


def _sort_catalogs(
    store: Store, newest: int, named: Collection[int], keep: int, oldest: float
) -> tuple[dict[int, Catalog], dict[int, str]]:
    kept, gone = {}, {}
    ages = store.ages("catalogs")
    for number in range(newest, -1, -1):
        try:
            catalog = chain.load_catalog(store, number)
        except VersionNotFoundError:
            continue
        changed = ages.get(chain.catalog_key(number), (0.0, 0))[0]
        young = max(changed, datetime.fromisoformat(catalog.commit.created).timestamp()) >= oldest
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
