"""Images in FITS files: stacks, one image to an extension, and cut-outs around positions from larger images."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import hven
from hven import Batch
from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError, UnreadableFileError
from hven_plugins.files.csv_files import csv
from hven_plugins.files.fits_layout import fits_cutouts_claim, fits_images_claim
from hven_plugins.files.fits_tables import fits_table
from hven_plugins.files.image_batch import image_batch, unreadable
from hven_plugins.files.parquet_files import parquet
from hven_plugins.files.votables import votable

_PATTERNS = tuple(f"*{kind}.fits{ending}" for kind in ("_images", "_stack", "_cutouts") for ending in ("", ".gz"))
_MOSAICS = tuple(f"*{kind}.fits{ending}" for kind in ("_mosaic", "_coadd", "_sci", "_drz") for ending in ("", ".gz"))


class Plane(NamedTuple):
    """One image HDU: its name, pixels and header."""

    name: str
    pixels: NDArray[Any]
    header: Any


@hven.reader(
    name="fits_images",
    patterns=_PATTERNS,
    produces={"": "images"},
    with_options_of=image_batch,
    claims=fits_images_claim,
)
def fits_images(path: str, *, hdu: int | str | None = None, **options: Any) -> Iterator[Batch]:
    """Stacks of images in FITS files: one cube, or extensions of equal shape, each being an image.

    A table in the file with a row for each image gives the columns. Extensions with celestial coordinates are placed
    on the sky by their centre (``ra``, ``dec``) and keep their name. The unit is that of ``BUNIT``.

    Parameters
    ----------
    path
        Of the file.
    hdu
        Number or name of the HDU; the first cube, or all images, when not given.
    **options
        Those of `image_batch`.
    """
    planes, table = read_planes(path, hdu)
    cube = next((plane for plane in planes if plane.pixels.ndim > 2), None)
    places: dict[str, NDArray[Any]] = {}
    if cube is not None:
        pixels, told = cube.pixels, str(cube.header.get("BUNIT", ""))
    else:
        shapes = {plane.pixels.shape for plane in planes}
        if len(shapes) > 1:
            raise DataRefusedError(
                f"images of {len(shapes)} shapes: {', '.join(map(str, sorted(shapes)))}", where=path,
                expected="images of one shape", hint="Read one HDU (option hdu), or cut them to one size.",
            )  # fmt: skip
        pixels, told = np.stack([plane.pixels for plane in planes]), str(planes[0].header.get("BUNIT", ""))
        options["layout"] = "nyx"
        places = _centres(planes)
    n = len(pixels) if pixels.ndim > 2 else 1
    beside = {name: values for name, values in table.items() if len(values) == n}
    if places and "ra" not in beside and options["position"] is None:
        beside, options["position"] = beside | places, ["ra", "dec"]
    options["unit"] = options["unit"] or _understood(told)
    yield image_batch(pixels, beside, path, **options)


@hven.reader(name="fits_cutouts", patterns=_MOSAICS, produces={"": "images"}, claims=fits_cutouts_claim)
def fits_cutouts(
    path: str,
    *,
    positions: str,
    size: int = 64,
    hdu: int | str | None = None,
    band: str = "",
    coverage: float = 1.0,
    columns: dict[str, str] | None = None,
    identity: list[str] | None = None,
    unit: str = "",
    survey: str = "",
    title: str = "",
    citation: list[str] | None = None,
) -> Iterator[Batch]:
    """Cut-outs from a larger FITS image around the positions of a table, by the image's celestial coordinates.

    Each row of the table that lies on the image becomes an object, with all of the table's columns. Cut-outs are
    pieces of the image's own pixels: not turned, not resampled, centred to half a pixel. What lies beyond the edge is
    NaN, and rows of which less than `coverage` is on the image are left out.

    Parameters
    ----------
    path
        Of the image.
    positions
        File with the table (CSV, Parquet, FITS, VOTable) that has right ascension and declination in degrees.
    size
        Of the cut-outs in pixels, along each side.
    hdu
        Number or name of the HDU; the first image when not given.
    band
        Name of the band; the header's ``FILTER`` when not given.
    coverage
        Smallest fraction of a cut-out that has to lie on the image.
    columns
        New names of the table's columns, as {"ra": "ALPHA_J2000"}.
    identity
        Columns of the table that tell objects apart; guessed when not given.
    unit
        Of the pixels, where the header does not say.
    survey
        For the catalog.
    title
        For the catalog.
    citation
        For the catalog: bibcodes, arXiv ids or DOIs.
    """
    import polars as pl

    planes, _ = read_planes(path, hdu)
    plane = next((plane for plane in planes if plane.pixels.ndim == 2), None)
    if plane is None:
        raise UnreadableFileError("there is no 2-D image", where=path, hint="Name another HDU with option hdu.")
    table = max((csv, parquet, fits_table, votable), key=lambda reader: reader.matches(positions))
    batches = list(table(positions, columns=columns, identity=identity))
    pieces: list[pl.DataFrame] = [batch.parts[""] for batch in batches]  # type: ignore[misc]
    rows = pl.concat(pieces, how="vertical_relaxed")
    placed = batches[0].position
    if placed is None:
        raise ParameterError(
            "no columns of the table are known as right ascension and declination", where=positions,
            expected="columns ra and dec in degrees", hint="Name them: columns={'ra': ..., 'dec': ...}.",
        )  # fmt: skip
    ra, dec = (rows[name].cast(float).to_numpy() for name in placed)
    found, pixels = cutouts(plane.pixels, plane.header, ra, dec, size=size, coverage=coverage, where=path)
    if not len(found):
        raise TooFewObjectsError(
            f"none of {len(ra)} positions lies on the image", where=path,
            expected=f"{coverage:.0%} of a cut-out of {size} pixels on it",
            hint="Choose other positions, or less coverage.",
        )  # fmt: skip
    kept = rows[found.tolist()]
    names = {name: kept[name].to_numpy() for name in kept.columns if not kept[name].dtype.is_nested()}
    yield image_batch(
        pixels, names, path, layout="nyx", bands=[band or str(plane.header.get("FILTER", "")).strip() or "image"],
        identity=list(batches[0].identity or placed), unit=unit or _understood(str(plane.header.get("BUNIT", ""))),
        position=list(placed), survey=survey, title=title, citation=citation,
    )  # fmt: skip


def cutouts(
    image: NDArray[Any],
    header: Any,
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    *,
    size: int,
    coverage: float = 1.0,
    where: str = "",
) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Return which positions lie on an image, and their cut-outs (m, size, size).

    Parameters
    ----------
    image
        Pixels (y, x).
    header
        Header of FITS with celestial coordinates, or anything that `astropy.wcs.WCS` takes.
    ra, dec
        Positions in degrees (ICRS), shape (n,).
    size
        Along each side, in pixels.
    coverage
        Smallest fraction of a cut-out that has to lie on the image; the rest is NaN.
    where
        The file, for errors.

    Raises
    ------
    DataRefusedError
        The header has no celestial coordinates.
    """
    from astropy import units
    from astropy.coordinates import SkyCoord
    from astropy.nddata import Cutout2D, NoOverlapError
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wcs = WCS(header).celestial
    if not wcs.has_celestial:
        raise DataRefusedError(
            "the header has no celestial coordinates", where=where, expected="CTYPE, CRVAL, CRPIX and a scale",
            hint="Solve the image for its astrometry first.",
        )  # fmt: skip
    known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    x, y = wcs.world_to_pixel(SkyCoord(ra[known] * units.deg, dec[known] * units.deg))
    pixels = image if image.dtype.kind == "f" else image.astype(np.float32)
    found, pieces = [], []
    for row, centre in zip(known, np.column_stack([x, y]), strict=True):
        if not np.isfinite(centre).all():
            continue
        try:
            piece = Cutout2D(pixels, tuple(centre), size, mode="partial", fill_value=np.nan)
        except NoOverlapError:
            continue
        on_image = np.prod([cut.stop - cut.start for cut in piece.slices_original])
        if on_image >= coverage * size**2:
            found.append(row)
            pieces.append(piece.data)
    return np.array(found, dtype=np.intp), np.array(pieces).reshape(-1, size, size)


