"""Spectra as surveys publish them, known by the headers of their files and refused by name until they have readers."""

import re
from collections.abc import Callable, Iterable, Sequence

from hven import Claim
from hven_plugins.files.fits_headers import Hdu

_WAVES = {
    "wavelength",
    "wave",
    "loglam",
    "lambda",
    "loglambda",
    "lam",
    "wl",
    "waveobs",
    "awav",
    "wavenumber",
    "logwave",
}
_FLUXES = {"flux", "normflux", "counts", "spec", "spectrum", "flam", "fnu", "intensity", "bright", "sb"}
_BESIDE = (
    "a angstrom nm um micron vac air log obs rest norm normalized normalised relative reduced calib e err error errors",
    "sigma sig uncertainty ivar invvar inverse var variance mask and or andmask ormask pixmask good bad strict wdisp",
    "wresl sky model qual quality dq dqf dqflag flag flags snr sn continuum cont normalization telluric resolution lsf",
    "weight pixel pix apstar order dlam background bkgd bgd npixels poisson rnoise flat smooth surf no corrected",
)
_PIXELS = _WAVES | _FLUXES | {word for line in _BESIDE for word in line.split()}
_REFUSAL = "hven has no reader of it yet"
_HINT = "Leave it out; the option --reader fits_table -o hdu=N reads one of its tables, if it is the table you want."


def spectrum_claim(hdus: Sequence[Hdu]) -> Claim | None:
    """Return what a FITS file is that holds spectra: survey and sort; None for any other file.

    Known are SDSS, BOSS and SDSS-V, LAMOST, DESI, APOGEE, GALAH, ESO and IRAF products, MaNGA, spectra of JWST and HST,
    any one-dimensional image with a linear wavelength axis, and any table with nothing but the pixels of a spectrum.
    """
    for test in _TESTS:
        if hdus and (found := test(hdus)) is not None:
            what, why = found
            return Claim(what, "survey", why, _REFUSAL, _HINT)
    return None


def is_table_of_pixels(columns: Iterable[str]) -> bool:
    """Return whether columns are wavelength, flux and what else a pixel of a spectrum has, and nothing more.

    Examples
    --------
    >>> is_table_of_pixels(["loglam", "flux", "ivar"]), is_table_of_pixels(["star", "wave", "flux"])
    (True, False)
    >>> is_table_of_pixels(["wavelength_nm", "normalized_flux", "good_pixel_mask"])
    True
    """
    words = [set(filter(None, re.split(r"[_\W\d]+", name.lower()))) for name in columns]
    every = set().union(*words)
    return bool(every & _WAVES) and bool(every & _FLUXES) and every <= _PIXELS


def is_wavelength(name: str) -> bool:
    """Return whether a column of that name holds wavelengths.

    Examples
    --------
    >>> is_wavelength("wave"), is_wavelength("WAVELENGTH_NM"), is_wavelength("wavelet")
    (True, True, False)
    """
    return bool(set(re.split(r"[_\W\d]+", name.lower())) & _WAVES)


def _text(hdu: Hdu, *keys: str) -> str:
    return " ".join(str(hdu.header.get(key, "")) for key in keys).upper()


def _names(hdus: Sequence[Hdu]) -> set[str]:
    return {hdu.name for hdu in hdus}


def _has(hdu: Hdu, *keys: str) -> bool:
    return all(key in hdu.header for key in keys)


_Found = tuple[str, str] | None


