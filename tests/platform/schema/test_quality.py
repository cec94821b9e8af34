"""The quality sheet says what the values of each column look like, in one frame or in many."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.schema import Column, Quality, merged_quality, quality_of
from hven.schema.quality import SHOWN

ASSUMED = {"distance": Column("distance", "", unit="kpc", assumed="unit"), "age": Column("age", "", unit="Gyr")}


def stars(rows, seed=1):
    rng = np.random.default_rng(seed)
    errors, teff = rng.lognormal(-2.5, 0.5, rows), rng.normal(5000, 300, rows)
    errors[rng.random(rows) < 0.4], teff[rng.random(rows) < 0.05] = 9.99, -9999
    return pl.DataFrame(
        {
            "feh_err": errors,
            "teff": teff,
            "distance": rng.lognormal(7, 0.3, rows),
            "n_visits": rng.integers(0, 30, rows),
            "star": rng.random(rows) < 0.5,
            "period": [f"{value:.3f}" if value > 0.02 else "NA" for value in rng.random(rows)],
            "name": [f"star {n}" for n in range(rows)],
            "id": 2**60 + np.arange(rows),
        }
    )


@pytest.mark.parametrize("rows", [900, 120_000])
@pytest.mark.parametrize("parts", [1, 9])
def test_what_needs_attention_is_found_in_a_frame_and_in_its_parts(rows, parts):
    frame = stars(rows)
    sheet = merged_quality(quality_of(part, ASSUMED) for part in frame.iter_slices(-(-rows // parts)))
    assert [note.column for note in sheet.notes()] == ["feh_err", "teff", "distance", "period"]
    (filler,) = sheet["feh_err"].fillers
    assert (filler.value, filler.count) == (9.99, int((frame["feh_err"] == 9.99).sum()))
    assert sheet["teff"].fillers[0].count == int((frame["teff"] == -9999).sum())
    assert "'NA'" in sheet["period"].notes()[0].text
    assert "median" in sheet["distance"].notes()[0].text


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.floats(width=32), st.sampled_from([0.0, 1.0, -9999.0, float("inf"), float("nan")])),
        max_size=80,
    ),
    st.integers(1, 5),
)
def test_counts_and_ends_are_exact_whatever_the_parts(values, parts):
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)})
    size = max(1, -(-len(values) // parts))
    sheet = merged_quality(quality_of(part) for part in frame.iter_slices(size)) if values else quality_of(frame)
    finite = [v for v in values if v is not None and np.isfinite(v)]
    x = sheet["x"]
    assert x.rows == len(values)
    assert x.nulls == sum(v is None or np.isnan(v) for v in values)
    assert x.infinite == sum(v is not None and np.isinf(v) for v in values)
    assert (x.smallest[:1], x.largest[-1:]) == ((min(finite),) if finite else (), (max(finite),) if finite else ())
    assert Quality.from_json(sheet.to_json()) == sheet


@pytest.mark.parametrize("parts", [1, 12])
def test_quantiles_are_right_to_half_a_percent_of_ranks(parts):
    values = np.random.default_rng(4).lognormal(0, 1, 300_000)
    sheet = merged_quality(quality_of(p) for p in pl.DataFrame({"x": values}).iter_slices(-(-values.size // parts)))
    ranks = np.searchsorted(np.sort(values), [sheet["x"].quantile(share) for share in SHOWN]) / values.size
    assert np.abs(ranks - SHOWN).max() < 0.006
    assert len(sheet.to_json()) < 2000


def test_a_column_that_a_part_lacks_is_null_in_it():
    sheet = merged_quality([quality_of(pl.DataFrame({"x": [1.0]})), quality_of(pl.DataFrame({"y": ["a", "b"]}))])
    assert (sheet.rows, sheet["x"].nulls, sheet["y"].nulls) == (3, 2, 1)


def test_ids_keep_away_from_floats_and_flags_and_counts_are_counted():
    sheet = quality_of(stars(500))
    assert (sheet["id"].distinct, sheet["id"].smallest, sheet["id"].notes()) == (500, (), [])
    assert (sheet["star"].dtype, sheet["star"].distinct) == ("bool", 2)
    assert sheet["n_visits"].distinct == 30
    assert sheet["name"].notes() == []
