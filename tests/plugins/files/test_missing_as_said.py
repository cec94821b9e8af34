"""What a user or a file says is missing or scaled is taken at its word, in every type of column."""

from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hven.errors import ParameterError
from hven_plugins.files import hdf5_table, parquet
from hven_plugins.files.table_batch import table_batch

h5py = pytest.importorskip("h5py")


def cleaned(values, **options):
    return (
        table_batch(pl.DataFrame({"id": range(len(values)), "x": values}), [], "t", **options).parts[""]["x"].to_list()
    )


@pytest.mark.parametrize(
    ("values", "codes", "left"),
    [
        ([5, 6], [5.5], [5, 6]),
        ([99, 6], [99.9], [99, 6]),
        ([99, 6], [99.0], [None, 6]),
        ([5.5, 6.0], [5.5], [None, 6.0]),
        (["a", "-9999", "-9999.0", "5"], [-9999], ["a", None, None, "5"]),
        (["a", "-9999"], [-999], ["a", "-9999"]),
        ([True, False], [1], [True, False]),
    ],
)
@pytest.mark.parametrize("name", ["x", "*"])
def test_sentinels_take_what_equals_them_in_numbers_and_texts_and_nothing_else(values, codes, left, name):
    assert cleaned(values, sentinels={name: codes}) == left


def test_a_sentinel_beyond_the_type_of_a_column_takes_nothing():
    assert cleaned(pl.Series([113, 5], dtype=pl.Int8), sentinels={"*": [-9999, 1e20]}) == [113, 5]


def test_limits_of_a_text_are_refused():
    with pytest.raises(ParameterError, match="limits for column 'x', which is String"):
        cleaned(["a", "b"], valid={"x": [0, 5]})


def test_fill_values_and_scales_of_netcdf_are_what_they_stand_for(tmp_path):
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["source_id"] = np.arange(4)
        file["dist"], file["n"], file["t"] = np.arange(4.0), np.arange(4), np.arange(4)
        file["mags"] = np.arange(8).reshape(4, 2)
        file["dist"].attrs.update({"_FillValue": 2.0, "units": "pc"})
        file["n"].attrs["missing_value"] = np.array([3])
        file["t"].attrs.update({"scale_factor": 0.5, "add_offset": 10.0, "_FillValue": 1})
        file["mags"].attrs["_FillValue"] = 5
    (batch,) = hdf5_table(str(tmp_path / "t.h5"))
    frame = batch.parts[""]
    assert frame["dist"].to_list() == [0, 1, None, 3]
    assert frame["n"].to_list() == [0, 1, 2, None]
    assert frame["t"].to_list() == [10.0, None, 11.0, 11.5]
    assert np.array_equal(frame["mags"].to_numpy(), [[0, 1], [2, 3], [4, np.nan], [6, 7]], equal_nan=True)


@pytest.mark.parametrize(("digits", "kept"), [(30, pl.Decimal), (50, pl.String)])
def test_wide_decimals_are_kept_exact(tmp_path, digits, kept):
    values = pa.array([Decimal("1.25"), None, Decimal("-3.50")], pa.decimal256(digits, 2))
    pq.write_table(pa.table({"id": [1, 2, 3], "x": values}), tmp_path / "t.parquet")
    (batch,) = parquet(str(tmp_path / "t.parquet"))
    assert isinstance(batch.parts[""].schema["x"], kept)
    assert [value and Decimal(value) for value in batch.parts[""]["x"]] == values.to_pylist()


def test_what_vaex_masks_is_missing(tmp_path):
    columns = {"source_id": (np.arange(4), None), "teff": (np.array([5000, -1, 4000, -1]), [0, 1, 0, 1])}
    columns["x"] = (np.array([1.5, 9.9, 2.0, 9.0]), [0, 1, 0, 0])
    with h5py.File(tmp_path / "t.hdf5", "w") as file:
        for name, (values, mask) in columns.items():
            file[f"table/columns/{name}/data"] = values
            if mask is not None:
                file[f"table/columns/{name}/mask"] = np.array(mask, "u1")
        file["table/columns/y/data"] = np.arange(4)
        file["table/columns/y/null_bitmap"] = np.packbits([1, 0, 1, 1], bitorder="little")
    (batch,) = hdf5_table(str(tmp_path / "t.hdf5"))
    frame = batch.parts[""]
    assert frame["teff"].to_list() == [5000, None, 4000, None]
    assert frame["x"].to_list() == [1.5, None, 2.0, 9.0]
    assert frame["y"].to_list() == [0, None, 2, 3]
