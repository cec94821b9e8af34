"""What two sets of one distribution show by chance, and how often they show more."""

import numpy as np
import pytest

from hven.methods import fidelity, frechet
from hven_plugins.generative.chance import most_twins, shares, shuffled_distances, shuffled_ratios

PAIRS = 60
SIZES = [(60, 60), (20, 150), (150, 20)]


def skewed(rng, n, p=4):
    """Return rows of a long tail, as features of images have it."""
    return rng.gamma(1.5, size=(n, p)) @ (np.eye(p) + 0.3)


def measured(one, other):
    (m1, c1), (m2, c2) = ((x.mean(axis=0), np.cov(x.T)) for x in (one, other))
    return float(frechet.distance(m1, c1, m2, c2).value), float(frechet.covariance_ratio(c1, c2)[0])


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_what_two_sets_of_one_distribution_show_is_one_more_of_the_draws(n, m):
    """Ranks among 19 draws are uniform over 20 places; of 60, 30 are expected in half of them, with a scatter of 4."""
    ranks = []
    for seed in range(PAIRS):
        rng = np.random.default_rng(seed)
        one, other = skewed(rng, n), skewed(rng, m)
        value, ratio = measured(one, other)
        ranks.append(
            [
                np.sum(shuffled_distances(one, other, draws=19, seed=seed) > value),
                np.sum(shuffled_ratios(one, other, draws=19, seed=seed) < ratio),
            ]
        )
    low = np.sum(np.array(ranks) < 10, axis=0)
    assert np.all(np.abs(low - 30) < 13)
    assert np.all(np.sum(np.array(ranks) == 0, axis=0) <= 10)


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_at_fixed_parameters_ratios_are_one_more_of_the_draws_whatever_parameters_tell(n, m):
    ranks = []
    for seed in range(PAIRS):
        rng = np.random.default_rng(seed)
        sets = []
        for size in (n, m):
            theta = rng.uniform(size=(size, 2))
            sets.append(np.column_stack([skewed(rng, size) + 5 * theta.sum(axis=1, keepdims=True), theta]))
        residuals = [x[:, :4] - np.column_stack([np.ones(len(x)), x[:, 4:]]) @ fit(x) for x in sets]
        ratio = float(frechet.covariance_ratio(*(np.cov(x.T) for x in residuals))[0])
        ranks.append(np.sum(shuffled_ratios(*sets, 2, draws=19, seed=seed) < ratio))
    assert abs(np.sum(np.array(ranks) < 10) - 30) < 13


def fit(rows):
    return np.linalg.lstsq(np.column_stack([np.ones(len(rows)), rows[:, 4:]]), rows[:, :4])[0]


def test_parameters_that_do_not_vary_or_follow_from_others_leave_the_ratios_as_they_are():
    rng = np.random.default_rng(0)
    one, other = skewed(rng, 80), skewed(rng, 50)
    plain = shuffled_ratios(one, other)
    constant = [np.column_stack([x, np.full((len(x), 2), 1e6 / 3)]) for x in (one, other)]
    np.testing.assert_allclose(shuffled_ratios(*constant, 2), plain, rtol=1e-6)
    theta = rng.normal(size=130)
    told = [np.column_stack([x, t]) for x, t in ((one, theta[:80]), (other, theta[80:]))]
    twice = [np.column_stack([x, 2 * x[:, -1] + 1e3]) for x in told]
    np.testing.assert_allclose(shuffled_ratios(*twice, 2), shuffled_ratios(*told, 1), rtol=1e-6)
    of_each = [np.column_stack([x, np.full(len(x), value)]) for x, value in ((one, 0.3), (other, 0.5))]
    assert np.median(shuffled_ratios(*of_each, 1)) == pytest.approx(np.median(plain), rel=0.1)


def test_a_parameter_of_one_image_alone_is_held_fixed_where_that_image_is():
    rng = np.random.default_rng(0)
    sets = [np.column_stack([skewed(rng, n), np.zeros(n)]) for n in (40, 40)]
    sets[0][0, -1] = 1.0
    found = shuffled_ratios(*sets, 1)
    assert np.isfinite(found).all()
    assert 0.1 < np.median(found) < 1


@pytest.mark.parametrize(("others", "m"), [(120, 60), (200, 15), (70, 60)])
def test_shares_of_any_rows_of_one_distribution_are_within_those_of_400_draws(others, m):
    """A further draw is the least of 401 once in 401 times: not more than twice of 60."""
    beyond = np.zeros(2)
    for seed in range(PAIRS):
        rng = np.random.default_rng(seed)
        base, rest, made = skewed(rng, 60), skewed(rng, others - m), skewed(rng, m)
        drawn = shares(base, np.concatenate([rest, made]), m, 5, seed=seed)
        found = fidelity.neighbourhoods(base, made, k=5)
        beyond += found.precision < drawn.precision.min(), found.coverage < drawn.coverage.min()
    assert np.all(beyond <= 2)


def test_shares_are_those_of_neighbourhoods():
    base, made = np.random.default_rng(0).normal(size=(2, 50, 3))
    told, found = shares(base, made, 50, 5, draws=2), fidelity.neighbourhoods(base, made, k=5)
    np.testing.assert_allclose(told.precision, found.precision)
    np.testing.assert_allclose(told.coverage, found.coverage)


@pytest.mark.parametrize("m", [20, 100, 300])
def test_twins_of_one_distribution_are_hardly_ever_more_than_chance_gives(m):
    """Two in a thousand, which are not more than three of 200; half of the limit is exceeded more often than that."""
    found = []
    for seed in range(200):
        base, made = np.random.default_rng(seed).normal(size=(2, m, 6))
        found.append(fidelity.duplicates(base, made, quantile=0.01)[0])
    limit = most_twins(m, 0.01, 0.0)
    assert np.sum(np.array(found) > limit) <= 3
    assert np.sum(np.array(found) > limit / 4) > 3


def test_with_many_images_the_limit_of_twins_is_the_least():
    assert most_twins(10_000, 0.01, 0.05) == 0.05
