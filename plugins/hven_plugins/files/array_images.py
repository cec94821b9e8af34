"""Stacks of images in NPY, NPZ and HDF5 files, with their parameters beside them."""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hven
from hven import Batch, Note
from hven.errors import UnreadableFileError, did_you_mean
from hven_plugins.files.hdf5_layout import hdf5_images_claim, hdf5_layout, is_stack
from hven_plugins.files.hdf5_tables import opened_hdf5
from hven_plugins.files.image_batch import image_batch, unreadable
from hven_plugins.files.numpy_layout import numpy_images_claim

_ONLY = "images"
"""What the array of an NPY file is called."""

_WORDS = ("image", "img", "stamp", "cutout", "cut-out", "picture", "thumb", "galax", "stack")


@hven.reader(
    name="numpy_images",
    patterns=("*.npz", "*.npy"),
    produces={"": "images"},
    with_options_of=image_batch,
    claims=numpy_images_claim,
)
def numpy_images(path: str, *, images: str = "", **options: Any) -> Iterator[Batch]:
    """Stacks of images in NPY and NPZ files; the other arrays of an NPZ with a row for each image are its columns.

    Parameters
    ----------
    path
        Of the file.
    images
        The array with the pixels; the largest one when empty.
    **options
        Those of `image_batch`.
    """
    try:
        with hven.local_file(path) as local:
            arrays = _arrays(local)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise unreadable("the file is not a whole NumPy file of plain arrays", path, error) from error
    yield _stack(arrays, path, images, options)


@hven.reader(
    name="hdf5_images",
    patterns=("*.h5", "*.hdf5", "*.hdf"),
    produces={"": "images"},
    with_options_of=image_batch,
    claims=hdf5_images_claim,
)
def hdf5_images(path: str, *, images: str = "", **options: Any) -> Iterator[Batch]:
    """Stacks of images in HDF5 files; needs h5py (``hven[hdf5]``). Datasets with a row for each image are its columns.

    A column is known by its name without its group, and by its full name where an option `columns` gives that, as
    {"theta_zeta": "parameters/zeta"}.

    Parameters
    ----------
    path
        Of the file.
    images
        The dataset with the pixels, as "group/images"; the largest one when empty.
    **options
        Those of `image_batch`.
    """
    arrays: dict[str, NDArray[Any]] = {}

    def take(name: str, item: Any) -> None:
        if hasattr(item, "shape") and item.shape:
            arrays[name] = item[()]

    with hven.local_file(path) as local, opened_hdf5(local, path) as held:
        if outside := hdf5_layout(held).outside:
            raise UnreadableFileError(
                f"the file points out of itself: {outside[0]}", where=path,
                hint="Copy its content into one file with h5repack or h5py.",
            )  # fmt: skip
        held.visititems(take)
    yield _stack(arrays, path, images, options)


def _stack(arrays: Mapping[str, NDArray[Any]], path: str, images: str, options: dict[str, Any]) -> Batch:
    stacks = {name: array for name, array in arrays.items() if array.ndim >= 2 and array.dtype.kind in "uifb"}
    if images and images not in arrays:
        raise UnreadableFileError(
            f"there is no array {images!r}", where=path,
            hint=did_you_mean(images, arrays, f"There are: {', '.join(arrays)}."),
        )  # fmt: skip
    if not stacks:
        raise UnreadableFileError(
            "the file holds no images", where=path, expected="an array of numbers over (n, y, x)",
            hint="Choose another reader.",
        )  # fmt: skip
    chosen = images or max(stacks, key=lambda name: (is_stack(stacks[name].shape), stacks[name].size))
    pixels = arrays[chosen]
    if pixels.ndim == 2 and not images and options["layout"] != "yx":
        raise UnreadableFileError(
            f"the array {chosen!r} of shape {pixels.shape} is not said to be a picture", where=path,
            expected="an array of numbers over (n, y, x)",
            hint="If it is one picture, say layout=yx; if its rows are objects, give its columns names.",
        )  # fmt: skip
    wanted = set((options["columns"] or {}).values())
    n = len(pixels)
    beside = {
        name: array for name, array in arrays.items()
        if name != chosen and (name in wanted or (array.ndim in (1, 2) and len(array) == n and pixels.ndim > 2))
    }  # fmt: skip
    batch = image_batch(pixels, {_plain(name, wanted): array for name, array in beside.items()}, path, **options)
    return replace(batch, notes=(*batch.notes, *_doubts(pixels, chosen, path, has_columns=bool(beside), **options)))


def _doubts(
    pixels: NDArray[Any], name: str, path: str, *, has_columns: bool, layout: str, **_: Any
) -> tuple[Note, ...]:
    """Return a note on planes that nothing but their shape calls images of objects."""
    words = f"{Path(path).name} {name if name != _ONLY else ''}".lower()
    if layout != "auto" or pixels.ndim != 3 or has_columns or any(word in words for word in _WORDS):
        return ()
    shape = " x ".join(map(str, pixels.shape))
    text = (
        f"an array of {shape} is taken for images, each the image of one object, because of its shape alone;"
        " say layout=nyx if it is, and leave it out if its planes are channels or maps of one object"
    )
    return (Note(text, needs_attention=True),)


def _plain(name: str, wanted: set[str]) -> str:
    """Return a column's name without its group, unless an option speaks of it in full."""
    return name if name in wanted else name.rsplit("/", 1)[-1]


def _arrays(path: str) -> dict[str, NDArray[Any]]:
    with Path(path).open("rb") as file:
        held = np.load(file, allow_pickle=False)
        return {_ONLY: held} if isinstance(held, np.ndarray) else {name: np.asarray(held[name]) for name in held}
