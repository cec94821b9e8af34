"""The tests that every reader and exporter passes: subclass the suite and give it a small file of the right kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
import pytest

from hven.errors import HvenError, ParameterError
from hven.plugins import Batch, Exporter, Reader
from hven.schema import parse_unit
from hven.testing.strategies import frames

if TYPE_CHECKING:
    import xarray as xr

_EXAMPLES = 50


class ReaderSuite:
    """Conformance tests of a reader.

    Attributes
    ----------
    reader
        The reader under test.
    options
        What it is called with.
    types
        The Polars types that `write` can write, when the suite has that method: any table is then written and read.

    Examples
    --------
    ::

        class TestFitsTable(ReaderSuite):
            reader = fits_table

            def sample(self, folder):
                Table({"source_id": [1, 2], "ra": [10.0, 11.0], "dec": [1.0, 2.0]}).write(folder / "a.fits")
                return folder / "a.fits"

            def write(self, frame, folder):
                write_fits(frame, folder / "any.fits")
                return folder / "any.fits"
    """

    reader: ClassVar[Reader]
    options: ClassVar[Mapping[str, Any]] = {}
    types: ClassVar[Sequence[Any]] = (pl.Float64, pl.Float32, pl.Int64, pl.Int32, pl.Int16, pl.String, pl.Boolean)

    def sample(self, folder: Path) -> Path:
        """Return a small file that the reader reads, written into `folder`."""
        raise NotImplementedError("Subclasses of ReaderSuite write a sample file.")

    def write(self, frame: pl.DataFrame, folder: Path) -> Path | None:
        """Return a file with just these rows, written into `folder`; None where nothing writes such files."""
        del frame, folder
        return None

    def test_any_table_comes_back_as_it_was_written(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Values of every type, missing ones and the largest, survive the file."""
        hypothesis = pytest.importorskip("hypothesis")
        if self.write(pl.DataFrame({"c0": [1]}), tmp_path_factory.mktemp("any")) is None:
            pytest.skip("the suite does not write files (write)")

        def comes_back(frame: pl.DataFrame) -> None:
            path = self.write(frame, tmp_path_factory.mktemp("any"))
            assert path is not None
            (batch,) = self.batches(path)
            assert _same(next(iter(batch.parts.values())), frame)

        _for_any(hypothesis, frames(self.types), comes_back)

    def test_it_is_found_by_the_name_of_its_file(self, tmp_path: Path) -> None:
        """A pattern of the reader fits the sample."""
        assert self.reader.matches(self.sample(tmp_path))

    def test_it_gives_the_parts_that_it_declares(self, tmp_path: Path) -> None:
        """Every batch has the declared parts and no other, and at least one batch has rows."""
        batches = self.batches(self.sample(tmp_path))
        assert sum(batch.rows for batch in batches)
        assert all(set(batch.parts) <= set(self.reader.produces) for batch in batches)
        assert all(next(iter(batch.parts)) == next(iter(self.reader.produces)) for batch in batches)

    def test_its_identities_and_positions_are_there(self, tmp_path: Path) -> None:
        """Every object can be told from the others, and stands on the sky."""
        for batch in self.batches(self.sample(tmp_path)):
            first = next(iter(batch.parts.values()))
            assert batch.identity, "a batch names no identity columns"
            for name in batch.position or ():
                values = np.asarray(first[name], dtype=float)
                assert np.isfinite(values).all()
                assert (np.abs(values) <= 360).all()

    def test_its_units_are_units(self, tmp_path: Path) -> None:
        """What the columns say of their units is understood."""
        for batch in self.batches(self.sample(tmp_path)):
            for column in batch.columns:
                parse_unit(column.unit)

    def test_it_reads_the_same_again(self, tmp_path: Path) -> None:
        """Reading has no memory."""
        path = self.sample(tmp_path)
        for one, other in zip(self.batches(path), self.batches(path), strict=True):
            assert all(_same(part, other.parts[name]) for name, part in one.parts.items())

    def test_it_names_an_option_that_it_does_not_have(self, tmp_path: Path) -> None:
        """A misspelt option is refused by name."""
        with pytest.raises(ParameterError, match="no_such_option"):
            self.reader(str(self.sample(tmp_path)), no_such_option=1)

    def test_it_refuses_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        """A missing file is a named error that says which."""
        path = self.sample(tmp_path)
        path.unlink()
        with pytest.raises(HvenError, match=path.name):
            self.batches(path)

    def test_it_refuses_a_file_that_is_not_what_it_says(self, tmp_path: Path) -> None:
        """Noise under the right name is a named error that says which file."""
        path = self.sample(tmp_path)
        path.write_bytes(np.random.default_rng(1).bytes(4096))
        with pytest.raises(HvenError, match=path.name):
            self.batches(path)

    def test_it_refuses_an_empty_file(self, tmp_path: Path) -> None:
        """A file of no bytes is a named error that says which."""
        path = self.sample(tmp_path)
        path.write_bytes(b"")
        with pytest.raises(HvenError, match=path.name):
            self.batches(path)

    def test_a_file_cut_short_gives_a_named_error_or_what_is_whole(self, tmp_path: Path) -> None:
        """A file of which half is missing does not end in a traceback from the depths."""
        path = self.sample(tmp_path)
        rows = sum(batch.rows for batch in self.batches(path))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        try:
            batches = self.batches(path)
        except HvenError:
            return
        assert sum(batch.rows for batch in batches) <= rows

    def batches(self, path: Path) -> list[Batch]:
        """Return all batches of a file."""
        return list(self.reader(str(path), **self.options))


