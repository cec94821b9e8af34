"""What cannot be is refused by name before anything of it is written: in writes, appends, ingests and results."""

import json

import numpy as np
import polars as pl
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import hven
import trial_analyses as trial
from hven.errors import DataRefusedError
from hven.lake.validation import check_arrays, check_values
from hven.schema import Schema
from simulated import listing, make_spectra, make_stars

NAN, INF = np.nan, np.inf


def refused(lake, data, said, *, kind=None, append_to=None, is_lazy=False, **more):
    before = listing(lake)
    with pytest.raises(DataRefusedError, match=said) as error, lake.transaction() as tx:
        if append_to is None:
            tx.write("made", data, kind=kind, **more)
        else:
            tx.append(append_to, data)
    assert f"dataset {append_to or 'made'!r}" in str(error.value)
    assert error.value.hint
    assert listing(lake) == before or is_lazy
    assert "made" not in hven.open(lake.url)


STARS = {
    "ra below": (
        lambda f: f.with_columns(ra=pl.col("ra") - 360.5),
        r"'ra' is -.* at object_id \d+, and outside",
    ),
    "ra above": (lambda f: f.with_columns(ra=pl.col("ra") + 1000.0), r"'ra' is 1\d+"),
    "ra without end": (lambda f: f.with_columns(ra=pl.lit(INF)), "'ra' is inf"),
    "dec": (lambda f: f.with_columns(dec=pl.when(pl.col("feh") > 0).then(91.0).otherwise("dec")), "'dec' is 91"),
    "text ids": (lambda f: f.with_columns(pl.col("object_id").cast(pl.String)), "'object_id' is String"),
    "float ids": (lambda f: f.with_columns(pl.col("object_id").cast(pl.Float64)), "'object_id' is Float64"),
    "no id": (
        lambda f: f.with_columns(object_id=pl.col("object_id").replace(f["object_id"][3], None)),
        "missing in 1 row",
    ),
    "twice": (lambda f: pl.concat([f, f[:1]]), "repeats in 1"),
    "case": (lambda f: f.with_columns(FEH=0.0), "columns 'feh' and 'FEH' differ in capital letters"),
    "reserved": (lambda f: f.with_columns(_input=1), "the name '_input' is reserved"),
    "reserved for files": (lambda f: f.with_columns(_file=1), "the name '_file' is reserved"),
    "no name": (lambda f: f.rename({"feh": ""}), "the name '' has no letters"),
    "flag": (lambda f: f.with_columns(feh_valid=True), "'feh_valid' would be read as which values of 'feh' are null"),
    "flag of text": (lambda f: f.with_columns(name_valid=pl.lit(value=True)), "'name_valid' would be read"),
    "flag that is none": (lambda f: f.with_columns(visits_valid=1), "'visits_valid' would be read"),
    "no columns": (lambda f: f.select([]), "there are no columns"),
    "type": (lambda f: f.with_columns(when=pl.lit("2026-01-01").str.to_date()), "'when' has type Date"),
}


@pytest.mark.parametrize("change", STARS)
def test_a_table_that_cannot_be_is_refused(lake, change):
    changed, said = STARS[change]
    refused(lake, changed(make_stars(0, 50)), said)


@pytest.mark.parametrize("change", ["ra below", "ra without end", "dec", "no id", "twice"])
def test_rows_that_cannot_be_are_not_added(lake, change):
    changed, said = STARS[change]
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 50))
    refused(lake, changed(make_stars(100, 50)), said, append_to="stars")
    assert lake["stars"].entry.counts.rows == 50


def test_units_that_nobody_knows_are_refused(lake):
    schema = Schema.of_dataset(xr.Dataset({"d": ("object", [1.0], {"units": "furlongs per fortnight"})}))
    refused(lake, pl.DataFrame({"d": [1.0]}), "'d' is in 'furlongs per fortnight', which is no unit", schema=schema)


def test_what_is_on_the_edge_is_taken(lake):
    frame = pl.DataFrame({"object_id": [1, 2, 3, 4], "ra": [0.0, 360.0, None, NAN], "dec": [-90.0, 90.0, None, 0.0]})
    radians = xr.Dataset({"dec": ("object", [100.0], {"units": "arcmin"})})
    with lake.transaction() as tx:
        tx.write("stars", frame)
        tx.write("arcmin", radians)
    assert lake["stars"].table().collect()["ra"].to_list() == [0.0, 360.0, None, None]


