"""Stacks of images in NPY, NPZ and HDF5 files, with their parameters beside them."""

import zipfile
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hven
from hven import Batch
from hven.errors import MissingDependencyError, UnreadableFileError, did_you_mean
from hven_plugins.files.image_batch import Layout, image_batch, unreadable


@hven.reader(name="numpy_images", patterns=("*.npz", "*.npy"), produces={"": "images"})
def numpy_images(
    path: str,
    *,
    images: str = "",
    layout: Layout = "auto",
    bands: list[str] | None = None,
    columns: dict[str, str] | None = None,
    identity: list[str] | None = None,
    unit: str = "",
    units: dict[str, str] | None = None,
    position: list[str] | None = None,
    survey: str = "",
    title: str = "",
    citation: list[str] | None = None,
) -> Iterator[Batch]:
    """Stacks of images in NPY and NPZ files; the other arrays of an NPZ with a row for each image are its columns.

    Parameters
    ----------
    path
        Of the file.
    images
        The array with the pixels; the largest one when empty.
    layout
        What its axes are: n for images, b for bands, y, x; "auto" guesses.
    bands
        Names of the bands.
    columns
        New names, as {"theta_zeta": "zeta"}.
    identity
        Columns that tell images apart; file name and number when not given.
    unit
        Of the pixels.
    units
        Of columns, by new name.
    position
        Columns of right ascension and declination in degrees.
    survey
        For the catalog.
    title
        For the catalog.
    citation
        For the catalog: bibcodes, arXiv ids or DOIs.
    """
    try:
        arrays = _arrays(path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise unreadable("the file is not a whole NumPy file of plain arrays", path, error) from error
    yield _stack(arrays, path, images, layout=layout, bands=bands, names=columns, identity=identity, unit=unit,
                 units=units, position=_two(position), survey=survey, title=title, citation=citation)  # fmt: skip


@hven.reader(name="hdf5_images", patterns=("*.h5", "*.hdf5", "*.hdf"), produces={"": "images"})
def hdf5_images(
    path: str,
    *,
    images: str = "",
    layout: Layout = "auto",
    bands: list[str] | None = None,
    columns: dict[str, str] | None = None,
    identity: list[str] | None = None,
    unit: str = "",
    units: dict[str, str] | None = None,
    position: list[str] | None = None,
    survey: str = "",
    title: str = "",
    citation: list[str] | None = None,
) -> Iterator[Batch]:
    """Stacks of images in HDF5 files; needs h5py (``hven[hdf5]``). Datasets with a row for each image are its columns.

    Parameters
    ----------
    path
        Of the file.
    images
        The dataset with the pixels, as "group/images"; the largest one when empty.
    layout
        What its axes are: n for images, b for bands, y, x; "auto" guesses.
    bands
        Names of the bands.
    columns
        New names, as {"theta_zeta": "parameters/zeta"}.
    identity
        Columns that tell images apart; file name and number when not given.
    unit
        Of the pixels.
    units
        Of columns, by new name.
    position
        Columns of right ascension and declination in degrees.
    survey
        For the catalog.
    title
        For the catalog.
    citation
        For the catalog: bibcodes, arXiv ids or DOIs.
    """
    try:
        h5py: Any = import_module("h5py")
    except ImportError as error:
        raise MissingDependencyError(
            "HDF5 files are read with h5py, which is not installed",
            where=path,
            hint="Install it: pip install 'hven[hdf5]'",
        ) from error
    arrays: dict[str, NDArray[Any]] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape:
            arrays[name] = item[()]

    try:
        with h5py.File(path, "r") as held:
            held.visititems(take)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise unreadable("the file is not a whole HDF5 file", path, error) from error
    yield _stack(arrays, path, images, layout=layout, bands=bands, names=columns, identity=identity, unit=unit,
                 units=units, position=_two(position), survey=survey, title=title, citation=citation)  # fmt: skip


def _stack(arrays: Mapping[str, NDArray[Any]], path: str, images: str, **options: Any) -> Batch:
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
    chosen = images or max(stacks, key=lambda name: stacks[name].size)
    pixels = arrays[chosen]
    wanted = set((options["names"] or {}).values())
    n = len(pixels)
    beside = {
        name: array for name, array in arrays.items()
        if name != chosen and (name in wanted or (array.ndim in (1, 2) and len(array) == n and pixels.ndim > 2))
    }  # fmt: skip
    return image_batch(pixels, {_plain(name, wanted): array for name, array in beside.items()}, path, **options)


def _plain(name: str, wanted: set[str]) -> str:
    """Return a column's name without its group, unless an option speaks of it in full."""
    return name if name in wanted else name.rsplit("/", 1)[-1]


def _arrays(path: str) -> dict[str, NDArray[Any]]:
    with Path(path).open("rb") as file:
        held = np.load(file, allow_pickle=False)
        return {"images": held} if isinstance(held, np.ndarray) else {name: np.asarray(held[name]) for name in held}


def _two(position: list[str] | None) -> tuple[str, str] | None:
    return None if not position else (position[0], position[-1])
