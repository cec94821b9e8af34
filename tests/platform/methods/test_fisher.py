import numpy as np
import pytest
from scipy import stats

from hven.errors import DataRefusedError, TooFewObjectsError
from hven.methods import fisher


def linear_model(d=8, p=2, seed=0):
    """Return slopes (p, d) and a covariance (d, d)."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d)) / np.sqrt(d)
    return rng.normal(size=(p, d)), root @ root.T + 0.3 * np.eye(d)


@pytest.mark.t0
def test_of_a_linear_gaussian_model_the_errors_are_those_of_least_squares():
    """Exact: the matrix to 1e-12, and the scatter of 20,000 fits within 2 %."""
    slopes, cov = linear_model()
    matrix = fisher.information(slopes, cov)
    assert matrix == pytest.approx(slopes @ np.linalg.inv(cov) @ slopes.T, rel=1e-12)
    data = np.random.default_rng(1).multivariate_normal(np.zeros(8), cov, 20_000)
    fits = np.linalg.solve(matrix, slopes @ np.linalg.solve(cov, data.T))
    assert np.std(fits, axis=1) == pytest.approx(fisher.errors(matrix), rel=0.02)
    numbers = fisher.central_derivatives(lambda t: t @ slopes, [0.3, -2.0], [0.1, 0.1])
    assert numbers.values == pytest.approx(slopes, abs=1e-11)


@pytest.mark.t0
def test_the_information_in_a_variance_is_that_of_theory():
    """N values of variance v: F = N / (2 v^2)."""
    matrix = fisher.information(np.zeros((1, 50)), 4.0 * np.eye(50), cov_derivatives=np.eye(50)[None])
    assert matrix[0, 0] == pytest.approx(50 / (2 * 4.0**2))


@pytest.mark.t0
def test_noisy_derivatives_inflate_the_information_and_the_cross_estimator_does_not():
    """Mean over 6000 noise draws within 2 % of the truth; measured 0.5 %. The plain one is up to 35 % too large."""
    slopes, cov = linear_model()
    truth = fisher.information(slopes, cov)
    rng = np.random.default_rng(2)
    noise = rng.normal(scale=1.0, size=(6000, 2, 2, 8))
    crossed = np.mean([fisher.cross_information(slopes + a, slopes + b, cov) for a, b in noise], axis=0)
    plain = np.mean([fisher.information(slopes + (a + b) / 2, cov) for a, b in noise], axis=0)
    assert crossed == pytest.approx(truth, rel=0.02, abs=0.02 * truth.max())
    expected = truth + np.eye(2) * 0.5 * np.trace(np.linalg.inv(cov))
    assert plain == pytest.approx(expected, rel=0.02, abs=0.02 * truth.max())
    assert np.all(np.diag(plain) > 1.2 * np.diag(truth))


@pytest.mark.t0
def test_twice_the_data_give_errors_smaller_by_the_root_of_two():
    slopes, cov = linear_model()
    once = fisher.information(slopes, cov)
    twice = fisher.information(np.tile(slopes, 2), np.kron(np.eye(2), cov))
    assert fisher.errors(twice) == pytest.approx(fisher.errors(once) / np.sqrt(2), rel=1e-12)
    assert fisher.area_ratio(twice, once) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.t0
def test_a_covariance_from_simulations_is_unbiased_after_the_hartlap_factor():
    """Mean of 3000 inverses from 30 simulations of 8 data within 2 %; without the factor 50 % too large."""
    slopes, cov = linear_model()
    truth = fisher.information(slopes, cov)
    rng = np.random.default_rng(3)
    draws = rng.multivariate_normal(np.zeros(8), cov, (3000, 30))
    covs = [np.cov(sims, rowvar=False) for sims in draws]
    corrected = np.mean([fisher.information(slopes, c, n_sims=30) for c in covs], axis=0)
    plain = np.mean([fisher.information(slopes, c) for c in covs], axis=0)
    assert corrected == pytest.approx(truth, rel=0.02, abs=0.02 * truth.max())
    assert np.diag(plain) / np.diag(truth) == pytest.approx(np.full(2, 29 / 20), rel=0.03)


@pytest.mark.t0
def test_the_likelihood_for_a_covariance_from_simulations_is_a_multivariate_t():
    """scipy's t of n - d degrees of freedom and shape C (n - 1)/(n - d), 1e-10."""
    _, cov = linear_model(d=3)
    off = np.random.default_rng(4).normal(size=(5, 3))
    n = 12
    oracle = stats.multivariate_t(shape=cov * (n - 1) / (n - 3), df=n - 3).logpdf(off)
    assert fisher.sellentin_heavens(off, cov, n) == pytest.approx(oracle, abs=1e-10)


