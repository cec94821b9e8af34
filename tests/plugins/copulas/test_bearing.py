"""Weights by their scale, and pairs that can hardly bear a copula; none of the data is a mock of hven."""

import numpy as np
import pytest
import xarray as xr

from hven.errors import HvenError
from hven_plugins.copulas import alpha_sequence, copula_density, copula_fit, tail_dependence

ANALYSES = {
    "copula_density": (copula_density, {"n_boot": 10}),
    "copula_fit": (copula_fit, {"n_boot": 2, "n_gof": 0, "families": ["gaussian", "gumbel"]}),
    "tail_dependence": (tail_dependence, {"n_boot": 10}),
    "alpha_sequence": (alpha_sequence, {"n_boot": 3}),
}


def stars(n=600, seed=0):
    """Return two columns with a common heavy tail above, margins skewed, and errors."""
    rng = np.random.default_rng(seed)
    tail = rng.pareto(3.0, n)
    columns = {"age": tail + rng.gamma(2.0, 0.2, n), "feh": 0.1 * tail + 0.03 * rng.standard_t(5, n)}
    columns |= {"mg_fe": columns["age"] ** 0.5, "age_err": np.full(n, 0.1), "feh_err": np.full(n, 0.02)}
    return xr.Dataset({k: ("object", v) for k, v in columns.items()})


def run(name, data):
    analysis, parameters = ANALYSES[name]
    found = analysis(data, **parameters)
    return found[""] if isinstance(found, dict) else found


@pytest.mark.parametrize("name", list(ANALYSES))
def test_the_scale_of_weights_changes_nothing(name):
    """All weights 1e-3 turned theta 1.84 into 3.44 +- .05 and chi(.95) .53 into 0; now nothing changes, nor by 1e12."""
    data = stars(900)
    plain = run(name, data)
    rng = np.random.default_rng(1)
    uneven = rng.gamma(2.0, 1.0, 900)
    first = run(name, data.assign(weight=("object", uneven)))
    for scale in (1e-3, 1e12):
        for weights, expected in ((np.ones(900), plain), (uneven, first)):
            result = run(name, data.assign(weight=("object", scale * weights)))
            for variable in expected.data_vars:
                if expected[variable].dtype.kind == "f":
                    np.testing.assert_allclose(result[variable], expected[variable], rtol=1e-6, atol=1e-9)


def test_unequal_weights_are_worth_fewer_stars_and_errors_say_so():
    """Weights of 0.05 for two stars in three leave half of them: errors of rho grow by 1.2 to 2."""
    data = stars(1500)
    uneven = np.where(np.arange(1500) % 3 == 0, 1.0, 0.05)
    plain, heavy = (run("copula_density", d) for d in (data, data.assign(weight=("object", uneven))))
    assert 1.2 < float(heavy.spearman_err[0] / plain.spearman_err[0]) < 2.2
    assert "Weights leave the 1,500 stars of group all the worth of" in " ".join(heavy.attrs["caveats"])


DEGENERATE = {
    "ties": (lambda s: s.assign(age=s.age.where(s.age > 0.6, 0.0)), "of the stars have one age, 0"),
    "whole numbers": (lambda s: s.assign(age=(2 * s.age).astype(int), feh=(20 * s.feh).astype(int)), "have one"),
    "two stars, repeated": (lambda s: s.isel(object=np.arange(600) % 2), "repeat another one"),
    "half missing": (lambda s: s.assign(feh=s.feh.where(np.arange(600) % 2 > 0)), "300 of 600 stars are left out"),
    "columns that are one": (lambda s: s.assign(feh=s.age, mg_fe=s.age), ""),
    "constant": (lambda s: s.assign(age=0 * s.age, feh=0 * s.feh), "a column has one value only"),
    "infinite": (lambda s: s.assign(age=s.age.where(np.arange(600) % 2 > 0, np.inf)), "300 of 600 stars are left out"),
}


@pytest.mark.parametrize("name", list(ANALYSES))
@pytest.mark.parametrize(("change", "text"), DEGENERATE.values(), ids=list(DEGENERATE))
def test_degenerate_pairs_get_a_number_a_reason_or_a_coded_error(change, text, name):
    try:
        result = run(name, change(stars()))
    except HvenError:
        return
    told = " ".join(result.attrs.get("caveats", []))
    if name != "alpha_sequence":  # it takes other columns
        assert text in told
        is_null = result.reason.values != "ok"
        value = {"copula_density": "kendall", "copula_fit": "tau", "tail_dependence": "chi_limit"}[name]
        assert np.isfinite(result[value].values[~is_null]).all()


def test_errors_of_copula_fit_are_looked_at():
    data = stars()
    data["age_err"] = data.age_err.where(np.arange(600) % 3 > 0, 99.9)
    assert "errors of age are 99.9" in " ".join(run("copula_fit", data).attrs["caveats"])


@pytest.mark.parametrize("lazy", [False, True])
def test_stars_without_a_label_are_in_no_group_whatever_the_type_of_the_label(lazy):
    """A null of a column of whole numbers comes as 0 with `group_valid`; it was a group 0 of its own."""
    data = stars(900)
    known = np.arange(900) % 3 > 0
    whole = data.assign(group=("object", np.where(known, 1 + np.arange(900) % 2, 0)), group_valid=("object", known))
    floats = data.assign(group=("object", np.where(known, 1.0 + np.arange(900) % 2, np.nan)))
    one, other = (
        copula_density(d.chunk(object=300) if lazy else d, n_boot=10, memory="1 kB")[""] for d in (whole, floats)
    )
    assert one.group.values.tolist() == other.group.values.tolist() == ["1", "2"]
    assert one.n.values.tolist() == [300, 300]
    assert one.spearman.values.tolist() == other.spearman.values.tolist()
