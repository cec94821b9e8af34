"""Tables in HDF5 and NumPy files: what is read, equal to what was written, and what is refused by name."""

import importlib
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st

import hven
from hven.errors import ReaderNotFoundError, UnreadableFileError
from hven.plugins import plugins
from hven.testing import ReaderSuite
from hven_plugins.files import hdf5_table, numpy_images, numpy_table

h5py = pytest.importorskip("h5py")
SHARED = os.environ.get("HVEN_SHARED_DATA", "")
BIG = 5853498713190525696
ROWS = np.array([(BIG, 10.5, b"ab", [1, 2, 3]), (BIG + 1, np.nan, b"", [4, 5, 6])], "i8, f8, S4, (3,)f4")
ROWS.dtype.names = ("source_id", "ra", "name", "mags")

TYPES = {
    "i8": st.integers(-(2**63), 2**63 - 1),
    "i4": st.integers(-(2**31), 2**31 - 1),
    "u2": st.integers(0, 2**16 - 1),
}
TYPES |= {"f8": st.floats(allow_nan=False), "f4": st.floats(allow_nan=False, width=32), "?": st.booleans()}


@st.composite
def columns(draw):
    """Columns of one number of rows: single values and vectors."""
    rows = draw(st.integers(1, 6))
    found = {"first": np.arange(rows)}
    for n, dtype in enumerate(draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=4))):
        shape = draw(st.sampled_from([(), (2,), (3, 2)]))
        size = rows * int(np.prod(shape))
        values = draw(st.lists(TYPES[dtype], min_size=size, max_size=size))
        found[f"c{n}"] = np.array(values, dtype).reshape(rows, *shape)
    return found


def structured(found):
    rows = len(found["first"])
    table = np.zeros(rows, [(name, one.dtype, one.shape[1:]) for name, one in found.items()])
    for name, one in found.items():
        table[name] = one
    return table


def read(reader, path, **options):
    batches = list(reader(str(path), **options))
    return pl.concat([batch.parts[""] for batch in batches])


def same(frame, found):
    return list(frame.columns) == list(found) and all(
        np.array_equal(frame[name].to_numpy(), one) for name, one in found.items()
    )


class TestHdf5Table(ReaderSuite):
    reader = hdf5_table

    def sample(self, folder):
        with h5py.File(folder / "a.h5", "w") as file:
            file["stars"] = np.array([(1, 10.0, 20.0), (2, 11.0, 21.0)], "i8, f8, f8").astype(
                [("source_id", "i8"), ("ra", "f8"), ("dec", "f8")]
            )
        return folder / "a.h5"


class TestNumpyTable(ReaderSuite):
    reader = numpy_table

    def sample(self, folder):
        np.savez(folder / "a.npz", source_id=np.arange(5), ra=np.arange(5.0), dec=np.arange(5.0))
        return folder / "a.npz"


@settings(deadline=None, max_examples=40)
@given(columns(), st.sampled_from(["compound", "group", "npz", "npy"]))
def test_any_table_comes_back_as_it_was_written(tmp_path_factory, found, sort):
    path = tmp_path_factory.mktemp("any") / f"a.{sort if sort.startswith('np') else 'h5'}"
    if sort == "npz":
        np.savez(path, **found)
    elif sort == "npy":
        np.save(path, structured(found))
    else:
        with h5py.File(path, "w", track_order=True) as file:
            if sort == "compound":
                file["a/stars"] = structured(found)
            else:
                group = file.create_group("stars", track_order=True)
                for name, one in found.items():
                    group[name] = one
    assert same(read(numpy_table if sort.startswith("np") else hdf5_table, path), found)


@pytest.mark.parametrize("reader", [hdf5_table, numpy_table])
def test_a_large_table_comes_in_pieces(tmp_path, monkeypatch, reader):
    monkeypatch.setattr("hven_plugins.files.array_columns.BATCH_BYTES", 2000)
    table = np.zeros(1000, [("n", "i8"), ("x", "f8")])
    table["n"] = np.arange(1000)
    if reader is hdf5_table:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["t"] = table
    else:
        np.save(tmp_path / "a.npy", table)
    batches = list(reader(str(next(tmp_path.iterdir()))))
    assert [batch.rows for batch in batches] == [125] * 8
    assert pl.concat([batch.parts[""] for batch in batches])["n"].to_list() == list(range(1000))


def test_ids_beyond_64_bits_are_text_in_all_pieces_and_records_become_columns(tmp_path, monkeypatch):
    monkeypatch.setattr("hven_plugins.files.array_columns.BATCH_BYTES", 800)
    table = np.zeros(100, [("id", "u8"), ("at", [("x", "f4"), ("y", "f4")])])
    table["id"][99] = 2**64 - 1
    np.save(tmp_path / "a.npy", table)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["t"] = table
    for reader, name in ((numpy_table, "a.npy"), (hdf5_table, "a.h5")):
        batches = list(reader(str(tmp_path / name)))
        assert len(batches) > 1
        assert {tuple(batch.parts[""].schema.items()) for batch in batches} == {
            (("id", pl.String()), ("at_x", pl.Float32()), ("at_y", pl.Float32()))
        }
        assert batches[-1].parts[""]["id"].to_list()[-1] == str(2**64 - 1)


