"""The intake of an ingest: rows wait here until there are enough for a segment; a file that fails leaves no trace."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hven.errors import (
    ConflictError,
    HvenError,
    LakeFormatError,
    NameRefusedError,
    ParameterError,
    ReadOnlyError,
    StorageError,
)
from hven.ingest.known_files import KnownFile
from hven.ingest.reading import Piece, Texts, label, placed
from hven.schema import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hven.ingest.known_ids import KnownIds
    from hven.ingest.normalise import Rows
    from hven.ingest.sink import Sink
    from hven.ingest.survey_file import SurveyFile

SEGMENT_BYTES = 64 * 2**20
"""Rows are put together in memory up to about this size, and then written as one segment."""

_NOT_THE_FILES_FAULT = (
    *(ConflictError, LakeFormatError, NameRefusedError, ParameterError, ReadOnlyError, StorageError),
    *(OSError, MemoryError),
)


@dataclass
class _Life:
    """What is known of one file while the ingest lasts."""

    file: "SurveyFile"
    rows: int = 0
    notes: list[Note] = field(default_factory=list)
    state: "tuple[int, KnownIds] | None" = None
    texts: Texts | None = None
    identity: tuple[str, ...] = ()
    error: HvenError | None = None


@dataclass
class Intake:
    """Takes pieces of files in their order, and writes them into a sink.

    A file is whole or not there: when it cannot be read to its end, or its rows cannot be kept, what was written of it
    is taken back and the file is set aside.

    Attributes
    ----------
    sink
        Where the rows go.
    """

    sink: "Sink"
    _lives: dict[int, _Life] = field(default_factory=dict)
    _pending: "list[tuple[int, Rows]]" = field(default_factory=list)

    def take(self, file: "SurveyFile", piece: Piece | Exception | None) -> None:
        """Take some rows of a file; None at its end, an error when it cannot be read to its end."""
        life = self._lives.get(file.number)
        if life is None:
            life = self._lives[file.number] = _Life(file)
            if file.replaces:
                self.sink.replace_files(file.replaces)
        if life.error is not None:
            return
        if piece is None:
            if life.state is not None:
                self._close(life)
            return
        if isinstance(piece, ParameterError):
            raise piece
        if isinstance(piece, Exception):
            self._set_aside(life, piece)
            return
        try:
            rows = self.sink.take(piece.rows, piece.texts.kinds, has_identity=piece.texts.has_identity)
        except _NOT_THE_FILES_FAULT:
            raise
        except Exception as error:  # noqa: BLE001 - the border of one file: recorded whole, the others go on
            self._set_aside(life, error)
            return
        life.texts = life.texts or piece.texts
        life.identity = life.identity or (rows.identity if piece.texts.has_identity else ())
        life.rows += rows.objects.height
        life.notes += rows.notes
        self._pending.append((file.number, rows))
        if self._size() > SEGMENT_BYTES:
            self._make_room(life)

    def flush(self) -> None:
        """Write what waits as one segment."""
        waiting, self._pending = self._pending, []
        self._write(waiting)

    @property
    def read(self) -> "list[SurveyFile]":
        """The files that went in, in their order."""
        return [life.file for life in self._good]

    @property
    def set_aside(self) -> list[tuple[str, HvenError]]:
        """The files that did not go in, each with its error."""
        return [(label(life.file.path), life.error) for life in self._lives.values() if life.error is not None]

    @property
    def texts(self) -> Texts | None:
        """What the first file says of the dataset; None when no file went in."""
        return self._good[0].texts if self._good else None

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that tell objects apart; none when no file says."""
        return self._good[0].identity if self._good else ()

    @property
    def readers(self) -> list[str]:
        """The readers of the files that went in, as ``module:name``."""
        return list(dict.fromkeys(life.texts.reader for life in self._good if life.texts is not None))

    @property
    def notes(self) -> list[Note]:
        """What was done to the rows that went in, each note once."""
        return list(dict.fromkeys(note for life in self._good for note in life.notes))

    def closing_notes(self, skipped: "Sequence[str | None]") -> list[Note]:
        """Return notes on the ingest as a whole: objects that repeat, objects that were there."""
        sink, told = self.sink, []
        by = f"by {', '.join(self.identity)}" if self.identity else "by all columns"
        repeats = sum(written.repeats for written in sink.written)
        overlaps = sum(written.overlaps for written in sink.written)
        if skipped:
            what = "1 file is" if len(skipped) == 1 else f"{len(skipped):,} files are"
            told.append(Note(f"{what} in the dataset already: skipped"))
        if repeats:
            told.append(Note(f"{repeats:,} of {sink.rows:,} rows repeat an object of this ingest ({by})", True))
        if overlaps and sink.mode == "append":
            text = f"{overlaps:,} of {sink.rows:,} rows say of objects that are there already ({by})"
            told.append(Note(f"{text}; mode 'upsert' replaces them", True))
        elif overlaps:
            told.append(Note(f"{overlaps:,} of {sink.rows:,} rows replace those of objects that were there ({by})"))
        return told

    def known(self, file: "SurveyFile", how: str) -> KnownFile:
        """Return what the dataset keeps of a file that went in."""
        mark = file.print
        assert mark is not None  # noqa: S101 - only files here are kept
        rows = self._lives[file.number].rows
        return KnownFile(file.number, mark.name, mark.place, how, mark.sha256, mark.bytes, rows)

    # ------------------------------------------------------------------ parts of the above

    @property
    def _good(self) -> list[_Life]:
        return [life for life in self._lives.values() if life.error is None and life.rows]

    def _size(self) -> int:
        return sum(rows.nbytes for _, rows in self._pending)

    def _make_room(self, life: _Life) -> None:
        """Write the files that are whole; if that was not much, also what has come of this one."""
        number = life.file.number
        whole = [one for one in self._pending if one[0] != number]
        self._pending = [one for one in self._pending if one[0] == number]
        self._write(whole)
        if self._size() > SEGMENT_BYTES:
            life.state = life.state or self.sink.state()
            self.flush()

    def _close(self, life: _Life) -> None:
        """Write the rest of a file of which segments were written, so that it is whole, and cannot fail any more."""
        self.flush()
        life.state = None

    def _write(self, waiting: "list[tuple[int, Rows]]") -> None:
        """Write rows as one segment; when they cannot be kept, find the files that are to blame, and set them aside."""
        waiting[:] = [one for one in waiting if self._lives[one[0]].error is None]
        numbers = list(dict.fromkeys(number for number, _ in waiting))
        if not numbers:
            return
        try:
            # Rows of one file are given away; those of several may have to be written again without some.
            self.sink.write(waiting if len(numbers) == 1 else [*waiting])
        except _NOT_THE_FILES_FAULT:
            raise
        except Exception as error:  # noqa: BLE001 - the border of one file: recorded whole, the others go on
            if len(numbers) == 1:
                self._set_aside(self._lives[numbers[0]], error)
                return
            half = set(numbers[: len(numbers) // 2])
            self._write([one for one in waiting if one[0] in half])
            self._write([one for one in waiting if one[0] not in half])

    def _set_aside(self, life: _Life, error: Exception) -> None:
        life.error = placed(error, life.file.path)
        if life.state is not None:
            self.sink.go_back(life.state)
            life.state = None
        self._pending = [one for one in self._pending if one[0] != life.file.number]
        self.sink.keep_files(life.file.replaces)
