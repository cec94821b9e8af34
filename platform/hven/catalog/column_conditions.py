"""Conditions on the columns of a dataset: one column that has the name, the unit and the UCD asked for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING

from hven.catalog.query import ColumnsOf, Query, Searchable, names_only
from hven.errors import UnitError
from hven.schema import Sureness, means, parse_unit, read_name, same_column

if TYPE_CHECKING:
    from hven.schema import Column


@dataclass(frozen=True, repr=False)
class HasColumn(Query):
    """Has a column of this name, unit and UCD: one column with all that is asked.

    Attributes
    ----------
    name
        A name or an alias of it, or a pattern with ``*`` and ``?``; None when any will do.
    unit
        A unit; ``""`` for numbers without one, None when any will do.
    ucd
        Words that the column's UCD has to begin with, or None.
    """

    name: str | None = None
    unit: str | None = None
    ucd: str | None = None

    @property
    def cost(self) -> int:  # type: ignore[override]
        """Names and units stand in the entries; which column has which, and UCDs, are read with the schemas."""
        return 0 if self.unit is None and self.ucd is None else 2

    def mask(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> list[bool]:
        """Return which items fit; schemas are looked up only for those that have the name and the unit."""
        named = [self._named(item) if self._has_unit(item) is not False else set() for item in items]
        # Words such as 'h' and 'z' are read with their units: h in mag is h_mag.
        doubtful = [self._doubtful(item) if self._has_unit(item) is not False else set() for item in items]
        fits = [bool(names) and self._is_told_by(item) for item, names in zip(items, named, strict=True)]
        left = [i for i, fit in enumerate(fits) if not fit and (named[i] or doubtful[i])]
        for i, columns in zip(left, columns_of([items[i] for i in left]) if left else (), strict=True):
            fits[i] = any(
                (column.name in named[i] or (column.name in doubtful[i] and means(column, str(self.name)) is not None))
                and self._fits(column)
                for column in columns
            )
        return fits

    def why_none(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> str:  # noqa: ARG002
        """Tell what was asked of a column."""
        asked = [
            f"named {self.name!r}" if self.name is not None else "",
            (f"with unit {self.unit!r}" if self.unit else "without unit") if self.unit is not None else "",
            f"with UCD {self.ucd!r}" if self.ucd is not None else "",
        ]
        return f"No dataset has a column {' '.join(filter(None, asked))}."

    def __repr__(self) -> str:
        asked = {"column": self.name, "unit": self.unit, "ucd": self.ucd}
        return f"matching({', '.join(f'{key}={value!r}' for key, value in asked.items() if value is not None)})"

    def _has_unit(self, item: Searchable) -> bool | None:
        """Return whether an item has the unit somewhere, None when it does not tell its units."""
        units = getattr(item, "units", None)
        return None if units is None or self.unit is None else any(same_unit(unit, self.unit) for unit in units)

    def _is_told_by(self, item: Searchable) -> bool:
        """Return whether what the entry of an item tells is all that is asked."""
        if self.ucd is not None:
            return False
        return self.unit is None or (self.name is None and self._has_unit(item) is True)

    def _named(self, item: Searchable) -> set[str]:
        """Return the columns of an item that have the name, by their own or by what the item says that they mean."""
        has_name = name_test(self.name)
        meant = {column for canonical, column in getattr(item, "means", {}).items() if has_name(canonical)}
        return meant.union(filter(has_name, item.columns))

    def _doubtful(self, item: Searchable) -> set[str]:
        """Return the columns of an item whose names mean the one asked for only in some units."""
        if self.name is None or set(self.name) & set("*?"):
            return set()
        wanted = read_name(self.name).canonical
        reads = {column: read_name(column) for column in item.columns}
        return {c for c, read in reads.items() if read.sureness is Sureness.DOUBTFUL and read.canonical == wanted}

    def _fits(self, column: "Column") -> bool:
        return (self.unit is None or same_unit(column.unit, self.unit)) and (
            self.ucd is None or begins_ucd(column.ucd, self.ucd)
        )


def name_test(name: str | None) -> Callable[[str], bool]:
    """Return the test for a column's name: a pattern, or a name and its aliases.

    Examples
    --------
    >>> name_test("*_fe")("Mg_Fe"), name_test("feh")("FE_H"), name_test("feh")("feh_err")
    (True, True, False)
    """
    if name is None:
        return lambda _: True
    if set(name) & set("*?"):
        # Brackets mean themselves: surveys write [Fe/H].
        pattern = name.casefold().replace("[", "[[]")
        return lambda column: fnmatchcase(column.casefold(), pattern)
    return lambda column: same_column(column, name)


@lru_cache(maxsize=65536)
def same_unit(one: str, other: str) -> bool:
    """Return whether two texts name the same unit, however they are written; ``km/s`` is not ``m/s``.

    Examples
    --------
    >>> same_unit("km s-1", "km/s"), same_unit("deg", "rad")
    (True, False)
    """
    if one == other:
        return True
    try:
        return bool(parse_unit(one) == parse_unit(other))
    except UnitError:
        return False


def begins_ucd(ucd: str, asked: str) -> bool:
    """Return whether a UCD begins with the words asked for.

    The first word asked has to begin the UCD's first (primary) word, atom by atom; each further one, any further word.

    Examples
    --------
    >>> begins_ucd("phot.mag;em.opt.B", "phot.mag;em.opt"), begins_ucd("stat.error;pos.eq.ra", "pos.eq")
    (True, False)
    """
    (first, *others), (wanted, *also) = _words(ucd), _words(asked)
    return _begins(first, wanted) and all(any(_begins(other, word) for other in others) for word in also)


def _words(ucd: str) -> list[list[str]]:
    return [word.strip().split(".") for word in ucd.lower().split(";")]


def _begins(atoms: Sequence[str], wanted: Iterable[str]) -> bool:
    asked = list(wanted)
    return list(atoms[: len(asked)]) == asked
