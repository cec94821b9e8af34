"""Clusters: the workers of a run, started, found or borrowed, and always let go of quietly."""

import logging
import multiprocessing
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from hven.compute.schedulers import check_address, client_of
from hven.errors import ClusterError, HvenError, MissingDependencyError

if TYPE_CHECKING:
    from distributed import Client

    AskedCluster = str | Client

_NO_GPU = "See whether nvidia-smi lists a GPU, or choose another cluster, as 'local'."
_PRELOAD = ["hven.compute.worker_signals"]
_GUARD = 'In a script, put what starts the run under  if __name__ == "__main__":  (workers import the script).'

WORKER_ENVIRONMENT = {
    "POLARS_MAX_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # What XLA makes its pools of on processors; it has no setting of its own for them.
    "NPROC": "1",
    # Dask has workers give memory back at once, which makes glibc take pages from the kernel for each array of 128 kB
    # anew: large blocks take twice as long. These are the limits that glibc itself arrives at.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
    # Dask looks a hundred times a second at what a worker does, which costs a small block a fifth of its time.
    "DASK_DISTRIBUTED__WORKER__PROFILE__INTERVAL": "100ms",
}
"""What workers are started with: each has one thread for tasks, and libraries with threads of their own would take
every core in every worker. Who starts the workers of a cluster says it to them."""


