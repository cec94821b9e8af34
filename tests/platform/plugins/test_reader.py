import pickle

import numpy as np
import polars as pl
import pytest
import xarray as xr

from hven import Batch, exporter, reader
from hven.errors import DataRefusedError, DeclarationError, MissingColumnError, ParameterError

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
