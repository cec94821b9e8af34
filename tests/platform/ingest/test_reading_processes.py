"""Reading processes: the same goes in whatever their number; one that is killed is an error of its file alone."""

import os
import signal
from contextlib import closing
from pathlib import Path
from threading import Thread

import polars as pl
import pytest

import hven
from hven.errors import ParameterError
from hven.ingest import pipeline, reading_pace, reading_processes
from hven.ingest.known_files import Print
from hven.ingest.read_ahead import read_ahead
from hven.ingest.survey_file import SurveyFile
from hven.plugins import Batch, plugins

FILES = 40


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    for number in range(FILES):
        ids = range(number * 5, number * 5 + 5)
        lines = [f"{n},{n * 7 % 360},{n % 90 - 45},{-9999 if n % 5 == 0 else 5000 + n}" for n in ids]
        (folder / f"{number:02d}.csv").write_text("\n".join(["source_id,RAJ2000,DEJ2000,TEFF", *lines]) + "\n")
    (folder / "17.csv").write_text("not a table\n1,2,3\n")
    (folder / "23.csv").write_text("source_id,ra,dec,teff\n")
    return folder


@pytest.fixture
def only_processes(monkeypatch):
    """Let three processes read, and this one not; give what was started."""
    started = []

    def ahead(files, reads, **rest):
        started.extend(reads[1:])
        return read_ahead(files, reads[1:], **rest)

    monkeypatch.setattr(reading_pace, "WORTH_SECONDS", 0)
    monkeypatch.setattr(reading_processes, "_cpus", lambda: 3)
    monkeypatch.setattr(pipeline, "read_ahead", ahead)
    return started


def ingest(folder, survey, name, **rest):
    lake = hven.create(folder / name)
    report = hven.ingest_files(lake, str(survey / "*.csv"), name="stars", progress=False, **rest)
    return report, lake["stars"].table().collect()


def test_rows_ids_notes_and_errors_are_the_same_with_none_and_two_processes(tmp_path, survey, monkeypatch, request):
    options = {"sentinels": {"*": [-9999]}}
    report, table = ingest(tmp_path, survey, "alone", options=options)
    started = request.getfixturevalue("only_processes")
    report_2, table_2 = ingest(tmp_path, survey, "together", options=options)
    assert len(started) == 2
    assert all(process.child is None for process in started)
    assert table_2.equals(table)
    assert table.height == 5 * (FILES - 2)
    assert [(file, error.to_json()) for file, error in report_2.set_aside] == [
        (file, error.to_json()) for file, error in report.set_aside
    ]
    assert [Path(file).name for file, _ in report.set_aside] == ["17.csv", "23.csv"]
    assert (report_2.files, report_2.notes, report_2.sentinels) == (report.files, report.notes, report.sentinels)


def test_a_wrong_option_is_refused_as_it_is_without_processes(tmp_path, survey, only_processes):
    with pytest.raises(ParameterError, match="delimiterr") as refused:
        ingest(tmp_path, survey, "lake", options={"delimiterr": ";"})
    assert refused.value.code == ParameterError.code
    assert all(process.child is None for process in only_processes)


def files(survey, *numbers):
    return [SurveyFile(number, str(survey / f"{number:02d}.csv")) for number in numbers]


def test_a_killed_process_is_an_error_of_its_file_and_another_takes_its_place(survey):
    taken = {}
    with reading_processes.reading_processes(1, None, {}, {}, plugins()) as (process,):
        assert process.is_ready()
        for file in files(survey, 1, 2, 3):
            pieces = process(file)
            if file.number == 2:
                os.kill(process.child.pid, signal.SIGKILL)
            try:
                taken[file.number] = sum(piece.rows.objects.height for piece in pieces)
            except hven.errors.HvenError as error:
                taken[file.number] = (error.code, error.what, "02.csv" in error.where)
    assert taken == {1: 5, 2: ("unreadable-file", "the process that read the file was ended by signal 9", True), 3: 5}


