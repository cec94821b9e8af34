"""Copula densities, families and tails of two columns: conformance, invariances and the acceptance experiments."""

from typing import ClassVar

import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtri

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError
from hven.methods.copulas import CORNERS, Copula
from hven.methods.ranks import kendall
from hven.mocks import copula_stars
from hven.testing import AnalysisSuite
from hven_plugins.copulas import copula_density, copula_fit, hven_analyses, tail_dependence
from hven_plugins.copulas.pairs import exact_observations


class TestCopulaDensity(AnalysisSuite):
    analysis = copula_density
    shuffled = ("feh",)
    null: ClassVar = {"spearman": 0.0, "kendall": 0.0}
    parameters: ClassVar = {"n_boot": 30}
    size = 1000


class TestCopulaFit(AnalysisSuite):
    analysis = copula_fit
    parameters: ClassVar = {"n_boot": 10, "n_gof": 0, "families": ["gaussian", "frank"]}
    size = 1000


class TestTailDependence(AnalysisSuite):
    analysis = tail_dependence
    parameters: ClassVar = {"n_boot": 10}
    size = 1000


def stars_of(copula, n, seed, **knobs):
    return copula_stars(n, seed, copula=copula, **knobs).inputs["stars"]


def test_the_family_brings_its_analyses():
    assert [a.name for a in hven_analyses()] == [
        "copula_density", "copula_fit", "tail_dependence", "conditional_correlation_train", "conditional_correlation",
        "alpha_sequence",
    ]  # fmt: skip


@pytest.mark.t0
def test_increasing_transforms_of_a_column_change_nothing():
    """T0 target: u identical, rho_S and tau to 1e-12; measured: all identical."""
    stars = stars_of(Copula("clayton", 1.5), 2000, 1)
    age, feh = stars.age.values, stars.feh.values
    before = copula_density(stars)
    cells = ["n", "reason", "density", "spearman", "spearman_err", "kendall", "kendall_err"]
    for change in (np.exp, lambda x: x**3, lambda x: 1 / (1 + np.exp(-x))):
        moved = stars.assign(age=("object", change(age / 10)), feh=("object", change(feh)))
        after = copula_density(moved)
        assert after["stars"].identical(before["stars"])
        assert after[""][cells].equals(before[""][cells])


@pytest.mark.t0
def test_the_density_of_a_gaussian_is_its_closed_form():
    """T0 targets at 1e5 stars: rms < 5 % inside [.02, .98]^2 (weighted with the density), integral 1 +- .01."""
    truth = Copula("gaussian", 0.6)
    found = copula_density(stars_of(truth, 100_000, 2), n_boot=10)[""].isel(group=0)
    u, v = (a.ravel() for a in np.meshgrid(found.u1, found.u2, indexing="ij"))
    exact = np.exp(truth.log_density(u, v)).reshape(51, 51)
    inside = np.ix_(*[np.abs(found[side].values - 0.5) <= 0.48 for side in ("u1", "u2")])
    relative = (found.density.values / exact - 1)[inside]
    rms = np.sqrt(np.average(relative**2, weights=exact[inside]))
    assert rms < 0.05
    trapezoid = np.full(51, 0.998 / 50)
    trapezoid[[0, -1]] = 0.5 * 0.998 / 50 + 0.001
    assert trapezoid @ found.density.values @ trapezoid == pytest.approx(1.0, abs=0.01)


def test_each_group_is_ranked_for_itself():
    copulas = [Copula("gaussian", 0.6), Copula("gaussian", -0.3)]
    mock = copula_stars(4000, 3, copula=copulas)
    stars = mock.inputs["stars"]
    stars["age"] = stars.age + 100.0 * stars.group
    found = copula_density(stars)[""]
    assert found.group.values.tolist() == ["0", "1"]
    pulls = (found.kendall.values - mock.truth["kendall"]) / found.kendall_err.values
    assert np.abs(pulls).max() < 4
    alone = copula_density(stars.isel(object=stars.group.values == 1).drop_vars("group"))[""]
    assert float(alone.kendall[0]) == float(found.kendall[1])


