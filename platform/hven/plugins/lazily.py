"""A per-object analysis on lazy Datasets, without a lake: as lazy as its inputs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import DataRefusedError, DeclarationError
from hven.plugins.backends import call
from hven.plugins.results import bind_inputs, check_result
from hven.schema import Schema

if TYPE_CHECKING:
    import xarray as xr

    from hven.plugins.analysis import Analysis

_BETWEEN = "\x1f"


def lazily(
    analysis: "Analysis",
    inputs: "Mapping[str, xr.Dataset]",
    parameters: Mapping[str, Any] | None = None,
    renames: Mapping[str, Mapping[str, str]] | None = None,
) -> "dict[str, xr.Dataset]":
    """Return the parts of the result of a per-object analysis on lazy Datasets; nothing is computed before it is asked.

    Each chunk of objects is bound and computed by itself when a value of it is needed, as a block is in a run.

    Parameters
    ----------
    analysis
        Declared ``per_object=True``.
    inputs
        Datasets over ``object`` with Dask variables; inputs that are seen whole, and those without Dask, are as given.
    parameters
        Of the analysis.
    renames
        Wanted name -> column, by the input's name.

    Raises
    ------
    DeclarationError
        If the analysis is not per object.
    HvenError
        For whatever does not fit, as `hven.plugins.evaluate` does, before anything is computed.

    Examples
    --------
    >>> import xarray as xr
    >>> from hven.plugins import Table, analysis
    >>> @analysis(per_object=True, stars=Table(distance="kpc"), produces=dict(modulus="mag"))
    ... def modulus(stars):
    ...     return xr.Dataset({"modulus": ("object", 5 * np.log10(stars.distance.values * 100))})
    >>> stars = xr.Dataset({"distance": ("object", [0.1, 1.0, 10.0], {"units": "kpc"})}).chunk({"object": 2})
    >>> result = lazily(modulus, {"stars": stars})[""].modulus
    >>> result.chunks, result.values.tolist()
    (((2, 1),), [5.0, 10.0, 15.0])
    """
    import xarray as xr

    if not analysis.per_object:
        raise DeclarationError(
            "the analysis sees everything at once, so that it cannot be computed chunk by chunk",
            where=f"analysis {analysis.name!r}",
            hint="Call hven.plugins.evaluate: it leaves to the analysis what to compute.",
        )
    checked = analysis.check(parameters or {})
    bindings = bind_inputs(analysis, {name: Schema.of_dataset(data) for name, data in inputs.items()}, checked, renames)
    bound = {name: bindings[name].apply(inputs[name]) for name in analysis.inputs}
    lead = next((n for n, given in analysis.inputs.items() if given.is_by_object and not given.is_whole), None)
    if lead is None:
        raise DataRefusedError(
            "no input is cut into chunks of objects",
            where=f"analysis {analysis.name!r}",
            hint="Call hven.plugins.evaluate.",
        )
    cut = {
        n
        for n, given in analysis.inputs.items()
        if given.is_by_object and not given.is_whole and bound[n].sizes.get("object") == bound[lead].sizes["object"]
    }
    chunks = bound[lead].chunksizes.get("object", (bound[lead].sizes["object"],))
    bound = {name: data.chunk({"object": chunks}) if name in cut else data for name, data in bound.items()}

    order = [lead, *sorted(cut - {lead})]

    def computed(*pieces: "xr.Dataset") -> "dict[str, xr.Dataset]":
        data = {**bound, **dict(zip(order, pieces, strict=True))}
        return check_result(analysis, call(analysis, {n: d.load() for n, d in data.items()}, checked))

    def by_object(*pieces: "xr.Dataset") -> "xr.Dataset":
        return xr.Dataset(_named(computed(*pieces), by_object=True))

    like = computed(*(_made_up(bound[name]) for name in order))
    size = bound[lead].sizes["object"]
    template = xr.Dataset({n: _stretched(v, size) for n, v in _named(like, by_object=True).items()})
    first, *others = (bound[name] for name in order)
    lazy = xr.map_blocks(by_object, first, args=others, template=template.chunk({"object": chunks}))
    found = {**{str(n): v.variable for n, v in lazy.items()}, **_named(like, by_object=False)}
    return {
        part: xr.Dataset({n: found[f"{part}{_BETWEEN}{n}"] for n in map(str, data.variables)})
        for part, data in like.items()
    }


def _named(parts: "Mapping[str, xr.Dataset]", *, by_object: bool) -> "dict[str, xr.Variable]":
    """Return the variables of all parts that are over ``object``, or those that are not, under names of their own."""
    return {
        f"{part}{_BETWEEN}{name}": variable
        for part, data in parts.items()
        for name, variable in data.variables.items()
        if ("object" in variable.dims) == by_object
    }


def _made_up(data: "xr.Dataset") -> "xr.Dataset":
    """Return one object without values: missing floats, zeros, no text."""
    import xarray as xr

    made = {}
    for name, variable in data.variables.items():
        if "object" not in variable.dims:
            made[name] = variable.load()
            continue
        shape = [1 if dim == "object" else size for dim, size in variable.sizes.items()]
        missing = {"f": np.nan, "T": None}.get(variable.dtype.kind, 0)
        made[name] = xr.Variable(variable.dims, np.full(shape, missing, variable.dtype), variable.attrs)
    return xr.Dataset(made, attrs=data.attrs)


def _stretched(like: "xr.Variable", size: int) -> "xr.Variable":
    """Return a variable of so many objects, of which nothing is in memory."""
    import dask.array as da
    import xarray as xr

    shape = tuple(size if dim == "object" else count for dim, count in like.sizes.items())
    return xr.Variable(like.dims, da.zeros(shape, dtype=like.dtype, chunks=-1), like.attrs)
