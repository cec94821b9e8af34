"""The result before: what the catalog has of a recipe, and how much of it stays when the recipe is followed again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.catalog import Entry
from hven.compute.confirming import confirmation_of
from hven.compute.earlier import Earlier, write_earlier
from hven.compute.ledger import LEDGER, read_ledger, same_rows
from hven.compute.records import Run, open_run
from hven.errors import LakeFormatError, RunNotFoundError
from hven.lake import Block, Lake, Source

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from hven.compute.bound import Leg
    from hven.compute.request import Request


@dataclass(frozen=True)
class Previous:
    """A result that was made by the same recipe.

    Attributes
    ----------
    run
        What made it, or what found last that it stays as it is.
    entries
        How the catalog has it now, by part.
    ledger
        Its blocks; None for analyses of everything at once.
    """

    run: Run
    entries: Mapping[str, Entry]
    ledger: "pl.DataFrame | None"

    @property
    def is_whole(self) -> bool:
        """Whether it has all that its run was to give it, and nobody has changed it since."""
        return all(
            not entry.provenance.get("edited") and not entry.provenance["blocks"]["failed"]
            for entry in self.entries.values()
        )

    @property
    def made_by(self) -> str:
        """The id of the run that published it."""
        return str(next(iter(self.entries.values())).provenance["run"])

    def has_same_shapes(self, request: "Request") -> bool:
        """Return whether columns, units and words of all inputs are what they were."""
        told = self.run.record["inputs"]
        return all(given.shape == told[given.name].get("shape") for given in request.inputs)

    @property
    def rows(self) -> int:
        """How many objects it has, as its run published it."""
        return int(self.ledger["rows_out"].sum()) if self.ledger is not None else 0

    @property
    def sources(self) -> dict[str, Source]:
        """What it takes to read it, by part."""
        return {part: Source.of(self.run.lake.store, entry) for part, entry in self.entries.items()}

    def is_of(self, request: "Request") -> bool:
        """Return whether it was made of the very objects that a request is for."""
        told = self.run.record["inputs"]
        return all(
            _is_same(leg, known) and given.shape == told[given.name].get("shape")
            for given in request.inputs
            for leg, known in zip(given.legs, told[given.name]["legs"], strict=True)
        )

    @cached_property
    def lines_there(self) -> "NDArray[np.bool_]":
        """Return which lines of its ledger still have their files in the result, bool, shape (lines,)."""
        if self.ledger is None:
            return np.zeros(0, bool)
        there = [{part.path for part in source.parts} for source in self.sources.values()]
        return np.array(
            [
                rows == 0 or all(file in held for held, file in zip(there, files, strict=True))
                for files, rows in zip(self.ledger["files"].to_list(), self.ledger["rows_out"].to_list(), strict=True)
            ],
            bool,
        )

    def kept(self, request: "Request", blocks: Sequence[Block]) -> "NDArray[np.int64]":
        """Return for each block the line of the ledger that stands for it, known without a look at the data; else -1.

        Files and segments never change: the same rows of the same file are the same objects. That suffices when
        whatever else the analysis is given is the same as well.
        """
        nothing = np.full(len(blocks), -1, np.int64)
        if self.ledger is None or not self._is_all_else_same(request):
            return nothing
        if not len(self.ledger):
            return nothing
        stays = self.lines_there
        if "aside" in self.ledger.columns:
            stays = stays & (self.ledger["aside"] == 0).to_numpy()
        lines = same_rows(self.ledger, blocks)
        return np.where((lines >= 0) & stays[lines], lines, -1)

    def _is_all_else_same(self, request: "Request") -> bool:
        first = request.by_object[0]
        for given in request.inputs:
            told = self.run.record["inputs"][given.name]
            if given.shape != told.get("shape"):
                return False
            for number, (leg, known) in enumerate(zip(given.legs, told["legs"], strict=True)):
                is_cut = given is first and number == 0 and not given.margin
                if not (_is_same_place(leg, known) if is_cut else _is_same(leg, known)):
                    return False
        return True


def is_current(run: Run, outputs: Mapping[str, str]) -> bool:
    """Return whether the catalog still has what a run published, all of it, and changed by nobody."""
    catalog = run.lake.catalog
    told = [catalog[name].provenance for name in outputs.values() if name in catalog]
    is_there = len(told) == len(outputs) and all(made.get("run") == run.made_by for made in told)
    return run.commit is not None and is_there and not any(made.get("edited") for made in told)


def previous_result(request: "Request") -> Previous | None:
    """Return the result that the catalog has of the recipe of a request, when there is one whose run is known."""
    entries = _entries(request.lake, request.outputs)
    if entries is None:
        return None
    told = [entry.provenance for entry in entries.values()]
    recipes = {(made.get("recipe"), made.get("run")) for made in told}
    parameters = request.analysis.parameters_json(request.parameters)
    if len(recipes) != 1 or told[0].get("recipe") != request.recipe or told[0]["parameters"] != parameters:
        return None
    made_by = str(told[0]["run"])
    note = confirmation_of(request.lake, made_by)
    run = (_opened(request.lake, note.run) if note is not None else None) or _opened(request.lake, made_by)
    return _of_run(request.lake, run, entries) if run is not None else None


def previous_of(request: "Request", run: Run) -> Previous | None:
    """Return what an unfinished run was to bring up to date, if that is still what the catalog has."""
    entries = _entries(request.lake, request.outputs)
    if entries is None or not run.record.get("before"):
        return None
    holders = {entry.provenance.get("run") for entry in entries.values()}
    before = _opened(request.lake, run.record["before"])
    if before is None or not holders <= {run.id, before.id, before.made_by}:
        return None
    return _of_run(request.lake, before, entries)


def earlier_for(previous: Previous, run: Run, kept: "NDArray[np.int64]") -> Earlier | None:
    """Return what workers may use again beside what is `kept`, and store for them what that is."""
    import polars as pl

    if previous.ledger is None:
        return None
    stays = np.zeros(len(previous.ledger), bool)
    stays[kept[kept >= 0]] = True
    files = previous.ledger.filter(pl.Series(stays))["files"].to_list()
    names = list(previous.entries)
    held = {name: {line[at] for line in files if line} for at, name in enumerate(names)}
    is_left = previous.lines_there & (previous.ledger["rows_out"] > 0).to_numpy() & ~stays
    if all(len(held[name]) == len(source.parts) for name, source in previous.sources.items()):
        return None
    lines = previous.ledger.select("digest").with_row_index("line").with_columns(pl.col("line").cast(pl.Int64))
    earlier = Earlier(run.lake.store, run.folder, previous.sources)
    write_earlier(earlier, lines.filter(pl.Series(is_left)), held)
    return earlier


def _opened(lake: Lake, run_id: str) -> Run | None:
    try:
        return open_run(lake, run_id)
    except (RunNotFoundError, LakeFormatError):
        return None


def _of_run(lake: Lake, run: Run, entries: Mapping[str, Entry]) -> Previous | None:
    ledger = read_ledger(lake.store, f"{run.folder}/{LEDGER}")
    if ledger is None and run.record["analysis"]["per_object"]:
        return None
    return Previous(run, entries, ledger)


def _entries(lake: Lake, outputs: Mapping[str, str]) -> dict[str, Entry] | None:
    catalog = lake.catalog
    if not all(name in catalog for name in outputs.values()):
        return None
    return {part: catalog[name] for part, name in outputs.items()}


def _is_same(leg: "Leg", known: Mapping[str, Any]) -> bool:
    """Return whether a dataset has the objects that it had: at the same version, or at one that only moved them."""
    version = known["pin"]["version"]
    return _is_same_place(leg, known) and (leg.source.pin.version == version or version in leg.same_as)


def _is_same_place(leg: "Leg", known: Mapping[str, Any]) -> bool:
    return bool((known["lake"], known["pin"]["path"]) == (leg.source.store.lake, leg.source.pin.path))
