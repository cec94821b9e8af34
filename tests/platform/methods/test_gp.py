import numpy as np
import pytest

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError, TooMuchDataError
from hven.methods import gp


@pytest.fixture(scope="module")
def plane():
    """Return 150 points of a field of amplitude 2 and scale 0.5 with errors of 0.1 to 0.4, and the field there."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 4, (150, 2))
    err = rng.uniform(0.1, 0.4, 150)
    distance2 = ((x[:, None] - x) ** 2).sum(axis=2)
    covariance = 4 * np.exp(-0.5 * distance2 / 0.25) + 1e-8 * np.eye(150)
    field = np.linalg.cholesky(covariance) @ rng.normal(size=150)
    return x, 3 + field + err * rng.normal(size=150), err, 3 + field


@pytest.mark.parametrize(("kernel", "oracle"), [("rbf", "ExpSquaredKernel"), ("matern32", "Matern32Kernel")])
def test_likelihood_and_predictions_are_those_of_dense_matrices(plane, kernel, oracle):
    """Target 1e-6 (relative): the formulas written out, with an explicit inverse."""
    x, y, err, _ = plane
    process = gp.fit(x, y, err, kernel=kernel, amplitude=1.7, scale=0.6)
    new = np.array([[1.0, 2.0], [3.3, 0.1]])

    def k(a, b):
        d = np.sqrt(((a[:, None] - b) ** 2).sum(axis=2))
        if oracle == "ExpSquaredKernel":
            return 1.7**2 * np.exp(-0.5 * d**2 / 0.36)
        return 1.7**2 * (1 + np.sqrt(3) * d / 0.6) * np.exp(-np.sqrt(3) * d / 0.6)

    c = k(x, x) + np.diag(err**2)
    inverse = np.linalg.inv(c)
    mean = np.ones(150) @ inverse @ y / (np.ones(150) @ inverse @ np.ones(150))
    off = y - mean
    want = -0.5 * (off @ inverse @ off + np.linalg.slogdet(c)[1] + 150 * np.log(2 * np.pi))
    assert process.loglike == pytest.approx(want, rel=1e-9)
    assert process.mean == pytest.approx(mean, rel=1e-9)
    told, told_err = process.predict(new)
    assert told == pytest.approx(mean + k(new, x) @ inverse @ off, rel=1e-6)
    assert told_err**2 == pytest.approx(1.7**2 - np.einsum("ij,jk,ik->i", k(new, x), inverse, k(new, x)), rel=1e-6)
    step = 1e-6
    for axis in (0, 1):
        moved = np.eye(2)[axis] * step
        slope = (process.predict(new + moved)[0] - process.predict(new - moved)[0]) / (2 * step)
        assert process.gradient(new)[:, axis] == pytest.approx(slope, rel=1e-5)


def test_amplitude_and_scale_are_learned(plane):
    x, y, err, _ = plane
    process = gp.fit(x, y, err)
    assert process.amplitude == pytest.approx(2.0, rel=0.25)
    assert process.scale == pytest.approx(0.5, rel=0.15)
    for wrong in ({"amplitude": 1.05 * process.amplitude}, {"scale": 0.95 * process.scale}):
        held = {"amplitude": process.amplitude, "scale": process.scale} | wrong
        assert gp.fit(x, y, err, **held).loglike < process.loglike


def test_errors_of_predictions_are_honest(plane):
    x, y, err, field = plane
    rest = np.arange(150) % 3 > 0
    told, told_err = gp.fit(x[rest], y[rest], err[rest]).predict(x[~rest])
    pull = (field[~rest] - told) / told_err
    assert 0.5 < np.mean(np.abs(pull) < 1) < 0.9
    assert np.abs(pull).max() < 5


def test_values_of_another_day_at_the_same_places_are_predicted_without_learning_again(plane):
    x, y, err, _ = plane
    process = gp.fit(x, y, err, amplitude=2.0, scale=0.5)
    other = gp.fit(x, 2 * y, err, amplitude=2.0, scale=0.5)
    assert process.predict(x[:5], 2 * y)[0] == pytest.approx(other.predict(x[:5])[0])


def test_what_cannot_be_a_process_is_refused():
    x, one = np.arange(5.0), np.ones(5)
    with pytest.raises(ParameterError, match="kernel"):
        gp.fit(x, x, one, kernel="cubic")
    with pytest.raises(TooFewObjectsError, match="2 points"):
        gp.fit(x[:2], x[:2], one[:2])
    with pytest.raises(TooMuchDataError, match="7000 points"):
        gp.fit(np.arange(7000.0), np.arange(7000.0), np.ones(7000))
    for bad in ((x, x * np.nan, one), (x, x, 0 * one), (0 * x, x, one), (x, x[:3], one)):
        with pytest.raises(DataRefusedError):
            gp.fit(*bad)


def test_a_constant_has_no_amplitude():
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 5, (200, 2))
    process = gp.fit(x, 0.1 * rng.normal(size=200), np.full(200, 0.1))
    assert process.amplitude < 0.03