def read_planes(path: str, hdu: int | str | None = None) -> tuple[list[Plane], dict[str, NDArray[Any]]]:
    """Return the images of a FITS file, and the columns of its first table.

    Raises
    ------
    UnreadableFileError
        If the file is not FITS, is cut short, or has no image.
    """
    from astropy.io import fits

    if not Path(path).exists():
        raise UnreadableFileError("there is no such file", where=path, hint="Correct the path.")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        try:
            with hven.local_file(path) as local, Path(local).open("rb") as file, fits.open(file, memmap=False) as hdus:
                chosen = list(hdus) if hdu is None else [hdus[hdu]]
                planes = [
                    Plane(one.name, np.asarray(one.data), one.header.copy())
                    for one in chosen
                    if one.is_image and one.data is not None and one.data.ndim >= 2
                ]
                table = next((one for one in hdus if isinstance(one, fits.BinTableHDU)), None)
                columns = {} if table is None else {name: np.asarray(table.data[name]) for name in table.columns.names}
        except (OSError, EOFError, ValueError, TypeError, IndexError, KeyError, Warning) as error:
            raise unreadable("the file is not a whole FITS file", path, error) from error
    if not planes:
        raise UnreadableFileError("there is no image in the file", where=path, hint="Read it with reader fits_table.")
    return planes, columns


def _centres(planes: list[Plane]) -> dict[str, NDArray[Any]]:
    """Return ``ra`` and ``dec`` of the centres, nothing when an image has no celestial coordinates."""
    from astropy.wcs import WCS

    places = []
    for plane in planes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wcs = WCS(plane.header)
        if not wcs.has_celestial:
            return {}
        rows, columns = plane.pixels.shape
        centre = wcs.celestial.pixel_to_world((columns - 1) / 2, (rows - 1) / 2).icrs
        places.append((centre.ra.deg, centre.dec.deg))
    return dict(zip(("ra", "dec"), np.array(places).T, strict=True))


def _understood(text: str) -> str:
    """Return a unit that the file tells, or nothing where nobody knows it."""
    from astropy import units

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return units.Unit(text).to_string() if text else ""
    except (ValueError, TypeError):
        return ""
