import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError
from hven.methods import eiv


def points(n, *, slope=-0.07, sigma_int=0.06, x_err=0.3, y_err=0.05, seed=0):
    """Return x, y, x_err, y_err of a line through (9, 0.1) seen through constant errors."""
    rng = np.random.default_rng(seed)
    x = rng.normal(9.6, 1.1, n)
    y = 0.1 + slope * (x - 9) + rng.normal(scale=np.hypot(sigma_int, y_err), size=n)
    return x + rng.normal(scale=x_err, size=n), y, np.full(n, x_err), np.full(n, y_err)


@pytest.mark.t0
@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_the_closed_form_is_the_integral_over_the_true_x(rho):
    """Target 1e-8 relative; measured 7e-15."""
    a, b, s, x0 = 0.05, -0.4, 0.06, 8.122
    weights, means, widths = [0.3, 0.7], [7.5, 9.8], [0.4, 1.2]
    x, y = np.array([6.0, 8.0, 9.5, 13.0]), np.array([0.9, -0.2, -0.6, -1.4])
    e_x, e_y = np.array([0.05, 0.3, 0.5, 1.0]), np.array([0.1, 0.03, 0.05, 0.2])
    closed = eiv.log_density(
        x, y, e_x, e_y, slope=b, intercept=a, sigma_int=s, x0=x0, rho=rho,
        prior_weights=weights, prior_means=means, prior_widths=widths,
    )  # fmt: skip

    def integrand(true_x, i):
        prior = sum(w * norm.pdf(true_x, m, t) for w, m, t in zip(weights, means, widths, strict=True))
        slip = x[i] - true_x
        mean = a + b * (true_x - x0) + rho * e_y[i] / e_x[i] * slip
        width = np.sqrt((1 - rho**2) * e_y[i] ** 2 + s**2)
        return prior * norm.pdf(slip, 0, e_x[i]) * norm.pdf(y[i], mean, width)

    for i in range(4):
        centre = x[i] + np.array([-9, -3, -1, 0, 1, 3, 9]) * e_x[i]
        integral = quad(integrand, x[i] - 12 * e_x[i], x[i] + 12 * e_x[i], (i,), points=centre, epsrel=1e-12, limit=200)
        assert np.exp(closed[i]) == pytest.approx(integral[0], rel=1e-8)


@pytest.mark.t0
def test_without_scatter_and_with_constant_errors_the_line_is_demings():
    """Target 1e-10; measured 1e-16."""
    x, y, x_err, y_err = points(300, sigma_int=0.0)
    line = eiv.fit(x, y, x_err, y_err, sigma_int=0.0, n_components=1)
    slope, intercept = eiv.deming(x, y, 0.3, 0.05)
    assert line.slope == pytest.approx(slope, abs=1e-10)
    assert line.intercept == pytest.approx(intercept, abs=1e-10)
    assert line.converged


@pytest.mark.t0
def test_with_constant_errors_the_slope_is_the_moment_corrected_one():
    x, y, x_err, y_err = points(300)
    line = eiv.fit(x, y, x_err, y_err, n_components=1)
    (s_xx, s_xy), (_, s_yy) = np.cov(x, y, bias=True)
    slope = s_xy / (s_xx - 0.3**2)
    assert line.slope == pytest.approx(slope, abs=1e-10)
    assert line.sigma_int == pytest.approx(np.sqrt(s_yy - 0.05**2 - slope * s_xy), abs=1e-10)


def test_without_errors_it_is_least_squares():
    x, y, *_ = points(300)
    line = eiv.fit(x, y, x0=9.0, n_components=1)
    slope, intercept = np.polyfit(x - 9.0, y, 1)
    assert [line.slope, line.intercept] == pytest.approx([slope, intercept], abs=1e-9)
    assert [line.ols.slope, line.ols.intercept] == pytest.approx([slope, intercept], abs=1e-12)
    assert line.predict([9.0, 10.0]) == pytest.approx([intercept, intercept + slope], abs=1e-9)


