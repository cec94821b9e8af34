"""A simulated catalog as large as a survey's, in a lake as ingest writes it and in HATS, for asking and matching."""

import atexit
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import rmtree

import numpy as np
import polars as pl

import hven
from hven.lake import Lake
from hven.sky import healpix_29

ARCSEC = 1 / 3600


def stars(count: int, seed: int, near: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return `count` stars with the columns and types of a Gaia catalog, in no order on the sky.

    Parameters
    ----------
    count, seed
        How many, and of which sky: another seed gives other stars.
    near
        Stars of another catalog. Nine of ten of the new ones are then some of these (each at most once), measured
        again with an error of 0.2 arcsec on each axis; the others, and all without `near`, lie anywhere on the sphere.
    """
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    if near is not None:
        again = min(count * 9 // 10, near.height)
        known = near[rng.choice(near.height, again, replace=False)]
        dec[:again] = np.clip(known["dec"].to_numpy() + rng.normal(scale=0.2 * ARCSEC, size=again), -90, 90)
        stretch = np.maximum(np.cos(np.radians(dec[:again])), 1e-3)
        ra[:again] = (known["ra"].to_numpy() + rng.normal(scale=0.2 * ARCSEC, size=again) / stretch) % 360
    distance = rng.gamma(3.0, 0.6, count) + 0.02  # kpc
    magnitude = 4.5 + rng.gamma(4.0, 1.0, count) + 5 * np.log10(distance * 100)
    return pl.DataFrame(
        {
            "source_id": rng.permutation(count) + seed * 10**10,
            "ra": ra,
            "dec": dec,
            "parallax": (1 / distance + rng.normal(scale=0.05, size=count)).astype("f4"),
            "parallax_err": np.full(count, 0.05, "f4"),
            "pmra": (rng.normal(scale=20, size=count) / distance / 4.74).astype("f4"),
            "pmdec": (rng.normal(scale=20, size=count) / distance / 4.74).astype("f4"),
            "phot_g_mean_mag": magnitude.astype("f4"),
            "teff": rng.normal(5200, 600, count).astype("f4"),
            "feh": rng.normal(-0.2, 0.35, count).astype("f4"),
        }
    )


def as_lake(folder: Path, frames: Mapping[str, pl.DataFrame]) -> Lake:
    """Return a new lake with each frame as a table, as ingest writes one: with ids, in the order of the sky."""
    lake = hven.create(folder)
    for name, frame in frames.items():
        placed = frame.with_columns(pl.Series("_healpix_29", healpix_29(frame["ra"], frame["dec"])))
        placed = placed.with_columns((pl.col("source_id") * 3 + 1).alias("object_id")).sort("_healpix_29")
        with lake.transaction() as tx:
            tx.write(name, placed.select("object_id", *frame.columns, "_healpix_29"))
    return lake


def as_hats(folder: Path, frame: pl.DataFrame, partition_rows: int = 1_000_000) -> Path:
    """Return the folder of the same rows as LSDB writes them: HATS, in partitions of about `partition_rows`."""
    import lsdb

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="from_dataframe is not intended for large datasets")
        catalog = lsdb.from_dataframe(frame.to_pandas(), margin_threshold=None, partition_rows=partition_rows)
    catalog.write_catalog(folder, catalog_name=folder.name, as_collection=False, progress_bar=False)
    return folder


@dataclass(frozen=True)
class BigSky:
    """The same stars twice: as the table ``stars`` of a lake, and in HATS."""

    lake: Lake
    hats: Path


@cache
def big_sky() -> BigSky:
    """Return ten million stars on disk, made at the first call and removed when the process ends (1 GB, a minute)."""
    folder = kept_folder()
    frame = stars(10_000_000, seed=1)
    return BigSky(as_lake(folder / "big_sky", {"stars": frame}), as_hats(folder / "big_sky_hats", frame))


@cache
def kept_folder() -> Path:
    """Return a folder that all benchmarks of this process share, for what takes long to make; removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="hven-bench-kept-"))
    atexit.register(rmtree, folder, ignore_errors=True)
    return folder