@dataclass(frozen=True)
class Cluster:
    """Workers at hand.

    Attributes
    ----------
    kind
        How it was asked for: ``local``, ``cuda``, ``synchronous``, an address or ``client``.
    client
        Of Dask; None when everything runs in this very process.
    threads
        How many tasks run at once.
    workers
        How many processes they run in.
    dashboard
        Address of the Dask dashboard, or empty.
    memory
        Bytes that a task may use on the smallest worker; 0 for no limit, or when nobody knows.
    """

    kind: str
    client: "Client | None" = None
    threads: int = 1
    workers: int = 1
    dashboard: str = ""
    memory: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return what it is as plain values, for records."""
        return {"kind": self.kind, "workers": self.workers, "dashboard": self.dashboard}


def default_workers(tasks: int) -> int:
    """Return how many workers are started for so many tasks when nobody says: a core each, none in vain.

    Examples
    --------
    >>> default_workers(1)
    1
    """
    from dask.system import CPU_COUNT

    return max(1, min(int(CPU_COUNT), tasks))


@contextmanager
def cluster_for(asked: "AskedCluster", workers: int) -> Iterator[Cluster]:
    """Give the cluster that is asked for; what was started here is stopped at the end.

    Parameters
    ----------
    asked
        ``"local"`` (processes on this machine), ``"cuda"`` (a process a GPU), ``"synchronous"`` (this process),
        the address of a scheduler (``"tcp://host:8786"``), or a Dask client.
    workers
        How many, where they are started here.

    Raises
    ------
    ClusterError
        If it cannot be started or reached.
    """
    check_cluster(asked)
    if asked == "synchronous":
        yield Cluster("synchronous")
        return
    with _worker_settings():
        if not isinstance(asked, str):
            yield _borrowed(asked, "client")
        elif asked == "local":
            yield from _started(_local, "local", workers)
        elif asked == "cuda":
            yield from _started(_cuda, "cuda", workers)
        else:
            yield from _reached(asked)


def check_cluster(asked: "AskedCluster") -> None:
    """Refuse what is no cluster, and a run begun by a worker that is only importing the user's script.

    Raises
    ------
    ClusterError
        Saying which names there are, or where the guard belongs.
    """
    if isinstance(asked, str) and asked not in {"local", "cuda", "synchronous"} and "://" not in asked:
        raise ClusterError(
            f"there is no cluster {asked!r}",
            expected="'local', 'cuda', 'synchronous', or the address of a scheduler such as 'tcp://host:8786'",
            hint="Correct the name.",
        )
    if isinstance(asked, str) and "://" in asked:
        check_address(asked)
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ClusterError("a worker began a run while it was importing the script that started it", hint=_GUARD)


def _started(start: Any, kind: str, workers: int) -> Iterator[Cluster]:
    from distributed import Client

    with _environment_restored():  # a worker that dies is started again, with the same traces
        try:
            with _environment_restored():
                cluster = start(workers)
        except HvenError:
            raise
        except Exception as error:
            guard = _GUARD + ' Or run in this process, with cluster="synchronous".'
            raise ClusterError(
                f"the {kind} cluster did not start: {_reason(error)}", hint=_NO_GPU if kind == "cuda" else guard
            ) from error
        # No default of this process: what a user computes beside a run stays where they put it.
        with cluster, Client(cluster, set_as_default=False) as client:
            yield _borrowed(client, kind)


def _local(workers: int) -> Any:
    from distributed import LocalCluster
    from distributed.system import MEMORY_LIMIT

    with warnings.catch_warnings():
        # Somebody may take the port between our look and Dask's: then it takes another one, which is as good.
        warnings.filterwarnings("ignore", message="Port 8787 is already in use")
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            # A share of what there is, told outright: "auto" takes the whole machine in some containers.
            memory_limit=int(MEMORY_LIMIT * 0.9 / workers),
            host="127.0.0.1",
            dashboard_address=f"127.0.0.1:{_dashboard_port()}",
            silence_logs=logging.CRITICAL,
            preload=_PRELOAD,
        )


def _cuda(_: int) -> Any:
    try:
        from dask_cuda import LocalCUDACluster
    except Exception as error:
        raise MissingDependencyError(
            f"dask-cuda is not at hand: {_reason(error)}",
            where="cluster 'cuda'",
            hint="Install hven[gpu], or choose another cluster, as 'local'.",
        ) from error
    dashboard = f"127.0.0.1:{_dashboard_port()}"
    return LocalCUDACluster(dashboard_address=dashboard, threads_per_worker=1, preload=_PRELOAD)


def _reached(address: str) -> Iterator[Cluster]:
    with client_of(address) as client:
        yield _borrowed(client, address)


def _borrowed(client: "Client", kind: str) -> Cluster:
    threads = client.nthreads()
    if not threads:
        raise ClusterError(
            "the cluster has no workers", where=str(client.scheduler_info().get("address", "")), hint="Start some."
        )
    memory = _memory(client, frozenset(threads))
    return Cluster(kind, client, sum(threads.values()), len(threads), client.dashboard_link or "", memory)


def workers_lost(cluster: Cluster) -> int:
    """Return how many workers of a cluster have died unexpectedly, as far as its scheduler still tells."""
    client = cluster.client
    if client is None or client.status != "running":
        return 0
    try:
        events = client.get_events("all")
    except (OSError, TimeoutError):
        return 0
    told = [event for _, event in events if isinstance(event, dict)]
    return sum(1 for event in told if event.get("action") == "remove-worker" and not event.get("expected"))


def _memory(client: "Client", workers: frozenset[str]) -> int:
    """Return the bytes of memory for a task on the smallest worker; 0 when the workers have no limit."""
    known, memory = _known_memory.get(client, (frozenset(), 0))
    if known != workers:
        limits = client.run(_own_memory)
        memory = min((limit for limit in limits.values() if limit), default=0)
        _known_memory[client] = workers, memory
    return memory


_known_memory: "WeakKeyDictionary[Client, tuple[frozenset[str], int]]" = WeakKeyDictionary()
"""What was asked of the workers of a client, as long as they are the same: each run of a pipeline would ask again."""


def _own_memory(dask_worker: Any) -> int:
    manager = dask_worker.memory_manager
    return int(manager.memory_limit or 0) // max(int(dask_worker.state.nthreads), 1)


def _dashboard_port() -> int:
    """Return the port that HVEN_DASHBOARD_PORT names, else Dask's usual one when it is free, else 0 for any."""
    asked = os.environ.get("HVEN_DASHBOARD_PORT", "")
    if asked:
        if not asked.isdecimal() or int(asked) > 65535:
            raise ClusterError(
                f"HVEN_DASHBOARD_PORT is {asked!r}", expected="a port, 0 for any that is free", hint="Correct it."
            )
        return int(asked)
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 8787))
        except OSError:
            return 0
    return 8787


@contextmanager
def _environment_restored() -> Iterator[None]:
    """Take back what Dask's nannies put into the environment of this process, for workers to inherit it.

    An analysis of everything at once is computed in this process, and has all its cores.
    """
    before = {name: os.environ.get(name) for name in WORKER_ENVIRONMENT}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _worker_settings() -> Iterator[None]:
    import dask
    import distributed  # noqa: F401 - it adds its own settings, which must not be taken away with ours at the end

    environment = dask.config.get("distributed.nanny.pre-spawn-environ", {})
    settings = {
        "distributed.nanny.pre-spawn-environ": {**environment, **WORKER_ENVIRONMENT},
        # A block that kills its worker is tried once more, alone, by us: no need to lose four workers to be sure.
        "distributed.scheduler.allowed-failures": 1,
    }
    with dask.config.set(settings):
        yield


def _reason(error: Exception) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
