"""The journal of a run: what became of each block, in small files that are put once and never changed.

A block is finished when the file that says so is stored. Whatever was computed after the last file is computed again.
"""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hven.compute.footprint import NOWHERE, Footprint
from hven.compute.task import Failure, Outcome
from hven.errors import HvenError, RunBusyError
from hven.lake import Block, WrittenPart
from hven.lake.store import Store
from hven.schema import Schema


@dataclass(frozen=True)
class Finished:
    """What a finished block left behind.

    Attributes
    ----------
    index
        The block.
    digest
        Of the arrays that it received.
    rows_in, rows_out
        Objects that it was given, and that it returned.
    written, group
        Files of tables by part, or the segment of arrays.
    line
        Its line in the ledger before, when its files stay.
    footprint
        Where on the sky its objects are.
    aside
        How many objects were set aside.
    """

    index: int
    digest: str
    rows_in: int
    rows_out: int
    written: Mapping[str, WrittenPart]
    group: str
    line: int | None
    footprint: Footprint
    aside: int = 0


@dataclass
class Journal:
    """What is known of the blocks of one run.

    Attributes
    ----------
    store, folder
        Where the files are.
    blocks, seconds
        How many outcomes, and how much time, at most go unwritten.
    finished
        Block index -> its key, for blocks that need no more work.
    failed
        Block index -> why, by reason, of the blocks that failed last time, as a whole or for some of their objects.
    partly
        Block index -> what is kept of the block, of those that failed for some of their objects only.
    schemas
        The result's columns as JSON text by part, as the first block had them.
    snapshots
        Where arrays of finished blocks are, by part: path and snapshot.
    rows_in, rows_out, work
        Objects given and returned, and seconds of work.
    idle, grown, peak
        Bytes of memory that workers had in use between blocks, by how many these grew in any, and how many they were
        at most.
    known
        Objects that had a result before.
    how, hows
        Block index -> ``computed``, ``moved`` or ``kept``, of those with a result; and how many there are of each.
    lines
        Block index -> line of the ledger before, of blocks that were kept.
    rows_seen, rows_failed
        Objects, before any condition, of the blocks that are finished, and of those that failed by block.
    tries
        Block index -> how often it was tried, of the blocks that failed.
    said
        What the analysis says of its results: text -> how many objects it is about.
    cuts
        Which blocks were cut for want of memory, each at which row, in order (see `cutting`).
    """

    store: Store
    folder: str
    blocks: int = 64
    seconds: float = 5.0
    finished: dict[int, str] = field(default_factory=dict)
    failed: dict[int, tuple[Failure, ...]] = field(default_factory=dict)
    partly: dict[int, dict[str, Any]] = field(default_factory=dict)
    schemas: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, tuple[str, str]] = field(default_factory=dict)
    rows_in: int = 0
    rows_out: int = 0
    work: float = 0.0
    idle: int = 0
    grown: int = 0
    peak: int = 0
    known: int = 0
    how: dict[int, str] = field(default_factory=dict)
    hows: Counter[str] = field(default_factory=Counter)
    lines: dict[int, int] = field(default_factory=dict)
    rows_seen: int = 0
    rows_failed: dict[int, int] = field(default_factory=dict)
    tries: dict[int, int] = field(default_factory=dict)
    said: dict[str, int] = field(default_factory=dict)
    cuts: list[tuple[int, int]] = field(default_factory=list)
    _files: int = 0
    _unwritten: list[dict[str, Any]] = field(default_factory=list)
    _written_at: float = field(default_factory=time.monotonic)

    def load(self, places: Mapping[str, str]) -> None:
        """Take in what earlier attempts of the run wrote, as far as it is still there: retention removes what is old.

        Parameters
        ----------
        places
            Folder of each dataset that is made, by part of the result.
        """
        files: dict[str, frozenset[str]] = {}
        arrays: dict[str, bool] = {}
        for entry in self._stored():
            written = entry.get("written", {})
            for part in written:
                if part not in files:
                    files[part] = frozenset(self.store.list(f"{places[part]}/table"))
            if entry.get("how") == "kept":
                self._take(entry)
                continue
            is_there = all(f"{places[part]}/table/{told['path']}" in files[part] for part, told in written.items())
            if entry.get("rows_out") and not written:
                for path, _ in self.snapshots.values():
                    if path not in arrays:
                        arrays[path] = bool(self.store.folders(path))
                is_there = all(arrays[path] for path, _ in self.snapshots.values())
            if is_there:
                self._take(entry)
        if not all(arrays.values()):
            self.snapshots.clear()

    def add(self, outcome: Outcome, rows: int) -> None:
        """Take in the outcome of a block of so many objects; it counts for the next attempt once `flush` has stored it.

        Parameters
        ----------
        outcome
            What became of the block.
        rows
            Its objects, before any condition.
        """
        entry = _to_json(outcome) | ({"of": rows} if rows != outcome.rows_in else {})
        self._take(entry)
        self._unwritten.append(entry)

    def forget(self, index: int) -> None:
        """Take a block for not finished after all: what it stood upon is gone."""
        for known in (self.finished, self.lines):
            known.pop(index, None)
        self.hows[self.how.pop(index, "")] -= 1

    def forget_failures(self) -> None:
        """Take the blocks that failed for blocks that nobody has tried: they are tried again."""
        for index in list(self.partly):
            self._forget_partly(index)
        self.failed.clear()
        self.rows_failed.clear()

    def is_finished(self, block: Block) -> bool:
        """Return whether a block needs no more work."""
        return self.finished.get(block.index) == block.key

    @property
    def is_due(self) -> bool:
        """Whether enough has gathered, or enough time has passed, to store a file."""
        waited = time.monotonic() - self._written_at
        return bool(self._unwritten) and (len(self._unwritten) >= self.blocks or waited >= self.seconds)

    def flush(self, snapshots: Mapping[str, tuple[str, str]] | None = None) -> None:
        """Store what has gathered as one file.

        Parameters
        ----------
        snapshots
            By part of a result of arrays: path and snapshot that now hold every finished block.

        Raises
        ------
        RunBusyError
            If another process writes this journal too.
        """
        self._written_at = time.monotonic()
        if not self._unwritten and not snapshots:
            return
        self.snapshots.update(snapshots or {})
        told = {"blocks": self._unwritten, "schemas": self.schemas, "snapshots": self.snapshots, "cuts": self.cuts}
        key, text = f"{self.folder}/{self._files:08d}.json", json.dumps(told, separators=(",", ":")).encode()
        try:
            self.store.create(key, text)
        except FileExistsError as error:
            # The store may have retried a put whose answer was lost: then what is there is ours.
            if self.store.get(key) != text:
                raise RunBusyError(
                    "another process is at work on this very run",
                    where=self.store.address(key),
                    hint="Wait for it. What it has finished will not be computed again.",
                ) from error
        self._files += 1
        self._unwritten = []

    def results(self) -> "Iterator[Finished]":
        """Give what finished blocks left behind; the last that is given of a block counts.

        Read from the store again, so that nobody has to remember a survey's worth of them while the run goes on.
        """
        for entry in self._stored():
            index = entry["index"]
            kept = self.finished.get(index) or self.partly.get(index, {}).get("key")
            if "failure" not in entry and kept == entry["key"]:
                order, cells = entry.get("footprint", NOWHERE)
                yield Finished(
                    entry["index"],
                    entry.get("digest", ""),
                    entry.get("rows_in", 0),
                    entry.get("rows_out", 0),
                    {part: WrittenPart(**told) for part, told in entry.get("written", {}).items()},
                    entry.get("group", ""),
                    entry.get("line"),
                    (order, tuple(cells)),
                    sum(told["rows"] or 0 for told in entry.get("aside", ())),
                )

    def _stored(self) -> Iterator[dict[str, Any]]:
        keys = [key for key in self.store.list(self.folder) if key.endswith(".json")]
        self._files = 1 + max((int(key.rsplit("/", 1)[1].removesuffix(".json")) for key in keys), default=-1)
        for key in keys:
            told = _checkpoint(self.store.get(key))
            if told is None:
                continue
            self.schemas.update(told["schemas"])
            self.snapshots.update({part: (path, snapshot) for part, (path, snapshot) in told["snapshots"].items()})
            if len(told.get("cuts", ())) > len(self.cuts):
                self.cuts = [(index, row) for index, row in told["cuts"]]
            yield from told["blocks"]

    def _forget_partly(self, index: int) -> None:
        entry = self.partly.pop(index)
        self.failed.pop(index, None)
        self.rows_in -= entry.get("rows_in", 0)
        self.rows_out -= entry.get("rows_out", 0)
        self.rows_seen -= entry.get("of", entry.get("rows_in", 0))
        self.known -= entry.get("known", 0)
        for text in entry.get("said", ()):
            self.said[text] -= entry.get("rows_in", 0)
            if not self.said[text]:
                del self.said[text]
        self.hows[self.how.pop(index, "")] -= 1

    def _take(self, entry: dict[str, Any]) -> None:
        index = int(entry["index"])
        self.work += entry.get("seconds", 0.0)
        if index in self.partly:
            self._forget_partly(index)
        if "failure" in entry:
            self.failed[index] = (_failure(entry["failure"]),)
            self.rows_failed[index] = entry.get("of", 0)
            self.tries[index] = entry["failure"].get("tries", 1)
            return
        self.failed.pop(index, None)
        self.rows_failed.pop(index, None)
        self.rows_seen += entry.get("of", entry.get("rows_in", 0))
        for text in entry.get("said", ()):
            self.said[text] = self.said.get(text, 0) + entry.get("rows_in", 0)
        if "aside" in entry:
            self.failed[index] = tuple(map(_failure, entry["aside"]))
            self.tries[index] = entry["aside"][0].get("tries", 1)
            self.partly[index] = {key: told for key, told in entry.items() if key not in ("written", "schemas")}
        else:
            self.finished[index] = entry["key"]
        self.rows_in += entry.get("rows_in", 0)
        self.rows_out += entry.get("rows_out", 0)
        if entry.get("rows_out"):
            self.hows[self.how.get(index, "")] -= 1
            self.how[index] = entry.get("how", "computed")
            self.hows[self.how[index]] += 1
        if "line" in entry:
            self.lines[index] = entry["line"]
        self.known += entry.get("known", 0)
        self.peak = max(self.peak, entry.get("peak", 0))
        self.idle = max(self.idle, entry.get("idle", 0))
        self.grown = max(self.grown, entry.get("peak", 0) - entry["idle"] if entry.get("idle") else 0)
        for part, schema in entry.pop("schemas", {}).items():
            self.schemas.setdefault(part, schema)


