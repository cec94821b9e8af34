from typing import ClassVar

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.errors import DataRefusedError, MissingColumnError, TooFewObjectsError
from hven.mocks import residual_stars
from hven.plugins import evaluate
from hven.testing import AnalysisSuite
from hven_plugins.abundances import abundance_map_correlations
from hven_plugins.gradients import metallicity_maps, residual_images
from hven_plugins.gradients.cells import honest_near_zero, mean_and_scatter, means_and_noise, merged
from hven_plugins.gradients.maps import dispersion


class TestMetallicityMaps(AnalysisSuite):
    analysis = metallicity_maps
    size = 4000
    parameters: ClassVar = {"n_shuffles": 5, "n_min": 20}
    shuffled = ("delta_feh",)
    null: ClassVar = {"sigma_map": 0.0}
    tolerance: ClassVar = {"sigma_map": 0.01}


def stars_at(x, y, delta, err=None, **more):
    columns = {"r_gal": (np.hypot(x, y), "kpc"), "phi_gal": (np.mod(np.arctan2(y, x), 2 * np.pi), "rad")}
    columns |= {"delta_feh": (delta, "dex")} | ({} if err is None else {"delta_feh_err": (err, "dex")}) | more
    return xr.Dataset({n: ("object", np.asarray(v, dtype=float), {"units": u}) for n, (v, u) in columns.items()})


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), n=st.integers(12, 60))
def test_mean_and_scatter_are_at_the_maximum_of_the_likelihood(seed, n):
    rng = np.random.default_rng(seed)
    err = rng.uniform(0.02, 0.2, n)
    values = 0.3 + 0.1 * rng.normal(size=n) + err * rng.normal(size=n)
    told = mean_and_scatter(values, err, np.zeros(n, dtype=int), 1, n_min=3)

    def loglike(mean, scatter):
        variance = scatter**2 + err**2
        return -0.5 * np.sum((values - mean) ** 2 / variance + np.log(variance))

    scatter = np.nan_to_num(told.scatter[0])
    best = loglike(told.mean[0], scatter)
    for step in (1e-3, 0.03):
        for mean, other in ((step, 0), (-step, 0), (0, step), (0, -min(step, scatter))):
            assert loglike(told.mean[0] + mean, scatter + other) <= best + 1e-9
    assert (told.flag[0] == "ok") == (scatter > 0)


