import pytest

from hven.cli.selecting import split_columns, split_inputs
from hven.cli.texts import split_assignments, split_by_input
from hven.errors import ParameterError


def test_a_condition_with_an_equals_sign_is_not_taken_for_an_assignment():
    assert split_by_input(["feh = 0"], ["stars"], "--where") == {"stars": "feh = 0"}
    assert split_by_input(["stars=feh = 0"], ["stars"], "--where") == {"stars": "feh = 0"}
    assert split_by_input(["stars == 3"], ["stars"], "--where") == {"stars": "stars == 3"}


def test_two_texts_for_one_input_are_refused():
    with pytest.raises(ParameterError, match="twice for input 'stars'"):
        split_by_input(["feh < 0", "stars=teff > 1"], ["stars"], "--where")
    with pytest.raises(ParameterError, match="given twice"):
        split_inputs(["stars=a", "b"], ["stars"])
    with pytest.raises(ParameterError, match="given twice"):
        split_assignments(["bins=1", "bins=2"], "-p")


def test_a_parameter_without_a_name_is_refused():
    with pytest.raises(ParameterError, match="has no name"):
        split_assignments(["10"], "-p")


def test_a_value_may_hold_equals_signs_and_blanks():
    assert split_assignments(["title=a = b"], "-o") == {"title": "a = b"}


def test_a_column_for_an_unknown_input_is_refused_with_the_nearest():
    with pytest.raises(ParameterError, match="Did you mean 'stars'"):
        split_columns(["star.feh=m_h"], ["stars"])
    with pytest.raises(ParameterError, match="not understood"):
        split_columns(["feh"], ["stars"])
