"""From what people ask (names, ranges, regions, texts of a command line) to a query, or a refusal that says why."""

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from hven.catalog.column_conditions import HasColumn
from hven.catalog.conditions import InRange, InRegion, OfKind, OfSurvey, ProducedBy, Text
from hven.catalog.query import Every, Query
from hven.errors import QueryError, did_you_mean
from hven.schema import KINDS, conversion_factor, parse_unit

if TYPE_CHECKING:
    from hven.sky import Region

_END = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_UNIT = r"([A-Za-z]+)?"
_RANGE = re.compile(rf"\s*(?:{_END}\s*{_UNIT})?\s*:\s*(?:{_END}\s*{_UNIT})?\s*")
_NUMBER = re.compile(rf"\s*{_END}\s*{_UNIT}\s*")
_UCD = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\s*;\s*[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)*")


class Conditions(TypedDict, total=False):
    """What a catalog can be asked; see `matching`."""

    text: str | None
    kind: str | None
    survey: str | None
    column: str | None
    unit: str | None
    ucd: str | None
    wavelength: Any
    resolution: Any
    region: "Region | str | None"
    produced_by: str | None


def matching(text: str | None = None, /, **conditions: Unpack[Conditions]) -> Query:
    """Return the query that everything asked makes together; None is not asked.

    A dataset that does not tell what a condition asks for does not fit it (and fits its negation by ``~``).

    Parameters
    ----------
    text
        Each of its words begins a word of the name, title, description, survey, a citation, or a column's name or
        description. Case and accents do not matter.
    **conditions
        ``kind``: exactly this kind of dataset.

        ``survey``: each of its words begins a word of the survey's name.

        ``column``: a column of this name, whatever its case and punctuation, or of an alias of it
        (`hven.schema.ALIASES`); with ``*`` or ``?`` a pattern, as ``*_fe``.

        ``unit``: a column with exactly this unit, however it is written (``km s-1``); ``""`` for one without.

        ``ucd``: a column whose UCD begins so: ``pos.eq`` fits ``pos.eq.ra;meta.main`` but not ``stat.error;pos.eq.ra``.
        Further words, as in ``phot.mag;em.opt``, fit any further word. `column`, `unit` and `ucd` of one call have to
        be met by one column.

        ``wavelength``: two numbers in Angstrom, of which either may be None; one number; quantities; or text as
        ``"600:900 nm"``. Fits what has any wavelength in common with it, ends included.

        ``resolution``: the same for the resolving power.

        ``region``: of the sky (`hven.sky`), as a value or text. Fits what covers any part of it; coverage is known to a
        few arcminutes.

        ``produced_by``: an analysis, a reader, or a run's id (or its beginning or end, four characters or more).

    Raises
    ------
    QueryError
        For an unknown condition or kind, a range that is reversed or not of numbers, a malformed UCD.
    UnitError, RegionError
        For an unknown unit, a malformed region.

    Examples
    --------
    >>> matching("metallicity", kind="table", wavelength=(None, 9000))
    matching('metallicity') & matching(kind='table') & matching(wavelength=(None, 9000))
    >>> matching(column="pm*", unit="mas/yr")
    matching(column='pm*', unit='mas/yr')
    """
    asked: dict[str, Any] = {"text": text} | {key: value for key, value in conditions.items() if value is not None}
    for name in conditions:
        if name not in Conditions.__annotations__:
            known = ", ".join(Conditions.__annotations__)
            raise QueryError(
                f"there is no condition {name!r}", hint=did_you_mean(name, Conditions.__annotations__, f"Ask: {known}.")
            )
    asked = {name: value for name, value in asked.items() if value is not None}
    about_columns = {key: asked.pop(key) for key in ("column", "unit", "ucd") if key in asked}
    parts: list[Query] = [make(asked[name]) for name, make in _MAKE.items() if name in asked]
    if about_columns:
        parts.append(_has_column(**about_columns))
    return parts[0] if len(parts) == 1 else Every(tuple(parts))


def _text(value: object) -> Query:
    words = _told("text", value)
    return Text(" ".join(words.split())) if words.strip() else Every()


