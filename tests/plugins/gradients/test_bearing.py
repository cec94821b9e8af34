"""Stars that can hardly bear a gradient, none of them of the mocks: what is refused, null, or a caveat."""

import numpy as np
import pytest
import xarray as xr

from hven.errors import HvenError
from hven_plugins.gradients import metallicity_gradients, metallicity_maps, metallicity_substructures

UNITS = {"r_gal": "kpc", "feh": "dex", "r_gal_err": "kpc", "feh_err": "dex"}


def disc(n=800, *, low=4.0, high=13.0, r_err=0.2, feh_err=0.03, seed=0):
    """Return stars of a uniform disc with skewed scatter, errors of their own, and no model of hven behind them."""
    rng = np.random.default_rng(seed)
    r = rng.uniform(low, high, n)
    feh = 0.45 - 0.06 * r - 0.12 * (rng.gamma(2.0, 1.0, n) - 2)
    e_r, e_feh = (e * rng.uniform(0.7, 1.3, n) for e in (r_err, feh_err))
    columns = {
        "r_gal": r + e_r * rng.normal(size=n), "feh": feh + e_feh * rng.normal(size=n), "r_gal_err": e_r,
        "feh_err": e_feh,
    }  # fmt: skip
    return xr.Dataset({k: ("object", v, {"units": UNITS[k]}) for k, v in columns.items()})


def gradient(stars, **parameters):
    return metallicity_gradients(stars, n_components=1, **parameters)


def caveats(result):
    return " ".join(result.attrs.get("caveats", []))


def test_a_whole_disc_has_no_caveat():
    result = gradient(disc())
    assert "caveats" not in result.attrs
    assert result.fit.values.tolist() == ["ok"]


def test_a_gradient_over_a_fifth_of_a_kiloparsec_has_a_caveat_with_the_arm():
    """Was +2.04 +- 0.53 dex/kpc without a word."""
    stars = disc(low=8.0, high=8.22, r_err=0.001)
    told = caveats(gradient(stars))
    assert "nine in ten stars lie within 0.2 kpc of radius" in told
    assert "scatter of 0.18 dex is 0.92 dex/kpc" in told


def test_radii_that_are_mostly_error_say_what_a_misstated_error_does():
    stars = disc(low=7.0, high=9.5, r_err=0.6)
    told = caveats(gradient(stars))
    assert "errors of the radius (median 0.6 kpc) make up" in told
    assert "the gradient changes by" in told


def test_radii_that_are_all_error_have_no_gradient():
    result = gradient(disc(low=7.9, high=8.1, r_err=0.5).assign(r_gal_err=("object", np.full(800, 3.0))))
    assert result.fit.values.tolist() == ["errors exceed the spread of radii"]
    assert np.isnan(result.slope.values).all()
    assert "All stars: errors exceed the spread of radii." in caveats(result)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"feh_err": 9.99}, "of 800 errors of feh are 9.99 dex, above its scatter"),
        ({"r_gal_err": 99.9}, "of 800 errors of r_gal are 99.9 kpc"),
        ({"feh_err": 0.0}, "errors of feh are 0: these values count as exact"),
        ({"feh": np.nan}, "of 800 stars are left out: feh is missing in"),
    ],
    ids=["a code for feh_err", "a code for r_gal_err", "errors of zero", "missing values"],
)
def test_a_third_of_the_rows_that_is_not_what_it_seems_is_a_caveat(change, text):
    stars = disc()
    some = np.random.default_rng(1).random(800) < 0.33
    for name, value in change.items():
        stars[name] = stars[name].where(~some, value)
    result = gradient(stars)
    assert text in caveats(result)
    assert np.isfinite(result.slope.values).all()


def test_errors_larger_than_the_scatter_and_assumed_errors_are_caveats():
    told = caveats(gradient(disc().assign(feh_err=("object", np.full(800, 0.5)))))
    assert "Errors of feh (median 0.5 dex) are larger than its scatter" in told
    assert "Assumed: no errors in r_gal and feh." in caveats(gradient(disc().drop_vars(["r_gal_err", "feh_err"])))


def test_stars_that_come_twice_are_a_caveat():
    once = disc()
    twice = xr.concat([once, once], "object")
    assert "800 of 1,600 stars repeat another one" in caveats(gradient(twice))


