"""Images in PNG, JPEG and other picture files, one to a file: a folder of them is a dataset."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import hven
from hven import Batch, Claim, FileHead
from hven_plugins.files.image_batch import COLOURS, image_batch, unreadable

if TYPE_CHECKING:
    from PIL import Image


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
)


def picture_claim(head: FileHead) -> Claim | None:
    """Return what kind of picture a file is by its first bytes; None for any other file."""
    for start, what in _MAGIC:
        if head.start.startswith(start):
            return Claim(what, "format", f"it begins with {start!r}")
    return None


@hven.reader(
    name="pictures",
    patterns=("*.png", "*.jpg", "*.jpeg", "*.tif", "*.tiff"),
    produces={"": "images"},
    claims=picture_claim,
)
def pictures(
    path: str,
    *,
    bands: list[str] | None = None,
    survey: str = "",
    title: str = "",
    citation: list[str] | None = None,
) -> Iterator[Batch]:
    """Pictures in PNG, JPEG or TIFF files; each file is one object, named by its file.

    Grey pictures have one band, colour pictures three; transparency is left out. Row 0 is the top of the picture. All
    pictures of a dataset have one size; others are set aside.

    Parameters
    ----------
    path
        Of the file.
    bands
        Names of the bands; red, green, blue or grey when not given.
    survey
        For the catalog.
    title
        For the catalog.
    citation
        For the catalog: bibcodes, arXiv ids or DOIs.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Path(path).open("rb") as file, Image.open(file) as picture:
                kept = picture if picture.mode in {"L", "I;16", "I", "F", "RGB"} else _plain(picture)
                pixels = np.asarray(kept)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as error:
        raise unreadable("the file is not a whole picture", path, error) from error
    flat = pixels[..., None] if pixels.ndim == 2 else pixels
    names = bands or list(COLOURS[flat.shape[2]])
    yield image_batch(flat, {}, path, layout="yxb", bands=names, survey=survey, title=title, citation=citation)


def _plain(picture: "Image.Image") -> "Image.Image":
    """Return a picture with a palette, transparency or another colour space in grey or in red, green and blue."""
    return picture.convert("L" if picture.mode in {"1", "LA"} else "RGB")
