"""One firing: begun, run, ended, and recorded whatever happens."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from hven.errors import ConflictError, HvenError, RunBusyError
from hven.schedule.checking import selections_of
from hven.schedule.firing import Firing, begin_firing, end_firing, forget_firing
from hven.schedule.leases import EXPIRY, holder, leased, me
from hven.schedule.standing import ATTEMPTS, BY_HAND, Standing, changes, standing

if TYPE_CHECKING:
    from hven.compute import Run
    from hven.lake import Lake
    from hven.schedule.rule import Schedule

Listener = Callable[[Firing], None]


def fire(
    lake: "Lake",
    name: str,
    schedule: "Schedule",
    now: datetime,
    why: Callable[[Standing], str],
    *,
    term: int = 0,
    expiry: float = EXPIRY,
    listen: Listener = lambda _: None,
    how: Mapping[str, Any],
) -> Firing | None:
    """Run a schedule, record how it went, and return the record; None when it turns out that there is nothing to do.

    When somebody else is at work on the same result, the firing is recorded as skipped.

    Parameters
    ----------
    lake, name, schedule
        What is run.
    now
        When.
    why
        Gives the reason, from where the schedule stands once nobody else can be at work on it; empty for none.
    term
        Of the lease under which it fires.
    expiry
        After how many seconds of silence a holder of the result on an object store counts as dead.
    listen
        Is told when the firing begins and when it has ended.
    how
        Passed on to `hven.run` or `hven.update`.
    """
    result = f"result-{schedule.result}"
    try:
        with leased(lake, result, expiry=expiry):
            at = _settled(lake, standing(lake, name, schedule))
            reason = why(at)
            return _work(lake, name, schedule, now, reason, at, term, listen, how) if reason else None
    except ConflictError as error:
        at = standing(lake, name, schedule)
        reason = why(at)
        if not reason or _goes_on(at, reason):
            return None
        return _skip(lake, name, schedule, now, reason, at, term, f"{error.what}: {holder(lake, result)}", listen)


def _work(
    lake: "Lake",
    name: str,
    schedule: "Schedule",
    now: datetime,
    reason: str,
    at: Standing,
    term: int,
    listen: Listener,
    how: Mapping[str, Any],
) -> Firing | None:
    began = perf_counter()
    attempt = at.last.attempt + 1 if at.last is not None and at.last.outcome == "interrupted" else 1
    catalog = lake.catalog
    firing = Firing(
        name,
        at.number + 1,
        now.astimezone(UTC).isoformat(),
        reason,
        "running",
        rule=schedule.id,
        by=me(),
        term=term,
        attempt=attempt,
        until=max(at.until, now).astimezone(UTC).isoformat(),
        seen=changes(catalog, schedule),
    )
    if not begin_firing(lake, firing):
        return None
    listen(firing)

    def ended(outcome: str, **told: Any) -> Firing:
        done = replace(firing, outcome=outcome, seconds=round(perf_counter() - began, 3), **told)
        end_firing(lake, done)
        listen(done)
        return done

    try:
        runs = _run(lake, schedule, how)
    except KeyboardInterrupt as interrupt:
        ended("cancelled", note=" ".join(getattr(interrupt, "__notes__", [])))
        raise
    except RunBusyError as busy:
        if at.skipped is None:
            return ended("skipped", skips=1, note=str(busy), seen=at.seen)
        forget_firing(lake, firing)
        return _skip(lake, name, schedule, now, reason, at, term, str(busy), listen)
    except HvenError as error:
        return ended("failed", error=error.to_json())
    except Exception as error:  # noqa: BLE001 - isolation border: one schedule does not stop the others
        traceback = "".join(format_exception(error))
        what = f"{type(error).__name__}: {error}"
        return ended("failed", error={"code": HvenError.code, "what": what, "traceback": traceback})
    outcome = next((run.state for run in runs if run.state != "succeeded"), "succeeded")
    is_new = any(run.commit is not None and run.commit > catalog.number for run in runs)
    note = "" if is_new or outcome != "succeeded" else "it was up to date"
    return ended(outcome, runs=tuple(run.id for run in runs), note=note)


def _run(lake: "Lake", schedule: "Schedule", how: Mapping[str, Any]) -> "list[Run]":
    from hven.compute import run, update

    if schedule.update:
        return update(lake, schedule.update, progress=False, **how)
    one = run(
        lake,
        schedule.analysis,
        selections_of(schedule),
        schedule.parameters,
        output=schedule.output or None,
        progress=False,
        **how,
    )
    return [one]


def _settled(lake: "Lake", at: Standing) -> Standing:
    """Return the standing with a firing that did not end recorded as interrupted: nobody is at work on it."""
    if at.last is None or at.last.outcome != "running":
        return at
    note = f"the process {at.last.by} died in it"
    if at.last.attempt >= ATTEMPTS:
        note += f", as in the {at.last.attempt - 1} attempts before: it is not tried again until it is due anew"
    told = replace(at.last, outcome="interrupted", note=note)
    end_firing(lake, told)
    return replace(at, last=told)


def _goes_on(at: Standing, reason: str) -> bool:
    """Return whether there is nothing to record: what is due is being run, or was recorded as skipped already."""
    has_new_moment = "the clock" in reason or reason == BY_HAND
    if at.skipped is not None:
        return not has_new_moment
    return not has_new_moment and at.last is not None and at.last.outcome == "running"


def _skip(
    lake: "Lake",
    name: str,
    schedule: "Schedule",
    now: datetime,
    reason: str,
    at: Standing,
    term: int,
    note: str,
    listen: Listener,
) -> Firing | None:
    """Record that a firing was skipped; skips in a row are one record, with their count."""
    firing = Firing(
        name,
        at.skipped.number if at.skipped else at.number + 1,
        now.astimezone(UTC).isoformat(),
        reason,
        "skipped",
        rule=schedule.id,
        by=me(),
        term=term,
        skips=at.skipped.skips + 1 if at.skipped else 1,
        note=note,
        until=max(at.until, now).astimezone(UTC).isoformat(),
        seen=at.seen,
    )
    if at.skipped:
        end_firing(lake, firing)
    elif not begin_firing(lake, firing):
        return None
    listen(firing)
    return firing