def _sdss(hdus: Sequence[Hdu]) -> _Found:
    first = hdus[0]
    names = _names(hdus)
    coadd = next((hdu for hdu in hdus if hdu.name == "COADD" and hdu.is_table), None)
    if coadd is not None and "SDSS" in _text(first, "TELESCOP") + _text(first, "OBSERVAT") + "".join(names & {"SPALL"}):
        plate = first.header.get("PLATEID", first.header.get("PLATE", 0))
        boss = str(plate).strip().isdigit() and int(plate) >= 3510
        what = "a BOSS spectrum of SDSS" if boss else "an SDSS spectrum"
        return what, f"the extension COADD with {', '.join(coadd.columns[:3])}, TELESCOP {_text(first, 'TELESCOP')}"
    if coadd is not None and {"SPALL", "SPECOBJ", "SPZLINE", "ZALL"} & names:
        return (
            "an SDSS spectrum",
            f"the extensions {', '.join(sorted(names & {'COADD', 'SPALL', 'SPECOBJ', 'SPZLINE'}))}",
        )
    if len(first.shape) == 2 and "PLUGMAP" in names and _has(first, "COEFF0", "COEFF1"):
        return "SDSS spectra of a whole plate (spPlate)", "COEFF0, COEFF1 and the extension PLUGMAP"
    if len(first.shape) in (1, 2) and _has(first, "COEFF0", "COEFF1"):
        return "an SDSS spectrum (spSpec)", "COEFF0 and COEFF1 of an image"
    if any(_has(hdu, "MJD", "PLATEID") and "SDSS" in _text(hdu, "TELESCOP") for hdu in hdus) and "LOGLAM" in names:
        return "an SDSS spectrum", "PLATEID and the extension LOGLAM"
    return None


def _milky_way_mapper(hdus: Sequence[Hdu]) -> _Found:
    tables = [hdu for hdu in hdus if hdu.is_table and {"flux", "ivar"} <= {c.lower() for c in hdu.columns}]
    if tables and any("/" in hdu.name and hdu.name.split("/")[0] in ("BOSS", "APOGEE") for hdu in hdus):
        return "SDSS-V spectra of one star (Milky Way Mapper)", "extensions named after instrument and observatory"
    return None


def _lamost(hdus: Sequence[Hdu]) -> _Found:
    first = hdus[0]
    if "LAMOST" not in _text(first, "TELESCOP", "ORIGIN", "OBSERVAT", "DATASUM"):
        return None
    if len(first.shape) == 2:
        return "a LAMOST spectrum of low resolution", "TELESCOP LAMOST and an image of flux, ivar and wavelength"
    if any(hdu.name.startswith(("COADD_", "B-", "R-")) for hdu in hdus):
        return "a LAMOST spectrum of medium resolution", "TELESCOP LAMOST and the extensions COADD_B, COADD_R"
    if any(hdu.is_table and {"flux"} <= {c.lower() for c in hdu.columns} for hdu in hdus):
        return "a LAMOST spectrum", "TELESCOP LAMOST and a table with FLUX"
    return None


def _desi(hdus: Sequence[Hdu]) -> _Found:
    names = _names(hdus)
    arms = [arm for arm in ("B", "R", "Z", "BRZ") if {f"{arm}_WAVELENGTH", f"{arm}_FLUX"} <= names]
    if arms:
        return "DESI spectra (coadd)", f"the extensions {', '.join(f'{arm}_FLUX' for arm in arms)}"
    if {"WAVELENGTH", "FLUX", "IVAR", "FIBERMAP"} <= names:
        return "DESI spectra of a frame", "the extensions FLUX, IVAR, WAVELENGTH, FIBERMAP"
    return None


def _apogee(hdus: Sequence[Hdu]) -> _Found:
    grid = [hdu for hdu in hdus if hdu.shape and hdu.shape[-1] in (8575, 8576, 4096) and not hdu.is_table]
    logs = [hdu for hdu in grid if abs(float(hdu.header.get("CRVAL1", 0) or 0) - 4.179) < 1e-3 and hdu.shape[-1] < 8577]
    if logs and logs[0].shape[-1] > 8000:
        is_aspcap = any("ASPCAP" in hdu.name or {"PARAM", "FPARAM"} & set(hdu.columns) for hdu in hdus)
        sort = "aspcapStar" if is_aspcap else "apStar"
        return f"an APOGEE spectrum ({sort})", "images of 8575 pixels with CRVAL1 = 4.179"
    visits = [hdu for hdu in grid if hdu.shape == (3, 4096)]
    if len(visits) >= 4:
        return "an APOGEE spectrum of one visit (apVisit)", "images of the three detectors with 4096 pixels"
    plates = [hdu for hdu in hdus if len(hdu.shape) == 2 and hdu.shape[-1] == 2048]
    if len(plates) >= 3 and "APO" in _text(hdus[0], "TELESCOP", "INSTRUME"):
        return "APOGEE spectra of a whole plate (apPlate)", "images of 2048 pixels"
    return None


