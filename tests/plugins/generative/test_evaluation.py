"""Evaluations of generated images: conformance, what each way of failing looks like, and the acceptance experiments."""

from typing import ClassVar

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from hven.errors import DataRefusedError, MissingColumnError, TooFewObjectsError
from hven.methods.frechet import Sample
from hven.mocks import bubble_maps, gaussian_fields
from hven.plugins import evaluate
from hven.testing import AnalysisSuite
from hven_plugins.generative import generative_evaluation
from hven_plugins.generative.figures import draw_evaluation
from hven_plugins.generative.streaming import content_ids, copy_numbers, keys
from hven_plugins.generative.summary import Settings, Summary, summarised
from hven_plugins.generative.training import THETA
from hven_plugins.generative.variances import ratios
from hven_plugins.generative.verdict import Evidence, Limits, verdict

QUICK = {"scales": 3, "n_boot": 10, "classifier_rows": 60}


class TestGenerativeEvaluation(AnalysisSuite):
    analysis = generative_evaluation
    parameters: ClassVar = QUICK
    size = 220
    rtol = 1e-5
    atol = 1e-7


def maps(n, seed, **knobs):
    return bubble_maps(n, seed, **{"pixels": 32, **knobs}).inputs["images"]


def evaluated(n=300, **knobs):
    return generative_evaluation(maps(n, 1), maps(n, 2, **knobs), **QUICK)


def flagged(result):
    return {str(t) for t, f in zip(result.finding.values, result.is_flagged.values, strict=True) if f}


def test_images_of_one_kind_are_found_to_be_so():
    result = evaluated()
    assert str(result.verdict.values) == "No difference from the reference is found."
    assert abs(float(result.fsd_limit)) < 3 * float(result.fsd_limit_err)
    assert float(result.coverage[1]) > 0.8
    assert not result.is_flagged.any()


def test_collapse_is_found_and_named():
    result = evaluated(unique=10)
    assert "collapsed" in str(result.verdict.values)
    assert float(result.coverage[1]) < 0.4 * float(result.coverage[0])
    assert float(result.duplicates[1]) > 0.9
    assert float(result.log_det_difference) < -4
    assert "variety: share of images with a twin" in flagged(result)


def copied(images, unique, seed=0):
    """Return a set of as many images of which only the first few are there, each as often as chance has it."""
    n = images.sizes["object"]
    return images.isel(object=np.random.default_rng(seed).integers(0, unique, n))


@pytest.mark.parametrize("ids", ["their own", "equal for copies", "none"])
def test_a_generator_of_few_exact_copies_has_no_smaller_distance_in_the_limit(ids):
    """Ten of 400 images: copies stay together where chosen by pixels, and more images seem to mean more of a kind."""
    made = copied(maps(400, 2), 10)
    if ids == "their own":
        made = made.assign(object_id=("object", np.arange(400)))
    elif ids == "none":
        made = made.drop_vars("object_id")
    result = generative_evaluation(maps(400, 1), made, **QUICK)
    assert float(result.fsd_limit) == pytest.approx(float(result.fsd), rel=0.15)
    assert np.all(result.subset_fsd > 0.9 * result.fsd)
    assert float(result.fsd) > 5 * float(result.fsd_floor)
    assert np.isfinite(result.fsd_limit_err)
    assert "collapsed" in str(result.verdict.values)


@pytest.mark.parametrize("unique", [1, 2, 3, 5])
def test_a_generator_of_hardly_any_images_is_said_to_have_collapsed(unique):
    result = generative_evaluation(maps(200, 1), copied(maps(200, 2), unique), **QUICK)
    assert "collapsed" in str(result.verdict.values)
    assert float(result.fsd_limit if np.isfinite(result.fsd_limit) else result.fsd) > 0.01
    assert float(result.duplicates[1]) == 1.0


def test_copies_are_kept_as_often_as_they_come():
    """Of 200 images each comes six times; a hundred that are kept show more than the fifteen of the lowest numbers."""
    images = maps(40, 2).isel(object=np.repeat(np.arange(40), 6)).drop_vars("object_id")
    settings = Settings(2, 4, False, 0.4, 0.5, False, 0, 0, 60)
    kept = summarised(images, settings, "", "generated")
    assert len(np.unique(kept.ids)) > 25
    order = np.random.default_rng(0).permutation(240)
    again = summarised(images.isel(object=order).chunk({"object": 50}), settings, "", "generated")
    assert np.array_equal(again.keys, kept.keys)
    assert np.array_equal(again.ids, kept.ids)
    np.testing.assert_allclose(again.features.cut(2)[0].means, kept.features.cut(2)[0].means, rtol=1e-9)