def test_the_nulls_of_whole_numbers_and_flags_still_come_as_flags_beside_them(lake):
    known = ("object", [True, False])
    data = xr.Dataset(
        {"n": ("object", [3, 0]), "n_valid": known, "b": ("object", [True, False]), "b_valid": known, "x_valid": known}
    )
    with lake.transaction() as tx:
        tx.write("stars", data)
    assert lake["stars"].table().collect().rows() == [(3, True, True), (None, None, False)]


def spectra(**changes):
    data = make_spectra(0, 4, pixels=5).assign(ivar=(("object", "wavelength"), np.ones((4, 5), "f4")))
    return data.assign(changes)


def axis(values, dims="wavelength", **attrs):
    return dims, values, attrs


SPECTRA = {
    "descends": ({"wavelength": axis([5.0, 4, 3, 2, 1])}, "'wavelength' does not ascend"),
    "repeats": ({"wavelength": axis([1.0, 2, 2, 3, 4])}, "'wavelength' does not ascend"),
    "nan": ({"wavelength": axis([1.0, 2, NAN, 3, 4])}, "'wavelength' has pixels without a finite value"),
    "inf": ({"wavelength": axis([1.0, 2, 3, 4, INF])}, "without a finite value"),
    "own grid": (
        {"wavelength": (("object", "wavelength"), np.array([[1.0, 2, 3, 4, 5]] * 3 + [[1.0, 4, NAN, 4, 5]]))},
        "'wavelength' does not ascend at object_id 3",
    ),
    "text": ({"wavelength": axis(np.array(list("abcde"), np.dtypes.StringDType()))}, "'wavelength' is StringDType"),
    "flux": ({"flux": ("object", np.ones(4))}, r"'flux' of spectra is over \(object\)"),
    "flux of three": ({"flux": (("object", "wavelength", "k"), np.ones((4, 5, 2)))}, "'flux' of spectra is over"),
    "mask": ({"mask": (("object", "wavelength"), np.zeros((4, 5)))}, "'mask' of spectra is float64"),
    "ivar": (
        {"ivar": (("object", "wavelength"), np.where(np.arange(4)[:, None] == 2, -1.0, NAN) * np.ones(5))},
        "'ivar' is negative in 1 of 4 objects, for the first time at object_id 2",
    ),
    "ids": ({"object_id": ("object", np.array([0.0, 1, 2, 3]))}, "'object_id' is float64"),
    "ids twice": ({"object_id": ("object", np.array([0, 1, 1, 3]))}, "repeats in 1"),
    "unit": ({"flux": (("object", "wavelength"), np.ones((4, 5)), {"units": "nope"})}, "'flux' is in 'nope'"),
    "dec": ({"dec": ("object", [0.0, 1, NAN, -90.1])}, "'dec' is -90.1 at object_id 3"),
    "name_valid": (
        {"name_valid": ("object", np.ones(4, bool))},
        "'name_valid' would be read as which values of 'name'",
    ),
    "reserved": ({"_input": ("object", np.arange(4))}, "'_input' is reserved"),
}


@pytest.mark.parametrize("is_lazy", [False, True])
@pytest.mark.parametrize("change", SPECTRA)
def test_spectra_that_cannot_be_are_refused(lake, change, is_lazy):
    changes, said = SPECTRA[change]
    data = spectra(**changes)
    refused(lake, data.chunk(object=2) if is_lazy else data, said, is_lazy=is_lazy)


def test_spectra_with_grids_of_their_own_may_have_gaps_and_be_filled_up(lake):
    grid = np.array([[1.0, 2, 3, 4, 5], [1, 2, NAN, 4, NAN], [2, 3, 4, 5, 6], [NAN, NAN, NAN, NAN, NAN]])
    with lake.transaction() as tx:
        tx.write("spectra", spectra(wavelength=(("object", "wavelength"), grid)))
    assert lake["spectra"].kind == "spectra"


def test_arrays_over_wavelength_without_wavelengths_are_no_spectra(lake):
    with lake.transaction() as tx:
        tx.write("arrays", make_spectra(0, 3).drop_vars("wavelength"))
    assert lake["arrays"].kind == "result"
    refused(lake, make_spectra(0, 3).isel(wavelength=0), "spectra have no dimension 'wavelength'", kind="spectra")


