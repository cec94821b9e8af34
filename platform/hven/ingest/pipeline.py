"""Batch ingest: many survey files into a lake, as one commit."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from hven.errors import HvenError, ParameterError, UnreadableFileError, did_you_mean
from hven.ingest.files import AnyPath, find_files
from hven.ingest.hive_folders import Value, folder_values
from hven.ingest.intake import Intake
from hven.ingest.known_files import fingerprints, how_read, known_files, save_files
from hven.ingest.progress import shown_progress
from hven.ingest.provenance import provenance
from hven.ingest.quality_sheets import quality_sheet, save_quality
from hven.ingest.read_ahead import read_ahead
from hven.ingest.reading import Piece, label, read_pieces
from hven.ingest.reading_pace import ReadingPace
from hven.ingest.reading_processes import process_count, reading_processes
from hven.ingest.report import IngestReport
from hven.ingest.sink import Mode, Sink
from hven.ingest.survey_file import SurveyFile, files_to_read
from hven.schema import Quality, merged_quality

if TYPE_CHECKING:
    from hven.lake import Lake
    from hven.plugins import Reader


def ingest_files(
    lake: "Lake",
    paths: "AnyPath | Sequence[AnyPath]" = (),
    *,
    name: str,
    reader: "str | Reader | None" = None,
    mode: Mode = "create",
    options: Mapping[str, Any] | None = None,
    again: bool = False,
    progress: bool | None = None,
) -> IngestReport:
    r"""Read survey files into a dataset (and those that belong to it) as one commit, and return what came of it.

    Columns get canonical names and units, bad values become null, objects get an ``object_id`` and are ordered on the
    sky. Batches are written as they come. A file that cannot be read to its end is set aside with its reason: nothing
    of it goes in, the rest does. A file whose bytes are in the dataset already is skipped; without anything new there
    is no commit.

    Parameters
    ----------
    lake
        Where to.
    paths
        Files, folders or glob patterns; none for a reader that finds its file by itself.
    name
        Of the dataset of objects; what else the reader brings is called ``<name>_<part>``.
    reader
        By default the one that claims a file most definitely.
    mode
        ``create`` a dataset, or ``replace`` it whole. ``append`` adds rows to one; those of a file that has changed
        since it was read take the place of its earlier ones. ``upsert`` lets rows of objects that are there, by the
        dataset's identity, take the place of the earlier ones under the same ``object_id``, and adds the others.
    options
        Of the reader; if all are texts, as from a command line, they are understood as such.
    again
        Read files that are in the dataset already again; their rows take the place of the earlier ones.
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
    options = dict(options or {})
    found = find_files(paths, chosen)
    named, folders = found.files, folder_values(found.files)
    with shown_progress(len(named) + 1, progress) as tell, lake.transaction(_message(name, mode, named)) as tx:
        tell("looking for files that are known", False)
        prints, how = fingerprints(named, folders), how_read(options)
        if mode == "create" and name in lake:
            known, _ = known_files(lake, lake[name].entry)
            skipped = files_to_read(named, prints, how, known, again=again).skipped
            if len(skipped) == len(named):
                return _nothing_new(name, skipped)
        sink = Sink(lake, tx, name, mode)
        sink.begin()
        known, number = known_files(lake, sink.entry)
        files = files_to_read(named, prints, how, known, number, again=again, replaces=mode == "append")
        intake = Intake(sink)
        count = process_count(len(files.new), chosen, options, plugins())
        pace = ReadingPace(files.new)
        with reading_processes(count, chosen, options, folders, plugins(), pace) as processes:
            reads: list[Callable[[SurveyFile], Iterator[Piece]]] = [pace.measured(_reading(chosen, options, folders))]
            reads += processes
            with closing(read_ahead(files.new, reads, stop=[one.close for one in processes])) as ahead:
                for file, piece in ahead:
                    tell(f"reading {label(file.path)}", isinstance(piece, Exception) or piece is None)
                    intake.take(file, piece)
        tell(f"writing {name}", False)
        intake.flush()
        if intake.texts is None:
            if not files.skipped:
                raise _nothing_read(intake.set_aside)
            return _nothing_new(name, files.skipped, intake.set_aside)
        if mode == "replace" and name in lake:
            _drop_parts(sink)
        sink.settle()
        gone = [number for file in intake.read for number in file.replaces]
        lists = save_files(lake, sink.entry, [intake.known(file, how) for file in intake.read if file.print], gone)
        sheet = sink.quality
        kept = {"file_lists": lists, "quality": _keep_quality(lake, sink, sheet)}
        _describe(sink, intake, provenance(intake.read, intake.readers, options, intake.set_aside), kept)
        tell(f"writing {name}", True)
    return IngestReport(
        tuple(sink.names.values()),
        sink.rows,
        tuple(label(file.path) for file in intake.read),
        tuple(intake.set_aside),
        sink.nulls,
        sum(written.repeats for written in sink.written),
        (*found.notes, *intake.notes, *sheet.notes(), *intake.closing_notes(files.skipped)),
        tx.commit_number,
        skipped=tuple(map(label, files.skipped)),
        replaced=tuple(label(file.path) for file in intake.read if file.replaces),
        overlaps=sum(written.overlaps for written in sink.written),
    )


