"""Axes: what arrays have beside their objects. It is one for a whole dataset: equal in every segment, or refused.

Wavelengths, bands, grids and edges do not run over ``object``; neither do the shapes of what does. A segment keeps a
digest of each (`axes_of`), so that segments are compared without being read.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import DataRefusedError, UnitError
from hven.schema import Schema, conversion_factor
from hven.schema.columns import plain

if TYPE_CHECKING:
    import xarray as xr

Axes = Mapping[str, Mapping[str, Any]]
"""By variable: ``dims``, ``shape``, ``unit``, and of what does not run over objects ``values``, a digest."""

_OBJECT = "object"
_SAID_OF_ONE = (
    *("caveats", "history", "title", "description", "comment", "comments", "source", "references", "date"),
    *("resolving_power", "resolution"),
)
"""Attributes of a dataset that tell where a part of it came from, or that the catalog joins; they define no axis."""


def axes_of(data: "xr.Dataset") -> dict[str, dict[str, Any]]:
    """Return what has to be the same in every segment, as plain values; nothing of what is 1-D over objects.

    Examples
    --------
    >>> import xarray as xr
    >>> spectra = xr.Dataset({"flux": (("object", "pixel"), np.ones((2, 3)))}, {"pixel": [0, 1, 2]})
    >>> axes_of(spectra)["flux"]
    {'dims': ['object', 'pixel'], 'shape': [3], 'unit': ''}
    >>> sorted(axes_of(spectra)["pixel"])
    ['dims', 'shape', 'unit', 'values']
    """
    units = {column.name: column.unit for column in Schema.of_dataset(data)}
    told: dict[str, dict[str, Any]] = {}
    for key, variable in data.variables.items():
        name, dims = str(key), [str(dim) for dim in variable.dims]
        if dims == [_OBJECT]:
            continue
        if _OBJECT in dims:
            dims = [_OBJECT, *(dim for dim in dims if dim != _OBJECT)]
        shape = [int(variable.sizes[dim]) for dim in dims if dim != _OBJECT]
        told[name] = {"dims": dims, "shape": shape, "unit": units[name]}
        if _OBJECT not in dims:
            told[name]["values"] = _digest(np.asarray(variable.values))
    return told


def difference(axes: Axes, others: Axes) -> tuple[str, str] | None:
    """Return the variable in which `others` differs and how, in words; None when both are the same.

    What has no unit in `others` has the one of `axes`.

    Examples
    --------
    >>> import xarray as xr
    >>> one, two = (axes_of(xr.Dataset(coords={"wavelength": ("wavelength", w)})) for w in ([4.0, 5.0], [4.0, 6.0]))
    >>> difference(one, one), difference(one, two)
    (None, ('wavelength', 'has other values'))
    """
    for name in (*axes, *others):
        if name not in others:
            return name, "is missing"
        if name not in axes:
            return name, "is not in the dataset"
        one, other = axes[name], others[name]
        if list(one["dims"]) != list(other["dims"]):
            return name, f"is over ({', '.join(other['dims'])}), not ({', '.join(one['dims'])})"
        if list(one["shape"]) != list(other["shape"]):
            return name, f"has the shape {_text(other['shape'])}, not {_text(one['shape'])}"
        if other["unit"] and not _is_same_unit(one["unit"], other["unit"]):
            return name, f"is in {other['unit']!r}, not {one['unit'] or 'without unit'!r}"
        if one.get("values") != other.get("values"):
            return name, "has other values"
    return None


def check_axes(axes: Axes, data: "xr.Dataset", where: str) -> None:
    """Refuse arrays whose axes are not those of the dataset that they are for.

    Raises
    ------
    DataRefusedError
        Naming the axis, and what is different about it.
    """
    found = difference(axes, axes_of(data))
    if found is not None:
        name, how = found
        raise DataRefusedError(
            f"{name!r} {how}",
            where=where,
            expected="the axes and shapes of the dataset, value by value",
            hint="Interpolate or convert the data first, or write them as a dataset of their own.",
        )


def check_units(schema: Schema, data: "xr.Dataset", where: str) -> None:
    """Refuse data of which a column is in another unit than in the dataset; without a unit it is in the dataset's.

    Raises
    ------
    DataRefusedError
        Naming the column and both units.
    """
    for column in Schema.of_dataset(data):
        if column.name in schema and column.unit and not _is_same_unit(schema[column.name].unit, column.unit):
            known = schema[column.name].unit
            raise DataRefusedError(
                f"column {column.name!r} is in {column.unit!r}",
                where=where,
                expected=f"{known!r}, as in the dataset" if known else "no unit, as in the dataset",
                hint="Convert it first.",
            )


def check_attributes(known: Mapping[str, Any], data: "xr.Dataset", where: str) -> None:
    """Refuse arrays that say something else of themselves as a whole than the dataset does.

    Raises
    ------
    DataRefusedError
        Naming the attribute and both values.
    """
    for key, value in data.attrs.items():
        name, told = str(key), plain(value)
        if name in known and name not in _SAID_OF_ONE and not _is_same(known[name], told):
            raise DataRefusedError(
                f"attribute {name!r} is {told!r}",
                where=where,
                expected=f"{known[name]!r}, as in the dataset",
                hint="Leave the attribute out if it does not matter, or write the data as a dataset of their own.",
            )


def check_alike(segments: Iterable[tuple[str, Axes]], where: str) -> None:
    """Refuse a dataset whose segments have different axes, as lakes of before may hold.

    Raises
    ------
    DataRefusedError
        Naming the axis and the segment.
    """
    several = list(segments)
    for path, axes in several[1:]:
        found = difference(several[0][1], axes)
        if found is not None:
            raise DataRefusedError(
                f"{found[0]!r} {found[1]} in {path}",
                where=where,
                expected=f"the same as in {several[0][0]}, value by value",
                hint="Write the objects of each axis as a dataset of their own.",
            )


def _digest(values: "np.ndarray[Any, Any]") -> str:
    if values.dtype.kind == "f":
        # 0.0 and -0.0 are equal, and so are all NaN.
        floats = values.astype("<f8") + 0.0
        content = np.where(np.isnan(floats), np.nan, floats).tobytes()
    elif values.dtype.kind in "iub":
        content = np.ascontiguousarray(values.astype("<i8")).tobytes()
    else:
        content = repr(values.tolist()).encode()
    return blake2b(content, digest_size=12).hexdigest()


def _is_same_unit(one: str, other: str) -> bool:
    try:
        return one == other or conversion_factor(one, other) == 1.0
    except UnitError:
        return False


def _is_same(one: Any, other: Any) -> bool:
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN


def _text(shape: list[int]) -> str:
    return " x ".join(map(str, shape)) or "of one value"
