"""Generators side by side: what evaluations say together, and what is no evaluation."""

import numpy as np
import pytest

import hven
from hven.errors import DataRefusedError
from hven.mocks import bubble_maps
from hven_plugins.generative import generative_comparison, generative_evaluation, hven_report_sections
from hven_plugins.generative.conclusion import Judged, concluded

FINE = {"log_det": -0.5, "smallest_ratio": 0.8, "coverage": 0.9, "coverage_expected": 0.95}


def judged(kind="diffusion", n=500, w=0.0, fsd=0.02, err=0.002, **told):
    return Judged(f"{kind}-{n}-{w}", kind, n, w, fsd, err, **{**FINE, **told})


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


def test_lost_variety_guidance_and_forecasts_are_told():
    entries = [
        judged(area_ratio=1.1, area_ratio_err=0.05),
        judged(w=1.0, fsd=0.005),
        judged("gan", fsd=0.3, coverage=0.2, area_ratio=0.4, area_ratio_err=0.1),
        judged("gan", n=2000, fsd=0.2, coverage=0.3, area_ratio=2.0, area_ratio_err=0.9),
    ]
    told = concluded(entries).text
    assert told.count("lost by the GAN") == 1
    assert "the GAN (500 images: coverage 0.20 of 0.95 usual" in told
    assert "; 2,000 images: coverage 0.30" in told
    assert "guidance helps diffusion: FSD 0.005 at w = 1, 0.02 without" in told
    assert "diffusion (500 images) can be trusted: Fisher area 1.10" in told
    assert "the GAN (500 images) cannot be trusted: Fisher area 0.40" in told
    assert "the GAN (2,000 images) can be trusted takes more images to tell: Fisher area 2.00 +/- 0.90" in told
    harmful = concluded([judged(), judged(w=1.0, fsd=0.3)]).text
    assert "guidance does not help diffusion" in harmful
    assert "No generator has lost variety" in harmful


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
    del told.attrs["generator"]
    with pytest.raises(DataRefusedError, match="do not tell of their generator"):
        generative_comparison(told)
