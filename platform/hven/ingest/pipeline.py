"""Batch ingest: many survey files into a lake, as one commit."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from hven.errors import HvenError, ParameterError, UnreadableFileError, did_you_mean
from hven.ingest.files import AnyPath, find_files
from hven.ingest.hive_folders import Value, folder_values, with_folder_values
from hven.ingest.merging import fitted, merged
from hven.ingest.normalise import Rows, normalise
from hven.ingest.progress import shown_progress
from hven.ingest.provenance import provenance
from hven.ingest.report import IngestReport
from hven.ingest.sink import Mode, Sink
from hven.schema import Note

if TYPE_CHECKING:
    from hven.lake import Lake
    from hven.plugins import Batch, Reader

SEGMENT_BYTES = 2**30
"""Rows are put together in memory up to this size, and then written as one segment."""


def ingest_files(
    lake: "Lake",
    paths: "AnyPath | Sequence[AnyPath]" = (),
    *,
    name: str,
    reader: "str | Reader | None" = None,
    mode: Mode = "create",
    options: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> IngestReport:
    r"""Read survey files into a dataset (and those that belong to it) as one commit, and return what came of it.

    Columns get canonical names and units, bad values become null, objects get an ``object_id`` and are ordered on the
    sky. A file that cannot be read is set aside with its reason, and the rest goes in.

    Parameters
    ----------
    lake
        Where to.
    paths
        Files, folders or glob patterns; none for a reader that finds its file by itself.
    name
        Of the dataset of objects; what else the reader brings is called ``<name>_<part>``.
    reader
        By default the one whose pattern fits a file's name best.
    mode
        ``create`` a dataset, ``append`` to one, or ``replace`` it whole.
    options
        Of the reader; if all are texts, as from a command line, they are understood as such.
    progress
        Whether to show a bar on stderr; by default when it is a terminal.

    Raises
    ------
    NameRefusedError, DatasetNotFoundError
        If the name cannot be kept, is taken, or (to append) is not there.
    ReaderNotFoundError, ParameterError
        If there is no such reader, or it has no such option.
    UnreadableFileError
        If nothing could be read; the lake is as before.

    Examples
    --------
    >>> import hven, tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "stars.csv").write_text("source_id,ra,dec\n7,10,20\n")
    >>> lake = hven.create(folder / "lake")
    >>> report = hven.ingest_files(lake, folder / "stars.csv", name="stars", progress=False)
    >>> report.rows, lake["stars"].table(["source_id", "ra"]).collect().rows()
    (1, [(7, 10.0)])
    """
    from hven.plugins import plugins

    if mode not in get_args(Mode):
        raise ParameterError(
            f"mode is {mode!r}",
            expected=" or ".join(map(repr, get_args(Mode))),
            hint=did_you_mean(str(mode), get_args(Mode), "Choose one."),
        )
    chosen = plugins().reader(reader) if isinstance(reader, str) else reader
    found = find_files(paths, chosen)
    files = found.files
    gathered = _Gathered(chosen, dict(options or {}), folder_values(files), notes=list(found.notes))
    with shown_progress(len(files) + 1, progress) as tell, lake.transaction(_message(name, mode, files)) as tx:
        sink = Sink(lake, tx, name, mode)
        sink.check([name])
        for path in files:
            tell(f"reading {_label(path)}", False)
            gathered.take(path, sink)
            tell(f"reading {_label(path)}", True)
        if gathered.first is None:
            raise _nothing_read(gathered.set_aside)
        tell(f"writing {name}", False)
        gathered.flush(sink)
        _describe(sink, gathered, gathered.first)
        tell(f"writing {name}", True)
    return IngestReport(
        tuple(sink.names.values()),
        sink.rows,
        tuple(_label(path) for path in gathered.read),
        tuple(gathered.set_aside),
        {column: count for column, count in sink.nulls.items() if count},
        sink.repeats,
        tuple(dict.fromkeys(gathered.notes)),
        tx.commit_number,
    )


@dataclass
class _Gathered:
    """The files that were read, those that were set aside, and the rows that are not written yet."""

    reader: "Reader | None"
    options: dict[str, Any]
    folders: dict[str, dict[str, Value]] = field(default_factory=dict)
    pending: list[Rows] = field(default_factory=list)
    readers: "dict[str, Reader]" = field(default_factory=dict)
    read: list[str | None] = field(default_factory=list)
    first: "Batch | None" = None
    kinds: dict[str, str] = field(default_factory=dict)
    set_aside: list[tuple[str, HvenError]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def take(self, path: str | None, sink: Sink) -> None:
        """Read one file whole; an error in it sets it aside."""
        from hven.plugins import local_file, plugins

        local = path
        try:
            with nullcontext(path) if path is None else local_file(path) as local:
                reader = self.reader or plugins().reader_for(local)
                batches = _batches(local, reader, self.options)
                if path in self.folders:
                    batches = [with_folder_values(batch, self.folders[path]) for batch in batches]
                rows = self._fitting([normalise(batch) for batch in batches], sink)
        except ParameterError:
            raise
        except HvenError as error:
            self.set_aside.append((_label(path), _placed(error, path, local)))
            return
        except Exception as error:  # noqa: BLE001 - the border of one file: recorded whole, the others go on
            self.set_aside.append((_label(path), _unforeseen(error, path)))
            return
        self.first, self.kinds = self.first or batches[0], self.kinds or dict(reader.produces)
        self.readers[reader.name] = reader
        self.read.append(path)
        self.notes += rows.notes
        self.notes += [note for batch in batches for note in batch.notes]
        self.pending.append(rows)
        if sum(one.nbytes for one in self.pending) > SEGMENT_BYTES:
            self.flush(sink)

    def _fitting(self, batches: list[Rows], sink: Sink) -> Rows:
        """Return the batches of one file as one that fits what is written and what is pending."""
        first, *others = batches
        rows = merged([first, *(fitted(batch, first) for batch in others)])
        written = sink.expects(rows)
        if written is not None:
            return fitted(rows, written, is_written=True)
        if self.pending:
            rows = fitted(rows, self.pending[0])
            self.pending = [fitted(before, rows) for before in self.pending]
        return rows

    def flush(self, sink: Sink) -> None:
        """Write what is pending as one segment."""
        if self.pending:
            sink.write(merged(self.pending), self.kinds)
            self.pending = []


def _batches(path: str | None, reader: "Reader", options: Mapping[str, Any]) -> "list[Batch]":
    """Return the batches of a file; texts among the options are understood as from a command line."""
    if path is not None and "://" not in path and not Path(path).exists():
        raise UnreadableFileError("there is no such file", where=path, hint="Correct the path.")
    if options and all(isinstance(value, str) for value in options.values()):
        options = reader.parse_texts(options)
    batches = [batch for batch in reader(path, **options) if batch.rows]
    if not batches:
        raise UnreadableFileError("the file has no rows", where=_label(path), hint="Leave it out.")
    return batches


def _describe(sink: Sink, gathered: _Gathered, batch: "Batch") -> None:
    told = provenance(gathered.read, list(gathered.readers.values()), gathered.options, gathered.set_aside)
    for part, dataset in sink.names.items():
        if sink.mode == "append":
            before = sink.lake[dataset].entry.provenance
            sink.tx.describe(dataset, provenance={**before, "appended": [*before.get("appended", ()), told][-20:]})
            continue
        title = f"{batch.title}: {part.replace('_', ' ')}" if part and batch.title else batch.title
        sink.tx.describe(
            dataset,
            title=title,
            survey=batch.survey,
            description=batch.description,
            citation=batch.citation,
            provenance=told,
            identity=sink.like.identity if sink.like is not None and batch.identity else (),
        )


def _nothing_read(set_aside: list[tuple[str, HvenError]]) -> HvenError:
    (name, first), *others = set_aside
    if not others:
        return first
    return UnreadableFileError(
        f"none of the {len(set_aside)} files could be read; the first because {first.what}",
        where=name,
        expected=first.expected,
        hint=first.hint,
    )


def _placed(error: HvenError, path: str | None, local: str | None = None) -> HvenError:
    """Return an error that says in which file it happened; `local` is where its content was expanded to."""
    said, hint = error.where, error.hint
    if path is not None and local is not None and local != path:
        said, hint = said.replace(local, path), hint.replace(local, path)
    if path is None or (path in error.where and said == error.where):
        return error
    where = said if path in said else f"{path}, {said}" if said else path
    placed = type(error)(error.what, where=where, expected=error.expected, hint=hint)
    placed.__cause__ = error
    return placed


def _unforeseen(error: Exception, path: str | None) -> HvenError:
    text = str(error).strip().split("\n")[0]
    refused = UnreadableFileError(
        f"the file cannot be read: {type(error).__name__}{f': {text}' if text else ''}",
        where=_label(path),
        hint="Open it with other software to see whether it is whole, or choose another reader.",
    )
    refused.__cause__ = error
    return refused


def _message(name: str, mode: Mode, files: Sequence[str | None]) -> str:
    verb = {"create": "ingest", "append": "append to", "replace": "replace"}[mode]
    return f"{verb} {name}: {f'{len(files)} files' if len(files) > 1 else Path(_label(files[0])).name}"


def _label(path: str | None) -> str:
    return "the reader's own file" if path is None else path
