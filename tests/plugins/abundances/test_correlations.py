from typing import ClassVar

import numpy as np
import pytest
import xarray as xr

import hven
from hven.errors import DataRefusedError, MissingColumnError, ParameterError, TooFewObjectsError
from hven.mocks import abundance_stars
from hven.testing import AnalysisSuite
from hven_plugins.abundances import abundance_correlations, hven_analyses

OFF = ~np.eye(15, dtype=bool)


class TestAbundanceCorrelations(AnalysisSuite):
    analysis = abundance_correlations
    size = 600
    seed = 2
    parameters: ClassVar = {"n_boot": 40}


def stars_of(columns, errors=0.01):
    """Return stars with these values and one error for all."""
    values = {name: ("object", np.asarray(v, dtype=float), {"units": "dex"}) for name, v in columns.items()}
    if errors is not None:
        n = len(next(iter(columns.values())))
        values |= {f"{name}_err": ("object", np.full(n, errors), {"units": "dex"}) for name in columns}
    return xr.Dataset(values)


def measure(stars, **parameters):
    return abundance_correlations(stars, **{"n_boot": 50, **parameters})[""]


def test_the_family_brings_them():
    assert "abundance_correlations" in [a.name for a in hven_analyses()]


@pytest.mark.t1
def test_20_000_stars_give_the_correlations_that_are_there_and_naive_ones_do_not():
    """Targets: rms of 105 pairs < 0.02, attenuation of naive ones within 5 % of 1 / sqrt(phi phi').

    Measured: 0.0090, and 0.223 for the naive correlations; attenuation within 1.9 %.
    """
    mock = abundance_correlations.make_mock(20_000, 1)
    result = measure(mock.inputs["stars"])
    truth = mock.truth["correlation"]
    off = {name: (result[name].values - truth)[OFF] for name in ("correlation", "correlation_naive")}
    rms, naive = (float(np.sqrt(np.mean(off[name] ** 2))) for name in off)
    assert rms < 0.02
    assert naive > 5 * rms
    phi = 1 + (result.error.values / mock.truth["sigma"]) ** 2
    attenuation = (result.correlation_naive / result.correlation).values * np.sqrt(phi[:, None] * phi)
    assert np.abs(attenuation - 1)[OFF].max() < 0.05
    assert np.abs((result.sigma - mock.truth["sigma"]) / result.sigma_err).max() < 4


@pytest.mark.t1
def test_errors_are_those_of_repetition():
    """40 mocks of 500 stars: rms pull 1.0 over all pairs, 68 % coverage 0.67."""
    pulls = []
    for seed in range(40):
        mock = abundance_stars(500, seed, elements=("O", "Mg", "Si", "Ca"), sigma=0.03, errors=(0.005, 0.02))
        result = measure(mock.inputs["stars"], n_boot=100)
        pulls.append(((result.correlation - mock.truth["correlation"]) / result.correlation_err).values)
    pulls = np.array(pulls)[:, *np.tril_indices(4, -1)]
    assert np.sqrt(np.mean(pulls**2)) == pytest.approx(1.0, abs=0.2)
    assert np.mean(np.abs(pulls) < 1) == pytest.approx(0.68, abs=0.1)


def test_independent_columns_are_not_correlated():
    mock = abundance_stars(3000, 2, elements=("O", "Mg", "Si"), correlation=np.eye(3))
    result = measure(mock.inputs["stars"])
    off = ~np.eye(3, dtype=bool)
    assert (np.abs(result.correlation / result.correlation_err).values[off] < 4).all()


def test_what_is_shared_through_metallicity_goes_when_it_is_held_fixed():
    """True correlation 0.6 at fixed [Fe/H] and 0.99 in all; measured 0.60 +- 0.01 and 0.99."""
    rng = np.random.default_rng(4)
    feh = rng.normal(0, 0.2, 20_000)
    rest = rng.multivariate_normal([0, 0], 0.03**2 * np.array([[1, 0.6], [0.6, 1]]), 20_000).T
    error = rng.normal(0, 0.01, (2, 20_000))
    curved = {"mg_h": 0.9 * feh - 0.3 * feh**2 + rest[0] + error[0], "si_h": 0.95 * feh + rest[1] + error[1]}
    stars = stars_of(curved).assign(feh=("object", feh, {"units": "dex"}))
    result = measure(stars, elements=["Mg", "Si"], given=["feh"])
    assert float(result.correlation[0, 1]) > 0.97
    assert abs(float(result.conditional[0, 1]) - 0.6) < 4 * float(result.conditional_err[0, 1])
    assert float(result.conditional_err[0, 1]) < 0.012
    np.testing.assert_allclose(result.conditional_sigma, 0.03, rtol=0.03)
    assert result.attrs["given"] == "feh"


