import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.errors import DataRefusedError, DeclarationError, MissingColumnError, UnitError
from hven.plugins import Cube, Images, Model, Spectra, Table, Whole, bind, named_columns
from hven.schema import Column, Schema

STARS = Schema(
    (
        Column("object_id", "int64"),
        Column("m_h", "float32", unit="dex"),
        Column("fe_h", "float32"),
        Column("distance", "float64", unit="pc"),
        Column("r_gal", "float32", unit="kpc"),
        Column("teff", "float32", unit="K"),
        Column("logg", "float32", unit="dex(cm / s2)"),
        Column("logg_si", "float32", unit="dex(m / s2)"),
        Column("h_mag", "float32", unit="mag"),
        Column("mg_fe", "float32", unit="dex"),
        Column("si_fe", "float32", unit="dex"),
        Column("mg_fe_err", "float32", unit="dex"),
        Column("name", "string"),
        Column("flux", "float32", ("object", "wavelength")),
    )
)


def test_columns_are_bound_by_name_or_as_renamed_with_the_factor_of_their_units():
    binding = bind(Table(distance="kpc", feh="dex", object_id=None), STARS, {"feh": "m_h"})
    assert binding.columns["distance"] == ("distance", 0.001, "kpc", True)
    assert binding.columns["feh"] == ("m_h", 1.0, "dex", True)
    assert binding.columns["object_id"] == ("object_id", 1.0, "", False)
    assert binding.sources == ("distance", "m_h", "object_id")
    assert binding.to_json()["feh"] == {"source": "m_h", "factor": 1.0, "unit": "dex"}


def test_missing_columns_are_named_all_at_once_with_the_nearest():
    with pytest.raises(MissingColumnError) as refused:
        bind(Table(r_gall="kpc", tef="K", age="Gyr"), STARS, where="dataset 'apogee'")
    for said in ("'r_gall', 'tef', 'age'", "'tef': 'teff'", "'r_gall': 'r_gal'", "dataset 'apogee'"):
        assert said in str(refused.value)
    with pytest.raises(MissingColumnError, match=r"no column 'tef'.*Did you mean 'teff'\?"):
        bind(Table(tef="K"), STARS)


def test_optional_columns_are_bound_when_there_and_listed_when_absent_but_a_renamed_one_must_be_there():
    table = Table(teff="K", optional={"feh": "dex", "age": "Gyr"})
    binding = bind(table, STARS, {"feh": "fe_h"})
    assert set(binding.columns) == {"teff", "feh"}
    assert binding.absent == ("age",)
    with pytest.raises(MissingColumnError, match="'age_gyr'"):
        bind(table, STARS, {"age": "age_gyr"})


def test_at_least_one_of_a_group_must_be_there_and_all_that_are_there_are_bound():
    assert set(bind(Table(one_of=[("age", "teff"), {"m_h": "dex", "r_gal": "pc"}]), STARS).columns) == {
        "teff",
        "m_h",
        "r_gal",
    }
    with pytest.raises(MissingColumnError, match="none of the columns 'age', 'mass'"):
        bind(Table(one_of=[("age", "mass")]), STARS)
    assert "age" in bind(Table(one_of=[{"age": "K", "mass": "K"}]), STARS, {"age": "teff"}).columns


def test_a_pattern_binds_every_column_like_it_and_there_must_be_one():
    binding = bind(Table(pattern="<x>_fe", optional={"<x>_fe_err": "dex"}), STARS)
    assert list(binding.columns) == ["mg_fe", "si_fe", "mg_fe_err"]
    assert "ca_fe" in bind(Table(pattern="<x>_fe"), STARS, {"ca_fe": "m_h"}).columns
    with pytest.raises(MissingColumnError, match=r"no column like '<x>_h2'"):
        bind(Table(pattern={"<x>_h2": ""}), STARS)
    bind(Table(optional={"<x>_h2": ""}), STARS)


