from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hven import errors
from hven.lake.parts import Part, cut_blocks
from hven.sky import cone
from simulated import make_spectra, make_stars


@pytest.fixture
def told(lake, stars, spectra):
    with lake.transaction() as tx:
        tx.write("stars", stars)
        tx.write("spectra", spectra)
    with lake.transaction() as tx:
        tx.append("stars", make_stars(5_000, 1_000))
        tx.append("spectra", make_spectra(50_000, 1_500))
    return lake


def test_a_table_is_asked_by_column_and_where(told, stars):
    whole = pl.concat([stars, make_stars(5_000, 1_000)])
    handle = told["stars"]
    assert handle.table().collect().equals(whole)
    assert (
        handle.table(["feh", "ra"], where="visits > 100 AND feh < 0")
        .collect()
        .equals(whole.filter((pl.col("visits") > 100) & (pl.col("feh") < 0)).select("feh", "ra"))
    )
    assert handle.table(where=pl.col("name").is_null()).collect().height == whole["name"].null_count()


@pytest.mark.parametrize(
    ("where", "error", "text"),
    [
        ("fe_h < 0", errors.MissingColumnError, "'feh'"),
        ("feh <", errors.WhereError, "cannot be understood"),
        ("feh + 1", errors.WhereError, "true or false"),
        ("name > 3", errors.WhereError, "does not fit"),
    ],
)
def test_a_where_that_does_not_fit_is_told_before_anything_is_read(told, where, error, text):
    with pytest.raises(error, match=text):
        told["stars"].table(where=where)


def test_a_missing_column_is_named_with_the_nearest(told):
    for ask in (told["stars"].table, told["stars"].dataset):
        with pytest.raises(errors.MissingColumnError, match="'feh'"):
            ask(["fe_h"])
    with pytest.raises(errors.DatasetNotFoundError, match="'stars'"):
        told["star"]


def test_a_lazy_dataset_of_a_table_has_its_values_nulls_and_units(told, stars):
    whole = pl.concat([stars, make_stars(5_000, 1_000)])
    data = told["stars"].dataset()
    assert all(v.chunks is not None for v in data.data_vars.values()), "nothing is read yet"
    assert data["object_id"].dtype == np.int64
    assert data["ra"].attrs["units"] == "deg"
    assert (data["object_id"].values == whole["object_id"].to_numpy()).all()
    assert (data["visits_valid"].values == whole["visits"].is_not_null().to_numpy()).all()
    assert data["name"].values.tolist() == whole["name"].to_list()
    few = told["stars"].dataset(["feh", "visits"], where="feh > 1")
    assert set(few.variables) == {"feh", "visits", "visits_valid"}
    assert (few["feh"].values == whole.filter(pl.col("feh") > 1)["feh"].to_numpy()).all()


def test_a_region_selects_exactly_the_objects_inside(told, stars):
    region = cone(30.0, 20.0, 15.0)
    whole = pl.concat([stars, make_stars(5_000, 1_000)])
    inside = whole.filter(pl.Series(region.contains(whole["ra"].to_numpy(), whole["dec"].to_numpy())))
    assert 0 < inside.height < whole.height
    assert told["stars"].table(region=region).collect().equals(inside)
    assert told["stars"].dataset(["ra"], region=region, where="feh < 0").sizes["object"] == (inside["feh"] < 0).sum()
    with pytest.raises(errors.MissingColumnError, match="_healpix_29"):
        told["spectra"].table(region=region)


def test_objects_come_in_the_order_asked_for_and_absent_ones_are_masked(told, spectra):
    ids = [50_003, 7, 999_999, 2_999, 7]
    found = told["spectra"].of(ids)
    assert found["flux"].chunks is not None
    assert found["present"].values.tolist() == [True, True, False, True, True]
    assert found["object_id"].values.tolist() == ids
    flux = found["flux"].values
    assert np.isnan(flux[2]).all()
    assert found["mask"].values[2].all()
    assert (flux[1] == spectra["flux"].values[7]).all()
    assert (flux[3] == spectra["flux"].values[2_999]).all()
    assert (flux[0] == make_spectra(50_000, 1_500)["flux"].values[3]).all()
    rows = told["stars"].of(pl.DataFrame({"object_id": [2**60 + 5_500, 1]}))
    assert rows["present"].values.tolist() == [True, False]
    assert rows["name"].values.tolist()[1] is None
    nobody = told["spectra"].of([-1, -2]).compute()
    assert not nobody["present"].any()
    assert np.isnan(nobody["flux"]).all()


def test_one_dimensional_variables_of_arrays_are_asked_as_a_table(told, spectra):
    frame = told["spectra"].table(where="object_id < 3").collect()
    assert frame.columns == ["object_id", "name"]
    assert frame.rows() == [(0, None), (1, "s1"), (2, "s2")]


@settings(max_examples=60)
@given(st.lists(st.integers(1, 90_000), min_size=1, max_size=6), st.integers(1, 70_000))
def test_blocks_cover_every_row_once_in_whole_grains(sizes, rows):
    parts = [Part(f"p{i}", "s", size) for i, size in enumerate(sizes)]
    blocks = cut_blocks(parts, rows)
    for part in parts:
        cuts = [(b.start, b.stop) for b in blocks if b.part == part]
        assert cuts[0][0] == 0
        assert cuts[-1][1] == part.rows
        assert all(one[1] == two[0] for one, two in pairwise(cuts))
        if rows >= part.grain:
            assert all(start % part.grain == 0 for start, _ in cuts)
    assert all(0 < b.rows <= max(rows, 1) for b in blocks)
    assert [b.index for b in blocks] == list(range(len(blocks)))


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(400, 3_000))
def test_blocks_read_together_are_the_dataset(told, rows):
    for name in ("stars", "spectra"):
        source = told[name].source
        frames = [source.read_frame(block, ["object_id"]) for block in source.blocks(rows)]
        assert pl.concat(frames).equals(told[name].table(["object_id"]).collect())


def test_a_source_travels_and_reads_the_same(told):
    import pickle

    source = pickle.loads(pickle.dumps(told["spectra"].source))
    block = source.blocks(1_024)[1]
    assert source.read(block, ["flux"]).sizes["object"] == block.rows


def test_what_holds_for_a_whole_dataset_comes_back_with_it(lake):
    told = {"r_sun": np.float64(8.122), "v_sun": (12.9, 245.6, 7.78), "frame": "galactocentric"}
    flat = xr.Dataset({"object_id": ("object", [1, 2]), "r_gal": ("object", [8.0, 9.0])}, attrs=told)
    with lake.transaction() as tx:
        tx.write("table", flat)
        tx.write("arrays", flat.assign(cov=(("object", "c", "c2"), np.zeros((2, 3, 3)))))
    for name in ("table", "arrays"):
        assert lake[name].dataset().attrs == {"r_sun": 8.122, "v_sun": [12.9, 245.6, 7.78], "frame": "galactocentric"}
        assert lake[name].schema.attrs["r_sun"] == 8.122
