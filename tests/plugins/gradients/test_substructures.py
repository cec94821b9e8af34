from typing import ClassVar

import numpy as np
import pytest
import xarray as xr

from hven.errors import DataRefusedError, TooFewObjectsError, TooMuchDataError
from hven.mocks import residual_stars
from hven.testing import AnalysisSuite
from hven_plugins.gradients import metallicity_substructures
from hven_plugins.gradients.controls import compare, turned
from hven_plugins.gradients.evidence import Stars


class TestMetallicitySubstructures(AnalysisSuite):
    analysis = metallicity_substructures
    size = 3000
    parameters: ClassVar = {"n_permutations": 5}
    rtol = 1e-5


def found_and_false(result, truth):
    """Return how many patches have a found candidate within 0.5 kpc, and how many found ones have none within 0.8."""
    table = result[""]
    kept = table.isel(patch=np.flatnonzero(table.is_found.values))
    if not kept.sizes["patch"] or not len(truth["x_gal"]):
        return 0, kept.sizes["patch"]
    distance = np.hypot(
        kept.x_gal.values[:, None] - truth["x_gal"], kept.y_gal.values[:, None] - truth["y_gal"]
    )  # fmt: skip
    return int(np.sum(distance.min(axis=0) < 0.5)), int(np.sum(distance.min(axis=1) > 0.8))


@pytest.mark.slow
@pytest.mark.t1
def test_five_patches_are_found_in_a_correlated_field():
    """Target: >= 4 of 5 found and <= 1 false, 20,000 stars, field of 0.05 dex and 0.5 kpc, patches of -0.12 dex.

    Measured over these 12 discs: 5 of 5 in eight, 4 in three, 3 in one; none false. By the deficit of the mean alone,
    which a linear filter sees at 2 to 3 sigma against such a field, none is found.
    """
    told = [residual_stars(20_000, seed) for seed in range(12)]
    results = [metallicity_substructures(m.inputs["stars"], n_permutations=0) for m in told]
    counts = np.array([found_and_false(r, m.truth) for r, m in zip(results, told, strict=True)])
    assert np.mean(counts[:, 0] >= 4) >= 0.75
    assert counts[:, 0].mean() > 4
    assert counts[:, 1].max() <= 1
    alone = metallicity_substructures(told[2].inputs["stars"], n_permutations=0, use="mean")
    assert found_and_false(alone, told[2].truth)[0] <= 2


@pytest.mark.slow
@pytest.mark.t1
@pytest.mark.parametrize("field", [0.05, 0.0])
def test_nothing_is_found_where_nothing_is(field):
    """Target: 0 found in >= 90 % of 20 discs without patches. Measured: 19 of 20 with the field, 19 without."""
    empty = 0
    for seed in range(20):
        stars = residual_stars(20_000, seed, patches=0, field=field).inputs["stars"]
        empty += not metallicity_substructures(stars, n_permutations=0)[""].is_found.any()
    assert empty >= 18


@pytest.fixture(scope="module")
def patches():
    mock = residual_stars(20_000, 2)
    return mock, metallicity_substructures(mock.inputs["stars"], n_permutations=19)


@pytest.mark.t1
def test_patches_of_one_disc_are_found_with_their_stars(patches):
    """Disc 2: 5 of 5, none false; each has more metal-poor stars and more scatter than its controls."""
    mock, result = patches
    assert found_and_false(result, mock.truth) == (5, 0)
    table = result[""].isel(patch=np.flatnonzero(result[""].is_found.values))
    assert (np.diff(table.z_score) >= 0).all()
    assert (table.fraction > table.fraction_controls + 0.03).all()
    assert (table.sigma_int > table.sigma_int_controls).all()
    assert (table.fraction_p < 0.01).all()
    assert (table.ks_p < 0.05).sum() >= 4  # the fifth lies on a crest of the field, and has the mean of its controls
    assert (table.ad_p < 0.05).sum() >= 4
    assert (table.q <= 0.05).all()
    assert ((table.permutation_p >= 0.05) & (table.permutation_p <= 1)).all()
    cube = result["map"]
    assert float(cube.field_amplitude) == pytest.approx(0.05, abs=0.02)
    assert float(cube.field_scale) == pytest.approx(0.5 * np.sqrt(2), abs=0.2)
    for k in range(result[""].sizes["patch"]):
        assert int(result[""].n[k]) == int(cube.n.values[cube.patch.values == k].sum())
        assert int(cube.histogram[k].sum()) == pytest.approx(int(result[""].n[k]), rel=0.02)


@pytest.mark.t1
def test_noise_alone_is_no_measure_of_what_stands_out(patches):
    """The failing baseline: a smoothed map over its noise finds 8 troughs of a field without any patch, at 39 sigma."""
    stars = residual_stars(20_000, 3, patches=0).inputs["stars"]
    plain = metallicity_substructures(stars, smoothing="gaussian", use="mean", n_permutations=0)
    careful = metallicity_substructures(stars, n_permutations=0)
    assert int(plain[""].is_found.sum()) >= 3
    assert float(plain[""].z_score.min()) < -8
    assert not careful[""].is_found.any()


def test_scatter_that_differs_from_place_to_place_is_a_caveat():
    """Scatter of 0.06 dex that varies with azimuth by 30 %, without a patch: 3.3 to 5.4 times chance in six discs."""
    even = residual_stars(20_000, 202, patches=0).inputs["stars"]
    assert not any("scatter of stars differs" in text for text in caveats_of(even))
    bare = residual_stars(20_000, 202, patches=0, sigma_int=0.0).inputs["stars"]
    sigma = 0.06 * (1 + 0.3 * np.sin(4 * np.pi * (bare.phi_gal.values - np.pi)))
    uneven = bare.assign(
        delta_feh=("object", bare.delta_feh.values + sigma * np.random.default_rng(1).normal(size=len(sigma)))
    )
    assert any("scatter of stars differs from place to place" in text for text in caveats_of(uneven))


