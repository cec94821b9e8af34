import numpy as np
import pytest
from scipy import stats

from hven.errors import DataRefusedError, TooFewObjectsError
from hven.methods import calibration


def gaussians(n, seed, spread=1.0):
    """Return y, mean and std, the true spread about the mean being `spread` times std."""
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(size=n), rng.uniform(0.5, 2, n)
    return mean + spread * std * rng.normal(size=n), mean, std


@pytest.mark.t0
def test_exact_gaussians_pass_at_the_nominal_rate_and_their_ks_pvalues_are_uniform():
    """1 % of 1000 repeats may be flagged; measured 0.4 %. KS of the p-values: p = 0.54."""
    told = [calibration.report(y, mean=m, std=s) for y, m, s in (gaussians(200, seed) for seed in range(1000))]
    assert np.mean([not one.is_calibrated for one in told]) < 0.02
    assert stats.kstest([one.ks_pvalue[0] for one in told], "uniform").pvalue > 0.01
    coverage = np.array([one.coverage[0] for one in told])
    assert coverage.mean(axis=0) == pytest.approx(calibration.LEVELS, abs=0.005)
    assert coverage.std(axis=0) == pytest.approx(np.mean([one.coverage_err[0] for one in told], axis=0), rel=0.1)


@pytest.mark.t0
def test_errors_overstated_or_understated_by_a_fifth_are_flagged_at_500_objects():
    """Measured: 199 and 199 of 200."""
    for spread in (1 / 1.2, 1.2):
        told = [
            calibration.report(y, mean=m, std=s)
            for y, m, s in (gaussians(500, seed, spread=spread) for seed in range(200))
        ]
        assert np.mean(["width" in one.flags[0] for one in told]) > 0.97


@pytest.mark.t0
def test_a_shifted_prediction_fails_the_pit_and_shows_its_bias():
    y, mean, std = gaussians(500, 3)
    told = calibration.report(y, mean=mean - 0.4, std=std)
    assert "pit" in told.flags[0]
    assert told.bias[0] == pytest.approx(0.4, abs=0.15)


@pytest.mark.t0
def test_the_crps_is_the_integral_that_defines_it():
    """Closed form to 1e-6 and samples to their noise, against the integral of (F - step)^2."""
    y = np.tile([0.3, -1.0, 2.5, 0.0], 3)
    mean, std = np.tile([0.0, 0.5, 2.0, -1.0], 3), np.tile([1.0, 2.0, 0.3, 0.7], 3)
    x = np.linspace(-30, 30, 600_001)
    integrals = [
        np.trapezoid((stats.norm.cdf(x, m, s) - (x >= v)) ** 2, x) for v, m, s in zip(y[:4], mean, std, strict=False)
    ]
    told = calibration.report(y, mean=mean, std=std)
    assert told.crps[0] == pytest.approx(np.mean(integrals), abs=1e-4)
    draws = np.random.default_rng(0).normal(mean[:, None], std[:, None], (12, 20_000))
    assert calibration.report(y, samples=draws).crps[0] == pytest.approx(told.crps[0], rel=0.01)


@pytest.mark.t0
def test_samples_and_cdf_tell_what_the_moments_tell():
    y, mean, std = gaussians(400, 5)
    direct = calibration.report(y, mean=mean, std=std)
    cdf = calibration.report(y, cdf=stats.norm.cdf(y, mean, std))
    draws = np.random.default_rng(1).normal(mean[:, None], std[:, None], (400, 4000))
    sampled = calibration.report(y, samples=draws)
    for name in ("coverage", "chi_std", "chi_inside", "ks_statistic", "ece"):
        assert getattr(cdf, name) == pytest.approx(getattr(direct, name), abs=1e-9)
        assert getattr(sampled, name) == pytest.approx(getattr(direct, name), abs=0.02)
    assert np.isnan(cdf.crps[0])
    assert sampled.sharpness == pytest.approx(direct.sharpness, rel=0.01)


@pytest.mark.t0
def test_the_pit_of_counts_is_uniform_only_when_it_is_drawn_between_the_steps():
    rng = np.random.default_rng(6)
    k = rng.poisson(1.5, 2000)
    steps = np.stack([stats.poisson.cdf(k - 1, 1.5), stats.poisson.cdf(k, 1.5)], axis=1)
    assert calibration.report(k, cdf=steps).ks_pvalue[0] > 0.01
    assert calibration.report(k, cdf=steps[:, 1]).ks_pvalue[0] < 1e-6


def test_a_few_samples_are_enough_for_a_uniform_pit():
    rng = np.random.default_rng(7)
    told = calibration.report(rng.normal(size=3000), samples=rng.normal(size=(3000, 9)))
    assert told.ks_pvalue[0] > 0.01


def test_outliers_and_scatter_of_point_estimates():
    rng = np.random.default_rng(8)
    residual = rng.normal(scale=0.02, size=10_000)
    residual[:500] += 1.0
    told = calibration.report(residual, mean=0.0, std=0.02)
    assert told.nmad[0] == pytest.approx(0.02, rel=0.1)
    assert told.outlier_rate[0] == pytest.approx(0.05, abs=0.002)


