from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import hven
from hven.errors import MissingColumnError
from hven.mocks import gradient_stars, residual_stars
from hven.testing import AnalysisSuite
from hven_plugins.gradients import metallicity_gradients, metallicity_residuals


class TestMetallicityResiduals(AnalysisSuite):
    analysis = metallicity_residuals
    size = 1500


@pytest.fixture(scope="module")
def disc():
    """Return 12,000 stars of three populations, and their gradients."""
    stars = gradient_stars(12_000, 1, slope=[-0.02, -0.04, -0.07]).inputs["stars"]
    return stars, metallicity_gradients(stars, bins=3, n_components=1)


def test_residuals_have_no_mean_no_slope_and_the_scatter_that_is_left(disc):
    stars, gradients = disc
    result = metallicity_residuals(stars, gradients)
    assert sorted(np.unique(result.pop_bin).tolist()) == [0, 1, 2]
    for k in range(3):
        here = result.pop_bin.values == k
        delta, err = result.delta_feh.values[here], result.delta_feh_err.values[here]
        assert abs(delta.mean()) < 3 * delta.std() / np.sqrt(here.sum())
        assert np.sqrt(np.var(delta) - np.mean(err**2)) == pytest.approx(0.06, abs=0.003)


def test_the_expected_radius_leaves_no_trend_with_the_observed_one(disc):
    """Slope of the residuals of the steepest population with the observed radius: 0.0001 dex/kpc against 0.0042."""
    stars, gradients = disc
    slopes = {}
    for radius in ("expected", "observed"):
        result = metallicity_residuals(stars, gradients, radius=radius)
        here = result.pop_bin.values == 2
        slopes[radius] = np.polyfit(stars.r_gal.values[here], result.delta_feh.values[here], 1)[0]
    assert abs(slopes["expected"]) < 0.003
    assert slopes["observed"] > slopes["expected"] + 0.002


def test_errors_are_those_of_metallicity_and_of_the_radius_times_the_slope(disc):
    stars, gradients = disc
    observed = metallicity_residuals(stars, gradients, radius="observed")
    slope = gradients.slope.values[observed.pop_bin.values]
    want = np.hypot(stars.feh_err.values, slope * stars.r_gal_err.values)
    np.testing.assert_allclose(observed.delta_feh_err, want, rtol=1e-12)
    assert np.all(metallicity_residuals(stars, gradients).delta_feh_err.values <= want)


def test_stars_of_no_population_have_no_residual(disc):
    stars, gradients = disc
    moved = stars.copy(deep=True)
    moved["teff"][:10] = 20_000.0
    moved["teff"][10:20] = np.nan
    moved["r_gal_err"][20:30] = np.nan
    result = metallicity_residuals(moved, gradients)
    assert (result.pop_bin[:20] == -1).all()
    assert np.isnan(result.delta_feh[:30]).all()
    assert np.isnan(result.delta_feh_err[:30]).all()
    assert np.isfinite(result.delta_feh[30:]).all()


def test_gradients_of_other_makers_need_slope_intercept_and_reference(disc):
    stars, _ = disc
    published = xr.Dataset({"slope": ("population", [-0.05]), "intercept": ("population", [0.1]),
                            "r_ref": ("population", [8.0])})  # fmt: skip
    result = metallicity_residuals(stars, published)
    want = stars.feh.values - 0.1 + 0.05 * (stars.r_gal.values - 8.0)
    np.testing.assert_allclose(result.delta_feh, want, rtol=1e-12)
    with pytest.raises(MissingColumnError, match="'r_ref'"):
        metallicity_residuals(stars, published.drop_vars("r_ref"))


def test_stars_need_what_cuts_the_populations(disc):
    stars, gradients = disc
    with pytest.raises(MissingColumnError, match="'teff'"):
        metallicity_residuals(stars.drop_vars("teff"), gradients)


