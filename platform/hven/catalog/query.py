# ruff: noqa: D102 - `Searchable` says what each of its attributes is
"""Questions to a catalog: conditions that combine by ``&``, ``|`` and ``~``, as values.

A `Query` is made by `matching`, and asked by ``catalog.search``. It needs of an item only what `Searchable` names, so
the entries of a lake and those of the catalogs that ship are searched alike.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from hven.errors import QueryError

if TYPE_CHECKING:
    from hven.schema import Column

ColumnsOf = Callable[[Sequence[Any]], Sequence[Iterable["Column"]]]
"""From items to the columns of each, with units, descriptions and UCDs; asked once for many items."""


class Searchable(Protocol):
    """What can be searched: what an entry says of itself without its columns' descriptions.

    `coverage` is a MOC as text; `wavelength` [Angstrom] and `resolution` (resolving power) are the lowest and highest
    value; what is not known is empty or None, and is then not found by a condition that asks for it. An item may also
    have ``units``, the different units of its columns, which spares looking them up, and ``means``, from canonical
    names to its own.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def survey(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def citation(self) -> Sequence[str]: ...
    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def coverage(self) -> str: ...
    @property
    def wavelength(self) -> tuple[float, float] | None: ...
    @property
    def resolution(self) -> tuple[float, float] | None: ...
    @property
    def provenance(self) -> Mapping[str, Any]: ...


def names_only(items: Sequence[Searchable]) -> "list[list[Column]]":
    """Return what is known of the items' columns when nobody tells more: their names."""
    from hven.schema import Column

    return [[Column(name, "") for name in item.columns] for item in items]


class Query(ABC):
    """A question to a catalog, made by `matching`.

    Examples
    --------
    >>> from hven.catalog import matching
    >>> matching(kind="spectra") & ~matching(survey="galah")
    matching(kind='spectra') & ~matching(survey='galah')
    """

    cost: ClassVar[int] = 0
    """Conditions that need more than the entries come last, when few items are left."""

    @abstractmethod
    def mask(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> list[bool]:
        """Return which items fit."""

    def matches(self, item: Searchable, columns: "Iterable[Column] | None" = None) -> bool:
        """Return whether one item fits; `columns` are its columns with units and UCDs, for conditions on those.

        Examples
        --------
        >>> matching(unit="km s-1").matches(entry, lake["stars"].schema)  # doctest: +SKIP
        True
        """
        return self.mask([item], names_only if columns is None else lambda _: [columns])[0]

    def why_none(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> str:  # noqa: ARG002
        """Return, for a query that nothing fits, what is to be said of that."""
        return f"Nothing fits {self!r}."

    def __and__(self, other: "Query") -> "Query":
        if not isinstance(other, Query):
            return NotImplemented
        parts = (*_parts(self, Every), *_parts(other, Every))
        return parts[0] if len(parts) == 1 else Every(parts)

    def __or__(self, other: "Query") -> "Query":
        return Either((*_parts(self, Either), *_parts(other, Either))) if isinstance(other, Query) else NotImplemented

    def __invert__(self) -> "Query":
        return self.query if isinstance(self, Not) else Not(self)

    def __bool__(self) -> bool:
        raise QueryError(
            "a query is neither true nor false",
            where=repr(self),
            hint="Combine queries by & | ~ instead of and, or, not.",
        )


@dataclass(frozen=True, repr=False)
class Every(Query):
    """What fits every part; everything when there is none."""

    parts: tuple[Query, ...] = ()

    @property
    def cost(self) -> int:  # type: ignore[override]
        """That of the dearest part."""
        return max((part.cost for part in self.parts), default=0)

    def mask(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> list[bool]:
        """Return which items fit; a part sees only the items that fit the cheaper ones."""
        left = list(range(len(items)))
        for part in sorted(self.parts, key=lambda part: part.cost):
            fits = part.mask([items[i] for i in left], columns_of)
            left = [i for i, fit in zip(left, fits, strict=True) if fit]
        return _mask(left, len(items))

    def why_none(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> str:
        """Name the parts that alone find nothing."""
        alone = [part for part in self.parts if not any(part.mask(items, columns_of))]
        if alone:
            return " ".join(part.why_none(items, columns_of) for part in alone)
        return "Each condition fits some dataset, but none fits them all."

    def __repr__(self) -> str:
        return " & ".join(_inner(part) for part in self.parts) or "matching()"


@dataclass(frozen=True, repr=False)
class Either(Query):
    """What fits at least one part."""

    parts: tuple[Query, ...]

    @property
    def cost(self) -> int:  # type: ignore[override]
        """That of the dearest part."""
        return max((part.cost for part in self.parts), default=0)

    def mask(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> list[bool]:
        """Return which items fit; a part sees only the items that fit none of the cheaper ones."""
        left, found = list(range(len(items))), []
        for part in sorted(self.parts, key=lambda part: part.cost):
            fits = part.mask([items[i] for i in left], columns_of)
            found += [i for i, fit in zip(left, fits, strict=True) if fit]
            left = [i for i, fit in zip(left, fits, strict=True) if not fit]
        return _mask(found, len(items))

    def __repr__(self) -> str:
        return " | ".join(_inner(part) for part in self.parts)


@dataclass(frozen=True, repr=False)
class Not(Query):
    """What does not fit: also what does not tell."""

    query: Query

    @property
    def cost(self) -> int:  # type: ignore[override]
        """That of the query."""
        return self.query.cost

    def mask(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> list[bool]:
        """Return which items do not fit."""
        return [not fit for fit in self.query.mask(items, columns_of)]

    def __repr__(self) -> str:
        return f"~{_inner(self.query)}"


def _parts(query: Query, kind: type[Every] | type[Either]) -> tuple[Query, ...]:
    return query.parts if isinstance(query, kind) else (query,)


def _inner(query: Query) -> str:
    return f"({query!r})" if isinstance(query, Every | Either) and len(query.parts) > 1 else repr(query)


def _mask(found: Iterable[int], size: int) -> list[bool]:
    fits = [False] * size
    for i in found:
        fits[i] = True
    return fits
