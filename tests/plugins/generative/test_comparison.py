"""Generators side by side: what evaluations say together, and what is no evaluation."""

import numpy as np
import pytest
import xarray as xr

import hven
from hven.errors import DataRefusedError
from hven.mocks import bubble_maps
from hven_plugins.generative import (
    generative_comparison,
    generative_evaluation,
    generative_forecast,
    hven_report_sections,
)
from hven_plugins.generative.comparison_figures import _draw_distances
from hven_plugins.generative.conclusion import Forecast, Judged, concluded


def judged(kind="diffusion", n=500, w=0.0, fsd=0.02, err=0.002, **told):
    return Judged(f"{kind}-{n}-{w}", kind, n, w, fsd, err, **told)


class Kept:
    """Stands for the path of a dataset."""

    def __init__(self, name, data):
        self.name, self.data = name, data

    def dataset(self):
        return self.data


def made(seed, n=100, **told):
    """Images of parameters that vary, and what they tell of their generator."""
    rng = np.random.default_rng(seed)
    knobs = {"bubbles": rng.uniform(4, 12, n), "radius": 3.0}
    images = bubble_maps(n, seed, pixels=16, **knobs).inputs["images"]
    return images.assign_attrs({"n_training": 100, "guidance": 0.0} | told if told else {})


def evaluated(reference, generated, **how):
    return generative_evaluation(reference, generated, **{"scales": 2, "n_boot": 10, "classifier_rows": 40} | how)


def compared(first, *others, forecasts=()):
    """Return the comparison of results that are in no lake."""
    others, forecasts = (
        tuple(Kept(f"{kind} {i}", one) for i, one in enumerate(some))
        for kind, some in (("other", others), ("forecast", forecasts))
    )
    return generative_comparison.function(first, others=others, forecasts=forecasts)


def test_the_nearest_at_every_size_is_named_only_when_errors_allow_it():
    apart = [judged(n=500), judged("gan", n=500, fsd=0.2), judged(n=2000), judged("gan", n=2000, fsd=0.1)]
    told = concluded(apart)
    assert "diffusion is nearest at every training size" in told.text
    assert told.best == {0, 2}
    close = concluded([*apart[:3], judged("gan", n=2000, fsd=0.021)])
    assert "With 2,000 training images none is nearest" in close.text
    assert "every training size" not in close.text


def test_repetitions_are_told_by_their_mean_and_their_scatter():
    told = concluded([judged(fsd=0.01), judged(fsd=0.05), judged("gan", fsd=0.05), judged("gan", fsd=0.052)])
    assert "none is nearest: diffusion has 0.03 +/- 0.02" in told.text
    assert told.best == {0, 1}


def test_guidance_is_judged_by_the_mean_of_repetitions_and_not_by_the_luckiest():
    entries = [judged(fsd=0.02), judged(fsd=0.04), judged(w=1.0, fsd=0.03), judged(w=1.0, fsd=0.01)]
    assert "guidance does not help diffusion" in concluded(entries).text
    entries = [judged(fsd=0.2), judged(fsd=0.22), judged(w=1.0, fsd=0.03), judged(w=1.0, fsd=0.01)]
    assert "guidance helps diffusion: FSD 0.02 at w = 1, 0.21 without" in concluded(entries).text


