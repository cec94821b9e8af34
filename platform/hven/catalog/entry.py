"""An entry of a catalog: one dataset, pinned, and what people want to know of it before opening it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

Engine = Literal["delta", "icechunk"]


@dataclass(frozen=True)
class Pin:
    """Where a dataset rests, relative to the lake, and which version of it is meant.

    Attributes
    ----------
    engine
        ``delta`` for tables, ``icechunk`` for arrays.
    path
        ``data/<name>/<id>/table`` or ``…/arrays``.
    version
        The Delta version number, or the Icechunk snapshot id.
    """

    engine: Engine
    path: str
    version: int | str


@dataclass(frozen=True)
class Counts:
    """How much there is: rows (objects), bytes as stored, and segments."""

    rows: int = 0
    bytes: int = 0
    segments: int = 0


@dataclass(frozen=True)
class Entry:
    """One dataset at one commit.

    Attributes
    ----------
    name, kind, pin, counts
        What it is called, its kind, where it rests, how much there is.
    schema
        SHA-256 of its columns (``schemas/<sha256>.json``).
    columns
        The columns' names, so that a search needs no other file.
    units
        The different units of the columns, ``""`` for none, for the same reason; None in catalogs written before.
    survey, title, description, citation
        Texts for people; `citation` lists what to cite.
    coverage
        A MOC as text (``6/0-100 …``), or empty when there are no positions.
    wavelength
        Shortest and longest wavelength in Angstrom, or None.
    resolution
        Lowest and highest resolving power (wavelength over the width resolved), or None.
    provenance
        How it came to be: run, analysis, parameters, selections, reader, versions.
    identity
        The columns from which object ids are made at ingest.
    same_as
        Older versions of the pin that hold the very same objects: those of before a compaction.
    created, changed
        The catalog numbers at which it was made and last changed.
    """

    name: str
    kind: str
    pin: Pin
    schema: str
    counts: Counts = Counts()
    columns: tuple[str, ...] = ()
    units: tuple[str, ...] | None = None
    survey: str = ""
    title: str = ""
    description: str = ""
    citation: tuple[str, ...] = ()
    coverage: str = ""
    wavelength: tuple[float, float] | None = None
    resolution: tuple[float, float] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    identity: tuple[str, ...] = ()
    same_as: tuple[int | str, ...] = ()
    created: int = 0
    changed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the entry as plain JSON values, empty ones left out."""
        told = {key: getattr(self, key) for key in _FIELDS}
        told |= {"pin": dict(vars(self.pin)), "counts": dict(vars(self.counts)), "provenance": dict(self.provenance)}
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in told.items()
            if value not in ("", (), {}, None) or (key == "units" and value is not None)
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the entry that `to_json` wrote; keys of a newer hven are passed over."""
        told = {key: value for key, value in values.items() if key in _FIELDS}
        told["pin"] = Pin(**told["pin"])
        told["counts"] = Counts(**told.get("counts", {}))
        for name in _TUPLES:
            if told.get(name) is not None:
                told[name] = tuple(told[name])
        return cls(**told)


_FIELDS = tuple(field.name for field in fields(Entry))
_TUPLES = ("columns", "units", "citation", "identity", "same_as", "wavelength", "resolution")
