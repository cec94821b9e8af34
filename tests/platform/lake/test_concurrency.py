"""Real processes at one lake: what is committed stays, what is not is never seen."""

import random
import subprocess
import sys
import textwrap
import threading
import time

import polars as pl
import pytest

import hven
from hven import errors
from simulated import make_spectra, make_stars

PRELUDE = """
    import sys
    import numpy as np, polars as pl, xarray as xr
    import hven
    lake, me = hven.open(sys.argv[1]), int(sys.argv[2])
    def rows(batch, count=5):
        return pl.DataFrame({"object_id": np.arange(count) + 1000 * batch, "batch": [batch] * count})
    def arrays(batch, count=5):
        flux = ("object", "wavelength"), np.full((count, 3), float(batch), "f4")
        return xr.Dataset({"object_id": ("object", np.arange(count) + 1000 * batch), "flux": flux})
"""


def start(lake, me, script):
    text = textwrap.dedent(PRELUDE) + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-c", text, lake.url, str(me)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(processes):
    for process in processes:
        out, err = process.communicate(timeout=150)
        assert process.returncode == 0, (out, err.decode())


def batch_rows(batch, count=5):
    return pl.DataFrame({"object_id": [1000 * batch + i for i in range(count)], "batch": [batch] * count})


def test_two_hundred_commits_from_eight_processes_lose_nothing(lake):
    with lake.transaction() as tx:
        tx.write("shared", batch_rows(0))
    script = """
        for step in range(25):
            batch = 1 + me * 25 + step
            with lake.transaction(f"batch {batch}") as tx:
                if step % 5:
                    tx.append(f"own_{me}", rows(batch)) if f"own_{me}" in lake else tx.write(f"own_{me}", rows(batch))
                else:
                    tx.append("shared", rows(batch))
    """
    finish([start(lake, me, script) for me in range(8)])
    assert lake.number == 201
    messages = sorted(commit.message for commit in lake.log() if commit.message.startswith("batch"))
    assert messages == sorted(f"batch {b}" for b in range(1, 201))
    tables = pl.concat([lake[name].table().collect() for name in lake])
    assert sorted(tables["batch"].unique()) == list(range(201))
    assert tables.height == 5 * 201
    assert lake["shared"].entry.counts.rows == 5 * 41


def test_two_processes_commit_to_different_datasets_at_once(lake):
    script = """
        for step in range(5):
            with lake.transaction() as tx:
                tx.write(f"stars_{me}", rows(step))
                tx.write(f"spectra_{me}", arrays(step))
    """
    finish([start(lake, me, script) for me in range(2)])
    assert lake.number == 10
    assert sorted(lake) == ["spectra_0", "spectra_1", "stars_0", "stars_1"]


def test_writers_of_one_dataset_of_arrays_take_turns(lake):
    with lake.transaction() as tx:
        tx.write("spectra", make_spectra(0, 5, 3)[["object_id", "flux"]].drop_vars("wavelength"))
    script = """
        for step in range(8):
            with lake.transaction() as tx:
                tx.append("spectra", arrays(1 + me * 8 + step))
    """
    finish([start(lake, me, script) for me in range(3)])
    ids = lake["spectra"].dataset()["object_id"].values // 1000
    assert sorted(set(ids.tolist())) == list(range(25))


def test_the_one_who_replaces_what_another_replaced_is_told(lake):
    with lake.transaction() as tx:
        tx.write("stars", batch_rows(0))
    with pytest.raises(errors.ConflictError, match="'stars' changed"), lake.transaction() as slow:
        with lake.transaction("fast") as fast:
            fast.write("stars", batch_rows(1))
        slow.write("stars", batch_rows(2))
    assert lake["stars"].table().collect()["batch"][0] == 1


def test_without_locks_the_loser_of_a_race_is_told_and_its_rows_are_not_seen(lake, monkeypatch):
    """As on an object store: no lock helps, the commit itself finds out."""
    from contextlib import nullcontext

    monkeypatch.setattr("hven.lake.transaction.locked", lambda *_, **__: nullcontext())
    with lake.transaction() as tx:
        tx.write("stars", batch_rows(0))
        tx.write("others", batch_rows(0))
    with pytest.raises(errors.ConflictError, match="'stars'"), lake.transaction("slow") as slow:
        slow.append("stars", batch_rows(1))
        slow.append("others", batch_rows(1))
        with lake.transaction("fast") as fast:
            fast.append("stars", batch_rows(2))
    assert sorted(lake["stars"].table().collect()["batch"].unique()) == [0, 2]
    assert sorted(lake["others"].table().collect()["batch"].unique()) == [0]
    with lake.transaction("again") as again:
        again.append("stars", batch_rows(1))
    assert sorted(lake["stars"].table().collect()["batch"].unique()) == [0, 1, 2]


