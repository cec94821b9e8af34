"""Reading: one survey file, piece by piece, in hven's own words."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hven.errors import HvenError, ParameterError, UnreadableFileError
from hven.ingest.hive_folders import with_folder_values
from hven.ingest.normalise import Rows, normalise

if TYPE_CHECKING:
    from hven.ingest.hive_folders import Value
    from hven.plugins import Batch, Reader


@dataclass(frozen=True)
class Texts:
    """What a file says of the dataset as a whole.

    Attributes
    ----------
    reader
        The reader, as ``module:name``.
    kinds
        The kinds of its parts.
    survey, title, description, citation
        For the catalog.
    has_identity
        Whether it names the columns that tell objects apart; otherwise all columns do.
    """

    reader: str
    kinds: Mapping[str, str]
    survey: str = ""
    title: str = ""
    description: str = ""
    citation: tuple[str, ...] = ()
    has_identity: bool = False


@dataclass(frozen=True)
class Piece:
    """Some rows of a file, and what the file says of the whole."""

    rows: Rows
    texts: Texts

    @property
    def nbytes(self) -> int:
        """Its size in memory, about."""
        return self.rows.nbytes


def read_pieces(
    path: str | None, reader: "Reader | None", options: Mapping[str, Any], folders: "Mapping[str, Value] | None" = None
) -> Generator[Piece, None, None]:
    """Give the rows of a file, as many at a time as its reader hands on.

    Parameters
    ----------
    path
        The file; None for a reader that finds its file by itself.
    reader
        By default the one that claims the file.
    options
        Of the reader; if all are texts, as from a command line, they are understood as such.
    folders
        Values that the names of its folders carry.

    Raises
    ------
    UnreadableFileError
        If the file is not there or has no rows.
    HvenError
        What the reader says, with the file's name.
    """
    from hven.plugins import local_file

    local = path
    try:
        with nullcontext(path) if path is None else local_file(path) as local:
            yield from _pieces(path, local, reader, options, folders or {})
    except (ParameterError, GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # panics of Polars are no exceptions by their class
        known = placed(error, path, local)
        if known is error:
            raise
        raise known from error


def _pieces(
    path: str | None,
    local: str | None,
    reader: "Reader | None",
    options: Mapping[str, Any],
    folders: "Mapping[str, Value]",
) -> Iterator[Piece]:
    from hven.plugins import plugins

    if local is not None and "://" not in local and not Path(local).exists():
        raise UnreadableFileError("there is no such file", where=path or "", hint="Correct the path.")
    chosen = reader or plugins().reader_for(local)
    if options and all(isinstance(value, str) for value in options.values()):
        options = chosen.parse_texts(options)
    count = 0
    for batch in chosen(local, **options):
        if batch.rows:
            whole = with_folder_values(batch, folders) if folders else batch
            rows = normalise(whole, count)
            count += batch.rows
            yield Piece(replace(rows, notes=(*rows.notes, *whole.notes)), _texts(chosen, batch))
    if not count:
        raise UnreadableFileError("the file has no rows", where=label(path), hint="Leave it out.")


def label(path: str | None) -> str:
    """Return what a file is called in messages."""
    return "the reader's own file" if path is None else path


def placed(error: BaseException, path: str | None, local: str | None = None) -> HvenError:
    """Return an error of hven's that says in which file it happened; what nobody foresaw becomes one.

    Where the content of the file was expanded to (`local`) is not where people look for it.
    """
    if not isinstance(error, HvenError):
        return _unforeseen(error, path)
    said, hint = error.where, error.hint
    if path is not None and local is not None and local != path:
        said, hint = said.replace(local, path), hint.replace(local, path)
    if path is None or (path in error.where and said == error.where):
        return error
    where = said if path in said else f"{path}, {said}" if said else path
    copied = type(error)(error.what, where=where, expected=error.expected, hint=hint)
    copied.__cause__ = error
    return copied


def _unforeseen(error: BaseException, path: str | None) -> HvenError:
    text = str(error).strip().split("\n")[0]
    refused = UnreadableFileError(
        f"the file cannot be read: {type(error).__name__}{f': {text}' if text else ''}",
        where=label(path),
        hint="Open it with other software to see whether it is whole, or choose another reader.",
    )
    refused.__cause__ = error
    return refused


def _texts(reader: "Reader", batch: "Batch") -> Texts:
    return Texts(
        f"{reader.function.__module__}:{reader.name}",
        dict(reader.produces),
        batch.survey,
        batch.title,
        batch.description,
        tuple(batch.citation),
        bool(batch.identity),
    )
