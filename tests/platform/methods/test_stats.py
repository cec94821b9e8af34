import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.optimize import linprog

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError
from hven.methods import stats
from hven.methods._dip import dip_of_sorted


def dip_values():
    with Path(__file__).with_name("dip_values.csv").open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


@pytest.mark.t0
@pytest.mark.parametrize("row", dip_values(), ids=lambda row: row["name"])
def test_the_dip_is_that_of_diptest(row):
    """Target 1e-12. Also 0 of 3000 random samples of 2 to 60 values, with and without ties, differed by more."""
    x = np.array(row["x"].split(), dtype=float)
    assert dip_of_sorted(np.sort(x)) == pytest.approx(float(row["dip"]), abs=1e-12)
    if len(x) >= 4:
        assert stats.dip_test(x[::-1] * 3 + 7).dip == pytest.approx(float(row["dip"]), abs=1e-12)


def dip_by_definition(x):
    """Return the dip by linear programming: the nearest distribution that is convex up to some mode, concave after."""
    x = np.unique(x)
    n = len(x)
    head, foot = np.arange(1, n + 1) / n, np.arange(n) / n
    best = np.inf
    for mode in range(n):
        # unknowns: value left and right of each point (equal but at the mode), and the distance d
        a, b, size = [], [], 2 * n + 1
        left, right, d = np.arange(n), n + np.arange(n), 2 * n

        def at_most(terms, bound, a=a, b=b, size=size):
            row = np.zeros(size)
            for i, v in terms:
                row[i] += v
            a.append(row)
            b.append(bound)

        for i in range(n):
            at_most([(right[i], -1), (d, -1)], -head[i])  # F - G <= d after the jump
            at_most([(left[i], 1), (d, -1)], foot[i])  # G - F <= d before it
            at_most([(left[i], 1), (right[i], -1)], 0)
        slopes = [((left[i + 1], 1), (right[i], -1), x[i + 1] - x[i]) for i in range(n - 1)]
        for i in range(n - 2):
            sign = 1 if i + 1 < mode else -1
            if i + 1 == mode:
                continue
            (p, _), (q, _), w = slopes[i][0], slopes[i][1], slopes[i][2]
            (r, _), (s, _), v = slopes[i + 1][0], slopes[i + 1][1], slopes[i + 1][2]
            at_most([(p, sign / w), (q, -sign / w), (r, -sign / v), (s, sign / v)], 0)
        for i in range(n - 1):
            at_most([(right[i], 1), (left[i + 1], -1)], 0)
        equal = np.zeros((n - 1, size))
        for k, i in enumerate(j for j in range(n) if j != mode):
            equal[k, left[i]], equal[k, right[i]] = 1, -1
        found = linprog(
            np.eye(size)[d], A_ub=np.array(a), b_ub=b, A_eq=equal, b_eq=np.zeros(n - 1), bounds=[(0, 1)] * size
        )
        best = min(best, found.fun)
    return best


@pytest.mark.t0
@given(st.lists(st.integers(0, 50), min_size=4, max_size=9, unique=True))
@settings(max_examples=15, deadline=None)
def test_the_dip_is_the_distance_to_the_nearest_unimodal_distribution(x):
    assert stats.dip_test(x).dip == pytest.approx(dip_by_definition(np.array(x, dtype=float)), abs=1e-7)


@pytest.mark.t0
def test_dip_p_values_are_uniform_for_uniform_samples_and_small_for_two_modes():
    rng = np.random.default_rng(0)
    p = [stats.dip_test(rng.random(n)).p for n in (12, 60, 137) for _ in range(150)]
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.01
    two = np.append(rng.normal(size=50), rng.normal(5, 1, 50))
    assert stats.dip_test(two).p == pytest.approx(5e-4)
    simulated = stats.dip_test(rng.random(60), n_simulations=500, seed=3)
    assert 0 < simulated.p <= 1


def test_the_table_of_dips_is_what_a_simulation_gives():
    x = np.random.default_rng(5).random(30)
    tabled, simulated = stats.dip_test(x), stats.dip_test(x, n_simulations=2000)
    assert tabled.p == pytest.approx(simulated.p, abs=0.04)
    assert tabled.dip == simulated.dip


