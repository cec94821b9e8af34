"""Axes and attributes: what arrays have beside their objects, one for a whole dataset: equal everywhere, or refused.

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
"""By variable: ``dims``, ``shape``, ``unit``, ``attrs``, and of what does not run over objects ``values``, a digest."""

_OBJECT = "object"
_SAID_OF_ONE = (
    *("caveats", "assumed", "history", "title", "description", "comment", "comments", "source", "references", "date"),
    *("resolving_power", "resolution"),
)
"""Attributes that tell where a part of a dataset came from, or that catalog or run join; they define nothing."""

_IN_SCHEMA = ("units", "description", "ucd", "assumed")
"""Attributes of variables that the schema keeps for all segments."""


def axes_of(data: "xr.Dataset") -> dict[str, dict[str, Any]]:
    """Return what has to be the same in every segment, as plain values; of what is 1-D over objects its attributes.

    Examples
    --------
    >>> import xarray as xr
    >>> spectra = xr.Dataset({"flux": (("object", "pixel"), np.ones((2, 3)))}, {"pixel": [0, 1, 2]})
    >>> axes_of(spectra)["flux"]
    {'dims': ['object', 'pixel'], 'shape': [3], 'unit': '', 'attrs': {}}
    >>> sorted(axes_of(spectra)["pixel"])
    ['attrs', 'dims', 'shape', 'unit', 'values']
    """
    units = {column.name: column.unit for column in Schema.of_dataset(data)}
    told: dict[str, dict[str, Any]] = {}
    for key, variable in data.variables.items():
        name, dims = str(key), [str(dim) for dim in variable.dims]
        if _OBJECT in dims:
            dims = [_OBJECT, *(dim for dim in dims if dim != _OBJECT)]
        shape = [int(variable.sizes[dim]) for dim in dims if dim != _OBJECT]
        attrs = {key: value for key, value in defining(variable.attrs).items() if key not in _IN_SCHEMA}
        told[name] = {"dims": dims, "shape": shape, "unit": units[name], "attrs": attrs}
        if _OBJECT not in dims:
            told[name]["values"] = _digest(np.asarray(variable.values))
    return told


def defining(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the attributes that are part of what a dataset or variable is, as plain values.

    Examples
    --------
    >>> defining({"medium": "air", "history": "made on a Tuesday"})
    {'medium': 'air'}
    """
    return {str(key): plain(value) for key, value in attrs.items() if key not in _SAID_OF_ONE}


def other_attribute(known: Mapping[Any, Any], others: Mapping[Any, Any], *, exact: bool) -> tuple[str, str] | None:
    """Return the attribute in which `others` differs from what is known and how, in words; None when none does.

    Parameters
    ----------
    known, others
        Attributes of a dataset or of a variable; those that define nothing (`defining`) are passed over.
    exact
        Whether `others` must have all that are known; else what is left out is as it is known.

    Examples
    --------
    >>> other_attribute({"medium": "air"}, {"medium": "vacuum"}, exact=True)
    ('medium', "is 'vacuum', not 'air'")
    >>> other_attribute({"medium": "air"}, {}, exact=True), other_attribute({"medium": "air"}, {}, exact=False)
    (('medium', 'is missing'), None)
    """
    one, other = defining(known), defining(others)
    for name in (*other, *one):
        if name not in other:
            if exact:
                return name, "is missing"
        elif name not in one:
            return name, f"is {other[name]!r}, and there was none"
        elif not _is_same(one[name], other[name]):
            return name, f"is {other[name]!r}, not {one[name]!r}"
    return None


def difference(axes: Axes, others: Axes, *, exact: bool = False) -> tuple[str, str] | None:
    """Return the variable in which `others` differs and how, in words; None when both are the same.

    What has no unit in `others` has the one of `axes`, and so has what has no attribute, unless all must be `exact`.
    Of what is 1-D over objects the attributes are compared; segments of older lakes do not tell them.

    Examples
    --------
    >>> import xarray as xr
    >>> one, two = (axes_of(xr.Dataset(coords={"wavelength": ("wavelength", w)})) for w in ([4.0, 5.0], [4.0, 6.0]))
    >>> difference(one, one), difference(one, two)
    (None, ('wavelength', 'has other values'))
    """
    for name in dict.fromkeys((*axes, *others)):
        if (axes.get(name) or others[name])["dims"] == [_OBJECT] and not (name in axes and name in others):
            continue
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
        if "attrs" in one and "attrs" in other:
            found = other_attribute(one["attrs"], other["attrs"], exact=exact)
            if found is not None:
                return name, f"has another attribute {found[0]!r}: it {found[1]}"
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
    found = other_attribute(known, data.attrs, exact=False)
    if found is not None:
        name = found[0]
        raise DataRefusedError(
            f"attribute {name!r} is {plain(data.attrs[name])!r}",
            where=where,
            expected=f"{known[name]!r}, as in the dataset" if name in known else "none, as in the dataset",
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
