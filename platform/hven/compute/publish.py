"""Publishing: what the blocks of a run wrote becomes one commit, once, with its provenance."""

import hashlib
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

from hven.compute.footprint import joined
from hven.compute.journal import Journal
from hven.compute.records import TOLD, Run
from hven.compute.request import Request
from hven.errors import NameRefusedError
from hven.lake import StagedArrays, StagedTable, WrittenPart
from hven.plugins import plugins
from hven.schema import Schema

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

_ENVIRONMENT = ("hven", "numpy", "xarray", "polars", "dask", "zarr", "icechunk", "deltalake")


def publish_blocks(
    run: Run, request: Request, journal: Journal, staged: Mapping[str, StagedTable | StagedArrays]
) -> int:
    """Publish what the finished blocks wrote, and return the catalog that has it.

    A run that was killed after its commit finds itself in the catalog, and does not commit again.
    """
    digest, content = hashlib.sha256(), hashlib.sha256()
    written: dict[str, list[WrittenPart]] = {part: [] for part in request.outputs}
    footprints = []
    results = {result[0]: result for result in journal.results()}
    for _, files, received, cells in (results[index] for index in sorted(results)):
        digest.update(received.encode())
        footprints.append(cells)
        for part, file in files.items():
            written[part].append(file)
            content.update(file.path.encode())
    for _, snapshot in sorted(journal.snapshots.values()):
        content.update(snapshot.encode())
    told = provenance(run, request) | {"received": digest.hexdigest(), "content": content.hexdigest()}
    number = _published(run, told)
    if number is not None:
        return number
    cover = joined(footprints)
    with run.lake.transaction(_message(run)) as tx:
        for part, name in request.outputs.items():
            texts = _texts(request, part) | {"provenance": told, "coverage": cover}
            schema = Schema.from_json(journal.schemas[part].encode())
            target = staged[part]
            if isinstance(target, StagedTable):
                tx.publish_table(name, target, written[part], _columns(target, written[part][0]), schema, **texts)
            else:
                tx.publish_arrays(name, target, journal.snapshots[part][1], schema, **texts)
    return _committed(tx.commit_number)


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
            kind = "table" if len(flat) == 1 and all(len(d) == 1 for d in flat) else "result"
            tx.write(name, data, kind=kind, **_texts(request, part), provenance=told)
    return _committed(tx.commit_number)


def provenance(run: Run, request: Request) -> dict[str, Any]:
    """Return how the result comes to be, as plain values: what goes into its catalog entry."""
    told = {
        "run": run.id,
        "key": run.key,
        "analysis": request.analysis.name,
        "version": request.analysis.version,
        "references": list(request.analysis.references),
        "parameters": request.analysis.parameters_json(request.parameters),
        "inputs": request.inputs_json(),
        "catalog": request.number,
        "software": software(request),
        "blocks": {"total": run.blocks["total"], "failed": run.blocks["failed"]},
    }
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
    for name in filter(None, names):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def is_current(run: Run, outputs: Mapping[str, str]) -> bool:
    """Return whether the catalog still has what a run published, all of it and nothing later."""
    catalog = run.lake.catalog
    return run.commit is not None and all(
        name in catalog and catalog[name].provenance.get("run") == run.id and catalog[name].changed == run.commit
        for name in outputs.values()
    )


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


def _columns(staged: StagedTable, file: WrittenPart) -> "pl.DataFrame":
    """Return a frame without rows that has the columns of a written file."""
    import polars as pl

    address = staged.store.address(f"{staged.path}/{file.path}")
    options = dict(staged.store.options) or None
    return pl.DataFrame(schema=pl.scan_parquet(address, glob=False, storage_options=options).collect_schema())


def _message(run: Run) -> str:
    return f"{run.analysis} of {', '.join(given['datasets'] for given in run.record['inputs'].values())}"


def _committed(number: int | None) -> int:
    if number is None:
        raise NameRefusedError("the run has no output", hint="Let the analysis produce something.")
    return number
