"""Which files an ingest takes: folders, patterns, links, archives, and what is passed over."""

import bz2
import gzip
import lzma
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

import hven
from hven.errors import TooMuchDataError, UnreadableFileError
from hven.ingest.files import find_files
from hven.ingest.hive_folders import folder_values
from hven.plugins import local_file, plugins

ROWS = "source_id,ra,dec\n1,10,20\n2,11,21\n"


def written(folder, *names, text=ROWS):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def names(found, folder):
    return [os.path.relpath(file, folder) for file in found.files]


def test_hidden_files_backups_and_leftovers_are_passed_over_and_counted(tmp_path):
    left = (
        ".stars.csv", "._stars.csv", ".ipynb_checkpoints/stars-checkpoint.csv", ".Trash-1000/files/stars.csv",
        "__MACOSX/stars.csv", "stars.csv~", "stars.csv.bak", "_SUCCESS", "_metadata", "#stars.csv#",
    )  # fmt: skip
    written(tmp_path, "stars.csv", "night/a.csv", "readme.md", *left)
    found = find_files(str(tmp_path))
    assert names(found, tmp_path) == ["night/a.csv", "stars.csv"]
    hidden, others = found.notes
    assert f"({len(left)})" in hidden.text
    assert "1 .md" in others.text


def test_several_paths_to_one_file_give_it_once(tmp_path, monkeypatch):
    written(tmp_path, "stars.csv")
    (tmp_path / "link.csv").symlink_to(tmp_path / "stars.csv")
    monkeypatch.chdir(tmp_path)
    assert find_files(["stars.csv", "./stars.csv", str(tmp_path / "stars.csv"), "link.csv"]).files == ("stars.csv",)


def test_folders_that_link_to_each_other_end(tmp_path):
    written(tmp_path, "a/stars.csv")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert names(find_files(str(tmp_path)), tmp_path) == ["a/stars.csv"]


def test_a_pattern_that_fits_no_file_is_refused_though_others_fit(tmp_path):
    written(tmp_path, "a.csv")
    with pytest.raises(UnreadableFileError, match="fits no file") as refused:
        find_files([str(tmp_path / "*.csv"), str(tmp_path / "*.fits")])
    assert refused.value.where == str(tmp_path / "*.fits")


def test_values_of_folders_become_columns_with_one_type(tmp_path):
    written(tmp_path, "field=COSMOS/ccd=1/a.csv", "field=XMM%20LSS/ccd=12/a.csv")
    lake = hven.create(tmp_path / "lake")
    hven.ingest_files(lake, [str(tmp_path / "field=*")], name="stars", progress=False)
    rows = lake["stars"].table(["field", "ccd"]).unique().sort("ccd").collect().rows()
    assert rows == [("COSMOS", 1), ("XMM LSS", 12)]


def test_leading_zeros_and_mixed_values_of_folders_stay_texts():
    values = folder_values(["tile=007/a.csv", "tile=12/a.csv", "x=1/obs/a.csv"])
    assert values == {"tile=007/a.csv": {"tile": "007"}, "tile=12/a.csv": {"tile": "12"}}


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("ending", [*PACKERS, "zst", "zip"])
def test_a_compressed_file_goes_in_as_the_plain_one(tmp_path, ending):
    packed = tmp_path / f"stars.csv.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("__MACOSX/._stars.csv", b"\x00\x05")
            archive.writestr("in/stars.csv", ROWS)
    elif ending == "zst":
        packed.write_bytes(pa.compress(ROWS.encode(), "zstd", asbytes=True))
    else:
        packed.write_bytes(PACKERS[ending](ROWS.encode()))
    lake = hven.create(tmp_path / "lake")
    report = hven.ingest_files(lake, packed, name="stars", progress=False)
    assert report.rows == 2
    assert plugins().reader_for(str(packed)).name == "csv"


