"""Binding: which columns of a dataset an input is given, under which names and in which units.

Everything that does not fit is told here, from the schema alone, before anything is read or run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from hven.errors import DataRefusedError, MissingColumnError, UnitError, did_you_mean
from hven.plugins.inputs import ANY, OBJECT
from hven.plugins.sources import column_sources, doubtful_columns, wanted_columns
from hven.schema import Column, Schema, conversion_factor, parse_unit

if TYPE_CHECKING:
    import xarray as xr

    from hven.plugins.inputs import Input, Variable

_VALID = "_valid"
_KEPT = ("is_margin",)
_LOGARITHMIC = ("dex", "mag", "dB")
_NUMBERS = "iufb"


class Bound(NamedTuple):
    """Where one wanted column comes from.

    Attributes
    ----------
    source
        The column of the dataset.
    factor
        What its values are multiplied by.
    unit
        The unit that they are in then.
    is_number
        Whether they arrive as floats, NaN where they are null; else as the dataset keeps them.
    """

    source: str
    factor: float
    unit: str
    is_number: bool = True


@dataclass(frozen=True)
class Binding:
    """An input bound to a dataset: the columns to read, and how they arrive.

    Attributes
    ----------
    columns
        Wanted names with the columns that they come from.
    absent
        Optional columns that the dataset does not have.
    valid
        The ``<c>_valid`` variables of bound columns that the dataset keeps as such (arrays do, tables have nulls).
    where
        The dataset, as errors name it.
    """

    columns: Mapping[str, Bound]
    absent: tuple[str, ...] = ()
    valid: tuple[str, ...] = ()
    where: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """The dataset's columns to read, each once."""
        return tuple(dict.fromkeys([*(bound.source for bound in self.columns.values()), *self.valid]))

    def apply(self, data: "xr.Dataset") -> "xr.Dataset":
        """Return the bound variables of `data` under their wanted names and in their wanted units; lazy ones stay so.

        What is declared with a unit arrives as float64, NaN where it is null, whatever the dataset keeps: integers and
        true/false columns too. Variables of two and more dimensions stay float32 where they are, for their size. What
        is declared as it is (None) keeps its type, and its nulls are told by ``<c>_valid``. Variables that are not
        bound are left behind, except ``is_margin``.

        Raises
        ------
        MissingColumnError
            If a bound column is not among the variables of `data`.

        Examples
        --------
        >>> import xarray as xr
        >>> from hven.plugins import Table, bind
        >>> stars = xr.Dataset({"R": ("object", [8000.0], {"units": "pc"})})
        >>> bind(Table(r_gal="kpc"), Schema.of_dataset(stars), {"r_gal": "R"}).apply(stars).r_gal.values
        array([8.])
        """
        import xarray as xr

        made: dict[str, xr.Variable] = {}
        for name, bound in self.columns.items():
            if bound.source not in data.variables:
                raise Schema.of_dataset(data).missing(bound.source, self.where)
            variable = data.variables[bound.source]
            valid = data.variables.get(bound.source + _VALID)
            if bound.is_number and variable.dtype.kind in _NUMBERS:
                variable = _as_floats(variable, valid)
            elif valid is not None:
                made[name + _VALID] = valid.copy(deep=False)
            made[name] = _converted(variable.to_base_variable(), bound)
            if bound.source != name:  # figures say whose values they show
                made[name].attrs["column"] = bound.source
        for name in _KEPT:
            if name in data.variables and name not in made:
                made[name] = data[name].variable
        coordinates = {name: v for name, v in made.items() if v.dims == (name,)}
        return xr.Dataset({n: v for n, v in made.items() if n not in coordinates}, coordinates, data.attrs)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which columns of the dataset stand for wanted ones of another name, in words.

        Examples
        --------
        >>> from hven.plugins import Table, bind
        >>> bind(Table(feh="dex"), Schema((Column("FE_H", "float32"),))).notes
        ("'feh' is column 'FE_H'",)
        """
        return tuple(f"{name!r} is column {b.source!r}" for name, b in self.columns.items() if b.source != name)

    def to_json(self) -> dict[str, Any]:
        """Return the binding as plain values, for a run's provenance."""
        return {name: {"source": b.source, "factor": b.factor, "unit": b.unit} for name, b in self.columns.items()}


