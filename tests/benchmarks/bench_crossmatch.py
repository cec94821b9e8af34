"""Matching catalogs by position, against LSDB and astropy on the same stars, and the memory it takes."""

import contextlib
import io
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

import hven
from benchmarks.big_sky import as_lake, kept_folder, stars
from benchmarks.harness import benchmark, best_of_each
from hven.lake import Lake

MILLION = 1_000_000
COLUMNS = ["source_id", "ra", "dec"]


@cache
def two_surveys() -> Lake:
    """Return a lake with ``left`` and ``right``, a million stars each, nine of ten the same; made once a process."""
    right = stars(MILLION, seed=1)
    return as_lake(kept_folder() / "two_surveys", {"left": stars(MILLION, seed=2, near=right), "right": right})


@cache
def in_hats(name: str) -> Path:
    """Return the same stars as LSDB writes them, with the margins that it needs to find every pair."""
    import lsdb

    place = kept_folder() / f"{name}_hats"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="from_dataframe is not intended for large datasets")
        frame = two_surveys()[name].table(COLUMNS).collect().to_pandas()
        catalog = lsdb.from_dataframe(frame, margin_threshold=5, partition_rows=MILLION)
    catalog.write_catalog(place, catalog_name=place.name, as_collection=True, progress_bar=False)
    return place


def match_in_lake(lake: Lake) -> pl.DataFrame:
    """Return the pairs within an arcsecond, read from the lake."""
    left, right = lake["left"], lake["right"]
    return hven.crossmatch(left, right, "1 arcsec", left_columns=COLUMNS, right_columns=COLUMNS).collect()


def pairs_of(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return pairs of ids, shape (m, 2), in the order of the left ones."""
    order = np.argsort(left)
    return np.column_stack([left[order], right[order]])


@benchmark(target=2.0, against="LSDB, catalogs opened, second run, same columns")
def match_a_million_against_lsdb(_: Path) -> float:
    """Speed of a cross-match of 1 million x 1 million within 1 arcsec, both read from disk."""
    import dask
    import lsdb

    lake = two_surveys()
    left, right = (lsdb.open_catalog(in_hats(name), columns=COLUMNS) for name in ("left", "right"))

    def with_lsdb() -> object:
        # It tells of columns and of its progress on both streams.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found = left.crossmatch(
                right, radius_arcsec=1.0, n_neighbors=1, suffixes=("_l", "_r"), suffix_method="overlapping_columns"
            )
            return found.compute()

    # Threads of this process are the faster of its schedulers here: processes hand the pairs back through pickles.
    with dask.config.set(scheduler="threads"):
        theirs, ours = with_lsdb(), match_in_lake(lake)
        ids = (theirs[f"source_id_{side}"].to_numpy().astype(np.int64) for side in "lr")
        same = np.array_equal(pairs_of(*ids), pairs_of(*(ours[n].to_numpy() for n in ("source_id", "source_id_right"))))
        assert same, "the pairs are not those of LSDB"
        hven_time, peer = best_of_each(lambda: match_in_lake(lake), with_lsdb, rounds=9)
    return peer / hven_time


@benchmark(target=3.0, against="astropy's match_coordinates_sky on arrays in memory, SkyCoord included")
def match_a_million_against_astropy(_: Path) -> float:
    """Speed of the same cross-match, read from the lake, against arrays that are in memory already."""
    from astropy import units
    from astropy.coordinates import SkyCoord, match_coordinates_sky

    lake = two_surveys()
    left, right = ({c: lake[n].table([c]).collect()[c].to_numpy() for c in COLUMNS} for n in ("left", "right"))

    def with_astropy() -> tuple[np.ndarray, np.ndarray]:
        one, other = (SkyCoord(side["ra"] * units.deg, side["dec"] * units.deg) for side in (left, right))
        place, apart, _ = match_coordinates_sky(one, other)
        near = apart <= 1 * units.arcsec
        return left["source_id"][near], right["source_id"][place[near]]

    ours = match_in_lake(lake)
    same = np.array_equal(pairs_of(*with_astropy()), pairs_of(ours["source_id"], ours["source_id_right"]))
    assert same, "the pairs are not those of astropy"
    hven_time, peer = best_of_each(lambda: match_in_lake(lake), with_astropy, rounds=9)
    return peer / hven_time


_STREAM = """
import sys
from pathlib import Path
import hven
lake, out = hven.open(sys.argv[1]), sys.argv[2]
rows = hven.crossmatch(lake["many"], lake["few"], "1 arcsec").sink_parquet(out)
# Not getrusage: what it tells of a child begins with the size of the process that started it.
peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(rows, peak)
"""


@benchmark(target=1.5, against="peak of a fresh process that streams all columns to Parquet", unit="GB", better="lower")
def memory_of_matching_ten_millions(folder: Path) -> float:
    """Peak memory of 10 million x 1 million within 1 arcsec, all columns of both sides, on all cores (Linux only)."""
    many = stars(10 * MILLION, seed=3)
    as_lake(folder / "lake", {"many": many, "few": stars(MILLION, seed=4, near=many)})
    del many
    command = [sys.executable, "-c", _STREAM, str(folder / "lake"), str(folder / "pairs.parquet")]
    rows, peak = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert rows > 0.8 * MILLION
    return peak * 1024 / 1e9
