"""The suite passes a right analysis and fails, at the right test, each analysis with one thing wrong."""

import itertools

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from hven import Table, analysis
from hven.errors import TooFewObjectsError
from hven.mocks import Mock
from hven.testing import AnalysisSuite

STARS = Table(r_gal="kpc", one_of=[("feh", "m_h")], optional={"feh_err": "dex"}, pattern="<x>_fe")
UNITS = {"slope": "dex/kpc", "slope_err": "dex/kpc"}
calls = itertools.count()


def fit(stars: xr.Dataset) -> xr.Dataset:
    known = np.isfinite(stars.r_gal.values) & np.isfinite(stars.feh.values)
    if known.sum() < 10:
        raise TooFewObjectsError(f"{known.sum()} stars have radius and metallicity", hint="Select more.")
    (slope, _), cov = np.polyfit(stars.r_gal.values[known], stars.feh.values[known], 1, cov=True)
    return xr.Dataset({"slope": slope, "slope_err": np.sqrt(cov[0, 0])})


def mock(size: int, seed: int) -> Mock:
    rng = np.random.default_rng(seed)
    r_gal = rng.uniform(4, 12, size)
    stars = {
        "r_gal": ("object", r_gal, {"units": "kpc"}),
        "feh": ("object", 0.5 - 0.06 * r_gal + rng.normal(0, 0.1, size), {"units": "dex"}),
        "feh_err": ("object", np.full(size, 0.1), {"units": "dex"}),
        "mg_fe": ("object", rng.normal(0, 0.1, size), {"units": "dex"}),
    }
    return Mock({"stars": xr.Dataset(stars)}, truth={"slope": -0.06})


@analysis(stars=STARS, produces=UNITS)
def right(stars: xr.Dataset, *, scale: float = 1.0) -> xr.Dataset:
    """Slope of [Fe/H] with radius.

    Parameters
    ----------
    scale
        What the slope is multiplied by.
    """
    return scale * fit(stars)


right.mock(mock)


@right.figure
def _(result: xr.Dataset) -> Figure:
    figure = Figure()
    figure.subplots().axline((0, 0), slope=float(result.slope))
    return figure


@analysis(stars=STARS, produces={"feh_at_8": "dex", "feh_at_8_err": "dex"}, per_object=True)
def right_per_object(stars: xr.Dataset) -> xr.Dataset:
    """Each star's [Fe/H], carried to 8 kpc."""
    feh = stars.feh + 0.06 * (stars.r_gal - 8)
    return xr.Dataset({"feh_at_8": feh, "feh_at_8_err": xr.full_like(feh, 0.1)})


@right_per_object.mock
def _(size: int, seed: int) -> Mock:
    return Mock(mock(size, seed).inputs, truth={"feh_at_8": 0.5 - 0.06 * 8})


class TestRight(AnalysisSuite):
    analysis = right
    parameters = {"scale": 1.0}
    size = 300
    shuffled = ("feh",)
    null = {"slope": 0.0}


class TestRightPerObject(AnalysisSuite):
    analysis = right_per_object
    size = 300


def suite_of(function, *, produces=UNITS, per_object=False, size=300):
    wrong = analysis(stars=STARS, produces=produces, per_object=per_object, name="wrong")(function)
    wrong.mock(mock)
    fields = {"analysis": wrong, "size": size, "shuffled": ("feh",), "null": {"slope": 0.0}}
    return type("Suite", (AnalysisSuite,), fields)()


def first_row_off(stars):
    result = right_per_object(stars)
    return result.assign(feh_at_8=result.feh_at_8 + (stars.r_gal - stars.r_gal[0]))


def every_pair(stars):
    apart = np.abs(stars.r_gal.values[:, None] - stars.r_gal.values[None])
    return right_per_object(stars) if apart.max() >= 0 else stars


def spoiling(stars):
    stars["r_gal"] = stars.r_gal
    stars.r_gal.values[:] = stars.r_gal.values + 1
    return fit(stars)


PER_OBJECT = {"produces": {"feh_at_8": "dex", "feh_at_8_err": "dex"}, "per_object": True}


@pytest.mark.parametrize(
    ("suite", "failing"),
    [
        (suite_of(lambda stars: fit(stars) + xr.Dataset({"slope": 0.1, "slope_err": 0.0})), "recovers_the_truth"),
        (suite_of(lambda stars: xr.Dataset({"slope": -0.06, "slope_err": 0.001})), "finds_nothing_in_shuffled_data"),
        (suite_of(lambda stars: fit(stars.isel(object=slice(0, 99)))), "any_order_of_rows"),
        (suite_of(first_row_off, **PER_OBJECT), "any_order_of_rows"),
        (suite_of(first_row_off, **PER_OBJECT), "any_chunking"),
        (suite_of(first_row_off, **PER_OBJECT), "nothing_before_it_is_asked"),
        (suite_of(every_pair, **PER_OBJECT, size=1500), "memory_grows_no_faster"),
        (suite_of(lambda stars: fit(stars) + 1e-3 * next(calls)), "same_when_asked_again"),
        (suite_of(spoiling), "does_not_change_its_inputs"),
        (suite_of(lambda stars: fit(stars) + 0 * stars.r_gal.mean(skipna=False)), "missing_values"),
        (suite_of(lambda stars: xr.Dataset({"slope": 1.0, "slope_err": 1.0})), "no_objects_at_all"),
        (suite_of(lambda stars: fit(stars) + 0 * stars.feh_err.mean()), "optional_columns"),
        (suite_of(lambda stars: fit(stars).assign(more=1)), "result_is_as_declared"),
        (suite_of(lambda stars: fit(stars).assign(slope=fit(stars).slope.assign_attrs(units="kpc"))), "as_declared"),
        (suite_of(fit), "travels_to_a_worker"),
        (suite_of(lambda stars, *, scale=1.0: scale * fit(stars)), "parameters_survive_json"),
    ],
)
def test_each_thing_that_can_be_wrong_fails_a_test_that_says_so(suite, failing):
    (name,) = [name for name in dir(suite) if name.startswith("test_") and failing in name]
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the suite raises fails the test
        getattr(suite, name)()


def test_a_figure_that_fails_to_draw_fails_the_suite():
    suite = suite_of(fit)
    with pytest.raises(pytest.skip.Exception):
        suite.test_its_figure_renders()
    suite.analysis.figure(lambda result: None)
    with pytest.raises(AssertionError):
        suite.test_its_figure_renders()
