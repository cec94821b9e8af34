from typing import ClassVar

import numpy as np
import pytest
import xarray as xr

from hven.mocks import diffusion_field
from hven.testing import AnalysisSuite
from hven_plugins.abundances import Physics, abundance_map_correlations, field


class TestAbundanceMapCorrelations(AnalysisSuite):
    analysis = abundance_map_correlations
    size = 4
    parameters: ClassVar = {"n_lags": 6, "n_k": 5}


def maps_of(flux, scale=100.0, **more):
    values = {"flux": (("object", "band", "y", "x"), np.asarray(flux, dtype=float), {"units": "dex"})}
    return xr.Dataset({**values, "pixel_scale": ("object", np.full(len(flux), scale), {"units": "pc"}), **more})


@pytest.fixture(scope="module")
def noise():
    """Return one map of two bands with correlation 0.6, no two pixels alike."""
    draws = np.random.default_rng(1).normal(size=(3, 40, 50))
    return 0.1 * np.stack([draws[0] * 0.8 + draws[2] * 0.6, draws[1] * 0.0 + draws[2]])[None]


def brute_force(flux, known, scale, lags):
    """Return the mean products at lags, pixel pair by pixel pair."""
    bands, height, width = flux.shape
    means = [flux[a][known[a]].mean() for a in range(bands)]
    y, x = np.divmod(np.arange(height * width), width)
    distance = scale * np.hypot(y[:, None] - y, x[:, None] - x)
    bins = np.rint(distance / (lags[1] - lags[0])).astype(int)
    out = np.full((bands, bands, len(lags)), np.nan)
    for a in range(bands):
        for b in range(bands):
            off = [np.where(known[i], flux[i] - means[i], 0).ravel() for i in (a, b)]
            pairs = known[a].ravel()[:, None] & known[b].ravel()[None, :] & (distance > 0)
            for n in range(1, len(lags)):
                here = pairs & (bins == n)
                if here.any():
                    out[a, b, n] = (off[0][:, None] * off[1][None, :])[here].mean()
    return out


def test_lag_functions_are_those_of_all_pairs_of_pixels():
    rng = np.random.default_rng(2)
    flux = rng.normal(size=(2, 13, 17)).cumsum(axis=2)
    known = rng.random((2, 13, 17)) > 0.2
    result = abundance_map_correlations(maps_of(np.where(known, flux, np.nan)[None], 10.0), lag_max=100.0, n_lags=6)
    want = brute_force(flux, known, 10.0, result.lag.values)
    spread = result.sigma.values[0]
    np.testing.assert_allclose(
        result.lag_correlation.values[0, ..., 1:], (want / np.outer(spread, spread)[..., None])[..., 1:], rtol=1e-9
    )


def test_correlations_are_numpys_and_power_sums_up_to_the_covariance(noise):
    result = abundance_map_correlations(maps_of(noise), k_min=1e-4, k_max=0.05, n_k=300)
    matrix = np.corrcoef(noise[0].reshape(2, -1))
    np.testing.assert_allclose(result.correlation[0], matrix, atol=1e-12)
    assert float(result.lag_correlation[0, 0, 1, 0]) == pytest.approx(matrix[0, 1])
    fine = abundance_map_correlations(maps_of(noise), k_min=1e-3, k_max=0.0444, n_k=2)
    white = 0.01 * 100.0**2
    assert fine.power.values[0, [0, 1], [0, 1], 1] == pytest.approx([white, white], rel=0.1)


def test_the_error_is_that_of_many_maps():
    rng = np.random.default_rng(3)
    common = rng.normal(size=(60, 1, 32, 32))
    result = abundance_map_correlations(maps_of(common + rng.normal(size=(60, 2, 32, 32))), n_lags=2)
    values = result.correlation.values[:, 0, 1]
    assert values.mean() == pytest.approx(0.5, abs=0.01)
    assert result.correlation_err.values[:, 0, 1].mean() == pytest.approx(values.std(), rel=0.25)


def test_noise_that_is_known_is_taken_out(noise):
    rng = np.random.default_rng(4)
    large = np.tile(noise, (1, 1, 4, 4)) + 0.1 * rng.normal(size=(1, 2, 160, 200))
    ivar = ("object", "band", "y", "x"), np.full(large.shape, 100.0)
    plain = abundance_map_correlations(maps_of(large), n_lags=2)
    clean = abundance_map_correlations(maps_of(large, ivar=ivar), n_lags=2)
    true = np.corrcoef(noise[0].reshape(2, -1))[0, 1]
    assert float(clean.correlation[0, 0, 1]) == pytest.approx(true, abs=0.02)
    assert float(plain.correlation[0, 0, 1]) == pytest.approx(true / 2, abs=0.02)


def test_maps_that_tell_nothing_say_why(noise):
    flux = np.concatenate([noise] * 4)
    flux[0, 0] = 0.3
    flux[1, 0, 2:] = np.nan
    maps = maps_of(flux)
    maps["pixel_scale"][2] = np.nan
    maps["ivar"] = ("object", "band", "y", "x"), np.full(flux.shape, 1e6)
    maps["ivar"][3, 1] = 50.0
    result = abundance_map_correlations(maps, n_lags=3)
    flags = result.flag.values.tolist()
    assert flags[0] == ["does not vary", "ok"]
    assert flags[1] == ["too few pixels", "ok"] if (flux[1, 0, :2].size < 100) else flags[1][1] == "ok"
    assert flags[2] == ["no pixel scale"] * 2
    assert flags[3] == ["ok", "errors exceed the scatter"]
    assert np.isnan(result.correlation.values[[0, 3], 0, 1]).all()
    assert np.isnan(result.lag_correlation.values[2]).all()


def test_masked_pixels_count_as_missing(noise):
    mask = np.zeros(noise.shape, dtype=bool)
    mask[..., :10] = True
    masked = abundance_map_correlations(maps_of(noise, mask=(("object", "band", "y", "x"), mask)), n_lags=3)
    cut = abundance_map_correlations(maps_of(noise[..., 10:]), n_lags=3)
    np.testing.assert_allclose(masked.correlation, cut.correlation, rtol=1e-12)
    assert int(masked.n_pixels[0, 0, 1]) == 40 * 40


@pytest.mark.slow
@pytest.mark.t1
def test_maps_of_the_simulation_have_the_predicted_lag_functions():
    """24 maps of 16 kpc, equal weights: lag functions out to 1.5 kpc within 0.04, for pairs of all channels."""
    from hven_plugins.abundances.diffusion import covariance_at_lags, sources_at

    maps = diffusion_field(24, 6, pixels=256, box=16_000.0, weight_variance=0.0, steps=200)
    result = abundance_map_correlations(maps.inputs["maps"], lag_max=1500.0, n_lags=7)
    delays = np.array([[10.0, 1, 1], [1, 550.0, 1], [1, 1, 437.0]])
    physics = Physics(sigma_agb=60.0, kappa=357.95, sigma_v=2.0454)
    want = covariance_at_lags(sources_at(np.eye(3), delays), result.lag.values, physics)
    own = np.sqrt(np.diag(field(np.eye(3), delays, physics).covariance))
    off = result.lag_correlation.mean("object").values - want / np.outer(own, own)[..., None]
    assert np.abs(off).max() < 0.04


def test_the_figure_shows_all_maps(tmp_path):
    result = abundance_map_correlations(diffusion_field(2, 1, pixels=32, steps=20).inputs["maps"], n_lags=8)
    abundance_map_correlations.draw(result).savefig(tmp_path / "lags.png", dpi=40)
