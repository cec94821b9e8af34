"""Compaction makes few files of many, in the order of the sky, and changes no object."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hven
from hven import errors
from simulated import make_spectra, make_stars


def many(lake, sizes, name="stars"):
    with lake.transaction() as tx:
        first = 0
        for size in sizes:
            (tx.append if first else tx.write)(name, make_stars(first, size))
            first += size
    return lake


def test_small_files_become_one_in_the_order_of_the_sky(lake):
    many(lake, [50] * 20)
    before = lake["stars"].table().collect()
    done = lake.compact("stars")
    assert (done.before, done.after, done.rows) == (20, 1, 1_000)
    after = lake["stars"].table().collect()
    assert after["_healpix_29"].is_sorted()
    assert after.sort("object_id").equals(before.sort("object_id"))
    assert lake["stars"].entry.counts.rows == 1_000
    assert lake["stars"].entry.coverage == lake.at(lake.number - 1)["stars"].entry.coverage
    assert lake.at(lake.number - 1)["stars"].table().collect().equals(before), "the older state stays as it was"


def test_a_dataset_in_good_shape_is_left_alone(lake):
    many(lake, [100, 100])
    assert lake.compact("stars") is not None
    number = lake.number
    assert lake.compact("stars") is None
    assert lake.number == number


@settings(max_examples=25)
@given(sizes=st.lists(st.integers(3, 60), min_size=2, max_size=12), most=st.integers(2, 80))
def test_any_files_become_files_of_at_most_about_the_size_asked_for(tmp_path_factory, sizes, most):
    lake = many(hven.create(tmp_path_factory.mktemp("any") / "lake"), sizes)
    before = lake["stars"].table().collect().sort("object_id")
    large = {part for part in lake["stars"].source.parts if part.rows >= most // 2}
    lake.compact("stars", rows=most)
    parts = lake["stars"].source.parts
    assert large <= set(parts), "what is large enough is not written again"
    assert all(part.rows <= most for part in set(parts) - large)
    assert lake["stars"].table().collect().sort("object_id").equals(before)
    lake.compact("stars", rows=most)
    assert len(lake["stars"].source.parts) <= len(parts)


def test_rows_without_a_place_and_tables_without_places_are_kept(lake):
    frame = pl.DataFrame({"object_id": [3, 1, 2], "_healpix_29": [None, 7, 5], "v": [1.0, None, 3.0]})
    bare = pl.DataFrame({"v": ["a", None]})
    with lake.transaction() as tx:
        tx.write("odd", frame)
        tx.append("odd", frame.with_columns(object_id=pl.col("object_id") + 10))
        tx.write("bare", bare)
        tx.append("bare", bare)
    assert lake.compact("odd").after == 1
    assert lake["odd"].table().collect()["object_id"].to_list() == [2, 12, 1, 11, 3, 13]
    assert lake.compact("bare").after == 1
    assert lake["bare"].table().collect()["v"].to_list() == ["a", None, "a", None]


def test_spectra_are_compacted_too(lake):
    with lake.transaction() as tx:
        tx.write("spectra", make_spectra(0, 40))
        for first in (40, 70, 90):
            tx.append("spectra", make_spectra(first, 20))
    before = lake["spectra"].dataset().compute()
    done = lake.compact("spectra")
    assert (done.before, done.after, len(lake["spectra"].source.parts)) == (4, 1, 1)
    assert lake["spectra"].dataset().compute().identical(before)


def test_spectra_with_places_come_in_the_order_of_the_sky(lake):
    with lake.transaction() as tx:
        for first in range(0, 60, 10):
            cells = np.random.default_rng(first).integers(0, 2**60, 10)
            data = make_spectra(first, 10).assign(_healpix_29=("object", cells))
            (tx.append if first else tx.write)("spectra", data)
    before = lake["spectra"].dataset().compute()
    lake.compact("spectra", rows=25)
    after = lake["spectra"].dataset().compute()
    assert len(lake["spectra"].source.parts) == 3
    assert (np.diff(after["_healpix_29"]) >= 0).all()
    assert after.identical(before.isel(object=np.argsort(before["_healpix_29"].values)))


def test_what_is_not_there_or_pinned_is_refused(lake):
    with pytest.raises(errors.DatasetNotFoundError):
        lake.compact("nothing")
    with pytest.raises(errors.ReadOnlyError):
        lake.at(0).compact("nothing")