@pytest.mark.t0
def test_least_squares_is_attenuated_by_the_errors_of_x_and_the_fit_is_not():
    """OLS slope / true slope is var(x) / (var(x) + e^2) = 0.7076; measured 0.7112, with both errors 1.005 +- 0.003."""
    x, y, x_err, y_err = points(200_000, x_err=0.7071)
    line = eiv.fit(x, y, x_err, y_err, n_components=1)
    assert line.ols.slope / -0.07 == pytest.approx(1.1**2 / (1.1**2 + 0.5), abs=0.005)
    assert line.slope / -0.07 == pytest.approx(1.0, abs=3 * line.slope_err / 0.07)


def test_errors_are_those_of_the_observed_information():
    """The Fisher matrix of 5 parameters by finite differences of the likelihood itself gives the same errors."""
    x, y, x_err, y_err = points(200)
    line = eiv.fit(x, y, x_err, y_err, x0=9.0, n_components=1)
    peak = np.array([line.slope, line.intercept, line.sigma_int, line.prior_means[0], line.prior_widths[0]])

    def loglike(p):
        return eiv.log_density(
            x, y, x_err, y_err, slope=p[0], intercept=p[1], sigma_int=p[2], x0=9.0,
            prior_weights=[1.0], prior_means=[p[3]], prior_widths=[p[4]],
        ).sum()  # fmt: skip

    step = 1e-4 * np.array([1, 1, 1, 1, 1])
    information = np.zeros((5, 5))
    for i in range(5):
        for j in range(5):
            a, b = np.eye(5)[i] * step[i], np.eye(5)[j] * step[j]
            corners = loglike(peak + a + b) - loglike(peak + a - b) - loglike(peak - a + b) + loglike(peak - a - b)
            information[i, j] = -corners / (4 * step[i] * step[j])
    assert loglike(peak) == pytest.approx(line.loglike, abs=1e-9)
    assert line.cov == pytest.approx(np.linalg.inv(information)[:3, :3], rel=1e-3, abs=1e-9)
    assert line.predict_err(9.0) == pytest.approx(line.intercept_err)


def test_moving_the_reference_moves_only_the_intercept():
    x, y, x_err, y_err = points(400)
    here, there = (eiv.fit(x, y, x_err, y_err, x0=x0, n_components=1) for x0 in (8.0, 11.0))
    assert here.slope == pytest.approx(there.slope, rel=1e-9)
    assert here.predict(11.0) == pytest.approx(there.intercept, rel=1e-9)
    assert here.predict_err(11.0) == pytest.approx(there.intercept_err, rel=1e-6)


def test_units_do_not_matter():
    x, y, x_err, y_err = points(400)
    line, scaled = (eiv.fit(x * f, y / f, x_err * f, y_err / f, x0=9 * f, n_components=2) for f in (1.0, 1000.0))
    assert scaled.slope * 1e6 == pytest.approx(line.slope, rel=1e-7)
    assert scaled.slope_err * 1e6 == pytest.approx(line.slope_err, rel=1e-5)
    assert scaled.loglike == pytest.approx(line.loglike, abs=1e-6)


def test_the_order_of_the_objects_does_not_matter():
    columns = points(9000)
    shuffled = np.random.default_rng(5).permutation(9000)
    a, b = (eiv.fit(*c, n_components=1) for c in (columns, [c[shuffled] for c in columns]))
    assert [a.slope, a.slope_err, a.sigma_int] == pytest.approx([b.slope, b.slope_err, b.sigma_int], rel=1e-8)


def test_whole_weights_count_objects_and_zero_ones_leave_them_out():
    columns = points(300)
    counts = np.arange(300) % 3
    weighted = eiv.fit(*columns, weights=counts, n_components=1)
    repeated = eiv.fit(*(np.repeat(c, counts) for c in columns), n_components=1)
    assert [weighted.slope, weighted.slope_err] == pytest.approx([repeated.slope, repeated.slope_err], rel=1e-8)
    assert weighted.ols.slope_err == pytest.approx(repeated.ols.slope_err, rel=1e-8)
    assert weighted.n == 200