@pytest.mark.t1
@pytest.mark.slow
def test_bootstrap_errors_cover_the_truth():
    """150 samples of 300 stars; 68 % bands cover the truth in 69 % (Spearman) and 71 % (Kendall)."""
    truth = Copula("gumbel", 1.8)
    results = [copula_density(stars_of(truth, 300, 1000 + s), n_boot=60)[""].isel(group=0) for s in range(150)]
    for name, exact in (("spearman", truth.spearman), ("kendall", truth.tau)):
        value, error = (np.array([float(r[n]) for r in results]) for n in (name, f"{name}_err"))
        assert 0.58 < np.mean(np.abs(value - exact) < error) < 0.78
        assert error.mean() == pytest.approx(value.std(), rel=0.1)


def test_ranks_of_a_column_that_is_never_whole_in_memory_are_exact():
    import dask.array as da

    from hven.methods.ranks import pseudo_observations

    rng = np.random.default_rng(4)
    x = np.where(rng.random(5000) < 0.3, rng.normal(size=5000).round(1), rng.normal(size=5000))
    known = rng.random(5000) < 0.9
    expected = pseudo_observations(np.where(known, x, np.nan))
    lazy = exact_observations(da.from_array(x, chunks=700), known, rows_in_memory=300)
    assert np.array_equal(lazy, expected, equal_nan=True)


def test_columns_too_long_for_memory_give_the_same_ranks_and_correlations():
    stars = stars_of(Copula("gumbel", 1.8), 5000, 12)
    stars["age"][:50] = np.nan
    whole, lazy = copula_density(stars), copula_density(stars.chunk({"object": 700}), memory="10 kB")
    assert lazy["stars"].identical(whole["stars"])
    for name in ("n", "spearman", "spearman_err", "kendall", "kendall_err", "density"):
        assert np.array_equal(lazy[""][name], whole[""][name])
    with pytest.raises(TooFewObjectsError, match="the largest has 4950"):
        copula_density(stars.chunk({"object": 700}), memory="10 kB", n_min=10_000)


def test_groups_and_weights_count_out_of_core_as_in_memory():
    rng = np.random.default_rng(13)
    stars = stars_of(Copula("gumbel", 1.8), 3000, 13).assign(
        group=("object", np.where(np.arange(3000) < 30, 2, np.arange(3000) % 2)), weight=("object", rng.random(3000))
    )
    stars["weight"][40:80] = 0.0
    whole, lazy = copula_density(stars), copula_density(stars.chunk({"object": 700}), memory="10 kB")
    for name in lazy["stars"].data_vars:
        np.testing.assert_allclose(lazy["stars"][name], whole["stars"][name], rtol=1e-12)
    assert lazy[""].reason.values.tolist() == whole[""].reason.values.tolist() == ["ok", "ok", "too few stars"]
    for name in ("n", "spearman", "spearman_err", "kendall", "kendall_err", "density"):
        np.testing.assert_allclose(lazy[""][name], whole[""][name], rtol=1e-9)


def test_what_says_nothing_is_refused_or_told():
    stars = stars_of(Copula("gaussian", 0.5), 300, 5)
    with pytest.raises(TooFewObjectsError, match="the largest has 20"):
        copula_density(stars.isel(object=slice(0, 20)))
    with pytest.raises(ParameterError, match="both columns are 'age'"):
        copula_density(stars, columns=("age", "age"))
    with pytest.raises(ParameterError, match="quantiles"):
        tail_dependence(stars, q=[1.5])
    texts = stars.assign(feh=("object", np.array(["a"] * 300)))
    with pytest.raises(DataRefusedError, match="feh"):
        copula_density(texts)
    stars["group"] = ("object", np.arange(300) % 3)
    stars["feh"] = stars.feh.where(stars.group != 1, 0.0)
    stars["age"] = stars.age.where((stars.group != 2) | (np.arange(300) < 60))
    for analysis, parameters in (
        (copula_density, {}),
        (copula_fit, {"n_gof": 0, "n_boot": 0}),
        (tail_dependence, {"n_min": 50}),
    ):
        found = analysis(stars, **parameters)
        found = found[""] if isinstance(found, dict) else found
        assert found.reason.values.tolist() == ["ok", "a column has one value only", "too few stars"]
        numbers = [
            v for v in found.data_vars.values() if v.dtype.kind == "f" and v.dims[0] == "group" and v.name != "counts"
        ]
        assert all(not np.isfinite(v.values[1:]).any() for v in numbers)