def _to_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain values, what is empty left out."""
    told: dict[str, Any] = {
        "index": outcome.index,
        "key": outcome.key,
        "seconds": outcome.seconds,
        "rows_in": outcome.rows_in,
        "rows_out": outcome.rows_out,
        "digest": outcome.digest,
        "written": {part: asdict(written) for part, written in outcome.written.items()},
        "schemas": dict(outcome.schemas),
    }
    told |= {"line": outcome.line} if outcome.line is not None else {}
    told |= {"how": outcome.how} if outcome.how != "computed" else {}
    told |= {"known": outcome.known, "group": outcome.group, "idle": outcome.idle, "peak": outcome.peak}
    if outcome.footprint[1]:
        told["footprint"] = outcome.footprint
    if any('"caveats"' in schema or '"assumed"' in schema for schema in outcome.schemas.values()):
        told["said"] = caveats_in(Schema.from_json(schema.encode()).attrs for schema in outcome.schemas.values())
    if outcome.failure is not None:
        told["failure"] = _failure_json(outcome.failure, outcome.tries)
    told["aside"] = [_failure_json(failure, outcome.tries) for failure in outcome.aside]
    return {key: value for key, value in told.items() if value or key in ("index", "key", "line")}


def caveats_in(attrs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what an analysis says of its result by the attribute ``caveats`` of what it returns: a text, or several.

    What it had to assume, which the attribute ``assumed`` says unless it is nothing, is one more.

    Examples
    --------
    >>> caveats_in([{"caveats": "Two fits did not converge."}, {"caveats": ["Two fits did not converge.", "Dusty."]}])
    ['Two fits did not converge.', 'Dusty.']
    >>> caveats_in([{"assumed": "no errors in feh"}, {"assumed": "nothing"}])
    ['Assumed: no errors in feh.']
    """
    return list(dict.fromkeys(text for told in attrs for text in _caveats_in(told)))


