"""Ids of objects do not depend on how files are cut."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.ingest import object_ids as module
from hven.ingest.object_ids import object_ids

ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 3), st.sampled_from([0.5, None, -0.25])),
    max_size=25,
)


def frame_of(rows):
    return pl.DataFrame(rows, schema={"name": pl.String, "visit": pl.Int64, "feh": pl.Float64}, orient="row")


def ids_of(frame, taken=None):
    return object_ids(frame.select("name", "visit"), frame, taken)


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
    assert ids_of(frame).tolist() == [5771827503036661423, 8759379842685225274, 1428443112992660629]


def test_the_type_that_a_file_gives_to_an_identity_does_not_matter():
    numbers, texts = pl.DataFrame({"id": [7, 2**60 + 1]}), pl.DataFrame({"id": ["7", str(2**60 + 1)]})
    assert object_ids(numbers, numbers).tolist() == object_ids(texts, texts).tolist()
    narrow = pl.DataFrame({"x": [0.5, None]}, schema={"x": pl.Float32})
    assert object_ids(narrow, narrow).tolist() == object_ids(narrow.cast(pl.Float64), narrow).tolist()


def test_hashes_that_collide_still_give_different_ids_in_any_order(monkeypatch):
    full = module._digest
    monkeypatch.setattr(module, "_digest", lambda text: full(text)[:2] + bytes(6))
    frame = pl.DataFrame({"name": [f"star {n}" for n in range(800)]})
    assert len({full(name.encode())[:2] for name in frame["name"]}) < 800
    ids = object_ids(frame, frame)
    assert len(set(ids.tolist())) == 800
    assert object_ids(frame.reverse(), frame.reverse()).tolist() == ids[::-1].tolist()
    more = pl.DataFrame({"name": [f"sun {n}" for n in range(800)]})
    assert not set(object_ids(more, more, ids).tolist()) & set(ids.tolist())


def test_ids_fit_into_63_bits_and_are_spread():
    frame = pl.DataFrame({"id": np.arange(10_000)})
    ids = object_ids(frame, frame)
    assert ids.dtype == np.int64
    assert ids.min() >= 0
    assert 0.45 < (ids > 2**62).mean() < 0.55