def test_too_few_values_have_no_dip_and_missing_ones_do_not_count():
    assert np.isnan(stats.dip_test([1.0, 2.0, np.nan, 3.0]).p)
    assert stats.dip_test([1.0, np.nan, 2.0, 3.0, 7.0]) == stats.dip_test([1.0, 2.0, 3.0, 7.0])
    assert stats.dip_test(np.ones(20)).p == pytest.approx(1.0)
    assert stats.dip_test(np.random.default_rng(0).normal(size=5000)).p > 0.3


@pytest.mark.t0
@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0.01, 0.5))
@settings(max_examples=60, deadline=None)
def test_discoveries_are_all_up_to_the_largest_p_below_its_line(p, q):
    found = stats.benjamini_hochberg(p, q)
    ordered = np.sort(p)
    below = np.flatnonzero(ordered <= (np.arange(len(p)) + 1) * q / max(len(p), 1) * (1 + 1e-12))
    wanted = np.asarray(p) <= (ordered[below[-1]] if len(below) else -1)
    close = len(p) and np.any(np.abs(ordered - (np.arange(len(p)) + 1) * q / len(p)) < 1e-12)
    assert close or found.rejected.tolist() == wanted.tolist()


@pytest.mark.t0
def test_adjusted_p_values_are_those_of_statsmodels():
    """statsmodels 0.15.0, multipletests(method="fdr_bh")."""
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]
    found = stats.benjamini_hochberg([*p, np.nan], 0.05)
    told = [0.01, 0.04, 0.084, 0.084, 0.084, 0.1, 0.10571429, 0.216, 0.216, 0.216]
    assert found.adjusted[:-1] == pytest.approx(told, abs=1e-8)
    assert np.isnan(found.adjusted[-1])
    assert found.rejected.tolist() == [True] * 2 + [False] * 9
    assert found.threshold == 0.008
    assert stats.benjamini_hochberg([np.nan]).threshold == 0


@pytest.mark.t0
def test_fishers_interval_covers_and_z_is_the_inverse_hyperbolic_tangent():
    rng = np.random.default_rng(0)
    samples = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], (2000, 30))
    r = np.array([np.corrcoef(s, rowvar=False)[0, 1] for s in samples])
    lower, upper = stats.fisher_interval(r, 30)
    assert ((lower < 0.6) & (upper > 0.6)).mean() == pytest.approx(0.6827, abs=0.03)
    assert stats.fisher_interval(0.6, 30, 0.95) == pytest.approx(
        scipy_stats.pearsonr(*_with_correlation(0.6, 30)).confidence_interval(0.95)
    )
    z, err = stats.fisher_z([0.5, 1.0, -1.0, 1.1, 0.5], [103, 10, 10, 10, 3])
    assert z[:3].tolist() == [np.arctanh(0.5), np.inf, -np.inf]
    assert err[0] == 0.1
    assert np.isnan([z[3], z[4], err[4]]).all()


def _with_correlation(r, n):
    x, y = np.random.default_rng(0).normal(size=(2, n))
    x = (x - x.mean()) / x.std()
    y = y - y.mean() - x * np.mean(x * y)
    return x, r * x + np.sqrt(1 - r**2) * y / y.std()


@pytest.mark.t0
def test_permutation_p_values_are_uniform_under_the_null_and_never_zero():
    rng = np.random.default_rng(0)
    p = [stats.permutation_p(*np.split(rng.normal(size=200), [1])) for _ in range(1000)]
    assert scipy_stats.kstest(np.array(p) - rng.random(1000) / 200, "uniform").pvalue > 0.01
    assert stats.permutation_p(9.0, np.zeros(99)) == 0.01
    assert stats.permutation_p(9.0, np.zeros(99), "less") == 1
    assert stats.permutation_p(-9.0, np.zeros(99), "two-sided") == 0.02
    assert np.isnan([stats.permutation_p(np.nan, [1.0]), stats.permutation_p(1.0, [np.nan])]).all()