def _kind(value: object) -> Query:
    kind = _told("kind", value)
    if kind not in KINDS:
        raise QueryError(
            f"there is no kind {kind!r} of dataset",
            hint=did_you_mean(kind, KINDS, f"The kinds are: {', '.join(KINDS)}."),
        )
    return OfKind(kind)


def _survey(value: object) -> Query:
    return OfSurvey(_told("survey", value))


def _produced_by(value: object) -> Query:
    return ProducedBy(_told("produced_by", value))


def _region(value: object) -> Query:
    from hven.sky import Region, parse_region

    return InRegion(value if isinstance(value, Region) else parse_region(_told("region", value, "a region, or text")))


def _wavelength(value: object) -> Query:
    return InRange("wavelength", *_range("wavelength", value, "Angstrom"))


def _resolution(value: object) -> Query:
    return InRange("resolution", *_range("resolution", value, ""))


def _has_column(column: object = None, unit: object = None, ucd: object = None) -> Query:
    if column is not None:
        _told("column", column)
    if unit is not None:
        parse_unit(_told("unit", unit))
    if ucd is not None and not _UCD.fullmatch(_told("ucd", ucd)):
        raise QueryError(
            f"{ucd!r} is not a UCD",
            where="ucd",
            expected="words of letters, digits, '.', '-' and '_', with ';' between words, as 'phot.mag;em.opt'",
            hint="Correct the UCD, or ask for a name with column=.",
        )
    return HasColumn(*(None if value is None else str(value) for value in (column, unit, ucd)))


_MAKE: dict[str, Callable[[object], Query]] = {
    "text": _text,
    "kind": _kind,
    "survey": _survey,
    "produced_by": _produced_by,
    "wavelength": _wavelength,
    "resolution": _resolution,
    "region": _region,
}


def _told(name: str, value: object, expected: str = "text") -> str:
    if isinstance(value, str):
        return value
    raise QueryError(f"{name} is {value!r}", where=name, expected=expected, hint="Correct the condition.")


def _range(name: str, value: Any, unit: str) -> tuple[float, float]:
    """Return the two ends, in `unit`, of a range in any of the ways in which people give one."""
    ends = _split(name, value) if isinstance(value, str) else value
    if isinstance(ends, Sequence) or (hasattr(ends, "__len__") and getattr(ends, "shape", (2,)) == (2,)):
        pair = tuple(ends)
    else:
        pair = (ends, ends)
    if len(pair) != 2:
        raise _no_range(name, value)
    low, high = (_number(name, value, end, unit) for end in pair)
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    if low > high:
        raise QueryError(
            f"{name} goes from {low:g} to {high:g}",
            where=name,
            expected="the lower end first",
            hint="Exchange the two.",
        )
    return low, high


def _split(name: str, text: str) -> tuple[Any, Any]:
    if match := _RANGE.fullmatch(text):
        low, low_unit, high, high_unit = match.groups()
    elif match := _NUMBER.fullmatch(text):
        low, low_unit = high, high_unit = match.groups()
    else:
        raise _no_range(name, text)
    return _end(low, low_unit or high_unit), _end(high, high_unit or low_unit)


def _end(number: str | None, unit: str | None) -> Any:
    if number is None:
        return None
    return (float(number), unit) if unit else float(number)


def _number(name: str, whole: Any, end: Any, unit: str) -> float | None:
    if end is None:
        return None
    if isinstance(end, tuple):
        end = end[0] * conversion_factor(end[1], unit)
    elif hasattr(end, "unit"):
        end = end.value * conversion_factor(str(end.unit), unit)
    if isinstance(end, bool | str):
        raise _no_range(name, whole)
    try:
        number = float(end)
    except (TypeError, ValueError) as error:
        raise _no_range(name, whole) from error
    if math.isnan(number):
        raise _no_range(name, whole)
    return number


def _no_range(name: str, value: object) -> QueryError:
    return QueryError(
        f"{name} is {value!r}",
        where=name,
        expected="two numbers (either may be None), one number, or text as '4000:9000'",
        hint="Correct the range.",
    )
