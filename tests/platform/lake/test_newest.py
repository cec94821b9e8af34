"""No acknowledged commit becomes invisible, whatever vacuums, hints, copies and crashes do: by a model of the chain."""

import json
import shutil
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import hven
from hven import errors
from hven.lake import chain
from hven.lake.identity import is_gapless, read_identity
from hven.lake.store import Store

NOW = timedelta(0)


def commit(lake, name):
    """One commit that adds a schedule of this name: the smallest that can be told from every other."""
    with lake.transaction(name) as tx:
        tx.schedule(name, {"name": name})
    return tx.commit_number


def copy_of(lake, url):
    """A copy of a lake, key by key, as it would be on any store."""
    there = Store.at(url)
    for key in lake.store.list(""):
        there.put(key, lake.store.get(key))
    return there


class Chain(RuleBasedStateMachine):
    """Writers that were opened at some time, with transactions that lie open over anything else; and the one truth."""

    def new_url(self):
        raise NotImplementedError

    @initialize()
    def create(self):
        self.url = self.new_url()
        self.writers = [hven.create(self.url)]
        self.acknowledged = set()
        self.count = 0
        self.open = []

    def _name(self):
        self.count += 1
        return f"commit-{self.count}"

    @rule()
    def open_another(self):
        self.writers = [*self.writers, hven.open(self.url)][-4:]

    @rule(writer=st.integers(0, 3), times=st.integers(1, 4))
    def write(self, writer, times):
        for _ in range(times):
            name = self._name()
            commit(self.writers[writer % len(self.writers)], name)
            self.acknowledged.add(name)

    @rule(writer=st.integers(0, 3))
    def begin(self, writer):
        name = self._name()
        context = self.writers[writer % len(self.writers)].transaction(name)
        context.__enter__().schedule(name, {"name": name})
        self.open.append((name, context))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9))
    def end(self, which):
        name, context = self.open.pop(which % len(self.open))
        context.__exit__(None, None, None)
        self.acknowledged.add(name)

    @rule(writer=st.integers(0, 3))
    def write_and_die_before_the_hint(self, writer):
        name = self._name()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chain, "remember", lambda *_: None)
            commit(self.writers[writer % len(self.writers)], name)
        self.acknowledged.add(name)

    @rule(keep=st.integers(1, 2), writer=st.integers(0, 3), others=st.integers(0, 2))
    def vacuum(self, keep, writer, others):
        """A vacuum, often after commits of others: what open transactions began with is gone then."""
        self.write(writer + 1, others)
        self.writers[writer % len(self.writers)].vacuum(keep=keep, grace=NOW, dry_run=False)

    @rule(kind=st.sampled_from(["gone", "garbage", "old", "empty"]), old=st.integers(0, 20))
    def spoil_the_hint(self, kind, old):
        store = self.writers[0].store
        if kind == "gone":
            store.delete("catalogs/latest")
        elif kind == "old":
            number = min(old, hven.open(self.url).number)
            store.put("catalogs/latest", json.dumps({"catalog": number, "transaction": "t"}).encode())
        else:
            store.put("catalogs/latest", b"{" if kind == "garbage" else b"")

    @precondition(lambda self: not self.open)
    @rule(lost=st.integers(0, 20), keeps_hint=st.booleans())
    def go_on_with_a_torn_copy(self, lost, keeps_hint):
        """A copy made while others wrote lacks any catalog but the newest, and has an old hint or none."""
        top = hven.open(self.url).number
        there = copy_of(self.writers[0], self.new_url())
        if lost < top:
            there.delete(f"catalogs/{lost:08d}.json")
        there.delete("catalogs/latest")
        if keeps_hint and lost < top:
            text = {"catalog": max(lost - 1, 0), "transaction": "t"}
            there.put("catalogs/latest", json.dumps(text).encode())
        self.url = there.url
        self.writers = [hven.open(self.url)]

    @invariant()
    def everything_acknowledged_is_seen_by_all(self):
        if not hasattr(self, "writers"):
            return
        for lake in (*self.writers, hven.open(self.url)):
            assert self.acknowledged <= set(lake.catalog.schedules)


class LocalChain(Chain):
    folder = None
    places = 0

    def new_url(self):
        type(self).places += 1
        return str(self.folder / f"lake-{self.places}")


