"""Units of parameters: a number that people may also give as text or Quantity in another unit of the same kind."""

import re
from dataclasses import dataclass
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from hven.errors import DeclarationError, UnitError
from hven.schema import conversion_factor, parse_unit

_NUMBER_FIRST = re.compile(r"[+-]?\.?\d")
_MANY = (list, tuple, set, frozenset)


@dataclass(frozen=True)
class Unit:
    """The unit of a parameter, written ``Annotated[float, Unit("kpc")]``.

    A plain number is taken to be in this unit. A text with a unit (``"8200 pc"``) and an astropy Quantity are converted
    to it, alone or in a list; bounds count after that. The function itself always gets plain numbers.

    Parameters
    ----------
    name
        The unit as astropy writes it.

    Raises
    ------
    DeclarationError
        If there is no such unit.

    Examples
    --------
    >>> from typing import Annotated
    >>> from pydantic import Field, TypeAdapter
    >>> radius = TypeAdapter(Annotated[float, Unit("kpc"), Field(gt=0)])
    >>> [radius.validate_python(value) for value in (8.2, "8.2", "8200 pc")]
    [8.2, 8.2, 8.2]
    """

    name: str

    def __post_init__(self) -> None:
        try:
            parse_unit(self.name)
        except UnitError as error:
            raise DeclarationError(
                f"a parameter is declared in {self.name!r}, which is not a unit",
                expected="a unit as astropy writes it",
                hint="Correct it.",
            ) from error

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self.convert, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(schema), "unit": self.name}

    def convert(self, value: Any) -> Any:
        """Return a text or Quantity, or a list of them, as numbers in this unit; anything else as it is.

        Raises
        ------
        ValueError
            If it is in a unit of another kind; pydantic makes an error of the parameter of it.
        """
        if isinstance(value, _MANY):
            return type(value)(self.convert(one) for one in value)
        quantity = _quantity(value)
        if quantity is None:
            return value
        try:
            factor = conversion_factor(quantity.unit.to_string(), self.name)
        except UnitError as error:
            raise ValueError(str(error)) from error
        if not quantity.isscalar:
            return (quantity.value * factor).tolist()
        # Through text: 8200 pc is 8.2 kpc, and not 8.200000000000001.
        return float(f"{float(quantity.value) * factor:.15g}")


def unit_outermost(kind: Any) -> Any:
    """Return a type in which units are converted before bounds are checked, in whichever order they were written.

    Examples
    --------
    >>> from typing import Annotated
    >>> unit_outermost(list[Annotated[float, Unit("kpc"), "more"]])
    list[typing.Annotated[float, 'more', Unit(name='kpc')]]
    """
    if get_origin(kind) is Annotated:
        inner, *marks = get_args(kind)
        ordered = sorted(marks, key=lambda mark: isinstance(mark, Unit))
        return Annotated[(unit_outermost(inner), *ordered)]
    if get_origin(kind) in _MANY:
        return get_origin(kind)[tuple(one if one is ... else unit_outermost(one) for one in get_args(kind))]
    if get_origin(kind) in (Union, UnionType):
        return reduce(or_, map(unit_outermost, get_args(kind)))
    return kind


def _quantity(value: Any) -> Any:
    """Return a Quantity of a text with number and unit, a Quantity itself, or None for anything else."""
    if isinstance(value, str):
        return _quantity_of_text(value.strip())
    return value if hasattr(value, "unit") and hasattr(value, "isscalar") else None


def _quantity_of_text(text: str) -> Any:
    if not _NUMBER_FIRST.match(text) or _is_number(text):
        return None
    from astropy import units

    try:
        return units.Quantity(text)
    except (TypeError, ValueError):
        return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
