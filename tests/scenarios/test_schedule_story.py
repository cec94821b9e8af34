"""The story of schedules: daemons in processes of their own, killed and stopped in the middle of a run."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import hven
import trial_analyses as trial
from hven.compute import runs
from hven.plugins import plugins
from hven.schedule import Schedule, add_schedule, firings
from simulated import make_stars

SEGMENTS, ROWS = 12, 20
PATIENCE = 120
SCRIPT = """
    import json, sys
    from datetime import UTC, datetime

    import hven, trial_analyses
    from hven.plugins import plugins
    from hven.schedule import serve, stoppable, tick


    class Trial:
        @hven.hookimpl
        def hven_analyses(self):
            return [trial_analyses.doubled]


    if __name__ == "__main__":
        plugins().register(Trial(), "trial")
        lake, verb, cluster = hven.open(sys.argv[1]), sys.argv[2], sys.argv[3]
        how = dict(cluster=cluster, workers=1, checkpoint_seconds=0.01, checkpoint_blocks=1)
        with stoppable():
            if verb == "tick":
                try:
                    print(json.dumps([firing.outcome for firing in tick(lake, datetime.now(UTC), **how)]))
                except hven.errors.ConflictError:
                    print("[]")
            else:
                serve(lake, every=0.2, tell=lambda event: print(json.dumps(event.to_json()), flush=True), **how)
"""


class Trial:
    @hven.hookimpl
    def hven_analyses(self):
        return [trial.doubled]


@pytest.fixture
def survey(tmp_path):
    """Return a lake with stars of many segments, so that their run has many blocks."""
    plugins().register(Trial(), "trial")
    lake = hven.create(tmp_path / "a scheduled lake")
    with lake.transaction("stars") as tx:
        tx.write("stars", make_stars(0, ROWS))
        for segment in range(1, SEGMENTS):
            tx.append("stars", make_stars(segment * ROWS, ROWS))
    (tmp_path / "calls").mkdir()
    yield lake
    plugins().unregister("trial")


@pytest.fixture
def calls(tmp_path):
    """Return what counts the blocks that were begun."""
    return lambda: len(list((tmp_path / "calls").iterdir()))


@pytest.fixture
def schedule(survey, tmp_path):
    """Keep a schedule that is due, and takes so many seconds a block."""

    def keep(seconds):
        parameters = {"folder": str(tmp_path / "calls"), "seconds": seconds}
        since = datetime.now(UTC) - timedelta(days=3)
        stars = {"stars": {"datasets": "stars"}}
        add_schedule(survey, "nightly", Schedule("doubled", stars, since.isoformat(), "@daily", parameters=parameters))

    return keep


class Process:
    """A process that tells what it does, line by line."""

    def __init__(self, folder, *arguments):
        environment = os.environ | {"PYTHONPATH": str(Path(trial.__file__).parent)}
        self.out, self.err = folder / "out", folder / "err"
        with self.out.open("w") as out, self.err.open("w") as err:
            command = [sys.executable, *map(str, arguments)]
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, start_new_session=True)

    @property
    def lines(self):
        whole = self.out.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def events(self):
        return [line["event"] for line in self.lines]

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.02)

    def end(self, number=None):
        """Wait for the end, after a signal if one is given, and return the exit status."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def start(tmp_path, survey):
    """Start a daemon, or a tick, in a process of its own."""
    path, started = tmp_path / "daemon.py", []
    path.write_text(textwrap.dedent(SCRIPT))

    def begin(verb, cluster="synchronous"):
        folder = tmp_path / f"process {len(started)}"
        folder.mkdir()
        started.append(Process(folder, path, survey.url, verb, cluster))
        return started[-1]

    yield begin
    for process in started:
        if process.process.poll() is None:
            os.killpg(process.process.pid, signal.SIGKILL)
            process.end()


def undisturbed(survey):
    parameters = {"folder": "", "seconds": 0.0}
    inputs = {"stars": "stars"}
    return hven.run(survey, trial.doubled, inputs, parameters, output="undisturbed", cluster="synchronous").result


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cluster", ["synchronous", pytest.param("local", marks=pytest.mark.slow)])
def test_of_two_daemons_one_works_and_the_other_goes_on_when_it_is_killed(survey, schedule, start, calls, cluster):
    schedule(0.2)
    first = start("serve", cluster)
    first.until(lambda: "firing" in first.events())
    second = start("serve", cluster)
    second.until(lambda: "waiting" in second.events())
    assert f":{first.process.pid} has the lease" in second.lines[0]["what"]
    first.until(lambda: calls() >= 4)
    assert [f.outcome for f in firings(survey, "nightly")] == ["running"]
    assert second.events() == ["waiting"]
    first.end(signal.SIGKILL)

    second.until(lambda: "fired" in second.events())
    assert second.events() == ["waiting", "serving", "firing", "fired"]
    killed, done = firings(survey, "nightly")
    assert (killed.outcome, killed.term, killed.by.split(":")[1]) == ("interrupted", 1, str(first.process.pid))
    assert (done.outcome, done.term, done.attempt) == ("succeeded", 2, 2)
    assert done.reason == "firing 1 was broken off"
    assert second.end(signal.SIGTERM) == 0
    assert second.events()[-1] == "stopped"

    # It is one run, and what was finished was not computed again.
    [run] = runs(survey)
    assert (run.id, run.state, run.blocks["total"]) == (done.runs[0], "succeeded", SEGMENTS)
    assert run.blocks["reused"] >= 2
    assert calls() <= 2 * SEGMENTS - run.blocks["reused"]
    assert survey["doubled"].table().collect().equals(undisturbed(survey).table().collect())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_daemon_that_is_stopped_leaves_a_run_with_which_the_next_tick_goes_on(survey, schedule, start, calls, number):
    schedule(0.1)
    daemon = start("serve")
    daemon.until(lambda: calls() >= 4)
    assert daemon.end(number) == 0
    assert daemon.events() == ["serving", "firing", "fired", "stopped"]
    [cancelled] = firings(survey, "nightly")
    assert cancelled.outcome == "cancelled"
    assert runs(survey)[0].id in cancelled.note
    assert runs(survey)[0].state == "cancelled"
    assert "doubled" not in survey

    ticking = start("tick")
    assert ticking.end() == 0
    assert ticking.lines == [["succeeded"]]
    [run] = runs(survey)
    assert run.blocks["reused"] >= 2
    assert survey["doubled"].table().collect().equals(undisturbed(survey).table().collect())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_of_several_ticks_at_once_one_fires(survey, schedule, start):
    schedule(0.02)
    ticks = [start("tick") for _ in range(2)]
    assert [ticking.end() for ticking in ticks] == [0, 0]
    assert sorted(ticking.lines[0] for ticking in ticks) == [[], ["succeeded"]]
    assert [f.outcome for f in firings(survey, "nightly")] == ["succeeded"]