def test_from_stars_to_patches_in_a_lake(tmp_path):
    """The whole chain as runs: gradients, residuals as columns, maps, substructures; each written back with its ids."""
    lake = hven.create(tmp_path / "lake")
    stars = residual_stars(6000, 3, patches=2, field=0.02).inputs["stars"].drop_vars(["delta_feh", "delta_feh_err"])
    sky = {
        "ra": ("object", np.linspace(1, 300, 6000), {"units": "deg"}),
        "dec": ("object", np.linspace(-60, 60, 6000), {"units": "deg"}),
    }
    with lake.transaction() as tx:
        tx.write("stars", stars.assign(sky))
    run = {"cluster": "synchronous"}
    hven.run(lake, "metallicity_gradients", {"stars": "stars"}, {"n_components": 1}, output="gradients", **run)
    told = hven.run(
        lake, "metallicity_residuals", {"stars": "stars", "gradients": "gradients"}, output="residuals", **run
    )
    table = told.result.dataset().compute()
    assert table.sizes["object"] == 6000
    assert {"delta_feh", "delta_feh_err", "pop_bin"} <= set(table.variables)
    maps = hven.run(lake, "metallicity_maps", {"stars": "stars+residuals"}, {"n_shuffles": 5}, output="maps", **run)
    assert "Maps in brief" in Path(maps.report).read_text()
    assert lake["maps"].dataset().delta_feh.dims == ("population", "y", "x")
    assert set(lake) >= {"maps", "maps.two_point"}
    for name, threshold in (("patches", 2.0), ("none", 9.0)):
        options = {"n_permutations": 5, "threshold": threshold}
        found = hven.run(lake, "metallicity_substructures", {"stars": "stars+residuals"}, options, output=name, **run)
        # two patches in 6000 stars are hardly told from a scatter that is uneven by itself
        assert all("scatter of stars differs" in text for text in found.caveats)
        assert (not found.caveats) == (name == "none")
        assert "Substructures in brief" in Path(found.report).read_text()
    assert lake["patches"].dataset().z_score.size >= 1
    assert lake["none"].dataset().z_score.size == 0


def tilted(n=3000, seed=7):
    """Return stars of a disc with a vertical gradient of -0.3 dex/kpc that no mock made; the Sun at 8.5 kpc."""
    rng = np.random.default_rng(seed)
    r, z, teff = rng.uniform(5, 12, n), rng.laplace(0, 0.3, n), rng.uniform(4500, 5500, n)
    feh = 0.1 - 0.06 * (r - 8.122) - 0.3 * abs(z) + 0.06 * rng.standard_t(5, n)
    columns = {"r_gal": (r + 0.1 * rng.normal(size=n), "kpc"), "feh": (feh + 0.02 * rng.normal(size=n), "dex")}
    columns |= {"r_gal_err": (np.full(n, 0.1), "kpc"), "feh_err": (np.full(n, 0.02), "dex")}
    columns |= {"z_gal": (z, "kpc"), "teff": (teff, "K")}
    return xr.Dataset({k: ("object", v, {"units": u}) for k, (v, u) in columns.items()})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"vertical": True},
        {"vertical": True, "bins": 2},
        {"vertical": True, "z_max": 0.5, "edges": [4500.0, 5000.0, 5400.0]},
        {"r_ref": 6.0, "r0": 8.5, "vertical": True, "outliers": True},
    ],
    ids=str,
)
def test_every_option_of_the_first_step_reaches_the_second(options):
    """Mean residual -.050 dex (40 sigma) with `vertical` before; less than 3 sigma, and no trend with height, now."""
    stars = tilted()
    gradients = metallicity_gradients(stars, n_components=1, **options)
    result = metallicity_residuals(stars, gradients)
    has_vertical = options.get("vertical", False)
    known = np.isfinite(result.delta_feh.values)
    assert int(known.sum()) == int(gradients.n.sum())
    for k in np.unique(result.pop_bin.values[known]):
        here = known & (result.pop_bin.values == k)
        delta, z = result.delta_feh.values[here], abs(stars.z_gal.values[here])
        limit = 3 * delta.std() / np.sqrt(here.sum()) + (0.004 if options.get("outliers") else 0.0)
        assert abs(delta.mean()) < limit
        assert abs(np.polyfit(z, delta, 1)[0]) < (0.02 if has_vertical else 1.0)
    if "z_max" in options:
        assert set(result.pop_bin.values[abs(stars.z_gal.values) >= 0.5]) == {-1}
    if has_vertical:
        with pytest.raises(MissingColumnError, match="compute z_gal from"):
            metallicity_residuals(stars.drop_vars("z_gal"), gradients)
    if "r0" in options:
        assert result.attrs["r0_kpc"] == 8.5


def test_stars_of_a_population_without_a_gradient_are_a_caveat():
    stars = tilted()
    stars["feh"] = stars.feh.where(stars.teff < 5400)
    gradients = metallicity_gradients(stars, n_components=1, edges=[4500.0, 5400.0, 5500.0])
    result = metallicity_residuals(stars, gradients)
    assert result.attrs["caveats"] == ["Population 1 has no gradient: its stars have no residual."]
