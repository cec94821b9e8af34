"""Ingest: memory for files larger than it, many small files, and appends to many objects."""

import json
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import numpy as np
import polars as pl

import hven
from benchmarks.harness import benchmark, best_of_each
from hven.ingest import reading_pace

GIGABYTE = 10**9
STEP = 500_000
_INGEST = """
import json, resource, sys
import hven
report = hven.ingest_files(hven.create(sys.argv[2]), sys.argv[1], name="stars", progress=False)
most = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps([report.rows, most * 1024]))
"""


def write_fits(path: Path, size: int) -> int:
    """Write a FITS table of about `size` bytes piece by piece, and return how many rows it has."""
    from astropy.io import fits

    floats = [f"x{number}" for number in range(20)]
    row = np.dtype([("source_id", ">i8"), ("ra", ">f8"), ("dec", ">f8"), *((name, ">f4") for name in floats)])
    rows = size // row.itemsize
    header = fits.BinTableHDU(np.zeros(1, row)).header
    header["NAXIS2"] = rows
    random = np.random.default_rng(5)
    with path.open("wb") as file:
        file.write(fits.PrimaryHDU().header.tostring().encode())
        file.write(header.tostring().encode())
        for start in range(0, rows, STEP):
            piece = np.zeros(min(STEP, rows - start), row)
            piece["source_id"] = np.arange(start, start + len(piece))
            piece["ra"], piece["dec"] = random.uniform(0, 360, len(piece)), random.uniform(-90, 90, len(piece))
            for name in floats:
                piece[name] = random.normal(size=len(piece))
            file.write(piece.tobytes())
        file.write(b"\0" * (-rows * row.itemsize % 2880))
    return rows


@benchmark(target=1.0, unit="GB", better="lower", against="nothing: the most memory of an ingest of a 4 GB FITS table")
def ingest_4_gb(folder: Path) -> float:
    """Most memory of a process that ingests a FITS table of 4 GB; of 1 GB where the disk does not hold that."""
    free = shutil.disk_usage(folder).free
    rows = write_fits(folder / "stars.fits", (4 if free > 20 * GIGABYTE else 1) * GIGABYTE)
    arguments = [sys.executable, "-c", _INGEST, str(folder / "stars.fits"), str(folder / "lake")]
    said = subprocess.run(arguments, capture_output=True, text=True, check=True)
    found, memory = json.loads(said.stdout)
    assert found == rows
    return memory / GIGABYTE


@benchmark(target=60.0, unit="s", better="lower", against="nothing: 1,000 files of 200 rows")
def ingest_1000_files(folder: Path) -> float:
    """Seconds to ingest 1,000 small Parquet files as one dataset."""
    for number in range(1000):
        ids = np.arange(number * 200, number * 200 + 200)
        frame = pl.DataFrame({"source_id": ids, "ra": ids % 360 * 1.0, "dec": ids % 90 * 1.0, "feh": ids * 0.001})
        frame.write_parquet(folder / f"{number:04d}.parquet")
    lake = hven.create(folder / "lake")
    began = perf_counter()
    report = hven.ingest_files(lake, str(folder / "*.parquet"), name="stars", progress=False)
    assert report.rows == 200_000
    return perf_counter() - began


@benchmark(target=1.2, against="the same ingest in one process: 1,000 CSV files of 1,000 rows")
def ingest_in_processes(folder: Path) -> float:
    """Speed of an ingest of 1,000 text files with reading processes, relative to one that reads in this process alone.

    On two cores it can be 1.9 at best: a process takes 1.2 s of a core to come up, and rows are pickled on their way.
    Numbering, ordering and writing are done by one thread. Of files that take 6 ms to read, such as those of
    `ingest_1000_files`, little is left once the pace is known: no process is started, and the ratio is one.
    """
    random, numbers = np.random.default_rng(4), count()
    for number in range(1000):
        ids = np.arange(number * 1000, number * 1000 + 1000)
        places = {"ra": random.uniform(0, 360, 1000), "dec": random.uniform(-90, 90, 1000)}
        values = {f"x{column}": random.normal(size=1000).round(4) for column in range(8)}
        pl.DataFrame({"source_id": ids, **places, **values}).write_csv(folder / f"{number:04d}.csv")
    lake = hven.create(folder / "lake")

    def ingest() -> None:
        name = f"stars_{next(numbers)}"
        assert hven.ingest_files(lake, str(folder / "*.csv"), name=name, progress=False).rows == 10**6

    def alone() -> None:
        with patch.object(reading_pace, "WORTH_SECONDS", float("inf")):
            ingest()

    ours, peer = best_of_each(ingest, alone, rounds=2)
    return peer / ours


@benchmark(target=0.15, unit="s", better="lower", against="nothing: what an append to 800,000 objects does but write")
def append_to_800_000(folder: Path) -> float:
    """Seconds of an append of 1,000 rows to 800,000 objects, beyond an append of them to an empty dataset."""
    lake, random = hven.create(folder / "lake"), np.random.default_rng(2)

    def write(name: str, start: int, rows: int) -> Path:
        path = folder / f"{name}.parquet"
        ids = np.arange(start, start + rows)
        places = {"ra": random.uniform(0, 360, rows), "dec": random.uniform(-90, 90, rows)}
        pl.DataFrame({"source_id": ids, **places}).write_parquet(path)
        return path

    for name, rows in (("many", 800_000), ("few", 10)):
        hven.ingest_files(lake, write(name, 0, rows), name=name, progress=False)
    times: dict[str, list[float]] = {"many": [], "few": []}
    for turn in range(5):
        for name, taken in times.items():
            path = write(f"{name}{turn}", 10**6 + 1000 * turn, 1000)
            began = perf_counter()
            assert hven.ingest_files(lake, path, name=name, mode="append", progress=False).rows == 1000
            taken.append(perf_counter() - began)
    return min(times["many"]) - min(times["few"])
