import numpy as np
import pytest
import xarray as xr

from hven.errors import ResultRefusedError
from hven.testing import differences, misses


def result(**variables):
    return {"": xr.Dataset({name: ("object", np.asarray(v)) for name, v in variables.items()})}


def test_results_that_differ_in_nothing_but_rounding_agree():
    one = result(a=[1.0, np.nan], b=["x", None], c=[1, 2])
    assert differences(one, result(a=[1.0 + 1e-9, np.nan], b=["x", None], c=[1, 2])) == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (result(a=[1.0, 2.1]), "a: 1 of 2 values differ, by up to 0.1"),
        (result(a=[1.0, np.nan]), "a: 1 of 2 values differ"),
        (result(a=[1.0]), "a: shape (2,) in one result, (1,) in the other"),
        (result(a=[1.0, 2.0], b=[1, 2]), "b is in one result only"),
        ({**result(a=[1.0, 2.0]), "map": xr.Dataset()}, "part 'map' is in one result only"),
    ],
)
def test_what_differs_is_told_by_name(other, said):
    assert differences(result(a=[1.0, 2.0]), other) == [said]


def drawn(error, size=4000):
    return np.random.default_rng(0).normal(0.0, error, size)


def test_many_values_with_honest_errors_recover_the_truth():
    assert misses(result(d=drawn(0.1), d_err=np.full(4000, 0.1)), {"d": 0.0}) == []


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        (drawn(0.2), np.full(4000, 0.1), "lie within 1 sigma"),
        (np.where(np.arange(4000) < 80, 9.0, drawn(0.1)), np.full(4000, 0.1), "2.0% beyond 5 sigma"),
        (np.full(4000, np.nan), np.full(4000, 0.1), "every value is NaN"),
        (drawn(0.1), np.full(4000, np.inf), "4000 values have no finite positive error"),
        ([0.1, 0.6], [0.1, 0.1], "0.6 +- 0.1 where the truth is 0 (6.0 sigma)"),
    ],
)
def test_a_result_off_the_truth_by_more_than_its_errors_is_told(value, error, said):
    (told,) = misses(result(d=value, d_err=error), {"d": 0.0})
    assert said in told


def test_a_result_without_errors_is_held_against_a_tolerance_or_refused():
    assert misses(result(d=[0.1]), {"d": 0.0}, {"d": 0.05}) == []
    with pytest.raises(ResultRefusedError, match="d_err"):
        misses(result(d=[0.1]), {"d": 0.0})


def test_flags_are_held_against_the_truth_exactly_or_up_to_a_fraction():
    flags = result(is_clump=[True, True, False, False])
    truth = {"is_clump": np.array([True, True, True, False])}
    assert misses(flags, truth) == ["is_clump: 25.0% of the values are not the true ones"]
    assert misses(flags, truth, {"is_clump": 0.3}) == []


def test_truths_of_parts_are_named_with_their_part_and_others_are_left_alone():
    parts = {"map": xr.Dataset({"n": 3.0, "n_err": 0.1})}
    assert misses(parts, {"map.n": 2.0, "hidden": 1.0}) == ["map.n: 3 +- 0.1 where the truth is 2 (10.0 sigma)"]