def test_images_cubes_and_models_are_held_to_what_they_are(lake):
    grid = ("object", "band", "y", "x")
    images = xr.Dataset({"flux": (grid, np.ones((2, 2, 3, 3)))}, {"band": ["g", "r"]})
    refused(lake, images.assign(flux=images.flux[:, 0].drop_vars("band")), "'flux' of images is over", kind="images")
    refused(lake, images.assign_coords(band=["g", "g"]), "two bands have one name", kind="images")
    refused(lake, images.rename(band="filter"), "no dimension 'band'", kind="images")
    refused(lake, images.assign(ivar=-images.flux), "'ivar' is negative in 2 of 2 objects", kind="images")

    cube = xr.Dataset({"e": (("distance", "pixel"), np.ones((3, 48)))}, {"distance": [0.0, 1.0, 2.0]})
    refused(lake, cube.assign_coords(distance=[0.0, 2.0, 1.0]), "'distance' of a cube does not ascend", kind="cube")
    refused(lake, cube.assign_coords(distance=[-1.0, 2.0, 3.0]), "'distance' of a cube", kind="cube")
    refused(lake, cube.isel(pixel=slice(0, 47)), "47 pixels are no HEALPix map", kind="cube")
    refused(lake, cube.transpose(), r"are over \(pixel, distance\)", kind="cube")
    refused(lake, images, "a cube has no objects", kind="cube")

    model = xr.Dataset({"w": (("i", "j"), np.ones((2, 2)))}, attrs={"spec": json.dumps({"layers": 2})})
    refused(lake, model.assign_attrs(spec="{'layers': 2}"), "'spec' of a model is no JSON", kind="model")
    with lake.transaction() as tx:
        tx.write("images", images, kind="images")
        tx.write("cube", cube, kind="cube")
        tx.write("part", cube.isel(pixel=slice(0, 5)).assign_coords(pixel=np.arange(5)), kind="cube")
        tx.write("model", model, kind="model")
    assert [lake[name].kind for name in ("images", "cube", "part", "model")] == ["images", "cube", "cube", "model"]


def test_a_file_with_places_off_the_sky_is_refused_and_one_with_negative_right_ascensions_is_turned(lake, tmp_path):
    (tmp_path / "good.csv").write_text("source_id,ra,dec\n1,-10.0,5.0\n2,360.0,-5.0\n3,20.0,6.0\n")
    hven.ingest_files(lake, [tmp_path / "good.csv"], name="stars", progress=False)
    kept = lake["stars"].table(["source_id", "ra"]).collect().sort("source_id")
    assert kept["ra"].to_list() == [350.0, 0.0, 20.0]
    (tmp_path / "bad.csv").write_text("source_id,ra,dec\n1,10.0,95.0\n2,20.0,-5.0\n")
    with pytest.raises(hven.errors.HvenError):
        hven.ingest_files(lake, [tmp_path / "bad.csv"], name="bad", progress=False)
    assert "bad" not in lake


def test_a_result_that_cannot_be_is_refused_block_by_block(lake):
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 3000))
    given = {"cluster": "synchronous", "block_rows": 1024, "progress": False}
    worst = float(lake["stars"].table(["feh"]).collect()["feh"][:1024].max())
    run = hven.run(lake, trial.moved, {"stars": "stars"}, {"worst": worst - 1e-9}, **given)
    assert run.state == "partial"
    assert run.failures[0]["code"] == "data-refused"
    assert "'dec' is 95" in run.failures[0]["what"]


@settings(deadline=None)
@given(
    grid=st.lists(st.floats(width=32), min_size=1, max_size=5),
    ivar=st.lists(st.floats(width=32), min_size=1, max_size=5),
    ra=st.lists(st.floats(), min_size=1, max_size=5),
)
def test_exactly_what_can_be_is_taken(grid, ivar, ra):
    def is_taken(check):
        try:
            check()
        except DataRefusedError:
            return False
        return True

    data = xr.Dataset({"flux": (("object", "wavelength"), np.ones((1, len(grid))))}, {"wavelength": grid})
    can_be = all(map(np.isfinite, grid)) and sorted(set(grid)) == grid
    assert is_taken(lambda: check_arrays(data, "spectra", "")) is can_be
    can_be = not any(value < 0 for value in ivar)
    assert is_taken(lambda: check_values({"ivar": np.array([ivar], "f4")}, Schema(()), 0, "")) is can_be
    can_be = all(np.isnan(value) or 0 <= value <= 360 for value in ra)
    assert is_taken(lambda: check_values({"ra": np.array(ra)}, Schema(()), 0, "")) is can_be
