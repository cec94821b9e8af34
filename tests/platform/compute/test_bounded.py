"""What a run takes is bounded: memory whatever the number of blocks, threads whatever the number of cores."""

import tracemalloc
from functools import partial
from pathlib import Path

import hven
import unreal
from hven.compute import blocks, execution
from hven.compute.clusters import Cluster
from hven.compute.window import each_outcome
from hven.lake import BLOCK_ROWS


def test_scheduler_and_client_hold_little_of_a_block_that_is_done(tmp_path, workers, monkeypatch):
    lake = hven.create(tmp_path / "lake")
    scheduler = workers.cluster.scheduler
    take, known, peaks = blocks.BlockWork._take, [], []

    def publish(*_):
        peaks.append(tracemalloc.get_traced_memory()[1])
        return lake.number

    monkeypatch.setattr(blocks, "compute_patiently", partial(unreal.done_at_once, cells=4))
    monkeypatch.setattr(blocks.BlockWork, "_take", lambda *given: known.append(len(scheduler.tasks)) or take(*given))
    monkeypatch.setattr(execution, "publish_blocks", publish)
    few, many = 160, 1_600
    for count in (unreal.BLOCKS_A_FILE, few, many):
        unreal.write_unreal(lake, f"stars_{count}", count)
        tracemalloc.start(1)
        try:
            run = hven.run(
                lake, unreal.unreal, {"stars": f"stars_{count}"}, cluster=workers, block_rows=BLOCK_ROWS, progress=False
            )
        finally:
            tracemalloc.stop()
        assert run.blocks["done"] == count
    assert max(known) < 50, "tasks that a scheduler knows of at once"
    assert (peaks[2] - peaks[1]) / (many - few) < 4_000, "bytes for each block: a survey of 1e9 objects has 15,259"


def test_libraries_have_one_thread_each_in_workers(workers):
    cluster = Cluster("client", workers, 2)
    for _, told in each_outcome(cluster, lambda name: (threads_of, name), LIBRARIES, lambda: 2):
        assert told in (1, None), "threads, or nothing where there is no such library"


def threads_of(library):
    """Return the threads of a library as it tells itself, or as the system does of those that it has made."""
    try:
        return LIBRARIES[library]()
    except ImportError:
        return None


def _of_polars():
    import polars as pl

    return pl.thread_pool_size()


def _of_blas():
    import ctypes

    import numpy as np

    assert np.linalg.inv(np.eye(200)).trace() == 200
    paths = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "openblas" in line}
    asked = ("scipy_openblas_get_num_threads64_", "scipy_openblas_get_num_threads", "openblas_get_num_threads")
    libraries = [ctypes.CDLL(path) for path in paths]
    told = [getattr(library, name)() for library in libraries for name in asked if hasattr(library, name)]
    return max(told, default=None)


def _of_numba():
    import numba

    return numba.get_num_threads()


def _of_xla():
    import jax.numpy as jnp

    ones = jnp.ones((500, 500))
    assert float((ones @ ones).sum()) == 500**3
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return names.count("tf_XLAEigen")


LIBRARIES = {"polars": _of_polars, "blas": _of_blas, "numba": _of_numba, "xla": _of_xla}