def test_a_parameter_names_columns_which_arrive_in_their_own_units_unless_they_are_declared():
    table = Table(optional={"distance": "kpc"}, named_by="columns")
    named = named_columns(table, {"columns": ["distance", "r_gal"]})
    binding = bind(table, STARS, {"r_gal": "distance"}, named=named)
    assert binding.columns == {
        "distance": ("distance", 0.001, "kpc", True),
        "r_gal": ("distance", 1.0, "pc", True),
    }
    assert named_columns(table, {"columns": None}) == ()
    assert named_columns(table, {"columns": "teff"}) == ("teff",)
    with pytest.raises(MissingColumnError, match="'tef'"):
        bind(table, STARS, named=("tef",))
    with pytest.raises(DataRefusedError, match=r"'flux' is over \(object, wavelength\)"):
        bind(table, STARS, named=("flux",))


def test_renaming_a_column_that_the_analysis_does_not_ask_for_is_refused():
    with pytest.raises(MissingColumnError, match=r"asks for no column 'fe'.*Did you mean 'feh'\?"):
        bind(Table(feh="dex"), STARS, {"fe": "m_h"})


@pytest.mark.parametrize(
    ("wanted", "source", "said"),
    [
        ("kpc", "teff", "'teff' is in 'K'"),
        ("kpc", "fe_h", "'fe_h' is without a unit"),
        ("", "teff", "'teff' is in 'K'"),
        ("dex", "h_mag", "'h_mag' is in 'mag'"),
        ("mag", "m_h", "'m_h' is in 'dex'"),
        ("dex", "logg_si", "'logg_si' is in 'dex(m / s2)'"),
        ("kpc", "name", "'name' is text"),
        ("", "name", "'name' is text"),
    ],
)
def test_a_unit_that_does_not_convert_is_refused_with_dataset_column_and_both_units(wanted, source, said):
    with pytest.raises(UnitError) as refused:
        bind(Table(x=wanted), STARS, {"x": source}, where="dataset 'apogee'")
    for text in (said, "dataset 'apogee'", repr(wanted) if wanted else "without unit"):
        assert text in str(refused.value)


@pytest.mark.parametrize(("wanted", "source"), [("dex", "fe_h"), ("", "m_h"), ("dex", "logg")])
def test_what_surveys_leave_out_of_their_units_is_no_obstacle(wanted, source):
    assert bind(Table(x=wanted), STARS, {"x": source}).columns["x"].factor == 1.0


def test_a_spectrum_is_no_column_of_a_table():
    with pytest.raises(DataRefusedError, match=r"'flux' is over \(object, wavelength\).*Expected: \(object\)"):
        bind(Table(flux=None), STARS)


@settings(deadline=None)
@given(
    dtype=st.sampled_from(["float32", "float64", "int16", "int64", "bool"]),
    lazy=st.booleans(),
    nulls=st.lists(st.booleans(), max_size=5),
    unit=st.sampled_from(["pc", ""]),
)
def test_a_declared_quantity_arrives_as_float64_with_nan_for_nulls_whatever_the_dataset_keeps(dtype, lazy, nulls, unit):
    unit = "" if dtype == "bool" else unit
    size = len(nulls)
    values = np.arange(size).astype(dtype)
    stars = xr.Dataset({"d": ("object", values, {"units": unit, "ucd": "pos.distance"}), "left": ("object", values)})
    truth = values.astype("f8") / (1000 if unit else 1)
    if dtype[0] == "f":
        stars["d"] = stars.d.where(~np.array(nulls, bool)).astype(dtype).assign_attrs(stars.d.attrs)
        truth[nulls] = np.nan
    elif any(nulls):
        stars["d_valid"] = ("object", ~np.array(nulls))
        truth[nulls] = np.nan
    if lazy:
        stars = stars.chunk(object=2)
    given_data = stars.copy(deep=True)
    wanted = "kpc" if unit else ""
    bound = bind(Table(distance=wanted), Schema.of_dataset(stars), {"distance": "d"}).apply(stars)
    assert list(bound.variables) == ["distance"]
    assert bound.distance.attrs == {"ucd": "pos.distance", "column": "d"} | ({"units": "kpc"} if unit else {})
    assert bound.distance.dtype == "float64"
    assert (bound.distance.chunks is not None) is lazy
    np.testing.assert_allclose(bound.distance.values, truth, rtol=1e-15)
    xr.testing.assert_identical(stars, given_data)