def _caveats_in(attrs: Mapping[str, Any]) -> Iterator[str]:
    told, assumed = attrs.get("caveats", ()), attrs.get("assumed")
    yield from [told] if isinstance(told, str) else map(str, told)
    if isinstance(assumed, str) and assumed not in ("", "nothing"):
        yield f"Assumed: {assumed.rstrip('.')}."


def _checkpoint(text: bytes) -> dict[str, Any] | None:
    """Return what a file of the journal says; None when it is cut short: its blocks are not finished then."""
    try:
        told = json.loads(text)
    except ValueError:
        return None
    is_whole = isinstance(told, dict) and {"blocks", "schemas", "snapshots"} <= set(told)
    return told if is_whole else None


def _failure_json(failure: Failure, tries: int) -> dict[str, Any]:
    return {
        "error": failure.error.to_json(),
        "traceback": failure.traceback,
        "first": failure.first,
        "last": failure.last,
        "rows": failure.rows,
        "cause": failure.cause,
        "tries": tries,
        "objects": failure.objects,
    }


def _failure(told: Mapping[str, Any]) -> Failure:
    error = told["error"]
    known = {kind.code: kind for kind in _kinds(HvenError)}
    kind = known.get(error["code"], HvenError)
    made = kind(error["what"], where=error["where"], expected=error["expected"], hint=error["hint"])
    told = {"rows": None, "cause": "data", "objects": (), **told}
    objects = tuple((object_id, source_id) for object_id, source_id in told["objects"])
    return Failure(made, told["traceback"], told["first"], told["last"], told["rows"], told["cause"], objects)


def _kinds(kind: type[HvenError]) -> Iterator[type[HvenError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)
