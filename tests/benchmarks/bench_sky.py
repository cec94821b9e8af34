"""Asking the sky: cones on ten million stars, and spectra of some stars, against what people use today."""

import math
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import xarray as xr
from astropy.io import fits

import hven
from benchmarks.big_sky import big_sky, kept_folder
from benchmarks.big_sky import stars as stars_of_gaia
from benchmarks.harness import benchmark, best_of_each
from benchmarks.survey import spectra
from hven.lake import DatasetHandle
from hven.sky import cone, healpix_29

COLUMNS = ["source_id", "ra", "dec", "phot_g_mean_mag"]
SPECTRA, SOME = 40_226, 1_000
FLUXES = ["flux", "flux_err"]


def centres(count: int) -> list[tuple[float, float]]:
    """Return places anywhere on the sky, the same at every call, and one where four base cells of HEALPix meet."""
    rng = np.random.default_rng(11)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    return [(45.0, 0.0), *zip(rng.uniform(0, 360, count).tolist(), dec.tolist(), strict=True)]


def in_cone(ra: float, dec: float, radius: float) -> pl.Expr:
    """Return a cone as people write it in Polars."""
    here, there = pl.col("dec").radians(), math.radians(dec)
    width = pl.col("ra").radians() - math.radians(ra)
    cosine = here.sin() * math.sin(there) + here.cos() * math.cos(there) * width.cos()
    return cosine >= math.cos(math.radians(radius))


def ask(stars: DatasetHandle, ra: float, dec: float) -> pl.DataFrame:
    """Return the stars of a cone of 1 degree, as a user of hven asks for them."""
    return stars.table(COLUMNS, region=cone(ra, dec, 1)).collect()


@benchmark(target=40, against="a full scan with Polars of the same files")
def cone_and_polars(folder: Path) -> float:
    """Speed of cones of 1 degree on 10 million stars, four columns, relative to filtering all rows."""
    stars = big_sky().lake["stars"]
    files = [stars.lake.store.address(f"{stars.entry.pin.path}/{part.path}") for part in stars.source.parts]
    asked = centres(3)

    def with_polars() -> list[pl.DataFrame]:
        return [pl.scan_parquet(files).filter(in_cone(*at, 1)).select(COLUMNS).collect() for at in asked]

    def with_hven() -> list[pl.DataFrame]:
        return [ask(stars, *at) for at in asked]

    for ours, theirs in zip(with_hven(), with_polars(), strict=True):
        assert ours.height > 300
        assert ours.equals(theirs)
    ours, peer = best_of_each(with_hven, with_polars, rounds=5)
    return peer / ours


@benchmark(target=10, against="LSDB, warm, on the same rows in HATS")
def cone_and_lsdb(folder: Path) -> float:
    """Speed of cones of 1 degree on 10 million stars, four columns; both catalogs are open, and were asked before."""
    import lsdb

    stars = big_sky().lake["stars"]
    catalog = lsdb.open_catalog(big_sky().hats, columns=COLUMNS)
    asked = centres(9)

    def with_lsdb() -> list[int]:
        return [len(catalog.cone_search(*at, radius_arcsec=3600).compute(progress_bar=False)) for at in asked]

    def with_hven() -> list[int]:
        return [ask(stars, *at).height for at in asked]

    assert with_hven() == with_lsdb()
    ours, peer = best_of_each(with_hven, with_lsdb, rounds=5)
    return peer / ours


def with_more_columns(frame: pl.DataFrame, columns: int) -> pl.DataFrame:
    """Return a catalog that has so many columns in all, its position in the middle and its index last."""
    rng = np.random.default_rng(4)
    placed = frame.with_columns(pl.Series("_healpix_29", healpix_29(frame["ra"], frame["dec"]))).sort("_healpix_29")
    kept = placed.select("source_id", "ra", "dec", "phot_g_mean_mag")
    more = [pl.Series(f"c_{i:03d}", rng.integers(0, 100, frame.height).astype("i2")) for i in range(columns - 5)]
    return pl.DataFrame([*more[::2], *kept.iter_columns(), *more[1::2], placed["_healpix_29"]])


