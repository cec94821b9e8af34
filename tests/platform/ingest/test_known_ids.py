"""Known ids are a set, whether they are in memory or in a file."""

import tempfile

import numpy as np
import polars as pl
import pytest

import hven
from hven.errors import StorageError
from hven.ingest import known_ids
from hven.ingest.known_ids import KnownIds


@pytest.fixture(params=["in memory", "in a file"])
def place(request, monkeypatch):
    """Runs of a few ids, in stretches of fewer, so that a hundred make several of both."""
    if request.param == "in a file":
        monkeypatch.setattr(known_ids, "IN_MEMORY", 32)
        monkeypatch.setattr(known_ids, "_STRETCH", 8)


@pytest.mark.usefixtures("place")
def test_known_ids_are_a_set():
    random = np.random.default_rng(3)
    known, truth = KnownIds(), set()
    for turn in range(60):
        ids = random.integers(0, 2000, random.integers(0, 60))
        fresh = np.unique(ids[[i not in truth for i in ids.tolist()]])
        known.add(random.permutation(fresh))
        truth |= set(fresh.tolist())
        gone = random.integers(0, 2000, 10)
        known.remove(gone)
        truth -= set(gone.tolist())
        asked = random.integers(-5, 2005, 3 if turn % 2 else 500)  # few are searched for in another way than many
        assert known.contain(asked).tolist() == [i in truth for i in asked.tolist()]
    assert np.flatnonzero(known.contain(np.arange(2000))).tolist() == sorted(truth)
    assert len(known) == len(truth)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("low", [-(2**63), -5, 0, 2**62, 2**63 - 400])
def test_ids_at_the_ends_of_their_type_are_found(low):
    asked = np.arange(400) + np.int64(low)
    ids = asked[::3]
    known = KnownIds(ids)
    assert asked[known.contain(asked)].tolist() == ids.tolist()
    assert known.contain(ids[-1:]).tolist() == [True]
    assert known.contain(asked[1:2]).tolist() == [False]


@pytest.mark.usefixtures("place")
def test_a_copy_does_not_change_with_the_other():
    known = KnownIds(np.arange(0, 100, 2))
    before = known.copy()
    known.add(np.arange(1, 101, 2))
    before.add(np.array([1001]))
    known.remove(np.arange(10))
    assert len(before) == 51
    assert np.flatnonzero(before.contain(np.arange(1002))).tolist() == [*range(0, 100, 2), 1001]
    assert np.flatnonzero(known.contain(np.arange(1002))).tolist() == list(range(10, 101))[:90]


@pytest.mark.usefixtures("place")
def test_an_array_that_was_added_may_be_used_again():
    ids = np.array([3, 1, 2])
    known = KnownIds(ids)
    ids[:] = 9
    assert known.contain(np.array([1, 2, 3, 9])).tolist() == [True, True, True, False]


def test_ids_that_end_alike_are_told_apart():
    known = KnownIds(np.arange(100_000) << 24)
    asked = np.array([5 << 24, (5 << 24) + 1, -(1 << 24)])
    assert known.contain(asked).tolist() == [True, False, False]


def test_an_ingest_with_ids_in_a_file_gives_what_one_in_memory_gives(tmp_path, monkeypatch):
    random = np.random.default_rng(1)
    for name in "ab":
        ids = random.integers(0, 300, 200)
        pl.DataFrame({"source_id": ids, "feh": random.normal(size=200)}).write_parquet(tmp_path / f"{name}.parquet")

    def ids_of(folder):
        lake = hven.create(tmp_path / folder)
        for name, mode in (("a", "create"), ("b", "append"), ("b", "upsert")):
            path = tmp_path / f"{name}.parquet"
            hven.ingest_files(lake, path, name="stars", mode=mode, again=mode == "upsert", progress=False)
        return lake["stars"].table(["object_id", "source_id", "feh"]).sort("object_id").collect()

    before = ids_of("one")
    monkeypatch.setattr(known_ids, "IN_MEMORY", 50)
    assert ids_of("other").equals(before)


def test_a_folder_for_temporary_files_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(known_ids, "IN_MEMORY", 2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(StorageError, match=r"missing.*TMPDIR"):
        KnownIds(np.arange(5))
