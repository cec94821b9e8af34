"""Derived columns of a selection: made of the columns of its datasets when these are read, and kept nowhere."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hven.errors import WhereError
from hven.lake import parse_column
from hven.schema import Column, describe, parse_unit

if TYPE_CHECKING:
    import polars as pl

_VALID = "_valid"
_NAMED = re.compile(r"\s*([^\W\d]\w*)\s*(?:\[([^\]]*)\])?\s*")


@dataclass(frozen=True)
class Derived:
    """A column that is computed row by row from others of the same input.

    Attributes
    ----------
    name, unit, text
        As they were given.
    expression
        What gives its values, of the column's name; numbers come as float64.
    dtype
        ``float64``, ``bool`` or ``string``.
    """

    name: str
    unit: str
    text: str
    expression: "pl.Expr"
    dtype: str

    @property
    def needs(self) -> frozenset[str]:
        """The columns it is made of."""
        return frozenset(self.expression.meta.root_names())

    @property
    def column(self) -> Column:
        """What it is, in words; a known name says its unit and UCD itself, where no unit is given."""
        return describe(Column(self.name, self.dtype, ("object",), self.unit, f"Derived: {self.text}"))

    def to_json(self) -> dict[str, str]:
        """Return what tells it apart from other columns of its name."""
        return {"unit": self.unit, "text": self.text}


def named_with_unit(text: str, where: str = "") -> tuple[str, str]:
    """Return name and unit of what stands left of a derived column.

    Raises
    ------
    WhereError
        If this is not a name, with or without a unit in brackets.
    UnitError
        If the unit is not known.

    Examples
    --------
    >>> named_with_unit("abs_g [mag]"), named_with_unit("abs_g")
    (('abs_g', 'mag'), ('abs_g', ''))
    """
    match = _NAMED.fullmatch(text)
    if match is None:
        raise WhereError(
            f"{text!r} cannot name a derived column",
            where=where,
            expected="a name, and its unit in brackets if it has one: 'abs_g [mag]'",
            hint="Write it so.",
        )
    unit = (match[2] or "").strip()
    parse_unit(unit)
    return match[1], unit


def derive(told: Mapping[str, str], columns: "pl.Schema", dataset: str) -> tuple[Derived, ...]:
    """Return the derived columns that a selection tells, held against the columns there are.

    Parameters
    ----------
    told
        Name, with or without a unit in brackets -> SQL expression of one row.
    columns
        Of all datasets of the selection, with their types.
    dataset
        For errors.

    Raises
    ------
    WhereError
        For what is no expression of one row, or has the name of a column that is there, or of its ``<c>_valid``.
    MissingColumnError, UnitError
        For unknown columns and units.

    Examples
    --------
    >>> import polars as pl
    >>> known = pl.Schema({"g": pl.Float32, "parallax": pl.Float64})
    >>> (abs_g,) = derive({"abs_g [mag]": "g + 5*log10(parallax) - 10"}, known, "")
    >>> abs_g.name, abs_g.unit, sorted(abs_g.needs)
    ('abs_g', 'mag', ['g', 'parallax'])
    """
    import polars as pl

    place = f"dataset {dataset!r}" if dataset else ""
    found: dict[str, Derived] = {}
    names = {named_with_unit(key, place)[0] for key in told}
    for key, text in told.items():
        name, unit = named_with_unit(key, place)
        if name in columns or name in found:
            raise WhereError(
                f"there is a column {name!r} already",
                where=place,
                expected="another name for the derived column",
                hint="Choose one, and say with columns= for which column of the analysis it stands.",
            )
        value = name.removesuffix(_VALID)
        if value != name and (value in columns or value in names):
            raise WhereError(
                f"{name!r} would say which values of column {value!r} are there",
                where=place,
                expected=f"a name that does not end in {_VALID!r}",
                hint="Choose another name, and say with columns= for which column of the analysis it stands.",
            )
        expression, dtype = parse_column(text, columns, dataset)
        if dtype.is_numeric():
            expression = expression.cast(pl.Float64)
        kind = "float64" if dtype.is_numeric() else "bool" if dtype == pl.Boolean else "string"
        found[name] = Derived(name, unit, text, expression.alias(name), kind)
    return tuple(found.values())


def needed(derived: Iterable[Derived], names: Iterable[str]) -> tuple[Derived, ...]:
    """Return those derived columns that are among `names`."""
    wanted = set(names)
    return tuple(one for one in derived if one.name in wanted)


def polars_types(derived: Iterable[Derived]) -> dict[str, Any]:
    """Return the types of derived columns as Polars has them."""
    import polars as pl

    types = {"float64": pl.Float64, "bool": pl.Boolean, "string": pl.String}
    return {one.name: types[one.dtype] for one in derived}