def test_objects_with_nan_are_dropped_and_counted():
    x, y, x_err, y_err = points(300)
    y[3], x_err[5], x[7] = np.nan, np.nan, np.inf
    keep = np.delete(np.arange(300), [3, 5, 7])
    line = eiv.fit(x, y, x_err, y_err, n_components=1)
    clean = eiv.fit(x[keep], y[keep], x_err[keep], y_err[keep], n_components=1)
    assert (line.n, line.n_dropped, line.slope) == (297, 3, clean.slope)


def test_two_groups_in_x_want_two_components():
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(6, 0.3, 400), rng.normal(11, 0.8, 600)])
    y = 0.2 - 0.05 * x + rng.normal(scale=0.08, size=1000)
    line = eiv.fit(x + rng.normal(scale=0.4, size=1000), y, 0.4, 0.05)
    assert line.n_components == 2
    assert line.prior_means == pytest.approx([6, 11], abs=0.15)
    assert line.prior_weights == pytest.approx([0.4, 0.6], abs=0.02)
    assert line.prior_widths == pytest.approx([0.3, 0.8], abs=0.15)
    assert abs(line.slope + 0.05) < 3 * line.slope_err


def test_correlated_errors_are_told_from_a_gradient():
    rng = np.random.default_rng(4)
    n, rho = 4000, 0.9
    x, slip = rng.normal(9.6, 1.1, n), rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n)
    y = -0.07 * x + rng.normal(scale=0.03, size=n) + 0.1 * slip[:, 1]
    seen = x + 0.5 * slip[:, 0]
    line = eiv.fit(seen, y, 0.5, 0.1, rho=rho, n_components=1)
    blind = eiv.fit(seen, y, 0.5, 0.1, n_components=1)
    assert abs(line.slope + 0.07) < 3 * line.slope_err
    assert abs(blind.slope + 0.07) > 10 * blind.slope_err


def test_outliers_leave_the_line_alone_when_asked_for():
    x, y, x_err, y_err = points(1000, seed=6)
    rng = np.random.default_rng(7)
    wild = rng.random(1000) < 0.05
    y[wild] = rng.normal(-1.0, 0.8, wild.sum())
    plain = eiv.fit(x, y, x_err, y_err, n_components=1)
    robust = eiv.fit(x, y, x_err, y_err, n_components=1, outliers=True)
    assert robust.outlier_fraction == pytest.approx(0.05, abs=0.02)
    assert abs(robust.slope + 0.07) < 3 * robust.slope_err
    assert robust.sigma_int == pytest.approx(0.06, abs=0.006)
    assert plain.sigma_int > 0.2


def test_without_outliers_the_broad_component_is_empty_and_costs_nothing():
    columns = points(1000, seed=8)
    plain, robust = (eiv.fit(*columns, n_components=1, outliers=o) for o in (False, True))
    assert robust.outlier_fraction < 0.01
    assert robust.slope == pytest.approx(plain.slope, abs=0.3 * plain.slope_err)
    assert robust.slope_err == pytest.approx(plain.slope_err, rel=0.1)


def test_covariates_take_their_share():
    x, y, x_err, y_err = points(2000, seed=9)
    height = np.abs(np.random.default_rng(10).normal(scale=0.3, size=2000))
    line = eiv.fit(x, y - 0.25 * height, x_err, y_err, x0=9.0, covariates=height, n_components=1)
    assert line.names == ("slope", "intercept", "sigma_int", "coefficient_0")
    assert abs(line.coefficients[0] + 0.25) < 3 * line.coefficients_err[0]
    assert abs(line.intercept - 0.1) < 3 * line.intercept_err
    assert line.predict([9.0], [[1.0]]) == pytest.approx(line.intercept + line.coefficients[0])


