"""Columns called ra or dec that are no positions, arrays that tell rows apart, and paths that are no files of data."""

import os
import threading

import numpy as np
import pytest

import hven
from hven.errors import UnreadableFileError


@pytest.fixture
def lake(tmp_path):
    return hven.create(tmp_path / "lake")


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "options", "names"),
    [
        ("id,ra,g\n1,50060809.8,2\n2,10,3\n", {}, {"ra_file"}),
        ("id,dec\n1,100\n2,10\n", {}, {"dec_file"}),
        ("id,ra,dec\n1,-999,-999\n2,10,20\n", {"position": []}, {"ra_file", "dec_file"}),
        ("id,ra [km]\n1,100\n2,10\n", {}, {"ra_file"}),
    ],
)
def test_a_column_called_as_a_position_is_kept_under_another_name(tmp_path, lake, text, options, names):
    report = hven.ingest_files(lake, write(tmp_path / "t.csv", text), name="t", options=options, progress=False)
    assert names <= set(lake["t"].table().collect_schema().names())
    assert not {"ra", "dec"} & set(lake["t"].table().collect_schema().names())
    assert {note.column for note in report.attention} >= names


def test_angles_without_a_position_keep_their_names(tmp_path, lake):
    path = write(tmp_path / "t.csv", "id,ra\n1,100\n2,10\n3,\n")
    hven.ingest_files(lake, path, name="t", progress=False)
    assert lake["t"].table(["ra"]).collect()["ra"].null_count() == 1


@pytest.mark.parametrize(("arrays", "repeats"), [(np.arange(8.0).reshape(4, 2), 0), (np.zeros((4, 2)), 2)])
def test_rows_of_one_label_and_different_arrays_are_no_repeats(tmp_path, lake, arrays, repeats):
    np.savez(tmp_path / "t.npz", label=np.array([0, 0, 1, 1]), mags=arrays)
    report = hven.ingest_files(lake, tmp_path / "t.npz", name="t", progress=False)
    assert report.repeats == repeats
    assert len(report.attention) == (repeats > 0)
    np.savez(tmp_path / "u.npz", label=np.array([0, 1]), mags=arrays[:2] + 100)
    assert not hven.ingest_files(lake, tmp_path / "u.npz", name="t", mode="append", progress=False).overlaps


def test_pipes_and_lakes_in_a_folder_are_passed_over(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "a.csv", "id,x\n1,2\n")
    lake = hven.create(folder / "lake")
    os.mkfifo(folder / "pipe.csv")
    reports = []

    def ingest():
        reports.append(hven.ingest_files(lake, folder, name="t", progress=False))
        with pytest.raises(UnreadableFileError, match="a pipe"):
            hven.ingest_files(lake, folder / "pipe.csv", name="u", progress=False)
        reports.append(None)

    thread = threading.Thread(target=ingest, daemon=True)  # opening a pipe waits for ever
    thread.start()
    thread.join(60)
    assert len(reports) == 2
    report = reports[0]
    assert report.rows == 1
    assert not report.set_aside
    assert {"pipe.csv", "lake"} <= {word.split("/")[-1] for note in report.notes for word in note.text.split()}


@pytest.mark.parametrize(
    ("name", "options", "noted"),
    [("maps.npy", {}, True), ("maps.npy", {"layout": "nyx"}, False), ("stamps.npy", {}, False)],
)
def test_planes_that_only_their_shape_calls_images_need_attention(tmp_path, lake, name, options, noted):
    np.save(tmp_path / name, np.zeros((3, 30, 40)))
    report = hven.ingest_files(lake, tmp_path / name, name="t", options=options, progress=False)
    assert bool([note for note in report.attention if "because of its shape alone" in note.text]) == noted
