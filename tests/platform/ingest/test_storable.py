"""The types of columns that hven keeps."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from hven.errors import DataRefusedError
from hven.ingest.storable import storable


@pytest.mark.parametrize(
    ("series", "values", "dtype"),
    [
        (pl.Series("c", [1, None], dtype=pl.UInt8), [1, None], pl.Int16),
        (pl.Series("c", [2**16 - 1], dtype=pl.UInt16), [65535], pl.Int32),
        (pl.Series("c", [2**63 - 1], dtype=pl.UInt64), [2**63 - 1], pl.Int64),
        (pl.Series("c", [1.5, float("nan")], dtype=pl.Float32), [1.5, None], pl.Float32),
        (pl.Series("c", ["a", None], dtype=pl.Categorical), ["a", None], pl.String),
        (pl.Series("c", ["a"], dtype=pl.Enum(["a"])), ["a"], pl.String),
        (pl.Series("c", [Decimal("1.5")]), [1.5], pl.Float64),
        (pl.Series("c", [None, None]), [None, None], pl.Float64),
        (pl.Series("c", [timedelta(milliseconds=1500)]), [1.5], pl.Float64),
        (pl.Series("c", [date(2022, 6, 13)]), ["2022-06-13"], pl.String),
        (pl.Series("c", [b"abc"]), ["abc"], pl.String),
        (pl.Series("c", [True, None]), [True, None], pl.Boolean),
    ],
)
def test_each_type_becomes_one_that_lasts_with_the_same_values(series, values, dtype):
    kept, _ = storable(series)
    assert kept is not None
    assert (kept.to_list(), kept.dtype) == (values, dtype)


def test_times_become_iso_text_and_a_note_says_so():
    kept, note = storable(pl.Series("t", [datetime(2022, 6, 13, 12, 30)]))  # noqa: DTZ001
    assert kept.to_list()[0].startswith("2022-06-13T12:30")
    assert "ISO 8601" in note


@pytest.mark.parametrize("values", [[[1.0, 2.0]], [{"a": 1}], [b"\xff\xfe"]])
def test_what_is_no_single_value_is_left_out_and_a_note_says_so(values):
    kept, note = storable(pl.Series("c", values))
    assert kept is None
    assert note.startswith("left out")


def test_whole_numbers_that_do_not_fit_are_refused_naming_column_and_value():
    with pytest.raises(DataRefusedError, match=r"'big'.*18446744073709551615"):
        storable(pl.Series("big", [2**64 - 1], dtype=pl.UInt64))