def bind(
    given: "Input",
    schema: Schema,
    rename: Mapping[str, str] | None = None,
    *,
    named: Sequence[str] = (),
    where: str = "",
) -> Binding:
    """Return how the input `given` is bound to a dataset with this `schema`.

    Parameters
    ----------
    given
        The declaration.
    schema
        Columns of the dataset.
    rename
        Wanted name -> column of the dataset, where the two differ.
    named
        What the parameter lists that ``named_by`` speaks of.
    where
        The dataset, as errors are to name it: ``"dataset 'apogee'"``.

    A column that the dataset has under another name that means the same (``FE_H`` for ``feh``, ``e_Teff`` for
    ``teff_err``) is taken; `Binding.notes` says so.

    Raises
    ------
    MissingColumnError
        If required columns are not there, none of a `one_of` is, `rename` speaks of unknown ones (with the nearest), or
        several columns mean the same.
    UnitError
        If a column's unit cannot be converted to the wanted one.
    DataRefusedError
        If a column has other dimensions than the input asks for.

    Examples
    --------
    >>> from hven.plugins import Table
    >>> stars = Schema((Column("m_h", "float32", unit="dex"), Column("teff", "float32", unit="K")))
    >>> binding = bind(Table(feh="dex", one_of=[("age", "teff")]), stars, {"feh": "m_h"})
    >>> binding.sources, binding.absent
    (('m_h', 'teff'), ('age',))
    """
    rename = dict(rename or {})
    if given.takes_all:
        sources = {c.name: c.name for c in schema} | rename
        wanted: dict[str, Variable | None] = dict.fromkeys(sources)
    else:
        _check_rename(given, rename, named, where)
        wanted = wanted_columns(given, schema, rename, named)
    found = column_sources(wanted, schema, rename, where)
    columns: dict[str, Bound] = {}
    missing: list[str] = []
    absent: list[str] = []
    for name, variable in wanted.items():
        source = found.get(name, name)
        if source in schema:
            if variable is None and not given.takes_all and schema[source].dims != OBJECT:
                raise _wrong_dims(schema[source], (OBJECT,), where)
            bound = _bound(variable, schema[source], where)
            columns[name] = bound._replace(is_number=True) if name in named else bound
        elif variable is None or variable.is_required or name in rename or name in named:
            missing.append(source)
        else:
            absent.append(name)
    if missing:
        raise _missing(missing, schema, where)
    _check_choices(given, columns, schema, where)
    _follow_flux(given, columns)
    valid = tuple(b.source + _VALID for b in columns.values() if b.source + _VALID in schema)
    return Binding(columns, tuple(absent), valid, where)


