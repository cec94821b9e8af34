import pickle
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.errors import DataRefusedError, ParameterError
from hven.methods.moments import Moments, Reason, bootstrap_moments, moments_by_group, poisson_weights, pool


def table(n=500, p=4, *, seed=0, gaps=0.0, offset=0.0):
    """Return correlated columns, per-star error covariances and weights."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + offset
    x[rng.random(x.shape) < gaps] = np.nan
    root = 0.1 * rng.normal(size=(n, p, p))
    return x, root @ np.swapaxes(root, 1, 2), rng.integers(0, 4, n).astype(float)


def in_parts(x, cuts, *, err=None, weights=None, make=Moments.from_array):
    rows = np.split(np.arange(len(x)), cuts)
    pick = [(None if a is None else [a[r] for r in rows]) for a in (err, weights)]
    parts = [make(x[r], pick[0] and pick[0][i], pick[1] and pick[1][i]) for i, r in enumerate(rows)]
    return reduce(Moments.merge, parts)


def by_hand(x, err, w):
    """Return corrected covariance and correlation over the rows that have both columns, pair by pair."""
    p = x.shape[1]
    covariance, correlation = np.full((p, p), np.nan), np.full((p, p), np.nan)
    for i in range(p):
        for j in range(p):
            both = np.isfinite(x[:, i]) & np.isfinite(x[:, j]) & (w > 0)
            if both.sum() < 2:
                continue
            c = np.atleast_2d(np.cov(x[both][:, [i, j]], rowvar=False, fweights=w[both].astype(int)))
            c = c - np.average(err[both][:, [i, j]][:, :, [i, j]], axis=0, weights=w[both])
            covariance[i, j] = c[0, 1] if i != j else c[0, 0]
            correlation[i, j] = c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]) if i != j else 1.0
    return covariance, correlation


@pytest.mark.t0
@given(st.lists(st.integers(0, 3000), max_size=6).map(sorted))
@settings(max_examples=25, deadline=None)
def test_covariances_are_those_of_numpy_for_any_partition(cuts):
    """Target 1e-12; measured 3e-16."""
    x, _, _ = table(3000, 5)
    whole = in_parts(x, cuts)
    numpys = np.cov(x, rowvar=False)
    scale = np.sqrt(np.outer(np.diag(numpys), np.diag(numpys)))
    assert np.abs((whole.covariance() - numpys) / scale).max() < 1e-12
    assert np.abs(whole.correlation() - np.corrcoef(x, rowvar=False)).max() < 1e-12
    assert whole.means == pytest.approx(x.mean(axis=0), abs=1e-12)
    assert whole.n.tolist() == np.full((5, 5), 3000).tolist()


@pytest.mark.t0
def test_rows_longer_than_a_block_of_the_cache_give_the_same():
    x, _, _ = table(60_000, 20)
    numpys = np.cov(x, rowvar=False)
    assert Moments.from_array(x).covariance() == pytest.approx(numpys, rel=1e-11, abs=1e-12 * np.abs(numpys).max())


@pytest.mark.t0
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3]), st.lists(st.integers(0, 80), max_size=4).map(sorted))
@settings(max_examples=40, deadline=None)
def test_with_gaps_weights_and_error_covariances_each_pair_is_as_by_hand(seed, gaps, cuts):
    x, err, w = table(80, 3, seed=seed, gaps=gaps)
    m = in_parts(x, cuts, err=err, weights=w)
    covariance, correlation = by_hand(x, err, w)
    assert m.covariance() == pytest.approx(covariance, rel=1e-10, abs=1e-12, nan_ok=True)
    assert m.correlation() == pytest.approx(correlation, rel=1e-9, abs=1e-11, nan_ok=True)


@pytest.mark.t0
def test_an_offset_of_1e8_loses_no_digits():
    """Measured 2e-10, the rounding of the input; the oracle is the covariance with the offset taken off, exactly."""
    x, _, _ = table(20_000, 3, offset=1e8)
    exact = np.cov(x - 1e8, rowvar=False)
    got = in_parts(x, [1, 777, 15_000]).covariance()
    assert got == pytest.approx(exact, rel=1e-9, abs=1e-9 * np.abs(exact).max())
    # x x^T - n mean mean^T, the form that is not used, has nothing left
    assert np.abs((x.T @ x / len(x) - np.outer(x.mean(axis=0), x.mean(axis=0))) / exact - 1).max() > 0.1


@pytest.mark.t0
def test_order_of_rows_and_of_merging_does_not_matter():
    x, err, w = table(900, 3, gaps=0.1)
    shuffled = np.random.default_rng(3).permutation(900)
    a = in_parts(x, [100, 400], err=err, weights=w)
    b = in_parts(x[shuffled], [5, 890], err=err[shuffled], weights=w[shuffled])
    assert a.covariance() == pytest.approx(b.covariance(), rel=1e-12, abs=1e-14)
    assert a.n.tolist() == b.n.tolist()
    assert pickle.loads(pickle.dumps(a)).correlation().tolist() == a.correlation().tolist()


def test_float32_columns_are_summed_in_float64():
    x = (table(50_000, 3)[0] + 1000).astype(np.float32)
    numpys = np.cov(x.astype(float), rowvar=False)
    assert Moments.from_array(x).covariance() == pytest.approx(numpys, rel=1e-10, abs=1e-11)


def test_whole_weights_are_repeated_rows_and_trust_weights_have_no_scale():
    x, _, w = table(200, 3)
    repeated = np.repeat(x, w.astype(int), axis=0)
    assert Moments.from_array(x, weights=w).covariance() == pytest.approx(np.cov(repeated, rowvar=False), rel=1e-11)
    for scale in (1.0, 1e-3):
        trusted = Moments.from_array(x, weights=scale * w).covariance(weights_are="reliability")
        assert trusted == pytest.approx(np.cov(x, rowvar=False, aweights=w), rel=1e-11)
    assert Moments.from_array(x, weights=np.ones(200)).n_effective == pytest.approx(200)


def elements(n=20_000, p=15, seed=2):
    """Return noisy abundances, their errors and the true correlation: two sources plus a residual of each element."""
    rng = np.random.default_rng(seed)
    load = rng.uniform(0.2, 1.0, (p, 2)) * 0.05
    truth = load @ load.T + np.diag(rng.uniform(0.01, 0.03, p) ** 2)
    err = np.broadcast_to(np.linspace(0.003, 0.04, p), (n, p)) * rng.uniform(0.5, 1.5, (n, p))
    x = rng.multivariate_normal(np.zeros(p), truth, n) + rng.normal(size=(n, p)) * err
    spread = np.sqrt(np.diag(truth))
    return x, err, truth / np.outer(spread, spread), spread


@pytest.mark.t0
def test_correlations_attenuated_by_errors_are_corrected():
    """Target < 0.02 rms, and the naive ones attenuated by 1/sqrt(phi phi') to 5 %.

    Measured 0.0047 rms (0.16 for the naive ones) and 2.7 %.
    """
    x, err, truth, spread = elements()
    m = Moments.from_array(x, err)
    off = ~np.eye(15, dtype=bool)
    corrected, naive = m.correlation()[off], m.correlation(corrected=False)[off]
    assert np.sqrt(np.mean((corrected - truth[off]) ** 2)) < 0.02
    assert np.sqrt(np.mean((naive - truth[off]) ** 2)) > 0.05
    phi = 1 + (err**2).mean(axis=0) / spread**2
    expected = (truth / np.sqrt(np.outer(phi, phi)))[off]
    assert np.abs(naive / expected - 1).max() < 0.05
    assert not m.reasons().any()


@pytest.mark.t0
def test_bootstrap_variances_are_the_analytic_ones():
    """Target 5 %; measured 0.6 % (mean and correlation) and 0.4 % (variance), over 20 columns and 2000 replicates."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4000, 20))
    replicates = bootstrap_moments(x, np.arange(4000), seed=3, n_boot=2000)
    of_mean = replicates.means.var(axis=0) / (x.var(axis=0) / 4000)
    variances = np.einsum("bii->bi", replicates.covariance())
    fourth = ((x - x.mean(axis=0)) ** 4).mean(axis=0)
    of_variance = variances.var(axis=0) / ((fourth - x.var(axis=0) ** 2) / 4000)
    assert of_mean.mean() == pytest.approx(1, abs=0.05)
    assert of_variance.mean() == pytest.approx(1, abs=0.05)
    off = np.triu_indices(20, 1)
    assert (replicates.correlation()[:, *off].var(axis=0) * 4000).mean() == pytest.approx(1, abs=0.05)


@pytest.mark.t0
@pytest.mark.parametrize("gaps", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["none", "diagonal", "full"])
def test_replicates_are_moments_with_the_poisson_weights_and_merge(gaps, kind):
    x, err, w = table(300, 3, gaps=gaps)
    errors = {"none": None, "diagonal": np.sqrt(np.einsum("nii->ni", err)), "full": err}[kind]
    ids = np.random.default_rng(1).permutation(10**12 + np.arange(300))
    whole = bootstrap_moments(x, ids, seed=9, n_boot=5, err=errors, weights=w)
    counts = poisson_weights(ids, 9, 5)
    for b in range(5):
        one = Moments.from_array(x, errors, weights=w * counts[:, b])
        assert whole.correlation()[b] == pytest.approx(one.correlation(), rel=1e-9, abs=1e-11)
        assert whole.covariance()[b] == pytest.approx(one.covariance(), rel=1e-10, abs=1e-12)
        assert whole.means[b] == pytest.approx(one.means, rel=1e-12)
        assert whole.n_effective[b] == pytest.approx(one.n_effective, rel=1e-12)
    parts = [
        bootstrap_moments(x[r], ids[r], seed=9, n_boot=5, err=None if errors is None else errors[r], weights=w[r])
        for r in np.split(np.random.default_rng(2).permutation(300), [40, 41, 200])
    ]
    merged = reduce(Moments.merge, parts)
    assert merged.covariance() == pytest.approx(whole.covariance(), rel=1e-11, abs=1e-13)


def test_poisson_weights_depend_on_seed_and_id_only():
    ids = np.array([5, -5, 2**40, 2**40 + 5, 0, 5 + 2**32])
    w = poisson_weights(ids, seed=4, n_boot=64)
    assert (poisson_weights(ids[::-1], seed=4, n_boot=64)[::-1] == w).all()
    assert (poisson_weights(np.tile(ids, 900), seed=4, n_boot=64)[-6:] == w).all()
    assert len(np.unique(w, axis=0)) == 6
    assert (poisson_weights(ids, seed=5, n_boot=64) != w).any(axis=1).all()


def test_poisson_weights_follow_a_poisson_law_of_mean_one():
    w = poisson_weights(np.arange(40_000), seed=1, n_boot=50)
    from scipy.stats import chisquare, poisson

    k = np.arange(7)
    expected = np.append(poisson.pmf(k, 1), poisson.sf(6, 1)) * w.size
    observed = np.append([(w == i).sum() for i in k], (w > 6).sum())
    assert chisquare(observed, expected).pvalue > 1e-3
    assert np.abs(np.corrcoef(w[:, :10], rowvar=False) - np.eye(10)).max() < 0.03


def test_what_cannot_be_known_is_nan_with_a_reason():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=50), np.full(50, 0.1), 0.01 * rng.normal(size=50), rng.normal(size=50)])
    x[2:, 3] = np.nan
    err = np.full(x.shape, 1e-3)
    err[:, 2] = 0.1
    m = Moments.from_array(x, err)
    told = m.reasons()
    assert told[0].tolist() == [Reason.NONE, Reason.CONSTANT, Reason.NEGATIVE_VARIANCE, Reason.TOO_FEW]
    assert np.isnan(m.correlation()[told > 0]).all()
    assert m.correlation()[0, 0] == 1
    assert np.isnan(m.covariance()[2, 2])
    assert np.isfinite(m.covariance()[0, 2])
    assert np.isfinite(m.covariance(corrected=False)[2, 2])
    assert m.reasons(corrected=False)[0, 2] == Reason.NONE


