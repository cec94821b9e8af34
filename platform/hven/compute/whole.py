"""How an analysis that sees everything at once is computed: lazy Datasets, the cluster's workers, and the driver."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.compute.bound import BoundInput
from hven.compute.clusters import Cluster
from hven.compute.reading import Aligned, count_aligned, example_aligned, read_aligned
from hven.compute.request import Request
from hven.compute.results import is_flat, parts_of
from hven.compute.window import AHEAD, WorkerLost, each_outcome
from hven.errors import ClusterError, ResultRefusedError
from hven.lake import Block
from hven.lake.parts import CHUNK
from hven.plugins import call

if TYPE_CHECKING:
    import xarray as xr

_IDS = ""
_FITS = 2 * 2**30
"""Bytes of a result that the workers compute into the driver's memory; larger ones are written shard by shard."""


def compute_whole(
    request: Request, cluster: Cluster, counted: Callable[[int], None]
) -> "tuple[dict[str, xr.Dataset], int]":
    """Return the parts of the result of an analysis of everything at once, and how many objects it was given.

    Parameters
    ----------
    request
        What is asked.
    cluster
        Computes whatever the analysis leaves to Dask.
    counted
        Called with the number of objects, before the analysis begins.
    """
    with _scheduler(cluster):
        inputs, ids = lazy_inputs(request, cluster)
        # Not every dataset has ids.
        rows = max((int(inputs[given.name].sizes.get("object", 0)) for given in request.by_object), default=0)
        counted(rows)
        result = call(request.analysis, inputs, request.parameters)
        parts = parts_of(request.analysis, result, inputs)
        parts = {name: _finished(part, ids, name) for name, part in parts.items()}
    return parts, rows


def lazy_inputs(request: Request, cluster: Cluster) -> "tuple[dict[str, xr.Dataset], xr.Dataset]":
    """Return what an analysis is given, lazily and with known sizes, and what tells the objects apart.

    Which objects a condition lets through is counted first, block by block on the workers; no values travel.
    """
    import xarray as xr

    whole = {given.name: _lazy_whole(given, cluster) for given in request.inputs if given.is_whole}
    if not request.by_object:
        return whole, xr.Dataset()
    data, ids = _lazy_aligned(request.by_object, request.blocks(), cluster)
    return {given.name: (data | whole)[given.name] for given in request.inputs}, ids


def _lazy_whole(given: BoundInput, cluster: Cluster) -> "xr.Dataset":
    source = given.first.source
    if given.binding.columns and "object" not in {d for column in source.schema for d in column.dims}:
        return given.binding.apply(source.open_segment(source.parts[-1], CHUNK, given.first.deep))
    return _lazy_aligned((given,), source.blocks(), cluster)[0][given.name]


def _lazy_aligned(
    inputs: Sequence[BoundInput], blocks: Sequence[Block], cluster: Cluster
) -> "tuple[dict[str, xr.Dataset], xr.Dataset]":
    import dask
    import dask.array as da
    import xarray as xr

    sizes = _sizes(inputs, blocks, cluster)
    example = example_aligned(inputs)
    layout = {**example.inputs, _IDS: example.ids}
    chunks: dict[tuple[str, str], list[Any]] = {(i, str(n)): [] for i, data in layout.items() for n in data.variables}
    shared = dask.delayed(tuple(inputs), pure=False, traverse=False)
    read = dask.delayed(_read_values, pure=True)
    for block, size in zip(blocks, sizes, strict=True):
        if size:
            values = read(shared, block)
            for (name, key), pieces in chunks.items():
                variable = layout[name][key]
                if "object" in variable.dims:
                    shape = (size, *variable.shape[1:])
                    pieces.append(da.from_delayed(values[name, key], shape, dtype=variable.dtype))
    made = {}
    for name, data in layout.items():
        variables: dict[Any, xr.Variable] = {}
        for label, like in data.variables.items():
            pieces = chunks[name, str(label)]
            if "object" in like.dims:
                nothing = da.zeros((0, *like.shape[1:]), dtype=like.dtype, chunks=-1)
                values = da.concatenate(pieces) if pieces else nothing
                variables[label] = xr.Variable(like.dims, values, like.attrs)
            else:
                variables[label] = like
        coordinates = {key: variables.pop(key) for key in data.coords if key in variables}
        made[name] = xr.Dataset(variables, coordinates, data.attrs)
    ids = made.pop(_IDS)
    return made, ids


def _sizes(inputs: Sequence[BoundInput], blocks: Sequence[Block], cluster: Cluster) -> list[int]:
    if len(inputs) == 1 and inputs[0].takes_all_rows:
        return [block.rows for block in blocks]
    sizes: dict[int, int] = {}

    def begin(block: Block) -> tuple[Any, ...]:
        return count_aligned, tuple(inputs), block

    for block, size in each_outcome(cluster, begin, blocks, lambda: AHEAD * cluster.threads):
        if isinstance(size, WorkerLost):
            raise ClusterError(
                f"workers die while block {block.index} is counted", hint="Give the workers more memory."
            )
        sizes[block.index] = size
    return [sizes[block.index] for block in blocks]


def _read_values(inputs: Sequence[BoundInput], block: Block) -> dict[tuple[str, str], np.ndarray[Any, Any]]:
    aligned: Aligned = read_aligned(inputs, block)
    datasets: Mapping[str, Any] = {**aligned.inputs, _IDS: aligned.ids}
    return {
        (name, str(key)): np.asarray(v.values) for name, data in datasets.items() for key, v in data.variables.items()
    }


def _finished(part: "xr.Dataset", ids: "xr.Dataset", name: str) -> "xr.Dataset":
    """Return a part of the result ready to be written: with ids when it speaks of each object, tables computed."""
    rows = part.sizes.get("object")
    if rows is not None and "object_id" in ids and "object_id" not in part.variables:
        if rows != ids.sizes["object"]:
            raise ResultRefusedError(
                f"the result{f' (part {name!r})' if name else ''} has {rows} objects",
                expected=f"the {ids.sizes['object']} that the analysis was given, or object_id with them",
                hint="Return every object, or say which ones by a variable object_id.",
            )
        own = {key: part[key] for key in part.variables if key not in ids.variables}
        part = ids.assign(own).assign_attrs(part.attrs)
    scalars = [key for key, variable in part.coords.items() if not variable.dims]
    part = part.drop_vars(scalars)
    return part.compute() if is_flat(part) or part.nbytes <= _FITS else part


@contextmanager
def _scheduler(cluster: Cluster) -> Iterator[None]:
    """Let whatever the analysis computes run on the cluster's workers."""
    import dask

    if cluster.client is None:
        with dask.config.set(scheduler="synchronous"):
            yield
        return
    with cluster.client.as_current(), dask.config.set(scheduler="dask.distributed"):
        yield