def test_nothing_runs_on_when_reading_is_broken_off(survey):
    with reading_processes.reading_processes(2, None, {}, {}, plugins()) as processes:
        children = [process.child for process in processes]
        with closing(read_ahead(files(survey, *range(17)), processes, stop=[p.close for p in processes])) as ahead:
            next(ahead)
    for child in children:
        assert child.returncode is not None
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)


def test_a_process_ends_when_the_one_that_started_it_is_gone(survey):
    with reading_processes.reading_processes(1, None, {}, {}, plugins()) as (process,):
        assert process.is_ready()
        process.child.stdin.close()
        assert process.child.wait(20) == 0


@hven.reader(name="by_hand", patterns=("*.byhand",), produces={"": "table"})
def by_hand(path):
    """Read nothing."""
    yield Batch({"": pl.DataFrame({"n": [1]})})


class OfAScript:
    """A plugin that is registered by hand."""

    @staticmethod
    @hven.hookimpl
    def hven_readers():
        return [by_hand]


def test_what_only_this_process_knows_is_read_by_it(monkeypatch):
    monkeypatch.setattr(reading_processes, "_cpus", lambda: 16)
    registry = plugins()

    def count(files=1000, reader=None, options=()):
        return reading_processes.process_count(files, reader, dict(options), registry)

    assert count() == count(reader=registry.reader("csv")) == 3
    assert [count(files=n) for n in (0, 1, 2)] == [0, 0, 1]
    assert count(reader=by_hand) == 0
    assert count(options={"convert": lambda value: value}) == 0
    registry.register(OfAScript, "of a script")
    try:
        assert count() == 0
    finally:
        registry.unregister("of a script")
    monkeypatch.setattr(reading_processes, "_cpus", lambda: 1)
    assert count() == 0


class Clock:
    """A clock that reading a file moves on by as many seconds as the file's name says."""

    now = 0.0

    def __call__(self):
        return self.now

    def read(self, file):
        self.now += float(file.path)
        yield "rows"


@pytest.mark.parametrize(
    ("seconds", "sizes", "read", "is_worth"),
    [
        ([1.0] * 10, [5] * 10, 1, True),  # nine seconds are left
        ([1.0] * 10, [5] * 10, 5, True),
        ([1.0] * 6, [5] * 6, 1, False),  # five are
        ([0.01] * 10_000, [5] * 10_000, 20, False),  # too short to tell
        ([0.01] * 10_000, [5] * 10_000, 40, True),
        ([1.0, 1.0, 1.0], [1, 1, 60], 2, True),  # what is left is large
        ([1.0] * 20, [2**28] * 20, 2, False),  # a file is more than may wait
        ([1.0] * 20, [None, *[2**28] * 19], 2, True),  # as many files as are left
    ],
)
def test_processes_are_started_when_what_is_left_is_worth_it(monkeypatch, seconds, sizes, read, is_worth):
    clock = Clock()
    monkeypatch.setattr(reading_pace, "perf_counter", clock)
    prints = [None if size is None else Print("name", "place", "hash", size) for size in sizes]
    survey_files = [SurveyFile(n, str(s), p) for n, (s, p) in enumerate(zip(seconds, prints, strict=True))]
    pace = reading_pace.ReadingPace(survey_files)
    for file in survey_files[:read]:
        for _ in pace.measured(clock.read)(file):
            clock.now += 100.0  # what was read waits to be taken
    asked = Thread(target=lambda: answers.append(pace.is_worth_more()))
    answers = []
    asked.start()
    asked.join(5 if is_worth else 0.05)
    assert answers == [True] * is_worth
    pace.close()
    asked.join(5)
    assert answers == [is_worth]


def test_an_ingest_of_little_starts_no_process_and_does_not_wait_for_one(tmp_path, survey, monkeypatch):
    started = []
    monkeypatch.setattr(reading_processes, "_cpus", lambda: 3)
    monkeypatch.setattr(reading_processes.ReadingProcess, "start", started.append)
    report, _ = ingest(tmp_path, survey, "lake")
    assert len(report.files) == FILES - 2
    assert started == []
