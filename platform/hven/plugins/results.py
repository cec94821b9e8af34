"""What an analysis returns, held against what it declared; and one analysis on Datasets in memory, checks included."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hven.errors import HvenError, ParameterError, ResultRefusedError, did_you_mean
from hven.plugins.backends import call
from hven.plugins.binding import Binding, bind, named_columns
from hven.plugins.inputs import Variable
from hven.schema import Schema, conversion_factor

if TYPE_CHECKING:
    import xarray as xr

    from hven.plugins.analysis import Analysis

_ALWAYS_ALLOWED = ("object_id", "source_id", "_healpix_29", "is_margin")


def bind_inputs(
    analysis: "Analysis",
    schemas: Mapping[str, Schema],
    parameters: Mapping[str, Any] | None = None,
    renames: Mapping[str, Mapping[str, str]] | None = None,
    datasets: Mapping[str, str] | None = None,
) -> dict[str, Binding]:
    """Return the binding of every input of `analysis`, so that whatever does not fit is told before anything runs.

    Parameters
    ----------
    analysis
        The analysis.
    schemas
        The schema of the dataset that each input is given, by the input's name.
    parameters
        Validated parameters, for inputs whose columns a parameter names.
    renames
        Wanted name -> column, by the input's name.
    datasets
        What errors call each dataset; the input's name when not given.

    Raises
    ------
    ParameterError
        If an input is not given, or one is given that the analysis does not have.
    MissingColumnError, UnitError, DataRefusedError
        As `bind` does.
    """
    for name in (*schemas, *(renames or {})):
        if name not in analysis.inputs:
            raise ParameterError(
                f"there is no input {name!r}",
                where=f"analysis {analysis.name!r}",
                hint=did_you_mean(name, analysis.inputs, f"Its inputs are: {', '.join(analysis.inputs)}."),
            )
    bindings = {}
    for name, given in analysis.inputs.items():
        if name not in schemas:
            raise ParameterError(
                f"input {name!r} is not given",
                where=f"analysis {analysis.name!r}",
                expected=f"a dataset of kind {given.kind}",
                hint=f"Name one, as in --input {name}=DATASET.",
            )
        dataset = (datasets or {}).get(name)
        bindings[name] = bind(
            given,
            schemas[name],
            (renames or {}).get(name),
            named=named_columns(given, parameters or {}),
            where=f"dataset {dataset!r}, input {name!r}" if dataset else f"input {name!r}",
        )
    return bindings


def check_result(analysis: "Analysis", result: "xr.Dataset | Mapping[str, xr.Dataset]") -> "dict[str, xr.Dataset]":
    """Return the parts of a result, each variable carrying its declared unit; the part ``""`` when it has no parts.

    Ids, and ``<c>_valid`` of a declared column, may come along undeclared, and so may coordinates.

    Raises
    ------
    ResultRefusedError
        If a declared part or variable is not there, an undeclared one is, or a unit is another than declared.

    Examples
    --------
    >>> import xarray as xr
    >>> from hven.plugins import Table, analysis
    >>> @analysis(stars=Table(feh="dex"), produces=dict(mean="dex"))
    ... def mean_metallicity(stars): return stars.mean().rename(feh="mean")
    >>> check_result(mean_metallicity, xr.Dataset({"mean": -0.1}))[""]["mean"].attrs
    {'units': 'dex'}
    """
    import xarray as xr

    where = f"analysis {analysis.name!r}"
    parts = {"": result} if isinstance(result, xr.Dataset) else result
    if not isinstance(parts, Mapping) or not all(isinstance(part, xr.Dataset) for part in parts.values()):
        raise ResultRefusedError(
            f"the result is {type(result).__name__}",
            where=where,
            expected="an xarray Dataset, or a dict of them by part",
            hint="Return xr.Dataset({...}).",
        )
    _check_names(parts, analysis.produces, f"{where}: parts", "part")
    return {name: _check_part(analysis.produces[name], parts[name], where, name) for name in analysis.produces}


def evaluate(
    analysis: "Analysis",
    inputs: "Mapping[str, xr.Dataset]",
    parameters: Mapping[str, Any] | None = None,
    renames: Mapping[str, Mapping[str, str]] | None = None,
) -> "dict[str, xr.Dataset]":
    """Return the parts of the result of `analysis` on Datasets at hand: checked, bound, computed, checked again.

    Raises
    ------
    HvenError
        As `Analysis.check`, `bind_inputs` and `check_result` do, and what the analysis itself raises.

    Examples
    --------
    >>> import xarray as xr
    >>> from hven.plugins import Table, analysis
    >>> @analysis(stars=Table(distance="kpc"), produces=dict(farthest="kpc"))
    ... def farthest(stars): return stars.max().rename(distance="farthest")
    >>> stars = xr.Dataset({"distance": ("object", [500.0, 1500.0], {"units": "pc"})})
    >>> float(evaluate(farthest, {"stars": stars})[""].farthest)
    1.5
    """
    checked = analysis.check(parameters or {})
    schemas = {name: Schema.of_dataset(data) for name, data in inputs.items()}
    bindings = bind_inputs(analysis, schemas, checked, renames)
    bound = {name: bindings[name].apply(inputs[name]) for name in analysis.inputs}
    return check_result(analysis, call(analysis, bound, checked))


def _check_names(found: Mapping[Any, Any], declared: Mapping[str, Any], where: str, what: str) -> None:
    for name in declared:
        if name not in found and not Variable(name, None).is_pattern:
            raise ResultRefusedError(
                f"the result has no {what} {name!r}, which is declared",
                where=where,
                expected=", ".join(map(repr, declared)),
                hint=did_you_mean(name, map(str, found), "Return it, or take it out of produces."),
            )
    for name in found:
        if not any(Variable(known, None).matches(str(name)) for known in declared):
            raise ResultRefusedError(
                f"the result has a {what} {name!r}, which is not declared",
                where=where,
                expected=", ".join(map(repr, declared)),
                hint=did_you_mean(str(name), declared, "Declare it in produces, with its unit."),
            )


def _check_part(units: Mapping[str, str], part: "xr.Dataset", where: str, name: str) -> "xr.Dataset":
    where = f"{where}, part {name!r}" if name else where
    found = {str(n): v for n, v in part.data_vars.items() if not _comes_along(str(n), units)}
    _check_names(found, units, where, "variable")
    stamped = part.copy(deep=False)
    for variable_name, variable in found.items():
        pattern = next(p for p in units if Variable(p, None).matches(variable_name))
        unit = units.get(variable_name, units[pattern])
        has = str(variable.attrs.get("units", unit))
        if not _is_same_unit(has, unit):
            raise ResultRefusedError(
                f"result variable {variable_name!r} is in {has!r}",
                where=where,
                expected=f"{unit!r}, as declared",
                hint="Convert it, or correct produces.",
            )
        attrs = dict(variable.attrs)
        if unit:
            attrs["units"] = unit
        stamped[variable_name].attrs = attrs
    return stamped


def _comes_along(name: str, units: Mapping[str, str]) -> bool:
    return name not in units and (name in _ALWAYS_ALLOWED or name.removesuffix("_valid") in units)


def _is_same_unit(one: str, other: str) -> bool:
    try:
        return one == other or conversion_factor(one, other) == 1.0
    except HvenError:
        return False
