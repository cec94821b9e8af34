"""What a search found: a part of a catalog, in its order, that combines with other searches and shows itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, overload

from hven.catalog.matching import Conditions, matching
from hven.catalog.query import ColumnsOf, Query, Searchable, names_only
from hven.errors import DatasetNotFoundError, QueryError, did_you_mean

if TYPE_CHECKING:
    import polars as pl
    from rich.console import RenderableType

Item = TypeVar("Item", bound=Searchable)


@dataclass(frozen=True, repr=False)
class Found(Generic[Item]):
    """The entries that fit a query, in the catalog's order.

    Iterating gives entries; ``found[0]`` and ``found["stars"]`` one of them; ``found.names`` the names. Two searches of
    one catalog combine by ``&`` and ``|``, and ``~`` gives the others.

    Attributes
    ----------
    searched
        Everything that was searched, by name.
    query
        What was asked.
    names
        What fits.
    where
        Which catalog it was, in words.
    columns_of
        Gave the columns of entries, and tells what a note needs of them.

    Examples
    --------
    >>> found = lake.catalog.search(kind="spectra") & ~lake.catalog.search(survey="galah")  # doctest: +SKIP
    >>> found.names  # doctest: +SKIP
    ('apogee_xp_spectra',)
    """

    searched: Mapping[str, Item]
    query: Query
    names: tuple[str, ...]
    where: str = ""
    columns_of: ColumnsOf = field(default=names_only, compare=False)

    @cached_property
    def note(self) -> str:
        """Why nothing was found; empty when something was."""
        if self.names:
            return ""
        if not self.searched:
            return "There are no datasets yet."
        return self.query.why_none(list(self.searched.values()), self.columns_of)

    @property
    def entries(self) -> dict[str, Item]:
        """What fits, by name."""
        return {name: self.searched[name] for name in self.names}

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Item]:
        return (self.searched[name] for name in self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @overload
    def __getitem__(self, which: str | int) -> Item: ...

    @overload
    def __getitem__(self, which: slice) -> tuple[Item, ...]: ...

    def __getitem__(self, which: str | int | slice) -> "Item | tuple[Item, ...]":
        """Return one entry by name or place, or several by a slice.

        Raises
        ------
        DatasetNotFoundError
            With the nearest names, when no entry of that name fits.
        IndexError
            When there are fewer.
        """
        if isinstance(which, slice):
            return tuple(self.searched[name] for name in self.names[which])
        if isinstance(which, int):
            return self.searched[self.names[which]]
        if which not in self.names:
            raise DatasetNotFoundError(
                f"{which!r} is not among what was found",
                where=self.where,
                hint=did_you_mean(which, self.names, f"Found: {', '.join(self.names) or 'nothing'}."),
            )
        return self.searched[which]

    def __and__(self, other: "Found[Item]") -> "Found[Item]":
        if not isinstance(other, Found):
            return NotImplemented
        both = set(self._of_same(other).names)
        return self._with(self.query & other.query, both.intersection(self.names))

    def __or__(self, other: "Found[Item]") -> "Found[Item]":
        if not isinstance(other, Found):
            return NotImplemented
        either = set(self._of_same(other).names)
        return self._with(self.query | other.query, either.union(self.names))

    def __invert__(self) -> "Found[Item]":
        return self._with(~self.query, set(self.searched).difference(self.names))

    def frame(self) -> "pl.DataFrame":
        """Return what was found as a Polars frame, a row a dataset."""
        from hven.catalog.frame import frame

        return frame(self)

    def __repr__(self) -> str:
        from hven.catalog.listing import as_text

        return as_text(self.__rich__())

    def __rich__(self) -> "RenderableType":
        from hven.catalog.listing import listing

        return listing(self, self._heading(), self.note)

    def _repr_html_(self) -> str:
        from hven.catalog.html import page

        return page(self, self._heading(), self.note)

    def _heading(self) -> str:
        place = f" of {self.where}" if self.where else ""
        return f"{len(self)} of {len(self.searched)} datasets{place}: {self.query!r}"

    def _with(self, query: Query, names: "set[str]") -> "Found[Item]":
        return replace(self, query=query, names=tuple(name for name in self.searched if name in names))

    def _of_same(self, other: "Found[Item]") -> "Found[Item]":
        if other.searched is self.searched or other.searched == self.searched:
            return other
        raise QueryError(
            "two searches of different catalogs do not combine",
            where=f"{self.where or 'one catalog'} and {other.where or 'another'}",
            hint="Search one catalog with the combined query: catalog.search(one.query & other.query).",
        )


def search(
    items: Mapping[str, Item],
    query: "Query | Found[Any] | str | None" = None,
    /,
    *,
    where: str = "",
    columns_of: ColumnsOf = names_only,
    **conditions: Unpack[Conditions],
) -> Found[Item]:
    """Return which of `items` fit a query, or conditions as those of `matching`, or both.

    Parameters
    ----------
    items
        What is searched, by name.
    query
        A query, a search made before, or text.
    where
        Which catalog that is, in words.
    columns_of
        Gives the columns of several items at once, with units, descriptions and UCDs.
    **conditions
        As for `matching`.

    Raises
    ------
    QueryError, UnitError, RegionError
        If the question cannot be understood.
    """
    asked = _query(query, conditions)
    kept = list(items.values())
    fits = asked.mask(kept, columns_of)
    names = tuple(name for name, fit in zip(items, fits, strict=True) if fit)
    return Found(items, asked, names, where, columns_of)


def own_columns(items: Sequence[Any]) -> list[Any]:
    """Return the columns of items that carry them, as ``item.schema_columns()`` gives them."""
    return [item.schema_columns() for item in items]


def _query(query: "Query | Found[Any] | str | None", conditions: Conditions) -> Query:
    if query is None or isinstance(query, str):
        return matching(query, **conditions)
    first = query.query if isinstance(query, Found) else query
    if not isinstance(first, Query):
        raise QueryError(
            f"{query!r} is no question to a catalog",
            expected="a query made by matching(...), a search made before, or text",
            hint="Ask with conditions: search(kind='spectra').",
        )
    return first & matching(**conditions) if any(value is not None for value in conditions.values()) else first
