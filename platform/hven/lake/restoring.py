"""A dataset as it was: found in an older catalog, and what it needs found to be there still."""

from typing import TYPE_CHECKING

from hven.errors import DatasetNotFoundError, HvenError, StorageError, VersionNotFoundError, did_you_mean
from hven.lake.source import Source, schema_key

if TYPE_CHECKING:
    from hven.catalog import Entry
    from hven.lake.lake import Lake


def entry_at(lake: "Lake", name: str, version: int | str) -> "Entry":
    """Return the entry of a dataset in an older catalog, once all its files are known to be there.

    Raises
    ------
    VersionNotFoundError
        If there is no such catalog or release, or a vacuum has removed what the dataset was then.
    DatasetNotFoundError
        If that catalog did not have it.
    """
    older = lake.at(version)
    if name not in older:
        commits = [c.number for c in lake.log() if c.changed.get(name, "dropped") != "dropped"]
        known = f"It was in catalog {commits[0]}: restore it from there." if commits else "See hven ls --at."
        raise DatasetNotFoundError(
            f"there is no dataset {name!r} in catalog {older.number}",
            where=lake.url,
            hint=did_you_mean(name, older, known) if not commits else known,
        )
    entry = older.catalog[name]
    source = Source.of(lake.store, entry)
    try:
        is_there = _is_there(source)
    except StorageError:
        raise
    except (HvenError, OSError) as error:
        raise _gone(name, older.number, lake.url) from error
    if not is_there:
        raise _gone(name, older.number, lake.url)
    return entry


def _is_there(source: Source) -> bool:
    """Return whether the schema and every file of a table, or the pinned snapshot of arrays, are in the store."""
    if not source.store.exists(schema_key(source.schema_digest)):
        return False
    parts = source.parts
    if not source.is_table:
        return True
    there = set(source.store.list(source.pin.path))
    return all(f"{source.pin.path}/{part.path}" in there for part in parts)


def _gone(name: str, number: int, where: str) -> VersionNotFoundError:
    return VersionNotFoundError(
        f"the data of {name!r} as in catalog {number} were removed",
        where=where,
        expected="a catalog whose data no vacuum has removed",
        hint="See the states that are left with 'hven log', or restore it from a release.",
    )
