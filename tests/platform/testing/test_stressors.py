"""Stressors change what they say, nothing else, and the same every time; rates are judged in both directions."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from hven.testing import Rate, coverage, null_rate, stressors

COUNT = 20_000


@pytest.fixture
def stars():
    rng = np.random.default_rng(0)
    columns = {"feh": rng.normal(0, 0.2, COUNT), "mg_fe": rng.normal(0, 0.1, COUNT), "g": rng.uniform(8, 16, COUNT)}
    made = xr.Dataset({name: ("object", values, {"units": "dex"}) for name, values in columns.items()})
    return made.assign(feh_err=("object", np.full(COUNT, 0.05)), mg_fe_err=("object", np.full(COUNT, 0.03)))


STRESSED = {
    "skewed": lambda t, seed: stressors.skewed(t, "feh", 0.1, seed=seed),
    "truncated": lambda t, seed: stressors.truncated(t, "feh", low=0.0, ramp=0.1, seed=seed),
    "heteroscedastic": lambda t, seed: stressors.heteroscedastic(t, "feh", 0.1, along="g", seed=seed),
    "outliers": lambda t, seed: stressors.with_outliers(t, "feh", 0.05, scatter=2.0, seed=seed),
    "correlated": lambda t, seed: stressors.with_correlated_errors(t, "feh", "mg_fe", 0.7, seed=seed),
    "misstated": lambda t, seed: stressors.misstated(t, "feh", 0.7),
    "rounded": lambda t, seed: stressors.rounded(t, "feh", 1),
    "weights": lambda t, seed: stressors.rescaled_weights(t, 10.0),
}


@pytest.mark.parametrize("name", STRESSED)
def test_a_stressor_gives_the_same_for_a_seed_and_leaves_its_argument_alone(stars, name):
    before = stars.copy(deep=True)
    one, same = STRESSED[name](stars, 5), STRESSED[name](stars, 5)
    xr.testing.assert_identical(one, same)
    xr.testing.assert_identical(stars, before)
    assert one["feh"].attrs == stars["feh"].attrs
    changed = [n for n in stars.variables if one.sizes != stars.sizes or not one[n].equals(stars[n])]
    only = {"misstated": {"feh_err"}, "weights": set(), "truncated": set(stars.variables)}
    only |= {"heteroscedastic": {"feh", "feh_err"}, "correlated": {"feh", "mg_fe"}}
    assert set(changed) == only.get(name, {"feh"})
    assert name in ("misstated", "rounded", "weights") or not STRESSED[name](stars, 6).equals(one)


def test_skew_outliers_and_truncation_are_of_the_size_that_was_asked_for(stars):
    added = stressors.skewed(stars, "feh", 0.3, shape=4.0, seed=1).feh - stars.feh
    assert stats.skew(added.values) == pytest.approx(1.0, abs=0.1)
    assert (float(added.mean()), float(added.std())) == (pytest.approx(0, abs=0.01), pytest.approx(0.3, abs=0.01))
    wrong = (stressors.with_outliers(stars, "feh", 0.03, offset=1.0, scatter=0.1, seed=1).feh - stars.feh).values
    assert (wrong != 0).sum() == 600
    assert wrong[wrong != 0].mean() == pytest.approx(1.0, abs=0.02)
    sharp = stressors.truncated(stars, "feh", low=-0.1, high=0.2)
    assert float(sharp.feh.min()) >= -0.1
    assert float(sharp.feh.max()) <= 0.2
    ramp = stressors.truncated(stars, "feh", low=0.0, ramp=0.2, seed=1)
    assert sharp.sizes["object"] > 0
    assert 0 < int((ramp.feh < 0).sum()) < int((stars.feh < 0).sum()) / 1.5


def test_stated_errors_are_those_of_the_values_unless_they_are_misstated(stars):
    true = stars.assign(feh=0 * stars.feh, mg_fe=0 * stars.mg_fe)
    one = stressors.heteroscedastic(true, "feh", 0.1, seed=1)
    assert float((one.feh / one.feh_err).std()) == pytest.approx(1, abs=0.02)
    assert float(one.feh_err.std() / one.feh_err.mean()) > 0.3
    wrong = stressors.misstated(one, "feh", 1.3)
    assert float((wrong.feh / wrong.feh_err).std()) == pytest.approx(1 / 1.3, abs=0.02)
    both = stressors.with_correlated_errors(true, "feh", "mg_fe", 0.7, seed=1)
    assert np.corrcoef(both.feh, both.mg_fe)[0, 1] == pytest.approx(0.7, abs=0.02)
    assert float(both.mg_fe.std()) == pytest.approx(0.03, rel=0.05)


def estimate(seed, claimed):
    return np.random.default_rng(seed).normal(5.0, 1.0), claimed


@pytest.mark.parametrize(("claimed", "verdict"), [(1.0, ""), (0.5, "too seldom"), (2.5, "too often")])
def test_errors_that_are_too_small_or_too_large_fail(claimed, verdict):
    rate = coverage(lambda seed: estimate(seed, claimed), 5.0, range(120))
    assert rate.verdict().startswith(verdict)
    assert bool(rate.verdict()) == bool(verdict)
    if verdict:
        with pytest.raises(AssertionError, match=verdict):
            rate.check()
    two = coverage(lambda seed: estimate(seed, claimed), 5.0, range(120), sigmas=2.0)
    assert two.expected == pytest.approx(0.9545, abs=1e-4)


def test_what_is_not_finite_is_no_hit():
    assert coverage(lambda seed: (5.0, np.inf), 5.0).hits == 0
    assert coverage(lambda seed: (np.nan, 1.0), 5.0).verdict().startswith("too seldom")


@pytest.mark.parametrize(("power", "verdict"), [(1.0, ""), (2.0, "too often"), (0.25, "too seldom")])
def test_a_test_with_too_many_or_too_few_false_alarms_fails(power, verdict):
    rate = null_rate(lambda seed: np.random.default_rng(seed).random() ** power, range(400))
    assert rate.verdict().startswith(verdict)
    assert bool(rate.verdict()) == bool(verdict)


def test_slack_widens_both_bounds_and_too_few_realisations_are_refused():
    assert Rate(100, 120, 0.68).verdict()
    assert not Rate(100, 120, 0.68).verdict(slack=0.1)
    assert Rate(60, 120, 0.68).verdict()
    assert not Rate(60, 120, 0.68).verdict(slack=0.1)
    with pytest.raises(ValueError, match="a rate needs 60"):
        coverage(lambda seed: (5.0, 1.0), 5.0, range(20))
    with pytest.raises(ValueError, match="finding nothing would pass"):
        null_rate(lambda seed: 0.5, range(80))
