"""An analysis that needs so many objects is not called with fewer, and tells when too few of them have values."""

import pickle

import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
from hven import errors
from hven.plugins import call

HOW = {"cluster": "synchronous", "progress": False}


@hven.analysis(
    stars=hven.Table(feh="dex", r_gal="kpc", optional={"age": "Gyr"}),
    produces={"slope": "dex/kpc"},
    min_objects="n_min",
)
def slope_of_many(stars: xr.Dataset, *, n_min: int = 5) -> xr.Dataset:
    """Slope of a line.

    Parameters
    ----------
    n_min
        How many stars a line needs.
    """
    known = np.isfinite(stars.feh.values) & np.isfinite(stars.r_gal.values)
    slope = np.polyfit(stars.r_gal.values[known], stars.feh.values[known], 1)[0] if known.sum() > 1 else np.nan
    return xr.Dataset({"slope": slope})


@pytest.fixture
def written(tmp_path):
    def write(rows, missing=0):
        lake = hven.create(tmp_path / f"lake of {rows} {missing}")
        feh = np.linspace(-1, 0.5, rows)
        feh[:missing] = np.nan
        with lake.transaction() as tx:
            columns = {"feh": feh, "r_gal": np.linspace(4, 9, rows), "age": np.full(rows, np.nan)}
            tx.write("stars", pl.DataFrame({"object_id": np.arange(rows), **columns}))
        return lake

    return write


@pytest.mark.parametrize("where", [None, "feh > 0"])
def test_fewer_objects_than_an_analysis_needs_are_refused_before_it_is_called(written, where):
    lake = written(4 if where is None else 9)
    number = lake.number
    given = {"stars": hven.select("stars", where=where)}
    with pytest.raises(
        errors.TooFewObjectsError, match=r"given \d objects.*Expected: 5 at least \(parameter 'n_min'\)"
    ):
        hven.run(lake, slope_of_many, given, **HOW)
    assert lake.number == number
    assert hven.run(lake, slope_of_many, given, {"n_min": 3}, **HOW).rows["in"] >= 3


def test_too_few_objects_with_all_values_are_a_caveat(written):
    lake = written(40, missing=37)
    run = hven.run(lake, slope_of_many, {"stars": "stars"}, **HOW)
    told = "Too few: 3 of 40 objects have a value of 'feh', 'r_gal', and the analysis needs 5."
    assert told in run.caveats
    enough = hven.run(lake, slope_of_many, {"stars": "stars"}, {"n_min": 3}, **HOW)
    assert not [caveat for caveat in enough.caveats if caveat.startswith("Too few")]


def test_it_holds_of_a_call_on_datasets_too():
    stars = xr.Dataset({"feh": ("object", [0.1]), "r_gal": ("object", [8.0])})
    with pytest.raises(errors.TooFewObjectsError, match="given 1 object"):
        call(slope_of_many, {"stars": stars}, {"n_min": 5})
    assert slope_of_many.to_json()["min_objects"] == "n_min"
    assert pickle.loads(pickle.dumps(slope_of_many)).fewest({"n_min": 7}) == 7


@pytest.mark.parametrize(
    ("min_objects", "per_object", "said"),
    [
        (0, False, "min_objects is 0"),
        (True, False, "min_objects is True"),
        (2.5, False, "min_objects is 2.5"),
        ("n_mins", False, "Did you mean 'n_min'"),
        (3, True, "per_object"),
    ],
)
def test_a_declaration_that_says_nothing_is_refused(min_objects, per_object, said):
    def mean(stars: xr.Dataset, *, n_min: int = 5) -> xr.Dataset:
        """Mean."""

    declare = hven.analysis(
        stars=hven.Table(feh="dex"), produces={"mean": "dex"}, min_objects=min_objects, per_object=per_object
    )
    with pytest.raises(errors.DeclarationError, match=said):
        declare(mean)