@pytest.mark.t0
def test_derivatives_by_steps_and_by_jax_agree():
    import jax.numpy as jnp

    def model(theta):
        numpy = np if isinstance(theta, np.ndarray) else jnp
        x = np.linspace(0, 3, 20)
        return theta[0] * numpy.exp(-x / theta[1]) + numpy.sin(theta[2] * x)

    theta = np.array([1.3, 0.8, 2.0])
    exact = fisher.exact_derivatives(model, theta)
    numbers = fisher.central_derivatives(model, theta, [0.05, 0.05, 0.05])
    assert numbers.values == pytest.approx(exact, abs=1e-3)
    assert np.all(numbers.error < 3e-3)
    assert exact.dtype == np.float64


def test_the_scan_prefers_long_steps_when_the_model_is_noisy_and_short_ones_when_it_bends():
    rng = np.random.default_rng(5)
    noisy = fisher.central_derivatives(lambda t: 3 * t + 1e-3 * rng.normal(size=50), [0.0], [0.1])
    assert noisy.steps[0] >= 0.1
    bent = fisher.central_derivatives(np.sin, [0.5], [1.0])
    assert bent.steps[0] == 0.125
    assert bent.values[0, 0] == pytest.approx(np.cos(0.5), abs=3e-3)


@pytest.mark.t0
def test_the_shift_is_where_the_best_fit_goes():
    slopes, cov = linear_model()
    matrix = fisher.information(slopes, cov)
    wrong = np.random.default_rng(6).normal(size=8)
    weights = np.linalg.cholesky(np.linalg.inv(cov)).T
    fit = np.linalg.lstsq((weights @ slopes.T), weights @ wrong)[0]
    assert fisher.bias_shift(matrix, slopes, cov, wrong) == pytest.approx(fit, rel=1e-10)


@pytest.mark.t0
def test_the_ellipse_holds_the_fraction_that_it_says():
    matrix = np.array([[3.0, 1.2, 0.1], [1.2, 2.0, 0.4], [0.1, 0.4, 1.0]])
    cov = np.linalg.inv(matrix)
    for i, j in ((0, 1), (2, 0)):
        shape = fisher.ellipse(matrix, i, j, level=0.95)
        x, y = shape.curve()
        pair = np.linalg.inv(cov[np.ix_([i, j], [i, j])])
        heights = np.einsum("ni,ij,nj->n", np.stack([x, y], 1), pair, np.stack([x, y], 1))
        assert heights == pytest.approx(np.full(181, stats.chi2.isf(0.05, 2)), rel=1e-9)
        assert -np.pi / 2 < shape.angle <= np.pi / 2


def test_a_prior_adds_its_information():
    slopes, cov = linear_model()
    prior = np.diag([0.0, 100.0])
    assert fisher.information(slopes, cov, prior=prior) == pytest.approx(fisher.information(slopes, cov) + prior)


def test_misfits_are_refused_by_name():
    slopes, cov = linear_model()
    with pytest.raises(DataRefusedError, match="derivatives have shape"):
        fisher.information(slopes.T, cov)
    with pytest.raises(TooFewObjectsError, match="10 simulations for the covariance of 8 data"):
        fisher.information(slopes, cov, n_sims=10)
    with pytest.raises(TooFewObjectsError, match="8 simulations"):
        fisher.sellentin_heavens(np.zeros(8), cov, 8)
    with pytest.raises(DataRefusedError, match="not positive definite"):
        fisher.area_ratio(np.zeros((2, 2)), np.eye(2))


@pytest.mark.t0
def test_two_negative_eigenvalues_make_no_ellipse_though_their_determinant_is_positive():
    with pytest.raises(DataRefusedError, match="not positive definite"):
        fisher.area_ratio(-np.diag([0.02, 0.01]), np.eye(2))
    with pytest.raises(DataRefusedError, match="not positive definite"):
        fisher.area_ratio(np.eye(2), np.full((2, 2), np.nan))
    matrices = [np.diag([1e12, 1e-12]), [[1.0, 2.0], [2.0, 1.0]], -np.eye(2), np.full((2, 2), np.nan), np.zeros((2, 2))]
    assert fisher.is_definite(matrices).tolist() == [True, False, False, False, False]