def _reading(
    reader: "Reader | None", options: Mapping[str, Any], folders: Mapping[str, Mapping[str, Value]]
) -> Callable[[SurveyFile], Iterator[Piece]]:
    def read(file: SurveyFile) -> Iterator[Piece]:
        return read_pieces(file.path, reader, options, folders.get(file.path or ""))

    return read


def _describe(sink: Sink, intake: Intake, told: dict[str, Any], kept: dict[str, Any]) -> None:
    texts = intake.texts
    assert texts is not None  # noqa: S101 - something was read
    for part, dataset in sink.names.items():
        if sink.adds:
            before = sink.tx.entry(dataset).provenance  # type: ignore[union-attr]
            more = {"appended": [*before.get("appended", ()), told][-20:]}
            if not part:
                more |= kept
            sink.tx.describe(dataset, provenance={**before, **more})
            continue
        title = f"{texts.title}: {part.replace('_', ' ')}" if part and texts.title else texts.title
        sink.tx.describe(
            dataset,
            title=title,
            survey=texts.survey,
            description=texts.description,
            citation=texts.citation,
            provenance=told if part else {**told, **kept, "parts": [p for p in sink.names if p]},
            identity=intake.identity,
        )


def _drop_parts(sink: Sink) -> None:
    """Drop what the dataset that is replaced had beside the table, and the new one has not."""
    for part in sink.lake[sink.name].entry.provenance.get("parts", ()):
        dataset = f"{sink.name}_{part}"
        if part not in sink.names and dataset in sink.lake:
            sink.tx.drop(dataset)


def _keep_quality(lake: "Lake", sink: Sink, sheet: Quality) -> str:
    """Keep the quality sheet of the dataset as it is now, and return its name; none when rows go that it counts."""
    if sink.entry is None:
        return save_quality(lake, sheet)
    before = None if sink.removes else quality_sheet(lake, sink.entry)
    return "" if before is None else save_quality(lake, merged_quality([before, sheet]))


def _nothing_new(
    name: str, skipped: Sequence[str | None], set_aside: Sequence[tuple[str, HvenError]] = ()
) -> IngestReport:
    return IngestReport((name,), 0, set_aside=tuple(set_aside), skipped=tuple(map(label, skipped)))


def _nothing_read(set_aside: Sequence[tuple[str, HvenError]]) -> HvenError:
    (name, first), *others = set_aside
    if not others:
        return first
    return UnreadableFileError(
        f"none of the {len(set_aside)} files could be read; the first because {first.what}",
        where=name,
        expected=first.expected,
        hint=first.hint,
    )


def _message(name: str, mode: Mode, files: Sequence[str | None]) -> str:
    verb = {"create": "ingest", "append": "append to", "upsert": "upsert", "replace": "replace"}[mode]
    return f"{verb} {name}: {f'{len(files)} files' if len(files) > 1 else Path(label(files[0])).name}"
