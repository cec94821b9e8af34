"""Units as people write them, and the factors between them (astropy's)."""

from functools import lru_cache
from typing import TYPE_CHECKING

from hven.errors import UnitError

if TYPE_CHECKING:
    from astropy.units import UnitBase


@lru_cache(maxsize=512)
def parse_unit(text: str) -> "UnitBase":
    """Return the astropy unit that `text` names; ``""`` and ``"1"`` are dimensionless.

    Raises
    ------
    UnitError
        If no unit of that name exists.

    Examples
    --------
    >>> parse_unit("dex/kpc").to_string()
    'dex / kpc'
    """
    from astropy import units

    if text in {"", "1"}:
        return units.dimensionless_unscaled
    try:
        return units.Unit(text)
    except (ValueError, TypeError) as error:
        raise UnitError(
            f"unit {text!r} is not known",
            expected="a unit as astropy writes it, for example 'km/s', 'mas/yr', 'dex/kpc'",
            hint="Correct the unit, or leave it empty for a number without one.",
        ) from error


@lru_cache(maxsize=512)
def conversion_factor(source: str, target: str) -> float:
    """Return the factor by which values in `source` units are multiplied to be in `target` units.

    Raises
    ------
    UnitError
        If the two are not units of the same quantity.

    Examples
    --------
    >>> conversion_factor("pc", "kpc")
    0.001
    """
    if source == target:
        return 1.0
    from astropy import units

    one, other = parse_unit(source), parse_unit(target)
    # One logarithmic unit is no multiple of another: a factor between them, which astropy gives, would be wrong.
    logarithmic = any(
        isinstance(u, units.FunctionUnitBase) or u in (units.mag, units.dex, units.dB) for u in (one, other)
    )
    if one != other and (logarithmic or not one.is_equivalent(other)):
        raise UnitError(
            f"{source or 'a number without unit'!r} cannot be converted to {target or 'a number without unit'!r}",
            expected=f"a unit of the same quantity as {target!r}",
            hint="Bind another column, or correct the unit of this one.",
        )
    return float(one.to(other))


@lru_cache(maxsize=4096)
def is_same_quantity(one: str, other: str) -> bool:
    """Return whether two units measure one quantity: ``pc`` and ``kpc``, ``mag(AB)`` and ``mag``, not ``dex``.

    A surface gravity in ``dex(cm / s2)`` is one in ``dex``; a number without unit measures nothing but numbers.

    Raises
    ------
    UnitError
        If no unit of either name exists.

    Examples
    --------
    >>> is_same_quantity("pc", "kpc"), is_same_quantity("dex(cm / s2)", "dex"), is_same_quantity("mag", "dex")
    (True, True, False)
    """
    from astropy import units

    if one == other:
        return True
    first, second = parse_unit(one), parse_unit(other)
    logarithms = [getattr(unit, "function_unit", unit) for unit in (first, second)]
    named = [unit if unit in (units.mag, units.dex, units.dB) else None for unit in logarithms]
    if any(unit is not None for unit in named):
        return named[0] == named[1]
    return bool(first.is_equivalent(second))
