"""What an analysis of everything at once received: a digest of every bound column, of blocks in any order.

Each value is mixed with the id of its object, and the words are added up. So the digest of a column is the sum of those
of its blocks, whichever worker read them: no more than one block of the bound columns is in memory at a time, and
objects that merely moved to other files leave it as it was.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.compute.border_caveats import SAMPLED, Sample, some_values
from hven.compute.bound import BoundInput
from hven.compute.clusters import Cluster
from hven.compute.reading import read_aligned
from hven.compute.request import Request, bytes_of_object
from hven.compute.row_hashes import bytes_of, column_hashes
from hven.compute.window import AHEAD, WorkerLost, each_outcome
from hven.errors import ClusterError
from hven.ingest.object_ids import splitmix64
from hven.lake import Block
from hven.lake.parts import CHUNK

if TYPE_CHECKING:
    import xarray as xr


_IDS = "object_id"
_LARGEST = 8 * 2**30
"""Bytes of bound arrays (spectra, images) up to which they are read for their digest; of more, the version counts."""


@dataclass
class Received:
    """What was received, so far.

    Attributes
    ----------
    rows
        Objects by input.
    columns
        ``input/column`` -> digest, a sum modulo 2^64; of what is too large to be read for it, its version as text.
    sample
        Some of the values.
    """

    rows: dict[str, int] = field(default_factory=dict)
    columns: dict[str, int | str] = field(default_factory=dict)
    sample: Sample = field(default_factory=Sample)

    def add(self, other: "Received") -> None:
        """Take in another part of the data."""
        for name, rows in other.rows.items():
            self.rows[name] = self.rows.get(name, 0) + rows
        for name, values in other.sample.columns.items():
            self.sample.columns.setdefault(name, []).extend(values)
        for name, digest in other.columns.items():
            known = self.columns.get(name, 0)
            whole = isinstance(known, str) or isinstance(digest, str)
            self.columns[name] = digest if whole else (int(known) + int(digest)) % 2**64

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, for the record of a run."""
        told = {name: one if isinstance(one, str) else f"{one:016x}" for name, one in sorted(self.columns.items())}
        return {"rows": dict(self.rows), "columns": told}