def named_columns(given: "Input", parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that the parameters name for an input declared ``named_by``; none when it is not.

    Examples
    --------
    >>> from hven.plugins import Table
    >>> named_columns(Table(named_by="columns"), {"columns": ["mg_fe", "si_fe"]})
    ('mg_fe', 'si_fe')
    """
    named = parameters.get(given.named_by) if given.named_by else None
    if named is None:
        return ()
    return (named,) if isinstance(named, str) else tuple(map(str, named))


def _bound(variable: "Variable | None", column: Column, where: str) -> Bound:
    if variable is not None and column.dims not in variable.dims:
        raise _wrong_dims(column, variable.dims, where)
    if variable is not None and variable.unit == ANY and column.dtype == "string":
        raise DataRefusedError(
            f"column {column.name!r} is text",
            where=where,
            expected="numbers",
            hint="Bind another column, or ingest this one as numbers.",
        )
    if variable is None or variable.unit is None or variable.unit == ANY:
        return Bound(column.name, 1.0, column.unit, variable is not None and variable.unit == ANY)
    return Bound(column.name, unit_factor(column, variable.unit, where), variable.unit)


def unit_factor(column: Column, unit: str, where: str = "") -> float:
    """Return the factor from the unit of `column` to `unit`.

    A number without unit is taken as dex where dex is wanted, and the other way round (surveys leave it out), and
    ``dex(cm / s2)`` is the dex of a surface gravity. Magnitudes are never turned into dex.

    Raises
    ------
    UnitError
        If it cannot be converted, naming the column and both units.

    Examples
    --------
    >>> unit_factor(Column("distance", "float32", unit="pc"), "kpc"), unit_factor(Column("fe_h", "float32"), "dex")
    (0.001, 1.0)
    """
    source = column.unit
    if column.dtype in {"string", "bool"}:
        if unit == "" and column.dtype == "bool":
            return 1.0
        raise _wrong_unit(column, unit, where, "text" if column.dtype == "string" else "true/false")
    try:
        if {source, unit} <= {"", "dex"} or source == unit:
            return 1.0
        logarithm = getattr(parse_unit(source), "physical_unit", None)
        if logarithm is not None and unit == "dex" and source.startswith("dex") and logarithm.cgs.scale == 1.0:
            return 1.0
        if logarithm is not None or (source != unit and (source in _LOGARITHMIC or unit in _LOGARITHMIC)):
            raise _wrong_unit(column, unit, where, f"in {source!r}" if source else "without a unit")
        return conversion_factor(source, unit)
    except UnitError as error:
        if column.name in error.what:
            raise
        raise _wrong_unit(column, unit, where, f"in {source!r}" if source else "without a unit") from error


def _wrong_unit(column: Column, unit: str, where: str, has: str) -> UnitError:
    return UnitError(
        f"column {column.name!r} is {has}",
        where=where,
        expected=f"a unit that converts to {unit!r}" if unit else "a number without unit",
        hint="Bind another column, or correct the unit of this one in the dataset.",
    )


def _wrong_dims(column: Column, dims: Sequence[tuple[str, ...]], where: str) -> DataRefusedError:
    return DataRefusedError(
        f"column {column.name!r} is over ({', '.join(column.dims)})",
        where=where,
        expected=" or ".join(f"({', '.join(d)})" for d in dims),
        hint="Bind another column, or choose a dataset of another kind.",
    )


def _missing(names: Sequence[str], schema: Schema, where: str) -> MissingColumnError:
    doubtful = {n: found for n in names if (found := doubtful_columns(n, schema))}
    if doubtful:
        name, (first, *_) = next(iter(doubtful.items()))
        told = "; ".join(f"{n!r}: {', '.join(map(repr, found))}" for n, found in doubtful.items())
        return MissingColumnError(
            f"there {'is no column' if len(names) == 1 else 'are no columns'} {', '.join(map(repr, names))}",
            where=where,
            hint=f"These may be meant, but their units do not say so: {told}. "
            f"If so, choose: columns={{{name!r}: {first!r}}}, or on a command line --column INPUT.{name}={first}.",
        )
    if len(names) == 1:
        return schema.missing(names[0], where)
    hints = [did_you_mean(n, schema.names, "").removeprefix("Did you mean ").rstrip("?") for n in names]
    near = [f"{n!r}: {hint}" for n, hint in zip(names, hints, strict=True) if hint]
    return MissingColumnError(
        f"there are no columns {', '.join(map(repr, names))}",
        where=where,
        hint=f"Nearest: {'; '.join(near)}." if near else f"The columns are: {', '.join(schema.names) or 'none'}.",
    )


def _check_rename(given: "Input", rename: Mapping[str, str], named: Sequence[str], where: str) -> None:
    for name in rename:
        if given.variable(name) is None and name not in named:
            known = [v.name for v in given.variables] + list(named)
            raise MissingColumnError(
                f"the analysis asks for no column {name!r}",
                where=where,
                hint=did_you_mean(name, known, f"It asks for: {', '.join(known)}."),
            )


def _check_choices(given: "Input", columns: Mapping[str, Bound], schema: Schema, where: str) -> None:
    for group in given.one_of:
        if not any(name in columns for name in group):
            near = [did_you_mean(name, schema.names, "") for name in group]
            raise MissingColumnError(
                f"there is none of the columns {', '.join(map(repr, group))}",
                where=where,
                expected="at least one of them",
                hint=next(filter(None, near), f"The columns are: {', '.join(schema.names) or 'none'}."),
            )
    for variable in given.variables:
        if variable.is_pattern and variable.is_required and not any(map(variable.matches, columns)):
            raise MissingColumnError(
                f"there is no column like {variable.name!r}",
                where=where,
                hint=f"The columns are: {', '.join(schema.names) or 'none'}.",
            )


def _follow_flux(given: "Input", columns: dict[str, Bound]) -> None:
    """Convert what goes with the flux (its inverse variance) by the matching power of the flux's factor."""
    flux = next((columns[v.name] for v in given.variables if v.power == 1 and v.name in columns), None)
    if flux is None or flux.factor == 1.0:
        return
    for variable in given.variables:
        if variable.power not in (0, 1) and variable.name in columns:
            source = columns[variable.name].source
            unit = parse_unit(flux.unit) ** variable.power
            columns[variable.name] = Bound(source, flux.factor**variable.power, unit.to_string())


def _as_floats(variable: "xr.Variable", valid: "xr.Variable | None") -> "xr.Variable":
    """Return numbers as floats, NaN where `valid` says that there is none; float64 for all that is 1-D."""
    is_small = variable.ndim > 1 and variable.dtype.itemsize <= (4 if variable.dtype.kind == "f" else 2)
    # float32 holds 16-bit integers exactly; it takes half the memory, which images and spectra need.
    floats: xr.Variable = variable.astype("float32" if is_small else "float64", copy=False)
    known: xr.Variable = floats if valid is None else floats.where(valid)  # type: ignore[no-untyped-call]
    return known


def _converted(variable: "xr.Variable", bound: Bound) -> "xr.Variable":
    attrs = {key: value for key, value in variable.attrs.items() if key != "units"}
    if bound.unit:
        attrs["units"] = bound.unit
    if bound.factor != 1.0:
        factor = variable.dtype.type(bound.factor)
        variable = (variable * factor).astype(variable.dtype)
    changed = variable.copy(deep=False)
    changed.attrs = attrs
    return changed
