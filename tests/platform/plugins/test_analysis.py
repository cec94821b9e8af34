import pickle
import subprocess
import sys
from typing import Annotated

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from pydantic import Field

import hven
from hven import Cube, Table, analysis
from hven.errors import (
    AnalysisNotFoundError,
    DeclarationError,
    MissingColumnError,
    NameRefusedError,
    ParameterError,
    ResultRefusedError,
    UnitError,
)
from hven.mocks import Mock
from hven.plugins import bind_inputs, check_result, evaluate
from hven.schema import Column, Schema


@analysis(
    stars=Table(r_gal="kpc", feh="dex", optional={"feh_err": "dex"}, named_by="columns"),
    produces={"slope": "dex/kpc", "n": ""},
    references="2304.02958",
    version="2",
)
def gradient(
    stars: xr.Dataset, *, scale: Annotated[float, Field(gt=0)] = 1.0, columns: list[str] | None = None
) -> xr.Dataset:
    """Slope of [Fe/H] with radius.

    Least squares.

    Parameters
    ----------
    scale
        What the slope is multiplied by.
    columns
        Further columns.
    """
    slope = np.polyfit(stars.r_gal.values, stars.feh.values, 1)[0]
    return xr.Dataset({"slope": scale * slope, "n": stars.sizes["object"]}, attrs={"columns": columns or []})


@gradient.mock
def _(size: int, seed: int) -> Mock:
    r_gal = np.random.default_rng(seed).uniform(4, 12, size)
    stars = {
        "r_gal": ("object", r_gal * 1000, {"units": "pc"}),
        "feh": ("object", 0.5 - 0.06 * r_gal, {"units": "dex"}),
    }
    return Mock({"stars": xr.Dataset(stars)}, truth={"slope": -0.06})


@gradient.figure
def _(result: xr.Dataset) -> Figure:
    figure = Figure()
    figure.subplots().axhline(float(result.slope))
    return figure


def stars_of(size: int = 10) -> xr.Dataset:
    return gradient.make_mock(size, 0).inputs["stars"]


def test_calling_an_analysis_calls_the_plain_function():
    stars = stars_of()
    by_hand = gradient(stars, scale=1000.0)
    assert float(by_hand.slope) == pytest.approx(-0.06)
    assert by_hand.identical(gradient.function(stars, scale=1000.0))


def test_an_analysis_tells_what_it_is():
    assert (gradient.name, gradient.version, gradient.per_object) == ("gradient", "2", False)
    assert gradient.references == ("2304.02958",)
    assert gradient.summary == "Slope of [Fe/H] with radius."
    assert gradient.doc.body == "Least squares."
    assert gradient.produces == {"": {"slope": "dex/kpc", "n": ""}}
    assert "gradient" in repr(gradient)
    told = gradient.to_json()
    assert told["inputs"]["stars"]["required"] == {"r_gal": "kpc", "feh": "dex"}
    assert told["parameters"]["properties"]["scale"]["description"] == "What the slope is multiplied by."
    assert (told["has_figure"], told["has_mock"]) == (True, True)


def test_an_analysis_travels_by_import_path():
    assert pickle.loads(pickle.dumps(gradient)) is gradient
    assert b"polyfit" not in pickle.dumps(gradient)


def test_an_analysis_of_a_plugin_is_found_by_a_fresh_process():
    from hven.plugins import plugins

    name, found = next(iter(plugins().analyses.items()))
    code = f"import pickle; print(pickle.loads({pickle.dumps(found)!r}).name)"
    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == name
    )


def test_an_analysis_made_in_a_notebook_or_a_function_travels_by_value():
    cloudpickle = pytest.importorskip("cloudpickle")

    @analysis(stars=Table(feh="dex"), produces={"mean": "dex"})
    def mean(stars, *, scale: float = 1.0):
        return xr.Dataset({"mean": scale * stars.feh.mean()})

    @mean.mock
    def _(size, seed):
        return Mock({}, {"mean": seed})

    copy = pickle.loads(cloudpickle.dumps(mean))
    assert copy is not mean
    assert float(copy(xr.Dataset({"feh": ("object", [1.0, 3.0])}), scale=2.0)["mean"]) == 4.0
    assert copy.make_mock(1, 7).truth == {"mean": 7}
    assert copy.to_json() == mean.to_json()