def test_several_variables_may_be_held_fixed_and_stars_in_thin_cells_are_left_out():
    rng = np.random.default_rng(5)
    age, feh = rng.uniform(0, 10, 8000), rng.normal(0, 0.1, 8000)
    common = rng.normal(0, 0.03, 8000)
    columns = {name: 0.05 * age + feh + common + rng.normal(0, 0.03, 8000) for name in ("mg_h", "si_h")}
    stars = stars_of(columns, None).assign(age=("object", age, {"units": "Gyr"}), feh=("object", feh))
    stars["age"][:100] = np.nan
    result = measure(stars, elements=["Mg", "Si"], given=["age", "feh"], box=[1.0, 0.05], n_cell=30)
    assert abs(float(result.conditional[0, 1]) - 0.5) < 4 * float(result.conditional_err[0, 1])
    assert 7000 < int(result.conditional_n[0, 1]) < 7900
    with pytest.raises(TooFewObjectsError, match=r"no cell of 0\.01 in age"):
        measure(stars, elements=["Mg", "Si"], given=["age", "feh"], box=[0.01, 0.01])
    with pytest.raises(ParameterError, match="1 widths for 2 columns"):
        measure(stars, given=["age", "feh"], box=[1.0])
    with pytest.raises(ParameterError, match="Fe is held fixed and correlated"):
        measure(stars, elements=["Mg", "Fe"], given=["feh"])


def test_abundances_over_iron_make_those_over_hydrogen_and_their_common_error_goes():
    """[X/Fe] with errors that are independent of those of [Fe/H], which is in every [X/H]."""
    rng = np.random.default_rng(6)
    n = 20_000
    true = rng.multivariate_normal([0, 0, 0], 0.05**2 * np.array([[1, 0.5, 0.3], [0.5, 1, 0.2], [0.3, 0.2, 1]]), n)
    feh = true[:, 2] + rng.normal(0, 0.05, n)
    ratios = {"mg_fe": true[:, 0] - true[:, 2], "si_fe": true[:, 1] - true[:, 2]}
    seen = {name: values + rng.normal(0, 0.02, n) for name, values in ratios.items()}
    stars = stars_of(seen, 0.02).assign(feh=("object", feh), feh_err=("object", np.full(n, 0.05)))
    result = measure(stars, scale="h")
    assert result.element.values.tolist() == ["Mg", "Si", "Fe"]
    want = np.array([[1, 0.5, 0.3], [0.5, 1, 0.2], [0.3, 0.2, 1]])
    np.testing.assert_allclose(result.correlation, want, atol=0.04)
    assert "independent" in result.attrs["assumed"]
    over_iron = measure(stars)
    assert over_iron.attrs["scale"] == "fe"
    assert over_iron.element.values.tolist() == ["Mg", "Si"]