def test_a_constant_column_is_found_through_any_number_of_merges():
    x = np.full((1000, 2), 0.1)
    x[:, 1] = np.arange(1000)
    m = in_parts(x, list(range(1, 1000)))
    assert m.reasons().tolist() == [[Reason.CONSTANT, Reason.CONSTANT], [Reason.CONSTANT, Reason.NONE]]


def test_a_corrected_correlation_beyond_one_is_kept_and_told():
    rng = np.random.default_rng(4)
    x = np.repeat(rng.normal(size=(400, 1)), 2, axis=1)
    m = Moments.from_array(x, np.full(x.shape, 0.3))
    assert m.correlation()[0, 1] > 1
    assert m.reasons().tolist() == [[Reason.NONE, Reason.ABOVE_ONE], [Reason.ABOVE_ONE, Reason.NONE]]


def test_empty_input_and_values_that_are_all_missing_give_nan_and_merge_to_nothing():
    x, err, _ = table(30, 2)
    for nothing in (Moments.from_array(x[:0], err[:0]), Moments.from_array(np.full((4, 2), np.nan), err[:4])):
        assert np.isnan(nothing.means).all()
        assert np.isnan(nothing.covariance()).all()
        assert (nothing.reasons() == Reason.TOO_FEW).all()
        merged = nothing.merge(Moments.from_array(x, err)).merge(nothing)
        assert merged.covariance() == pytest.approx(Moments.from_array(x, err).covariance(), rel=1e-14)
    empty = bootstrap_moments(x[:0], np.arange(0), seed=1, n_boot=3)
    assert empty.covariance().shape == (3, 2, 2)


