"""The suites pass a right reader and exporter, and fail wrong ones."""

import json
from pathlib import Path

import polars as pl
import pytest

from hven import Batch, Column, exporter, reader
from hven.errors import UnreadableFileError
from hven.testing import ExporterSuite, ReaderSuite

FRAME = pl.DataFrame({"source_id": [1, 2], "ra": [10.0, 11.0], "dec": [1.0, 2.0]})


@reader(patterns=("*.stars",))
def stars_file(path):
    """Stars of a made-up format."""
    try:
        rows = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise UnreadableFileError("it is not JSON", where=str(path), hint="Write it again.") from error
    columns = (Column("ra", "float64", unit="deg"),)
    yield Batch({"": pl.DataFrame(rows)}, columns, identity=("source_id",), position=("ra", "dec"))


@exporter(patterns=("*.stars",))
def to_stars(data, path):
    """Write stars in a made-up format."""
    Path(path).write_text(json.dumps(data.to_dicts()))


class TestStarsFile(ReaderSuite):
    reader = stars_file

    def sample(self, folder):
        (folder / "a.stars").write_text(json.dumps(FRAME.to_dicts()))
        return folder / "a.stars"


class TestToStars(ExporterSuite):
    exporter = to_stars
    file_name = "a.stars"

    def sample(self):
        return FRAME

    def read_back(self, path):
        return pl.DataFrame(json.loads(path.read_text()))


def test_a_reader_that_lets_errors_of_its_libraries_out_fails_the_suite(tmp_path):
    @reader(patterns=("*.stars",))
    def careless(path):
        yield Batch({"": pl.DataFrame(json.loads(Path(path).read_bytes()))})

    suite = type("Suite", (TestStarsFile,), {"reader": careless})()
    for test in (
        suite.test_it_refuses_a_file_that_is_not_there,
        suite.test_it_refuses_a_file_that_is_not_what_it_says,
        suite.test_it_refuses_an_empty_file,
        suite.test_its_identities_and_positions_are_there,
    ):
        with pytest.raises((ValueError, OSError, AssertionError)):
            test(tmp_path)


def test_an_exporter_that_loses_rows_fails_the_suite(tmp_path):
    @exporter(patterns=("*.stars",))
    def losing(data, path):
        to_stars(data[:1], path)

    suite = type("Suite", (TestToStars,), {"exporter": losing})()
    with pytest.raises(AssertionError):
        suite.test_what_it_writes_is_read_back_the_same(tmp_path)


@pytest.mark.parametrize("suite", [ReaderSuite, ExporterSuite])
def test_a_suite_without_a_sample_says_so(suite, tmp_path):
    with pytest.raises(NotImplementedError):
        suite().sample(*([tmp_path] if suite is ReaderSuite else []))
