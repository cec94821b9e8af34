"""How a per-object analysis is computed: block by block through a rolling window, each noted when it is finished."""

import json
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

from hven.catalog import Pin
from hven.compute.border_caveats import SAMPLED, sampled_blocks
from hven.compute.clusters import Cluster
from hven.compute.cutting import Cutting
from hven.compute.earlier import Earlier
from hven.compute.journal import Journal
from hven.compute.pace import Pace
from hven.compute.request import Request
from hven.compute.results import axes_in
from hven.compute.retrying import RULES, Cause, compute_patiently, is_tried_alone
from hven.compute.task import BlockTask, Failure, Outcome, Place, Staged, pack
from hven.compute.window import WorkerLost, each_outcome
from hven.errors import HvenError, ResultRefusedError, RunFailedError
from hven.lake import Block, Source, StagedArrays, StagedTable
from hven.lake.axes import Axes, defining, difference, other_attribute
from hven.lake.store import Store
from hven.schema import Schema

_ROUND = 4
"""Blocks of arrays for each worker between two commits."""

_HELD = 0.9
"""The part of a worker's memory that it is held to: at 95 % Dask kills it."""

_IN_WORDS = {"dtype": "of type", "dims": "over", "unit": "in", "ucd": "of UCD", "description": ""}

_ALIKE = "Let the analysis return the same variables and types for any objects, or give it another version."
_SAY_IT = (
    "An attribute holds for all objects: make it a variable over 'object', say it by the attribute 'caveats', "
    "or leave it out."
)

_AHEAD = 3
"""Tasks on their way for each that runs: enough that no worker waits, though they are handed over a few at once."""


