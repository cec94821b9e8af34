"""Validation: what a dataset of each kind has to be, looked at before anything of it is written.

Structure and what is in memory are looked at before (`check_frame`, `check_arrays`). Lazy values over objects are
looked at as they are computed, shard by shard, and not twice (`check_values`): nothing is published if one is refused.
"""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import DataRefusedError, UnitError
from hven.lake.parts import HIDDEN
from hven.schema import Column, Schema, parse_unit

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

_VALID = "_valid"
_GRIDS = {"spectra": ("object", "wavelength"), "images": ("object", "band", "y", "x")}
_PIXELS = ("flux", "ivar", "mask")
_CUBES = (("distance", "pixel"), ("z", "y", "x"))
_POSITION = {"ra": (0.0, 360.0), "dec": (-90.0, 90.0)}


def check_names(columns: Iterable[Column], where: str, *, is_table: bool) -> None:
    """Refuse names that a dataset cannot keep, or that would come to mean something else.

    Parameters
    ----------
    columns
        Of the data, as they come.
    where
        The dataset, as errors name it.
    is_table
        Whether they become the columns of a table: names there may not differ in their case alone.

    Raises
    ------
    DataRefusedError
        Naming the columns.

    Examples
    --------
    >>> check_names([Column("x", "float64"), Column("X", "float64")], "dataset 'stars'", is_table=True)
    Traceback (most recent call last):
        ...
    hven.errors.DataRefusedError: columns 'x' and 'X' ... (dataset 'stars'). ...
    """
    known = {column.name: column for column in columns}
    if not known:
        raise _refused("there are no columns", where, "data with one column at least", "Give data that have columns.")
    for name in known.keys() & {*HIDDEN, ""}:
        why = "is reserved: files keep in it what each row was made of" if name else "has no letters"
        raise _refused(f"the name {name!r} {why}", where, "another name", "Rename the column.")
    folded: dict[str, str] = {}
    for name in known if is_table else ():
        other = folded.setdefault(name.lower(), name)
        if other != name:
            what = f"columns {other!r} and {name!r} differ in capital letters alone"
            raise _refused(what, where, "names that differ without regard to case", "Rename one of them.")
    for name, column in known.items():
        told_of = known.get(name.removesuffix(_VALID)) if name.endswith(_VALID) else None
        if told_of is not None and not _is_flag_of(column, told_of):
            raise _refused(
                f"column {name!r} would be read as which values of {told_of.name!r} are null",
                where,
                f"true/false for each of the whole numbers or flags {told_of.name!r}, which is {told_of.dtype}",
                "Rename it; floats keep nulls as NaN, and text as None.",
            )


def check_frame(frame: "pl.DataFrame", schema: Schema, where: str) -> None:
    """Refuse a table whose ids, positions or units are none.

    Raises
    ------
    DataRefusedError
        With the first object that is wrong.
    """
    import polars as pl

    check_known_units(schema, where)
    if "object_id" in frame.columns and not frame["object_id"].dtype.is_integer():
        raise _wrong_ids(str(frame["object_id"].dtype), where)
    for name, (low, high) in _POSITION.items():
        if name not in frame.columns or not frame[name].dtype.is_numeric() or not _is_in_degrees(schema, name):
            continue
        bad = frame.select(~pl.col(name).fill_nan(None).is_between(low, high)).to_series().fill_null(value=False)
        if bad.any():
            row = int(bad.arg_true()[0])
            ids = frame["object_id"] if "object_id" in frame.columns else None
            raise _bad_position(name, frame[name][row], int(bad.sum()), None if ids is None else ids[row], row, where)


def check_arrays(data: "xr.Dataset", kind: str, where: str) -> None:
    """Refuse arrays whose dimensions, types, axes or units are not those of their kind.

    Parameters
    ----------
    data
        The arrays; what runs over objects is not computed.
    kind
        One of `hven.schema.KINDS`.
    where
        The dataset, as errors name it.

    Raises
    ------
    DataRefusedError
        Naming the variable and what is wrong with it.
    """
    schema = Schema.of_dataset(data)
    check_known_units(schema, where)
    ids = data.variables.get("object_id")
    if ids is not None and (ids.dims != ("object",) or ids.dtype.kind not in "iu"):
        raise _wrong_ids(f"{ids.dtype} over ({', '.join(map(str, ids.dims))})", where)
    if kind in _GRIDS:
        _check_grid(data, kind, where)
    if kind in ("cube", "model") and "object" in data.dims:
        raise _refused(
            f"a {kind} has no objects, and there is a dimension 'object'", where, "another kind", "Give kind=result."
        )
    if kind == "cube":
        _check_cube(data, where)
    if kind == "model":
        _check_model(data, where)
    if "wavelength" in data.variables and kind in ("spectra", "result"):
        _check_wavelength(data, where, is_required=kind == "spectra")
    over_objects = {str(n): v.data for n, v in data.variables.items() if v.dims[:1] == ("object",)}
    check_values({n: v for n, v in over_objects.items() if isinstance(v, np.ndarray)}, schema, 0, where)


