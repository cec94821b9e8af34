"""What a file is, who reads it, and how its first rows would be kept: looked at before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hven.errors import HvenError, UnreadableFileError
from hven.ingest.files import AnyPath, find_files
from hven.ingest.hive_folders import folder_values, with_folder_values
from hven.ingest.normalise import normalise
from hven.plugins import local_file
from hven.plugins.archives import MEMBER
from hven.plugins.claims import Explanation
from hven.schema import Column, Note

if TYPE_CHECKING:
    import polars as pl

    from hven.plugins import Reader


@dataclass(frozen=True)
class ExplainedFile:
    """What a file is and what would become of it.

    Attributes
    ----------
    explanation
        Who claims the file, and why.
    reader
        Who reads it; empty when nobody does.
    columns
        Its columns as they would be kept, with units and types.
    rows
        The first rows as they would be kept; None when it is not read.
    parts
        What else would be kept beside the rows, with its size by dimension.
    notes
        What would be renamed, converted, assumed or left out.
    error
        Why it is refused.
    """

    explanation: Explanation
    reader: str = ""
    columns: tuple[Column, ...] = ()
    rows: "pl.DataFrame | None" = field(default=None, compare=False)
    parts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    error: HvenError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as plain JSON values."""
        return {
            **self.explanation.to_json(),
            "reader": self.reader or None,
            "columns": [
                {"name": one.name, "type": one.dtype, "unit": one.unit, "description": one.description}
                for one in self.columns
            ],
            "rows": [] if self.rows is None else self.rows.to_dicts(),
            "parts": {name: dict(sizes) for name, sizes in self.parts.items()},
            "notes": [note.to_json() for note in self.notes],
            "error": None if self.error is None else self.error.to_json(),
        }


def explain_files(
    paths: AnyPath | Sequence[AnyPath],
    *,
    reader: "str | Reader | None" = None,
    options: Mapping[str, Any] | None = None,
    rows: int = 5,
) -> list[ExplainedFile]:
    r"""Return what files are, which readers claim them, and how their first rows would be kept; nothing is written.

    Parameters
    ----------
    paths
        Files, folders or glob patterns.
    reader
        Who is to read them; by default who claims a file most specifically.
    options
        Of the reader; if all are texts, as from a command line, they are understood as such.
    rows
        How many of the first rows.

    Raises
    ------
    UnreadableFileError
        If there are no such files.
    ReaderNotFoundError, ParameterError
        If there is no such reader, or it has no such option.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "stars.dat"
    >>> _ = file.write_text("# id ra dec Teff\n1 10.5 41.2 4800\n2 10.6 41.3 5100\n")
    >>> [explained] = explain_files(file)
    >>> explained.reader, [column.name for column in explained.columns]
    ('csv', ['id', 'ra', 'dec', 'teff'])
    """
    from hven.plugins import plugins

    chosen = plugins().reader(reader) if isinstance(reader, str) else reader
    files = [file for file in find_files(paths, chosen).files if file is not None]
    folders = folder_values(files)
    return [_explained(file, chosen, dict(options or {}), folders.get(file, {}), rows) for file in files]


def _explained(
    path: str, chosen: "Reader | None", options: dict[str, Any], folders: Mapping[str, Any], rows: int
) -> ExplainedFile:
    from hven.plugins import plugins

    if not Path(path.partition(MEMBER)[0]).exists():
        raise UnreadableFileError("there is no such file", where=path, hint="Correct the path.")
    try:
        explanation = plugins().explain(path)
    except HvenError as error:
        return ExplainedFile(Explanation(path), error=error)
    try:
        used = chosen or plugins().reader_for(path)
    except HvenError as error:
        return ExplainedFile(explanation, error=error)
    if options and all(isinstance(value, str) for value in options.values()):
        options = used.parse_texts(options)
    try:
        with local_file(path) as local:
            batch = next((batch for batch in used(local, **options) if batch.rows), None)
            if batch is None:
                raise UnreadableFileError("the file has no rows", where=path, hint="Leave it out.")  # noqa: TRY301
            kept = normalise(with_folder_values(batch, folders) if folders else batch)
    except HvenError as error:
        return ExplainedFile(explanation, used.name, error=error)
    except Exception as error:  # noqa: BLE001 - the border of one file, as in an ingest: the error is shown
        text = f"the file cannot be read: {type(error).__name__}: {error}"
        refused = UnreadableFileError(text.partition("\n")[0], where=path, hint="Choose another reader.")
        return ExplainedFile(explanation, used.name, error=refused)
    shown = kept.objects.drop("_healpix_29", strict=False)
    columns = tuple(_typed(name, kept.columns, str(dtype)) for name, dtype in shown.schema.items())
    parts = {name: _sizes(part) for name, part in kept.parts.items()}
    notes = tuple(dict.fromkeys([*batch.notes, *kept.notes]))
    return ExplainedFile(explanation, used.name, columns, shown.head(rows), parts, notes)


def _typed(name: str, columns: Mapping[str, Column], dtype: str) -> Column:
    known = columns.get(name, Column(name, ""))
    return Column(name, dtype.lower(), known.dims, known.unit, known.description, known.ucd)


def _sizes(part: Any) -> dict[str, int]:
    if hasattr(part, "sizes"):
        return {str(name): int(size) for name, size in part.sizes.items()}
    return {"object": int(part.height)}
