"""Run records: what is kept of every run under ``runs/<id>/``, and the `Run` that people hold."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from hven.compute.presence import who_is_present
from hven.errors import LakeFormatError, RunNotFoundError, did_you_mean
from hven.lake import DatasetHandle, Lake

if TYPE_CHECKING:
    import xarray as xr

    from hven.compute.account import Account
    from hven.plugins import Analysis

State = Literal["running", "succeeded", "succeeded with caveats", "partial", "failed", "cancelled", "interrupted"]

FORMAT = 1
_ID = re.compile(r"\d{8}T\d{6}-.+-[0-9a-f]{6}(\.\d+)?")
_COUNT = re.compile(r"\.\d+$")
_NEEDED = frozenset({"format", "id", "key", "state", "output", "outputs", "blocks", "analysis"})


@dataclass
class Run:
    """One execution of one analysis: its record, and what listeners and people do with it.

    Attributes
    ----------
    lake
        Where it runs.
    record
        Everything that is kept of it, as plain values (``runs/<id>/record.json``).
    definition
        The analysis itself, when it is at hand.
    progress
        Whether the caller wants to see progress; None for "when there is a terminal".
    open_inputs
        Opens what the analysis was given, when that is at hand.
    was_up_to_date
        Whether it was there already when it was asked for, or left the result before as it was.
    warnings
        What whoever asked for it should know, and the record does not keep.

    Examples
    --------
    >>> run = hven.run(lake, "red_clump_distances", {"stars": "apogee"})  # doctest: +SKIP
    >>> run.state, run.result.table().head()  # doctest: +SKIP
    """

    lake: Lake
    record: dict[str, Any]
    definition: "Analysis | None" = field(default=None, repr=False)
    progress: bool | None = field(default=None, repr=False)
    open_inputs: "Callable[[], dict[str, xr.Dataset]] | None" = field(default=None, repr=False)
    was_up_to_date: bool = field(default=False, repr=False)
    warnings: list[str] = field(default_factory=list, repr=False)
    _view: Lake | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"<hven run {self.id!r}: {self.state}, {self.done} of {self.blocks['total']} blocks>"

    @property
    def id(self) -> str:
        """When it began, what it computes, and the beginning of its key."""
        return str(self.record["id"])

    @property
    def made_by(self) -> str:
        """The id of the run that published its result: its own, unless it left that of another one as it was."""
        return str(self.record.get("confirms") or self.id)

    @property
    def key(self) -> str:
        """The same for runs that compute the same of the same data into the same dataset."""
        return str(self.record["key"])

    @property
    def state(self) -> State:
        """How it stands, or stood when it was opened.

        ``running``; ``succeeded``, or ``succeeded with caveats`` when the analysis has something to say of its result;
        ``partial`` when objects were set aside; ``failed``; ``cancelled`` when somebody stopped it; ``interrupted``
        when its process or its cluster died.
        """
        state: State = self.record["state"]
        return state

    @property
    def is_complete(self) -> bool:
        """Whether the result has every object that it was to have."""
        return self.state in {"succeeded", "succeeded with caveats"}

    @property
    def analysis(self) -> str:
        """The analysis's name."""
        return str(self.record["analysis"]["name"])

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters, defaults included."""
        return dict(self.record["parameters"])

    @property
    def output(self) -> str:
        """The dataset that it makes; those of several parts are called ``<output>.<part>``."""
        return str(self.record["output"])

    @property
    def outputs(self) -> dict[str, str]:
        """Names of the datasets that it makes, by part of the result."""
        return dict(self.record["outputs"])

    @property
    def blocks(self) -> dict[str, int]:
        """Counts: ``total``, ``done``, ``empty``, ``failed``, and ``reused`` (done in an earlier attempt)."""
        return dict(self.record["blocks"])

    @property
    def update(self) -> dict[str, Any]:
        """What an update came to; empty for a result made anew.

        ``before`` is the run whose result was brought up to date; of the blocks with objects, ``kept`` stayed as they
        were, those ``moved`` were copied because their objects had results of the same inputs already, and ``computed``
        is the rest. ``withdrawn`` objects left the result (None when that cannot be told).
        """
        return dict(self.record.get("update") or {})

    @property
    def done(self) -> int:
        """Blocks that need no more work."""
        return self.blocks["done"] + self.blocks["empty"]

    @property
    def rows(self) -> dict[str, int]:
        """Objects: ``in`` were given to the analysis, ``out`` are in the result."""
        return dict(self.record["rows"])

    @property
    def objects(self) -> dict[str, int]:
        """How many objects are ``done``, ``set_aside`` and ``left``, ``of`` all, as last saved (see `account`)."""
        return dict(self.record.get("objects") or {})

    def account(self) -> "Account":
        """Return how the run stands, told in objects: what was set aside and why, what is left, what to do."""
        from hven.compute.account import account_of

        return account_of(self)

    @property
    def failures(self) -> list[dict[str, Any]]:
        """What failed, block by block: objects and error. At most `records.TOLD`; the journal has them all."""
        return list(self.record["failures"])

    @property
    def caveats(self) -> list[str]:
        """What one should know before using the result."""
        return list(self.record["caveats"])

    @property
    def commit(self) -> int | None:
        """The catalog that has the result, when there is one."""
        number = self.record["commit"]
        return None if number is None else int(number)

    @property
    def result(self) -> DatasetHandle:
        """The dataset that it made, as this run published it.

        Raises
        ------
        RunNotFoundError
            If it published nothing, or several parts (see `results`).
        """
        made = self.results
        if len(made) != 1:
            names = ", ".join(handle.name for handle in made.values())
            raise RunNotFoundError(
                f"run {self.id} has {len(made)} results",
                where=self.lake.url,
                hint=f"Take one of them from results: {names}." if made else "Look at its state and failures.",
            )
        return next(iter(made.values()))

    @property
    def results(self) -> dict[str, DatasetHandle]:
        """The datasets that it made by part, as this run published them."""
        if self.commit is None:
            return {}
        if self._view is None or self._view.number != self.commit:
            self._view = self.lake.at(self.commit)
        view = self._view
        return {part: view[name] for part, name in self.outputs.items()}

    @property
    def folder(self) -> str:
        """Where its files are in the lake."""
        return run_folder(self.id)

    @property
    def report(self) -> str | None:
        """Path or URL of its report, when one was written."""
        key = self.record["report"]
        return None if key is None else self.lake.store.address(key)

    @property
    def figures(self) -> dict[str, str]:
        """Paths or URLs of its figures, by name."""
        return {name: self.lake.store.address(key) for name, key in self.record["figures"].items()}

    @cached_property
    def inputs(self) -> "Mapping[str, xr.Dataset]":
        """What the analysis was given, bound and selected; opened when it is first looked at."""
        return _Inputs(self)

    def put(self, name: str, content: bytes) -> str:
        """Write a file beside the record (a figure, a report) and return its key."""
        key = f"{self.folder}/{name}"
        self.lake.store.put(key, content)
        return key

    def caveat(self, text: str) -> None:
        """Add something that one should know before using the result."""
        if text not in self.record["caveats"]:
            self.record["caveats"].append(text)

    def log(self, event: str, **told: Any) -> None:
        """Add a line to the run's log; `save` writes it."""
        self.record.setdefault("log", []).append({"at": now(), "event": event, **told})

    def save(self) -> None:
        """Write record and log."""
        store, told = self.lake.store, {k: v for k, v in self.record.items() if k != "log"}
        store.put(f"{self.folder}/record.json", json.dumps(told, indent=1, ensure_ascii=False).encode())
        lines = (json.dumps(line, ensure_ascii=False) for line in self.record.get("log", ()))
        store.put(f"{self.folder}/log.jsonl", "".join(f"{line}\n" for line in lines).encode())

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values, for ``--json``."""
        return {key: value for key, value in self.record.items() if key != "log"}


class _Inputs(Mapping[str, "xr.Dataset"]):
    """The inputs of a run, by name. To open them, objects are counted: nobody waits for that in vain."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @cached_property
    def _opened(self) -> "Mapping[str, xr.Dataset]":
        if self._run.open_inputs is None:
            raise RunNotFoundError(
                f"the inputs of run {self._run.id} are not at hand",
                where=self._run.lake.url,
                hint="They are while the run is held that hven.run returned; else open the datasets it names.",
            )
        return self._run.open_inputs()

    def __getitem__(self, name: str) -> "xr.Dataset":
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._run.record["inputs"])

    def __len__(self) -> int:
        return len(self._run.record["inputs"])


