import numpy as np
import pytest
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from hven.lake import arrays
from hven.lake.chunk_files import ChunkFiles, with_chunk_files

PROTOTYPE = default_buffer_prototype()


@pytest.fixture
def opened(lake, spectra):
    with lake.transaction() as tx:
        tx.write("spectra", spectra)
    pin = lake["spectra"].entry.pin
    at = arrays.ArraysAt(lake.store, pin.path)
    session = arrays._repository(at).readonly_session(snapshot_id=str(pin.version))
    store = with_chunk_files(session, lake.store.local_path / pin.path)
    if not isinstance(store, ChunkFiles):
        pytest.skip("this Icechunk does not tell where its chunks lie")
    return session.store, store, lake["spectra"]


def keys_of(store):
    async def collect():
        return [key async for key in store.list()]

    return sync(collect())


def content(store, key, part=None):
    found = sync(store.get(key, PROTOTYPE, part))
    return None if found is None else found.to_bytes()


PARTS = [None, RangeByteRequest(3, 40), OffsetByteRequest(7), SuffixByteRequest(20)]


def test_every_key_and_part_is_what_icechunk_says(opened):
    plain, store, _ = opened
    keys = keys_of(plain)
    assert any("/flux/c/" in key for key in keys)
    for key in keys:
        for part in PARTS if "/flux/c/" in key else PARTS[:1]:
            assert content(store, key, part) == content(plain, key, part)
    assert content(store, "nowhere/c/0/0") is None


def test_chunks_come_from_their_files_and_not_through_icechunk(opened, monkeypatch):
    plain, _, handle = opened
    asked = []
    get = type(plain).get
    monkeypatch.setattr(type(plain), "get", lambda self, key, *a: asked.append(key) or get(self, key, *a))
    arrays._segment.cache_clear()
    values = handle.of([5, 2_500], columns=["flux"])["flux"].values
    assert values.shape == (2, 20)
    assert [key for key in asked if "/flux/c/" in key] == []


def test_chunks_that_are_not_where_they_are_told_to_be_are_left_to_icechunk(opened):
    plain, store, handle = opened
    store._folder = store._folder / "elsewhere"
    group = arrays.open_root(arrays.ArraysAt(handle.lake.store, handle.entry.pin.path), handle.entry.pin.version)
    [key] = [key for key in keys_of(plain) if "/flux/c/0" in key]
    assert content(store, key, RangeByteRequest(0, 99)) == content(plain, key, RangeByteRequest(0, 99))
    assert np.isfinite(group[key.split("/")[0]]["flux"][:5]).all()


def test_stores_elsewhere_and_older_ones_are_taken_as_they_are(opened):
    plain, _, handle = opened

    class Older:
        store = object()

    class Newer:
        store = plain

    assert with_chunk_files(Older(), handle.lake.store.local_path) is Older.store
    assert with_chunk_files(Newer(), None) is plain
