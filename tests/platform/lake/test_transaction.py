import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
from hven import errors
from simulated import listing, make_spectra, make_stars


def test_several_datasets_change_in_one_commit(lake, stars, spectra):
    with lake.transaction("both") as tx:
        tx.write("stars", stars, title="Stars", citation=("A 2020",))
        tx.write("spectra", spectra, survey="S")
        assert "stars" not in lake, "nobody sees a part"
    assert tx.commit_number == lake.number == 1
    told = lake.log()[0]
    assert (told.message, told.changed) == ("both", {"stars": "created", "spectra": "created"})
    assert lake["stars"].entry.citation == ("A 2020",)
    assert (lake["spectra"].kind, lake["spectra"].entry.survey) == ("spectra", "S")
    assert lake["spectra"].entry.wavelength == (3000.0, 4000.0)


def test_an_exception_publishes_nothing(lake, stars):
    with pytest.raises(ZeroDivisionError), lake.transaction() as tx:
        tx.write("stars", stars)
        raise ZeroDivisionError
    assert (lake.number, list(lake)) == (0, [])


def test_a_transaction_without_changes_makes_no_commit(lake):
    with lake.transaction() as tx:
        pass
    assert (tx.commit_number, lake.number) == (None, 0)


def test_append_adds_a_segment_in_its_own_order(lake, stars):
    more = make_stars(5_000, 700)
    with lake.transaction() as tx:
        tx.write("stars", stars)
    with lake.transaction() as tx:
        tx.append("stars", more)
    assert lake["stars"].table().collect().equals(pl.concat([stars, more]))
    assert lake["stars"].entry.counts.segments == 2


def test_appended_columns_must_be_those_of_the_table(lake, stars):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    more = make_stars(5_000, 10)
    with lake.transaction() as tx:
        tx.append("stars", more.drop("feh").with_columns(visits=pl.col("visits").cast(pl.Int16)))
    assert lake["stars"].table().collect().tail(10)["feh"].null_count() == 10
    with pytest.raises(errors.DataRefusedError, match="'colour'"), lake.transaction() as tx:
        tx.append("stars", make_stars(6_000, 1).with_columns(colour=pl.lit(1)))
    with pytest.raises(errors.DataRefusedError, match="in it already"), lake.transaction() as tx:
        tx.append("stars", more)
    assert lake.number == 2


def test_upsert_replaces_rows_by_key_and_adds_new_ones(lake, stars):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    changed = pl.concat([stars[10:20].with_columns(feh=pl.lit(9.0)), make_stars(5_000, 5)])
    with lake.transaction() as tx:
        tx.upsert("stars", changed)
    after = lake["stars"].table().collect()
    expected = pl.concat([stars.filter(~pl.col("object_id").is_in(changed["object_id"].implode())), changed])
    assert after.equals(expected), "what stayed keeps its order; what changed moved to a new segment"
    with pytest.raises(errors.DataRefusedError, match="name each row once"), lake.transaction() as tx:
        tx.upsert("stars", pl.concat([changed, changed]))


def test_delete_removes_rows_and_leaves_other_files_alone(lake, stars):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    with lake.transaction() as tx:
        tx.append("stars", make_stars(5_000, 100))
    untouched = lake["stars"].source.parts[1]
    with lake.transaction() as tx:
        tx.delete("stars", pl.col("object_id") == stars["object_id"][3])
    assert lake["stars"].source.parts[1] == untouched
    assert lake["stars"].table().collect().height == 5_099
    with pytest.raises(errors.MissingColumnError, match="'feh'"), lake.transaction() as tx:
        tx.delete("stars", "fe_h < 0")


def test_one_dataset_may_change_twice_in_one_transaction(lake, stars, spectra):
    with lake.transaction() as tx:
        tx.write("stars", stars)
        tx.append("stars", make_stars(5_000, 10))
        tx.delete("stars", "feh > 0")
        tx.write("spectra", spectra)
        tx.append("spectra", make_spectra(10_000, 5))
    expected = pl.concat([stars, make_stars(5_000, 10)]).filter(pl.col("feh") <= 0)
    assert lake["stars"].table().collect().equals(expected)
    assert lake["spectra"].dataset().sizes["object"] == 3_005
    assert lake.number == 1


def test_drop_forgets_a_dataset_and_the_past_keeps_it(lake, stars):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    with lake.transaction() as tx:
        tx.drop("stars")
    assert list(lake) == []
    assert "stars" in lake.at(1)
    with pytest.raises(errors.DatasetNotFoundError), lake.transaction() as tx:
        tx.drop("stars")


def test_texts_of_a_dataset_change_without_its_data(lake, stars):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    with lake.transaction() as tx:
        tx.describe("stars", title="All the stars")
        with pytest.raises(errors.DataRefusedError, match="'title'"):
            tx.describe("stars", titel="typo")
    assert lake["stars"].entry.title == "All the stars"
    assert lake["stars"].entry.pin == lake.at(1)["stars"].entry.pin


@pytest.mark.parametrize("name", ["../stars", "a/b", "", ".", "a..b", "stars ", "7", "x" * 200, "sta\nrs"])
def test_names_cannot_leave_the_lakes_folder(lake, stars, name):
    before = listing(lake)
    with pytest.raises(errors.NameRefusedError), lake.transaction() as tx:
        tx.write(name, stars)
    assert listing(lake) == before