def test_astropy_tables_keep_units_descriptions_and_masks(tmp_path):
    table = Table({"teff": [5000.0, 6000.0], "n": MaskedColumn([1, 2], mask=[False, True]), "name": ["ab", "c"]})
    table["teff"].unit, table["teff"].description = "K", "How hot"
    table.write(tmp_path / "a.h5", path="g/stars", serialize_meta=True)
    (batch,) = hdf5_table(str(tmp_path / "a.h5"))
    assert batch.parts[""].rows() == [(5000.0, 1, "ab"), (6000.0, None, "c")]
    told = {column.name: column for column in batch.columns}
    assert (told["teff"].unit, told["teff"].description) == ("K", "How hot")


def pandas_fixed(group, names, blocks, index):
    """What pandas writes with to_hdf in its fixed format."""
    group.attrs["pandas_type"], group.attrs["nblocks"] = np.bytes_("frame"), len(blocks)
    group["axis0"], group["axis1"] = np.array([n.encode() for n in names]), index
    for n, (items, values) in enumerate(blocks):
        group[f"block{n}_items"], group[f"block{n}_values"] = np.array([i.encode() for i in items]), values


def test_the_fixed_format_of_pandas_is_a_table_with_its_columns_in_order(tmp_path):
    floats, ids = np.array([[10.5, 20.5], [11.5, 21.5]]), np.array([[BIG], [BIG + 1]])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("df")
        pandas_fixed(group, ["source_id", "ra", "dec"], [(["ra", "dec"], floats), (["source_id"], ids)], np.arange(2))
    assert read(hdf5_table, tmp_path / "a.h5").rows() == [(BIG, 10.5, 20.5), (BIG + 1, 11.5, 21.5)]
    with h5py.File(tmp_path / "b.h5", "w") as file:
        group = file.create_group("df")
        pandas_fixed(group, ["ra", "dec"], [(["ra", "dec"], floats)], np.array([7, 9]))
        group["axis1"].attrs["name"] = np.bytes_("star")
    assert read(hdf5_table, tmp_path / "b.h5").columns == ["star", "ra", "dec"]


@pytest.mark.parametrize("form", ["fixed", "table"])
def test_what_pandas_itself_writes_comes_back(tmp_path, form):
    pytest.importorskip("tables", reason="pandas writes HDF5 with PyTables")
    pandas = importlib.import_module("pandas")
    frame = pandas.DataFrame({"source_id": [BIG, BIG + 1], "ra": [10.5, np.nan], "n": np.array([1, 2], "i2")})
    frame["when"] = pandas.to_datetime(["2026-01-02T03:04:05", "2026-01-03T00:00:00"])
    if form == "table":
        frame["name"] = ["ab", "c"]
    frame.to_hdf(tmp_path / "a.h5", key="df", format=form)
    found = read(hdf5_table, tmp_path / "a.h5")
    assert found.select("source_id", "ra", "n").rows() == [(BIG, 10.5, 1), (BIG + 1, None, 2)]
    assert found["when"].dt.year().to_list() == [2026, 2026]
    assert form == "fixed" or found["name"].to_list() == ["ab", "c"]


def test_pickles_inside_a_frame_of_pandas_are_not_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("df")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        group["table"] = np.zeros(2, [("index", "i8"), ("values_block_0", "f8", (1,))])
        group["table"].attrs["values_block_0_kind"] = np.bytes_(b"cos\nsystem\n(S'echo'\ntR.")
    with pytest.raises(UnreadableFileError, match="pickle"):
        list(hdf5_table(str(tmp_path / "a.h5")))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        texts = np.empty((1, 1), object)
        texts[0, 0] = np.frombuffer(b"\x80\x04.", np.uint8)
        group = file.create_group("df")
        pandas_fixed(group, ["name"], [], np.arange(1))
        group.attrs["nblocks"] = 1
        group["block0_items"] = np.array([b"name"])
        group.create_dataset("block0_values", data=texts, dtype=h5py.vlen_dtype(np.uint8))
    with pytest.raises(UnreadableFileError, match="pickle"):
        list(hdf5_table(str(tmp_path / "b.h5")))


