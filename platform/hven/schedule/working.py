"""One firing: begun, run, ended, and recorded whatever happens."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import perf_counter
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from hven.compute.presence import me
from hven.errors import ConflictError, HvenError, RunBusyError, RunCancelledError
from hven.plugins import hookimpl, plugins
from hven.schedule.checking import pipeline_of_schedule, selections_of
from hven.schedule.firing import Firing, begin_firing, end_firing, forget_firing
from hven.schedule.leases import EXPIRY, leased
from hven.schedule.notifying import notify
from hven.schedule.standing import ATTEMPTS, BY_HAND, Standing, changes, standing

if TYPE_CHECKING:
    from hven.compute import Run
    from hven.lake import Lake
    from hven.schedule.rule import Schedule

Listener = Callable[[Firing], None]


@dataclass(frozen=True)
class Turn:
    """A schedule whose turn it is to run, or so it seems.

    Attributes
    ----------
    lake, name, schedule
        What is run.
    now
        When.
    why
        Gives the reason, from where the schedule stands once nobody else can be at work on its result; empty for none.
    how
        Passed on to `hven.run` or `hven.update`.
    term
        Of the lease under which it fires; 0 by hand.
    expiry
        After how many seconds of silence a holder of the result on an object store counts as dead.
    listen
        Is told when the firing begins and when it has ended.
    """

    lake: "Lake"
    name: str
    schedule: "Schedule"
    now: datetime
    why: Callable[[Standing], str]
    how: Mapping[str, Any]
    term: int = 0
    expiry: float = EXPIRY
    listen: Listener = lambda _: None

    def fire(self) -> Firing | None:
        """Run the schedule, record how it went, and return the record; None when there is nothing to do after all.

        When somebody else is at work on the same result, the firing is recorded as skipped.
        """
        try:
            with ExitStack() as held:
                for result in sorted(self.schedule.results):
                    held.enter_context(leased(self.lake, f"result-{result}", expiry=self.expiry))
                at = _settled(self.lake, self._standing())
                reason = self.why(at)
                return self._work(at, reason) if reason else None
        except ConflictError as error:
            at = self._standing()
            reason = self.why(at)
            return None if not reason or _is_told(at, reason) else self._skip(at, reason, error.what)

    def _work(self, at: Standing, reason: str) -> Firing | None:
        began, catalog = perf_counter(), self.lake.catalog
        is_again = at.last is not None and at.last.outcome == "interrupted"
        attempt = at.last.attempt + 1 if at.last is not None and is_again else 1
        firing = replace(self._firing(at, reason, "running"), attempt=attempt, seen=changes(catalog, self.schedule))
        if not begin_firing(self.lake, firing):
            return None
        self.listen(firing)

        def ended(outcome: str, **told: Any) -> Firing:
            done = replace(firing, outcome=outcome, seconds=round(perf_counter() - began, 3), **told)
            if not done.is_well and done.reason != BY_HAND and outcome != "cancelled":
                done = with_notice(self.lake, done)
            end_firing(self.lake, done)
            self.listen(done)
            return done

        with _started(self.lake, firing) as started:
            try:
                runs, problems = self._run()
            except KeyboardInterrupt as interrupt:
                ended("cancelled", runs=tuple(started), note=" ".join(getattr(interrupt, "__notes__", [])))
                raise
            except RunBusyError as busy:
                if at.skipped is None:
                    return ended("skipped", skips=1, note=str(busy), seen=at.seen)
                forget_firing(self.lake, firing)
                return self._skip(at, reason, str(busy))
            except RunCancelledError as error:
                return ended("cancelled", runs=tuple(started), note=str(error), error=error.to_json())
            except HvenError as error:
                return ended("failed", runs=tuple(started), error=error.to_json())
            except Exception as error:  # noqa: BLE001 - isolation border: one schedule does not stop the others
                what = f"{type(error).__name__}: {error}"
                told = {"code": HvenError.code, "what": what, "traceback": "".join(format_exception(error))}
                return ended("failed", runs=tuple(started), error=told)
        outcome = _worst([run.state for run in runs])
        outcome = "partial" if problems and outcome.startswith("succeeded") else outcome
        is_new = any(run.commit is not None and run.commit > catalog.number for run in runs)
        if outcome.startswith("succeeded"):
            note = "" if is_new else "it was up to date"
        else:
            note = " ".join([*(f"{run.output}: {_reason(run)}." for run in runs if not run.is_complete), *problems])
        return ended(outcome, runs=tuple(run.id for run in runs), note=note)

    def _run(self) -> "tuple[list[Run], list[str]]":
        """Return the runs that it took, and what went wrong beside them."""
        from hven.compute import run, run_pipeline, update

        schedule = self.schedule
        if schedule.pipeline:
            told = pipeline_of_schedule(self.name, schedule)
            done = run_pipeline(self.lake, told, progress=False, **self.how)
            done.check()
            return [step.run for step in done.steps if step.run is not None], done.problems
        if schedule.update:
            return update(self.lake, schedule.update, progress=False, **self.how), []
        selections, output = selections_of(schedule), schedule.output or None
        how = {"progress": False, **self.how}
        return [run(self.lake, schedule.analysis, selections, schedule.parameters, output=output, **how)], []

    def _skip(self, at: Standing, reason: str, note: str) -> Firing | None:
        """Record that the firing was skipped; skips in a row are one record, with their count."""
        skips = at.skipped.skips + 1 if at.skipped else 1
        firing = replace(self._firing(at, reason, "skipped"), skips=skips, note=note, seen=at.seen)
        if at.skipped:
            firing = replace(firing, number=at.skipped.number)
            end_firing(self.lake, firing)
        elif not begin_firing(self.lake, firing):
            return None
        self.listen(firing)
        return firing

    def _firing(self, at: Standing, reason: str, outcome: str) -> Firing:
        return Firing(
            self.name,
            at.number + 1,
            self.now.astimezone(UTC).isoformat(),
            reason,
            outcome,
            rule=self.schedule.id,
            by=me(),
            term=self.term,
            until=max(at.until, self.now).astimezone(UTC).isoformat(),
        )

    def _standing(self) -> Standing:
        return standing(self.lake, self.name, self.schedule)


def with_notice(lake: "Lake", firing: Firing) -> Firing:
    """Tell people of a firing that did not go well, and return it with a note of what failed at that."""
    failed = notify(lake, firing)
    return replace(firing, note=" ".join(filter(None, [firing.note, *failed]))) if failed else firing


def _reason(run: "Run") -> str:
    """Return why a run is not complete, in words."""
    account = run.account()
    objects, reasons = account.objects, "; ".join(one.reason for one in account.set_aside[:3])
    return f"{objects['set_aside']:,} of {objects['of']:,} objects set aside{f', {reasons}' if reasons else ''}"


def _worst(states: Sequence[str]) -> str:
    """Return the state that somebody has to look at, of several; ``succeeded`` of none."""
    order = ("failed", "cancelled", "partial")
    bad = next((state for state in order if state in states), "")
    return bad or next((state for state in states if state != "succeeded"), "succeeded")


@contextmanager
def _started(lake: "Lake", firing: Firing) -> Iterator[list[str]]:
    """Hear which runs are started meanwhile: the firing's record names them, and theirs name the firing."""
    started: list[str] = []

    class Hearing:
        @hookimpl
        def hven_run_started(self, run: "Run") -> None:
            run.record["schedule"] = {"name": firing.schedule, "firing": firing.number}
            started.append(run.id)
            end_firing(lake, replace(firing, runs=tuple(started)))

    name = f"schedule-{uuid.uuid4().hex[:12]}"
    plugins().register(Hearing(), name)
    try:
        yield started
    finally:
        plugins().unregister(name)


def _settled(lake: "Lake", at: Standing) -> Standing:
    """Return the standing with a firing that did not end recorded as interrupted: nobody is at work on it."""
    if at.last is None or at.last.outcome != "running":
        return at
    note = f"the process {at.last.by} died in it"
    if at.last.attempt >= ATTEMPTS:
        note += f", as in the {at.last.attempt - 1} attempts before: it is not tried again until it is due anew"
    told = with_notice(lake, replace(at.last, outcome="interrupted", note=note))
    end_firing(lake, told)
    return replace(at, last=told)


def _is_told(at: Standing, reason: str) -> bool:
    """Return whether there is nothing to record: what is due is being run, or was recorded as skipped already."""
    has_new_moment = "the clock" in reason or reason == BY_HAND
    is_running = at.last is not None and at.last.outcome == "running"
    return not has_new_moment and (at.skipped is not None or is_running)