def test_no_scatter_is_reported_as_zero_with_an_upper_limit():
    """Overstated errors leave no room for scatter; the limit is where ln L falls by 1/2, checked by a fit there."""
    x, y, x_err, y_err = points(500, sigma_int=0.0, seed=11)
    line = eiv.fit(x, y, x_err, 1.2 * y_err, n_components=1)
    assert (line.sigma_int, line.at_boundary, line.converged) == (0.0, True, True)
    at_limit = eiv.fit(x, y, x_err, 1.2 * y_err, n_components=1, sigma_int=line.sigma_int_err)
    assert line.loglike - at_limit.loglike == pytest.approx(0.5, abs=0.02)
    assert np.isnan(line.cov[2, 2])
    assert np.isfinite(line.slope_err)


def test_half_of_the_scatterless_samples_end_at_the_boundary_and_the_rest_within_their_errors():
    lines = [eiv.fit(*points(300, sigma_int=0.0, seed=s), n_components=1) for s in range(40)]
    at_zero = [line for line in lines if line.at_boundary]
    assert 10 <= len(at_zero) <= 30
    assert all(line.converged for line in lines)
    assert all(line.sigma_int < 3 * line.sigma_int_err for line in lines)


def test_a_spread_of_x_that_is_all_error_says_nothing_about_the_slope():
    rng = np.random.default_rng(12)
    line = eiv.fit(9 + rng.normal(scale=0.5, size=300), rng.normal(size=300), 0.6, 0.1, n_components=1)
    assert not line.converged or line.slope_err > 10 * line.ols.slope_err


@pytest.mark.parametrize("n_components", [None, 3])
def test_difficult_samples_still_converge(n_components):
    rng = np.random.default_rng(13)
    for n, heavy in ((100, False), (100, True), (250, True)):
        x = rng.standard_t(3, n) if heavy else rng.uniform(5, 14, n)
        y = -0.05 * x + rng.normal(scale=0.1, size=n)
        line = eiv.fit(x + rng.normal(scale=0.2, size=n), y, 0.2, 0.02, n_components=n_components)
        assert line.converged
        assert abs(line.slope + 0.05) < 4 * line.slope_err


def test_bad_input_is_refused_by_name():
    x, y, x_err, y_err = points(50)
    with pytest.raises(DataRefusedError, match=r"x_err has shape \(3,\)"):
        eiv.fit(x, y, x_err[:3], y_err)
    with pytest.raises(DataRefusedError, match="negative"):
        eiv.fit(x, y, -x_err, y_err)
    with pytest.raises(DataRefusedError, match="same x"):
        eiv.fit(np.ones(50), y)
    with pytest.raises(TooFewObjectsError, match="4 finite objects"):
        eiv.fit(x[:4], y[:4])
    with pytest.raises(ParameterError, match="n_components is 4"):
        eiv.fit(x, y, n_components=4)


EXACT = np.random.default_rng(0).uniform(4, 12, 150)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (EXACT, 1 - 0.06 * EXACT),
        (EXACT, 1 - 0.06 * EXACT + 1e-9 * np.sin(EXACT * 7)),
        (EXACT, np.full(150, 0.1)),
        (EXACT, np.zeros(150)),
        (np.repeat([5.0, 9.0], 75), np.repeat([0.3, 0.1], 75)),
    ],
    ids=["on a line", "as good as on a line", "constant", "zero", "two stars, repeated"],
)
@pytest.mark.parametrize("err", [None, 0.0])
def test_points_without_errors_on_a_line_have_a_finite_answer(x, y, err):
    """Before, ValueError: array must not contain infs or NaNs. Errors are those of 1e-4 of the scatter of y."""
    line = eiv.fit(x, y, err, err, x0=8.0, n_components=1)
    slope, at_8 = np.polyfit(x - 8, y, 1)
    assert line.is_exact
    assert line.at_boundary
    assert line.converged
    assert line.sigma_int == 0
    assert [line.slope, line.intercept] == pytest.approx([slope, at_8], abs=1e-6)
    told = (line.slope_err, line.intercept_err, line.sigma_int_err, line.loglike, line.bic, line.ols.slope_err)
    assert np.isfinite(told).all()
    assert line.slope_err < 1e-5


