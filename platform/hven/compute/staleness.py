"""Status: which results of a lake are up to date, and what has changed under those that are not."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from hven.compute.confirming import confirmation_of
from hven.compute.recipes import Recipe, recipes_of
from hven.compute.selection import Reference, select
from hven.errors import DataRefusedError, HvenError
from hven.lake import Lake
from hven.lake import open as open_lake
from hven.lake.source import load_schema
from hven.plugins import Analysis, is_other_source, pin_paths, source_fingerprint

if TYPE_CHECKING:
    from hven.catalog import Catalog, Entry

_READ = 2**30
"""Bytes of bound columns that are read to tell which of them changed."""


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
    warnings
        What does not make it stale, and should be known: the source of its analysis has changed under its version.
    """

    name: str
    analysis: str
    run: str
    causes: tuple[str, ...]
    made_of: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

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
    blocks of it failed, when somebody changed it by hand, and when a result that it is made of is stale. Of an analysis
    of everything at once whose datasets have changed, the columns that it takes in are read, when they are not too
    large, to tell which of them changed, if any; of all others only catalogs are looked at: what changed may turn out
    to leave this or that block as it was, or all of them.

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
        causes[output] = (*own_causes(lake, recipe, is_exact=True), *through)
    return [
        ResultStatus(
            dataset,
            str(recipe.made["analysis"]),
            recipe.run,
            causes[recipe.output],
            tuple(name for name in recipe.made_of if name in made_by),
            tuple(source_warnings(recipe.analysis, recipe.made)),
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


def own_causes(lake: Lake, recipe: Recipe, *, is_exact: bool = False) -> tuple[str, ...]:
    """Return what makes a result stale by itself, whatever is to be said of the results that it is made of.

    Parameters
    ----------
    lake, recipe
        How the result was made, and where.
    is_exact
        Read what an analysis of everything at once takes in, to tell which columns changed.
    """
    return tuple(_causes(lake, lake.catalog, recipe, is_exact=is_exact))


def declared(analysis: Analysis) -> str:
    """Return what an analysis declares and decides what its result means: the units of what it produces."""
    return json.dumps({part: dict(units) for part, units in analysis.produces.items()}, sort_keys=True, default=str)


def source_warnings(analysis: Analysis | None, made: Mapping[str, Any]) -> list[str]:
    """Return a warning when the source of an analysis is not that of which a result was made, though its version is.

    Parameters
    ----------
    analysis
        As it is now, when it is known.
    made
        Version and fingerprint of the analysis that made the result.
    """
    if analysis is None or analysis.version != made.get("version"):
        return []
    if not is_other_source(made.get("fingerprint", ""), source_fingerprint(analysis.function, declared(analysis))):
        return []
    changed = f"the source of analysis {analysis.name!r} has changed under version {analysis.version}"
    return [f"{changed}: raise its version= to make its results stale, or run it once with --force"]


def _causes(lake: Lake, catalog: "Catalog", recipe: Recipe, *, is_exact: bool) -> Iterator[str]:
    made, known = recipe.made, recipe.analysis
    if known is not None and known.version != made["version"]:
        yield f"analysis {known.name!r} is now version {known.version}, and was {made['version']}"
    if made["blocks"]["failed"]:
        yield f"{made['blocks']['failed']:,} of {made['blocks']['total']:,} blocks failed"
    if any(catalog[name].provenance.get("edited") for name in recipe.datasets):
        yield "the result was changed by hand"
    changed = list(_changed_datasets(lake, catalog, made["inputs"]))
    if changed:
        note = confirmation_of(lake, recipe.run)
        changed = list(_changed_datasets(lake, catalog, note.inputs)) if note is not None else changed
    if changed and is_exact:
        changed = _changed_columns(lake, recipe, changed)
    yield from changed
    if made.get("asked", made["parameters"]) != made["parameters"] and known is not None:
        yield from _parameter_causes(lake, recipe)


def _changed_datasets(lake: Lake, catalog: "Catalog", inputs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for given in inputs.values():
        for reference, leg in zip(select(given["datasets"]).datasets, given["legs"], strict=True):
            if not reference.version:
                yield from _dataset_causes(lake, catalog, reference, leg)


def _changed_columns(lake: Lake, recipe: Recipe, changed: list[str]) -> list[str]:
    """Return which columns changed that a result is made of: none when only others did, `changed` when unknown."""
    from hven.compute.clusters import Cluster
    from hven.compute.received import changed_columns, digest_of_all
    from hven.compute.request import bytes_of_object, make_request
    from hven.compute.work import lay_out

    if recipe.analysis is None or recipe.analysis.per_object:
        return changed
    try:
        analysis, inputs, parameters = recipe.arguments()
        request = make_request(lake, analysis, inputs, parameters, recipe.output, None)
        stands = lay_out(request).standing
        rows = max((given.first.source.rows for given in request.inputs), default=0)
        if stands is None or rows * bytes_of_object(request.inputs, request.templates) > _READ:
            return changed
        now = digest_of_all(request, Cluster("synchronous"), _READ).to_json()
    except HvenError:
        # What does not fit any more is refused by the run, with its reason.
        return changed
    columns = changed_columns(stands.run.record.get("received"), now)
    if columns is None:
        return changed
    return [f"{text}: {_columns_text(columns)}" for text in changed] if columns else []


def _columns_text(columns: list[str]) -> str:
    """Return which columns differ, in words.

    Examples
    --------
    >>> _columns_text(["stars/age", "stars/feh"]), _columns_text(["stars/feh", "stars/object_id"])
    ("columns 'age', 'feh'", 'objects came or went')
    """
    if any(name.endswith("/object_id") for name in columns):
        return "objects came or went"
    names = ", ".join(repr(name.partition("/")[2]) for name in columns)
    return f"column{'s' if len(columns) > 1 else ''} {names}"


def _dataset_causes(lake: Lake, catalog: "Catalog", reference: Reference, leg: Mapping[str, Any]) -> Iterator[str]:
    try:
        home = open_lake(reference.url) if reference.url else lake
        there = home.catalog if reference.url else catalog
    except HvenError as error:
        yield f"the lake of dataset {str(reference)!r} does not open: {error.what}"
        return
    if leg["name"] not in there:
        yield f"dataset {leg['name']!r} is gone"
    elif not _has_same_objects(there[leg["name"]], leg["pin"]):
        yield f"dataset {leg['name']!r} has changed since catalog {leg['catalog']}"
    elif leg.get("schema", now := there[leg["name"]].schema) != now:
        # The values are the same, and were described anew: what is converted from another unit is another number.
        for column in load_schema(home.store, now):
            was = leg["units"].get(column.name, column.unit)
            if was != column.unit:
                yield f"column {column.name!r} of dataset {leg['name']!r} is in {column.unit!r} now, and was in {was!r}"


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
