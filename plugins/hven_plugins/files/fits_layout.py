"""What a FITS file holds: a table, images, or something that is refused by name."""

from collections.abc import Sequence

from hven import Claim, FileHead
from hven_plugins.files.fits_headers import Hdu, fits_hdus
from hven_plugins.files.survey_spectra import spectrum_claim

_STACKS = ("_images", "_stack", "_cutouts")
_MOSAICS = ("_mosaic", "_coadd", "_sci", "_drz")


def fits_table_claim(head: FileHead) -> Claim | None:
    """Return what the reader of tables says of a FITS file: a table, or what else it is, refused."""
    hdus = fits_hdus(head.path)
    if not hdus:
        return _not_whole(head)
    if (strange := _strange(hdus)) is not None:
        return strange
    tables = science_tables(hdus)
    if any(hdu.rows for hdu in tables) or (tables and not _images(hdus)):
        if _is_stack(hdus, head.name):
            return None
        shown = "; ".join(_shown(hdu) for hdu in tables)
        what = "a FITS table" if len(tables) == 1 else f"a FITS file of {len(tables)} tables"
        return Claim(what, "layout", shown)
    return _image_refusal(hdus, head.name)


def fits_images_claim(head: FileHead) -> Claim | None:
    """Return what the reader of stacks of images says of a FITS file."""
    hdus = fits_hdus(head.path)
    if not hdus or _strange(hdus) is not None or not _is_stack(hdus, head.name):
        return None
    images = _images(hdus)
    return Claim("a stack of images", "layout", _shapes(images))


def fits_cutouts_claim(head: FileHead) -> Claim | None:
    """Return what the reader of cut-outs says of a FITS file: a mosaic, which its name has to say."""
    hdus = fits_hdus(head.path)
    if not hdus or _strange(hdus) is not None or not fits_mosaic_name(head.name):
        return None
    image = next((one for one in _images(hdus) if len(one.shape) == 2), None)
    return None if image is None else Claim("a large image", "layout", f"its name, and an image of shape {image.shape}")


def science_tables(hdus: Sequence[Hdu]) -> list[Hdu]:
    """Return the tables of a file, without the headers that SExtractor keeps as tables."""
    return [hdu for hdu in hdus if hdu.is_table and hdu.name != "LDAC_IMHEAD"]


def described_tables(tables: Sequence[Hdu]) -> str:
    """Return the tables of a file in words, each with number, name, rows and columns."""
    return "; ".join(_shown(hdu) for hdu in tables)


def _shown(hdu: Hdu) -> str:
    name = f" ({hdu.name})" if hdu.name else ""
    return f"HDU {hdu.index}{name}: {hdu.rows} rows, {len(hdu.columns)} columns"


def _not_whole(head: FileHead) -> Claim | None:
    if head.start[:6] == b"SIMPLE":
        return Claim("a FITS file", "format", "it begins with SIMPLE")
    return None


def _strange(hdus: Sequence[Hdu]) -> Claim | None:
    """Return what a file is that holds neither a table of objects nor images."""
    if (spectrum := spectrum_claim(hdus)) is not None:
        return spectrum
    for hdu in hdus:
        header = hdu.header
        if str(header.get("PIXTYPE", "")).strip().upper() == "HEALPIX":
            return _refused(
                "a HEALPix map", f"PIXTYPE = HEALPIX in HDU {hdu.index}", "hven has no reader of maps yet",
                "Read it with healpy or astropy, and write it as kind 'map' with tx.write.",
            )  # fmt: skip
        if (
            "MOCORDER" in header
            or "MOCORD_S" in header
            or str(header.get("ORDERING", "")).strip() in ("NUNIQ", "RANGE")
        ):
            return _refused(
                "a coverage map (MOC)", f"MOCORDER or ORDERING in HDU {hdu.index}", "it lists no objects",
                "Use it as a region: --region FILE.",
            )  # fmt: skip
        if header.get("GROUPS", False) is True:
            return _refused(
                "a FITS file of random groups (visibilities)", "GROUPS = T", "hven has no reader of it",
                "Convert it with the software that made it.",
            )  # fmt: skip
        names = {name.upper() for name in hdu.columns}
        if "TIME" in names and {"PDCSAP_FLUX", "SAP_FLUX"} & names:
            return _refused(
                "a light curve of Kepler or TESS", "the columns TIME and SAP_FLUX",
                "its rows are times of one object, and hven has no reader of it yet", "Leave it out.",
            )  # fmt: skip
        if {"TIME", "FLUX", "RAW_CNTS"} <= names:
            return _refused(
                "a target pixel file of Kepler or TESS", "the columns TIME, RAW_CNTS, FLUX",
                "hven has no reader of it yet", "Leave it out.",
            )  # fmt: skip
    if any(hdu.header.get("ZTABLE", False) for hdu in hdus):
        return _refused(
            "a compressed FITS table", "ZTABLE = T", "its columns are compressed, and astropy does not expand them",
            "Expand it with: funpack FILE.",
        )  # fmt: skip
    return None


def _image_refusal(hdus: Sequence[Hdu], name: str) -> Claim | None:
    images = _images(hdus)
    if not images:
        what = "a FITS file without tables" if any(hdu.size for hdu in hdus) else "a FITS file without data"
        return Claim(what, "layout", f"{len(hdus)} HDUs", "it holds no rows and no image", "Leave it out.")
    if _is_stack(hdus, name) or fits_mosaic_name(name):
        return None
    shown = _shapes(images)
    if any(len(one.shape) > 2 for one in images):
        return Claim(
            "a FITS cube", "layout", shown, "whether its planes are objects, wavelengths or distances is not said",
            "If each plane is the image of one object, name --reader fits_images.",
        )  # fmt: skip
    return Claim(
        "a FITS image" if len(images) == 1 else f"a FITS file of {len(images)} images", "layout", shown,
        "an image is no table of objects",
        "Cut objects out with --reader fits_cutouts -o positions=TABLE, or keep it whole with --reader fits_images.",
    )  # fmt: skip


def fits_mosaic_name(name: str) -> bool:
    """Return whether the name of a file says that it is a large image to cut objects out of.

    Examples
    --------
    >>> fits_mosaic_name("field_sci.fits"), fits_mosaic_name("field.fits")
    (True, False)
    """
    return _stem(name).endswith(_MOSAICS)


def _images(hdus: Sequence[Hdu]) -> list[Hdu]:
    return [hdu for hdu in hdus if len(hdu.shape) >= 2 and 0 not in hdu.shape]


def _is_stack(hdus: Sequence[Hdu], name: str) -> bool:
    """Whether images are one to an object: the name says so, or a table has a row for each plane of a cube."""
    images = _images(hdus)
    if not images:
        return False
    if _stem(name).endswith(_STACKS):
        return True
    cube = next((one for one in images if len(one.shape) > 2), None)
    tables = [hdu for hdu in hdus if hdu.is_table]
    if cube is not None:
        return len(tables) == 1 and tables[0].rows == cube.shape[0] > 1
    return False


def _shapes(images: Sequence[Hdu]) -> str:
    return "; ".join(f"HDU {one.index} of shape {one.shape}" for one in images[:3])


def _stem(name: str) -> str:
    return name.lower().removesuffix(".gz").rsplit(".", 1)[0]


def _refused(what: str, why: str, refusal: str, hint: str) -> Claim:
    return Claim(what, "survey", why, refusal, hint)
