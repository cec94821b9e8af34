"""An ingest writes batches as they come; a file that fails leaves nothing of it."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
from hven.errors import DataRefusedError, StorageError
from hven.ingest import intake
from hven.ingest.read_ahead import read_ahead
from hven.lake import growth
from hven.plugins import Batch

STEP = 100


@hven.reader(name="counted", patterns=("*.count",), produces={"": "table", "spectra": "spectra"})
def counted(path, *, spectra: bool = False):
    """Numbered stars; the file says how many there are, from which on, and where it ends early."""
    start, count, broken = (int(text) for text in Path(path).read_text().split())
    for first in range(start, start + count, STEP):
        if broken and first >= start + broken:
            raise OSError("the file ends early")
        number = np.arange(first, first + STEP)
        table = pl.DataFrame({"name": [f"s{n}" for n in number], "ra": number * 7.0 % 360, "dec": number % 90 - 45.0})
        parts = {"": table.with_columns(n=pl.Series(number))}
        if spectra:
            flux = number[:, None] + np.arange(3, dtype="f4")
            parts["spectra"] = xr.Dataset(
                {"flux": (("object", "wavelength"), flux)}, {"wavelength": [4000.0, 5000.0, 6000.0]}
            )
        yield Batch(parts, identity=("name",), position=("ra", "dec"))


@pytest.fixture
def lake(tmp_path):
    return hven.create(tmp_path / "lake")


@pytest.fixture
def small_segments(monkeypatch):
    monkeypatch.setattr(intake, "SEGMENT_BYTES", 10_000)


def survey(folder, name, start, count, broken=0):
    path = folder / f"{name}.count"
    path.write_text(f"{start} {count} {broken}")
    return path


def numbers(lake, name="stars"):
    return sorted(lake[name].table(["n"]).collect()["n"].to_list())


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("spectra", [False, True])
def test_a_file_that_ends_early_after_segments_were_written_leaves_nothing_of_it(lake, tmp_path, spectra):
    files = [
        survey(tmp_path, "a", 0, 1000),
        survey(tmp_path, "b", 5000, 2000, broken=1800),
        survey(tmp_path, "c", 1000, 1000),
    ]
    report = hven.ingest_files(lake, files, name="stars", reader=counted, options={"spectra": spectra})
    assert [Path(file).name for file, _ in report.set_aside] == ["b.count"]
    assert "the file ends early" in str(report.set_aside[0][1])
    assert report.rows == lake["stars"].entry.counts.rows == 2000
    assert numbers(lake) == list(range(2000))
    assert lake["stars"].entry.counts.segments > 2
    if spectra:
        flux = lake["stars_spectra"].of(lake["stars"].table(["object_id", "n"]))["flux"].values
        assert (flux[:, 0] == lake["stars"].table(["n"]).collect()["n"].to_numpy()).all()
        assert lake["stars_spectra"].entry.counts.rows == 2000
    again = hven.ingest_files(
        lake,
        survey(tmp_path, "b", 5000, 2000),
        name="stars",
        reader=counted,
        mode="append",
        options={"spectra": spectra},
    )
    assert again.rows == 2000
    assert again.overlaps == again.repeats == 0


@pytest.mark.usefixtures("small_segments")
def test_segments_hold_about_what_memory_may_hold_whatever_the_size_of_the_file(lake, tmp_path, monkeypatch):
    sizes = []
    full = intake.Intake._size
    monkeypatch.setattr(intake.Intake, "_size", lambda self: sizes.append(full(self)) or sizes[-1])
    hven.ingest_files(lake, survey(tmp_path, "a", 0, 20_000), name="stars", reader=counted)
    assert max(sizes) < 10_000 + 3 * STEP * 60
    assert numbers(lake) == list(range(20_000))


@hven.reader(name="typed", patterns=("*.types",))
def typed(path):
    """Batches whose columns have the types that the file says."""
    kinds = {"i": pl.Int64, "f": pl.Float64, "n": pl.Null, "t": pl.String}
    for index, kind in enumerate(Path(path).read_text().strip()):
        value = {"i": index, "f": index + 0.5, "n": None, "t": f"text {index}"}[kind]
        rows = pl.Series("x", [value] * 400, dtype=kinds[kind])
        yield Batch(
            {"": pl.DataFrame({"name": [f"{Path(path).stem} {index} {n}" for n in range(400)], "x": rows})},
            identity=("name",),
        )


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize(
    ("kinds", "dtype"),
    [("iif", pl.Float64), ("nni", pl.Int64), ("nnt", pl.String), ("inf", pl.Float64), ("fffi", pl.Float64)],
)
def test_types_widen_from_batch_to_batch_after_segments_were_written(lake, tmp_path, kinds, dtype):
    (tmp_path / "a.types").write_text(kinds)
    hven.ingest_files(lake, tmp_path / "a.types", name="stars", reader=typed)
    table = lake["stars"].table().collect()
    assert table["x"].dtype == dtype
    expected = {"i": lambda i: i, "f": lambda i: i + 0.5, "n": lambda _: None, "t": lambda i: f"text {i}"}
    for index, kind in enumerate(kinds):
        values = table.filter(pl.col("name").str.starts_with(f"a {index} "))["x"].unique().to_list()
        assert values == [expected[kind](index)]
    assert lake["stars"].entry.counts.segments > 1


@pytest.mark.usefixtures("small_segments")
def test_text_among_numbers_sets_its_file_aside(lake, tmp_path):
    for name, kinds in (("a", "iii"), ("b", "iit"), ("c", "if")):
        (tmp_path / f"{name}.types").write_text(kinds)
    report = hven.ingest_files(lake, sorted(tmp_path.glob("*.types")), name="stars", reader=typed)
    assert [(Path(file).name, error.code) for file, error in report.set_aside] == [("b.types", "data-refused")]
    assert report.rows == 5 * 400


def test_files_that_disagree_with_the_first_are_set_aside_and_the_good_ones_go_in(lake, tmp_path):
    for index in range(8):
        extra = {"surprise": [1]} if index in (2, 5) else {}
        pl.DataFrame({"source_id": [index], "feh": [0.1], **extra}).write_parquet(tmp_path / f"{index}.parquet")
    report = hven.ingest_files(lake, sorted(tmp_path.glob("*.*")), name="stars")
    assert [Path(file).name for file, _ in report.set_aside] == ["2.parquet", "5.parquet"]
    assert "surprise" in str(report.set_aside[0][1])
    assert report.rows == 6


@pytest.mark.parametrize(
    ("refuses", "spectra"), [("GrowingTable", False), ("GrowingTable", True), ("GrowingArrays", True)]
)
def test_rows_that_cannot_be_written_set_their_file_aside_and_no_other(lake, tmp_path, monkeypatch, refuses, spectra):
    engine = getattr(growth, refuses)
    full = engine.add

    def add(self, data):
        if (np.asarray(data["ra"]) == 250 * 7.0 % 360).any():  # star 250; its table and spectrum are written at once
            raise ValueError("a value that the engine does not keep")
        return full(self, data)

    monkeypatch.setattr(engine, "add", add)
    files = [survey(tmp_path, str(start), start, 100) for start in (0, 200, 400)]
    report = hven.ingest_files(lake, files, name="stars", reader=counted, options={"spectra": spectra})
    assert [Path(file).name for file, _ in report.set_aside] == ["200.count"]
    assert numbers(lake) == [*range(100), *range(400, 500)]
    if spectra:
        flux = lake["stars_spectra"].of(lake["stars"].table(["object_id", "n"]))["flux"].values
        assert flux[:, 0].astype(int).tolist() == lake["stars"].table(["n"]).collect()["n"].to_list()


def test_a_store_that_fails_is_no_fault_of_a_file(lake, tmp_path, monkeypatch):
    from hven.ingest.sink import GrowingTable

    def add(self, frame):
        raise StorageError("the disk is full", hint="Make room.")

    monkeypatch.setattr(GrowingTable, "add", add)
    with pytest.raises(StorageError):
        hven.ingest_files(lake, survey(tmp_path, "a", 0, 100), name="stars", reader=counted)
    assert "stars" not in lake


def test_a_column_in_other_units_sets_its_file_aside(lake, tmp_path):
    from astropy import units as u
    from astropy.table import Table

    for name, unit in (("a", u.km), ("b", u.m)):
        Table({"source_id": [ord(name)], "height": [1.0] * unit}).write(tmp_path / f"{name}.fits")
    report = hven.ingest_files(lake, sorted(tmp_path.glob("*.*")), name="stars")
    assert [Path(file).name for file, _ in report.set_aside] == ["b.fits"]
    assert "is in m here and in km" in str(report.set_aside[0][1])


class Piece:
    nbytes = 100


def test_what_is_read_ahead_comes_in_the_order_of_the_files_and_within_the_budget():
    held, most = [0], [0]

    def read(name):
        for _ in range(20):
            held[0] += 1
            most[0] = max(most[0], held[0])
            yield Piece()

    seen = []
    for file, item in read_ahead(list("abcd"), [read, read], budget=300):
        if item is not None:
            held[0] -= 1
        seen.append(file)
    assert seen == [name for name in "abcd" for _ in range(21)]
    assert most[0] <= 3 + 2 * 2


def test_reading_stops_when_nobody_takes_what_is_read():
    read = read_ahead(range(1000), [lambda _: [Piece()] * 10], budget=100)
    next(read)
    read.close()


def test_refused_rows_name_what_is_wrong(lake, tmp_path):
    pl.DataFrame({"object_id": [1, 2], "feh": [0.1, 0.2]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"object_id": [2, 3], "feh": [0.1, 0.2]}).write_parquet(tmp_path / "b.parquet")
    hven.ingest_files(lake, tmp_path / "a.parquet", name="stars")
    with pytest.raises(DataRefusedError, match="object_id that is in the dataset already, for example 2"):
        hven.ingest_files(lake, tmp_path / "b.parquet", name="stars", mode="append")


class Panic(BaseException):
    """What Polars raises where it gives up is no Exception either."""


@pytest.mark.parametrize("kind", [Panic, SystemExit])
def test_a_file_at_which_its_reader_gives_up_is_set_aside_and_nothing_waits_for_ever(lake, tmp_path, kind):
    @hven.reader(name="giving_up", patterns=("*.txt",))
    def giving_up(path: str):
        """Give up at some files."""
        if "bad" in path:
            raise kind("no such type")
        yield hven.Batch({"": pl.DataFrame({"source_id": [1]})}, (), ("source_id",))

    for name in ("good.txt", "bad.txt"):
        (tmp_path / name).write_text(name)
    files = [tmp_path / "good.txt", tmp_path / "bad.txt"]
    report = hven.ingest_files(lake, files, name="t", reader=giving_up, progress=False)
    assert report.rows == 1
    ((path, error),) = report.set_aside
    assert path.endswith("bad.txt")
    assert kind.__name__ in str(error)
    assert "no such type" in str(error)
