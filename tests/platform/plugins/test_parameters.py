import json
from typing import Annotated, Any, Literal

import pytest
from astropy import units
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from hven.errors import DeclarationError, ParameterError
from hven.plugins import Unit
from hven.plugins.parameters import (
    allowed_values,
    check_parameters,
    parameters_json,
    parameters_model,
    parse_texts,
    unit_of,
)


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
        ("edges", "1", "2 values, each a number or none"),
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


def sphere(
    stars: Any,
    *,
    r_ref: Annotated[float, Unit("kpc"), Field(gt=0, le=30)] = 8.2,
    speeds: Annotated[list[float], Unit("km/s"), Field(min_length=1)] = [220.0],  # noqa: B006
    limits: tuple[Annotated[float, Unit("deg")], Annotated[float, Unit("deg")]] = (0.0, 90.0),
    age_max: Annotated[float, Field(gt=0), Unit("Gyr")] | None = None,
    count: Annotated[int, Unit("pc")] = 100,
    floor: Annotated[float, Unit("mag")] = 0.01,
) -> None:
    """Take quantities."""


SPHERE = parameters_model(sphere)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("r_ref", "8.5", 8.5),
        ("r_ref", "8.5 kpc", 8.5),
        ("r_ref", "8200pc", 8.2),
        ("r_ref", " +8.2e3 pc ", 8.2),
        ("speeds", "220, 230000 m/s, 100 km s-1", [220.0, 230.0, 100.0]),
        ("speeds", '["0.001 kpc/Gyr", 3]', [0.001 * 0.9777922216807892, 3.0]),
        ("limits", "60 arcmin, 1.5707963267948966 rad", (1.0, 90.0)),
        ("age_max", "500 Myr", 0.5),
        ("count", "0.25 kpc", 250),
        ("floor", "0.02 mag", 0.02),
    ],
)
def test_texts_in_another_unit_become_numbers_in_the_declared_one(name, text, value):
    assert parse_texts(SPHERE, {name: text})[name] == pytest.approx(value, rel=1e-12)


def test_an_optional_quantity_may_be_none():
    assert parse_texts(SPHERE, {"age_max": "none"})["age_max"] is None


def test_quantities_become_numbers_in_the_declared_unit():
    given_by_people = {
        "r_ref": 8200 * units.pc,
        "speeds": [1, 2] * units.m / units.s,
        "limits": (1 * units.deg, 60 * units.arcmin),
        "age_max": 5e8 * units.yr,
    }
    checked = check_parameters(SPHERE, given_by_people)
    assert checked["r_ref"] == 8.2
    assert checked["speeds"] == [0.001, 0.002]
    assert checked["limits"] == (1.0, 1.0)
    assert checked["age_max"] == 0.5
    assert all(type(value) is float for value in (checked["r_ref"], *checked["speeds"], *checked["limits"]))
    assert check_parameters(SPHERE, json.loads(json.dumps(parameters_json(SPHERE, given_by_people)))) == checked


@given(st.floats(1e-3, 30), st.sampled_from(["pc", "kpc", "Mpc", "lyr", "AU", "km"]))
def test_a_quantity_means_the_same_as_astropy_says(value, unit):
    quantity = (value * units.kpc).to(unit)
    text = f"{quantity.value!r} {unit}".replace("np.float64(", "").replace(")", "")
    for said in (text, quantity):
        assert check_parameters(SPHERE, {"r_ref": said})["r_ref"] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("r_ref", "40 kpc", "a number above 0 and at most 30, in kpc"),
        ("r_ref", "40000 pc", "a number above 0 and at most 30, in kpc"),
        ("r_ref", "8 km/s", "a number above 0 and at most 30, in kpc"),
        ("r_ref", "8 kpcs", "a number above 0 and at most 30, in kpc"),
        ("r_ref", "kpc", "a number above 0 and at most 30, in kpc"),
        ("r_ref", 8 * units.s, "in kpc"),
        ("speeds", [], "a list of at least 1, each a number, in km/s"),
        ("speeds", [1, "2 kg"], "a list of at least 1, each a number, in km/s"),
        ("limits", ["1 deg", "2 km"], "2 values, each a number, in deg"),
        ("age_max", "0 Gyr", "a number above 0, in Gyr or none"),
        ("count", "1.5 pc", "a whole number, in pc"),
        ("floor", "0.02 dex", "a number, in mag"),
    ],
)
def test_a_quantity_outside_its_range_or_of_another_kind_is_refused_as_it_was_given(name, value, allowed):
    with pytest.raises(ParameterError) as refused:
        check_parameters(SPHERE, {name: value})
    assert refused.value.what == f"parameter {name!r} is {value!r}"
    assert allowed in refused.value.expected


def test_the_json_schema_has_units_and_bounds_however_the_annotation_is_ordered():
    told = SPHERE.model_json_schema()["properties"]
    assert {name: told[name].get("unit") for name in ("r_ref", "speeds", "count")} == {
        "r_ref": "kpc",
        "speeds": "km/s",
        "count": "pc",
    }
    assert (told["r_ref"]["exclusiveMinimum"], told["r_ref"]["maximum"]) == (0, 30)
    assert told["age_max"]["anyOf"][0] == {"exclusiveMinimum": 0, "type": "number", "unit": "Gyr"}
    assert [unit_of(SPHERE, name) for name in SPHERE.model_fields] == ["kpc", "km/s", "deg", "Gyr", "pc", "mag"]


def test_a_unit_that_is_not_one_is_refused_when_it_is_declared():
    with pytest.raises(DeclarationError, match="declared in 'kcp', which is not a unit"):
        Unit("kcp")


def test_values_from_a_file_stand_where_no_text_of_the_command_line_does():
    assert parse_texts(MODEL, {"bins": "7"}, beneath={"bins": 9, "r_ref": 8.3})["bins"] == 7
    assert parse_texts(MODEL, {"bins": "7"}, beneath={"bins": 9, "r_ref": 8.3})["r_ref"] == 8.3