def caveats_of(stars):
    return metallicity_substructures(stars, n_permutations=0)[""].attrs.get("caveats", [])


def test_evidence_of_a_map_without_patches_has_unit_scatter():
    """Four discs: the evidence of a pixel in the mean averages 0.05, with a standard deviation of 1.01."""
    values = []
    for seed in range(4):
        stars = residual_stars(6000, seed, patches=0, field=0.04, scale=0.6).inputs["stars"]
        evidence = metallicity_substructures(stars, n_permutations=0)["map"].mean_z.values
        values.append(evidence[np.isfinite(evidence)])
    everything = np.concatenate(values)
    assert abs(everything.mean()) < 0.3
    assert 0.75 < everything.std() < 1.25


def test_turned_rings_keep_their_stars_and_their_order():
    rng = np.random.default_rng(1)
    x, y = rng.normal(-8, 1, 400), rng.normal(0, 1, 400)
    delta = rng.normal(size=400)
    stars = Stars(x, y, delta, np.ones(400), np.zeros(400), np.zeros(400), np.zeros(400, dtype=int))
    moved = turned(stars, 0.5, np.random.default_rng(2))
    ring = np.floor(np.hypot(x, y) / 0.5)
    for k in np.unique(ring):
        here = ring == k
        order = np.argsort(np.arctan2(y[here], -x[here]))
        before, after = delta[here][order], moved.delta[here][order]
        start = int(np.flatnonzero(before == after[0])[0])
        assert np.roll(before, -start).tolist() == after.tolist()
    assert (moved.x == x).all()


def test_a_patch_is_compared_with_stars_at_its_radius():
    rng = np.random.default_rng(3)
    delta = rng.normal(0, 0.06, 5000)
    patch = np.arange(5000) < 400
    delta[:240] -= 0.3
    told = compare(delta, delta, np.zeros(5000), patch, ~patch, metal_poor=-0.15)
    assert (told.n, told.n_controls) == (400, 4600)
    assert told.fraction == pytest.approx(0.6, abs=0.02)
    assert told.mean == pytest.approx(-0.18, abs=0.01)
    assert told.sigma_int_controls == pytest.approx(0.06, abs=0.003)
    assert max(told.fraction_p, told.ks_p, told.ad_p) <= 0.001
    same = compare(delta[240:], delta[240:], np.zeros(4760), patch[240:], ~patch[240:], metal_poor=-0.15)
    assert min(same.ks_p, same.fraction_p) > 0.001
    few = compare(delta, delta, np.zeros(5000), np.arange(5000) < 5, ~patch, metal_poor=-0.15)
    assert np.isnan(few.ks_p)


def test_one_population_alone_may_be_searched():
    stars = residual_stars(6000, 4).inputs["stars"]
    member = stars.assign(pop_bin=("object", np.arange(6000) % 2))
    one = metallicity_substructures(member, population=0, n_permutations=0)
    half = metallicity_substructures(member.isel(object=slice(0, None, 2)), n_permutations=0)
    assert one["map"].evidence.equals(half["map"].evidence)


def test_bad_input_is_refused_by_name():
    stars = residual_stars(3000, 5).inputs["stars"]
    with pytest.raises(TooFewObjectsError, match="pixels have 10 stars"):
        metallicity_substructures(stars.isel(object=slice(0, 50)))
    with pytest.raises(DataRefusedError, match="negative"):
        metallicity_substructures(stars.assign(delta_feh_err=-stars.delta_feh_err))
    with pytest.raises(DataRefusedError, match="all residuals are equal"):
        metallicity_substructures(stars.assign(delta_feh=0 * stars.delta_feh))
    with pytest.raises(TooFewObjectsError, match="0 pixels"):
        metallicity_substructures(stars.assign(delta_feh=stars.delta_feh * np.nan))
    rng = np.random.default_rng(6)
    wide = xr.Dataset({
        "r_gal": ("object", rng.uniform(4, 14, 60_000)), "phi_gal": ("object", rng.uniform(0, 6.2, 60_000)),
        "delta_feh": ("object", rng.normal(size=60_000)),
    })  # fmt: skip
    with pytest.raises(TooMuchDataError, match="larger pixels"):
        metallicity_substructures(wide, n_min=3, n_permutations=0)


def test_stars_without_errors_or_with_errors_of_zero_are_searched_too():
    stars = residual_stars(4000, 7).inputs["stars"]
    bare = metallicity_substructures(stars[["r_gal", "phi_gal", "delta_feh"]], n_permutations=0)
    assert bare[""].attrs["assumed"] == "no errors in delta_feh"
    zero = metallicity_substructures(
        stars[["r_gal", "phi_gal", "delta_feh"]].assign(delta_feh_err=("object", np.zeros(4000))), n_permutations=0
    )
    assert zero["map"].evidence.equals(bare["map"].evidence)


def test_the_figure_is_drawn_with_and_without_patches(patches, tmp_path):
    metallicity_substructures.draw(patches[1]).savefig(tmp_path / "patches.png", dpi=40)
    none = metallicity_substructures(
        residual_stars(4000, 8, patches=0).inputs["stars"], n_permutations=0, threshold=9.0
    )
    assert none[""].sizes["patch"] == 0
    metallicity_substructures.draw(none).savefig(tmp_path / "none.png", dpi=40)
