"""Hashes of rows: what an analysis is given of each object, in 64 bits, so that an object is known again elsewhere."""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.ingest.object_ids import splitmix64, text_hashes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr
    from numpy.typing import NDArray

_SLAB = 65_536
"""Words that are mixed at once: they stay in the processor's cache."""
_STEP = np.uint64(0x9E3779B97F4A7C15)


def row_hashes(inputs: "Mapping[str, xr.Dataset]", rows: int, salt: str = "") -> "NDArray[np.int64]":
    """Return a hash of everything that an analysis is given of each object, all inputs together.

    Words of eight bytes are mixed with their places by SplitMix64 (Steele, Lea and Flood 2014,
    doi:10.1145/2714064.2660195) and added up; names, types and what is the same for all objects go into each.

    Parameters
    ----------
    inputs
        Datasets by input, over the same objects.
    rows
        How many objects there are.
    salt
        What else decides the result.

    Returns
    -------
    numpy.ndarray
        int64, shape (rows,): equal, but for one chance in 2^64, only where every value is.

    Examples
    --------
    >>> import xarray as xr
    >>> stars = xr.Dataset({"feh": ("object", [0.1, 0.2, 0.1]), "flux": (("object", "x"), np.eye(3))})
    >>> hashes = row_hashes({"stars": stars}, 3)
    >>> turned = row_hashes({"stars": stars.isel(object=[2, 1, 0])}, 3)
    >>> len(set(hashes.tolist())), bool((hashes[::-1] == turned).all())
    (3, True)
    """
    shared = hashlib.sha256(salt.encode())
    total = np.zeros(rows, np.uint64)
    for name, data in sorted(inputs.items()):
        for key in sorted(map(str, data.variables)):
            variable = data[key].variable
            told = f"{name}/{key} {variable.dims} {variable.shape[1:]} {variable.dtype.str}"
            values = np.asarray(variable.values)
            if variable.dims[:1] == ("object",):
                total += _folded(_words(values), _seed(told))
            else:
                shared.update(told.encode())
                shared.update(bytes_of(values))
    return splitmix64(total ^ _seed(shared.hexdigest())).view(np.int64)


def column_hashes(name: str, data: "xr.Dataset", rows: int) -> "Iterator[tuple[str, NDArray[np.uint64]]]":
    """Give each variable of an input with a hash for each object, uint64 (rows,), or one of no dimension for all.

    Parameters
    ----------
    name
        The input.
    data
        Its variables.
    rows
        How many objects there are; those of a margin come after them and are left out.
    """
    for key in sorted(map(str, data.variables)):
        variable = data[key].variable
        values = np.asarray(variable.values)
        told = f"{name}/{key} {variable.dims} {variable.shape[1:]} {variable.dtype.str}"
        if variable.dims[:1] == ("object",):
            yield key, _folded(_words(values[:rows]), _seed(told))
        else:
            shared = hashlib.sha256(f"{told} {variable.shape}".encode())
            shared.update(bytes_of(values))
            yield key, np.asarray(_seed(shared.hexdigest()))


def bytes_of(values: "NDArray[Any]") -> "memoryview | bytes":
    """Return the values of an array as bytes, those of text as they are written."""
    values = np.asarray(values)
    if values.dtype.kind in "TO":
        return repr(values.tolist()).encode()
    return np.ascontiguousarray(values).view(np.uint8).data


def _folded(words: "NDArray[np.uint64]", seed: np.uint64) -> "NDArray[np.uint64]":
    """Return the sum over each row (n, w) of its words, each mixed with its place."""
    rows, width = words.shape
    places = splitmix64(np.arange(width, dtype=np.uint64) * _STEP + seed)
    folded = np.zeros(rows, np.uint64)
    step = max(_SLAB // max(width, 1), 1)
    for start in range(0, rows if width else 0, step):
        folded[start : start + step] = splitmix64(words[start : start + step] ^ places).sum(axis=1, dtype=np.uint64)
    return folded


def _words(values: "NDArray[Any]") -> "NDArray[np.uint64]":
    """Return values (n, ...) as words of eight bytes, uint64, shape (n, w)."""
    import polars as pl

    rows = len(values)
    if values.dtype.kind in "TO":
        texts = pl.Series(values.ravel().tolist(), dtype=pl.String)
        # A text never begins with the byte that stands for none.
        return text_hashes(texts.fill_null("\x00")).reshape(rows, -1)
    size = values.dtype.itemsize * int(np.prod(values.shape[1:]))
    raw = np.ascontiguousarray(values).view(np.uint8).reshape(rows, size)
    if size % 8:
        padded = np.zeros((rows, size + -size % 8), np.uint8)
        padded[:, :size] = raw
        raw = padded
    return raw.view(np.uint64)


def _seed(told: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(told.encode()).digest()[:8], "little"))
