"""Status: which results of a lake are up to date, and what has changed under those that are not."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from hven.compute.recipes import Recipe, recipes_of
from hven.compute.selection import Reference, select
from hven.errors import DataRefusedError, HvenError
from hven.lake import Lake
from hven.lake import open as open_lake
from hven.plugins import pin_paths

if TYPE_CHECKING:
    from hven.catalog import Catalog, Entry


@dataclass(frozen=True)
class ResultStatus:
    """The state of one result.

    Attributes
    ----------
    name, analysis, run
        The dataset, and what made it.
    causes
        What has changed since, in words; empty when it is up to date.
    made_of
        The results that it is made of.
    """

    name: str
    analysis: str
    run: str
    causes: tuple[str, ...]
    made_of: tuple[str, ...] = ()

    @property
    def is_stale(self) -> bool:
        """Whether running it again would give another result."""
        return bool(self.causes)

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain values, for ``--json``."""
        told = asdict(self) | {"is_stale": self.is_stale}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in told.items()}


def status(lake: Lake) -> list[ResultStatus]:
    """Return the state of every result of a lake, in the order of their names.

    A result is stale when its data, its analysis's version or the datasets that its parameters name have changed, when
    blocks of it failed, when somebody changed it by hand, and when a result that it is made of is stale. Only catalogs
    are looked at: what changed may turn out to leave this or that block as it was, or all of them.

    Examples
    --------
    >>> [s.name for s in hven.status(lake) if s.is_stale]  # doctest: +SKIP
    """
    catalog = lake.catalog
    recipes = recipes_of(catalog)
    made_by = {dataset: recipe.output for recipe in recipes.values() for dataset in recipe.datasets}
    causes: dict[str, tuple[str, ...]] = {}
    for output in in_order(recipes):
        recipe = recipes[output]
        stale = [name for name in recipe.made_of if causes.get(made_by.get(name, ""))]
        through = [f"result {name!r}, which it is made of, is stale" for name in stale]
        causes[output] = (*own_causes(lake, recipe), *through)
    return [
        ResultStatus(
            dataset,
            str(recipe.made["analysis"]),
            recipe.run,
            causes[recipe.output],
            tuple(name for name in recipe.made_of if name in made_by),
        )
        for dataset, recipe in sorted((d, r) for r in recipes.values() for d in r.datasets)
    ]


def in_order(recipes: Mapping[str, Recipe]) -> list[str]:
    """Return outputs so that each comes after those that it is made of, else in the order of their names.

    Raises
    ------
    DataRefusedError
        If results are made of each other.
    """
    sorter, ordered = TopologicalSorter(needs_of(recipes)), list[str]()
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " of ".join(error.args[1])
        raise DataRefusedError(
            f"results are made of each other: {circle}",
            hint="Run one of them again, of datasets that do not follow from it.",
        ) from error
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered += ready
        sorter.done(*ready)
    return ordered


def needs_of(recipes: Mapping[str, Recipe]) -> dict[str, list[str]]:
    """Return for each output those that it is made of."""
    made_by = {dataset: recipe.output for recipe in recipes.values() for dataset in recipe.datasets}
    return {
        output: list(dict.fromkeys(made_by[name] for name in recipe.made_of if name in made_by))
        for output, recipe in recipes.items()
    }


def own_causes(lake: Lake, recipe: Recipe) -> tuple[str, ...]:
    """Return what makes a result stale by itself, whatever is to be said of the results that it is made of."""
    return tuple(_causes(lake, lake.catalog, recipe))


def _causes(lake: Lake, catalog: "Catalog", recipe: Recipe) -> Iterator[str]:
    made, known = recipe.made, recipe.analysis
    if known is not None and known.version != made["version"]:
        yield f"analysis {known.name!r} is now version {known.version}, and was {made['version']}"
    if made["blocks"]["failed"]:
        yield f"{made['blocks']['failed']:,} of {made['blocks']['total']:,} blocks failed"
    if any(catalog[name].provenance.get("edited") for name in recipe.datasets):
        yield "the result was changed by hand"
    for given in made["inputs"].values():
        for reference, leg in zip(select(given["datasets"]).datasets, given["legs"], strict=True):
            if not reference.version:
                yield from _dataset_causes(catalog, reference, leg)
    if made.get("asked", made["parameters"]) != made["parameters"] and known is not None:
        yield from _parameter_causes(lake, recipe)


def _dataset_causes(catalog: "Catalog", reference: Reference, leg: Mapping[str, Any]) -> Iterator[str]:
    try:
        there = open_lake(reference.url).catalog if reference.url else catalog
    except HvenError as error:
        yield f"the lake of dataset {str(reference)!r} does not open: {error.what}"
        return
    if leg["name"] not in there:
        yield f"dataset {leg['name']!r} is gone"
    elif not _has_same_objects(there[leg["name"]], leg["pin"]):
        yield f"dataset {leg['name']!r} has changed since catalog {leg['catalog']}"


def _parameter_causes(lake: Lake, recipe: Recipe) -> Iterator[str]:
    """Give a cause when a dataset that a parameter names has changed."""
    analysis = recipe.analysis
    if analysis is None:
        return
    try:
        now = analysis.parameters_json(pin_paths(analysis.check(recipe.parameters), lake.pinned()))
    except HvenError as error:
        yield f"its parameters are not taken any more: {error.what}"
        return
    for name, value in now.items():
        if recipe.made["parameters"].get(name) != value:
            yield f"what parameter {name!r} names has changed"


def _has_same_objects(entry: "Entry", pin: Mapping[str, Any]) -> bool:
    is_there = entry.pin.path == pin["path"]
    return is_there and (entry.pin.version == pin["version"] or pin["version"] in entry.same_as)
