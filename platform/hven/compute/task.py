"""What a worker is told of a block, and what it tells: the task, the outcome, and what a measured block took."""

import hashlib
import json
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.compute.bound import BoundInput
from hven.compute.earlier import Earlier
from hven.compute.footprint import NOWHERE, Footprint
from hven.compute.memory import forget_peak, memory_now, peak_memory
from hven.compute.reading import Aligned, read_aligned, read_whole
from hven.compute.results import parts_of, with_ids
from hven.compute.retrying import Cause, cause_of
from hven.errors import HvenError, RunFailedError, TooLittleMemoryError
from hven.lake import Block, StagedArrays, StagedTable, WrittenPart
from hven.plugins import Analysis, call

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

Staged = StagedTable | StagedArrays

NAMED = 20
"""Objects that are named one by one of those that were set aside for one reason in a block."""


@dataclass(frozen=True)
class BlockTask:
    """Everything a worker needs to compute any block of a run. Travels once as bytes; workers remember it.

    Attributes
    ----------
    analysis, parameters
        What is computed.
    inputs
        All inputs, in the analysis's order.
    earlier
        The result that is brought up to date, when there is one.
    memory
        Bytes that a worker may have in use while it computes; 0 for no limit.
    sampled
        The blocks of which some values are handed over, to be looked at, and how many of each.
    """

    analysis: Analysis
    parameters: Mapping[str, Any]
    inputs: tuple[BoundInput, ...]
    earlier: Earlier | None = None
    memory: int = 0
    sampled: tuple[frozenset[int], int] = (frozenset(), 0)

    @property
    def by_object(self) -> tuple[BoundInput, ...]:
        """The inputs that are read block by block."""
        return tuple(given for given in self.inputs if not given.is_whole)

    @cached_property
    def whole(self) -> "dict[str, xr.Dataset]":
        """The inputs that every block sees whole, read once a worker."""
        return {given.name: read_whole(given) for given in self.inputs if given.is_whole}

    @cached_property
    def whole_digest(self) -> str:
        """SHA-256 of what all blocks share: inputs that they see whole, attributes; empty when there are none."""
        told = digest_of(self.whole) if self.whole else ""
        attributes = {given.name: given.attributes for given in self.inputs if given.attributes}
        if attributes:
            told = hashlib.sha256(f"{told}{json.dumps(attributes, sort_keys=True)}".encode()).hexdigest()
        return told


