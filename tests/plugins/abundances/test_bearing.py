"""Abundances that can hardly bear correlations, none of them of the mocks: what is left out, null, or a caveat."""

import numpy as np
import pytest
import xarray as xr

from hven.errors import HvenError
from hven_plugins.abundances import abundance_correlations

ELEMENTS = ("mg", "si", "ca")


def stars(n=788, *, scatter=0.1, err=0.03, seed=0):
    """Return skewed abundances of three elements that correlate by 0.5, with errors that differ from star to star."""
    rng = np.random.default_rng(seed)
    common = rng.gamma(2.0, 1.0, n) - 2
    columns = {}
    for name in ELEMENTS:
        e = err * rng.uniform(0.5, 1.5, n)
        own = rng.gamma(2.0, 1.0, n) - 2
        columns[f"{name}_h"] = scatter * (common + own) / 2 + e * rng.normal(size=n)
        columns[f"{name}_h_err"] = e
    return xr.Dataset(
        {k: ("object", v, {"units": "dex"}) for k, v in columns.items()} | {"object_id": ("object", np.arange(n))}
    )


def measure(data, **parameters):
    return abundance_correlations(data, **{"n_boot": 60, **parameters})[""]


def caveats(result):
    return " ".join(result.attrs.get("caveats", []))


def test_good_abundances_have_no_caveat():
    result = measure(stars())
    assert "caveats" not in result.attrs
    assert float(result.correlation[0, 1]) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("code", [9.99, 99.0, 999.0])
def test_codes_among_errors_are_left_out_and_counted(code):
    """Errors of 9.99 in 367 of 788 rows gave correlations of 31.84, state succeeded; now those of the other rows."""
    data = stars()
    coded = np.arange(788) < 367
    data["mg_h_err"] = data.mg_h_err.where(~coded, code)
    result = measure(data)
    assert "367 of 788 values of mg_h are left out: their errors are 1 dex or more" in caveats(result)
    rest = measure(data.isel(object=~coded))
    assert float(result.correlation[0, 1]) == pytest.approx(float(rest.correlation[0, 1]), rel=1e-9)
    assert int(result.n_pairs[0, 1]) == 421


def test_errors_of_zero_or_less_are_left_out_and_counted():
    data = stars()
    for first, value in ((0, 0.0), (30, -9.99)):
        data["si_h_err"][first : first + 20] = value
    result = measure(data)
    assert "40 of 788 values of si_h are left out: their errors are zero or negative." in caveats(result)
    assert int(result.n_pairs[0, 1]) == 748


@pytest.mark.parametrize("seed", range(8))
def test_no_correlation_above_one_goes_without_a_mark(seed):
    """Errors overstated until they nearly explain the scatter: a value beyond one is flagged and told, never two."""
    rng = np.random.default_rng(seed)
    data = stars(300, scatter=0.05, err=0.035, seed=seed)
    for name in ELEMENTS:
        data[f"{name}_h_err"] = data[f"{name}_h_err"] * rng.uniform(1.0, 1.35)
    result = measure(data)
    value, flag = result.correlation.values, result.flag.values
    off = ~np.eye(3, dtype=bool)
    above = off & (np.abs(np.nan_to_num(value)) > 1)
    assert set(flag[above]) <= {"above one", "errors exceed the scatter in replicates"}
    assert np.nanmax(np.abs(value)) <= 2
    assert bool(result.attrs.get("caveats")) == bool(np.any(flag != "ok"))
    assert np.all(flag[off & np.isnan(value)] != "ok")


DEGENERATE = {
    "constant": lambda s: s.assign(mg_h=0 * s.mg_h + 0.1),
    "all constant": lambda s: xr.Dataset({k: 0 * v + (0.1 if "err" not in k else 0.01) for k, v in s.items()}),
    "two stars, repeated": lambda s: s.isel(object=np.arange(788) % 2),
    "three stars": lambda s: s.isel(object=slice(0, 3)),
    "errors above the scatter": lambda s: s.assign(mg_h_err=0 * s.mg_h + 0.5),
    "half missing": lambda s: s.assign(mg_h=s.mg_h.where(np.arange(788) % 3 == 0)),
    "one element is another": lambda s: s.assign(mg_h=s.si_h * 1, mg_h_err=s.si_h_err * 1),
    "no errors": lambda s: s.drop_vars([f"{name}_h_err" for name in ELEMENTS]),
    "infinite": lambda s: s.assign(mg_h=s.mg_h.where(np.arange(788) % 3 > 0, np.inf)),
}


