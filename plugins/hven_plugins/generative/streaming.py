"""Images of any number, block by block: what is kept of each block is merged, and no block is kept."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]
T = TypeVar("T")

_ROWS = 1024
_FAN_IN = 8


def streamed(
    images: xr.DataArray, columns: Array, work: Callable[[NDArray[Any], Array], T], merge: Callable[[T, T], T]
) -> T:
    """Return what `work` makes of all images, merged.

    Blocks of lazy images are computed where the Dask cluster has its workers, merged there in a tree, and only the
    result comes back. Images in memory are taken 1024 at a time.

    Parameters
    ----------
    images
        Pixels over (object, y, x).
    columns
        What goes with each image, shape (n, c).
    work
        Takes pixels (m, y, x) and columns (m, c), m up to 1024.
    merge
        Makes one of two; the order must not matter.
    """
    import dask

    if images.chunks is None:
        return _in_memory(np.asarray(images.values), columns, work, merge)
    blocks = images.data.rechunk({1: -1, 2: -1})
    ends = np.cumsum(blocks.chunks[0])
    delayed = [
        dask.delayed(_in_memory)(block, columns[end - size : end], work, merge)
        for block, end, size in zip(blocks.to_delayed().ravel(), ends, blocks.chunks[0], strict=True)
        if size
    ]
    if not delayed:
        return _in_memory(np.empty(images.shape), columns, work, merge)
    while len(delayed) > 1:
        delayed = [
            dask.delayed(_merged)(delayed[start : start + _FAN_IN], merge) for start in range(0, len(delayed), _FAN_IN)
        ]
    (result,) = dask.compute(delayed[0])
    return result  # type: ignore[no-any-return]


def content_ids(pixels: NDArray[Any]) -> NDArray[np.int64]:
    """Return a number for each image (n, y, x) that depends on its pixels alone: equal for equal images.

    It is the same whichever way images are ordered, cut or numbered.

    Examples
    --------
    >>> image = np.ones((1, 4, 4))
    >>> content_ids(image).tolist() == content_ids(image.copy()).tolist() != content_ids(2 * image).tolist()
    True
    """
    size = int(np.prod(pixels.shape[1:]))
    values = np.ascontiguousarray(pixels.reshape(len(pixels), size), dtype=np.float64) + 0.0
    words = values.view(np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**63, words.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    mixed = (words ^ (words >> np.uint64(29))) @ factors
    return np.asarray((mixed ^ (mixed >> np.uint64(32))) >> np.uint64(1)).astype(np.int64)


def copy_numbers(images: xr.DataArray, columns: Array, object_ids: NDArray[Any] | None) -> Array:
    """Return numbers (n,), whole and below 2^53, that tell images apart whose pixels and `columns` (n, c) are equal.

    They are made of the object ids where those are given, whole and all different. Else copies are counted, in one
    more pass over the images: which of them comes first makes no difference, as they are equal.
    """
    if object_ids is not None and object_ids.dtype.kind in "iu" and len(np.unique(object_ids)) == len(object_ids):
        return np.asarray(_scattered(object_ids.astype(np.int64)) >> 10, dtype=np.float64)

    def look(pixels: NDArray[Any], rows: Array) -> NDArray[np.int64]:
        return np.stack([_contents(pixels, rows[:, :-1]), rows[:, -1].astype(np.int64)])

    def both(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate([one, other], axis=1)

    content, at = streamed(images, np.column_stack([columns, np.arange(len(columns))]), look, both)
    order = np.lexsort((at, content))
    is_first = np.r_[True, np.diff(content[order]) != 0][: len(order)]
    places = np.arange(len(order))
    counted = np.empty(len(order))
    counted[at[order]] = places - np.maximum.accumulate(np.where(is_first, places, 0))
    return counted


def keys(pixels: NDArray[Any], columns: Array, copies: Array) -> NDArray[np.int64]:
    """Return a number for each image (n,) by which choices are made: of its pixels, `columns` (n, c) and copy number.

    Copies of an image are spread over all numbers. A choice by `content_ids` alone takes all of them or none, so that a
    sample of a set of few different images looks as if there were more of them than there are.
    """
    return _scattered(_contents(pixels, columns) ^ _scattered(copies.astype(np.int64)))


def _contents(pixels: NDArray[Any], columns: Array) -> NDArray[np.int64]:
    known = np.where(np.isnan(columns), np.nan, columns)
    return content_ids(pixels) ^ _scattered(content_ids(known)) if columns.shape[1] else content_ids(pixels)


def _scattered(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return numbers in which neighbouring ones are far apart (the finaliser of splitmix64), not negative."""
    z = numbers.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((z ^ (z >> np.uint64(31))) >> np.uint64(1)).astype(np.int64)


def _in_memory(
    pixels: NDArray[Any], columns: Array, work: Callable[[NDArray[Any], Array], T], merge: Callable[[T, T], T]
) -> T:
    starts = range(0, max(len(pixels), 1), _ROWS)
    return reduce(merge, (work(pixels[a : a + _ROWS], columns[a : a + _ROWS]) for a in starts))


def _merged(parts: Sequence[T], merge: Callable[[T, T], T]) -> T:
    return reduce(merge, parts)
