"""Fillers are found where they were planted, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.schema.fillers import fillers_of, find_fillers, is_code
from hven.schema.sketches import NumberSketch

HONEST = {
    "normal": lambda rng, n, scale: rng.normal(rng.normal() * 3 * scale, scale, n),
    "normal, rounded": lambda rng, n, scale: np.round(rng.normal(0, scale, n), 1),
    "lognormal": lambda rng, n, scale: rng.lognormal(np.log(scale), 1.0, n),
    "wide lognormal, rounded": lambda rng, n, scale: np.round(rng.lognormal(np.log(scale), 2.0, n), 2),
    "uniform, rounded": lambda rng, n, scale: np.round(rng.uniform(-scale, scale, n), 1),
    "Cauchy, rounded": lambda rng, n, scale: np.round(rng.standard_cauchy(n) * scale),
    "Pareto, rounded": lambda rng, n, scale: np.round(rng.pareto(1, n) * scale, 1),
    "counts": lambda rng, n, scale: rng.poisson(scale, n),
    "rare counts": lambda rng, n, _: rng.poisson(0.3, n),
    "flags": lambda rng, n, _: (rng.random(n) < 0.03).astype(int),
    "categories": lambda rng, n, _: rng.choice([0, 1, 2, 5, 10, 100], n, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05]),
    "bit fields": lambda rng, n, _: 2 ** rng.integers(0, 30, n) * (rng.random(n) < 0.3),
    "upper limits": lambda rng, n, _: np.minimum(np.round(rng.normal(24, 1, n), 2), 25.0),
    "clipped at a detection limit": lambda rng, n, _: np.maximum(rng.lognormal(0, 1, n), 0.3),
    "none or some": lambda rng, n, _: rng.lognormal(0, 1, n) * (rng.random(n) < 0.8),
    "whole numbers": lambda rng, n, _: rng.integers(0, 1000, n),
    "magnitudes": lambda rng, n, _: np.round(20 - rng.exponential(1.5, n), 2),
}


@pytest.mark.parametrize("kind", HONEST)
def test_nothing_is_found_in_honest_data(kind):
    rng = np.random.default_rng(13)
    tried = [HONEST[kind](rng, n, 10 ** rng.uniform(-2, 3)) for n in (8, 30, 100, 500, 3000) for _ in range(24)]
    alarms = [find_fillers(values) for values in tried]
    assert sum(map(bool, alarms)) <= 0.01 * len(tried), list(filter(None, alarms))


PLANTED = [
    ("feh_err", 9.99, lambda rng, n: rng.lognormal(-2.5, 0.5, n)),
    ("teff", -9999.0, lambda rng, n: rng.normal(5000, 400, n)),
    ("TEFF", -9999.0, lambda rng, n: np.round(rng.normal(5000, 400, n))),
    ("g_mag", 99.9, lambda rng, n: rng.normal(17, 1, n)),
    ("unknown", -999.0, lambda rng, n: rng.normal(0, 1, n)),
    ("unknown", 1e20, lambda rng, n: rng.normal(0, 1, n)),
    ("unknown", 37.25, lambda rng, n: rng.normal(0, 1, n)),
    ("parallax", 0.0, lambda rng, n: rng.normal(0.5, 1, n)),
    ("j_mag", 0.0, lambda rng, n: np.round(rng.normal(12, 1, n), 3)),
    ("pmra_err", 0.0, lambda rng, n: rng.lognormal(-3, 0.5, n)),
    ("distance", -1.0, lambda rng, n: rng.lognormal(1, 1, n)),
    ("teff", -32768, lambda rng, n: rng.normal(5000, 400, n).astype("int16")),
]


@pytest.mark.parametrize(("name", "value", "rest"), PLANTED)
@pytest.mark.parametrize("share", [0.03, 0.2, 0.6])
def test_what_was_planted_is_found_with_its_number(name, value, rest, share):
    rng = np.random.default_rng(7)
    values = rest(rng, 800)
    chosen = rng.random(values.size) < share
    values[chosen] = value
    assert [(f.value, f.count) for f in find_fillers(values, name)] == [(value, chosen.sum())]


def test_several_fillers_of_one_column_are_found():
    rng = np.random.default_rng(5)
    values = rng.normal(15, 2, 900).astype("float32")
    values[:40], values[40:70], values[70:100] = 99.99, -9999, 9999
    assert {round(f.value, 2) for f in find_fillers(values, "g_mag")} == {99.99, -9999.0, 9999.0}


def test_a_single_code_of_three_digits_is_enough_and_a_single_other_value_is_not():
    values = np.random.default_rng(2).normal(5000, 300, 500)
    assert [f.value for f in find_fillers(np.append(values, -9999), "teff")] == [-9999]
    assert find_fillers(np.append(values, -9000), "teff") == ()


@pytest.mark.parametrize("name", ["phot_flag", "quality_mask", "source_id", "TYPE", "n_obs"])
def test_flags_ids_and_counts_are_left_alone(name):
    assert find_fillers(np.r_[np.zeros(900), np.full(100, 2.0**29)], name) == ()


def test_a_column_of_one_value_is_a_filler_only_when_it_is_a_code():
    assert [f.value for f in find_fillers(np.full(50, 9.99), "feh_err")] == [9.99]
    assert find_fillers(np.full(50, 0.1), "feh_err") == ()
    assert find_fillers(np.full(50, np.nan), "feh_err") == () == find_fillers([], "feh_err")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 12))
def test_batches_say_what_the_whole_says(seed, parts):
    rng = np.random.default_rng(seed)
    values = rng.normal(5000, 400, 5000)
    values[rng.random(5000) < 0.1] = -9999
    whole, merged = find_fillers(values, "teff"), NumberSketch()
    for batch in np.array_split(values, parts):
        one = NumberSketch()
        one.update(batch)
        merged.merge(one)
    assert fillers_of(merged, "teff")[0].count == whole[0].count == (values == -9999).sum()


def test_codes_survive_single_precision():
    assert all(is_code(float(np.float32(code))) for code in (9.99, 99.9, 99.99, 999.9, -9999.99, 1e20))
    assert not any(map(is_code, (9.0, 9.9, 98.9, 9.98, 1e9, 0.99, 0.0)))