def test_a_group_of_which_one_star_has_all_the_weight_is_too_small():
    stars = stars_of(Copula("gaussian", 0.5), 600, 14)
    heavy = stars.assign(weight=("object", np.where(np.arange(600) == 0, 1e9, 1.0)))
    for lazy in (heavy, heavy.chunk({"object": 100})):
        with pytest.raises(TooFewObjectsError, match=r"the largest has 1 by its weights"):
            copula_density(lazy, memory="1 kB")
    for analysis in (copula_fit, tail_dependence):
        with pytest.raises(TooFewObjectsError, match="by its weights"):
            analysis(heavy)


def test_columns_that_determine_each_other_have_tails_in_two_corners():
    stars = stars_of(Copula("gaussian", 0.5), 400, 15)
    found = tail_dependence(stars.assign(feh=stars.age * 2), n_boot=10).isel(group=0)
    assert found.chi.sel(corner=["upper-upper", "lower-lower"], q=0.9).values == pytest.approx([1.0, 1.0], abs=0.03)
    assert (found.chi.sel(corner=["upper-lower", "lower-upper"], q=0.9) == 0).all()
    assert (found.chibar_gaussian.sel(corner="upper-lower") <= 0).all()


@pytest.mark.t1
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_families_and_parameters_are_recovered():
    """12 samples of 1000 stars of each of five copulas.

    Targets: AIC right in 90 %; bias below 1.5 standard errors of a single fit; bootstrap coverage 58-78 % (here within
    the binomial noise of 60: 50-86 %). Measured: 55 of 60 (four Claytons are taken for another family or its rotation,
    which the prototype's 59 of 60 had not to choose from), coverage 75 %; Gaussian .601 +- .028, t .597 +- .024 with nu
    = 2 + e^(.62 +- .28), Clayton 1.53 +- .06, Gumbel 1.82 +- .05, Frank 2.94 +- .11.
    """
    truths = [
        Copula("gaussian", 0.6),
        Copula("student", 0.6, 4.0),
        Copula("clayton", 1.5),
        Copula("gumbel", 1.8),
        Copula("frank", 3.0),
    ]
    right, covered = 0, []
    for truth in truths:
        fits = [copula_fit(stars_of(truth, 1000, 100 + s), n_gof=0, n_boot=30).isel(group=0) for s in range(12)]
        same = [f for f in fits if str(f.family.values) == truth.family and int(f.rotation) == truth.rotation]
        right += len(same)
        theta, error = np.array([[float(f.theta), float(f.theta_err)] for f in same]).T
        assert abs(theta.mean() - truth.theta) < 1.5 * error.mean()
        covered += (np.abs(theta - truth.theta) < error).tolist()
        if truth.family == "student":
            shift = np.log([float(f.nu) - 2 for f in same]) - np.log(2)
            assert abs(shift.mean()) < 1.5 * shift.std()
    assert right >= 54
    assert 0.50 < np.mean(covered) < 0.86


@pytest.mark.t1
def test_goodness_of_fit_tells_a_wrong_family():
    stars = stars_of(Copula("clayton", 3.0), 1000, 6)
    right = copula_fit(stars, families=["clayton"], n_boot=0, n_gof=40).isel(group=0)
    wrong = copula_fit(stars, families=["frank"], n_boot=0, n_gof=40).isel(group=0)
    assert float(right.gof_p) > 0.05 > float(wrong.gof_p)
    assert np.isnan(float(right.theta_err))


