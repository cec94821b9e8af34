import json
import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

import hven
import trial_analyses
from hven.plugins import plugins
from hven.schedule import leased

ADD = "schedule add nightly mean_feh --input stars=stars -p least=2 --cron '0 3 * * *'"


class Trial:
    @hven.hookimpl
    def hven_analyses(self):
        return [trial_analyses.mean_feh]


@pytest.fixture(autouse=True)
def trial_plugin():
    plugins().register(Trial(), "trial")
    yield
    plugins().unregister("trial")


@pytest.fixture
def lake(own_lake):
    yield f"--lake '{own_lake.url}'"
    for name in list(own_lake.catalog.schedules):
        hven.schedule.remove_schedule(own_lake, name)


@pytest.fixture
def told(command, lake):
    """Call a verb on the lake and return what it says as JSON."""

    def ask(text, status=0):
        said = command(f"{text} --json {lake}")
        assert said.status == status, said.err
        return json.loads(said.out)

    return ask


def test_a_schedule_is_added_listed_shown_run_when_due_and_removed(command, own_lake, lake, told):
    kept = told(f"{ADD} --timezone Europe/Berlin --on-change stars --output tonight")
    assert (kept["name"], kept["cron"], kept["parameters"]) == ("nightly", "0 3 * * *", {"least": 2})
    listed = told("schedule ls")["nightly"]
    assert (listed["timezone"], listed["result"], listed["is_due"], listed["last"]) == (
        *("Europe/Berlin", "tonight", True, None),
    )
    assert "never" in command(f"schedule ls {lake}").out

    [firing] = told("schedule tick --cluster synchronous")
    assert (firing["outcome"], firing["reason"]) == ("succeeded", "a change of stars")
    assert "tonight" in own_lake
    assert "Nothing is due" in command(f"schedule tick --cluster synchronous {lake}").out
    assert "Nothing is due" in command(f"schedule serve --once --cluster synchronous {lake}").out

    shown = told("schedule show nightly")
    assert [f["runs"] for f in shown["firings"]] == [firing["runs"]]
    coming = datetime.fromisoformat(shown["next"])
    assert timedelta() < coming - datetime.now(UTC) <= timedelta(days=1, hours=1)
    assert coming.strftime("%H:%M") == "03:00"
    text = command(f"schedule show nightly {lake}").out
    assert all(said in text for said in ("0 3 * * * (Europe/Berlin); on change of stars", firing["runs"][0], "tonight"))
    assert f"{coming:%Y-%m-%dT03:00:00}" in command(f"schedule ls {lake}").out

    assert command(f"schedule rm nightly {lake}").status == 0
    assert told("schedule ls") == {}


def test_a_schedule_is_paused_resumed_and_run_by_hand(command, lake, told):
    assert command(f"{ADD} --paused --output by_hand {lake}").status == 0
    assert "paused" in command(f"schedule ls {lake}").out
    assert told("schedule run-now nightly --cluster synchronous")["reason"] == "by hand"
    assert "by_hand" in command(f"ls {lake}").out
    assert command(f"schedule resume nightly {lake}").status == 0
    assert told("schedule show nightly")["next"] is not None
    assert command(f"schedule pause nightly {lake}").status == 0
    assert told("schedule show nightly")["next"] is None


def test_the_exit_status_of_a_tick_says_whether_somebody_has_to_look(command, own_lake, lake, told):
    assert (
        command(f"schedule add many mean_feh -i stars -p least=9999 --on-change stars --output many {lake}").status == 0
    )
    [firing] = told("schedule tick --cluster synchronous", status=3)
    assert firing["error"]["code"] == "too-few-objects"
    assert "[too-few-objects] too few stars" in command(f"schedule show many {lake}").out
    said = command(f"schedule run-now many --cluster synchronous {lake}")
    assert (said.status, "too few stars" in said.out) == (3, True)
    with leased(own_lake, "schedules"):
        said = command(f"schedule tick --cluster synchronous {lake}")
        assert (said.status, "has the lease" in said.out) == (0, True)
    with leased(own_lake, "result-many"):
        assert told("schedule run-now many --cluster synchronous", status=3)["outcome"] == "skipped"
    assert command("schedule tick --lake nowhere").status == 1


@pytest.mark.parametrize("verb", ["tick", "run-now nightly"])
def test_a_tick_that_is_stopped_ends_with_130_and_the_next_goes_on(command, lake, told, monkeypatch, verb):
    assert command(f"{ADD} --on-change stars --output stopped {lake}").status == 0

    def stopped(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr("hven.compute.run", stopped)
        assert command(f"schedule {verb} --cluster synchronous {lake}").status == 130
    shown = told("schedule show nightly")
    assert shown["firings"][-1]["outcome"] == "cancelled"
    assert shown["is_due"] == (verb == "tick")


def test_serve_tells_what_it_does_line_by_line_until_it_is_stopped(command, own_lake, lake, told, monkeypatch):
    assert command(f"schedule add follow mean_feh -i stars --on-change stars --output followed {lake}").status == 0
    monkeypatch.setattr("hven.schedule.serving._Alarm.wait", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    said = command(f"schedule serve --json --cluster synchronous {lake}")
    events = [json.loads(line) for line in said.out.splitlines()]
    assert (said.status, [e["event"] for e in events]) == (0, ["serving", "firing", "fired", "stopped"])
    assert events[0]["lake"] == own_lake.url
    assert (events[2]["schedule"], events[2]["outcome"], events[2]["term"]) == (
        "follow",
        "succeeded",
        events[0]["term"],
    )
    assert "followed" in own_lake

    # Nothing has changed: this time it only serves.
    said = command(f"schedule serve --cluster synchronous {lake}")
    assert [line.split("  ", 1)[1].split(" ")[0] for line in said.out.splitlines()] == ["serving", "stopped"]


def test_a_schedule_that_cannot_work_is_refused_when_it_is_added(command, lake):
    add = "schedule add x mean_feh --input stars=stars"
    for text, said in {
        f"{add} {lake}": "neither when nor upon what",
        f"{add} --cron 'every day' {lake}": "is not a cron rule",
        f"{add} --cron @daily --timezone Europe/Berln {lake}": "Did you mean 'Europe/Berlin'",
        f"schedule add x mean_fe --input stars=stars --cron '0 3 * * *' {lake}": "Did you mean 'mean_feh'",
        f"schedule add x --cron '0 3 * * *' {lake}": "runs nothing",
        f"{add} -p least=many --cron '0 3 * * *' {lake}": "least",
        f"schedule add x mean_feh --input stars=strs --cron '0 3 * * *' {lake}": "Did you mean 'stars'",
        f"{add} --after nothing {lake}": "which nothing makes",
        f"schedule rm x {lake}": "no schedule 'x'",
        f"schedule show x {lake}": "no schedule 'x'",
    }.items():
        done = command(text)
        assert done.status == 1, text
        assert done.err.startswith("Error [bad-schedule]"), done.err
        assert said in done.err
