"""Blocks that do not fit into a worker's memory are cut smaller while the run goes on; what never fits is set aside."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hven
import trial_analyses as trial
from hven import errors
from hven.compute.cutting import Cutting, cut_alike, cut_up
from hven.compute.journal import Journal
from hven.compute.memory import held_to, memory_now
from hven.compute.task import Failure, Outcome
from hven.lake import Part
from hven.lake.parts import cut_blocks
from simulated import make_stars

COUNT, MB = 20_000, 10**6
STARS = {"stars": "stars"}
needs_limits = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system has no such limit")


@pytest.fixture(scope="module")
def small_worker():
    """Return a client of one worker with 600 MB of memory."""
    from distributed import Client, LocalCluster

    from hven.compute.clusters import _worker_settings

    how = {"n_workers": 1, "threads_per_worker": 1, "memory_limit": 600 * MB, "dashboard_address": "127.0.0.1:0"}
    with _worker_settings(), LocalCluster(**how) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


@pytest.fixture
def lake(tmp_path):
    lake = hven.create(tmp_path / "a survey")
    with lake.transaction("stars") as tx:
        tx.write("stars", make_stars(0, COUNT))
    return lake


def check_result(lake, missing=0):
    doubled = lake["doubled"].table().collect()
    both = doubled.join(lake["stars"].table().collect(), on="object_id")
    assert both.height == doubled["object_id"].n_unique() == doubled.height
    assert doubled.height == lake["stars"].entry.counts.rows - missing
    assert (both["doubled"] == 2 * both["feh"]).all()


@needs_limits
def test_a_hungry_analysis_goes_on_with_smaller_blocks_and_an_update_knows_them_again(lake, calls, small_worker):
    how = {"output": "doubled", "cluster": small_worker, "progress": False}
    run = hven.run(lake, trial.greedy, STARS, {"each": 50_000, "folder": str(calls)}, **how)
    assert run.state == "succeeded"
    assert run.blocks["total"] == run.blocks["done"] >= 3
    assert run.record["tries"]["memory"] >= 1
    assert run.record["memory"]["peak"] < 600 * MB
    check_result(lake)
    before = len(list(calls.iterdir()))
    with lake.transaction() as tx:
        tx.append("stars", make_stars(COUNT, 100))
    again = hven.run(lake, trial.greedy, STARS, {"each": 50_000, "folder": str(calls)}, **how)
    assert (again.update["kept"], again.update["computed"]) == (run.blocks["total"], 1)
    assert len(list(calls.iterdir())) == before + 1
    check_result(lake)


@needs_limits
def test_only_what_never_fits_is_set_aside_with_range_peak_and_advice(lake, calls, small_worker):
    stars = lake["stars"].table().collect()
    worst = stars.sort("feh")[-1]
    asked = {"more": 10**10, "worst": float(stars["feh"].max()) - 1e-9, "folder": str(calls)}
    how = {"output": "doubled", "cluster": small_worker, "progress": False, "checkpoint_blocks": 1}
    run = hven.run(lake, trial.greedy, STARS, asked, **how)
    assert run.state == "partial"
    (failure,) = run.failures
    assert failure["rows"] <= 16_384 / 64
    assert (failure["code"], failure["cause"]) == ("too-little-memory", "memory")
    assert worst["object_id"].item() in ids_between(stars, failure["first"], failure["last"])
    assert "MB of memory in use and asked for more than the 540 MB" in failure["what"]
    assert f"object_id {failure['first']} to {failure['last']}" in failure["where"]
    assert "block_rows" in failure["hint"]
    check_result(lake, missing=failure["rows"])
    before = len(list(calls.iterdir()))
    again = hven.run(lake, trial.greedy, STARS, asked, **how)
    assert (again.id, again.state, again.blocks["total"]) == (run.id, "partial", run.blocks["total"])
    assert len(list(calls.iterdir())) - before <= 3, "what is finished is not computed again, nor cut again"


def ids_between(stars, first, last):
    ids = stars["object_id"].to_list()
    return ids[ids.index(first) : ids.index(last) + 1]


@needs_limits
def test_what_no_cut_can_help_is_not_cut_to_the_end(lake, calls, small_worker):
    asked = {"more": 10**10, "worst": -9.0, "folder": str(calls)}
    with pytest.raises(errors.RunFailedError, match="asked for more than"):
        hven.run(lake, trial.greedy, STARS, asked, output="doubled", cluster=small_worker, progress=False)
    assert len(list(calls.iterdir())) <= 50, (
        "two blocks are cut once down to the end; all 80 pieces of them would be tried twice"
    )
    assert "doubled" not in lake


@needs_limits
def test_a_process_that_is_held_to_a_limit_is_refused_memory_and_goes_on():
    with pytest.raises(MemoryError), held_to(memory_now() + 100 * MB):
        bytearray(400 * MB)
    assert len(bytearray(400 * MB)) == 400 * MB
    with held_to(0):
        assert len(bytearray(400 * MB)) == 400 * MB


PARTS = st.lists(st.integers(1, 5_000), min_size=1, max_size=4)


@given(PARTS, st.integers(1, 3_000), st.lists(st.integers(0, 30), max_size=40))
def test_pieces_have_every_row_once_whatever_is_cut(sizes, rows, chosen):
    parts = [Part(f"s/{n}", "s", size, grain=100) for n, size in enumerate(sizes)]
    laid = cut_blocks(parts, rows)
    journal = Journal(None, "")
    cutting = Cutting(journal, max(block.rows for block in laid), len(laid))
    for number in chosen:
        now = cut_up(laid, journal.cuts)
        block = now[number % len(now)]
        halves = cutting.halves(block)
        assert [half.rows > 0 for half in halves] in ([], [True, True])
        assert not halves or sum(half.rows for half in halves) == block.rows
    blocks = cut_up(laid, journal.cuts)
    assert [block.index for block in blocks] == list(range(len(blocks)))
    assert rows_of(blocks) == rows_of(laid)
    ledger = pl.DataFrame({"part": [b.part.path for b in blocks], "start": [b.start for b in blocks]})
    alike = cut_alike(laid, ledger)
    assert {block.key for block in alike} == {block.key for block in blocks}
    assert [block.index for block in alike] == list(range(len(alike)))


def rows_of(blocks):
    return sorted((block.part.path, row) for block in blocks for row in range(block.start, block.stop))


def test_blocks_as_large_as_what_did_not_fit_are_cut_before_they_are_tried():
    laid = cut_blocks([Part("s/0", "s", 400, grain=100)], 100)
    cutting = Cutting(Journal(None, ""), 100, len(laid))
    short = Outcome(
        0, "", failure=Failure(errors.TooLittleMemoryError("too little", hint="Use more."), "", cause="memory")
    )
    cutting.note(laid[0], short)
    assert not cutting.is_too_large(laid[1]), "nobody knows yet whether smaller ones fit"
    first, second = cutting.halves(laid[0])
    cutting.note(first, Outcome(0, "", rows_in=50))
    assert cutting.is_too_large(laid[1])
    assert not cutting.is_too_large(second)
    cutting.note(laid[2], Outcome(2, "", rows_in=100))
    assert not cutting.is_too_large(laid[1]), "it was that block, not its size"