def test_several_tables_are_named_and_one_is_chosen(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["north"], file["g/south"] = ROWS, ROWS[:1]
    with pytest.raises(UnreadableFileError, match=r"g/south: 1 rows, 4 columns; north: 2 rows"):
        list(hdf5_table(str(tmp_path / "a.h5")))
    frame = read(hdf5_table, tmp_path / "a.h5", table="/north")
    assert frame["source_id"].to_list() == [BIG, BIG + 1]
    assert frame["mags"].to_list() == [[1, 2, 3], [4, 5, 6]]
    assert frame["name"].to_list() == ["ab", None]
    with pytest.raises(UnreadableFileError, match="norht"):
        list(hdf5_table(str(tmp_path / "a.h5"), table="norht"))


def test_the_columns_of_vaex_are_a_table(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("ra", "dec"):
            file[f"table/columns/{name}/data"] = np.arange(3.0)
            file[f"table/columns/{name}/data"].attrs["unit"] = "deg"
    (batch,) = hdf5_table(str(tmp_path / "a.h5"))
    assert batch.parts[""].height == 3
    assert {column.unit for column in batch.columns} == {"deg"}


@pytest.mark.parametrize("sort", ["external link", "virtual dataset", "external storage"])
def test_nothing_outside_the_file_is_read(tmp_path, sort):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.arange(4.0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["y"] = np.arange(4.0)
        if sort == "external link":
            file["x"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/x")
        elif sort == "virtual dataset":
            layout = h5py.VirtualLayout((4,), "f8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", (4,))
            file.create_virtual_dataset("x", layout)
        else:
            file.create_dataset("x", (4,), "f8", external=[(str(tmp_path / "secret.h5"), 0, 32)])
    with pytest.raises(ReaderNotFoundError, match="points out of itself"):
        plugins().reader_for(str(tmp_path / "a.h5"))
    with pytest.raises(UnreadableFileError, match="points out of itself"):
        list(hdf5_table(str(tmp_path / "a.h5")))


REFUSED = {
    "spectra": {"flux": np.ones((20, 100)), "wave": np.arange(100.0), "ra": np.arange(20.0)},
    "spectrum": {"wavelength_nm": np.arange(9.0), "normalized_flux": np.ones(9), "ivar": np.ones(9)},
    "neither": {"a": np.ones((500, 8))},
    "unequal": {"a": np.ones(5), "b": np.ones(6)},
    "objects": {"a": np.array([{}, {}], object)},
    "cube": {"cube": np.ones((50, 20, 20))},
}


@pytest.mark.parametrize("name", REFUSED)
def test_arrays_that_are_no_table_of_objects_are_refused(tmp_path, name):
    np.savez(tmp_path / "a.npz", **REFUSED[name])
    with pytest.raises(ReaderNotFoundError) as refused:
        plugins().reader_for(str(tmp_path / "a.npz"))
    assert refused.value.hint
    if name != "spectrum":
        with pytest.raises(UnreadableFileError):
            list(numpy_table(str(tmp_path / "a.npz")))


def test_an_array_of_two_dimensions_is_a_picture_only_when_that_is_said(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((500, 8)))
    with pytest.raises(UnreadableFileError, match="layout=yx"):
        list(numpy_images(str(tmp_path / "a.npy")))
    (batch,) = numpy_images(str(tmp_path / "a.npy"), layout="yx")
    assert batch.rows == 1


def test_stacks_stay_images_and_vectors_beside_columns_a_table(tmp_path):
    np.savez(tmp_path / "images.npz", images=np.ones((4, 16, 16)), zeta=np.arange(4.0))
    np.savez(tmp_path / "table.npz", covariance=np.ones((4, 5, 5)), zeta=np.arange(4.0))
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["images"], file["parameters/zeta"], file["parameters/q"] = np.ones((4, 16, 16)), np.ones(4), np.ones(4)
    found = {path.name: plugins().reader_for(str(path)).name for path in tmp_path.iterdir()}
    assert found == {"images.npz": "numpy_images", "table.npz": "numpy_table", "images.h5": "hdf5_images"}


@pytest.mark.skipif(not SHARED, reason="HVEN_SHARED_DATA is not set")
def test_the_stars_of_gd_1_are_read_from_pandas_and_mass_functions_are_named():
    streams = Path(SHARED) / "streams"
    frame = read(hdf5_table, streams / "gd1_candidates.hdf5")
    assert frame.shape == (7346, 11)
    assert frame["source_id"].dtype == pl.Int64
    assert read(hdf5_table, streams / "gd1_merged.hdf5", table="selected").height == 481
    with pytest.raises(UnreadableFileError, match="mass_function"):
        list(hdf5_table(str(Path(SHARED) / "clusters/gcfit/NGC0104.hdf")))


def test_a_table_of_hdf5_goes_into_a_lake(tmp_path):
    with h5py.File(tmp_path / "stars.h5", "w") as file:
        file["stars"] = ROWS[["source_id", "name"]]
    lake = hven.create(tmp_path / "lake")
    assert hven.ingest_files(lake, tmp_path / "stars.h5", name="stars", progress=False).rows == 2
    assert lake["stars"].table(["source_id"]).collect()["source_id"].sort().to_list() == [BIG, BIG + 1]
