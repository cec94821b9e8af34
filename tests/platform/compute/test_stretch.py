"""A task takes on a stretch of blocks: the next is read while one is computed, and no block knows of its neighbours."""

import threading

import numpy as np
import pytest
import xarray as xr

import hven
import trial_analyses as trial
from hven.compute import stretch
from hven.compute.blocks import place_of
from hven.compute.clusters import Cluster
from hven.compute.journal import Journal
from hven.compute.pace import Pace
from hven.compute.request import make_request
from hven.compute.stretch import compute_stretch
from hven.compute.task import BlockTask, Failure, Outcome, Place, pack
from hven.errors import TooLittleMemoryError
from hven.lake import StagedTable

reads: dict[int, threading.Event] = {}
was_read: list[bool] = []


@hven.analysis(stars=hven.Table(feh="dex"), produces={"doubled": "dex"}, per_object=True)
def watchful(stars: xr.Dataset) -> xr.Dataset:
    """Twice the metallicity, once the next block was read."""
    following = reads.get(len(was_read) + 1)
    was_read.append(following is None or following.wait(60))
    return xr.Dataset({"doubled": stars.feh * 2})


@pytest.fixture
def blocks_of(survey):
    """Return what makes the arguments of a task: an analysis, its parameters, and all blocks of 1,000 stars."""

    def make(analysis, parameters=None):
        request = make_request(survey, analysis, {"stars": "stars"}, parameters, None, 1_000)
        staged = {"": StagedTable(survey.store, "data/trial/table")}
        task = pack(BlockTask(request.analysis, request.parameters, request.inputs))
        return task, [(block, Place(staged, *place_of(block))) for block in request.blocks()]

    return make


def told(outcomes):
    return [(o.index, o.key, o.rows_in, o.digest, [f.error.what for f in o.aside], o.footprint) for o in outcomes]


def test_a_stretch_comes_to_what_its_blocks_come_to_one_by_one(survey, blocks_of, calls):
    fehs = survey["stars"].table(["feh"]).collect()["feh"]
    task, blocks = blocks_of(trial.fragile, {"folder": str(calls), "worst": float(np.sort(fehs)[-3])})
    together = compute_stretch(task, blocks)
    apart = [outcome for one in blocks for outcome in compute_stretch(task, [one])]
    assert told(together) == told(apart)
    lacking = [outcome.index for outcome in together if outcome.aside]
    assert 0 < len(lacking) < len(blocks)
    for outcome in together:
        assert outcome.written
        assert outcome.failure is None
        assert outcome.seconds > 0


def test_the_next_block_is_read_while_one_is_computed(blocks_of, monkeypatch):
    task, blocks = blocks_of(watchful)
    reads.update({block.index: threading.Event() for block, _ in blocks})
    read = stretch.read_aligned

    def noted(inputs, block):
        given = read(inputs, block)
        reads[block.index].set()
        return given

    monkeypatch.setattr(stretch, "read_aligned", noted)
    assert [outcome.failure for outcome in compute_stretch(task, blocks)] == [None] * len(blocks)
    assert was_read == [True] * len(blocks)


def paced(taken, memory=0, idle=0, grown=0, **journal):
    known = Journal(None, "", **journal)
    known.idle, known.grown, known.peak = idle, grown, idle + grown
    pace = Pace(Cluster("client", client=object(), threads=2, memory=memory), known)  # type: ignore[arg-type]
    for seconds in taken:
        pace.note(Outcome(0, "", seconds=seconds))
    return pace


def test_tasks_take_about_two_seconds_and_become_shorter_towards_the_end():
    assert paced([]).blocks(1_000) == 1, "nobody knows yet"
    assert paced([0.1]).blocks(1_000) == 20
    assert paced([5.0]).blocks(1_000) == 1
    assert paced([9.0, *[0.1] * 8]).blocks(1_000) == 20, "the first ones load libraries"
    assert [paced([0.1]).blocks(left) for left in (40, 20, 8, 3, 1)] == [10, 5, 2, 1, 1]


def test_a_task_takes_no_more_than_may_be_lost():
    assert paced([0.001], blocks=7).blocks(1_000) == 7
    assert paced([0.1], seconds=0.35).blocks(1_000) == 3
    assert paced([0.1], seconds=0.0).blocks(1_000) == 1


def test_a_task_takes_one_block_where_there_is_no_room_for_two():
    assert paced([0.1], memory=1_000, idle=300, grown=200).blocks(1_000) == 20
    assert paced([0.1], memory=1_000, idle=300, grown=300).blocks(1_000) == 1
    tight = paced([0.1])
    error = TooLittleMemoryError("too little", hint="Use more.")
    tight.note(Outcome(0, "", seconds=0.1, failure=Failure(error, "", cause="memory")))
    assert tight.blocks(1_000) == 1
