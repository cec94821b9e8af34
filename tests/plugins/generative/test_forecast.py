"""Forecasts of a generator against its simulator, and copies of training images."""

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from hven.errors import DataRefusedError, MissingColumnError, TooFewObjectsError
from hven.methods.frechet import Sample
from hven.mocks import bubble_maps
from hven.plugins import evaluate
from hven.testing import AnalysisSuite
from hven_plugins.generative import generative_forecast, generative_memorisation
from hven_plugins.generative.forecast import _response, _shift

QUICK = {"scales": 3, "n_boot": 20}


class TestGenerativeForecast(AnalysisSuite):
    analysis = generative_forecast
    parameters: ClassVar = QUICK
    size = 350
    rtol = 1e-5
    atol = 1e-6


class TestGenerativeMemorisation(AnalysisSuite):
    analysis = generative_memorisation
    parameters: ClassVar = {"scales": 3}
    size = 60


def linear(n, seed, *, slopes, offset=0.0, noise=0.1, steps=None):
    """Images whose features are known: only the mean of the image answers to a parameter."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(-1, 1, (len(slopes), n)) if steps is None else steps
    maps = bubble_maps(n, seed, pixels=16).inputs["images"].drop_vars("theta_bubbles")
    mean = offset + np.asarray(slopes) @ theta + noise * rng.standard_normal(n)
    flux = maps.flux.values - maps.flux.values.mean((1, 2, 3), keepdims=True) + mean[:, None, None, None]
    columns = {f"theta_{name}": ("object", t) for name, t in zip("ab", theta, strict=False)}
    return maps.assign(flux=(maps.flux.dims, flux.astype(np.float64)), **columns)


KNOWN = {"scales": 1, "with_mean": True, "n_boot": 10}


def test_a_linear_gaussian_model_has_its_information_shift_and_errors():
    """sigma_theta = noise / slope = 0.05; images with 0.02 more look to the simulator as of 0.02 / slope more."""
    ours, theirs = linear(4000, 1, slopes=[2.0]), linear(4000, 2, slopes=[2.0], offset=0.02)
    result = generative_forecast(ours, theirs, **KNOWN)
    assert result.sigma.values == pytest.approx(0.05, rel=0.05)
    assert float(result.theta_shift[0]) == pytest.approx(0.01, abs=4 * float(result.theta_shift_err[0]))
    assert float(result.theta_shift_err[0]) == pytest.approx(0.05 * np.sqrt(2 / 4000), rel=0.1)
    assert float(result.area_ratio) == pytest.approx(1.0, abs=4 * float(result.area_ratio_err))


def test_a_generator_that_answers_less_has_a_larger_ellipse_and_a_bias_of_its_slope():
    ours, theirs = linear(3000, 1, slopes=[2.0]), linear(3000, 2, slopes=[1.0])
    result = generative_forecast(ours, theirs, **KNOWN)
    assert float(result.area_ratio) == pytest.approx(2.0, rel=0.1)
    bias = result.slope_bias.sel(feature="s0") / result.slope_bias_err.sel(feature="s0")
    assert float(bias[0]) < -50


def test_a_design_of_steps_gives_central_differences():
    n = 900
    steps = np.repeat([-0.5, 0.0, 0.5], n // 3)[None]
    made = linear(n, 3, slopes=[2.0], steps=steps)
    result = generative_forecast(made, made, **KNOWN)
    mean = made.flux.values.mean((1, 2, 3))
    expected = mean[600:].mean() - mean[:300].mean()
    slope = result.slope.sel(set="reference", feature="s0") * made.flux.values.std()
    assert float(slope[0]) == pytest.approx(expected, rel=0.01)


def test_noise_of_the_derivatives_is_taken_out():
    """A parameter that moves nothing: information is 0 on average, and the uncorrected one p / (n var theta)."""
    clean, noisy = [], []
    for seed in range(12):
        made = linear(120, 10 + seed, slopes=[0.0])
        result = generative_forecast(made, made, **KNOWN)
        clean.append(float(result.information[0, 0, 0]))
        noisy.append(float(result.information_noisy[0, 0, 0]))
    expected = 2 / (120 / 3)
    assert np.mean(noisy) == pytest.approx(expected, rel=0.5)
    assert abs(np.mean(clean)) < 3 * np.std(clean) / np.sqrt(12)


def test_both_corrections_of_the_covariance_are_there():
    mock = generative_forecast.make_mock(200, 1)
    one, other = (
        generative_forecast(*mock.inputs.values(), **QUICK, likelihood=kind)
        for kind in ("hartlap", "sellentin-heavens")
    )
    ratio = other.information.values / one.information.values
    assert np.ptp(ratio) < 1e-9
    assert 1.0 < ratio.mean() < 1.01


def test_images_without_parameters_or_with_other_ones_are_refused():
    made = linear(60, 1, slopes=[1.0])
    with pytest.raises(MissingColumnError, match="no parameters"):
        generative_forecast(made.drop_vars("theta_a"), made.drop_vars("theta_a"), **KNOWN)
    with pytest.raises(MissingColumnError, match="theta_a"):
        generative_forecast(made, made.rename(theta_a="theta_b"), **KNOWN)


def test_a_parameter_that_does_not_vary_is_refused_by_name():
    made = linear(60, 1, slopes=[1.0])
    still = made.assign(theta_a=0 * made.theta_a + 0.3)
    with pytest.raises(DataRefusedError, match="'a' does not vary"):
        generative_forecast(made, still, **KNOWN)


def test_too_few_images_are_refused():
    with pytest.raises(TooFewObjectsError, match="5 images"):
        generative_forecast(linear(60, 1, slopes=[1.0]), linear(5, 2, slopes=[1.0]), **KNOWN)


def test_a_generator_that_ignores_its_parameters_has_no_ellipse_and_the_figure_says_so():
    """Shuffled parameters; one shuffle leaves a matrix of two negative eigenvalues, whose determinant is positive."""
    rng, n = np.random.default_rng(0), 300
    maps = bubble_maps(n, 1, pixels=24, bubbles=rng.uniform(6, 18, n), radius=rng.uniform(2, 5, n)).inputs["images"]
    for seed, negative in ((0, 1), (7, 2)):
        order = np.random.default_rng(seed).permutation(n)
        theta = {name: ("object", maps[name].values[order]) for name in ("theta_bubbles", "theta_radius")}
        result = generative_forecast(maps, maps.assign(theta), scales=2, n_boot=20)
        assert int(np.sum(np.linalg.eigvalsh(result.information.values[1]) < 0)) == negative
        assert np.isfinite(result.sigma.values[0]).all()
        assert np.isnan(result.sigma.values[1]).all()
        assert np.isnan(float(result.area_ratio))
        assert np.isnan(float(result.area_ratio_err))
        assert float(result.indefinite_share[0]) <= 0.05
        assert float(result.indefinite_share[1]) > 0.5
        title = generative_forecast.draw(result)["corner"].axes[0].get_title(loc="left")
        assert title == "no ellipse: noise hides what generated images say"


def test_an_area_has_no_error_where_too_many_replicates_have_no_ellipse():
    ours, theirs = linear(300, 1, slopes=[2.0]), linear(300, 6, slopes=[0.02])
    result = generative_forecast(ours, theirs, **{**KNOWN, "n_boot": 50})
    assert float(result.area_ratio) > 5
    assert float(result.indefinite_share[1]) > 0.05
    assert np.isnan(float(result.area_ratio_err))
    title = generative_forecast.draw(result)["corner"].axes[0].get_title(loc="left")
    assert "with an error that noise leaves open" in title


def test_the_error_of_the_shift_takes_in_that_slopes_have_the_noise_of_the_same_images():
    """Five features of correlation 0.95, parameters two standard deviations away; scatter over 60 draws within 25 %."""
    rng = np.random.default_rng(5)
    root, slopes = np.linalg.cholesky(0.95 * np.ones((5, 5)) + 0.05 * np.eye(5)), rng.normal(size=(2, 5))
    shifts, told = [], []
    for seed in range(60):
        draw, both = np.random.default_rng(seed), []
        for away in (0.0, 2.0):
            theta = draw.normal(loc=[away, -away], size=(300, 2))
            rows = np.column_stack([theta @ slopes + draw.normal(size=(300, 5)) @ root.T, theta])
            sample = Sample.of(rows, draw.integers(0, 2**60, 300), n_boot=0)
            both.append(_response(SimpleNamespace(with_theta=sample), 5, ["a", "b"], "hartlap", "x"))
        shift, error = _shift(*both)
        shifts.append(shift)
        told.append(error)
    assert np.mean(told, axis=0) == pytest.approx(np.std(shifts, axis=0), rel=0.25)


def test_parameters_that_vary_only_together_are_refused_by_name():
    made = linear(60, 1, slopes=[1.0, 1.0])
    tied = made.assign(theta_b=2 * made.theta_a + 1)
    with pytest.raises(DataRefusedError, match="'a', 'b' vary only together"):
        generative_forecast(tied, tied, **KNOWN)


def test_what_tells_of_nulls_of_a_parameter_is_no_parameter():
    made = linear(60, 1, slopes=[1.0])
    told = made.assign(theta_a_valid=("object", np.arange(60) >= 10))
    both = {"reference": told, "generated": made.assign(theta_a_valid=("object", np.ones(60, bool)))}
    result = evaluate(generative_forecast, both, KNOWN)[""]
    assert result.parameter.values.tolist() == ["a"]
    assert result.n.values.tolist() == [50, 60]


def test_a_sparse_design_has_a_forecast_whose_replicates_without_one_are_counted():
    steps = np.zeros((1, 60))
    steps[0, :6] = [1, -1] * 3
    made = linear(60, 1, slopes=[2.0], steps=steps)
    result = generative_forecast(made, made, **{**KNOWN, "n_boot": 200})
    assert np.isfinite(result.sigma).all()
    assert 0 < float(result.indefinite_share[0]) < 0.5
    steps[0, 1:6] = 0
    lonely = linear(60, 1, slopes=[2.0], steps=steps)
    with pytest.raises(DataRefusedError, match="in one half of the images the parameters a do not all vary"):
        generative_forecast(lonely, made, **KNOWN)


@pytest.mark.parametrize("unique", [1, 2])
def test_a_generator_of_one_or_two_images_is_refused_as_collapsed(unique):
    made = linear(60, 1, slopes=[1.0])
    kept = made.flux.values[np.arange(60) % unique]
    with pytest.raises(DataRefusedError, match=f"{unique} of 60 images are different .*'generated'.*has collapsed"):
        generative_forecast(made, made.assign(flux=(made.flux.dims, kept)), **KNOWN)


def test_copies_are_found_among_new_images_also_when_turned():
    mock = generative_memorisation.make_mock(200, 1)
    training, generated = mock.inputs["training"], mock.inputs["generated"].copy(deep=True)
    generated.flux[:20] = np.rot90(training.flux[50:70].values, axes=(2, 3)) + 1e-4
    result = generative_memorisation(generated, training, mock.inputs["held_out"], scales=3)
    assert 0.1 <= float(result.copies) < 0.15
    assert "copies" in str(result.verdict.values)
    found = [result[name].values[:20].tolist() for name in ("generated_id", "training_id")]
    nearest = dict(zip(*found, strict=True))
    assert nearest == {i: 50 + i for i in range(20)}
    shown = result.pair_image.sel(side="training")[0].values
    assert np.array_equal(shown, training.flux.values[int(result.training_id[0]), 0])


def test_new_images_are_no_copies():
    mock = generative_memorisation.make_mock(200, 2)
    result = generative_memorisation(**mock.inputs, scales=3)
    assert float(result.copies) < 0.04
    assert "no nearer" in str(result.verdict.values)
    assert np.all(np.diff(result.relative_distance.values) >= 0)
