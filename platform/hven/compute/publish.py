"""Publishing: what the blocks of a run wrote becomes one commit, once, with its provenance."""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

from hven.compute.footprint import joined
from hven.compute.ledger import LEDGER, Line, ledger_of, lines_of, write_ledger
from hven.compute.records import TOLD, Run
from hven.compute.request import Request
from hven.compute.results import kind_of
from hven.compute.work import Work
from hven.errors import NameRefusedError, ResultRefusedError
from hven.lake import INPUT, StagedArrays, StagedTable, WrittenPart
from hven.lake.axes import other_attribute
from hven.plugins import plugins
from hven.schema import Schema
from hven.sky import common_coverage

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

_ENVIRONMENT = ("hven", "numpy", "xarray", "polars", "dask", "zarr", "icechunk", "deltalake")


def publish_blocks(work: Work, run: Run, staged: Mapping[str, StagedTable | StagedArrays]) -> int:
    """Publish what the finished blocks wrote and what stays of the result before; return the catalog that has it.

    A run that was killed after its commit finds itself in the catalog, and does not commit again.
    """
    request = work.request
    _check_what_stays(work)
    lines, written = _results(work)
    write_ledger(run.lake.store, f"{run.folder}/{LEDGER}", ledger_of(lines))
    files = {part: [line.files[at] for line in lines if line.files] for at, part in enumerate(request.outputs)}
    digest, content = hashlib.sha256(), hashlib.sha256()
    for line in lines:
        digest.update(line.digest.encode())
        content.update("/".join(line.files).encode())
    told = provenance(run, request) | {"received": digest.hexdigest(), "content": content.hexdigest()}
    number = _published(run, told)
    if number is not None:
        return number
    snapshots = {part: one.keep_only(files[part]) for part, one in staged.items() if isinstance(one, StagedArrays)}
    cover = _within_first(run, request, joined(line.footprint for line in lines))
    with run.lake.transaction(_message(run)) as tx:
        for part, name in request.outputs.items():
            texts = _texts(request, part) | {"provenance": told, "coverage": cover}
            schema, target = _schema(work, part), staged[part]
            if isinstance(target, StagedArrays):
                texts["kind"] = kind_of(schema)
                tx.publish_arrays(name, target, snapshots[part], schema, upon=_upon(work, run, part), **texts)
            elif work.previous is None:
                tx.publish_table(name, target, written[part], _columns(target, written[part][0]), schema, **texts)
            else:
                kept = set(files[part]) - {file.path for file in written[part]}
                tx.publish_table(name, target, written[part], None, schema, kept=kept, **texts)
    return _committed(tx.commit_number)


def leaves_all(work: Work) -> bool:
    """Return whether an update left every block of the result before as it was, and none came or went."""
    previous = work.previous
    if previous is None or previous.ledger is None or work.journal.failed or not previous.is_whole:
        return False
    if work.journal.hows["computed"] or work.journal.hows["moved"]:
        return False
    lines, written = _results(work)
    before = previous.ledger.filter(previous.ledger["rows_out"] > 0)["files"].to_list()
    now = [line.files for line in lines if line.files]
    return not any(written.values()) and sorted(map(tuple, before)) == sorted(now)


def keep_ledger(work: Work, run: Run) -> None:
    """Store which block stands for which files, for the next run of the same recipe."""
    write_ledger(run.lake.store, f"{run.folder}/{LEDGER}", ledger_of(_results(work)[0]))


def _results(work: Work) -> tuple[list[Line], dict[str, list[WrittenPart]]]:
    """Return the ledger of a result, block by block, and the files of tables that are new in it."""
    parts = list(work.request.outputs)
    written: dict[str, list[WrittenPart]] = {part: [] for part in parts}
    before = lines_of(work.previous.ledger) if work.previous is not None and work.previous.ledger is not None else []
    ended = {one.index: one for one in work.journal.results()}
    lines = []
    for block, kept in work.lines:
        part, one = block.part.path, ended.get(block.index)
        line = kept if kept >= 0 else one.line if one is not None else None
        if line is not None:
            lines.append(replace(before[line], part=part, start=block.start, stop=block.stop))
        elif one is not None:
            for name, file in one.written.items():
                written[name].append(file)
            files = tuple(one.written[name].path for name in parts) if one.written else (one.group,) * len(parts)
            files = files if one.rows_out else ()
            counts = one.digest, one.rows_in, one.rows_out
            lines.append(Line(part, block.start, block.stop, *counts, files, one.footprint, one.aside))
    return lines, written


def _schema(work: Work, part: str) -> Schema:
    """Return the columns of a part of the result: as blocks had them, or when none was computed, as they were."""
    if part in work.journal.schemas:
        return Schema.from_json(work.journal.schemas[part].encode())
    return work.previous.sources[part].schema  # type: ignore[union-attr]


