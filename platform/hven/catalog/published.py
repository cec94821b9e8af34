"""The catalogs that ship: public surveys as they are published, listed and searched without a network or Intake."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from hven.catalog.documents import Document
from hven.catalog.found import Found, own_columns, search
from hven.catalog.intake_shape import check_shape
from hven.catalog.matching import Conditions
from hven.catalog.published_entry import PublishedEntry, entry_of
from hven.catalog.trust import check_trusted
from hven.errors import CatalogFormatError, DatasetNotFoundError, SourceUnreachableError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from hven.catalog.query import Query

_ENDINGS = {".yaml", ".yml", ".json"}


def published(folder: str | Path | None = None) -> "Published":
    """Return the public datasets that the catalogs in a folder describe, by default those that ship with hven.

    Parameters
    ----------
    folder
        With Intake v2 catalogs as YAML or JSON, described like those that ship (``catalogs/README.md``).

    Raises
    ------
    CatalogFormatError
        If a catalog is not as it should be: with file, entry, line and key.
    UntrustedCatalogError
        If one names a reader that is not on the list of what may be opened.
    SourceUnreachableError
        If there are no catalogs in the folder.

    Examples
    --------
    >>> surveys = published()
    >>> "gaia_dr3_source" in surveys, surveys["gaia_dr3_source"].schema["parallax"].unit
    (True, 'mas')
    """
    return _read(str(shipped() if folder is None else Path(folder)))


def shipped() -> Path:
    """Return the folder of the catalogs that ship: in the wheel beside hven's packages, else in the checkout."""
    installed = Path(__file__).parents[1] / "catalogs"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "catalogs"


@dataclass(frozen=True)
class Published(Mapping[str, PublishedEntry]):
    """Public datasets by name.

    Attributes
    ----------
    folder
        Where their catalogs are.
    entries
        Name -> entry.
    """

    folder: str
    entries: Mapping[str, PublishedEntry] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of the files."""
        return tuple(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __getitem__(self, name: str) -> PublishedEntry:
        """Return one entry.

        Raises
        ------
        DatasetNotFoundError
            With the nearest names, when there is none.
        """
        if name in self.entries:
            return self.entries[name]
        raise DatasetNotFoundError(
            f"no public dataset is called {name!r}",
            where="the catalogs that ship",
            hint=did_you_mean(name, self.entries, "'hven published ls' lists them."),
        )

    def search(
        self, query: "Query | Found[PublishedEntry] | str | None" = None, /, **conditions: Unpack[Conditions]
    ) -> "Found[PublishedEntry]":
        """Return the datasets that fit a query, or conditions as those of `hven.catalog.matching`.

        Examples
        --------
        >>> found = published().search(kind="spectra", wavelength=(15_000, 16_000))
        >>> "apogee_dr17_apstar" in found
        True
        """
        return search(self.entries, query, where="the catalogs that ship", columns_of=own_columns, **conditions)

    def frame(self) -> "pl.DataFrame":
        """Return the datasets as a Polars frame, a row each."""
        return self.search().frame()

    def _repr_html_(self) -> Any:
        return self.search()._repr_html_()


@lru_cache(maxsize=8)
def _read(folder: str) -> Published:
    files = sorted(path for path in Path(folder).glob("*") if path.suffix in _ENDINGS)
    if not files:
        raise SourceUnreachableError(
            "there are no catalogs",
            where=folder,
            expected="files *.yaml or *.json",
            hint="Check the folder; those that ship come with hven's wheel, and stand in catalogs/ of its repository.",
        )
    entries: dict[str, PublishedEntry] = {}
    for file in files:
        document = Document(file.read_bytes(), str(file))
        check_shape(document)
        check_trusted(document)
        for alias in document.values["aliases"]:
            if alias in entries:
                raise CatalogFormatError(
                    f"the name {alias!r} stands in {Path(entries[alias].source).name} already",
                    where=document.where(("aliases", alias)),
                    hint="Choose another name.",
                )
            entries[alias] = entry_of(document, alias)
    return Published(folder, entries)
