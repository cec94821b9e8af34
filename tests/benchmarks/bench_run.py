"""What a run costs beyond the function that it runs."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
import xarray as xr

import hven
from benchmarks.harness import benchmark, best_of_each

BLOCKS, ROWS, WORKERS, SECONDS = 200, 100, 2, 0.02


def work(feh: np.ndarray) -> np.ndarray:
    """Return numbers after a known time on the processor."""
    until = perf_counter() + SECONDS
    while perf_counter() < until:
        pass
    return feh * 2


@hven.analysis(per_object=True, stars=hven.Table(feh="dex"), produces={"doubled": "dex"})
def doubling(stars: xr.Dataset) -> xr.Dataset:
    """Twice the metallicity, slowly."""
    return xr.Dataset({"doubled": ("object", work(stars.feh.values))})


@benchmark(target=10, unit="ms", better="lower", against="the same function in a process pool, per block")
def run_overhead(folder: Path) -> float:
    """Extra time of a run per block: read, compute, write, checkpoint, publish, report."""
    from distributed import Client, LocalCluster

    feh = np.random.default_rng(0).normal(size=BLOCKS * ROWS)
    lake = hven.create(folder / "lake")
    frame = pl.DataFrame({"object_id": np.arange(len(feh)), "feh": feh})
    with lake.transaction() as tx:
        tx.write("stars", frame)
    cluster = LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, memory_limit="2GB")
    pool = ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"))
    with cluster, Client(cluster) as client, pool:

        def with_hven() -> None:
            run = hven.run(
                lake, doubling, {"stars": "stars"}, {}, block_rows=ROWS, cluster=client, progress=False, force=True
            )
            assert run.blocks["done"] == BLOCKS, run.blocks

        def in_pool() -> None:
            assert len(list(pool.map(work, np.split(feh, BLOCKS)))) == BLOCKS

        with_hven()
        in_pool()
        ours, peer = best_of_each(with_hven, in_pool, rounds=3)
    return (ours - peer) / BLOCKS * 1000
