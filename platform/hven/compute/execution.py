"""An execution: one attempt at a run, from its first block to its commit, and what its record says of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from hven.compute.account import objects_of
from hven.compute.blocks import BlockWork
from hven.compute.border_caveats import Sample, border_caveats, few_complete, is_of_missing_errors, is_of_schema
from hven.compute.clusters import Cluster, workers_lost
from hven.compute.confirming import confirm
from hven.compute.cutting import Cutting
from hven.compute.following import RunFollower
from hven.compute.joins import left_out
from hven.compute.journal import caveats_in
from hven.compute.presence import Presence, me
from hven.compute.previous import Previous, earlier_for
from hven.compute.publish import keep_ledger, leaves_all, publish_blocks, publish_datasets
from hven.compute.received import changed_columns, digest_of_all
from hven.compute.records import TOLD, Run, State, now
from hven.compute.staleness import source_warnings
from hven.compute.task import Failure, Outcome, keeps_inputs
from hven.compute.whole import compute_whole
from hven.compute.work import Work
from hven.errors import (
    ClusterError,
    HvenError,
    RunCancelledError,
    RunFailedError,
    TooFewObjectsError,
)
from hven.lake import Block
from hven.methods.progress import followed_by
from hven.plugins import is_other_source, plugins

if TYPE_CHECKING:
    import xarray as xr


class Execution:
    """One attempt at a run."""

    def __init__(self, run: Run, work: Work, cluster: Cluster, todo: Sequence[Block], presence: Presence) -> None:
        self.run, self.work, self.cluster, self.todo, self.presence = run, work, cluster, todo, presence
        self.request, self.journal = work.request, work.journal
        self.stays = _stays(work)
        self.saved = perf_counter()
        self.lost_before = workers_lost(cluster)
        # Those that are on now listen to the end.
        self.listeners, self.deaf = plugins(), set[tuple[str, str]]()
        self.sample = Sample()

    def go(self) -> Run:
        """Compute, publish and record; whatever stops it is recorded before it goes on its way."""
        began = perf_counter()
        self._begin()
        try:
            self.run.record["joins"] = [join.told for join in left_out(self.request.inputs)]
            if self.request.analysis.per_object:
                self._by_blocks()
            else:
                self._as_whole()
        except KeyboardInterrupt as interrupt:
            self._cancel(interrupt, began)
            raise
        except Exception as error:
            failed = _as_failed(error, self.run)
            self.run.record["error"] = failed.to_json() | {"traceback": "".join(format_exception(error))}
            # A cluster that is lost says nothing of the run itself.
            state: State = "interrupted" if isinstance(error, ClusterError) else "failed"
            self.run.log("broken-off", code=failed.code, what=failed.what)
            self._break_off(state, began)
            if failed is error:
                raise
            raise failed from error
        complete: State = "succeeded with caveats" if self.run.caveats else "succeeded"
        self._end("partial" if self.journal.failed else complete, began)
        return self.run

    def _cancel(self, interrupt: KeyboardInterrupt, began: float) -> None:
        """Record who stopped the run, and say how to go on.

        Raises
        ------
        RunCancelledError
            If it was another process that asked.
        """
        by = self.presence.request or {"by": me(), "at": now(), "signal": next(iter(interrupt.args), "SIGINT")}
        self.run.record["cancelled"] = by
        self._break_off("cancelled", began)
        go_on = f"What is finished is kept: run it again to go on, or 'hven runs resume {self.run.id}'."
        if self.presence.request:
            raise RunCancelledError(
                f"run {self.run.id} was cancelled by {by['by']}", where=self.run.lake.url, hint=go_on
            ) from None
        interrupt.add_note(f"Run {self.run.id} is cancelled. {go_on}")

    def _begin(self) -> None:
        record, finished = self.run.record, self.work.count - len(self.todo)
        kept, empty = self.stays["kept"], self.stays["empty"]
        reused = finished - kept - empty
        record |= {
            "state": "running",
            "finished": None,
            "error": None,
            "failures": [],
            "caveats": [],
            "cancelled": None,
        }
        record["attempts"] += 1
        record |= {"by": me(), "candidates": self.stays["of"], "said": {}}
        record["cluster"] = self.cluster.to_json()
        counts = {"total": self.work.count, "done": reused + kept, "empty": empty, "failed": 0, "reused": reused}
        record["blocks"] = counts
        self.journal.forget_failures()
        self._count()
        if record["attempts"] > 1:
            self.run.log("resumed", finished=finished, total=self.work.count)
        else:
            self.run.log("started", blocks=self.work.count)
        self.run.save()
        self._hear("hven_run_started")

    def _by_blocks(self) -> None:
        cutting = Cutting(self.journal, self.work.rows, len(self.work.laid))
        places = self.run.record["places"]
        blocks = BlockWork(self.request, self.cluster, self.journal, places, cutting, self._outcome, self._again)
        if self.work.previous is not None:
            blocks.pins = {part: entry.pin for part, entry in self.work.previous.entries.items()}
            blocks.before = self.work.previous.sources
            if self.todo:
                blocks.earlier = earlier_for(self.work.previous, self.run, self.work.kept)
        staged = blocks.compute(self.todo)
        self.journal.flush()
        self._count()
        self._count_withdrawn()
        self.run.record["failures"].sort(key=lambda failure: failure["block"])
        self.presence.close()
        if self.run.record["rows"]["out"] == 0:
            raise _nothing(self.journal.failed, self.work.count, self.run.record["joins"])
        if self.journal.failed:
            count, objects = len(self.journal.failed), self.run.record["objects"]
            self.run.caveat(
                f"{objects['set_aside']:,} of {objects['of']:,} objects are missing from the result: "
                f"{count:,} of {self.work.count:,} blocks failed, as a whole or for some of their objects. "
                f"Try just these again with 'hven runs retry {self.run.id}', or run it again."
            )
        for text, objects in self.journal.said.items():
            self._say(text, objects)
        self._look(self.sample)
        self._note_border()
        if self.work.previous is not None and leaves_all(self.work):
            keep_ledger(self.work, self.run)
            self._leave(self.work.previous)
            return
        self._warn_of_mixture()
        self.run.record["commit"] = publish_blocks(self.work, self.run, staged)

    def _look(self, sample: Sample) -> None:
        """Keep what is wrong with the values that were read."""
        known = self.run.record.get("border", []) if self.run.record["attempts"] > 1 else []
        if self.work.previous is not None:
            known = [*known, *self.work.previous.run.record.get("border", [])]
        known = [text for text in known if not is_of_schema(text)]
        found = border_caveats(self.request.analysis, self.request.inputs, sample, self.request.templates)
        self.run.record["border"] = list(dict.fromkeys([*known, *found]))

    def _note_border(self) -> None:
        """Make caveats of what joins leave out and of what is wrong with the values, but for what the analysis says."""
        for text in self.run.record["joins"]:
            self.run.caveat(text)
        has_said = any(text.startswith("Assumed: no errors") for text in self.run.record["said"])
        for text in self.run.record["border"]:
            if not (has_said and is_of_missing_errors(text)):
                self.run.caveat(text)

    def _warn_of_mixture(self) -> None:
        """Add a caveat when some blocks stay that another source of the analysis made under the same version."""
        previous, kept = self.work.previous, self.run.update.get("kept", 0) + self.run.update.get("moved", 0)
        if previous is None or not kept:
            return
        before, now = (run.record["analysis"].get("fingerprint", "") for run in (previous.run, self.run))
        if is_other_source(before, now):
            self.run.caveat(
                f"{kept:,} blocks stay that another source of the analysis made under the same version: "
                "raise its version= to compute all of them again."
            )

    def _leave(self, previous: Previous) -> None:
        """End without a commit: the result of the run before is what this one would make."""
        record, before = self.run.record, previous.run.record
        for key in ("commit", "figures", "sections", "report"):
            record[key] = before.get(key)
        record["said"] = dict(before.get("said", {}))
        # What joins leave out and what is wrong with the values was looked at anew.
        old = {*before.get("joins", []), *before.get("border", [])}
        for text in before["caveats"]:
            if text not in old:
                self.run.caveat(text)
        self._note_border()
        confirm(self.run, previous.made_by)
        self.run.was_up_to_date = True
        self.run.warnings += source_warnings(self.request.analysis, before["analysis"])
        self.run.log("left-as-it-was", made_by=previous.made_by)

    def _as_whole(self) -> None:
        def counted(rows: int) -> None:
            if self.request.by_object and not rows:
                raise _nothing({}, self.work.count, self.run.record["joins"])
            self.run.record["rows"]["in"] = rows
            self.run.record["objects"] = {"of": rows, "done": 0, "set_aside": 0, "left": rows}
            self.run.save()

        def told(done: int, total: int, text: str) -> None:
            self._hear("hven_run_told", done=done, total=total, text=text)
            self.presence.check()

        found = digest_of_all(self.request, self.cluster)
        received = found.to_json()
        self.run.record["received"] = received
        self._look(found.sample)
        rows = max((found.rows.get(given.name, 0) for given in self.request.by_object), default=0)
        self._check_number(rows, found.sample)
        self.presence.check()
        stands = self.work.standing
        if stands is not None and changed_columns(stands.run.record.get("received"), received) == []:
            before = stands.run.record
            self.run.record |= {"rows": dict(before["rows"]), "objects": dict(before.get("objects", {}))}
            self.run.record["blocks"]["done"] = self.work.count
            self.presence.close()
            self._leave(stands)
            return
        follower = RunFollower(self.run, told)
        with followed_by(follower):
            parts, _ = compute_whole(self.request, self.cluster, counted)
        self.presence.close()
        rows = self.run.record["rows"]["in"]
        self.run.record["objects"] = {"of": rows, "done": rows, "set_aside": 0, "left": 0}
        for text in caveats_in(part.attrs for part in parts.values()):
            self._say(text, rows)
        self._note_border()
        self.run.record["rows"]["out"] = sum(map(_rows, parts.values()))
        self.run.record["blocks"]["done"] = self.work.count
        self.run.record["commit"] = publish_datasets(self.run, self.request, parts)
        follower.forget()

    def _check_number(self, rows: int, sample: Sample) -> None:
        """Refuse fewer objects than the analysis needs; a caveat tells when enough of them lack values."""
        analysis, request = self.request.analysis, self.request
        fewest = analysis.fewest(request.parameters)
        if not request.by_object or not fewest:
            return
        analysis.check_number(rows, request.parameters, " ".join(self.run.record["joins"]))
        text = few_complete(analysis, request.inputs, sample, rows, fewest)
        if text:
            self.run.record["border"].append(text)

    def _outcome(self, block: Block, outcome: Outcome) -> None:
        """Take note of a block that has ended, and tell those who listen."""
        self.sample.add(outcome.sample)
        counts = self.run.record["blocks"]
        failures = outcome.aside if outcome.failure is None else (outcome.failure,)
        if failures:
            counts["failed"] += 1
            for failure in failures:
                told = _failure_told(block, outcome, failure)
                if len(self.run.record["failures"]) < TOLD:
                    self.run.record["failures"].append(told)
                self.run.log("objects-set-aside" if outcome.aside else "block-failed", **told)
            self._hear("hven_block_failed", block=block, error=failures[0].error)
        else:
            counts["done" if outcome.rows_out else "empty"] += 1
            self._hear("hven_block_done", block=block)
        self._count()
        if perf_counter() - self.saved > self.journal.seconds:
            self.run.save()
            self.saved = perf_counter()
        self.presence.check()

    def _again(self, block: Block, outcome: Outcome) -> None:
        """Take note of a block that is tried again, or was."""
        cause = outcome.failure.cause if outcome.failure is not None else "store"
        tries = self.run.record["tries"]
        tries[cause] = tries.get(cause, 0) + max(outcome.tries - 1, 1)
        what = outcome.failure.error.what if outcome.failure is not None else "a store did not answer at first"
        self.run.log("tried-again", block=block.index, cause=cause, what=what)

    def _say(self, text: str, objects: int) -> None:
        """Take note of what the analysis says of its result."""
        self.run.record["said"][text] = objects
        self.run.caveat(f"{text} ({objects:,} objects)")

    def _count(self) -> None:
        record, journal, stays = self.run.record, self.journal, self.stays
        record["rows"] = {"in": journal.rows_in + stays["rows_in"], "out": journal.rows_out + stays["rows_out"]}
        record["objects"] = objects_of(self.stays["of"], journal, self.stays["rows_in"])
        record["blocks"]["total"] = self.work.count
        record["work"] = round(journal.work, 3)
        record["stayed"] = stays["rows_in"]
        record["memory"] = {"idle": journal.idle, "grown": journal.grown, "peak": journal.peak}
        if self.work.previous is not None:
            record["update"] = {
                "before": self.work.previous.run.id,
                "kept": stays["kept"] + journal.hows["kept"],
                "moved": journal.hows["moved"],
                "computed": journal.hows["computed"],
                "withdrawn": None,
            }

    def _count_withdrawn(self) -> None:
        """Note how many objects of the result before are not in this one, when every block could tell."""
        previous, given = self.work.previous, self.request.by_object[0]
        if previous is not None and not self.journal.failed and keeps_inputs(given):
            known = self.stays["rows_out"] + self.journal.known
            self.run.record["update"]["withdrawn"] = max(previous.rows - known, 0)

    def _end(self, state: State, began: float) -> None:
        record = self.run.record
        record["workers_lost"] += max(workers_lost(self.cluster) - self.lost_before, 0)
        record["state"], record["finished"] = state, now()
        record["seconds"] = round(record["seconds"] + perf_counter() - began, 3)
        self.run.log(state, seconds=record["seconds"], commit=record["commit"])
        self.run.save()
        self._hear("hven_run_finished")
        self.run.save()

    def _break_off(self, state: State, began: float) -> None:
        """Keep what can be kept: what stopped the run may be the very store that keeps its record."""
        with suppress(HvenError):
            self.journal.flush()
        with suppress(HvenError):
            self._end(state, began)

    def _hear(self, hook: str, **told: Any) -> None:
        for answer in self.listeners.call(hook, run=self.run, **told):
            # Told once: what fails at every block would fill the log.
            if answer.error is not None and (answer.plugin, hook) not in self.deaf:
                self.deaf.add((answer.plugin, hook))
                what = f"{type(answer.error).__name__}: {answer.error}"
                self.run.log("listener-failed", plugin=answer.plugin, hook=hook, what=what)


def _stays(work: Work) -> dict[str, int]:
    """Return how many blocks and objects of the result before stay without a look at the data.

    ``of`` counts the objects of all other blocks, before any condition.
    """
    kept = work.kept[work.kept >= 0]
    of = sum(block.rows for block, line in work.lines if line < 0)
    if work.previous is None or work.previous.ledger is None or not len(kept):
        return dict.fromkeys(("kept", "empty", "rows_in", "rows_out"), 0) | {"of": of}
    lines = work.previous.ledger[kept]
    empty = int((lines["rows_out"] == 0).sum())
    rows = {name: int(lines[name].sum()) for name in ("rows_in", "rows_out")}
    return {"kept": len(kept) - empty, "empty": empty, "of": of, **rows}


def _rows(result: "xr.Dataset") -> int:
    """Return how many things a result tells of: its size along the dimension that most of its variables have."""
    dims = Counter(dim for variable in result.variables.values() for dim in variable.dims)
    return int(result.sizes[dims.most_common(1)[0][0]]) if dims else 1


def _failure_told(block: Block, outcome: Outcome, failure: Failure) -> dict[str, Any]:
    return {
        "block": block.index,
        "rows": block.rows if failure.rows is None else failure.rows,
        "first": failure.first,
        "last": failure.last,
        "cause": failure.cause,
        "tries": outcome.tries,
        **{key: failure.error.to_json()[key] for key in ("code", "what", "where", "hint")},
        "objects": list(failure.objects),
    }


def _nothing(failed: Mapping[int, tuple[Failure, ...]], blocks: int, joins: Sequence[str]) -> HvenError:
    """Return the error of a run without a single object in its result."""
    if not failed:
        return TooFewObjectsError(
            "no object is left by the selection",
            where=" ".join(joins),
            hint="Loosen where and region, or choose other datasets.",
        )
    first = failed[min(failed)][0].error
    told = "the only block" if blocks == 1 else f"{len(failed):,} of {blocks:,} blocks"
    return RunFailedError(f"{told} failed, and there is no result: {first.what}", where=first.where, hint=first.hint)


def _as_failed(error: Exception, run: Run) -> HvenError:
    """Return the error as one of hven's; an analysis's own becomes a `RunFailedError` that says where it came from."""
    if isinstance(error, HvenError):
        return error
    return RunFailedError(
        f"analysis {run.analysis!r} raised {type(error).__name__}: {error}",
        where=f"run {run.id}",
        hint="The traceback is in the run's record. Correct the analysis or its parameters, and run it again.",
    )