def _check_what_stays(work: Work) -> None:
    """Refuse blocks that say something else of the result as a whole than the blocks of before that stay in it."""
    hows = work.journal.hows
    if work.previous is None or not ((work.kept >= 0).any() or hows["kept"] or hows["moved"]):
        return
    for part, source in work.previous.sources.items():
        found = other_attribute(source.schema.attrs, _schema(work, part).attrs, exact=True)
        if found is not None:
            raise ResultRefusedError(
                f"attribute {found[0]!r} of the blocks that were computed now {found[1]}",
                where=f"dataset {source.name!r}",
                expected="what the blocks of before say, which stay in the result",
                hint="Give the analysis another version, or compute all blocks anew with 'hven run --force'.",
            )


def _upon(work: Work, run: Run, part: str) -> list[int | str] | None:
    """Return the snapshots upon which an update of arrays may be published; None for a result in a new place."""
    if work.previous is None:
        return None
    entry = work.previous.entries[part]
    return [run.record["pins"][part], *([entry.pin.version] if entry.provenance["run"] == run.id else [])]


def publish_datasets(run: Run, request: Request, parts: "Mapping[str, xr.Dataset]") -> int:
    """Publish the whole result of an analysis in one commit, and return the catalog that has it."""
    told = provenance(run, request)
    number = _published(run, told)
    if number is not None:
        return number
    with run.lake.transaction(_message(run)) as tx:
        for part, name in request.outputs.items():
            data = parts[part]
            flat = {variable.dims for variable in data.variables.values()}
            is_table = len(flat) == 1 and all(len(d) == 1 for d in flat)
            kind = "table" if is_table else kind_of(Schema.of_dataset(data))
            tx.write(name, data, kind=kind, **_texts(request, part), provenance=told)
    return _committed(tx.commit_number)


def provenance(run: Run, request: Request) -> dict[str, Any]:
    """Return how the result comes to be, as plain values: what goes into its catalog entry."""
    told = {
        "run": run.id,
        "key": run.key,
        "recipe": request.recipe,
        "output": request.output,
        "analysis": request.analysis.name,
        "function": run.record["analysis"]["function"],
        "version": request.analysis.version,
        "fingerprint": run.record["analysis"].get("fingerprint", ""),
        "references": list(request.analysis.references),
        "parameters": request.analysis.parameters_json(request.parameters),
        "asked": dict(request.asked),
        "inputs": request.inputs_json(),
        "catalog": request.number,
        "software": software(request),
        "blocks": {"total": run.blocks["total"], "failed": run.blocks["failed"]},
    }
    if run.record.get("update"):
        told["update"] = dict(run.record["update"])
    if run.failures:
        told["missing"] = [
            {key: failure[key] for key in ("block", "rows", "first", "last", "code")} for failure in run.failures[:TOLD]
        ]
    return told


def software(request: Request) -> dict[str, str]:
    """Return the versions that were at work: Python, hven, what it stands on, and the analysis's own distribution."""
    versions = {"python": platform.python_version()}
    names = [*_ENVIRONMENT]
    names += [p.distribution for p in plugins().loaded if request.analysis.name in p.brings.get("analyses", ())]
    return versions | {name: version for name in filter(None, names) if (version := _version(name))}


@lru_cache(maxsize=256)
def _version(distribution: str) -> str:
    """Return the version of a distribution that is installed, else nothing; it takes a search of the whole path."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _published(run: Run, told: Mapping[str, Any]) -> int | None:
    """Return the catalog in which exactly this was published by an attempt that was killed before it could say so."""
    entries = [run.lake.catalog.entries.get(name) for name in run.outputs.values()]
    same = ("run", "content") if "content" in told else ("run",)
    if all(e is not None and all(e.provenance.get(k) == told.get(k) for k in same) for e in entries):
        return max(entry.changed for entry in entries if entry is not None)
    return None


def _texts(request: Request, part: str) -> dict[str, Any]:
    surveys = dict.fromkeys(leg.survey for given in request.inputs for leg in given.legs if leg.survey)
    title = request.analysis.summary.rstrip(".")
    return {
        "title": f"{title}: {part}" if part else title,
        "description": request.analysis.doc.body,
        "survey": ", ".join(surveys),
        "citation": tuple(request.analysis.references),
    }


def _within_first(run: Run, request: Request, cover: str) -> str:
    """Return a coverage without what the first input does not cover: that of many blocks together is coarse."""
    first = request.by_object[0].first if request.by_object else None
    if first is None or first.source.store.lake != run.lake.id:
        return cover
    theirs = run.lake.at(first.number).catalog[first.source.name].coverage
    return common_coverage(cover, theirs) if theirs else cover


def _columns(staged: StagedTable, file: WrittenPart) -> "pl.DataFrame":
    """Return a frame without rows that has the columns of a written file."""
    import polars as pl

    address = staged.store.address(f"{staged.path}/{file.path}")
    options = dict(staged.store.options) or None
    columns = dict(pl.scan_parquet(address, glob=False, storage_options=options).collect_schema())
    columns.pop(INPUT, None)
    return pl.DataFrame(schema=columns)


def _message(run: Run) -> str:
    return f"{run.analysis} of {', '.join(given['datasets'] for given in run.record['inputs'].values())}"


def _committed(number: int | None) -> int:
    if number is None:
        raise NameRefusedError("the run has no output", hint="Let the analysis produce something.")
    return number
