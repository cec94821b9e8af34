"""What an HDF5 file holds: tables of compound type, of pandas, groups of columns, stacks of images."""

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hven import Claim, FileHead
from hven_plugins.files.survey_spectra import is_table_of_pixels, is_wavelength

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SMALLEST_IMAGE = 8
"""Pixels along the shorter side from which on an array of three dimensions is a stack of images, not of vectors."""

_META = ".__table_column_meta__"


@dataclass(frozen=True)
class Hdf5Table:
    """A table in an HDF5 file.

    Attributes
    ----------
    path
        Of the dataset or group.
    sort
        ``compound``, ``pandas``, or ``group`` of columns.
    rows
        How many.
    columns
        Path of the dataset of each column by name, of a group; else the names alone.
    """

    path: str
    sort: str
    rows: int
    columns: dict[str, str]

    def __str__(self) -> str:
        return f"{self.path or '/'}: {self.rows} rows, {len(self.columns)} columns"


@dataclass
class Hdf5Layout:
    """What a file holds.

    Attributes
    ----------
    tables, stacks, others
        Tables; stacks of images, and arrays of two dimensions or unequal length, by path with their shapes.
    outside
        What points out of the file: external links, virtual and externally stored datasets. None of it is read.
    """

    tables: list[Hdf5Table] = field(default_factory=list)
    stacks: dict[str, tuple[int, ...]] = field(default_factory=dict)
    others: dict[str, tuple[int, ...]] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)


def is_hdf5(head: FileHead) -> bool:
    """Return whether a file is HDF5, a block of the user before it or not."""
    return any(head.start[at : at + 8] == SIGNATURE for at in (0, 512, 1024, 2048))


def hdf5_table_claim(head: FileHead) -> Claim | None:
    """Return what the reader of tables says of an HDF5 file: a table, or what else it is, refused."""
    if not is_hdf5(head):
        return None
    layout = _layout(head)
    if layout is None:
        return Claim("an HDF5 file", "format", "its signature")
    if layout.outside:
        return Claim(
            "an HDF5 file that points out of itself", "survey", ", ".join(layout.outside[:3]),
            "hven reads no other files through it", "Copy its content into one file with h5repack or h5py.",
        )  # fmt: skip
    if layout.stacks:
        return None
    if any(is_table_of_pixels(table.columns) for table in layout.tables) or _is_grid(layout):
        return Claim(
            "spectra in an HDF5 file", "survey", "wavelengths beside fluxes", "hven has no reader of them yet",
            "Write them as kind 'spectra' with tx.write, or choose one table with --reader hdf5_table -o table=NAME.",
        )  # fmt: skip
    if layout.tables:
        what = "a table in an HDF5 file" if len(layout.tables) == 1 else f"an HDF5 file of {len(layout.tables)} tables"
        return Claim(what, "layout", "; ".join(map(str, layout.tables[:5])))
    shapes = ", ".join(f"{name} {shape}" for name, shape in list(layout.others.items())[:5])
    return Claim(
        "an HDF5 file without a table", "format", shapes or "it holds no arrays", "what its arrays are is not said",
        "If one is an image, name it: --reader hdf5_images -o images=NAME -o layout=yx.",
    )  # fmt: skip


def hdf5_images_claim(head: FileHead) -> Claim | None:
    """Return what the reader of images says of an HDF5 file with a stack of them."""
    layout = _layout(head) if is_hdf5(head) else None
    if layout is None or layout.outside or not layout.stacks:
        return None
    return Claim("a stack of images in an HDF5 file", "layout", ", ".join(f"{n} {s}" for n, s in layout.stacks.items()))


def is_stack(shape: tuple[int, ...]) -> bool:
    """Return whether an array of this shape is a stack of images: three or four dimensions, two of them of pixels.

    Examples
    --------
    >>> is_stack((100, 64, 64)), is_stack((100, 64, 64, 3)), is_stack((100, 5, 5)), is_stack((500, 8))
    (True, True, False, False)
    """
    if not 3 <= len(shape) <= 4 or 0 in shape:
        return False
    return min(shape[-2:]) >= SMALLEST_IMAGE or (len(shape) == 4 and min(shape[1:3]) >= SMALLEST_IMAGE)


