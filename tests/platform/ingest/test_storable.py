"""The types of columns that hven keeps."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

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
    kept = storable(series).values
    assert kept is not None
    assert (kept.to_list(), kept.dtype) == (values, dtype)


def test_times_become_iso_text_and_a_note_says_so():
    kept, note, _ = storable(pl.Series("t", [datetime(2022, 6, 13, 12, 30)]))  # noqa: DTZ001
    assert kept.to_list()[0].startswith("2022-06-13T12:30")
    assert "ISO 8601" in note


@pytest.mark.parametrize("values", [[[1.0, 2.0]], [{"a": 1}], [b"\xff\xfe"]])
def test_what_is_no_single_value_is_left_out_and_a_note_says_so(values):
    kept, note, needs_attention = storable(pl.Series("c", values))
    assert kept is None
    assert needs_attention
    assert note.startswith("left out")


@pytest.mark.parametrize(
    ("series", "values"),
    [
        (pl.Series("c", [2**64 - 1, None], dtype=pl.UInt64), ["18446744073709551615", None]),
        (pl.Series("c", [2**100], dtype=pl.Int128), [str(2**100)]),
        (pl.Series("c", [Decimal(123456789012345678901234567890)]), ["123456789012345678901234567890"]),
        (pl.Series("c", [Decimal("0.12345678901234567"), None]), ["0.12345678901234567", None]),
    ],
)
def test_numbers_that_no_kept_type_holds_stay_exact_as_text_and_need_attention(series, values):
    kept = storable(series)
    assert kept.values.to_list() == values
    assert kept.needs_attention
    assert "kept exact" in kept.note


@pytest.mark.parametrize(
    ("series", "values", "dtype"),
    [
        (pl.Series("c", [Decimal(4611686018427387905), None]), [2**62 + 1, None], pl.Int64),
        (pl.Series("c", [Decimal("7.000"), Decimal("-8.000")]), [7, -8], pl.Int64),
        (pl.Series("c", [Decimal("-12.125"), Decimal("0.1")]), [-12.125, 0.1], pl.Float64),
        (pl.Series("c", [2**62], dtype=pl.Int128), [2**62], pl.Int64),
        (pl.Series("c", [float("inf"), float("-inf"), float("nan")]), [float("inf"), float("-inf"), None], pl.Float64),
    ],
)
def test_decimals_wide_integers_and_infinities_are_what_they_were(series, values, dtype):
    kept = storable(series)
    assert (kept.values.to_list(), kept.values.dtype, kept.needs_attention) == (values, dtype, False)
