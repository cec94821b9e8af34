"""What FITS files are taken for: tables, stacks of images, or survey products that are refused by name."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import hven
from hven.errors import ReaderNotFoundError
from hven.plugins import plugins

SHARED = os.environ.get("HVEN_SHARED_DATA", "")


def header(**cards):
    made = fits.Header()
    for name, value in cards.items():
        made[name] = value
    return made


def table(columns, name="", rows=3, **cards):
    return fits.BinTableHDU(Table({c: np.arange(float(rows)) for c in columns}), header(**cards), name=name or None)


def image(*shape, name="", **cards):
    return fits.ImageHDU(np.ones(shape, "f4"), header(**cards), name=name or None)


def first(*shape, **cards):
    return fits.PrimaryHDU(np.ones(shape, "f4") if shape else None, header(**cards))


SPECTRUM = ("flux", "loglam", "ivar", "and_mask")
REFUSED = {
    "an SDSS spectrum": [first(TELESCOP="SDSS 2.5-M", PLATEID=266), table(SPECTRUM, "COADD"), table(["z"], "SPALL", 1)],
    "a BOSS spectrum of SDSS": [first(TELESCOP="SDSS 2.5-M", PLATEID=3586), table(SPECTRUM, "COADD")],
    "SDSS spectra of a whole plate (spPlate)": [first(64, 100, COEFF0=3.5, COEFF1=1e-4), table(["fiber"], "PLUGMAP")],
    "an SDSS spectrum (spSpec)": [first(5, 3800, COEFF0=3.5, COEFF1=1e-4)],
    "a LAMOST spectrum of low resolution": [first(5, 3909, TELESCOP="LAMOST", COEFF0=3.56, COEFF1=1e-4)],
    "a LAMOST spectrum of medium resolution": [first(TELESCOP="LAMOST"), table(["FLUX", "IVAR", "LOGLAM"], "COADD_B")],
    "DESI spectra (coadd)": [
        first(), table(["TARGETID"], "FIBERMAP"), image(9, name="B_WAVELENGTH"), image(3, 9, name="B_FLUX"),
    ],
    "an APOGEE spectrum (apStar)": [first(), image(2, 8575, CRVAL1=4.179, CDELT1=6e-6)],
    "an APOGEE spectrum (aspcapStar)": [first(), image(8575, CRVAL1=4.179, CDELT1=6e-6), table(["PARAM"], "ASPCAP", 1)],
    "an APOGEE spectrum of one visit (apVisit)": [first(), *[image(3, 4096) for _ in range(5)]],
    "a GALAH spectrum": [first(4096, INSTRUME="HERMES", CRVAL1=4713.0, CDELT1=0.05)],
    "a one-dimensional spectrum (FITS with a wavelength axis)": [first(4096, CRVAL1=4000.0, CDELT1=1.0)],
    "a spectrum, as a table of its pixels": [first(), table(["WAVE", "FLUX", "ERR"])],
    "a JWST spectrum": [first(TELESCOP="JWST"), table(["WAVELENGTH", "FLUX", "NPIXELS"], "EXTRACT1D")],
    "an ESO spectrum (phase 3)": [first(PRODCATG="SCIENCE.SPECTRUM"), table(["WAVE", "FLUX"], "SPECTRUM", 1)],
    "IRAF spectra (multispec)": [first(20, 2048, CTYPE1="MULTISPE")],
    "a spectral cube": [first(50, 6, 6, CTYPE3="AWAV", CRVAL3=4750.0)],
    "a FITS cube": [first(50, 6, 6)],
    "a FITS image": [first(60, 60)],
    "a FITS file of 3 images": [first(), *[image(6, 6, name=name) for name in ("SCI", "ERR", "DQ")]],
    "a HEALPix map": [first(), table(["TEMPERATURE"], PIXTYPE="HEALPIX", NSIDE=1)],
    "a coverage map (MOC)": [first(), table(["UNIQ"], MOCORDER=9, ORDERING="NUNIQ")],
    "a compressed FITS table": [first(), table(["c"], ZTABLE=True)],
    "a light curve of Kepler or TESS": [first(), table(["TIME", "SAP_FLUX", "PDCSAP_FLUX"], "LIGHTCURVE")],
    "a FITS file without data": [first()],
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_table_of_objects_is_refused_by_name(tmp_path, what):
    fits.HDUList(REFUSED[what]).writeto(tmp_path / "a.fits")
    with pytest.raises(ReaderNotFoundError, match="'a") as refused:
        plugins().reader_for(str(tmp_path / "a.fits"))
    assert f"is {what}:" in refused.value.what
    assert refused.value.hint


READ = {
    "fits_table": [first(), table(["star", "wave", "flux"])],
    "fits_table ": [first(), image(4, 4), table(["ra", "dec"])],
    "fits_images": [first(5, 8, 8), table(["zeta"], rows=5)],
}


@pytest.mark.parametrize("reader", READ)
def test_tables_and_stacks_are_claimed_whatever_they_are_called(tmp_path, reader):
    fits.HDUList(READ[reader]).writeto(tmp_path / "file_of_mine.dat")
    assert plugins().reader_for(str(tmp_path / "file_of_mine.dat")).name == reader.strip()


def test_the_votable_that_topcat_keeps_in_the_first_header_is_no_spectrum(tmp_path):
    start = fits.PrimaryHDU(np.frombuffer(b"<VOTABLE/>", "u1"), header(VOTMETA=True))
    fits.HDUList([start, table(["ra", "dec"])]).writeto(tmp_path / "plus.fits")
    assert plugins().reader_for(str(tmp_path / "plus.fits")).name == "fits_table"


def test_sextractor_headers_are_not_taken_for_a_second_table(tmp_path):
    fits.HDUList([first(), table(["head"], "LDAC_IMHEAD", 1), table(["x", "y"], "LDAC_OBJECTS")]).writeto(
        tmp_path / "a.cat"
    )
    lake = hven.create(tmp_path / "lake")
    assert hven.ingest_files(lake, tmp_path / "a.cat", name="stars", progress=False).rows == 3


@pytest.mark.skipif(not SHARED, reason="HVEN_SHARED_DATA is not set")
def test_real_spectra_of_surveys_are_refused_by_name():
    found = {}
    for path in sorted((Path(SHARED) / "spectra").rglob("*.fits")):
        explained = plugins().explain(str(path))
        found[path.name[:9]] = explained.claims[0][1].what if explained.chosen is None else explained.chosen.name
    assert found == {
        "apStar-dr": "an APOGEE spectrum (apStar)",
        "apVisit-r": "an APOGEE spectrum of one visit (apVisit)",
        "coadd-5-1": "DESI spectra (coadd)",
        "hd122563.": "a one-dimensional spectrum (FITS with a wavelength axis)",
        "lamost_ap": "fits_table",
        "med-58408": "a LAMOST spectrum of medium resolution",
        "spec-5839": "a LAMOST spectrum of low resolution",
        "spec-0266": "an SDSS spectrum",
        "spec-3586": "a BOSS spectrum of SDSS",
    }
