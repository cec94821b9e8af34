"""Vacuums remove nothing that anybody writes, keeps or reaches through a link, whatever the clocks say."""

import time
from datetime import timedelta

import polars as pl
import pytest

import hven
from hven import errors
from hven.lake import Hold, hold, retention
from hven.lake.staging import StagedArrays
from hven.lake.store import Store
from simulated import make_spectra, make_stars

NOW = timedelta(0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(retention, "_PATIENCE", 0.1)


def more(data):
    return data.assign(object_id=data.object_id + 10**6)


@pytest.mark.parametrize("ahead", [0.0, 30 * 86_400.0])
def test_what_an_open_transaction_has_written_survives_a_vacuum_by_any_clock(lake, stars, spectra, monkeypatch, ahead):
    with lake.transaction() as tx:
        tx.write("spectra", spectra)
        tx.write("old", stars)
    with lake.transaction() as tx:
        tx.write("stars", stars)
        tx.append("spectra", more(spectra))
        tx.append("old", stars.with_columns(object_id=pl.col("object_id") + 10**6))
        with monkeypatch.context() as patch:
            clock = time.time
            patch.setattr(time, "time", lambda: clock() + ahead)
            done = hven.open(lake.url).vacuum(keep=1, grace=timedelta(days=7) if ahead else NOW, dry_run=False)
        assert set(done.passed_over.values()) == {"another process is writing it"}
        assert {place.split("/")[1] for place in done.passed_over} == {"stars", "spectra", "old"}
    again = hven.open(lake.url)
    assert again["stars"].table().collect().height == stars.height
    assert again["old"].table().collect().height == 2 * stars.height
    assert again["spectra"].dataset().compute().sizes["object"] == 2 * spectra.sizes["object"]


def test_the_branch_of_a_run_survives_as_long_as_its_hold(lake, spectra):
    with lake.transaction() as tx:
        tx.write("spectra", spectra)
    entry = lake["spectra"].entry
    staged = StagedArrays(lake.store, entry.pin.path, "run-1")
    with pytest.raises(KeyError, match="killed"), hold(lake.store, Hold("run-1", ("spectra",), lake.number)):
        staged.begin(str(entry.pin.version))
        done = lake.vacuum(keep=1, grace=timedelta(days=1), dry_run=False)
        assert done.passed_over == {entry.pin.path: "a run is writing it"}
        raise KeyError("killed")
    lake.vacuum(keep=1, grace=timedelta(days=1), dry_run=False)
    with staged.session() as session:
        assert staged.commit(session, [], "nothing") == entry.pin.version
    lake.vacuum(keep=1, grace=NOW, dry_run=False)
    with pytest.raises(errors.HvenError), staged.session():
        pass


def test_a_hold_counts_while_its_lock_is_held_and_one_that_cannot_be_read_counts_for_all(lake, stars):
    for _ in range(2):
        with lake.transaction() as tx:
            tx.write("stars", stars)
    lake.store.put("holds/torn.json", b'{"owner": "to')
    assert len(lake.vacuum(keep=1, grace=timedelta(days=1), dry_run=True).passed_over) == 2
    lake.store.put(
        "holds/torn.json", b'{"owner": "run", "names": ["stars"], "catalog": 1, "lock": "run-x", "beat": ""}'
    )
    with lake.lock("run-x"):
        done = lake.vacuum(keep=1, grace=NOW, dry_run=False)
        assert set(done.passed_over.values()) == {"a run is writing it"}
        assert done.catalogs == (0,), "the catalog that it reads is kept"
    assert len(lake.vacuum(keep=1, grace=NOW, dry_run=False).places) == 1


@pytest.mark.parametrize("where", ["data", "data/old", "inside"])
def test_nothing_is_removed_through_a_symbolic_link(lake, tmp_path, where):
    elsewhere = tmp_path / "elsewhere"
    for name in ("old", "kept"):
        with lake.transaction() as tx:
            tx.write(name, make_stars(0, 10))
    with lake.transaction() as tx:
        tx.drop("old")
    root = lake.store.local_path
    if where == "inside":
        elsewhere.mkdir()
        (elsewhere / "precious.parquet").write_text("precious")
        for place in (root / "data").glob("*/*/table"):
            (place / "linked").symlink_to(elsewhere)
    else:
        (root / where).rename(elsewhere)
        (root / where).symlink_to(elsewhere)
    before = sorted(path for path in elsewhere.rglob("*"))
    done = lake.vacuum(keep=1, grace=NOW, dry_run=False)
    assert "a symbolic link leads out of it" in done.passed_over.values()
    assert sorted(path for path in elsewhere.rglob("*")) == before
    assert lake["kept"].table().collect().height == 10


def test_a_dataset_that_is_restored_beside_a_vacuum_has_its_data(lake, stars, monkeypatch):
    """The restore is published after the vacuum has chosen what to keep, and before it comes to the files."""
    for value in (1.0, 2.0):
        with lake.transaction() as tx:
            tx.write("stars", stars.with_columns(feh=pl.lit(value)))
    other = hven.open(lake.url)
    with monkeypatch.context() as patch:
        bury = retention.bury

        def late(store, number, transaction):
            if number == 1:
                other.restore("stars", at=1)
            bury(store, number, transaction)

        patch.setattr(retention, "bury", late)
        lake.vacuum(keep=1, grace=NOW, dry_run=False)
    assert hven.open(lake.url)["stars"].table().collect()["feh"][0] == 1.0


def test_a_repository_keeps_the_young_branches_of_writers_without_locks(lake):
    spectra = make_spectra(0, 100)
    with lake.transaction() as tx:
        tx.write("spectra", spectra)
    pin = lake["spectra"].entry.pin
    StagedArrays(lake.store, pin.path, "txn-elsewhere").begin(str(pin.version))
    lake.vacuum(keep=1, grace=timedelta(days=1), dry_run=False)
    with StagedArrays(lake.store, pin.path, "txn-elsewhere").session() as session:
        assert not session.has_uncommitted_changes


def test_the_clock_of_a_store_dates_its_files(tmp_path):
    store = Store.at(tmp_path)
    store.put("a/b", b"")
    assert abs(store.now() - store.ages("a")["a/b"][0]) < 60
