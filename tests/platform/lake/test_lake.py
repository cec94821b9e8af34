import shutil
from datetime import timedelta

import polars as pl
import pytest

import hven
from hven import errors


def test_a_new_lake_is_empty_and_opens(tmp_path):
    lake = hven.create(tmp_path / "lake")
    again = hven.open(tmp_path / "lake")
    assert (len(lake), lake.number, again.id) == (0, 0, lake.id)
    assert [commit.message for commit in lake.log()] == ["created the lake"]


def test_a_lake_is_not_created_over_anything(tmp_path):
    hven.create(tmp_path / "lake")
    with pytest.raises(errors.LakeExistsError, match="there is a lake already"):
        hven.create(tmp_path / "lake")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("mine")
    with pytest.raises(errors.LakeExistsError, match="not empty"):
        hven.create(tmp_path / "full")
    with pytest.raises(errors.LakeExistsError, match="a file is in the way"):
        hven.create(tmp_path / "full" / "precious.txt")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["precious.txt"]


def test_what_is_no_lake_is_refused_by_name(tmp_path):
    with pytest.raises(errors.LakeNotFoundError, match="hven create"):
        hven.open(tmp_path)
    with pytest.raises(errors.LakeNotFoundError):
        hven.open(tmp_path / "nothing here")
    (tmp_path / "hven.json").write_text("{}")
    with pytest.raises(errors.LakeFormatError):
        hven.open(tmp_path)
    (tmp_path / "hven.json").write_text('{"format": 99, "lake": "x"}')
    with pytest.raises(errors.LakeFormatError, match="newer hven"):
        hven.open(tmp_path)


def test_time_travel_shows_a_lake_as_it_was(lake, stars):
    for value in (1.0, 2.0):
        with lake.transaction(f"feh {value}") as tx:
            tx.write("stars", stars.with_columns(feh=pl.lit(value)))
    assert [lake.at(n)["stars"].table().collect()["feh"][0] for n in (1, 2)] == [1.0, 2.0]
    assert [v.number for v in lake["stars"].versions()] == [2, 1]
    assert [c.number for c in lake.at(1).log()] == [1, 0]
    with pytest.raises(errors.VersionNotFoundError):
        lake.at(3)
    with pytest.raises(errors.ReadOnlyError), lake.at(1).transaction():
        pass


def test_a_handle_stays_at_the_commit_where_it_was_taken(lake, stars):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    before = lake["stars"]
    with lake.transaction() as tx:
        tx.delete("stars", "object_id IS NOT NULL")
    assert before.table().select(pl.len()).collect().item() == stars.height
    assert lake["stars"].table().select(pl.len()).collect().item() == 0


def test_a_release_names_one_commit_for_good(lake, stars):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    assert lake.release("dr1") == 1
    with lake.transaction() as tx:
        tx.drop("stars")
    assert "stars" in lake.at("dr1")
    assert "stars" not in lake
    assert lake.releases() == {"dr1": 1}
    assert hven.open(f"{lake.url}@dr1").number == 1
    with pytest.raises(errors.ReleaseExistsError):
        lake.release("dr1")
    with pytest.raises(errors.VersionNotFoundError, match="'dr1'"):
        lake.at("dr2")
    with pytest.raises(errors.NameRefusedError):
        lake.release("../dr1")
    with pytest.raises(errors.NameRefusedError):
        lake.release("7")


def test_a_release_whose_catalog_was_changed_is_refused(lake, stars):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    lake.release("dr1")
    key = "catalogs/00000001.json"
    lake.store.put(key, lake.store.get(key) + b" ")
    with pytest.raises(errors.LakeFormatError, match="not the one that release"):
        lake.at("dr1")


@pytest.mark.parametrize("verb", [shutil.move, shutil.copytree])
def test_a_moved_or_copied_lake_opens_under_blanks_and_accents(tmp_path, stars, spectra, verb):
    lake = hven.create(tmp_path / "first place")
    with lake.transaction() as tx:
        tx.write("stars", stars)
        tx.write("spectra", spectra)
    there = tmp_path / "détour é" / "second plåce"
    there.parent.mkdir()
    verb(lake.url, there)
    moved = hven.open(there)
    assert moved["stars"].table().collect().equals(stars)
    assert moved["spectra"].dataset().compute().drop_attrs().equals(spectra.set_coords("wavelength"))
    with moved.transaction() as tx:
        tx.append("stars", stars.with_columns(object_id=pl.col("object_id") + 10**6))
    assert moved["stars"].entry.counts.rows == 2 * stars.height


