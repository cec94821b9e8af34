"""The survey files of a pipeline: what is new among them, taken in before the first step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hven.compute.pipelines.pipeline import Intake, Pipeline
from hven.errors import UnreadableFileError
from hven.lake import Lake

if TYPE_CHECKING:
    from hven.ingest import IngestReport


@dataclass
class TakenIn:
    """What was ingested before the first step.

    Attributes
    ----------
    reports
        Of the ingests that wrote something.
    problems
        What a person has to look at, one sentence each: files that could not be read.
    """

    reports: "list[IngestReport]" = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def new_files(lake: Lake, intake: Intake) -> int:
    """Return how many files would be taken in: all of a dataset that is not there, new and changed ones else.

    A dataset whose files are not known (it was not ingested, or long ago) stays as it is.

    Raises
    ------
    HvenError
        If the dataset is not there, and neither are its files.
    """
    from hven.ingest.files import find_files
    from hven.ingest.hive_folders import folder_values
    from hven.ingest.known_files import fingerprints, how_read, known_files
    from hven.ingest.survey_file import files_to_read
    from hven.plugins import plugins

    reader = plugins().reader(intake.reader) if intake.reader else None
    if intake.name not in lake:
        return len(find_files(intake.files, reader).files)
    known, number = known_files(lake, lake[intake.name].entry)
    if not known or not intake.files:
        return 0
    try:
        paths = find_files(intake.files, reader).files
    except UnreadableFileError:
        return 0  # The files of earlier nights may have been moved away.
    prints = fingerprints(paths, folder_values(paths))
    return len(files_to_read(paths, prints, how_read(intake.options), known, number, replaces=True).new)


def take_in(lake: Lake, pipeline: Pipeline, progress: bool | None, tell: Callable[[str], None]) -> TakenIn:
    """Ingest what is new of the survey files of a pipeline.

    Parameters
    ----------
    lake, pipeline
        What goes where.
    progress
        As `hven.ingest_files` takes it.
    tell
        Is told in words what happens.

    Raises
    ------
    HvenError
        If a dataset that is not there cannot be ingested.
    """
    taken = TakenIn()
    for intake in pipeline.ingest:
        count = new_files(lake, intake)
        if not count:
            tell(f"{intake.name}: no new files")
            continue
        tell(f"{intake.name}: reading {count:,} survey file{'s' if count > 1 else ''} ...")
        try:
            report = _ingested(lake, intake, progress)
        except UnreadableFileError as error:
            if intake.name not in lake:
                raise
            taken.problems.append(f"{intake.name}: none of {count:,} new files could be read: {error.what}")
            tell(taken.problems[-1])
            continue
        for problem in _problems(intake, report):
            taken.problems.append(problem)
            tell(problem)
        if report.commit is not None:
            tell(f"{intake.name}: {_summary(report)}")
            taken.reports.append(report)
    return taken


def _ingested(lake: Lake, intake: Intake, progress: bool | None) -> "IngestReport":
    from hven.ingest import ingest_files

    how = {"reader": intake.reader or None, "options": intake.options, "progress": progress}
    mode = "append" if intake.name in lake else "create"
    return ingest_files(lake, intake.files, name=intake.name, mode=mode, **how)  # type: ignore[arg-type]


def _problems(intake: Intake, report: "IngestReport") -> Iterator[str]:
    for file, error in report.set_aside:
        yield f"{intake.name}: {file} could not be read: [{error.code}] {error.what}"


def _summary(report: "IngestReport") -> str:
    words = [f"ingested, {report.rows:,} objects in {', '.join(report.datasets)}"]
    if report.replaced:
        words.append(f"the rows of {len(report.replaced):,} files that had changed were replaced")
    if report.skipped:
        words.append(f"{len(report.skipped):,} files were known")
    return "; ".join(words)