@dataclass
class BlockWork:
    """The work on the blocks of one run.

    Attributes
    ----------
    request, cluster, journal
        What is asked, who works, and what is known of finished blocks.
    places
        Folder of each dataset that is made, by part of the result.
    tell
        Called with each block and its outcome, once the journal has it.
    again
        Called with each block that is tried again, or was, and what came of it before.
    earlier
        What of the result that is brought up to date may be used again.
    pins, before
        Where that result is, by part, and the result itself; empty when there is none.
    cutting
        Cuts blocks that do not fit into the workers.
    """

    request: Request
    cluster: Cluster
    journal: Journal
    places: Mapping[str, str]
    cutting: Cutting
    tell: Callable[[Block, Outcome], None]
    again: Callable[[Block, Outcome], None]
    earlier: Earlier | None = None
    pins: Mapping[str, Pin] = field(default_factory=dict)
    before: Mapping[str, Source] = field(default_factory=dict)
    _task: bytes = b""

    def compute(self, todo: Sequence[Block]) -> dict[str, Staged]:
        """Compute the blocks that are to do, and return where the results of all of them are, by part."""
        request = self.request
        # This very process is no worker; and a driver of GPUs may reserve what it never uses.
        is_held = self.cluster.client is not None and self.cluster.kind != "cuda"
        memory = int(_HELD * self.cluster.memory) if is_held else 0
        chosen = sampled_blocks(todo)
        sampled = (chosen, -(-SAMPLED // max(len(chosen), 1)))
        task = BlockTask(request.analysis, request.parameters, request.inputs, self.earlier, memory, sampled)
        self._task = pack(task)
        tables = {part: StagedTable(self._store, f"{place}/table") for part, place in self.places.items()}
        if not self.journal.snapshots and not any(pin.engine == "icechunk" for pin in self.pins.values()):
            todo = self._as_tables(tables, todo)
            if not todo:
                return dict(tables)
        return dict(self._as_arrays(todo))

    @property
    def _store(self) -> Store:
        return self.request.lake.store

    def _as_tables(self, staged: Mapping[str, Staged], todo: Sequence[Block]) -> list[Block]:
        """Compute blocks into files of tables, and return those that turn out to need arrays: all, or none."""
        waiting, arrays, suspects = deque(todo), list[Block](), list[Block]()
        pace = Pace(self.cluster, self.journal)

        def begin(stretch: Sequence[Block]) -> tuple[object, ...]:
            places = [(block, Place(staged, *place_of(block))) for block in stretch]
            return compute_patiently, self._task, places, RULES["store"]

        def ahead() -> int:
            # Until one block has shown what the result is like, none is computed in vain but those that run.
            return (_AHEAD if self.journal.schemas else 1) * self.cluster.threads

        def stretches() -> Iterator[list[Block]]:
            while waiting and not arrays:
                if self.cutting.is_too_large(waiting[0]) and (halves := self.cutting.halves(waiting[0])):
                    waiting.popleft()
                    waiting.extendleft(reversed(halves))
                    continue
                yield [waiting.popleft() for _ in range(pace.blocks(len(waiting)))]

        while waiting and not arrays:
            for stretch, outcomes in each_outcome(self.cluster, begin, stretches(), ahead):
                if isinstance(outcomes, WorkerLost):
                    suspects += self._put_off(stretch)
                    continue
                for block, outcome in zip(stretch, outcomes, strict=True):
                    pace.note(outcome)
                    if halves := self._halves(block, outcome):
                        waiting.extendleft(reversed(halves))
                    elif is_tried_alone(outcome):
                        suspects += self._put_off([block], outcome)
                    elif arrays or (outcome.needs_arrays and not self.journal.schemas):
                        arrays.append(block)
                    else:
                        self._take(block, outcome)
        while suspects and not arrays:
            alone, suspects = [[block] for block in suspects], []
            for (block,), outcomes in each_outcome(self.cluster, begin, alone, lambda: 1):
                outcome = self._last(block, outcomes)
                if halves := self._halves(block, outcome):
                    suspects += halves
                else:
                    self._take(block, outcome)
        return sorted([*arrays, *suspects, *waiting] if arrays else [], key=lambda block: block.index)

    def _as_arrays(self, todo: Sequence[Block]) -> dict[str, StagedArrays]:
        """Compute blocks into arrays, in rounds: hand out forks, merge what comes back, commit, note it."""
        staged: dict[str, StagedArrays] = {}
        for part, place in self.places.items():
            # A repository that was begun and never committed to is not gone on with: it may be half made.
            fresh = f"{place.rsplit('/', 1)[0]}/{uuid.uuid4().hex[:12]}/arrays"
            pin = self.pins.get(part)
            begun = (pin.path, str(pin.version)) if pin is not None else (fresh, "")
            path, snapshot = self.journal.snapshots.get(part, begun)
            staged[part] = StagedArrays(self._store, path, f"run-{uuid.uuid4().hex}")
            staged[part].begin(snapshot)
        waiting, suspects, size = deque(todo), list[Block](), _ROUND * self.cluster.threads
        while waiting:
            suspects += self._round(staged, [waiting.popleft() for _ in range(min(size, len(waiting)))], size)
        while suspects:
            suspects = [left for block in suspects for left in self._round(staged, [block], 1, is_last=True)]
        return staged

    def _round(
        self, staged: Mapping[str, StagedArrays], blocks: Sequence[Block], size: int, *, is_last: bool = False
    ) -> list[Block]:
        """Compute some blocks into arrays and commit them; return those to be tried alone, or in pieces."""
        suspects: list[Block] = []
        ended: list[tuple[Block, Outcome]] = []
        with ExitStack() as stack:
            sessions = {part: stack.enter_context(target.session()) for part, target in staged.items()}

            def begin(block: Block) -> tuple[object, ...]:
                forks = {part: session.fork() for part, session in sessions.items()}
                segment, key = place_of(block)
                name = f"{segment}.{key.removeprefix('part-')}-{uuid.uuid4().hex[:8]}"
                return compute_patiently, self._task, [(block, Place(staged, name, key, forks))], RULES["store"]

            for block, outcomes in each_outcome(self.cluster, begin, blocks, lambda: size):
                if is_last:
                    outcome = self._last(block, outcomes)
                    halves = self._halves(block, outcome)
                    suspects += halves
                    ended += [] if halves else [(block, self._checked(outcome))]
                elif isinstance(outcomes, WorkerLost):
                    suspects += self._put_off([block])
                elif is_tried_alone(outcomes[0]):
                    suspects += self._put_off([block], outcomes[0])
                else:
                    ended.append((block, self._checked(outcomes[0])))
            snapshots = {}
            for part, target in staged.items():
                forks = [outcome.forks[part] for _, outcome in ended if outcome.forks]
                message = f"blocks {', '.join(str(block.index) for block, _ in ended)}"
                snapshots[part] = (target.path, target.commit(sessions[part], forks, message))
        for block, outcome in ended:
            self.journal.add(outcome, block.rows)
        self.journal.flush(snapshots)
        for block, outcome in ended:
            self._tell(block, outcome)
        return suspects

    def _axes(self, part: str) -> Axes:
        """Return the axes that a part of the result has: of what stays of the result before, or of the first block."""
        before = self.before.get(part)
        is_kept = before is not None and not before.is_table and before.parts
        return before.axes() if before is not None and is_kept else axes_in(self.journal.schemas[part])

    def _put_off(self, blocks: Sequence[Block], outcome: Outcome | None = None) -> Sequence[Block]:
        """Return blocks that are tried again once all others have ended, after telling that."""
        for block in blocks:
            self.again(block, outcome or _killed(block))
        return blocks

    def _halves(self, block: Block, outcome: Outcome) -> list[Block]:
        """Return the blocks that take the place of one that ran out of a worker's memory; none when it did not."""
        self.cutting.note(block, outcome)
        is_short = outcome.failure is not None and outcome.failure.cause == "memory"
        halves = self.cutting.halves(block) if is_short and self.cluster.client is not None else []
        if halves:
            self.again(block, outcome)
        return halves

    def _last(self, block: Block, outcomes: Any) -> Outcome:
        """Return the outcome of a block that was tried alone; there is no further try."""
        if not isinstance(outcomes, WorkerLost):
            outcome: Outcome = outcomes[0]
            return replace(outcome, tries=outcome.tries + 1) if is_tried_alone(outcome) else outcome
        killed = _killed(block)
        source = self.request.by_object[0].first.source
        with suppress(HvenError):
            ids = source.read(block, ["object_id"])["object_id"]
            failure = replace(cast("Failure", killed.failure), first=int(ids[0]), last=int(ids[-1]))
            return replace(killed, failure=failure, tries=RULES["worker"].tries)
        return replace(killed, tries=RULES["worker"].tries)

    def _tell(self, block: Block, outcome: Outcome) -> None:
        if outcome.failure is None and outcome.tries > 1:
            self.again(block, outcome)
        self.tell(block, outcome)

    def _take(self, block: Block, outcome: Outcome) -> None:
        checked = self._checked(outcome)
        self.journal.add(checked, block.rows)
        if self.journal.is_due:
            self.journal.flush()
        self._tell(block, checked)

    def _checked(self, outcome: Outcome) -> Outcome:
        """Return the outcome, as a failure when its result is not like that of the blocks before it."""
        for part, schema in outcome.schemas.items():
            text = self.journal.schemas.setdefault(part, schema)
            if schema == text:
                continue
            known = Schema.from_json(text.encode())
            new = Schema.from_json(schema.encode())
            # What tells only of some blocks holds for none but them.
            own = {key for key in known.attrs if key not in defining(known.attrs)}
            common = {k: value for k, value in known.attrs.items() if k not in own or new.attrs.get(k) == value}
            told = {**json.loads(text), "attrs": common}
            self.journal.schemas[part] = json.dumps(told, sort_keys=True, separators=(",", ":"))
            where = f" in part {part!r}" if part else ""
            if known.columns != new.columns:
                what = f"the result has other columns or types{where}: {_change(known, new)}"
                return _refused(outcome, what)
            other = other_attribute(known.attrs, new.attrs, exact=True)
            if other is not None:
                return _refused(outcome, f"attribute {other[0]!r} of the result{where} {other[1]}", _SAY_IT)
        for part, schema in outcome.schemas.items():
            found = difference(self._axes(part), axes_in(schema), exact=True)
            if found is not None:
                return _refused(outcome, f"{found[0]!r} of the result{f', part {part!r},' if part else ''} {found[1]}")
        if outcome.needs_arrays:
            return _refused(outcome, "the result has variables of more than one dimension")
        return outcome


def place_of(block: Block) -> tuple[str, str]:
    """Return the segment that the result of a block belongs to and its place in it: the order of results is its own.

    It follows from the block alone, so that what is computed later stands where it would have stood before.

    Examples
    --------
    >>> from hven.lake import Part
    >>> part = Part("segment-00000001-1a2b3c4d/part-00002-0123456789ab.parquet", "segment-00000001-1a2b3c4d", 90_000)
    >>> place_of(Block(0, part, 0, 65_536)), place_of(Block(1, part, 65_536, 90_000))
    (('segment-00000001', 'part-00002'), ('segment-00000001', 'part-00002.000065536'))
    """
    segment = "-".join(block.part.segment.split("-")[:2])
    file = block.part.path.rsplit("/", 1)[-1].removesuffix(".parquet")
    key = file.rsplit("-", 1)[0] if "/" in block.part.path else "part-00000"
    # What begins at the first row comes first: '-', which ends the key, is less than '.'.
    return segment, f"{key}.{block.start:09d}" if block.start else key


def _change(known: Schema, new: Schema) -> str:
    """Return the first column in which two results differ, and how."""
    for name in dict.fromkeys((*known.names, *new.names)):
        if name not in new or name not in known:
            return f"{name!r} is {'missing' if name in known else 'new'}"
        one, other = known[name], new[name]
        for key, what in (
            ("dtype", "of type"),
            ("dims", "over"),
            ("unit", "in"),
            ("ucd", "of UCD"),
            ("description", ""),
        ):
            if getattr(one, key) != getattr(other, key):
                told, was = (getattr(c, key) if key != "dims" else f"({', '.join(c.dims)})" for c in (other, one))
                return f"{name!r} is {what} {told!r}, not {was!r}" if what else f"{name!r} is described otherwise"
    return "they are in another order"


def _refused(outcome: Outcome, what: str, hint: str = _ALIKE) -> Outcome:
    error = ResultRefusedError(
        what,
        where=f"block {outcome.index}",
        expected="the same as that of every other block",
        hint=hint,
    )
    return _failed(outcome, error)


def _killed(block: Block) -> Outcome:
    error = RunFailedError(
        "the worker died under this block, twice, the second time with nothing else to do",
        where=f"block {block.index}: rows {block.start:,} to {block.stop - 1:,} of {block.part.path}",
        hint="Most likely it needs more memory than a worker has: use smaller blocks (block_rows) or fewer workers.",
    )
    return _failed(Outcome(block.index, block.key), error, "worker")


def _failed(outcome: Outcome, error: HvenError, cause: Cause = "data") -> Outcome:
    failure = Failure(error, "", rows=outcome.rows_in or None, cause=cause)
    return replace(
        outcome,
        rows_in=0,
        rows_out=0,
        written={},
        schemas={},
        forks={},
        needs_arrays=False,
        group="",
        failure=failure,
        aside=(),
    )