def observed(truth, n, seed, *, errors=None, proportional=False, selected=False, rounded=False):
    """Return stars of `truth` with skewed margins, seen with errors, through a selection, or rounded."""
    rng = np.random.default_rng([seed, 5])
    u, v = truth.sample(6 * n if selected else n, rng)
    age, feh = np.exp(0.5 * ndtri(u) + 1.5), -0.1 + 0.25 * ndtri(v) - 0.1 * np.exp(0.5 * ndtri(v))
    columns = {}
    if selected:
        chance = 0.05 + 0.9 * u * (1 - 0.5 * v)
        seen = np.flatnonzero(rng.random(len(u)) < chance)[:n]
        age, feh, columns["weight"] = age[seen], feh[seen], ("object", 1e-3 / chance[seen])
    if errors is not None:
        age_err = errors[0] * (age if proportional else np.full(n, age.std()))
        feh_err = np.full(n, errors[1] * feh.std())
        age, feh = age + age_err * rng.standard_normal(n), feh + feh_err * rng.standard_normal(n)
        columns |= {"age_err": ("object", age_err), "feh_err": ("object", feh_err)}
    if rounded:
        age, feh = age.round(1), feh.round(2)
    return xr.Dataset({"age": ("object", age), "feh": ("object", feh), **columns})


@pytest.mark.t1
@pytest.mark.parametrize(("truth", "errors", "proportional"), [
    (Copula("gaussian", 0.6), (0.4, 0.4), False), (Copula("clayton", 1.5), (0.3, 0.3), True),
    (Copula("gaussian", -0.5), (0.7, 0.6), False),
])  # fmt: skip
def test_errors_of_measurement_attenuate_as_said(truth, errors, proportional):
    """Said and true of 5 groups: .820 .795, .729 .768, .651 .659; before, .847 was said for .757, .743 for .525."""
    said, true = [], []
    for seed in range(3):
        stars = observed(truth, 2000, seed, errors=errors, proportional=proportional)
        said.append(float(copula_fit(stars, families=[truth.family], n_boot=0, n_gof=0).attenuation[0]))
        exact = observed(truth, 2000, seed)  # the same stars without errors
        true.append(np.divide(*(kendall(one.age.values, one.feh.values).value for one in (stars, exact))))
    assert np.mean(said) == pytest.approx(np.mean(true), abs=0.05)


def test_without_errors_nothing_is_attenuated():
    truth = Copula("gaussian", 0.7)
    exact = copula_fit(stars_of(truth, 500, 7), families=["gaussian"], n_boot=0, n_gof=0)
    assert np.isnan(float(exact.attenuation[0]))
    zero = stars_of(truth, 500, 7).assign(age_err=("object", np.zeros(500)), feh_err=("object", np.zeros(500)))
    assert float(copula_fit(zero, families=["gaussian"], n_boot=0, n_gof=0).attenuation[0]) == 1.0


def rejected(n_groups, families, **how):
    """Return the share of groups of a true family with gof_p <= .05."""
    fits = [
        copula_fit(observed(truth, 1000, seed, **how), families=[truth.family], n_boot=0, n_gof=19)
        for truth in families
        for seed in range(n_groups)
    ]
    return np.mean([float(one.gof_p[0]) <= 0.05 for one in fits])


def test_weights_and_rounding_do_not_reject_a_true_family():
    """4 groups each: before, 100 % were rejected with weights and 55 % after rounding; now none or one."""
    gaussian = (Copula("gaussian", 0.6),)
    assert rejected(4, gaussian, selected=True) <= 0.25
    assert rejected(4, gaussian, rounded=True) <= 0.25
    stars = observed(Copula("clayton", 3.0), 1000, 3, selected=True)
    assert float(copula_fit(stars, families=["gaussian"], n_boot=0, n_gof=19).gof_p[0]) == pytest.approx(0.05)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_goodness_of_fit_rejects_one_in_twenty_true_families():
    """25 groups of 1000 stars and 19 samples each. Rejected at 5 %:

    ==================  ========  ======  =====
    data                gaussian  gumbel  frank
    ==================  ========  ======  =====
    rounded             0         0       .04
    selected, weighted  .04       .04     .04
    ==================  ========  ======  =====
    """
    three = (Copula("gaussian", 0.6), Copula("gumbel", 1.8), Copula("frank", 3.0))
    assert rejected(25, three, rounded=True) <= 0.10
    assert rejected(25, three, selected=True) <= 0.10


