"""The cross-match of catalogs: brute force by astropy, from every kind of source, on any blocks and workers."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hven
from hven import errors
from hven.compute.crossmatching import sources as sides
from hven.schema import Column, Schema
from hven.sky import healpix_29
from hven.sky.motion import propagate

ARCSEC = 1 / 3600
KEYS = ["object_id", "object_id_right", "separation"]


def catalog(count, seed, near=None):
    """Objects everywhere: poles, 0 h and borders of cells among them; some of another catalog measured again."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    if near is not None:
        again = rng.choice(near.height, count // 2, replace=False)
        dec[: count // 2] = near["dec"].to_numpy()[again] + rng.normal(0, 0.4, count // 2) * ARCSEC
        ra[: count // 2] = near["ra"].to_numpy()[again] + rng.normal(0, 0.4, count // 2) * ARCSEC / np.cos(
            np.radians(dec[: count // 2])
        )
    edges = [(0.0, 0.0), (360 - 1e-5, 1e-5), (0.0, 89.99999), (180.0, 89.99999), (77.0, -90.0), (45.0, 41.8103149)]
    ra[-6:], dec[-6:] = np.array(edges).T
    ra[-6:] += (seed % 3) * 1e-5
    return pl.DataFrame(
        {
            "object_id": rng.permutation(count * 7)[:count] + 10**17,
            "ra": ra % 360,
            "dec": np.clip(dec, -90, 90),
            "pmra": rng.normal(0, 200, count),
            "pmdec": rng.normal(0, 200, count),
            "radius": rng.uniform(0.1, 2.0, count),
            "mag": rng.normal(15, 2, count).astype("f4"),
        }
    )


def placed(frame):
    return frame.with_columns(pl.Series("_healpix_29", healpix_29(frame["ra"], frame["dec"]))).sort("_healpix_29")


def expected(left, right, radius=1.0, match="all"):
    """The pairs by astropy, and their separation [arcsec]."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord, search_around_sky

    one, other = (SkyCoord(f["ra"].to_numpy() * u.deg, f["dec"].to_numpy() * u.deg) for f in (left, right))
    reach = np.broadcast_to(np.asarray(radius, float), left.height)
    a, b, apart, _ = search_around_sky(one, other, reach.max() * u.arcsec)
    keep = apart.arcsec <= reach[a]
    pairs = pl.DataFrame(
        {
            "object_id": left["object_id"].to_numpy()[a[keep]],
            "object_id_right": right["object_id"].to_numpy()[b[keep]],
            "separation": apart.arcsec[keep],
        }
    ).sort(KEYS[0], "separation", KEYS[1])
    return pairs if match == "all" else pairs.unique("object_id", keep="first", maintain_order=True)


def assert_same(found, wanted):
    found = found.select(KEYS).sort(KEYS[0], "separation", KEYS[1])
    assert found.select(KEYS[:2]).equals(wanted.select(KEYS[:2]))
    np.testing.assert_allclose(found["separation"], wanted["separation"], atol=1e-6)


@pytest.fixture(scope="module")
def frames():
    right = catalog(4000, 1)
    return catalog(3000, 2, right), right


@pytest.fixture(scope="module")
def lake(tmp_path_factory, frames):
    """Return a lake with both catalogs, the right one in three segments, the left one also in no order."""
    lake = hven.create(tmp_path_factory.mktemp("crossmatch") / "a lake")
    left, right = map(placed, frames)
    with lake.transaction() as tx:
        tx.write("left", left)
        tx.write("right", right.sort("mag")[:1500].sort("_healpix_29"))
        tx.append("right", right.sort("mag")[1500:3500].sort("_healpix_29"))
        tx.append("right", right.sort("mag")[3500:].sort("_healpix_29"))
        tx.write("shuffled", left.sample(fraction=1.0, shuffle=True, seed=1))
        tx.write("bare", left.drop("_healpix_29"))
        tx.write("moved", left.with_columns(pl.col("_healpix_29").shift(1).fill_null(0)))
        # An epoch is an attribute of the whole.
        tx.write("dated", left, schema=Schema((Column("radius", "float64", unit="arcmin"),), {"epoch": 2000.0}))
    return lake


@pytest.fixture
def read_by_block(monkeypatch):
    """Let the right side be read around each block, however few rows it has."""
    monkeypatch.setattr(sides, "_FEW", 0)


@pytest.mark.parametrize("match", ["nearest", "all"])
@pytest.mark.parametrize("radius", [0.5, 3.0, 7200.0])
@pytest.mark.usefixtures("read_by_block")
def test_tables_of_a_lake_match_as_in_astropy(lake, frames, match, radius):
    found = hven.crossmatch(lake["left"], lake["right"], radius, match=match, block_rows=700).collect()
    assert_same(found, expected(*frames, radius, match))


@pytest.mark.parametrize("match", ["nearest", "all"])
def test_every_object_may_have_a_radius_of_its_own(lake, frames, match):
    found = hven.crossmatch(lake["left"], lake["right"], "radius", match=match).collect()
    assert_same(found, expected(*frames, frames[0]["radius"].to_numpy(), match))
    # The unit of the column counts.
    wide = hven.crossmatch(lake["dated"], lake["right"], "radius", match=match).collect()
    assert_same(wide, expected(*frames, frames[0]["radius"].to_numpy() * 60, match))


def write_parquet(folder, frame):
    folder.mkdir()
    frame[: frame.height // 3].write_parquet(folder / "a.parquet")
    frame[frame.height // 3 :].write_parquet(folder / "b.parquet")
    return folder


def write_hats(folder, frame):
    cell = pl.col("_healpix_29")
    for (order, pixel), part in placed(frame).group_by(
        pl.when(cell < 4 << 58).then(0).otherwise(1).alias("order"),
        pl.when(cell < 4 << 58).then(cell // (1 << 58)).otherwise(cell // (1 << 56)).alias("pixel"),
        maintain_order=True,
    ):
        place = folder / f"dataset/Norder={order}/Dir=0/Npix={pixel}.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        part.drop("order", "pixel", strict=False).rename({"ra": "raj", "dec": "dej"}).write_parquet(place)
    (folder / "hats.properties").write_text("#HATS catalog\nhats_col_ra=raj\nhats_col_dec = dej\n")
    return folder


@pytest.mark.parametrize(
    "kind", ["frame", "lazy", "pandas", "xarray", "files", "hats", "collection", "spectra", "name"]
)
def test_all_sources_give_the_same_pairs(lake, frames, kind, tmp_path, monkeypatch):
    left, right = frames
    wanted = expected(left, right, 1.0, "nearest")

    def made(name, frame):
        match kind:
            case "frame":
                return frame
            case "lazy":
                return frame.lazy().filter(pl.col("mag") < 99)
            case "pandas":
                return frame.to_pandas()
            case "files":
                return write_parquet(tmp_path / name, frame)
            case "hats":
                return str(write_hats(tmp_path / name, frame))
            case "collection":
                write_hats(tmp_path / name / "primary", frame)
                (tmp_path / name / "collection.properties").write_text("hats_primary_table_url=primary\n")
                return tmp_path / name
            case "name":
                return f"{lake.url}#{name}" if name == "left" else name

    if kind in ("xarray", "spectra"):
        import xarray as xr

        from hven.schema.conventions import frame_to_dataset

        def made(name, frame):
            data = frame_to_dataset(frame).set_coords("object_id")
            data["flux"] = xr.Variable(("object", "wavelength"), np.zeros((frame.height, 2), "f4"))
            if kind == "xarray":
                return data
            data["wavelength"] = xr.Variable("wavelength", [4000.0, 5000.0], {"units": "Angstrom"})
            with lake.transaction() as tx:
                tx.write(f"{name}_spectra", data)
            return lake[f"{name}_spectra"]

    sources = made("left", left), made("right", right)
    match = hven.crossmatch(*sources, lake=lake, block_rows=1000)
    found = match.collect()
    assert found.schema == match.schema
    if kind == "hats":
        monkeypatch.setattr(sides, "_FEW", 0)
        assert_same(hven.crossmatch(*sources, block_rows=1000).collect(), wanted)
    if kind in ("hats", "collection"):
        assert "raj_right" in found.columns
    assert_same(found, wanted)


@pytest.mark.parametrize("name", ["shuffled", "bare", "moved"])
def test_tables_in_no_order_on_the_sky_are_put_in_order(lake, frames, name):
    assert_same(hven.crossmatch(lake[name], lake["right"]).collect(), expected(*frames, 1.0, "nearest"))
    turned = hven.crossmatch(lake["right"], lake[name], match="all").collect()
    assert_same(turned, expected(frames[1], frames[0], 1.0, "all"))


@settings(max_examples=15)
@given(
    rows=st.integers(1, 5000),
    workers=st.integers(1, 3),
    seed=st.integers(0, 99),
    match=st.sampled_from(["nearest", "all"]),
)
def test_blocks_workers_and_the_order_of_rows_change_nothing(lake, frames, rows, workers, seed, match):
    left, right = frames
    usual = hven.crossmatch(left, right, 3.0, match=match, count=True).collect()
    turned = hven.crossmatch(
        left.sample(fraction=1.0, shuffle=True, seed=seed),
        right.sample(fraction=1.0, shuffle=True, seed=seed),
        3.0,
        match=match,
        count=True,
        block_rows=max(rows, 60),
        workers=workers,
    )
    assert turned.collect().equals(usual)


def test_dask_workers_give_the_same_rows_in_the_same_order(lake, frames, workers):
    here = hven.crossmatch(lake["left"], lake["right"], count=True)
    for cluster in (workers, "synchronous"):
        there = hven.crossmatch(lake["left"], lake["right"], count=True, block_rows=500, cluster=cluster)
        assert there.collect().equals(here.collect())
    frame = hven.crossmatch(frames[0], frames[1], cluster=workers, block_rows=500).collect()
    assert_same(frame, expected(*frames, 1.0, "nearest"))


def test_the_nearest_of_equals_is_the_lowest_id():
    left = pl.DataFrame({"object_id": [1], "ra": [0.0], "dec": [90.0]})
    right = pl.DataFrame({"object_id": [9, 4, 7], "ra": [10.0, 10.0, 10.0], "dec": [89.9999] * 3})
    assert hven.crossmatch(left, right).collect()["object_id_right"].to_list() == [4]
    named = right.with_columns(pl.Series("object_id", ["c", "a", "b"]))
    assert hven.crossmatch(left, named).collect()["object_id_right"].to_list() == ["a"]
    same = hven.crossmatch(right, right, match="all").collect()
    assert same.height == 9
    assert same["separation"].max() == 0.0


def test_positions_that_are_none_match_nothing_and_stay_in_left_and_anti_joins():
    bad = [None, float("nan"), float("inf"), 10.0, 10.0]
    left = pl.DataFrame({"object_id": range(5), "ra": bad, "dec": [0.0, 0.0, 0.0, 95.0, 0.0]})
    right = left.rename({"object_id": "id"})
    assert hven.crossmatch(left, right).collect()["object_id"].to_list() == [4]
    kept = hven.crossmatch(left, right, how="left").collect()
    assert kept.sort("object_id")["id"].to_list() == [None] * 4 + [4]
    assert kept["separation"].null_count() == 4
    assert sorted(hven.crossmatch(left, right, how="anti").collect()["object_id"]) == [0, 1, 2, 3]


def test_joins_keep_the_left_rows_they_say(lake, frames):
    wanted = expected(*frames, 1.0, "all")
    has = set(wanted["object_id"])
    for match in ("nearest", "all"):
        left = hven.crossmatch(
            lake["left"], lake["right"], match=match, how="left", count=True, block_rows=700
        ).collect()
        assert set(left["object_id"]) == set(frames[0]["object_id"])
        assert set(left.drop_nulls("separation")["object_id"]) == has
        assert left.filter(pl.col("separation").is_null())["n_within"].sum() == 0
        anti = hven.crossmatch(lake["left"], lake["right"], match=match, how="anti").collect()
        assert set(anti["object_id"]) == set(frames[0]["object_id"]) - has
        assert anti.columns == lake["left"].table().collect_schema().names()
    counts = left.unique("object_id").filter(pl.col("n_within") > 0).select("object_id", "n_within").sort("object_id")
    counted = wanted.group_by("object_id").len("n_within").sort("object_id")
    assert counts.cast(pl.Int64).equals(counted.cast(pl.Int64))


def test_a_region_outside_the_coverage_gives_no_pairs_and_says_so(tmp_path, caplog):
    lake = hven.create(tmp_path / "lake")
    near = pl.DataFrame({"object_id": [1, 2], "ra": [10.0, 11.0], "dec": [5.0, 5.0]})
    with lake.transaction() as tx:
        tx.write("near", near.with_columns(pl.Series("_healpix_29", hven.sky.healpix_29(near["ra"], near["dec"]))))
    for left, right in (("cone(200, -40, 1)", None), (None, "cone(200, -40, 1)")):
        caplog.clear()
        sides = (hven.select("near", region=region) for region in (left, right))
        assert hven.crossmatch(*sides, lake=lake).collect().height == 0
        assert "'near' covers other parts of the sky" in caplog.text


def test_conditions_regions_and_columns_of_a_selection_hold(lake, frames):
    region = hven.sky.cone(0, 90, 40)
    left = hven.select("left", where="mag < 15", region=region)
    right = hven.select("right", region=region)
    found = hven.crossmatch(left, right, lake=lake, left_columns=["object_id"], right_columns=["mag", "object_id"])
    ours, theirs = (f.filter(region.contains(f["ra"], f["dec"])) for f in frames)
    result = found.collect()
    assert result.columns == ["object_id", "mag", "object_id_right", "separation"]
    assert_same(result, expected(ours.filter(pl.col("mag") < 15), theirs, 1.0, "nearest"))
    elsewhere = hven.select("left", region=hven.sky.box(10, 10, 20, 20))
    assert hven.crossmatch(elsewhere, right, lake=lake).collect().height == 0
    renamed = frames[1].rename({"ra": "RAJ2000", "dec": "DEJ2000"})
    again = hven.crossmatch(lake["left"], renamed, right_names={"ra": "RAJ2000", "dec": "DEJ2000"}).collect()
    assert_same(again, expected(*frames, 1.0, "nearest"))


@pytest.mark.parametrize("match", ["nearest", "all"])
def test_both_sides_are_brought_to_a_common_epoch(frames, match, lake):
    left, right = frames

    def at(frame, years):
        ra, dec = propagate(frame["ra"], frame["dec"], frame["pmra"], frame["pmdec"], years)
        return frame.with_columns(ra=pl.Series(ra), dec=pl.Series(dec))

    since = pl.Series("since", np.random.default_rng(1).uniform(1980, 2020, right.height))
    wanted = expected(at(left, 2016 - 2000), at(right, 2016 - since.to_numpy()), 1.0, match)
    found = hven.crossmatch(
        lake["dated"], right.with_columns(since), epoch=2016, right_epoch="since", match=match, block_rows=300
    ).collect()
    assert_same(found, wanted)
    # The positions that come back are those of the catalog.
    origin = left.select("object_id", "ra")
    assert (
        found.select("object_id", "ra").unique().join(origin, on=["object_id", "ra"]).height
        == found["object_id"].n_unique()
    )


@pytest.mark.usefixtures("read_by_block")
def test_a_fast_star_is_found_far_from_where_its_catalog_has_it(tmp_path):
    """Barnard's star moves 10 arcsec a year: in a century, over the borders of many blocks."""
    rng = np.random.default_rng(3)
    crowd = pl.DataFrame({"ra": 269.45 + rng.normal(0, 0.5, 50_000), "dec": 4.69 + rng.normal(0, 0.5, 50_000)})
    crowd = crowd.with_columns(object_id=pl.int_range(pl.len()) + 1, pmra=None, pmdec=pl.lit(0.0))
    star = pl.DataFrame({"ra": [269.452], "dec": [4.6933], "object_id": [0], "pmra": [-801.55], "pmdec": [10362.39]})
    right = pl.concat([crowd.cast({"pmra": pl.Float64}), star.select(crowd.columns)])
    ra, dec = propagate([269.452], [4.6933], [-801.55], [10362.39], 100.0)
    lake = hven.create(tmp_path / "lake")
    with lake.transaction() as tx:
        tx.write("right", placed(right))
    left = pl.DataFrame({"ra": ra, "dec": dec, "object_id": [5]})
    found = hven.crossmatch(left, lake["right"], "0.01 arcsec", epoch=2100, left_epoch=2100, right_epoch=2000).collect()
    assert found["object_id_right"].to_list() == [0]


def test_crowded_blocks_are_cut(frames, monkeypatch):
    from hven.compute.crossmatching import matching, stream

    wanted = expected(*frames, 36_000.0, "all")
    for room in (matching, stream):
        monkeypatch.setattr(room, "MOST_PAIRS", 1000)
    pieces = list(hven.crossmatch(*frames, "10 deg", match="all", block_rows=1000).blocks())
    assert max(piece.height for piece in pieces) < 5000
    assert_same(pl.concat(pieces), wanted)


def test_nothing_in_nothing_out(lake):
    empty = pl.DataFrame(schema={"object_id": pl.Int64, "ra": pl.Float64, "dec": pl.Float64})
    for left, right in ((empty, lake["right"]), (lake["left"], empty)):
        for how in ("inner", "left", "anti"):
            match = hven.crossmatch(left, right, how=how, match="all")
            assert match.collect().schema == match.schema
            assert match.collect().height == (
                lake["left"].entry.counts.rows if right is empty and how != "inner" else 0
            )


def test_rows_stream_to_one_file_that_appears_when_it_is_whole(lake, frames, tmp_path):
    path = tmp_path / "pairs.parquet"
    match = hven.crossmatch(lake["left"], lake["right"], block_rows=500)
    assert match.sink_parquet(path) == pl.read_parquet(path).height
    assert pl.read_parquet(path).equals(match.collect())
    with pytest.raises(errors.StorageError):
        match.sink_parquet(tmp_path / "nowhere" / "pairs.parquet")
    assert list(tmp_path.iterdir()) == [path]


def test_a_result_in_the_lake_has_ids_units_provenance_and_coverage(lake, frames, workers):
    before = lake.number
    match = hven.crossmatch(lake["left"], lake["right"], epoch=None, block_rows=500, cluster=workers)
    assert match.write(lake, "pairs", title="Pairs") == before + 1
    handle = lake["pairs"]
    table = handle.table().collect()
    assert_same(table, expected(*frames, 1.0, "nearest"))
    assert table.drop("_healpix_29").equals(match.collect().drop("_healpix_29"))
    assert table["object_id"].is_unique().all()
    assert handle.schema["separation"].unit == "arcsec"
    assert handle.schema["pmra_right"].unit == "mas/yr"
    told = handle.entry.provenance
    assert told["how"] == "crossmatch"
    assert told["right"]["name"] == "right"
    assert told["radius"] == "1.0 arcsec"
    assert hven.sky.moc(handle.entry.coverage).contains(table["ra"], table["dec"]).all()
    # The result joins to the left side, as it keeps its ids; and it is replaced by another, not by chance.
    assert match.write(lake, "pairs") == before + 2
    with pytest.raises(errors.NameRefusedError):
        match.write(lake, "left")


def test_pairs_of_all_neighbours_have_ids_of_their_own(lake, frames):
    match = hven.crossmatch(lake["left"], frames[1], "1 deg", match="all", how="left")
    match.write(lake, "neighbours")
    table = lake["neighbours"].table().collect()
    assert table["object_id"].is_unique().all()
    wanted = expected(*frames, 3600.0, "all")
    found = table.drop_nulls("separation").drop("object_id").rename({"object_id_left": "object_id"})
    assert_same(found, wanted)
    ids = table.select("object_id", "object_id_left", "object_id_right")
    hven.crossmatch(frames[0].reverse(), frames[1], "1 deg", match="all", how="left", block_rows=99).write(
        lake, "again"
    )
    again = lake["again"].table().select("object_id", "object_id_left", "object_id_right").collect()
    assert again.sort("object_id").equals(ids.sort("object_id"))


def test_what_has_no_match_becomes_a_dataset_too(lake, frames):
    hven.crossmatch(lake["left"], lake["right"], how="anti").write(lake, "alone")
    assert lake["alone"].entry.counts.rows == 3000 - expected(*frames, 1.0, "nearest").height
    none = hven.select("left", where="mag > 99")
    hven.crossmatch(none, lake["right"], lake=lake).write(lake, "nobody")
    assert lake["nobody"].entry.counts.rows == 0


STAR = {"object_id": [1], "ra": [1.0], "dec": [1.0]}


@pytest.mark.parametrize(
    ("error", "arguments", "says"),
    [
        *(
            (errors.ParameterError, {"radius": r}, "radius")
            for r in (0, -1.0, float("nan"), float("inf"), None, "11 deg")
        ),
        (errors.ParameterError, {"radius": "nan arcsec"}, "radius"),
        (errors.UnitError, {"radius": "1 kpc"}, "kpc"),
        (errors.MissingColumnError, {"radius": "radiu"}, "radiu"),
        (errors.ParameterError, {"match": "best"}, "match"),
        (errors.ParameterError, {"how": "outer"}, "how"),
        (errors.ParameterError, {"epoch": float("nan")}, "epoch"),
        (errors.ParameterError, {"block_rows": 0}, "block_rows"),
        (errors.MissingColumnError, {"epoch": 2016.0}, "left_epoch"),
        (errors.MissingColumnError, {"epoch": 2016.0, "left_epoch": 2000}, "proper motions"),
        (errors.MissingColumnError, {"left_epoch": "when"}, "when"),
        (errors.MissingColumnError, {"left_columns": ["object_ix"]}, "Did you mean 'object_id'"),
        (errors.MissingColumnError, {"right_columns": ["decc"]}, "Did you mean 'dec'"),
        (errors.MissingColumnError, {"left_names": {"ra": "RA"}}, "RA"),
        (errors.DataRefusedError, {"left_names": {"rra": "ra"}}, "rra"),
        (errors.DataRefusedError, {"suffix": ""}, "two columns"),
        (errors.LakeNotFoundError, {"left": "stars"}, "stars"),
        (errors.DataRefusedError, {"left": 7}, "int"),
        (errors.UnreadableFileError, {"left": "./nothing/here.parquet"}, "here.parquet"),
        (errors.MissingColumnError, {"left": pl.DataFrame({"x": [1]})}, "'ra'"),
        (errors.DataRefusedError, {"left": pl.DataFrame({"ra": ["1h"], "dec": ["2d"]})}, "not a number"),
        (errors.ParameterError, {"left": pl.DataFrame({**STAR, "separation": [1]})}, "separation"),
        (errors.ParameterError, {"left": pl.DataFrame({**STAR, "r": [0.0]}), "radius": "r"}, "1 rows"),
    ],
)
def test_bad_input_is_refused_by_name(error, arguments, says):
    told = {"left": pl.DataFrame(STAR), "right": pl.DataFrame(STAR), **arguments}
    with pytest.raises(error, match=says):
        hven.crossmatch(told.pop("left"), told.pop("right"), **told)


def test_names_of_the_lake_are_looked_up_with_the_nearest_told(lake):
    with pytest.raises(errors.DatasetNotFoundError, match="left"):
        hven.crossmatch("leftt", lake["right"], lake=lake)
    with pytest.raises(errors.DataRefusedError, match="joins several"):
        hven.crossmatch("left+right", lake["right"], lake=lake)
    with pytest.raises(errors.WhereError):
        hven.crossmatch(hven.select("left", where="mag +"), lake["right"], lake=lake)


def test_rows_without_ids_are_not_written(lake, frames):
    before = lake.number
    with pytest.raises(errors.DataRefusedError, match="no ids"):
        hven.crossmatch(frames[0].drop("object_id"), lake["right"]).write(lake, "without")
    twice = pl.concat([frames[0], frames[0]])
    with pytest.raises(errors.DataRefusedError, match="come twice"):
        hven.crossmatch(twice, lake["right"]).write(lake, "twice")
    assert lake.number == before
    assert "twice" not in lake
    stray = [key for key in lake.store.list("data") if key.startswith("data/twice/")]
    assert stray == []


def test_copies_are_removed_with_the_match(frames, tmp_path):
    match = hven.crossmatch(frames[0].lazy(), frames[1], scratch=tmp_path)
    assert list(tmp_path.rglob("*.parquet"))
    del match
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(errors.ParameterError):
        hven.crossmatch(frames[0].lazy(), frames[1], radius=-1, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