def test_errors_that_go_together_are_taken_out_of_the_covariances():
    """Truth: correlations .5, .3, .2; errors of one temperature for all, correlated by .8, make .66, .57, .53 of them.

    The same by an array of covariances, by columns of correlations, and over iron.
    """
    rng = np.random.default_rng(20)
    n, names = 20_000, ["mg_h", "si_h", "feh"]
    want = np.array([[1, 0.5, 0.3], [0.5, 1, 0.2], [0.3, 0.2, 1]])
    size = rng.uniform(0.03, 0.06, (n, 3))
    common = np.full((3, 3), 0.8) + 0.2 * np.eye(3)
    cov = common * size[:, :, None] * size[:, None, :]
    noise = (np.linalg.cholesky(cov) @ rng.standard_normal((n, 3, 1)))[..., 0]
    x = rng.multivariate_normal(np.zeros(3), 0.05**2 * want, n) + noise
    plain = xr.Dataset({name: ("object", x[:, i]) for i, name in enumerate(names)})
    in_columns = plain.assign({f"{name}_err": ("object", size[:, i]) for i, name in enumerate(names)})
    blind = measure(in_columns)
    assert np.nanmax(np.abs(blind.correlation.values - want)) > 0.1
    assert blind.flag.values[0, 1] == "far above one"
    for a, b in (("mg_h", "si_h"), ("feh", "mg_h"), ("si_h", "feh")):
        in_columns[f"{a}_{b}_corr"] = ("object", np.full(n, 0.8))
    in_array = plain.assign_coords(c=names).assign(cov=(("object", "c", "c2"), cov))
    told = [measure(stars) for stars in (in_columns, in_array, in_array.chunk({"object": 4000}))]
    for result in told:
        np.testing.assert_allclose(result.correlation, want, atol=0.03)
        np.testing.assert_allclose(result.correlation, told[0].correlation, rtol=1e-9)
    assert told[0].attrs["assumed"] == "stars are told apart by their place in the table"
    ratios = xr.Dataset({"mg_fe": ("object", x[:, 0] - x[:, 2]), "si_fe": ("object", x[:, 1] - x[:, 2])})
    turn = np.array([[1, 0, -1], [0, 1, -1], [0, 0, 1]])
    ratios = ratios.assign(feh=plain.feh).assign_coords(c=["mg_fe", "si_fe", "feh"])
    over_iron = measure(ratios.assign(cov=(("object", "c", "c2"), turn @ cov @ turn.T)), scale="h")
    np.testing.assert_allclose(over_iron.correlation, told[0].correlation, rtol=1e-6)
    holed = in_array.copy(deep=True)
    holed["cov"][:100, 0, 0] = 0.0
    holed["cov"][100:150, 1, 1] = np.nan
    assert measure(holed).n_pairs.values[0].tolist() == [n - 100, n - 150, n - 100]


def test_a_covariance_that_does_not_name_its_columns_is_refused():
    stars = stars_of({"mg_h": np.arange(50.0), "si_h": np.arange(50.0)}, None)
    cov = (("object", "c", "c2"), np.tile(np.eye(2), (50, 1, 1)))
    with pytest.raises(DataRefusedError, match="does not name 'mg_h'"):
        measure(stars.assign(cov=cov))
    with pytest.raises(DataRefusedError, match=r"over \(object, c\)"):
        measure(stars.assign(cov=(("object", "c"), np.ones((50, 2)))))


def test_errors_larger_than_the_scatter_give_no_number_and_a_reason():
    rng = np.random.default_rng(7)
    stars = stars_of({"mg_h": rng.normal(0, 0.02, 500), "si_h": rng.normal(0, 0.1, 500)}, 0.05)
    result = measure(stars)
    assert np.isnan(result.correlation[0, 1])
    assert result.flag.values[0, 1] == "errors exceed the scatter"
    assert np.isnan(result.sigma[0])
    assert np.isfinite(result.correlation_naive[0, 1])


def test_a_correlation_whose_error_cannot_be_told_says_so():
    x, y = np.random.default_rng(8).normal(size=(2, 100))
    x = 0.051 * (x - x.mean()) / x.std()
    stars = stars_of({"mg_h": x, "si_h": 0.1 * y}, 0.05)
    result = measure(stars, n_boot=200)
    assert result.flag.values[0, 1] == "errors exceed the scatter in replicates"
    assert np.isfinite(result.correlation[0, 1])
    assert np.isnan(result.correlation_err[0, 1])


def test_a_column_that_does_not_vary_gives_a_reason():
    rng = np.random.default_rng(9)
    stars = stars_of({"mg_h": np.full(100, 0.1), "si_h": rng.normal(size=100), "ca_h": rng.normal(size=100)})
    result = measure(stars)
    assert set(result.flag.values[0]) == {"does not vary"}
    assert np.isfinite(result.correlation.values[1, 2])


def test_values_whose_error_is_zero_or_missing_are_left_out():
    mock = abundance_stars(400, 10, elements=("O", "Mg"))
    stars = mock.inputs["stars"].copy(deep=True)
    stars["mg_h_err"][:50] = 0.0
    stars["mg_h_err"][50:80] = np.nan
    stars["o_h"][80:90] = np.nan
    result = measure(stars)
    assert int(result.n_pairs[0, 1]) == 310
    clean = measure(mock.inputs["stars"].isel(object=slice(90, None)))
    assert float(result.correlation[0, 1]) == pytest.approx(float(clean.correlation[0, 1]), rel=1e-9)
    stars["mg_h_err"][:] = 0.0
    with pytest.raises(TooFewObjectsError, match="errors that are positive"):
        measure(stars)
    exact = measure(stars.drop_vars("mg_h_err"))
    assert exact.attrs["assumed"] == "no errors in mg_h"