def test_an_unusable_error_makes_its_value_missing():
    x, err, _ = table(40, 3)
    sigma = np.sqrt(np.einsum("nii->ni", err))
    sigma[0, 1], sigma[1, 2] = -999.0, np.nan
    gone = x.copy()
    gone[0, 1] = gone[1, 2] = np.nan
    fixed = np.abs(np.nan_to_num(sigma))
    assert Moments.from_array(x, sigma).correlation() == pytest.approx(Moments.from_array(gone, fixed).correlation())
    broken = err.copy()
    broken[3, 0, 1] = broken[3, 1, 0] = np.nan
    gone = x.copy()
    gone[3, :2] = np.nan
    assert Moments.from_array(x, broken).correlation() == pytest.approx(Moments.from_array(gone, err).correlation())


@pytest.mark.t0
def test_partial_correlations_are_those_of_the_residuals_of_least_squares():
    x, _, _ = table(300, 5)
    m = Moments.from_array(x)
    design = np.column_stack([np.ones(300), x[:, [1, 3]]])
    left = x[:, [0, 2, 4]] - design @ np.linalg.lstsq(design, x[:, [0, 2, 4]], rcond=None)[0]
    assert m.partial_correlation([1, 3]) == pytest.approx(np.corrcoef(left, rowvar=False), abs=1e-12)
    assert m.partial_covariance([1, 3]) == pytest.approx(np.cov(left, rowvar=False), abs=1e-12)
    assert m.cross_covariance([0, 2], [1]) == pytest.approx(np.cov(x, rowvar=False)[[0, 2], 1][:, None], rel=1e-11)
    assert m.select([4, 1]).covariance() == pytest.approx(np.cov(x[:, [4, 1]], rowvar=False), rel=1e-11)


