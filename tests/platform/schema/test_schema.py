import numpy as np
import polars as pl
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from hven import errors
from hven.schema import (
    CANONICAL,
    Column,
    Schema,
    check_name,
    conversion_factor,
    dataset_to_frame,
    describe,
    frame_to_dataset,
    parse_unit,
)

COLUMNS = {
    "integers": (st.integers(-(2**63), 2**63 - 1), pl.Int64),
    "floats": (st.floats(allow_nan=False), pl.Float64),
    "flags": (st.booleans(), pl.Boolean),
    "texts": (st.text(st.characters(exclude_categories=["Cs"])), pl.String),
}


@given(st.data(), st.integers(0, 30))
def test_a_table_survives_the_way_to_a_dataset_and_back(data, rows):
    columns = {
        name: pl.Series(data.draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), dtype=dtype)
        for name, (values, dtype) in COLUMNS.items()
    }
    frame = pl.DataFrame(columns)
    assert dataset_to_frame(frame_to_dataset(frame)).equals(frame)


def test_large_ids_with_nulls_lose_no_digit():
    frame = pl.DataFrame({"source_id": [2**62 + 1, None]})
    data = frame_to_dataset(frame)
    assert data["source_id"].dtype == np.int64
    assert data["source_id"].values[0] == 2**62 + 1
    assert dataset_to_frame(data).equals(frame)


def test_columns_that_are_no_numbers_flags_or_text_are_refused_by_name():
    with pytest.raises(errors.DataRefusedError, match="'when'"):
        frame_to_dataset(pl.DataFrame({"when": [None]}, schema={"when": pl.Date}))
    with pytest.raises(errors.DataRefusedError, match="do not make a table"):
        dataset_to_frame(xr.Dataset({"a": ("x", [1]), "b": ("y", [1, 2])}))


def test_every_canonical_column_has_a_unit_that_exists_a_ucd_and_a_description():
    for column in CANONICAL.values():
        parse_unit(column.unit)
        assert column.ucd
        assert column.description


@pytest.mark.parametrize(
    ("name", "unit", "ucd"),
    [
        ("feh_err", "dex", "stat.error;phys.abund.Fe"),
        ("mg_fe", "dex", "phys.abund.Mg"),
        ("o_h_err", "dex", "stat.error;phys.abund.O"),
    ],
)
def test_errors_and_abundances_are_described_by_their_names(name, unit, ucd):
    told = describe(Column(name, "float32"))
    assert (told.unit, told.ucd) == (unit, ucd)
    assert describe(Column("feh", "float32", unit="mag", description="mine")).unit == "mag"
    assert describe(Column("unheard_of", "float32")).unit == ""


def test_units_convert_or_are_refused_by_name():
    assert conversion_factor("pc", "kpc") == pytest.approx(1e-3)
    assert conversion_factor("", "") == 1.0
    with pytest.raises(errors.UnitError, match="'kpc'"):
        conversion_factor("mag", "kpc")
    for logarithmic in ("dex", "dex(m/s2)"):
        with pytest.raises(errors.UnitError):
            conversion_factor("mag" if logarithmic == "dex" else "dex(cm/s2)", logarithmic)
    with pytest.raises(errors.UnitError, match="not known"):
        parse_unit("parsnips")


def test_equal_schemas_have_equal_digests():
    one = Schema((Column("a", "int64"), Column("flux", "float32", ("object", "wavelength"))))
    assert Schema.from_json(one.to_json()) == one
    assert one.digest == Schema.from_json(one.to_json()).digest
    assert one.digest != Schema(one.columns[:1]).digest
    with pytest.raises(errors.MissingColumnError, match="'flux'"):
        one["flx"]


@pytest.mark.parametrize("name", ["stars", "apogee_dr17", "a.b", "_x", "S-1"])
def test_plain_names_are_names(name):
    assert check_name(name) == name


@given(st.text())
def test_no_name_leaves_its_folder(name):
    try:
        check_name(name)
    except errors.NameRefusedError:
        return
    assert "/" not in name
    assert ".." not in name
    assert name[0] not in ".-0123456789"
