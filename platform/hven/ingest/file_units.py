"""Units as files write them, and what turns them into the canonical ones."""

from functools import lru_cache

from hven.errors import UnitError
from hven.schema import Column, conversion_factor, describe
from hven.schema.unit_spellings import respell

_FORMATS = (None, "fits", "vounit", "cds", "ogip")
_ANGLES_IN_HOURS = ("ra", "ra_err")
_GRAVITIES = ("logg", "logg_err")


@lru_cache(maxsize=1024)
def standard_unit(text: str) -> str | None:
    """Return a unit of a file (FITS, VOTable, CDS or plain spelling) as astropy writes it; None when nobody knows it.

    Examples
    --------
    >>> standard_unit("km.s**-1"), standard_unit("[cm/s2]"), standard_unit("[Sun]"), standard_unit("furlong")
    ('km / s', 'dex(cm / s2)', 'dex', None)
    """
    import warnings

    from astropy import units

    text = respell(text)
    if text == "Sun":  # masses, radii and luminosities of the Sun: the column says which
        return ""
    for spelling in _FORMATS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", units.UnitsWarning)
                unit = str(units.Unit(text, format=spelling).to_string())
                units.Unit(unit)  # what no reader of the lake could read is no unit
        except (ValueError, TypeError):
            continue
        return unit
    return None


def canonical_factor(name: str, unit: str) -> float:
    """Return the factor from `unit` (as `standard_unit` writes it) to the canonical unit of column `name`.

    It is 1 for columns that are not canonical or have no unit, and between ``dex(cm / s2)`` and ``dex``, ``mag(AB)``
    and ``mag``.

    Raises
    ------
    UnitError
        If the unit is of another quantity.

    Examples
    --------
    >>> canonical_factor("distance", "pc"), canonical_factor("logg", "dex(cm / s2)"), canonical_factor("colour", "pc")
    (0.001, 1.0, 1.0)
    """
    from astropy import units

    wanted = canonical_unit(name)
    if not wanted or not unit or unit == wanted:
        return 1.0
    if name in _ANGLES_IN_HOURS and unit == "h":
        return 15.0
    logarithm = units.Unit(unit)
    if (of := getattr(logarithm, "physical_unit", None)) is not None:
        # A logarithm is kept as it is when it is of what the canonical one is of: cm/s2 for gravities, else numbers.
        base = units.Unit("cm / s2") if name in _GRAVITIES else units.dimensionless_unscaled
        if logarithm.function_unit == units.Unit(wanted) and (wanted == "mag" or of == base):
            return 1.0
        raise UnitError(
            f"column {name!r} is in {unit!r}, the logarithm of a quantity",
            expected=f"a unit of the same quantity as {wanted!r}, in which hven keeps {name!r}",
            hint=f"Read it under another name: columns={{'log_{name}': {name!r}}}.",
        )
    try:
        return conversion_factor(unit, wanted)
    except UnitError as error:
        raise UnitError(
            f"column {name!r} is in {unit!r}",
            expected=f"a unit of the same quantity as {wanted!r}, in which hven keeps {name!r}",
            hint="Read it under another name, or correct its unit, with the reader's options 'columns' and 'units'.",
        ) from error


def canonical_unit(name: str) -> str:
    """Return the unit in which hven keeps column `name`; empty when it is not canonical or has none.

    Examples
    --------
    >>> canonical_unit("parallax_err"), canonical_unit("n_visits")
    ('mas', '')
    """
    return describe(Column(name, "float64")).unit