def test_a_covariate_with_errors_is_only_held_fixed_by_the_corrected_partial_correlation():
    rng = np.random.default_rng(7)
    age = rng.normal(size=50_000)
    x = np.column_stack([age, age, age]) + rng.normal(size=(50_000, 3)) * [0.5, 0.5, 0.7]
    m = Moments.from_array(x, np.broadcast_to([0.0, 0.0, 0.7], x.shape))
    assert abs(m.partial_correlation([2])[0, 1]) < 0.03
    assert m.partial_correlation([2], corrected=False)[0, 1] > 0.4
    replicates = bootstrap_moments(x[:500], np.arange(500), seed=1, n_boot=7)
    assert replicates.partial_correlation([2]).shape == (7, 2, 2)


def test_what_holds_nothing_fixed_or_leaves_nothing_is_nan():
    x, _, _ = table(100, 3)
    twins = Moments.from_array(np.column_stack([x, x[:, 2]]))
    assert np.isnan(twins.partial_correlation([2, 3])).all()
    assert np.isnan(twins.partial_correlation([2])[2]).all()
    assert np.isfinite(twins.partial_correlation([2])[:2, :2]).all()


@pytest.mark.t0
def test_pooled_groups_are_the_covariance_about_each_groups_own_mean():
    x, err, w = table(600, 3, gaps=0.1)
    labels = np.random.default_rng(1).integers(-1, 9, 600)
    parts = [moments_by_group(x[r], labels[r], err[r], w[r]) for r in np.split(np.arange(600), [50, 333])]
    cells = {}
    for part in parts:
        for label, m in part.items():
            cells[label] = cells[label].merge(m) if label in cells else m
    assert sorted(cells) == list(range(9))
    within = pool(cells)
    for i in range(3):
        for j in range(3):
            both = np.isfinite(x[:, i] + x[:, j]) & (labels >= 0)
            products = noise = total = 0.0
            for label in range(9):
                r = both & (labels == label)
                mean = np.average(x[r], axis=0, weights=w[r])
                products += np.sum(w[r] * (x[r, i] - mean[i]) * (x[r, j] - mean[j]))
                noise, total = noise + np.sum(w[r] * err[r, i, j]), total + w[r].sum()
            assert within.covariance()[i, j] == pytest.approx(products / (total - 9) - noise / total, rel=1e-10)