def test_large_integers_that_are_not_converted_stay_exact_and_keep_their_nulls():
    ids = np.array([2**62 + 1, 0])
    stars = xr.Dataset({"id": ("object", ids), "id_valid": ("object", [True, False])})
    for schema in (Schema.of_dataset(stars), Schema((Column("id", "int64"),))):
        bound = bind(Table(source_id=None), schema, {"source_id": "id"}).apply(stars)
        assert bound.source_id.values.tolist() == ids.tolist()
        assert bound.source_id_valid.values.tolist() == [True, False]
    assert bind(Table(source_id=None), Schema.of_dataset(stars), {"source_id": "id"}).sources == ("id", "id_valid")


def test_columns_that_a_parameter_names_and_those_of_any_unit_arrive_as_floats_too_and_text_as_it_is():
    n, known = ("object", [5, 0], {"units": "pc"}), ("object", [True, False])
    name = ("object", np.array(["a", None], np.dtypes.StringDType(na_object=None)))
    stars = xr.Dataset({"d": n, "d_valid": known, "m": n, "m_valid": known, "name": name})
    table = Table(optional={"m": "any"}, named_by="columns")
    bound = bind(table, Schema.of_dataset(stars), named=("d", "name")).apply(stars)
    for column in ("d", "m"):
        np.testing.assert_array_equal(bound[column].values, [5.0, np.nan])
        assert bound[column].attrs["units"] == "pc"
    assert bound.name.values.tolist() == ["a", None]
    assert set(bound.variables) == {"d", "m", "name"}


@pytest.mark.parametrize(
    ("dtype", "arrives"),
    [("float32", "float32"), ("float64", "float64"), ("int16", "float32"), ("int32", "float64"), ("bool", "float32")],
)
def test_images_keep_the_precision_that_their_values_need_and_not_more(dtype, arrives):
    grid = ("object", "band", "y", "x")
    images = xr.Dataset({"flux": (grid, np.ones((2, 1, 3, 3), dtype), {"units": ""})})
    images["flux_valid"] = (grid, np.arange(18).reshape(2, 1, 3, 3) > 0)
    bound = bind(Images(flux=""), Schema.of_dataset(images)).apply(images)
    assert bound.flux.dtype == arrives
    assert np.isnan(bound.flux.values).sum() == 1
    assert bind(Images(), Schema.of_dataset(images)).apply(images).flux.dtype == dtype


def test_the_flag_of_neighbours_beyond_the_block_comes_along():
    stars = xr.Dataset({"feh": ("object", [0.0], {"units": "dex"}), "is_margin": ("object", [True])})
    assert "is_margin" in bind(Table(feh="dex"), Schema.of_dataset(stars)).apply(stars)


def test_data_without_a_bound_column_is_refused_by_name():
    binding = bind(Table(teff="K"), STARS, where="dataset 'apogee'")
    with pytest.raises(MissingColumnError, match=r"'teff' \(dataset 'apogee'\)"):
        binding.apply(xr.Dataset({"tef": ("object", [1.0])}))


def spectra(unit: str = "mJy", per_object: bool = False) -> xr.Dataset:
    grid = ("object", "wavelength")
    wavelength = np.full((2, 3), [400.0, 500.0, 600.0]) if per_object else [400.0, 500.0, 600.0]
    return xr.Dataset(
        {
            "flux": (grid, np.ones((2, 3), "float32"), {"units": unit}),
            "ivar": (grid, np.full((2, 3), 4.0, "float32")),
            "teff": ("object", [4700.0, 4800.0], {"units": "K"}),
        },
        {"wavelength": (grid if per_object else "wavelength", wavelength, {"units": "nm"})},
    )


@pytest.mark.parametrize("per_object", [True, False])
def test_spectra_are_bound_with_their_wavelengths_and_ivar_follows_the_unit_of_the_flux(per_object):
    data = spectra(per_object=per_object)
    bound = bind(Spectra(flux="Jy", teff="K", optional={"snr": ""}), Schema.of_dataset(data)).apply(data)
    np.testing.assert_allclose(bound.flux.values, 1e-3)
    np.testing.assert_allclose(bound.ivar.values, 4e6)
    assert (bound.flux.attrs["units"], bound.ivar.attrs["units"]) == ("Jy", "1 / Jy2")
    np.testing.assert_allclose(bound.wavelength.values[..., 0], 4000.0)
    assert "wavelength" in bound.coords
    assert "mask" not in bound