def hdf5_layout(file: Any) -> Hdf5Layout:
    """Return what an open HDF5 file holds, without reading its data or following links out of it."""
    layout = Hdf5Layout()
    _look(file, "", layout, set())
    return layout


def _layout(head: FileHead) -> Hdf5Layout | None:
    try:
        h5py: Any = import_module("h5py")
        with h5py.File(head.path, "r") as file:
            return hdf5_layout(file)
    except (ImportError, OSError, RuntimeError, ValueError, KeyError):
        return None


def _is_grid(layout: Hdf5Layout) -> bool:
    """Whether a wavelength axis stands beside arrays that run over it."""
    waves = {shape[-1] for name, shape in layout.others.items() if is_wavelength(Path(name).name) and len(shape) == 1}
    return any(len(shape) == 2 and shape[1] in waves for shape in layout.others.values())


def text_attribute(item: Any, name: str) -> str:
    """Return a text among the attributes of a dataset or group; empty without one, or for anything else."""
    value = item.attrs.get(name)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value) if isinstance(value, str) else ""


def _members(group: Any, layout: Hdf5Layout) -> "Iterator[tuple[str, Any]]":
    for name in group:
        link = group.get(name, getlink=True)
        kind = type(link).__name__
        if kind == "ExternalLink":
            layout.outside.append(f"{group.name}/{name} is a link to another file")
        elif kind == "HardLink":
            yield name, group[name]


def _look(group: Any, path: str, layout: Hdf5Layout, seen: set[Any]) -> None:
    if hash(group.id) in seen:
        return
    seen.add(hash(group.id))
    if text_attribute(group, "pandas_type"):
        layout.tables.append(_pandas(group, path))
        return
    columns: dict[str, Any] = {}
    for name, item in _members(group, layout):
        below = f"{path}/{name}" if path else name
        if not hasattr(item, "shape"):
            if name.startswith(("_i_", "__")):
                continue
            if (inner := _vaex_column(item)) is not None:
                columns[name] = inner
            else:
                _look(item, below, layout, seen)
            continue
        if item.shape is None or name.endswith(_META.removeprefix(".")) or not item.shape:
            continue
        if item.is_virtual or item.external:
            layout.outside.append(f"{below} keeps its data in another file")
        elif item.dtype.names:
            if len(item.shape) == 1:
                layout.tables.append(Hdf5Table(below, "compound", len(item), dict.fromkeys(item.dtype.names, "")))
        elif is_stack(item.shape) and item.dtype.kind in "biuf":
            layout.stacks[below] = item.shape
        else:
            columns[name] = item
    _take_columns(columns, path, layout)


def _take_columns(columns: dict[str, Any], path: str, layout: Hdf5Layout) -> None:
    lengths = {item.shape[0] for item in columns.values()}
    flat = sum(len(item.shape) == 1 for item in columns.values())
    if len(lengths) == 1 and flat and len(columns) > 1 and not layout.stacks:
        paths = {name: item.name.lstrip("/") for name, item in columns.items()}
        layout.tables.append(Hdf5Table(path, "group", lengths.pop(), paths))
        return
    for item in columns.values():
        layout.others[item.name.lstrip("/")] = item.shape


def _vaex_column(group: Any) -> Any:
    """Return the dataset of a group that vaex makes of each column, which holds ``data`` alone."""
    names = set(group)
    if (
        "data" in names
        and names <= {"data", "mask", "null_bitmap"}
        and type(group.get("data", getlink=True)).__name__ == "HardLink"
    ):
        item = group["data"]
        return item if hasattr(item, "shape") and item.shape and not item.dtype.names else None
    return None


def _pandas(group: Any, path: str) -> Hdf5Table:
    kind = text_attribute(group, "pandas_type")
    if "table" in group and hasattr(group["table"], "dtype"):
        table = group["table"]
        return Hdf5Table(path, "pandas", len(table), dict.fromkeys(table.dtype.names or (), ""))
    if kind == "frame" and "axis0" in group and "axis1" in group:
        return Hdf5Table(path, "pandas", len(group["axis1"]), {f"column {i}": "" for i in range(len(group["axis0"]))})
    return Hdf5Table(path, "pandas", len(group["values"]) if "values" in group else 0, {"values": ""})