def test_lost_variety_guidance_and_forecasts_are_told():
    lost = ("coverage", 0.2, 0.76)
    entries = [
        judged(forecast=Forecast(1.1, 0.05)),
        judged(w=1.0, fsd=0.005),
        judged("gan", fsd=0.3, lost=(lost, ("smallest ratio of variances", 0.1, 0.2)), forecast=Forecast(0.4, 0.1)),
        judged("gan", n=2000, fsd=0.2, lost=(lost,), forecast=Forecast(2.0, 0.9)),
        judged("gan", n=2000, fsd=0.2, lost=(("coverage", 0.4, 0.78),), forecast=Forecast(2.4, 0.9)),
        judged("gan", n=2000, fsd=0.2),
    ]
    told = concluded(entries).text
    assert told.count("lost by the GAN") == 1
    assert "the GAN (500 images: coverage 0.2, limit 0.76; smallest ratio of variances 0.1, limit 0.2" in told
    assert "; 2,000 images, 2 of 3 repetitions: coverage 0.3, limit 0.77)" in told
    assert "guidance helps diffusion: FSD 0.005 at w = 1, 0.02 without" in told
    assert "diffusion (500 images) can be trusted: Fisher area 1.10" in told
    assert "the GAN (500 images) cannot be trusted: Fisher area 0.40" in told
    assert (
        "the GAN (2,000 images, 2 of 3 repetitions) can be trusted takes more images to tell: Fisher area 2.20 +/- 0.64"
    ) in told
    harmful = concluded([judged(), judged(w=1.0, fsd=0.3)]).text
    assert "guidance does not help diffusion" in harmful
    assert "No generator has lost variety" in harmful


def test_a_forecast_that_cannot_be_made_is_told():
    nan = float("nan")
    empty = judged("gan", forecast=Forecast(nan, nan, lost=0.9, generated_tells=False))
    hidden = judged("gan", n=2000, forecast=Forecast(nan, nan, lost=0.9, reference_tells=False))
    open_ = judged(forecast=Forecast(2.0, nan, lost=0.2))
    told = concluded([empty, hidden, open_]).text
    assert "No forecast can be made from images of the GAN (500 images): as far as errors tell, they do not" in told
    assert "No forecast from images of the GAN (2,000 images) can be judged" in told
    assert "diffusion (500 images) can be trusted takes more images to tell: Fisher area 2.00 of the" in told
    assert "none in 20 % of the bootstrap replicates" in told


def test_a_distance_without_a_limit_is_not_ranked_and_the_conclusion_says_why():
    for kinds in (("diffusion", "gan"), ("gan", "diffusion")):
        told = concluded([judged(kinds[0], fsd=np.nan), judged(kinds[1], fsd=0.04)])
        assert told.best == {1}
        assert "nearest" not in told.text
        assert "has no limit, to rank by: a random half of the generated images" in told.text
    part = concluded([judged(fsd=np.nan), judged(fsd=0.01), judged("gan", fsd=0.3)])
    assert "diffusion is nearest: FSD 0.01" in part.text
    assert "diffusion (500 images, 1 of 2 repetitions) has no limit" in part.text
    assert part.best == {1}
    nothing = concluded([judged(fsd=np.nan), judged("gan", fsd=np.nan)])
    assert nothing.best == frozenset()
    assert "The distances of diffusion (500 images), the GAN (500 images) have no limit" in nothing.text


def test_evaluations_with_other_references_or_features_are_refused():
    reference, ours, theirs = made(1), made(2, generator="gan"), made(3, generator="diffusion")
    first = evaluated(reference, ours)
    assert compared(first, evaluated(reference, theirs)).is_best.sum() == 1
    with pytest.raises(DataRefusedError, match=r"scales and the features differ .*'other 0'"):
        compared(first, evaluated(reference, theirs, scales=1))
    with pytest.raises(DataRefusedError, match="the images of the reference differ"):
        compared(first, evaluated(made(4), theirs))
    with pytest.raises(DataRefusedError, match="the number of images of the reference differ"):
        compared(first, evaluated(reference.isel(object=slice(90)), theirs))


def test_distances_that_are_not_above_their_errors_are_drawn_as_upper_limits():
    """A logarithmic axis would lose the best: -0.004 +- 0.006 is below 0.012, 0.003 +- 0.004 below 0.011."""
    columns = {
        "generator": ["diffusion"] * 3,
        "n_training": [250, 1000, 1000],
        "guidance": [0.0, 0.0, 1.0],
        "fsd_limit": [-0.004, 0.003, np.nan],
        "fsd_limit_err": [0.006, 0.004, np.nan],
        "fsd_floor": [0.01] * 3,
    }
    result = xr.Dataset({name: ("evaluation", values) for name, values in columns.items()})
    left, right = _draw_distances(result).axes
    assert left.get_yscale() == "log"
    assert left.lines[0].get_xydata().tolist() == [[250, pytest.approx(0.012)], [1000, pytest.approx(0.011)]]
    assert left.get_ylim()[0] < 0.01
    assert "upper limit (two errors)" in [text.get_text() for text in right.get_legend().get_texts()]


