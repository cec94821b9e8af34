"""Damage is an error with a code, never a wrong value."""

import random
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
from hven import errors
from hven.lake import tables
from hven.lake.chain import forget_catalogs
from hven.lake.schemas import forget_schemas
from simulated import make_spectra


def flipped(path, place, bit):
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(bytes(content))


def fresh(lake, tmp_path, name):
    """A copy of a lake, of which nothing has been read yet."""
    return hven.open(shutil.copytree(lake.url, tmp_path / name))


def test_one_bit_anywhere_in_a_catalog_is_an_error(lake, stars):
    with lake.transaction("first") as tx:
        tx.write("stars", stars, title="Stars of the disc")
    path = Path(lake.url) / "catalogs" / "00000001.json"
    whole, chance = path.read_bytes(), random.Random(1)
    places = [0, 3, 30, 90, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(200))]
    for place in places:
        flipped(path, place, chance.randrange(8))
        for read in (lambda: hven.open(lake.url).catalog["stars"], lambda: hven.open(lake.url).log()):
            forget_catalogs()
            with pytest.raises(errors.LakeFormatError):
                read()
        path.write_bytes(whole)
    forget_catalogs()
    assert hven.open(lake.url).catalog["stars"].title == "Stars of the disc"


@pytest.mark.parametrize("text", [b"", b"[]", b'{"metadata": []}', b'{"metadata": {"hven": {"format": 1}}}', b"null"])
def test_a_catalog_that_was_edited_is_an_error_with_a_code(lake, stars, text):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    lake.store.put("catalogs/00000001.json", text)
    forget_catalogs()
    with pytest.raises(errors.LakeFormatError, match=r"not a catalog|damaged"):
        _ = hven.open(lake.url).catalog


def test_one_bit_anywhere_in_a_schema_is_an_error(lake, stars):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    path = Path(lake.url) / "schemas" / f"{lake['stars'].entry.schema}.json"
    whole, chance = path.read_bytes(), random.Random(2)
    for _ in range(100):
        flipped(path, chance.randrange(len(whole)), chance.randrange(8))
        forget_schemas()
        with pytest.raises(errors.LakeFormatError, match="missing or damaged"):
            _ = lake["stars"].schema
        path.write_bytes(whole)


def test_one_bit_anywhere_in_a_chunk_is_an_error(lake, tmp_path):
    spectra = make_spectra(0, 2_500)
    names = xr.Variable("object", np.array([f"name {i}" for i in range(2_500)], dtype=object))
    with lake.transaction() as tx:
        tx.write("spectra", spectra.assign(name=names))
    chunks = sorted((Path(lake.url) / lake["spectra"].entry.pin.path / "chunks").iterdir())
    assert chunks
    chance = random.Random(3)
    for number in range(24):
        copy = fresh(lake, tmp_path, f"copy {number}")
        path = Path(copy.url) / chunks[number % len(chunks)].relative_to(lake.url)
        flipped(path, chance.randrange(path.stat().st_size), chance.randrange(8))
        with pytest.raises((errors.LakeFormatError, ValueError)):
            copy["spectra"].dataset().compute()
        source = copy["spectra"].source
        with pytest.raises(errors.LakeFormatError, match="damaged"):
            source.read(source.blocks(2_500)[0])


@pytest.mark.parametrize("text", [b"", b"\n"])
def test_an_empty_entry_of_the_log_of_a_table_is_an_error_and_nothing_builds_upon_it(lake, stars, tmp_path, text):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    with lake.transaction() as tx:
        tx.append("stars", stars.with_columns(object_id=pl.col("object_id") + 10**6))
    again = fresh(lake, tmp_path, "copy")
    again.store.put(f"{again['stars'].entry.pin.path}/_delta_log/{1:020d}.json", text)
    with pytest.raises(errors.LakeFormatError, match=r"is empty|objects"):
        again["stars"].table().collect()
    with pytest.raises(errors.LakeFormatError), again.transaction() as tx:
        tx.append("stars", stars.with_columns(object_id=pl.col("object_id") + 2 * 10**6))
    assert again.number == 2
    again.restore("stars", at=1)
    assert again["stars"].table().collect().height == stars.height


def test_files_that_do_not_hold_what_the_catalog_says_are_an_error(lake, stars, tmp_path):
    """Whatever made the engine tell of other files: here, its log goes on as if the last entry had never been."""
    with lake.transaction() as tx:
        tx.write("stars", stars)
        tx.write("spectra", make_spectra(0, 50))
    with lake.transaction() as tx:
        tx.append("stars", stars.with_columns(object_id=pl.col("object_id") + 10**6))
    again = fresh(lake, tmp_path, "copy")
    log = f"{again['stars'].entry.pin.path}/_delta_log"
    entry = again.store.get(f"{log}/{1:020d}.json").splitlines()
    again.store.put(f"{log}/{1:020d}.json", b"\n".join(line for line in entry if b'"add"' not in line))
    with pytest.raises(errors.LakeFormatError, match="5,000 objects"):
        again["stars"].table().collect()
    assert again["spectra"].dataset().sizes["object"] == 50


def test_the_names_of_the_files_of_a_table_say_what_is_in_them(lake, stars):
    import hashlib

    with lake.transaction() as tx:
        tx.write("stars", stars)
    with lake.transaction() as tx:
        tx.delete("stars", "feh > 0")
    source = lake["stars"].source
    for part in source.parts:
        content = lake.store.get(f"{source.pin.path}/{part.path}")
        assert hashlib.sha256(content).hexdigest().startswith(tables.file_digest(part.path))
        assert len(tables.file_digest(part.path)) == 32
