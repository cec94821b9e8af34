"""A lake in an object store: the same story as on a disk, against an S3 server on this machine."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import polars as pl
import pytest

import hven
import trial_analyses as trial
from hven import errors
from hven.compute import open_run
from hven.schedule import firings
from simulated import make_spectra, make_stars


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of an S3 server with one empty bucket, ``sky``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("s3") / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=log,
        stderr=log,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{address}/sky", method="PUT"), timeout=5):
                break
        except OSError:
            time.sleep(0.1)
    yield address
    process.kill()
    process.wait()
    log.close()


@pytest.fixture
def bucket(server, monkeypatch, request):
    told = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return f"s3://sky/{request.node.name}"


def test_a_lake_in_an_object_store_is_written_asked_and_travelled(bucket):
    stars, spectra = make_stars(0, 3_000), make_spectra(0, 1_500)
    lake = hven.create(bucket)
    with pytest.raises(errors.LakeExistsError):
        hven.create(bucket)
    with lake.transaction("first") as tx:
        tx.write("stars", stars)
        tx.write("spectra", spectra)
    lake.release("dr1")
    with lake.transaction("second") as tx:
        tx.append("stars", make_stars(3_000, 100))
        tx.delete("stars", "feh > 1")
        tx.append("spectra", make_spectra(90_000, 100))
    again = hven.open(bucket)
    assert (
        again["stars"].table().collect().height
        == (stars["feh"] <= 1).sum() + (make_stars(3_000, 100)["feh"] <= 1).sum()
    )
    assert again["spectra"].dataset()["flux"].values.shape == (1_600, 20)
    assert hven.open(f"{bucket}@dr1")["stars"].table().collect().equals(stars)
    assert [c.message for c in again.log()] == ["second", "first", "created the lake"]
    with pytest.raises(errors.LakeNotFoundError):
        hven.open(f"{bucket}/elsewhere")


def test_the_page_of_a_pipeline_is_kept_in_an_object_store_as_reports_of_runs_are(bucket):
    lake = hven.create(bucket)
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 100))
    pipeline = hven.Pipeline([hven.Step(trial.mean_feh, {"stars": "stars"})])
    for _ in range(2):
        done = hven.run_pipeline(hven.open(bucket), pipeline, cluster="synchronous")
        assert (done.report, done.caveats) == (f"{bucket}/pipelines/mean_feh.html", [])
        page = lake.store.get("pipelines/mean_feh.html").decode()
        assert "data:image/png;base64,iVBOR" in page
        assert f'href="../runs/{done.steps[0].run.id}/report.html"' in page
    assert done.did_nothing


def test_without_locks_one_of_two_writers_of_a_dataset_is_told(bucket):
    lake = hven.create(bucket)
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 100))
    with pytest.raises(errors.ConflictError, match="'stars'"), lake.transaction() as slow:
        slow.append("stars", make_stars(1_000, 10))
        with lake.transaction() as fast:
            fast.append("stars", make_stars(2_000, 10))
    assert lake["stars"].table(["object_id"]).collect()["object_id"].max() == 2**60 + 2_009
    assert lake["stars"].entry.counts.rows == 110


def test_processes_commit_to_one_object_store_at_once(bucket):
    hven.create(bucket)
    script = """
import sys, polars as pl, hven
lake, me = hven.open(sys.argv[1]), sys.argv[2]
for step in range(6):
    with lake.transaction(f"{me} {step}") as tx:
        tx.write(f"set_{me}_{step}", pl.DataFrame({"object_id": [step]}))
"""
    running = [
        subprocess.Popen([sys.executable, "-c", script, bucket, str(me)], env=os.environ.copy(), stderr=subprocess.PIPE)
        for me in range(3)
    ]
    for process in running:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
    lake = hven.open(bucket)
    assert lake.number == 18
    assert len(lake) == 18
    assert pl.concat([lake[name].table().collect() for name in lake]).height == 18


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_daemon_that_is_killed_loses_its_lease_and_another_goes_on_with_its_run(bucket, tmp_path):
    lake = hven.create(bucket)
    for segment in range(6):
        with lake.transaction() as tx:
            (tx.append if segment else tx.write)("stars", make_stars(100 * segment, 20))
    calls = tmp_path / "calls"
    calls.mkdir()
    script = """
import sys, hven, trial_analyses
from hven.plugins import plugins
from hven.schedule import Schedule, add_schedule, serve

class Trial:
    @hven.hookimpl
    def hven_analyses(self):
        return [trial_analyses.doubled]

plugins().register(Trial(), "trial")
lake, told = hven.open(sys.argv[1]), {"folder": sys.argv[2], "seconds": 0.5}
if not lake.catalog.schedules:
    stars = {"stars": {"datasets": "stars"}}
    add_schedule(lake, "follow", Schedule("doubled", stars, "2026-01-01T00:00Z", on_change=("stars",), parameters=told))

def tell(event):
    print(event.kind, flush=True)
    if event.kind == "fired":
        raise KeyboardInterrupt

serve(lake, every=0.2, expiry=2.0, tell=tell, cluster="synchronous", checkpoint_seconds=0.01, checkpoint_blocks=1)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}

    def start():
        command = [sys.executable, "-c", script, bucket, str(calls)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    first = start()
    while len(list(calls.iterdir())) < 3 and first.poll() is None:
        time.sleep(0.05)
    second = start()
    assert second.stdout.readline() == "waiting\n"
    first.kill()
    first.communicate(timeout=60)
    out, err = second.communicate(timeout=120)
    assert out.split() == ["serving", "firing", "fired", "stopped"], err
    killed, done = firings(lake, "follow")
    assert (killed.outcome, killed.term, done.outcome, done.term) == ("interrupted", 1, "succeeded", 2)
    run = open_run(lake, done.runs[0])
    assert (run.blocks["total"], run.blocks["reused"] > 0) == (6, True)
    assert lake["doubled"].table().collect().height == 120
