"""Regions against brute force: every row of a dataset tested one by one, without an index."""

import logging
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import hven
from hven import errors
from hven.lake import arrays, tables
from hven.lake.parts import ROW_GROUP, Part, Stretches
from hven.sky import box, cone, healpix_29, moc
from hven.sky.cover import meets


def sky(first, count, ra=(0, 360), dec=(-90, 90)):
    """Stars in a part of the sky, in the order of ingest, with something to tell them apart."""
    rng = np.random.default_rng(first)
    low, high = np.sin(np.radians(dec))
    places = rng.uniform(*ra, count), np.degrees(np.arcsin(rng.uniform(low, high, count)))
    frame = pl.DataFrame({"object_id": np.arange(first, first + count), "ra": places[0], "dec": places[1]})
    frame = frame.with_columns(pl.Series("_healpix_29", healpix_29(*places)), pl.Series("feh", rng.normal(size=count)))
    return frame.sort("_healpix_29")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Tables and spectra in several segments, some rows of them deleted, some without place or without index."""
    lake = hven.create(tmp_path_factory.mktemp("region") / "lake")
    poles = pl.DataFrame({"object_id": [-1, -2, -3, -4], "ra": [0.0, 17.0, 0.0, 360.0], "dec": [90.0, -90.0, 0.0, 0.0]})
    poles = poles.with_columns(pl.Series("_healpix_29", healpix_29(poles["ra"], poles["dec"])), feh=pl.lit(0.0))
    one, two = pl.concat([sky(0, 40_000), poles]).sort("_healpix_29"), sky(50_000, 20_000, ra=(300, 330), dec=(10, 40))
    lost = sky(90_000, 300).with_columns(
        pl.when(pl.col("object_id") % 3 == 0).then(None).otherwise(pl.col("ra")).alias("ra"),
        pl.when(pl.col("object_id") % 5 == 0).then(None).otherwise(pl.col("_healpix_29")).alias("_healpix_29"),
    )
    unsorted = sky(95_000, 20_000).sort("feh")
    spectra = [arrays_of(frame) for frame in (one, two, unsorted)]
    with lake.transaction() as tx:
        tx.write("stars", one)
        tx.write("spectra", spectra[0], kind="spectra")
    with lake.transaction() as tx:
        for frame in (two, lost, unsorted):
            tx.append("stars", frame)
        for data in spectra[1:]:
            tx.append("spectra", data)
        tx.delete("stars", "object_id % 7 = 0")
    return lake


def arrays_of(frame):
    columns = {name: ("object", frame[name].to_numpy()) for name in frame.columns}
    flux = frame["object_id"].to_numpy()[:, None] * np.ones(2)
    return xr.Dataset(
        {**columns, "flux": (("object", "wavelength"), flux), "wavelength": ("wavelength", [4000.0, 5000])}
    )


@pytest.fixture(scope="module")
def rows(told):
    """All rows of both datasets, in their order."""
    return {name: told[name].table().collect() for name in told}


def brute_force(frame, region):
    ra, dec = (frame[name].cast(pl.Float64).to_numpy() for name in ("ra", "dec"))
    return frame.filter(pl.Series(region.contains(ra, dec)))


cones = st.builds(
    cone,
    st.sampled_from([0.0, 45.0, 90.0, 359.999]) | st.floats(0, 360),
    st.sampled_from([90.0, -90.0, 0.0, 41.8103]) | st.floats(-90, 90),
    st.sampled_from([0.0, 1e-4, 180.0]) | st.floats(0, 20) | st.floats(0, 180),
)
boxes = st.builds(
    lambda ra, width, dec: box(ra, ra + width, *sorted(dec)),
    st.floats(-180, 360),
    st.floats(0, 360),
    st.tuples(st.floats(-90, 90), st.floats(-90, 90)),
)
regions = st.recursive(
    cones | boxes,
    lambda inner: st.builds(lambda a, b: a & b, inner, inner) | st.builds(lambda a, b: a | b, inner, inner)
    | st.builds(lambda a: ~a, inner),
    max_leaves=3,
)  # fmt: skip


@settings(max_examples=60)
@given(region=regions)
def test_a_region_gives_the_rows_that_brute_force_finds_in_their_order(told, rows, region):
    for name in told:
        wanted = brute_force(rows[name], region)
        assert told[name].table(region=region).collect().equals(wanted)
        data = told[name].dataset(["object_id"], region=region)
        assert data["object_id"].values.tolist() == wanted["object_id"].to_list()


@pytest.mark.parametrize(
    "region",
    [
        cone(0, 90, 0.001), cone(123, -90, 0.001), cone(0, 0, 0), cone(360, 0, 0.5), box(359, 1, -1, 1),
        box(0, 360, -90, 90), cone(10, 10, 180), cone(10, 10, 1) & cone(200, -50, 1), ~box(0, 360, -90, 90), moc(""),
        moc("0/3 2/7"), cone(45, 0, 1) | cone(225, 0, 1) | cone(90, 41.81, 1),
    ],
    ids=str,
)  # fmt: skip
def test_poles_the_meridian_points_the_whole_sky_and_nothing_are_right(told, rows, region):
    for name in told:
        wanted = brute_force(rows[name], region)
        assert told[name].table(region=region).collect().equals(wanted)
        assert told[name].table(region=str(region), where="feh < 0").collect().equals(wanted.filter(pl.col("feh") < 0))
        found = told[name].dataset(region=region, where=pl.col("feh") < 0)
        assert found["object_id"].values.tolist() == wanted.filter(pl.col("feh") < 0)["object_id"].to_list()
    flux = told["spectra"].dataset(["flux"], region=region)["flux"].values
    assert (flux == brute_force(rows["spectra"], region)["object_id"].to_numpy()[:, None]).all()


def test_a_region_stays_lazy_and_columns_that_place_rows_need_not_be_returned(told, rows):
    region = cone(315, 25, 4)
    lazy = told["stars"].table(["feh"], where=pl.col("object_id") > 60_000, region=region)
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect_schema().names() == ["feh"]
    wanted = brute_force(rows["stars"], region).filter(pl.col("object_id") > 60_000)
    assert lazy.collect()["feh"].equals(wanted["feh"])
    assert lazy.select(pl.len()).collect().item() == wanted.height
    assert lazy.head(3).collect().height == 3


def test_only_row_groups_and_files_that_meet_a_region_are_read(told, monkeypatch):
    source = told["stars"].source
    read = source.runs(cone(200, -60, 2).ranges())
    placed = [run for run in read if run.part.healpix is not None and run.part.rows > ROW_GROUP]
    assert placed
    first = next(run for run in placed if run.part == source.parts[0])
    assert first.rows <= 2 * ROW_GROUP
    assert first.start % ROW_GROUP == 0
    assert source.parts[1] not in {run.part for run in read}, "the second segment lies elsewhere"
    footers = []
    get_range = type(source.store).get_range
    monkeypatch.setattr(type(source.store), "get_range", lambda *a: footers.append(a) or get_range(*a))
    tables.row_groups.cache_clear()
    for _ in range(3):
        source.runs(cone(200, -60, 2).ranges())
    assert 0 < len(footers) <= len(source.parts) - 1, "each footer is read once"


def test_no_file_is_read_whole_for_several_runs_of_its_rows(told):
    source = told["stars"].source
    first = source.scan(source.parts[:1]).select("ra", "dec").drop_nulls().collect()
    two = cone(*first.row(10), 0.1) | cone(*first.row(-10), 0.1)
    runs = [run for run in source.runs(two.ranges()) if run.part == source.parts[0]]
    assert len(runs) == 2
    # Polars shares scans that are equal, and puts the rows of all their slices into a cache: those of whole files.
    assert "CACHE" not in told["stars"].table(region=two).explain()


def test_only_chunks_that_meet_a_region_are_read_of_arrays(told, monkeypatch):
    handle = told["spectra"]
    few = cone(315, 25, 0.2)
    read = []
    open_segment = arrays.open_segment

    def spy(at, snapshot, name, chunk=None, columns=None):
        read.append((name, tuple(columns)))
        return open_segment(at, snapshot, name, chunk, columns)

    monkeypatch.setattr(arrays, "open_segment", spy)
    found = handle.dataset(["flux"], region=few)
    assert all("flux" not in columns or "_healpix_29" not in columns for _, columns in read)
    graph = found["flux"].data.dask
    reads = [key for key in graph if str(key[0]).startswith("read-flux")]
    shards = -(-handle.source.rows // 4096)
    assert 0 < len(reads) < shards / 2


def test_a_footer_longer_than_expected_is_read_whole(told, monkeypatch):
    source = told["stars"].source
    part = source.parts[0]
    tables.row_groups.cache_clear()
    usual = tables.row_groups(source.store, source.pin.path, part, "_healpix_29")
    tables.row_groups.cache_clear()
    monkeypatch.setattr(tables, "_FOOTER", 16)
    again = tables.row_groups(source.store, source.pin.path, part, "_healpix_29")
    assert (usual.low == again.low).all()
    assert usual.starts[-1] == part.rows


def test_a_region_outside_the_coverage_gives_no_rows_and_says_so_once_asked(tmp_path, caplog):
    lake = hven.create(tmp_path / "lake")
    with lake.transaction() as tx:
        tx.write("stars", sky(0, 1_000, ra=(10, 20), dec=(0, 10)))
    with caplog.at_level(logging.WARNING, "hven"):
        assert lake["stars"].table(region=cone(200, -40, 1)).collect().height == 0
    assert "'stars' covers other parts of the sky" in caplog.text
    caplog.clear()
    assert lake["stars"].dataset(region=cone(200, -40, 1)).sizes["object"] == 0
    assert "cone(200, -40, 1) holds no object" in caplog.text
    caplog.clear()
    assert lake["stars"].table(region=cone(15, 5, 1)).collect().height > 0
    assert lake["stars"].table(region=moc("")).collect().height == 0
    assert caplog.text == ""


def test_a_dataset_without_usable_positions_refuses_regions(tmp_path):
    lake = hven.create(tmp_path / "lake")
    stars = sky(0, 10)
    with lake.transaction() as tx:
        tx.write("bare", stars.drop("_healpix_29"))
        tx.write("texts", stars.with_columns(pl.col("ra").cast(pl.String)))
        tx.write("cells", stars.with_columns(pl.col("_healpix_29").cast(pl.Float64)))
    for name, error, text in (
        ("bare", errors.MissingColumnError, "_healpix_29"),
        ("texts", errors.DataRefusedError, "'ra' is String"),
        ("cells", errors.DataRefusedError, "'_healpix_29' is Float64"),
    ):
        for ask in (lake[name].table, lake[name].dataset):
            with pytest.raises(error, match=text):
                ask(region=cone(1, 1, 1))


@pytest.mark.parametrize("region", ["cone(1, 2)", "circle(1, 2, 3)", (1, 2, 3)])
def test_what_is_not_a_region_is_refused(told, region):
    for ask in (told["stars"].table, told["spectra"].dataset):
        with pytest.raises(errors.RegionError):
            ask(region=region)


numbers = st.integers(0, 60)


@given(
    stretches=st.lists(st.tuples(numbers, numbers, st.booleans()), min_size=1, max_size=30),
    ranges=st.lists(st.tuples(numbers, numbers), max_size=6),
)
def test_runs_hold_every_stretch_that_meets_a_range_and_are_few(stretches, ranges):
    kept = np.array(sorted({tuple(sorted(r)) for r in ranges}), np.int64).reshape(-1, 2)
    kept = hven.sky.cover.merged(kept)
    low, high = (np.array([pick(s[:2]) for s in stretches]) for pick in (min, max))
    is_open = np.array([s[2] for s in stretches])
    starts = np.arange(len(stretches) + 1) * 10
    met = [o or any(a <= z and b > y for a, b in kept) for y, z, o in zip(low, high, is_open, strict=True)]
    assert (meets(low, high, kept) | is_open).tolist() == met
    runs = Stretches(starts, low, high, is_open).runs(Part("p", "s", int(starts[-1])), kept)
    held = {row for run in runs for row in range(run.start, run.stop)}
    assert all(row in held for i, is_met in enumerate(met) if is_met for row in range(starts[i], starts[i + 1]))
    assert len(runs) <= 8
    exact = sum(met) * 10
    blocks = np.flatnonzero(np.diff(np.concatenate([[False], met])) > 0).size if any(met) else 0
    assert len(held) == exact or blocks > 8
    assert all(a.stop < b.start for a, b in pairwise(runs))