@pytest.mark.t0
def test_limits_of_counts_are_the_exact_ones():
    """Binomial: SciPy's exact interval. Poisson: Gehrels 1986, 1 sigma: 3 counts -> 1.367, 5.918."""
    for k, n, level in ((0, 10, 0.95), (3, 17, 0.95), (17, 17, 0.6827)):
        told = scipy_stats.binomtest(k, n).proportion_ci(level, "exact")
        assert stats.binomial_limits(k, n, level) == pytest.approx((told.low, told.high), abs=1e-10)
    assert stats.poisson_limits(3, 0.6826) == pytest.approx((1.367, 5.918), abs=2e-3)
    lower, upper = stats.poisson_limits([0, 1, 40], 0.9)
    assert scipy_stats.poisson.cdf([0, 1, 40], upper) == pytest.approx(0.05)
    assert scipy_stats.poisson.sf([0, 39], lower[1:]) == pytest.approx(0.05)
    assert lower[0] == 0
    assert np.isnan([stats.poisson_limits(-1), stats.binomial_limits(5, 4), stats.binomial_limits(np.nan, 4)]).all()


@pytest.mark.t0
def test_partial_correlation_is_that_of_the_residuals_and_its_p_values_are_uniform():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(400):
        given_ = rng.normal(size=(40, 2))
        x, y = given_ @ [1.0, -2.0] + rng.normal(size=(2, 40))
        found = stats.partial_correlation(x, y, given_)
        p.append(found.p)
    design = np.column_stack([np.ones(40), given_])
    left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
    assert found.value == pytest.approx(np.corrcoef(*left)[0, 1], abs=1e-12)
    assert found.lower < found.value < found.upper
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.01
    twice = stats.partial_correlation(x, y, given_, weights=np.full(40, 2.0))
    assert (twice.value, twice.lower) == pytest.approx((found.value, found.lower))
    assert np.isnan(stats.partial_correlation(x[:4], y[:4], given_[:4]).value)
    assert np.isnan(stats.partial_correlation(x, y, np.column_stack([x, y])).value)
    assert stats.partial_correlation(np.append(x, np.nan), np.append(y, 1.0), np.append(x, 1.0)).n == 40


def test_a_rising_trend_is_found_and_its_absence_too():
    rng = np.random.default_rng(0)
    x = rng.random(40)
    assert stats.isotonic_test(x, x**3 + 0.1 * rng.normal(size=40), n_permutations=199)[1] == 0.005
    p = [stats.isotonic_test(rng.integers(0, 5, 15), rng.normal(size=15), n_permutations=39)[1] for _ in range(120)]
    assert scipy_stats.kstest(np.array(p) - rng.random(120) / 40, "uniform").pvalue > 0.01
    assert np.isnan(stats.isotonic_test([1, 2, 3], [1, 1, 1])).all()


@pytest.mark.t0
def test_the_intraclass_correlation_is_that_of_shrout_and_fleiss():
    """Shrout & Fleiss 1979, table 4: ICC(2,1) = .29; the interval is that of R's psych::ICC, .019 to .761."""
    ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    found = stats.intraclass_correlation([*ratings, [1, 2, 3, np.nan]])
    assert (found.value, found.lower, found.upper) == pytest.approx((0.290, 0.019, 0.761), abs=5e-4)
    assert found.n == 6
    assert stats.intraclass_correlation([[1, 1], [2, 2]]).value == 1
    assert np.isnan(stats.intraclass_correlation([[3, 3], [3, 3]]).value)


@pytest.mark.t0
def test_quadratic_weighted_kappa_is_that_of_statsmodels():
    """statsmodels 0.15.0, cohens_kappa(table, wt="fc")."""
    a, b = [0, 1, 2, 2, 1, 3, 0, 2, 1, 1, 3, 3], [0, 1, 2, 1, 1, 3, 1, 2, 0, 2, 3, 2]
    found = stats.weighted_kappa([*a, np.nan], [*b, 1], n_boot=400)
    assert found.value == pytest.approx(0.7916666666666666, abs=1e-12)
    assert found.lower < found.value < found.upper
    assert stats.weighted_kappa(a, a).value == 1
    assert np.isnan(stats.weighted_kappa([1, 1], [1, 1]).value)


