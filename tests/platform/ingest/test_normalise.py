"""What readers hand on becomes rows in hven's own words."""

import numpy as np
import polars as pl
import pytest
import xarray as xr

from hven.errors import DataRefusedError, UnitError
from hven.ingest import normalise
from hven.plugins import Batch
from hven.schema import Column, Schema
from hven.sky import healpix_29


def batch(columns=(), position=None, identity=(), **data):
    return Batch({"": pl.DataFrame(data)}, tuple(columns), identity, position=position)


def test_canonical_columns_are_converted_and_a_note_says_so():
    rows = normalise(batch([Column("Distance", "float64", unit="pc")], Distance=[1500]))
    assert rows.objects["distance"].to_list() == [1.5]
    assert rows.columns["distance"].unit == "kpc"
    assert any("converted from pc to kpc" in note.text for note in rows.notes)


def test_a_float32_stays_float32_when_it_is_converted():
    rows = normalise(
        batch([Column("radial_velocity", "", unit="m/s")], radial_velocity=pl.Series([1500.0], dtype=pl.Float32))
    )
    assert rows.objects["radial_velocity"].dtype == pl.Float32


def test_units_descriptions_and_ucds_of_other_columns_are_kept():
    told = Column("Vmicro", "", unit="km.s-1", description="Microturbulence", ucd="phys.veloc.microTurb")
    column = normalise(batch([told], Vmicro=[1.2])).columns["Vmicro"]
    assert (column.unit, column.description, column.ucd) == ("km / s", "Microturbulence", "phys.veloc.microTurb")


def test_a_unit_that_nobody_knows_is_dropped_with_a_note_but_refused_for_a_canonical_column():
    rows = normalise(batch([Column("width", "", unit="furlongs")], width=[1.0]))
    assert rows.columns["width"].unit == ""
    assert any("'furlongs'" in note.text for note in rows.notes)
    with pytest.raises(UnitError, match="'furlongs'"):
        normalise(batch([Column("distance", "", unit="furlongs")], distance=[1.0]))


def test_the_hint_on_an_unknown_unit_does_not_call_the_values_canonical():
    with pytest.raises(UnitError) as refused:
        normalise(batch([Column("ra", "", unit="furlongs")], ra=[0.1]))
    assert "UNIT" in str(refused.value)
    assert "units={'ra': 'deg'}" not in str(refused.value)


def test_a_column_of_several_units_without_one_is_noted_for_attention_and_marked():
    rows = normalise(batch(distance=[1500.0], teff=[5000.0], age=["young"], mass=[1.0]))
    (note,) = [note for note in rows.notes if note.needs_attention]
    assert (note.column, note.text) == (
        "distance",
        "column 'distance' has no unit in the file: its values are taken as kpc",
    )
    assert {name: column.assumed for name, column in rows.columns.items()} == {
        "distance": "unit",
        "teff": "unit",
        "age": "",
        "mass": "unit",
    }
    assert Schema.from_json(Schema.of_frame(rows.objects, rows.columns).to_json())["distance"].assumed == "unit"


def test_text_has_no_unit():
    rows = normalise(batch([Column("TEFF", "", unit="K")], TEFF=["5000 K"]))
    assert (rows.columns["teff"].unit, Schema.of_frame(rows.objects, rows.columns)["teff"].unit) == ("", "")


def test_errors_of_surveys_arrive_under_canonical_names_and_units():
    told = [Column("e_Dist", "", unit="pc"), Column("Dist", "", unit="pc"), Column("e_[Fe/H]", "", unit="[Sun]")]
    rows = normalise(batch(told, **{"Dist": [1500.0], "e_Dist": [100.0], "[Fe/H]": [0.1], "e_[Fe/H]": [0.05]}))
    assert rows.objects.columns == ["Dist", "e_Dist", "feh", "feh_err"]
    assert rows.columns["feh_err"].unit == "dex"
    assert any(note.text == "column 'e_[Fe/H]' is kept as 'feh_err'" for note in rows.notes)


def test_nan_becomes_null():
    assert normalise(batch(feh=[0.1, float("nan")])).objects["feh"].to_list() == [0.1, None]


def test_rows_get_their_place_on_the_sky_whatever_the_columns_are_called_and_measured_in():
    told = [Column("alpha", "", unit="rad"), Column("delta", "", unit="rad")]
    rows = normalise(batch(told, ("alpha", "delta"), alpha=np.radians([10.0, 359.0]), delta=np.radians([-5.0, 80.0])))
    assert rows.objects["ra"].to_list() == pytest.approx([10.0, 359.0])
    assert rows.objects["_healpix_29"].to_list() == healpix_29(rows.objects["ra"], rows.objects["dec"]).tolist()


def test_a_healpix_column_of_the_file_is_made_anew_from_positions_and_kept_without_them_if_it_is_one():
    rows = normalise(batch((), ("ra", "dec"), ra=[1.0], dec=[2.0], _healpix_29=[5]))
    assert rows.objects["_healpix_29"].to_list() == healpix_29(1.0, 2.0).tolist()
    assert normalise(batch(_healpix_29=[5])).objects["_healpix_29"].to_list() == [5]
    rows = normalise(batch(name=["a"], _healpix_29=[-5]))
    assert rows.objects.columns == ["name"]
    assert any("_healpix_29" in note.text for note in rows.notes)


def test_data_without_a_position_gets_no_healpix_column():
    assert "_healpix_29" not in normalise(batch(ra=[1.0], dec=[2.0])).objects.columns


@pytest.mark.parametrize("bad", [None, float("nan")])
def test_a_row_without_a_position_is_refused_saying_which(bad):
    with pytest.raises(DataRefusedError, match="1 of 3 rows have no position, the first is row 1"):
        normalise(batch((), ("ra", "dec"), ra=[1.0, bad, 3.0], dec=[1.0, 2.0, 3.0]))


def test_a_position_off_the_sky_is_refused():
    with pytest.raises(DataRefusedError, match="not on the sky"):
        normalise(batch((), ("ra", "dec"), ra=[1.0], dec=[100.0]))


def test_identity_is_the_columns_told_or_else_all_of_them():
    assert normalise(batch(identity=("ID",), ID=[1], feh=[0.1])).identity == ("ID",)
    assert normalise(batch((), ("ra", "dec"), name=["a"], ra=[1.0], dec=[2.0])).identity == ("name", "ra", "dec")


@pytest.mark.parametrize("ids", [[1, 1], [1, None], ["a", "b"]])
def test_object_ids_of_a_file_that_do_not_name_each_row_once_are_refused(ids):
    with pytest.raises(DataRefusedError, match="object_id"):
        normalise(batch(object_id=ids))


def test_variables_over_more_than_objects_become_arrays_of_the_first_part():
    data = xr.Dataset(
        {
            "flux": (("object", "wavelength"), np.ones((2, 3), "u2"), {"units": "W.m-2.nm-1"}),
            "name": ("object", ["a", "b"]),
        },
        coords={"wavelength": [1.0, 2.0, 3.0]},
    )
    rows = normalise(Batch({"": data}))
    assert rows.objects.columns == ["name"]
    assert rows.parts[""]["flux"].dtype == np.int32
    assert rows.parts[""]["flux"].attrs["units"] == "W / (nm m2)"
    assert rows.parts[""]["wavelength"].attrs["units"] == "Angstrom"
