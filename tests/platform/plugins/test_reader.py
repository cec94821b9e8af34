import pickle
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import pytest
import xarray as xr
from pydantic import Field

from hven import Batch, exporter, reader
from hven.errors import DataRefusedError, DeclarationError, MissingColumnError, ParameterError
from hven.plugins.parameters import parameters_model

FRAME = pl.DataFrame({"source_id": [1, 2], "ra": [10.0, 11.0], "dec": [1.0, 2.0]})


@reader(patterns=("*.stars",), produces={"": "table", "spectra": "spectra"})
def stars_file(path, *, skip: int = 0):
    """Stars of a made-up format."""
    yield Batch({"": FRAME[skip:]}, identity=("source_id",), position=("ra", "dec"))


@exporter(name="stars", patterns=("*.stars",), takes=("table",))
def to_stars(data, path, *, header: bool = True):
    """Write stars in a made-up format."""
    path.append((data, header))


def test_a_reader_gives_batches_and_checks_its_options_at_once():
    (batch,) = stars_file("a.stars", skip=1)
    assert batch.rows == 1
    assert (stars_file.name, stars_file.description) == ("stars_file", "Stars of a made-up format.")
    assert stars_file.parse_texts({"skip": "2"}) == {"skip": 2}
    with pytest.raises(ParameterError, match="reader 'stars_file'"):
        stars_file("a.stars", skip="many")


def test_an_exporter_is_given_data_and_a_path():
    written = []
    to_stars(FRAME, written, header=False)
    assert written == [(FRAME, False)]
    with pytest.raises(ParameterError, match=r"exporter 'stars'.*Did you mean 'header'"):
        to_stars(FRAME, written, head=False)


def test_readers_and_exporters_travel_by_import_path():
    assert pickle.loads(pickle.dumps(stars_file)) is stars_file
    assert pickle.loads(pickle.dumps(to_stars)) is to_stars


def test_a_batch_may_have_row_aligned_parts_of_different_kinds():
    spectra = xr.Dataset({"flux": (("object", "wavelength"), np.zeros((2, 5)))})
    assert Batch({"": FRAME, "spectra": spectra}).rows == 2
    assert Batch({"": xr.Dataset({"ra": ("object", [1.0])})}, identity=("ra",)).rows == 1


@pytest.mark.parametrize(
    ("parts", "fields", "error"),
    [
        ({}, {}, DataRefusedError),
        ({"": FRAME, "more": FRAME[:1]}, {}, DataRefusedError),
        ({"": FRAME}, {"identity": ("source",)}, MissingColumnError),
        ({"": FRAME}, {"position": ("ra", "decl")}, MissingColumnError),
    ],
)
def test_a_batch_that_does_not_hold_together_is_refused(parts, fields, error):
    with pytest.raises(error):
        Batch(parts, **fields)


@pytest.mark.parametrize(
    "declare",
    [
        lambda: reader(produces={"": "tabel"})(lambda path: []),
        lambda: reader()(lambda: iter([])),
        lambda: reader()(lambda path, more: []),
        lambda: exporter(takes=("tabel",))(lambda data, path: None),
        lambda: exporter()(lambda data: None),
    ],
)
def test_a_reader_or_exporter_that_does_not_fit_its_function_is_refused(declare):
    with pytest.raises(DeclarationError):
        declare()


def star_batch(
    frame: Any,
    *,
    least: Annotated[int, Field(ge=0)] = 0,
    unplaced: Literal["refuse", "drop"] = "refuse",
    units: dict[str, str] | None = None,
) -> Batch:
    """Return stars as a batch.

    Parameters
    ----------
    frame
        Not an option.
    least
        The smallest id.
    unplaced, units
        As of all readers.
    """
    return Batch({"": frame.filter(pl.col("source_id") >= least)}, identity=("source_id",), title=f"{unplaced} {units}")


@reader(with_options_of=star_batch)
def shared_file(path, *, skip: int = 0, **options: Any):
    """Stars of another format.

    Parameters
    ----------
    path
        Of the file.
    skip
        Rows to leave out.
    **options
        Those of `star_batch`.
    """
    yield star_batch(FRAME[skip:], **options)


def test_a_reader_has_the_options_of_the_function_that_it_hands_them_on_to():
    told = shared_file.options.model_json_schema()["properties"]
    assert list(told) == ["skip", "least", "unplaced", "units"]
    assert told["skip"]["description"] == "Rows to leave out."
    assert (told["least"]["description"], told["least"]["minimum"]) == ("The smallest id.", 0)
    assert told["unplaced"]["description"] == told["units"]["description"] == "As of all readers."
    given = shared_file.parse_texts({"least": "2", "units": "ra=deg"})
    assert given == {"skip": 0, "least": 2, "unplaced": "refuse", "units": {"ra": "deg"}}
    (batch,) = shared_file("a.stars", **given)
    assert batch.parts[""]["source_id"].to_list() == [2]
    assert batch.title == "refuse {'ra': 'deg'}"
    assert [one.rows for one in shared_file("a.stars")] == [2]
    assert pickle.loads(pickle.dumps(shared_file)) is shared_file


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"least": -1}, "'least' is -1"),
        ({"unplaced": "keep"}, "one of 'refuse', 'drop'"),
        ({"options": {}}, "no parameter 'options'"),
        ({"frame": FRAME}, "no parameter 'frame'"),
        ({"leats": 1}, "Did you mean 'least'"),
    ],
)
def test_shared_options_are_checked_before_the_file_is_read(options, said):
    with pytest.raises(ParameterError, match=said):
        shared_file("a.stars", **options)


def test_types_of_shared_options_are_those_of_the_module_that_names_them():
    names: dict[str, Any] = {"__name__": "elsewhere", "Many": list[str]}
    exec("def shared(frame, *, names: 'Many | None' = None): ...", names)
    model = parameters_model(lambda path, **options: None, names["shared"])
    assert model(names=["a"]).names == ["a"]


def takes_all(frame, *, least: int = 0, **more): ...


def takes_none(frame, least=0): ...


def takes_a_path(frame, *, path: str = ""): ...


@pytest.mark.parametrize(
    ("function", "shared", "said"),
    [
        (lambda path, *, skip=0: [], star_batch, r"cannot take the options of star_batch.*\*\*options"),
        (lambda path, *, least=0, **options: [], star_batch, "'least' is an argument .* and an option of star_batch"),
        (lambda path, **options: [], takes_a_path, "'path' is an argument .* and an option of takes_a_path"),
        (lambda path, **options: [], takes_none, "takes_none has no options to share"),
        (lambda path, **options: [], takes_all, r"\*\*more leaves the parameters open .*takes_all"),
        (lambda path, **options: [], None, r"\*\*options leaves the parameters open"),
    ],
)
def test_functions_of_which_one_cannot_hand_on_the_options_of_the_other_are_refused(function, shared, said):
    with pytest.raises(DeclarationError, match=said):
        reader(name="stars", with_options_of=shared)(function)


def test_an_option_may_have_the_name_by_which_the_function_takes_them_all():
    names: dict[str, Any] = {"__name__": "elsewhere"}
    exec("def shared(frame, *, options: str = ''): ...", names)
    model = parameters_model(lambda path, **options: None, names["shared"])
    assert list(model.model_fields) == ["options"]
