"""Who is at work on a run is known to others, on this machine and elsewhere, and they can ask it to stop."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import hven
from hven.compute import presence as at
from hven.compute.presence import ask_to_stop, present, who_is_present
from hven.compute.stopping import interrupt, stoppable, stoppable_by_default
from hven.errors import StorageError
from hven.lake.store import Store

FOLDER = "runs/one"


@pytest.fixture
def store(lake):
    return lake.store


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(at, "_LOOKS", {True: 0.0, False: 0.0})
    monkeypatch.setattr(at, "_GRACE", 0.0)


def wait_for(happened):
    for _ in range(3_000):
        if happened():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def test_somebody_is_present_as_long_as_the_work_goes_on_however_it_ends(store):
    for ending in (None, ValueError, SystemExit):
        try:
            with present(store, FOLDER):
                assert who_is_present(store, FOLDER) == at.me()
                if ending is not None:
                    raise ending
        except (ValueError, SystemExit):
            pass
        assert who_is_present(store, FOLDER) == ""
        assert not store.list(f"{FOLDER}/presence")


def test_a_dead_process_of_this_machine_is_not_present_nor_one_that_has_its_number_by_chance(store):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid, began in ((ended.pid, "7"), (os.getpid(), "7")):
        told = {"by": f"{at.me().rpartition(':')[0]}:{pid}", "began": began}
        store.put(f"{FOLDER}/presence/by.json", json.dumps(told).encode())
        assert who_is_present(store, FOLDER) == ""


def test_a_process_that_nobody_has_waited_for_is_not_present(store):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    told = {"by": f"{at.me().rpartition(':')[0]}:{process.pid}", "began": at._began(process.pid)}
    store.put(f"{FOLDER}/presence/by.json", json.dumps(told).encode())
    assert who_is_present(store, FOLDER) == told["by"]
    process.kill()
    wait_for(lambda: who_is_present(store, FOLDER) == "")
    process.communicate()


def test_a_process_on_another_machine_is_present_while_it_gives_signs_of_life(store, monkeypatch):
    store.put(f"{FOLDER}/presence/by.json", json.dumps({"by": "elsewhere:7", "began": "1"}).encode())
    assert who_is_present(store, FOLDER) == "elsewhere:7"
    monkeypatch.setattr(at, "EXPIRY", -1.0)
    assert who_is_present(store, FOLDER) == ""


def test_signs_of_life_are_given_again_and_again_and_a_store_that_fails_for_a_while_stops_nothing(store, monkeypatch):
    puts, put = [], Store.put
    monkeypatch.setattr(at, "BEAT", 0.0)

    def flaky(store, key, content):
        puts.append(key)
        if 1 < len(puts) < 4:
            raise StorageError("no answer", hint="Wait.")
        put(store, key, content)

    monkeypatch.setattr(Store, "put", flaky)
    with present(store, FOLDER) as presence:
        wait_for(lambda: len(puts) >= 6)
        presence.check()
    assert set(puts) == {f"{FOLDER}/presence/by.json"}


def test_a_request_interrupts_the_main_thread_in_the_middle_of_what_it_does(store):
    with pytest.raises(KeyboardInterrupt), present(store, FOLDER) as presence:
        ask_to_stop(store, FOLDER)
        time.sleep(600)
    assert presence.request["by"] == at.me()


def test_a_request_is_noticed_between_two_blocks_and_interrupts_nothing_then(store, monkeypatch):
    monkeypatch.setattr(at, "_GRACE", 600.0)
    with pytest.raises(KeyboardInterrupt), present(store, FOLDER) as presence:
        presence.check()
        ask_to_stop(store, FOLDER)
        wait_for(lambda: presence.request)
        presence.check()


def test_a_request_that_comes_too_late_is_not_heeded(store):
    with present(store, FOLDER) as presence:
        presence.close()
        ask_to_stop(store, FOLDER)
        wait_for(lambda: presence.request)
        time.sleep(0.05)


def test_who_took_over_keeps_its_presence_when_the_other_one_goes(store):
    with present(store, FOLDER):
        theirs = json.dumps({"by": "elsewhere:7", "began": "1"}).encode()
        store.put(f"{FOLDER}/presence/by.json", theirs)
    assert store.get(f"{FOLDER}/presence/by.json") == theirs


def test_signals_become_interrupts_inside_and_what_they_were_outside():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        with pytest.raises(KeyboardInterrupt) as raised, stoppable():
            os.kill(os.getpid(), number)
            time.sleep(600)
        assert raised.value.args == (number.name,)
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_program_that_handles_sigterm_itself_keeps_doing_so():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append("mine"))
    try:
        with stoppable_by_default():
            os.kill(os.getpid(), signal.SIGTERM)
            wait_for(lambda: heard)
    finally:
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"), stoppable_by_default():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(600)


def test_in_other_threads_nothing_is_handled():
    seen = []

    def look():
        with stoppable(), stoppable_by_default():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.fixture
def ignoring_control_c():
    """Ignore Ctrl-C, as processes do that a script or ``nohup`` put in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ignoring_control_c")
def test_a_program_that_ignores_control_c_is_not_interrupted():
    assert not interrupt()
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append("mine"))
    try:
        with stoppable_by_default():
            assert not interrupt(), "SIGTERM is the program's own"
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not heard


@pytest.mark.usefixtures("ignoring_control_c")
def test_a_run_in_the_background_is_interrupted_on_request_and_by_no_control_c():
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"), stoppable_by_default():
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt()
        time.sleep(600)


def test_a_run_of_another_machine_on_an_object_store_is_not_computed_twice_at_once(lake, monkeypatch):
    import trial_analyses as trial
    from simulated import make_stars

    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 30))
    asked = (lake, trial.doubled, {"stars": "stars"})
    with monkeypatch.context() as patched:
        patched.setattr("hven.compute.execution.publish_blocks", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            hven.run(*asked, cluster="synchronous")
    [run] = hven.runs(lake)
    told = json.dumps({"by": "elsewhere:7", "began": "1"}).encode()
    lake.store.put(f"{run.folder}/presence/by.json", told)
    monkeypatch.setattr(Store, "is_local", False)  # So that the lock of a local lake is not what tells.
    with pytest.raises(hven.errors.RunBusyError, match="elsewhere:7"):
        hven.run(*asked, cluster="synchronous")