def check_known_units(schema: Schema, where: str) -> None:
    """Refuse columns in units that nobody knows.

    Raises
    ------
    DataRefusedError
        Naming the column and its unit.
    """
    for column in schema:
        try:
            parse_unit(column.unit)
        except UnitError as error:
            raise _refused(
                f"column {column.name!r} is in {column.unit!r}, which is no unit", where, error.expected, error.hint
            ) from error


def check_values(values: Mapping[str, "np.ndarray[Any, Any]"], schema: Schema, first: int, where: str) -> None:
    """Refuse values over objects that cannot be: negative inverse variances, positions off the sphere.

    Parameters
    ----------
    values
        Arrays in memory over some objects, by name.
    schema
        Of the arrays.
    first
        Where the objects begin in the data that are written.
    where
        The dataset, as errors name it.

    Raises
    ------
    DataRefusedError
        With the first object that is wrong.

    Examples
    --------
    >>> ivar = np.array([[1.0, 0.0], [np.nan, -1.0]])
    >>> check_values({"ivar": ivar, "object_id": np.array([7, 9])}, Schema(()), 0, "dataset 'spectra'")
    Traceback (most recent call last):
        ...
    hven.errors.DataRefusedError: 'ivar' is negative in 1 of 2 objects, for the first time at object_id 9 ...
    """
    ids = values.get("object_id")
    ivar = values.get("ivar")
    if ivar is not None and ivar.dtype.kind in "if" and ivar.size and np.nanmin(ivar, initial=0) < 0:
        bad = np.flatnonzero((ivar < 0).reshape(len(ivar), -1).any(axis=1))
        at = _at(None if ids is None else ids[bad[0]], first + int(bad[0]))
        raise _refused(
            f"'ivar' is negative in {len(bad)} of {len(ivar)} objects, for the first time at {at}",
            where,
            "inverse variances: zero or more, NaN where there is none",
            "Set it to 0 where a pixel is not to count; if these are errors, give 1/error^2.",
        )
    for name, (low, high) in _POSITION.items():
        found = values.get(name)
        if found is None or found.ndim != 1 or found.dtype.kind not in "if" or not _is_in_degrees(schema, name):
            continue
        bad = np.flatnonzero(~((found >= low) & (found <= high)) & ~np.isnan(found))
        if len(bad):
            row = int(bad[0])
            raise _bad_position(name, found[row], len(bad), None if ids is None else ids[row], first + row, where)


def _check_grid(data: "xr.Dataset", kind: str, where: str) -> None:
    grid = _GRIDS[kind]
    missing = [dim for dim in grid if dim not in data.dims]
    if missing:
        raise _refused(
            f"{kind} have no dimension {missing[0]!r}: there are {', '.join(map(str, data.dims)) or 'none'}",
            where,
            f"arrays over ({', '.join(grid)})",
            "Rename the dimensions, or write them with kind='result'.",
        )
    for name in _PIXELS:
        variable = data.variables.get(name)
        if variable is None:
            continue
        if set(variable.dims) != set(grid):
            what = f"{name!r} of {kind} is over ({', '.join(map(str, variable.dims))})"
            raise _refused(what, where, f"({', '.join(grid)})", "Transpose it or add the dimension, or rename it.")
        wanted = "biu" if name == "mask" else "fiu"
        if variable.dtype.kind not in wanted:
            expected = "whole numbers, a bit for each reason, or true/false" if name == "mask" else "numbers"
            raise _refused(f"{name!r} of {kind} is {variable.dtype}", where, expected, "Convert it.")
    if kind == "images" and "band" in data.variables:
        bands = np.asarray(data["band"].values).ravel().tolist()
        if len(set(bands)) < len(bands):
            raise _refused("two bands have one name", where, "a name for each band", "Rename one of them.")