def test_no_acknowledged_commit_becomes_invisible(tmp_path):
    LocalChain.folder = tmp_path
    run_state_machine_as_test(
        LocalChain,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        ),
    )


def test_a_writer_whose_base_was_removed_commits_on_top_of_the_newest(tmp_path):
    lake = hven.create(tmp_path / "lake")
    slow = hven.open(lake.url).transaction("slow")
    slow.__enter__().schedule("slow", {})
    for step in range(5):
        commit(lake, f"step-{step}")
    lake.vacuum(keep=1, grace=NOW, dry_run=False)
    slow.__exit__(None, None, None)
    assert hven.open(lake.url).number == 6
    assert set(lake.catalog.schedules) == {"slow", *(f"step-{step}" for step in range(5))}


def test_a_put_that_slept_through_commits_and_a_vacuum_fails(tmp_path):
    """Also when the newest was looked for in time: the number that was free then has a tombstone now."""
    lake = hven.create(tmp_path / "lake")
    for step in range(3):
        commit(lake, f"step-{step}")
    lake.vacuum(keep=1, grace=NOW, dry_run=False)
    for number in range(4):
        with pytest.raises(FileExistsError):
            lake.store.create(f"catalogs/{number:08d}.json", b"late")
    assert [c.number for c in lake.log()] == [3]
    with pytest.raises(errors.VersionNotFoundError):
        lake.at(1)


@pytest.mark.parametrize("hint", ["kept", "gone"])
def test_a_newest_catalog_that_is_gone_is_an_error_as_long_as_anything_knows_of_it(tmp_path, hint):
    lake = hven.create(tmp_path / "lake")
    commit(lake, "one")
    commit(lake, "two")
    assert lake.number == 2
    lake.store.delete("catalogs/00000002.json")
    if hint == "gone":
        lake.store.delete("catalogs/latest")
        with pytest.raises(errors.LakeFormatError, match="catalog 2 was published"):
            _ = lake.number  # It has seen it.
        return
    with pytest.raises(errors.LakeFormatError, match="catalog 2 was published"):
        hven.open(lake.url)
    assert set(hven.open(f"{lake.url}@1").catalog.schedules) == {"one"}


def old_lake(folder, kept):
    """A lake as format 1 left it: catalogs that a vacuum removed are gaps, and the hint is a bare number."""
    lake = hven.create(folder)
    for step in range(1, 7):
        commit(lake, f"step-{step}")
    for number in set(range(7)) - set(kept):
        lake.store.delete(f"catalogs/{number:08d}.json")
    lake.store.put("hven.json", json.dumps({"format": 1, "lake": lake.id}).encode())
    is_gapless.cache_clear()
    return lake.store


@pytest.mark.parametrize("hint", [None, b"2", b"6", b"999"])
def test_a_lake_of_format_1_opens_past_its_gaps_and_its_first_commit_closes_them(tmp_path, hint):
    store = old_lake(tmp_path / "lake", kept=(2, 5, 6))
    store.delete("catalogs/latest")
    if hint is not None:
        store.put("catalogs/latest", hint)
    lake = hven.open(store.url)
    assert lake.number == 6
    assert read_identity(store)[0] == 1, "opening changes nothing"
    assert lake.at(2).number == 2
    assert commit(lake, "new") == 7
    assert read_identity(store)[0] == 2
    assert len(store.list("catalogs")) == 9
    assert [c.number for c in hven.open(store.url).log()] == [7, 6, 5, 2]


def test_a_lake_of_a_newer_format_is_refused(tmp_path):
    lake = hven.create(tmp_path / "lake")
    lake.store.put("hven.json", json.dumps({"format": 3, "lake": lake.id}).encode())
    with pytest.raises(errors.LakeFormatError, match="format 3"):
        hven.open(lake.url)


def test_a_copied_lake_opens_at_its_newest_catalog_also_without_the_one_before(tmp_path):
    lake = hven.create(tmp_path / "lake")
    for step in range(4):
        commit(lake, f"step-{step}")
    copy = shutil.copytree(lake.url, tmp_path / "copy")
    (copy / "catalogs" / "00000003.json").unlink()
    (copy / "catalogs" / "latest").write_text('{"catalog": 2, "transaction": "t"}')
    again = hven.open(copy)
    assert again.number == 4
    assert commit(again, "more") == 5
    assert len(again.catalog.schedules) == 5
