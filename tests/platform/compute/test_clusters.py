import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import nullcontext, suppress
from pathlib import Path

import dask
import pytest

import hven
import trial_analyses as trial
from hven import errors
from hven.compute import clusters, runner, schedulers
from hven.compute.clusters import cluster_for
from hven.compute.window import WorkerLost, each_outcome
from simulated import make_stars


def test_workers_of_a_local_cluster_have_one_thread_everywhere(workers):
    import polars as pl

    assert set(workers.nthreads().values()) == {1}
    assert set(workers.run(pl.thread_pool_size).values()) == {1}
    assert set(workers.run(os.getenv, "OMP_NUM_THREADS").values()) == {"1"}
    assert all(told["memory_limit"] for told in workers.scheduler_info()["workers"].values())


def test_the_process_that_starts_a_cluster_keeps_its_own_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NPROC", raising=False)
    with cluster_for("local", 1) as cluster:
        assert cluster.client.submit(os.getenv, "NPROC").result() == "1"
        assert os.environ["OMP_NUM_THREADS"] == "7"
        assert "NPROC" not in os.environ
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "NPROC" not in os.environ


def test_scheduler_and_dashboard_listen_on_this_machine_only(workers):
    assert workers.scheduler_info()["address"].startswith("tcp://127.0.0.1:")
    assert workers.dashboard_link.startswith("http://127.0.0.1:")
    listening = workers.cluster.scheduler.http_server._sockets.values()
    assert {socket.getsockname()[0] for socket in listening} == {"127.0.0.1"}


def test_a_run_reaches_a_scheduler_by_its_address(survey, workers):
    run = hven.run(survey, trial.doubled, {"stars": "stars"}, cluster=workers.scheduler.address, block_rows=2_000)
    assert run.state == "succeeded"
    assert run.record["cluster"]["kind"] == workers.scheduler.address


def test_a_cuda_cluster_says_what_is_missing_where_there_is_none():
    with pytest.raises(errors.HvenError) as told, cluster_for("cuda", 1):
        pass
    assert told.value.code in {"missing-dependency", "no-cluster"}


def test_cuda_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_cuda", None)
    with pytest.raises(errors.MissingDependencyError, match="dask-cuda is not at hand") as told, cluster_for("cuda", 1):
        pass
    assert "Install hven[gpu]" in told.value.hint


@pytest.mark.parametrize("address", ["ws://127.0.0.1:8786", "foo://a:1", "tcp://", "tcp://host", "tls://host:many"])
def test_what_is_no_address_of_a_scheduler_is_refused_before_anything_is_written(survey, address):
    with pytest.raises(errors.ClusterError, match="is not the address of a scheduler"):
        hven.run(survey, trial.doubled, {"stars": "stars"}, cluster=address)
    assert hven.compute.runs(survey) == []


def test_a_scheduler_that_wants_certificates_is_refused_without_them():
    with pytest.raises(errors.ClusterError, match=r"name no certificates: distributed\.comm\.tls\.ca-file") as told:
        schedulers.client_of("tls://127.0.0.1:8786")
    assert "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in told.value.hint