def test_ids_that_repeat_or_miss_are_refused(lake, stars, spectra):
    with pytest.raises(errors.DataRefusedError, match="repeats in 1"), lake.transaction() as tx:
        tx.write("stars", pl.concat([stars, stars.head(1)]))
    with pytest.raises(errors.DataRefusedError, match="missing in 1"), lake.transaction() as tx:
        tx.write("stars", stars.with_columns(object_id=pl.when(pl.col("ra") > pl.col("ra").min()).then("object_id")))
    with pytest.raises(errors.DataRefusedError, match="repeats in 2999"), lake.transaction() as tx:
        tx.write("spectra", spectra.assign(object_id=spectra.object_id * 0))
    assert lake.number == 0


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (pl.Series("x", [[1.0, 2.0]]), "List"),
        (pl.Series("x", [2**64 - 1], dtype=pl.UInt64), "unsigned"),
        (pl.Series("x", ["2026-01-01"]).str.to_date(), "Date"),
    ],
)
def test_types_that_a_table_cannot_keep_are_named(lake, column, why):
    with pytest.raises(errors.DataRefusedError, match=why), lake.transaction() as tx:
        tx.write("stars", pl.DataFrame([column]))
    assert lake.number == 0


def test_types_that_a_table_keeps_otherwise_come_back_as_such(lake):
    frame = pl.DataFrame(
        {
            "small": pl.Series([1, 2], dtype=pl.UInt8),
            "large": pl.Series([2**40, None], dtype=pl.UInt64),
            "band": pl.Series(["g", "r"], dtype=pl.Categorical),
            "nan": [float("nan"), 1.0],
        }
    )
    with lake.transaction() as tx:
        tx.write("stars", frame)
    back = lake["stars"].table().collect()
    assert back.dtypes == [pl.Int16, pl.Int64, pl.String, pl.Float64]
    assert back.rows() == [(1, 2**40, "g", None), (2, None, "r", 1.0)]


def test_a_dataset_without_objects_is_kept_whole(lake):
    maps = xr.Dataset(
        {"mean": (("y", "x"), np.arange(6.0).reshape(2, 3)), "n": ((), 5)}, attrs={"r_sun": np.float64(8.1)}
    )
    with lake.transaction() as tx:
        tx.write("map", maps)
    assert lake["map"].kind == "result"
    with pytest.raises(errors.DataRefusedError, match=r"\.dataset\(\)"):
        lake["map"].table()
    assert lake["map"].dataset().compute().identical(maps.assign_attrs(r_sun=8.1))


def test_an_empty_table_keeps_its_columns(lake, stars):
    with lake.transaction() as tx:
        tx.write("stars", stars.head(0))
    assert lake["stars"].table().collect().schema == stars.schema
    assert lake["stars"].dataset().sizes["object"] == 0


def test_arrays_of_other_columns_are_not_appended(lake, spectra):
    with lake.transaction() as tx:
        tx.write("spectra", spectra)
    with pytest.raises(errors.DataRefusedError, match="misses 'mask' and has 'noise'"), lake.transaction() as tx:
        tx.append("spectra", spectra.drop_vars("mask").assign(noise=spectra.flux))
    with pytest.raises(errors.DataRefusedError, match="in it already"), lake.transaction() as tx:
        tx.append("spectra", spectra)
    with pytest.raises(errors.DataRefusedError, match="keeps arrays"), lake.transaction() as tx:
        tx.upsert("spectra", pl.DataFrame({"object_id": [1]}))
    assert lake["spectra"].dataset().sizes["object"] == 3_000


def test_a_schedule_is_kept_in_the_catalog_and_versioned(lake):
    with lake.transaction() as tx:
        tx.schedule("nightly", {"cron": "0 3 * * *"})
    with lake.transaction() as tx:
        tx.schedule("nightly", None)
    assert lake.at(1).catalog.schedules == {"nightly": {"cron": "0 3 * * *"}}
    assert lake.catalog.schedules == {}


def test_rows_that_a_crashed_writer_left_are_never_seen(lake, stars):
    with lake.transaction() as tx:
        tx.write("stars", stars)
    with pytest.raises(ZeroDivisionError), lake.transaction() as tx:
        tx.append("stars", make_stars(5_000, 121))
        raise ZeroDivisionError("the process dies after the data, before the catalog")
    with lake.transaction() as tx:
        tx.append("stars", make_stars(6_000, 10))
    assert lake["stars"].table().collect().height == 5_010
    ids = lake["stars"].table().collect()["object_id"]
    assert ids.is_in(make_stars(5_000, 121)["object_id"].implode()).sum() == 0


def test_hven_is_quiet_about_the_lakes_own_units(lake):
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"teff": [5000.0], "teff_err": [50.0], "odd": [1]}))
    schema = lake["stars"].schema
    assert [schema[c].unit for c in ("teff", "teff_err", "odd")] == ["K", "K", ""]
    assert schema["teff_err"].ucd.startswith("stat.error")
    assert hven.open(lake.url)["stars"].schema == schema