def test_spectra_without_ivar_are_refused_unless_it_is_optional():
    schema = Schema.of_dataset(spectra().drop_vars("ivar"))
    with pytest.raises(MissingColumnError, match="'ivar'"):
        bind(Spectra(), schema)
    assert bind(Spectra(ivar=False), schema).absent == ("ivar", "mask")


def test_a_table_is_no_spectra():
    with pytest.raises(MissingColumnError, match="'wavelength'"):
        bind(Spectra(ivar=False), STARS)


def test_images_cubes_and_models_are_bound_over_their_own_dimensions():
    images = Schema.of_dataset(
        xr.Dataset({"flux": (("object", "band", "y", "x"), np.zeros((1, 2, 3, 3)), {"units": "nJy"})})
    )
    assert bind(Images(flux="mJy"), images).columns["flux"].factor == pytest.approx(1e-6)
    healpix = xr.Dataset(
        {"extinction": (("sample", "distance", "pixel"), np.zeros((2, 3, 12)), {"units": "mag / kpc"})}
    )
    healpix = healpix.assign_coords(distance=("distance", [1.0, 2.0, 3.0], {"units": "kpc"}))
    bound = bind(Cube(extinction="mag / pc"), Schema.of_dataset(healpix)).apply(healpix)
    assert bound.distance.attrs["units"] == "kpc"
    assert bound.extinction.attrs["units"] == "mag / pc"
    with pytest.raises(DataRefusedError, match="distance, pixel"):
        bind(Cube(extinction=None), Schema((Column("extinction", "float32", ("object",)),)))
    model = xr.Dataset({"w0": (("i", "j"), np.zeros((2, 3))), "scale": ((), 2.0)})
    xr.testing.assert_identical(bind(Model(), Schema.of_dataset(model)).apply(model), model)


@pytest.mark.parametrize(
    "declare",
    [
        lambda: Table(feh="no_unit"),
        lambda: Table(feh=7),
        lambda: Table(**{"fe h": "dex"}),
        lambda: Table(one_of=[("age",)]),
        lambda: Table(one_of=("age", "teff")),
        lambda: Table(one_of=[("age", "my_own_index")]),
        lambda: Table(pattern="my_<x>"),
        lambda: Table(**{"<x>_fe": "dex"}),
        lambda: Spectra(flux="floox"),
        Cube,
        lambda: Whole("stars"),
    ],
)
def test_a_declaration_that_means_nothing_is_refused(declare):
    with pytest.raises(DeclarationError):
        declare()


def test_a_declaration_can_be_told_as_plain_values():
    told = Whole(Table(r_gal="kpc", optional={"feh": "dex"}, one_of=[("age", "teff")], named_by="columns")).to_json()
    assert told == {
        "kind": "table",
        "required": {"r_gal": "kpc"},
        "optional": {"feh": "dex"},
        "one_of": [{"age": "Gyr", "teff": "K"}],
        "named_by": "columns",
        "whole": True,
    }


APOGEE = Schema(
    tuple(
        Column(name, "float32")
        for name in ("FE_H", "FE_H_ERR", "MG_FE", "MG_FE_ERR", "SI_FE", "H", "VHELIO_AVG", "CHI2", "FE_H_FLAG")
    )
)


def test_a_column_of_another_name_that_means_the_same_is_bound_with_its_error():
    binding = bind(Table(feh="dex", optional={"feh_err": "dex", "<x>_fe": "dex", "<x>_fe_err": "dex"}), APOGEE)
    assert {name: bound.source for name, bound in binding.columns.items()} == {
        "feh": "FE_H",
        "feh_err": "FE_H_ERR",
        "mg_fe": "MG_FE",
        "si_fe": "SI_FE",
        "mg_fe_err": "MG_FE_ERR",
    }
    assert binding.absent == ()
    assert "'feh_err' is column 'FE_H_ERR'" in binding.notes
    assert binding.to_json()["mg_fe"]["source"] == "MG_FE"
    stars = xr.Dataset({"FE_H": ("object", [0.1]), "FE_H_ERR": ("object", [0.02])})
    arrived = bind(Table(feh="dex", feh_err="dex"), APOGEE).apply(stars)
    assert arrived.feh_err.attrs["column"] == "FE_H_ERR"