def test_errors_of_mean_and_scatter_are_honest():
    """2000 groups of 40 stars, scatter 0.06: coverage .67 of the mean, .66 of the scatter; mean scatter 0.058."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(2000), 40)
    err = rng.uniform(0.03, 0.1, group.size)
    values = -0.1 + rng.normal(size=group.size) * np.sqrt(0.06**2 + err**2)
    told = mean_and_scatter(values, err, group, 2000, n_min=10)
    assert np.mean(np.abs(told.mean + 0.1) < told.mean_err) == pytest.approx(0.68, abs=0.03)
    known = np.isfinite(told.scatter)
    assert known.mean() > 0.97
    assert np.mean(np.abs(told.scatter - 0.06)[known] < told.scatter_err[known]) == pytest.approx(0.68, abs=0.06)
    assert told.scatter[known].mean() == pytest.approx(0.06, abs=0.003)


def test_what_has_no_mean_or_no_scatter_says_why():
    values = np.concatenate([[0.1, 0.2], np.full(20, 0.3), 0.01 * np.arange(20), np.linspace(-0.5, 0.5, 20)])
    err = np.concatenate([[0.1, 0.1], np.full(20, 0.1), np.full(20, 0.5), np.full(20, 0.0)])
    group = np.repeat([0, 1, 2, 3], [2, 20, 20, 20])
    told = mean_and_scatter(values, err, group, 5, n_min=10)
    assert told.flag.tolist() == [
        "too few stars", "does not vary", "errors exceed the scatter", "ok", "too few stars",
    ]  # fmt: skip
    assert np.isfinite(told.mean).tolist() == [False, True, True, True, False]
    assert np.isfinite(told.scatter).tolist() == [False, False, False, True, False]
    assert told.scatter[3] == pytest.approx(values[group == 3].std(), rel=1e-3)
    assert told.mean_err[2] == pytest.approx(0.5 / np.sqrt(20), rel=1e-3)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 20), columns=st.integers(1, 20), levels=st.integers(0, 3))
def test_merged_cells_hold_every_pixel_once_and_enough_stars_where_there_are_any(seed, rows, columns, levels):
    rng = np.random.default_rng(seed)
    count = rng.poisson(rng.uniform(0, 8), (rows, columns))
    cell, width = merged(count, 10, levels)
    assert np.unique(cell).tolist() == list(range(cell.max() + 1))
    sums = np.bincount(cell.ravel(), count.ravel())
    wide = np.zeros(cell.max() + 1)
    wide[cell.ravel()] = width.ravel()
    assert set(np.unique(width)) <= {2**k for k in range(levels + 1)}
    for c in range(cell.max() + 1):
        i, j = np.nonzero(cell == c)
        assert np.ptp(i) < wide[c]
        assert np.ptp(j) < wide[c]
        if sums[c] < 10 and sums[c] > 0:
            assert wide[c] == 2**levels


@pytest.fixture(scope="module")
def field():
    mock = residual_stars(20_000, 1, patches=0, field=0.05, scale=0.5)
    return mock, metallicity_maps(mock.inputs["stars"])


@pytest.mark.t1
def test_maps_show_the_field_with_honest_errors(field):
    """20,000 stars in a field of 0.05 dex: dispersion .061, as they are .062; intrinsic scatter .058 (true .060)."""
    mock, result = field
    maps, stars = result[""].isel(population=0), mock.inputs["stars"]
    x, y = stars.r_gal * np.cos(stars.phi_gal), stars.r_gal * np.sin(stars.phi_gal)
    i = np.floor((y.values - (maps.y.values[0] - 0.125)) / 0.25).astype(int)
    j = np.floor((x.values - (maps.x.values[0] - 0.125)) / 0.25).astype(int)
    inside = (i >= 0) & (i < maps.sizes["y"]) & (j >= 0) & (j < maps.sizes["x"])
    flat = (i * maps.sizes["x"] + j)[inside]
    size = maps.sizes["y"] * maps.sizes["x"]
    counts = np.bincount(flat, minlength=size)
    assert maps.n.values.ravel().tolist() == counts.tolist()
    true = (np.bincount(flat, mock.truth["field"][inside], size) / np.maximum(counts, 1)).reshape(maps.n.shape)
    known = np.isfinite(maps.delta_feh.values)
    assert (known == (maps.n >= 10)).all()
    pull = ((maps.delta_feh - true) / maps.delta_feh_err).values[known]
    assert abs(pull.mean()) < 0.2
    assert 0.58 < np.mean(np.abs(pull) < 1) < 0.78
    assert float(maps.sigma_map) == pytest.approx(np.sqrt(np.mean(true[known] ** 2)), rel=0.1)
    assert float(maps.sigma_map) < float(maps.sigma_map_raw)
    assert float(maps.sigma_int.median()) == pytest.approx(0.06, abs=0.006)
    assert set(np.unique(maps.flag)) <= {"ok", "too few stars", "errors exceed the scatter"}


@pytest.mark.t1
def test_the_dispersion_of_a_map_is_that_of_the_field_and_not_of_its_noise():
    """Six maps of 3000 stars each: fields of .052 and .021 dex seen as .052 and .023; as they are .057 and .032."""
    for strength in (0.05, 0.02):
        told, raw, true = [], [], []
        for seed in range(6):
            mock = residual_stars(3000, seed, patches=0, field=strength, scale=0.6)
            maps = metallicity_maps(mock.inputs["stars"], n_shuffles=0)[""]
            told.append(float(maps.sigma_map[0]))
            raw.append(float(maps.sigma_map_raw[0]))
            true.append(np.sqrt(np.mean(mock.truth["field"] ** 2)))
        assert np.mean(told) == pytest.approx(np.mean(true), abs=0.006)
        assert np.mean(raw) > np.mean(told) + 0.004


@pytest.mark.t1
def test_the_two_point_function_is_that_of_the_field():
    """Eight discs: mean xi within 0.0005 dex2 of 0.0025 exp(-d^2 / 4 scale^2) less the variance of the mean of a disc.

    xi at zero lag is the variance without errors, 0.0061; shuffled residuals show nothing.
    """
    told, level = [], []
    for seed in range(8):
        mock = residual_stars(8000, seed, patches=0, field=0.05, scale=0.4, half_angle=0.5)
        pairs = metallicity_maps(mock.inputs["stars"], n_shuffles=10)["two_point"].isel(population=0)
        told.append(pairs.xi.values + mock.truth["field"].mean() ** 2)
        level.append(float(pairs.xi_zero) + mock.truth["field"].mean() ** 2)
        assert float(pairs.xi_p[0]) < 0.2
        assert np.abs(pairs.xi / pairs.xi_null_err)[0] > 10
    want = 0.0025 * np.exp(-(pairs.lag.values**2) / 0.64)
    assert np.abs(np.mean(told, axis=0) - want).max() < 0.0006
    assert np.mean(level) == pytest.approx(0.0061, rel=0.06)


@pytest.mark.t1
def test_stars_of_no_field_show_no_correlation():
    """Ten discs without a field: xi at the first lag is zero within its null error, p-values spread evenly."""
    pulls, values = [], []
    for seed in range(10):
        stars = residual_stars(1500, seed, patches=0, field=0.0).inputs["stars"]
        pairs = metallicity_maps(stars, n_shuffles=19)["two_point"].isel(population=0)
        pulls.append(float(pairs.xi[0] / pairs.xi_null_err[0]))
        values.append(float(pairs.xi_p[0]))
    assert abs(np.mean(pulls)) < 1.0
    assert np.sum(np.array(values) <= 0.1) <= 4


def test_adaptive_cells_reach_where_stars_are_few(field):
    mock, fixed = field
    adaptive = metallicity_maps(mock.inputs["stars"], adaptive=True, n_shuffles=0)[""]
    few = fixed[""].n.values[0] < 10
    assert np.isfinite(adaptive.delta_feh.values[0][few]).sum() > 50
    assert set(np.unique(adaptive.cell_width.values[np.isfinite(adaptive.cell_width)])) <= {0.25, 0.5, 1.0, 2.0}
    assert int(adaptive.n_cells[0]) < np.isfinite(adaptive.delta_feh.values[0]).sum()


def test_each_population_has_its_maps(field):
    mock, _ = field
    stars = mock.inputs["stars"].isel(object=slice(0, 6000))
    member = np.where(stars.teff < 10_000, 0, 2)
    member[:100] = -1
    maps = metallicity_maps(stars.assign(pop_bin=("object", member)), n_shuffles=0)[""]
    assert maps.pop_bin.values.tolist() == [0, 2]
    assert abs(int(maps.n_stars.sum()) - 5900) < 50


def test_the_maps_go_on_to_the_correlations_of_maps(field):
    """As images they are an input of abundance_map_correlations: the same lag function, from pixels."""
    _, result = field
    told = evaluate(
        abundance_map_correlations, {"maps": residual_images(result[""])}, {"lag_max": "2 kpc", "n_lags": 9}
    )[""]
    assert told.sizes["object"] == 1
    pixels = told.lag_correlation.values[0, 0, 0] * float(told.sigma[0, 0]) ** 2
    stars = np.interp(told.lag.values / 1000, result["two_point"].lag, result["two_point"].xi[0])
    assert np.abs(pixels - stars)[1:].max() < 0.0012


def test_bad_input_is_refused_by_name():
    rng = np.random.default_rng(1)
    x, y, delta = -9 + rng.normal(size=300), rng.normal(size=300), rng.normal(size=300)
    with pytest.raises(DataRefusedError, match="300 errors of delta_feh are negative"):
        metallicity_maps(stars_at(x, y, delta, -np.ones(300)))
    with pytest.raises(TooFewObjectsError, match="0 of 300 stars"):
        metallicity_maps(stars_at(x, y, delta * np.nan))
    with pytest.raises(MissingColumnError, match="'ra' to compute phi_gal"):
        metallicity_maps(stars_at(x, y, delta).drop_vars("phi_gal"))


def test_equal_residuals_and_stars_without_errors_have_maps():
    rng = np.random.default_rng(2)
    x, y = -9 + rng.normal(size=(2, 500)) * 0.5
    equal = metallicity_maps(stars_at(x, y, np.full(500, 0.1)), n_shuffles=0)
    assert set(np.unique(equal[""].flag)) <= {"does not vary", "too few stars"}
    assert np.isnan(equal[""].sigma_map).all()
    assert equal[""].sigma_map_flag.values.tolist() == ["too few cells"]
    exact = metallicity_maps(stars_at(x, y, rng.normal(size=500)), n_shuffles=0)
    assert exact[""].attrs["assumed"] == "no errors in delta_feh"
    assert float(exact["two_point"].noise[0]) == 0.0


def test_figures_are_drawn_of_any_number_of_populations(field, tmp_path):
    mock, result = field
    for name, figure in metallicity_maps.draw(result).items():
        figure.savefig(tmp_path / f"{name}.png", dpi=40)
    stars = mock.inputs["stars"]
    several = stars.assign(pop_bin=("object", np.searchsorted(np.linspace(8500, 11_500, 6), stars.teff.values)))
    for name, figure in metallicity_maps.draw(metallicity_maps(several, n_shuffles=2)).items():
        figure.savefig(tmp_path / f"{name}7.png", dpi=40)


@pytest.mark.parametrize("n", [10, 20, 40])
def test_noise_alone_is_no_structure(n):
    """150 cells of n stars, scatters of .03 to .08 dex by cell and errors of .02 to .08: 200 maps of noise.

    ========  ============================  =================================
    n         before: within err, > 3 err   now: within err (or 0), > 3 err
    ========  ============================  =================================
    10        .00, .98                      .73, .02
    20        .03, .76                      .73, .01
    40        .24, .36                      .70, .01
    ========  ============================  =================================
    """
    rows = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(150), n)
        err = rng.uniform(0.02, 0.08, len(group))
        values = rng.uniform(0.03, 0.08, 150)[group] * rng.normal(size=len(group)) + err * rng.normal(size=len(group))
        found = dispersion(*means_and_noise(values, group, 150))
        rows.append((found.scatter[0], honest_near_zero(found.scatter, found.scatter_err)[0]))
    value, error = np.nan_to_num(np.array(rows)).T
    assert 0.6 < np.mean(value <= error) < 0.95
    assert np.mean(value > 3 * error) < 0.035


def test_a_field_is_measured_beside_noise_of_any_kind():
    """A true dispersion of .04 dex, 150 cells of 10 stars with heavy tails: mean .040, errors those of repetition."""
    rows = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(150), 10)
        values = 0.04 * rng.normal(size=150)[group] + 0.06 * rng.standard_t(5, len(group))
        found = dispersion(*means_and_noise(values, group, 150))
        rows.append((found.scatter[0], honest_near_zero(found.scatter, found.scatter_err)[0]))
    value, error = np.array(rows).T
    assert abs(value.mean() - 0.04) < 0.0015
    assert error.mean() == pytest.approx(value.std(), rel=0.3)


def test_adaptive_cells_are_more_than_fixed_pixels_give_and_not_fewer():
    """870 stars: 23 fixed pixels have ten, 16 adaptive cells had before, 40 now with 852 of the stars."""
    rng = np.random.default_rng(4)
    r, phi = rng.gamma(2.0, 0.6, 870), rng.uniform(0, 2 * np.pi, 870)
    x, y = -8.1 + r * np.cos(phi), r * np.sin(phi)
    stars = stars_at(x, y, rng.laplace(0, 0.1, 870), np.full(870, 0.03))
    fixed, adaptive = (metallicity_maps(stars, pixel=0.5, adaptive=a, n_shuffles=0)[""] for a in (False, True))
    assert int(adaptive.n_cells[0]) > int(fixed.n_cells[0]) > 10
    enough = fixed.n.values[0] >= 10
    assert np.array_equal(adaptive.n.values[0][enough], fixed.n.values[0][enough])
    assert np.isfinite(float(adaptive.sigma_map[0]))
