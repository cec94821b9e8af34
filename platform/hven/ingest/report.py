"""What came of an ingest: how much went in, what was set aside, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hven.errors import HvenError
from hven.schema import Note


@dataclass(frozen=True)
class IngestReport:
    """What came of an ingest.

    Attributes
    ----------
    datasets
        The datasets that were written, the table of objects first.
    rows
        How many objects went in.
    files
        The files they came from.
    set_aside
        The files that could not be read, each with its error.
    sentinels
        How many values are null, by column: missing in the file, NaN, or marked as bad; only columns that have any.
    repeats
        How many rows say of the same object (by `identity`) what another row of this ingest says of it already.
    notes
        What was renamed, converted, assumed or left out; some need attention.
    commit
        The catalog number; None when there was nothing new.
    skipped
        Files whose bytes are in the dataset already.
    replaced
        Files that had changed: their rows took the place of the earlier ones.
    overlaps
        How many rows say of objects (by `identity`) that were in the dataset already.
    """

    datasets: tuple[str, ...]
    rows: int
    files: tuple[str, ...] = ()
    set_aside: tuple[tuple[str, HvenError], ...] = ()
    sentinels: Mapping[str, int] = field(default_factory=dict)
    repeats: int = 0
    notes: tuple[Note, ...] = ()
    commit: int | None = None
    skipped: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    overlaps: int = 0

    @property
    def attention(self) -> tuple[Note, ...]:
        """The notes that a person should look at."""
        return tuple(note for note in self.notes if note.needs_attention)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values.

        Examples
        --------
        >>> IngestReport(("stars",), 2, commit=1).to_json()["rows"]
        2
        """
        return {
            "datasets": list(self.datasets),
            "rows": self.rows,
            "files": list(self.files),
            "set_aside": [{"file": name, **error.to_json()} for name, error in self.set_aside],
            "sentinels": dict(self.sentinels),
            "repeats": self.repeats,
            "notes": [note.to_json() for note in self.notes],
            "attention": [str(note) for note in self.attention],
            "commit": self.commit,
            "skipped": list(self.skipped),
            "replaced": list(self.replaced),
            "overlaps": self.overlaps,
        }
