"""Which column of a dataset stands for one that an input asks for: by its own name, or by one that means the same."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hven.errors import MissingColumnError
from hven.plugins.inputs import OBJECT
from hven.schema import Column, Schema, Sureness, canonical_name, find_column, read_name

if TYPE_CHECKING:
    from hven.plugins.inputs import Input, Variable

_ERR = "_err"
_VALID = "_valid"


def wanted_columns(
    given: "Input", schema: Schema, rename: Mapping[str, str], named: Sequence[str]
) -> "dict[str, Variable | None]":
    """Return the columns that an input asks of a dataset: declared ones, those its patterns find, those named to it.

    A pattern such as ``<x>_fe`` finds ``MG_FE`` as ``mg_fe``.

    Examples
    --------
    >>> from hven.plugins import Table
    >>> schema = Schema((Column("MG_FE", "float32"), Column("MG_FE_ERR", "float32")))
    >>> list(wanted_columns(Table(pattern="<x>_fe"), schema, {}, ()))
    ['mg_fe']
    """
    wanted: dict[str, Variable | None] = {v.name: v for v in given.variables if not v.is_pattern}
    # What says which values of a column are null is no column of its own.
    flags = {column.name for column in schema if column.dtype == "bool" and column.name.endswith(_VALID)}
    taken = {*rename.values(), *(name for name in flags if name.removesuffix(_VALID) in schema)}
    for variable in given.variables:
        if variable.is_pattern:
            free = [n for n in schema.names if n not in taken]
            found = [*rename, *free]
            found += [
                meant
                for column in schema
                if column.name not in taken
                and (meant := canonical_name(column.name)) != column.name
                and meant not in schema
                and not variable.matches(column.name)
                and column.dims in variable.dims
                and (column.dtype != "string" or variable.unit is None)
            ]
            for name in found:
                if variable.matches(name):
                    wanted.setdefault(name, variable)
    for name in named:
        wanted.setdefault(name, given.variable(name))
    return wanted


def column_sources(
    wanted: "Mapping[str, Variable | None]", schema: Schema, rename: Mapping[str, str], where: str = ""
) -> dict[str, str]:
    """Return wanted name -> the column of the dataset that stands for it; what nothing stands for is left out.

    A column given by `rename` comes first, then one of that very name, then the one that means the same by
    `hven.schema.find_column`. The error of a column is that of the column which was taken: when ``feh`` comes from
    ``mh_gspphot``, ``feh_err`` is its error, and no other.

    Raises
    ------
    MissingColumnError
        If several columns mean the same, and none has the wanted name.

    Examples
    --------
    >>> schema = Schema((Column("FE_H", "float32"), Column("FE_H_ERR", "float32"), Column("teff", "float32")))
    >>> column_sources({"feh": None, "feh_err": None, "teff": None, "age": None}, schema, {})
    {'feh': 'FE_H', 'teff': 'teff', 'feh_err': 'FE_H_ERR'}
    """
    sources: dict[str, str] = {}
    # Errors come after the values that they belong to.
    for name in sorted(wanted, key=lambda n: n.endswith(_ERR)):
        if name in rename:
            sources[name] = rename[name]
            continue
        fitting = [column for column in schema if _fits(column, wanted[name])]
        value = name.removesuffix(_ERR)
        if name.endswith(_ERR) and value in rename:
            found = tuple(column.name for column in fitting if _is_error_of(column.name, rename[value]))
            if len(found) == 1:
                sources[name] = found[0]
                continue
        if name in schema:
            sources[name] = name
            continue
        found = find_column(name, fitting)
        if name.endswith(_ERR) and value in sources:
            found = tuple(column for column in found if _may_be_error_of(column, sources[value], schema))
        if len(found) > 1:
            raise _ambiguous(name, found, where)
        if found:
            sources[name] = found[0]
    return sources


def doubtful_columns(name: str, schema: Schema) -> tuple[str, ...]:
    """Return the columns whose names may mean `name`, while neither unit nor UCD says so: ``H`` for ``h_mag``.

    Examples
    --------
    >>> doubtful_columns("h_mag", Schema((Column("H", "float32"), Column("teff", "float32"))))
    ('H',)
    """
    wanted = read_name(name).canonical
    return tuple(c.name for c in schema if read_name(c.name).canonical == wanted and c.name != name)


def _fits(column: Column, variable: "Variable | None") -> bool:
    dims = (OBJECT,) if variable is None else variable.dims
    return column.dims in dims and (column.dtype != "string" or variable is None or variable.unit is None)


def _is_error_of(error: str, value: str) -> bool:
    """Return whether the name of an error is made of the name of this value: ``e_Plx`` of ``Plx``."""
    return read_name(error).value.casefold().strip("_[]") == value.casefold().strip("_[]")


def _may_be_error_of(error: str, value: str, schema: Schema) -> bool:
    """Return whether a column is the error of `value`: by its name, or by its spelling when no other column has it."""
    if _is_error_of(error, value):
        return True
    if any(_is_error_of(error, column.name) for column in schema if column.name not in (value, error)):
        return False
    return read_name(error).sureness <= Sureness.SPELLING


def _ambiguous(name: str, found: Sequence[str], where: str) -> MissingColumnError:
    return MissingColumnError(
        f"there is no column {name!r}, and {len(found)} columns may be it: {', '.join(map(repr, found))}",
        where=where,
        hint=f"Choose one: columns={{{name!r}: {found[0]!r}}}, or on a command line --column INPUT.{name}={found[0]}.",
    )