def _check_wavelength(data: "xr.Dataset", where: str, *, is_required: bool) -> None:
    variable = data.variables["wavelength"]
    if set(variable.dims) not in ({"wavelength"}, {"object", "wavelength"}):
        if is_required:
            what = f"'wavelength' is over ({', '.join(map(str, variable.dims))})"
            raise _refused(what, where, "(wavelength), or (object, wavelength)", "Rename its dimension.")
        return
    if variable.dtype.kind not in "iuf":
        raise _refused(f"'wavelength' is {variable.dtype}", where, "numbers", "Convert it.")
    is_shared = variable.ndim == 1
    values = np.atleast_2d(np.asarray(variable.transpose(..., "wavelength").values, dtype=np.float64))
    known = np.isfinite(values)
    # Grids of single objects may have gaps and be filled up with NaN; one grid for all has no pixel without a place.
    has_gap = ~known.all(axis=1) if is_shared else np.isinf(values).any(axis=1)
    before = np.fmax.accumulate(values, axis=1)[:, :-1]
    falls = (values[:, 1:] <= before).any(axis=1)
    bad = np.flatnonzero(has_gap | falls)
    if len(bad):
        row = int(bad[0])
        ids = data.variables.get("object_id")
        at = "" if is_shared else f" at {_at(None if ids is None else int(ids[row].values), row)}"
        what = "has pixels without a finite value" if has_gap[row] else "does not ascend"
        raise _refused(
            f"'wavelength' {what}{at}",
            where,
            "finite wavelengths, each above the one before",
            "Sort the pixels by wavelength, and leave out those without.",
        )


def _check_cube(data: "xr.Dataset", where: str) -> None:
    layouts = {*_CUBES, *(("sample", *layout) for layout in _CUBES)}
    found = {tuple(map(str, v.dims)) for v in data.data_vars.values()}
    if not found & layouts:
        over = ", ".join(f"({', '.join(dims)})" for dims in sorted(found)) or "nothing"
        raise _refused(
            f"the variables of a cube are over {over}",
            where,
            "(distance, pixel) or (z, y, x), perhaps with sample before them",
            "Rename and order the dimensions, or write them with kind='result'.",
        )
    for axis in ("distance", "z", "y", "x"):
        if axis in data.variables and data.variables[axis].dims == (axis,):
            values = np.asarray(data[axis].values, dtype=np.float64)
            if not np.isfinite(values).all() or (np.diff(values) <= 0).any() or (axis == "distance" and values[0] < 0):
                hint = "Sort the cube along it, and leave out what has no place."
                raise _refused(f"{axis!r} of a cube does not ascend", where, "finite, ascending values", hint)
    pixels = data.sizes.get("pixel")
    if pixels is not None and "pixel" not in data.variables:
        side = round((pixels / 12) ** 0.5)
        if side < 1 or 12 * side**2 != pixels or side & (side - 1):
            hint = "Give the whole sky, nested, or a variable 'pixel' that names the pixels there are."
            raise _refused(f"{pixels:,} pixels are no HEALPix map", where, "12 * 4^k of them", hint)


def _check_model(data: "xr.Dataset", where: str) -> None:
    if "spec" not in data.attrs:
        return
    try:
        json.loads(data.attrs["spec"])
    except (TypeError, ValueError) as error:
        hint = "Make it with hven.methods.models.to_dataset."
        raise _refused("the attribute 'spec' of a model is no JSON", where, "a specification as JSON", hint) from error


def _is_flag_of(flag: Column, column: Column) -> bool:
    is_masked = column.dtype.startswith(("int", "uint", "bool"))
    return flag.dtype == "bool" and is_masked and flag.dims == column.dims


def _is_in_degrees(schema: Schema, name: str) -> bool:
    return name not in schema or schema[name].unit in {"", "deg"}


def _at(object_id: Any, row: int) -> str:
    return f"row {row}" if object_id is None else f"object_id {object_id}"


def _wrong_ids(has: str, where: str) -> DataRefusedError:
    return _refused(
        f"'object_id' is {has}",
        where,
        "whole numbers, one for each object",
        "Keep ids of a survey in 'source_id', and leave 'object_id' to hven ingest.",
    )


def _bad_position(name: str, value: Any, count: int, object_id: Any, row: int, where: str) -> DataRefusedError:
    low, high = _POSITION[name]
    return _refused(
        f"{name!r} is {float(value):g} at {_at(object_id, row)}{f', and outside in {count - 1} more' * (count > 1)}",
        where,
        f"degrees from {low:g} to {high:g}, or none",
        "Convert it to degrees (ra % 360), or give NaN where there is no position.",
    )


def _refused(what: str, where: str, expected: str, hint: str) -> DataRefusedError:
    return DataRefusedError(what, where=where, expected=expected, hint=hint)
