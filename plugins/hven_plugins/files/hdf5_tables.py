"""Tables in HDF5 files: compound datasets (h5py, PyTables, astropy), groups of columns (DESC, vaex), pandas."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

import hven
from hven import Batch, Column, Note
from hven.errors import HvenError, MissingDependencyError, UnreadableFileError, did_you_mean
from hven_plugins.files.array_columns import array_pieces
from hven_plugins.files.hdf5_layout import Hdf5Table, hdf5_layout, hdf5_table_claim, text_attribute
from hven_plugins.files.image_batch import unreadable
from hven_plugins.files.pandas_frames import pandas_pieces
from hven_plugins.files.table_batch import table_batch

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Piece = tuple[pl.DataFrame, list[Column], list[Note]]

_META = "__table_column_meta__"


@hven.reader(
    name="hdf5_table",
    patterns=("*.h5", "*.hdf5", "*.hdf", "*.he5"),
    with_options_of=table_batch,
    claims=hdf5_table_claim,
)
def hdf5_table(path: str, *, table: str = "", **options: Any) -> Iterator[Batch]:
    """Tables in HDF5 files; needs h5py (``hven[hdf5]``).

    Read are compound datasets (of h5py, PyTables, astropy with its units), groups of columns of one length (as DESC and
    vaex write them), and what pandas writes with to_hdf. Columns of vectors stay vectors. Nothing outside the file is
    read, and no pickle in it.

    Parameters
    ----------
    path
        Of the file.
    table
        The dataset or group, as "group/stars"; the only table when empty.
    **options
        Those of `table_batch`.
    """
    with hven.local_file(path) as local, opened_hdf5(local, path) as file:
        found = _table_of(file, path, table)
        pieces = pandas_pieces(file[found.path], path) if found.sort == "pandas" else _pieces(file, found)
        for rows, told, notes in pieces:
            yield table_batch(rows, told, path, "", notes, **options)


@contextmanager
def opened_hdf5(path: str, where: str) -> Iterator[Any]:
    """Give an open HDF5 file for reading; what goes wrong with it in the block is a named error.

    Raises
    ------
    MissingDependencyError
        If h5py is not installed.
    UnreadableFileError
        If the file is not whole.
    """
    try:
        h5py: Any = import_module("h5py")
    except ImportError as error:
        raise MissingDependencyError(
            "HDF5 files are read with h5py, which is not installed",
            where=where,
            hint="Install it: pip install 'hven[hdf5]'",
        ) from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except HvenError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise unreadable("the file is not a whole HDF5 file", where, error) from error


def _table_of(file: Any, where: str, wanted: str) -> Hdf5Table:
    layout = hdf5_layout(file)
    if layout.outside:
        raise UnreadableFileError(
            f"the file points out of itself: {layout.outside[0]}",
            where=where,
            expected="a file that holds its data",
            hint="Copy its content into one file with h5repack or h5py.",
        )
    by_path = {table.path: table for table in layout.tables}
    shown = "; ".join(map(str, layout.tables[:20])) or "none"
    if wanted:
        if (found := by_path.get(wanted.strip("/"))) is None:
            names = [table.path or "/" for table in layout.tables]
            raise UnreadableFileError(
                f"there is no table {wanted!r}", where=where, expected=shown,
                hint=did_you_mean(wanted, names, f"Its tables are: {', '.join(names) or 'none'}."),
            )  # fmt: skip
        return found
    full = [table for table in layout.tables if table.rows] or layout.tables
    if not full:
        arrays = {**layout.stacks, **layout.others}
        shapes = ", ".join(f"{name} {shape}" for name, shape in list(arrays.items())[:10])
        raise UnreadableFileError(
            f"the file has no table{f', but the arrays {shapes}' if shapes else ''}",
            where=where,
            expected="a compound dataset, a table of pandas, or a group of columns of one length",
            hint="If they are images, name the reader hdf5_images.",
        )
    if len(full) > 1:
        raise UnreadableFileError(
            f"the file has {len(full)} tables, and which one is meant is not said",
            where=where,
            expected=shown,
            hint=f"Choose one with the option table, as table={full[0].path or '/'}.",
        )
    return full[0]


def _pieces(file: Any, table: Hdf5Table) -> "Iterator[Piece]":
    if table.sort == "compound":
        dataset = file[table.path]
        told = _described_by_astropy(file, table)
        size = dataset.dtype.itemsize * table.rows
        sources: Mapping[str, Any] = {}
    else:
        dataset, sources = None, {name: file[path] for name, path in table.columns.items()}
        told = [_described(name, one) for name, one in sources.items()]
        size = sum(one.dtype.itemsize * one.size for one in sources.values())

    def read(rows: slice) -> "dict[str, NDArray[Any]]":
        if dataset is None:
            return {name: _known(_as_meant(one[rows], one.attrs), one, rows) for name, one in sources.items()}
        block = dataset[rows]
        return {name: block[name] for name in block.dtype.names}

    for frame, notes in array_pieces(read, table.rows, size):
        yield _masked(frame), told, notes


def _as_meant(values: "NDArray[Any]", attrs: Mapping[str, Any]) -> "NDArray[Any]":
    """Return numbers as the attributes of netCDF say: without codes for missing, and with their scale."""
    if values.dtype.kind not in "iuf":
        return values
    missing = np.zeros(values.shape, bool)
    for key in ("_FillValue", "missing_value"):
        for code in np.ravel(attrs.get(key, ())):
            if np.asarray(code).dtype.kind in "iuf":
                missing |= values == code
    scale, offset = (float(np.ravel(attrs.get(key, 0.0))[0]) for key in ("scale_factor", "add_offset"))
    if "scale_factor" in attrs or "add_offset" in attrs:
        values = values.astype(np.float64) * (scale if "scale_factor" in attrs else 1.0) + offset
    if not missing.any():
        return values
    if values.dtype.kind == "f" or values.ndim > 1:
        return np.where(missing, np.nan, values.astype(np.result_type(values.dtype, np.float32), copy=False))
    return np.ma.masked_array(values, missing)


def _known(values: "NDArray[Any]", dataset: Any, rows: slice) -> "NDArray[Any]":
    """Return values of which those are masked that vaex marks as missing, in a mask or a bitmap beside them."""
    beside = dataset.parent
    if not dataset.name.endswith("/data") or values.ndim > 1:
        return values
    missing = np.zeros(len(values), bool)
    if "mask" in beside and beside["mask"].shape == dataset.shape:
        missing |= beside["mask"][rows].astype(bool)
    if "null_bitmap" in beside:
        valid = np.unpackbits(np.asarray(beside["null_bitmap"][()], np.uint8), bitorder="little")[: len(dataset)]
        missing |= valid[rows] == 0
    return np.ma.masked_array(values, missing | np.ma.getmaskarray(values)) if missing.any() else values


def _masked(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return a frame without the columns ``X.mask`` of astropy, which say where ``X`` is null."""
    import polars as pl

    for name in [name for name in frame.columns if f"{name}.mask" in frame.columns]:
        mask = frame[f"{name}.mask"]
        if mask.dtype == pl.Boolean:
            frame = frame.with_columns(pl.when(~mask).then(pl.col(name))).drop(f"{name}.mask")
    return frame