def test_images_with_ids_of_their_own_are_not_read_to_tell_copies_apart():
    def read(block_info=None):
        raise AssertionError(block_info)

    unread = xr.DataArray(da.map_blocks(read, chunks=((30, 30), (8,), (8,)), dtype=float), dims=("object", "y", "x"))
    numbers = copy_numbers(unread, np.empty((60, 0)), np.arange(60))
    assert len(np.unique(numbers)) == 60
    assert np.all((numbers >= 0) & (numbers < 2**53) & (numbers % 1 == 0))


def test_copies_at_other_parameters_are_no_copies_to_choose_by():
    images = maps(1, 2).isel(object=np.zeros(300, dtype=int)).drop_vars("object_id")
    images = images.assign(theta_bubbles=("object", np.arange(300.0)))
    told = np.column_stack([images.theta_bubbles.values])
    flux = images.flux[:, 0]
    assert len(np.unique(keys(flux.values, told, np.zeros(300)))) == 300
    assert not copy_numbers(flux, told, None).any()


def test_few_images_of_one_kind_are_not_flagged_by_chance():
    """At 40 and 60 images a smallest ratio of variances of 0.2 and a twin among them are what is usual."""
    for n, m, scales in ((60, 60, 3), (60, 40, 3), (100, 60, 4)):
        for seed in (31, 33, 35):
            result = generative_evaluation(maps(n, seed), maps(m, seed + 1), **{**QUICK, "scales": scales})
            assert not flagged(result), (n, m, seed)


@pytest.mark.parametrize("seed", [57, 61, 96])
def test_few_images_whose_power_happens_to_scatter_little_are_not_flagged(seed):
    """By the scatter of these 24 alone their spectra are four to five standard errors from that of 600."""
    result = generative_evaluation(maps(600, 30, pixels=16), maps(24, seed, pixels=16), **{**QUICK, "scales": 2})
    own = (result.power[1] - result.power[0]) / np.hypot(*result.power_err)
    assert float(np.sqrt(np.mean(own**2))) > 4
    assert float(result.power_sigmas) < 2
    assert not flagged(result)


def test_a_set_of_which_few_images_have_parameters_is_not_flagged_for_it():
    """Of 500 images twenty have all parameters: the ratio of variances is theirs, and so is its limit."""
    for seed in (0, 10, 30):
        sets = [maps(500, seed + i, pixels=16) for i in (1, 2)]
        theta = np.random.default_rng(seed).uniform(size=(2, 500))
        theta[1, 20:] = np.nan
        told = [with_theta(s, a=column) for s, column in zip(sets, theta, strict=True)]
        result = generative_evaluation(*told, **QUICK)
        assert not flagged(result), seed
        assert 0 < limit_of(result, "variety: smallest ratio of variances") < 0.02


def test_variety_that_is_lost_at_fixed_parameters_is_found_though_parameters_hide_it():
    """Features of one map with noise: amplitudes vary as they should, and nothing varies at a fixed amplitude."""
    rng = np.random.default_rng(0)
    fields = rng.normal(size=(2, 200, 1, 16, 16))
    fields[1] = fields[1, 0] + 0.05 * fields[1]
    amplitude = rng.uniform(1, 2, (2, 200))
    dims = ("object", "band", "y", "x")
    sets = [
        xr.Dataset({"flux": (dims, a[:, None, None, None] * f), "theta_a": ("object", a)})
        for f, a in zip(fields, amplitude, strict=True)
    ]
    assert "variety: smallest ratio of variances" in flagged(generative_evaluation(*sets, **QUICK))


def test_limits_are_of_all_images_however_few_are_kept():
    """Limits of the distance and of the ratio of variances are much wider for a hundred images than for a thousand."""
    sets = maps(1000, 1, pixels=16), maps(1000, 2, pixels=16)
    all_of_them, few = (generative_evaluation(*sets, **QUICK, rows=rows) for rows in (4000, 100))
    for text, off in (("distance of the scattering features", 0.5), ("variety: smallest ratio of variances", 0.2)):
        assert limit_of(few, text) == pytest.approx(limit_of(all_of_them, text), rel=off)