@pytest.mark.parametrize("change", DEGENERATE.values(), ids=list(DEGENERATE))
def test_degenerate_abundances_get_a_number_a_reason_or_a_coded_error(change):
    try:
        result = measure(change(stars()))
    except HvenError:
        return
    assert np.all(result.flag.values[np.isnan(result.correlation.values)] != "ok")
    assert result.attrs.get("caveats") or np.isfinite(result.correlation.values).all()


def test_what_is_assumed_scarce_or_lost_is_told():
    assert "no errors in mg_h, si_h, ca_h" in caveats(measure(DEGENERATE["no errors"](stars())))
    assert "Fewer than half of the 788 stars have Mg." in caveats(measure(DEGENERATE["half missing"](stars())))
    told = caveats(measure(DEGENERATE["errors above the scatter"](stars())))
    assert "Mg: errors exceed the scatter; there is no scatter and no correlation." in told


def test_correlations_above_one_are_marked_in_the_figure():
    """2.01 was a cell in full red like any other."""
    from hven_plugins.abundances.figures import draw_matrix

    result = measure(stars())
    assert not draw_matrix(result).axes[0].patches
    result["correlation"][1, 0] = 1.3
    axes = draw_matrix(result).axes[0]
    assert [patch.get_hatch() for patch in axes.patches] == ["////"]
    assert any("above one: 1 pair" in text.get_text() for text in axes.texts)


def test_a_mixed_table_is_put_on_one_scale_and_nothing_is_left_out():
    """[C/H] and [Fe/H] beside [Mg/Fe] and [Si/Fe]: both scales give what tables of one scale give."""
    rng = np.random.default_rng(3)
    n = 4000
    h = 0.1 * (rng.gamma(2.0, 1.0, (n, 1)) - 2) * [0.6, 0.9, 0.8, 1.0] + 0.05 * rng.standard_t(6, (n, 4))
    names, noise = ("c", "mg", "si", "fe"), 0.02 * rng.normal(size=(n, 4))
    over_h = {("feh" if k == "fe" else f"{k}_h"): h[:, i] for i, k in enumerate(names)}
    over_fe = {f"{k}_fe": h[:, i] - h[:, 3] for i, k in enumerate(names[:3])}
    mixed = {"c_h": over_h["c_h"], "feh": over_h["feh"], "mg_fe": over_fe["mg_fe"], "si_fe": over_fe["si_fe"]}

    def table(columns):
        seen = {k: ("object", v + noise[:, i]) for i, (k, v) in enumerate(columns.items())}
        errors = {f"{k}_err": ("object", np.full(n, 0.02)) for k in columns}
        return xr.Dataset({**seen, **errors, "object_id": ("object", np.arange(n))})

    hydrogen, iron = measure(table(mixed)), measure(table(mixed), scale="fe")
    assert (hydrogen.element.values.tolist(), hydrogen.attrs["scale"]) == (["C", "Mg", "Si", "Fe"], "h")
    assert iron.element.values.tolist() == ["C", "Mg", "Si"]
    for result, columns, scale in ((hydrogen, over_h, "h"), (iron, over_fe, "fe")):
        plain = measure(table(columns), scale=scale)
        assert result.correlation.values == pytest.approx(plain.correlation.values, abs=0.06)
        assert result.sigma.values == pytest.approx(plain.sigma.values, rel=0.05)
        assert "errors of [X/Fe] and [Fe/H] are independent" in caveats(result)
    assert "Mg, Si cannot be put on the scale [X/H] without feh" in caveats(
        measure(
            table({"c_h": over_h["c_h"], "o_h": over_h["mg_h"], "mg_fe": over_fe["mg_fe"], "si_fe": over_fe["si_fe"]})
        )
    )