def test_columns_that_a_parameter_names_and_groups_of_choices_are_found_by_meaning():
    given = Table(one_of=[("feh", "age")], named_by="columns")
    binding = bind(given, APOGEE, named=["mg_fe", "SI_FE"])
    assert {n: b.source for n, b in binding.columns.items()} == {"feh": "FE_H", "mg_fe": "MG_FE", "SI_FE": "SI_FE"}


def test_several_columns_that_mean_the_same_are_refused_with_the_way_to_choose():
    gaia = Schema((Column("teff_gspphot", "float32", unit="K"), Column("teff_gspspec", "float32", unit="K")))
    for table in (Table(teff="K"), Table(optional={"teff": "K"})):
        with pytest.raises(
            MissingColumnError, match=r"'teff_gspphot', 'teff_gspspec'.*--column INPUT\.teff=teff_gspphot"
        ):
            bind(table, gaia)
    assert bind(Table(teff="K"), gaia, {"teff": "teff_gspspec"}).sources == ("teff_gspspec",)


def test_the_name_itself_comes_before_a_spelling_and_a_spelling_before_another_word():
    columns = [Column("mh_gspphot", "float32", unit="dex"), Column("FE_H", "float32"), Column("feh", "float32")]
    for left, source in ((3, "feh"), (2, "FE_H"), (1, "mh_gspphot")):
        assert bind(Table(feh="dex"), Schema(tuple(columns[:left]))).sources == (source,)


def test_an_error_is_that_of_the_column_that_was_taken():
    gaia = (Column("mh_gspphot", "float32", unit="dex"), Column("mh_gspphot_error", "float32", unit="dex"))
    wanted = Table(feh="dex", optional={"feh_err": "dex"})
    assert bind(wanted, Schema(gaia)).sources == ("mh_gspphot", "mh_gspphot_error")
    own = Schema((Column("feh", "float32", unit="dex"), *gaia))
    assert bind(wanted, own).sources == ("feh",), "the error of another column is none of this one"
    both = Schema((*own.columns, Column("feh_err", "float32", unit="dex")))
    assert bind(wanted, both, {"feh": "mh_gspphot"}).sources == ("mh_gspphot", "mh_gspphot_error")
    assert bind(wanted, both, {"feh": "mh_gspphot", "feh_err": "feh_err"}).sources == ("mh_gspphot", "feh_err")


@pytest.mark.parametrize(
    ("wanted", "column"),
    [
        ({"h_mag": "mag"}, Column("H", "float32")),
        ({"redshift": ""}, Column("z", "float32", unit="kpc")),
        ({"distance": "kpc"}, Column("dist", "float32", unit="arcsec")),
        ({"m_h": "dex"}, Column("M_H", "float32", unit="mag")),
        ({"ebv": "mag"}, Column("e_B-V", "float32", unit="mag")),
        ({"bv_err": "mag"}, Column("e_bv", "float32", unit="mag")),
        ({"teff": "K"}, Column("TEFF", "string")),
        ({"teff": "K"}, Column("TEFF", "float32", ("object", "visit"), unit="K")),
        ({"wavelength": "Angstrom"}, Column("LAMBDA", "float32")),
    ],
)
def test_false_friends_are_not_bound(wanted, column):
    assert bind(Table(optional=wanted), Schema((column,))).columns == {}
    with pytest.raises(MissingColumnError):
        bind(Table(**wanted), Schema((column,)))


def test_a_word_with_two_meanings_is_taken_when_its_unit_says_so_and_offered_when_nothing_does():
    assert bind(Table(h_mag="mag"), Schema((Column("H", "float32", unit="mag"),))).sources == ("H",)
    assert (
        bind(Table(distance="kpc"), Schema((Column("Dist", "float32", unit="pc"),))).columns["distance"].factor == 1e-3
    )
    with pytest.raises(MissingColumnError, match=r"--column INPUT\.h_mag=H"):
        bind(Table(h_mag="mag"), APOGEE)


def test_errors_of_another_column_are_not_those_of_the_one_that_is_taken():
    three = Schema(tuple(Column(name, "float32", unit="dex") for name in ("feh", "FE_H", "FE_H_ERR")))
    binding = bind(Table(feh="dex", optional={"feh_err": "dex"}), three)
    assert (binding.sources, binding.absent) == (("feh",), ("feh_err",))


def test_text_is_no_number_of_any_unit():
    with pytest.raises(DataRefusedError, match="'name' is text"):
        bind(Table(name="any"), STARS)