def test_limits_of_agreement_hold_95_percent_of_the_differences():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=20_000)
    found = stats.bland_altman(truth + 0.1 + 0.3 * rng.normal(size=20_000), truth)
    assert found.bias == pytest.approx(0.1, abs=4 * found.bias_err)
    assert found.upper == pytest.approx(0.1 + 1.96 * 0.3, abs=4 * found.limit_err)
    assert np.isnan(stats.bland_altman([1.0, np.nan], [1.0, 2.0]).bias)


@pytest.mark.t0
def test_strengths_of_bradley_and_terry_expect_the_wins_that_were_seen():
    rng = np.random.default_rng(0)
    truth = np.array([-1.0, -0.2, 0.3, 0.9])
    chance = 1 / (1 + np.exp(truth[None, :] - truth[:, None]))
    wins = np.zeros((4, 4))
    for i in range(4):
        for j in range(i):
            wins[i, j] = rng.binomial(200, chance[i, j])
            wins[j, i] = 200 - wins[i, j]
    found = stats.bradley_terry(wins)
    expected = ((wins + wins.T) / (1 + np.exp(found.strength[None, :] - found.strength[:, None]))).sum(axis=1)
    assert expected - 0.5 * np.diag(wins + wins.T) == pytest.approx(wins.sum(axis=1), abs=1e-6)
    assert found.strength.sum() == pytest.approx(0, abs=1e-9)
    assert np.abs((found.strength - truth) / found.err).max() < 3
    assert found.converged
    lost = stats.bradley_terry([[0, 1, 0], [1, 0, 0], [3, 3, 0]])
    assert not lost.converged
    assert np.isnan(lost.strength).all()


@pytest.mark.t0
@pytest.mark.parametrize(
    "test", [stats.mmd_test, lambda x, y, **k: stats.classifier_test(x, y, n_folds=2, **k)], ids=["mmd", "classifier"]
)
def test_two_sample_p_values_are_uniform_for_one_distribution_and_small_for_two(test):
    rng = np.random.default_rng(0)
    p = [
        test(rng.normal(size=(15, 2)), rng.normal(size=(20, 2)), n_permutations=19, seed=seed).p for seed in range(120)
    ]
    assert scipy_stats.kstest(np.array(p) - rng.random(120) / 20, "uniform").pvalue > 0.01
    turned = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 150)  # same margins
    assert test(rng.normal(size=(150, 2)), turned, n_permutations=49).p == pytest.approx(0.02)


def test_the_kernel_statistic_is_the_sum_over_pairs():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 2)), rng.normal(size=(5, 2)) + 1
    both = np.concatenate([x, y])
    both = both / both.std(axis=0)
    d2 = ((both[:, None] - both[None]) ** 2).sum(axis=2)
    k = np.exp(-0.5 * d2 / np.median(d2[np.triu_indices(12, 1)]))
    off = ~np.eye(12, dtype=bool)
    wanted = k[:7, :7][off[:7, :7]].mean() + k[7:, 7:][off[7:, 7:]].mean() - 2 * k[:7, 7:].mean()
    assert stats.mmd_test(x, y, n_permutations=1).statistic == pytest.approx(wanted, abs=1e-12)


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataRefusedError, match="shape"):
        stats.dip_test([[1.0]])
    with pytest.raises(ParameterError, match="between 0 and 1"):
        stats.benjamini_hochberg([1.5])
    with pytest.raises(ParameterError, match="alternative"):
        stats.permutation_p(1.0, [1.0], "above")
    with pytest.raises(DataRefusedError, match="ratings"):
        stats.intraclass_correlation([1.0])
    with pytest.raises(DataRefusedError, match="wins"):
        stats.bradley_terry([[0, -1], [1, 0]])
    for pair in (stats.weighted_kappa, stats.bland_altman, stats.isotonic_test):
        with pytest.raises(DataRefusedError, match="shape"):
            pair([1.0, 2.0], [1.0])
    with pytest.raises(DataRefusedError, match="samples"):
        stats.mmd_test(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(TooFewObjectsError, match="complete rows"):
        stats.classifier_test([1.0, np.nan], [1.0, 2.0])
