"""Status: which results of a lake are up to date, and what has changed under those that are not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hven.catalog import Catalog, Entry
from hven.compute.selection import select
from hven.lake import Lake
from hven.plugins import plugins


@dataclass(frozen=True)
class ResultStatus:
    """The state of one result.

    Attributes
    ----------
    name, analysis, run
        The dataset, and what made it.
    causes
        What has changed since, in words; empty when it is up to date.
    """

    name: str
    analysis: str
    run: str
    causes: tuple[str, ...]

    @property
    def is_stale(self) -> bool:
        """Whether running it again would give another result."""
        return bool(self.causes)


def status(lake: Lake) -> list[ResultStatus]:
    """Return the state of every result of a lake, in the order of their names.

    Examples
    --------
    >>> [s.name for s in hven.status(lake) if s.is_stale]  # doctest: +SKIP
    """
    catalog = lake.catalog
    return [
        ResultStatus(entry.name, entry.provenance["analysis"], entry.provenance["run"], tuple(_causes(entry, catalog)))
        for entry in catalog.entries.values()
        if "run" in entry.provenance and "analysis" in entry.provenance
    ]


def _causes(entry: Entry, catalog: Catalog) -> Iterator[str]:
    made: Mapping[str, Any] = entry.provenance
    known = plugins().analyses.get(made["analysis"])
    if known is not None and known.version != made["version"]:
        yield f"analysis {known.name!r} is now version {known.version}, and was {made['version']}"
    if made["blocks"]["failed"]:
        yield f"{made['blocks']['failed']:,} of {made['blocks']['total']:,} blocks failed"
    for given in made["inputs"].values():
        for reference, leg in zip(select(given["datasets"]).datasets, given["legs"], strict=True):
            if reference.version or reference.url:
                continue
            if leg["name"] not in catalog:
                yield f"dataset {leg['name']!r} is gone"
                continue
            pin = catalog[leg["name"]].pin
            if (pin.path, pin.version) != (leg["pin"]["path"], leg["pin"]["version"]):
                yield f"dataset {leg['name']!r} has changed since catalog {leg['catalog']}"
