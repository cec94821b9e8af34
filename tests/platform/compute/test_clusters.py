import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import hven
import trial_analyses as trial
from hven import errors
from hven.compute.clusters import cluster_for
from hven.compute.window import WorkerLost, each_outcome


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
