"""Batch ingest into a real lake."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import hven
from hven.errors import (
    DatasetNotFoundError,
    NameRefusedError,
    ParameterError,
    ReaderNotFoundError,
    UnreadableFileError,
)
from hven.ingest import intake
from hven.plugins import Batch


@hven.reader(name="stars_with_spectra", patterns=("*.stars",), produces={"": "table", "spectra": "spectra"})
def stars_with_spectra(path, *, pixels: int = 4, skip: int = 0):
    """Names in a text file, one a line, each with a position and a spectrum that follow from it."""
    names = Path(path).read_text().split()[skip:]
    if "broken" in names:
        raise ZeroDivisionError("a reader with a bug")
    number = np.array([int(name.strip("s")) for name in names])
    flux = number[:, None] + np.arange(pixels, dtype="f4")
    spectra = xr.Dataset(
        {"flux": (("object", "wavelength"), flux), "mask": (("object", "wavelength"), flux < 0)},
        coords={"wavelength": np.arange(pixels) * 10.0 + 4000},
    )
    table = pl.DataFrame({"name": names, "ra": number * 7.0 % 360, "dec": number % 90 - 45.0, "n": number})
    for half in (slice(0, 2), slice(2, None)):
        yield Batch(
            {"": table[half], "spectra": spectra.isel(object=half)},
            identity=("name",),
            survey="made up",
            title="Stars",
            citation=("2024A&A...1A",),
            position=("ra", "dec"),
        )


@pytest.fixture
def lake(tmp_path):
    return hven.create(tmp_path / "a lake")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def write(path, *numbers):
    path.write_text("\n".join(f"s{n}" for n in numbers))
    return path


def ingest(lake, paths, name="stars", **more):
    return hven.ingest_files(lake, paths, name=name, reader=stars_with_spectra, **more)


def contents(lake, name="stars"):
    return lake[name].table().collect().sort("object_id")


def test_a_table_and_its_spectra_arrive_in_one_commit_with_the_same_ids_in_the_same_order(lake, folder):
    report = ingest(lake, write(folder / "a.stars", *range(50)))
    assert report.datasets == ("stars", "stars_spectra")
    assert report.commit == lake.number == 1
    assert report.rows == 50
    table, spectra = lake["stars"].table().collect(), lake["stars_spectra"].dataset().compute()
    assert table["object_id"].to_list() == spectra["object_id"].values.tolist()
    assert (spectra["flux"].values[:, 0] == table["n"].to_numpy()).all()
    assert (np.diff(table["_healpix_29"].to_numpy()) >= 0).all()
    assert (spectra["_healpix_29"].values == table["_healpix_29"].to_numpy()).all()
    assert lake["stars_spectra"].kind == "spectra"


def test_the_catalog_tells_survey_citation_identity_coverage_and_where_the_rows_come_from(lake, folder):
    ingest(lake, write(folder / "a.stars", 1, 2, 3), options={"pixels": 5})
    entry = lake["stars"].entry
    assert (entry.survey, entry.title, entry.citation, entry.identity) == (
        "made up",
        "Stars",
        ("2024A&A...1A",),
        ("name",),
    )
    assert entry.coverage
    assert entry.provenance["options"] == {"pixels": 5}
    assert [file["name"] for file in entry.provenance["files"]] == ["a.stars"]
    assert len(entry.provenance["files"][0]["sha256"]) == 64
    assert str(folder) not in lake.catalog.to_json().decode()


def test_a_bad_file_is_set_aside_with_its_reason_and_the_rest_goes_in_as_one_commit(lake, folder):
    good = [write(folder / "a.stars", 1, 2), write(folder / "c.stars", 3, 4)]
    buggy, absent, empty = folder / "b.stars", folder / "absent.stars", folder / "d.stars"
    buggy.write_text("broken")
    empty.write_text("")
    report = ingest(lake, [good[0], buggy, absent, empty, good[1]])
    assert report.rows == 4
    assert report.files == tuple(map(str, good))
    reasons = {Path(file).name: error for file, error in report.set_aside}
    assert set(reasons) == {"b.stars", "absent.stars", "d.stars"}
    assert all(error.code == "unreadable-file" for error in reasons.values())
    assert "ZeroDivisionError: a reader with a bug" in str(reasons["b.stars"])
    assert isinstance(reasons["b.stars"].__cause__, ZeroDivisionError)
    assert lake.number == 1
    assert lake["stars"].entry.provenance["n_set_aside"] == 3


def test_when_nothing_can_be_read_it_is_an_error_and_the_lake_is_as_before(lake, folder):
    buggy = folder / "b.stars"
    buggy.write_text("broken")
    with pytest.raises(UnreadableFileError, match="a reader with a bug"):
        ingest(lake, buggy)
    with pytest.raises(UnreadableFileError, match="none of the 2 files"):
        ingest(lake, [buggy, folder / "absent.stars"])
    assert lake.number == 0
    assert "stars" not in lake


@settings(deadline=None, max_examples=5)
@given(st.lists(st.integers(0, 40), min_size=2, max_size=30), st.data())
def test_ids_are_the_same_whichever_way_the_files_are_cut(tmp_path_factory, numbers, data):
    cut = data.draw(st.integers(1, len(numbers) - 1))
    folder = tmp_path_factory.mktemp("cut")
    lake = hven.create(folder / "lake")
    ingest(lake, write(folder / "whole.stars", *numbers), "whole")
    write(folder / "a.stars", *numbers[:cut])
    with write(folder / "b.stars", *numbers[cut:]).open("a") as more:
        more.write("\n")  # Other bytes, even where the names are the same.
    ingest(lake, [folder / "a.stars", folder / "b.stars"], "together")
    ingest(lake, folder / "a.stars", "one_by_one")
    ingest(lake, folder / "b.stars", "one_by_one", mode="append")
    whole = contents(lake, "whole")
    assert contents(lake, "together").equals(whole)
    assert contents(lake, "one_by_one").equals(whole)
    table, spectra = lake["one_by_one"].table().collect(), lake["one_by_one_spectra"].dataset().compute()
    assert table["object_id"].to_list() == spectra["object_id"].values.tolist()


def test_more_than_fits_a_segment_is_written_in_several_and_still_is_one_commit(lake, folder, monkeypatch):
    files = [write(folder / f"{n}.stars", *range(10 * n, 10 * n + 12)) for n in range(4)]
    ingest(lake, files, "once")
    monkeypatch.setattr(intake, "SEGMENT_BYTES", 1000)
    report = ingest(lake, files, "pieces")
    assert report.commit == 2
    assert lake["pieces"].entry.counts.segments > 1
    assert contents(lake, "pieces").equals(contents(lake, "once"))
    assert lake["pieces_spectra"].dataset().sizes["object"] == 48


def test_a_name_that_is_taken_is_refused_before_anything_is_read(lake, folder):
    ingest(lake, write(folder / "a.stars", 1))
    with pytest.raises(NameRefusedError, match="there is a dataset 'stars' already"):
        ingest(lake, folder / "absent.stars")
    with pytest.raises(DatasetNotFoundError):
        ingest(lake, folder / "a.stars", "nebulae", mode="append")
    with pytest.raises(ParameterError, match="mode"):
        ingest(lake, folder / "a.stars", mode="appnd")
    with pytest.raises(NameRefusedError):
        ingest(lake, folder / "a.stars", "../stars")
    assert lake.number == 1


def test_replace_replaces_the_table_and_its_spectra(lake, folder):
    ingest(lake, write(folder / "a.stars", 1, 2, 3))
    ingest(lake, write(folder / "b.stars", 7), mode="replace")
    assert contents(lake)["name"].to_list() == ["s7"]
    assert lake["stars_spectra"].dataset().sizes["object"] == 1
    assert lake.at(1)["stars"].entry.counts.rows == 3


def test_a_file_that_does_not_fit_the_dataset_is_set_aside_when_appending(lake, folder):
    ingest(lake, write(folder / "a.stars", 1, 2, 3))
    with pytest.raises(hven.HvenError, match="another grid"):
        ingest(lake, write(folder / "b.stars", 4), mode="append", options={"pixels": 6})
    assert lake.number == 1


def test_an_unknown_option_is_refused_and_texts_are_understood_as_from_a_command_line(lake, folder):
    path = write(folder / "a.stars", 1, 2, 3)
    with pytest.raises(ParameterError, match="pixls"):
        ingest(lake, path, options={"pixls": 3})
    ingest(lake, path, options={"pixels": "3", "skip": "1"})
    assert lake["stars_spectra"].dataset().sizes == {"object": 2, "wavelength": 3}


def test_an_unknown_reader_is_refused_with_the_nearest_names(lake, folder):
    with pytest.raises(ReaderNotFoundError, match="csv"):
        hven.ingest_files(lake, folder, name="stars", reader="cvs")
    with pytest.raises(UnreadableFileError, match="no files"):
        hven.ingest_files(lake, folder, name="stars")


def test_readers_are_chosen_by_the_names_of_files_and_folders_are_searched(lake, folder):
    pl.DataFrame({"source_id": [1], "feh": [0.5]}).write_csv(folder / "a.csv")
    (folder / "deeper").mkdir()
    pl.DataFrame({"source_id": [2], "feh": [1]}).write_parquet(folder / "deeper" / "b.parquet")
    (folder / "notes.doc").write_text("not for us")
    report = hven.ingest_files(lake, folder, name="mixed")
    assert [Path(file).name for file in report.files] == ["a.csv", "b.parquet"]
    assert contents(lake, "mixed").sort("source_id").select("source_id", "feh").rows() == [(1, 0.5), (2, 1.0)]
    assert hven.ingest_files(lake, str(folder / "*.csv"), name="pattern").rows == 1
    with pytest.raises(ReaderNotFoundError):
        hven.ingest_files(lake, folder / "notes.doc", name="notes")


def test_a_column_of_whole_numbers_in_one_file_and_fractions_in_the_next_is_kept_as_fractions(lake, folder):
    pl.DataFrame({"source_id": [1, 2**60 + 1], "x": [1, 2]}).write_csv(folder / "a.csv")
    pl.DataFrame({"source_id": [3, 4], "x": [0.5, None]}).write_csv(folder / "b.csv")
    pl.DataFrame({"source_id": [5.5], "x": [1.0]}).write_csv(folder / "c.csv")
    report = hven.ingest_files(lake, folder, name="stars")
    rows = contents(lake).sort("source_id").select("source_id", "x").rows()
    assert rows == [(1, 1.0), (3, 0.5), (4, None), (2**60 + 1, 2.0)]
    assert contents(lake)["source_id"].dtype == pl.Int64
    assert [Path(file).name for file, _ in report.set_aside] == ["c.csv"]


def test_the_report_counts_nulls_and_repeats_and_tells_what_was_changed(lake, folder):
    frame = pl.DataFrame(
        {"ID": [1, 1, 2], "RAJ2000": [1.0, 1.0, 2.0], "DEJ2000": [0.0] * 3, "TEFF": [5000.0, None, None]}
    )
    frame.write_parquet(folder / "a.parquet")
    report = hven.ingest_files(lake, folder / "a.parquet", name="stars")
    assert report.sentinels == {"teff": 2}
    assert report.repeats == 1
    assert "column 'RAJ2000' is kept as 'ra'" in map(str, report.notes)
    assert report.to_json()["rows"] == 3


def test_progress_goes_to_stderr_and_only_when_asked(lake, folder, capsys):
    ingest(lake, write(folder / "a.stars", 1), progress=True)
    told = capsys.readouterr()
    assert "writing stars" in told.err
    assert not told.out
    ingest(lake, folder / "a.stars", "more", progress=False)
    assert not capsys.readouterr().err
