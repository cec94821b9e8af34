"""Ids of objects do not depend on how files are cut."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.ingest import object_ids as module
from hven.ingest.known_ids import KnownIds
from hven.ingest.object_ids import object_ids, text_hashes

ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 3), st.sampled_from([0.5, None, -0.25])),
    max_size=25,
)


def frame_of(rows):
    return pl.DataFrame(rows, schema={"name": pl.String, "visit": pl.Int64, "feh": pl.Float64}, orient="row")


def ids_of(frame, taken=None):
    return object_ids(frame.select("name", "visit"), frame, [KnownIds(taken)]).ids


@settings(deadline=None)
@given(ROWS, st.randoms())
def test_ids_are_unique_and_each_row_keeps_its_own_in_any_order(rows, random):
    ids = ids_of(frame_of(rows))
    assert len(set(ids.tolist())) == len(rows)
    assert not len(ids) or ids.min() >= 0
    shuffled = random.sample(rows, len(rows))
    again = ids_of(frame_of(shuffled))
    assert sorted(zip(rows, ids.tolist(), strict=True), key=repr) == sorted(
        zip(shuffled, again.tolist(), strict=True), key=repr
    )


@settings(deadline=None)
@given(ROWS, st.integers(0, 25))
def test_a_file_that_is_cut_in_two_gets_the_same_set_of_ids(rows, cut):
    whole = ids_of(frame_of(rows))
    first = ids_of(frame_of(rows[:cut]))
    second = ids_of(frame_of(rows[cut:]), taken=first)
    assert sorted([*first.tolist(), *second.tolist()]) == sorted(whole.tolist())


def test_ids_are_what_they_were_when_lakes_were_first_made():
    frame = frame_of([("2M00000002+7417074", 1, 0.1), ("2M00000002+7417074", 1, 0.2), (None, 2, 0.1)])
    assert ids_of(frame).tolist() == [6828653099928769802, 5391853204511860113, 6666345463233597205]


def test_the_type_that_a_file_gives_to_an_identity_does_not_matter():
    numbers, texts = pl.DataFrame({"id": [7, 2**60 + 1]}), pl.DataFrame({"id": ["7", str(2**60 + 1)]})
    assert object_ids(numbers, numbers).ids.tolist() == object_ids(texts, texts).ids.tolist()
    narrow = pl.DataFrame({"x": [0.5, None]}, schema={"x": pl.Float32})
    assert object_ids(narrow, narrow).ids.tolist() == object_ids(narrow.cast(pl.Float64), narrow).ids.tolist()


def test_hashes_that_collide_still_give_different_ids_in_any_order(monkeypatch):
    full = module._numbered
    monkeypatch.setattr(module, "_numbered", lambda hashes, number: full(hashes, number) >> 47)
    frame = pl.DataFrame({"name": [f"star {n}" for n in range(800)]})
    alone = [module._numbered(module.text_hashes(frame["name"])[[n]], np.zeros(1, int))[0] for n in range(800)]
    assert len(set(alone)) < 800
    ids = object_ids(frame, frame).ids
    assert len(set(ids.tolist())) == 800
    assert object_ids(frame.reverse(), frame.reverse()).ids.tolist() == ids[::-1].tolist()
    more = pl.DataFrame({"name": [f"sun {n}" for n in range(800)]})
    assert not set(object_ids(more, more, [KnownIds(ids)]).ids.tolist()) & set(ids.tolist())


def test_ids_do_not_depend_on_how_many_rows_are_hashed_at_a_time(monkeypatch):
    rows = [(name, visit, feh) for name in "abcd" for visit in (0, 1) for feh in (0.5, None, 0.5, -0.25)]
    whole = ids_of(frame_of(rows))
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", 3)
    assert ids_of(frame_of(rows)).tolist() == whole.tolist()
    some = whole[::3]
    taken = object_ids(frame_of(rows).select("name", "visit"), frame_of(rows), [KnownIds(some), KnownIds()])
    assert not set(taken.ids.tolist()) & set(some.tolist())
    assert [mask.tolist() for mask in taken.first_taken] == [np.isin(taken.first, some).tolist(), [False] * len(rows)]


def test_ids_fit_into_63_bits_and_are_spread():
    frame = pl.DataFrame({"id": np.arange(10_000)})
    ids = object_ids(frame, frame).ids
    assert ids.dtype == np.int64
    assert ids.min() >= 0
    assert 0.45 < (ids > 2**62).mean() < 0.55


@given(st.lists(st.text(max_size=40), max_size=20))
def test_a_text_has_its_hash_wherever_it_stands_and_whatever_stands_around_it(texts):
    together = text_hashes(pl.Series("name", texts, dtype=pl.String))
    assert together.tolist() == [hash_by_hand(text.encode()) for text in texts]
    sliced = pl.Series("name", ["before", *texts], dtype=pl.String)[1:]
    assert text_hashes(sliced).tolist() == together.tolist()


def hash_by_hand(content):
    hashed = mixed(len(content))
    for first in range(0, len(content), 8):
        hashed = mixed(hashed ^ int.from_bytes(content[first : first + 8], "little"))
    return hashed


def mixed(bits):
    """SplitMix64 as its authors give it, in Python's own integers."""
    bits = (bits + 0x9E3779B97F4A7C15) % 2**64
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % 2**64
    return bits ^ bits >> 31


def test_a_million_neighbouring_names_have_a_million_hashes():
    hashes = text_hashes(pl.Series(np.arange(1_000_000)).cast(pl.String))
    assert len(np.unique(hashes)) == 1_000_000
    ones = np.unpackbits(hashes.view(np.uint8)).reshape(-1, 64).mean(axis=0)
    assert abs(ones - 0.5).max() < 0.003