def test_the_members_of_an_archive_are_files_of_their_own(tmp_path):
    with zipfile.ZipFile(tmp_path / "survey.zip", "w") as archive:
        archive.writestr("a.csv", ROWS)
        archive.writestr("b.csv", ROWS.replace("1,", "3,").replace("2,", "4,"))
    found = find_files(str(tmp_path / "survey.zip"))
    assert [Path(str(file)).name for file in found.files] == ["survey.zip::a.csv", "survey.zip::b.csv"]
    lake = hven.create(tmp_path / "lake")
    assert hven.ingest_files(lake, tmp_path / "survey.zip", name="stars", progress=False).rows == 4


def test_a_cut_archive_is_told_under_its_own_name(tmp_path):
    packed = tmp_path / "stars.csv.gz"
    packed.write_bytes(gzip.compress(os.urandom(5000))[:-200])
    lake = hven.create(tmp_path / "lake")
    with pytest.raises(UnreadableFileError, match="not whole") as refused:
        hven.ingest_files(lake, packed, name="stars", progress=False)
    assert refused.value.where == str(packed)


def test_an_expansion_without_measure_is_refused(tmp_path, monkeypatch):
    packed = tmp_path / "zeros.csv.gz"
    packed.write_bytes(gzip.compress(bytes(5 * 10**6)))
    monkeypatch.setenv("HVEN_LARGEST_EXPANDED", "1 MB")
    with pytest.raises(TooMuchDataError, match=r"expands.*HVEN_LARGEST_EXPANDED"), local_file(str(packed)):
        pass
    monkeypatch.setenv("HVEN_LARGEST_EXPANDED", "6MB")
    with local_file(str(packed)) as local:
        assert Path(local).stat().st_size == 5 * 10**6


FOREIGN = {
    "a.pdf": (b"%PDF-1.7\n", "a PDF document"),
    "a.root": (b"root\x00\x00\xf7\x6c\x00\x00", "a ROOT file"),
    "a.asdf": (b"#ASDF 1.0.0\n", "an ASDF file"),
    "a.pkl": (b"\x80\x04\x95\x05\x00\x00\x00K\x01.", "a Python pickle"),
    "empty.csv": (b"", "an empty file"),
    "lfs.fits": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n", "a pointer of Git LFS"),
    "annex.fits": (b"/annex/objects/SHA256E-s12--aa.fits\n", "a pointer of git-annex"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    "a.orc": (b"ORC\x00", "an ORC file"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_no_reader_reads_is_refused_by_name(tmp_path, name):
    content, what = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    explained = plugins().explain(str(tmp_path / name))
    assert explained.chosen is None
    assert explained.claims[0][1].what == what


@pytest.mark.parametrize(
    ("inside", "what"), [("zarr.json", "a Zarr store"), (".zgroup", "a Zarr store"), ("hven.json", "a lake of hven")]
)
def test_a_folder_that_is_another_store_is_refused_by_name_and_not_searched(tmp_path, inside, what):
    written(tmp_path, f"store/{inside}", "store/c/stars.csv")
    lake = hven.create(tmp_path / "lake")
    with pytest.raises(hven.HvenError, match=what):
        hven.ingest_files(lake, tmp_path / "store", name="stars", progress=False)


@pytest.mark.parametrize(
    ("folder", "values", "noted"),
    [("field=A", "A A", False), ("field=A", "A Z", True), ("field=5", "5 5", False), ("field=5", "5 6", True)],
)
def test_a_column_that_does_not_say_what_its_folder_says_needs_attention(tmp_path, folder, values, noted):
    (tmp_path / "data" / folder).mkdir(parents=True)
    one, two = values.split()
    (tmp_path / "data" / folder / "a.csv").write_text(f"id,field\n1,{one}\n2,{two}\n")
    lake = hven.create(tmp_path / "lake")
    report = hven.ingest_files(lake, tmp_path / "data", name="t", progress=False)
    assert bool([note for note in report.attention if "name of its folder" in note.text]) == noted
    assert lake["t"].table(["id", "field"]).sort("id").collect()["field"].cast(str).to_list() == [one, two]