def test_a_writer_that_waits_too_long_is_told_who_to_wait_for(lake, monkeypatch):
    with lake.transaction() as tx:
        tx.write("stars", batch_rows(0))
    monkeypatch.setattr("hven.lake.locks.PATIENCE", 0.05)
    with lake.transaction() as one:
        one.append("stars", batch_rows(1))
        with pytest.raises(errors.ConflictError, match="being written by another process"), lake.transaction() as two:
            two.append("stars", batch_rows(2))
    assert sorted(lake["stars"].table().collect()["batch"].unique()) == [0, 1]


@pytest.mark.parametrize("seed", range(2))
def test_writers_killed_at_random_leave_no_row_of_theirs_visible(lake, seed):
    with lake.transaction() as tx:
        tx.write("stars", batch_rows(0))
        tx.write("spectra", make_spectra(0, 5, 3)[["object_id", "flux"]].drop_vars("wavelength"))
    script = """
        for step in range(1, 1000):
            batch = me * 1000 + step
            with lake.transaction(f"batch {batch}") as tx:
                tx.append("stars", rows(batch, 50))
                tx.append("spectra", arrays(batch))
            print(batch, flush=True)
    """
    chance = random.Random(seed)
    for me in range(1, 6):
        process = start(lake, me, script)
        for _ in range(chance.randint(1, 6)):
            assert process.stdout.readline().strip().isdigit(), "it commits"
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.communicate()
    published = {int(c.message.split()[1]) for c in lake.log() if c.message.startswith("batch")}
    assert len(published) >= 5
    seen = lake["stars"].table().collect()
    assert set(seen["batch"].unique()) - {0} == published
    assert seen.height == 5 + 50 * len(published)
    ids = lake["spectra"].dataset()["object_id"].values // 1000
    assert set(ids.tolist()) - {0} == published
    with lake.transaction("the next one") as tx:
        tx.append("stars", batch_rows(77_777))
    assert set(lake["stars"].table().collect()["batch"].unique()) == published | {0, 77_777}


def test_a_reader_sees_whole_commits_only(lake):
    """Two datasets are always changed together; whoever looks while they change finds them equal."""
    with lake.transaction() as tx:
        tx.write("one", batch_rows(0))
        tx.write("two", batch_rows(0))
    script = """
        for batch in range(1, 15):
            with lake.transaction() as tx:
                tx.append("one", rows(batch))
                tx.append("two", rows(batch))
    """
    process = start(lake, 0, script)
    looks = 0
    while process.poll() is None:
        view = hven.open(lake.url).pinned()
        one, two = (set(view[name].table().collect()["batch"]) for name in ("one", "two"))
        assert one == two
        looks += 1
    finish([process])
    assert looks > 3
    assert set(lake["one"].table().collect()["batch"]) == set(range(15))


def test_a_star_table_survives_many_small_appends(lake):
    """Over a hundred Delta versions: delta-rs writes checkpoints, and pinned versions still open."""
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 10))
    for step in range(1, 112):
        with lake.transaction() as tx:
            tx.append("stars", make_stars(10 * step, 10))
    assert lake["stars"].entry.counts.rows == 1120
    assert lake.at(50)["stars"].table().collect().height == 500
    assert hven.open(lake.url)["stars"].table().collect().height == 1120


def test_two_writers_in_opposite_order_do_not_wait_for_one_another(lake, monkeypatch):
    """The one that is out of order gives up soon, with a code; the other one, which may wait for long, goes on."""
    monkeypatch.setattr("hven.lake.transaction.SHORT_PATIENCE", 1.0)
    with lake.transaction() as tx:
        tx.write("a", batch_rows(0))
        tx.write("b", batch_rows(0))
    holds_both, ended = threading.Barrier(2), []

    def write(first, second, number):
        try:
            with hven.open(lake.url).transaction(f"writer {number}") as tx:
                tx.append(first, batch_rows(number))
                holds_both.wait(timeout=60)
                tx.append(second, batch_rows(number))
            ended.append((number, "published"))
        except errors.ConflictError:
            ended.append((number, "conflict"))

    writers = [threading.Thread(target=write, args=args) for args in (("a", "b", 1), ("b", "a", 2))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
    assert sorted(ended) == [(1, "published"), (2, "conflict")]
    assert [c.message for c in lake.log(1)] == ["writer 1"]
    assert {name: lake[name].entry.counts.rows for name in lake} == {"a": 10, "b": 10}