@dataclass(frozen=True)
class Place:
    """Where the result of one block goes.

    Attributes
    ----------
    staged
        Staged dataset by part of the result.
    segment, key
        The segment that the block's result belongs to, and its place in it; of arrays, `segment` is its own.
    forks
        By part, when arrays are written: what the block writes into.
    """

    staged: Mapping[str, Staged]
    segment: str
    key: str
    forks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Why a block failed.

    Attributes
    ----------
    error
        The error, told in terms of the block and its objects.
    traceback
        Where it was raised, whole.
    first, last
        The ids of the first and last object of the block, when it had come to be known.
    rows
        How many objects the analysis was given, or was to be; None when that is not known.
    cause
        What kind of failure it is: whether trying again is of use depends on that.
    objects
        ``object_id`` and ``source_id`` (None where there is none) of the first objects, when it was found to be theirs.
    """

    error: HvenError
    traceback: str
    first: int | None = None
    last: int | None = None
    rows: int | None = None
    cause: Cause = "data"
    objects: tuple[tuple[int, int | str | None], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of one block. Small.

    Attributes
    ----------
    index, key
        The block.
    rows_in, rows_out
        Objects that the analysis was given, and that its result has.
    digest
        SHA-256 of the arrays that the analysis received.
    how
        ``computed``, ``moved`` (objects that the result had already, of the same inputs) or ``kept`` (files stay).
    line
        Of a block that is kept: its line in the ledger of the result before.
    known
        How many of its objects the result had before; None when nobody looked.
    group
        The segment that arrays were written as.
    seconds
        What it took on the worker.
    idle, peak
        Bytes of memory that the worker had in use before, and at most; 0 when that cannot be known. Before its first
        block, which loads libraries, it is not known.
    written
        The files of tables, by part.
    schemas
        The result's columns as JSON text, by part.
    needs_arrays
        Whether nothing was written because the result is no table.
    footprint
        Where on the sky the result's objects are.
    failure
        Why there is no result.
    aside
        Why objects of the block are not in the result, when others are: by reason.
    tries
        How many times it was tried for this.
    forks
        What arrays were written into, to be merged.
    sample
        Some of the values that were read, when they are to be looked at; no journal keeps them.
    """

    index: int
    key: str
    rows_in: int = 0
    rows_out: int = 0
    digest: str = ""
    how: str = "computed"
    line: int | None = None
    known: int | None = None
    group: str = ""
    seconds: float = 0.0
    idle: int = 0
    peak: int = 0
    written: Mapping[str, WrittenPart] = field(default_factory=dict)
    schemas: Mapping[str, str] = field(default_factory=dict)
    needs_arrays: bool = False
    footprint: Footprint = NOWHERE
    failure: Failure | None = None
    aside: tuple[Failure, ...] = ()
    tries: int = 1
    forks: Mapping[str, Any] = field(default_factory=dict)
    sample: "Mapping[str, NDArray[np.float64]]" = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What one block took.

    Attributes
    ----------
    rows, rows_in
        Objects in the block, and those that the analysis was given.
    seconds
        Time to read and compute it.
    idle, peak
        Bytes of memory in use before, and at most; 0 when the system does not tell.
    bytes_out
        Of the result in memory.
    """

    rows: int
    rows_in: int
    seconds: float
    idle: int
    peak: int
    bytes_out: int


def keeps_inputs(given: BoundInput) -> bool:
    """Return whether results of single objects can be used again: when they have ids, and depend on no neighbours."""
    return "object_id" in given.identity and not given.margin


def pack(task: BlockTask) -> bytes:
    """Return a task as bytes: functions by import path, those of ``__main__`` and notebooks by value."""
    import cloudpickle  # type: ignore[import-untyped]

    return bytes(cloudpickle.dumps(task))


def measure_block(task: bytes, block: Block) -> Measured:
    """Return what one block takes: read and computed as in a run, and nothing of it kept.

    It is computed twice, for the first time loads libraries and compiles.
    """
    _measure(unpacked(task), block)
    return _measure(unpacked(task), block)


def _measure(known: BlockTask, block: Block) -> Measured:
    began = time.perf_counter()
    forget_peak()
    idle = memory_now()
    aligned = read_aligned(known.by_object, block)
    if not aligned.rows:
        return Measured(block.rows, 0, time.perf_counter() - began, idle, peak_memory(), 0)
    data = {**aligned.inputs, **known.whole}
    parts = parts_of(known.analysis, call(known.analysis, data, known.parameters), data)
    made = sum(with_ids(part, aligned, name).nbytes for name, part in parts.items())
    return Measured(block.rows, aligned.rows, time.perf_counter() - began, idle, peak_memory(), made)


def digest_of(inputs: "Mapping[str, xr.Dataset]", whole: str = "") -> str:
    """Return the SHA-256 of the arrays that an analysis receives: names, types, shapes and values."""
    digest = hashlib.sha256(whole.encode())
    for name, data in sorted(inputs.items()):
        for key in sorted(map(str, data.variables)):
            variable = data[key].variable
            values = np.asarray(variable.values)
            digest.update(f"{name}/{key} {variable.dims} {values.shape} {values.dtype.str}\n".encode())
            if values.dtype.kind in "TO":
                digest.update(json.dumps(values.ravel().tolist()).encode())
            else:
                digest.update(np.ascontiguousarray(values).view(np.uint8).data)
    return digest.hexdigest()


def failure_of(error: Exception, block: Block, aligned: Aligned | None, task: BlockTask) -> Failure:
    """Return what is recorded of an error: told in terms of the block, and of its objects when they were read."""
    first, last, cause = None, None, cause_of(error)
    objects = f"rows {block.start:,} to {block.stop - 1:,} of {block.part.path}"
    if aligned is not None and aligned.rows and "object_id" in aligned.ids:
        ids = aligned.ids["object_id"].values
        first, last = int(ids[0]), int(ids[-1])
        objects = f"{aligned.rows:,} objects, object_id {first} to {last}" if first != last else f"object_id {first}"
        if first == last and "source_id" in aligned.ids:
            objects += f", source_id {aligned.ids['source_id'].values[0]}"
    where = f"block {block.index}: {objects}"
    if isinstance(error, HvenError):
        told: HvenError = type(error)(
            error.what, where="; ".join(filter(None, (error.where, where))), expected=error.expected, hint=error.hint
        )
    elif cause == "memory" and task.memory:
        told = TooLittleMemoryError(
            f"analysis {task.analysis.name!r} had {peak_memory() / 1e6:,.0f} MB of memory in use and asked for more "
            f"than the {task.memory / 1e6:,.0f} MB that a worker may have: {error}",
            where=where,
            hint="Use smaller blocks (block_rows), fewer workers on the same machine, or workers with more memory.",
        )
    else:
        what = f"analysis {task.analysis.name!r} raised {type(error).__name__}: {error}"
        hint = "The traceback is in the run's record. Correct the analysis, or leave these objects out with where."
        told = RunFailedError(what, where=where, hint=hint)
    rows = aligned.rows if aligned is not None else None
    return Failure(told, "".join(traceback.format_exception(error)), first, last, rows, cause)


def faults_of(
    faults: Sequence[tuple[int, int, Exception]], block: Block, aligned: Aligned, task: BlockTask
) -> tuple[Failure, ...]:
    """Return what is recorded of objects that make an analysis raise, by reason.

    Parameters
    ----------
    faults
        First and last (exclusive) row among the objects, and the error, of each range that raises.
    block, aligned, task
        Whose objects they are.
    """
    by_reason: dict[str, list[tuple[int, int, Exception]]] = {}
    for fault in faults:
        by_reason.setdefault(f"{type(fault[2]).__name__}: {fault[2]}", []).append(fault)
    failures = []
    for ranges in by_reason.values():
        rows = np.concatenate([np.arange(start, stop) for start, stop, _ in ranges])
        theirs = replace(aligned, inputs={}, ids=aligned.ids.isel(object=rows), rows=len(rows), margin=0)
        failure = failure_of(ranges[0][2], block, theirs, task)
        failures.append(replace(failure, objects=tuple(_named(theirs.ids))))
    return tuple(failures)


def _named(ids: "xr.Dataset") -> Iterator[tuple[int, int | str | None]]:
    """Give ``object_id`` and ``source_id`` of the first objects."""
    if "object_id" not in ids:
        return
    sources = ids["source_id"].values.tolist() if "source_id" in ids else repeat(None)
    yield from islice(zip(ids["object_id"].values.tolist(), sources, strict=False), NAMED)


@lru_cache(maxsize=8)
def unpacked(task: bytes) -> BlockTask:
    """Return a task that `pack` packed; workers remember the last ones."""
    import cloudpickle

    known: BlockTask = cloudpickle.loads(task)
    return known