class ExporterSuite:
    """Conformance tests of an exporter.

    Attributes
    ----------
    exporter
        The exporter under test.
    options
        What it is called with.
    file_name
        A name that it is chosen for.
    types
        The Polars types of any tables that are written and read back; none for an exporter of arrays.

    Examples
    --------
    ::

        class TestCsv(ExporterSuite):
            exporter = write_csv
            file_name = "stars.csv"
            types = (pl.Int64, pl.String)

            def sample(self):
                return pl.DataFrame({"source_id": [1, 2], "feh": [0.1, None]})

            def read_back(self, path):
                return pl.read_csv(path)
    """

    exporter: ClassVar[Exporter]
    options: ClassVar[Mapping[str, Any]] = {}
    file_name: ClassVar[str]
    types: ClassVar[Sequence[Any]] = ()

    def sample(self) -> "pl.DataFrame | xr.Dataset":
        """Return a small dataset that the exporter writes."""
        raise NotImplementedError("Subclasses of ExporterSuite make a sample.")

    def read_back(self, path: Path) -> "pl.DataFrame | xr.Dataset":
        """Return what is in an exported file."""
        raise NotImplementedError("Subclasses of ExporterSuite read a file back.")

    def test_it_is_found_by_the_name_of_its_file(self) -> None:
        """A pattern of the exporter fits the file name."""
        assert self.exporter.matches(self.file_name)

    def test_what_it_writes_is_read_back_the_same(self, tmp_path: Path) -> None:
        """A round trip through the file changes nothing."""
        self.exporter(self.sample(), str(tmp_path / self.file_name), **self.options)
        assert _same(self.read_back(tmp_path / self.file_name), self.sample())

    def test_any_table_comes_back_as_it_was_written(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Values of every type, missing ones and the largest, survive the file."""
        hypothesis = pytest.importorskip("hypothesis")
        if not self.types:
            pytest.skip("the suite names no types of columns (types)")

        def comes_back(frame: pl.DataFrame) -> None:
            path = tmp_path_factory.mktemp("any") / self.file_name
            self.exporter(frame, str(path), **self.options)
            assert _same(self.read_back(path), frame)

        _for_any(hypothesis, frames(self.types), comes_back)

    def test_it_names_an_option_that_it_does_not_have(self, tmp_path: Path) -> None:
        """A misspelt option is refused by name."""
        with pytest.raises(ParameterError, match="no_such_option"):
            self.exporter(self.sample(), str(tmp_path / self.file_name), no_such_option=1)


def _for_any(hypothesis: Any, tables: Any, check: Any) -> None:
    """Hold a check against many made-up tables, always the same ones."""
    settings = hypothesis.settings(deadline=None, max_examples=_EXAMPLES, derandomize=True, database=None)
    settings(hypothesis.given(tables)(check))()


def _same(one: Any, other: Any) -> bool:
    if hasattr(one, "sizes"):
        return bool(one.equals(other))
    return bool(one.columns == other.columns and one.equals(other))
