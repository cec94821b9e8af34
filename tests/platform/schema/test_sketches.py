"""Sketches keep what columns look like in bounded memory."""

import numpy as np
import pytest

from hven.schema.sketches import EXTREMES, REPEATED, NumberSketch


def _sketch(batches, *, by_merge=False):
    sketch = NumberSketch()
    for batch in batches:
        if by_merge:
            one = NumberSketch()
            one.update(batch)
            sketch.merge(one)
        else:
            sketch.update(batch)
    return sketch


@pytest.mark.parametrize("by_merge", [False, True])
@pytest.mark.parametrize("is_sorted", [False, True])
def test_quantiles_are_right_to_half_a_percent_of_ranks(by_merge, is_sorted):
    values = np.random.default_rng(3).lognormal(0, 2, 400_000)
    ordered = np.sort(values)
    sketch = _sketch(np.array_split(ordered if is_sorted else values, 57), by_merge=by_merge)
    shares = np.array([0.01, 0.16, 0.5, 0.84, 0.99])
    ranks = np.searchsorted(ordered, sketch.quantiles(shares)) / values.size
    assert np.abs(ranks - shares).max() < 0.005
    assert sum(len(points) for points in sketch._levels.values()) < 12_000


def test_counts_extremes_and_repeats_are_exact():
    rng = np.random.default_rng(4)
    values = rng.normal(size=200_000)
    values[::50], values[7], values[8], values[9] = -99.0, np.inf, -np.inf, np.nan
    sketch = _sketch(np.array_split(values, 31), by_merge=True)
    finite = values[np.isfinite(values)]
    assert (sketch.count, sketch.nulls) == (finite.size, 1)
    assert (sketch.positive_infinities, sketch.negative_infinities) == (1, 1)
    assert sketch.repeated[-99.0] == (values == -99).sum()
    assert np.array_equal(sketch.largest, np.unique(finite)[-EXTREMES:])
    assert np.array_equal(sketch.smallest, np.unique(finite)[:EXTREMES])


def test_distinct_values_are_counted_exactly_when_few_and_estimated_when_many():
    rng = np.random.default_rng(5)
    assert _sketch([rng.integers(0, 40, 1000) for _ in range(5)]).distinct == 40
    many = _sketch([rng.integers(0, 30_000, 100_000) for _ in range(5)])
    assert many.distinct == pytest.approx(30_000, rel=0.1)
    assert not many.is_complete


def test_small_columns_have_the_quantiles_of_numpy():
    values = np.random.default_rng(6).normal(size=500)
    shares = [0.01, 0.16, 0.5, 0.84, 0.99]
    assert np.allclose(_sketch([values]).quantiles(shares), np.quantile(values, shares))


def test_of_many_values_that_occur_once_those_at_both_ends_are_kept():
    values = np.r_[np.random.default_rng(0).normal(size=20_000), -9999.0, 1e20, [5.0] * 3]
    sketch = NumberSketch()
    sketch.update(values)
    assert sketch.repeated[5.0] == 3
    assert sketch.repeated[-9999.0] == sketch.repeated[1e20] == 1
    assert len(sketch.repeated) == REPEATED


def test_distinct_values_of_a_single_batch_are_counted_and_of_several_estimated():
    values, one, two = np.arange(50_000.0), NumberSketch(), NumberSketch()
    one.update(values)
    assert one.distinct == 50_000
    two.update(values + 25_000)
    one.merge(two)
    assert one.distinct == pytest.approx(75_000, rel=0.15)
    assert one.distinct != 50_000