@benchmark(target=0.8, against="the same cones in a table of 5 columns")
def cone_in_300_columns(folder: Path) -> float:
    """Speed of cones of 1 degree in a table of 300 columns and 32 files; both are open and were asked before."""
    frame, files = stars_of_gaia(640_000, seed=5), 32
    lake = hven.create(folder / "lake")
    for columns in (5, 300):
        wide = with_more_columns(frame, columns)
        pieces = [wide.slice(start, frame.height // files) for start in range(0, frame.height, frame.height // files)]
        with lake.transaction() as tx:
            tx.write(f"of_{columns}", pieces[0])
            for piece in pieces[1:]:
                tx.append(f"of_{columns}", piece)
    narrow, wide = lake["of_5"], lake["of_300"]
    asked = centres(9)

    def cones(stars: DatasetHandle) -> list[int]:
        return [ask(stars, *at).height for at in asked]

    assert cones(narrow) == cones(wide)
    assert all(len(wide.source.runs(np.array([[p.healpix[0], p.healpix[0] + 1]]))) <= 2 for p in wide.source.parts)
    five, three_hundred = best_of_each(lambda: cones(narrow), lambda: cones(wide), rounds=9)
    return five / three_hundred


@cache
def spectra_of_the_sky() -> xr.Dataset:
    """Return as many spectra as there are in the catalog of giants with XP spectra, all over the sky."""
    data, rng = spectra(SPECTRA), np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, SPECTRA), np.degrees(np.arcsin(rng.uniform(-1, 1, SPECTRA)))
    cells = healpix_29(ra, dec)
    order = np.argsort(cells)
    columns = {"ra": ra[order], "dec": dec[order], "_healpix_29": cells[order], "source_id": rng.permutation(SPECTRA)}
    return data.assign({name: ("object", values) for name, values in columns.items()})


@benchmark(target=10, against="astropy.io.fits on a file for each spectrum")
def random_spectra(folder: Path) -> float:
    """Speed of reading 1,000 random spectra with errors out of 40,226, relative to 1,000 FITS files.

    The files hold a table of wavelength, flux and error, as surveys publish single spectra, and stay in the cache of
    the operating system. A memory map makes no difference; two images in place of the table would take half the time.
    """
    data = spectra_of_the_sky()
    lake = hven.create(folder / "lake")
    with lake.transaction() as tx:
        tx.write("spectra", data)
    handle = lake["spectra"]
    rows = np.random.default_rng(5).choice(SPECTRA, SOME, replace=False)
    ids = data.source_id.values[rows]
    flux, errors = (data[name].values for name in FLUXES)
    files = kept_folder() / "single"
    files.mkdir()
    for row, source_id in zip(rows, ids, strict=True):
        told = (("WAVELENGTH", data.wavelength.values), ("FLUX", flux[row]), ("ERROR", errors[row]))
        table = fits.BinTableHDU.from_columns([fits.Column(name, "E", array=values) for name, values in told])
        table.writeto(files / f"{source_id}.fits")

    def with_hven() -> np.ndarray:
        found = handle.of(ids, on="source_id", columns=FLUXES).compute()
        return np.stack([found[name].values for name in FLUXES], axis=1)

    def with_astropy() -> np.ndarray:
        found = []
        for source_id in ids:
            with fits.open(files / f"{source_id}.fits", memmap=False) as opened:
                table = opened[1].data
                found.append((table["FLUX"], table["ERROR"]))
        return np.array(found)

    assert np.array_equal(with_hven(), np.stack([flux[rows], errors[rows]], axis=1))
    assert np.array_equal(with_hven(), with_astropy())
    ours, peer = best_of_each(with_hven, with_astropy, rounds=5)
    return peer / ours
