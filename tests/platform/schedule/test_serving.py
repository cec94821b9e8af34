"""The daemon in this process: what it tells, when it wakes, how it loses and regains its lease."""

from contextlib import ExitStack
from datetime import timedelta

import pytest

import hven
from hven.errors import StorageError
from hven.lake.store import Store
from hven.schedule import add_schedule, leased, serve, stoppable
from hven.schedule.serving import _Alarm

SOON = timedelta(milliseconds=20)


@pytest.fixture
def stored():
    """Return a lake in an object store: one that obstore keeps in memory."""
    yield hven.create("memory:///serving")
    store = Store.at("memory:///serving")
    store.delete(*store.list(""))


def stop():
    raise KeyboardInterrupt


def test_a_daemon_that_loses_its_lease_stops_waits_and_takes_it_back(stored):
    events, other = [], ExitStack()

    def tell(event):
        events.append((event.kind, event.told.get("term")))
        if events == [("serving", 1)]:
            # The other one thinks that this one is dead.
            other.enter_context(leased(stored, "schedules", expiry=-1))
        elif event.kind == "waiting":
            other.close()
        elif event.kind == "serving":
            stop()

    with stoppable():
        serve(stored, every=60, expiry=0.2, tell=tell)
    assert events == [("serving", 1), ("lost", 1), ("waiting", None), ("serving", 3), ("stopped", None)]


class Rule:
    """A rule that is due again and again, soon."""

    cron, is_paused = "@soon", False

    def next_time(self, after):
        return after + SOON


def test_the_alarm_rings_at_the_moments_of_the_rules_it_follows_and_of_no_others():
    with _Alarm() as alarm:
        assert not alarm.wait(0)
        alarm.follow({"soon": Rule()})
        assert alarm.wait(60)
        assert alarm.wait(60)
        alarm.follow({"soon": Rule(), "another": Rule()})
        assert alarm.wait(60)
        alarm.follow({})
        alarm._scheduler.shutdown(wait=True)
        alarm.wait(0)
        assert not alarm.wait(0)
        alarm._scheduler.start()


def test_schedules_that_are_added_and_paused_while_it_serves_are_followed(lake, rule, start, monkeypatch):
    looks, fired = [], []

    def look(alarm, seconds):
        looks.append(sorted(job.id for job in alarm._scheduler.get_jobs()))
        if len(looks) == 1:
            add_schedule(lake, "nightly", rule("0 3 * * *", on_change=("stars",)))
        elif len(looks) == 2:
            hven.schedule.pause_schedule(lake, "nightly")
        else:
            stop()

    monkeypatch.setattr(_Alarm, "wait", look)
    serve(lake, clock=lambda: start, tell=lambda e: fired.append(e.kind), cluster="synchronous")
    assert looks == [[], ["nightly"], []]
    assert fired == ["serving", "firing", "fired", "stopped"]


def test_a_store_that_fails_for_a_while_is_told_once_and_survived(lake, rule, start, monkeypatch):
    add_schedule(lake, "follow", rule(on_change=("stars",)))
    looks, events = [], []

    def fails(*_, **__):
        raise StorageError("no route to the store", hint="Mend it.")

    def look(alarm, seconds):
        looks.append(seconds)
        if len(looks) == 3:
            patched.undo()
        elif len(looks) == 4:
            stop()

    monkeypatch.setattr(_Alarm, "wait", look)
    with monkeypatch.context() as patched:
        patched.setattr("hven.schedule.ticking.due", fails)
        serve(lake, every=7, clock=lambda: start, tell=events.append, cluster="synchronous")
    assert [event.kind for event in events] == ["serving", "trouble", "firing", "fired", "stopped"]
    assert events[1].to_json()["error"]["code"] == "storage-failed"
    assert looks == [7] * 4


def test_a_lake_that_does_not_answer_from_the_start_is_an_error(lake, monkeypatch):
    def fails(*_, **__):
        raise StorageError("no route to the store", hint="Mend it.")

    monkeypatch.setattr("hven.schedule.serving.leased", fails)
    with pytest.raises(StorageError):
        serve(lake)
