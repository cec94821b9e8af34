"""What NPY and NPZ files hold: tables, stacks of images, spectra; from the headers of their arrays alone."""

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from hven import Claim, FileHead
from hven_plugins.files.hdf5_layout import is_stack
from hven_plugins.files.survey_spectra import is_table_of_pixels, is_wavelength

_NPY = b"\x93NUMPY"


class ArrayHeader(NamedTuple):
    """Shape and type of an array in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def array_headers(path: str) -> dict[str, ArrayHeader]:
    """Return shape and type of each array of an NPY (called ``""``) or NPZ file; none of any other file.

    Raises
    ------
    ValueError
        If the header of an array is not whole.
    """
    with Path(path).open("rb") as file:
        start = file.read(6)
        if start == _NPY:
            file.seek(0)
            return {"": _header(file)}
    if start[:2] != b"PK":
        return {}
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if not names or not all(name.endswith(".npy") for name in names):
            return {}
        found = {}
        for name in names:
            with archive.open(name) as member:
                found[name.removesuffix(".npy")] = _header(member)
        return found


def numpy_table_claim(head: FileHead) -> Claim | None:
    """Return what the reader of tables says of a NumPy file: a table, or what else it is, refused."""
    headers = _headers(head)
    if headers is None:
        return None
    pickled = [name for name, one in headers.items() if one.dtype.hasobject]
    if pickled and len(pickled) == len(headers):
        return Claim(
            "a NumPy file of Python objects", "survey", "arrays of dtype object",
            "they are a pickle, and hven reads none",
            "Save plain arrays: one of numbers or of fixed-length texts for each column.",
        )  # fmt: skip
    if spectra := _spectra(headers):
        return Claim(
            "spectra in a NumPy file", "survey", spectra, "hven has no reader of them yet",
            "Write them as kind 'spectra' with tx.write.",
        )  # fmt: skip
    columns = table_columns(headers)
    if columns:
        rows = next(iter(columns.values())).shape[0]
        return Claim("a table in a NumPy file", "layout", f"{len(columns)} arrays with {rows} rows")
    if stack_names(headers):
        return None
    shapes = ", ".join(f"{name or 'one array'} of shape {one.shape}" for name, one in list(headers.items())[:5])
    return Claim(
        "a NumPy file without columns", "format", shapes, f"what its rows and columns are is not said ({shapes})",
        "Save it as an NPZ with a name for each column (or a structured array);"
        " if it is one picture, name --reader numpy_images -o layout=yx.",
    )  # fmt: skip


def numpy_images_claim(head: FileHead) -> Claim | None:
    """Return what the reader of images says of a NumPy file with a stack of them."""
    headers = _headers(head)
    if not headers or _spectra(headers) or not (stacks := stack_names(headers)):
        return None
    shown = ", ".join(f"{name or 'one array'} of shape {headers[name].shape}" for name in stacks)
    if any("cube" in name.lower() for name in stacks):
        return Claim(
            "a cube in a NumPy file", "layout", shown, "its planes are not said to be images of objects",
            "If each plane is the image of one object, name --reader numpy_images.",
        )  # fmt: skip
    return Claim("a stack of images in a NumPy file", "layout", shown)


def table_columns(headers: Mapping[str, ArrayHeader]) -> dict[str, ArrayHeader]:
    """Return the arrays that are columns of one table: a structured array, or named ones with one number of rows.

    Examples
    --------
    >>> one, wide = ArrayHeader((7,), np.dtype("f4")), ArrayHeader((7, 5), np.dtype("f4"))
    >>> list(table_columns({"ra": one, "mags": wide})), list(table_columns({"mags": wide}))
    (['ra', 'mags'], [])
    """
    structured = [name for name, one in headers.items() if one.dtype.names and len(one.shape) == 1]
    if len(headers) == 1 and structured:
        return {name: headers[name] for name in structured}
    if stack_names(headers) or "" in headers:
        return {}
    columns = {name: one for name, one in headers.items() if one.shape and not one.dtype.hasobject}
    flat = [one for one in columns.values() if len(one.shape) == 1]
    is_one_table = len({one.shape[0] for one in columns.values()}) == 1 and flat and len(columns) > 1
    return columns if is_one_table else {}


def stack_names(headers: Mapping[str, ArrayHeader]) -> list[str]:
    """Return the arrays that are stacks of images."""
    return [name for name, one in headers.items() if is_stack(one.shape) and one.dtype.kind in "biuf"]


def _spectra(headers: Mapping[str, ArrayHeader]) -> str:
    """Return why a file holds spectra: pixels of one, or many over one wavelength axis; empty when it does not."""
    shapes = {name: one.shape for name, one in headers.items() if one.shape}
    if len(shapes) > 1 and len(set(shapes.values())) == 1 and is_table_of_pixels(shapes):
        return f"the arrays {', '.join(list(shapes)[:4])}"
    for wave, shape in shapes.items():
        if is_wavelength(wave) and len(shape) == 1:
            over = [name for name, other in shapes.items() if len(other) == 2 and other[1] == shape[0]]
            if over:
                return f"{over[0]} of shape {shapes[over[0]]} over {wave}"
    return ""


def _headers(head: FileHead) -> dict[str, ArrayHeader] | None:
    if head.start[:6] != _NPY and head.start[:2] != b"PK":
        return None
    try:
        return array_headers(head.path) or None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError, SyntaxError):
        return None


def _header(file: IO[bytes]) -> ArrayHeader:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        # Of files that Python 2 wrote.
        warnings.simplefilter("ignore", UserWarning)
        shape, _, dtype = read(file)
    return ArrayHeader(shape, dtype)
