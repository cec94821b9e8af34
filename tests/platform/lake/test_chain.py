import pytest

from hven import errors
from hven.lake.store import Store


def test_a_commit_whose_answer_was_lost_is_recognised_as_its_own(lake, stars, monkeypatch):
    """The store wrote our catalog, lost the answer, and its retry says "already exists"."""
    create = Store.create

    def forgetful(self, key, content):
        create(self, key, content)
        if key.startswith("catalogs/"):
            raise FileExistsError(key)

    monkeypatch.setattr(Store, "create", forgetful)
    with lake.transaction("lost answer") as tx:
        tx.write("stars", stars)
    assert (tx.commit_number, lake.number) == (1, 1)
    assert [c.message for c in lake.log()] == ["lost answer", "created the lake"]


def test_a_commit_whose_answer_was_an_error_is_recognised_when_it_is_there(lake, stars, monkeypatch):
    create = Store.create

    def broken_line(self, key, content):
        create(self, key, content)
        raise errors.StorageError("connection reset", hint="")

    monkeypatch.setattr(Store, "create", broken_line)
    with lake.transaction() as tx:
        tx.write("stars", stars)
    assert lake.number == 1


def test_a_commit_that_loses_the_put_lands_on_top_of_the_winner(lake, stars):
    with lake.transaction("outer") as outer:
        outer.write("outer", stars)
        with lake.transaction("inner") as inner:
            inner.write("inner", stars)
    assert (inner.commit_number, outer.commit_number) == (1, 2)
    assert set(lake) == {"inner", "outer"}
    assert lake["outer"].entry.changed == 2


def test_a_failing_store_leaves_the_lake_as_it_was(lake, stars, monkeypatch):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    with monkeypatch.context() as broken:
        broken.setattr(Store, "create", _refuse)
        with pytest.raises(errors.StorageError, match="no space left"), lake.transaction() as tx:
            tx.delete("stars", "feh > 0")
    assert lake.number == 1
    assert lake["stars"].table().collect().equals(stars)


def test_a_hint_that_cannot_be_written_does_not_fail_the_commit(lake, stars, monkeypatch):
    put = Store.put

    def no_hint(self, key, content):
        if key == "catalogs/latest":
            raise errors.StorageError("no space left", hint="")
        put(self, key, content)

    monkeypatch.setattr(Store, "put", no_hint)
    with lake.transaction() as tx:
        tx.write("stars", stars)
    assert lake.number == 1


def _refuse(self, key, content):
    raise errors.StorageError("no space left on device", where=key, hint="Free space.")