def _described(name: str, dataset: Any) -> Column:
    unit = next((text for key in ("unit", "units", "UNIT") if (text := text_attribute(dataset, key))), "")
    text = next((found for key in ("description", "desc", "comment") if (found := text_attribute(dataset, key))), "")
    return Column(name, "", ("object",), unit, text, text_attribute(dataset, "ucd"))


def _described_by_astropy(file: Any, table: Hdf5Table) -> list[Column]:
    """Return the columns with the units and descriptions that astropy (or PyTables, h5py) keeps beside them."""
    beside = f"{table.path}.{_META}"
    plain = {name: Column(name, "", ("object",)) for name in table.columns}
    attrs = file[table.path].attrs
    for number, name in enumerate(table.columns):
        unit = next((str(attrs[key]) for key in (f"{name}.unit", f"FIELD_{number}_UNITS") if key in attrs), "")
        plain[name] = replace(plain[name], unit=unit)
    if beside in file:
        for one in plain_yaml(file[beside][()]).get("datatype", ()):
            if isinstance(one, dict) and one.get("name") in plain:
                unit, text = one.get("unit") or "", one.get("description") or ""
                plain[one["name"]] = replace(plain[one["name"]], unit=str(unit), description=str(text))
    return list(plain.values())


def plain_yaml(lines: Any) -> dict[str, Any]:
    """Return what lines of YAML say, with objects of Python and astropy read as the plain values that they are of."""
    import yaml

    class Plain(yaml.SafeLoader):
        """A loader that makes no objects."""

    def plain(loader: Any, _tag: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            values = loader.construct_mapping(node, deep=True)
            return values.get("unit", values)
        if isinstance(node, yaml.SequenceNode):
            return [pair for one in loader.construct_sequence(node, deep=True) for pair in [one]]
        return loader.construct_scalar(node)

    Plain.add_multi_constructor("!", plain)
    Plain.add_multi_constructor("tag:yaml.org,2002:", plain)
    try:
        said = yaml.load("\n".join(one.decode() if isinstance(one, bytes) else str(one) for one in lines), Loader=Plain)  # noqa: S506
    except yaml.YAMLError:
        return {}
    return said if isinstance(said, dict) else {}