def changed_columns(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[str] | None:
    """Return which columns (``input/column``) differ between two records of what was received; None when unknown.

    Examples
    --------
    >>> changed_columns({"columns": {"stars/feh": "00", "stars/age": "11"}}, {"columns": {"stars/feh": "0a"}})
    ['stars/age', 'stars/feh']
    >>> changed_columns(None, {"columns": {}}) is None
    True
    """
    if not before:
        return None
    old, new = before["columns"], now["columns"]
    return [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def digest_of_all(request: Request, cluster: Cluster, largest: int = _LARGEST) -> Received:
    """Return what an analysis of everything at once would receive now; the workers read it, block by block.

    Parameters
    ----------
    request
        What is asked.
    cluster
        Who reads.
    largest
        Bytes of arrays up to which they are read.

    Raises
    ------
    ClusterError
        If workers die over a block.
    """
    received = Received()
    groups: list[tuple[BoundInput, ...]] = [(given,) for given in request.inputs if given.is_whole]
    if request.by_object:
        groups.append(request.by_object)
    for inputs in groups:
        for part in _parts(inputs, request, cluster, largest):
            received.add(part)
    return received


def _parts(inputs: Sequence[BoundInput], request: Request, cluster: Cluster, largest: int) -> Iterator[Received]:
    first = inputs[0]
    source = first.first.source
    if first.binding.columns and "object" not in {d for column in source.schema for d in column.dims}:
        yield _of_arrays(first, largest)
        return
    size = source.rows * bytes_of_object(tuple(inputs), request.templates)
    is_deep = any(leg.deep for given in inputs for leg in given.legs)
    if is_deep and size > largest:
        yield _by_version(inputs)
        inputs = [_flat_only(given) for given in inputs]
    blocks = first.blocks(request.block_rows) if not first.is_whole else source.blocks()

    each = max(SAMPLED // max(len(blocks), 1), 1)

    def begin(block: Block) -> tuple[Any, ...]:
        return digest_block, tuple(inputs), block, each

    for block, part in each_outcome(cluster, begin, blocks, lambda: AHEAD * cluster.threads):
        if isinstance(part, WorkerLost):
            raise ClusterError(f"workers die while block {block.index} is read", hint="Give the workers more memory.")
        yield part


def digest_block(inputs: Sequence[BoundInput], block: Block, sampled: int = 0) -> Received:
    """Return what one block is to an analysis: the sums of its columns, over the selected objects, and some values."""
    aligned = read_aligned(inputs, block)
    if not aligned.rows:
        return Received(dict.fromkeys((given.name for given in inputs), 0))
    ids = aligned.ids.variables.get(_IDS)
    if ids is not None:
        objects = splitmix64(np.asarray(ids.values).astype(np.int64).view(np.uint64))
    else:
        place = int.from_bytes(hashlib.sha256(f"{block.part.path}".encode()).digest()[:8], "little")
        rows = np.arange(block.start, block.start + aligned.rows, dtype=np.uint64)
        objects = splitmix64(rows ^ np.uint64(place))
    columns: dict[str, int | str] = {f"{inputs[0].name}/{_IDS}": int(objects.sum(dtype=np.uint64))}
    for name, data in aligned.inputs.items():
        for key, hashes in column_hashes(name, data, aligned.rows):
            if hashes.ndim:
                columns[f"{name}/{key}"] = int(splitmix64(hashes ^ objects).sum(dtype=np.uint64))
            else:
                columns[f"{name}/{key}"] = f"{int(hashes):016x}"
    sample = Sample()
    if sampled:
        sample.add(some_values(aligned.inputs, aligned.rows, sampled))
    return Received(dict.fromkeys((given.name for given in inputs), aligned.rows), columns, sample)


def _of_arrays(given: BoundInput, largest: int) -> Received:
    """Return the digests of arrays that are not by object (a model, a cube), read chunk by chunk."""
    data = given.binding.apply(given.first.source.open_segment(given.first.source.parts[-1], CHUNK, given.first.deep))
    if data.nbytes > largest:
        return _by_version((given,))
    columns: dict[str, int | str] = {}
    for key, variable in data.variables.items():
        digest = hashlib.sha256(f"{variable.dims} {variable.shape} {variable.dtype.str}".encode())
        for piece in _pieces(variable):
            digest.update(bytes_of(piece.values))
        columns[f"{given.name}/{key}"] = digest.hexdigest()[:16]
    return Received({given.name: 0}, columns)


def _pieces(variable: "xr.Variable") -> Iterator["xr.Variable"]:
    """Give an array in slabs along its first dimension, as it is chunked."""
    chunks = variable.chunks
    if not chunks or not variable.dims:
        yield variable
        return
    start = 0
    for size in chunks[0]:
        yield variable[start : start + size].compute(scheduler="synchronous")
        start += size


def _by_version(inputs: Sequence[BoundInput]) -> Received:
    columns: dict[str, int | str] = {}
    for given in inputs:
        for leg in given.legs:
            pin = leg.source.pin
            columns |= {f"{given.name}/{key}": f"{pin.path}@{pin.version}" for key in leg.deep}
    return Received(columns=columns)


def _flat_only(given: BoundInput) -> BoundInput:
    flat = {name for leg in given.legs for name in leg.flat} | {one.name for one in given.derived}
    columns = {name: bound for name, bound in given.binding.columns.items() if bound.source in flat}
    valid = tuple(name for name in given.binding.valid if name in flat)
    binding = replace(given.binding, columns=columns, valid=valid)
    return replace(given, legs=tuple(replace(leg, deep=()) for leg in given.legs), binding=binding)
