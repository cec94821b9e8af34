"""A catalog: the complete, pinned list of datasets at one commit, and an ordinary Intake v2 catalog on disk."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, Unpack

from hven.catalog.entry import Entry
from hven.catalog.found import Found, search
from hven.catalog.matching import Conditions
from hven.catalog.query import Query, names_only
from hven.catalog.sealing import BEGINNING, is_whole, sealed
from hven.errors import DatasetNotFoundError, LakeFormatError, did_you_mean

if TYPE_CHECKING:
    import polars as pl
    from rich.console import RenderableType

    from hven.schema import Column, Schema

    Schemas = Callable[[Collection[str]], Mapping[str, Schema]]

FORMAT = 2
"""Of catalogs. Since format 2 they are sealed (`sealing`)."""
_TABLE = ("hven.lake.intake_readers:PinnedTable", "hven.lake.intake_readers:PinnedTableReader", "polars:LazyFrame")
_ARRAYS = ("hven.lake.intake_readers:PinnedArrays", "hven.lake.intake_readers:PinnedArraysReader", "xarray:Dataset")


@dataclass(frozen=True)
class Commit:
    """What a commit says of itself.

    Attributes
    ----------
    number
        Of its catalog; 0 is the empty lake.
    transaction
        The id of the transaction that wrote it.
    created
        UTC, ISO 8601.
    message
        By whoever committed.
    changed
        Dataset name -> ``created``, ``changed`` or ``dropped``.
    """

    number: int
    transaction: str
    created: str
    message: str = ""
    changed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalog:
    """The datasets of a lake at one commit.

    Attributes
    ----------
    commit, entries, schedules
        What the commit says of itself, the datasets by name, the schedules by name.
    schemas
        Gives the schemas that hashes name, when a search asks for units, UCDs or descriptions; a lake's does.

    Examples
    --------
    >>> catalog = Catalog(Commit(0, "t", "2026-01-01T00:00:00Z"))
    >>> Catalog.from_json(catalog.to_json()) == catalog, len(catalog)
    (True, 0)
    """

    commit: Commit
    entries: Mapping[str, Entry] = field(default_factory=dict)
    schedules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    schemas: "Schemas | None" = field(default=None, compare=False)

    @property
    def number(self) -> int:
        """The number of this catalog."""
        return self.commit.number

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __getitem__(self, name: str) -> Entry:
        """Return the entry of a dataset.

        Raises
        ------
        DatasetNotFoundError
            With the nearest names, when there is none.
        """
        try:
            return self.entries[name]
        except KeyError:
            known = ", ".join(self.entries) or "none yet"
            raise DatasetNotFoundError(
                f"there is no dataset {name!r}",
                where=f"catalog {self.number}",
                hint=did_you_mean(name, self.entries, f"The datasets are: {known}."),
            ) from None

    def search(
        self, query: "Query | Found[Entry] | str | None" = None, /, **conditions: Unpack[Conditions]
    ) -> Found[Entry]:
        """Return the entries that fit everything asked, in the order of their names.

        Parameters
        ----------
        query
            Text, a query made by `matching`, or a search made before; with conditions, both are asked.
        **conditions
            ``text``, ``kind``, ``survey``, ``column``, ``unit``, ``ucd``, ``wavelength``, ``resolution``, ``region``
            and ``produced_by``: see `matching`.

        Raises
        ------
        QueryError, UnitError, RegionError
            If the question cannot be understood.

        Examples
        --------
        >>> lake.catalog.search("metallicity", kind="table", region="cone(190, 5, 1)").names  # doctest: +SKIP
        ('apogee', 'apogee_distances')
        >>> lake.catalog.search(unit="mas/yr") & ~lake.catalog.search(survey="gaia")  # doctest: +SKIP
        """
        return search(self.entries, query, where=f"catalog {self.number}", columns_of=self._columns_of, **conditions)

    def frame(self) -> "pl.DataFrame":
        """Return the catalog as a Polars frame, a row a dataset."""
        from hven.catalog.frame import frame

        return frame(self.entries.values())

    def __repr__(self) -> str:
        from hven.catalog.listing import as_text

        return as_text(self.__rich__())

    def __rich__(self) -> "RenderableType":
        from hven.catalog.listing import listing

        return listing(self.entries.values(), self._heading())

    def _repr_html_(self) -> str:
        from hven.catalog.html import page

        return page(self.entries.values(), self._heading())

    def _heading(self) -> str:
        many = "dataset" if len(self) == 1 else "datasets"
        return f"catalog {self.number}: {len(self)} {many}"

    def _columns_of(self, entries: Sequence[Entry]) -> Sequence[Iterable["Column"]]:
        if self.schemas is None:
            return names_only(entries)
        known = self.schemas({entry.schema for entry in entries})
        return [known[entry.schema] for entry in entries]

    def to_json(self) -> bytes:
        """Return the catalog as the text of an Intake v2 catalog (JSON, which is YAML) with relative addresses."""
        data, entries = {}, {}
        for name, entry in self.entries.items():
            datatype, reader, output = _TABLE if entry.pin.engine == "delta" else _ARRAYS
            data[f"{name}:data"] = {
                "datatype": datatype,
                "kwargs": {
                    "url": f"{{CATALOG_DIR}}/../{entry.pin.path}",
                    "version": entry.pin.version,
                    "schema": entry.schema,
                },
                "metadata": {},
                "user_parameters": {},
            }
            entries[f"{name}:reader"] = {
                "reader": reader,
                "kwargs": {"args": [f"{{data({name}:data)}}"]},
                "output_instance": output,
                "metadata": entry.to_json(),
                "user_parameters": {},
            }
        told = {
            "format": FORMAT,
            "number": self.commit.number,
            "transaction": self.commit.transaction,
            "created": self.commit.created,
            "message": self.commit.message,
            "changed": dict(self.commit.changed),
            "schedules": {name: dict(rule) for name, rule in self.schedules.items()},
        }
        document = {
            "version": 2,
            "metadata": {"hven": told},
            "user_parameters": {},
            "aliases": {name: f"{name}:reader" for name in self.entries},
            "data": data,
            "entries": entries,
        }
        return sealed(document)

    @classmethod
    def from_json(cls, text: bytes, where: str = "", schemas: "Schemas | None" = None) -> Self:
        """Return the catalog that `to_json` wrote.

        Raises
        ------
        LakeFormatError
            If the text is not such a catalog, of a format newer than this hven knows, or names data outside the lake.
        """
        try:
            document = json.loads(text)
            told = document["metadata"]["hven"]
            commit = _commit(told, where, text)
            entries = [Entry.from_json(item["metadata"]) for item in document["entries"].values()]
            for entry in entries:
                _check_inside(entry, where)
            return cls(commit, {entry.name: entry for entry in entries}, dict(told.get("schedules", {})), schemas)
        except LakeFormatError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _no_catalog(where) from error


def commit_of(text: bytes, where: str = "") -> Commit:
    """Return the commit of the catalog that `Catalog.to_json` wrote, without reading what the catalog lists.

    Raises
    ------
    LakeFormatError
        As `Catalog.from_json` does.

    Examples
    --------
    >>> catalog = Catalog(Commit(7, "t", "2026-01-01T00:00:00Z", "new stars"))
    >>> commit_of(catalog.to_json()).message
    'new stars'
    """
    if not text.startswith(BEGINNING):
        return Catalog.from_json(text, where).commit
    try:
        told, _ = json.JSONDecoder().raw_decode(text[len(BEGINNING) :].decode())
        return _commit(told["hven"], where, text)
    except LakeFormatError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_catalog(where) from error


def _commit(told: Mapping[str, Any], where: str, text: bytes) -> Commit:
    number, form = told["number"], told["format"]
    if form > FORMAT:
        raise LakeFormatError(
            f"the catalog has format {form}",
            where=where,
            expected=f"at most {FORMAT}",
            hint="Install a newer hven.",
        )
    if form != 1 and not is_whole(text):
        raise _no_catalog(where, "this catalog is damaged: it is not the text that was written")
    return Commit(number, told["transaction"], told["created"], told.get("message", ""), told.get("changed", {}))


def _no_catalog(where: str, what: str = "this is not a catalog of a lake") -> LakeFormatError:
    return LakeFormatError(
        what,
        where=where,
        hint="Restore the file from a copy of the lake; older ones open with lake.at(number). See 'hven repair'.",
    )


def _check_inside(entry: Entry, where: str) -> None:
    """Refuse an entry whose data rest elsewhere: a lake from anybody must not lead to other files of this machine."""
    path = entry.pin.path
    if not path.startswith("data/") or ".." in path or "\\" in path:
        raise LakeFormatError(
            f"dataset {entry.name!r} is said to rest outside the lake, at {path!r}",
            where=where,
            expected="a path below data/",
            hint="Do not trust this lake: somebody edited its catalog. Restore the file from a copy you know.",
        )
