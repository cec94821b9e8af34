"""Frames that pandas wrote with ``to_hdf``, in its fixed and its table format, without reading any pickle's objects."""

import io
import pickle
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from hven import Column, Note
from hven.errors import UnreadableFileError
from hven_plugins.files.array_columns import array_frame, piece_rows
from hven_plugins.files.hdf5_layout import text_attribute

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    Piece = tuple[pl.DataFrame, list[Column], list[Note]]


def pandas_pieces(group: Any, where: str) -> "Iterator[Piece]":
    """Yield the rows of a frame that pandas wrote, piece by piece; its index is a column unless it counts the rows.

    Raises
    ------
    UnreadableFileError
        If pandas kept part of it as a pickle (columns of Python objects), or it is no frame.
    """
    kind = text_attribute(group, "pandas_type")
    if "table" in group:
        yield from _table_format(group, where)
    elif kind == "frame" and "axis0" in group and text_attribute(group, "axis0_variety") in ("", "regular"):
        yield from _fixed_format(group, where)
    else:
        raise _refused(f"pandas wrote it as {kind!r} with an index of several levels, or as no frame", where)


def _fixed_format(group: Any, where: str) -> "Iterator[Piece]":
    if text_attribute(group, "axis1_variety") not in ("", "regular"):
        raise _refused("its index has several levels", where)
    order = [str(name) for name in _labels(group["axis0"], where)]
    blocks = list(range(int(group.attrs.get("nblocks", 0))))
    sources: dict[str, tuple[Any, int, str]] = {}
    for n in blocks:
        values = group[f"block{n}_values"]
        names = [str(name) for name in _labels(group[f"block{n}_items"], where)]
        if values.dtype.kind == "O":
            raise _refused(f"the columns {', '.join(names[:5])} are kept as a pickle", where)
        if values.ndim != 2:
            continue
        turned = bool(values.attrs.get("transposed", False)) and values.shape[0] == len(names) != values.shape[1]
        if turned:
            raise _refused("a block of it lies column by column", where)
        sources |= {name: (values, at, text_attribute(values, "value_type")) for at, name in enumerate(names)}
    rows = len(group["axis1"]) if group["axis1"].shape else 0
    index = _index(group["axis1"], where)
    size = sum(group[f"block{n}_values"].size * 8 for n in blocks)
    step = piece_rows(size, rows)
    for start in range(0, max(rows, 1), step):
        piece = slice(start, start + step)
        held = {id(values): values[piece] for values, _, _ in sources.values()}
        arrays = {name: values[piece] for name, values in index.items()}
        for name in order:
            if name in sources:
                values, at, sort = sources[name]
                arrays[name] = _typed(held[id(values)][:, at], sort)
        frame, notes = array_frame(arrays)
        yield frame, [Column(name, "", ("object",)) for name in frame.columns], [] if start else notes


def _table_format(group: Any, where: str) -> "Iterator[Piece]":
    table = group["table"]
    names = table.dtype.names
    blocks: dict[str, list[str]] = {}
    for name in names:
        if name.startswith("values_block_"):
            labels = _unpickled(table.attrs.get(f"{name}_kind"), where)
            if not isinstance(labels, list | tuple):
                raise _refused(f"the names of {name} are not kept in plain words", where)
            blocks[name] = [str(label) for label in labels]
    rows = len(table)
    step = piece_rows(table.dtype.itemsize * rows, rows)
    for start in range(0, max(rows, 1), step):
        block = table[start : start + step]
        arrays: dict[str, NDArray[Any]] = {}
        for name in names:
            sort = text_attribute(table, f"{name}_dtype")
            if name in blocks:
                for at, label in enumerate(blocks[name]):
                    arrays[label] = _typed(block[name][:, at] if block[name].ndim > 1 else block[name], sort)
            elif name == "index":
                if not _counts(block[name], start):
                    arrays[_index_name(group, "index")] = _typed(block[name], text_attribute(table, "index_kind"))
            else:
                values = block[name]
                arrays[name] = _typed(values[:, 0] if values.ndim > 1 and values.shape[1] == 1 else values, sort)
        frame, notes = array_frame(arrays)
        yield frame, [Column(name, "", ("object",)) for name in frame.columns], [] if start else notes


def _index(axis: Any, where: str) -> dict[str, NDArray[Any]]:
    """Return the index of a frame as a column, nothing where it counts the rows."""
    if not axis.shape or axis.dtype.kind == "O":
        if axis.dtype.kind == "O" and axis.shape:
            raise _refused("its index is kept as a pickle", where)
        return {}
    values = axis[()]
    if _counts(values, 0):
        return {}
    name = text_attribute(axis, "name")
    kind = text_attribute(axis, "kind")
    return {name if name and name != "N." else "index": _typed(values, kind)}


def _counts(values: NDArray[Any], start: int) -> bool:
    return values.dtype.kind in "iu" and bool(np.array_equal(values, np.arange(start, start + len(values))))


def _index_name(group: Any, name: str) -> str:
    said = text_attribute(group["table"], f"{name}_name") if "table" in group else ""
    return said or name


def _labels(axis: Any, where: str) -> list[Any]:
    if axis.dtype.kind == "O":
        raise _refused("the names of its columns are kept as a pickle", where)
    return [one.decode() if isinstance(one, bytes) else one for one in axis[()].tolist()]


def _typed(values: NDArray[Any], sort: str) -> NDArray[Any]:
    """Return values of pandas as what they stand for: times are kept as nanoseconds or in the unit that is named."""
    if values.dtype.kind == "i" and sort.startswith("datetime64"):
        unit = sort.partition("[")[2].partition("]")[0].split(",")[0] or "ns"
        return values.astype(f"datetime64[{unit}]")
    if values.dtype.kind == "i" and sort.startswith("timedelta64"):
        return values.astype(np.float64) / 1e9
    if values.dtype.kind == "S":
        # pandas writes a missing text as the word nan.
        return np.where(values == b"nan", b"", values)
    return values


class _PlainWords(pickle.Unpickler):
    """Reads lists of texts and numbers that PyTables pickled, and refuses whatever would need any code."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse every class and function."""
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _unpickled(value: Any, where: str) -> Any:
    if value is None:
        return None
    if not isinstance(value, bytes | np.bytes_):
        return value
    try:
        return _PlainWords(io.BytesIO(bytes(value))).load()
    except (pickle.UnpicklingError, ValueError, EOFError, IndexError, KeyError, AttributeError, TypeError) as error:
        raise _refused(f"the names of its columns are kept as a pickle of more than words: {error}", where) from error


def _refused(why: str, where: str) -> UnreadableFileError:
    return UnreadableFileError(
        f"the frame of pandas is not read: {why}",
        where=where,
        hint="Write it with to_parquet, or with to_hdf(..., format='table', data_columns=True).",
    )