@pytest.fixture
def certificate(tmp_path):
    """Return a certificate for this machine, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificates of this test")
    made = [str(tmp_path / name) for name in ("certificate.pem", "key.pem")]
    command = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=hven -addext subjectAltName=IP:127.0.0.1"
    command = [openssl, *command.split(), "-out", made[0], "-keyout", made[1]]
    subprocess.run(command, check=True, capture_output=True)
    return made


def test_a_scheduler_behind_tls_is_reached_with_the_certificates_of_dasks_settings(certificate):
    from distributed import LocalCluster, Security

    file, key = certificate
    pairs = {f"tls_{who}_{what}": path for who in ("scheduler", "worker", "client") for what, path in
             (("cert", file), ("key", key))}  # fmt: skip
    security = Security(tls_ca_file=file, require_encryption=True, **pairs)
    how = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    tls = "distributed.comm.tls."
    named = {f"{tls}ca-file": file, f"{tls}client.cert": file, f"{tls}client.key": key}
    with LocalCluster(security=security, protocol="tls://", host="127.0.0.1", **how) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tls://")
        with dask.config.set(named), cluster_for(address, 1) as reached:
            assert reached.client.submit(sum, [1, 2]).result() == 3
        without = dask.config.set({**named, f"{tls}client.key": "/nowhere/key.pem"})
        with without, pytest.raises(errors.ClusterError) as told:
            schedulers.client_of(address)
        assert "there is no file '/nowhere/key.pem'" in told.value.what


def test_nothing_that_is_not_a_scheduler_keeps_a_run_waiting():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer():
            for _ in range(2):
                with suppress(OSError):
                    caller, _ = server.accept()
                    with caller:
                        caller.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(errors.ClusterError, match="no scheduler answers"):
            schedulers.client_of(f"tcp://127.0.0.1:{port}")
    with pytest.raises(errors.ClusterError, match=r"no scheduler answers: .*refused"):
        schedulers.client_of(f"tcp://127.0.0.1:{port}")
    with pytest.raises(errors.ClusterError, match="no scheduler answers"):
        schedulers.client_of("tcp://no-such-host.invalid:8786")


def test_workers_leave_the_interrupt_to_the_run(workers):
    assert set(workers.run(signal.getsignal, signal.SIGINT).values()) == {signal.SIG_IGN}


def test_any_other_process_that_imports_the_module_still_hears_the_interrupt():
    # What starts in the background may not hear it to begin with.
    code = "import hven.compute.worker_signals, signal; assert callable(signal.getsignal(signal.SIGINT))"
    subprocess.run(
        [sys.executable, "-c", f"import signal; signal.signal(2, signal.default_int_handler); {code}"], check=True
    )


def test_a_script_without_its_guard_is_told_where_it_belongs(survey, tmp_path):
    script = """
        import sys, hven, trial_analyses
        hven.run(hven.open(sys.argv[1]), trial_analyses.doubled, {"stars": "stars"}, workers=1)
    """
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(script))
    environment = os.environ | {"PYTHONPATH": str(Path(trial.__file__).parent)}
    done = subprocess.run(
        [sys.executable, path, survey.url], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert done.returncode != 0
    assert 'if __name__ == "__main__"' in done.stderr
    assert "doubled" not in survey
    assert hven.compute.runs(survey) == []


def test_a_window_takes_items_only_as_fast_as_tasks_end(workers):
    from hven.compute.clusters import Cluster

    taken = []

    def items():
        for number in range(50):
            taken.append(number)
            yield number

    under_way = []
    ended = 0
    for number, outcome in each_outcome(Cluster("client", workers, 2), lambda n: (pow, n, 2), items(), lambda: 6):
        assert outcome == number**2
        ended += 1
        under_way.append(len(taken) - ended)
    assert ended == 50
    assert max(under_way) <= 6


def test_a_task_that_kills_its_worker_is_told_apart(workers):
    with cluster_for("local", 1) as cluster:
        outcomes = dict(each_outcome(cluster, lambda n: (_leave, n), [0, 1], lambda: 1))
    assert outcomes[0] == 0
    assert isinstance(outcomes[1], WorkerLost)


def _leave(number):
    if number:
        os._exit(1)
    return number


def test_the_port_of_the_dashboard_is_the_one_that_is_asked_for(monkeypatch):
    from hven.compute import clusters

    monkeypatch.setenv("HVEN_DASHBOARD_PORT", "8799")
    assert clusters._dashboard_port() == 8799
    monkeypatch.delenv("HVEN_DASHBOARD_PORT")
    assert clusters._dashboard_port() in (0, 8787)
    monkeypatch.setenv("HVEN_DASHBOARD_PORT", "eight")
    with pytest.raises(errors.ClusterError, match="HVEN_DASHBOARD_PORT"):
        clusters._dashboard_port()


def test_a_single_small_block_starts_no_workers_unless_they_are_asked_for(lake, monkeypatch, tmp_path):
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 600))
    doubled = (lake, trial.doubled, {"stars": "stars"}, {"folder": str(tmp_path)})
    assert hven.run(*doubled, output="alone").record["cluster"]["kind"] == "synchronous"
    whole = hven.run(lake, trial.mean_feh, {"stars": "stars"}, {"least": 3})
    assert whole.record["cluster"]["kind"] == "synchronous"
    started = []

    def start(asked, workers):
        started.append((asked, workers))
        return nullcontext(clusters.Cluster("synchronous"))

    monkeypatch.setattr(runner, "cluster_for", start)
    hven.run(*doubled, output="by_blocks", block_rows=300)
    hven.run(*doubled, output="by_a_worker", workers=1)
    monkeypatch.setattr(runner, "_SMALL", 600)
    hven.run(*doubled, output="large")
    assert [asked for asked, _ in started] == ["local"] * 3
    assert started[1][1] == started[2][1] == 1