TOLD = 100
"""How many failed blocks a record tells of."""


def now() -> str:
    """Return the time as records write it: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def run_folder(run_id: str) -> str:
    """Return where a run's files are in its lake.

    Examples
    --------
    >>> run_folder("20261121T034612-gradients-ab12cd")
    'runs/20261121T034612-gradients-ab12cd'
    """
    return f"runs/{run_id}"


def new_run(lake: Lake, key: str, name: str, told: Mapping[str, Any]) -> Run:
    """Begin the record of a new run and return it; its id sorts by time and ends with the beginning of `key`."""
    created = now()
    stem = f"{re.sub('[-:]', '', created)[:15]}-{name}-{key[:6]}"
    record: dict[str, Any] = {
        "format": FORMAT,
        "id": stem,
        "key": key,
        "state": "running",
        "created": created,
        "finished": None,
        **told,
        "attempts": 0,
        "blocks": dict.fromkeys(("total", "done", "empty", "failed", "reused"), 0),
        "rows": {"in": 0, "out": 0},
        "objects": {"of": 0, "done": 0, "set_aside": 0, "left": 0},
        "candidates": 0,
        "tries": {},
        "workers_lost": 0,
        "said": {},
        "seconds": 0.0,
        "failures": [],
        "caveats": [],
        "error": None,
        "commit": None,
        "figures": {},
        "sections": None,
        "report": None,
        "log": [],
    }
    for attempt in range(1, 1000):
        record["id"] = stem if attempt == 1 else f"{stem}.{attempt}"
        try:
            text = json.dumps({k: v for k, v in record.items() if k != "log"}, indent=1, ensure_ascii=False)
            lake.store.create(f"{run_folder(record['id'])}/record.json", text.encode())
        except FileExistsError:
            continue
        return Run(lake, record)
    raise AssertionError("a thousand runs of one key in one second")


def runs(lake: Lake) -> list[Run]:
    """Return the runs of a lake, newest first.

    Examples
    --------
    >>> [run.state for run in runs(lake)]  # doctest: +SKIP
    """
    return list(_readable(lake, _run_ids(lake)))


def unreadable_runs(lake: Lake, known: Collection[str] = ()) -> dict[str, str]:
    """Return run id -> why its record cannot be read; a run that was killed before it had a record is none.

    Those in `known` have been read.

    Examples
    --------
    >>> unreadable_runs(lake)  # doctest: +SKIP
    {}
    """
    found = {}
    for run_id in set(_run_ids(lake)) - set(known):
        try:
            open_run(lake, run_id)
        except RunNotFoundError:
            continue
        except LakeFormatError as error:
            found[run_id] = error.what
    return dict(sorted(found.items(), reverse=True))


def _readable(lake: Lake, ids: Iterable[str]) -> Iterator[Run]:
    """Give the runs whose records can be read: one that is damaged, or was killed before its record, stops nobody."""
    for run_id in ids:
        with suppress(RunNotFoundError, LakeFormatError):
            yield open_run(lake, run_id)


def runs_of(lake: Lake, key: str) -> Iterator[Run]:
    """Give the runs with this key, newest first."""
    # What follows the key is the count of runs of one second; names of outputs may have dots, too.
    fitting = (run_id for run_id in _run_ids(lake) if _COUNT.sub("", run_id).endswith(f"-{key[:6]}"))
    yield from (run for run in _readable(lake, fitting) if run.key == key)


def runs_of_output(lake: Lake, output: str) -> Iterator[Run]:
    """Give the runs that make a dataset of this name, newest first."""
    fitting = (run_id for run_id in _run_ids(lake) if f"-{output}-" in run_id)
    yield from (run for run in _readable(lake, fitting) if run.output == output)


def open_run(lake: Lake, run_id: str) -> Run:
    """Return a run by its id, or by a beginning or end of it that fits one alone.

    Raises
    ------
    RunNotFoundError
        With the nearest ids, when there is none.

    Examples
    --------
    >>> open_run(lake, "20261121T034612-red_clump_distances-ab12cd").state  # doctest: +SKIP
    """
    text = lake.store.get_or_none(f"{run_folder(run_id)}/record.json") if _ID.fullmatch(run_id) else None
    if text is None:
        known = _run_ids(lake)
        fitting = [
            known_id for known_id in known if run_id and (known_id.startswith(run_id) or known_id.endswith(run_id))
        ]
        if len(fitting) == 1 and fitting[0] != run_id:
            return open_run(lake, fitting[0])
        raise RunNotFoundError(
            f"{len(fitting)} runs are meant by {run_id!r}" if len(fitting) > 1 else f"there is no run {run_id!r}",
            where=lake.url,
            hint=did_you_mean(run_id, known, "See which there are with hven.runs(lake) or 'hven runs'."),
        )
    record = _record(text, run_id)
    lines = (lake.store.get_or_none(f"{run_folder(run_id)}/log.jsonl") or b"").splitlines()
    if record["state"] == "running" and not who_is_present(lake.store, run_folder(run_id)):
        # Whoever was at work may have ended it in this very moment.
        record = _record(lake.store.get(f"{run_folder(run_id)}/record.json"), run_id)
        record["state"] = "interrupted" if record["state"] == "running" else record["state"]
    return Run(lake, record | {"log": list(_events(lines))})


def _record(text: bytes, run_id: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
        form, missing = record["format"], _NEEDED - set(record)
    except (ValueError, KeyError, TypeError) as error:
        raise _no_record(run_id) from error
    if form > FORMAT:
        raise LakeFormatError(f"the run's record has format {form}", where=run_id, hint="Install a newer hven.")
    if missing:
        raise _no_record(run_id)
    return dict(record)


def _no_record(run_id: str) -> LakeFormatError:
    return LakeFormatError(
        "this is not the record of a run", where=run_id, hint="Remove its folder, or restore it from a copy."
    )


def _events(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Give the lines of a log; the last one of a process that was killed may be torn."""
    for line in lines:
        with suppress(ValueError):
            yield json.loads(line)


def _run_ids(lake: Lake) -> list[str]:
    """Return the ids of runs, newest first."""
    return sorted((name for name in lake.store.folders("runs") if _ID.fullmatch(name)), reverse=True)
