"""The same bytes never go in twice; what has changed takes the place of what was there."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
from hven.errors import DataRefusedError, NameRefusedError
from hven.ingest.known_files import known_files
from hven.plugins import Batch


@hven.reader(name="stars_and_spectra", patterns=("*.stars",), produces={"": "table", "spectra": "spectra"})
def stars_and_spectra(path, *, spectra: bool = True):
    """Lines of a number and a metallicity."""
    rows = [line.split() for line in Path(path).read_text().splitlines()]
    number, feh = np.array([int(n) for n, _ in rows]), np.array([float(x) for _, x in rows])
    table = pl.DataFrame({"source_id": number, "ra": number % 360 * 1.0, "dec": number % 80 * 1.0, "feh": feh})
    arrays = xr.Dataset(
        {"flux": (("object", "wavelength"), feh[:, None] * np.ones(2))}, {"wavelength": [4000.0, 5000.0]}
    )
    parts = {"": table, "spectra": arrays} if spectra else {"": table}
    yield Batch(parts, identity=("source_id",), position=("ra", "dec"))


@hven.reader(name="numbered_images", produces={"": "images"})
def numbered_images(path):
    """One image for each number in a file."""
    number = np.array([int(text) for text in Path(path).read_text().split()])
    flux = number[:, None, None, None] * np.ones((1, 1, 4, 4), "f4")
    yield Batch(
        {"": xr.Dataset({"flux": (("object", "band", "y", "x"), flux), "n": ("object", number)})}, identity=("n",)
    )


@pytest.fixture
def lake(tmp_path):
    return hven.create(tmp_path / "lake")


def stars(folder, name, rows):
    path = folder / f"{name}.stars"
    path.write_text("\n".join(f"{number} {feh}" for number, feh in rows))
    return path


def ingest(lake, paths, mode="append", **more):
    return hven.ingest_files(lake, paths, name="stars", reader=stars_and_spectra, mode=mode, **more)


def content(lake):
    """What the dataset says, and that spectra say the same."""
    table = lake["stars"].table(["object_id", "source_id", "feh"]).collect()
    assert table["object_id"].n_unique() == table.height == lake["stars_spectra"].entry.counts.rows
    flux = lake["stars_spectra"].of(table)["flux"].values
    assert np.allclose(flux[:, 0], table["feh"].to_numpy())
    return dict(zip(table["source_id"].to_list(), table["feh"].to_list(), strict=True))


def ids(lake):
    return dict(lake["stars"].table(["source_id", "object_id"]).collect().iter_rows())


def test_the_same_bytes_twice_are_a_no_op_whatever_they_are_called(lake, tmp_path):
    first = stars(tmp_path, "a", [(1, 0.1), (2, 0.2)])
    ingest(lake, first, "create")
    copy = tmp_path / "copy.stars"
    copy.write_bytes(first.read_bytes())
    for mode in ("append", "upsert", "create"):
        report = ingest(lake, [first, copy], mode)
        assert (report.rows, report.commit, len(report.skipped)) == (0, None, 2)
    assert lake.number == 1
    report = ingest(lake, [first, stars(tmp_path, "b", [(3, 0.3)])])
    assert (report.rows, report.skipped) == (1, (str(first),))
    assert "1 file is in the dataset already: skipped" in map(str, report.notes)
    assert content(lake) == {1: 0.1, 2: 0.2, 3: 0.3}
    with pytest.raises(NameRefusedError):
        ingest(lake, [first, stars(tmp_path, "c", [(4, 0.4)])], "create")


def test_two_copies_in_one_ingest_go_in_once(lake, tmp_path):
    first, second = stars(tmp_path, "a", [(1, 0.1)]), stars(tmp_path, "b", [(1, 0.1)])
    report = ingest(lake, [first, second], "create")
    assert (report.rows, report.skipped) == (1, (str(second),))


def test_a_file_that_has_changed_takes_the_place_of_its_rows_and_ids_stay(lake, tmp_path):
    one, two = stars(tmp_path, "a", [(1, 0.1), (2, 0.2)]), stars(tmp_path, "b", [(3, 0.3)])
    ingest(lake, [one, two], "create")
    before = ids(lake)
    stars(tmp_path, "a", [(1, 0.15), (4, 0.4)])
    report = ingest(lake, [one, two])
    assert (report.replaced, report.skipped, report.rows) == ((str(one),), (str(two),), 2)
    assert report.overlaps == 0
    assert content(lake) == {1: 0.15, 3: 0.3, 4: 0.4}
    assert ids(lake)[1] == before[1]
    assert ids(lake)[3] == before[3]
    # And once more, after the files of the dataset were written anew.
    for name in range(5, 9):
        ingest(lake, stars(tmp_path, str(name), [(name, 0.0)]))
    lake.compact("stars")
    lake.compact("stars_spectra")
    stars(tmp_path, "a", [(1, 0.2)])
    ingest(lake, one)
    assert content(lake) == {1: 0.2, 3: 0.3, **dict.fromkeys(range(5, 9), 0.0)}


def test_a_changed_file_that_cannot_be_read_leaves_its_earlier_rows(lake, tmp_path):
    one = stars(tmp_path, "a", [(1, 0.1), (2, 0.2)])
    ingest(lake, one, "create")
    one.write_text("no numbers here")
    report = ingest(lake, [one, stars(tmp_path, "b", [(3, 0.3)])])
    assert [file for file, _ in report.set_aside] == [str(one)]
    assert content(lake) == {1: 0.1, 2: 0.2, 3: 0.3}
    # It is not known in its broken state: once it is whole again, it is read.
    stars(tmp_path, "a", [(1, 0.5)])
    assert ingest(lake, one).replaced == (str(one),)
    assert content(lake) == {1: 0.5, 3: 0.3}


def test_again_reads_known_files_again_and_doubles_nothing(lake, tmp_path):
    one = stars(tmp_path, "a", [(1, 0.1), (2, 0.2)])
    ingest(lake, one, "create")
    before = ids(lake)
    report = ingest(lake, one, again=True)
    assert (report.rows, report.commit, report.skipped) == (2, 2, ())
    assert content(lake) == {1: 0.1, 2: 0.2}
    assert ids(lake) == before


def test_the_same_file_read_with_other_options_is_another(lake, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("source_id,feh\n1,0.1\n")
    hven.ingest_files(lake, table, name="t", options={"survey": "one"})
    assert not hven.ingest_files(lake, table, name="t", mode="append", options={"survey": "one"}).rows
    report = hven.ingest_files(lake, table, name="t", mode="append", options={"survey": "two"})
    assert (report.rows, report.overlaps) == (1, 1)


def test_appended_rows_of_objects_that_are_there_are_reported(lake, tmp_path):
    ingest(lake, stars(tmp_path, "a", [(n, 0.1) for n in range(50)]), "create")
    report = ingest(lake, stars(tmp_path, "b", [(n, 0.2) for n in range(9, 59)]))
    assert (report.rows, report.overlaps) == (50, 41)
    said = "41 of 50 rows say of objects that are there already (by source_id); mode 'upsert' replaces them"
    assert said in map(str, report.attention)


def test_upsert_replaces_objects_that_are_there_under_their_ids_and_adds_the_others(lake, tmp_path):
    ingest(lake, stars(tmp_path, "a", [(n, 0.1) for n in range(50)]), "create")
    before = ids(lake)
    report = ingest(lake, stars(tmp_path, "b", [(n, 0.2) for n in range(9, 59)]), "upsert")
    assert (report.rows, report.overlaps) == (50, 41)
    assert not report.attention
    assert content(lake) == {n: 0.1 if n < 9 else 0.2 for n in range(59)}
    assert {n: i for n, i in ids(lake).items() if n in before} == before


def test_upsert_replaces_all_rows_of_an_object(lake, tmp_path):
    ingest(lake, stars(tmp_path, "a", [(1, 0.1), (1, 0.2), (2, 0.3)]), "create")
    before = lake["stars"].table().collect().filter(pl.col("source_id") == 1)["object_id"]
    ingest(lake, stars(tmp_path, "b", [(1, 0.5)]), "upsert")
    assert content(lake) == {1: 0.5, 2: 0.3}
    assert ids(lake)[1] in before.to_list()


def test_upsert_needs_to_know_what_tells_objects_apart(lake, tmp_path):
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"object_id": [1], "feh": [0.1]}))
    with pytest.raises(DataRefusedError, match="tell the objects apart"):
        ingest(lake, stars(tmp_path, "a", [(1, 0.1)]), "upsert")


def test_images_of_a_changed_file_are_replaced_too(lake, tmp_path):
    (tmp_path / "a").write_text("1 2 3")
    (tmp_path / "b").write_text("4")
    files, how = [tmp_path / "a", tmp_path / "b"], {"name": "maps", "reader": numbered_images}
    hven.ingest_files(lake, files, **how)
    (tmp_path / "a").write_text("2 5")
    report = hven.ingest_files(lake, files, mode="append", **how)
    assert (report.replaced, report.skipped) == ((str(tmp_path / "a"),), (str(tmp_path / "b"),))
    data = lake["maps"].dataset().compute()
    assert sorted(data["n"].values.tolist()) == [2, 4, 5]
    assert (data["flux"].values[:, 0, 0, 0] == data["n"].values).all()
    assert "_file" not in data
    assert "_file" not in lake["maps"].entry.columns


def test_rows_edited_by_hand_are_still_known_to_be_of_their_file(lake, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("source_id,feh\n1,0.1\n2,0.2\n3,0.3\n")
    hven.ingest_files(lake, table, name="t", options={"identity": ["source_id"]})
    with lake.transaction() as tx:
        tx.delete("t", "feh > 0.25")
    table.write_text("source_id,feh\n1,0.5\n")
    hven.ingest_files(lake, table, name="t", mode="append", options={"identity": ["source_id"]})
    assert lake["t"].table(["source_id", "feh"]).collect().rows() == [(1, 0.5)]


def test_tables_of_which_only_some_files_know_where_rows_are_from_are_read(lake, tmp_path):
    with lake.transaction() as tx:
        tx.write("t", pl.DataFrame({"object_id": [1], "source_id": [1], "feh": [0.1]}), identity=("source_id",))
    table = tmp_path / "t.csv"
    table.write_text("source_id,feh\n2,0.2\n")
    hven.ingest_files(lake, table, name="t", mode="append", options={"identity": ["source_id"]})
    assert lake["t"].table(["source_id"]).collect()["source_id"].to_list() == [1, 2]
    lake.compact("t")
    assert sorted(lake["t"].table(["source_id"]).collect()["source_id"].to_list()) == [1, 2]


def test_the_list_of_files_is_kept_beside_the_catalog_and_put_together_when_it_is_in_many_pieces(lake, tmp_path):
    for number in range(25):
        ingest(lake, stars(tmp_path, str(number), [(number, 0.0)]), "append" if number else "create")
    stars(tmp_path, "3", [(3, 0.5)])
    ingest(lake, tmp_path / "3.stars")
    entry = lake["stars"].entry
    assert len(entry.provenance["file_lists"]) <= 9
    known, number = known_files(lake, entry)
    assert sorted(file.name for file in known) == sorted(f"{n}.stars" for n in range(25))
    assert number == 26
    assert len(str(entry.to_json())) < 20_000
    assert str(tmp_path) not in lake.catalog.to_json().decode()


def test_rows_without_an_identity_are_objects_of_their_own_and_replace_none(tmp_path):
    (tmp_path / "a.csv").write_text("source_id,ra,dec\n7,10,1\n,11,1\n,12,1\n")
    (tmp_path / "b.csv").write_text("source_id,ra,dec\n7,10.5,1\n,13,1\n")
    lake = hven.create(tmp_path / "lake")
    first = hven.ingest_files(lake, tmp_path / "a.csv", name="stars", progress=False)
    assert (first.rows, first.repeats) == (3, 0)
    hven.ingest_files(lake, tmp_path / "b.csv", name="stars", mode="upsert", progress=False)
    table = lake["stars"].table(["source_id", "ra"]).collect().sort("ra")
    assert table.rows() == [(7, 10.5), (None, 11.0), (None, 12.0), (None, 13.0)]