def test_a_forecast_goes_to_the_evaluation_of_the_same_images_and_to_no_other():
    reference, ours, theirs = made(1), made(2, generator="gan"), made(3, generator="diffusion")
    both = evaluated(reference, ours), evaluated(reference, theirs)
    how = {"scales": 1, "n_boot": 10}
    forecast = generative_forecast(reference, theirs, **how)
    assert np.isnan(compared(*both, forecasts=[forecast]).area_ratio.values).tolist() == [True, False]
    with pytest.raises(
        DataRefusedError, match="images of diffusion with 100 training images, w = 0, and no evaluation is"
    ):
        compared(both[0], forecasts=[forecast])
    with pytest.raises(DataRefusedError, match="no evaluation more is of images of that model"):
        compared(*both, forecasts=[forecast, forecast])
    with pytest.raises(DataRefusedError, match="may be of the images of 2 evaluations"):
        compared(both[1], both[1], forecasts=[forecast])
    with pytest.raises(DataRefusedError, match="another reference than the evaluations"):
        compared(*both, forecasts=[generative_forecast(made(4), theirs, **how)])


def test_a_comparison_in_a_lake_tells_one_story_in_its_report(tmp_path):
    lake = hven.create(tmp_path / "lake")
    sets = {"real": ({}, {}), "good": ({}, {"generator": "diffusion"}), "narrow": ({"unique": 4}, {"generator": "gan"})}
    with lake.transaction("maps") as tx:
        for seed, (name, (knobs, told)) in enumerate(sets.items()):
            images = bubble_maps(200, seed + 1, pixels=16, **knobs).inputs["images"]
            tx.write(name, images.assign_attrs(**told, n_training=100, guidance=0.0, model=name), kind="images")
    quiet = {"cluster": "synchronous", "progress": False}
    for name in ("good", "narrow"):
        given = {"reference": "real", "generated": name}
        how = {"scales": 2, "n_boot": 10, "classifier_rows": 40}
        run = hven.run(lake, generative_evaluation, given, how, output=f"{name}_judged", **quiet)
        kept = run.result.dataset()
        assert kept.attrs["n_training"] == 100
        assert kept.example.shape == (2, 8, 16, 16)
        assert np.isfinite(kept.example).all()
    run = hven.run(
        lake, generative_comparison, {"evaluation": "good_judged"}, {"others": ["narrow_judged"]}, **quiet
    )  # fmt: skip
    result = run.result.dataset().compute()
    assert result.generator.values.tolist() == ["diffusion", "gan"]
    assert result.is_best.values.tolist() == [True, False]
    assert "Variety is lost by the GAN" in str(result.conclusion.values)
    conclusion, *shown = hven_report_sections(run)
    assert conclusion.text == str(result.conclusion.values)
    assert len(conclusion.rows) == 2
    titles = [f"Images and features: {kind}, 100" for kind in ("diffusion", "gan")]
    assert [section.title for section in shown] == titles
    assert set(run.figures) == {"distances", "variety"}
    assert run.caveats == []


def test_what_is_no_evaluation_or_has_no_generator_is_refused():
    (told,) = generative_comparison.make_mock(120, 0).inputs.values()
    with pytest.raises(DataRefusedError, match="no 'fsd_limit'"):
        generative_comparison(told.drop_vars("fsd_limit"))
    for name in ("generator", "n_training", "guidance"):
        without = told.assign_attrs(told.attrs)
        del without.attrs[name]
        with pytest.raises(DataRefusedError, match="do not tell of their generator"):
            generative_comparison(without)
