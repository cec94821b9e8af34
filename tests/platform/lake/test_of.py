import numpy as np
import polars as pl
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import hven
from hven import errors
from hven.lake import lookup, tables
from hven.lake.parts import Part
from hven.lake.picking import layout
from hven.sky import cone, healpix_29

COUNT = 9_000


def visits(first, count):
    """Objects with unique ids, three visits of each source, places on the sky, spectra and cut-outs."""
    rng = np.random.default_rng(first)
    ra, dec = rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    order = np.argsort(healpix_29(ra, dec))
    ids = first + rng.permutation(count)
    names = np.array([None if i % 5 == 0 else f"s{i}" for i in ids], dtype=np.dtypes.StringDType(na_object=None))
    return xr.Dataset(
        {
            "object_id": ("object", ids),
            "source_id": ("object", ids // 3),
            "name": ("object", names),
            "ra": ("object", ra[order]),
            "dec": ("object", dec[order]),
            "_healpix_29": ("object", healpix_29(ra, dec)[order]),
            "flux": (("object", "wavelength"), (ids[:, None] + np.arange(4) / 4).astype("f8"), {"units": "W"}),
            "mask": (("object", "wavelength"), (ids[:, None] + np.arange(4)) % 3 == 0),
            "image": (("object", "band", "y", "x"), (ids[:, None, None, None] * np.ones((2, 3, 3))).astype("f4")),
            "wavelength": ("wavelength", [4000.0, 5000.0, 6000.0, 7000.0], {"units": "Angstrom"}),
        }
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    lake = hven.create(tmp_path_factory.mktemp("of") / "lake")
    one, two = visits(0, COUNT), visits(30_000, 600)
    flat = ["object_id", "source_id", "name", "ra", "dec", "_healpix_29"]
    with lake.transaction() as tx:
        tx.write("spectra", one, kind="spectra")
        tx.write("images", one[["object_id", "source_id", "image"]], kind="images")
        tx.write("stars", one[flat])
    with lake.transaction() as tx:
        tx.append("spectra", two)
        tx.append("images", two[["object_id", "source_id", "image"]])
        tx.append("stars", two[flat])
        tx.delete("stars", "object_id % 11 = 0")
    return lake


@pytest.fixture(scope="module")
def known(told):
    """The ids that are there, in the order of the datasets."""
    return {name: told[name].table(["object_id", "source_id"]).collect() for name in told}


@settings(max_examples=25)
@given(
    ids=st.lists(st.integers(-5, COUNT + 5) | st.integers(29_990, 30_610), max_size=30),
    name=st.sampled_from(["spectra", "images", "stars"]),
)
def test_objects_come_in_the_order_asked_for_and_absent_ones_are_blank(told, known, ids, name):
    there = set(known[name]["object_id"])
    found = told[name].of(ids)
    assert all(v.chunks is not None for n, v in found.data_vars.items() if n in ("flux", "mask", "image", "ra"))
    found = found.compute()
    assert found["object_id"].values.tolist() == ids
    assert found["present"].values.tolist() == [i in there for i in ids]
    assert found["source_id"].values.tolist() == [i // 3 if i in there else 0 for i in ids]
    for row, i in enumerate(ids):
        if name == "spectra":
            wanted = i + np.arange(4) / 4 if i in there else np.full(4, np.nan)
            assert np.array_equal(found["flux"].values[row], wanted, equal_nan=True)
            assert found["mask"].values[row].tolist() == [i not in there or (i + k) % 3 == 0 for k in range(4)]
            assert found["wavelength"].values[-1] == 7000
        elif name == "images":
            assert np.array_equal(found["image"].values[row], np.full((2, 3, 3), i if i in there else np.nan), True)
        if name != "images":
            assert found["name"].values[row] == (f"s{i}" if i in there and i % 5 else None)
            assert np.isnan(found["ra"].values[row]) == (i not in there)
    assert found.attrs == told[name].dataset().attrs
    if name == "spectra":
        assert found["flux"].attrs["units"] == "W"


def test_a_selection_of_stars_gives_their_spectra_and_cut_outs(told):
    stars = told["stars"].table(where="source_id < 2000", region=cone(200, 30, 25))
    frame = stars.collect()
    assert frame.height > 20
    for rows in (stars, frame, frame.select("object_id"), frame["object_id"], frame["object_id"].to_list()):
        for name, variable in (("spectra", "flux"), ("images", "image")):
            found = told[name].of(rows, columns=[variable])
            assert set(found.variables) <= {"object_id", variable, "present", "wavelength"}
            assert found["present"].values.all()
            values = found[variable].values.reshape(frame.height, -1)[:, 0]
            assert values.tolist() == frame["object_id"].to_list()
    mixed = frame.sample(fraction=1, shuffle=True, seed=1)
    assert told["spectra"].of(mixed)["flux"].values[:, 0].tolist() == mixed["object_id"].to_list()


def test_several_spectra_of_one_source_are_told_apart(told, known):
    spectra, frame = told["spectra"], known["spectra"]
    with pytest.raises(errors.SeveralObjectsError, match="source_id 7 is that of 3 objects") as raised:
        spectra.of([7], on="source_id")
    assert "several='all'" in raised.value.hint
    rows = pl.DataFrame({"source_id": [7, 99_999, 2, 7]})
    first = spectra.of(rows, several="first").compute()
    wanted = [frame.filter(pl.col("source_id") == s)["object_id"].to_list() for s in (7, 99_999, 2, 7)]
    assert first["present"].values.tolist() == [True, False, True, True]
    assert first["object_id"].values.tolist() == [w[0] if w else 0 for w in wanted]
    assert first["source_id"].values.tolist() == rows["source_id"].to_list()
    every = spectra.of(rows, several="all").compute()
    assert every["row"].values.tolist() == [0, 0, 0, 1, 2, 2, 2, 3, 3, 3]
    assert every["object_id"].values.tolist() == [i for w in wanted for i in w or [0]]
    assert every["source_id"].values.tolist() == [7, 7, 7, 99_999, 2, 2, 2, 7, 7, 7]
    assert np.array_equal(every["flux"].values[:, 0], [i for w in wanted for i in w or [np.nan]], equal_nan=True)
    alone = told["spectra"].of([COUNT // 3 + 1], on="source_id")
    assert not alone["present"].values.any()


def test_a_frame_with_object_ids_never_asks_by_source(told):
    rows = pl.DataFrame({"object_id": [4, 5], "source_id": [1, 1]})
    assert told["spectra"].of(rows)["flux"].values[:, 0].tolist() == [4, 5]
    with pytest.raises(errors.SeveralObjectsError):
        told["spectra"].of(rows, on="source_id")


def test_objects_are_found_by_text_too(told):
    found = told["spectra"].of(["s8", "nobody", "s1"], on="name")
    assert found["object_id"].values.tolist() == [8, 0, 1]
    assert found["name"].values.tolist() == ["s8", "nobody", "s1"]
    assert told["stars"].of(pl.DataFrame({"name": ["s8", None]}), on="name")["present"].values.tolist() == [True, False]


def test_nothing_asked_is_nothing_found(told):
    for name in told:
        for rows in ([], pl.DataFrame({"object_id": []}), pl.Series([], dtype=pl.Int64), np.array([])):
            found = told[name].of(rows).compute()
            assert found.sizes["object"] == 0
            assert set(told[name].schema.names) <= set(map(str, found.variables))
    nobody = told["spectra"].of(pl.DataFrame({"object_id": [None, 10**18]}, schema={"object_id": pl.Int64})).compute()
    assert not nobody["present"].values.any()
    assert np.isnan(nobody["flux"].values).all()
    assert nobody["mask"].values.all()


@pytest.mark.parametrize(
    ("rows", "options", "error", "text"),
    [
        ([1.0, 2.0], {}, errors.DataRefusedError, "float64"),
        (["s1"], {}, errors.DataRefusedError, "String"),
        ([[1, 2]], {}, errors.DataRefusedError, r"shape \(1, 2\)"),
        ([True], {}, errors.DataRefusedError, "bool"),
        (pl.DataFrame({"object_id": [1.5]}), {}, errors.DataRefusedError, "Float64"),
        (pl.DataFrame({"objectid": [1]}), {}, errors.MissingColumnError, "'object_id'"),
        (pl.DataFrame({"object_id": [1]}), {"on": "source_id"}, errors.MissingColumnError, "the rows have no column"),
        ([1], {"on": "sourceid"}, errors.MissingColumnError, "'source_id'"),
        ([1], {"columns": ["fluks"]}, errors.MissingColumnError, "'flux'"),
        ([1], {"several": "any"}, errors.DataRefusedError, "'first'"),
    ],
)
def test_rows_that_cannot_be_asked_for_are_refused_by_name(told, rows, options, error, text):
    with pytest.raises(error, match=text):
        told["spectra"].of(rows, **options)


def test_objects_elsewhere_than_their_row_says_are_found_all_the_same(told):
    away = pl.DataFrame({"object_id": [17, 18, 30_001], "_healpix_29": [0, None, 5]})
    found = told["spectra"].of(away)
    assert found["present"].values.all()
    assert found["flux"].values[:, 0].tolist() == [17, 18, 30_001]


def test_ids_are_read_once_and_near_ones_only_where_they_are(told, monkeypatch):
    handle = told["stars"]
    searched = []
    search = lookup._search
    monkeypatch.setattr(lookup, "_search", lambda s, w, on, runs: searched.append(runs) or search(s, w, on, runs))
    frame = handle.table(region=cone(200, 30, 5)).collect()
    handle.of(frame)
    assert len(searched) == 1, "all were found near their places"
    lookup._ids.cache_clear()
    for _ in range(3):
        told["spectra"].of([1, 2, 3])
    assert lookup._ids.cache_info().misses == len(told["spectra"].source.parts)


def test_rows_of_a_table_are_read_by_the_row_group(told, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 1_000)
    read = []
    read_rows = tables.read_rows
    monkeypatch.setattr(tables, "read_rows", lambda *a: read.append(a[3:5]) or read_rows(*a))
    source = told["stars"].source
    at = np.array([5, 17, 1_500, 7_000, 8_100])
    frame = tables.pick_rows(source.store, source.pin.path, source.parts[0], at, ["object_id"])
    assert read == [(0, 2_000), (7_000, source.parts[0].rows)]
    assert (
        frame["object_id"].to_list() == told["stars"].table(["object_id"]).collect()["object_id"].gather(at).to_list()
    )


def test_conditions_and_ids_lead_to_the_same_objects(told):
    for name in told:
        chosen = told[name].dataset(where="object_id < 500").compute()
        assert chosen.sizes["object"] > 400
        asked = told[name].of(chosen["object_id"].values).drop_vars("present").compute()
        xr.testing.assert_identical(asked, chosen)


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    rows=st.lists(st.integers(-1, 30), max_size=40),
    grain=st.integers(1, 8),
    width=st.sampled_from([1, 2**20, 2**24]),
)
def test_a_layout_reads_each_row_once_and_puts_it_wherever_it_was_asked(sizes, rows, grain, width):
    parts = [Part(f"p{i}", "s", size) for i, size in enumerate(sizes)]
    rows = np.array([r for r in rows if r < sum(sizes)], np.int64)
    told = layout(parts, rows, grain, width)
    assert sum(told.chunks) == len(rows)
    first = dict(zip(parts, np.cumsum([0, *sizes]).tolist(), strict=False))
    read = [first[part] + row for part, at in told.pieces for row in at.tolist()]
    assert read == sorted(set(rows[rows >= 0].tolist()))
    got = []
    for size, plan in zip(told.chunks, told.plans, strict=True):
        chunk = np.full(size, -1)
        for piece, to, taken in plan:
            part, at = told.pieces[piece]
            chunk[to] = first[part] + at[taken]
        got += chunk.tolist()
    assert got == rows.tolist()


def test_picking_runs_on_workers_too(told):
    import pickle

    found = told["spectra"].of([3, 1])["flux"]
    again = pickle.loads(pickle.dumps(found))
    assert again.values[:, 0].tolist() == [3, 1]
