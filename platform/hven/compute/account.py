"""The account of a run: how it stands, told in objects; what was set aside, why, and what there is to do."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hven.compute.journal import Journal
    from hven.compute.records import Run
    from hven.compute.task import Failure

_SHOWN = 20
"""Reasons that an account tells one by one."""

NAMED = 100
"""Objects that an account names one by one for each reason."""


@dataclass(frozen=True)
class SetAside:
    """Objects that are missing from a result, for one reason.

    Attributes
    ----------
    reason, code, cause
        The error, its code, and its kind: ``data``, ``store``, ``memory`` or ``worker``.
    objects, blocks
        How many.
    ranges
        First and last ``object_id`` of each block, None where they never came to be known.
    tries
        How many times a block was tried at most.
    named
        ``object_id`` and ``source_id`` of objects that were found to be the culprits, the first ones.
    """

    reason: str
    code: str
    cause: str
    objects: int
    blocks: tuple[int, ...]
    ranges: tuple[tuple[int | None, int | None], ...]
    tries: int
    named: tuple[tuple[int, int | str | None], ...] = ()


@dataclass(frozen=True)
class Account:
    """How a run stands.

    Attributes
    ----------
    run, state
        Which run, and its state.
    told
        The state in one sentence, in terms of objects.
    cause
        Why it is not complete: the error, who cancelled it, or what died; empty when it is.
    next_step
        What to do about it; empty when there is nothing to do.
    objects
        ``of`` how many there are, ``done``, ``set_aside`` and ``left``; of these a condition may leave out some.
    set_aside
        Why objects were set aside, the most of them first.
    blocks
        Counts of blocks, as the record has them.
    tries
        How often blocks were tried again, by cause.
    workers_lost
        How many workers died.
    attempts
        How often the run was begun or gone on with.
    began, ended, seconds, work
        When, how long all attempts took together, and the seconds of work on the workers in it.
    by
        The process that is, or was, at work on it.
    report, record, log
        Where they are; `report` is empty when none was written.
    """

    run: str
    state: str
    told: str
    cause: str
    next_step: str
    objects: Mapping[str, int]
    set_aside: tuple[SetAside, ...]
    blocks: Mapping[str, int]
    tries: Mapping[str, int]
    workers_lost: int
    attempts: int
    began: str
    ended: str
    seconds: float
    work: float
    by: str
    report: str
    record: str
    log: str

    def to_json(self) -> dict[str, Any]:
        """Return the account as plain values, for ``--json``."""
        return asdict(self)


def account_of(run: "Run") -> Account:
    """Return how a run stands. Of one that has not ended well the journal is read, which knows best.

    Examples
    --------
    >>> account_of(hven.open_run(lake, "3f2a")).told  # doctest: +SKIP
    'partial: 39,980 of 40,226 objects; 246 set aside: a metallicity of 3.2 cannot be'
    """
    from hven.compute.work import open_journal

    record = run.record
    objects, blocks = _objects(record), run.blocks
    aside: tuple[SetAside, ...] = ()
    if not run.is_complete and record["analysis"]["per_object"]:
        journal = open_journal(run)
        objects = objects_of(record.get("candidates", 0), journal, record.get("stayed", 0))
        aside = _set_aside(journal)
        if run.state in {"running", "interrupted"}:
            blocks |= {"done": max(len(journal.finished) + run.update.get("kept", 0), blocks["done"])}
            blocks |= {"failed": len(journal.failed)}
    error = record.get("error") or {}
    cause = f"[{error['code']}] {error['what']}" if error else _cause(run)
    store = run.lake.store
    return Account(
        run.id,
        run.state,
        _told(run, objects, aside),
        cause,
        _next_step(run, aside),
        objects,
        aside,
        blocks,
        record.get("tries", {}),
        record.get("workers_lost", 0),
        record["attempts"],
        record["created"],
        record["finished"] or "",
        record["seconds"],
        record.get("work", 0.0),
        record.get("by", ""),
        run.report or "",
        store.address(f"{run.folder}/record.json"),
        store.address(f"{run.folder}/log.jsonl"),
    )


def objects_of(of: int, journal: "Journal", stayed: int) -> dict[str, int]:
    """Return how the objects of a run fare.

    Parameters
    ----------
    of
        Objects, before any condition, of all blocks that do not stay as they were.
    journal
        What became of these.
    stayed
        Objects of the blocks that stay.
    """
    done = journal.rows_in + stayed
    aside = sum(_rows(journal, index, failure) for index, failures in journal.failed.items() for failure in failures)
    left = max(of - journal.rows_seen - sum(journal.rows_failed.values()), 0)
    return {"of": done + aside + left, "done": done, "set_aside": aside, "left": left}


def _objects(record: Mapping[str, Any]) -> dict[str, int]:
    rows = record["rows"]["in"]
    return dict(record.get("objects") or {"of": rows, "done": rows, "set_aside": 0, "left": 0})


def _set_aside(journal: "Journal") -> tuple[SetAside, ...]:
    """Return what failed, grouped by the reason; the most objects first."""
    by_reason: dict[tuple[str, str, str], list[tuple[int, Failure]]] = {}
    for index in sorted(journal.failed):
        for failure in journal.failed[index]:
            by_reason.setdefault((failure.error.what, failure.error.code, failure.cause), []).append((index, failure))
    found = [
        SetAside(
            *reason,
            sum(_rows(journal, index, failure) for index, failure in failures),
            tuple(index for index, _ in failures),
            tuple((failure.first, failure.last) for _, failure in failures),
            max(journal.tries.get(index, 1) for index, _ in failures),
            tuple(one for _, failure in failures for one in failure.objects)[:NAMED],
        )
        for reason, failures in by_reason.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.objects))


def _rows(journal: "Journal", index: int, failure: "Failure") -> int:
    """Return how many objects failed so in a block: those that the analysis was given, when that is known."""
    return journal.rows_failed.get(index, 0) if failure.rows is None else failure.rows


def _told(run: "Run", objects: Mapping[str, int], aside: Sequence[SetAside]) -> str:
    """Return the state in one sentence.

    It is the same for all analyses: what is done, what was set aside and why, what is left.
    """
    if not run.record["analysis"]["per_object"]:
        return f"{run.state}: of {objects['of']:,} objects, all at once"
    words = [f"{objects['done']:,} of {objects['of']:,} objects"]
    if objects["set_aside"]:
        reasons = "; ".join(one.reason for one in aside[:_SHOWN]) or "see the failures"
        words.append(f"{objects['set_aside']:,} set aside: {reasons}")
    if objects["left"]:
        words.append(f"{objects['left']:,} left")
    if run.state == "succeeded with caveats":
        words.append(" ".join(run.record.get("said", {})))
    return f"{run.state}: {'; '.join(words)}"


def _cause(run: "Run") -> str:
    record = run.record
    if run.state == "cancelled" and record.get("cancelled"):
        told = record["cancelled"]
        return f"{told.get('signal') or 'cancelled'} at {told['at']}, by {told['by']}"
    if run.state == "interrupted":
        return f"its process {record.get('by', '')} died".replace("  ", " ")
    return ""


def _next_step(run: "Run", aside: Sequence[SetAside]) -> str:
    if run.state in {"cancelled", "interrupted"} or (run.state == "failed" and not aside):
        return f"'hven runs resume {run.id}' goes on with it."
    if aside and run.state in {"partial", "failed"}:
        return f"'hven runs retry {run.id}' tries again what was set aside."
    return ""
