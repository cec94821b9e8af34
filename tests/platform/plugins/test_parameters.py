import json
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from hven.errors import DeclarationError, ParameterError
from hven.plugins.parameters import allowed_values, check_parameters, parameters_json, parameters_model, parse_texts


def fit(
    stars: Any,
    *,
    bins: Annotated[int, Field(ge=1, le=50)] = 6,
    r_ref: float = 8.0,
    scale: Annotated[float, Field(gt=0)] = 1.0,
    by: Literal["age", "teff"] = "age",
    order: Literal[1, 2] = 1,
    columns: list[str] | None = None,
    edges: tuple[float, float] | None = None,
    limits: dict[str, float] | None = None,
    robust: bool = False,
    label: str = "",
    n_max: int | None = None,
) -> None:
    """Fit a line.

    Parameters
    ----------
    stars
        Not a parameter.
    bins : int, optional
        How many populations,
        of equal numbers.
    r_ref, scale
        In kpc.
    by
        What cuts the populations.
    """


MODEL = parameters_model(fit)


def test_defaults_complete_what_is_given_in_the_order_of_the_signature():
    checked = check_parameters(MODEL, {"r_ref": 8.2})
    assert list(checked)[:3] == ["bins", "r_ref", "scale"]
    assert (checked["bins"], checked["r_ref"], checked["columns"]) == (6, 8.2, None)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("bins", "10", 10),
        ("r_ref", "-8.5e0", -8.5),
        ("by", "teff", "teff"),
        ("order", "2", 2),
        ("columns", "mg_fe, si_fe", ["mg_fe", "si_fe"]),
        ("columns", '["a,b"]', ["a,b"]),
        ("columns", "mg_fe", ["mg_fe"]),
        ("columns", "none", None),
        ("edges", "1,2.5", (1.0, 2.5)),
        ("limits", "feh=0.5, teff=100", {"feh": 0.5, "teff": 100.0}),
        ("limits", '{"feh": 1}', {"feh": 1.0}),
        ("robust", "yes", True),
        ("robust", "false", False),
        ("label", "none", "none"),
        ("label", "1", "1"),
        ("n_max", "None", None),
        ("n_max", "7", 7),
    ],
)
def test_texts_of_the_command_line_become_values(name, text, value):
    assert parse_texts(MODEL, {name: text})[name] == value


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("bins", "51", "a whole number from 1 to 50"),
        ("bins", "six", "a whole number from 1 to 50"),
        ("bins", "6.5", "a whole number from 1 to 50"),
        ("scale", "0", "a number above 0"),
        ("by", "mass", "one of 'age', 'teff'"),
        ("order", "3", "one of 1, 2"),
        ("robust", "perhaps", "true or false"),
        ("edges", "1", "a list, each"),
        ("n_max", "many", "a whole number or none"),
        ("limits", "feh", ""),
    ],
)
def test_a_value_outside_its_range_is_refused_with_name_value_and_what_is_allowed(name, text, allowed):
    with pytest.raises(ParameterError) as refused:
        parse_texts(MODEL, {name: text}, "analysis 'fit'")
    for said in (repr(name), allowed, "analysis 'fit'"):
        assert said in str(refused.value)


def test_an_unknown_parameter_is_refused_with_the_nearest_names():
    for refuse in (check_parameters, parse_texts, parameters_json):
        with pytest.raises(ParameterError, match=r"no parameter 'bin'.*Did you mean 'bins'\?"):
            refuse(MODEL, {"bin": "3"})


def test_a_missing_parameter_is_named():
    def needy(stars: Any, *, age_max: Annotated[float, Field(le=14)]) -> None: ...

    with pytest.raises(ParameterError, match=r"'age_max' is missing.*Expected: a number at most 14.*-p age_max=VALUE"):
        check_parameters(parameters_model(needy), {})


def test_the_json_schema_has_bounds_choices_and_the_descriptions_of_the_docstring():
    schema = MODEL.model_json_schema()["properties"]
    assert schema["bins"]["description"] == "How many populations, of equal numbers."
    assert schema["r_ref"]["description"] == schema["scale"]["description"] == "In kpc."
    assert (schema["bins"]["minimum"], schema["bins"]["maximum"]) == (1, 50)
    assert schema["by"]["enum"] == ["age", "teff"]


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "bins": st.integers(1, 50),
            "r_ref": st.floats(allow_nan=False, allow_infinity=False),
            "by": st.sampled_from(["age", "teff"]),
            "columns": st.none() | st.lists(st.text()),
            "edges": st.none() | st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
            "limits": st.none() | st.dictionaries(st.text(), st.floats(-1e300, 1e300)),
            "robust": st.booleans(),
            "label": st.text(),
            "n_max": st.none() | st.integers(-(2**63), 2**63),
        },
    )
)
def test_parameters_survive_json(values):
    text = json.dumps(parameters_json(MODEL, values))
    assert check_parameters(MODEL, json.loads(text)) == check_parameters(MODEL, values)


def test_every_parameter_can_say_what_it_may_be():
    assert all(allowed_values(MODEL, name) for name in MODEL.model_fields)


def test_annotations_written_as_texts_are_understood_and_those_of_inputs_left_alone():
    def later(stars: "NotImported", *, bins: "Annotated[int, Field(ge=1)]" = 3) -> "NotImported": ...  # noqa: F821

    assert allowed_values(parameters_model(later), "bins") == "a whole number at least 1"


def test_a_parameter_without_annotation_takes_the_type_of_its_default():
    def untyped(stars, *, bins=3): ...

    with pytest.raises(ParameterError, match="'bins'"):
        parse_texts(parameters_model(untyped), {"bins": "x"})


@pytest.mark.parametrize(
    "source",
    [
        "def f(stars, *, x): ...",
        "def f(stars, *, x=None): ...",
        "def f(stars, *, x: 'NoSuchType' = 1): ...",
        "def f(stars, *, x: Annotated[int, Field(ge=1)] = 0): ...",
        "def f(stars, *, copy: bool = True): ...",
        "def f(stars, *, _x: int = 1): ...",
        "def f(stars, *, x: object() = 1): ...",
        "def f(stars, **more): ...",
    ],
)
def test_a_signature_that_leaves_parameters_unclear_is_refused_when_it_is_declared(source):
    names: dict[str, Any] = {"Annotated": Annotated, "Field": Field, "__name__": "somewhere"}
    exec(source, names)
    with pytest.raises(DeclarationError, match=r"somewhere\.f"):
        parameters_model(names["f"])
