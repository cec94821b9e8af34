"""What a worker does: blocks read, computed, checked and written, and a small outcome to tell of each.

One task takes on a stretch of blocks. While one is computed, the next is read and the one before it is written: an
analysis waits for the store only at the beginning of a stretch.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.compute.border_caveats import some_values
from hven.compute.earlier import Found
from hven.compute.footprint import NOWHERE, footprint
from hven.compute.isolating import is_of_objects, isolate, joined_parts, rows_of, some_of, without
from hven.compute.memory import forget_peak, held_to, memory_now, peak_memory
from hven.compute.reading import Aligned, read_aligned
from hven.compute.results import is_flat, parts_of, with_axes, with_ids
from hven.compute.row_hashes import row_hashes
from hven.compute.task import BlockTask, Outcome, Place, digest_of, failure_of, faults_of, keeps_inputs, unpacked
from hven.lake import INPUT, Block, StagedArrays, WrittenPart
from hven.plugins import call
from hven.schema import Schema, dataset_to_frame

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr
    from numpy.typing import NDArray

_warm: set[bool] = set()
"""Not empty once this process has begun a block."""


def compute_stretch(task: bytes, blocks: Sequence[tuple[Block, Place]]) -> list[Outcome]:
    """Return the outcomes of some blocks, in their order; whatever an analysis raises becomes part of its block's.

    At most three blocks are in memory at once, each in another state: read, computed, written.

    Parameters
    ----------
    task
        A pickled `BlockTask`.
    blocks
        Of the first input, each with where its result goes.
    """
    forget_peak()
    idle = memory_now() if _warm else 0
    _warm.add(True)
    known = unpacked(task)
    passages = [_Passage(known, block, place) for block, place in blocks]
    if len(passages) == 1:
        _one_by_one(passages[0])
    else:
        _side_by_side(passages)
    peak = peak_memory()
    return [
        replace(one.outcome, seconds=round(one.seconds, 6), idle=idle, peak=peak, sample=one.sample) for one in passages
    ]


def _one_by_one(passage: "_Passage") -> None:
    began = time.perf_counter()
    # Several are at work only where there is room for all. Beside others, a limit would hit any of them.
    passage.limit = passage.task.memory
    for step in (passage.read, passage.compute, passage.write):
        step()
    passage.seconds = time.perf_counter() - began


def _side_by_side(passages: "Sequence[_Passage]") -> None:
    began = time.perf_counter()
    # A thread reads, another writes; the analysis is called where it always is: in the thread of the task.
    with ThreadPoolExecutor(2, "hven-beside") as beside:
        reading: Future[None] = beside.submit(passages[0].read)
        writing: Future[None] | None = None
        for number, this in enumerate(passages):
            reading.result()
            if number + 1 < len(passages):
                reading = beside.submit(passages[number + 1].read)
            this.compute()
            if writing is not None:
                writing.result()
            writing = beside.submit(this.write)
            began, before = time.perf_counter(), began
            this.seconds = began - before


def _contained(step: "Callable[[_Passage], None]") -> "Callable[[_Passage], None]":
    """Return a step that is left out when the block has its outcome already, and whose failure is that outcome."""

    def contained(self: "_Passage") -> None:
        if self.has_ended:
            return
        try:
            step(self)
        except Exception as error:  # noqa: BLE001 - the border at which a block's failure is contained, and recorded whole
            failure = failure_of(error, self.block, self.aligned, self.task)
            self.end(Outcome(self.block.index, self.block.key, failure=failure))

    return contained


@dataclass
class _Passage:
    """One block on its way through a worker.

    Attributes
    ----------
    task, block, place
        What is computed of which block, and where that goes.
    aligned, hashes
        Once it is read: its objects, and what tells again what each was made of.
    parts
        Once it is computed: the result by part, as it is declared.
    made
        The result by part, as it is written.
    outcome
        What became of it, complete when it `has_ended`.
    seconds
        What it took of its stretch.
    limit
        Bytes of memory that the process is held to while it is computed; 0 for no limit.
    sample
        Some of the values that were read, when they are to be looked at.
    """

    task: BlockTask
    block: Block
    place: Place
    aligned: Aligned | None = None
    hashes: "NDArray[np.int64] | None" = None
    parts: "Mapping[str, xr.Dataset]" = field(default_factory=dict)
    made: "Mapping[str, xr.Dataset | pl.DataFrame]" = field(default_factory=dict)
    outcome: Outcome = field(init=False)
    has_ended: bool = False
    seconds: float = 0.0
    limit: int = 0
    sample: "Mapping[str, NDArray[np.float64]]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.block.index, self.block.key)

    def end(self, outcome: Outcome) -> None:
        """Keep the outcome, and let go of the data."""
        self.outcome, self.has_ended = outcome, True
        self.aligned, self.hashes, self.parts, self.made = None, None, {}, {}

    @_contained
    def read(self) -> None:
        """Read the block, and see whether its objects have a result already."""
        task = self.task
        self.aligned = aligned = read_aligned(task.by_object, self.block)
        if aligned.rows == 0:
            self.end(self.outcome)
            return
        sampled, most = task.sampled
        if self.block.index in sampled:
            self.sample = some_values(aligned.inputs, aligned.rows, most)
        digest = digest_of({**aligned.inputs, "": aligned.ids}, task.whole_digest)
        self.outcome = replace(self.outcome, rows_in=aligned.rows, rows_out=aligned.rows, digest=digest)
        if keeps_inputs(task.by_object[0]):
            self.hashes = row_hashes(aligned.inputs, aligned.rows, task.whole_digest)
        if task.earlier is None or "object_id" not in aligned.ids:
            return
        line = task.earlier.line_of(digest)
        if line is not None:
            self.end(replace(self.outcome, how="kept", line=line, known=aligned.rows))
        elif self.hashes is not None:
            found = task.earlier.find(np.asarray(aligned.ids["object_id"].values), _reach(aligned))
            self.outcome = replace(self.outcome, known=found.count)
            if found.have(self.hashes):
                self._move(found)

    @_contained
    def compute(self) -> None:
        """Call the analysis, unless the objects' results are moved; objects that make it raise are set aside."""
        if self.aligned is None or self.made:
            return
        try:
            self.parts = self._result(self.aligned.inputs)
        except Exception as error:
            if self.aligned.rows < 2 or not is_of_objects(error):
                raise
            self._set_aside(self.aligned, error)
        else:
            self.aligned = replace(self.aligned, inputs={})

    def _result(self, inputs: "Mapping[str, xr.Dataset]") -> "dict[str, xr.Dataset]":
        data = {**inputs, **self.task.whole}
        with held_to(self.limit):
            result = call(self.task.analysis, data, self.task.parameters)
        parts = parts_of(self.task.analysis, result, data)
        return {name: part.load(scheduler="synchronous") for name, part in parts.items()}

    def _set_aside(self, aligned: Aligned, error: Exception) -> None:
        """Compute the objects that have a result, and keep the errors of those that have none.

        Raises
        ------
        Exception
            The error itself, when no object has a result.
        """

        def attempt(start: int, stop: int) -> "dict[str, xr.Dataset]":
            return self._result(some_of(aligned, start, stop))

        found = isolate(attempt, aligned.rows, error)
        if not found.made:
            raise error
        rows = rows_of(found.made)
        self.parts = joined_parts(found.made)
        self.aligned = without(aligned, rows)
        self.hashes = None if self.hashes is None else self.hashes[rows]
        aside = faults_of(found.faults, self.block, aligned, self.task)
        digest = "" if aside else self.outcome.digest
        self.outcome = replace(self.outcome, rows_in=len(rows), rows_out=len(rows), digest=digest, aside=aside)

    @_contained
    def write(self) -> None:
        """Make the parts of the result ready, and write them with what each object's was made of."""
        import polars as pl

        if self.aligned is None:
            return
        if self.parts and not self._made_ready(self.aligned):
            self.end(Outcome(self.block.index, self.block.key, needs_arrays=True))
            return
        written: dict[str, WrittenPart] = {}
        forks: dict[str, Any] = {}
        for name, part in self.made.items():
            staged: Any = self.place.staged[name]
            if isinstance(part, pl.DataFrame):
                frame = part if self.hashes is None else part.with_columns(pl.Series(INPUT, self.hashes))
                written[name] = staged.write(self.place.segment, self.place.key, frame)
            else:
                data = part if self.hashes is None else part.assign({INPUT: ("object", self.hashes)})
                forks[name] = staged.write(self.place.forks[name], self.place.segment, data)
        pixels = self.aligned.ids.variables.get("_healpix_29")
        cells = footprint(np.asarray(pixels.values)) if pixels is not None else NOWHERE
        group = self.place.segment if forks else ""
        self.end(replace(self.outcome, written=written, forks=forks, group=group, footprint=cells))

    def _made_ready(self, aligned: Aligned) -> bool:
        """Give the parts of the result their ids and the form in which they rest; false if that is not a table's."""
        parts = {name: with_ids(part, aligned, name) for name, part in self.parts.items()}
        if not self.place.forks and not all(map(is_flat, parts.values())):
            return False
        schemas: dict[str, str] = {}
        made: dict[str, xr.Dataset | pl.DataFrame] = {}
        for name, part in parts.items():
            schema = Schema.of_dataset(part)
            if isinstance(self.place.staged[name], StagedArrays):
                schemas[name], made[name] = with_axes(schema, part), part
            else:
                made[name] = frame = dataset_to_frame(part)
                schemas[name] = with_axes(Schema.of_frame(frame, schema), None)
        self.made, self.outcome = made, replace(self.outcome, schemas=schemas)
        return True

    def _move(self, found: Found) -> None:
        """Take over the results that all objects of the block have already, of the same inputs."""
        sources = found.earlier.sources
        self.made = {name: found.table(name) if s.is_table else found.arrays(name) for name, s in sources.items()}
        moved: dict[str, Any] = {n: None if sources[n].is_table else made for n, made in self.made.items()}
        schemas = {name: with_axes(source.schema, moved[name]) for name, source in sources.items()}
        self.outcome = replace(self.outcome, how="moved", known=self.outcome.rows_in, schemas=schemas)


def _reach(aligned: Aligned) -> tuple[int, int] | None:
    """Return the first and last ``_healpix_29`` of objects, when all have one."""
    if "_healpix_29" not in aligned.ids or "_healpix_29_valid" in aligned.ids:
        return None
    pixels = np.asarray(aligned.ids["_healpix_29"].values)
    return int(pixels.min()), int(pixels.max())
