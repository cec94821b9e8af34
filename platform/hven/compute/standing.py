"""Why blocks are to be computed: told from the ledger and the list of files alone, without a look at the data."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hven.compute.previous import Previous

if TYPE_CHECKING:
    from hven.compute.request import Request
    from hven.compute.work import Work

NEW = "new"
_REWRITTEN = "objects of its file were changed, moved or withdrawn"
_UNFINISHED = "it was not finished"


def standing_of(work: "Work") -> tuple[int, dict[str, int]]:
    """Return how many of the blocks that are to be looked at are new, and how many stale by their cause.

    Stale are those that a result was made of which may not be what it would be now; when they are read, many turn out
    to be as they were.
    """
    todo = work.todo
    if not work.request.analysis.per_object:
        count = 0 if work.action == "nothing" else len(work.blocks)
        cause = _cause_of_all(work.request, None) if work.action != "new" else _earlier_cause(work.request)
        return (0, {cause: count}) if cause and count else (count, {})
    if work.previous is None or work.previous.ledger is None:
        cause = _earlier_cause(work.request) if work.action == "new" else _UNFINISHED if work.run is not None else ""
        return (0, {cause: len(todo)}) if cause and todo else (len(todo), {})
    whole = _cause_of_all(work.request, work.previous)
    parts = set(work.previous.ledger["part"].to_list())
    segments = {part.split("/")[0] for part in parts}
    causes: Counter[str] = Counter()
    for block in todo:
        if block.part.segment not in segments:
            causes[NEW] += 1
        elif whole:
            causes[whole] += 1
        else:
            causes[_UNFINISHED if block.part.path in parts else _REWRITTEN] += 1
    new = causes.pop(NEW, 0)
    return new, dict(causes)


def _cause_of_all(request: "Request", previous: Previous | None) -> str:
    """Return what makes every block stale, if anything does: inputs beside the objects themselves."""
    if previous is None:
        return "its inputs have changed"
    first = request.by_object[0]
    told = previous.run.record["inputs"]
    for given in request.inputs:
        known = told[given.name]
        if given.shape != known.get("shape"):
            return f"input {given.name!r} has other columns, units or nulls"
        for number, (leg, pin) in enumerate(zip(given.legs, known["legs"], strict=True)):
            is_cut = given is first and number == 0 and not given.margin
            if not is_cut and leg.source.pin.version != pin["pin"]["version"]:
                return f"dataset {leg.source.name!r} has changed"
    return ""


def _earlier_cause(request: "Request") -> str:
    """Return why a result that is there is of no use: it was made by another version, or with other parameters."""
    return "; ".join(_differences(request))


def _differences(request: "Request") -> Iterator[str]:
    catalog = request.lake.catalog
    name = next(iter(request.outputs.values()))
    made = catalog[name].provenance if name in catalog else {}
    if made.get("analysis") != request.analysis.name:
        return
    if made["version"] != request.analysis.version:
        yield f"the analysis is now version {request.analysis.version}, and was {made['version']}"
    for key, value in request.analysis.parameters_json(request.parameters).items():
        if key not in made["parameters"] or made["parameters"][key] != value:
            yield f"parameter {key!r} is {value!r}, and was {made['parameters'].get(key)!r}"
