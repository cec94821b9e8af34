"""What an analysis returns, made ready to be kept: checked, in its own words, with the ids of its objects."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.compute.bound import IDENTITY
from hven.errors import ResultRefusedError
from hven.lake.axes import Axes, axes_of
from hven.plugins import Analysis, check_result
from hven.schema import Kind, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from hven.compute.reading import Aligned

_TEXTS = ("description", "ucd")


def parts_of(analysis: Analysis, result: Any, inputs: "Mapping[str, xr.Dataset]") -> "dict[str, xr.Dataset]":
    """Return the parts of a result as declared, without texts that arithmetic carried over from the inputs.

    Raises
    ------
    ResultRefusedError
        If it is not what `analysis` declares.
    """
    parts = check_result(analysis, result)
    given = {
        (str(name), key, variable.attrs[key])
        for data in inputs.values()
        for name, variable in data.variables.items()
        for key in _TEXTS
        if key in variable.attrs
    }
    borrowed = {(key, text) for _, key, text in given}
    for part in parts.values():
        for name, variable in part.variables.items():
            # "Twice the metallicity" is not described by what describes the metallicity.
            part[name].attrs = {
                key: text
                for key, text in variable.attrs.items()
                if key not in _TEXTS or (key, text) not in borrowed or (str(name), key, text) in given
            }
    return parts


def is_flat(part: "xr.Dataset") -> bool:
    """Return whether a result is a table: all its variables 1-D over one dimension."""
    dims = {variable.dims for variable in part.variables.values()}
    return len(dims) == 1 and all(len(d) == 1 for d in dims)


def kind_of(schema: Schema) -> Kind:
    """Return the kind of dataset that arrays with these columns are: images and models are known by what they hold.

    Examples
    --------
    >>> from hven.schema import Column
    >>> kind_of(Schema((Column("flux", "float32", dims=("object", "band", "y", "x")),)))
    'images'
    """
    if any(column.name == "flux" and column.dims == ("object", "band", "y", "x") for column in schema):
        return "images"
    return "model" if {"spec", "format"} <= set(schema.attrs) else "result"


def with_axes(schema: Schema, part: "xr.Dataset | None") -> str:
    """Return the columns of a part of a result as JSON text, with the axes of its arrays (None for a table)."""
    told = json.loads(schema.to_json())
    if part is not None:
        told["axes"] = axes_of(part)
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def axes_in(text: str) -> "Axes":
    """Return the axes that `with_axes` put beside columns; none of a table."""
    axes: Axes = json.loads(text).get("axes", {})
    return axes


def with_ids(part: "xr.Dataset", aligned: "Aligned", name: str) -> "xr.Dataset":
    """Return a part of the result, computed, with what tells its objects apart as its first columns."""
    import xarray as xr

    where = f"part {name!r} of the result" if name else "the result"
    if part.sizes.get("object") != aligned.rows + aligned.margin:
        raise ResultRefusedError(
            f"the result has {part.sizes.get('object', 'no')} objects",
            where=where,
            expected=f"the {aligned.rows + aligned.margin} that the analysis was given, in their order",
            hint="A per_object analysis returns every object it is given: NaN where it has nothing to say.",
        )
    for key, variable in part.data_vars.items():
        if "object" not in variable.dims:
            raise ResultRefusedError(
                f"variable {key!r} of {where} is over ({', '.join(map(str, variable.dims))})",
                expected="the dimension 'object'",
                hint="A per_object analysis says something of each object. Leave it out, or declare per_object=False.",
            )
    for key in ("object_id", "source_id"):
        given = aligned.ids[key].values if key in part.variables and key in aligned.ids else None
        if given is not None and not np.array_equal(part[key].values[: aligned.rows], given):
            raise ResultRefusedError(
                f"{key!r} of {where} is not that of the objects that the analysis was given, in their order",
                expected="every object, in the order in which it was given",
                hint="Put the objects back into their order, or leave the ids out: they are added for you.",
            )
    part = part.drop_vars([key for key, variable in part.coords.items() if not variable.dims])
    # Neighbours have results of their own, where they are not neighbours.
    part = part.drop_vars("is_margin", errors="ignore").isel(object=slice(0, aligned.rows))
    own = {str(key): part[key].variable for key in part.variables if key not in IDENTITY}
    coordinates = {key: v for key, v in own.items() if key in part.coords}
    variables = {key: v for key, v in own.items() if key not in coordinates}
    ids = {str(key): v for key, v in aligned.ids.variables.items()}
    return xr.Dataset({**ids, **variables}, coordinates, part.attrs).compute(scheduler="synchronous")