def test_a_lake_made_anew_at_the_same_place_is_not_taken_for_the_old_one(tmp_path, stars):
    for count in (10, 20):
        shutil.rmtree(tmp_path / "lake", ignore_errors=True)
        lake = hven.create(tmp_path / "lake")
        with lake.transaction() as tx:
            tx.write("stars", stars.head(count))
        assert lake["stars"].entry.counts.rows == count


def test_a_lost_hint_is_found_again(lake, stars):
    for _ in range(3):
        with lake.transaction() as tx:
            tx.write("stars", stars)
    for content in (None, b"garbage", b"999"):
        lake.store.delete("catalogs/latest")
        if content is not None:
            lake.store.put("catalogs/latest", content)
        assert hven.open(lake.url).number == 3


def test_a_catalog_that_is_garbage_is_told_and_the_ones_before_it_open(lake, stars):
    for _ in range(2):
        with lake.transaction() as tx:
            tx.write("stars", stars)
    lake.store.put("catalogs/00000002.json", b"{not json")
    again = hven.open(lake.url)
    with pytest.raises(errors.LakeFormatError, match=r"lake\.at\(number\)"):
        len(hven.lake.Lake(again.store, "another view", None))
    assert again.at(1)["stars"].entry.counts.rows == stars.height


def test_vacuum_keeps_releases_and_the_newest_and_removes_the_rest(lake, stars, spectra):
    for value in range(4):
        with lake.transaction() as tx:
            tx.write("stars", stars.with_columns(feh=pl.lit(float(value))))
            if value == 1:
                tx.write("spectra", spectra)
            if value == 3:
                tx.append("spectra", spectra.assign(object_id=spectra.object_id + 10**6))
    lake.release("dr1", 2)
    told = lake.vacuum(keep=1, grace=timedelta(0))
    assert told.catalogs == (3, 1, 0)
    assert lake.at(1)["stars"].table().collect().height == stars.height, "telling removes nothing"
    done = lake.vacuum(keep=1, grace=timedelta(0), dry_run=False)
    assert done == told
    assert len(done.places) == 2
    assert done.bytes > 0
    assert [c.number for c in lake.log()] == [4, 2]
    assert lake.at("dr1")["stars"].table().collect()["feh"][0] == 1.0
    assert lake.at("dr1")["spectra"].dataset().sizes["object"] == spectra.sizes["object"]
    assert (lake.at("dr1")["spectra"].dataset().flux.values == spectra.flux.values).all()
    assert lake["spectra"].dataset().compute().sizes["object"] == 2 * spectra.sizes["object"]
    with lake.transaction() as tx:
        tx.append("spectra", spectra.assign(object_id=spectra.object_id + 2 * 10**6))
    assert lake["spectra"].entry.counts.rows == 3 * spectra.sizes["object"]


def test_vacuum_within_the_grace_period_removes_nothing(lake, stars):
    for _ in range(3):
        with lake.transaction() as tx:
            tx.write("stars", stars)
    done = lake.vacuum(keep=1, dry_run=False)
    assert (done.catalogs, done.places, done.files) == ((), (), ())


def test_a_schema_that_is_garbage_or_gone_is_told(lake, stars):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    key = f"schemas/{lake['stars'].entry.schema}.json"
    for damage in (lambda: lake.store.put(key, b"[]"), lambda: lake.store.delete(key)):
        damage()
        with pytest.raises(errors.LakeFormatError, match="missing or damaged"):
            lake["stars"].schema["feh"]


@pytest.mark.parametrize("place", ["file.txt/lake", "file.txt", "/proc/lake"])
def test_a_lake_where_none_can_be_made_is_refused_with_a_code(tmp_path, place):
    (tmp_path / "file.txt").write_text("a file")
    with pytest.raises((errors.LakeExistsError, errors.StorageError)):
        hven.create(tmp_path / place)
    assert (tmp_path / "file.txt").read_text() == "a file"


def test_a_folder_that_cannot_be_read_is_not_taken_for_missing_files(lake, stars, monkeypatch, tmp_path):
    from pathlib import Path

    with lake.transaction() as tx:
        tx.write("stars", stars)
    # What was read of the lake is remembered; nothing is of its copy.
    fresh = hven.open(shutil.copytree(lake.url, tmp_path / "copy"))
    shutil.rmtree(fresh.store.local_path / fresh["stars"].entry.pin.path / "_delta_log")
    with pytest.raises(errors.LakeFormatError, match="hven drop"):
        _ = fresh["stars"].source.parts
    listed = Path.iterdir

    def refuse(self):
        if self.name == "_delta_log":
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(errors.StorageError, match="Permission denied"):
        _ = fresh["stars"].source.parts