def test_a_small_scatter_is_measured_not_taken_for_none():
    """3e-4 of the scatter of y, without errors: three times what counts as none."""
    rng = np.random.default_rng(1)
    line = eiv.fit(EXACT, 1 - 0.06 * EXACT + 1e-4 * rng.normal(size=150), n_components=1)
    assert not line.is_exact
    assert not line.at_boundary
    assert line.sigma_int == pytest.approx(1e-4, abs=4 * line.sigma_int_err)


def test_textbook_lines_of_points_at_one_place_are_refused():
    for x in (np.full(9, 8.122), [], [3.0]):
        with pytest.raises(DataRefusedError):
            eiv.ols(x, np.zeros(len(x)))
    with pytest.raises(DataRefusedError, match="not correlated"):
        eiv.deming([1.0, 1.0], [0.0, 2.0], 0.1, 0.1)
    assert eiv.deming([0.0, 1.0, 2.0], [3.0, 3.0, 3.0], 0.1, 0.1) == (0.0, 3.0)


def disc(seed, share, n, *, observed):
    """Return stars around the Sun with distances good to `share`, errors from the true or the observed distance."""
    rng = np.random.default_rng(seed)
    d, longitude = rng.gamma(3.0, 0.9, 4 * n), rng.uniform(0, 2 * np.pi, 4 * n)
    r = np.hypot(8.122 - d * np.cos(longitude), d * np.sin(longitude))
    kept = np.flatnonzero((r > 3) & (rng.random(4 * n) < np.exp(-(r - 3) / 4)))[:n]
    d, longitude, r = d[kept], longitude[kept], r[kept]
    y = 0.1 - 0.06 * (r - 8.122) + 0.06 * rng.normal(size=n) + 0.03 * rng.normal(size=n)
    if observed:
        d = np.maximum(d * (1 + share * rng.normal(size=n)), 0.02)
        r = np.hypot(8.122 - d * np.cos(longitude), d * np.sin(longitude))
    err = share * d * np.abs((d - 8.122 * np.cos(longitude)) / r)
    return (r if observed else r + err * rng.normal(size=n)), y, err, np.full(n, 0.03)


@pytest.mark.t1
@pytest.mark.parametrize(
    ("observed", "share", "most"), [(False, 0.1, 0.001), (False, 0.3, 0.0015), (True, 0.1, 0.0015), (True, 0.2, 0.0017)]
)
def test_errors_that_grow_with_distance_are_not_over_corrected(observed, share, most):
    """Truth -.060; means of 10 samples of 3000 stars, scatter .001 each, with one prior and with one for each bin.

    =======================  =========  ===========  ===========
    errors from              distances  one prior    twelve bins
    =======================  =========  ===========  ===========
    the true distance        20 %       -.0633       -.0600
    the true distance        30 %       -.0661       -.0600
    the observed distance    10 %       -.0613       -.0601
    the observed distance    20 %       -.0649       -.0611
    the observed distance    30 %       -.0703       -.0626
    =======================  =========  ===========  ===========
    """
    slopes = [
        eiv.fit(*disc(seed, share, 3000, observed=observed), x0=8.122, n_components=1, error_bins=12).slope
        for seed in range(10)
    ]
    assert abs(np.mean(slopes) + 0.06) < most
    one = eiv.fit(*disc(0, share, 3000, observed=observed), x0=8.122, n_components=1)
    assert one.slope < slopes[0]


def test_bins_of_the_error_come_with_their_priors_and_their_density():
    data = disc(0, 0.2, 600, observed=False)
    line = eiv.fit(*data, x0=8.122, n_components=2, error_bins=3)
    assert line.prior_weights.shape == line.prior_means.shape == line.prior_widths.shape == (3, 2)
    assert line.prior_weights.sum(axis=1) == pytest.approx(np.ones(3))
    assert (np.diff(line.error_edges) > 0).all()
    assert line.log_density(*data).sum() == pytest.approx(line.loglike, rel=1e-9)
    same = eiv.fit(data[0], data[1], 0.3, 0.03, n_components=1, error_bins=5)
    assert len(same.error_edges) == 0
    with pytest.raises(ParameterError, match="error_bins is 2"):
        eiv.fit(*data, error_bins=2, mean="knee")
