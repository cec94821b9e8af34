"""What is tried again, and how often: by the kind of the error, and nothing else."""

import errno

import numpy as np
import pytest

import hven
import trial_failures as trial
from hven import errors
from hven.compute import retrying
from hven.compute.retrying import RULES, Rule, cause_of

STARS = {"stars": "stars"}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Let nobody wait; what is waited is tested by itself."""
    store = RULES["store"]
    monkeypatch.setitem(RULES, "store", Rule(store.tries, is_alone=store.is_alone))


def engine_error(home, text):
    return type("ComputeError", (Exception,), {"__module__": f"{home}.exceptions"})(text)


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError("Input/output error"), "store"),
        (ConnectionResetError("by peer"), "store"),
        (TimeoutError("no answer"), "store"),
        (errors.StorageError("the store failed: timeout", hint="Wait."), "store"),
        (errors.SourceUnreachableError("no answer", hint="Wait."), "store"),
        (engine_error("polars", "Generic S3 error: error sending request"), "store"),
        (engine_error("icechunk", "storage error: connection refused"), "store"),
        (engine_error("deltalake", "Generic S3 error: 503 Service Unavailable"), "store"),
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (np._core._exceptions._ArrayMemoryError((10**12,), np.dtype("f8")), "memory"),
        (engine_error("jaxlib", "RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), "memory"),
        (FileNotFoundError("weights.npz"), "data"),
        (PermissionError("weights.npz"), "data"),
        (caused(errors.StorageError("the store failed", hint="Mend it."), PermissionError()), "data"),
        (errors.HvenError("not what it seems", hint="Look."), "data"),
        (errors.TooFewObjectsError("too few", hint="Take more."), "data"),
        (ValueError("a connection of ideas timed out"), "data"),
        (engine_error("polars", "cannot cast String to Float64"), "data"),
        (ZeroDivisionError(), "data"),
    ],
)
def test_the_cause_is_told_by_the_kind_of_the_error(error, cause):
    assert cause_of(error) == cause


def test_pauses_grow_up_to_a_limit_and_end():
    assert list(Rule(6, pause=1.0, longest=5.0).pauses()) == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert list(Rule(1, pause=1.0).pauses()) == []


def test_it_is_waited_between_tries_and_longer_each_time(survey, calls, monkeypatch):
    waited = []
    monkeypatch.setitem(RULES, "store", Rule(4, pause=1.0, longest=30.0))
    monkeypatch.setattr(retrying.time, "sleep", waited.append)
    run = hven.run(survey, trial.moody, STARS, always(calls, "OSError", 3), cluster="synchronous", block_rows=5_700)
    assert (run.state, waited) == ("succeeded", [1.0, 2.0, 4.0] * 2)


def always(folder, kind, times):
    return {"folder": str(folder), "kind": kind, "times": times, "worst": -10.0}


@pytest.mark.parametrize(
    ("kind", "times", "state", "tries"),
    [
        ("ConnectionError", 1, "succeeded", 2),
        ("TimeoutError", 3, "succeeded", 4),
        ("StorageError", 3, "succeeded", 4),
        ("OSError", 4, "failed", 4),
        ("MemoryError", 1, "succeeded", 2),
        ("MemoryError", 2, "failed", 2),
        ("ValueError", 99, "failed", 1),
        ("HvenError", 99, "failed", 1),
        ("FileNotFoundError", 99, "failed", 1),
    ],
)
def test_each_kind_is_tried_as_often_as_its_rule_says(survey, calls, kind, times, state, tries):
    asked = (survey, trial.moody, STARS, always(calls, kind, times))
    if state == "failed":
        with pytest.raises(errors.HvenError):
            hven.run(*asked, cluster="synchronous", block_rows=2_000)
    else:
        hven.run(*asked, cluster="synchronous", block_rows=2_000)
    counts = trial.tries_in(calls)
    if times == 99:
        # An error of the data: single objects are tried by themselves, to see whether they all raise the same.
        assert (max(counts.values()), sum(counts.values()) <= 4 * 9) == (2, True)
    else:
        assert (len(counts), set(counts.values())) == (4, {tries})
    run = hven.runs(survey)[0]
    assert run.state == state
    if state == "succeeded":
        cause = "memory" if kind == "MemoryError" else "store"
        assert run.record["tries"] == {cause: 4 * (tries - 1)}
        assert survey["moody"].table().collect().height == 5_700
    else:
        assert {failure["tries"] for failure in run.failures} == {tries}


def test_blocks_short_of_memory_are_tried_after_all_others(survey, calls):
    fehs = survey["stars"].table(["feh"]).collect()["feh"]
    parameters = {"folder": str(calls), "kind": "MemoryError", "times": 1, "worst": float(fehs.max()) - 1e-9}
    run = hven.run(survey, trial.moody, STARS, parameters, cluster="synchronous", block_rows=500)
    assert (run.state, run.record["tries"]) == ("succeeded", {"memory": 1})
    (again,) = [block for block, tries in trial.tries_in(calls).items() if tries == 2]
    newest = max(calls.iterdir(), key=lambda path: path.stat().st_mtime_ns).name
    assert newest.startswith(again)


def test_workers_try_again_too_and_arrays_have_nothing_twice(survey, calls, workers):
    given = {"spectra": "spectra"}
    run = hven.run(survey, trial.dim, given, {"folder": str(calls)}, cluster=workers, block_rows=64)
    # The first ones are computed once more: only then is it known that they are arrays.
    counts = list(trial.tries_in(calls).values())
    assert (run.state, set(counts) - {2, 3}) == ("succeeded", set())
    assert run.record["tries"].get("store", 0) == counts.count(2)
    made, spectra = run.result.dataset().compute(), survey["spectra"].dataset().compute()
    assert np.array_equal(made.object_id, spectra.object_id)
    assert np.array_equal(made.halved, spectra.flux / 2)
