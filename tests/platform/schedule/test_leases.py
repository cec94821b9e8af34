"""Leases on a disk, and on an object store: one that obstore keeps in memory, with the same puts as S3."""

import threading

import pytest

import hven
from hven.errors import ConflictError, StorageError
from hven.lake import Lake
from hven.lake.store import Store
from hven.schedule import leased
from hven.schedule.leases import FOLDER, holder, me

FOREVER = 1e6


@pytest.fixture
def stored():
    """Return a lake in an object store."""
    return hven.create("memory:///leases")


@pytest.fixture(autouse=True)
def empty_store():
    yield
    store = Store.at("memory:///leases")
    store.delete(*store.list(""))


@pytest.fixture(params=["disk", "object store"])
def anywhere(request, tmp_path):
    return hven.create(tmp_path / "a lake" if request.param == "disk" else "memory:///leases")


def test_a_lease_has_one_holder_and_the_other_is_told_who(anywhere):
    with leased(anywhere, "schedules", expiry=FOREVER) as lease:
        assert lease.term == 1
        with pytest.raises(ConflictError, match=me()), leased(anywhere, "schedules", expiry=FOREVER):
            pass
        with leased(anywhere, "another", expiry=FOREVER) as other:
            assert other.term == 1
    assert not lease.is_lost


def test_a_lease_that_was_released_is_free_at_once_and_its_term_grows(anywhere):
    terms = []
    for _ in range(4):
        with leased(anywhere, "schedules", expiry=FOREVER) as lease:
            terms.append(lease.term)
    assert terms == [1, 2, 3, 4]
    assert holder(anywhere, "schedules") == me()
    assert holder(anywhere, "nobody") == ""
    # Old terms are not kept.
    assert len(anywhere.store.list(f"{FOLDER}/schedules")) <= 2


def test_a_lease_that_ends_by_an_error_is_free_too(anywhere):
    with pytest.raises(ZeroDivisionError), leased(anywhere, "schedules", expiry=FOREVER):
        raise ZeroDivisionError
    with leased(anywhere, "schedules", expiry=FOREVER):
        pass


def test_a_silent_holder_on_an_object_store_loses_its_lease_and_finds_out(stored):
    lost = threading.Event()
    # To the second one the first has been silent for too long already.
    with (
        leased(stored, "schedules", expiry=0.2, on_loss=lost.set) as first,
        leased(stored, "schedules", expiry=-1) as second,
    ):
        assert second.term == 2
        assert lost.wait(30)
        assert first.is_lost
        assert not second.is_lost
    # The loser has not released what is not its own any more.
    with leased(stored, "schedules", expiry=FOREVER) as third:
        assert third.term == 3


def test_a_holder_that_lives_is_not_taken_for_dead(stored, monkeypatch):
    beats, real = threading.Semaphore(0), Store.put

    def put(store, key, content):
        real(store, key, content)
        if key.endswith(".beat"):
            beats.release()

    monkeypatch.setattr(Store, "put", put)
    with leased(stored, "schedules", expiry=0.2):
        for _ in range(30):  # Its term is 1.5 seconds old, what was heard of it last is young.
            assert beats.acquire(timeout=30)
        with pytest.raises(ConflictError), leased(stored, "schedules", expiry=1.4):
            pass


def test_a_holder_whom_the_store_does_not_hear_stops_before_another_may_begin(stored, monkeypatch):
    lost = threading.Event()

    def fails(*_):
        raise StorageError("no route to the store", hint="Mend it.")

    with leased(stored, "schedules", expiry=0.2, on_loss=lost.set) as lease:
        with monkeypatch.context() as patched:
            patched.setattr(Store, "put", fails)
            assert lost.wait(30)
        assert lease.is_lost


def test_of_many_that_want_a_free_lease_one_gets_it(stored):
    terms, refused, start, end = [], [], threading.Barrier(8), threading.Barrier(8)

    def want():
        start.wait()
        try:
            with leased(stored, "schedules", expiry=FOREVER) as lease:
                terms.append(lease.term)
                end.wait()
        except ConflictError as error:
            refused.append(error)
            end.wait()

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert terms == [1]
    assert len(refused) == 7


def test_one_who_was_asleep_between_look_and_put_does_not_get_an_old_term(stored, monkeypatch):
    """It finds the number of the next term free, because two holders have come and gone since it looked."""
    with leased(stored, "schedules", expiry=FOREVER):
        pass
    real = Store.create

    def late(store, key, content):
        monkeypatch.undo()
        for _ in range(2):
            with leased(stored, "schedules", expiry=FOREVER):
                pass
        real(store, key, content)

    monkeypatch.setattr(Store, "create", late)
    with pytest.raises(ConflictError), leased(stored, "schedules", expiry=FOREVER):
        pass
    with leased(stored, "schedules", expiry=FOREVER) as lease:
        assert lease.term == 4


def test_a_put_whose_answer_was_lost_is_known_for_our_own(stored, monkeypatch):
    real = Store.create

    def answers_late(store, key, content):
        real(store, key, content)
        raise FileExistsError(key)

    monkeypatch.setattr(Store, "create", answers_late)
    with leased(stored, "schedules", expiry=FOREVER) as lease:
        assert lease.term == 1


def test_a_pinned_view_has_the_lease_of_its_lake(anywhere):
    view = Lake(anywhere.store, anywhere.id, 0)
    with (
        leased(anywhere, "schedules", expiry=FOREVER),
        pytest.raises(ConflictError),
        leased(view, "schedules", expiry=FOREVER),
    ):
        pass