def test_parameters_are_checked_by_name_and_range():
    assert gradient.check({}) == {"scale": 1.0, "columns": None}
    assert gradient.parse_texts({"scale": "2", "columns": "teff"}) == {"scale": 2.0, "columns": ["teff"]}
    assert gradient.parameters_json({"scale": 2}) == {"scale": 2.0, "columns": None}
    with pytest.raises(ParameterError, match="analysis 'gradient'"):
        gradient.check({"scale": -1})


def test_an_analysis_on_data_at_hand_is_bound_checked_and_stamped_with_units():
    result = evaluate(gradient, {"stars": stars_of()})[""]
    assert float(result.slope) == pytest.approx(-0.06)
    assert result.slope.attrs == {"units": "dex/kpc"}
    assert result.n.attrs == {}


def test_every_misfit_of_inputs_is_told_before_anything_runs():
    stars = Schema.of_dataset(stars_of())
    with pytest.raises(ParameterError, match=r"no input 'star'.*Did you mean 'stars'"):
        bind_inputs(gradient, {"star": stars})
    with pytest.raises(ParameterError, match=r"input 'stars' is not given.*--input stars=DATASET"):
        bind_inputs(gradient, {})
    with pytest.raises(MissingColumnError, match="dataset 'apogee', input 'stars'"):
        bind_inputs(gradient, {"stars": Schema(())}, datasets={"stars": "apogee"})
    with pytest.raises(MissingColumnError, match="'teff'"):
        bind_inputs(gradient, {"stars": stars}, {"columns": ["teff"]})
    with pytest.raises(UnitError, match=r"'feh' is in 'kpc' \(input 'stars'\)"):
        bind_inputs(
            gradient, {"stars": Schema((Column("r_gal", "float64", unit="kpc"), Column("feh", "f", unit="kpc")))}
        )
    bound = bind_inputs(gradient, {"stars": stars}, {"columns": ["r_gal"]})
    assert bound["stars"].sources == ("r_gal", "feh")


def test_the_figure_is_drawn_from_the_result_and_from_the_inputs_where_it_wants_them():
    result = gradient(stars_of())
    assert isinstance(gradient.draw(result), Figure)

    @analysis(stars=Table(feh="dex"), produces={"mean": "dex"})
    def mean(stars): ...

    assert mean.draw(result) is None

    @mean.figure
    def _(result, inputs):
        return {"first": Figure(), "second": inputs["stars"]}

    assert mean.draw(result) is None
    assert mean.draw(result, {"stars": 7})["second"] == 7


def test_an_analysis_without_a_mock_says_so():
    @analysis(stars=Table(feh="dex"), produces={"mean": "dex"})
    def mean(stars): ...

    with pytest.raises(AnalysisNotFoundError, match=r"'mean' has no mock.*@mean\.mock"):
        mean.make_mock(1, 1)


STARS = Table(feh="dex")
UNIT = {"x": "dex"}


@pytest.mark.parametrize(
    ("declared", "function", "said"),
    [
        ({"stars": STARS}, lambda star: star, "input 'stars' is no positional argument.*'star'"),
        ({}, lambda stars: stars, "argument 'stars' of the function is not declared"),
        ({}, lambda: 1, "no input"),
        ({"stars": STARS}, lambda stars, more: stars, "'more' of the function is not declared"),
        ({"stars": STARS}, lambda stars, *more: stars, r"\*more leaves the inputs open"),
        ({"stars": STARS}, lambda stars, **more: stars, r"\*\*more leaves the parameters open"),
        ({"stars": {"feh": "dex"}}, lambda stars: stars, "Expected: Table, Spectra"),
        ({"stars": Table(named_by="columns")}, lambda stars, *, cols=1: stars, "'columns', which is no parameter"),
        ({"stars": STARS, "produces": {}}, lambda stars: stars, "declares no result"),
        ({"stars": STARS, "produces": ["slope"]}, lambda stars: stars, "declares no result"),
        ({"stars": STARS, "produces": {"x": "no_unit"}}, lambda stars: stars, "'x' is declared in 'no_unit'"),
        ({"stars": STARS, "produces": {"x": None}}, lambda stars: stars, "'x' is declared in None"),
        ({"stars": STARS, "produces": {"x": "", "map": {"y": ""}}}, lambda stars: stars, "mixes units and parts"),
        ({"stars": STARS, "margin": "10 parsec", "per_object": True}, lambda stars: stars, "not an angle"),
        ({"stars": STARS, "margin": "10 arcsec"}, lambda stars: stars, "sees everything at once"),
        ({"stars": STARS, "block_rows": 0, "per_object": True}, lambda stars: stars, "block_rows is 0"),
        ({"stars": STARS, "block_rows": 2.5, "per_object": True}, lambda stars: stars, "block_rows is 2.5"),
        ({"stars": STARS, "block_rows": 10}, lambda stars: stars, "sees everything at once"),
        ({"stars": STARS, "backend": "abacus"}, lambda stars: stars, "no backend 'abacus'"),
        ({"dust": Cube(a="mag"), "per_object": True}, lambda dust: dust, "first input without objects"),
    ],
)
def test_a_declaration_that_does_not_fit_its_function_is_refused_at_once(declared, function, said):
    with pytest.raises(DeclarationError, match=said):
        analysis(**{"produces": UNIT, "name": "made_up", **declared})(function)