EDGES = {
    "exactly on a line": lambda s: s.assign(feh=0.5 - 0.06 * s.r_gal),
    "constant feh": lambda s: s.assign(feh=0 * s.feh + 0.1),
    "two stars, repeated": lambda s: s.isel(object=np.arange(800) % 2),
    "zero errors on a line": lambda s: s.assign(feh=0.5 - 0.06 * s.r_gal, feh_err=0 * s.feh, r_gal_err=0 * s.feh),
    "two stars": lambda s: s.isel(object=slice(0, 2)),
    "all at one radius": lambda s: s.assign(r_gal=0 * s.r_gal + 8.122),
    "whole numbers": lambda s: s.assign(r_gal=s.r_gal.round().astype(np.int32), feh=s.feh.round().astype(np.int64)),
    "nothing but NaN": lambda s: s.assign(feh=s.feh * np.nan),
}


@pytest.mark.parametrize("change", EDGES.values(), ids=list(EDGES))
@pytest.mark.parametrize("with_errors", [True, False])
def test_degenerate_stars_get_a_number_a_reason_or_a_coded_error(change, with_errors):
    """Was ValueError: array must not contain infs or NaNs for those exactly on a line."""
    stars = change(disc())
    if not with_errors:
        stars = stars.drop_vars(["r_gal_err", "feh_err"])
    try:
        result = gradient(stars)
    except HvenError:
        return
    has_line = result.fit.values[0] not in {"all stars at one radius", "too few stars"}
    assert np.isfinite(result.slope.values[0]) == has_line
    assert result.attrs.get("caveats") or result.fit.values.tolist() == ["ok"]
    if has_line:
        assert np.isfinite(
            [float(result[n].values[0]) for n in ("slope_err", "intercept", "sigma_int", "slope_ols")]
        ).all()


def test_a_line_without_errors_is_that_line():
    stars = disc().drop_vars(["r_gal_err", "feh_err"])
    result = gradient(stars.assign(feh=0.5 - 0.06 * stars.r_gal))
    assert result.fit.values.tolist() == ["exactly on a line"]
    assert result.slope.values == pytest.approx([-0.06], abs=1e-6)
    assert result.sigma_int.values == [0.0]


def residuals(n=1500, seed=0):
    """Return stars of a square with residuals that are noise and nothing else."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-10, -7, n), rng.uniform(-1.5, 1.5, n)
    columns = {"r_gal": np.hypot(x, y), "phi_gal": np.mod(np.arctan2(y, x), 2 * np.pi)}
    columns |= {"delta_feh": rng.laplace(0, 0.07, n), "delta_feh_err": rng.uniform(0.02, 0.06, n)}
    return xr.Dataset({k: ("object", v) for k, v in columns.items()})


ROWS = np.arange(1500)
MAPPED = {
    "at one place": (lambda s: s.assign(r_gal=0 * s.r_gal + 8, phi_gal=0 * s.r_gal + 3), "too few cells"),
    "constant": (lambda s: s.assign(delta_feh=0 * s.delta_feh), "too few cells"),
    "errors of zero": (lambda s: s.assign(delta_feh_err=0 * s.delta_feh), "All errors of delta_feh are 0"),
    "errors of 9.99": (lambda s: s.assign(delta_feh_err=0 * s.delta_feh + 9.99), "larger than its scatter"),
    "codes": (lambda s: s.assign(delta_feh_err=s.delta_feh_err.where(ROWS % 3 > 0, 9.99)), "looks like a code"),
    "two stars": (lambda s: s.isel(object=ROWS % 2), "repeat another one"),
    "half missing": (lambda s: s.assign(delta_feh=s.delta_feh.where(ROWS % 2 > 0)), "delta_feh is missing in 750"),
    "no errors": (lambda s: s.drop_vars("delta_feh_err"), "Assumed: no errors in delta_feh."),
    "whole numbers": (
        lambda s: s.assign(delta_feh=(9 * s.delta_feh).astype(int), delta_feh_err=(0 * s.delta_feh).astype(int)),
        "All errors",
    ),
}


@pytest.mark.parametrize(("change", "text"), MAPPED.values(), ids=list(MAPPED))
def test_maps_of_degenerate_residuals_say_what_is_wrong(change, text):
    """Cells without a value have a reason in ``flag``; nothing is NaN without a word, and nothing raises uncoded."""
    try:
        found = metallicity_substructures(change(residuals()), pixel=0.5, radius=1.0, n_permutations=0, use="mean")
        assert np.isfinite(found["map"].evidence.values).any()
    except HvenError:
        pass
    result = metallicity_maps(change(residuals()), pixel=0.5, n_shuffles=3)
    assert text in caveats(result[""])
    lost = np.isnan(result[""].sigma_int.values) & (result[""].n.values > 0)
    assert not np.any(result[""].flag.values[lost] == "ok")
    assert np.isfinite(result["two_point"].xi_zero.values).all()
