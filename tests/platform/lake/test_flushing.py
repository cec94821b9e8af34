"""A commit is acknowledged once it is on the device: data first, then the catalog, then the folder that names it."""

import os
from pathlib import Path

import pytest

import hven
from hven import errors
from hven.lake import flushing
from hven.lake.store import Store


@pytest.fixture
def steps(monkeypatch):
    """What is flushed and put, in order."""
    monkeypatch.delenv(flushing.SETTING, raising=False)
    done = []
    fsync, create, put = os.fsync, Store.create, Store.put

    def noted_fsync(descriptor):
        done.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def noted_syncfs(descriptor):
        done.append(("syncfs", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        return 0

    def noted_create(self, key, content):
        create(self, key, content)
        done.append(("create", key))

    def noted_put(self, key, content):
        put(self, key, content)
        done.append(("put", key))

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(flushing, "_syncfs", lambda: noted_syncfs)
    monkeypatch.setattr(Store, "create", noted_create)
    monkeypatch.setattr(Store, "put", noted_put)
    return done


def test_data_then_the_catalog_then_its_folder_are_flushed_before_a_commit_is_acknowledged(lake, stars, spectra, steps):
    with lake.transaction() as tx:
        tx.write("stars", stars)
        tx.write("spectra", spectra)
    order = [step for step in steps if step[0] != "put" or step[1] == "catalogs/latest"]
    assert order[-5:] == [
        ("syncfs", "lake"),
        ("create", "catalogs/00000001.json"),
        ("fsync", "00000001.json"),
        ("fsync", "catalogs"),
        ("put", "catalogs/latest"),
    ]
    written = [place for place, step in enumerate(steps) if step[0] == "put" and step[1] != "catalogs/latest"]
    assert max(written) < steps.index(("syncfs", "lake"))


def test_a_lake_and_a_release_are_flushed_too(tmp_path, steps):
    lake = hven.create(tmp_path / "another")
    assert steps[-4:] == [("fsync", n) for n in ("00000000.json", "catalogs", "hven.json", "another")]
    lake.release("dr1")
    assert steps[-3:] == [("create", "releases/dr1.json"), ("fsync", "dr1.json"), ("fsync", "releases")]


def test_a_device_that_takes_nothing_fails_the_commit(lake, stars, monkeypatch):
    monkeypatch.delenv(flushing.SETTING, raising=False)
    monkeypatch.setattr(flushing, "_syncfs", lambda: lambda descriptor: -1)
    with pytest.raises(errors.StorageError), lake.transaction() as tx:
        tx.write("stars", stars)
    assert lake.number == 0


def test_scratch_lakes_do_without_by_a_setting(lake, stars, steps, monkeypatch):
    monkeypatch.setenv("HVEN_FLUSH", "never")
    with lake.transaction() as tx:
        tx.write("stars", stars)
    assert not [step for step in steps if "sync" in step[0]]