def _galah(hdus: Sequence[Hdu]) -> _Found:
    first = hdus[0]
    is_hermes = "HERMES" in _text(first, "INSTRUME") or {"NORMALISED_SPECTRUM", "INPUT_SPECTRUM"} & _names(hdus)
    if is_hermes and any(len(hdu.shape) == 1 and "CRVAL1" in hdu.header for hdu in hdus):
        return "a GALAH spectrum", "images of one dimension with CRVAL1, of HERMES"
    return None


def _manga(hdus: Sequence[Hdu]) -> _Found:
    cubes = [hdu for hdu in hdus if len(hdu.shape) == 3]
    if {"FLUX", "WAVE"} <= _names(hdus) and cubes:
        return "a spectral cube (MaNGA)", "the extensions FLUX and WAVE"
    kinds = ("WAVE", "AWAV", "FREQ", "VRAD", "VOPT", "VELO", "FELO", "ENER", "LAMBDA", "LINEAR", "WAVELENGTH")
    for hdu in cubes:
        if _text(hdu, "CTYPE3").strip().startswith(kinds):
            return "a spectral cube", f"an image of three dimensions with CTYPE3 = {hdu.header['CTYPE3']}"
    return None


def _observatories(hdus: Sequence[Hdu]) -> _Found:
    first = hdus[0]
    if "SPECTRUM" in _text(first, "PRODCATG"):
        return "an ESO spectrum (phase 3)", f"PRODCATG = {first.header['PRODCATG']}"
    for hdu in hdus:
        if hdu.is_table and (hdu.name.startswith("EXTRACT1D") or hdu.name == "COMBINE1D"):
            return "a JWST spectrum", f"the extension {hdu.name}"
        if hdu.is_table and "SPECTRUM" in _text(hdu, "VOCLASS"):
            return "a spectrum of the Virtual Observatory", f"VOCLASS = {hdu.header['VOCLASS']}"
        if hdu.is_table and _text(hdu, "HDUCLAS1").strip() == "SPECTRUM":
            return "an X-ray spectrum (OGIP)", "HDUCLAS1 = SPECTRUM"
    return None


def _iraf(hdus: Sequence[Hdu]) -> _Found:
    for hdu in hdus:
        if hdu.shape and _text(hdu, "CTYPE1").startswith("MULTISPE"):
            return "IRAF spectra (multispec)", "CTYPE1 = MULTISPE"
        if hdu.shape and _has(hdu, "WAT1_001") and "WTYPE=LINEAR LABEL=WAVELENGTH" in _text(hdu, "WAT1_001"):
            return "IRAF spectra", "WAT1_001 with a wavelength"
    return None


def _linear(hdus: Sequence[Hdu]) -> _Found:
    for hdu in hdus:
        is_line = len(hdu.shape) == 1 and hdu.shape[0] > 1 and not _has(hdu, "VOTMETA")
        if is_line and (_has(hdu, "CRVAL1", "CDELT1") or _has(hdu, "CRVAL1", "CD1_1")):
            return "a one-dimensional spectrum (FITS with a wavelength axis)", "NAXIS = 1, CRVAL1 and its step"
    return None


def _pixels(hdus: Sequence[Hdu]) -> _Found:
    tables = [hdu for hdu in hdus if hdu.is_table]
    if tables and all(is_table_of_pixels(hdu.columns) for hdu in tables):
        return "a spectrum, as a table of its pixels", f"the columns {', '.join(tables[0].columns[:4])}"
    return None


_TESTS: tuple[Callable[[Sequence[Hdu]], _Found], ...] = (
    _lamost, _sdss, _milky_way_mapper, _desi, _apogee, _galah, _manga, _observatories, _iraf, _linear, _pixels,
)  # fmt: skip