def test_groups_have_rows_of_their_own_and_dropped_objects_are_counted():
    y, mean, std = gaussians(300, 9)
    group = np.where(np.arange(300) < 100, "dwarf", "giant")
    y[:7] = np.nan
    y[group == "giant"] = mean[group == "giant"] + 3 * (y - mean)[group == "giant"]
    told = calibration.report(y, mean=mean, std=std, groups=group)
    assert told.groups == ("dwarf", "giant")
    assert told.n.tolist() == [93, 200]
    assert told.n_dropped.tolist() == [7, 0]
    assert not told.flags[0]
    assert "width" in told.flags[1]
    alone = calibration.report(y[:100], mean=mean[:100], std=std[:100])
    assert told.coverage[0].tolist() == alone.coverage[0].tolist()


def test_the_dataset_holds_the_whole_report(tmp_path):
    y, mean, std = gaussians(60, 10)
    told = calibration.report(y, mean=mean, std=std, groups=np.arange(60) % 2)
    data = told.to_dataset()
    assert data.sizes == {"group": 2, "level": 3, "probability": 9, "object": 60}
    assert data.coverage.sel(level=0.68).values.tolist() == told.coverage[:, 1].tolist()
    fields = set(calibration.Calibration.__dataclass_fields__) - {"groups"}
    assert fields <= set(data.data_vars)


@pytest.mark.t0
def test_ranks_are_uniform_for_the_right_posterior_and_not_for_a_narrow_one():
    """Conjugate normal model, 500 simulations: p > 0.01; with errors understated by a quarter p < 0.01."""
    rng = np.random.default_rng(11)
    truth = rng.normal(size=500)
    data = truth + rng.normal(size=500)
    draws = 0.5 * data[:, None] + np.sqrt(0.5) * rng.normal(size=(500, 99))
    assert calibration.ranks_of_truth(truth, draws).is_uniform
    narrow = 0.5 * data[:, None] + 0.75 * np.sqrt(0.5) * rng.normal(size=(500, 99))
    assert not calibration.ranks_of_truth(truth, narrow).is_uniform
    assert not calibration.ranks_of_truth(truth, draws + 0.2).is_uniform


@pytest.mark.t0
def test_conformal_intervals_hold_what_they_promise_for_any_distribution():
    """Coverage between level and level + 1/(n + 1) on average, here of heavy tails; measured 0.684."""
    rng = np.random.default_rng(12)
    held = []
    for _ in range(400):
        seen, new = rng.standard_t(2, (2, 100))
        factor = calibration.conformal_factor(seen, 0.0, 1.0, level=0.68)
        held.append(np.mean(np.abs(new) <= factor))
    assert np.mean(held) == pytest.approx(0.685, abs=0.01)
    assert calibration.conformal_factor(np.ones(3), 0.0, level=0.95) == np.inf


@pytest.mark.t0
def test_the_power_curve_is_that_of_theory():
    """Two-sided z test of 25 values: alpha at no effect, and within binomial errors of theory elsewhere."""

    def z_test(x):
        return 2 * stats.norm.sf(abs(x.mean()) * 5)

    curve = calibration.power(z_test, lambda d, rng: rng.normal(d, 1, 25), [0.0, 0.25, 0.5, 0.6, 1.0], n_rep=400)
    bound = stats.norm.isf(0.025)
    theory = stats.norm.sf(bound - 5 * curve.effects) + stats.norm.cdf(-bound - 5 * curve.effects)
    assert curve.rate == pytest.approx(theory, abs=0.08)
    assert np.all(np.abs(curve.rate - theory) <= 3.5 * np.maximum(curve.rate_err, 0.005))
    assert curve.effect_at(0.8) == pytest.approx(0.56, abs=0.06)
    assert np.isnan(curve.effect_at(1.1))


def test_misfits_are_refused_by_name():
    y, mean, std = gaussians(20, 13)
    with pytest.raises(DataRefusedError, match="not exactly one prediction"):
        calibration.report(y, mean=mean)
    with pytest.raises(DataRefusedError, match="not exactly one prediction"):
        calibration.report(y, mean=mean, std=std, cdf=std)
    with pytest.raises(DataRefusedError, match=r"std has shape \(3,\)"):
        calibration.report(y, mean=mean, std=std[:3])
    with pytest.raises(DataRefusedError, match="samples has shape"):
        calibration.report(y, samples=np.zeros((4, 20)))
    with pytest.raises(DataRefusedError, match="outside 0 to 1"):
        calibration.report(y, cdf=std * 3)
    with pytest.raises(DataRefusedError, match="groups has shape"):
        calibration.report(y, mean=mean, std=std, groups=["a"])
    with pytest.raises(TooFewObjectsError, match="4 objects"):
        calibration.report(y[:4], mean=mean[:4], std=std[:4])
    with pytest.raises(DataRefusedError, match="one parameter at a time"):
        calibration.ranks_of_truth(y, np.zeros((20, 3, 2)))