def test_a_ratio_is_not_flagged_where_hardly_an_image_with_all_parameters_is_kept():
    theta = np.where(np.arange(200) < 15, np.random.default_rng(0).uniform(size=200), np.nan)
    sets = [with_theta(maps(200, s, pixels=16), a=theta) for s in (1, 2)]
    result = generative_evaluation(*sets, **QUICK, rows=20)
    assert limit_of(result, "variety: smallest ratio of variances") == 0
    assert not flagged(result)


def test_parameters_that_generators_know_are_bound_by_evaluations():
    for one in generative_evaluation.inputs.values():
        assert all(one.variable(name) for name in [*THETA, "theta_a_b_c_d"])


def test_the_verdict_quotes_the_distance_to_which_the_floor_belongs():
    result = evaluated(bubbles=14)
    told = f"(FSD {float(result.fsd):.2g}, floor {float(result.fsd_floor):.2g})."
    assert str(result.verdict.values).endswith(told)


def limit_of(result, text):
    return float(result.finding_limit[list(result.finding.values).index(text)])


def test_logarithms_of_determinants_of_unequal_numbers_are_comparable():
    """Of 25 normal features, 100 images lack 2.5 against 400, which is subtracted."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(12):
        one, other = (summary_of(rng.normal(size=(n, 25)) @ np.diag(np.linspace(1, 2, 25))) for n in (400, 100))
        found.append(ratios(one, other, [], "here"))
    assert abs(np.mean([r.log_det for r in found])) < 0.6
    assert np.mean([np.log(r.values).sum() for r in found]) < -1.8


def summary_of(rows):
    n = len(rows)
    sample = Sample.of(rows, np.arange(n), n_boot=0)
    none = np.zeros(0, dtype=np.int64)
    return Summary(n, 0, sample, None, None, sample.moments, none, none, rows, np.empty((n, 0)), none)


def test_a_gaussian_field_with_the_right_spectrum_is_found_though_its_spectrum_is_right():
    result = evaluated(is_gaussian=True)
    more = evaluated(bubbles=16)
    assert float(result.fsd) > 5 * float(more.fsd)
    assert float(result.power_difference) < float(more.power_difference)
    assert "power spectrum would not show it" in str(result.verdict.values)
    assert float(result.precision[1]) < 0.1
    assert float(result.auc) > 0.95
    assert "collapsed" not in str(result.verdict.values)


@pytest.mark.parametrize("seed", [11, 12])
def test_more_contrast_or_a_tilt_is_no_collapse_and_no_loss_of_variety(seed):
    """Before, "collapsed" was said of 4 of 20 sets of 10 % more contrast, and "variety is lost" of a tilt."""
    reference, other = maps(300, seed), maps(300, seed + 50)
    pixels = other.flux
    ramp = np.linspace(-0.5, 0.5, pixels.shape[-1]) * float(reference.flux.std())
    for changed in (pixels * 1.1, pixels + ramp):
        result = generative_evaluation(reference, other.assign(flux=changed), **QUICK)
        assert float(result.duplicates[1]) < 0.05
        assert "collapsed" not in str(result.verdict.values)
        if "variety: smallest ratio of variances" not in flagged(result):
            assert "variety" not in str(result.verdict.values)


def test_low_coverage_alone_is_said_to_be_a_difference():
    limits = Limits(0.002, 0.2, 0.7, 0.4, 0.7, 0.05)
    shares = {"precision": (0.9, 0.8), "recall": (0.9, 0.9), "density": (1.0, 1.0), "coverage": (0.9, 0.3)}
    numbers = {"fsd": 0.01, "fsd_floor": 0.001, "auc": 0.5, "auc_err": 0.01, "power_sigmas": 1.0, "unusable": 0.0}
    for twins, ratio, word in ((0.01, 0.8, "distributions differ"), (0.3, 0.8, "collapsed"), (0.01, 0.1, "collapsed")):
        found = verdict(
            Evidence(**numbers, **shares, duplicates=(0.01, twins), smallest_ratio=ratio, limits=limits)
        )  # fmt: skip
        assert word in found.text.lower()


def test_parameters_that_both_sets_share_are_held_fixed():
    """Sets that span different ranges of a parameter have different covariances, but not at fixed parameters."""

    def spanning(low, high, seed):
        bubbles = np.linspace(low, high, 8)
        parts = [maps(40, seed + i, bubbles=b) for i, b in enumerate(bubbles)]
        flux = np.concatenate([p.flux for p in parts])
        theta = np.concatenate([p.theta_bubbles for p in parts])
        return (
            parts[0]
            .isel(object=np.zeros(len(flux), dtype=int))
            .assign(flux=(parts[0].flux.dims, flux), theta_bubbles=("object", theta))
        )

    wide, narrow = spanning(6, 18, 10), spanning(11, 13, 50)
    fixed = generative_evaluation(wide, narrow, **QUICK)
    free = generative_evaluation(*(s.drop_vars("theta_bubbles") for s in (wide, narrow)), **QUICK)
    assert float(free.log_det_difference) < float(fixed.log_det_difference) - 0.5
    assert abs(float(fixed.log_det_difference)) < 1.5


def with_theta(images, **theta):
    return images.drop_vars("theta_bubbles").assign({f"theta_{k}": ("object", v) for k, v in theta.items()})


def test_parameters_that_follow_from_others_are_refused_by_name():
    rng = np.random.default_rng(0)
    (a, b), c = rng.uniform(size=(2, 80)), rng.uniform(size=80)
    with pytest.raises(DataRefusedError, match=r"'a', 'b' vary only together.*generated"):
        generative_evaluation(with_theta(maps(80, 1), a=a, b=b), with_theta(maps(80, 2), a=c, b=2 * c), **QUICK)


def test_nulls_of_a_parameter_of_whole_numbers_are_left_out_and_their_companion_is_none():
    sets = [with_theta(maps(120, s), n=np.random.default_rng(s).integers(1, 5, 120)) for s in (1, 2)]
    known = np.arange(120) >= 20
    lacking = [s.assign(theta_n=s.theta_n.where(known, 0).astype(int), theta_n_valid=("object", known)) for s in sets]
    gaps = [s.assign(theta_n=s.theta_n.where(known)) for s in sets]

    def bound(sets):
        return evaluate(generative_evaluation, dict(zip(("reference", "generated"), sets, strict=True)), QUICK)[""]

    np.testing.assert_allclose(bound(lacking).eigenvalue_ratio, bound(gaps).eigenvalue_ratio, rtol=1e-9)
    few = [s.assign(theta_n_valid=("object", np.arange(120) < 8)) for s in lacking]
    with pytest.raises(TooFewObjectsError, match="8 images have features and all parameters"):
        bound(few)


def test_features_of_the_user_get_a_distance_of_their_own():
    rng = np.random.default_rng(0)
    sets = [maps(200, s).assign(feature_a=("object", rng.normal(m, 1, 200))) for s, m in ((1, 0.0), (2, 2.0))]
    result = generative_evaluation(*sets, **QUICK)
    assert float(result.user_distance) == pytest.approx(4.0, abs=5 * float(result.user_distance_err))
    assert np.isnan(evaluated(60).user_distance)


def test_lazy_images_of_any_blocks_give_the_same_in_one_pass():
    sets = maps(150, 1), maps(150, 2)
    whole = generative_evaluation(*sets, **QUICK)
    lazy = generative_evaluation(*(s.chunk({"object": size}) for s, size in zip(sets, (40, 77), strict=True)), **QUICK)
    for name in ("fsd", "fsd_err", "fsd_limit", "coverage", "auc", "power_difference", "eigenvalue_ratio"):
        np.testing.assert_allclose(lazy[name], whole[name], rtol=1e-6, atol=1e-9)


def test_images_without_features_are_left_out_and_counted():
    sets = [maps(120, 1), maps(120, 2)]
    sets[1].flux[3], sets[1].flux[5, 0, 2, 2] = 0.7, np.nan
    result = generative_evaluation(*sets, **QUICK)
    assert result.n_unusable.values.tolist() == [0, 2]
    assert np.isfinite(result.fsd)
    assert flagged(result) == {"share of images without features"}
    assert str(result.verdict.values) == (
        "1.7% of the generated images have no features; no other difference from the reference is found."
    )


def test_as_few_images_as_there_are_are_shown():
    result = generative_evaluation(maps(60, 1), maps(7, 2), **{**QUICK, "scales": 1, "classifier_rows": 20})
    assert result.example.shape == (2, 7, 32, 32)


def test_counts_of_peaks_are_drawn_for_an_image_of_any_shape():
    flux = [maps(60, s).flux.values for s in (1, 2)]
    dims = ("object", "band", "y", "x")
    sets = [xr.Dataset({"flux": (dims, np.concatenate([one, one[..., ::-1]], axis=3))}) for one in flux]
    result = generative_evaluation(*sets, **{**QUICK, "scales": 2})
    drawn = draw_evaluation(result)["statistics"].axes[2].lines[0].get_ydata()
    np.testing.assert_allclose(drawn, 32 * 64 * result.peaks[0])


def test_images_of_unequal_shapes_are_refused():
    with pytest.raises(DataRefusedError, match="16 x 16"):
        generative_evaluation(maps(40, 1), maps(40, 2, pixels=16), **QUICK)


def test_constant_images_are_refused_as_a_reference_and_lost_as_generated_ones():
    flat = maps(60, 1)
    flat["flux"] = 0 * flat.flux + 2
    with pytest.raises(DataRefusedError, match="equal"):
        generative_evaluation(flat, maps(60, 2), **QUICK)
    with pytest.raises(DataRefusedError, match=r"none of the 60 images has features \(input 'generated'\)"):
        generative_evaluation(maps(60, 2), flat, **QUICK)
    tenth = flat.assign(flux=(flat.flux.dims, np.full(flat.flux.shape, 0.1)))
    with pytest.raises(DataRefusedError, match="equal"):
        generative_evaluation(tenth, maps(60, 2), **QUICK)


def test_images_of_nothing_but_nan_are_refused():
    holes = maps(60, 1)
    holes["flux"] = holes.flux * np.nan
    with pytest.raises(TooFewObjectsError, match="no pixel"):
        generative_evaluation(holes, maps(60, 2), **QUICK)


def test_fewer_images_than_features_are_refused():
    with pytest.raises(TooFewObjectsError, match="9 features"):
        generative_evaluation(maps(60, 1), maps(10, 2), **QUICK)


def test_parameters_in_one_set_only_are_refused_by_name():
    with pytest.raises(MissingColumnError, match="theta_bubbles"):
        generative_evaluation(maps(60, 1), maps(60, 2).drop_vars("theta_bubbles"), **QUICK)


def test_equal_images_have_equal_numbers_and_no_others_do():
    images = gaussian_fields(2000, 1, pixels=8).inputs["images"].flux.values[:, 0]
    ids = content_ids(images)
    assert len(set(ids.tolist())) == 2000
    assert np.array_equal(content_ids(images[::-1]), ids[::-1])
    assert np.array_equal(content_ids(images.astype(np.float64)), ids)
    assert ids.min() >= 0


@pytest.mark.t1
@pytest.mark.slow
def test_the_acceptance_experiments_on_toy_maps():
    """N = 2000, 64 x 64, J = 5, L = 4.

    | generated | target (prototype) | measured |
    | --- | --- | --- |
    | the same, FSD / limit | .0011 / |limit| < .001 | .0010 / -.0004 |
    | 11, 13, 16 bubbles, FSD | monotone in the difference (.0040 .0040 .0435) | .0043 .0033 .0398 |
    | 20 unique | covariance share > .6 (.88), coverage < .2, ln det -65 | .75 (from .60 by seed), .13, -60 |
    | Gaussian twins | > 50 x that of 16 bubbles; missed by the spectrum | 77 x; 1.4 % in power (16 bubbles: 7.5 %) |
    | blur of .6 pixels | (.20) | .31 |
    """
    reference = bubble_maps(2000, 1).inputs["images"]

    def against(seed=3, n=2000, **knobs):
        made = bubble_maps(n, seed, **knobs).inputs["images"]
        return generative_evaluation(reference, made, n_boot=10, classifier_rows=100)

    same = against()
    assert abs(float(same.fsd_limit)) < 1e-3
    assert not flagged(same)
    assert float(same.fsd) < 2e-3
    assert 3 < float(same.subset_fsd[2] / same.subset_fsd[0]) < 6
    near, far, twins = against(bubbles=13), against(bubbles=16), against(is_gaussian=True)
    fewer = against(bubbles=11)
    assert float(same.fsd) < min(float(near.fsd), float(fewer.fsd)) < max(float(near.fsd), float(fewer.fsd))
    assert all("distance of the scattering features" in flagged(one) for one in (near, fewer, far, twins))
    assert float(far.fsd) > 4 * max(float(near.fsd), float(fewer.fsd))
    assert float(twins.fsd) > 50 * float(far.fsd)
    assert float(twins.power_difference) < 0.5 * float(far.power_difference)
    collapsed = against(unique=20)
    assert float(collapsed.covariance_share) > 0.6
    assert float(collapsed.coverage[1]) < 0.2
    assert float(collapsed.log_det_difference) < -40
    assert "collapsed" in str(collapsed.verdict.values)
    assert float(against(blur=0.6).fsd) > 0.1