def test_pairs_with_few_stars_are_null_and_no_pair_at_all_is_an_error():
    stars = abundance_stars(200, 11, elements=("O", "Mg", "Si")).inputs["stars"].copy(deep=True)
    stars["si_h"][20:] = np.nan
    result = measure(stars)
    assert result.flag.values[0].tolist() == ["ok", "ok", "too few stars"]
    assert np.isnan(result.correlation[0, 2])
    with pytest.raises(TooFewObjectsError, match="no pair of elements has 30 stars"):
        measure(stars.isel(object=slice(0, 20)))


def test_elements_are_chosen_by_symbol_and_those_that_are_not_there_are_named():
    stars = abundance_stars(100, 12, elements=("O", "Mg", "Fe")).inputs["stars"]
    assert measure(stars, elements=["fe", "O"]).element.values.tolist() == ["O", "Fe"]
    with pytest.raises(MissingColumnError, match="'eu_h'"):
        measure(stars, elements=["Eu", "O"])
    with pytest.raises(MissingColumnError, match="1 elements"):
        measure(stars[["o_h", "o_h_err"]])


def test_bootstrap_replicates_follow_the_stars_and_not_their_order():
    stars = abundance_stars(300, 13, elements=("O", "Mg")).inputs["stars"]
    there = measure(stars).replicates
    order = np.random.default_rng(0).permutation(300)
    np.testing.assert_allclose(measure(stars.isel(object=order)).replicates, there, rtol=1e-9)
    assert "place in the table" in measure(stars.drop_vars("object_id")).attrs["assumed"]


def test_a_table_of_many_chunks_is_read_once_and_never_whole():
    stars = abundance_stars(5000, 14, elements=("O", "Mg")).inputs["stars"]
    sizes = []

    def note(block):
        sizes.append(block.sizes["object"])
        return block

    lazy = stars.chunk({"object": 500}).map_blocks(note, template=stars.chunk({"object": 500}))
    result = measure(lazy)
    assert sizes.count(500) == 10
    assert max(sizes) == 500
    np.testing.assert_allclose(result.correlation, measure(stars).correlation, rtol=1e-12)


def test_its_result_rests_in_a_lake_as_matrices_and_as_a_table_of_pairs(tmp_path):
    lake = hven.create(tmp_path / "lake")
    stars = abundance_stars(300, 15, elements=("O", "Mg", "Fe")).inputs["stars"]
    result = abundance_correlations(stars, n_boot=50)
    with lake.transaction("correlations") as tx:
        tx.write("correlations", result[""])
        tx.write("pairs", result["pairs"])
    back = lake["correlations"].dataset().compute()
    assert back.element.values.tolist() == ["O", "Mg", "Fe"]
    assert back.flag.values.tolist() == result[""].flag.values.tolist()
    np.testing.assert_array_equal(back.replicates, result[""].replicates)
    rows = lake["pairs"].table().collect().to_dicts()
    assert [(row["element"], row["element2"]) for row in rows] == [("O", "Mg"), ("O", "Fe"), ("Mg", "Fe")]
    for row in rows:
        at = {"element": row["element"], "element2": row["element2"]}
        for name in ("correlation", "correlation_err", "covariance", "n_pairs"):
            assert row[name] == float(back[name].sel(at))


def test_the_figures_are_drawn_from_the_result_alone(tmp_path):
    stars = abundance_stars(800, 17, elements=("O", "Mg", "Si", "Y", "Eu", "Fe")).inputs["stars"]
    chosen = {"elements": ["O", "Mg", "Si", "Y", "Eu"], "given": ["feh"], "n_cell": 20, "box": [0.1]}
    result = abundance_correlations(stars, n_boot=50, **chosen)
    figures = abundance_correlations.draw(result)
    assert set(figures) == {"matrix", "scatter", "conditional"}
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png", dpi=40)