def test_within_cells_what_two_elements_share_through_metallicity_is_gone():
    rng = np.random.default_rng(3)
    feh, rest = rng.uniform(-1, 0.5, 60_000), rng.multivariate_normal([0, 0], [[4e-4, 2e-4], [2e-4, 4e-4]], 60_000)
    x = np.column_stack([0.3 * feh + rest[:, 0], -0.4 * feh + rest[:, 1], feh])
    cells = moments_by_group(x, np.floor((feh + 1) / 0.1).astype(int))
    assert Moments.from_array(x).correlation()[0, 1] < -0.9
    assert pool(cells).correlation()[0, 1] < 0.3  # slopes within a cell still show
    assert pool(cells).partial_correlation([2])[0, 1] == pytest.approx(0.5, abs=0.01)


def test_what_does_not_fit_is_refused():
    x, err, w = table(20, 3)
    with pytest.raises(DataRefusedError, match="errors have shape"):
        Moments.from_array(x, err[:, :2])
    with pytest.raises(DataRefusedError, match="weights"):
        Moments.from_array(x, weights=-w - 1)
    with pytest.raises(DataRefusedError, match="values have shape"):
        Moments.from_array(err)
    with pytest.raises(DataRefusedError, match="cannot be merged"):
        Moments.from_array(x).merge(Moments.from_array(x, err))
    with pytest.raises(DataRefusedError, match="pooled"):
        pool([Moments.from_array(x)] * 2).merge(Moments.from_array(x))
    with pytest.raises(DataRefusedError, match="no groups"):
        pool([])
    with pytest.raises(DataRefusedError, match="labels"):
        moments_by_group(x, np.zeros(20))
    with pytest.raises(DataRefusedError, match="ids"):
        bootstrap_moments(x, np.arange(3), seed=0)
    with pytest.raises(DataRefusedError, match="whole numbers"):
        poisson_weights([0.5], 0, 3)
    with pytest.raises(ParameterError, match="n_boot"):
        poisson_weights([1], 0, 0)
    with pytest.raises(ParameterError, match="without errors"):
        Moments.from_array(x).covariance(corrected=True)
    with pytest.raises(ParameterError, match="weights_are"):
        Moments.from_array(x).covariance(weights_are="probability")
