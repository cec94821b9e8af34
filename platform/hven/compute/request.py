"""A request: everything that a run is asked to do, resolved and checked before anything is written."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hven.compute.bound import BoundInput, Leg, bind_selections
from hven.compute.reading import template
from hven.compute.selection import Selection, select
from hven.errors import NameRefusedError, ParameterError, ReadOnlyError, TooFewObjectsError
from hven.lake import BLOCK_ROWS, Block, Lake
from hven.plugins import Analysis, pin_paths, plugins
from hven.schema import check_name

if TYPE_CHECKING:
    import xarray as xr

    from hven.catalog import Catalog, Entry

_BLOCK_BYTES = 128 * 2**20
"""What the objects of a block take in memory at most, when nobody says how many there are to be."""

_SMALL = 16 * BLOCK_ROWS
"""Objects of a dataset up to which blocks are as small as they can be read well, so that all workers have some."""


@dataclass(frozen=True)
class Request:
    """What is to be computed of what, and where it goes.

    Attributes
    ----------
    lake
        Where the result goes.
    number
        The catalog in which selections without a version were resolved.
    analysis, parameters, asked
        What is computed; parameters are validated and complete, with datasets as they are now (`parameters`) or as
        they were asked for (`asked`, as plain values).
    selections, inputs
        As asked, and as resolved and bound, in the analysis's order.
    output, outputs
        The name asked for, and the datasets that will be made, by part of the result.
    block_rows
        Objects in a block, when nothing else decides that.
    chosen_rows
        The same, when the user said so.
    templates
        One made-up object of each input: variables, types, units.
    """

    lake: Lake
    number: int
    analysis: Analysis
    parameters: Mapping[str, Any]
    asked: Mapping[str, Any]
    selections: Mapping[str, Selection]
    inputs: tuple[BoundInput, ...]
    output: str
    outputs: Mapping[str, str]
    block_rows: int
    chosen_rows: int | None
    templates: "Mapping[str, xr.Dataset]"

    @property
    def by_object(self) -> tuple[BoundInput, ...]:
        """The inputs that are cut into blocks."""
        return tuple(given for given in self.inputs if not given.is_whole)

    def blocks(self, rows: int | None = None) -> tuple[Block, ...]:
        """Return the blocks of the first input over objects; one without substance when there is none."""
        return self.by_object[0].blocks(rows or self.block_rows) if self.by_object else ()

    @property
    def key(self) -> str:
        """SHA-256 of what decides the result, and of where it goes."""
        told = {
            "analysis": [self.analysis.name, self.analysis.version],
            "parameters": self.analysis.parameters_json(self.parameters),
            "inputs": {
                given.name: {
                    "legs": [leg.to_json() for leg in given.legs],
                    "where": given.where_key,
                    "region": given.region.to_text() if given.region is not None else "",
                    "binding": given.binding.to_json(),
                }
                | given.derived_json
                | given.assumed_json
                for given in self.inputs
            },
            "output": self.output,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    @property
    def recipe(self) -> str:
        """SHA-256 of what is asked for: as `key`, whatever the data happened to be."""
        told = {
            "analysis": [self.analysis.name, self.analysis.version],
            "parameters": self.asked,
            "inputs": {
                given.name: {
                    "datasets": [[leg.source.store.lake, leg.text] for leg in given.legs],
                    "where": given.where_key,
                    "region": given.region.to_text() if given.region is not None else "",
                    "binding": given.binding.to_json(),
                }
                | given.derived_json
                for given in self.inputs
            },
            "output": self.output,
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def inputs_json(self) -> dict[str, Any]:
        """Return the inputs as plain values, for records and provenance."""
        return {
            given.name: self.selections[given.name].to_json()
            | {
                "legs": [
                    leg.to_json() | {"asked": leg.text, "catalog": leg.number, **_described(leg, given)}
                    for leg in given.legs
                ],
                "bound": given.binding.to_json(),
                "where_key": given.where_key,
                "shape": given.shape,
            }
            for given in self.inputs
        }


def _described(leg: Leg, given: BoundInput) -> dict[str, Any]:
    """Return the columns of a dataset by their digest, and in which units those are that are taken in."""
    schema, own = leg.source.schema, {*leg.flat, *leg.deep}
    units = {name: schema[name].unit for name in given.binding.sources if name in own and name in schema}
    return {"schema": schema.digest, "units": units}


def make_request(
    lake: Lake,
    analysis: str | Analysis,
    inputs: Mapping[str, str | Selection],
    parameters: Mapping[str, Any] | None,
    output: str | None,
    block_rows: int | None,
    *,
    at: int | None = None,
) -> Request:
    """Return the request that these arguments of `run` and `plan` make; nothing is written, and no values are read.

    Selections without a version mean the data as they were in the catalog `at`, by default the newest.

    Raises
    ------
    HvenError
        For whatever is not there or does not fit, by its own class.
    """
    if lake.is_pinned:
        raise ReadOnlyError(
            "this view of the lake is pinned to one commit, and a run publishes another",
            where=lake.url,
            hint="Run in hven.open(url), and select NAME@VERSION.",
        )
    known = plugins().analysis(analysis) if isinstance(analysis, str) else analysis
    checked = known.check(parameters or {})
    if block_rows is not None and (not isinstance(block_rows, int) or block_rows < 1):
        raise ParameterError(
            f"block_rows is {block_rows!r}", expected="a whole number of at least 1", hint="Or leave it out."
        )
    selections = {name: s if isinstance(s, Selection) else select(s) for name, s in inputs.items()}
    view = lake.pinned() if at is None else lake.at(at)
    asked = known.parameters_json(checked)
    checked = pin_paths(checked, view)
    bound = bind_selections(view, known, selections, checked)
    name = check_name(output or known.name)
    outputs = {part: check_name(f"{name}.{part}" if part else name) for part in known.produces}
    for made in outputs.values():
        check_output(made, view.catalog, known, bound)
    _check_filled(bound)
    templates = {given.name: template(given) for given in bound}
    rows = block_rows or min(_usual_rows(bound, templates), known.block_rows or BLOCK_ROWS)
    return Request(
        lake, view.number, known, checked, asked, selections, bound, name, outputs, rows, block_rows, templates
    )


def bytes_of_object(inputs: tuple[BoundInput, ...], templates: "Mapping[str, xr.Dataset]") -> int:
    """Return the bytes of one object of all inputs in memory, as the analysis is given them."""
    return sum(
        variable.nbytes
        for given in inputs
        if not given.is_whole
        for variable in templates[given.name].variables.values()
        if "object" in variable.dims
    )


def _usual_rows(inputs: tuple[BoundInput, ...], templates: "Mapping[str, xr.Dataset]") -> int:
    """Return how many objects a block has when nobody says: the same for the same data, whatever the workers."""
    first = next((given for given in inputs if not given.is_whole), None)
    if first is None:
        return BLOCK_ROWS
    source = first.first.source
    grain = max((part.grain for part in source.parts), default=1)
    usual = BLOCK_ROWS if source.rows > _SMALL else min(grain, BLOCK_ROWS)
    fitting = max(_BLOCK_BYTES // max(bytes_of_object(inputs, templates), 1), 1)
    return usual if fitting >= usual else fitting // grain * grain or fitting


def check_output(name: str, catalog: "Catalog", analysis: Analysis, inputs: tuple[BoundInput, ...] = ()) -> None:
    """Refuse to write over a dataset that is not a result of the analysis, or that is one of the inputs.

    Raises
    ------
    NameRefusedError
        Saying what is there.
    """
    if name not in catalog:
        return
    entry: Entry = catalog[name]
    made_by = entry.provenance.get("analysis")
    taken_in = [given.name for given in inputs for leg in given.legs if leg.source.pin.path == entry.pin.path]
    if taken_in:
        raise NameRefusedError(
            f"the result would replace {name!r}, which is input {taken_in[0]!r}", hint="Choose another output."
        )
    if made_by != analysis.name:
        told = f"a result of {made_by!r}" if made_by else "not the result of a run"
        raise NameRefusedError(
            f"there is a dataset {name!r}, and it is {told}",
            where=f"catalog {catalog.number}",
            hint="Choose another output, or drop that dataset first.",
        )


def _check_filled(inputs: tuple[BoundInput, ...]) -> None:
    for given in inputs:
        source = given.first.source
        if not source.parts or (not given.is_whole and source.rows == 0):
            raise TooFewObjectsError(
                f"dataset {given.first.text!r} has no objects",
                where=f"input {given.name!r}",
                hint="Append some, or choose another dataset.",
            )