@pytest.mark.t0
def test_flipping_a_column_swaps_the_corners_exactly():
    stars = stars_of(Copula("gumbel", 1.8), 2000, 8)
    found = tail_dependence(stars, n_boot=10).isel(group=0)
    flipped = tail_dependence(stars.assign(feh=-stars.feh), n_boot=10).isel(group=0)
    for here, there in (("upper-upper", "upper-lower"), ("lower-lower", "lower-upper")):
        for name in ("chi", "chibar", "eta", "chi_limit"):
            one, other = found[name].sel(corner=here).values, flipped[name].sel(corner=there).values
            assert one == pytest.approx(other, abs=1e-10, nan_ok=True)


@pytest.mark.t1
@pytest.mark.slow
def test_tails_of_gumbel_and_clayton_are_found_and_a_gaussian_is_told_from_a_gumbel():
    """20,000 stars. Targets: chi(.98) within .03 of lambda (mean of 6), eta apart by > 3 sigma at equal tau.

    Measured .535 +- .019 against .530 (Gumbel) and .625 +- .005 against .630 (Clayton).
    """
    cases = {"gumbel": (Copula("gumbel", 1.8), "upper-upper"), "clayton": (Copula("clayton", 1.5), "lower-lower")}
    for truth, corner in cases.values():
        chi = [float(_tail(truth, s).chi.sel(corner=corner, q=0.98)) for s in range(6)]
        assert np.mean(chi) == pytest.approx(truth.tail(corner), abs=0.03)
    gumbel, gaussian = (
        _tail(Copula.from_tau(f, Copula("gumbel", 1.8).tau), 9).sel(corner="upper-upper")
        for f in ("gumbel", "gaussian")
    )
    apart = float(gumbel.eta - gaussian.eta) / np.hypot(float(gumbel.eta_err), float(gaussian.eta_err))
    assert apart > 3
    assert float(gaussian.eta) == pytest.approx(0.80, abs=0.10)
    assert float(gumbel.eta) == pytest.approx(1.0, abs=0.08)


def _tail(copula, seed):
    return tail_dependence(stars_of(copula, 20_000, seed), q=[0.95, 0.98], n_boot=20).isel(group=0)


@pytest.mark.t1
@pytest.mark.slow
def test_bands_of_chi_cover_the_true_curve():
    """100 samples of 4000 stars, chi(.9), chi(.95) of a Gumbel in two corners; target 58-78 %, measured 63 %."""
    truth, q = Copula("gumbel", 1.8), [0.9, 0.95]
    inside = []
    for seed in range(100):
        found = tail_dependence(stars_of(truth, 4000, seed), q=q, n_boot=60).isel(group=0)
        for corner in ("upper-upper", "lower-lower"):
            row = found.sel(corner=corner)
            exact = truth.chi(q, corner)
            inside += ((row.chi_low.values < exact) & (exact < row.chi_high.values)).tolist()
    assert 0.58 < np.mean(inside) < 0.78


def test_the_parametric_tail_stands_beside_the_counts():
    found = tail_dependence(stars_of(Copula("gumbel", 1.8), 5000, 10), n_boot=10).isel(group=0)
    assert str(found.family.values) == "gumbel"
    beside = found.sel(corner="upper-upper")
    assert float(beside.tail_of_family) == pytest.approx(float(beside.chi_limit), abs=4 * float(beside.chi_limit_err))
    assert found.corner.values.tolist() == list(CORNERS)
    gaussian = Copula.from_tau("gaussian", Copula("gumbel", 1.8).tau)
    assert float(beside.chi_gaussian.sel(q=0.95)) == pytest.approx(float(gaussian.chi(0.95)), abs=0.03)


@pytest.mark.parametrize("groups", [1, 5])
def test_the_figures_are_drawn_from_the_results_alone(groups, tmp_path):
    stars = stars_of([Copula("gaussian", 0.3)] * groups, 300 * groups, 11)
    results = [
        (copula_density, copula_density(stars, n_boot=10)),
        (copula_fit, copula_fit(stars, n_boot=0, n_gof=0, families=["gaussian"])),
        (tail_dependence, tail_dependence(stars, n_boot=10)),
    ]
    for analysis, result in results:
        drawn = analysis.draw(result)
        for i, figure in enumerate(drawn.values() if isinstance(drawn, dict) else [drawn]):
            figure.savefig(tmp_path / f"{analysis.name}{i}.png", dpi=40)