def test_a_name_that_cannot_be_kept_is_refused():
    with pytest.raises(NameRefusedError):
        analysis(stars=STARS, produces=UNIT, name="../up")(lambda stars: stars)


@pytest.mark.parametrize("method", ["figure", "mock"])
def test_figure_and_mock_functions_of_other_arguments_are_refused(method):
    made = analysis(stars=STARS, produces=UNIT, name="made_up")(lambda stars: stars)
    with pytest.raises(DeclarationError):
        getattr(made, method)(lambda: None)


def test_a_margin_is_an_angle_in_degrees():
    def made(margin):
        return analysis(stars=STARS, margin=margin, per_object=True, produces=UNIT, name="near")(lambda stars: stars)

    assert made("10 arcsec").margin_deg == pytest.approx(10 / 3600)
    assert made(".5 deg").margin_deg == 0.5
    assert made(None).margin_deg == 0.0
    with pytest.raises(DeclarationError, match="not an angle"):
        made("0 arcsec")


def dataset(units: str = "", **variables: float) -> xr.Dataset:
    return xr.Dataset({n: ((), v, {"units": units} if units else {}) for n, v in variables.items()})


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (7, "the result is int"),
        ({"": 7}, "the result is dict"),
        (dataset(slope=1), "no variable 'n', which is declared"),
        (dataset(slope=1, n=1, slop=1), r"variable 'slop', which is not declared.*Did you mean 'slope'"),
        (dataset(slope=1, n=1, units="dex/pc"), "'slope' is in 'dex/pc'.*Expected: 'dex/kpc'"),
        ({"map": dataset(slope=1, n=1)}, "no part ''"),
    ],
)
def test_a_result_that_is_not_what_was_declared_is_refused_by_name(result, said):
    with pytest.raises(ResultRefusedError, match=said):
        check_result(gradient, result)


def test_ids_nulls_and_coordinates_may_come_along_and_the_same_unit_may_be_written_otherwise():
    result = xr.Dataset(
        {
            "slope": ("object", [1.0], {"units": "dex kpc-1"}),
            "n": ("object", [1]),
            "n_valid": ("object", [True]),
            "object_id": ("object", [7]),
        },
        {"bin": ("object", [0.5])},
    )
    checked = check_result(gradient, result)[""]
    assert checked.slope.attrs["units"] == "dex/kpc"
    assert result.slope.attrs["units"] == "dex kpc-1"


def test_a_result_may_have_parts_and_variables_by_pattern():
    made = analysis(stars=STARS, produces={"fit": {"<x>_slope": "dex/kpc"}, "map": {"density": ""}}, name="parted")(
        lambda stars: stars
    )
    parts = {"fit": dataset(mg_slope=1, si_slope=2), "map": dataset(density=1)}
    assert check_result(made, parts)["fit"].si_slope.attrs == {"units": "dex/kpc"}
    with pytest.raises(ResultRefusedError, match="variable 'slope'"):
        check_result(made, {**parts, "fit": dataset(slope=1)})
    with pytest.raises(ResultRefusedError, match="no part 'map'"):
        check_result(made, {"fit": parts["fit"]})


def test_the_root_hands_on_what_a_plugin_needs():
    for name in ("Batch", "Column", "Table", "analysis", "exporter", "hookimpl", "reader"):
        assert getattr(hven, name) is not None
