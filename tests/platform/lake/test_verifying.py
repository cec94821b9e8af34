"""What is wrong with a lake is found and named; what can be put right without guessing is put right."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import hven
from hven import errors
from hven.cli import app
from hven.lake import repair, tables, verify
from hven.lake.chain import forget_catalogs


@pytest.fixture
def full(lake, stars, spectra):
    with lake.transaction() as tx:
        tx.write("stars", stars)
        tx.write("spectra", spectra)
    lake.release("dr1")
    with lake.transaction() as tx:
        tx.append("stars", stars.with_columns(object_id=pl.col("object_id") + 10**6))
        tx.append("spectra", spectra.assign(object_id=spectra.object_id + 10**6))
    return lake


def copied(lake, tmp_path):
    return hven.open(shutil.copytree(lake.url, tmp_path / "copy"))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))


def test_a_whole_lake_has_no_fault_at_any_depth(full):
    assert verify(full) == []
    assert verify(full, is_deep=True) == []
    full.vacuum(keep=1, grace=timedelta(0), dry_run=False)
    assert verify(full, is_deep=True) == []


def test_a_damaged_file_of_a_table_is_named_with_its_objects(full, stars, tmp_path):
    again = copied(full, tmp_path)
    part = again["stars"].source.parts[1]
    flip(Path(again.url) / again["stars"].entry.pin.path / part.path)
    assert verify(again) == []
    [fault] = verify(again, is_deep=True)
    assert (fault.dataset, fault.catalog, fault.objects) == ("stars", 2, (5_000, 9_999))
    assert "damaged" in fault.what
    assert fault.where.endswith(part.path)


def test_files_that_are_short_or_missing_are_found_without_reading(full, tmp_path):
    again = copied(full, tmp_path)
    first, second = (Path(again.url) / again["stars"].entry.pin.path / p.path for p in again["stars"].source.parts)
    first.write_bytes(first.read_bytes()[:-10])
    second.unlink()
    faults = [f for f in verify(again) if f.catalog == 2]
    assert [f.objects for f in faults] == [(0, 4_999), (5_000, 9_999)]
    assert "bytes instead of" in faults[0].what
    assert "missing" in faults[1].what


def test_a_damaged_chunk_is_named_with_its_objects(full, tmp_path):
    again = copied(full, tmp_path)
    chunks = sorted(
        (Path(again.url) / again["spectra"].entry.pin.path / "chunks").iterdir(), key=lambda p: p.stat().st_size
    )
    flip(chunks[-1])
    faults = verify(again, is_deep=True)
    assert faults
    assert all(f.dataset == "spectra" and "damaged" in f.what and f.objects is not None for f in faults)


def test_statistics_that_are_not_true_and_ids_that_repeat_are_found(lake, monkeypatch):
    frame = pl.DataFrame({"object_id": [1, 2, 3], "x": [0.0, 1.0, 2.0], "n": [None, 1, 2]})
    whole = tables._statistics

    def false(data):
        told = whole(data)
        return told | {"maxValues": told["maxValues"] | {"x": 1.0}, "nullCount": told["nullCount"] | {"n": 0}}

    with monkeypatch.context() as patch, lake.transaction() as tx:
        patch.setattr(tables, "_statistics", false)
        tx.write("wrong", frame)
    with monkeypatch.context() as patch, lake.transaction() as tx:
        patch.setattr("hven.lake.transaction.check_ids", lambda *_: None)
        tx.write("twice", frame.with_columns(object_id=pl.Series([1, 2, 2])))
    told = {(f.dataset, f.what) for f in verify(lake, is_deep=True)}
    assert told == {
        ("wrong", "column 'x' goes from 0 to 2, and its statistics say 0 to 1"),
        ("wrong", "column 'n' has 1 nulls, and its statistics say 0"),
        ("twice", "1 object_id repeat"),
    }


def test_damage_of_catalogs_schemas_and_releases_is_found(full, tmp_path):
    again = copied(full, tmp_path)
    root = Path(again.url)
    flip(root / "catalogs" / "00000000.json")
    flip(root / "schemas" / f"{again['stars'].entry.schema}.json")
    (root / "releases" / "dr2.json").write_text("{")
    hven.lake.schemas.forget_schemas()
    forget_catalogs()
    faults = verify(again)
    assert {f.where.split("/")[0] for f in faults} == {"catalogs", "releases", "data"}
    said = CliRunner().invoke(app, ["verify", "--lake", again.url, "--json"])
    assert said.exit_code == 1
    assert len(json.loads(said.output)) == len(faults)


@pytest.mark.parametrize("damage", ["empty", "flipped", "gone"])
def test_a_newest_catalog_that_is_torn_or_gone_is_repaired_and_the_lake_goes_on(full, tmp_path, damage):
    again = copied(full, tmp_path)
    newest = Path(again.url) / "catalogs" / "00000002.json"
    {"empty": lambda: newest.write_bytes(b""), "flipped": lambda: flip(newest), "gone": newest.unlink}[damage]()
    forget_catalogs()
    with pytest.raises(errors.LakeFormatError, match="repair"):
        _ = hven.open(again.url).catalog
    assert len(repair(again.url)) == 1
    said = CliRunner().invoke(app, ["repair", "--yes", "--lake", again.url])
    assert said.exit_code == 0, said.output
    mended = hven.open(again.url)
    assert mended.number == (1 if damage == "gone" else 3)
    assert mended["stars"].table().collect().height == 5_000
    assert repair(again.url) == []
    with mended.transaction() as tx:
        tx.write("more", pl.DataFrame({"object_id": np.arange(3)}))
    assert verify(mended, is_deep=True) == []
    assert "nothing to repair" in CliRunner().invoke(app, ["repair", "--lake", again.url]).output
